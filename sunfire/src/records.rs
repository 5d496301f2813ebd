//! Records on stdout: JSON lines, a table, or CSV; whether they were read here or came from a server.

use crate::output::{Format, write_lines};
use anyhow::Result;
use serde_json::value::RawValue;
use std::io::Write;

/// A record, as far as a table shows it.
#[derive(Debug, Clone, serde::Deserialize)]
struct Row {
    time: String,
    host: String,
    file: String,
    offset: u64,
    text: String,
    cut: bool,
}

impl Row {
    fn cells(self) -> Vec<String> {
        // What was cut off must not look like an end.
        let text = if self.cut {
            format!("{} …", self.text)
        } else {
            self.text
        };
        vec![self.time, self.host, self.file, self.offset.to_string(), text]
    }
}

/// Writes records, each as it came, so that nothing of it is lost on the way.
///
/// # Errors
/// If one is none, or `out` cannot be written.
pub fn write(records: &[Box<RawValue>], format: Format, out: &mut impl Write) -> Result<()> {
    if format == Format::Json {
        for record in records {
            writeln!(out, "{}", record.get())?;
        }
        return Ok(());
    }
    let header = ["time", "host", "file", "offset", "text"].map(str::to_owned);
    let mut lines = vec![header.to_vec()];
    for record in records {
        lines.push(serde_json::from_str::<Row>(record.get())?.cells());
    }
    write_lines(&lines, format, out)
}

/// How many are shown of how many there are. That they are all is known only where everything was read and counted.
pub fn told(shown: usize, matched: u64, is_whole: bool) -> String {
    match (shown as u64 == matched, is_whole) {
        (true, true) => format!("{shown} records, which are all"),
        (true, false) => format!("{shown} records, which are all that were found"),
        (false, _) => format!("{shown} of {matched} records"),
    }
}
