//! A question for records: `select * from log …`, and its answer from the windows that come back.
//!
//! It has counted what a question that counts would, by the same code, in windows that are judged like others; so it
//! knows how many records there are in all, and how complete that is, beside those that it shows.

use super::answer::Completeness;
use super::error::QueryError;
use super::explain::{Explanation, Line};
use super::facts::{Facts, Withheld};
use super::range::{resolve, round_down, round_up};
use configs::Diagnostic;
use configs::monitor::Monitor;
use configs::query::{Direction, RecordsQuery, RecordsSource};
use map::kept::{End, Keep, Kept, KeptRecord};
use map::partial::WindowPartial;
use map::plan::Shape;
use map::protocol::RecordsWanted;
use map::state::State;
use reduce::point::{Flag, Record, WindowState, rfc3339};
use reduce::stored::{StoredBody, StoredHeader, decode};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::ops::Range;
use store::StoredWindow;

const NANOS_PER_MS: i64 = 1_000_000;
/// Lengths that windows may have, in milliseconds: each divides a day, and most divide the next.
const LENGTHS_MS: [u64; 12] = [
    1_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000, 14_400_000, 43_200_000, 86_400_000,
];
/// A stretch of time is judged in about so many windows at most: so finely it is told from when on a host has a log.
const WINDOWS_WANTED_MAX: u64 = 500;
/// A monitor's own windows may be more, since its points were judged in them.
const OWN_WINDOWS_MAX: u64 = 2_000;

/// A question for records that was compiled.
pub(super) struct RecordsAsked {
    shape: Shape,
    wanted: RecordsWanted,
    /// The monitor whose records they are, if it is one's.
    monitor: Option<String>,
    /// What selects them, for people.
    filter: Option<String>,
    range: Range<i64>,
}

impl RecordsAsked {
    /// The question as it is meant at `now_ns`, of this monitor, which is the query's own if that asks a log.
    pub(super) fn new(text: &str, query: &RecordsQuery, of: &Monitor, now_ns: i64) -> Result<Self, QueryError> {
        let range = resolve(&query.range, now_ns).map_err(|message| {
            let span = 0..text.len();
            QueryError::Text(Box::new(Diagnostic::of_query(text, span, message, None)))
        })?;
        let (monitor, condition, own_ms) = match &query.source {
            RecordsSource::Log { .. } => (None, None, None),
            RecordsSource::Monitor { name, condition } => {
                (Some(name.value.clone()), condition.as_ref(), Some(of.window_ms))
            }
        };
        if let Some(condition) = condition {
            let checked = configs::check_narrowing(text, of, condition);
            checked.map_err(|mistake| QueryError::Unfit(Box::new(mistake)))?;
        }
        let wanted = RecordsWanted {
            keep: Keep {
                limit: u16::try_from(query.limit).unwrap_or(u16::MAX),
                end: match query.direction {
                    Direction::Ascending => End::First,
                    Direction::Descending => End::Last,
                },
            },
            from_ns: range.start,
            to_ns: range.end,
            window_ms: window_ms(&range, own_ms),
            condition: condition.map(ToString::to_string),
        };
        let compiled = map::definition::of_records(of.clone(), &wanted);
        let (counting, plan) = compiled.map_err(|message| {
            let hint = Some("ask for something else".to_owned());
            QueryError::Unfit(Box::new(Diagnostic::of_query(text, 0..text.len(), message, hint)))
        })?;
        Ok(Self {
            shape: plan.shape(),
            wanted,
            monitor,
            filter: counting.filter.as_ref().map(ToString::to_string),
            range,
        })
    }

    pub(super) fn wanted(&self) -> &RecordsWanted {
        &self.wanted
    }

    /// Starts of the windows that are read: all that hold anything of the range.
    pub(super) fn windows(&self) -> Range<i64> {
        let length_ns = self.shape.window_ns;
        round_down(self.range.start, length_ns)..round_up(self.range.end, length_ns)
    }

