//! When an input is pulled: functions of the wall clock alone, so that all Maps pull a window just after its end.
//!
//! A pull is due at fixed places of the clock: at each end of a window plus its grace, and in between often enough
//! for open points. Each input comes a little later than the place, by a hash of what it is: ten thousand inputs of
//! the same window don't ask in the same millisecond, and each asks at the same phase always.

use std::ops::RangeInclusive;

/// Open points are wanted at least so often, and no input is pulled more often than the first says.
const INTERVAL_NS: RangeInclusive<i64> = 1_000_000_000..=5_000_000_000;
/// How far behind its place a pull is made at least: the agent's clock must be past the window's end and grace, and two
/// clocks that are kept by NTP on one site differ by this much.
pub(super) const PHASE_NS: i64 = 5_000_000;
/// Inputs are spread over so much time behind their place.
pub(super) const JITTER_NS_MAX: u64 = 100_000_000;
/// An agent whose clock is slow is asked later by as much, at most this: beyond it, waiting would cost more freshness
/// than a second pull.
const LAG_NS_MAX: i64 = 1_000_000_000;

/// A monitor's windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rhythm {
    pub(super) window_ns: i64,
    pub(super) grace_ns: i64,
}

impl Rhythm {
    /// As often as anything is pulled.
    pub(super) const EACH_SECOND: Self = Self {
        window_ns: *INTERVAL_NS.start(),
        grace_ns: 0,
    };
}

/// How far behind the places of the clock an input is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    /// The input's own, fixed.
    pub(super) jitter_ns: i64,
    /// By how much the agent's clock is behind ours.
    pub(super) lag_ns: i64,
}

impl Offset {
    /// The offset of an input that is told from others by `name`.
    pub(super) fn of(name: &[u8]) -> Self {
        let jitter_ns = xxhash_rust::xxh3::xxh3_64(name) % JITTER_NS_MAX;
        Self {
            jitter_ns: jitter_ns as i64,
            lag_ns: 0,
        }
    }

    pub(super) fn total_ns(self) -> i64 {
        PHASE_NS + self.jitter_ns + self.lag_ns.clamp(0, LAG_NS_MAX)
    }
}

/// The first multiple of `period` plus `phase` that is greater than `now`.
pub(super) fn next_place(now_ns: i64, period_ns: i64, phase_ns: i64) -> i64 {
    let period_ns = period_ns.max(1);
    let periods = now_ns.saturating_sub(phase_ns).div_euclid(period_ns);
    periods
        .saturating_add(1)
        .saturating_mul(period_ns)
        .saturating_add(phase_ns)
}

/// When a log is pulled next; at most five seconds from now, whatever its windows.
pub(super) fn next_pull_ns(now_ns: i64, rhythms: &[Rhythm], offset: Offset) -> i64 {
    let late_ns = offset.total_ns();
    let before_ns = now_ns.saturating_sub(late_ns);
    let shortest = rhythms.iter().min().copied().unwrap_or(Rhythm {
        window_ns: *INTERVAL_NS.end(),
        grace_ns: 0,
    });
    let interval_ns = shortest.window_ns.clamp(*INTERVAL_NS.start(), *INTERVAL_NS.end());
    let regular = next_place(before_ns, interval_ns, shortest.grace_ns.rem_euclid(interval_ns));
    let ends = rhythms.iter().filter(|rhythm| rhythm.window_ns > interval_ns);
    let ends = ends.map(|rhythm| next_place(before_ns, rhythm.window_ns, rhythm.grace_ns));
    ends.fold(regular, i64::min).saturating_add(late_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const MS: i64 = 1_000_000;

    fn rhythm(window_ms: i64, grace_ms: i64) -> Rhythm {
        Rhythm {
            window_ns: window_ms * MS,
            grace_ns: grace_ms * MS,
        }
    }

    /// Pulls from 100 s on, in milliseconds after it.
    #[track_caller]
    fn check(rhythms: &[Rhythm], lag_ms: i64, expected_ms: &[i64]) {
        let offset = Offset {
            jitter_ns: 20 * MS,
            lag_ns: lag_ms * MS,
        };
        let mut now = 100 * SECOND;
        let pulls: Vec<i64> = (expected_ms.iter())
            .map(|_| {
                now = next_pull_ns(now, rhythms, offset);
                (now - 100 * SECOND) / MS
            })
            .collect();
        assert_eq!(pulls, expected_ms);
    }

    #[test]
    fn pulls_come_just_after_ends_and_their_grace() {
        check(&[rhythm(1000, 1000)], 0, &[25, 1025, 2025]);
        check(&[rhythm(100, 0)], 0, &[25, 1025]);
        check(&[rhythm(5000, 1000)], 0, &[1025, 6025, 11025]);
        check(&[rhythm(5000, 1000)], 300, &[1325, 6325]);
        check(&[rhythm(5000, 1000)], -300, &[1025]);
        check(&[rhythm(5000, 1000)], 60_000, &[2025]);
        // Every five seconds, and at 121 s, where a minute's grace ends.
        check(&[rhythm(60_000, 1000)], 0, &[1025, 6025, 11025, 16025, 21025, 26025]);
        check(&[rhythm(60_000, 2000)], 0, &[2025, 7025, 12025, 17025, 22025]);
        check(&[rhythm(1000, 300), rhythm(5000, 1000)], 0, &[325, 1025, 1325, 2325]);
        check(&[], 0, &[25, 5025]);
        // Windows that are no multiple of the interval.
        check(&[rhythm(7000, 0)], 0, &[25, 5025, 10_025, 12_025, 15_025]);
    }

    #[test]
    fn times_before_the_epoch_and_at_the_ends_of_time_have_a_next_place() {
        assert_eq!(next_place(-1, 10, 0), 0);
        assert_eq!(next_place(0, 10, 0), 10);
        assert_eq!(next_place(-11, 10, 3), -7);
        assert!(next_place(i64::MAX, 10, 3) > 0);
        assert!(next_place(i64::MIN, 10, 3) < 0);
        assert!(next_place(5, 0, 0) > 5);
    }

    #[test]
    fn the_spread_is_fixed_and_bounded() {
        let spread = |name: &str| Offset::of(name.as_bytes()).jitter_ns;
        assert_eq!(spread("h1:/a.log"), spread("h1:/a.log"));
        assert_ne!(spread("h1:/a.log"), spread("h2:/a.log"));
        assert!((0..1000).all(|number| (0..JITTER_NS_MAX as i64).contains(&spread(&number.to_string()))));
    }
}
