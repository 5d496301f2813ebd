//! Bisection against a scan of the whole file: nothing in the window before the landing, and few reads.

use std::io;

use agent::bisect::{BLOCK_BYTES, FindError, ReadAt, Target, find};
use agent::content::tail_hash_of;
use agent::protocol::{HintVerdict, Landing, StartProof};
use proptest::prelude::*;

/// Lines of the tests: the stamp in decimal, a space, anything. A line without digits in front has none.
fn stamp(line: &[u8]) -> Option<i64> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    std::str::from_utf8(&line[..end]).ok()?.parse().ok()
}

struct Memory(Vec<u8>);

impl ReadAt for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = self.0.len().min(offset as usize);
        let read = buffer.len().min(self.0.len() - from);
        buffer[..read].copy_from_slice(&self.0[from..from + read]);
        Ok(read)
    }
}

/// As a search asks for it.
fn stamp_at(_offset: u64, line: &[u8]) -> Option<i64> {
    stamp(line)
}

/// A file that is computed where it is read: record `i` has `record_bytes` bytes, and its stamp is `stamp_of(i)`.
struct Synthetic<F> {
    records: u64,
    record_bytes: u64,
    stamp_of: F,
}

impl<F: Fn(u64) -> i64> Synthetic<F> {
    fn record(&self, index: u64) -> Vec<u8> {
        let mut record = format!("{} ", (self.stamp_of)(index)).into_bytes();
        // A record of several lines, as a stack trace is: only the first has a stamp.
        while record.len() + 200 < self.record_bytes as usize {
            record.extend_from_slice(&[b'x'; 150]);
            record.push(b'\n');
        }
        record.resize(self.record_bytes as usize - 1, b'x');
        record.push(b'\n');
        record
    }
}

impl<F: Fn(u64) -> i64> ReadAt for Synthetic<F> {
    fn size(&self) -> u64 {
        self.records * self.record_bytes
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && offset + (filled as u64) < self.size() {
            let at = offset + filled as u64;
            let record = self.record(at / self.record_bytes);
            let from = (at % self.record_bytes) as usize;
            let copied = (record.len() - from).min(buffer.len() - filled);
            buffer[filled..filled + copied].copy_from_slice(&record[from..from + copied]);
            filled += copied;
        }
        Ok(filled)
    }
}

/// The promise: no line before the landing has a stamp in `[start, …)`; and the landing is 0 or begins a line.
#[track_caller]
fn check_landing(bytes: &[u8], target: Target, landing: &Landing) {
    let offset = landing.offset as usize;
    assert!(
        offset == 0 || bytes[offset - 1] == b'\n',
        "{landing:?} is not at a line"
    );
    let lost = bytes[..offset]
        .split(|byte| *byte == b'\n')
        .filter_map(stamp)
        .find(|stamp| *stamp >= target.start_ns);
    assert_eq!(lost, None, "{landing:?} {target:?}");
    match landing.proof {
        StartProof::Beginning => assert_eq!(offset, 0),
        StartProof::Block { from, to, greatest_ns } => {
            assert!(
                greatest_ns < target.start_ns - target.lateness_ns,
                "{landing:?} {target:?}"
            );
            assert!(
                landing.offset <= to && from < to && to - from <= BLOCK_BYTES,
                "{landing:?}"
            );
        }
    }
}

#[track_caller]
fn check(bytes: Vec<u8>, start_ns: i64, lateness_ns: i64) -> Landing {
    let target = Target { start_ns, lateness_ns };
    let mut file = Memory(bytes);
    let landing = find(&mut file, stamp_at, target, None).expect("found");
    check_landing(&file.0, target, &landing);
    landing
}

/// A line of `length` bytes.
fn push(bytes: &mut Vec<u8>, stamp: i64, length: usize) {
    let from = bytes.len();
    bytes.extend_from_slice(format!("{stamp} ").as_bytes());
    bytes.resize(from + length.max(24), b'y');
    bytes.push(b'\n');
}

#[test]
fn small_and_strange_files_are_read_from_the_beginning() {
    assert_eq!(check(Vec::new(), 5, 0).offset, 0);
    assert_eq!(check(b"9 a\n".to_vec(), 5, 0).offset, 0);
    assert_eq!(check(vec![b'x'; 5 << 20], 5, 0).offset, 0, "one line without end");
    assert_eq!(check(vec![b'\n'; 3 << 20], 5, 0).offset, 0, "empty lines only");
    assert_eq!(check(vec![0; 3 << 20], 5, 0).offset, 0, "a hole");
}