    pub(super) fn explain(&self, source: String) -> Explanation {
        let line = |name, text| Line { name, text };
        let (windows, keep) = (self.windows(), self.wanted.keep);
        let (from, to) = (rfc3339(self.range.start), rfc3339(self.range.end));
        let end = match keep.end {
            End::First => "first",
            End::Last => "last",
        };
        let judged = format!(
            "records from {from} to before {to}, judged in windows of {} ms from {}",
            self.wanted.window_ms,
            rfc3339(windows.start)
        );
        let mut lines = vec![line("source", source), line("read", judged)];
        lines.extend(self.filter.clone().map(|filter| line("filter", filter)));
        let shown = format!(
            "the {end} {}, by time, host, file and offset; all are counted",
            keep.limit
        );
        lines.push(line("records", shown));
        Explanation { plan: lines }
    }

    /// Its answer from these windows, in order.
    pub(super) fn answer(&self, windows: Vec<StoredWindow>) -> Result<RecordsAnswer, QueryError> {
        let mut answer = Gathered {
            facts: Facts::new(),
            kept: Kept::new(self.wanted.keep),
            matched: 0,
            is_partial: false,
            warnings: Vec::new(),
        };
        for window in windows {
            answer.take(&self.shape, &window)?;
        }
        let windows = self.windows();
        let windows = (windows.end.saturating_sub(windows.start) / self.shape.window_ns.max(1)).max(0) as u64;
        Ok(answer.finish(self, windows))
    }
}

/// Windows while they are read.
struct Gathered {
    facts: Facts,
    kept: Kept,
    matched: u64,
    is_partial: bool,
    warnings: Vec<String>,
}

impl Gathered {
    fn take(&mut self, shape: &Shape, window: &StoredWindow) -> Result<(), QueryError> {
        let unreadable = |error: reduce::stored::Unreadable| QueryError::Unreadable(error.to_string());
        let header: StoredHeader = decode("header", &window.header).map_err(unreadable)?;
        let body: StoredBody = decode("body", &window.body).map_err(unreadable)?;
        let partial = body.into_partial(shape).map_err(unreadable)?;
        let is_poisoned = header.flags.contains(&Flag::Poisoned);
        let withheld = is_poisoned.then_some(Withheld::Poisoned);
        self.facts.add(&header, window.fence.revision, withheld);
        let is_whole = header.hosts.hosts().percent() == Some(100) && header.lost.total() == 0 && !is_poisoned;
        self.is_partial |= header.state != WindowState::Open && !is_whole;
        if !is_poisoned {
            self.facts.add_body(&partial);
            self.add(&partial);
        }
        Ok(())
    }

    fn add(&mut self, partial: &WindowPartial) {
        for (group, states) in partial.groups.iter() {
            self.matched += group.records;
            for state in states {
                if let State::Records(kept) = state {
                    self.kept.merge(kept);
                }
            }
        }
    }

    fn finish(mut self, asked: &RecordsAsked, windows: u64) -> RecordsAnswer {
        let records: Vec<KeptRecord> = self.kept.shown().into_iter().cloned().collect();
        let (shown, matched) = (records.len() as u64, self.matched);
        if shown < matched && shown < u64::from(asked.wanted.keep.limit) {
            self.warnings.push(format!(
                "only {shown} of {matched} records are shown: behind them it is not known which would be next, since \
                 hosts are not ok for all of the time; ask for a shorter range"
            ));
        }
        RecordsAnswer {
            more: shown < matched,
            records,
            matched,
            keep: asked.wanted.keep,
            monitor: asked.monitor.clone(),
            range: asked.range.clone(),
            window_ms: asked.wanted.window_ms,
            completeness: Completeness::of_windows(self.facts, windows),
            is_partial: self.is_partial,
            warnings: self.warnings,
        }
    }
}

