//! Files as tools write them, cut at every byte, with every bit flipped, and bombs.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Write;

/// What `zstd` and `gzip` themselves made of four lines.
const BY_ZSTD: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0xf5, 0x00, 0x00, 0xb8, 0x32, 0x30, 0x32, 0x36, 0x2d, 0x31, 0x31, 0x2d, 0x32,
    0x33, 0x54, 0x31, 0x32, 0x3a, 0x30, 0x30, 0x3a, 0x30, 0x30, 0x5a, 0x20, 0x61, 0x0a, 0x01, 0x00, 0x45, 0xd1, 0xd9,
    0x04, 0xb8, 0x2f, 0xd5, 0x8a,
];
const BY_GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x33, 0x32, 0x30, 0x32, 0xd3, 0x35, 0x34, 0xd4, 0x35,
    0x32, 0x0e, 0x31, 0x34, 0xb2, 0x32, 0x30, 0x00, 0xa2, 0x28, 0x85, 0x44, 0x2e, 0x23, 0x6a, 0x08, 0x03, 0x00, 0x33,
    0xf5, 0x8f, 0x00, 0x5c, 0x00, 0x00, 0x00,
];
const FOUR_LINES: &str =
    "2026-11-23T12:00:00Z a\n2026-11-23T12:00:00Z a\n2026-11-23T12:00:00Z a\n2026-11-23T12:00:00Z a\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// Lines that differ, so that they take blocks of their own.
fn lines(count: u32) -> Vec<u8> {
    let line = |n: u32| format!("{} {:08x} and more\n", n, n.wrapping_mul(0x9e37_79b9));
    (0..count).map(line).collect::<String>().into_bytes()
}

/// Feeds pieces of a size and reads into a buffer of a size, to the end.
fn inflate(file: &[u8], piece: usize, buffer: usize, caps: Caps) -> (Vec<u8>, Outcome) {
    let kind = Kind::of(file).expect("has a magic");
    let mut inflater = Inflater::new(kind, caps);
    let (mut all, mut buffer) = (Vec::new(), vec![0; buffer]);
    for piece in file.chunks(piece) {
        inflater.feed(piece);
        while let Ok(count @ 1..) = inflater.read(&mut buffer) {
            all.extend_from_slice(&buffer[..count]);
        }
    }
    assert!(inflater.given() >= all.len() as u64);
    (all, inflater.outcome())
}

#[track_caller]
fn check(file: &[u8], expected: &[u8]) {
    for (piece, buffer) in [(usize::MAX, 1 << 16), (1, 1 << 16), (7, 1), (4096, 333)] {
        let (all, outcome) = inflate(file, piece, buffer, Caps::default());
        assert_eq!(outcome, Outcome::Complete, "pieces of {piece}, buffer of {buffer}");
        assert!(all == expected, "pieces of {piece}, buffer of {buffer}");
    }
}

#[track_caller]
fn check_outcome(file: &[u8], expected: fn(&Outcome) -> bool) {
    for piece in [usize::MAX, 1] {
        let (_, outcome) = inflate(file, piece, 1 << 16, Caps::default());
        assert!(expected(&outcome), "pieces of {piece}: {outcome:?}");
    }
}

fn is_corrupt(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Corrupt { .. })
}

#[test]
fn whole_files_come_out_as_they_were() {
    let text = lines(30_000);
    check(&gzip(&text), &text);
    check(&zstd(&text), &text);
    check(&gzip(b""), b"");
    check(&zstd(b""), b"");
    check(BY_ZSTD, FOUR_LINES.as_bytes());
    check(BY_GZIP, FOUR_LINES.as_bytes());
}

#[test]
fn members_and_frames_follow_each_other() {
    let (one, two) = (lines(2000), b"behind it\n".to_vec());
    let both = [one.as_slice(), &two].concat();
    check(&[gzip(&one), gzip(b""), gzip(&two)].concat(), &both);
    check(&[zstd(&one), zstd(b""), zstd(&two)].concat(), &both);
    let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"12345"].concat();
    check(
        &[&skippable[..], &zstd(&one), &skippable, &zstd(&two), &skippable].concat(),
        &both,
    );
    // A tape's block is filled with zeros.
    check(&[gzip(&one), vec![0; 1000]].concat(), &one);
}

#[test]
fn headers_with_every_field_are_read() {
    let text = lines(100);
    let builder = flate2::GzBuilder::new()
        .filename("app.log.1")
        .comment("of a host")
        .extra(vec![7; 300])
        .mtime(1);
    let mut encoder = builder.write(Vec::new(), Compression::best());
    encoder.write_all(&text).expect("memory takes all");
    check(&encoder.finish().expect("memory takes all"), &text);
    // With the header's own checksum, right and wrong.
    let plain = gzip(&text);
    let mut header = plain[..10].to_vec();
    header[3] = 2;
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let sum = (crc.sum() as u16).to_le_bytes();
    check(&[&header[..], &sum, &plain[10..]].concat(), &text);
    check_outcome(&[&header[..], &[sum[0] ^ 1, sum[1]], &plain[10..]].concat(), is_corrupt);
}

