//! What all monitors of a tenant cost together on this node, and which of them are suspended for it.
//!
//! Three periods in a row over a limit suspend the dearest monitors, as few as bring the rest below it. How long they
//! are suspended, and when they are tried again, is each monitor's own budget to say, as if it had been over a limit of
//! its own. Monitors of others are not looked at.

use super::budget::{Rate, STRIKES, mib_text, ms_text};
use crate::input::Usage;
use crate::protocol::Tenant;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How long a tenant's monitors are summed up: twice the longest time between two pulls, so that each monitor is in it.
const PERIOD_NS: u64 = 10_000_000_000;
const SECOND_NS: u128 = 1_000_000_000;

/// A version of a monitor.
pub(super) type Key = (String, u64);

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Cpu,
    Bytes,
}

const MEASURES: [Measure; 2] = [Measure::Cpu, Measure::Bytes];

/// What something costs a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cost {
    /// Nanoseconds of processor time: finer than a limit, since what many cheap ones cost is summed up.
    cpu_ns: u64,
    /// Bytes of log.
    bytes: u64,
}

impl Cost {
    fn of(used: Usage, elapsed_ns: u64) -> Self {
        let per_second = |used: u64| {
            let rate = u128::from(used) * SECOND_NS / u128::from(elapsed_ns.max(1));
            u64::try_from(rate).unwrap_or(u64::MAX)
        };
        Self {
            cpu_ns: per_second(used.cpu_ns),
            bytes: per_second(used.bytes),
        }
    }

    fn by(self, measure: Measure) -> u64 {
        match measure {
            Measure::Cpu => self.cpu_ns,
            Measure::Bytes => self.bytes,
        }
    }

    fn sum<'c>(costs: impl IntoIterator<Item = &'c Self>) -> Self {
        costs.into_iter().fold(Self::default(), |sum, cost| Self {
            cpu_ns: sum.cpu_ns.saturating_add(cost.cpu_ns),
            bytes: sum.bytes.saturating_add(cost.bytes),
        })
    }
}

/// The most that something may cost a second, where that is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Most {
    cpu_ns: Option<u64>,
    bytes: Option<u64>,
}

impl Most {
    fn of(tenant: &Tenant) -> Self {
        Self {
            cpu_ns: tenant.cpu_us_per_s.map(|us| us.saturating_mul(1000)),
            bytes: tenant.bytes_per_s,
        }
    }

    fn by(self, measure: Measure) -> u64 {
        let most = match measure {
            Measure::Cpu => self.cpu_ns,
            Measure::Bytes => self.bytes,
        };
        most.unwrap_or(u64::MAX)
    }

    fn admits(self, cost: Cost) -> bool {
        MEASURES.iter().all(|measure| cost.by(*measure) <= self.by(*measure))
    }
}

/// Who is suspended so that what the rest cost is admitted, and for which measure: the dearest first, ties by name.
///
/// By one measure these are as few as can be. Where both are over, none of them could be left out either; another
/// choice might still be smaller, and would spare a dearer one.
fn choose(costs: &BTreeMap<Key, Cost>, most: Most) -> Vec<(Key, Measure)> {
    let mut rest = costs.clone();
    let mut chosen: Vec<(Key, Measure)> = Vec::new();
    for measure in MEASURES {
        let mut sum = Cost::sum(rest.values()).by(measure);
        let mut dearest: Vec<(u64, Key)> = rest.iter().map(|(key, cost)| (cost.by(measure), key.clone())).collect();
        dearest
            .sort_by(|(one, name), (other, other_name)| Reverse(one).cmp(&Reverse(other)).then(name.cmp(other_name)));
        for (cost, key) in dearest {
            if sum <= most.by(measure) {
                break;
            }
            sum = sum.saturating_sub(cost);
            rest.remove(&key);
            chosen.push((key, measure));
        }
    }
    // One that was chosen for its processor time is spared if those chosen for their bytes are enough.
    let mut spared = Vec::new();
    for (key, _) in chosen.iter().rev() {
        let cost = costs.get(key).copied().unwrap_or_default();
        if most.admits(Cost::sum(rest.values().chain([&cost]))) {
            rest.insert(key.clone(), cost);
            spared.push(key.clone());
        }
    }
    chosen.retain(|(key, _)| !spared.contains(key));
    chosen
}

