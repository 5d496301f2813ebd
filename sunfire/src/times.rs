//! Times as people write them on a command line: RFC 3339, or a distance before now.

use crate::exit::Failure;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Nanoseconds since the epoch of `text`: `2026-11-23T07:31:00Z`, `2026-11-23T07:31` in `zone`, `30m` before
/// `now_ns`.
///
/// # Errors
/// Says what is understood, if `text` is none of it.
pub fn parse(text: &str, now_ns: i64, zone: &TimeZone) -> Result<i64, Failure> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return nanoseconds(text, time);
    }
    if let Some(distance_ms) = configs::duration_ms(text) {
        let distance_ns = i64::try_from(distance_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        return Ok(now_ns.saturating_sub(distance_ns));
    }
    let civil = text
        .parse::<DateTime>()
        .ok()
        .and_then(|civil| civil.to_zoned_datetime(zone.clone()).ok());
    match civil {
        Some(time) => nanoseconds(text, time.timestamp()),
        None => Err(Failure::usage(format!(
            "`{text}` is no time: write 2026-11-23T07:31:00Z, or a distance before now such as 30m"
        ))),
    }
}

fn nanoseconds(text: &str, time: Timestamp) -> Result<i64, Failure> {
    i64::try_from(time.as_nanosecond()).map_err(|_| Failure::usage(format!("`{text}` lies outside 1677–2262")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_relative_and_local_times() {
        let now = 1_000_000_000_000_000_000;
        let parse = |text| parse(text, now, &TimeZone::fixed(jiff::tz::offset(2))).ok();
        assert_eq!(parse("1970-01-01T00:00:01Z"), Some(1_000_000_000));
        assert_eq!(parse("1970-01-01T02:00:01+02:00"), Some(1_000_000_000));
        assert_eq!(parse("1970-01-01T02:00"), Some(0));
        assert_eq!(parse("30m"), Some(now - 1_800_000_000_000));
        assert_eq!(parse("yesterday-ish"), None);
    }
}