/// At whatever byte a file ends: it is not taken for whole, nor for spoilt, and what came out is its beginning.
#[test]
fn a_file_cut_at_any_byte_is_truncated() {
    let text = lines(60);
    for file in [gzip(&text), zstd(&text), BY_ZSTD.to_vec(), BY_GZIP.to_vec()] {
        let (whole, _) = inflate(&file, usize::MAX, 1 << 16, Caps::default());
        for end in MAGIC_BYTES..file.len() {
            for piece in [usize::MAX, 1] {
                let (all, outcome) = inflate(&file[..end], piece, 100, Caps::default());
                assert_eq!(outcome, Outcome::Truncated, "{end} of {} bytes", file.len());
                assert!(whole.starts_with(&all), "{end} of {} bytes", file.len());
            }
        }
    }
    for kind in [Kind::Gzip, Kind::Zstandard] {
        assert_eq!(
            Inflater::new(kind, Caps::default()).outcome(),
            Outcome::Truncated,
            "nothing"
        );
    }
    // Between members too, if another one has begun.
    check_outcome(&[gzip(&text), vec![0x1f]].concat(), |outcome| {
        *outcome == Outcome::Truncated
    });
    check_outcome(&[zstd(&text), vec![0x28]].concat(), |outcome| {
        *outcome == Outcome::Truncated
    });
}

/// One bit, anywhere: never whole with other bytes. A bit of a header that says nothing about the content may be any.
#[test]
fn no_flipped_bit_passes_for_the_file() {
    let text = lines(60);
    for file in [gzip(&text), zstd(&text), BY_ZSTD.to_vec()] {
        let (whole, _) = inflate(&file, usize::MAX, 1 << 16, Caps::default());
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if Kind::of(&flipped).is_none() {
                continue;
            }
            let (all, outcome) = inflate(&flipped, usize::MAX, 1 << 16, Caps::default());
            assert!(outcome != Outcome::Complete || all == whole, "bit {bit}: {outcome:?}");
        }
    }
}

#[test]
fn a_wrong_checksum_a_wrong_length_and_other_bytes_behind_are_corrupt() {
    let text = lines(60);
    for from_end in [8, 5, 4, 1] {
        let mut file = gzip(&text);
        let at = file.len() - from_end;
        file[at] ^= 0x10;
        check_outcome(&file, is_corrupt);
    }
    let mut file = zstd(&text);
    let last = file.len() - 1;
    file[last] ^= 0x10;
    check_outcome(&file, is_corrupt);
    check_outcome(&[gzip(&text), b"text".to_vec()].concat(), is_corrupt);
    check_outcome(&[gzip(&text), vec![0, 0, 1]].concat(), is_corrupt);
    check_outcome(&[zstd(&text), b"text".to_vec()].concat(), is_corrupt);
}

#[test]
fn a_bomb_ends_at_the_cap_and_stays_ended() {
    let zeros = vec![0; 8 << 20];
    let caps = Caps {
        ratio_free_bytes: 1 << 20,
        ..Caps::default()
    };
    for (file, ratio) in [(gzip(&zeros), 500), (zstd(&zeros), 500)] {
        let ratio_caps = Caps {
            ratio_max: ratio,
            ..caps
        };
        let (all, outcome) = inflate(&file, usize::MAX, 1 << 16, ratio_caps);
        assert_eq!(outcome, Outcome::OverCap(Cap::Ratio(ratio)));
        let fair = (file.len() as u64 * ratio).max(1 << 20);
        assert!(all.len() as u64 <= fair, "{} bytes of {fair}", all.len());
        let few = Caps {
            inflated_bytes_max: 100_000,
            ..Caps::default()
        };
        let (all, outcome) = inflate(&file, usize::MAX, 1 << 16, few);
        assert_eq!(outcome, Outcome::OverCap(Cap::Bytes(100_000)));
        assert!(all.len() <= 100_000);
        // Little files of equal lines are none.
        assert_eq!(inflate(&file, 1000, 1 << 16, Caps::default()).1, Outcome::Complete);
    }
    let mut inflater = Inflater::new(
        Kind::Gzip,
        Caps {
            inflated_bytes_max: 10,
            ..caps
        },
    );
    inflater.feed(&gzip(&zeros));
    let mut buffer = [0; 100];
    assert!(inflater.read(&mut buffer).is_err() && inflater.read(&mut buffer).is_err());
}

#[test]
fn a_window_that_is_too_large_is_refused_before_it_is_allocated() {
    // Exponent 31 − 10: a window of 2 GiB.
    let file = [0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0];
    check_outcome(&file, |outcome| {
        *outcome == Outcome::OverCap(Cap::Window(WINDOW_BYTES_MAX))
    });
}

#[test]
fn kinds_are_told_by_content() {
    assert_eq!(Kind::of(&gzip(b"x")), Some(Kind::Gzip));
    assert_eq!(Kind::of(&zstd(b"x")), Some(Kind::Zstandard));
    assert_eq!(Kind::of(b"2026-11-23 x"), None);
    assert_eq!(Kind::of(&[0x1f, 0x8b]), None);
    assert_eq!(Kind::of(b""), None);
}
