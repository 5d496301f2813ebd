//! Restart intensity, as in Erlang/OTP's supervisors: so many restarts within a sliding period, no more. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::seam::Monotonic;

/// How many restarts are allowed in a sliding period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartLimit {
    /// Restarts allowed within the period; 0 means that the first failure escalates.
    pub restarts: u32,
    /// The period.
    pub within: Duration,
}

impl Default for RestartLimit {
    /// 5 in 30 s.
    fn default() -> RestartLimit {
        RestartLimit {
            restarts: 5,
            within: Duration::from_secs(30),
        }
    }
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Build it again after the backoff of so many failures in a row.
    Restart { failures: u32 },
    /// It was rebuilt too often already.
    Escalate,
}

/// The failures of one actor within the period. Memory: at most `restarts` times.
#[derive(Debug)]
pub(crate) struct RestartHistory {
    limit: RestartLimit,
    recent: VecDeque<Monotonic>,
}

impl RestartHistory {
    pub(crate) fn new(limit: RestartLimit) -> RestartHistory {
        RestartHistory {
            limit,
            recent: VecDeque::new(),
        }
    }

    /// Counts a failure at `now`, which must not go back.
    pub(crate) fn failed(&mut self, now: Monotonic) -> Verdict {
        while self
            .recent
            .front()
            .is_some_and(|&first| now.since(first) >= self.limit.within)
        {
            self.recent.pop_front();
        }
        let failures = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        if failures >= self.limit.restarts {
            return Verdict::Escalate;
        }
        self.recent.push_back(now);
        Verdict::Restart { failures: failures + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `failures_s`: when it failed; `expected`: failures in a row for a restart, 0 for an escalation.
    #[track_caller]
    fn check(restarts: u32, within_s: u64, failures_s: &[u64], expected: &[u32]) {
        let mut history = RestartHistory::new(RestartLimit {
            restarts,
            within: Duration::from_secs(within_s),
        });
        let verdicts: Vec<u32> = failures_s
            .iter()
            .map(
                |second| match history.failed(Monotonic::from_nanos(second * 1_000_000_000)) {
                    Verdict::Restart { failures } => failures,
                    Verdict::Escalate => 0,
                },
            )
            .collect();
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn the_sixth_failure_in_the_period_escalates() {
        check(5, 30, &[0, 1, 2, 3, 4, 5], &[1, 2, 3, 4, 5, 0]);
        check(5, 30, &[0, 0, 0, 0, 0, 29], &[1, 2, 3, 4, 5, 0]);
        check(5, 30, &[0, 0, 0, 0, 0, 30], &[1, 2, 3, 4, 5, 1]);
        check(2, 10, &[0, 6, 12, 18, 24], &[1, 2, 2, 2, 2]);
        check(0, 10, &[0], &[0]);
    }
}
