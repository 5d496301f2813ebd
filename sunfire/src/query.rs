//! `sunfire query`: a question to a running console, answered on stdout; the exit code says how complete it is.

use crate::cli::QueryArguments;
use crate::client;
use crate::exit::{Exit, Failure};
use crate::output::{Format, Row, write_rows};
use crate::records;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::io::{BufWriter, IsTerminal, Write};

/// What a query answers.
#[derive(Deserialize)]
struct Answer {
    /// Each as it came, so that no digit is lost on the way to stdout.
    #[serde(default)]
    points: Vec<Box<RawValue>>,
    /// In the place of points, if records were asked for.
    records: Option<Vec<Box<RawValue>>>,
    /// How many records there are.
    #[serde(default)]
    matched: u64,
    /// How complete that is.
    completeness: Option<WireCompleteness>,
}

impl Answer {
    /// Whether every host is ok for all of it, and no record was lost.
    fn is_whole(&self) -> bool {
        let is_whole = |of: &WireCompleteness| of.percent == Some(100) && of.records_percent >= 100.0;
        self.completeness.as_ref().is_some_and(is_whole)
    }
}

/// A point, as far as a table shows it.
#[derive(Deserialize)]
struct WirePoint {
    window: String,
    group: Ordered<Option<String>>,
    values: Ordered<Box<RawValue>>,
    /// What stands in the place of values that are null.
    #[serde(default)]
    filled: Option<Ordered<Box<RawValue>>>,
    completeness: WireCompleteness,
    state: String,
}

#[derive(Deserialize)]
struct WireCompleteness {
    percent: Option<u64>,
    ok: u64,
    expected: u64,
    records_percent: f64,
}

/// A JSON object whose order counts.
struct Ordered<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Ordered<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Ordered(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(std::marker::PhantomData))
    }
}

impl WirePoint {
    /// Complete enough not to be called incomplete: an open window is not judged.
    fn is_incomplete(&self) -> bool {
        self.state != "open" && (self.completeness.percent != Some(100) || self.completeness.records_percent < 100.0)
    }

    fn row(self) -> Row {
        let text = |raw: &RawValue| match serde_json::from_str::<Option<String>>(raw.get()) {
            Ok(text) => text,
            Err(_) => Some(raw.get().to_owned()),
        };
        let filled = self.filled.map(|filled| filled.0).unwrap_or_default();
        // A value that was not measured must not look like one that was, to people and to spreadsheets.
        let put = |name: &str| {
            let (_, raw) = filled.iter().find(|(filled, _)| filled == name)?;
            Some(format!("(before: {})", text(raw)?))
        };
        let value = |(name, raw): (String, Box<RawValue>)| {
            let text = text(&raw).or_else(|| put(&name));
            (name, text)
        };
        Row {
            window: self.window,
            group: self.group.0,
            values: self.values.0.into_iter().map(value).collect(),
            percent: self.completeness.percent.map(|percent| percent.to_string()),
            ok: self.completeness.ok.to_string(),
            expected: self.completeness.expected.to_string(),
            records_percent: format!("{:.2}", self.completeness.records_percent),
            state: self.state,
        }
    }
}

