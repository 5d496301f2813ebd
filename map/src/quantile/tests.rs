//! Quantiles against sorted values: ranks, the error bound, merging, memory.

use super::*;
use proptest::prelude::*;

fn collect(values: &[i128]) -> Quantiles {
    let mut quantiles = Quantiles::default();
    values
        .iter()
        .for_each(|&nanos| quantiles.add(Decimal::from_nanos(nanos)));
    quantiles
}

fn parse(texts: &[&str]) -> Quantiles {
    let nanos: Vec<_> = texts
        .iter()
        .map(|text| Decimal::parse(text.as_bytes()).unwrap().nanos())
        .collect();
    collect(&nanos)
}

#[track_caller]
fn check(values: &[&str], fraction: &str, expected: Option<&str>) {
    let answer = parse(values).quantile(Fraction::parse(fraction).unwrap());
    assert_eq!(
        answer.map(|value| value.to_string()),
        expected.map(str::to_owned),
        "{fraction} of {values:?}"
    );
}

#[test]
fn nearest_rank() {
    check(&[], "0.5", None);
    for fraction in ["0", "0.001", "0.5", "1"] {
        check(&["12.3456789"], fraction, Some("12.3456789"));
    }
    let ten = ["10", "9", "8", "7", "6", "5", "4", "3", "2", "1"];
    for (fraction, expected) in [
        ("0", "1"),
        ("0.1", "1"),
        ("0.11", "2"),
        ("0.2", "2"),
        ("0.5", "5"),
        ("0.51", "6"),
    ] {
        check(&ten, fraction, Some(expected));
    }
    for (fraction, expected) in [("0.9", "9"), ("0.90", "9"), ("0.900000000000000001", "10"), ("1", "10")] {
        check(&ten, fraction, Some(expected));
    }
    check(&["-3", "-2", "-1"], "0.5", Some("-2"));
    check(&["-3", "0", "0", "0", "7"], "0.5", Some("0"));
    check(&["-1000000000000000", "5", "1000000000000000"], "0.5", Some("5"));
    check(
        &["0.000000001", "0.000000002", "0.000000003"],
        "0.5",
        Some("0.000000002"),
    );
}

#[test]
fn clamped_to_the_least_and_greatest() {
    // The shortest number of their bucket is above all of them, below in the mirror image.
    check(
        &["123456789", "123456790", "123456791", "123456792"],
        "0.5",
        Some("123456792"),
    );
    check(
        &["-123456789", "-123456790", "-123456791", "-123456792"],
        "0.5",
        Some("-123456792"),
    );
}

#[test]
fn least_and_greatest_are_exact() {
    let values = ["1.23399999", "5", "6", "7.89100001"];
    check(&values, "0", Some("1.23399999"));
    check(&values, "0.25", Some("1.23399999"));
    check(&values, "0.76", Some("7.89100001"));
    check(&values, "1", Some("7.89100001"));
}

#[test]
fn fractions() {
    #[track_caller]
    fn check(text: &str, expected: Option<(u64, u64)>) {
        assert_eq!(
            Fraction::parse(text).map(|it| (it.numerator, it.denominator)),
            expected,
            "{text:?}"
        );
    }
    check("0.999", Some((999, 1000)));
    check("0.5000000000000000000000000", Some((5, 10)));
    check(".5", Some((5, 10)));
    check("0", Some((0, 1)));
    check("00.0", Some((0, 1)));
    check("1", Some((1, 1)));
    check("1.0", Some((1, 1)));
    check(
        "0.123456789012345678",
        Some((123_456_789_012_345_678, 1_000_000_000_000_000_000)),
    );
    for bad in [
        "",
        ".",
        "1.01",
        "2",
        "-0.5",
        "+0.5",
        "0.1.2",
        "0,5",
        "5%",
        "NaN",
        "1e-3",
        "0.1234567890123456789",
    ] {
        check(bad, None);
    }
    check("99999999999999999999999", None);
    assert_eq!(Fraction::new(1, 0), None);
    assert_eq!(Fraction::new(3, 2), None);
    assert_eq!(Fraction::new(1, 2).unwrap().rank(u64::MAX), u64::MAX / 2 + 1);
    assert_eq!(Fraction::new(u64::MAX, u64::MAX).unwrap().rank(u64::MAX), u64::MAX);
}

