//! Whether a monitor costs more on this node than it may: processor time and bytes of log per second, judged over
//! periods as long as its windows.
//!
//! Three periods in a row over a limit suspend it for a while, which doubles each time that it comes to that soon
//! again. A single dear period is no reason: reading begins with a backlog, and a machine has its hiccups.

use crate::input::Usage;
use configs::monitor::Limits;

/// Periods in a row over a limit that suspend somebody.
pub(super) const STRIKES: u32 = 3;
/// A period is a window, within these bounds: pulls come about once a second, and an hour's windows must not let a
/// monitor harm others for three hours.
const PERIOD_NS_MIN: u64 = 1_000_000_000;
const PERIOD_NS_MAX: u64 = 60_000_000_000;
/// How long a monitor is suspended at first, and at most: long enough that trying again costs little, short enough that
/// nobody has to do anything where the cause has gone.
const COOLDOWN_NS: u64 = 300_000_000_000;
const COOLDOWN_NS_MAX: u64 = 3_600_000_000_000;

/// What a monitor costs per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rate {
    /// Microseconds of processor time.
    pub(super) cpu_us: u64,
    /// Bytes of log.
    pub(super) bytes: u64,
}

/// What comes of a look at the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It is not to be counted from now on, and why.
    Suspend(String),
    /// It is to be counted again.
    Resume,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Since then it is counted.
    Counted { since_ns: u64 },
    /// Until then it is not.
    Suspended { until_ns: u64, cause: Cause },
}

/// Whose limit a monitor is suspended for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Own,
    Tenant,
}

/// A monitor's budget on this node. All times are of one monotonic clock.
#[derive(Debug)]
pub(super) struct Budget {
    cpu_us_max: Option<u64>,
    bytes_max: Option<u64>,
    period_ns: u64,
    began_ns: u64,
    used: Usage,
    rate: Rate,
    strikes: u32,
    /// Suspensions in a row, each soon after the one before.
    suspensions: u32,
    standing: Standing,
}

impl Budget {
    /// Of a monitor that begins now.
    pub(super) fn new(limits: &Limits, window_ns: i64, now_ns: u64) -> Self {
        Self {
            cpu_us_max: limits.cpu_us_per_s,
            bytes_max: limits.bytes_per_s,
            period_ns: u64::try_from(window_ns)
                .unwrap_or(0)
                .clamp(PERIOD_NS_MIN, PERIOD_NS_MAX),
            began_ns: now_ns,
            used: Usage::default(),
            rate: Rate::default(),
            strikes: 0,
            suspensions: 0,
            standing: Standing::Counted { since_ns: now_ns },
        }
    }

    /// What the last period came to.
    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes what a pull cost.
    pub(super) fn charge(&mut self, used: Usage) {
        self.used.add(used);
    }

    /// Looks at the clock.
    pub(super) fn judge(&mut self, now_ns: u64) -> Option<Ruling> {
        let elapsed_ns = now_ns.saturating_sub(self.began_ns);
        let is_over = elapsed_ns >= self.period_ns;
        if is_over {
            let per_second = |used: u64| {
                let rate = u128::from(used) * 1_000_000_000 / u128::from(elapsed_ns.max(1));
                u64::try_from(rate).unwrap_or(u64::MAX)
            };
            self.rate = Rate {
                cpu_us: per_second(self.used.cpu_ns) / 1000,
                bytes: per_second(self.used.bytes),
            };
            (self.used, self.began_ns) = (Usage::default(), now_ns);
        }
        match self.standing {
            Standing::Suspended { until_ns, .. } if now_ns >= until_ns => {
                self.standing = Standing::Counted { since_ns: now_ns };
                (self.strikes, self.used, self.began_ns) = (0, Usage::default(), now_ns);
                Some(Ruling::Resume)
            }
            Standing::Counted { since_ns } if is_over => self.judge_period(now_ns, since_ns),
            Standing::Suspended { .. } | Standing::Counted { .. } => None,
        }
    }

    fn judge_period(&mut self, now_ns: u64, since_ns: u64) -> Option<Ruling> {
        let Some(excess) = self.excess() else {
            self.strikes = 0;
            if now_ns.saturating_sub(since_ns) >= self.cooldown_ns() {
                self.suspensions = 0;
            }
            return None;
        };
        self.strikes += 1;
        if self.strikes < STRIKES {
            return None;
        }
        Some(self.suspend(Cause::Own, now_ns, &format!("suspended for its cost: {excess}")))
    }

