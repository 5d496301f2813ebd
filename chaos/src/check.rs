//! Every answer held against what was written: the oracle's side of a run.
//!
//! A window that vouches for hosts holds every record of theirs that was written before it could vouch, and none that
//! was written after the answer; in the end, exactly what was written. What is allowed to differ is said here and
//! nowhere else: who is expected near a change of the inventory, what hosts that left contributed, and a host that says
//! that its bytes are lost near something that may lose them.

use crate::hosts::{Stroke, Strokes};
use crate::marks::{Mark, Marks};
use crate::members::Members;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use sunfire_tests::live::api::Point;
use sunfire_tests::live::ledger::{Entry, Ledger, Sum};

const SECOND_NS: i64 = 1_000_000_000;
/// The monitors' grace.
const GRACE_NS: i64 = SECOND_NS;
/// A loss is founded if something that may lose bytes was done so near its window: the delay of a young input, and the
/// longest time without a look at the log.
const LOSS_NEAR_NS: i64 = 150 * SECOND_NS;

/// What a host wrote in the last moments before it was struck from the list may not have been read.
const LEFT_SLACK_NS: i64 = 3 * SECOND_NS;

/// A monitor of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// Its name.
    pub name: &'static str,
    /// Length of its windows.
    pub length_ns: i64,
    /// What its groups are.
    pub groups: Groups,
}

/// What a monitor groups by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// The operation.
    Op,
    /// The host.
    Host,
    /// Nothing is ever selected.
    Nothing,
}

/// Something that must never be.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Violation {
    /// Which promise.
    pub id: &'static str,
    /// What was seen, and what should have been.
    pub evidence: String,
}

/// A window as it was answered: its points, and its hosts' states if they were asked for.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Start of the window.
    pub start_ns: i64,
    /// Its points, at least one.
    pub points: Vec<Point>,
    /// States by host, of the same answer as far as can be told.
    pub hosts: Option<BTreeMap<String, String>>,
    /// When it had been answered.
    pub answered_ns: i64,
}

/// What is known of windows from earlier answers.
#[derive(Debug, Default)]
struct Known {
    revision: u64,
    content: Vec<String>,
    state: String,
    ok: BTreeSet<String>,
    records: u64,
}

/// All that is checked against.
pub struct Checker<'r> {
    /// What was written.
    pub ledger: &'r Ledger,
    /// What was done to logs.
    pub strokes: &'r Strokes,
    /// What was met.
    pub marks: Marks,
    /// What was wrong.
    pub violations: Vec<Violation>,
    /// Points that were checked.
    pub points: u64,
    known: BTreeMap<(&'static str, i64), Known>,
}

/// Whether a state lets a host count.
pub fn is_ok(state: &str) -> bool {
    matches!(state, "ok" | "ok_silent")
}

fn is_withdrawal(state: &str) -> bool {
    matches!(state, "bytes_lost" | "behind" | "ahead" | "duplicate" | "left")
}

impl<'r> Checker<'r> {
    /// One that has seen nothing.
    pub fn new(ledger: &'r Ledger, strokes: &'r Strokes) -> Self {
        Self {
            ledger,
            strokes,
            marks: Marks::default(),
            violations: Vec::new(),
            points: 0,
            known: BTreeMap::new(),
        }
    }

    fn violated(&mut self, id: &'static str, evidence: String) {
        self.violations.push(Violation { id, evidence });
    }

    /// Checks an answer. `is_over`: nothing is written any more, and all that was is to be there.
    pub fn check(&mut self, monitor: Watched, answer: &Answer, members: &Members, is_over: bool) {
        self.points += answer.points.len() as u64;
        let first = &answer.points[0];
        self.check_history(monitor, answer);
        if first.state == "open" {
            return;
        }
        self.check_completeness(monitor, answer);
        let possible = members.possible(answer.start_ns, answer.start_ns + monitor.length_ns);
        let (listed, ok): (BTreeSet<String>, BTreeSet<String>) = match &answer.hosts {
            Some(states) => {
                let ok = states.iter().filter(|(_, state)| is_ok(state));
                (
                    states.keys().cloned().collect(),
                    ok.map(|(host, _)| host.clone()).collect(),
                )
            }
            // Everybody is ok, and there is only one answer to who everybody is.
            None => match possible.as_slice() {
                [only] if first.percent == Some(100) => ((*only).clone(), (*only).clone()),
                _ => return,
            },
        };
        if !possible.contains(&&listed) {
            self.violated(
                "C2-expected",
                format!("{} {answer:?}: {listed:?} not in {possible:?}", monitor.name),
            );
        }
        if (ok.len() as u64, listed.len() as u64) != first.hosts {
            // The window has changed since it was read; the next round checks it.
            return;
        }
        self.check_hosts(monitor, answer, &ok);
        // What a host contributed before it was withdrawn stays (M1).
        let near = possible
            .iter()
            .flat_map(|hosts| hosts.iter())
            .filter(|host| !listed.contains(*host));
        let withdrawn = answer.hosts.iter().flatten().filter(|(_, state)| is_withdrawal(state));
        let leaving: BTreeSet<&String> = near.chain(withdrawn.map(|(host, _)| host)).collect();
        // Who left is not read any more: what was vouched for before stays, and what came later is nobody's.
        let left = |host: &String| Some((host.clone(), members.left_at(host)?.saturating_sub(LEFT_SLACK_NS)));
        let left: BTreeMap<String, i64> = ok.iter().filter_map(left).collect();
        self.check_values(monitor, answer, (&ok, &leaving, &left), is_over);
    }