/// 6 MiB of one line each millisecond.
fn six_mebibytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut time = 0;
    while bytes.len() < 6 << 20 {
        push(&mut bytes, time, 100);
        time += 1;
    }
    bytes
}

#[test]
fn the_landing_is_near() {
    let bytes = six_mebibytes();
    let line = 101;
    for start in [0, 1, 20_000, 30_000, 50_000, 61_000, 62_000, 10_000_000] {
        let landing = check(bytes.clone(), start, 10);
        let ideal = (start as u64 * line).min(bytes.len() as u64);
        assert!(
            landing.offset + 4 * BLOCK_BYTES > ideal,
            "{start}: {landing:?} is too early"
        );
    }
}

#[test]
fn an_answer_in_the_tail_takes_three_reads() {
    let bytes = six_mebibytes();
    for start in [52_500, 55_000, 58_000, 60_000, 62_000, 70_000] {
        let landing = check(bytes.clone(), start, 10);
        assert!(landing.reads <= 3, "{start}: {landing:?}");
        assert!(matches!(landing.proof, StartProof::Block { .. }));
        assert_eq!(landing.newest_ns, Some(bytes.len() as i64 / 101 - 1));
    }
}

#[test]
fn a_single_late_record_behind_a_block_edge_proves_nothing() {
    // Regression: the last block of a grid from offset 0 held one record only, and that one was late.
    let mut bytes = Vec::new();
    while bytes.len() < (2 << 20) - 200 {
        push(&mut bytes, 1_000_000, 100);
    }
    let rest = (2 << 20) - bytes.len();
    push(&mut bytes, 1_000_000, rest - 1);
    push(&mut bytes, 5, 100);
    check(bytes, 900_000, 10);
}

#[test]
fn wild_stamps_in_the_way_of_probes_cost_no_record() {
    let hour = 3_600_000_000_000_i64;
    for every in [2_u64, 3, 7, 50] {
        let mut bytes = Vec::new();
        for index in 0..80_000_u64 {
            let time = 10 * hour + index as i64 * 1_000_000_000;
            let wild = index % every == every - 1;
            // Low ones send a probe to the right: the block at the landing must catch it.
            push(&mut bytes, if wild { 7 } else { time }, 90);
        }
        check(bytes, 10 * hour + 40_000_000_000_000, 10_000_000_000);
    }
}

#[test]
fn late_records_at_the_begin_of_each_block_mislead_no_landing() {
    // Each probe sees nothing but late records, and is sent to the right; only the whole block shows the truth.
    let mut bytes = Vec::new();
    let mut time = 1_000_000;
    while bytes.len() < 12 << 20 {
        let late = bytes.len() as u64 % BLOCK_BYTES < 20_000;
        time += 1;
        push(&mut bytes, if late { 3 } else { time }, 90);
    }
    for part in 1..10 {
        check(bytes.clone(), 1_000_000 + (time - 1_000_000) * part / 10, 10);
    }
}

#[test]
fn the_end_of_a_cut_line_is_no_stamp() {
    for shift in 0..2 {
        let mut bytes = Vec::new();
        while bytes.len() < 2 << 20 {
            push(&mut bytes, 1_000_000, 100);
        }
        // The last block begins within this line, and its rest looks like a line with an early stamp.
        bytes.extend_from_slice(b"1000000");
        bytes.extend_from_slice(b" 5".repeat(300_000).as_slice());
        bytes.push(b'\n');
        bytes.extend_from_slice(&b"x"[..shift]);
        bytes.extend_from_slice(b"\tat a.b(c)\n".repeat(70_000).as_slice());
        assert_eq!(check(bytes, 1_000_000, 0).offset, 0);
    }
}

#[test]
fn a_wild_future_stamp_does_not_spoil_the_landing() {
    let mut bytes = Vec::new();
    for index in 0..60_000_i64 {
        push(
            &mut bytes,
            if index % 1000 == 13 {
                i64::MAX / 2
            } else {
                index * 1_000_000_000
            },
            100,
        );
    }
    let start = 65_000 * 1_000_000_000;
    let target = Target {
        start_ns: start,
        lateness_ns: 10_000_000_000,
    };
    let landing = find(&mut Memory(bytes), stamp_at, target, None).expect("found");
    let ideal = 65_000 * 101;
    assert!(
        landing.offset <= ideal && landing.offset + 3 * BLOCK_BYTES > ideal,
        "{landing:?}"
    );
}

