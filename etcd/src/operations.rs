//! Transactions: what must hold, what is done then, and what otherwise.

use crate::proto::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, PutRequest, RangeRequest, Request, RequestOp, Target,
    TxnRequest,
};
use prost::Message;

/// What must hold of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// There is none.
    Absent,
    /// It was last written at this revision.
    WrittenAt(i64),
    /// It was made at this revision, and is there ever since.
    MadeAt(i64),
}

/// All or nothing: operations that are done if everything holds that must.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transaction(pub(crate) TxnRequest);

impl Transaction {
    /// Lets it be done only if this holds.
    #[must_use]
    pub fn when(mut self, key: &str, compared: Compared) -> Transaction {
        let (target, value) = match compared {
            Compared::Absent => (CompareTarget::Create, Target::CreateRevision(0)),
            Compared::MadeAt(revision) => (CompareTarget::Create, Target::CreateRevision(revision)),
            Compared::WrittenAt(revision) => (CompareTarget::Mod, Target::ModRevision(revision)),
        };
        self.0.compare.push(Compare {
            result: CompareResult::Equal.into(),
            target: target.into(),
            key: key.into(),
            target_union: Some(value),
        });
        self
    }

    /// Writes a key.
    #[must_use]
    pub fn put(self, key: &str, value: impl Into<Vec<u8>>) -> Transaction {
        self.put_leased(key, value, 0)
    }

    /// Writes a key that goes when its lease does.
    #[must_use]
    pub fn put_leased(mut self, key: &str, value: impl Into<Vec<u8>>, lease: i64) -> Transaction {
        let (key, value) = (key.into(), value.into());
        self.0
            .success
            .push(operation(Request::Put(PutRequest { key, value, lease })));
        self
    }

    /// Removes a key.
    #[must_use]
    pub fn delete(self, key: &str) -> Transaction {
        self.delete_between(key, "")
    }

    /// Removes all keys from one on, up to another; with an empty `end` that one alone.
    #[must_use]
    pub fn delete_between(mut self, key: &str, end: &str) -> Transaction {
        let (key, range_end) = (key.into(), end.into());
        self.0
            .success
            .push(operation(Request::DeleteRange(DeleteRangeRequest { key, range_end })));
        self
    }

    /// Reads a key if it is not done.
    #[must_use]
    pub fn otherwise_get(mut self, key: &str) -> Transaction {
        let request = RangeRequest {
            key: key.into(),
            ..RangeRequest::default()
        };
        self.0.failure.push(operation(Request::Range(request)));
        self
    }

    /// Its size as it is sent.
    pub fn bytes(&self) -> usize {
        self.0.encoded_len()
    }

    /// Its operations, as etcd counts them against its bound: the most of one branch, or of what must hold.
    pub fn operations(&self) -> usize {
        let branches = self.0.success.len().max(self.0.failure.len());
        branches.max(self.0.compare.len())
    }
}

fn operation(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

/// The first key behind all that begin with a text: `a` gives `b`.
///
/// # Panics
/// If the text is empty, or its last byte is the greatest of ASCII: neither is a prefix that anybody means.
pub fn prefix_end(prefix: &str) -> String {
    let mut bytes = prefix.as_bytes().to_vec();
    let last = bytes.last_mut().filter(|last| **last < 0x7f);
    *last.expect("a prefix ends in a character of ASCII") += 1;
    // reason: a prefix of ASCII characters stays one; others are cut at a character's edge by whoever gives them.
    String::from_utf8(bytes).expect("the last character is of ASCII, so it is a whole one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_a_prefix_end_where_its_last_character_is_the_next() {
        assert_eq!(prefix_end("/sunfire/"), "/sunfire0");
        assert_eq!(prefix_end("é/a"), "é/b");
    }

    #[test]
    fn operations_are_counted_as_etcd_does() {
        let transaction = Transaction::default()
            .when("a", Compared::Absent)
            .when("b", Compared::WrittenAt(7))
            .put("a", "1")
            .delete("b")
            .otherwise_get("c");
        assert_eq!(transaction.operations(), 2);
        assert_eq!(transaction.bytes(), transaction.0.encode_to_vec().len());
    }
}