    /// Suspends it for what its windows hold.
    pub(super) fn suspend_for_memory(&mut self, now_ns: u64, excess: &str) -> Ruling {
        self.suspend(Cause::Own, now_ns, &format!("suspended for its cost: {excess}"))
    }

    fn suspend(&mut self, cause: Cause, now_ns: u64, why: &str) -> Ruling {
        self.suspensions = self.suspensions.saturating_add(1);
        let cooldown_ns = self.cooldown_ns();
        self.standing = Standing::Suspended {
            until_ns: now_ns.saturating_add(cooldown_ns),
            cause,
        };
        let minutes = cooldown_ns / 60_000_000_000;
        Ruling::Suspend(format!("{why}; it is tried again after {minutes} min"))
    }

    /// Suspends it for what its tenant's monitors cost together.
    pub(super) fn suspend_for_tenant(&mut self, now_ns: u64, why: &str) -> Ruling {
        self.suspend(Cause::Tenant, now_ns, why)
    }

    /// Has it tried again at the next look at the clock, and as if it had never been suspended, if it is suspended for
    /// its tenant: that may cost something else now, or it is another one.
    pub(super) fn forgive_tenant(&mut self) {
        if let Standing::Suspended {
            until_ns,
            cause: Cause::Tenant,
        } = &mut self.standing
        {
            *until_ns = 0;
            self.suspensions = 0;
        }
    }

    /// Whether it is not suspended.
    pub(super) fn is_counted(&self) -> bool {
        matches!(self.standing, Standing::Counted { .. })
    }

    /// Whether it is suspended for its tenant.
    pub(super) fn is_suspended_for_tenant(&self) -> bool {
        let Standing::Suspended { cause, .. } = self.standing else {
            return false;
        };
        cause == Cause::Tenant
    }

    /// How long the suspension after so many lasts.
    fn cooldown_ns(&self) -> u64 {
        let doublings = self.suspensions.saturating_sub(1).min(16);
        (COOLDOWN_NS << doublings).min(COOLDOWN_NS_MAX)
    }

    /// What of the last period was more than it may be, for people.
    fn excess(&self) -> Option<String> {
        let Rate { cpu_us, bytes } = self.rate;
        let cpu = self.cpu_us_max.filter(|max| cpu_us > *max);
        let cpu = cpu.map(|max| {
            format!(
                "it took {} ms of CPU a second here, its limit is {}",
                ms_text(cpu_us),
                ms_text(max)
            )
        });
        let read = self.bytes_max.filter(|max| bytes > *max);
        let read = read.map(|max| {
            format!(
                "it read {} MiB of log a second here, its limit is {}",
                mib_text(bytes),
                mib_text(max)
            )
        });
        cpu.or(read)
    }
}

/// Microseconds as milliseconds with one digit behind the point.
pub(super) fn ms_text(us: u64) -> String {
    format!("{}.{}", us / 1000, us % 1000 / 100)
}

