//! Counts of buckets: a hash table while few are touched, pages of counts as soon as those take less memory.
//!
//! A group of a few records must not pay for a range of 10²⁴; a busy one must not pay for a hash of each value. How the
//! counts are kept depends on their order of arrival, what they are does not: nobody outside can tell the two apart.

use super::layout::INDEX_MAX;
use hashbrown::HashTable;

/// Buckets of a page: 512 bytes of counts, 1/16 of a doubling.
const PAGE_BUCKETS: usize = 64;

/// Bits of an index within its page.
const PAGE_BITS: u32 = PAGE_BUCKETS.ilog2();

/// More pages than there can be, on both sides of nought.
const PAGES_MAX: usize = (INDEX_MAX as usize / PAGE_BUCKETS + 1) * 2;

/// Bytes of a slot of the hash table: an entry and its control byte.
const SLOT_BYTES: usize = size_of::<Entry>() + 1;

/// Bytes of a touched page, and of a place in the directory of pages.
const PAGE_BYTES: usize = size_of::<[u64; PAGE_BUCKETS]>();
const DIRECTORY_ENTRY_BYTES: usize = size_of::<Option<Box<[u64; PAGE_BUCKETS]>>>();

/// The counts of the buckets that were touched.
#[derive(Clone, Debug)]
pub enum Buckets {
    /// Each touched bucket by itself.
    Sparse(HashTable<Entry>),
    /// Whole pages wherever a bucket was touched.
    Dense(Pages),
}

/// A touched bucket.
#[derive(Copy, Clone, Debug)]
pub struct Entry {
    index: i32,
    count: u64,
}

/// Pages of counts over the touched range; those not touched are not there.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// Number of the page that stands first in `pages`: index ÷ 64, rounded down.
    first: i32,
    pages: Vec<Option<Box<[u64; PAGE_BUCKETS]>>>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self::Sparse(HashTable::new())
    }
}

impl Buckets {
    /// Adds `count` to a bucket.
    #[inline]
    pub fn add(&mut self, index: i32, count: u64) {
        match self {
            Self::Sparse(table) => {
                if let Some(entry) = table.find_mut(hash(index), |entry| entry.index == index) {
                    entry.count += count;
                } else {
                    self.touch(index, count);
                }
            }
            Self::Dense(pages) => pages.add(index, count),
        }
    }

    /// Adds all counts of another.
    pub fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Dense(pages), Self::Dense(more)) => pages.merge(more),
            (_, Self::Sparse(_) | Self::Dense(_)) => other.iter().for_each(|(index, count)| self.add(index, count)),
        }
    }

    /// The count of a bucket, 0 if it was not touched.
    pub fn count(&self, index: i32) -> u64 {
        match self {
            Self::Sparse(table) => table
                .find(hash(index), |entry| entry.index == index)
                .map_or(0, |entry| entry.count),
            Self::Dense(pages) => pages.count(index),
        }
    }

    /// All touched buckets with their counts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (i32, u64)> {
        let (sparse, dense) = match self {
            Self::Sparse(table) => (Some(table), None),
            Self::Dense(pages) => (None, Some(pages)),
        };
        let sparse = sparse.into_iter().flatten().map(|entry| (entry.index, entry.count));
        sparse.chain(dense.into_iter().flat_map(Pages::iter))
    }

    /// The bucket of the value of a rank, counted from 1 at the least; `None` beyond the last.
    pub fn at_rank(&self, rank: u64) -> Option<i32> {
        match self {
            Self::Sparse(table) => {
                let mut buckets: Vec<_> = table.iter().map(|entry| (entry.index, entry.count)).collect();
                buckets.sort_unstable();
                find_rank(buckets.into_iter(), rank)
            }
            Self::Dense(pages) => pages.at_rank(rank),
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Sparse(table) => table.allocation_size(),
            Self::Dense(pages) => {
                let touched = pages.pages.iter().flatten().count();
                pages.pages.capacity() * DIRECTORY_ENTRY_BYTES + touched * PAGE_BYTES
            }
        }
    }

    /// Adds a bucket that the hash table does not have yet, going over to pages if they take less than a larger table.
    #[cold]
    fn touch(&mut self, index: i32, count: u64) {
        if let Self::Sparse(table) = self {
            let full = table.len() == table.capacity();
            if !full || pages_bytes(table, index) > 2 * (table.len() + 1) * SLOT_BYTES {
                table.insert_unique(hash(index), Entry { index, count }, |entry| hash(entry.index));
                return;
            }
            let mut pages = Pages::default();
            table.iter().for_each(|entry| pages.add(entry.index, entry.count));
            *self = Self::Dense(pages);
        }
        self.add(index, count);
    }
}

