//! What must hold for any bytes: the bodies of the fuzz targets in `fuzz/`, which an ordinary test runs too, on a small
//! corpus and a bounded number of changed inputs. Each panics where its promise is broken, and says whether the input
//! got far enough to try it: a run in which hardly one does proves nothing.

use agent::pattern::Pattern;
use agent::protocol::Request;
use agent::roots::{HardLinks, Roots};
use lika::wire::frame::{HEADER_BYTES, Header, Kind, encode};
use logline::records::{Record, RecordReader, Stamps, Start};
use logline::stamp::{Detection, StampReader, Zone, learn};
use std::sync::OnceLock;

/// A target: its name is that of its corpus.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("stamps", stamps),
    ("records", records),
    ("paths", paths),
    ("frames", frames),
    ("protocol", protocol),
];

/// Payloads of frames are at most so long here.
const PAYLOAD_BYTES_MAX: usize = 1 << 16;
/// Text of a record that is kept here: short, so that inputs reach beyond it.
const RECORD_BYTES: usize = 24;

/// Stamps that are learned lie within their lines, and both ways of reading a line agree. Learning is a function of
/// bytes.
///
/// # Panics
/// If that does not hold.
pub fn stamps(input: &[u8]) -> bool {
    let Detection::Stamped(detected) = learn(input) else {
        return false;
    };
    let again = match learn(input) {
        Detection::Stamped(again) => again.profile,
        other => panic!("the same bytes were learned as {other:?}"),
    };
    assert_eq!(detected.profile, again, "the same bytes teach the same");
    let mut is_any = false;
    for entry in &detected.profile.entries {
        let mut fast = StampReader::new(entry, Zone::utc());
        let mut slow = StampReader::new(entry, Zone::utc());
        for line in input.split(|byte| *byte == b'\n') {
            let read = fast.read(line);
            let shown = slow.read_with_span(line);
            assert_eq!(read, shown.as_ref().map(|(at, _)| *at), "{line:?}");
            if let Some((_, span)) = shown {
                assert!(span.start < span.end && span.end <= line.len(), "{span:?} of {line:?}");
                is_any = true;
            }
        }
    }
    is_any
}

/// A stamp is `@` and a digit at the line's beginning.
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

/// Records as they come out of a reader that gets the bytes in pieces of these lengths, again and again.
fn split(log: &[u8], pieces: &[usize]) -> (Vec<(Record, Vec<u8>)>, u64) {
    let mut reader = RecordReader::with_limit(AtDigit, Start::FileStart, 0, RECORD_BYTES);
    let mut seen = Vec::new();
    let mut take = |reader: &mut RecordReader<AtDigit>| {
        let texts = reader
            .closed()
            .iter()
            .map(|record| (*record, reader.text(record).to_vec()));
        seen.extend(texts.collect::<Vec<_>>());
        reader.release(reader.closed().len());
    };
    let mut rest = log;
    for length in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*length).clamp(1, rest.len()));
        reader.push(piece);
        take(&mut reader);
        rest = behind;
    }
    reader.finish();
    take(&mut reader);
    (seen, reader.head().bytes)
}

/// Where reads are cut does not show in the records, and records and head together are all bytes, each once.
///
/// # Panics
/// If that does not hold.
pub fn records(input: &[u8]) -> bool {
    // The first bytes say how the rest is cut.
    let (cuts, log) = input.split_at(input.len().min(4));
    let pieces: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut)).collect();
    let (whole, head) = split(log, &[usize::MAX]);
    for pieces in [pieces.as_slice(), &[1], &[7, 1, 64]] {
        if pieces.is_empty() {
            continue;
        }
        let (cut, cut_head) = split(log, pieces);
        assert_eq!(cut_head, head);
        assert_eq!(cut.len(), whole.len());
        for ((ours, text), (theirs, whole_text)) in cut.iter().zip(&whole) {
            let of = |record: &Record| (record.stamp, record.offset, record.bytes, record.lines, record.extent);
            assert_eq!((of(ours), text), (of(theirs), whole_text));
        }
    }
    // Zeros before a line are no part of it.
    let lines = log.split_inclusive(|byte| *byte == b'\n');
    let zeros: usize = lines
        .map(|line| line.iter().take_while(|byte| **byte == 0).count())
        .sum();
    let mut next = head;
    for (record, text) in &whole {
        assert!(record.offset >= next, "records do not overlap");
        assert!(text.len() <= RECORD_BYTES && text.len() as u64 <= record.bytes);
        next = record.offset + record.bytes;
    }
    let bytes: u64 = whole.iter().map(|(record, _)| record.bytes).sum();
    let all = log.len() as u64;
    assert_eq!(
        head + bytes + zeros as u64,
        all,
        "every byte is of a record, of the head, or a zero before a line"
    );
    whole.len() > 1
}

