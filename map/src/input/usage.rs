//! What counting costs, by monitor: processor time and bytes of log, and how much of the log's own time that brought.

/// The processor time that the calling thread has taken so far, in nanoseconds; always 0 where it is not measured.
pub type CpuClock = fn() -> u64;

/// What a monitor cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time in nanoseconds: its own counting, and its equal part of what all monitors on the log share.
    pub cpu_ns: u64,
    /// Bytes of log that were gone through for it, whoever else they were gone through for.
    pub bytes: u64,
    /// By how much the time moved on until when its windows are proved: much more than the time since the pull before,
    /// where a backlog is read.
    pub advanced_ns: u64,
}

impl Usage {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.cpu_ns = self.cpu_ns.saturating_add(other.cpu_ns);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.advanced_ns = self.advanced_ns.saturating_add(other.advanced_ns);
    }

    /// What it comes to if it is spread over the time that it brought, where that is more than the time that it took:
    /// a backlog costs at once what it would have cost as it was written, and is no reason to call a monitor dear.
    #[must_use]
    pub fn spread(self, elapsed_ns: u64) -> Self {
        if self.advanced_ns <= elapsed_ns {
            return self;
        }
        let part = |whole: u64| {
            let part = u128::from(whole) * u128::from(elapsed_ns) / u128::from(self.advanced_ns);
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        Self {
            cpu_ns: part(self.cpu_ns),
            bytes: part(self.bytes),
            ..self
        }
    }
}

/// Runs a piece of work; its result, and the processor time that it took.
pub(super) fn timed<T>(cpu: CpuClock, work: impl FnOnce() -> T) -> (T, u64) {
    let began = cpu();
    let done = work();
    (done, cpu().saturating_sub(began))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_spread_over_the_time_that_it_is_of() {
        let used = |advanced_ns| Usage {
            cpu_ns: 300,
            bytes: 3000,
            advanced_ns,
        };
        assert_eq!(used(0).spread(10), used(0));
        assert_eq!(used(10).spread(10), used(10));
        let spread = used(100).spread(10);
        assert_eq!((spread.cpu_ns, spread.bytes), (30, 300));
        assert_eq!(used(u64::MAX).spread(u64::MAX - 1).cpu_ns, 299);
    }
}
