//! Readings apart, paced: what one cost of a limited monitor or tenant is to be earned before the next one begins.
//!
//! A repair may not make its monitor dear: nothing is suspended for it. Instead each payer has a time before which no
//! reading apart begins for it; what one costs moves that time on, by as long as the limit takes to allow so much. So
//! repairs take as much again as the limit at most, seen over minutes; within them as many run at a time as the node
//! allows. Who waits holds nothing.

use super::registry::Registry;
use super::source::lock;
use crate::definition::Compiled;
use crate::input::Usage;
use crate::protocol::TaskId;
use lika::seam::Clock;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// The longest wait that one reading apart can bring to the next ones of its payers: dearer ones are given the rest.
const DEBT_NS_MAX: u64 = 600_000_000_000;

/// Who pays for a reading apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Payer {
    /// A version of a monitor.
    Monitor(String, u64),
    Tenant(String),
}

/// A payer, and what it may spend a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limited {
    payer: Payer,
    cpu_us_per_s: Option<u64>,
    bytes_per_s: Option<u64>,
}

impl Limited {
    /// How long the limits take to allow what was used.
    fn cost_ns(&self, used: Usage) -> u64 {
        let over = |used: u128, per_second: Option<u64>| {
            per_second.map_or(0, |per_second| {
                u64::try_from(used.saturating_mul(1_000_000_000) / u128::from(per_second.max(1))).unwrap_or(u64::MAX)
            })
        };
        let cpu_ns = over(u128::from(used.cpu_ns / 1000), self.cpu_us_per_s);
        cpu_ns.max(over(u128::from(used.bytes), self.bytes_per_s))
    }
}

/// Who pays for what is read apart for a shard: those that have limits.
pub(super) fn payers(registry: &Registry, id: &TaskId, compiled: &Compiled) -> Vec<Limited> {
    let limits = &compiled.monitor.limits;
    let monitor = Limited {
        payer: Payer::Monitor(id.monitor.clone(), id.version),
        cpu_us_per_s: limits.cpu_us_per_s,
        bytes_per_s: limits.bytes_per_s,
    };
    let tenant = registry.limits_of_tenant(id).map(|tenant| Limited {
        payer: Payer::Tenant(tenant.name.clone()),
        cpu_us_per_s: tenant.cpu_us_per_s,
        bytes_per_s: tenant.bytes_per_s,
    });
    let is_limited = |it: &Limited| it.cpu_us_per_s.is_some() || it.bytes_per_s.is_some();
    [monitor].into_iter().chain(tenant).filter(is_limited).collect()
}

/// When each payer's next reading apart may begin, of those who have to wait. All times are of one monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Paces(Mutex<BTreeMap<Payer, u64>>);

impl Paces {
    /// How long the next reading apart has to wait for these.
    fn wait(&self, payers: &[Limited], now_ns: u64) -> Duration {
        let due = lock(&self.0);
        let due_ns = payers.iter().filter_map(|limited| due.get(&limited.payer)).max();
        Duration::from_nanos(due_ns.map_or(0, |due_ns| due_ns.saturating_sub(now_ns)))
    }

    /// Waits until one may begin.
    pub(super) async fn wait_for(&self, payers: &[Limited], clock: &Clock) {
        loop {
            let wait = self.wait(payers, clock.monotonic().as_nanos());
            if wait.is_zero() {
                return;
            }
            clock.sleep(wait).await;
        }
    }

    /// Whether one may begin now.
    pub(super) fn is_due(&self, payers: &[Limited], now_ns: u64) -> bool {
        self.wait(payers, now_ns).is_zero()
    }

    /// Takes what a part of one cost.
    pub(super) fn charge(&self, payers: &[Limited], used: Usage, now_ns: u64) {
        let mut due = lock(&self.0);
        due.retain(|_, due_ns| *due_ns > now_ns);
        for limited in payers {
            let due_ns = due.get(&limited.payer).copied().unwrap_or(now_ns);
            let due_ns = due_ns.saturating_add(limited.cost_ns(used));
            due.insert(limited.payer.clone(), due_ns.min(now_ns.saturating_add(DEBT_NS_MAX)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn limited(payer: Payer, cpu_ms: Option<u64>, mib: Option<u64>) -> Limited {
        Limited {
            payer,
            cpu_us_per_s: cpu_ms.map(|ms| ms * 1000),
            bytes_per_s: mib.map(|mib| mib << 20),
        }
    }

    fn used(cpu_ms: u64, mib: u64) -> Usage {
        Usage {
            cpu_ns: cpu_ms * 1_000_000,
            bytes: mib << 20,
            advanced_ns: 0,
        }
    }

    #[test]
    fn what_was_spent_is_earned_before_the_next_begins() {
        let paces = Paces::default();
        let monitor = limited(Payer::Monitor("m".to_owned(), 1), Some(50), Some(10));
        let tenant = limited(Payer::Tenant("t".to_owned()), None, Some(100));
        let both = [monitor.clone(), tenant.clone()];
        let wait = |payers: &[Limited], now: u64| paces.wait(payers, now * SECOND).as_secs();
        assert!(paces.is_due(&both, 7 * SECOND));
        // 100 ms at 50 a second, 40 MiB at 10 a second: the longer time counts. In parts it comes to the same.
        paces.charge(&both, used(100, 20), 7 * SECOND);
        paces.charge(&both, used(0, 20), 7 * SECOND);
        assert_eq!((wait(&both, 7), wait(&both, 9)), (4, 2));
        assert!(!paces.is_due(&both, 10 * SECOND) && paces.is_due(&both, 11 * SECOND));
        // The tenant's other monitors wait for the tenant alone, others for nobody.
        let other = limited(Payer::Monitor("other".to_owned(), 1), Some(50), None);
        paces.charge(&[other.clone(), tenant.clone()], used(10, 200), 8 * SECOND);
        assert_eq!((wait(&[other], 8), wait(&[tenant], 8), wait(&[monitor], 8)), (0, 2, 3));
        let third = limited(Payer::Monitor("third".to_owned(), 1), Some(50), None);
        assert_eq!(wait(&[third], 8), 0);
        // What was earned is forgotten.
        paces.charge(&[], used(0, 0), 11 * SECOND);
        assert_eq!(lock(&paces.0).len(), 0);
    }

    #[test]
    fn no_reading_makes_others_wait_for_ever() {
        let paces = Paces::default();
        let monitor = [limited(Payer::Monitor("m".to_owned(), 1), Some(1), Some(1))];
        for _ in 0..3 {
            paces.charge(&monitor, used(u64::MAX / 1_000_000, 1 << 40), 0);
        }
        assert_eq!(paces.wait(&monitor, 0), Duration::from_nanos(DEBT_NS_MAX));
    }
}
