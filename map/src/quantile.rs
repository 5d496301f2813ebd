//! Quantiles that merge: a histogram of decimals in hdrhistogram's layout of 3 significant digits (M7).
//!
//! Quantiles of hosts can't be averaged; histograms can be added up, in any order, with the same result. The crate
//! `hdrhistogram` can't be used itself: it counts `u64` values only (a [`Decimal`] has up to 80 bits), has no negative
//! ones, and keeps every bucket from the first (88 KB for values up to 10⁶; a thousand groups with a dozen open windows
//! would take over a gigabyte). Buckets here are those of its layout, so what is known of its errors holds.

mod buckets;
mod layout;

use crate::number::Decimal;
use buckets::Buckets;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A histogram of decimals, with the exact least and greatest.
///
/// Two histograms are equal if they were given the same buckets as often, in whatever order and by whatever merges.
/// Counts are 64 bits wide: 2⁶⁴ records are beyond reach.
#[derive(Clone, Debug)]
pub struct Quantiles {
    buckets: Buckets,
    count: u64,
    /// Greater than `greatest` while there are no values.
    least: Decimal,
    greatest: Decimal,
}

/// A fraction in `[0, 1]`, exact: which quantile is asked for.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Fraction {
    numerator: u64,
    denominator: u64,
}

/// A quantile's text may have this many digits: enough for any (10¹⁸ records), and both numbers fit in 64 bits.
const FRACTION_DIGITS_MAX: usize = 18;

impl Fraction {
    /// `numerator / denominator`; `None` unless it lies in `[0, 1]`.
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        (denominator > 0 && numerator <= denominator).then_some(Self { numerator, denominator })
    }

    /// Reads `0.999`, `.5`, `1`: digits with at most one point, at most 18 of them after it. `None` for anything else
    /// and for what lies beyond 1.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        let all_digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let any_digit = text.bytes().any(|byte| byte.is_ascii_digit());
        if !all_digits || !any_digit || fraction.len() > FRACTION_DIGITS_MAX {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let numerator = match format!("{whole}{fraction}").as_str() {
            "" => 0,
            digits => digits.parse().ok()?,
        };
        Self::new(numerator, 10_u64.pow(fraction.len() as u32))
    }

    /// The nearest rank, `⌈q·n⌉` and at least 1, of `count` > 0 values.
    fn rank(self, count: u64) -> u64 {
        let product = u128::from(self.numerator) * u128::from(count);
        // At most `count`, since the fraction is at most 1.
        (product.div_ceil(u128::from(self.denominator)) as u64).max(1)
    }
}

impl Default for Quantiles {
    fn default() -> Self {
        Self {
            buckets: Buckets::default(),
            count: 0,
            least: Decimal::from_nanos(i128::MAX),
            greatest: Decimal::from_nanos(i128::MIN),
        }
    }
}

impl PartialEq for Quantiles {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count
            && self.least == other.least
            && self.greatest == other.greatest
            // With equal totals nothing can be in the other's buckets that isn't in ours.
            && self.buckets.iter().all(|(index, count)| other.buckets.count(index) == count)
    }
}

impl Eq for Quantiles {}

impl Quantiles {
    /// Counts a value. Cost: one probe of a small hash table or one array access; amortised below 10 ns.
    #[inline]
    pub fn add(&mut self, value: Decimal) {
        self.count += 1;
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        self.buckets.add(layout::index(value.nanos()), 1);
    }

    /// Takes in what another has counted. Any order of merges gives an equal histogram.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
        self.buckets.merge(&other.buckets);
    }

    /// The touched buckets in their order, with the least and the greatest value: what is sent or stored.
    fn to_wire(&self) -> Wire {
        let mut buckets: Vec<(i32, u64)> = self.buckets.iter().filter(|(_, count)| *count > 0).collect();
        buckets.sort_unstable();
        Wire {
            buckets,
            least: self.least,
            greatest: self.greatest,
        }
    }

    fn from_wire(wire: &Wire) -> Option<Self> {
        let mut quantiles = Self {
            least: wire.least,
            greatest: wire.greatest,
            ..Self::default()
        };
        for &(index, count) in &wire.buckets {
            if index.unsigned_abs() > layout::INDEX_MAX.unsigned_abs() {
                return None;
            }
            quantiles.count = quantiles.count.checked_add(count)?;
            quantiles.buckets.add(index, count);
        }
        let is_empty = quantiles.count == 0;
        (is_empty == (quantiles.least > quantiles.greatest)).then_some(quantiles)
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value of nearest rank `⌈q·n⌉`, approximately; `None` if there are no values.
    ///
    /// The least and the greatest value are exact. Any other answer is the number with the fewest significant digits in
    /// the bucket of the exact nearest-rank value, of several the one nearest to the bucket's middle, and never beyond
    /// the least and greatest. A bucket is narrower than 1/1024 of its values, so the answer is **within 0.1 %** of the
    /// exact one (0.0977 %); and where that has at most 3 significant digits it *is* the exact one, for two such
    /// numbers are further apart than a bucket is wide.
    ///
    /// Cost: a sort of the touched buckets while there are few, else a walk over them.
    pub fn quantile(&self, fraction: Fraction) -> Option<Decimal> {
        if self.count == 0 {
            return None;
        }
        let rank = fraction.rank(self.count);
        if rank == 1 {
            return Some(self.least);
        }
        if rank == self.count {
            return Some(self.greatest);
        }
        let shortest = Decimal::from_nanos(layout::shortest(self.buckets.at_rank(rank)?));
        Some(shortest.clamp(self.least, self.greatest))
    }

    /// Bytes in memory, on the heap and in place: about 200 for a few values, at most 1.3 MB if values of all
    /// magnitudes and both signs touch every page.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.buckets.heap_bytes()
    }
}

/// What is sent or stored of a histogram.
#[derive(Serialize, Deserialize)]
struct Wire {
    buckets: Vec<(i32, u64)>,
    least: Decimal,
    greatest: Decimal,
}

impl Serialize for Quantiles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_wire().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Quantiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        Self::from_wire(&wire).ok_or_else(|| de::Error::custom("no histogram of values"))
    }
}

#[cfg(test)]
mod tests;
