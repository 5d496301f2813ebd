//! How much work reading takes, counted and not timed: bytes looked at for each byte that came, however long lines
//! are and in whatever pieces they come; and allocations, of which there are none for a record.

use allocation_counter::measure;
use logline::records::{RECORD_LIMIT_BYTES, RecordReader, Start};
use logline::stamp::{Detection, FileStamps, Zone, learn};
use logline::text::Encoding;

/// Bytes looked at or moved for each that came, at most: each is searched once, and moved once or twice.
const WORK_MAX: u64 = 3;
const PIECES: [usize; 4] = [1 << 9, 1 << 12, 1 << 16, 1 << 20];

/// Stamps as [`logline::records::Stamps`] reads them, counted.
#[derive(Clone)]
struct Counted {
    encoding: Encoding,
    asked: u64,
    shown_bytes: u64,
}

impl logline::records::Stamps for Counted {
    fn read(&mut self, line: &[u8], _offset: u64) -> Option<i64> {
        self.asked += 1;
        self.shown_bytes += line.len() as u64;
        line.starts_with(b"@").then_some(1)
    }

    fn encoding(&self) -> Encoding {
        self.encoding
    }
}

/// Reads a log in pieces; records are released as they close.
#[track_caller]
fn check(name: &str, log: &[u8], encoding: Encoding) {
    let lines = log.iter().filter(|byte| **byte == b'\n').count() as u64;
    for piece in PIECES {
        let stamps = Counted {
            encoding,
            asked: 0,
            shown_bytes: 0,
        };
        let mut reader = RecordReader::new(stamps, Start::FileStart, 0);
        for bytes in log.chunks(piece) {
            reader.push(bytes);
            reader.release(reader.closed().len());
        }
        reader.finish();
        let (came, worked) = (log.len() as u64, reader.worked_bytes());
        assert!(
            worked <= WORK_MAX * came,
            "{name} by {piece}: {worked} for {came} bytes"
        );
        let stamps = reader.stamps();
        assert!(
            stamps.asked <= lines + 1,
            "{name} by {piece}: asked {} times",
            stamps.asked
        );
        assert!(
            stamps.shown_bytes <= came,
            "{name} by {piece}: {} bytes shown",
            stamps.shown_bytes
        );
    }
}

fn line(bytes: usize) -> Vec<u8> {
    let mut line = vec![b'x'; bytes];
    line[0] = b'@';
    line[bytes - 1] = b'\n';
    line
}

#[test]
fn long_lines_cost_no_more_for_a_byte_than_short_ones() {
    for mebibytes in [1, 2, 4, 8] {
        let bytes = mebibytes << 20;
        check("one line", &line(bytes), Encoding::Bytes);
        check("no end", &line(bytes)[..bytes - 1], Encoding::Bytes);
        check(
            "lines of 100 KB",
            &line(100_000).repeat(bytes / 100_000),
            Encoding::Bytes,
        );
        check(
            "lines just within the limit",
            &line(RECORD_LIMIT_BYTES).repeat(mebibytes),
            Encoding::Bytes,
        );
        let trace = [line(100), b"    at some.place(In.java:1)\n".repeat(bytes / 29)].concat();
        check("one record of many lines", &trace, Encoding::Bytes);
        let ended: Vec<u8> = (0..bytes / 60)
            .flat_map(|_| [line(59).as_slice(), b"\0"].concat())
            .collect();
        check("lines with a zero behind each", &ended, Encoding::Bytes);
        let ended: Vec<u8> = (0..bytes / 60)
            .flat_map(|_| [b"continued".repeat(6).as_slice(), b"\n\0"].concat())
            .collect();
        check(
            "a record of lines with a zero behind each",
            &[line(59), ended].concat(),
            Encoding::Bytes,
        );
        let hole = [vec![0; bytes], line(100)].concat();
        check("a hole", &hole, Encoding::Bytes);
        let wide: Vec<u8> = line(bytes / 2).iter().flat_map(|byte| [*byte, 0]).collect();
        check(
            "one line of UTF-16",
            &wide,
            Encoding::parse("utf-16le").expect("it is known"),
        );
    }
}

/// What tools were seen to lose with an update: an allocation for each line.
#[test]
fn no_record_costs_an_allocation() {
    let log: Vec<u8> = (0..50_000)
        .flat_map(|at| format!("2026-11-23T12:{:02}:{:02}Z op=a cost={at}\n", at / 60 % 60, at % 60).into_bytes())
        .collect();
    let Detection::Stamped(detected) = learn(&log[..65_536]) else {
        panic!("stamps are found");
    };
    let mut records = 0;
    let counted = measure(|| {
        let mut reader = RecordReader::new(FileStamps::new(&detected.profile, &Zone::utc()), Start::FileStart, 0);
        for bytes in log.chunks(1 << 16) {
            reader.push(bytes);
            records += reader.closed().len();
            reader.release(reader.closed().len());
        }
    });
    assert!(records > 49_000, "{records}");
    // The buffer, the list of records, what the stamps keep; and each grows a few times.
    assert!(
        counted.count_total < 100,
        "{} allocations for {records} records",
        counted.count_total
    );
    assert!(counted.bytes_max < 4 << 20, "{} bytes", counted.bytes_max);
}
