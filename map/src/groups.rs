//! The groups of one window, at most `H` of them (rule M6).
//!
//! Kept are the `H` groups of the lowest fixed hash; the others are folded into one. The bound on a kept hash only
//! falls, so a group that is still kept was never turned away: its state is whole, whatever the order of records
//! and merges. Memory is that of `H` groups, whatever a log throws at it.

use crate::kept::Kept;
use crate::state::{State, StateKind};
use hashbrown::HashTable;
use mutant::Mutant;
use std::collections::BinaryHeap;
use xxhash_rust::xxh3::xxh3_64;

/// The most groups that a window keeps before folding, unless a monitor's budget says less.
pub const GROUPS_KEPT: usize = 100_000;

/// What the allocator keeps beside a key.
const KEY_OVERHEAD_BYTES: usize = 16;

/// A group: its key and how many records it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Hash of the key; the same on every node and in every version.
    hash: u64,
    /// The columns, as [`encode_column`] writes them.
    key: Box<[u8]>,
    /// Records selected into it.
    pub records: u64,
}

/// What lies beyond the limit, as one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// Records selected into it.
    pub records: u64,
    /// Its aggregates.
    pub states: Vec<State>,
}

/// The groups of one window.
#[derive(Debug, Clone)]
pub struct Groups {
    kinds: std::sync::Arc<[StateKind]>,
    limit: usize,
    table: HashTable<Entry>,
    groups: Vec<Group>,
    /// `kinds.len()` states a group, in the order of `groups`.
    states: Vec<State>,
    folded: Option<Folded>,
    /// Kept groups by hash, greatest first; empty until the limit is met.
    by_hash: BinaryHeap<(u64, u32)>,
    /// How many groups gave their place away.
    replaced: u64,
}

/// A group in the table.
#[derive(Debug, Clone, Copy)]
struct Entry {
    index: u32,
    /// The upper half of its hash: another group is mostly told apart without a look at it.
    tag: u32,
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Keys that are looked up together, so that what has to come from memory for one comes while others are looked at.
#[derive(Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    hashes: Vec<u64>,
    /// The index of the group that each probably is in.
    found: Vec<Option<u32>>,
}

impl Keys {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.hashes.clear();
    }

    /// One more, as `write` appends it.
    #[inline]
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.bytes.len();
        write(&mut self.bytes);
        self.hashes.push(xxh3_64(&self.bytes[begin..]));
        self.ends.push(self.bytes.len());
    }

    fn get(&self, number: usize) -> &[u8] {
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[number]]
    }
}

/// Where a record's states are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the group of this index.
    Kept(u32),
    /// In the folded one.
    Folded,
}

impl Groups {
    /// No groups yet; each will have one state of each of `kinds`.
    pub fn new(kinds: std::sync::Arc<[StateKind]>, limit: usize) -> Self {
        Self {
            kinds,
            limit: limit.max(1),
            table: HashTable::new(),
            groups: Vec::new(),
            states: Vec::new(),
            folded: None,
            by_hash: BinaryHeap::new(),
            replaced: 0,
        }
    }

    /// Finds or makes the group of `key` and counts so many records in it.
    #[inline]
    pub fn enter(&mut self, key: &[u8], records: u64) -> Place {
        let place = self.place(xxh3_64(key), key);
        match place {
            Place::Kept(index) => self.groups[index as usize].records += records,
            Place::Folded => self.folded_mut().records += records,
        }
        place
    }

    /// Looks all keys up, and calls `each` for every one in turn, as if [`Groups::enter`] had been called for it: with
    /// its number, and the states of its group. Cost: less than so many calls where groups are many, since each of
    /// these waits for memory four times, one after the other.
    pub fn enter_all(&mut self, keys: &mut Keys, mut each: impl FnMut(usize, &mut [State])) {
        let Self { table, groups, .. } = self;
        keys.found.clear();
        let probable = |hash: &u64| {
            table
                .find(*hash, |entry| entry.tag == tag(*hash))
                .map(|entry| entry.index)
        };
        keys.found.extend(keys.hashes.iter().map(probable));
        for (number, begin) in [0]
            .iter()
            .chain(&keys.ends)
            .zip(&keys.ends)
            .map(|(a, b)| *a..*b)
            .enumerate()
        {
            let is_it = |index: &u32| *groups[*index as usize].key == keys.bytes[begin.clone()];
            keys.found[number] = keys.found[number].filter(is_it);
        }
        let replaced = self.replaced;
        for number in 0..keys.hashes.len() {
            // A group that was found may have given its place away since.
            let found = keys.found[number].filter(|_| self.replaced == replaced);
            let place = match found {
                Some(index) => Place::Kept(index),
                None => self.place(keys.hashes[number], keys.get(number)),
            };
            match place {
                Place::Kept(index) => self.groups[index as usize].records += 1,
                Place::Folded => self.folded_mut().records += 1,
            }
            each(number, self.states_mut(place));
        }
    }

