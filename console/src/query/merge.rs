//! Windows of a step joined into its rows: states merged by group, with what must be remembered to know a zero.

use super::facts::{Facts, Withheld};
use super::plan::{Detail, End, OverPoints, Plan};
use map::groups::merge_states;
use map::partial::WindowPartial;
use map::state::State;
use reduce::point::Flag;
use reduce::publish::OTHER;
use reduce::stored::StoredHeader;
use reduce::value::{OutputValue, evaluate};
use std::collections::BTreeMap;
use std::sync::Arc;

const NANOS: i128 = 1_000_000_000;
const FRACTION_DIGITS: usize = 9;

/// What a stored window brings.
pub(crate) enum Content {
    /// Its values, by what they mean for the question.
    Values(Arc<Plan>, Box<WindowPartial>),
    /// None.
    Withheld(Withheld),
}

/// A step of the answer while its windows are read.
pub(crate) struct Step {
    pub(crate) start_ns: i64,
    pub(crate) length_ns: i64,
    /// Length of its windows.
    pub(crate) window_ns: i64,
    pub(crate) facts: Facts,
    plan: Option<Arc<Plan>>,
    cells: BTreeMap<Box<[u8]>, Cell>,
    /// What the monitor had folded.
    folded: Option<Cell>,
    /// Windows in which groups were folded.
    folded_windows: u64,
    /// Windows in which an absent group is known to be zero (C3).
    zero_windows: u64,
    /// Windows that have values, and how long they are together.
    value_windows: u64,
    covered_ns: i64,
}

/// A stored group within a step.
#[derive(Clone)]
struct Cell {
    columns: Vec<Option<Vec<u8>>>,
    records: u64,
    /// The needed states.
    states: Vec<State>,
    /// For each of the plan's values over points, the least or greatest so far, in 10⁻⁹.
    ends: Vec<Option<i128>>,
    in_folded_windows: u64,
    in_zero_windows: u64,
}

/// A group of the answer within a step.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) columns: Vec<Option<Vec<u8>>>,
    pub(crate) kind: RowKind,
    pub(crate) records: u64,
    /// State `n` under condition `c` has the number `n × sets + c`.
    pub(crate) states: Vec<State>,
    pub(crate) ends: Vec<Option<i128>>,
    /// Whether any group met the condition, by its number; the first is no condition.
    pub(crate) matched: Vec<bool>,
}

/// What is known of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// Its values are those of its groups.
    Known,
    /// Groups that may belong to it were folded: its values are unknown.
    Unknown,
    /// It is what was folded.
    Other,
}

/// A step with its rows, whose values are still to be computed.
pub(crate) struct Finished {
    pub(crate) start_ns: i64,
    pub(crate) length_ns: i64,
    pub(crate) window_ns: i64,
    pub(crate) facts: Facts,
    /// `None` if no window had values.
    pub(crate) plan: Option<Arc<Plan>>,
    pub(crate) rows: Vec<Row>,
    pub(crate) value_windows: u64,
    pub(crate) covered_ns: i64,
    /// Whether the monitor had folded groups in it.
    pub(crate) is_folded: bool,
    /// Whether groups of it may be hidden: one that is not shown then is not known to be zero.
    pub(crate) is_judged: bool,
}

impl Step {
    pub(crate) fn new(start_ns: i64, length_ns: i64, window_ns: i64) -> Self {
        Self {
            start_ns,
            length_ns,
            window_ns,
            facts: Facts::new(),
            plan: None,
            cells: BTreeMap::new(),
            folded: None,
            folded_windows: 0,
            zero_windows: 0,
            value_windows: 0,
            covered_ns: 0,
        }
    }

    /// Groups held.
    pub(crate) fn groups(&self) -> usize {
        self.cells.len()
    }

    /// Takes in a window.
    pub(crate) fn take(&mut self, header: &StoredHeader, revision: u64, content: Content) {
        let (plan, partial) = match content {
            Content::Values(plan, partial) => (plan, partial),
            Content::Withheld(why) => return self.facts.add(header, revision, Some(why)),
        };
        if self.plan.as_ref().is_some_and(|mine| !mine.merges_with(&plan)) {
            return self.facts.add(header, revision, Some(Withheld::OtherVersion));
        }
        self.facts.add(header, revision, None);
        self.facts.add_body(&partial);
        self.merge(&plan, header, &partial);
        self.plan.get_or_insert(plan);
    }

