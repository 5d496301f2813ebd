//! Wild stamps (F3) against the rule as it is written.

use logline::order::{Following, Verdict, judge};
use logline::records::{Record, RecordReader, Stamps, Start};
use proptest::prelude::*;

struct Number;

impl Stamps for Number {
    fn read(&mut self, line: &[u8], _offset: u64) -> Option<i64> {
        std::str::from_utf8(line).ok()?.parse().ok()
    }
}

fn records(stamps: &[i64]) -> Vec<Record> {
    let mut reader = RecordReader::new(Number, Start::FileStart, 0);
    for stamp in stamps {
        reader.push(format!("{stamp}\n").as_bytes());
    }
    reader.finish();
    reader.closed().to_vec()
}

/// At least 5 of the next 8 lie more than `reach` below; with fewer than 5 successors it is good.
fn rule(stamps: &[i64], reach: i64) -> Vec<Verdict> {
    let wild = |index: usize| {
        stamps[index + 1..]
            .iter()
            .take(8)
            .filter(|next| **next < stamps[index] - reach)
            .count()
    };
    (0..stamps.len())
        .map(|index| if wild(index) >= 5 { Verdict::Wild } else { Verdict::Good })
        .collect()
}

fn whole(stamps: &[i64], reach: i64) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    judge(&records(stamps), None, reach, Following::None, &mut verdicts);
    verdicts
}

#[test]
fn five_of_eight_below_make_a_record_wild() {
    let wild = |stamps: &[i64]| {
        whole(stamps, 10)
            .iter()
            .map(|v| *v == Verdict::Wild)
            .collect::<Vec<_>>()
    };
    assert_eq!(wild(&[100, 1, 1, 1, 1]), [false; 5], "four successors decide nothing");
    assert!(wild(&[100, 1, 1, 1, 1, 1])[0]);
    assert!(!wild(&[100, 90, 90, 90, 90, 90])[0], "exactly the reach is not below");
    assert!(wild(&[100, 89, 95, 89, 95, 89, 95, 89, 89])[0]);
    assert!(
        !wild(&[100, 89, 95, 89, 95, 89, 95, 89, 95])[0],
        "four not below settle it"
    );
    assert!(wild(&[i64::MAX, 0, 0, 0, 0, 0])[0]);
    assert!(!wild(&[i64::MIN, 0, 0, 0, 0, 0])[0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_the_rule(stamps in prop::collection::vec(prop_oneof![8 => 0i64..30, 1 => 0i64..200], 0..40)) {
        prop_assert_eq!(whole(&stamps, 10), rule(&stamps, 10));
    }

    /// What is decided early is decided as it is at the end, and nothing waits longer than eight successors.
    #[test]
    fn early_verdicts_are_final(stamps in prop::collection::vec(0i64..60, 0..40), known in 0usize..40) {
        let known = known.min(stamps.len());
        let all = rule(&stamps, 10);
        let some = records(&stamps[..known]);
        let mut verdicts = Vec::new();
        judge(&some, None, 10, Following::MayCome, &mut verdicts);
        prop_assert_eq!(&verdicts[..], &all[..verdicts.len()]);
        prop_assert!(verdicts.len() + 8 >= known);
        // The open record behind counts as a successor like any other.
        let mut with_open = Vec::new();
        if let Some((open, closed)) = some.split_last() {
            judge(closed, Some(open.stamp), 10, Following::MayCome, &mut with_open);
            prop_assert_eq!(with_open.len(), verdicts.len().min(closed.len()));
        }
    }
}