/// A monitor that is to be suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) key: Key,
    /// Why, for people.
    pub(super) why: String,
}

/// A tenant's budget on this node. All times are of one monotonic clock.
#[derive(Debug)]
pub(super) struct TenantBudget {
    tenant: Tenant,
    /// Begin of the period under way; `None` before the first.
    began_ns: Option<u64>,
    used: BTreeMap<Key, Usage>,
    /// What was used in the periods in a row that were over a limit, and how long they were together.
    over: BTreeMap<Key, Usage>,
    over_ns: u64,
    strikes: u32,
    cost: Cost,
}

impl TenantBudget {
    pub(super) fn new(tenant: Tenant) -> Self {
        Self {
            tenant,
            began_ns: None,
            used: BTreeMap::new(),
            over: BTreeMap::new(),
            over_ns: 0,
            strikes: 0,
            cost: Cost::default(),
        }
    }

    /// Its name and its limits.
    pub(super) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Goes on with these limits; whether they are others.
    pub(super) fn change(&mut self, tenant: &Tenant) -> bool {
        let is_same = self.tenant == *tenant;
        if !is_same {
            self.tenant = tenant.clone();
            self.began_ns = None;
            self.forgive();
        }
        !is_same
    }

    /// What the last period came to.
    pub(super) fn rate(&self) -> Rate {
        Rate {
            cpu_us: self.cost.cpu_ns / 1000,
            bytes: self.cost.bytes,
        }
    }

    /// Takes what a monitor cost that is counted.
    pub(super) fn charge(&mut self, key: Key, used: Usage) {
        self.used.entry(key).or_default().add(used);
    }

    /// Looks at the clock: who is to be suspended. `is_counted` says whether a monitor still is: what the others took
    /// is no longer in the way.
    pub(super) fn judge(&mut self, now_ns: u64, is_counted: impl Fn(&Key) -> bool) -> Vec<Chosen> {
        let Some(began_ns) = self.began_ns else {
            self.began_ns = Some(now_ns);
            self.used.clear();
            return Vec::new();
        };
        let elapsed_ns = now_ns.saturating_sub(began_ns);
        if elapsed_ns < PERIOD_NS {
            return Vec::new();
        }
        self.began_ns = Some(now_ns);
        let mut used = std::mem::take(&mut self.used);
        used.retain(|key, _| is_counted(key));
        self.over.retain(|key, _| is_counted(key));
        let most = Most::of(&self.tenant);
        self.cost = Cost::sum(&costs(&used, elapsed_ns).into_values().collect::<Vec<_>>());
        if most.admits(self.cost) {
            self.forgive();
            return Vec::new();
        }
        for (key, used) in used {
            self.over.entry(key).or_default().add(used);
        }
        self.over_ns = self.over_ns.saturating_add(elapsed_ns);
        self.strikes += 1;
        if self.strikes < STRIKES {
            return Vec::new();
        }
        let costs = costs(&self.over, self.over_ns);
        self.forgive();
        let sum = Cost::sum(costs.values());
        let chosen = choose(&costs, most).into_iter();
        let chosen = chosen.map(|(key, measure)| Chosen {
            key,
            why: self.why(measure, sum),
        });
        chosen.collect()
    }

    fn forgive(&mut self) {
        self.over.clear();
        (self.over_ns, self.strikes) = (0, 0);
    }

    fn why(&self, measure: Measure, sum: Cost) -> String {
        let name = &self.tenant.name;
        let (took, most) = (sum.by(measure), Most::of(&self.tenant).by(measure));
        let excess = match measure {
            Measure::Cpu => format!(
                "its monitors took {} ms of CPU a second here, its limit is {}",
                ms_text(took / 1000),
                ms_text(most / 1000)
            ),
            Measure::Bytes => format!(
                "its monitors read {} MiB of log a second here, its limit is {}",
                mib_text(took),
                mib_text(most)
            ),
        };
        format!("suspended for the cost of its tenant `{name}`: {excess}")
    }
}

fn costs(used: &BTreeMap<Key, Usage>, elapsed_ns: u64) -> BTreeMap<Key, Cost> {
    let cost = |(key, used): (&Key, &Usage)| (key.clone(), Cost::of(*used, elapsed_ns));
    used.iter().map(cost).collect()
}

#[cfg(test)]
mod tests;