    fn merge(&mut self, plan: &Plan, header: &StoredHeader, partial: &WindowPartial) {
        let hosts = header.hosts.hosts();
        let is_folded = partial.groups.folded().is_some() || header.flags.contains(&Flag::GroupsFolded);
        let is_zero_known = match plan.group_names.is_empty() {
            true => hosts.ok > 0,
            false => hosts.percent() == Some(100) && !is_folded,
        };
        for (group, states) in partial.groups.iter() {
            let cell = match self.cells.get_mut(group.key()) {
                Some(cell) => cell,
                None => {
                    let columns = group.columns().into_iter().map(|column| column.map(<[u8]>::to_vec));
                    let cell = Cell::new(plan, columns.collect());
                    self.cells.entry(group.key().into()).or_insert(cell)
                }
            };
            cell.take(plan, group.records, states);
            cell.in_folded_windows += u64::from(is_folded);
            cell.in_zero_windows += u64::from(is_zero_known);
        }
        if let Some(folded) = partial.groups.folded() {
            let other = self.folded.get_or_insert_with(|| Cell::new(plan, Vec::new()));
            other.take(plan, folded.records, &folded.states);
        }
        self.folded_windows += u64::from(is_folded);
        self.zero_windows += u64::from(is_zero_known);
        self.value_windows += u64::from(is_zero_known || !partial.groups.is_empty());
        self.covered_ns += plan.window_ns;
    }

    /// The rows of the step, now that all of its windows were taken.
    pub(crate) fn finish(mut self) -> Finished {
        let rows = match self.plan.clone() {
            Some(plan) => {
                self.fold_doubtful(&plan);
                self.rows(&plan)
            }
            None => Vec::new(),
        };
        Finished {
            start_ns: self.start_ns,
            length_ns: self.length_ns,
            window_ns: self.window_ns,
            facts: self.facts,
            plan: self.plan,
            rows,
            value_windows: self.value_windows,
            covered_ns: self.covered_ns,
            is_folded: self.folded_windows > 0,
            is_judged: false,
        }
    }

    /// A group that is absent from a window with folded groups may have been folded there: its value in the step is
    /// unknown, so all of it goes to what is folded. Groups that stay are whole, and totals stay right.
    fn fold_doubtful(&mut self, plan: &Plan) {
        if self.folded_windows == 0 {
            return;
        }
        let folded_windows = self.folded_windows;
        let doubtful = |cell: &Cell| cell.in_folded_windows < folded_windows;
        let keys: Vec<_> = (self.cells.iter())
            .filter(|(_, cell)| doubtful(cell))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            if let Some(cell) = self.cells.remove(&key) {
                let other = self.folded.get_or_insert_with(|| Cell::new(plan, Vec::new()));
                other.join(plan, &cell);
            }
        }
    }

    fn rows(&self, plan: &Plan) -> Vec<Row> {
        let mut rows: BTreeMap<Vec<Option<Vec<u8>>>, Row> = BTreeMap::new();
        for cell in self.cells.values() {
            let columns: Vec<Option<&[u8]>> = cell.columns.iter().map(Option::as_deref).collect();
            if plan.filter.as_ref().is_some_and(|filter| !filter.holds(&columns)) {
                continue;
            }
            let group = (plan.grouping.iter()).map(|(_, place)| cell.columns.get(*place).cloned().flatten());
            let group: Vec<_> = group.collect();
            let row = rows
                .entry(group)
                .or_insert_with_key(|group| Row::empty(plan, group.clone()));
            row.take(plan, cell, &columns, self.zero_windows > cell.in_zero_windows);
        }
        self.add_folded(plan, &mut rows);
        let mut rows: Vec<Row> = rows.into_values().collect();
        let is_doubtful = self.folded_windows > 0 && is_folding_felt(plan);
        for row in rows.iter_mut().filter(|_| is_doubtful) {
            row.kind = RowKind::Unknown;
        }
        rows.extend(self.other_row(plan));
        rows
    }

    /// The only row of an answer without groups is there even if nothing was counted, and has all that was folded.
    fn add_folded(&self, plan: &Plan, rows: &mut BTreeMap<Vec<Option<Vec<u8>>>, Row>) {
        if plan.filter.is_some() || !plan.grouping.is_empty() {
            return;
        }
        let only = || Row::empty(plan, Vec::new());
        if let Some(folded) = &self.folded {
            rows.entry(Vec::new()).or_insert_with(only).take_folded(plan, folded);
        }
        if plan.group_names.is_empty() && rows.is_empty() && self.zero_windows > 0 {
            let mut row = only();
            row.include_zero(plan);
            rows.insert(Vec::new(), row);
        }
    }

    /// What was folded, as a row of its own. Under a filter nobody knows how much of it would be selected.
    fn other_row(&self, plan: &Plan) -> Option<Row> {
        let folded = self
            .folded
            .as_ref()
            .filter(|_| plan.filter.is_none() && !plan.grouping.is_empty())?;
        let mut row = Row::empty(plan, vec![Some(OTHER.as_bytes().to_vec()); plan.grouping.len()]);
        row.take_folded(plan, folded);
        row.kind = RowKind::Other;
        Some(row)
    }
}

/// Whether folded groups may belong to the rows of an answer: not to those of the monitor's own groups, which are
/// whole, nor to a total of all, which has them.
fn is_folding_felt(plan: &Plan) -> bool {
    match plan.detail {
        Detail::Stored => false,
        Detail::Total => plan.filter.is_some(),
        Detail::Coarser => true,
    }
}

