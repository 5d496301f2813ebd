//! Quantities with units, as people write them: `5s`, `50ms/s`, `100MiB/s`.

/// Units of time, in milliseconds, shortest first.
const TIME_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Milliseconds of a day.
pub(crate) const DAY_MS: u64 = 86_400_000;

/// The shortest window: below it, headers would outweigh what they head.
const WINDOW_MS_MIN: u64 = 100;

/// The longest duration that is accepted, ten years: a guard against arithmetic that overflows.
const DURATION_MS_MAX: u64 = 3_650 * DAY_MS;

/// What to say to somebody who wrote something else than a duration.
pub(crate) const DURATION_HINT: &str = "write a whole number and a unit: 500ms, 5s, 1m, 1h, 1d";

/// Whether `unit` is a unit of time.
pub(crate) fn is_time_unit(unit: &str) -> bool {
    TIME_UNITS.iter().any(|(name, _)| *name == unit)
}

/// Splits `50ms/s` into 50 and `ms/s`.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.len()
        - text
            .trim_start_matches(|character: char| character.is_ascii_digit())
            .len();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim()))
}

/// `5s` in milliseconds; `None` if it isn't a duration of at most ten years.
pub fn duration_ms(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
    number
        .checked_mul(*factor)
        .filter(|milliseconds| *milliseconds <= DURATION_MS_MAX)
}

/// `50ms/s` in microseconds of CPU per second; also `200us/s`, and `2s/s` for two cores.
pub(crate) fn cpu_us_per_second(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let factor = match unit {
        "us/s" => 1,
        "ms/s" => 1_000,
        "s/s" => 1_000_000,
        _ => return None,
    };
    number.checked_mul(factor).filter(|microseconds| *microseconds > 0)
}

/// `100MiB/s` in bytes per second; decimal and binary units.
pub(crate) fn bytes_per_second(text: &str) -> Option<u64> {
    bytes(text.strip_suffix("/s")?)
}

/// `100MiB` in bytes; decimal and binary units. None is not a number of them.
pub fn bytes(text: &str) -> Option<u64> {
    const KIB: u64 = 1 << 10;
    let (number, unit) = number_and_unit(text)?;
    let factor = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => KIB,
        "MiB" => KIB * KIB,
        "GiB" => KIB * KIB * KIB,
        _ => return None,
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0)
}

/// Why a window can't have this length, if so. Windows are aligned to UTC, so a day must hold a whole number of them.
pub(crate) fn window_fault(window_ms: u64) -> Option<&'static str> {
    if window_ms < WINDOW_MS_MIN {
        Some("a window is at least 100ms long")
    } else if DAY_MS.is_multiple_of(window_ms) || window_ms.is_multiple_of(DAY_MS) {
        None
    } else {
        Some("a window must divide a day evenly, or be whole days")
    }
}

/// The possible window lengths next to an impossible one, as a hint.
pub(crate) fn window_hint(window_ms: u64) -> String {
    const USUAL: [&str; 19] = [
        "100ms", "200ms", "500ms", "1s", "2s", "5s", "10s", "15s", "30s", "1m", "2m", "5m", "10m", "15m", "30m", "1h",
        "6h", "12h", "1d",
    ];
    let distance = |text: &&&str| duration_ms(text).map_or(u64::MAX, |usual| usual.abs_diff(window_ms));
    format!(
        "the nearest usual window is {}",
        USUAL.iter().min_by_key(distance).unwrap_or(&"1m")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parse: fn(&str) -> Option<u64>, cases: &[(&str, Option<u64>)]) {
        for (text, expected) in cases {
            assert_eq!(parse(text), *expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        let cases = [
            ("5s", Some(5_000)),
            ("500ms", Some(500)),
            ("1m", Some(60_000)),
            ("1h", Some(3_600_000)),
        ];
        check(duration_ms, &cases);
        check(
            duration_ms,
            &[("1d", Some(DAY_MS)), ("0s", Some(0)), ("5 s", Some(5_000))],
        );
        check(
            duration_ms,
            &[
                ("", None),
                ("5", None),
                ("s", None),
                ("-5s", None),
                ("1.5s", None),
                ("5x", None),
            ],
        );
        check(
            duration_ms,
            &[
                ("99999999999999999999s", None),
                ("9999999999d", None),
                ("3650d", Some(3_650 * DAY_MS)),
            ],
        );
    }

    #[test]
    fn budgets() {
        let cases = [
            ("50ms/s", Some(50_000)),
            ("200us/s", Some(200)),
            ("2s/s", Some(2_000_000)),
            ("50ms", None),
        ];
        check(cpu_us_per_second, &cases);
        let cases = [
            ("100MiB/s", Some(104_857_600)),
            ("1kB/s", Some(1_000)),
            ("5 GB/s", Some(5_000_000_000)),
        ];
        check(bytes_per_second, &cases);
        check(
            bytes_per_second,
            &[
                ("0B/s", None),
                ("5MiB", None),
                ("5Mb/s", None),
                ("99999999999999GiB/s", None),
            ],
        );
    }

    #[test]
    fn windows() {
        for (window_ms, possible) in [
            (100, true),
            (99, false),
            (5_000, true),
            (7_000, false),
            (DAY_MS, true),
            (2 * DAY_MS, true),
        ] {
            assert_eq!(window_fault(window_ms).is_none(), possible, "{window_ms}");
        }
        assert!(window_fault(DAY_MS + 1_000).is_some());
        assert_eq!(window_hint(7_000), "the nearest usual window is 5s");
    }
}