#[track_caller]
fn check_reads(record_bytes: u64, stamp_of: impl Fn(u64) -> i64, start_ns: i64, lateness_ns: i64, most: u32) -> u32 {
    let records = 100_000_000_000 / record_bytes;
    let mut file = Synthetic {
        records,
        record_bytes,
        stamp_of,
    };
    let target = Target { start_ns, lateness_ns };
    let landing = find(&mut file, stamp_at, target, None).expect("found");
    assert!(landing.reads <= most, "{record_bytes} B, {start_ns}: {landing:?}");
    let first = (landing.offset / record_bytes..records).find(|&index| (file.stamp_of)(index) >= start_ns);
    let before = (landing.offset / record_bytes)
        .checked_sub(1)
        .map(|index| (file.stamp_of)(index));
    assert!(before.is_none_or(|before| before < start_ns), "{landing:?}");
    let ideal = first.unwrap_or(records) * record_bytes;
    assert!(
        landing.offset <= ideal && landing.offset + 4 * BLOCK_BYTES >= ideal,
        "{landing:?} for {ideal}"
    );
    landing.reads
}

#[test]
fn a_hundred_gigabytes_take_24_reads() {
    let mut worst = 0;
    for record_bytes in [100, 1000, 10_000, 65_536] {
        let records = 100_000_000_000 / record_bytes;
        for part in [0, 1, 10, 137, 333, 500, 617, 901, 990, 999, 1000] {
            let at = records / 1000 * part;
            let even = |index: u64| index as i64 * 1_000_000;
            worst = worst.max(check_reads(record_bytes, even, even(at), 10_000_000, 24));
            // A log that grew twice as fast each tenth of its life, and one that slept for years.
            let uneven = |index: u64| ((index as f64 / records as f64).powi(8) * 1e17) as i64;
            worst = worst.max(check_reads(record_bytes, uneven, uneven(at), 0, 24));
            let slept = |index: u64| index as i64 + if index > records / 3 { 1 << 60 } else { 0 };
            worst = worst.max(check_reads(record_bytes, slept, slept(at), 0, 24));
            // Runs of equal stamps, ten gigabytes each.
            let run = |index: u64| (index / (records / 10)) as i64 * 1_000_000_000;
            worst = worst.max(check_reads_in_runs(record_bytes, run, run(at)));
        }
    }
    println!("at most {worst} reads");
}

/// In a run of equal stamps the landing is before the whole run.
#[track_caller]
fn check_reads_in_runs(record_bytes: u64, stamp_of: impl Fn(u64) -> i64, start_ns: i64) -> u32 {
    let records = 100_000_000_000 / record_bytes;
    let run = records / 10;
    let mut file = Synthetic {
        records,
        record_bytes,
        stamp_of,
    };
    let landing = find(
        &mut file,
        stamp_at,
        Target {
            start_ns,
            lateness_ns: 0,
        },
        None,
    )
    .expect("found");
    assert!(landing.reads <= 24, "{landing:?}");
    let ideal = (0..=10)
        .map(|nth| nth * run)
        .find(|&index| (file.stamp_of)(index) >= start_ns)
        .unwrap_or(records);
    let ideal = ideal * record_bytes;
    assert!(
        landing.offset <= ideal && landing.offset + 4 * BLOCK_BYTES >= ideal,
        "{landing:?} for {ideal}"
    );
    landing.reads
}

#[test]
fn the_tail_of_a_hundred_gigabytes_takes_three_reads() {
    for record_bytes in [100_u64, 65_536] {
        let last = 100_000_000_000 / record_bytes - 1;
        let file_end = |back: u64| last.saturating_sub(back / record_bytes) as i64;
        for back in [0, 100_000, 500_000] {
            check_reads(record_bytes, |index| index as i64, file_end(back), 0, 3);
        }
    }
}

/// Traces of up to several MiB without a stamp between stamped lines.
#[test]
fn sparse_stamps_and_huge_records() {
    for trace_bytes in [70_000, 300_000, 1 << 20, 3 << 20] {
        let mut bytes = Vec::new();
        let mut time = 0;
        while bytes.len() < 16 << 20 {
            push(&mut bytes, time, 100);
            time += 1;
            let end = bytes.len() + trace_bytes;
            while bytes.len() < end {
                bytes.extend_from_slice(b"\tat some.place.in.a.program(Source.java:1)\n");
            }
        }
        for part in [0, 1, 3, 5, 7, 8] {
            check(bytes.clone(), time * part / 8, 0);
        }
    }
}