/// Runs `sunfire query`.
///
/// # Errors
/// With the exit code that says whose mistake it is.
pub fn run(arguments: &QueryArguments) -> Result<Exit, Failure> {
    if arguments.explain {
        return explain(arguments);
    }
    let answer = ask(arguments)?;
    for warning in &answer.warnings {
        eprintln!("warning: {warning}");
    }
    if let Some(asked) = &answer.asked {
        eprintln!("{}", progress(asked));
        for missing in &asked.missing {
            let detail = missing.detail.as_deref().map(|detail| format!(": {detail}"));
            let (host, state, windows) = (&missing.host, &missing.state, missing.windows);
            eprintln!("{host}: {state} in {windows} windows{}", detail.unwrap_or_default());
        }
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let format = format(arguments);
    if let Some(data) = &answer.data
        && let Some(shown) = &data.records
    {
        records::write(shown, format, &mut out)?;
        out.flush()?;
        eprintln!(
            "{}{}",
            records::told(shown.len(), data.matched, data.is_whole()),
            told(data.completeness.as_ref())
        );
        return Ok(exit(answer.partial));
    }
    let raw = answer.data.map(|data| data.points).unwrap_or_default();
    let points: Vec<WirePoint> = raw
        .iter()
        .map(|point| serde_json::from_str(point.get()))
        .collect::<Result<_, _>>()
        .map_err(|error| {
            Failure::usage(format!(
                "the console answers in another form than this program reads: {error}"
            ))
        })?;
    // The console also knows of windows that are missing altogether.
    let is_incomplete = answer.partial || points.iter().any(WirePoint::is_incomplete);
    match format {
        Format::Json => {
            for point in &raw {
                writeln!(out, "{}", point.get())?;
            }
        }
        Format::Table | Format::Csv => {
            let rows: Vec<Row> = points.into_iter().map(WirePoint::row).collect();
            write_rows(&rows, format, &mut out)?;
        }
    }
    out.flush()?;
    Ok(exit(is_incomplete))
}

fn exit(is_incomplete: bool) -> Exit {
    match is_incomplete {
        true => Exit::Incomplete,
        false => Exit::Complete,
    }
}

fn format(arguments: &QueryArguments) -> Format {
    match (arguments.json, arguments.format) {
        (true, _) => Format::Json,
        (false, Some(format)) => format,
        (false, None) if std::io::stdout().is_terminal() => Format::Table,
        (false, None) => Format::Json,
    }
}

/// How complete the records are.
fn told(of: Option<&WireCompleteness>) -> String {
    let Some(of) = of else { return String::new() };
    let percent = of
        .percent
        .map_or("unknown".to_owned(), |percent| format!("{percent} %"));
    let lost = match of.records_percent < 100.0 {
        true => format!(", {:.2} % of the records could be counted", of.records_percent),
        false => String::new(),
    };
    format!(
        "; completeness {percent} ({} of {} hosts and windows){lost}",
        of.ok, of.expected
    )
}

/// Asks, and says on stderr how far a question to logs has come.
fn ask(arguments: &QueryArguments) -> Result<client::ApiAnswer<Answer>, Failure> {
    let mut parameters = vec![("q", arguments.query.as_str()), ("stream", "true")];
    parameters.extend(arguments.budget.as_deref().map(|budget| ("budget", budget)));
    let is_terminal = std::io::stderr().is_terminal();
    let mut told = false;
    let answer = client::follow::<Answer>(&arguments.server, "/api/v1/query", &parameters, |answer| {
        let Some(asked) = &answer.asked else { return };
        match is_terminal {
            true => eprint!("\r{} ", progress(asked)),
            false => eprintln!("{}", progress(asked)),
        }
        told = true;
    });
    if told && is_terminal {
        eprint!("\r{:72}\r", "");
    }
    answer
}

fn progress(asked: &client::Asked) -> String {
    let megabytes = asked.bytes as f64 / 1e6;
    format!(
        "{} of {} hosts answered, {megabytes:.1} MB read",
        asked.answered, asked.hosts
    )
}

/// What the question means instead of its answer.
#[derive(Deserialize)]
struct Explanation {
    plan: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    text: String,
}

fn explain(arguments: &QueryArguments) -> Result<Exit, Failure> {
    let parameters = [("q", arguments.query.as_str()), ("explain", "true")];
    let answer = client::get::<Explanation>(&arguments.server, "/api/v1/query", &parameters)?;
    let lines = answer.data.map(|data| data.plan).unwrap_or_default();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for raw in &lines {
        if arguments.json {
            writeln!(out, "{}", raw.get())?;
            continue;
        }
        let line: Line = serde_json::from_str(raw.get()).map_err(|error| {
            Failure::usage(format!(
                "the console explains in another form than this program reads: {error}"
            ))
        })?;
        writeln!(out, "{:<8}{}", line.name, line.text)?;
    }
    out.flush()?;
    Ok(Exit::Complete)
}
