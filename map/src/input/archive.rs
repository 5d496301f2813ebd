//! A compressed generation: what is known of it, and which windows it keeps from being proved.
//!
//! Its bytes are counted only after every checksum in it agreed: until then, whatever is in the way, the windows that
//! may lie in it are not ok. Most need no reading at all: they were written before anything is asked of them, or hold
//! what another generation holds (F6), such as the source that `gzip` is still reading.

use super::inflating::Inflating;
use super::proof::Overlay;
use super::reading::Reading;
use crate::verdict::HostState;
use agent::content::fingerprint_of;
use agent::protocol::{Compression, Fingerprint, Generation as Listed};
use inflate::{Kind, Outcome};

/// No stamp is taken that is further ahead of the clock (P4), so no record of a file lies further behind its last
/// write.
const AHEAD_NS: i64 = 60_000_000_000;

/// A compressed generation.
pub(super) struct Archive {
    pub(super) kind: Kind,
    pub(super) state: State,
    /// No record in it is of a window that ends before this.
    from_ns: i64,
    /// Size and time of writing when it was last looked into to its end.
    looked_at: Option<(u64, i64)>,
    /// Another file that begins as this one does is known not to be its source.
    pub(super) is_apart: bool,
    /// The first bytes that it inflates to, as many as a fingerprint covers.
    pub(super) head: Vec<u8>,
    /// The loss that the going of its source meant: bytes may have been written to that after it was compressed.
    pub(super) seam: Option<u64>,
}

/// How far it is read.
pub(super) enum State {
    /// It was written before anything that is asked.
    NotNeeded,
    /// It is to be read.
    Waiting(Hurdle),
    /// It is being read.
    Inflating(Box<Inflating>),
    /// It holds the same as a generation that is read.
    Twin {
        /// The key that both have.
        key: u64,
    },
    /// All of it was read, and every checksum agreed.
    Read(Box<Reading>),
    /// It is whole, and nothing in it is a record.
    Empty,
}

/// Whether a file grew since the snapshot before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Growing,
    Resting,
}

/// What is in the way of reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hurdle {
    /// Others are inflated first.
    Turn,
    /// It ends too early: still being written, or torn.
    Truncated,
    /// It can't be inflated.
    Corrupt(String),
    /// It costs more than it may.
    OverCap(String),
    /// No stamp was found in it.
    Unstamped(String),
    /// The agent may not read it.
    Refused(HostState, String),
}

impl Hurdle {
    /// What an outcome other than complete means.
    pub(super) fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Complete => None,
            Outcome::Truncated => Some(Self::Truncated),
            Outcome::Corrupt { why } => Some(Self::Corrupt(why)),
            Outcome::OverCap(cap) => Some(Self::OverCap(cap.to_string())),
        }
    }

    fn told(&self) -> (HostState, String) {
        match self {
            Self::Turn => (HostState::Timeout, "is compressed, and not read yet".to_owned()),
            Self::Truncated => {
                let why = "ends too early: it is still being compressed, or torn".to_owned();
                (HostState::Timeout, why)
            }
            Self::Corrupt(why) => (HostState::Denied, format!("is corrupt ({why}): replace or remove it")),
            Self::OverCap(why) => (HostState::OverBudget, format!("{why}: unpack it")),
            Self::Unstamped(why) => (HostState::Unstamped, why.clone()),
            Self::Refused(state, why) => (*state, why.clone()),
        }
    }
}

impl Archive {
    /// A compressed file that was just found; records of no window that ended before `from_ns` can be in it.
    pub(super) fn new(compression: Compression, from_ns: i64) -> Option<Self> {
        let kind = match compression {
            Compression::Gzip => Kind::Gzip,
            Compression::Zstandard => Kind::Zstandard,
            Compression::Plain | Compression::Unsupported => return None,
        };
        Some(Self {
            kind,
            state: State::Waiting(Hurdle::Turn),
            from_ns,
            looked_at: None,
            is_apart: false,
            head: Vec::new(),
            seam: None,
        })
    }