#[test]
fn one_line_of_many_mebibytes_between_others() {
    let mut bytes = six_mebibytes();
    push(&mut bytes, 100_000, 9 << 20);
    for index in 0..60_000 {
        push(&mut bytes, 100_001 + index, 100);
    }
    for start in [10_000, 62_000, 100_000, 100_001, 130_000, 161_000] {
        check(bytes.clone(), start, 5);
    }
}

#[test]
fn a_hint_is_verified_before_it_is_trusted() {
    let bytes = six_mebibytes();
    let offset = 101 * 40_000;
    let target = |start_ns| Target {
        start_ns,
        lateness_ns: 10,
    };
    let hint = tail_hash_of(offset, &bytes[..offset as usize]);
    let with = |bytes: &[u8], start, hint| {
        let landing = find(&mut Memory(bytes.to_vec()), stamp_at, target(start), Some(hint)).expect("found");
        check_landing(bytes, target(start), &landing);
        landing
    };
    let trusted = with(&bytes, 45_000, hint);
    assert_eq!(
        (trusted.offset, trusted.hint, trusted.reads),
        (offset, HintVerdict::Trusted, 1)
    );
    assert_eq!(
        with(&bytes, 39_000, hint).hint,
        HintVerdict::NotBefore,
        "it lies behind the window"
    );
    assert_eq!(
        with(&bytes, 40_005, hint).hint,
        HintVerdict::NotBefore,
        "within the lateness"
    );
    assert_eq!(
        with(&bytes[..offset as usize - 1], 45_000, hint).hint,
        HintVerdict::Mismatch,
        "truncated"
    );
    let mut rewritten = bytes.clone();
    rewritten[offset as usize - 50] ^= 1;
    assert_eq!(with(&rewritten, 45_000, hint).hint, HintVerdict::Mismatch, "rewritten");
    let middle = tail_hash_of(offset - 7, &bytes[..offset as usize - 7]);
    assert_eq!(
        with(&bytes, 45_000, middle).hint,
        HintVerdict::NotBefore,
        "not at a line"
    );
    assert_eq!(
        find(&mut Memory(bytes), stamp_at, target(1), None).expect("found").hint,
        HintVerdict::NoHint
    );
}

#[test]
fn a_file_that_shrinks_is_said_to() {
    struct Shrinking(Memory);
    impl ReadAt for Shrinking {
        fn size(&self) -> u64 {
            8 << 20
        }
        fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read_at(offset, buffer)
        }
    }
    let found = find(
        &mut Shrinking(Memory(six_mebibytes())),
        stamp_at,
        Target {
            start_ns: 5,
            lateness_ns: 0,
        },
        None,
    );
    assert!(matches!(found, Err(FindError::Shrank)), "{found:?}");
}

/// A log in seconds: greatest so far moves on by jumps, each record lies up to `disorder` below it.
fn log(seed: &[(u8, u8, u8)], disorder: i64, times: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut greatest, mut salt) = (1_000_000_i64, 0_u64);
    for round in 0..times {
        for &(jump, back, size) in seed {
            salt = salt
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1 + round as u64);
            greatest += i64::from(jump) * i64::from(jump) / 60;
            let back = (i64::from(back) * 7 + (salt >> 33) as i64) % (disorder + 1);
            push(&mut bytes, greatest - back, 40 + usize::from(size) * usize::from(size));
            if size % 16 == 3 {
                bytes.extend_from_slice(b"\tat x\n\tat y\n".repeat(usize::from(size)).as_slice());
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_in_the_window_lies_before_the_landing(
        seed in prop::collection::vec(any::<(u8, u8, u8)>(), 1..40),
        disorder in 0_i64..400,
        place in 0.0_f64..1.05,
        slack in 0_i64..50,
        mebibytes in 1_usize..9,
    ) {
        let once = log(&seed, disorder, 1).len();
        let bytes = log(&seed, disorder, (mebibytes << 20) / once + 1);
        let last = bytes.split(|byte| *byte == b'\n').filter_map(stamp).next_back().unwrap_or(0);
        let start_ns = 1_000_000 + ((last - 1_000_000) as f64 * place) as i64;
        let target = Target { start_ns, lateness_ns: disorder + slack };
        let mut file = Memory(bytes);
        let landing = find(&mut file, stamp_at, target, None).expect("found");
        check_landing(&file.0, target, &landing);
    }
}
