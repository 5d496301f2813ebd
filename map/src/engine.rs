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
mod batch;
mod leaf;
mod names;
mod seat;
mod sheet;
mod sheets;
mod tally;

pub use batch::Batch;
pub use sheets::{Seated, Sheets};
pub use tally::{Tally, Verdicts};

use crate::partial::{Partial, Unplaced};
use crate::plan::Plan;
use logline::fields::{Rule, RuleError};
use logline::order::{Following, Verdict};
use logline::records::{RecordReader, Stamps};
use logline::text::Form;
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

/// Counts the records of one file, or of a part of one, for one monitor.
pub struct Counter<P> {
    tally: Tally<P>,
    sheets: Sheets,
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
        let waiting = Unplaced::default();
        Self::resume(plan, input, Carried { greatest, waiting })
    }

    /// A counter that goes on where another one of the same file ended.
    ///
    /// # Errors
    /// As [`Counter::new`].
    pub fn resume(plan: P, input: Input, carried: Carried) -> Result<Self, RuleError> {
        let mut sheets = Sheets::default();
        let seated = sheets.seat(&plan, &input)?;
        Ok(Self {
            tally: Tally::new(plan, input, seated, carried),
            sheets,
        })
    }

    /// Counts only these windows.
    #[must_use]
    pub fn asked(mut self, asked: WindowStarts) -> Self {
        self.tally.ask(asked);
        self
    }

    /// Counts records that another judged: closed ones of `reader`, from the one of index `first` on.
    pub fn count_judged<S: Stamps>(&mut self, reader: &RecordReader<S>, first: usize, verdicts: &[Verdict]) {
        self.count(reader, &Verdicts::of(first, verdicts.to_vec()));
    }

    fn count<S: Stamps>(&mut self, reader: &RecordReader<S>, verdicts: &Verdicts) {
        for batch in Batch::all(reader) {
            let part = batch.part(verdicts.closed());
            if part.is_empty() {
                continue;
            }
            self.sheets.begin();
            if self.tally.place(&batch, part, verdicts) {
                self.sheets.want(self.tally.seated());
                self.sheets.fill(&batch);
            }
            self.tally.add(&batch, &self.sheets);
        }
    }

    /// Counts and releases every record of `reader` that can be judged and begins before `until`.
    pub fn take<S: Stamps>(&mut self, reader: &mut RecordReader<S>, following: Following, until: u64) -> Progress {
        let mut verdicts = Verdicts::new(reader, 0, self.tally.input().lateness_ns, following);
        verdicts.truncate(reader.closed().partition_point(|record| record.offset < until));
        self.count(reader, &verdicts);
        reader.release(verdicts.closed().len());
        let next = reader.closed().first().or(reader.open());
        match (next, following) {
            (Some(record), _) if record.offset >= until => Progress::Done,
            (None, Following::None) => Progress::Done,
            _ => Progress::NeedsMore,
        }
    }

    /// Counts the unstamped lines at the file's start, once they are all known.
    pub fn count_head(&mut self, lines: u64) {
        self.tally.count_head(lines);
    }

    /// The greatest good stamp so far.
    pub fn greatest(&self) -> Option<i64> {
        self.tally.greatest()
    }

    /// What was counted.
    pub fn finish(self) -> Partial {
        let (mut partial, carried, _) = self.tally.suspend();
        partial.unplaced = carried.waiting;
        partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::{Groups, encode_column};
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
            let place = groups.enter(&bytes, 1);
            groups.states_mut(place)[0].add_count(1);
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
