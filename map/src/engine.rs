//! Records to partials: the counting itself, for one file.
//!
//! A [`Counter`] takes judged records in file order and puts each into exactly one window (C4), or charges a loss. What
//! it keeps between records is one number: the greatest good stamp so far (F2). So a file can be counted in parts, in
//! parallel, as long as each part begins with the number that the part before ended with ([`Counter::greatest`]).
//!
//! Losses are charged so that a stream and a re-read agree and no window hides one: a record with a good stamp within
//! the bound is missing from its own window, and charged there; a late or wild one is charged to the window of the
//! greatest good stamp before it in its file, or else of the first good one after it.

mod add;
mod recent;

use crate::condition::Row;
use crate::groups::encode_column;
use crate::kept::{Kept, bound, cut};
use crate::partial::{Loss, Partial, Unplaced, WindowPartial};
use crate::plan::{Plan, Source};
use crate::state::State;
use add::{Adder, position};
use hashbrown::HashMap;
use logline::fields::{Extractor, Lines, Rule, RuleError, Scratch, Slot};
use logline::order::{Following, Verdict, judge, reach_ns};
use logline::records::{Extent, Record, RecordReader, Stamps};
use logline::text::{Form, NoText, TextReader};
use mutant::Mutant;
use recent::{Recent, Short, short_key};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The labels of one input: what a record's columns say of where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// Labels by name.
    pub fn new(labels: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(labels.into_iter().collect())
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(label, _)| label == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What one file's counting needs to know beside its records.
#[derive(Debug, Clone)]
pub struct Input {
    /// Labels of its host and file.
    pub labels: Labels,
    /// Lateness bound in nanoseconds: the monitor's, or what was learned.
    pub lateness_ns: i64,
    /// How fields are cut out; `None` where the monitor uses none.
    pub rule: Option<Rule>,
    /// How its bytes are text.
    pub form: Form,
    /// Orders equal stamps of different files for `first` and `last`: host, path, generation.
    pub generation: u64,
}

/// Counts the records of one file, or of a part of one.
pub struct Counter<P> {
    plan: P,
    input: Input,
    cutter: Cutter,
    /// For records whose bytes are not their text.
    text: Option<TextReader>,
    adder: Adder,
    /// Whether records must be whole.
    uses_text: bool,
    key: Vec<u8>,
    recent: Recent,
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
    verdicts: Vec<Verdict>,
    /// Records that were shown to what keeps some of them since that was bounded last.
    kept_since: usize,
}

/// Starts of the windows that a counter counts. Records of others are judged and tell how far the file has got, but
/// nothing is cut out of them, and what would be charged to their windows is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowStarts {
    /// The first start, and the end of all.
    pub within: Range<i64>,
    /// Stretches of it that are left out.
    pub without: Arc<[Range<i64>]>,
}

impl WindowStarts {
    /// Every window.
    pub fn all() -> Self {
        Self::within(i64::MIN..i64::MAX)
    }

    /// Windows that start in a range.
    pub fn within(within: Range<i64>) -> Self {
        Self {
            within,
            without: Arc::default(),
        }
    }

    /// Whether a window of this start is counted.
    pub fn contains(&self, start: i64) -> bool {
        self.within.contains(&start) && !self.without.iter().any(|out| out.contains(&start))
    }
}

/// In the place of an index: the window is not counted.
const LEFT_OUT: usize = usize::MAX;

/// Of windows that keep records as they are, so many times as many as are wanted of all are held at most.
const KEPT_TIMES_MAX: usize = 8;

/// What a counter hands to the one that counts the records behind its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carried {
    /// The greatest good stamp so far (F2).
    pub greatest: Option<i64>,
    /// Losses that wait for a first good record to be charged to its window.
    pub waiting: Unplaced,
}

/// How far a file was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    NeedsMore,
    /// Every record that begins before the end asked for is counted.
    Done,
}

