//! Adversarial logs from a pure function, so that truth can be recomputed for any subset of hosts without asking
//! anyone.
//!
//! [`line()`] depends on its arguments alone; [`file()`] is a head, the lines 0, 1, 2, … and perhaps no final newline.
//! What a file really contains is not what was meant but what [`Marks::of`] finds in its bytes: a run without its marks
//! is vacuous.

mod bodies;
mod civil;
mod marks;
mod mixing;
mod texts;
mod times;

pub use bodies::BodyForm;
pub use marks::{Mark, Marks};
pub use mixing::scramble;
use mixing::{Salt, Stream};

use crate::oracle::{HostFile, ParseForm, StampForm};

/// What kind of log is written, and how nasty it is.
#[derive(Debug, Clone)]
pub struct LogSpec {
    /// How lines are stamped. Year-less stamps need `start_ms` in mid-year of their year.
    pub stamp: StampForm,
    /// What stands behind the stamp; [`BodyForm::NginxCombined`] goes with [`StampForm::Clf`] alone.
    pub body: BodyForm,
    /// Stamp of line 0, milliseconds since the epoch.
    pub start_ms: i64,
    /// Milliseconds from line to line.
    pub step_ms: i64,
    /// After so many lines the log is silent for [`LogSpec::gap_ms`]; what a wild run spoiled before heals there.
    pub gap_lines: u64,
    /// Length of a silence; longer than any run of wild stamps is ahead.
    pub gap_ms: i64,
    /// The windows at whose edges stamps are put.
    pub window_ms: i64,
    /// The lateness bound at which stamps are put.
    pub lateness_ms: i64,
    /// The record limit at which texts are put, if at all.
    pub record_limit_bytes: Option<usize>,
    /// How often each nasty thing happens.
    pub rates: Rates,
}

/// How often each nasty thing happens, per thousand lines (or blocks of lines, or files, where it says so).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Stamps at a window's very first or last instant, of the lines beside an edge.
    pub edge: u64,
    /// Equal stamps, of blocks of 16 lines.
    pub equal_run: u64,
    /// Late within the bound, exactly at it, or beyond it.
    pub late: u64,
    /// One stamp far ahead or far back, or one about an hour ahead.
    pub wild: u64,
    /// Runs of one to seven stamps hours ahead, of blocks of 64 lines.
    pub wild_run: u64,
    /// Line ends of `\r\n`.
    pub crlf: u64,
    /// Unstamped lines after the record's first.
    pub continuation: u64,
    /// Two lines written at the same time, one in the middle of the other, of pairs.
    pub torn: u64,
    /// Missing, empty, `-`, non-numbers, extreme numbers, bytes that aren't UTF-8, NULs: of values.
    pub odd_value: u64,
    /// A stamped line without any fields.
    pub bare: u64,
    /// A group of its own.
    pub cardinality: u64,
    /// Texts at the record limit ± 1.
    pub long: u64,
    /// Unstamped lines before the first stamped one, of files.
    pub head: u64,
    /// No newline at the end, of files.
    pub no_final_newline: u64,
}

impl Rates {
    /// Nothing nasty.
    pub const CALM: Self = Self {
        edge: 0,
        equal_run: 0,
        late: 0,
        wild: 0,
        wild_run: 0,
        crlf: 0,
        continuation: 0,
        torn: 0,
        odd_value: 0,
        bare: 0,
        cardinality: 0,
        long: 0,
        head: 0,
        no_final_newline: 0,
    };

    /// Everything nasty, yet with most records counted.
    pub const ADVERSARIAL: Self = Self {
        edge: 500,
        equal_run: 60,
        late: 60,
        wild: 8,
        wild_run: 60,
        crlf: 150,
        continuation: 100,
        torn: 10,
        odd_value: 60,
        bare: 10,
        cardinality: 40,
        long: 15,
        head: 500,
        no_final_newline: 500,
    };
}

impl LogSpec {
    /// A nasty log of these forms: five lines a second from 2026-11-03 07:30 UTC, a silence of four hours every 256
    /// lines, windows of 5 s, lateness 10 s.
    pub fn adversarial(stamp: StampForm, body: BodyForm) -> Self {
        Self {
            stamp,
            body,
            start_ms: 1_793_691_000_000,
            step_ms: 200,
            gap_lines: 256,
            gap_ms: 4 * 3_600_000,
            window_ms: 5_000,
            lateness_ms: 10_000,
            record_limit_bytes: None,
            rates: Rates::ADVERSARIAL,
        }
    }

    /// A log without anything nasty.
    pub fn calm(stamp: StampForm, body: BodyForm) -> Self {
        Self {
            rates: Rates::CALM,
            ..Self::adversarial(stamp, body)
        }
    }

