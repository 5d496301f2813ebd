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

/// Writes points in a format.
///
/// # Errors
/// If `out` can't be written.
pub fn write_points(points: &[Point], format: Format, out: &mut impl Write) -> Result<()> {
    match format {
        Format::Json => {
            for point in points {
                serde_json::to_writer(&mut *out, point)?;
                out.write_all(b"\n")?;
            }
        }
        Format::Csv => write_csv(points, out)?,
        Format::Table => write_table(points, out)?,
    }
    Ok(())
}

fn header(points: &[Point]) -> Vec<String> {
    let groups = points.iter().map(|point| &point.group).max_by_key(|group| group.len());
    let mut names = vec!["window".to_owned()];
    names.extend(groups.into_iter().flatten().map(|(name, _)| name.to_string()));
    names.extend(
        points
            .iter()
            .take(1)
            .flat_map(|point| &point.values)
            .map(|(name, _)| name.to_string()),
    );
    names.extend(["completeness", "ok", "expected", "records_percent", "state"].map(str::to_owned));
    names
}

fn cells(point: &Point, group_columns: usize, null: &str) -> Vec<String> {
    let header = &point.header;
    let mut cells = vec![rfc3339(header.start_ns)];
    for column in 0..group_columns {
        let text = point.group.get(column).and_then(|(_, text)| text.as_deref());
        cells.push(text.map_or_else(|| null.to_owned(), display_text));
    }
    cells.extend(point.values.iter().map(|(_, value)| match value {
        OutputValue::Null => null.to_owned(),
        OutputValue::Number(number) => number.clone(),
        OutputValue::Text(text) => display_text(text),
    }));
    let percent = header
        .hosts
        .percent()
        .map_or_else(|| null.to_owned(), |percent| percent.to_string());
    let hundredths = reduce::completeness::records_percent_hundredths(header.records, &header.lost);
    cells.extend([
        percent,
        header.hosts.ok.to_string(),
        header.hosts.expected().to_string(),
    ]);
    cells.push(format!("{}.{:02}", hundredths / 100, hundredths % 100));
    cells.push(format!("{:?}", header.state).to_lowercase());
    cells
}

fn group_columns(points: &[Point]) -> usize {
    points.iter().map(|point| point.group.len()).max().unwrap_or(0)
}

fn write_csv(points: &[Point], out: &mut impl Write) -> Result<()> {
    let columns = group_columns(points);
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(header(points))?;
    for point in points {
        writer.write_record(cells(point, columns, "").iter().map(|cell| defused(cell).into_owned()))?;
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

fn write_table(points: &[Point], out: &mut impl Write) -> Result<()> {
    let columns = group_columns(points);
    let mut rows = vec![header(points)];
    rows.extend(points.iter().map(|point| cells(point, columns, "∅")));
    for row in &mut rows {
        for cell in row.iter_mut() {
            *cell = printable(cell);
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let pad = " ".repeat(width - cell.chars().count());
            let is_number = cell.parse::<f64>().is_ok();
            line.push_str(&if is_number {
                format!("{pad}{cell}  ")
            } else {
                format!("{cell}{pad}  ")
            });
        }
        writeln!(out, "{}", line.trim_end())?;
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
