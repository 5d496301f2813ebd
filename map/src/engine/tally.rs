//! One monitor's counts of one file: batches of judged records are placed in windows, then added to groups.
//!
//! What is done here is done for each monitor by itself, so it is what a hundred monitors on one log cost. A batch that
//! lies in one window is placed by two compares. Then nothing is decided record by record that a sheet has decided: a
//! record is the number of its group's key among those of the batch, and counts and sums are taken by these numbers.

use super::add::{View, count, evaluate, position, retain};
use super::batch::Batch;
use super::names::NAMES_MAX;
use super::seat::{Own, StateSeat, Way};
use super::sheet::{Kind, Numbers, Outcome, Sheet, lines};
use super::sheets::{Seated, Sheets};
use super::{Carried, Input, WindowStarts};
use crate::condition::Row;
use crate::groups::{Keys, Place, encode_column};
use crate::kept::{Kept, bound, cut};
use crate::number::Decimal;
use crate::partial::{Loss, Partial, Unplaced, WindowPartial};
use crate::plan::{Plan, Source};
use crate::state::{State, StateKind};
use hashbrown::HashMap;
use logline::fields::{Scratch, Slot};
use logline::order::{Following, Verdict, judge, reach_ns};
use logline::records::{Extent, Record, RecordReader, Stamps};
use logline::text::TextReader;
use mutant::Mutant;
use std::ops::{Deref, Range};

/// In the place of an index: the window is not counted.
const LEFT_OUT: usize = usize::MAX;

/// Of windows that keep records as they are, so many times as many as are wanted of all are held at most.
const KEPT_TIMES_MAX: usize = 8;

/// The records of each number.
type Totals<T> = [T; NAMES_MAX];

/// Counts records of one file for one monitor.
pub struct Tally<P> {
    plan: P,
    input: Input,
    seated: Seated,
    /// Shows records whose bytes are not their text, to monitors that look at none.
    text: Option<TextReader>,
    /// Whether records must be whole, and cut.
    uses_text: bool,
    /// Which windows are counted.
    asked: WindowStarts,
    windows: Vec<(i64, WindowPartial)>,
    /// Index in `windows` by start.
    by_start: HashMap<i64, usize>,
    /// Window of the last record: index in `windows` ([`LEFT_OUT`] if it is not counted), start and end.
    current: (usize, i64, i64),
    greatest: Option<i64>,
    /// Losses before the first good record.
    waiting: Unplaced,
    /// Where the records of the batch at hand belong.
    runs: Vec<Run>,
    /// Records that were shown to what keeps some of them since that was bounded last.
    kept_since: usize,
    chosen: Vec<u16>,
    some: Vec<u16>,
    key: Vec<u8>,
    keys: Keys,
}

/// What the records of a reader were judged to be, from a first one on.
#[derive(Debug, Clone)]
pub struct Verdicts {
    first: usize,
    verdicts: Vec<Verdict>,
    is_all_good: bool,
}

impl Verdicts {
    /// Judges the closed records of a reader from one on, as far as they can be (F3).
    pub fn new<S: Stamps>(reader: &RecordReader<S>, first: usize, lateness_ns: i64, following: Following) -> Self {
        let mut verdicts = Vec::new();
        let after = reader.open().map(|record| record.stamp);
        let reach_ns = reach_ns(lateness_ns);
        judge(&reader.closed()[first..], after, reach_ns, following, &mut verdicts);
        Self::of(first, verdicts)
    }

    /// What somebody else has judged.
    pub fn of(first: usize, verdicts: Vec<Verdict>) -> Self {
        Self {
            first,
            is_all_good: verdicts.iter().all(|verdict| *verdict == Verdict::Good),
            verdicts,
        }
    }

    /// Which closed records they are of.
    pub fn closed(&self) -> Range<usize> {
        self.first..self.first + self.verdicts.len()
    }

    /// Forgets those of all but so many.
    pub fn truncate(&mut self, count: usize) {
        self.verdicts.truncate(count);
    }
}

