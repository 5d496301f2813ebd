//! Splitting into records: by hand, and against a reference that sees the whole file at once.

use logline::records::{Extent, RecordReader, Stamps, Start};
use proptest::prelude::*;

/// A stamp is a leading `@` and one digit, so that logs can be written by hand.
#[derive(Clone)]
struct AtDigit;

impl Stamps for AtDigit {
    fn read(&mut self, line: &[u8], _offset: u64) -> Option<i64> {
        match line {
            [b'@', digit @ b'0'..=b'9', ..] => Some(i64::from(digit - b'0')),
            _ => None,
        }
    }
}

#[derive(Debug, PartialEq)]
struct Seen {
    stamp: i64,
    offset: u64,
    bytes: u64,
    lines: u64,
    text: Vec<u8>,
    extent: Extent,
}

/// Reads `log` in the given pieces, releasing records as they close.
fn read(log: &[u8], cuts: &[usize], start: Start, limit: usize) -> (Vec<Seen>, u64) {
    let mut reader = RecordReader::with_limit(AtDigit, start, 0, limit);
    let mut seen = Vec::new();
    let mut rest = log;
    let take = |reader: &mut RecordReader<AtDigit>, seen: &mut Vec<Seen>| {
        for record in reader.closed() {
            seen.push(Seen {
                stamp: record.stamp,
                offset: record.offset,
                bytes: record.bytes,
                lines: record.lines,
                text: reader.text(record).to_vec(),
                extent: record.extent,
            });
        }
        reader.release(reader.closed().len());
    };
    for cut in cuts
        .iter()
        .cycle()
        .take(if cuts.is_empty() { 0 } else { log.len() + 1 })
    {
        let (piece, tail) = rest.split_at((*cut).min(rest.len()));
        reader.push(piece);
        take(&mut reader, &mut seen);
        rest = tail;
    }
    reader.push(rest);
    reader.finish();
    take(&mut reader, &mut seen);
    (seen, reader.head().lines)
}

/// The same of a log that may have zeros before its lines: as if they were not there.
fn reference_with_zeros(log: &[u8], limit: usize) -> (Vec<Seen>, u64) {
    let (mut stripped, mut dropped) = (Vec::new(), Vec::new());
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let zeros = line.iter().take_while(|byte| **byte == 0).count();
        dropped.push((stripped.len() as u64, zeros as u64));
        stripped.extend_from_slice(&line[zeros..]);
    }
    let (mut seen, head) = reference(&stripped, limit);
    for record in &mut seen {
        let before = dropped.iter().take_while(|(offset, _)| *offset <= record.offset);
        record.offset += before.map(|(_, zeros)| zeros).sum::<u64>();
    }
    (seen, head)
}

/// The same by sight of the whole file: lines, then records of them.
fn reference(log: &[u8], limit: usize) -> (Vec<Seen>, u64) {
    let mut seen: Vec<Seen> = Vec::new();
    let mut head = 0;
    let mut offset = 0;
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        match AtDigit.read(&content[..content.len().min(limit)], 0) {
            Some(stamp) => seen.push(Seen {
                stamp,
                offset,
                bytes: 0,
                lines: 0,
                text: vec![],
                extent: Extent::Whole,
            }),
            None if seen.is_empty() => head += 1,
            None => {}
        }
        if let Some(record) = seen.last_mut() {
            record.bytes += line.len() as u64;
            record.lines += 1;
            let begin = record.offset as usize;
            let text = &log[begin..offset as usize + content.len()];
            record.extent = if text.len() > limit { Extent::Cut } else { Extent::Whole };
            record.text = text[..text.len().min(limit)].to_vec();
        }
        offset += line.len() as u64;
    }
    (seen, head)
}

#[track_caller]
fn check(log: &str, expected: &[(i64, u64, &str)], head: u64) {
    let (seen, seen_head) = read(log.as_bytes(), &[], Start::FileStart, 1 << 20);
    let seen: Vec<_> = seen
        .iter()
        .map(|r| (r.stamp, r.lines, String::from_utf8_lossy(&r.text).into_owned()))
        .collect();
    let seen: Vec<_> = seen
        .iter()
        .map(|(stamp, lines, text)| (*stamp, *lines, text.as_str()))
        .collect();
    assert_eq!((seen.as_slice(), seen_head), (expected, head));
}

#[test]
fn a_record_is_a_stamped_line_and_the_unstamped_ones_after_it() {
    check("", &[], 0);
    check("@1 a\n@2 b\n", &[(1, 1, "@1 a"), (2, 1, "@2 b")], 0);
    check("@1 a\n  at x\n\n@2 b\n", &[(1, 3, "@1 a\n  at x\n"), (2, 1, "@2 b")], 0);
    check("# one\n\n@1 a\n", &[(1, 1, "@1 a")], 2);
    check("only\nheads", &[], 2);
}

#[test]
fn a_last_line_without_end_is_a_line_of_a_finished_file() {
    check("@1 a\n@2 b", &[(1, 1, "@1 a"), (2, 1, "@2 b")], 0);
    check("@1 a\nmore", &[(1, 2, "@1 a\nmore")], 0);
}