    /// Whether so many more groups are kept without any being turned away: places found meanwhile stay where they are.
    #[inline]
    pub fn has_room_for(&self, more: usize) -> bool {
        self.groups.len() + more <= self.limit
    }

    /// States of a group, one of each kind.
    #[inline]
    pub fn states_mut(&mut self, place: Place) -> &mut [State] {
        let width = self.kinds.len();
        match place {
            Place::Kept(index) => &mut self.states[index as usize * width..][..width],
            Place::Folded => &mut self.folded_mut().states,
        }
    }

    /// Kept groups with their keys and states, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&Group, &[State])> {
        let width = self.kinds.len();
        self.groups
            .iter()
            .enumerate()
            .map(move |(index, group)| (group, &self.states[index * width..][..width]))
    }

    /// The records that were kept, if any were.
    pub fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.states.iter().filter_map(|state| match state {
            State::Records(kept) => Some(&**kept),
            _ => None,
        })
    }

    /// The records that were kept, if any were, to be changed.
    pub fn kept_mut(&mut self) -> impl Iterator<Item = &mut Kept> {
        self.states.iter_mut().filter_map(|state| match state {
            State::Records(kept) => Some(&mut **kept),
            _ => None,
        })
    }

    /// What was folded, if anything was.
    pub fn folded(&self) -> Option<&Folded> {
        self.folded.as_ref()
    }

    /// Number of kept groups.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Bytes of memory that they take, about. Cost: a look at each group, and at each state if states hold more than
    /// a few numbers.
    pub fn memory_bytes(&self) -> usize {
        let keys: usize = self
            .groups
            .iter()
            .map(|group| group.key.len() + KEY_OVERHEAD_BYTES)
            .sum();
        let holds_more = self.kinds.iter().any(|kind| State::new(*kind).heap_bytes() > 0);
        let states = holds_more.then(|| self.states.iter().map(State::heap_bytes).sum::<usize>());
        size_of::<Self>()
            + self.table.allocation_size()
            + self.groups.capacity() * size_of::<Group>()
            + self.states.capacity() * size_of::<State>()
            + self.by_hash.capacity() * size_of::<(u64, u32)>()
            + keys
            + states.unwrap_or(0)
    }

    /// Whether no record was selected.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.folded.is_none()
    }

    /// Takes in the groups of another part of the same window. Any order of merges gives the same groups.
    pub fn merge(&mut self, other: &Self) {
        for (group, states) in other.iter() {
            let place = self.place(group.hash, &group.key);
            self.merge_into(place, group.records, states);
        }
        if let Some(folded) = &other.folded {
            self.take_in_folded(folded);
        }
    }

    /// Takes in one group of another part.
    pub fn take_in(&mut self, key: &[u8], records: u64, states: &[State]) {
        let place = self.place(xxh3_64(key), key);
        self.merge_into(place, records, states);
    }

    /// Takes in what another part has folded.
    pub fn take_in_folded(&mut self, folded: &Folded) {
        self.merge_into(Place::Folded, folded.records, &folded.states);
    }

    fn merge_into(&mut self, place: Place, records: u64, states: &[State]) {
        match place {
            Place::Kept(index) => self.groups[index as usize].records += records,
            Place::Folded => self.folded_mut().records += records,
        }
        merge_states(self.states_mut(place), states);
    }

    #[inline]
    fn place(&mut self, hash: u64, key: &[u8]) -> Place {
        let groups = &self.groups;
        let is_it = |entry: &Entry| entry.tag == tag(hash) && *groups[entry.index as usize].key == *key;
        match self.table.find(hash, is_it) {
            Some(entry) => Place::Kept(entry.index),
            None => self.place_new(hash, key),
        }
    }

    fn place_new(&mut self, hash: u64, key: &[u8]) -> Place {
        // Nothing is made of a key before it is known to be kept: beyond the limit most are not.
        let group = || Group {
            hash,
            key: key.into(),
            records: 0,
        };
        if self.groups.len() < self.limit {
            let index = self.groups.len() as u32;
            self.groups.push(group());
            self.states.extend(self.kinds.iter().map(|kind| State::new(*kind)));
            self.index(hash, index);
            return Place::Kept(index);
        }
        if self.by_hash.is_empty() {
            self.by_hash = self
                .groups
                .iter()
                .enumerate()
                .map(|(index, group)| (group.hash, index as u32))
                .collect();
        }
        let greatest = self.by_hash.peek().copied();
        match greatest {
            Some((kept, index)) if hash < kept && !mutant::is(Mutant::FirstComeGroups) => {
                self.replace(index, group());
                Place::Kept(index)
            }
            _ => Place::Folded,
        }
    }

    /// Folds the group at `index`, which has the greatest hash, and puts `group` in its place.
    fn replace(&mut self, index: u32, group: Group) {
        self.by_hash.pop();
        self.replaced += 1;
        let hash = group.hash;
        let old = std::mem::replace(&mut self.groups[index as usize], group);
        if let Ok(entry) = self.table.find_entry(old.hash, |other| other.index == index) {
            entry.remove();
        }
        let width = self.kinds.len();
        let fresh = self.kinds.iter().map(|kind| State::new(*kind));
        let first = index as usize * width;
        let states: Vec<State> = self.states.splice(first..first + width, fresh).collect();
        let folded = self.folded_mut();
        folded.records += old.records;
        merge_states(&mut folded.states, &states);
        self.index(hash, index);
        self.by_hash.push((hash, index));
    }

    fn index(&mut self, hash: u64, index: u32) {
        let groups = &self.groups;
        let entry = Entry { index, tag: tag(hash) };
        self.table
            .insert_unique(hash, entry, |other| groups[other.index as usize].hash);
    }

    fn folded_mut(&mut self) -> &mut Folded {
        let kinds = &self.kinds;
        self.folded.get_or_insert_with(|| Folded {
            records: 0,
            states: kinds.iter().map(|kind| State::new(*kind)).collect(),
        })
    }
}

