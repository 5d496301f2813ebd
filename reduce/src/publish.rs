//! The last merge: a monitor's windows as points, in the order in which people read them.

use crate::completeness::Hosts;
use crate::overflow::Overflow;
use crate::point::{Flag, Header, Point, WindowState};
use crate::value::{OutputValue, evaluate};
use map::groups::{Folded, Groups, merge_states};
use map::invariant;
use map::invariant::Invariant;
use map::partial::{Partial, WindowPartial};
use map::plan::{OutputNode, Shape};
use map::state::State;
use mutant::Mutant;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// What a folded group is called, in each of its columns.
pub const OTHER: &str = "__other__";

/// What holds for every window of an answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Hosts asked.
    pub hosts: Hosts,
    /// How final the windows are.
    pub state: WindowState,
    /// Stretches of time in which records of a repeated hour were taken for its first pass (F9), in nanoseconds.
    pub ambiguous_ns: Vec<Range<i64>>,
}

/// Which windows are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// Those in which something was counted or lost.
    Touched,
    /// All from the first that was to the last that was.
    FilledBetweenTouched,
    /// Those whose start lies in the half-open range, in nanoseconds; with all that are empty.
    Range {
        /// Inclusive; `None` is the first window touched.
        from_ns: Option<i64>,
        /// Exclusive; `None` is behind the last window touched.
        to_ns: Option<i64>,
    },
}

/// What is said of one window beside its counts.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Hosts that are ok, and those that are not.
    pub hosts: Hosts,
    /// How final it is.
    pub state: WindowState,
    /// Flags, sorted; [`Flag::GroupsFolded`] is found out from the counts besides.
    pub flags: Vec<Flag>,
    /// Which columns made more groups than are kept, if that was found out before the groups were limited.
    pub overflow: Option<Overflow>,
    /// Which revision.
    pub revision: u64,
}

/// The points of a monitor's windows, by window, then group.
pub fn publish(shape: &Shape, partial: &Partial, answer: &Answer, windows: Windows) -> Vec<Point> {
    let publisher = Publisher::new(shape);
    let empty = WindowPartial::new(&shape.kinds, 1);
    let starts = window_starts(shape, partial, windows);
    starts
        .into_iter()
        .flat_map(|start| {
            let facts = answer.facts(start, shape.window_ns);
            publisher.window(start, &facts, partial.windows.get(&start).unwrap_or(&empty))
        })
        .collect()
}

impl Answer {
    /// What holds for the window that starts here.
    fn facts(&self, start_ns: i64, length_ns: i64) -> Facts {
        let end_ns = start_ns.saturating_add(length_ns);
        let mut ranges = self.ambiguous_ns.iter();
        let is_ambiguous = ranges.any(|range| range.start < end_ns && start_ns < range.end);
        Facts {
            hosts: self.hosts.clone(),
            state: self.state,
            flags: is_ambiguous.then_some(Flag::AmbiguousTime).into_iter().collect(),
            overflow: None,
            revision: 1,
        }
    }
}

/// A window as it is shown: the groups with most records, ties by their columns, as many as an answer keeps; the rest
/// in one (M6). Doing it twice changes nothing, and the totals stay what they were.
pub fn limited(shape: &Shape, window: &WindowPartial) -> WindowPartial {
    limited_to(shape, window, shape.answer_groups)
}

/// As [`limited`], to so many groups.
pub fn limited_to(shape: &Shape, window: &WindowPartial, groups_max: usize) -> WindowPartial {
    let (kept, other) = divided(&window.groups, groups_max);
    let mut groups = Groups::new(Arc::clone(&shape.kinds), kept.len());
    for row in &kept {
        groups.take_in(row.key, row.records, &row.states);
    }
    if let Some((records, states)) = other {
        groups.take_in_folded(&Folded { records, states });
    }
    WindowPartial {
        records: window.records,
        lost: window.lost,
        head_lines: window.head_lines,
        bad_values: window.bad_values.clone(),
        groups,
    }
}

