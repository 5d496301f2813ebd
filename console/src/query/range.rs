//! The stretch of time that a question is about, as window starts.

use configs::monitor::TimeRange;
use std::ops::Range;

/// What a question is about that says no time: the last half hour.
const SINCE_MS_DEFAULT: u64 = 30 * 60 * 1_000;
const NANOS_PER_MS: i64 = 1_000_000;

/// The half-open range of window starts that is meant at `now_ns`; times without a zone are UTC.
///
/// # Errors
/// If a time cannot be read, or the range ends before it begins; the message says which.
pub(crate) fn resolve(range: &TimeRange, now_ns: i64) -> Result<Range<i64>, String> {
    let from = match (&range.since, &range.from) {
        (Some(since), _) => time(since, now_ns)?,
        (None, Some(from)) => time(from, now_ns)?,
        (None, None) => before(now_ns, SINCE_MS_DEFAULT),
    };
    let to = match &range.to {
        Some(to) => time(to, now_ns)?,
        None => now_ns,
    };
    if from > to {
        return Err("the range ends before it begins: exchange `from` and `to`".to_owned());
    }
    Ok(from..to)
}

fn before(now_ns: i64, distance_ms: u64) -> i64 {
    let distance_ms = i64::try_from(distance_ms).unwrap_or(i64::MAX);
    now_ns.saturating_sub(distance_ms.saturating_mul(NANOS_PER_MS))
}

/// A time as it was written: RFC 3339, a date or a time of UTC, or a distance before now.
fn time(written: &str, now_ns: i64) -> Result<i64, String> {
    if let Some(distance_ms) = configs::duration_ms(written) {
        return Ok(before(now_ns, distance_ms));
    }
    instant(written).ok_or_else(|| {
        format!(
            "`{written}` is not a time: write RFC 3339, such as 2026-11-23T07:31:00Z, or a distance before now: 30m"
        )
    })
}

/// RFC 3339, or a date or a time that is taken for UTC, in nanoseconds.
pub(crate) fn instant(written: &str) -> Option<i64> {
    let timestamp = written.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = written.parse::<jiff::civil::DateTime>().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    i64::try_from(timestamp.as_nanosecond()).ok()
}

/// The least multiple of `step` that is not before `ns`.
pub(crate) fn round_up(ns: i64, step: i64) -> i64 {
    match ns.rem_euclid(step) {
        0 => ns,
        over => ns.saturating_add(step - over),
    }
}

/// The greatest multiple of `step` that is not behind `ns`.
pub(crate) fn round_down(ns: i64, step: i64) -> i64 {
    ns.saturating_sub(ns.rem_euclid(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_NS: i64 = 60_000_000_000;
    const NOW_NS: i64 = 1_000 * MINUTE_NS;

    #[track_caller]
    fn check(clauses: &str, expected: Result<Range<i64>, &str>) {
        let query = configs::parse_query(&format!("select a from m {clauses}")).expect("a good question");
        let range = resolve(&query.range, NOW_NS);
        assert_eq!(
            range.as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|message| *message),
            "{clauses}"
        );
    }

    #[test]
    fn ranges_are_resolved_by_the_clock() {
        check("since 5m", Ok(995 * MINUTE_NS..NOW_NS));
        check("", Ok(970 * MINUTE_NS..NOW_NS));
        check("from 10m to 5m", Ok(990 * MINUTE_NS..995 * MINUTE_NS));
        check(
            "from 1970-01-01T00:01:00Z to 1970-01-01T01:00:00+00:30",
            Ok(MINUTE_NS..30 * MINUTE_NS),
        );
        check("from 1970-01-01T00:02", Ok(2 * MINUTE_NS..NOW_NS));
        check(
            "from 5m to 10m",
            Err("the range ends before it begins: exchange `from` and `to`"),
        );
    }

    #[test]
    fn steps_are_aligned_also_before_1970() {
        assert_eq!([round_up(0, 5), round_up(1, 5), round_up(-6, 5)], [0, 5, -5]);
        assert_eq!([round_down(9, 5), round_down(-1, 5)], [5, -5]);
    }
}
