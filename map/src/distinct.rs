//! How many different texts: exact while they are few, then a sketch of fixed size; mergeable (M7).
//!
//! The state is a function of the *set* of texts alone: up to [`EXACT_MAX`] different hashes are kept as they are, from
//! the next one on only the registers that these same hashes and all others fill. So order, repetition, splits and
//! merges never show. Two texts of the same 64-bit hash count once, by chance never: 10⁻⁹ for a hundred thousand.
//! The hash is fixed and not secret: someone who writes the log could choose texts that mislead the sketch.

mod registers;

use hashbrown::HashTable;
use registers::Registers;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use xxhash_rust::xxh3::xxh3_64;

/// Up to so many different texts the number is exact. Their table takes 18 KB at most, about what the registers take.
pub const EXACT_MAX: usize = 1024;

/// A set of texts of which only the number of different ones can be asked.
///
/// Error: none up to [`EXACT_MAX`] different texts; beyond, a standard error of 0.81 % (1.04 / √16384).
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    kept: Kept,
}

/// What is kept of the texts.
#[derive(Clone, Debug)]
enum Kept {
    /// Their hashes, at most [`EXACT_MAX`].
    Hashes(HashTable<u64>),
    /// A HyperLogLog sketch of more than [`EXACT_MAX`] hashes.
    Registers(Box<Registers>),
}

/// Whether a number is the true one.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Precision {
    /// It is exact.
    Exact,
    /// It is estimated, with a standard error of 0.81 %.
    Estimated,
}

impl Default for Kept {
    fn default() -> Self {
        Self::Hashes(HashTable::new())
    }
}

impl PartialEq for Distinct {
    fn eq(&self, other: &Self) -> bool {
        match (&self.kept, &other.kept) {
            (Kept::Hashes(ours), Kept::Hashes(theirs)) => {
                ours.len() == theirs.len() && ours.iter().all(|&hash| contains(theirs, hash))
            }
            (Kept::Registers(ours), Kept::Registers(theirs)) => ours == theirs,
            (Kept::Hashes(_), Kept::Registers(_)) | (Kept::Registers(_), Kept::Hashes(_)) => false,
        }
    }
}

impl Eq for Distinct {}

impl Distinct {
    /// Adds a text. Cost: its xxh3 hash and one probe of a small table or one register.
    #[inline]
    pub fn add(&mut self, text: &[u8]) {
        self.add_hash(xxh3_64(text));
    }

    /// Takes in the texts of another.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.kept, &other.kept) {
            (_, Kept::Hashes(theirs)) => theirs.iter().for_each(|&hash| self.add_hash(hash)),
            (Kept::Registers(ours), Kept::Registers(theirs)) => ours.merge(theirs),
            (Kept::Hashes(ours), Kept::Registers(theirs)) => {
                let mut registers = theirs.clone();
                ours.iter().for_each(|&hash| registers.add(hash));
                self.kept = Kept::Registers(registers);
            }
        }
    }

    /// How many different texts there are; see [`Distinct::precision`].
    pub fn estimate(&self) -> u64 {
        match &self.kept {
            Kept::Hashes(hashes) => hashes.len() as u64,
            // That there are more than could be kept is certain.
            Kept::Registers(registers) => registers.estimate().max(EXACT_MAX as u64 + 1),
        }
    }

    /// Whether [`Distinct::estimate`] is exact.
    pub fn precision(&self) -> Precision {
        match &self.kept {
            Kept::Hashes(_) => Precision::Exact,
            Kept::Registers(_) => Precision::Estimated,
        }
    }

    /// Bytes in memory, on the heap and in place.
    pub fn memory_bytes(&self) -> usize {
        let heap_bytes = match &self.kept {
            Kept::Hashes(hashes) => hashes.allocation_size(),
            Kept::Registers(_) => size_of::<Registers>(),
        };
        size_of::<Self>() + heap_bytes
    }

    #[inline]
    fn add_hash(&mut self, hash: u64) {
        match &mut self.kept {
            Kept::Registers(registers) => registers.add(hash),
            Kept::Hashes(hashes) if contains(hashes, hash) => {}
            Kept::Hashes(_) => self.add_new(hash),
        }
    }

    /// Adds a hash that is not among the kept ones, going over to registers if it is one too many.
    fn add_new(&mut self, hash: u64) {
        let Kept::Hashes(hashes) = &mut self.kept else { return };
        if hashes.len() < EXACT_MAX {
            hashes.insert_unique(hash, hash, |&hash| hash);
            return;
        }
        let mut registers = Box::<Registers>::default();
        hashes.iter().for_each(|&kept| registers.add(kept));
        registers.add(hash);
        self.kept = Kept::Registers(registers);
    }
}

/// What is sent or stored: hashes in order, so that equal sets have equal bytes.
#[derive(Serialize, Deserialize)]
enum Wire {
    Hashes(Vec<u64>),
    #[serde(with = "serde_bytes")]
    Registers(Vec<u8>),
}

impl Serialize for Distinct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match &self.kept {
            Kept::Hashes(hashes) => {
                let mut hashes: Vec<u64> = hashes.iter().copied().collect();
                hashes.sort_unstable();
                Wire::Hashes(hashes)
            }
            Kept::Registers(registers) => Wire::Registers(registers.as_bytes().to_vec()),
        };
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Wire::deserialize(deserializer)? {
            Wire::Hashes(hashes) if hashes.len() <= EXACT_MAX => {
                let mut distinct = Self::default();
                hashes.into_iter().for_each(|hash| distinct.add_hash(hash));
                Ok(distinct)
            }
            Wire::Hashes(_) => Err(de::Error::custom("more hashes than are kept")),
            Wire::Registers(bytes) => {
                let registers = Registers::from_bytes(&bytes).ok_or_else(|| de::Error::custom("no registers"))?;
                Ok(Self {
                    kept: Kept::Registers(Box::new(registers)),
                })
            }
        }
    }
}