impl Pages {
    #[inline]
    fn add(&mut self, index: i32, count: u64) {
        let (page, place) = page_and_place(index);
        let slot = page.wrapping_sub(self.first) as usize;
        match self.pages.get_mut(slot) {
            Some(Some(counts)) => counts[place] += count,
            _ => self.touch(page)[place] += count,
        }
    }

    fn merge(&mut self, other: &Self) {
        for (page, theirs) in (other.first..).zip(&other.pages) {
            if let Some(theirs) = theirs {
                self.touch(page)
                    .iter_mut()
                    .zip(theirs.iter())
                    .for_each(|(ours, more)| *ours += more);
            }
        }
    }

    fn count(&self, index: i32) -> u64 {
        let (page, place) = page_and_place(index);
        let slot = page.wrapping_sub(self.first) as usize;
        self.pages
            .get(slot)
            .and_then(Option::as_ref)
            .map_or(0, |counts| counts[place])
    }

    fn iter(&self) -> impl Iterator<Item = (i32, u64)> {
        let pages = (self.first..).zip(&self.pages);
        let buckets = pages.filter_map(|(page, counts)| counts.as_ref().map(|counts| (page << PAGE_BITS, counts)));
        buckets
            .flat_map(|(first, counts)| (first..).zip(counts.iter().copied()))
            .filter(|&(_, count)| count > 0)
    }

    fn at_rank(&self, rank: u64) -> Option<i32> {
        let mut before = 0;
        for (page, counts) in (self.first..).zip(&self.pages) {
            let Some(counts) = counts else { continue };
            let within: u64 = counts.iter().sum();
            if before + within >= rank {
                return find_rank((page << PAGE_BITS..).zip(counts.iter().copied()), rank - before);
            }
            before += within;
        }
        None
    }

    /// The counts of a page, which is put there if it isn't.
    fn touch(&mut self, page: i32) -> &mut [u64; PAGE_BUCKETS] {
        if self.pages.is_empty() {
            self.first = page;
        }
        if page < self.first {
            let missing = (self.first - page) as usize;
            self.pages.splice(..0, std::iter::repeat_with(|| None).take(missing));
            self.first = page;
        }
        let slot = (page - self.first) as usize;
        if slot >= self.pages.len() {
            self.pages.resize_with(slot + 1, || None);
        }
        self.pages[slot].get_or_insert_with(|| Box::new([0; PAGE_BUCKETS]))
    }
}

/// The bucket of a rank among buckets in order.
fn find_rank(mut buckets: impl Iterator<Item = (i32, u64)>, rank: u64) -> Option<i32> {
    let mut reached = 0;
    let found = buckets.find(|(_, count)| {
        reached += count;
        reached >= rank
    });
    found.map(|(index, _)| index)
}

/// Bytes that pages for these buckets and one more would take. Cost: a pass over the table, which is about to double.
fn pages_bytes(table: &HashTable<Entry>, one_more: i32) -> usize {
    let mut marks = [0_u64; PAGES_MAX.div_ceil(64)];
    let (mut first, mut last) = (i32::MAX, i32::MIN);
    for index in table.iter().map(|entry| entry.index).chain([one_more]) {
        let page = index >> PAGE_BITS;
        let mark = (page + PAGES_MAX as i32 / 2) as usize;
        marks[mark / 64] |= 1 << (mark % 64);
        first = first.min(page);
        last = last.max(page);
    }
    let touched: u32 = marks.iter().map(|word| word.count_ones()).sum();
    let span = (last - first) as usize + 1;
    touched as usize * PAGE_BYTES + span * DIRECTORY_ENTRY_BYTES
}