#[test]
fn equality_is_of_content() {
    let up: Vec<i128> = (0..5000).map(|number| 1_000_000 + number * 400).collect();
    let down: Vec<i128> = up.iter().rev().copied().collect();
    assert_eq!(collect(&up), collect(&down));
    assert_ne!(collect(&up), collect(&up[1..]));
    assert_ne!(collect(&[1, 1, 2]), collect(&[1, 2, 2]));
    assert_ne!(
        collect(&[1 << 40, 3 << 40]),
        collect(&[1 << 40, (3 << 40) + 1]),
        "extremes are exact"
    );
    let mut sparse_first = collect(&up[..3]);
    sparse_first.merge(&collect(&up[3..]));
    let mut dense_first = collect(&up[3..]);
    dense_first.merge(&collect(&up[..3]));
    assert_eq!(sparse_first, dense_first);
    assert_ne!(
        collect(&[1 << 40, 3 << 40]),
        collect(&[(1 << 40) + 1, 3 << 40]),
        "extremes are exact"
    );
    assert_eq!(collect(&[]), Quantiles::default());
}

#[test]
fn memory_stays_small_while_values_are_few() {
    assert!(Quantiles::default().memory_bytes() <= 128);
    assert!(collect(&[5_000_000_000; 1000]).memory_bytes() <= 256);
    let milliseconds: Vec<i128> = (1..=1000).map(|number| number * 1_000_000_000).collect();
    assert!(collect(&milliseconds).memory_bytes() <= 36 * 1024);
    let three_doublings: Vec<i128> = (100_000..800_000).map(|number| number * 1_000_000).collect();
    assert!(collect(&three_doublings).memory_bytes() <= 28 * 1024);
}

/// Numbers of all magnitudes within the limit, of few digits and of many.
fn nanos() -> impl Strategy<Value = i128> {
    let limit = crate::number::MAGNITUDE_MAX_NANOS as i128;
    let wide = (any::<i128>(), 48..128_u32).prop_map(move |(value, shift)| (value >> shift).clamp(-limit, limit));
    let near = 90_000_000_000..110_000_000_000_i128;
    let short = (-999..1000_i128, 0..21_u32).prop_map(|(digits, exponent)| digits * 10_i128.pow(exponent));
    prop_oneof![wide, near, short]
}

proptest! {
    #[test]
    fn within_a_thousandth_of_the_exact_nearest_rank(
        mut values in prop::collection::vec(nanos(), 1..300),
        numerator in 0..=1000_u64,
    ) {
        let quantiles = collect(&values);
        values.sort_unstable();
        let rank = (numerator as usize * values.len()).div_ceil(1000).max(1);
        let exact = values[rank - 1];
        let answer = quantiles.quantile(Fraction::new(numerator, 1000).unwrap()).unwrap().nanos();
        prop_assert!((answer - exact).abs() * 1024 <= exact.abs(), "{} for {}", answer, exact);
        prop_assert!(values[0] <= answer && answer <= values[values.len() - 1]);
    }

    #[test]
    fn merging_is_commutative_and_associative(
        a in prop::collection::vec(nanos(), 0..200),
        b in prop::collection::vec(nanos(), 0..200),
        c in prop::collection::vec(nanos(), 0..20),
    ) {
        let whole = collect(&[a.clone(), b.clone(), c.clone()].concat());
        let (a, b, c) = (collect(&a), collect(&b), collect(&c));
        let mut left = a.clone();
        left.merge(&b);
        left.merge(&c);
        let mut tail = c.clone();
        tail.merge(&b);
        let mut right = a.clone();
        right.merge(&tail);
        let mut reversed = tail;
        reversed.merge(&a);
        prop_assert_eq!(&left, &whole);
        prop_assert_eq!(&right, &whole);
        prop_assert_eq!(&reversed, &whole);
        let half = Fraction::new(1, 2).unwrap();
        prop_assert_eq!(reversed.quantile(half), whole.quantile(half));
    }
}
