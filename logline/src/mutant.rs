//! Planted bugs that the tests must catch, chosen at run time in one build.
//!
//! Without the feature `mutants`, which only test crates enable, [`is`] is a constant `false` and costs nothing.

/// The planted bugs of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A record stamped exactly at a window's start counts in the window before (`>` for `≥`).
    WindowEdge,
    /// A line whose end has not been read yet is taken for a line.
    HalfLine,
    /// A loss is charged to the window of the lost record's own stamp.
    LossInOwnWindow,
    /// The groups that come first are kept, instead of those of the lowest hash and most records.
    FirstComeGroups,
}

#[cfg(feature = "mutants")]
mod chosen {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Plants `mutant` in this thread until it is planted anew.
    pub fn plant(mutant: Option<Mutant>) {
        CHOSEN.with(|chosen| chosen.set(mutant));
    }

    pub(super) fn get() -> Option<Mutant> {
        CHOSEN.with(Cell::get)
    }
}

#[cfg(feature = "mutants")]
pub use chosen::plant;

/// Whether `mutant` is planted in this thread.
#[inline]
pub fn is(mutant: Mutant) -> bool {
    #[cfg(feature = "mutants")]
    return chosen::get() == Some(mutant);
    #[cfg(not(feature = "mutants"))]
    {
        let _ = mutant;
        false
    }
}