/// Whether a window may be shown: each record counted once at most, and none lost from sight by folding groups. If
/// not, it must be flagged [`Flag::Poisoned`], and its values are withheld.
pub fn is_sound(shape: &Shape, window: &WindowPartial) -> bool {
    let kept: u64 = window.groups.iter().map(|(group, _)| group.records).sum();
    let selected = kept + window.groups.folded().map_or(0, |folded| folded.records);
    let once = match shape.is_filtered {
        true => selected <= window.records,
        false => selected == window.records,
    };
    invariant!(
        Invariant::C4Once,
        once,
        "{selected} records in groups, {} in the window",
        window.records
    )
}

fn window_starts(shape: &Shape, partial: &Partial, windows: Windows) -> Vec<i64> {
    let touched = || partial.windows.keys().copied();
    let (from, to) = match windows {
        Windows::Touched => return touched().collect(),
        Windows::FilledBetweenTouched => (None, None),
        Windows::Range { from_ns, to_ns } => (from_ns, to_ns),
    };
    let length = shape.window_ns;
    let first =
        from.map(|from| from.div_euclid(length) * length + if from.rem_euclid(length) == 0 { 0 } else { length });
    let Some(first) = first.or_else(|| touched().next()) else {
        return Vec::new();
    };
    let Some(end) = to.or_else(|| touched().next_back().map(|last| last + length)) else {
        return Vec::new();
    };
    (0..)
        .map_while(|step: i64| first.checked_add(step.checked_mul(length)?))
        .take_while(|start| *start < end)
        .collect()
}

/// Makes points of windows of one shape.
#[derive(Debug)]
pub struct Publisher<'a> {
    shape: &'a Shape,
    monitor: Arc<str>,
    group_names: Vec<Arc<str>>,
    output_names: Vec<Arc<str>>,
}

/// A group of the answer: its key, columns, records and states.
struct Row<'a> {
    key: &'a [u8],
    columns: Vec<Option<&'a [u8]>>,
    records: u64,
    states: Cow<'a, [State]>,
}

/// Records and states of the groups beyond the limit.
type Other = (u64, Vec<State>);

/// The groups with most records, ties by their columns, as many as an answer keeps; the rest in one.
fn divided(groups: &Groups, groups_max: usize) -> (Vec<Row<'_>>, Option<Other>) {
    let mut rows: Vec<Row<'_>> = groups
        .iter()
        .map(|(group, states)| Row {
            key: group.key(),
            columns: group.columns(),
            records: group.records,
            states: states.into(),
        })
        .collect();
    let mut other: Option<Other> = groups.folded().map(|folded| (folded.records, folded.states.clone()));
    let limit = groups_max.max(1);
    if rows.len() > limit {
        if !mutant::is(Mutant::FirstComeGroups) {
            rows.sort_by(|a, b| b.records.cmp(&a.records).then_with(|| a.columns.cmp(&b.columns)));
        }
        for row in rows.drain(limit..) {
            match &mut other {
                Some((records, states)) => {
                    *records += row.records;
                    merge_states(states, &row.states);
                }
                None => other = Some((row.records, row.states.into_owned())),
            }
        }
    }
    (rows, other)
}

impl<'a> Publisher<'a> {
    /// For windows of this shape.
    pub fn new(shape: &'a Shape) -> Self {
        Self {
            shape,
            monitor: shape.monitor.as_str().into(),
            group_names: shape.group_names.iter().map(|name| name.as_str().into()).collect(),
            output_names: shape.outputs.iter().map(|output| output.name.as_str().into()).collect(),
        }
    }

    /// The points of one window, by group.
    pub fn window(&self, start_ns: i64, facts: &Facts, window: &WindowPartial) -> Vec<Point> {
        let (mut rows, other) = divided(&window.groups, self.shape.answer_groups);
        if facts.flags.contains(&Flag::Poisoned) || !self.is_sound(facts, window, &rows) {
            return vec![self.poisoned(start_ns, facts, window)];
        }
        rows.sort_by(|a, b| a.columns.cmp(&b.columns));
        let is_folded = other.is_some() && !self.group_names.is_empty();
        rows.extend(other.map(|(records, states)| Row {
            key: &[],
            columns: vec![Some(OTHER.as_bytes()); self.group_names.len()],
            records,
            states: states.into(),
        }));
        let mut header = self.header(start_ns, facts, window, is_folded);
        if is_folded {
            let (names, shown) = (&self.shape.group_names, self.shape.answer_groups.max(1));
            let said = facts.overflow.clone();
            header.overflow = said.or_else(|| Overflow::of(names, &window.groups, shown));
        }
        let header = Arc::new(header);
        if rows.is_empty() {
            return vec![self.empty(header)];
        }
        rows.iter().map(|row| self.point(&header, row)).collect()
    }