impl PartialEq for Groups {
    /// Equal content, whatever the order in which it came.
    fn eq(&self, other: &Self) -> bool {
        let sorted = |groups: &Self| {
            let mut all: Vec<_> = groups
                .iter()
                .map(|(group, states)| (group.clone(), states.to_vec()))
                .collect();
            all.sort_by(|a, b| a.0.key.cmp(&b.0.key));
            all
        };
        self.folded == other.folded && sorted(self) == sorted(other)
    }
}

impl Group {
    /// The columns as [`encode_column`] wrote them.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The group's columns, `None` for null.
    pub fn columns(&self) -> Vec<Option<&[u8]>> {
        let mut columns = Vec::new();
        let mut rest = &*self.key;
        while let [tag, tail @ ..] = rest {
            if *tag == 0 {
                columns.push(None);
                rest = tail;
                continue;
            }
            let Some((len, tail)) = tail.split_first_chunk::<4>() else {
                break;
            };
            let (text, tail) = tail.split_at(u32::from_le_bytes(*len) as usize);
            columns.push(Some(text));
            rest = tail;
        }
        columns
    }
}

/// Appends a column to a key: a tag, then length and bytes unless it is null. Keys of equal columns are equal bytes.
#[inline]
pub fn encode_column(key: &mut Vec<u8>, column: Option<&[u8]>) {
    match column {
        None => key.push(0),
        Some(text) => {
            key.push(1);
            key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            key.extend_from_slice(text);
        }
    }
}

/// Merges states pairwise.
pub fn merge_states(into: &mut [State], from: &[State]) {
    for (state, more) in into.iter_mut().zip(from) {
        state.merge(more);
    }
}