#[test]
fn carriage_returns_stay_in_the_text_and_off_the_stamp() {
    check("@1 a\r\nb\r\n", &[(1, 2, "@1 a\r\nb\r")], 0);
}

#[test]
fn a_half_line_waits_for_its_end() {
    let mut reader = RecordReader::new(AtDigit, Start::FileStart, 0);
    reader.push(b"@1 a\n@2 b\n@3 half");
    assert_eq!(reader.closed().len(), 1);
    assert_eq!(reader.open().map(|record| record.stamp), Some(2));
    assert_eq!(reader.scanned_to(), 10);
    reader.push(b" done\n");
    assert_eq!(reader.closed().len(), 2);
    assert_eq!(reader.open().map(|record| (record.stamp, record.bytes)), Some((3, 13)));
}

#[test]
fn a_landing_skips_what_belongs_to_a_record_before() {
    let (seen, head) = read(b"ken @1 a\nmore\n@2 b\n", &[], Start::Landing, 1 << 20);
    assert_eq!(seen.iter().map(|record| record.stamp).collect::<Vec<_>>(), [2]);
    assert_eq!(head, 0);
}

#[test]
fn a_line_without_end_needs_bounded_memory() {
    let mut reader = RecordReader::with_limit(AtDigit, Start::FileStart, 0, 1000);
    reader.push(b"@1 long ");
    for _ in 0..10_000 {
        reader.push(&[b'x'; 100]);
    }
    assert!(reader.space(1).len() < 10_000, "the buffer grew with the line");
    reader.push(b"\n@2 b\n");
    let record = reader.closed()[0];
    assert_eq!((record.bytes, record.lines, record.extent), (1_000_009, 1, Extent::Cut));
    assert_eq!(reader.text(&record).len(), 1000);
}

/// Lines of every kind around a limit of 12 bytes.
fn log() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "@[0-9] [a-z]{0,4}",
        2 => "[a-z ]{0,6}",
        1 => "@[0-9][a-z]{9,12}",
        1 => "[a-z]{10,30}",
        1 => "@[0-9] a\r",
        1 => Just(String::new()),
    ];
    (prop::collection::vec(line, 0..40), any::<bool>()).prop_map(|(lines, ends)| {
        let mut log = lines.join("\n").into_bytes();
        if ends {
            log.push(b'\n');
        }
        log
    })
}

/// The same with zeros before some lines.
fn log_with_zeros() -> impl Strategy<Value = Vec<u8>> {
    (log(), prop::collection::vec(0_usize..40, 1..8)).prop_map(|(log, zeros)| {
        let lines = log.split_inclusive(|byte| *byte == b'\n');
        let with = |(line, zeros): (&[u8], &usize)| [&vec![0; zeros.saturating_sub(25)], line].concat();
        lines.zip(zeros.iter().cycle()).flat_map(with).collect()
    })
}

#[test]
fn zeros_of_a_truncated_file_hide_no_record() {
    check(
        "@1 a\n\0\0\0@2 b\n\0\0more\n\0",
        &[(1, 1, "@1 a"), (2, 2, "@2 b\nmore")],
        0,
    );
    let mut log = b"@1 a\n".to_vec();
    log.resize(3_000_000, 0);
    log.extend_from_slice(b"@2 b\n@3 c\n");
    let (seen, _) = read(&log, &[65_536], Start::FileStart, 1 << 20);
    let found: Vec<_> = seen
        .iter()
        .map(|record| (record.stamp, record.offset, record.bytes))
        .collect();
    assert_eq!(found, [(1, 0, 5), (2, 3_000_000, 5), (3, 3_000_005, 5)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn where_reads_are_cut_does_not_show(log in log(), cuts in prop::collection::vec(1usize..25, 1..6)) {
        let expected = reference(&log, 12);
        prop_assert_eq!(&read(&log, &[], Start::FileStart, 12), &expected);
        prop_assert_eq!(&read(&log, &cuts, Start::FileStart, 12), &expected);
        prop_assert_eq!(&read(&log, &[1], Start::FileStart, 12), &expected);
    }

    #[test]
    fn zeros_do_not_show(log in log_with_zeros(), cuts in prop::collection::vec(1usize..25, 1..6)) {
        let expected = reference_with_zeros(&log, 12);
        prop_assert_eq!(&read(&log, &[], Start::FileStart, 12), &expected);
        prop_assert_eq!(&read(&log, &cuts, Start::FileStart, 12), &expected);
        prop_assert_eq!(&read(&log, &[1], Start::FileStart, 12), &expected);
    }

    #[test]
    fn a_landing_anywhere_gives_the_records_behind_it(log in log(), at in any::<prop::sample::Index>()) {
        prop_assume!(log.len() > 1);
        let at = 1 + at.index(log.len() - 1);
        let mut reader = RecordReader::with_limit(AtDigit, Start::Landing, at as u64 - 1, 12);
        reader.push(&log[at - 1..]);
        reader.finish();
        let offsets: Vec<u64> = reader.closed().iter().map(|record| record.offset).collect();
        let expected: Vec<u64> =
            reference(&log, 12).0.iter().map(|record| record.offset).filter(|offset| *offset >= at as u64).collect();
        prop_assert_eq!(offsets, expected);
    }
}