    /// Until when records in it may be stamped.
    fn to_ns(listed: &Listed) -> i64 {
        listed.mtime_ns.saturating_add(AHEAD_NS)
    }

    /// Whether it is to be read now, for windows from `asked_ns` on. What is read already, or can't be, is looked into
    /// again when it has changed and rests since: one that grows all the time would be inflated anew each time.
    pub(super) fn is_wanted(&mut self, listed: &Listed, asked_ns: i64, rest: Rest) -> bool {
        if Self::to_ns(listed) < asked_ns && !matches!(self.state, State::Read(_)) {
            self.state = State::NotNeeded;
            return false;
        }
        match &self.state {
            State::Inflating(_) => true,
            State::NotNeeded => {
                self.state = State::Waiting(Hurdle::Turn);
                true
            }
            State::Twin { .. } => false,
            State::Waiting(Hurdle::Turn | Hurdle::Refused(..)) => true,
            State::Waiting(_) => {
                let is_other = self.looked_at != Some((listed.size, listed.mtime_ns));
                let is_much_more = self.looked_at.is_none_or(|(size, _)| listed.size / 2 >= size);
                is_other && (rest == Rest::Resting || is_much_more)
            }
            // Compressors set the time when they have written all.
            State::Read(_) | State::Empty => {
                rest == Rest::Resting && self.looked_at.is_none_or(|(size, _)| size != listed.size)
            }
        }
    }

    /// It was read to its end, or as far as it can be.
    pub(super) fn ended(&mut self, listed: &Listed, state: State) {
        self.looked_at = Some((listed.size, listed.mtime_ns));
        self.state = state;
    }

    /// It is to be read anew, whatever was found before.
    pub(super) fn reset(&mut self) {
        self.looked_at = None;
        self.state = State::Waiting(Hurdle::Turn);
    }

    /// Whether bytes of it are still to be read.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Waiting(_) | State::Inflating(_))
    }

    /// Whether it begins with the bytes that a fingerprint is of.
    pub(super) fn begins_as(&self, of: Fingerprint) -> bool {
        let head = self.head.get(..of.length as usize);
        head.is_some_and(|head| !head.is_empty() && fingerprint_of(head) == of)
    }

    /// Whether bytes of it may be of a stretch of time, and are still to be read.
    pub(super) fn may_hold(&self, listed: &Listed, lost: &Overlay) -> bool {
        self.is_pending() && self.from_ns < lost.to_ns && lost.from_ns <= Self::to_ns(listed)
    }

    /// Whether another stream holds the same of it, so that its accounts can go on here, or are not needed any more.
    pub(super) fn matches(&self, other: &Self) -> bool {
        match (&self.state, &other.state) {
            (State::Read(ours), State::Read(theirs)) => {
                let is_same = ours.learned.key == theirs.learned.key && ours.learned.reads_like(&theirs.learned);
                is_same && (theirs.is_told() || ours.can_adopt(theirs))
            }
            (_, State::Read(theirs)) => !self.is_pending() && theirs.is_told(),
            (State::Waiting(ours), State::Waiting(theirs)) => ours == theirs && *ours != Hurdle::Turn,
            _ => !self.is_pending() && !other.is_pending(),
        }
    }

    /// The windows that may lie in it, if they are not proved because of it.
    pub(super) fn overlay(&self, listed: &Listed) -> Option<Overlay> {
        let (state, why) = match &self.state {
            State::Waiting(hurdle) => hurdle.told(),
            State::Inflating(_) => Hurdle::Turn.told(),
            State::NotNeeded | State::Twin { .. } | State::Read(_) | State::Empty => return None,
        };
        let overlay = Overlay {
            from_ns: self.from_ns,
            to_ns: Self::to_ns(listed),
            state,
            detail: Some(format!("{} {why}", listed.path)),
        };
        (overlay.from_ns < overlay.to_ns).then_some(overlay)
    }
}