/// Whether a hash is in the table; hashes need no further hashing.
#[inline]
fn contains(hashes: &HashTable<u64>, hash: u64) -> bool {
    hashes.find(hash, |&kept| kept == hash).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collect(texts: impl IntoIterator<Item = u64>) -> Distinct {
        let mut distinct = Distinct::default();
        texts
            .into_iter()
            .for_each(|text| distinct.add(text.to_string().as_bytes()));
        distinct
    }

    #[track_caller]
    fn check(texts: &[&str], expected: u64) {
        let mut distinct = Distinct::default();
        texts.iter().for_each(|text| distinct.add(text.as_bytes()));
        assert_eq!(
            (distinct.estimate(), distinct.precision()),
            (expected, Precision::Exact),
            "{texts:?}"
        );
    }

    #[test]
    fn few_are_exact() {
        check(&[], 0);
        check(&[""], 1);
        check(&["a", "b", "a", "A", "a ", "b"], 4);
        let full = collect((0..1024).chain(0..1024));
        assert_eq!((full.estimate(), full.precision()), (1024, Precision::Exact));
        let over = collect(0..1025);
        assert_eq!(over.precision(), Precision::Estimated);
        assert!(over.estimate() >= 1025);
    }

    #[test]
    fn the_hash_is_fixed_for_ever() {
        // Stored pieces of different versions must merge; these are xxh3's own reference values.
        assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(xxh3_64(b"a"), 0xe6c6_32b6_1e96_4e1f);
    }

    #[test]
    fn error_of_known_cardinalities_is_within_four_sigma() {
        const SIGMA: f64 = 1.04 / 128.0;
        let mut distinct = Distinct::default();
        let mut squared_errors = Vec::new();
        let mut next = 2_000;
        for number in 1..=1_000_000_u64 {
            distinct.add(format!("/path/{number}").as_bytes());
            if number == next {
                let error = distinct.estimate() as f64 / number as f64 - 1.0;
                assert!(error.abs() < 4.0 * SIGMA, "{number}: {error}");
                squared_errors.push(error * error);
                next = if next >= 640_000 { 1_000_000 } else { next * 5 / 4 };
            }
        }
        assert!(squared_errors.len() > 25, "the run reached a million");
        let mean = squared_errors.iter().sum::<f64>() / squared_errors.len() as f64;
        assert!(mean.sqrt() < 1.5 * SIGMA, "root mean square {}", mean.sqrt());
    }

    #[test]
    fn independent_sets_have_the_stated_standard_error() {
        const SIGMA: f64 = 1.04 / 128.0;
        for cardinality in [1_500, 5_000, 40_000] {
            let errors: Vec<f64> = (0..40_u64)
                .map(|set| {
                    let distinct = collect((0..cardinality).map(|number| set << 32 | number));
                    distinct.estimate() as f64 / cardinality as f64 - 1.0
                })
                .collect();
            let bias = errors.iter().sum::<f64>() / 40.0;
            let spread = (errors.iter().map(|error| error * error).sum::<f64>() / 40.0).sqrt();
            assert!(bias.abs() < 4.0 * SIGMA / 40.0_f64.sqrt(), "{cardinality}: bias {bias}");
            assert!(spread < 1.4 * SIGMA, "{cardinality}: spread {spread}");
        }
    }

    #[test]
    fn memory() {
        assert!(Distinct::default().memory_bytes() <= 64);
        assert!(collect([1]).memory_bytes() <= 128);
        assert!(collect(0..1024).memory_bytes() <= 20 * 1024);
        assert!(collect(0..5000).memory_bytes() <= 16 * 1024 + 64);
    }

    #[test]
    fn unequal_sets_are_unequal() {
        assert_ne!(collect(0..5), collect(0..6));
        assert_ne!(collect(0..5), collect(1..6));
        assert_ne!(collect(0..1024), collect(0..1025));
        assert_ne!(collect(0..3000), collect(0..3100));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_order_and_any_tree_of_merges_gives_the_same_state(
            ranges in prop::collection::vec((0..3000_u64, 0..1100_u64), 1..6),
            shifts in prop::collection::vec(0..7_usize, 0..6),
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(start, length)| start..start + length).collect();
            let whole = collect(ranges.iter().flat_map(Clone::clone));
            let backwards = collect(ranges.iter().rev().flat_map(|range| range.clone().rev()));
            prop_assert_eq!(&backwards, &whole);
            let mut parts: Vec<_> = ranges.into_iter().map(collect).collect();
            // Merges two parts of some choice until one is left: a tree of any shape.
            for step in 0.. {
                if parts.len() == 1 {
                    break;
                }
                let shift = shifts.get(step).copied().unwrap_or(0);
                let taken = parts.swap_remove(shift % parts.len());
                let into = (shift / 2) % parts.len();
                parts[into].merge(&taken);
            }
            prop_assert_eq!(&parts[0], &whole);
            prop_assert_eq!(parts[0].estimate(), whole.estimate());
            prop_assert_eq!(parts[0].precision(), whole.precision());
        }
    }
}
