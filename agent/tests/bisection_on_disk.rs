//! Bisection in files on a disk, of no bytes to a hundred gigabytes (with a hole, so that they fit): where the answer
//! is right, how many reads it took; and small files of all that is hard, held against a scan.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use agent::bisect::{READS_MAX, ReadAt, Target, find};
use agent::protocol::Landing;

const GIGABYTE: u64 = 1_000_000_000;

struct OnDisk {
    file: File,
    size: u64,
}

impl ReadAt for OnDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}

fn stamp(line: &[u8]) -> Option<i64> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    std::str::from_utf8(&line[..end]).ok()?.parse().ok()
}

fn open(folder: &tempfile::TempDir) -> File {
    let path = folder.path().join("app.log");
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).read(true).write(true);
    options.open(path).expect("opens")
}

fn search(file: &File, start_ns: i64, lateness_ns: i64) -> Landing {
    let mut on_disk = OnDisk {
        file: file.try_clone().expect("a second descriptor"),
        size: file.metadata().expect("is there").len(),
    };
    let target = Target { start_ns, lateness_ns };
    find(&mut on_disk, |_, line| stamp(line), target, None).expect("found")
}

fn lines(stamps: impl Iterator<Item = i64>, line_bytes: usize) -> String {
    stamps.map(|at| format!("{at} {}\n", "x".repeat(line_bytes))).collect()
}

/// Lines at the front, a hole, and lines at the end: most of what a search probes holds no stamp at all.
#[test]
fn of_a_hundred_gigabytes_with_a_hole_the_end_takes_three_reads() {
    let folder = tempfile::tempdir().expect("folder");
    let file = open(&folder);
    for size in [2 * GIGABYTE, 10 * GIGABYTE, 100 * GIGABYTE] {
        file.set_len(0).expect("truncates");
        file.write_all_at(lines(0..20_000, 90).as_bytes(), 0).expect("writes");
        let end = lines(50_000..80_000, 90);
        file.write_all_at(b"\n", size - end.len() as u64 - 1).expect("writes");
        file.write_all_at(end.as_bytes(), size - end.len() as u64)
            .expect("writes");
        for start in [77_000, 79_000, 79_999, 90_000] {
            let landing = search(&file, start, 0);
            let before = &end[..end.len().saturating_sub((size - landing.offset) as usize)];
            assert!(landing.reads <= 3, "{size}, {start}: {landing:?}");
            assert!(landing.offset > size - end.len() as u64, "{landing:?}");
            assert!(
                !before.lines().any(|line| stamp(line.as_bytes()) >= Some(start)),
                "{landing:?}"
            );
        }
        // An answer before the hole: no record is passed over, and the number of reads has its bound.
        for start in [-5, 0, 10_000, 19_999, 30_000] {
            let landing = search(&file, start, 0);
            let first = lines(0..start.clamp(0, 20_000), 90).len() as u64;
            assert!(landing.reads <= READS_MAX, "{landing:?}");
            assert!(landing.offset <= first || start == 30_000, "{start}: {landing:?}");
        }
    }
}

/// One read is enough to know that there is nothing to search.
#[test]
fn files_of_hardly_a_byte_are_read_from_the_beginning() {
    let folder = tempfile::tempdir().expect("folder");
    let file = open(&folder);
    for text in ["", "\n", "5", "5 x", "5 x\n", "x\n\n", "5 x\n6 y\n7 half"] {
        file.set_len(0).expect("truncates");
        file.write_all_at(text.as_bytes(), 0).expect("writes");
        let landing = search(&file, 6, 1);
        assert_eq!(landing.offset, 0, "{text:?}");
        assert!(landing.reads <= 1, "{text:?}: {landing:?}");
    }
}

/// Everything that is hard at once: runs of equal stamps, disorder up to the lateness, records longer than a block,
/// stretches without a stamp.
#[test]
fn runs_disorder_huge_records_and_sparse_stamps_mislead_no_search() {
    let folder = tempfile::tempdir().expect("folder");
    let file = open(&folder);
    let lateness = 50_i64;
    let mut text = String::new();
    let mut salt = 7_u64;
    for step in 0..400_i64 {
        salt = salt
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let back = (salt >> 33) as i64 % (lateness + 1);
        let at = step * 20 - back;
        match salt >> 60 {
            0 => text.push_str(&lines(std::iter::repeat_n(at, 300), 100)),
            1 => text.push_str(&format!("{at} {}\n", "h".repeat(1_300_000))),
            2 => text.push_str(&format!("{at} trace\n{}", "\tat somewhere\n".repeat(20_000))),
            _ => text.push_str(&lines(std::iter::repeat_n(at, 20), 2000)),
        }
    }
    file.write_all_at(text.as_bytes(), 0).expect("writes");
    let mut is_past_the_front = 0;
    for start in (-100..8_200).step_by(83) {
        let landing = search(&file, start, lateness);
        let before = &text.as_bytes()[..landing.offset as usize];
        assert!(
            before.is_empty() || before.ends_with(b"\n"),
            "{landing:?} is within a line"
        );
        let passed = before
            .split(|byte| *byte == b'\n')
            .filter_map(stamp)
            .find(|at| *at >= start);
        assert_eq!(passed, None, "{start}: {landing:?}");
        assert!(landing.reads <= READS_MAX, "{landing:?}");
        is_past_the_front += usize::from(landing.offset > text.len() as u64 / 4);
    }
    assert!(is_past_the_front > 30, "hardly a search lands anywhere");
}