/// Records of a batch, one behind the other, in one window.
#[derive(Debug, Clone)]
struct Run {
    window: usize,
    records: Range<usize>,
}

impl<P: Deref<Target = Plan>> Tally<P> {
    /// Nothing counted yet. Goes on where another one of the same file ended.
    pub fn new(plan: P, input: Input, seated: Seated, carried: Carried) -> Self {
        Self {
            text: (!input.form.is_plain()).then(|| TextReader::new(input.form)),
            uses_text: plan.uses_text(),
            plan,
            input,
            seated,
            asked: WindowStarts::all(),
            windows: Vec::new(),
            by_start: HashMap::new(),
            current: (LEFT_OUT, 0, 0),
            greatest: carried.greatest,
            waiting: carried.waiting,
            runs: Vec::new(),
            kept_since: 0,
            chosen: Vec::new(),
            some: Vec::new(),
            key: Vec::new(),
            keys: Keys::default(),
        }
    }

    /// Counts only these windows.
    pub fn ask(&mut self, asked: WindowStarts) {
        self.asked = asked;
    }

    /// What its records are counted by.
    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    /// The greatest good stamp so far.
    pub(super) fn greatest(&self) -> Option<i64> {
        self.greatest
    }

    /// Counts the unstamped lines at the file's start, once they are all known.
    pub(super) fn count_head(&mut self, lines: u64) {
        match self.windows.first_mut() {
            Some((_, window)) if self.greatest.is_some() => window.head_lines += lines,
            _ => self.waiting.head_lines += lines,
        }
    }

    /// What was counted, what the counter of the next records begins with, and the place at the sheets.
    pub fn suspend(self) -> (Partial, Carried, Seated) {
        let carried = Carried {
            greatest: self.greatest,
            waiting: self.waiting,
        };
        let mut partial = Partial::default();
        partial.windows.extend(self.windows);
        (partial, carried, self.seated)
    }

    /// Places judged records, some of a batch, in windows. Whether the batch's sheet is needed to add them.
    pub fn place(&mut self, batch: &Batch<'_>, within: Range<usize>, verdicts: &Verdicts) -> bool {
        self.runs.clear();
        if within.is_empty() {
            return false;
        }
        if !verdicts.is_all_good || !self.place_at_once(batch, within.clone()) {
            let judged = batch.among(&within, verdicts.first);
            for (at, verdict) in within.zip(&verdicts.verdicts[judged]) {
                let window = self.place_one(&batch.records[at], *verdict);
                self.note(at, window);
            }
        }
        self.uses_text && !self.runs.is_empty()
    }

    /// Places good records that all lie in the window of the last one, and within the bound.
    fn place_at_once(&mut self, batch: &Batch<'_>, within: Range<usize>) -> bool {
        let (Some(so_far), (window, start, end)) = (self.greatest, self.current) else {
            return false;
        };
        let (least, greatest) = batch.stamps(within.clone());
        let newest = so_far.max(greatest);
        let is_near = newest.saturating_sub(least) <= self.input.lateness_ns;
        let is_inside = least >= start && greatest < end && !mutant::is(Mutant::WindowEdge);
        if !is_near || !is_inside {
            return false;
        }
        self.greatest = Some(newest);
        if window != LEFT_OUT {
            self.runs.push(Run {
                window,
                records: within,
            });
        }
        true
    }

    fn note(&mut self, at: usize, window: Option<usize>) {
        let Some(window) = window else { return };
        match self.runs.last_mut() {
            Some(run) if run.window == window && run.records.end == at => run.records.end += 1,
            _ => self.runs.push(Run {
                window,
                records: at..at + 1,
            }),
        }
    }

    /// The window of a record, if it counts in one.
    #[inline]
    fn place_one(&mut self, record: &Record, verdict: Verdict) -> Option<usize> {
        if verdict == Verdict::Wild {
            self.lose(Loss::BadTimestamp, record.stamp);
            return None;
        }
        if let Some(greatest) = self.greatest {
            if greatest.saturating_sub(record.stamp) > self.input.lateness_ns {
                self.lose(Loss::Late, record.stamp);
                return None;
            }
            self.greatest = Some(greatest.max(record.stamp));
        } else {
            self.begin(record.stamp);
        }
        self.window(record.stamp)
    }

