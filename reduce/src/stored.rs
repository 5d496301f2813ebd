//! Windows as they are stored: a header and a body in MessagePack, and the two kinds of documents that explain them.
//!
//! A `shape` document says what the numbers of a monitor's version mean, so that points can be computed, and merged
//! further, long after the monitor has changed. A `hosts` document lists who was expected, in the order of the header's
//! host table. Both are small and never change within their version.

use crate::completeness::Hosts;
use crate::overflow::Overflow;
use crate::point::{Flag, Point, WindowState};
use crate::publish::{Facts, Publisher};
use map::groups::GROUPS_KEPT;
use map::partial::{Losses, WindowPartial};
use map::plan::Shape;
use map::verdict::HostState;
use map::wire::WirePartial;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use store::StoredWindow;

/// Kind of the document that holds a [`Shape`]; its name is the monitor's, its version the monitor's.
pub const SHAPE: &str = "shape";
/// Kind of the document that holds a `Vec<HostTarget>`; its name is the monitor's, its version the inventory's.
pub const HOSTS: &str = "hosts";
/// Kind of the document that holds a `Definition`; its name is the monitor's, its version the monitor's.
pub const DEFINITION: &str = "definition";

/// What is written with a window (M3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredHeader {
    /// Version of the monitor: which [`SHAPE`] explains the body.
    pub monitor_version: u64,
    /// Version of the inventory: which [`HOSTS`] explains the host table. `None` before history begins.
    pub inventory_version: Option<u64>,
    /// Highest version of the profiles used.
    pub profile_version: u32,
    /// How final it is.
    pub state: WindowState,
    /// Who is ok, and who is not.
    pub hosts: HostTable,
    /// Records counted.
    pub records: u64,
    /// Records lost.
    pub lost: Losses,
    /// Flags, sorted.
    pub flags: Vec<Flag>,
    /// Hosts whose published contribution was withdrawn since, with the reason (M1).
    pub withdrawn: Vec<(String, HostState)>,
    /// Which columns made more groups than are kept. A header of before this was said has none.
    #[serde(default)]
    pub overflow: Option<Overflow>,
}

/// The state of every expected host, in the order of the inventory, as runs: 10 000 hosts that are ok take six bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostTable {
    /// So many hosts in a row, and their state.
    pub runs: Vec<(u32, HostState)>,
    /// More for people, by the host's place in the inventory.
    pub details: BTreeMap<u32, String>,
}

impl HostTable {
    /// The table of these states and details, in the order of the inventory.
    pub fn new(states: impl IntoIterator<Item = (HostState, Option<String>)>) -> Self {
        let mut table = Self::default();
        for (index, (state, detail)) in states.into_iter().enumerate() {
            match table.runs.last_mut() {
                Some((count, last)) if *last == state => *count += 1,
                _ => table.runs.push((1, state)),
            }
            if let Some(detail) = detail {
                table.details.insert(index as u32, detail);
            }
        }
        table
    }

    /// The states, in the order of the inventory.
    pub fn states(&self) -> impl Iterator<Item = (HostState, Option<&str>)> {
        let states = self
            .runs
            .iter()
            .flat_map(|&(count, state)| (0..count).map(move |_| state));
        states
            .enumerate()
            .map(|(index, state)| (state, self.details.get(&(index as u32)).map(String::as_str)))
    }

    /// How many hosts are ok, and how many are not, by state.
    pub fn hosts(&self) -> Hosts {
        let mut hosts = Hosts::default();
        for &(count, state) in &self.runs {
            hosts.add_many(state, u64::from(count));
        }
        hosts
    }
}

impl StoredHeader {
    /// What the window's points say beside their values.
    pub fn facts(&self, revision: u64) -> Facts {
        Facts {
            hosts: self.hosts.hosts(),
            state: self.state,
            flags: self.flags.clone(),
            overflow: self.overflow.clone(),
            revision,
        }
    }
}

/// The groups of a window after the last merge, still mergeable with other windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredBody {
    /// The merged partial, its groups limited as they are shown (M6).
    pub partial: WirePartial,
}

/// What was encoded cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored {what} cannot be read: {why}; it was written by an incompatible version")]
pub struct Unreadable {
    /// What it should be.
    pub what: &'static str,
    /// Why.
    pub why: String,
}

/// Any of this module's types as bytes.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // These types hold no map with odd keys and no custom error: encoding to memory cannot fail.
    rmp_serde::to_vec(value).unwrap_or_default()
}

