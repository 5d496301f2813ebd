//! The generator: the same bytes for the same arguments, for ever, and every nasty thing within reach.

use std::collections::BTreeMap;
use sunfire_tests::generator::{BodyForm, LogSpec, Mark, Marks, Rates, file, line};
use sunfire_tests::oracle::{Aggregate, Beginning, Col, Function, Question, StampForm, answer};

/// FNV-1a: pins the bytes without keeping them.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// A record limit that ordinary lines don't meet.
const LIMIT: usize = 700;

fn limited(spec: LogSpec) -> LogSpec {
    LogSpec {
        record_limit_bytes: Some(LIMIT),
        ..spec
    }
}

#[test]
fn the_bytes_are_pinned() {
    let pinned: Vec<String> = LogSpec::all_adversarial()
        .into_iter()
        .map(|spec| {
            let bytes = file(&limited(spec.clone()), "web1", "app.log", 700, 42).bytes;
            format!("{:?} {:?} {} {:016x}", spec.stamp, spec.body, bytes.len(), hash(&bytes))
        })
        .collect();
    let expected = include_str!("generator.pinned");
    assert_eq!(pinned, expected.lines().collect::<Vec<_>>(), "\n{}", pinned.join("\n"));
}

#[test]
fn a_line_depends_on_its_arguments_alone() {
    let spec = LogSpec::adversarial(StampForm::Iso, BodyForm::Kv);
    let forwards: Vec<_> = (0..300).map(|seq| line(&spec, "h", "f", seq, 7)).collect();
    let backwards: Vec<_> = (0..300).rev().map(|seq| line(&spec, "h", "f", seq, 7)).collect();
    assert!(forwards.iter().eq(backwards.iter().rev()));
    let whole = file(&spec, "h", "f", 300, 7).bytes;
    let joined = forwards.concat();
    let without_last_newline = &joined[..joined.len() - 1];
    assert!(
        whole
            .windows(without_last_newline.len())
            .any(|window| window == without_last_newline)
    );
    for (host, file, seed) in [("i", "f", 7), ("h", "g", 7), ("h", "f", 8)] {
        let others = (0..300).filter(|seq| line(&spec, host, file, *seq, seed) != forwards[*seq as usize]);
        assert!(others.count() > 250, "{host} {file} {seed}");
    }
}

#[test]
fn every_mark_is_within_reach() {
    let mut marks = Marks::default();
    for spec in LogSpec::all_adversarial() {
        let spec = limited(spec);
        let mut of_spec = Marks::default();
        // Among the short files are some that end within a few records of a wild stamp, or begin with one.
        for seed in 0..400 {
            let lines = if seed % 20 == 0 { 2500 } else { 30 };
            of_spec.merge(&Marks::of(&spec, &file(&spec, "web1", "app.log", lines, seed).bytes));
            if of_spec.missing(&Mark::ALL) == unreachable_in(&spec) {
                break;
            }
        }
        let missing = of_spec.missing(&Mark::ALL);
        assert_eq!(missing, unreachable_in(&spec), "{:?} {:?}", spec.stamp, spec.body);
        marks.merge(&of_spec);
    }
    assert_eq!(marks.missing(&Mark::ALL), []);
}

/// What a pair of forms can't say.
fn unreachable_in(spec: &LogSpec) -> Vec<Mark> {
    match spec.body {
        // To some readers of logfmt a NUL separates pairs, so that none is written there.
        BodyForm::Logfmt => vec![Mark::Nul],
        // A column can't be left out in the middle, and a line with fewer of them is unparsable.
        BodyForm::Split => vec![Mark::MissingValue],
        BodyForm::Kv | BodyForm::Json | BodyForm::NginxCombined => vec![],
    }
}

#[test]
fn a_calm_log_has_no_marks_of_nastiness() {
    for spec in LogSpec::all_adversarial() {
        let calm = LogSpec {
            rates: Rates::CALM,
            ..spec
        };
        let marks = Marks::of(&calm, &file(&calm, "h", "f", 1000, 1).bytes);
        let nasty: Vec<Mark> = Mark::ALL.into_iter().filter(|mark| marks.contains(*mark)).collect();
        // Stamps of whole seconds meet edges and each other by themselves.
        let natural = [Mark::WindowFirst, Mark::WindowLast, Mark::EqualStamps];
        assert!(
            nasty.iter().all(|mark| natural.contains(mark)),
            "{:?} {:?} {nasty:?}",
            calm.stamp,
            calm.body
        );
    }
}

#[test]
fn the_oracle_accounts_for_every_record_and_line_of_adversarial_logs() {
    for spec in LogSpec::all_adversarial() {
        let spec = limited(spec);
        let files = [file(&spec, "a", "f", 1000, 5), file(&spec, "b", "f", 700, 5)];
        let question = Question {
            record_limit_bytes: LIMIT,
            group_by: vec![Col::field(spec.body.group_fields()[0])],
            aggregates: vec![
                Aggregate::new("n", Function::Count),
                Aggregate::new("lines", Function::Lines),
            ],
            group_limit: 5,
            ..Question::counting(spec.window_ms, spec.lateness_ms, spec.parse_form())
        };
        let answer = answer(&question, &files);
        let records: usize = files
            .iter()
            .map(|f| {
                sunfire_tests::oracle::records::split(&f.bytes, f.stamp, &Beginning::Stamped)
                    .records
                    .len()
            })
            .sum();
        let accounted: u64 = answer
            .windows
            .values()
            .map(|window| window.records + window.lost.total())
            .sum();
        assert_eq!(accounted, records as u64, "{:?} {:?}", spec.stamp, spec.body);
        let mut counted: BTreeMap<i64, u64> = BTreeMap::new();
        for ((window, _), values) in &answer.points {
            if let Some(sunfire_tests::oracle::Value::Number(number)) = &values[0] {
                *counted.entry(*window).or_default() += number.to_plain_string().parse::<u64>().unwrap();
            }
        }
        for (start, window) in &answer.windows {
            assert_eq!(counted.get(start).copied().unwrap_or(0), window.records, "{start}");
        }
        let mostly = answer.windows.values().map(|window| window.records).sum::<u64>();
        assert!(
            mostly * 10 > accounted * 6,
            "most records should count: {mostly} of {accounted}"
        );
    }
}
