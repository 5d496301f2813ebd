//! Windows that are to be read again: a bounded queue, a few requests at a time, so that a repair never keeps fresh
//! windows waiting.

use crate::ledger::RereadPlan;
use std::collections::VecDeque;

/// Most requests that wait; a Brain orders again what falls off.
const WAITING_MAX: usize = 1024;
/// Most requests at a time for one monitor: repairs are of low priority.
const IN_FLIGHT_MAX: usize = 2;

/// What is to be read again, and what is being read.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    waiting: VecDeque<RereadPlan>,
    in_flight: Vec<RereadPlan>,
}

impl Repairs {
    /// Adds what is not being done already.
    pub(super) fn order(&mut self, plans: Vec<RereadPlan>) {
        for plan in plans {
            let is_known = self.waiting.iter().chain(&self.in_flight).any(|known| *known == plan);
            if !is_known && self.waiting.len() < WAITING_MAX {
                self.waiting.push_back(plan);
            }
        }
    }

    /// The next one to be asked for, if one may be.
    pub(super) fn next(&mut self) -> Option<RereadPlan> {
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            return None;
        }
        let plan = self.waiting.pop_front()?;
        self.in_flight.push(plan.clone());
        Some(plan)
    }

    /// One has its answer, or will have none.
    pub(super) fn ended(&mut self, plan: &RereadPlan) {
        self.in_flight.retain(|known| known != plan);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(at: usize) -> RereadPlan {
        RereadPlan {
            shard: 1,
            within: at as i64..at as i64 + 1,
            hosts: Vec::new(),
        }
    }

    #[test]
    fn repairs_are_bounded_and_none_is_done_twice_at_a_time() {
        let mut repairs = Repairs::default();
        repairs.order((0..WAITING_MAX + 9).map(plan).collect());
        assert_eq!(repairs.waiting.len(), WAITING_MAX);
        let first: Vec<_> = std::iter::from_fn(|| repairs.next()).collect();
        assert_eq!(first.len(), IN_FLIGHT_MAX);
        repairs.order(vec![plan(0), plan(5)]);
        assert_eq!(repairs.waiting.len(), WAITING_MAX - IN_FLIGHT_MAX);
        repairs.ended(&first[0]);
        assert_eq!(repairs.next(), Some(plan(IN_FLIGHT_MAX)));
    }
}