    /// What must hold of a window before it is shown: its counts are sound, there are no more groups than were asked
    /// for, and 100 % means that no host is missing.
    fn is_sound(&self, facts: &Facts, window: &WindowPartial, rows: &[Row<'_>]) -> bool {
        let hosts = &facts.hosts;
        is_sound(self.shape, window)
            && invariant!(
                Invariant::C8Bounded,
                rows.len() <= self.shape.answer_groups.max(1),
                "{} groups shown",
                rows.len()
            )
            && invariant!(
                Invariant::C2Honest,
                hosts.percent() != Some(100) || hosts.missing.is_empty(),
                "100 % with {:?} missing",
                hosts.missing
            )
    }

    /// A window that broke a promise: one point that says so and no value.
    fn poisoned(&self, start_ns: i64, facts: &Facts, window: &WindowPartial) -> Point {
        let mut header = self.header(start_ns, facts, window, false);
        header.flags.push(Flag::Poisoned);
        header.flags.dedup();
        let values = self.output_names.iter().cloned().map(|name| (name, OutputValue::Null));
        Point {
            header: Arc::new(header),
            group: Vec::new(),
            values: values.collect(),
        }
    }

    fn header(&self, start_ns: i64, facts: &Facts, window: &WindowPartial, is_folded: bool) -> Header {
        let mut flags = facts.flags.clone();
        if is_folded && !flags.contains(&Flag::GroupsFolded) {
            flags.insert(0, Flag::GroupsFolded);
        }
        Header {
            monitor: Arc::clone(&self.monitor),
            start_ns,
            window_ms: (self.shape.window_ns / 1_000_000) as u64,
            hosts: facts.hosts.clone(),
            records: window.records,
            lost: window.lost,
            head_lines: window.head_lines,
            bad_values: self.bad_values(&window.bad_values),
            flags,
            overflow: None,
            state: facts.state,
            revision: facts.revision,
        }
    }

    /// Bad values by output: an output that reads several states shows the sum of theirs.
    fn bad_values(&self, by_state: &[u64]) -> BTreeMap<String, u64> {
        let of = |node: &OutputNode| {
            let mut states = BTreeSet::new();
            states_of(node, &mut states);
            states.iter().map(|state| by_state[*state]).sum::<u64>()
        };
        let counts = self
            .shape
            .outputs
            .iter()
            .map(|output| (output.name.clone(), of(&output.node)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    fn point(&self, header: &Arc<Header>, row: &Row<'_>) -> Point {
        let columns = row.columns.iter().map(|column| column.map(<[u8]>::to_vec));
        let value = |node| evaluate(node, &row.states, self.shape.window_ns);
        let values = self.shape.outputs.iter().map(|output| value(&output.node));
        Point {
            header: Arc::clone(header),
            group: self.group_names.iter().cloned().zip(columns).collect(),
            values: self.output_names.iter().cloned().zip(values).collect(),
        }
    }

    /// A window in which nothing was selected. Without groups that is zero for the hosts that are ok; a group that is
    /// absent is known to be zero only if every host is (C3).
    fn empty(&self, header: Arc<Header>) -> Point {
        let states: Vec<State> = self.shape.kinds.iter().map(|kind| State::new(*kind)).collect();
        let is_known = match self.shape.is_grouped() {
            true => header.hosts.percent() == Some(100),
            false => header.hosts.ok > 0,
        };
        let value = |node| match is_known {
            true => evaluate(node, &states, self.shape.window_ns),
            false => OutputValue::Null,
        };
        let values: Vec<_> = self.shape.outputs.iter().map(|output| value(&output.node)).collect();
        Point {
            header,
            group: Vec::new(),
            values: self.output_names.iter().cloned().zip(values).collect(),
        }
    }
}

fn states_of(node: &OutputNode, states: &mut BTreeSet<usize>) {
    match node {
        OutputNode::Number(_) => {}
        OutputNode::State(index, _) => {
            states.insert(*index);
        }
        OutputNode::Negate(inner) => states_of(inner, states),
        OutputNode::Arithmetic(_, left, right) => {
            states_of(left, states);
            states_of(right, states);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use map::verdict::HostState;

    fn plan(text: &str) -> Shape {
        let monitor = configs::parse_mql(text).unwrap_or_else(|error| panic!("{error}"));
        map::plan::Plan::new(&monitor)
            .unwrap_or_else(|error| panic!("{error}"))
            .shape()
    }

    fn answer(states: &[HostState]) -> Answer {
        let mut hosts = Hosts::default();
        states.iter().for_each(|state| hosts.add(*state));
        Answer {
            hosts,
            state: WindowState::Settled,
            ambiguous_ns: std::iter::once(60_000_000_000..90_000_000_000).collect(),
        }
    }

    fn empty_window(text: &str, states: &[HostState]) -> Vec<OutputValue> {
        let plan = plan(text);
        let range = Windows::Range {
            from_ns: Some(0),
            to_ns: Some(1),
        };
        let points = publish(&plan, &Partial::default(), &answer(states), range);
        assert_eq!(points.len(), 1);
        points[0].values.iter().map(|(_, value)| value.clone()).collect()
    }

    /// C3: nothing is zero unless that is known.
    #[test]
    fn an_empty_window_is_zero_only_where_that_is_known() {
        let (ok, silent, unstamped) = (HostState::Ok, HostState::OkSilent, HostState::Unstamped);
        let zero = OutputValue::Number("0".to_owned());
        let all = [zero.clone(), OutputValue::Null];
        let grouped = "select count(), max(x) parse json group by op";
        let plain = "select count(), max(x) parse json";
        assert_eq!(empty_window(grouped, &[ok, silent]), all);
        assert_eq!(
            empty_window(grouped, &[ok, unstamped]),
            [OutputValue::Null, OutputValue::Null]
        );
        assert_eq!(
            empty_window(plain, &[ok, unstamped]),
            all,
            "exactly zero for the host that is ok"
        );
        assert_eq!(
            empty_window(plain, &[unstamped]),
            [OutputValue::Null, OutputValue::Null]
        );
    }

    #[test]
    fn ranges_are_of_window_starts() {
        let plan = plan("select count() every 1m");
        let minute = 60_000_000_000;
        let starts = |from_ns, to_ns| window_starts(&plan, &Partial::default(), Windows::Range { from_ns, to_ns });
        assert_eq!(starts(Some(0), Some(2 * minute)), [0, minute]);
        assert_eq!(starts(Some(1), Some(2 * minute + 1)), [minute, 2 * minute]);
        assert_eq!(starts(Some(-minute - 1), Some(0)), [-minute]);
        assert_eq!(starts(None, Some(0)), Vec::<i64>::new());
    }

    /// F9: only windows that a doubtful hour touches are flagged.
    #[test]
    fn ambiguous_time_is_flagged_where_it_may_be() {
        let plan = plan("select count() every 1m");
        let range = Windows::Range {
            from_ns: Some(0),
            to_ns: Some(180_000_000_000),
        };
        let points = publish(&plan, &Partial::default(), &answer(&[HostState::Ok]), range);
        let flagged: Vec<bool> = points.iter().map(|point| !point.header.flags.is_empty()).collect();
        assert_eq!(flagged, [false, true, false]);
    }

    #[test]
    #[should_panic(expected = "C4Once is violated")]
    fn a_window_that_counts_a_record_twice_is_not_shown() {
        let plan = plan("select count()");
        let mut partial = Partial::default();
        let mut window = WindowPartial::new(&plan.kinds, 10);
        window.groups.enter(b"", 1);
        partial.windows.insert(0, window);
        publish(&plan, &partial, &answer(&[HostState::Ok]), Windows::Touched);
    }
}
