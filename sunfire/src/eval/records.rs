//! `sunfire eval 'select * …'`: the records themselves of what is counted in local files.
//!
//! They are counted by the same pass as values are, in windows of a day: fewer of them hold anything while it runs.

use super::{Counting, counted};
use crate::cli::EvalArguments;
use crate::exit::{Exit, Failure};
use crate::records;
use configs::monitor::Monitor;
use configs::query::{Direction, RecordsQuery, RecordsSource};
use map::kept::{End, Keep, Kept};
use map::plan::Plan;
use map::protocol::RecordsWanted;
use map::state::State;
use reduce::point::Record;
use reduce::publish::Windows;
use serde_json::value::RawValue;
use std::io::{BufWriter, Write};
use std::ops::Range;

const DAY_MS: u64 = 86_400_000;

/// Answers a question for records.
pub(super) fn run(arguments: &EvalArguments, query: RecordsQuery) -> Result<Exit, Failure> {
    let RecordsSource::Log { monitor, .. } = query.source else {
        return Err(Failure::usage(
            "files are named beside the question; leave `from log` out".to_owned(),
        ));
    };
    let range = range(arguments, &monitor)?;
    let keep = Keep {
        limit: u16::try_from(query.limit).unwrap_or(u16::MAX),
        end: match query.direction {
            Direction::Ascending => End::First,
            Direction::Descending => End::Last,
        },
    };
    let wanted = RecordsWanted {
        keep,
        from_ns: range.start,
        to_ns: range.end,
        window_ms: DAY_MS,
        condition: None,
    };
    let (monitor, plan) = map::definition::of_records(*monitor, &wanted).map_err(Failure::configuration)?;
    let Counting { partial, answer } = counted(arguments, &monitor, &plan)?;
    let (mut kept, mut matched, mut lost) = (Kept::new(keep), 0, partial.unplaced.lost.total());
    for (start_ns, window) in &partial.windows {
        if overlaps(&range, *start_ns, &plan) {
            lost += window.lost.total();
        }
        for (group, states) in window.groups.iter() {
            matched += group.records;
            states.iter().for_each(|state| {
                if let State::Records(more) = state {
                    kept.merge(more);
                }
            });
        }
    }
    let shown: Vec<Box<RawValue>> = (kept.shown().into_iter())
        .map(|record| serde_json::value::to_raw_value(&Record(record)))
        .collect::<Result<_, _>>()
        .map_err(anyhow::Error::from)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    records::write(&shown, super::format(arguments), &mut out)?;
    out.flush()?;
    let is_whole = answer.hosts.percent() == Some(100) && lost == 0;
    eprintln!("{}", records::told(shown.len(), matched, is_whole));
    if lost > 0 {
        eprintln!("warning: {lost} records of these days could not be counted: count them to see why");
    }
    Ok(match is_whole {
        true => Exit::Complete,
        false => Exit::Incomplete,
    })
}

fn overlaps(range: &Range<i64>, start_ns: i64, plan: &Plan) -> bool {
    start_ns < range.end && start_ns.saturating_add(plan.window_ns) > range.start
}

/// The records that are asked for, by their stamps.
fn range(arguments: &EvalArguments, monitor: &Monitor) -> Result<Range<i64>, Failure> {
    Ok(match super::windows(arguments, monitor)? {
        Windows::Range { from_ns, to_ns } => from_ns.unwrap_or(i64::MIN)..to_ns.unwrap_or(i64::MAX),
        Windows::Touched | Windows::FilledBetweenTouched => i64::MIN..i64::MAX,
    })
}