impl Cell {
    fn new(plan: &Plan, columns: Vec<Option<Vec<u8>>>) -> Self {
        Self {
            columns,
            records: 0,
            states: plan.needed.iter().map(|index| State::new(plan.kinds[*index])).collect(),
            ends: vec![None; plan.over_points.len()],
            in_folded_windows: 0,
            in_zero_windows: 0,
        }
    }

    /// Takes in the group's states of one window.
    fn take(&mut self, plan: &Plan, records: u64, states: &[State]) {
        self.records += records;
        for (mine, index) in self.states.iter_mut().zip(&plan.needed) {
            mine.merge(&states[*index]);
        }
        for (end, over) in self.ends.iter_mut().zip(&plan.over_points) {
            if let OutputValue::Number(text) = evaluate(&over.node, states, plan.window_ns) {
                include(end, over, nanos_of(&text));
            }
        }
    }

    fn join(&mut self, plan: &Plan, other: &Self) {
        self.records += other.records;
        merge_states(&mut self.states, &other.states);
        for ((end, over), value) in self.ends.iter_mut().zip(&plan.over_points).zip(&other.ends) {
            include(end, over, *value);
        }
    }
}

impl Row {
    /// A row in which nothing was counted.
    pub(crate) fn empty(plan: &Plan, columns: Vec<Option<Vec<u8>>>) -> Self {
        Self {
            columns,
            kind: RowKind::Known,
            records: 0,
            states: plan.empty_states(),
            ends: vec![None; plan.over_points.len()],
            matched: vec![false; plan.sets()],
        }
    }

    fn take(&mut self, plan: &Plan, cell: &Cell, columns: &[Option<&[u8]>], is_zero_somewhere: bool) {
        let conditions = plan.conditions.iter().map(|condition| condition.holds(columns));
        let matched: Vec<bool> = std::iter::once(true).chain(conditions).collect();
        self.records += cell.records;
        self.take_states(plan, cell, &matched);
        for ((end, over), value) in self.ends.iter_mut().zip(&plan.over_points).zip(&cell.ends) {
            if matched[over.set] {
                include(end, over, *value);
                include(end, over, (is_zero_somewhere && over.is_additive).then_some(0));
            }
        }
    }

    /// Takes in what was folded: no condition is known to hold for it.
    fn take_folded(&mut self, plan: &Plan, folded: &Cell) {
        let mut matched = vec![false; plan.sets()];
        matched[0] = true;
        self.records += folded.records;
        self.take_states(plan, folded, &matched);
        for ((end, over), value) in self.ends.iter_mut().zip(&plan.over_points).zip(&folded.ends) {
            if over.set == 0 {
                include(end, over, *value);
            }
        }
    }

    fn take_states(&mut self, plan: &Plan, cell: &Cell, matched: &[bool]) {
        for (index, state) in cell.states.iter().enumerate() {
            for (set, _) in matched.iter().enumerate().filter(|(_, matched)| **matched) {
                self.states[index * plan.sets() + set].merge(state);
            }
        }
        for (mine, matched) in self.matched.iter_mut().zip(matched) {
            *mine |= matched;
        }
    }

    /// Counts a window in which nothing of the row was counted, and this is known.
    pub(crate) fn include_zero(&mut self, plan: &Plan) {
        for (end, over) in self.ends.iter_mut().zip(&plan.over_points) {
            include(end, over, over.is_additive.then_some(0));
        }
    }

    /// Takes in another row of the same step, when groups beyond a limit are folded.
    pub(crate) fn join(&mut self, plan: &Plan, other: &Self) {
        self.records += other.records;
        merge_states(&mut self.states, &other.states);
        for ((end, over), value) in self.ends.iter_mut().zip(&plan.over_points).zip(&other.ends) {
            include(end, over, *value);
        }
        for (mine, matched) in self.matched.iter_mut().zip(&other.matched) {
            *mine |= matched;
        }
        if other.kind == RowKind::Unknown {
            self.kind = RowKind::Unknown;
        }
    }
}

fn include(end: &mut Option<i128>, over: &OverPoints, value: Option<i128>) {
    *end = match (*end, value, over.end) {
        (so_far, None, _) => so_far,
        (None, value, _) => value,
        (Some(so_far), Some(value), End::Least) => Some(so_far.min(value)),
        (Some(so_far), Some(value), End::Greatest) => Some(so_far.max(value)),
    };
}

/// A value's text in 10⁻⁹, exactly as it is shown; `None` beyond what an `i128` holds, which no sum of decimals is.
pub(crate) fn nanos_of(text: &str) -> Option<i128> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let whole: i128 = whole.parse().ok()?;
    let fraction: i128 = format!("{fraction:0<FRACTION_DIGITS$}").parse().ok()?;
    whole.checked_mul(NANOS)?.checked_add(fraction)?.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_values_are_read_back_exactly() {
        for (text, nanos) in [
            ("0", 0),
            ("42", 42 * NANOS),
            ("-0.125", -125_000_000),
            ("0.000000001", 1),
        ] {
            assert_eq!(nanos_of(text), Some(nanos), "{text}");
        }
        assert_eq!(nanos_of("999999999999999999999999999999999999999"), None);
    }
}