impl<P: Deref<Target = Plan>> Counter<P> {
    /// A counter that begins with the greatest good stamp of the file's records before (`None` at its start).
    ///
    /// # Errors
    /// If the rule can't give a field that the plan needs.
    pub fn new(plan: P, input: Input, greatest: Option<i64>) -> Result<Self, RuleError> {
        let cutter = Cutter::new(&plan, &input)?;
        let input_form = input.form;
        Ok(Self {
            adder: Adder::new(&plan),
            uses_text: plan.uses_text(),
            plan,
            input,
            cutter,
            text: (!input_form.is_plain()).then(|| TextReader::new(input_form)),
            key: Vec::new(),
            recent: Recent::default(),
            asked: WindowStarts::all(),
            windows: Vec::new(),
            by_start: HashMap::new(),
            current: (LEFT_OUT, 0, 0),
            greatest,
            waiting: Unplaced::default(),
            verdicts: Vec::new(),
            kept_since: 0,
        })
    }

    /// A counter that goes on where another one of the same file ended.
    ///
    /// # Errors
    /// As [`Counter::new`].
    pub fn resume(plan: P, input: Input, carried: Carried) -> Result<Self, RuleError> {
        let mut counter = Self::new(plan, input, carried.greatest)?;
        counter.waiting = carried.waiting;
        Ok(counter)
    }

    /// Counts only these windows.
    #[must_use]
    pub fn asked(mut self, asked: WindowStarts) -> Self {
        self.asked = asked;
        self
    }

    /// What was counted, and what the counter of the next records begins with.
    pub fn suspend(self) -> (Partial, Carried) {
        let greatest = self.greatest;
        let mut partial = self.finish();
        let waiting = std::mem::take(&mut partial.unplaced);
        (partial, Carried { greatest, waiting })
    }

    /// Counts records that another judged: closed ones of `reader`, from the one of index `first` on.
    pub fn count_judged<S: Stamps>(&mut self, reader: &RecordReader<S>, first: usize, verdicts: &[Verdict]) {
        for (record, verdict) in reader.closed()[first..].iter().zip(verdicts) {
            self.count(record, *verdict, reader.text(record));
        }
    }

    /// Counts and releases every record of `reader` that can be judged and begins before `until`.
    pub fn take<S: Stamps>(&mut self, reader: &mut RecordReader<S>, following: Following, until: u64) -> Progress {
        self.verdicts.clear();
        let after = reader.open().map(|record| record.stamp);
        judge(
            reader.closed(),
            after,
            reach_ns(self.input.lateness_ns),
            following,
            &mut self.verdicts,
        );
        let verdicts = std::mem::take(&mut self.verdicts);
        let mut counted = 0;
        for (record, verdict) in reader.closed().iter().zip(&verdicts) {
            if record.offset >= until {
                break;
            }
            self.count(record, *verdict, reader.text(record));
            counted += 1;
        }
        self.verdicts = verdicts;
        reader.release(counted);
        let next = reader.closed().first().or(reader.open());
        match (next, following) {
            (Some(record), _) if record.offset >= until => Progress::Done,
            (None, Following::None) => Progress::Done,
            _ => Progress::NeedsMore,
        }
    }

    /// Counts the unstamped lines at the file's start, once they are all known.
    pub fn count_head(&mut self, lines: u64) {
        match self.windows.first_mut() {
            Some((_, window)) if self.greatest.is_some() => window.head_lines += lines,
            _ => self.waiting.head_lines += lines,
        }
    }

    /// The greatest good stamp so far.
    pub fn greatest(&self) -> Option<i64> {
        self.greatest
    }

    /// What was counted.
    pub fn finish(self) -> Partial {
        let mut partial = Partial {
            unplaced: self.waiting,
            ..Partial::default()
        };
        partial.windows.extend(self.windows);
        partial
    }