/// How long windows are: a monitor's own where they are not too many, else the shortest that are few.
fn window_ms(range: &Range<i64>, own_ms: Option<u64>) -> u64 {
    let windows = |length_ms: u64| {
        let length_ns = i64::try_from(length_ms)
            .unwrap_or(i64::MAX)
            .saturating_mul(NANOS_PER_MS)
            .max(1);
        let whole = round_up(range.end, length_ns).saturating_sub(round_down(range.start, length_ns));
        (whole / length_ns).max(0) as u64
    };
    if let Some(own_ms) = own_ms.filter(|own_ms| windows(*own_ms) <= OWN_WINDOWS_MAX) {
        return own_ms;
    }
    let fitting = |length_ms: &u64| windows(*length_ms) <= WINDOWS_WANTED_MAX;
    let longest = LENGTHS_MS[LENGTHS_MS.len() - 1];
    LENGTHS_MS.into_iter().find(fitting).unwrap_or(longest)
}

/// Records, and how complete that is.
#[derive(Debug, Clone)]
pub struct RecordsAnswer {
    records: Vec<KeptRecord>,
    matched: u64,
    more: bool,
    keep: Keep,
    monitor: Option<String>,
    range: Range<i64>,
    window_ms: u64,
    completeness: Completeness,
    /// As in [`super::Answer::is_partial`].
    pub is_partial: bool,
    /// What the reader should know besides, for people.
    pub warnings: Vec<String>,
}

impl Serialize for RecordsAnswer {
    /// The `data` of a response: all but the warnings and whether it is partial.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let records: Vec<Record<'_>> = self.records.iter().map(Record).collect();
        let order = match self.keep.end {
            End::First => "asc",
            End::Last => "desc",
        };
        let mut data = serializer.serialize_struct("RecordsAnswer", 11)?;
        data.serialize_field("records", &records)?;
        data.serialize_field("matched", &self.matched)?;
        data.serialize_field("more", &self.more)?;
        data.serialize_field("limit", &self.keep.limit)?;
        data.serialize_field("order", order)?;
        data.serialize_field("monitor", &self.monitor)?;
        data.serialize_field("window_ms", &self.window_ms)?;
        data.serialize_field("from", &rfc3339(self.range.start))?;
        data.serialize_field("to", &rfc3339(self.range.end))?;
        data.serialize_field("completeness", &self.completeness)?;
        data.serialize_field("state", &self.completeness.state())?;
        data.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use configs::query::Question;
    use map::extreme::Position;
    use map::kept::cut;
    use map::partial::{Loss, Losses};
    use map::verdict::HostState;
    use map::wire::{WireGroup, WirePartial};
    use reduce::stored::{HostTable, encode};
    use store::Fence;

    const SECOND_NS: i64 = 1_000_000_000;
    const TEXT: &str = "select * from log '/x.log' where app = 'shop' from 1970-01-01T00:00:10Z to \
                        1970-01-01T00:00:13Z limit 2";

    #[track_caller]
    fn check(from_s: i64, to_s: i64, own_ms: Option<u64>, expected_ms: u64) {
        let range = from_s * SECOND_NS..to_s * SECOND_NS;
        assert_eq!(window_ms(&range, own_ms), expected_ms);
    }

    #[test]
    fn windows_are_a_monitors_own_or_few() {
        check(60, 65, Some(5_000), 5_000);
        check(0, 3_600, Some(5_000), 5_000);
        check(0, 86_400, Some(5_000), 300_000);
        check(0, 60, None, 1_000);
        check(7, 607, None, 5_000);
        check(0, 3_600, None, 10_000);
        check(0, 40_000 * 86_400, None, 86_400_000);
        check(5, 5, None, 1_000);
    }

    fn asked(text: &str) -> RecordsAsked {
        let Ok(Question::Records(query)) = configs::parse_question(text) else {
            panic!("it asks for records")
        };
        let RecordsSource::Log { monitor, .. } = &query.source else {
            panic!("it names a log")
        };
        RecordsAsked::new(text, &query, monitor, 0).expect("a good question")
    }

