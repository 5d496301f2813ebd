//! Partials as plain data: what goes from a Map to a Reduce and into the store.
//!
//! Everything is checked when it is turned back: what another node or an older version sent never makes a state that
//! the engine could not have made. Groups are sorted by key and hash tables by their keys, so equal partials have equal
//! bytes.

use crate::groups::{Folded, Groups};
use crate::kept::Kept;
use crate::partial::{Losses, WindowPartial};
use crate::state::{State, StateKind};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A [`WindowPartial`] to be sent or stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WirePartial {
    /// Records counted.
    pub records: u64,
    /// Records lost.
    pub lost: Losses,
    /// Unstamped lines at the start of files.
    pub head_lines: u64,
    /// Bad values by state.
    pub bad_values: Vec<u64>,
    /// Groups, sorted by key.
    pub groups: Vec<WireGroup>,
    /// What was folded away.
    pub folded: Option<WireFolded>,
}

/// A group to be sent or stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireGroup {
    /// Its columns, as [`crate::groups::encode_column`] writes them.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Records selected into it.
    pub records: u64,
    /// One state of each kind.
    pub states: Vec<State>,
}

/// Folded groups to be sent or stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireFolded {
    /// Records selected into them.
    pub records: u64,
    /// One state of each kind.
    pub states: Vec<State>,
}

/// A partial that was sent or stored is not one of the plan that it is said to be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A group has other states than the plan.
    #[error("a group has states of other kinds than the monitor's; the two nodes run different versions of it")]
    Kinds,
    /// A group's key is not made of columns.
    #[error("a group's key cannot be read")]
    Key,
    /// The bad values are not one for each state.
    #[error("there are {got} counts of bad values for {wanted} states")]
    BadValues {
        /// How many there are.
        got: usize,
        /// How many there should be.
        wanted: usize,
    },
}

impl From<&WindowPartial> for WirePartial {
    fn from(partial: &WindowPartial) -> Self {
        let mut groups: Vec<WireGroup> = (partial.groups.iter())
            .map(|(group, states)| WireGroup {
                key: group.key().to_vec(),
                records: group.records,
                states: states.to_vec(),
            })
            .collect();
        groups.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Self {
            records: partial.records,
            lost: partial.lost,
            head_lines: partial.head_lines,
            bad_values: partial.bad_values.clone(),
            groups,
            folded: partial.groups.folded().map(|folded| WireFolded {
                records: folded.records,
                states: folded.states.clone(),
            }),
        }
    }
}

impl WirePartial {
    /// The partial, its groups kept to at most `limit`.
    ///
    /// # Errors
    /// If it is not one of a plan with these kinds of states.
    pub fn into_partial(self, kinds: &Arc<[StateKind]>, limit: usize) -> Result<WindowPartial, WireError> {
        if self.bad_values.len() != kinds.len() {
            return Err(WireError::BadValues {
                got: self.bad_values.len(),
                wanted: kinds.len(),
            });
        }
        let mut groups = Groups::new(Arc::clone(kinds), limit);
        for group in self.groups {
            check_kinds(&group.states, kinds)?;
            check_key(&group.key)?;
            groups.take_in(&group.key, group.records, &group.states);
        }
        if let Some(folded) = self.folded {
            check_kinds(&folded.states, kinds)?;
            groups.take_in_folded(&Folded {
                records: folded.records,
                states: folded.states,
            });
        }
        Ok(WindowPartial {
            records: self.records,
            lost: self.lost,
            head_lines: self.head_lines,
            bad_values: self.bad_values,
            groups,
        })
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.records == 0 && self.lost.total() == 0 && self.head_lines == 0
    }

    /// The records that were kept, if any were.
    pub fn kept(&self) -> impl Iterator<Item = &Kept> {
        let states = self.groups.iter().flat_map(|group| &group.states);
        states.filter_map(|state| match state {
            State::Records(kept) => Some(&**kept),
            _ => None,
        })
    }

    /// The records that were kept, if any were, to be changed.
    pub fn kept_mut(&mut self) -> impl Iterator<Item = &mut Kept> {
        let states = self.groups.iter_mut().flat_map(|group| &mut group.states);
        states.filter_map(|state| match state {
            State::Records(kept) => Some(&mut **kept),
            _ => None,
        })
    }

