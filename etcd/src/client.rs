//! Calls: each to one member, with a deadline; the next goes to another if that one did not answer.

use crate::error::Error;
use crate::operations::{Transaction, prefix_end};
use crate::proto::{
    CompactionRequest, CompactionResponse, KeyValue, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest,
    LeaseKeepAliveResponse, LeaseRevokeRequest, LeaseRevokeResponse, RangeRequest, RangeResponse, Response, SortOrder,
    TxnResponse,
};
use crate::watch::{self, Watcher};
use http::uri::PathAndQuery;
use lika::seam::Clock;
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_stream::StreamExt;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// How long a connection may take; behind it the next member is tried.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// How often an idle connection is tried, so that a member that hangs is noticed by who only listens. etcd closes
/// connections that are tried more often than every 5 s.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long a member may take to answer that.
const PING_PATIENCE: Duration = Duration::from_secs(5);
/// Most keys in one answer: a listing is asked for in pages, so that no answer is larger than can be taken.
const PAGE_KEYS: i64 = 100;
/// Largest answer that is taken: a page of the largest values that etcd takes.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Members of one etcd. Cheap to clone; all clones go on to another member together.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    members: Vec<Member>,
    /// Counts up as members do not answer.
    at: AtomicUsize,
    clock: Clock,
    patience: Duration,
}

#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) endpoint: String,
    channel: Channel,
}

/// What is there, all of it as it was at one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The revision.
    pub revision: i64,
    /// By key.
    pub found: Vec<KeyValue>,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All that must hold did, and all was done.
    Done {
        /// The revision at which it is written.
        revision: i64,
    },
    /// Something did not hold, and nothing was done.
    Not {
        /// What was found of the keys that were to be read then, in their order; `None` where there is no such key.
        found: Vec<Option<KeyValue>>,
    },
}

impl Client {
    /// A client that connects when it is first asked. `patience` is how long one call may take. To be made within a
    /// tokio runtime, which must go on for as long as the client is used.
    ///
    /// # Errors
    /// If there is no endpoint, or one is not a URL.
    pub fn new(endpoints: &[String], patience: Duration, clock: Clock) -> Result<Client, Error> {
        let members = endpoints.iter().map(|endpoint| member(endpoint));
        let members = members.collect::<Result<Vec<Member>, Error>>()?;
        if members.is_empty() {
            return Err(Error::NoEndpoint {
                endpoint: String::new(),
                why: "none is given".to_owned(),
            });
        }
        let shared = Arc::new(Shared {
            members,
            at: AtomicUsize::new(0),
            clock,
            patience,
        });
        Ok(Client { shared })
    }

