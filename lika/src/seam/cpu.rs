//! Processor time: what a piece of computing cost, whatever else the machine did meanwhile.
//!
//! It goes into no decision of a simulation but those about cost.

use rustix::time::{ClockId, clock_gettime};

/// The processor time that the calling thread has taken since it began, in nanoseconds. Cost: one call of the system,
/// some hundred nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computing_costs_and_it_is_seen() {
        let began = thread_cpu_ns();
        let mut steps = 0u64;
        while thread_cpu_ns() - began < 1_000_000 {
            steps += 1;
        }
        assert!(steps > 0);
    }
}
