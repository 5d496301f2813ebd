//! When a host is ok for a window (P2, P4), as arithmetic over what was read: verdict runs, the delay, who is behind.

use crate::verdict::{HostState, Stage, VerdictRun};
use std::collections::VecDeque;

/// No window is published that ends further than this ahead of the host's clock (P2).
const AHEAD_OF_CLOCK_NS: i64 = 2_000_000_000;
/// A file whose greatest stamp is further ahead of the host's clock is `ahead` (P4).
const AHEAD_NS: i64 = 60_000_000_000;
/// Records that were written later than this after their stamp make a host `behind` (P4), unless the monitor's delay
/// is longer.
pub(super) const BEHIND_NS: i64 = 15 * 60_000_000_000;
/// Bounds of a learned delay, and the least one while an input is young (P2).
const DELAY_NS_MAX: i64 = 15 * 60_000_000_000;
const DELAY_NS_YOUNG: i64 = 2 * 60_000_000_000;
/// How long an input is young.
const YOUNG_NS: i64 = 10 * 60_000_000_000;
/// A learned delay halves in this time if nothing confirms it.
const DELAY_HALF_LIFE_NS: i64 = 10 * 60_000_000_000;

/// How far one generation proves the ends of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// It was read through the size that the snapshot saw.
    pub(super) is_through: bool,
    /// The greatest committed good stamp.
    pub(super) greatest_ns: Option<i64>,
    /// The lateness bound.
    pub(super) lateness_ns: i64,
}

/// Until when windows are proved; ends of windows lie at or before these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proved {
    /// Late bytes may still come.
    pub(super) provisional_ns: i64,
    /// Nothing more is expected.
    pub(super) settled_ns: i64,
}

impl Proved {
    /// Nothing before `from_ns` is asked for, so that much is proved.
    pub(super) fn nothing(from_ns: i64) -> Self {
        Self {
            provisional_ns: from_ns,
            settled_ns: from_ns,
        }
    }

    /// The later of two proofs.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            provisional_ns: self.provisional_ns.max(other.provisional_ns),
            settled_ns: self.settled_ns.max(other.settled_ns),
        }
    }
}

/// What a stable snapshot at `t_ns` proves, all generations together (P2).
pub(super) fn prove(t_ns: i64, grace_ns: i64, delay_ns: i64, generations: impl IntoIterator<Item = Reach>) -> Proved {
    let cap = t_ns.saturating_add(AHEAD_OF_CLOCK_NS);
    let mut proved = Proved {
        provisional_ns: i64::MAX,
        settled_ns: i64::MAX,
    };
    let mut is_any = false;
    for reach in generations {
        is_any = true;
        // (a) a committed record beyond the window's end and the lateness bound, and not beyond the clock.
        let by_stamp = reach
            .greatest_ns
            .filter(|greatest| *greatest <= cap)
            .map_or(i64::MIN, |greatest| greatest.saturating_sub(reach.lateness_ns));
        // (b) every line of what stood there at `t`.
        let by_size = |wait_ns: i64| {
            if reach.is_through {
                t_ns.saturating_sub(wait_ns)
            } else {
                i64::MIN
            }
        };
        proved.provisional_ns = proved.provisional_ns.min(by_stamp.max(by_size(grace_ns)));
        proved.settled_ns = proved.settled_ns.min(by_stamp.max(by_size(delay_ns.max(grace_ns))));
    }
    if !is_any {
        proved = Proved {
            provisional_ns: t_ns.saturating_sub(grace_ns),
            settled_ns: t_ns.saturating_sub(delay_ns.max(grace_ns)),
        };
    }
    Proved {
        provisional_ns: proved.provisional_ns.min(cap),
        settled_ns: proved.settled_ns.min(cap),
    }
}

/// Why nothing more is proved at the moment.
pub(super) type Condition = (HostState, Option<String>);

/// A stretch of time whose windows are not ok for a reason that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overlay {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
    pub(super) state: HostState,
    pub(super) detail: Option<String>,
}

/// A monitor's windows on this input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) from_ns: i64,
    pub(super) until_ns: i64,
    pub(super) length_ns: i64,
}

impl Asked {
    /// Start of the first window that does not end at or before `end_ns`.
    fn first_not_ended(&self, end_ns: i64) -> i64 {
        let start = end_ns.div_euclid(self.length_ns).saturating_mul(self.length_ns);
        start.clamp(self.from_ns, self.until_ns.max(self.from_ns))
    }
}

