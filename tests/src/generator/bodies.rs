//! What stands in a line besides its stamp: two columns to group by and two numbers, in each body form.

use super::mixing::{Salt, Stream};
use super::{LogSpec, civil, texts, times};
use crate::oracle::{ParseForm, StampForm};

/// How a line's fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyForm {
    /// `|op=pay|result=success|cost=12|amount=3.50`
    Kv,
    /// `|pay|success|12|3.50`; column names `time, op, result, cost, amount`.
    Split,
    /// ` {"op":"pay","result":"success","cost":12,"amount":3.50}`
    Json,
    /// ` op=pay result=success cost=12 amount=3.50 msg="…"`
    Logfmt,
    /// nginx' `combined`: `remote_addr` and `uri` to group by, `status` and `body_bytes_sent` as numbers.
    NginxCombined,
}

/// A stamped line without line end, and where another writer may cut in.
pub struct FirstLine {
    pub bytes: Vec<u8>,
    pub tears: Vec<usize>,
}

/// Values of the two groups and the two numbers; `None` is a field that isn't written.
type Cells = [Option<Vec<u8>>; 4];

impl BodyForm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Kv, Self::Split, Self::Json, Self::Logfmt, Self::NginxCombined];

    /// How a monitor parses it.
    pub fn parse_form(self) -> ParseForm {
        match self {
            Self::Kv => ParseForm::Kv {
                pair: b'|',
                assign: b'=',
            },
            Self::Split => {
                let names = ["time", "op", "result", "cost", "amount"];
                ParseForm::Split {
                    by: b'|',
                    fields: names.map(str::to_owned).to_vec(),
                }
            }
            Self::Json => ParseForm::Json,
            Self::Logfmt => ParseForm::Logfmt,
            Self::NginxCombined => ParseForm::NginxCombined,
        }
    }

    /// Fields to group by.
    pub fn group_fields(self) -> [&'static str; 2] {
        match self {
            Self::NginxCombined => ["uri", "remote_addr"],
            Self::Kv | Self::Split | Self::Json | Self::Logfmt => ["op", "result"],
        }
    }

    /// Fields that are numbers, mostly.
    pub fn number_fields(self) -> [&'static str; 2] {
        match self {
            Self::NginxCombined => ["status", "body_bytes_sent"],
            Self::Kv | Self::Split | Self::Json | Self::Logfmt => ["cost", "amount"],
        }
    }
}

/// The first line of record `seq`; `padding` bytes more of no meaning, unless it is 0.
pub fn first_line(spec: &LogSpec, stream: &Stream, seq: u64, padding: usize) -> FirstLine {
    let stamp = civil::write(spec.stamp, times::stamp_ms(spec, stream, seq), stream, seq);
    let (prefix, stamp_begin) = match spec.stamp {
        StampForm::Clf => (
            format!("10.0.0.{} - - [{stamp}]", stream.below(seq, Salt::Value(9), 4)),
            None,
        ),
        StampForm::Syslog { .. } => (format!("{stamp} web1 app"), Some(0)),
        StampForm::Iso | StampForm::EpochMillis => (stamp.clone(), Some(0)),
    };
    let cells = cells(spec, stream, seq);
    let padding = "x".repeat(padding);
    let mut bytes = prefix.clone().into_bytes();
    match spec.body {
        _ if stream.chance(seq, Salt::Bare, spec.rates.bare) => {
            bytes.extend_from_slice(format!(" shop restarted {padding}").as_bytes());
        }
        BodyForm::Kv => kv(&mut bytes, &cells, &padding),
        BodyForm::Split => split(&mut bytes, &cells, &padding),
        BodyForm::Json => json(&mut bytes, &cells, &padding, stream.chance(seq, Salt::Value(8), 200)),
        BodyForm::Logfmt => logfmt(&mut bytes, &cells, &padding),
        BodyForm::NginxCombined => nginx(&mut bytes, &cells, &padding),
    }
    // Where a stamp begins the line it may be torn too, but only before its fraction: digits of the next stamp behind a
    // fraction, and signs behind those, would make another stamp whose reading the contract leaves open.
    let in_stamp = match (spec.stamp, stamp_begin) {
        (StampForm::Iso, Some(_)) => 1..20,
        (StampForm::Syslog { .. }, Some(_)) => 1..stamp.len(),
        _ => 0..0,
    };
    let quoted_from = bytes.windows(6).rposition(|window| window == b" msg=\"");
    let behind_stamp = prefix.len() + 1..quoted_from.unwrap_or(bytes.len());
    FirstLine {
        bytes,
        tears: in_stamp.chain(behind_stamp).collect(),
    }
}