    /// Revisions never fall, and nothing settled changes without one.
    fn check_history(&mut self, monitor: Watched, answer: &Answer) {
        let first = &answer.points[0];
        let show = |point: &Point| format!("{} {} {:?}", point.group, point.values, point.percent);
        let content: Vec<String> = answer.points.iter().map(show).collect();
        let records: u64 = answer
            .points
            .iter()
            .filter_map(|point| point.values["records"].as_u64())
            .sum();
        let key = (monitor.name, answer.start_ns);
        let known = self.known.entry(key).or_default();
        let (was, is) = (known.revision, first.revision);
        let is_silent = was == is && known.state == "settled" && known.content != content;
        let grew = was > 0 && was < is && known.state != "open" && known.records < records && first.state != "open";
        let before = std::mem::replace(&mut known.content, content);
        (known.revision, known.records) = (is, records);
        known.state.clone_from(&first.state);
        if is < was {
            self.violated("C7-revision", format!("{key:?}: revision {is} after {was}"));
        }
        if is_silent {
            self.violated("C7-silent", format!("{key:?}: {before:?} became {:?}", answer.points));
        }
        if grew {
            self.marks.set(Mark::HeldBack);
        }
        if first.late > 0 {
            self.marks.set(Mark::Late);
        }
    }

    /// What a point says of its completeness agrees with itself.
    fn check_completeness(&mut self, monitor: Watched, answer: &Answer) {
        for point in &answer.points {
            let (ok, expected) = point.hosts;
            let percent = (100 * ok).checked_div(expected);
            let missing: u64 = point.missing.values().sum();
            if point.percent != percent || ok + missing != expected {
                self.violated("C2-percent", format!("{} {point:?}", monitor.name));
            }
            if (point.revision, &point.state) != (answer.points[0].revision, &answer.points[0].state) {
                self.violated("M3-header", format!("{} {:?}", monitor.name, answer.points));
            }
        }
    }

    /// The ok set only grows, and whoever says that bytes are lost has a reason.
    fn check_hosts(&mut self, monitor: Watched, answer: &Answer, ok: &BTreeSet<String>) {
        let key = (monitor.name, answer.start_ns);
        let known = self.known.entry(key).or_default();
        let before = std::mem::replace(&mut known.ok, ok.clone());
        let Some(states) = &answer.hosts else { return };
        for (host, state) in states {
            if before.contains(host) && !is_ok(state) && !is_withdrawal(state) {
                self.violated("M1-shrank", format!("{key:?}: {host} was ok and is {state}"));
            }
            if state == "bytes_lost" {
                let near = answer.start_ns - LOSS_NEAR_NS..answer.start_ns + monitor.length_ns + LOSS_NEAR_NS;
                if !self.strokes.may_have_lost(host, near) {
                    self.violated("F7-unfounded", format!("{key:?}: {host} says bytes_lost"));
                }
            }
            if matches!(
                state.as_str(),
                "behind" | "ahead" | "unstamped" | "duplicate" | "denied" | "over_budget"
            ) {
                self.violated("P4-state", format!("{key:?}: {host} is {state}"));
            }
        }
    }