/// Bytes as MiB with one digit behind the point.
pub(super) fn mib_text(bytes: u64) -> String {
    format!("{}.{}", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A monitor of windows of 5 s that may take 50 ms/s and 10 MiB/s, and costs as the seconds say.
    struct Case {
        budget: Budget,
        now_ns: u64,
        rulings: Vec<(u64, bool)>,
        why: String,
    }

    impl Case {
        fn new() -> Self {
            let limits = Limits {
                groups: 1,
                cpu_us_per_s: Some(50_000),
                bytes_per_s: Some(10 << 20),
            };
            Self {
                budget: Budget::new(&limits, 5 * SECOND as i64, 0),
                now_ns: 0,
                rulings: Vec::new(),
                why: String::new(),
            }
        }

        fn run(&mut self, seconds: u64, cpu_ms: u64, mib: u64) {
            for _ in 0..seconds {
                self.now_ns += SECOND;
                self.budget.charge(Usage {
                    cpu_ns: cpu_ms * 1_000_000,
                    bytes: mib << 20,
                    advanced_ns: 0,
                });
                let ruling = self.budget.judge(self.now_ns);
                let Some(ruling) = ruling else { continue };
                self.rulings
                    .push((self.now_ns / SECOND, matches!(ruling, Ruling::Suspend(_))));
                if let Ruling::Suspend(why) = ruling {
                    self.why = why;
                }
            }
        }
    }

    #[test]
    fn three_dear_windows_in_a_row_suspend_and_fewer_do_not() {
        let mut case = Case::new();
        case.run(100, 50, 10);
        case.run(10, 80, 1);
        case.run(5, 10, 1);
        case.run(10, 80, 1);
        case.run(5, 10, 1);
        assert_eq!(case.rulings, []);
        case.run(15, 80, 1);
        assert_eq!(case.rulings, [(145, true)]);
        assert_eq!(
            case.why,
            "suspended for its cost: it took 80.0 ms of CPU a second here, its limit is 50.0; it is tried again \
             after 5 min"
        );
        assert_eq!(
            case.budget.rate(),
            Rate {
                cpu_us: 80_000,
                bytes: 1 << 20
            }
        );
    }

    #[test]
    fn bytes_are_limited_as_well() {
        let mut case = Case::new();
        case.run(15, 1, 11);
        assert_eq!(case.rulings, [(15, true)]);
        assert!(
            case.why
                .contains("it read 11.0 MiB of log a second here, its limit is 10.0"),
            "{}",
            case.why
        );
    }

    #[test]
    fn it_is_tried_again_ever_later_until_it_behaves() {
        let mut case = Case::new();
        case.run(15, 80, 1);
        case.run(300, 0, 0);
        case.run(15, 80, 1);
        case.run(600, 0, 0);
        let expected = [(15, true), (315, false), (330, true), (930, false)];
        assert_eq!(case.rulings, expected);
        // For as long as it was suspended it behaves, and begins anew.
        case.run(600, 10, 1);
        case.run(15, 80, 1);
        case.run(301, 0, 0);
        assert_eq!(case.rulings[4..], [(1545, true), (1845, false)]);
    }

    #[test]
    fn suspended_for_its_tenant_it_waits_as_for_its_own_limit() {
        let mut case = Case::new();
        let suspend = |case: &mut Case| {
            let ruling = case.budget.suspend_for_tenant(case.now_ns, "for another");
            let Ruling::Suspend(why) = ruling else {
                unreachable!("it suspends")
            };
            why
        };
        case.run(10, 10, 1);
        assert_eq!(suspend(&mut case), "for another; it is tried again after 5 min");
        assert!(!case.budget.is_counted() && case.budget.is_suspended_for_tenant());
        case.run(300, 0, 0);
        assert_eq!(case.rulings, [(310, false)]);
        // Soon again: for twice as long. Its own limit doubles the same.
        assert_eq!(suspend(&mut case), "for another; it is tried again after 10 min");
        case.run(600, 0, 0);
        case.run(15, 80, 1);
        assert_eq!(case.rulings[1..], [(910, false), (925, true)]);
        assert!(case.why.ends_with("it is tried again after 20 min"), "{}", case.why);
        assert!(!case.budget.is_suspended_for_tenant());
        // That is its own: other limits of its tenant do not end it.
        case.budget.forgive_tenant();
        case.run(1, 0, 0);
        assert!(!case.budget.is_counted());
    }

    #[test]
    fn other_limits_of_its_tenant_let_it_begin_anew() {
        let mut case = Case::new();
        for _ in 0..3 {
            case.budget.suspend_for_tenant(case.now_ns, "for another");
            case.budget.forgive_tenant();
            case.run(1, 10, 1);
        }
        assert_eq!(case.rulings, [(1, false), (2, false), (3, false)]);
        let again = case.budget.suspend_for_tenant(case.now_ns, "for another");
        assert_eq!(
            again,
            Ruling::Suspend("for another; it is tried again after 5 min".to_owned())
        );
    }

    #[test]
    fn without_a_limit_it_is_only_measured() {
        let limits = Limits {
            groups: 1,
            cpu_us_per_s: None,
            bytes_per_s: None,
        };
        let mut budget = Budget::new(&limits, 3_600 * SECOND as i64, 0);
        budget.charge(Usage {
            cpu_ns: u64::MAX,
            bytes: 60,
            advanced_ns: 0,
        });
        assert_eq!(budget.judge(59 * SECOND), None);
        assert_eq!(budget.rate(), Rate::default());
        assert_eq!(budget.judge(60 * SECOND), None);
        assert_eq!(budget.rate().bytes, 1);
    }
}