    /// The first good record: what was lost before it is charged to its window.
    fn begin(&mut self, stamp: i64) {
        self.greatest = Some(stamp);
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            if let Some(index) = self.window(stamp) {
                self.windows[index].1.lost.merge(&waiting.lost);
                self.windows[index].1.head_lines += waiting.head_lines;
            }
        }
    }

    fn lose(&mut self, reason: Loss, own_stamp: i64) {
        let carrier = if mutant::is(Mutant::LossInOwnWindow) {
            Some(own_stamp)
        } else {
            self.greatest
        };
        match carrier {
            Some(stamp) => {
                if let Some(index) = self.window(stamp) {
                    self.windows[index].1.lost.add(reason, 1);
                }
            }
            None => self.waiting.lost.add(reason, 1),
        }
    }

    /// Index of the window that a stamp lies in, if that is counted.
    #[inline]
    fn window(&mut self, stamp: i64) -> Option<usize> {
        let (index, start, end) = self.current;
        if stamp >= start && stamp < end && !mutant::is(Mutant::WindowEdge) {
            return (index != LEFT_OUT).then_some(index);
        }
        self.other_window(stamp)
    }

    fn other_window(&mut self, stamp: i64) -> Option<usize> {
        let length = self.plan.window_ns;
        let edge = i64::from(mutant::is(Mutant::WindowEdge));
        let start = (stamp - edge).div_euclid(length).saturating_mul(length);
        let end = start.saturating_add(length);
        if !self.asked.contains(start) {
            self.current = (LEFT_OUT, start, end);
            return None;
        }
        let (windows, plan) = (&mut self.windows, &*self.plan);
        let index = *self.by_start.entry(start).or_insert_with(|| {
            windows.push((start, WindowPartial::new(&plan.kinds, plan.window_groups)));
            windows.len() - 1
        });
        self.current = (index, start, end);
        Some(index)
    }

    /// Where it finds what it needs of each record.
    pub fn seated(&self) -> &Seated {
        &self.seated
    }

    /// Adds the records that were placed last. The sheets hold the same batch.
    pub fn add(&mut self, batch: &Batch<'_>, sheets: &Sheets) {
        let runs = std::mem::take(&mut self.runs);
        for run in &runs {
            let sheet = sheets.of(&self.seated);
            self.choose(batch, sheet, run);
            self.add_chosen(batch, sheet, run.window);
        }
        self.runs = runs;
        let limit = self.plan.kept.as_ref().map(|kept| kept.limit(&self.plan));
        if limit.is_some_and(|limit| self.kept_since > KEPT_TIMES_MAX * limit) {
            self.bound_kept();
        }
    }

    /// Chooses the records of a run that count and are selected; those that cannot be read are lost.
    fn choose(&mut self, batch: &Batch<'_>, sheet: Option<&Sheet>, run: &Run) {
        self.chosen.clear();
        match sheet {
            Some(sheet) if !sheet.is_all_cut() => {
                for at in run.records.clone() {
                    let lost = &mut self.windows[run.window].1.lost;
                    match sheet.outcome(at) {
                        Outcome::Cut => self.chosen.push(at as u16),
                        Outcome::TooLong => lost.add(Loss::TooLong, 1),
                        Outcome::Undecodable => lost.add(Loss::Undecodable, 1),
                        Outcome::Unparsable => lost.add(Loss::Unparsable, 1),
                        Outcome::Odd => self.add_odd(batch, sheet, at, run.window),
                    }
                }
            }
            _ => self.chosen.extend(run.records.clone().map(|at| at as u16)),
        }
        self.windows[run.window].1.records += self.chosen.len() as u64;
        let view = View::new(&self.plan, &self.input, &self.seated.seat, (batch, sheet));
        view.choose(&self.seated.seat.filter, &mut self.chosen);
        if let Some(kept) = &self.plan.kept {
            retain(&mut self.chosen, |at| kept.range_ns.contains(&batch.records[at].stamp));
        }
    }

    fn add_chosen(&mut self, batch: &Batch<'_>, sheet: Option<&Sheet>, window: usize) {
        if self.chosen.is_empty() {
            return;
        }
        let numbering = self.seated.seat.key.zip(sheet).map(|(key, sheet)| sheet.numbering(key));
        let view = View::new(&self.plan, &self.input, &self.seated.seat, (batch, sheet));
        let window = &mut self.windows[window].1;
        let names = numbering.map_or(1, |numbering| numbering.firsts.len());
        let is_many = numbering.is_some_and(|numbering| numbering.is_many);
        let mut keeping = Keeping {
            view,
            text: self.text.as_mut(),
            kept: 0,
        };
        if is_many || !window.groups.has_room_for(names) {
            let WindowPartial { groups, bad_values, .. } = window;
            self.keys.clear();
            for at in &self.chosen {
                self.keys.push(|key| view.key(usize::from(*at), key));
            }
            let (chosen, seats) = (&self.chosen, &self.seated.seat.states);
            groups.enter_all(&mut self.keys, |number, states| {
                let at = usize::from(chosen[number]);
                view.add_one(seats, at, states, bad_values);
                keeping.keep(at, states);
            });
        } else {
            let ids = numbering.map(|numbering| numbering.ids.as_slice());
            let firsts = numbering.map(|numbering| numbering.firsts.as_slice());
            let mut totals = [0; NAMES_MAX];
            total(&self.chosen, ids, &mut totals, |total: &mut u64, _| *total += 1);
            let mut groups = ByGroup {
                view,
                window,
                places: [Place::Folded; NAMES_MAX],
                ids,
                names,
            };
            groups.enter(&totals, firsts.unwrap_or(&self.chosen), &mut self.key);
            for (index, seat) in self.seated.seat.states.iter().enumerate() {
                groups.add(index, seat, &self.chosen, &totals, &mut self.some);
            }
            if view.plan.kept.is_some() {
                for at in self.chosen.iter().map(|at| usize::from(*at)) {
                    keeping.keep(at, groups.states(at));
                }
            }
        }
        self.kept_since += keeping.kept;
    }

    /// Adds a record that has not all that the sheet is asked for, if it has all that this monitor needs.
    #[cold]
    fn add_odd(&mut self, batch: &Batch<'_>, sheet: &Sheet, at: usize, window: usize) {
        let (plan, input) = (&*self.plan, &self.input);
        let text = sheet.text(batch, at);
        let window = &mut self.windows[window].1;
        let own = self.seated.seat.own(plan, sheet);
        let Some(own) = own.and_then(|own| own.cut(text, lines(batch, at)).then_some(own)) else {
            return window.lost.add(Loss::Unparsable, 1);
        };
        window.records += 1;
        let (record, row) = (&batch.records[at], OwnRow { text, plan, input, own });
        let is_selected = plan
            .filter
            .as_ref()
            .is_none_or(|filter| filter.holds(&row) == Some(true));
        let is_asked = plan
            .kept
            .as_ref()
            .is_none_or(|kept| kept.range_ns.contains(&record.stamp));
        if !is_selected || !is_asked {
            return;
        }
        self.key.clear();
        for column in &plan.group_columns {
            encode_column(&mut self.key, row.column(*column));
        }
        let place = window.groups.enter(&self.key, 1);
        let states = window.groups.states_mut(place);
        for (index, (planned, state)) in plan.states.iter().zip(states).enumerate() {
            evaluate(planned, &row, record, input, state, &mut window.bad_values[index]);
            if let State::Records(kept) = state {
                keep(kept, record, text, None, input);
                self.kept_since += 1;
            }
        }
    }

    /// Of all windows together, no more records are kept than of each.
    #[cold]
    fn bound_kept(&mut self) {
        self.kept_since = 0;
        let windows = self.windows.iter_mut();
        let mut kept: Vec<_> = windows.flat_map(|(_, window)| window.groups.kept_mut()).collect();
        bound(&mut kept);
    }
}