    /// The endpoints, as they were given.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.shared.members.iter().map(|member| member.endpoint.as_str())
    }

    /// The clock that it waits by.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// A key, and the revision at which that was so.
    ///
    /// # Errors
    /// If etcd does not answer.
    pub async fn get(&self, key: &str) -> Result<(i64, Option<KeyValue>), Error> {
        let request = RangeRequest {
            key: key.into(),
            ..RangeRequest::default()
        };
        let RangeResponse { header, mut kvs, .. } = self.unary("/etcdserverpb.KV/Range", request).await?;
        Ok((header.unwrap_or_default().revision, kvs.pop()))
    }

    /// The last key that begins with a prefix.
    ///
    /// # Errors
    /// If etcd does not answer.
    pub async fn last_key(&self, prefix: &str) -> Result<Option<String>, Error> {
        let request = RangeRequest {
            key: prefix.into(),
            range_end: prefix_end(prefix).into(),
            limit: 1,
            sort_order: SortOrder::Descend.into(),
            keys_only: true,
            ..RangeRequest::default()
        };
        let mut answer: RangeResponse = self.unary("/etcdserverpb.KV/Range", request).await?;
        let last = answer.kvs.pop();
        Ok(last.and_then(|last| String::from_utf8(last.key).ok()))
    }

    /// All keys that begin with a prefix, as they are at one revision.
    ///
    /// # Errors
    /// If etcd does not answer, or compacts that revision between two pages.
    pub async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        self.list_between(prefix, &prefix_end(prefix)).await
    }

    /// All keys from one on, up to another, as they are at one revision.
    ///
    /// # Errors
    /// As [`Client::list`].
    pub async fn list_between(&self, key: &str, end: &str) -> Result<Listing, Error> {
        let mut request = RangeRequest {
            key: key.into(),
            range_end: end.into(),
            limit: PAGE_KEYS,
            ..RangeRequest::default()
        };
        let mut found = Vec::new();
        loop {
            let page: RangeResponse = self.unary("/etcdserverpb.KV/Range", request.clone()).await?;
            if request.revision == 0 {
                request.revision = page.header.unwrap_or_default().revision;
            }
            found.extend(page.kvs);
            match found.last() {
                Some(last) if page.more => request.key = [&last.key[..], &[0]].concat(),
                _ => break,
            }
        }
        Ok(Listing {
            revision: request.revision,
            found,
        })
    }

    /// Does a transaction. It is sent once: where the answer is lost, it may or may not have been done.
    ///
    /// # Errors
    /// If etcd does not answer, or refuses.
    pub async fn transact(&self, transaction: Transaction) -> Result<Outcome, Error> {
        let answer: TxnResponse = self.unary("/etcdserverpb.KV/Txn", transaction.0).await?;
        let revision = answer.header.unwrap_or_default().revision;
        if answer.succeeded {
            return Ok(Outcome::Done { revision });
        }
        let responses = answer.responses.into_iter();
        let found = responses.map(|operation| match operation.response {
            Some(Response::Range(mut range)) => range.kvs.pop(),
            Some(Response::Put(_) | Response::DeleteRange(_)) | None => None,
        });
        Ok(Outcome::Not { found: found.collect() })
    }

    /// A new lease of so many seconds; gives back its id and the seconds that etcd grants.
    ///
    /// # Errors
    /// If etcd does not answer, or refuses.
    pub async fn grant(&self, ttl_s: i64) -> Result<(i64, i64), Error> {
        let request = LeaseGrantRequest { ttl: ttl_s };
        let answer: LeaseGrantResponse = self.unary("/etcdserverpb.Lease/LeaseGrant", request).await?;
        match answer.error.as_str() {
            "" => Ok((answer.id, answer.ttl)),
            why => Err(Error::Refused {
                endpoint: self.member().1.endpoint,
                why: why.to_owned(),
            }),
        }
    }

    /// Renews a lease; gives back the seconds that it has from when etcd answered.
    ///
    /// # Errors
    /// If etcd does not answer, or the lease is gone.
    pub async fn keep_alive(&self, lease: i64) -> Result<i64, Error> {
        let (number, member) = self.member();
        let request = LeaseKeepAliveRequest { id: lease };
        let path = PathAndQuery::from_static("/etcdserverpb.Lease/LeaseKeepAlive");
        let call = async {
            let mut grpc = member.ready().await?;
            // A stream of one request: etcd answers it, and the stream ends with the asker's half.
            let request = with_leader(Request::new(tokio_stream::once(request)));
            let codec = ProstCodec::<LeaseKeepAliveRequest, LeaseKeepAliveResponse>::default();
            let mut answers = grpc.streaming(request, path, codec).await?.into_inner();
            match answers.next().await {
                Some(answer) => answer,
                None => Err(Status::unavailable("it answered nothing")),
            }
        };
        let answered = self.shared.clock.timeout(self.shared.patience, call).await;
        match self.judge(number, &member, answered)?.ttl {
            0 => Err(Error::LeaseGone),
            ttl_s => Ok(ttl_s),
        }
    }

    /// Ends a lease, and removes what was written under it.
    ///
    /// # Errors
    /// If etcd does not answer, or the lease is gone.
    pub async fn revoke(&self, lease: i64) -> Result<(), Error> {
        let request = LeaseRevokeRequest { id: lease };
        let LeaseRevokeResponse {} = self.unary("/etcdserverpb.Lease/LeaseRevoke", request).await?;
        Ok(())
    }

    /// Has etcd forget what was before a revision.
    ///
    /// # Errors
    /// If etcd does not answer, or refuses.
    pub async fn compact(&self, revision: i64) -> Result<(), Error> {
        let request = CompactionRequest { revision };
        let CompactionResponse {} = self.unary("/etcdserverpb.KV/Compact", request).await?;
        Ok(())
    }

    /// What happens to keys with a prefix from a revision on.
    ///
    /// # Errors
    /// If etcd does not answer. That the revision is compacted is said by the watcher.
    pub async fn watch(&self, prefix: &str, from_revision: i64) -> Result<Watcher, Error> {
        let (number, member) = self.member();
        let opened = self
            .shared
            .clock
            .timeout(self.shared.patience, watch::open(&member, prefix, from_revision));
        let answers = self.judge(number, &member, opened.await)?;
        Ok(Watcher::new(answers, member.endpoint.clone()))
    }

    /// Goes on to another member: for who was disappointed by an answer.
    pub fn turn_away(&self, endpoint: &str) {
        let (number, member) = self.member();
        if member.endpoint == endpoint {
            self.turn(number);
        }
    }

    async fn unary<Q, A>(&self, path: &'static str, request: Q) -> Result<A, Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let (number, member) = self.member();
        let call = async {
            let mut grpc = member.ready().await?;
            let (request, path) = (with_leader(Request::new(request)), PathAndQuery::from_static(path));
            let answer = grpc.unary(request, path, ProstCodec::<Q, A>::default()).await?;
            Ok(answer.into_inner())
        };
        let answered = self.shared.clock.timeout(self.shared.patience, call).await;
        self.judge(number, &member, answered)
    }

    /// Which member is asked, and the number of this choice.
    fn member(&self) -> (usize, Member) {
        let number = self.shared.at.load(Ordering::Relaxed);
        let members = &self.shared.members;
        (number, members[number % members.len()].clone())
    }

    /// Goes on to another member, unless somebody did since.
    fn turn(&self, number: usize) {
        let next = number.wrapping_add(1);
        let _turned_already = self
            .shared
            .at
            .compare_exchange(number, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn judge<A, E>(&self, number: usize, member: &Member, answered: Result<Result<A, Status>, E>) -> Result<A, Error> {
        let error = match answered {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(status)) => Error::of(&member.endpoint, &status),
            Err(_) => Error::silent(&member.endpoint, "it did not answer in time"),
        };
        if let Error::Unreachable { .. } = error {
            self.turn(number);
        }
        Err(error)
    }
}

impl Member {
    pub(crate) async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
        grpc.ready()
            .await
            .map_err(|error| Status::from_error(Box::new(error)))?;
        Ok(grpc)
    }
}

/// Has a member that lost its leader say so, instead of answering from what it last heard.
pub(crate) fn with_leader<T>(mut request: Request<T>) -> Request<T> {
    request
        .metadata_mut()
        .insert("hasleader", MetadataValue::from_static("true"));
    request
}

fn member(endpoint: &str) -> Result<Member, Error> {
    let wrong = |why: String| Error::NoEndpoint {
        endpoint: endpoint.to_owned(),
        why,
    };
    if !endpoint.starts_with("http://") {
        return Err(wrong("it does not begin with `http://`".to_owned()));
    }
    let configured = Endpoint::from_shared(endpoint.to_owned()).map_err(|error| wrong(error.to_string()))?;
    let channel = configured
        .connect_timeout(CONNECT_PATIENCE)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        .keep_alive_while_idle(true)
        .connect_lazy();
    Ok(Member {
        endpoint: endpoint.to_owned(),
        channel,
    })
}