    /// A nasty log of each pair of forms that go together.
    pub fn all_adversarial() -> Vec<Self> {
        let stamps = [
            StampForm::Iso,
            StampForm::Clf,
            StampForm::Syslog { year: 2026 },
            StampForm::EpochMillis,
        ];
        let pairs = stamps
            .iter()
            .flat_map(|stamp| BodyForm::ALL.iter().map(move |body| (*stamp, *body)));
        let fitting = pairs.filter(|(stamp, body)| *body != BodyForm::NginxCombined || *stamp == StampForm::Clf);
        fitting.map(|(stamp, body)| Self::adversarial(stamp, body)).collect()
    }

    /// How a monitor parses these lines.
    pub fn parse_form(&self) -> ParseForm {
        self.body.parse_form()
    }

    /// The smallest step between two stamps of this form, in milliseconds.
    pub fn resolution_ms(&self) -> i64 {
        match self.stamp {
            StampForm::Iso | StampForm::EpochMillis => 1,
            StampForm::Clf | StampForm::Syslog { .. } => 1000,
        }
    }
}

/// Line `seq` of a file with all its continuation lines and line ends: a pure function of its arguments.
pub fn line(spec: &LogSpec, host: &str, file: &str, seq: u64, seed: u64) -> Vec<u8> {
    let stream = Stream::new(host, file, seed);
    if let Some(torn) = torn_line(spec, &stream, seq) {
        return torn;
    }
    let first = bodies::first_line(spec, &stream, seq, 0).bytes;
    if let Some(long) = long_record(spec, &stream, seq, &first) {
        return long;
    }
    let line_end: &[u8] = if stream.chance(seq, Salt::CrLf, spec.rates.crlf) {
        b"\r\n"
    } else {
        b"\n"
    };
    let mut record = [&first, line_end].concat();
    if stream.chance(seq, Salt::Continuation, spec.rates.continuation) {
        for number in 0..=stream.below(seq, Salt::ContinuationCount, 3) {
            let which = stream.mix(seq, Salt::ContinuationText) ^ mixing::scramble(number);
            record.extend_from_slice(texts::continuation(spec.stamp, which).as_bytes());
            record.extend_from_slice(line_end);
        }
    }
    record
}

/// A whole file of `lines` lines.
pub fn file(spec: &LogSpec, host: &str, file: &str, lines: u64, seed: u64) -> HostFile {
    let stream = Stream::new(host, file, seed);
    let mut bytes = Vec::new();
    if stream.chance(0, Salt::Head, spec.rates.head) {
        bytes.extend_from_slice(texts::HEAD.as_bytes());
    }
    for seq in 0..lines {
        bytes.extend_from_slice(&line(spec, host, file, seq, seed));
    }
    if stream.chance(0, Salt::NoFinalNewline, spec.rates.no_final_newline) && bytes.ends_with(b"\n") {
        bytes.pop();
    }
    HostFile {
        host: host.to_owned(),
        file: file.to_owned(),
        bytes,
        stamp: spec.stamp,
    }
}

/// Of a torn pair (a, b) the first is "a's beginning, all of b", the second "the rest of a".
fn torn_line(spec: &LogSpec, stream: &Stream, seq: u64) -> Option<Vec<u8>> {
    let first = seq & !1;
    if !stream.chance(first, Salt::Torn, spec.rates.torn) {
        return None;
    }
    let outer = bodies::first_line(spec, stream, first, 0);
    let cut = outer.tears[stream.below(first, Salt::TornAt, outer.tears.len() as u64) as usize];
    let (begin, rest) = outer.bytes.split_at(cut);
    Some(if seq == first {
        let inner = bodies::first_line(spec, stream, first + 1, 0);
        [begin, &inner.bytes, b"\n"].concat()
    } else {
        [rest, b"\n"].concat()
    })
}

/// A record whose text is as long as the limit, one byte shorter or one longer; by its first line or by its second.
fn long_record(spec: &LogSpec, stream: &Stream, seq: u64, first: &[u8]) -> Option<Vec<u8>> {
    let limit = spec.record_limit_bytes?;
    if !stream.chance(seq, Salt::Long, spec.rates.long) {
        return None;
    }
    let target = limit - 1 + stream.below(seq, Salt::LongBy, 3) as usize;
    let text = if stream.chance(seq, Salt::LongBySecondLine, 300) {
        let padding = target.checked_sub(first.len() + 1)?;
        [first, b"\n", "x".repeat(padding).as_bytes()].concat()
    } else {
        let overhead = bodies::first_line(spec, stream, seq, 1).bytes.len() - 1;
        bodies::first_line(spec, stream, seq, target.checked_sub(overhead)?).bytes
    };
    Some([&text[..], b"\n"].concat())
}