/// The value that [`encode`] made bytes of.
///
/// # Errors
/// If they are of another type or version.
pub fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Unreadable> {
    rmp_serde::from_slice(bytes).map_err(|error| Unreadable {
        what,
        why: error.to_string(),
    })
}

impl StoredBody {
    /// The groups, to be shown or to be merged with those of other windows of the same shape.
    ///
    /// # Errors
    /// If they are not of this shape.
    pub fn into_partial(self, shape: &Shape) -> Result<WindowPartial, Unreadable> {
        let partial = self.partial.into_partial(&shape.kinds, GROUPS_KEPT);
        partial.map_err(|error| Unreadable {
            what: "body",
            why: error.to_string(),
        })
    }
}

/// The points of a stored window, by the same code as those of `eval`.
///
/// # Errors
/// If header or body are of another shape or version.
pub fn points(shape: &Shape, window: &StoredWindow) -> Result<Vec<Point>, Unreadable> {
    let header: StoredHeader = decode("header", &window.header)?;
    let body: StoredBody = decode("body", &window.body)?;
    let facts = header.facts(window.fence.revision);
    Ok(Publisher::new(shape).window(window.window_ns, &facts, &body.into_partial(shape)?))
}

/// A window's [`Shape`] from its document.
///
/// # Errors
/// As [`decode`].
pub fn shape(content: &[u8]) -> Result<Shape, Unreadable> {
    decode("shape", content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completeness::Hosts;
    use crate::publish::{Answer, Windows, limited, publish};
    use crate::testing::{counts, shape};
    use map::partial::Partial;
    use store::Fence;

    fn stored(shape: &Shape, partial: &WindowPartial, flags: Vec<Flag>) -> StoredWindow {
        let states = [HostState::Ok, HostState::OkSilent];
        let header = StoredHeader {
            monitor_version: 1,
            inventory_version: Some(1),
            profile_version: 1,
            state: WindowState::Settled,
            hosts: HostTable::new(states.map(|state| (state, None))),
            records: partial.records,
            lost: partial.lost,
            flags,
            withdrawn: Vec::new(),
            overflow: Overflow::of(&shape.group_names, &partial.groups, shape.answer_groups),
        };
        let partial = WirePartial::from(&limited(shape, partial));
        StoredWindow {
            window_ns: 0,
            length_ns: shape.window_ns,
            fence: Fence { epoch: 1, revision: 1 },
            done: false,
            header: encode(&header),
            body: encode(&StoredBody { partial }),
        }
    }

    /// A stored window shows what `eval` shows of the same counts, folded groups included.
    #[test]
    fn a_stored_window_has_the_points_of_its_counts() {
        let mut shape = shape();
        shape.answer_groups = 2;
        let groups = [("a", 5), ("b", 9), ("c", 1), ("d", 5)];
        let counted = counts(&shape, &groups);
        let counted = counted.into_partial(&shape.kinds, GROUPS_KEPT).expect("of this shape");
        let mut hosts = Hosts::default();
        hosts.add_many(HostState::Ok, 2);
        let answer = Answer {
            hosts,
            state: WindowState::Settled,
            ambiguous_ns: Vec::new(),
        };
        let mut partial = Partial::default();
        partial.windows.insert(0, counted.clone());
        let expected = publish(&shape, &partial, &answer, Windows::Touched);
        assert_eq!(expected.len(), 3);
        let window = stored(&shape, &counted, vec![Flag::GroupsFolded]);
        assert_eq!(points(&shape, &window).expect("reads"), expected);
        let poisoned = points(&shape, &stored(&shape, &counted, vec![Flag::Poisoned])).expect("reads");
        let values: Vec<_> = poisoned[0].values.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!((poisoned.len(), &*values), (1, &[crate::value::OutputValue::Null][..]));
        let foreign = StoredWindow {
            body: b"?".to_vec(),
            ..window
        };
        assert!(points(&shape, &foreign).is_err());
    }

    /// A header that an older version wrote ends before what was added since.
    #[test]
    fn a_header_without_an_overflow_is_read() {
        let counted = counts(&shape(), &[("a", 1)]);
        let counted = counted
            .into_partial(&shape().kinds, GROUPS_KEPT)
            .expect("of this shape");
        let now: StoredHeader = decode("header", &stored(&shape(), &counted, Vec::new()).header).expect("reads");
        let mut older = encode(&now);
        assert_eq!(
            (older[0], older.pop()),
            (0x9a, Some(0xc0)),
            "ten fields, the last of them nil"
        );
        older[0] = 0x99;
        assert_eq!(decode::<StoredHeader>("header", &older), Ok(now));
    }
}