/// The page of a bucket, and its place there.
#[inline]
fn page_and_place(index: i32) -> (i32, usize) {
    (index >> PAGE_BITS, index as usize % PAGE_BUCKETS)
}

/// Mixes an index so that both ends of the word, which the table uses, depend on all of it (Fibonacci hashing).
#[inline]
fn hash(index: i32) -> u64 {
    let product = u64::from(index as u32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[track_caller]
    fn check(indexes: impl IntoIterator<Item = i32>, expected_dense: bool) -> usize {
        let mut buckets = Buckets::default();
        let mut expected = BTreeMap::new();
        for index in indexes {
            buckets.add(index, 1);
            *expected.entry(index).or_insert(0) += 1;
        }
        assert_eq!(buckets.iter().collect::<BTreeMap<_, _>>(), expected);
        let by_rank = expected.iter().flat_map(|(index, count)| (0..*count).map(|_| *index));
        for (rank, index) in (1..).zip(by_rank).step_by(7) {
            assert_eq!(buckets.at_rank(rank), Some(index), "rank {rank}");
        }
        assert_eq!(buckets.at_rank(expected.values().sum::<u64>() + 1), None);
        for index in expected.keys().flat_map(|index| [index - 1, *index, index + 1]) {
            assert_eq!(
                buckets.count(index),
                expected.get(&index).copied().unwrap_or(0),
                "bucket {index}"
            );
        }
        assert_eq!(matches!(buckets, Buckets::Dense(_)), expected_dense);
        buckets.heap_bytes()
    }

    #[test]
    fn few_or_scattered_buckets_stay_sparse() {
        assert_eq!(check([], false), 0);
        assert!(check([5], false) <= 128);
        assert!(check((0..1000).map(|_| -7), false) <= 128);
        assert!(check((-1000..1000).map(|number| number * 64), false) <= 4096 * SLOT_BYTES + 64);
        assert!(check([-INDEX_MAX, INDEX_MAX, 0, 1, -1], false) <= 256);
    }

    #[test]
    fn many_neighbours_become_pages() {
        assert!(check(0..3000, true) < 3000 * 9 + PAGE_BYTES);
        assert!(check((-1500..1500).rev(), true) < 3000 * 9 + 2 * PAGE_BYTES);
        check(
            (0..3000)
                .chain(-INDEX_MAX..1000 - INDEX_MAX)
                .chain(INDEX_MAX - 100..=INDEX_MAX),
            true,
        );
    }

    proptest! {
        #[test]
        fn merging_pages_and_tables_in_any_order_gives_the_same_counts(
            starts in prop::collection::vec((-3000..3000_i32, 0..600_i32, 1..20_i32), 1..4),
        ) {
            let parts: Vec<Buckets> = starts.iter().map(|&(start, length, step)| {
                let mut part = Buckets::default();
                (0..length).for_each(|number| part.add(start + number * step, 1 + u64::from(number % 3 == 0)));
                part
            }).collect();
            let (mut forth, mut back) = (Buckets::default(), Buckets::default());
            parts.iter().for_each(|part| forth.merge(part));
            parts.iter().rev().for_each(|part| back.merge(part));
            let mut expected = BTreeMap::new();
            for (index, count) in parts.iter().flat_map(Buckets::iter) {
                *expected.entry(index).or_insert(0) += count;
            }
            prop_assert_eq!(forth.iter().collect::<BTreeMap<_, _>>(), expected.clone());
            prop_assert_eq!(back.iter().collect::<BTreeMap<_, _>>(), expected);
        }
    }
}
