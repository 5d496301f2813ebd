//! What happens to keys, as it happens and in its order.

use crate::client::{Member, with_leader};
use crate::error::Error;
use crate::operations::prefix_end;
use crate::proto::{EventType, KeyValue, WatchCreateRequest, WatchRequest, WatchResponse, WatchUnion};
use http::uri::PathAndQuery;
use tokio_stream::StreamExt;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// What happened to a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It was written.
    Put(KeyValue),
    /// It was removed.
    Deleted(Vec<u8>),
}

/// What happened up to a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// All that happened up to this revision has been told, this included.
    pub revision: i64,
    /// In the order in which it happened; empty where etcd only says how far it is.
    pub changes: Vec<Change>,
}

/// A watch under way.
pub struct Watcher {
    answers: Streaming<WatchResponse>,
    endpoint: String,
    /// Of an answer in several fragments, what came so far.
    part: Vec<Change>,
}

/// Begins to watch all keys with a prefix.
pub(crate) async fn open(
    member: &Member,
    prefix: &str,
    from_revision: i64,
) -> Result<Streaming<WatchResponse>, Status> {
    let create = WatchCreateRequest {
        key: prefix.into(),
        range_end: prefix_end(prefix).into(),
        start_revision: from_revision,
        progress_notify: true,
        fragment: true,
    };
    let request = WatchRequest {
        request_union: Some(WatchUnion::Create(create)),
    };
    let mut grpc = member.ready().await?;
    // The asker's half stays open: its end would be the watch's.
    let requests = tokio_stream::once(request).chain(tokio_stream::pending());
    let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
    let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
    let answer = grpc.streaming(with_leader(Request::new(requests)), path, codec).await?;
    Ok(answer.into_inner())
}

impl Watcher {
    pub(crate) fn new(answers: Streaming<WatchResponse>, endpoint: String) -> Watcher {
        Watcher {
            answers,
            endpoint,
            part: Vec::new(),
        }
    }

    /// Which member is listened to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Waits for what happens next. May be dropped while it waits, and called again.
    ///
    /// # Errors
    /// If the watch has ended: the member is gone, or what was asked for is compacted.
    pub async fn next(&mut self) -> Result<Changes, Error> {
        loop {
            let answer = match self.answers.next().await {
                Some(Ok(answer)) => answer,
                Some(Err(status)) => return Err(Error::of(&self.endpoint, &status)),
                None => return Err(Error::silent(&self.endpoint, "it ended the watch")),
            };
            if answer.compact_revision > 0 {
                let why = format!("revision {} is the oldest that it has", answer.compact_revision);
                return Err(Error::Compacted { why });
            }
            if answer.canceled {
                return Err(Error::silent(
                    &self.endpoint,
                    &format!("it ended the watch: {}", answer.cancel_reason),
                ));
            }
            self.part.extend(answer.events.into_iter().filter_map(|event| {
                let deleted = event.r#type() == EventType::Delete;
                let kv = event.kv?;
                Some(if deleted {
                    Change::Deleted(kv.key)
                } else {
                    Change::Put(kv)
                })
            }));
            if answer.created || answer.fragment {
                continue;
            }
            return Ok(Changes {
                revision: answer.header.unwrap_or_default().revision,
                changes: std::mem::take(&mut self.part),
            });
        }
    }
}
