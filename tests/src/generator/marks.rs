//! What a generated file really contains, found in its bytes: a test without its marks has tested nothing.

use super::{LogSpec, texts};
use crate::oracle::Beginning;
use crate::oracle::numbers::{self, NoDecimal};
use crate::oracle::parse::{self, Unparsable};
use crate::oracle::records::{self, Record, without_line_end};
use crate::oracle::rules::{self, Fate};
use crate::oracle::stamps::{self, NANOS_PER_MILLISECOND, NANOS_PER_SECOND};
use bigdecimal::BigDecimal;
use num_bigint::BigInt;
use std::collections::BTreeSet;

/// A nasty thing in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A counted record at the first instant of a window.
    WindowFirst,
    /// A counted record at the last instant of a window that the stamp's form can say.
    WindowLast,
    /// Late, but less than the bound.
    LateWithin,
    /// Late by exactly the bound.
    LateAtBound,
    /// Late by the bound and the least that the stamp's form can say.
    LateJustBeyond,
    /// Late by more.
    LateBeyond,
    /// Late by more than a day.
    FarPast,
    /// A wild stamp.
    BadTimestamp,
    /// Exactly five of the next eight are so far below that the stamp is wild.
    FiveOfEightBelow,
    /// Exactly four of the next eight are so far below: not wild.
    FourOfEightBelow,
    /// All that follow are far below, but there are fewer than five.
    TooFewSuccessors,
    /// A wild stamp before the first good one.
    WildAtStart,
    /// Three records in a row with the same stamp.
    EqualStamps,
    /// Lines before the first stamped one.
    Head,
    /// A record of more than one line.
    Continuation,
    /// An unstamped line that begins almost like a stamped one.
    AlmostStamp,
    /// An unstamped line with a date in the middle.
    DateInMidLine,
    /// A line with two stamps: two writers at once.
    TornLine,
    /// An empty line.
    EmptyLine,
    /// A line end of `\r\n`.
    CrLf,
    /// No newline at the end of the file.
    NoFinalNewline,
    /// Bytes that aren't UTF-8.
    InvalidUtf8,
    /// A NUL.
    Nul,
    /// A record that the parse form doesn't fit.
    Unparsable,
    /// A field that isn't there.
    MissingValue,
    /// An empty field.
    EmptyValue,
    /// A field that is `-`.
    DashValue,
    /// Text where a number is expected.
    NotANumber,
    /// ±10¹⁵.
    LargestNumber,
    /// Beyond ±10¹⁵.
    TooLargeNumber,
    /// A number halfway between two of nine fraction digits.
    HalfEvenTie,
    /// A negative number.
    NegativeNumber,
    /// A number with an exponent.
    Exponent,
    /// More than 100 different groups.
    ManyGroups,
    /// A text one byte shorter than the record limit.
    LongBelowLimit,
    /// A text as long as the record limit.
    LongAtLimit,
    /// A text one byte longer than the record limit.
    LongAboveLimit,
}

/// The marks of one file or several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks(BTreeSet<Mark>);

impl Mark {
    /// All of them.
    pub const ALL: [Self; 37] = [
        Self::WindowFirst,
        Self::WindowLast,
        Self::LateWithin,
        Self::LateAtBound,
        Self::LateJustBeyond,
        Self::LateBeyond,
        Self::FarPast,
        Self::BadTimestamp,
        Self::FiveOfEightBelow,
        Self::FourOfEightBelow,
        Self::TooFewSuccessors,
        Self::WildAtStart,
        Self::EqualStamps,
        Self::Head,
        Self::Continuation,
        Self::AlmostStamp,
        Self::DateInMidLine,
        Self::TornLine,
        Self::EmptyLine,
        Self::CrLf,
        Self::NoFinalNewline,
        Self::InvalidUtf8,
        Self::Nul,
        Self::Unparsable,
        Self::MissingValue,
        Self::EmptyValue,
        Self::DashValue,
        Self::NotANumber,
        Self::LargestNumber,
        Self::TooLargeNumber,
        Self::HalfEvenTie,
        Self::NegativeNumber,
        Self::Exponent,
        Self::ManyGroups,
        Self::LongBelowLimit,
        Self::LongAtLimit,
        Self::LongAboveLimit,
    ];
}

