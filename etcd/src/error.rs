//! Why a call of etcd gave no answer, as far as it changes what to do next.

use tonic::{Code, Status};

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was given as an endpoint is none.
    #[error("`{endpoint}` is not an endpoint of etcd ({why}): write such as http://127.0.0.1:2379")]
    NoEndpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// The member could not be reached, has no leader, or did not answer in time. A write may or may not have happened.
    #[error("etcd at {endpoint} cannot be reached ({why})")]
    Unreachable {
        /// Which member was asked.
        endpoint: String,
        /// What went wrong.
        why: String,
    },
    /// The revision that was asked for is not kept any more.
    #[error("etcd does not keep the revision any more that was asked for ({why})")]
    Compacted {
        /// What etcd said.
        why: String,
    },
    /// The lease is gone: it ran out, or somebody revoked it.
    #[error("etcd does not know the lease any more")]
    LeaseGone,
    /// etcd said no: nothing was done.
    #[error("etcd at {endpoint} refused ({why})")]
    Refused {
        /// Which member was asked.
        endpoint: String,
        /// What it said.
        why: String,
    },
}

impl Error {
    pub(crate) fn of(endpoint: &str, status: &Status) -> Error {
        let (endpoint, why) = (endpoint.to_owned(), told(status));
        match status.code() {
            // So etcd answers a member without leader, a stopped one, and one whose peers do not answer it.
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Internal | Code::Unknown => {
                Error::Unreachable { endpoint, why }
            }
            Code::OutOfRange if why.contains("compacted") => Error::Compacted { why },
            Code::NotFound if why.contains("lease not found") => Error::LeaseGone,
            _ => Error::Refused { endpoint, why },
        }
    }

    pub(crate) fn silent(endpoint: &str, what: &str) -> Error {
        Error::Unreachable {
            endpoint: endpoint.to_owned(),
            why: what.to_owned(),
        }
    }
}

/// What a status says, with its innermost cause: "transport error" alone tells nobody anything.
fn told(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let innermost = cause.to_string();
    let message = status.message();
    match std::ptr::eq(cause, std::ptr::from_ref(status) as *const dyn std::error::Error) {
        true if message.is_empty() => status.code().description().to_owned(),
        true => message.to_owned(),
        false => innermost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: Status, expected: &str) {
        assert_eq!(Error::of("http://e:1", &status).to_string(), expected);
    }

    #[test]
    fn what_to_do_next_follows_from_the_status() {
        check(
            Status::unavailable("etcdserver: no leader"),
            "etcd at http://e:1 cannot be reached (etcdserver: no leader)",
        );
        check(
            Status::out_of_range("etcdserver: mvcc: required revision has been compacted"),
            "etcd does not keep the revision any more that was asked for \
             (etcdserver: mvcc: required revision has been compacted)",
        );
        check(
            Status::not_found("etcdserver: requested lease not found"),
            "etcd does not know the lease any more",
        );
        check(
            Status::invalid_argument("etcdserver: too many operations in txn request"),
            "etcd at http://e:1 refused (etcdserver: too many operations in txn request)",
        );
        check(
            Status::deadline_exceeded(""),
            "etcd at http://e:1 cannot be reached (Deadline expired before operation could complete)",
        );
    }
}
