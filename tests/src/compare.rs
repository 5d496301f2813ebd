//! The oracle's answer and the engine's, held beside each other.

use crate::engine::Answered;
use crate::oracle::{Answer, Folding, Function, Question, Value};
use bigdecimal::BigDecimal;
use map::partial::{Loss, Losses};
use reduce::point::{Flag, Header, Point};
use reduce::value::OutputValue;
use std::collections::BTreeMap;

/// Everything in which the engine differs from the oracle, as lines for people; empty if nothing.
pub fn differences(question: &Question, oracle: &Answer, engine: &Answered) -> Vec<String> {
    let mut found = Vec::new();
    let headers: BTreeMap<i64, &Header> = engine
        .points
        .iter()
        .map(|point| (point.header.start_ns / 1_000_000, &*point.header))
        .collect();
    if !headers.keys().eq(oracle.windows.keys()) {
        let ours: Vec<_> = headers.keys().collect();
        found.push(format!(
            "windows {ours:?} are not {:?}",
            oracle.windows.keys().collect::<Vec<_>>()
        ));
    }
    for (start, window) in &oracle.windows {
        let Some(header) = headers.get(start) else { continue };
        let lost = [
            window.lost.late,
            window.lost.bad_timestamp,
            window.lost.unparsable,
            window.lost.too_long,
        ];
        let bad: Vec<u64> = question
            .aggregates
            .iter()
            .map(|aggregate| header.bad_values.get(&aggregate.name).copied().unwrap_or(0))
            .collect();
        let is_folded = header.flags.contains(&Flag::GroupsFolded);
        let ours = (header.records, lost_of(&header.lost), header.head_lines, bad, is_folded);
        let is_folded = window.folding != Folding::None;
        let theirs = (
            window.records,
            lost,
            window.head_lines,
            window.bad_values.clone(),
            is_folded,
        );
        if ours != theirs {
            found.push(format!("window {start}: {ours:?} is not {theirs:?}"));
        }
    }
    let unplaced = &engine.partial.unplaced;
    let ours = (lost_of(&unplaced.lost), unplaced.head_lines);
    let lost = &oracle.unplaced.lost;
    let theirs = (
        [lost.late, lost.bad_timestamp, lost.unparsable, lost.too_long],
        oracle.unplaced.head_lines,
    );
    if ours != theirs {
        found.push(format!("unplaced {ours:?} is not {theirs:?}"));
    }
    compare_points(question, oracle, &engine.points, &mut found);
    found
}

fn lost_of(lost: &Losses) -> [u64; 4] {
    [Loss::Late, Loss::BadTimestamp, Loss::Unparsable, Loss::TooLong].map(|reason| lost.get(reason))
}

fn compare_points(question: &Question, oracle: &Answer, points: &[Point], found: &mut Vec<String>) {
    let is_grouped = !question.group_by.is_empty();
    let ours: BTreeMap<_, _> = points
        .iter()
        .filter(|point| !is_grouped || !point.group.is_empty())
        .map(|point| {
            let key: Vec<Option<Vec<u8>>> = point.group.iter().map(|(_, text)| text.clone()).collect();
            ((point.header.start_ns / 1_000_000, key), &point.values)
        })
        .collect();
    for key in ours.keys().filter(|key| !oracle.points.contains_key(key)) {
        found.push(format!("the engine alone has {key:?}"));
    }
    for (key, theirs) in &oracle.points {
        let Some(ours) = ours.get(key) else {
            found.push(format!("the engine lacks {key:?}"));
            continue;
        };
        for ((aggregate, theirs), (_, ours)) in question.aggregates.iter().zip(theirs).zip(*ours) {
            if !agrees(&aggregate.function, theirs.as_ref(), ours) {
                found.push(format!("{key:?} {}: {ours:?} is not {theirs:?}", aggregate.name));
            }
        }
    }
}

/// Up to so many different texts, `distinct` is exact.
const EXACT_DISTINCT_MAX: i64 = 1024;

fn agrees(function: &Function, theirs: Option<&Value>, ours: &OutputValue) -> bool {
    match (theirs, ours) {
        (None, OutputValue::Null) => true,
        (Some(Value::Text(theirs)), OutputValue::Text(ours)) => theirs == ours,
        (Some(Value::Number(theirs)), OutputValue::Number(ours)) => {
            let Ok(ours) = ours.parse::<BigDecimal>() else {
                return false;
            };
            let error = (&ours - theirs).abs();
            match function {
                // Three significant digits: a thousandth of the value.
                Function::Quantile(..) => error * 1000 <= theirs.abs(),
                // Exact while few; five times the standard error of 0.81 % where many.
                Function::Distinct(_) if theirs > &BigDecimal::from(EXACT_DISTINCT_MAX) => error * 25 <= theirs.abs(),
                _ => ours == *theirs,
            }
        }
        _ => false,
    }
}