fn cells(spec: &LogSpec, stream: &Stream, seq: u64) -> Cells {
    let draw = |which: u8, bound: u64| stream.below(seq, Salt::Value(which), bound);
    let name = |texts: &[&str], which: u8| texts[draw(which, texts.len() as u64) as usize].to_owned();
    let mut ordinary = match spec.body {
        BodyForm::NginxCombined => [
            name(&["/", "/cart", "/pay?id=7", "/img/a.png"], 0),
            format!("10.0.0.{}", draw(9, 4)),
            name(&["200", "200", "200", "304", "404", "500"], 2),
            draw(3, 100_000).to_string(),
        ],
        _ => [
            name(&["pay", "pay", "refund", "query"], 0),
            name(&["success", "success", "fail"], 1),
            draw(2, 5000).to_string(),
            format!("{}.{:02}", draw(3, 1000), draw(4, 100)),
        ],
    };
    if stream.chance(seq, Salt::Cardinality, spec.rates.cardinality) {
        ordinary[0] = format!("/one-{}", stream.below(seq, Salt::Cardinality, 1_000_000_007));
    }
    let mut which = 0;
    ordinary.map(|ordinary| {
        which += 1;
        if stream.chance(seq, Salt::Odd(which), spec.rates.odd_value) {
            odd(stream.mix(seq, Salt::OddValue(which)), which > 2, spec.body)
        } else {
            Some(ordinary.into_bytes())
        }
    })
}

/// A value that is none, or no ordinary one.
fn odd(choice: u64, is_number: bool, body: BodyForm) -> Option<Vec<u8>> {
    let rest = (choice / 8) as usize;
    let text: &[u8] = match choice % 8 {
        0 => return None,
        1 => b"",
        2 => b"-",
        3 if is_number => texts::TIES[rest % texts::TIES.len()].as_bytes(),
        4..=7 if is_number => texts::ODD_NUMBERS[rest % texts::ODD_NUMBERS.len()].as_bytes(),
        3 | 4 => b"p\xff\xfey",
        // A NUL between blanks is a separator to some readers of logfmt: left out there.
        5 if body != BodyForm::Logfmt => b"a\x00b",
        _ => b"Pay",
    };
    Some(text.to_vec())
}

const NAMES: [&str; 4] = ["op", "result", "cost", "amount"];

fn kv(line: &mut Vec<u8>, cells: &Cells, padding: &str) {
    for (name, value) in NAMES.iter().zip(cells) {
        if let Some(value) = value {
            line.extend_from_slice(format!("|{name}=").as_bytes());
            line.extend_from_slice(value);
        }
    }
    if !padding.is_empty() {
        line.extend_from_slice(format!("|pad={padding}").as_bytes());
    }
}

/// A missing last column shortens the line; the others can only be empty.
fn split(line: &mut Vec<u8>, cells: &Cells, padding: &str) {
    for (index, value) in cells.iter().enumerate() {
        if value.is_some() || index < 3 || !padding.is_empty() {
            line.push(b'|');
        }
        line.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    if !padding.is_empty() {
        line.extend_from_slice(format!("|{padding}").as_bytes());
    }
}

fn json(line: &mut Vec<u8>, cells: &Cells, padding: &str, escapes: bool) {
    line.extend_from_slice(b" {\"v\":1,\"ctx\":{\"op\":\"inner\",\"ids\":[1,2]}");
    for (name, value) in NAMES.iter().zip(cells) {
        let Some(value) = value else { continue };
        line.extend_from_slice(format!(",\"{name}\":").as_bytes());
        if value.is_empty() && escapes {
            line.extend_from_slice(b"null");
        } else if is_json_number(value) {
            line.extend_from_slice(value);
        } else {
            line.push(b'"');
            match value.split_first() {
                Some((first, rest)) if escapes && first.is_ascii() => {
                    line.extend_from_slice(format!("\\u{first:04x}").as_bytes());
                    line.extend_from_slice(rest);
                }
                _ => line.extend_from_slice(value),
            }
            line.push(b'"');
        }
    }
    if !padding.is_empty() {
        line.extend_from_slice(format!(",\"pad\":\"{padding}\"").as_bytes());
    }
    line.push(b'}');
}

fn is_json_number(value: &[u8]) -> bool {
    let object = [b"{\"n\":", value, b"}"].concat();
    let starts_as_number = matches!(value.first(), Some(b'-' | b'0'..=b'9'));
    starts_as_number && crate::oracle::json::object(&object).is_some_and(|(_, len)| len == object.len())
}

fn logfmt(line: &mut Vec<u8>, cells: &Cells, padding: &str) {
    for (name, value) in NAMES.iter().zip(cells) {
        if let Some(value) = value {
            line.extend_from_slice(format!(" {name}=").as_bytes());
            line.extend_from_slice(value);
        }
    }
    if !padding.is_empty() {
        line.extend_from_slice(format!(" pad={padding}").as_bytes());
    }
    line.extend_from_slice(b" msg=\"op=none cost=0\"");
}

/// The address is the prefix' own; a missing value is written as nginx does, `-`.
fn nginx(line: &mut Vec<u8>, [uri, _, status, bytes]: &Cells, padding: &str) {
    match uri {
        Some(uri) => line.extend_from_slice(&[b" \"GET ", &uri[..], b" HTTP/1.1\" "].concat()),
        None => line.extend_from_slice(b" \"-\" "),
    }
    line.extend_from_slice(status.as_deref().unwrap_or(b"-"));
    line.push(b' ');
    line.extend_from_slice(bytes.as_deref().unwrap_or(b"-"));
    line.extend_from_slice(format!(" \"-\" \"curl/8{padding}\"").as_bytes());
}
