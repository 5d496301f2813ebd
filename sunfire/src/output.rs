//! Points on stdout: JSON lines, a table, or CSV.

use anyhow::Result;
use reduce::point::{Point, display_text, rfc3339};
use reduce::value::OutputValue;
use std::io::Write;

/// The formats of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Columns for people.
    Table,
    /// Comma-separated values with a header.
    Csv,
}

/// A point as a row of texts: whether it was computed here or came from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Start of the window.
    pub window: String,
    /// Group columns by name; `None` is null.
    pub group: Vec<(String, Option<String>)>,
    /// Outputs by name; `None` is null.
    pub values: Vec<(String, Option<String>)>,
    /// Percent of hosts; `None` where nothing is known to be expected.
    pub percent: Option<String>,
    /// Hosts that are ok.
    pub ok: String,
    /// Hosts expected.
    pub expected: String,
    /// Percent of records.
    pub records_percent: String,
    /// How final it is.
    pub state: String,
}

impl From<&Point> for Row {
    fn from(point: &Point) -> Self {
        let header = &point.header;
        let hundredths = reduce::completeness::records_percent_hundredths(header.records, &header.lost);
        let group = |(name, text): &(std::sync::Arc<str>, Option<Vec<u8>>)| {
            (name.to_string(), text.as_deref().map(display_text))
        };
        let value = |(name, value): &(std::sync::Arc<str>, OutputValue)| {
            let text = match value {
                OutputValue::Null => None,
                OutputValue::Number(number) => Some(number.clone()),
                OutputValue::Text(text) => Some(display_text(text)),
            };
            (name.to_string(), text)
        };
        Self {
            window: rfc3339(header.start_ns),
            group: point.group.iter().map(group).collect(),
            values: point.values.iter().map(value).collect(),
            percent: header.hosts.percent().map(|percent| percent.to_string()),
            ok: header.hosts.ok.to_string(),
            expected: header.hosts.expected().to_string(),
            records_percent: format!("{}.{:02}", hundredths / 100, hundredths % 100),
            state: format!("{:?}", header.state).to_lowercase(),
        }
    }
}

/// Writes points in a format.
///
/// # Errors
/// If `out` can't be written.
pub fn write_points(points: &[Point], format: Format, out: &mut impl Write) -> Result<()> {
    if format == Format::Json {
        for point in points {
            serde_json::to_writer(&mut *out, point)?;
            out.write_all(b"\n")?;
        }
        return Ok(());
    }
    let rows: Vec<Row> = points.iter().map(Row::from).collect();
    write_rows(&rows, format, out)
}

/// Writes rows as a table or as CSV.
///
/// # Errors
/// If `out` can't be written.
pub fn write_rows(rows: &[Row], format: Format, out: &mut impl Write) -> Result<()> {
    match format {
        Format::Csv => write_lines(&lines(rows, ""), format, out),
        Format::Table | Format::Json => write_lines(&lines(rows, "∅"), format, out),
    }
}

/// Writes lines of cells, the first a header, as a table or as CSV.
///
/// # Errors
/// If `out` can't be written.
pub fn write_lines(lines: &[Vec<String>], format: Format, out: &mut impl Write) -> Result<()> {
    match format {
        Format::Csv => write_csv(lines, out),
        Format::Table | Format::Json => write_table(lines, out),
    }
}

fn header(rows: &[Row]) -> Vec<String> {
    let mut names = vec!["window".to_owned()];
    let groups = rows.iter().map(|row| &row.group).max_by_key(|group| group.len());
    names.extend(groups.into_iter().flatten().map(|(name, _)| name.clone()));
    names.extend(
        rows.iter()
            .take(1)
            .flat_map(|row| &row.values)
            .map(|(name, _)| name.clone()),
    );
    names.extend(["completeness", "ok", "expected", "records_percent", "state"].map(str::to_owned));
    names
}

fn lines(rows: &[Row], null: &str) -> Vec<Vec<String>> {
    let group_columns = rows.iter().map(|row| row.group.len()).max().unwrap_or(0);
    let text = |text: Option<&String>| text.cloned().unwrap_or_else(|| null.to_owned());
    let cells = |row: &Row| {
        let mut cells = vec![row.window.clone()];
        cells.extend((0..group_columns).map(|column| text(row.group.get(column).and_then(|(_, text)| text.as_ref()))));
        cells.extend(row.values.iter().map(|(_, value)| text(value.as_ref())));
        cells.push(text(row.percent.as_ref()));
        cells.extend([&row.ok, &row.expected, &row.records_percent, &row.state].map(Clone::clone));
        cells
    };
    std::iter::once(header(rows)).chain(rows.iter().map(cells)).collect()
}

fn write_csv(lines: &[Vec<String>], out: &mut impl Write) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    for (number, line) in lines.iter().enumerate() {
        let cell = |cell: &String| {
            if number == 0 {
                cell.clone()
            } else {
                defused(cell).into_owned()
            }
        };
        writer.write_record(line.iter().map(cell))?;
    }
    writer.flush()?;
    Ok(())
}

/// A text that a spreadsheet would take for a formula, made a text; a negative number stays one.
fn defused(cell: &str) -> std::borrow::Cow<'_, str> {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    if formula {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

/// Writes lines of cells in columns, numbers to the right.
///
/// # Errors
/// If `out` can't be written.
pub fn write_table(lines: &[Vec<String>], out: &mut impl Write) -> Result<()> {
    let shown = |line: &Vec<String>| line.iter().map(|cell| printable(cell)).collect::<Vec<String>>();
    let lines: Vec<Vec<String>> = lines.iter().map(shown).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let cell_width = |line: &Vec<String>, column: usize| line.get(column).map_or(0, |cell| cell.chars().count());
    let width = |column| lines.iter().map(|line| cell_width(line, column)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in &lines {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let pad = " ".repeat(width - cell.chars().count());
            let is_number = cell.parse::<f64>().is_ok();
            text.push_str(&if is_number {
                format!("{pad}{cell}  ")
            } else {
                format!("{cell}{pad}  ")
            });
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// Control characters of a log must not steer the reader's terminal.
fn printable(cell: &str) -> String {
    cell.chars()
        .map(|c| {
            if c.is_control() {
                format!("\\x{:02x}", c as u32)
            } else {
                c.to_string()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_defused_and_numbers_kept() {
        assert_eq!(defused("=cmd()"), "'=cmd()");
        assert_eq!(defused("-1.5"), "-1.5");
        assert_eq!(defused("-x"), "'-x");
        assert_eq!(defused("plain"), "plain");
    }

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\\x1b[31mb");
    }
}