impl View<'_> {
    /// Appends the key of a record's group.
    #[inline]
    fn key(self, at: usize, key: &mut Vec<u8>) {
        for column in &self.plan.group_columns {
            encode_column(key, self.column(*column, at));
        }
    }
}

/// Takes records together by the numbers of their keys; without numbers all are one.
#[inline]
fn total<T>(records: &[u16], ids: Option<&[u8]>, totals: &mut Totals<T>, mut take: impl FnMut(&mut T, usize)) {
    let records = records.iter().map(|at| usize::from(*at));
    match ids {
        None => records.for_each(|at| take(&mut totals[0], at)),
        Some(ids) => records.for_each(|at| take(&mut totals[usize::from(ids[at]) % NAMES_MAX], at)),
    }
}

/// The groups of a batch's records in one window.
struct ByGroup<'g> {
    view: View<'g>,
    window: &'g mut WindowPartial,
    /// By the number of the key.
    places: Totals<Place>,
    ids: Option<&'g [u8]>,
    /// How many keys there are.
    names: usize,
}

impl ByGroup<'_> {
    /// Finds or makes the groups that have records, and counts those.
    fn enter(&mut self, totals: &Totals<u64>, firsts: &[u16], key: &mut Vec<u8>) {
        for (number, first) in firsts.iter().enumerate().take(self.names) {
            if totals[number] > 0 {
                key.clear();
                self.view.key(usize::from(*first), key);
                self.places[number] = self.window.groups.enter(key, totals[number]);
            }
        }
    }

    /// The states of a record's group.
    #[inline]
    fn states(&mut self, at: usize) -> &mut [State] {
        let number = self.ids.map_or(0, |ids| usize::from(ids[at]));
        self.window.groups.states_mut(self.places[number])
    }

    /// Adds records to one state of their groups.
    fn add(&mut self, index: usize, seat: &StateSeat, chosen: &[u16], all: &Totals<u64>, some: &mut Vec<u16>) {
        let chosen = match &seat.condition {
            None => chosen,
            Some(condition) => {
                some.clear();
                some.extend_from_slice(chosen);
                self.view.choose(condition, some);
                some.as_slice()
            }
        };
        let batch = self.view.batch;
        match (seat.way, self.view.sheet) {
            (Way::Count(crate::plan::Counted::Records), _) if seat.condition.is_none() => {
                self.settle(index, all, |state, total| state.add_count(*total));
            }
            (Way::Count(counted), _) => {
                let mut totals = [0; NAMES_MAX];
                let take = |total: &mut u64, at: usize| *total += count(counted, &batch.records[at]);
                total(chosen, self.ids, &mut totals, take);
                self.settle(index, &totals, |state, total| state.add_count(*total));
            }
            (Way::Number(numbers), Some(sheet)) => self.add_numbers(index, chosen, sheet.read(numbers)),
            (Way::Number(_) | Way::Evaluated, _) => {
                let (view, planned) = (self.view, &self.view.plan.states[index]);
                for at in chosen.iter().map(|at| usize::from(*at)) {
                    let mut bad = 0;
                    let state = &mut self.states(at)[index];
                    super::add::take(planned, &view.row(at), &batch.records[at], view.input, state, &mut bad);
                    self.window.bad_values[index] += bad;
                }
            }
            (Way::Kept, _) => {}
        }
    }

    fn add_numbers(&mut self, index: usize, chosen: &[u16], numbers: &Numbers) {
        let bad = chosen.iter().filter(|at| numbers.kinds[usize::from(**at)] == Kind::Bad);
        self.window.bad_values[index] += bad.count() as u64;
        let number = |at: usize| (numbers.kinds[at] == Kind::Number).then(|| numbers.values[at]);
        match self.view.plan.states[index].kind {
            StateKind::Sum => {
                let mut totals = [(0, 0); NAMES_MAX];
                let take = |(count, sum): &mut (u64, i128), at: usize| {
                    *count += u64::from(numbers.kinds[at] == Kind::Number);
                    // What is no number is kept as nought.
                    *sum += numbers.values[at];
                };
                total(chosen, self.ids, &mut totals, take);
                self.settle(index, &totals, |state, (count, sum)| state.add_sum(*count, *sum));
            }
            StateKind::Min | StateKind::Max => {
                let is_max = self.view.plan.states[index].kind == StateKind::Max;
                let mut totals = [None::<i128>; NAMES_MAX];
                let take = |best: &mut Option<i128>, at: usize| {
                    let Some(number) = number(at) else { return };
                    *best = Some(match *best {
                        Some(best) if is_max => best.max(number),
                        Some(best) => best.min(number),
                        None => number,
                    });
                };
                total(chosen, self.ids, &mut totals, take);
                self.settle(index, &totals, |state, best| {
                    if let Some(best) = best {
                        state.add_decimal(Decimal::from_nanos(*best));
                    }
                });
            }
            _ => {
                for at in chosen.iter().map(|at| usize::from(*at)) {
                    if let Some(number) = number(at) {
                        self.states(at)[index].add_decimal(Decimal::from_nanos(number));
                    }
                }
            }
        }
    }

    /// Adds what was taken together to the groups' states.
    fn settle<T>(&mut self, index: usize, totals: &Totals<T>, add: impl Fn(&mut State, &T)) {
        for (place, total) in self.places.iter().zip(totals).take(self.names) {
            if let Place::Kept(_) = place {
                add(&mut self.window.groups.states_mut(*place)[index], total);
            }
        }
    }
}

