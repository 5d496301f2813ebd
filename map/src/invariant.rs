//! The contract's promises as checks: what must hold whenever a value is made, or the value is not shown.
//!
//! In tests and dev builds a violation panics, so that it is found. In release it is counted ([`violations`]) and the
//! caller, who gets `false`, must poison the window: a value that broke a promise is withheld, never published.

use std::sync::atomic::{AtomicU64, Ordering};

/// The promises, by the contract's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// A value is a pure function of bytes and versions.
    C1Exact,
    /// 100 % only if every expected host is ok.
    C2Honest,
    /// An absent group is zero only where that is known.
    C3ZeroIsNotAbsence,
    /// Each record counts once.
    C4Once,
    /// Every record that reached us is counted or a loss.
    C5LossesShow,
    /// What can be proved reaches 100 %.
    C6Heals,
    /// A change is a new revision.
    C7States,
    /// Every limit holds.
    C8Bounded,
}

static VIOLATIONS: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

/// How often each invariant was violated in this process, in the order of [`Invariant`].
pub fn violations() -> [u64; 8] {
    std::array::from_fn(|index| VIOLATIONS[index].load(Ordering::Relaxed))
}

/// Records a violation; see the module on what follows. Called by [`invariant!`](crate::invariant!) alone.
#[cold]
pub fn violated(invariant: Invariant, what: &str) {
    VIOLATIONS[invariant as usize].fetch_add(1, Ordering::Relaxed);
    debug_assert!(false, "{invariant:?} is violated: {what}");
}

/// Whether an invariant holds; if not, it is recorded with the message, and the caller must withhold the value.
#[macro_export]
macro_rules! invariant {
    ($invariant:expr, $holds:expr, $($message:tt)+) => {{
        let holds: bool = $holds;
        if !holds {
            $crate::invariant::violated($invariant, &format!($($message)+));
        }
        holds
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "C4Once is violated: 3 of 2")]
    fn a_violation_panics_in_tests() {
        let _ = invariant!(Invariant::C4Once, 3 <= 2, "{} of {}", 3, 2);
    }

    #[test]
    fn what_holds_is_not_recorded() {
        assert!(invariant!(Invariant::C6Heals, true, "never said"));
        assert_eq!(violations()[Invariant::C6Heals as usize], 0);
    }
}
