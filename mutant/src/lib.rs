//! Planted bugs that the tests must catch, chosen at run time in one build.
//!
//! Each place that can be wrong in an instructive way asks [`is`], and does the wrong thing if it says so. Without the
//! feature `planted`, which only test crates enable, that is a constant `false` and costs nothing.
//!
//! A test of one thread plants by `plant`; a whole process is given a bug by the environment variable [`VARIABLE`].

/// The environment variable by which a process is told its bug, by name.
pub const VARIABLE: &str = "SUNFIRE_MUTANT";

/// Declares the bugs with their names.
macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $mutant:ident = $name:literal,)+) => {
        /// The planted bugs: the first four of the engine, the others of the cluster and its agents.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[doc = $doc])+ $mutant,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Mutant] = &[$(Mutant::$mutant,)+];

            /// Its name, as [`VARIABLE`] has it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Mutant::$mutant => $name,)+
                }
            }
        }
    };
}

mutants! {
    /// A record stamped exactly at a window's start counts in the window before (`>` for `≥`).
    WindowEdge = "window-edge",
    /// A line whose end has not been read yet is taken for a line.
    HalfLine = "half-line",
    /// A loss is charged to the window of the lost record's own stamp.
    LossInOwnWindow = "loss-in-own-window",
    /// The groups that come first are kept, instead of those of the lowest hash and most records.
    FirstComeGroups = "first-come-groups",
    /// A Map calls a host ok before the last chunk of what the snapshot saw is counted.
    OkBeforeLastChunk = "ok-before-last-chunk",
    /// A Reduce adds a cell to the one that it should replace, if they are of different epochs.
    OverlapAccepted = "overlap-accepted",
    /// What a Map has handed out counts as acknowledged, whether or not the store has it yet.
    AckBeforeStored = "ack-before-stored",
    /// A Map does not see that a file holds other bytes than it did.
    TruncationMissed = "truncation-missed",
    /// A new owner of a monitor takes no notice of what the store has of its windows.
    BetterHeaderOverwritten = "better-header-overwritten",
    /// The store takes what a deposed owner writes, and Maps obey it.
    StaleEpochAccepted = "stale-epoch-accepted",
    /// A Map takes a renamed file for finished, whatever it has not read of it.
    RotatedGenerationDropped = "rotated-generation-dropped",
    /// An agent samples its clock after it listed the files, on a host where that takes a while.
    ClockAfterListing = "clock-after-listing",
    /// An agent opens whatever path it is asked for, through any link; only its sandbox is left.
    PlainOpen = "plain-open",
}

impl Mutant {
    /// The bug of this name.
    pub fn of_name(name: &str) -> Option<Mutant> {
        Mutant::ALL.iter().copied().find(|mutant| mutant.name() == name)
    }
}

#[cfg(feature = "planted")]
mod chosen {
    use super::{Mutant, VARIABLE};
    use std::cell::Cell;
    use std::sync::LazyLock;

    thread_local! {
        static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Read once; a name that is unknown ends the process, since a run without its bug would prove nothing.
    static OF_PROCESS: LazyLock<Option<Mutant>> = LazyLock::new(|| {
        let name = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty())?;
        let known = Mutant::of_name(&name);
        assert!(known.is_some(), "{VARIABLE}={name} names no planted bug");
        eprintln!("a bug is planted in this process, its answers are wrong: {name}");
        known
    });

    /// Plants `mutant` in this thread until it is planted anew.
    pub fn plant(mutant: Option<Mutant>) {
        CHOSEN.with(|chosen| chosen.set(mutant));
    }

    pub(super) fn get() -> Option<Mutant> {
        CHOSEN.with(Cell::get).or(*OF_PROCESS)
    }
}

#[cfg(feature = "planted")]
pub use chosen::plant;

/// Whether `mutant` is planted in this thread or process.
#[inline]
pub fn is(mutant: Mutant) -> bool {
    #[cfg(feature = "planted")]
    return chosen::get() == Some(mutant);
    #[cfg(not(feature = "planted"))]
    {
        let _ = mutant;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Mutant;

    #[test]
    fn each_is_found_by_its_name() {
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::of_name(mutant.name()), Some(*mutant));
        }
        assert_eq!(Mutant::of_name("none-such"), None);
    }
}