    fn check_values(
        &mut self,
        monitor: Watched,
        answer: &Answer,
        (ok, leaving, left): (&BTreeSet<String>, &BTreeSet<&String>, &BTreeMap<String, i64>),
        is_over: bool,
    ) {
        let (start_ns, length_ns) = (answer.start_ns, monitor.length_ns);
        let vouched_ns = if is_over {
            i64::MAX
        } else {
            start_ns + length_ns + GRACE_NS
        };
        let closed_ns = start_ns + length_ns + GRACE_NS;
        let until_ns = |host: &String| left.get(host).map_or(vouched_ns, |left_ns| closed_ns.min(*left_ns));
        let vouched = |entry: &Entry| ok.contains(&entry.host) && entry.written_ns <= until_ns(&entry.host);
        let may = |entry: &Entry| ok.contains(&entry.host) || leaving.contains(&entry.host);
        let possible = |entry: &Entry| may(entry) && entry.begun_ns <= answer.answered_ns;
        let (least, most) = (
            self.sums(monitor, start_ns, &vouched),
            self.sums(monitor, start_ns, &possible),
        );
        let said = sums(monitor, &answer.points);
        let groups: BTreeSet<&String> = least.keys().chain(most.keys()).chain(said.keys()).collect();
        let mut wrong = Vec::new();
        for group in groups {
            let of = |sums: &BTreeMap<String, Sum>| sums.get(group).copied().unwrap_or_default();
            let (least, said, most) = (of(&least), of(&said), of(&most));
            let is_exact = least.records != most.records || least == said;
            if said.records < least.records || most.records < said.records || !is_exact {
                wrong.push(format!("{group}: {least:?} ≤ {said:?} ≤ {most:?}"));
            }
        }
        let id = if answer.points[0].percent == Some(100) {
            "C1-complete"
        } else {
            "C1-partial"
        };
        if !wrong.is_empty() {
            self.violated(id, format!("{} at {start_ns}: {wrong:?}; {answer:?}", monitor.name));
        }
        if is_over && leaving.is_empty() && left.is_empty() {
            let late = self.ledger.late(start_ns, length_ns, |entry| ok.contains(&entry.host));
            let said = answer.points[0].late;
            if late != said {
                self.violated(
                    "C5-late",
                    format!("{} at {start_ns}: {late} late, {said} said", monitor.name),
                );
            }
        }
        self.note_strokes(monitor, answer);
    }

    /// Notes that a complete window lies where a log was renamed or copied.
    fn note_strokes(&mut self, monitor: Watched, answer: &Answer) {
        let window = answer.start_ns..answer.start_ns + monitor.length_ns;
        let is_complete = answer.points[0].percent == Some(100);
        let says = |host: &str| {
            answer
                .hosts
                .as_ref()
                .and_then(|states| states.get(host))
                .map(String::as_str)
        };
        for (stroke, mark) in [
            (Stroke::Rotate, Mark::Rotated),
            (Stroke::RotateTwice, Mark::RotatedTwice),
            (Stroke::CopyTruncate, Mark::CopyTruncated),
            (Stroke::Truncate, Mark::Truncated),
            (Stroke::RotateAndRemove, Mark::RemovedUnread),
        ] {
            for (host, at_ns) in self.strokes.of(stroke) {
                let near = window.start - LOSS_NEAR_NS <= at_ns && at_ns < window.end + LOSS_NEAR_NS;
                let is_met = match stroke {
                    Stroke::Rotate | Stroke::RotateTwice => {
                        window.contains(&at_ns) && (is_complete || says(&host).is_some_and(is_ok))
                    }
                    Stroke::CopyTruncate => {
                        (is_complete && window.contains(&at_ns)) || (near && says(&host) == Some("bytes_lost"))
                    }
                    Stroke::Truncate | Stroke::RotateAndRemove => near && says(&host) == Some("bytes_lost"),
                };
                if is_met {
                    self.marks.set(mark);
                }
            }
        }
    }

    /// What was written into a window, by the monitor's groups.
    fn sums(&self, monitor: Watched, start_ns: i64, of: &impl Fn(&Entry) -> bool) -> BTreeMap<String, Sum> {
        let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
        for entry in self.ledger.entries(start_ns, monitor.length_ns) {
            let group = match monitor.groups {
                Groups::Op => entry.op.to_owned(),
                Groups::Host => entry.host.clone(),
                Groups::Nothing => continue,
            };
            if of(&entry) {
                let sum = sums.entry(group).or_default();
                sum.records += 1;
                sum.lines += entry.lines;
                sum.value_milli += entry.value_milli;
            }
        }
        sums
    }
}

/// Values of one window by group.
fn sums(monitor: Watched, points: &[Point]) -> BTreeMap<String, Sum> {
    let column = match monitor.groups {
        Groups::Op => "op",
        Groups::Host => "host",
        Groups::Nothing => "",
    };
    let of = |point: &Point| {
        let group = if column.is_empty() {
            Some(String::new())
        } else {
            point.group[column].as_str().map(str::to_owned)
        };
        let records = point.values["records"].as_u64()?;
        let sum = Sum {
            records,
            lines: point.values["lines"].as_u64().unwrap_or(0),
            value_milli: milli(&point.values["value"]),
        };
        Some((group?, sum))
    };
    points.iter().filter_map(of).collect()
}

/// A decimal with at most three fraction digits, in thousandths; 0 for null.
fn milli(value: &Value) -> i64 {
    if value.is_null() {
        return 0;
    }
    let text = value.to_string();
    let (units, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction: i64 = format!("{fraction:0<3}").parse().unwrap_or(i64::MAX / 2_000);
    units.parse::<i64>().unwrap_or(i64::MAX / 2_000) * 1000 + fraction
}

#[cfg(test)]
mod tests;