    /// A window of two hosts with records of these stamps.
    fn window(asked: &RecordsAsked, second: i64, stamps_ms: &[i64], other: HostState) -> StoredWindow {
        let mut kept = Kept::new(asked.wanted.keep);
        for (offset, stamp_ms) in stamps_ms.iter().enumerate() {
            let position = Position {
                timestamp_nanos: stamp_ms * NANOS_PER_MS,
                host: b"h1",
                path: b"/x.log",
                generation: 1,
                offset: offset as u64,
            };
            kept.add(position, 9, || cut(b"a\x1b\xff<b>\n"));
        }
        let records = stamps_ms.len() as u64;
        let groups = vec![WireGroup {
            key: Vec::new(),
            records,
            states: vec![State::Count(records), State::Records(Box::new(kept))],
        }];
        let partial = WirePartial {
            records,
            bad_values: vec![0, 0],
            groups,
            ..WirePartial::default()
        };
        let header = StoredHeader {
            monitor_version: 0,
            inventory_version: Some(1),
            profile_version: 1,
            state: WindowState::Settled,
            hosts: HostTable::new([HostState::Ok, other].map(|state| (state, None))),
            records,
            lost: Losses::default(),
            flags: Vec::new(),
            withdrawn: Vec::new(),
            overflow: None,
        };
        StoredWindow {
            window_ns: second * SECOND_NS,
            length_ns: SECOND_NS,
            fence: Fence { epoch: 0, revision: 1 },
            done: false,
            header: encode(&header),
            body: encode(&StoredBody { partial }),
        }
    }

    fn json(answer: &RecordsAnswer) -> serde_json::Value {
        serde_json::to_value(answer).expect("plain data")
    }

    #[test]
    fn an_answer_has_the_first_of_all_windows_and_how_many_there_are() {
        let asked = asked(TEXT);
        assert_eq!(asked.windows(), 10 * SECOND_NS..13 * SECOND_NS);
        let windows = [(10, &[][..]), (11, &[11_500, 11_250][..]), (12, &[12_000][..])];
        let windows = windows.map(|(second, stamps)| window(&asked, second, stamps, HostState::OkSilent));
        let answer = asked.answer(windows.to_vec()).expect("an answer");
        let shown = json(&answer);
        assert_eq!(
            shown["records"],
            serde_json::json!([
                { "time": "1970-01-01T00:00:11.25Z", "host": "h1", "file": "/x.log", "offset": 1, "bytes": 9,
                  "text": "a\u{1b}\\xff<b>", "cut": false },
                { "time": "1970-01-01T00:00:11.5Z", "host": "h1", "file": "/x.log", "offset": 0, "bytes": 9,
                  "text": "a\u{1b}\\xff<b>", "cut": false },
            ])
        );
        let of = &shown["completeness"];
        assert_eq!((&shown["matched"], &shown["more"]), (&3.into(), &true.into()));
        assert_eq!(
            (&of["percent"], &of["ok"], &of["records"]),
            (&100.into(), &6.into(), &3.into())
        );
        assert_eq!((&of["windows"], &of["windows_expected"]), (&3.into(), &3.into()));
        assert!(
            !answer.is_partial && answer.warnings.is_empty(),
            "{:?}",
            answer.warnings
        );
    }

    #[test]
    fn what_is_missing_or_lost_or_withheld_is_said() {
        let asked = asked(TEXT);
        let whole = || window(&asked, 10, &[10_000], HostState::Ok);
        let timeout = window(&asked, 11, &[11_000], HostState::Timeout);
        let answer = asked.answer(vec![whole(), timeout]).expect("an answer");
        assert!(answer.is_partial);
        assert_eq!(
            json(&answer)["completeness"]["missing"],
            serde_json::json!({ "timeout": 1 })
        );
        let with = |change: &dyn Fn(&mut StoredHeader)| {
            let mut window = whole();
            let mut header: StoredHeader = decode("header", &window.header).expect("reads");
            change(&mut header);
            window.header = encode(&header);
            asked.answer(vec![window]).expect("an answer")
        };
        let lost = with(&|header| header.lost.add(Loss::Late, 1));
        assert!(lost.is_partial && json(&lost)["completeness"]["lost"]["late"] == 1);
        let poisoned = with(&|header| header.flags.push(Flag::Poisoned));
        assert!(poisoned.is_partial && json(&poisoned)["records"] == serde_json::json!([]));
        let open = with(&|header| header.state = WindowState::Open);
        assert!(!open.is_partial, "what is not over is not judged");
    }
}
