//! The order of stamps within one file: which records are wild (rule F3).
//!
//! A record is wild iff at least 5 of the next 8 stamped records of its file lie more than the reach below it; it is
//! judged by its successors alone, never by a clock, so a re-read of the same bytes judges the same. With fewer than 5
//! successors it is good. So a verdict is final at the 4th successor that is not below, or at the 5th that is.

use crate::records::Record;

/// How many successors are looked at.
pub const SUCCESSORS: usize = 8;
/// How many of them must lie below for a record to be wild.
const BELOW_FOR_WILD: usize = 5;
/// How many not below settle that a record is good.
const NOT_BELOW_FOR_GOOD: usize = SUCCESSORS - BELOW_FOR_WILD + 1;
/// A record is never wild by a step of less than this, whatever the lateness bound: one hour.
pub const LEAST_REACH_NS: i64 = 3_600_000_000_000;

/// What its successors say of a record's stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be believed.
    Good,
    /// It is a `bad_timestamp`: it counts nowhere and moves nothing.
    Wild,
}

/// Whether more stamped records may follow the last one known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Following {
    /// The file goes on: undecided records wait.
    MayCome,
    /// The file is finished: what is known decides.
    None,
}

/// The distance below a record that makes a successor speak against it: max(1 h, lateness).
pub fn reach_ns(lateness_ns: i64) -> i64 {
    lateness_ns.max(LEAST_REACH_NS)
}

/// Judges records in file order.
///
/// `records` are those not yet judged, oldest first, `after` the stamp of a record behind them that is still open.
/// Verdicts of the longest prefix that can be decided are appended to `verdicts`. The usual file, in which no stamp is
/// more than the reach below an earlier one nearby, costs two compares a record.
pub fn judge(records: &[Record], after: Option<i64>, reach_ns: i64, following: Following, verdicts: &mut Vec<Verdict>) {
    let stamps = || records.iter().map(|record| record.stamp).chain(after);
    let known = records.len() + usize::from(after.is_some());
    let (least, greatest) = stamps().fold((i64::MAX, i64::MIN), |(low, high), at| (low.min(at), high.max(at)));
    if known > 0 && least >= greatest.saturating_sub(reach_ns) {
        let decided = match following {
            Following::None => records.len(),
            Following::MayCome => records.len().min(known.saturating_sub(NOT_BELOW_FOR_GOOD)),
        };
        verdicts.extend(std::iter::repeat_n(Verdict::Good, decided));
        return;
    }
    for (index, record) in records.iter().enumerate() {
        let successors = records[index + 1..].iter().map(|next| next.stamp).chain(after);
        match judge_one(record.stamp, successors, reach_ns, following) {
            Some(verdict) => verdicts.push(verdict),
            None => return,
        }
    }
}

fn judge_one(
    stamp: i64,
    successors: impl Iterator<Item = i64>,
    reach_ns: i64,
    following: Following,
) -> Option<Verdict> {
    let floor = stamp.saturating_sub(reach_ns);
    let (mut below, mut not_below) = (0, 0);
    for successor in successors.take(SUCCESSORS) {
        if successor < floor {
            below += 1;
        } else {
            not_below += 1;
        }
        if below >= BELOW_FOR_WILD {
            return Some(Verdict::Wild);
        }
        if not_below >= NOT_BELOW_FOR_GOOD {
            return Some(Verdict::Good);
        }
    }
    match following {
        Following::None => Some(Verdict::Good),
        Following::MayCome => None,
    }
}
