//! Which bucket a value falls into, and which values fall into a bucket.
//!
//! The layout is hdrhistogram's (Gil Tene) for 3 significant digits and a lowest discernible value of one nano-unit:
//! magnitudes below 2048 have a bucket each; above, every doubling is cut into 1024 buckets of equal width. Here it is
//! carried on to 128 bits and mirrored for negative values, with nought in a bucket of its own.

/// Buckets per doubling: 2048 sub-buckets, the lower half of which the doubling before has covered.
const HALF: i32 = 1024;

/// Bits of a sub-bucket: 11, as 2048 is the least power of two over 2 × 10³.
const SUB_BUCKET_BITS: u32 = 11;

/// The greatest index there is: the bucket of 2¹²⁷, the magnitude of the least `i128`.
pub const INDEX_MAX: i32 = 118 * HALF;

/// The bucket of a value in nano-units. Indexes are ordered as the values are; a negative value has the negated index
/// of its magnitude. Within ±10¹⁵ units they lie in ±73 000, and in ±[`INDEX_MAX`] ever.
#[inline]
pub fn index(nanos: i128) -> i32 {
    let magnitude = nanos.unsigned_abs();
    // Nearly all values are below 2⁶⁴ nano-units: one count of leading zeros for them.
    let index = match u64::try_from(magnitude) {
        Ok(small) => {
            let shift = (u64::BITS - small.leading_zeros()).saturating_sub(SUB_BUCKET_BITS);
            shift as i32 * HALF + (small >> shift) as i32
        }
        Err(_) => {
            let shift = u128::BITS - magnitude.leading_zeros() - SUB_BUCKET_BITS;
            shift as i32 * HALF + (magnitude >> shift) as i32
        }
    };
    if nanos < 0 { -index } else { index }
}

/// The least and greatest magnitude of a bucket, both inclusive.
pub fn magnitudes(index: i32) -> (u128, u128) {
    let index = index.unsigned_abs();
    let half = HALF.unsigned_abs();
    let shift = (index / half).saturating_sub(1);
    let lowest = u128::from(index - shift * half) << shift;
    (lowest, lowest + ((1 << shift) - 1))
}

/// The number of the fewest significant digits in a bucket, in nano-units; of several, the one nearest to the middle.
pub fn shortest(index: i32) -> i128 {
    let (lowest, highest) = magnitudes(index);
    let middle = lowest + (highest - lowest) / 2;
    let mut unit = 10_u128.pow(highest.max(1).ilog10());
    // A bucket is symmetric about its middle: if any multiple of the unit is in it, so is the one nearest to the
    // middle. In the end every number is a multiple of 1.
    let magnitude = loop {
        let nearest = (middle + unit / 2) / unit * unit;
        if (lowest..=highest).contains(&nearest) {
            break nearest;
        }
        unit /= 10;
    };
    // Of an `i128` only its minimum has a magnitude that does not fit: the end of the scale.
    let magnitude = i128::try_from(magnitude).unwrap_or(i128::MAX);
    if index < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    fn histogram() -> Histogram<u64> {
        Histogram::new_with_bounds(1, u64::MAX / 4, 3).unwrap()
    }

    #[track_caller]
    fn check(histogram: &Histogram<u64>, value: u64) {
        let expected = (histogram.lowest_equivalent(value), histogram.highest_equivalent(value));
        let (lowest, highest) = magnitudes(index(i128::from(value)));
        assert_eq!(
            (lowest, highest),
            (u128::from(expected.0), u128::from(expected.1)),
            "{value}"
        );
    }

    #[test]
    fn buckets_are_those_of_hdrhistogram() {
        let histogram = histogram();
        (0..10_000).for_each(|value| check(&histogram, value));
        for bit in 11..62 {
            for offset in 0..3 {
                check(&histogram, (1 << bit) - 1 + offset);
            }
        }
    }

    #[test]
    fn buckets_join_without_gap_and_in_order() {
        let mut after = 0;
        for bucket in 0..=(127 - 10 + 1) * HALF {
            let (lowest, highest) = magnitudes(bucket);
            assert_eq!(lowest, after, "bucket {bucket}");
            for magnitude in [lowest, highest]
                .into_iter()
                .filter_map(|magnitude| i128::try_from(magnitude).ok())
            {
                assert_eq!(index(magnitude), bucket);
                assert_eq!(index(-magnitude), -bucket);
            }
            after = highest + 1;
        }
        assert_eq!(index(i128::MIN), -INDEX_MAX);
        assert!(index(10_i128.pow(24)) < 73_000);
    }

    #[test]
    fn shortest_numbers() {
        #[track_caller]
        fn check(nanos: i128, expected: i128) {
            assert_eq!(shortest(index(nanos)), expected, "{nanos}");
            assert_eq!(shortest(index(-nanos)), -expected, "-{nanos}");
        }
        for exact in [
            0,
            1,
            7,
            999,
            1000,
            2047,
            5_000_000_000,
            137_000_000,
            999_000_000_000,
            10_i128.pow(24),
        ] {
            check(exact, exact);
        }
        check(123_456, 123_500);
        check(2049, 2048);
        check(1_234_567_890_123, 1_234_000_000_000);
        shortest(index(i128::MAX));
        shortest(index(i128::MIN));
    }

    proptest! {
        #[test]
        fn agrees_with_hdrhistogram(bits in 0..62_u32, random in any::<u64>()) {
            check(&histogram(), random & ((1 << bits) - 1));
        }

        #[test]
        fn no_multiple_of_a_greater_power_of_ten_is_in_the_bucket(value in any::<i128>(), shift in 0..127_u32) {
            let bucket = index((value >> shift).max(-i128::MAX));
            let (lowest, highest) = magnitudes(bucket);
            let answer = shortest(bucket).unsigned_abs();
            prop_assert!((lowest..=highest).contains(&answer));
            let mut power = 1_u128;
            while answer != 0 && answer.is_multiple_of(power * 10) {
                power *= 10;
            }
            let greater = power * 10;
            let first = lowest.div_ceil(greater) * greater;
            prop_assert!(answer == 0 || first > highest, "{} in {}..={}", answer, lowest, highest);
        }

        #[test]
        fn three_significant_digits_are_exact(digits in 1..1000_i128, exponent in 0..22_u32) {
            let value = digits * 10_i128.pow(exponent);
            prop_assert_eq!(shortest(index(value)), value);
        }
    }
}