    #[inline]
    fn count(&mut self, record: &Record, verdict: Verdict, text: &[u8]) {
        if verdict == Verdict::Wild {
            return self.lose(Loss::BadTimestamp, record.stamp);
        }
        if let Some(greatest) = self.greatest {
            if greatest.saturating_sub(record.stamp) > self.input.lateness_ns {
                return self.lose(Loss::Late, record.stamp);
            }
            self.greatest = Some(greatest.max(record.stamp));
        } else {
            self.begin(record.stamp);
        }
        let Some(window) = self.window(record.stamp) else {
            return;
        };
        if self.uses_text {
            if record.extent == Extent::Cut {
                return self.windows[window].1.lost.add(Loss::TooLong, 1);
            }
            if let Some(reader) = self.text.take() {
                return self.count_formed(reader, window, record, text);
            }
            if self.cutter.cut(text, record.lines).is_err() {
                return self.windows[window].1.lost.add(Loss::Unparsable, 1);
            }
        }
        self.add(window, record, text);
    }

    /// Counts a record whose bytes are not its text: decoded, without its envelope.
    #[cold]
    fn count_formed(&mut self, mut reader: TextReader, window: usize, record: &Record, bytes: &[u8]) {
        match reader.record(bytes) {
            Err(NoText::Undecodable) => self.windows[window].1.lost.add(Loss::Undecodable, 1),
            Err(_) => self.windows[window].1.lost.add(Loss::Unparsable, 1),
            Ok(text) if self.cutter.cut(text, record.lines).is_err() => {
                self.windows[window].1.lost.add(Loss::Unparsable, 1);
            }
            Ok(text) => self.add(window, record, text),
        }
        self.text = Some(reader);
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

    #[inline]
    fn add(&mut self, index: usize, record: &Record, text: &[u8]) {
        let plan = &*self.plan;
        let row = self.cutter.row(text, &self.input.labels);
        let window = &mut self.windows[index].1;
        window.records += 1;
        if plan
            .filter
            .as_ref()
            .is_some_and(|filter| filter.holds(&row) != Some(true))
        {
            return;
        }
        if let Some(kept) = &plan.kept
            && !kept.range_ns.contains(&record.stamp)
        {
            return;
        }
        let short = short_key(&row, &plan.group_columns);
        let known = short.and_then(|short| self.recent.find(short, index));
        let place = match known.and_then(|group| window.groups.enter_kept(group)) {
            Some(place) => place,
            None => {
                self.key.clear();
                for &column in &plan.group_columns {
                    encode_column(&mut self.key, row.column(column));
                }
                let place = window.groups.enter(&self.key);
                self.recent.keep(short, index, place);
                place
            }
        };
        let states = window.groups.states_mut(place);
        self.adder
            .add(plan, &row, record, &self.input, states, &mut window.bad_values);
        if let Some(kept) = &plan.kept
            && let State::Records(kept) = &mut states[kept.state]
        {
            keep(kept, record, text, self.text.as_mut(), &self.input);
            self.kept_since += 1;
            if self.kept_since > KEPT_TIMES_MAX * usize::from(kept.keep().limit) {
                self.bound_kept();
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

/// Cuts a record into the columns that the plan needs.
struct Cutter {
    extractor: Option<Extractor>,
    scratch: Scratch,
    slots: Vec<Slot>,
    sources: Arc<[Source]>,
}

impl Cutter {
    fn new(plan: &Plan, input: &Input) -> Result<Self, RuleError> {
        let extractor = match &input.rule {
            Some(rule) if plan.uses_fields() => Some(Extractor::new(rule, &plan.fields)?),
            _ => None,
        };
        Ok(Self {
            extractor,
            scratch: Scratch::default(),
            slots: vec![Slot::Absent; plan.fields.len()],
            sources: plan.columns.clone().into(),
        })
    }

    #[inline]
    fn cut(&mut self, record: &[u8], lines: u64) -> Result<(), logline::fields::Unparsable> {
        let lines = if lines == 1 { Lines::One } else { Lines::Any };
        match &mut self.extractor {
            Some(extractor) => extractor.extract_lines(record, lines, &mut self.scratch, &mut self.slots),
            None => Ok(()),
        }
    }

    fn row<'a>(&'a self, record: &'a [u8], labels: &'a Labels) -> RecordRow<'a> {
        RecordRow {
            record,
            labels,
            scratch: &self.scratch,
            slots: &self.slots,
            sources: &self.sources,
        }
    }
}

/// The columns of one record.
struct RecordRow<'a> {
    record: &'a [u8],
    labels: &'a Labels,
    scratch: &'a Scratch,
    slots: &'a [Slot],
    sources: &'a [Source],
}

impl Row for RecordRow<'_> {
    #[inline]
    fn column(&self, number: usize) -> Option<&[u8]> {
        match &self.sources[number] {
            Source::Field(slot) => self.slots[*slot]
                .bytes(self.record, self.scratch)
                .filter(|text| !matches!(*text, b"" | b"-")),
            Source::Label(name) => self.labels.get(name).map(str::as_bytes),
            Source::Line => Some(self.record.strip_suffix(b"\r").unwrap_or(self.record)),
        }
    }
}

impl RecordRow<'_> {
    /// A column's text as a word, if it is short.
    #[inline]
    fn short(&self, number: usize) -> Short {
        if let Source::Field(slot) = &self.sources[number]
            && let Slot::Record { start, len } = self.slots[*slot]
            && let Some(bytes) = self.record.get(start as usize..).and_then(|rest| rest.first_chunk())
        {
            return Short::at_beginning(bytes, len as usize);
        }
        Short::of(self.column(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::Groups;
    use crate::state::State;
    use logline::records::Start;
    use proptest::prelude::*;

    /// Every line is of the same instant.
    struct Same;

    impl Stamps for Same {
        fn read(&mut self, _line: &[u8], _offset: u64) -> Option<i64> {
            Some(0)
        }
    }

    /// Counts records of these keys with the engine, keeping at most `limit` groups.
    fn counted(keys: &[u16], limit: usize) -> Groups {
        let monitor = configs::parse_mql("select count() parse logfmt group by key every 1m").expect("a good question");
        let mut plan = Plan::new(&monitor).expect("it can be counted");
        plan.window_groups = limit;
        let input = Input {
            labels: Labels::default(),
            lateness_ns: 0,
            rule: Some(Rule::logfmt()),
            form: Form::default(),
            generation: 0,
        };
        let mut counter = Counter::new(&plan, input, None).expect("any field");
        let mut reader = RecordReader::new(Same, Start::FileStart, 0);
        for key in keys {
            reader.push(format!("key={key} and sixteen bytes behind it\n").as_bytes());
        }
        reader.finish();
        assert_eq!(counter.take(&mut reader, Following::None, u64::MAX), Progress::Done);
        let window = counter.finish().windows.pop_first().expect("one window");
        window.1.groups
    }

    /// The same, each key looked up anew.
    fn looked_up(keys: &[u16], limit: usize) -> Groups {
        let mut groups = Groups::new([crate::state::StateKind::Count].into(), limit);
        for key in keys {
            let mut bytes = Vec::new();
            encode_column(&mut bytes, Some(key.to_string().as_bytes()));
            let place = groups.enter(&bytes);
            groups.states_mut(place)[0].add_record();
        }
        groups
    }

    proptest! {
        #[test]
        fn a_remembered_place_is_never_a_replaced_groups(
            keys in prop::collection::vec(0..40_u16, 1..200),
            limit in 1..45_usize,
        ) {
            let groups = counted(&keys, limit);
            prop_assert!(groups == looked_up(&keys, limit));
            for (group, states) in groups.iter() {
                prop_assert_eq!(states, &[State::Count(group.records)][..]);
            }
        }
    }
}