/// A folder that everything is asked of.
struct Folder {
    _folder: tempfile::TempDir,
    root: String,
    roots: Roots,
}

fn folder() -> &'static Folder {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder can be made where temporary files go");
        let base = folder.path().canonicalize().expect("what was made is there");
        let root = base
            .join("logs")
            .to_str()
            .expect("temporary folders have plain names")
            .to_owned();
        std::fs::create_dir_all(format!("{root}/pay")).expect("the folder can be written to");
        for name in ["logs/app.log", "logs/pay/app.log.1", "secret"] {
            std::fs::write(base.join(name), b"x").expect("the folder can be written to");
        }
        std::os::unix::fs::symlink("../secret", format!("{root}/out.log")).expect("links can be made");
        let roots = Roots::open(std::slice::from_ref(&root), HardLinks::Refuse).expect("the root is there");
        Folder {
            _folder: folder,
            root,
            roots,
        }
    })
}

/// A path pattern that parses is absolute and never goes up; and what opens lies beneath the root.
///
/// # Panics
/// If that does not hold.
pub fn paths(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    let is_parsed = Pattern::parse(text).is_ok();
    if is_parsed {
        assert!(text.starts_with('/'), "{text:?} is not absolute");
        assert!(text.split('/').all(|part| part != ".."), "{text:?} goes up");
        assert!(!text.contains('\0'), "{text:?} holds a NUL");
    }
    let folder = folder();
    // As it is, and as a path below the root.
    for path in [text.to_owned(), format!("{}/{text}", folder.root)] {
        for real in [
            folder.roots.look(&path).ok().map(|look| look.real_path),
            folder.roots.open_regular(&path).ok().map(|file| file.real_path),
        ] {
            let Some(real) = real else { continue };
            assert!(
                real == folder.root || real.starts_with(&format!("{}/", folder.root)),
                "{path:?} led to {real}"
            );
        }
    }
    is_parsed
}

/// A frame that is decoded is encoded to the same bytes; what is encoded is decoded; and one flipped bit is refused.
///
/// # Panics
/// If that does not hold.
pub fn frames(input: &[u8]) -> bool {
    if let Some((header, payload)) = input.split_first_chunk::<HEADER_BYTES>()
        && let Ok(decoded) = Header::decode(header, PAYLOAD_BYTES_MAX)
        && let Some(payload) = payload.get(..decoded.length)
        && decoded.check(payload).is_ok()
    {
        let again = encode(decoded.kind, decoded.id, &[payload], PAYLOAD_BYTES_MAX).expect("it was within the limit");
        assert_eq!(again, input[..HEADER_BYTES + payload.len()]);
    }
    let [kind, bit @ .., last] = input else { return false };
    let kind = Kind::ALL[usize::from(*kind) % Kind::ALL.len()];
    let (id, payload) = (u64::from(*last) << 40, bit);
    let Ok(frame) = encode(kind, id, &[payload], PAYLOAD_BYTES_MAX) else {
        assert!(payload.len() > PAYLOAD_BYTES_MAX);
        return false;
    };
    let decode = |bytes: &[u8]| {
        let (header, payload) = bytes.split_first_chunk::<HEADER_BYTES>().expect("a frame has a header");
        let header = Header::decode(header, PAYLOAD_BYTES_MAX)?;
        header.check(payload).map(|()| header)
    };
    let header = decode(&frame).expect("what was encoded is sound");
    assert_eq!((header.kind, header.id, header.length), (kind, id, payload.len()));
    let mut damaged = frame.to_vec();
    let place = usize::from(*last) * 31 % damaged.len();
    damaged[place] ^= 1 << (last % 8);
    assert!(decode(&damaged).is_err(), "a flipped bit in byte {place} was not seen");
    true
}

/// A request that is decoded is encoded and decoded to an equal one, and its bounds are checked without a panic.
///
/// # Panics
/// If that does not hold.
pub fn protocol(input: &[u8]) -> bool {
    let Ok(request) = rmp_serde::from_slice::<Request>(input) else {
        return false;
    };
    let bytes = rmp_serde::to_vec_named(&request).expect("what was decoded can be encoded");
    let again: Request = rmp_serde::from_slice(&bytes).expect("what was encoded is decoded");
    assert_eq!(again, request);
    // Whether it is within bounds is a matter of its own; that it can be said is not.
    let _ = request.validate();
    true
}