impl Marks {
    /// What `bytes`, a file of `spec`, contains.
    pub fn of(spec: &LogSpec, bytes: &[u8]) -> Self {
        let mut marks = Self::default();
        let split = records::split(bytes, spec.stamp, &Beginning::Stamped);
        marks.add_if(split.head_lines > 0, Mark::Head);
        marks.add_if(!bytes.is_empty() && !bytes.ends_with(b"\n"), Mark::NoFinalNewline);
        marks.add_if(std::str::from_utf8(bytes).is_err(), Mark::InvalidUtf8);
        marks.add_if(bytes.contains(&0), Mark::Nul);
        for line in records::physical_lines(bytes) {
            marks.of_line(spec, &line);
        }
        marks.of_stamps(spec, &split.records);
        for record in &split.records {
            marks.of_record(spec, record);
        }
        marks.of_groups(spec, &split.records);
        marks
    }

    /// Adds the marks of another file.
    pub fn merge(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Whether a mark was found.
    pub fn contains(&self, mark: Mark) -> bool {
        self.0.contains(&mark)
    }

    /// Those of `wanted` that were not found; a run is vacuous unless there are none.
    pub fn missing(&self, wanted: &[Mark]) -> Vec<Mark> {
        wanted.iter().copied().filter(|mark| !self.contains(*mark)).collect()
    }

    fn add_if(&mut self, found: bool, mark: Mark) {
        if found {
            self.0.insert(mark);
        }
    }

    fn of_line(&mut self, spec: &LogSpec, line: &[u8]) {
        self.add_if(line.ends_with(b"\r\n"), Mark::CrLf);
        let line = without_line_end(line);
        self.add_if(line.is_empty(), Mark::EmptyLine);
        let is_one_of = |texts: &[&str]| texts.iter().any(|text| text.as_bytes() == line);
        self.add_if(is_one_of(texts::almost_stamps(spec.stamp)), Mark::AlmostStamp);
        self.add_if(is_one_of(texts::dates_in_mid_line(spec.stamp)), Mark::DateInMidLine);
        if stamps::of_line(line, spec.stamp).is_some() {
            let stamped = (0..line.len()).filter(|begin| {
                let behind_digit = *begin > 0 && line[begin - 1].is_ascii_digit();
                !behind_digit && stamps::at(&line[*begin..], spec.stamp).is_some()
            });
            self.add_if(stamped.count() > 1, Mark::TornLine);
        }
    }

    fn of_stamps(&mut self, spec: &LogSpec, records: &[Record]) {
        let stamps: Vec<i128> = records.iter().map(|record| record.stamp_ns).collect();
        let judged = rules::judge(&stamps, spec.lateness_ms);
        let mut greatest_good: Option<i128> = None;
        for (index, (&stamp, judged)) in stamps.iter().zip(&judged).enumerate() {
            self.of_successors(spec, &stamps, index);
            match judged.fate {
                Fate::BadTimestamp => {
                    self.add_if(true, Mark::BadTimestamp);
                    self.add_if(greatest_good.is_none(), Mark::WildAtStart);
                }
                Fate::Counts | Fate::Late => {
                    self.of_lateness(spec, greatest_good.map_or(0, |greatest| greatest - stamp));
                    greatest_good = greatest_good.max(Some(stamp));
                }
            }
            if judged.fate == Fate::Counts {
                self.of_edges(spec, stamp);
            }
        }
        self.add_if(
            stamps
                .windows(3)
                .any(|three| three[0] == three[1] && three[1] == three[2]),
            Mark::EqualStamps,
        );
    }

    fn of_successors(&mut self, spec: &LogSpec, stamps: &[i128], index: usize) {
        let reach_ns = (3600 * NANOS_PER_SECOND).max(i128::from(spec.lateness_ms) * NANOS_PER_MILLISECOND);
        let next: Vec<_> = stamps[index + 1..]
            .iter()
            .take(8)
            .map(|next| stamps[index] - next > reach_ns)
            .collect();
        let below = next.iter().filter(|below| **below).count();
        self.add_if(next.len() == 8 && below == 5, Mark::FiveOfEightBelow);
        self.add_if(next.len() == 8 && below == 4, Mark::FourOfEightBelow);
        self.add_if(
            (1..5).contains(&next.len()) && below == next.len(),
            Mark::TooFewSuccessors,
        );
    }

    fn of_lateness(&mut self, spec: &LogSpec, late_ns: i128) {
        let late_ms = late_ns / NANOS_PER_MILLISECOND;
        let bound_ms = i128::from(spec.lateness_ms);
        self.add_if(late_ms > 0 && late_ms < bound_ms, Mark::LateWithin);
        self.add_if(late_ms == bound_ms, Mark::LateAtBound);
        self.add_if(
            late_ms == bound_ms + i128::from(spec.resolution_ms()),
            Mark::LateJustBeyond,
        );
        self.add_if(late_ms > bound_ms, Mark::LateBeyond);
        self.add_if(late_ms > 86_400_000, Mark::FarPast);
    }

    fn of_edges(&mut self, spec: &LogSpec, stamp_ns: i128) {
        let window_ns = i128::from(spec.window_ms) * NANOS_PER_MILLISECOND;
        let into_ns = stamp_ns.rem_euclid(window_ns);
        self.add_if(into_ns == 0, Mark::WindowFirst);
        self.add_if(
            into_ns == window_ns - i128::from(spec.resolution_ms()) * NANOS_PER_MILLISECOND,
            Mark::WindowLast,
        );
    }

    fn of_record(&mut self, spec: &LogSpec, record: &Record) {
        self.add_if(record.lines.len() > 1, Mark::Continuation);
        if let Some(limit) = spec.record_limit_bytes {
            self.add_if(record.text_len() + 1 == limit, Mark::LongBelowLimit);
            self.add_if(record.text_len() == limit, Mark::LongAtLimit);
            self.add_if(record.text_len() == limit + 1, Mark::LongAboveLimit);
        }
        let wanted = [spec.body.group_fields(), spec.body.number_fields()].concat();
        let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
        let fields = match parse::fields(&spec.parse_form(), &record.text(), &wanted) {
            Ok(fields) => fields,
            Err(Unparsable) => {
                self.add_if(true, Mark::Unparsable);
                return;
            }
        };
        for name in &wanted {
            let value = fields.get(name).map(Vec::as_slice);
            self.add_if(value.is_none(), Mark::MissingValue);
            self.add_if(value == Some(b""), Mark::EmptyValue);
            self.add_if(value == Some(b"-"), Mark::DashValue);
        }
        for name in spec.body.number_fields() {
            if let Some(value) = fields.get(name).filter(|value| !value.is_empty() && *value != b"-") {
                self.of_number(value);
            }
        }
    }

    fn of_number(&mut self, text: &[u8]) {
        match numbers::nanos(text) {
            Err(NoDecimal::NotANumber) => self.add_if(true, Mark::NotANumber),
            Err(NoDecimal::TooLarge) => self.add_if(true, Mark::TooLargeNumber),
            Ok(nanos) => {
                let decimal = numbers::decimal(&nanos);
                let largest = BigDecimal::from(1_000_000_000_000_000_i64);
                self.add_if(decimal.abs() == largest, Mark::LargestNumber);
                self.add_if(nanos < BigInt::ZERO, Mark::NegativeNumber);
                self.add_if(texts::TIES.iter().any(|tie| tie.as_bytes() == text), Mark::HalfEvenTie);
                self.add_if(text.iter().any(|byte| matches!(byte, b'e' | b'E')), Mark::Exponent);
            }
        }
    }

    fn of_groups(&mut self, spec: &LogSpec, records: &[Record]) {
        let name = spec.body.group_fields()[0].to_owned();
        let wanted = [name.clone()];
        let texts = records.iter().filter_map(|record| {
            parse::fields(&spec.parse_form(), &record.text(), &wanted)
                .ok()?
                .remove(&name)
        });
        self.add_if(texts.collect::<BTreeSet<_>>().len() > 100, Mark::ManyGroups);
    }
}