    /// Bytes in memory, about.
    pub fn memory_bytes(&self) -> usize {
        let states =
            |states: &[State]| -> usize { size_of_val(states) + states.iter().map(State::heap_bytes).sum::<usize>() };
        let groups = self.groups.iter();
        size_of::<Self>()
            + groups
                .map(|group| size_of::<WireGroup>() + group.key.len() + states(&group.states))
                .sum::<usize>()
            + self.folded.as_ref().map_or(0, |folded| states(&folded.states))
    }
}

fn check_kinds(states: &[State], kinds: &[StateKind]) -> Result<(), WireError> {
    if states.iter().map(State::kind).eq(kinds.iter().copied()) {
        Ok(())
    } else {
        Err(WireError::Kinds)
    }
}

/// A key is a sequence of columns: a 0 for null, or a 1, a length and so many bytes.
fn check_key(key: &[u8]) -> Result<(), WireError> {
    let mut rest = key;
    while let [tag, tail @ ..] = rest {
        rest = match tag {
            0 => tail,
            1 => {
                let (len, tail) = tail.split_first_chunk::<4>().ok_or(WireError::Key)?;
                tail.get(u32::from_le_bytes(*len) as usize..).ok_or(WireError::Key)?
            }
            _ => return Err(WireError::Key),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Counter, Input, Labels};
    use crate::plan::Plan;
    use logline::fields::Rule;
    use logline::order::Following;
    use logline::records::{RecordReader, Stamps, Start};
    use proptest::prelude::*;

    struct Same;

    impl Stamps for Same {
        fn read(&mut self, _line: &[u8], _offset: u64) -> Option<i64> {
            Some(0)
        }
    }

    /// Every kind of state there is.
    const EVERYTHING: &str = "select count(), sum(x), stddev(x), min(x), max(x), p99(x), distinct(y), first(y), \
                              last(y) parse logfmt group by g every 1m";

    fn counted(lines: &[(u8, i64)], limit: usize) -> (Plan, WindowPartial) {
        let monitor = configs::parse_mql(EVERYTHING).expect("a good question");
        let mut plan = Plan::new(&monitor).expect("it can be counted");
        plan.window_groups = limit;
        let input = Input {
            labels: Labels::default(),
            lateness_ns: 0,
            rule: Some(Rule::logfmt()),
            form: logline::text::Form::default(),
            generation: 7,
        };
        let mut counter = Counter::new(&plan, input, None).expect("any field");
        let mut reader = RecordReader::new(Same, Start::FileStart, 0);
        for (group, x) in lines {
            reader.push(format!("g={group} x={x}.25 y=text{x}\n").as_bytes());
        }
        reader.finish();
        counter.take(&mut reader, Following::None, u64::MAX);
        let partial = counter.finish().windows.pop_first().expect("one window").1;
        (plan, partial)
    }

    proptest! {
        #[test]
        fn what_is_sent_arrives_as_it_was(
            lines in prop::collection::vec((0..9_u8, -3000..3000_i64), 1..2000),
            limit in 1..12_usize,
        ) {
            let (plan, partial) = counted(&lines, limit);
            let wire = WirePartial::from(&partial);
            let bytes = rmp_serde::to_vec(&wire).expect("encodes");
            let back: WirePartial = rmp_serde::from_slice(&bytes).expect("decodes");
            prop_assert_eq!(&back, &wire);
            let back = back.into_partial(&plan.kinds, limit).expect("of the same plan");
            prop_assert!(back == partial);
            // Equal partials have equal bytes, however they came about.
            let again = rmp_serde::to_vec(&WirePartial::from(&back)).expect("encodes");
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn what_no_engine_made_is_refused() {
        let (plan, partial) = counted(&[(1, 1)], 10);
        let wire = WirePartial::from(&partial);
        let refused = |change: &dyn Fn(&mut WirePartial)| {
            let mut wire = wire.clone();
            change(&mut wire);
            wire.into_partial(&plan.kinds, 10).err()
        };
        assert_eq!(refused(&|_| {}), None);
        assert_eq!(
            refused(&|wire| wire.groups[0].states.swap(0, 1)),
            Some(WireError::Kinds)
        );
        assert_eq!(
            refused(&|wire| wire.groups[0].key = vec![1, 9, 0, 0, 0]),
            Some(WireError::Key)
        );
        assert_eq!(
            refused(&|wire| wire.bad_values.push(1)),
            Some(WireError::BadValues { got: 10, wanted: 9 })
        );
        let bad_registers = rmp_serde::to_vec(&("Registers", vec![99_u8; 4])).expect("encodes");
        assert!(rmp_serde::from_slice::<crate::distinct::Distinct>(&bad_registers).is_err());
    }
}
