//! F2 and F3: which records of a file count, and C5: which window bears those that don't.

use super::stamps::{NANOS_PER_MILLISECOND, NANOS_PER_SECOND};

/// What becomes of a record by its stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It counts in its own window.
    Counts,
    /// Further than `L` behind the greatest good stamp before it.
    Late,
    /// Its stamp is wild.
    BadTimestamp,
}

/// A record's fate and the stamp whose window it belongs to; no window if the file has no good stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// What becomes of it.
    pub fate: Fate,
    /// Its own stamp if it counts, else the one that the loss is charged to.
    pub charged_to_ns: Option<i128>,
}

/// F3: "A record is `bad_timestamp` iff at least 5 of the next 8 stamped records of its file lie more than max(1 h,
/// `L`) below it (with fewer than 5 successors it is good). Judged by its successors alone".
pub fn is_wild(stamps_ns: &[i128], index: usize, lateness_ms: i64) -> bool {
    let reach_ns = (3600 * NANOS_PER_SECOND).max(i128::from(lateness_ms) * NANOS_PER_MILLISECOND);
    let below = stamps_ns
        .iter()
        .skip(index + 1)
        .take(8)
        .filter(|&&next| stamps_ns[index] - next > reach_ns)
        .count();
    below >= 5
}

/// F2: "each file generation keeps its greatest timestamp `g`, of good records […]. A record is late by `g −
/// timestamp`; up to `L` it counts, beyond it is `late`." The greatest good stamp is searched anew for each record.
pub fn judge(stamps_ns: &[i128], lateness_ms: i64) -> Vec<Judged> {
    let wild: Vec<bool> = (0..stamps_ns.len())
        .map(|index| is_wild(stamps_ns, index, lateness_ms))
        .collect();
    let mut judged = Vec::new();
    let mut greatest_good: Option<i128> = None;
    for (index, &stamp) in stamps_ns.iter().enumerate() {
        let lateness_ns = greatest_good.map_or(0, |greatest| greatest - stamp);
        let fate = if wild[index] {
            Fate::BadTimestamp
        } else if lateness_ns > i128::from(lateness_ms) * NANOS_PER_MILLISECOND {
            Fate::Late
        } else {
            Fate::Counts
        };
        let charged_to_ns = match fate {
            Fate::Counts => Some(stamp),
            Fate::Late | Fate::BadTimestamp => greatest_good.or_else(|| first_good(stamps_ns, &wild)),
        };
        judged.push(Judged { fate, charged_to_ns });
        if !wild[index] {
            greatest_good = Some(greatest_good.map_or(stamp, |greatest| greatest.max(stamp)));
        }
    }
    judged
}

/// "A loss is charged to the window of the greatest timestamp before it in its file (else of the first good one after
/// it)": this is the latter, for wild records at a file's start and for its head.
pub fn first_good(stamps_ns: &[i128], wild: &[bool]) -> Option<i128> {
    stamps_ns
        .iter()
        .zip(wild)
        .find(|(_, wild)| !**wild)
        .map(|(stamp, _)| *stamp)
}

/// The stamp whose window bears the head of a file.
pub fn bearer_of_head(stamps_ns: &[i128], lateness_ms: i64) -> Option<i128> {
    let wild: Vec<bool> = (0..stamps_ns.len())
        .map(|index| is_wild(stamps_ns, index, lateness_ms))
        .collect();
    first_good(stamps_ns, &wild)
}

/// The start of the window `[start, end)` that holds a stamp, in milliseconds.
pub fn window_start_ms(stamp_ns: i128, window_ms: i64) -> i64 {
    let window_ns = i128::from(window_ms) * NANOS_PER_MILLISECOND;
    let start_ms = stamp_ns.div_euclid(window_ns) * i128::from(window_ms);
    i64::try_from(start_ms).expect("a stamp of four year digits fits in 64 bits of milliseconds")
}

#[cfg(test)]
mod tests {
    use super::Fate::{BadTimestamp as B, Counts as C, Late as L};
    use super::*;

    /// Stamps and bearers in seconds.
    #[track_caller]
    fn check(lateness_s: i64, stamps_s: &[i128], expected: &[(Fate, Option<i128>)]) {
        let stamps: Vec<i128> = stamps_s.iter().map(|s| s * NANOS_PER_SECOND).collect();
        let found: Vec<_> = judge(&stamps, lateness_s * 1000)
            .iter()
            .map(|judged| (judged.fate, judged.charged_to_ns.map(|ns| ns / NANOS_PER_SECOND)))
            .collect();
        assert_eq!(found, expected, "{stamps_s:?}");
    }

    fn own(stamps: &[i128]) -> Vec<(Fate, Option<i128>)> {
        stamps.iter().map(|stamp| (C, Some(*stamp))).collect()
    }

    #[test]
    fn lateness_up_to_the_bound_counts() {
        check(
            10,
            &[100, 90, 89, 100],
            &[(C, Some(100)), (C, Some(90)), (L, Some(100)), (C, Some(100))],
        );
        check(
            10,
            &[100, 95, 106, 95],
            &[(C, Some(100)), (C, Some(95)), (C, Some(106)), (L, Some(106))],
        );
        // A late record does not lower the greatest.
        check(0, &[100, 50, 99], &[(C, Some(100)), (L, Some(100)), (L, Some(100))]);
    }

    #[test]
    fn five_of_eight_make_a_stamp_wild() {
        let far = 1_000_000;
        // Five successors below: wild. The greatest does not move, so the others count.
        let mut expected = vec![(C, Some(1)), (B, Some(1))];
        expected.extend(own(&[2, 3, 4, 5, 6]));
        check(10, &[1, far, 2, 3, 4, 5, 6], &expected);
        // Four successors only: good, and all the others are late.
        let mut expected = own(&[1, far]);
        expected.extend([(L, Some(far)); 4]);
        check(10, &[1, far, 2, 3, 4, 5], &expected);
        // A run of four: each has at least five of eight below.
        let mut expected = vec![(B, Some(1)); 4];
        expected.extend(own(&[1, 2, 3, 4, 5]));
        check(10, &[far, far, far, far, 1, 2, 3, 4, 5], &expected);
        // A run of five: the first has four of eight below and is good; the others are wild.
        let mut expected = own(&[far]);
        expected.extend([(B, Some(far)); 4]);
        expected.extend([(L, Some(far)); 6]);
        check(10, &[far, far, far, far, far, 1, 2, 3, 4, 5, 6], &expected);
    }

    #[test]
    fn wild_means_more_than_an_hour_or_the_bound_below() {
        check(10_000_000, &[3600, 0, 0, 0, 0, 0], &own(&[3600, 0, 0, 0, 0, 0]));
        let mut expected = vec![(C, Some(3600))];
        expected.extend([(L, Some(3600)); 5]);
        check(10, &[3600, 0, 0, 0, 0, 0], &expected);
        let mut expected = vec![(B, Some(0))];
        expected.extend(own(&[0, 0, 0, 0, 0]));
        check(10, &[3601, 0, 0, 0, 0, 0], &expected);
        check(7200, &[7200, 0, 0, 0, 0, 0], &own(&[7200, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn windows_are_half_open_also_before_the_epoch() {
        for (stamp_ns, start_ms) in [(0, 0), (59_999_999_999, 0), (60_000_000_000, 60_000), (-1, -60_000)] {
            assert_eq!(window_start_ms(stamp_ns, 60_000), start_ms, "{stamp_ns}");
        }
    }
}
