//! The point: one group of one window, as people and programs see it.

use crate::completeness::{Hosts, records_percent_hundredths};
use crate::overflow::Overflow;
use crate::value::OutputValue;
pub use map::detect::rfc3339;
use map::kept::KeptRecord;
use map::partial::Losses;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How final a window is (C7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowState {
    /// Not yet proved.
    Open,
    /// Every host counted ok proved the window's end; late bytes may come.
    Provisional,
    /// Nothing more is expected.
    Settled,
}

/// What the reader of a value should know beside its completeness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Groups over the limit were folded into `__other__` (M6).
    GroupsFolded,
    /// Records in a repeated local hour were taken for its first pass (F9).
    AmbiguousTime,
    /// A promise of the contract did not hold for this window: its values are withheld. Please report it.
    Poisoned,
    /// Records count at the time at which they were seen to arrive: no value can be read again.
    ArrivalTime,
}

/// The part of a window that all its points repeat (M3).
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The monitor's name.
    pub monitor: Arc<str>,
    /// Start of the window, nanoseconds since the epoch.
    pub start_ns: i64,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
    /// Hosts that are ok, and those that are not.
    pub hosts: Hosts,
    /// Records counted.
    pub records: u64,
    /// Records lost.
    pub lost: Losses,
    /// Unstamped lines at the start of files.
    pub head_lines: u64,
    /// Values that were no numbers, by output.
    pub bad_values: BTreeMap<String, u64>,
    /// Flags, sorted.
    pub flags: Vec<Flag>,
    /// Which columns made more groups than are kept.
    pub overflow: Option<Overflow>,
    /// How final it is.
    pub state: WindowState,
    /// Counts up whenever anything above or a value changes.
    pub revision: u64,
}

impl Header {
    /// Whether every expected host is ok and no record was lost.
    pub fn is_complete(&self) -> bool {
        self.hosts.percent() == Some(100) && self.lost.total() == 0 && !self.flags.contains(&Flag::Poisoned)
    }
}

/// One group of one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// What all points of the window share.
    pub header: Arc<Header>,
    /// Names of the group's columns and their texts; empty for a window without groups.
    pub group: Vec<(Arc<str>, Option<Vec<u8>>)>,
    /// Names of the outputs and their values.
    pub values: Vec<(Arc<str>, OutputValue)>,
}

/// Bytes of a log as text for people: what is not UTF-8 is shown as `\xNN`, so that no two values look alike.
pub fn display_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A record as it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a>(pub &'a KeptRecord);

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(record) = self;
        let mut shown = serializer.serialize_struct("Record", 7)?;
        shown.serialize_field("time", &rfc3339(record.timestamp_nanos))?;
        shown.serialize_field("host", &record.host)?;
        shown.serialize_field("file", &record.file)?;
        shown.serialize_field("offset", &record.offset)?;
        shown.serialize_field("bytes", &record.bytes)?;
        shown.serialize_field("text", &display_text(&record.text))?;
        shown.serialize_field("cut", &record.is_cut)?;
        shown.end()
    }
}

impl Serialize for OutputValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(&display_text(text)),
            Self::Number(number) => serde_json::value::RawValue::from_string(number.clone())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
        }
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let header = &*self.header;
        let mut point = serializer.serialize_struct("Point", 8)?;
        point.serialize_field("monitor", &*header.monitor)?;
        point.serialize_field("window", &rfc3339(header.start_ns))?;
        point.serialize_field("window_ms", &header.window_ms)?;
        point.serialize_field("group", &Group(&self.group))?;
        point.serialize_field("values", &Values(&self.values))?;
        point.serialize_field("completeness", &Completeness(header))?;
        point.serialize_field("state", &header.state)?;
        point.serialize_field("revision", &header.revision)?;
        point.end()
    }
}

struct Group<'a>(&'a [(Arc<str>, Option<Vec<u8>>)]);

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let texts = self
            .0
            .iter()
            .map(|(name, text)| (&**name, text.as_deref().map(display_text)));
        serializer.collect_map(texts)
    }
}

struct Values<'a>(&'a [(Arc<str>, OutputValue)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (&**name, value)))
    }
}

struct Completeness<'a>(&'a Header);

impl Serialize for Completeness<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let header = self.0;
        let missing: BTreeMap<_, _> = header
            .hosts
            .missing
            .iter()
            .map(|(state, n)| (state.name(), n))
            .collect();
        let lost: BTreeMap<_, _> = header.lost.iter().map(|(reason, n)| (reason.name(), n)).collect();
        let records_percent = records_percent_hundredths(header.records, &header.lost) as f64 / 100.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("percent", &header.hosts.percent())?;
        map.serialize_entry("ok", &header.hosts.ok)?;
        map.serialize_entry("expected", &header.hosts.expected())?;
        map.serialize_entry("missing", &missing)?;
        map.serialize_entry("records", &header.records)?;
        map.serialize_entry("lost", &lost)?;
        map.serialize_entry("records_percent", &records_percent)?;
        if header.head_lines > 0 {
            map.serialize_entry("head", &header.head_lines)?;
        }
        if !header.bad_values.is_empty() {
            map.serialize_entry("bad_value", &header.bad_values)?;
        }
        if !header.flags.is_empty() {
            map.serialize_entry("flags", &header.flags)?;
        }
        if let Some(overflow) = &header.overflow {
            map.serialize_entry("overflow", overflow)?;
        }
        map.end()
    }
}