/// The verdicts: proved windows are ok, those behind them have the condition up to `upto_ns`, overlays win over ok.
pub(super) fn verdicts(
    asked: Asked,
    proved: Proved,
    condition: Option<(&Condition, i64)>,
    overlays: &[Overlay],
) -> Vec<VerdictRun> {
    let settled = asked.first_not_ended(proved.settled_ns);
    let provisional = asked.first_not_ended(proved.provisional_ns).max(settled);
    let ok = |from_ns, to_ns, stage| VerdictRun {
        from_ns,
        to_ns,
        state: HostState::Ok,
        stage,
        detail: None,
    };
    let mut runs = vec![
        ok(asked.from_ns, settled, Stage::Settled),
        ok(settled, provisional, Stage::Provisional),
    ];
    if let Some(((state, detail), upto_ns)) = condition {
        runs.push(VerdictRun {
            from_ns: provisional,
            to_ns: asked.first_not_ended(upto_ns).max(provisional),
            state: *state,
            stage: Stage::Provisional,
            detail: detail.clone(),
        });
    }
    for overlay in overlays {
        runs = runs
            .into_iter()
            .flat_map(|run| lay_over(run, overlay, asked.length_ns))
            .collect();
    }
    runs.retain(|run| run.from_ns < run.to_ns);
    runs
}

/// A run with the windows that an overlay touches cut out, if it is ok.
fn lay_over(run: VerdictRun, overlay: &Overlay, length_ns: i64) -> Vec<VerdictRun> {
    // The first window that ends behind the overlay's start, and the first that starts at its end.
    let first = overlay
        .from_ns
        .div_euclid(length_ns)
        .saturating_mul(length_ns)
        .max(run.from_ns);
    let aligned = overlay.to_ns.saturating_add(length_ns - 1).div_euclid(length_ns);
    let last = aligned.saturating_mul(length_ns).min(run.to_ns);
    if run.state != HostState::Ok || first >= last {
        return vec![run];
    }
    let part = |from_ns, to_ns| VerdictRun {
        from_ns,
        to_ns,
        ..run.clone()
    };
    let covered = VerdictRun {
        from_ns: first,
        to_ns: last,
        state: overlay.state,
        stage: match overlay.state.is_for_good() {
            true => run.stage,
            // It may be out of the way some day.
            false => Stage::Provisional,
        },
        detail: overlay.detail.clone(),
    };
    vec![part(run.from_ns, first), covered, part(last, run.to_ns)]
}

/// `D`, learned: how long after its stamp a record may still come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DelayLearner {
    first_ns: Option<i64>,
    learned_ns: i64,
    learned_at_ns: i64,
}

impl DelayLearner {
    /// The first pull of the input.
    pub(super) fn begin(&mut self, t_ns: i64) {
        self.first_ns.get_or_insert(t_ns);
    }

    /// A record came that a pull at `unseen_at_ns` had not seen.
    pub(super) fn observe(&mut self, unseen_at_ns: i64, stamp_ns: i64, t_ns: i64) {
        let delay_ns = unseen_at_ns.saturating_sub(stamp_ns);
        if delay_ns > self.decayed(t_ns) {
            self.learned_ns = delay_ns;
            self.learned_at_ns = t_ns;
        }
    }

    fn decayed(&self, t_ns: i64) -> i64 {
        let halvings = t_ns.saturating_sub(self.learned_at_ns) / DELAY_HALF_LIFE_NS;
        self.learned_ns >> halvings.clamp(0, 62)
    }

    /// The delay now, for a lateness bound, or the monitor's own.
    pub(super) fn delay_ns(&self, t_ns: i64, lateness_ns: i64, given_ns: Option<i64>) -> i64 {
        if let Some(given_ns) = given_ns {
            return given_ns;
        }
        let is_young = self.first_ns.is_none_or(|first| t_ns.saturating_sub(first) < YOUNG_NS);
        let least_ns = if is_young { DELAY_NS_YOUNG } else { 0 };
        let learned = self.decayed(t_ns);
        lateness_ns
            .max(least_ns)
            .max(learned + learned / 4)
            .min(DELAY_NS_MAX.max(lateness_ns))
    }
}

/// Whether the newest records of what grew were all written long after their stamps (P4).
pub(super) fn is_behind(newest_ns: &VecDeque<i64>, written_ns: i64, delay_ns: Option<i64>) -> bool {
    let limit_ns = delay_ns.unwrap_or(0).max(BEHIND_NS);
    !newest_ns.is_empty()
        && newest_ns
            .iter()
            .all(|stamp| written_ns.saturating_sub(*stamp) > limit_ns)
}