/// Keeps records as they are, where they are asked for.
struct Keeping<'k> {
    view: View<'k>,
    text: Option<&'k mut TextReader>,
    kept: usize,
}

impl Keeping<'_> {
    #[inline]
    fn keep(&mut self, at: usize, states: &mut [State]) {
        let Some(plan) = &self.view.plan.kept else { return };
        if let State::Records(kept) = &mut states[plan.state] {
            let (record, input) = (&self.view.batch.records[at], self.view.input);
            match self.view.sheet {
                Some(sheet) => keep(kept, record, sheet.text(self.view.batch, at), None, input),
                None => keep(kept, record, self.view.batch.bytes(at), self.text.as_deref_mut(), input),
            }
            self.kept += 1;
        }
    }
}

/// Keeps a record that counts. `reader` makes text of its bytes, if they are none yet; what it cannot read is shown as
/// it stands, since a monitor that looks at no text counts it too.
#[cold]
fn keep(kept: &mut Kept, record: &Record, text: &[u8], reader: Option<&mut TextReader>, input: &Input) {
    kept.add(position(record, input), record.bytes, || {
        let read = reader.and_then(|reader| reader.record(text).ok());
        let (text, is_cut) = cut(read.unwrap_or(text));
        (text, is_cut || record.extent == Extent::Cut)
    });
}

/// The columns of a record that was cut for one monitor alone.
struct OwnRow<'o> {
    text: &'o [u8],
    plan: &'o Plan,
    input: &'o Input,
    own: &'o Own,
}

impl OwnRow<'_> {
    fn field(&self, slot: Slot) -> Option<&[u8]> {
        let scratch: &Scratch = &self.own.scratch;
        let text = slot.bytes(self.text, scratch);
        text.filter(|text| !matches!(*text, b"" | b"-"))
    }
}

impl Row for OwnRow<'_> {
    fn column(&self, number: usize) -> Option<&[u8]> {
        match &self.plan.columns[number] {
            Source::Field(slot) => self.field(self.own.slots[*slot]),
            Source::Label(name) => self.input.labels.get(name).map(str::as_bytes),
            Source::Line => Some(self.text.strip_suffix(b"\r").unwrap_or(self.text)),
        }
    }
}