/// Whether a file's greatest stamp is ahead of the host's clock (P4).
pub(super) fn is_ahead(greatest_ns: i64, t_ns: i64) -> bool {
    greatest_ns > t_ns.saturating_add(AHEAD_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn asked() -> Asked {
        Asked {
            from_ns: 0,
            until_ns: i64::MAX,
            length_ns: 5 * S,
        }
    }

    /// Runs as `from-to state`, in seconds.
    fn shown(runs: &[VerdictRun]) -> Vec<String> {
        let stage = |run: &VerdictRun| if run.stage == Stage::Settled { "!" } else { "" };
        let show = |run: &VerdictRun| {
            format!(
                "{}-{} {}{}",
                run.from_ns / S,
                run.to_ns / S,
                run.state.name(),
                stage(run)
            )
        };
        runs.iter().map(show).collect()
    }

    fn proved(provisional: i64, settled: i64) -> Proved {
        Proved {
            provisional_ns: provisional * S,
            settled_ns: settled * S,
        }
    }

    #[test]
    fn only_windows_that_have_ended_are_proved() {
        let runs = verdicts(asked(), proved(29, 14), None, &[]);
        assert_eq!(shown(&runs), ["0-10 ok!", "10-25 ok"]);
        // To the nanosecond.
        let edge = Proved {
            provisional_ns: 30 * S - 1,
            settled_ns: 15 * S,
        };
        assert_eq!(shown(&verdicts(asked(), edge, None, &[])), ["0-15 ok!", "15-25 ok"]);
    }

    #[test]
    fn a_condition_holds_behind_what_is_proved_and_an_overlay_within() {
        let condition = (HostState::Denied, None);
        let lost = Overlay {
            from_ns: 12 * S,
            to_ns: 15 * S,
            state: HostState::BytesLost,
            detail: None,
        };
        let runs = verdicts(
            asked(),
            proved(20, 10),
            Some((&condition, 31 * S)),
            std::slice::from_ref(&lost),
        );
        assert_eq!(
            shown(&runs),
            ["0-10 ok!", "10-15 bytes_lost", "15-20 ok", "20-30 denied"]
        );
        let until = Asked {
            until_ns: 15 * S,
            ..asked()
        };
        let runs = verdicts(until, proved(20, 10), Some((&condition, 31 * S)), &[]);
        assert_eq!(shown(&runs), ["0-10 ok!", "10-15 ok"]);
    }

    #[track_caller]
    fn check(generations: &[(bool, Option<i64>)], expected: (i64, i64)) {
        let reach = |&(is_through, greatest): &(bool, Option<i64>)| Reach {
            is_through,
            greatest_ns: greatest.map(|seconds| seconds * S),
            lateness_ns: 10 * S,
        };
        let proof = prove(100 * S, S, 60 * S, generations.iter().map(reach));
        let seconds = |ns: i64| if ns == i64::MIN { -1 } else { ns / S };
        assert_eq!((seconds(proof.provisional_ns), seconds(proof.settled_ns)), expected);
    }

    #[test]
    fn an_end_is_proved_by_size_or_by_a_later_stamp() {
        check(&[], (99, 40));
        check(&[(true, None)], (99, 40));
        check(&[(true, Some(97))], (99, 87));
        check(&[(false, Some(97))], (87, 87));
        check(&[(false, None)], (-1, -1));
        check(&[(true, Some(97)), (false, Some(50))], (40, 40));
        // A stamp beyond the clock proves nothing.
        check(&[(false, Some(103))], (-1, -1));
        check(&[(true, Some(102))], (99, 92));
    }

    #[test]
    fn a_delay_is_learned_decays_and_is_long_at_first() {
        let mut learner = DelayLearner::default();
        learner.begin(0);
        assert_eq!(learner.delay_ns(S, 10 * S, None), 120 * S);
        assert_eq!(learner.delay_ns(S, 10 * S, Some(30 * S)), 30 * S);
        let later = 3600 * S;
        assert_eq!(learner.delay_ns(later, 10 * S, None), 10 * S);
        learner.observe(later, later - 40 * S, later);
        assert_eq!(learner.delay_ns(later, 10 * S, None), 50 * S);
        assert_eq!(learner.delay_ns(later + 600 * S, 10 * S, None), 25 * S);
        learner.observe(later, 0, later);
        assert_eq!(learner.delay_ns(later, 10 * S, None), 900 * S);
    }

    #[test]
    fn behind_is_who_writes_only_old_records_and_ahead_who_is_minutes_early() {
        let newest = |ages: &[i64]| ages.iter().map(|age| 10_000 * S - age * S).collect::<VecDeque<i64>>();
        assert!(!is_behind(&newest(&[]), 10_000 * S, None));
        assert!(is_behind(&newest(&[901, 3600]), 10_000 * S, None));
        assert!(!is_behind(&newest(&[3600, 899]), 10_000 * S, None));
        assert!(!is_behind(&newest(&[3600]), 10_000 * S, Some(4000 * S)));
        assert!(is_ahead(161 * S, 100 * S) && !is_ahead(160 * S, 100 * S));
    }
}
