//! The generations of an input as a stream of pulls knows them: which are read, which are copies, which are gone.

use super::archive::{Archive, State};
use super::days::first_look;
use super::losses::Lost;
use super::missed::Missed;
use super::reading::Reading;
use agent::content::{fingerprint_of, tail_hash_of};
use agent::protocol::{
    COPY_HEAD_BYTES, Compression, Content, Fingerprint, Generation as Listed, Identity, KnownGeneration, KnownVerdict,
    Refusal, Role, SnapshotAnswer,
};
use logline::stamp::YearMark;
use mutant::Mutant;
use std::collections::{BTreeMap, BTreeSet};

/// Readings of generations that are gone, kept until the store has their counts or a copy goes on with them.
const ORPHANS_MAX: usize = 64;
/// Clocks of file systems tick in steps, and compressing keeps whole seconds.
const SECOND_NS: i64 = 1_000_000_000;

/// A file of the log's life.
pub(super) struct Generation {
    /// As the last snapshot listed it.
    pub(super) listed: Listed,
    pub(super) fingerprint: Fingerprint,
    /// The host's clock when its size was last seen to change.
    pub(super) grown_at_ns: i64,
    pub(super) held: Held,
    /// Whether everything that the last snapshot saw was read.
    pub(super) is_through: bool,
    /// The same of the snapshot before.
    pub(super) was_through: bool,
    /// Whether everything that some snapshot saw was read.
    was_ever_through: bool,
    /// The least and the greatest clock of the snapshots since the last such one, that one included.
    clock_ns: (i64, i64),
    /// Whether the records that came last were old when they were written (P4).
    pub(super) is_behind: bool,
    /// Whether its reading was begun on another file, and nothing has shown yet that this one holds the same bytes.
    is_adopted: bool,
    /// From where on its bytes were seen to come, and since when.
    pub(super) seen_from: YearMark,
    /// What was appended to profiles of it that are no more.
    pub(super) taught: u32,
}

/// What is held of a generation.
pub(super) enum Held {
    /// Nothing is learned of it yet.
    Unread {
        /// Bytes in which no stamp was found.
        tried_to: u64,
        /// What was found instead; `None` if there is no whole line yet.
        why: Option<String>,
    },
    /// It is being read.
    Reading(Box<Reading>),
    /// It holds the same bytes as another one, which is read.
    Copy {
        /// The key that both have.
        key: u64,
        /// Bytes that were read of the other one while they were the same.
        read_to: u64,
    },
    /// It is compressed.
    Archive(Box<Archive>),
    /// It is compressed in a way that is not read.
    Unsupported,
}

/// How a file stands to another that begins with the same stamped line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// There is no such other.
    Unlike,
    /// It is a copy: the agent compared their bytes.
    Copy,
    /// Too short to tell, and it could be a copy in the making: the next pulls will show.
    Undecided,
    /// It is a file of its own.
    Apart,
}

/// A reading whose file is gone, or was truncated in place.
pub(super) struct Orphan {
    pub(super) reading: Box<Reading>,
    pub(super) file: Identity,
    pub(super) fingerprint: Fingerprint,
    pub(super) mtime_ns: i64,
    pub(super) gone_at_ns: i64,
    /// The loss that its going meant, if it did.
    pub(super) lost: Option<Loss>,
    /// Whether it went on in a file that turned out to hold other bytes: in no other one, then.
    pub(super) is_disproved: bool,
}

/// The number of a loss, and how it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The file went: where it was compressed, what it was compressed to may prove the rest of its bytes.
    Vanished(u64),
    /// It was truncated in place, and nobody can say what was written between its copy and then (F7); or nobody can say
    /// that it was not.
    Truncated(u64),
}

impl Loss {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Vanished(number) | Self::Truncated(number) => number,
        }
    }
}

/// A file that went before anything was learned of it.
pub(super) struct Gone {
    pub(super) fingerprint: Fingerprint,
    pub(super) lost: u64,
}

/// All generations of an input.
#[derive(Default)]
pub(super) struct Generations {
    pub(super) all: Vec<Generation>,
    pub(super) orphans: Vec<Orphan>,
    /// Stretches of time of which bytes are gone, by number.
    pub(super) lost: BTreeMap<u64, Lost>,
    /// How many there were.
    pub(super) losses: u64,
    /// Files that went before anything was learned of them.
    pub(super) gone: Vec<Gone>,
    /// Generations that others knew, and that are not where they were.
    pub(super) missed: Vec<Missed>,
}

/// When a snapshot was taken, and what the times around it were.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) t_ns: i64,
    /// The snapshot before, if there was one.
    pub(super) before_ns: Option<i64>,
    /// `D`: how long a writer may hold bytes back.
    pub(super) delay_ns: i64,
    /// The first window that anybody asks for.
    pub(super) from_ns: i64,
    /// The first that nobody has proved.
    pub(super) proved_ns: i64,
}

impl Generation {
    pub(super) fn new(listed: Listed, moment: Moment) -> Self {
        let fingerprint = match &listed.content {
            Content::Readable { fingerprint, .. } => *fingerprint,
            Content::NotLookedAt | Content::Unreadable(_) => fingerprint_of(&[]),
        };
        // What was written before the last snapshot stood in files that it saw.
        let from_ns = moment
            .before_ns
            .map_or(moment.proved_ns, |before| before.saturating_sub(moment.delay_ns));
        let held = match (listed.compression, Archive::new(listed.compression, from_ns)) {
            (_, Some(archive)) => Held::Archive(Box::new(archive)),
            (Compression::Plain, None) => Held::Unread { tried_to: 0, why: None },
            (_, None) => Held::Unsupported,
        };
        Self {
            // Before it was first seen, only the file system knows when it grew.
            grown_at_ns: listed.mtime_ns.min(moment.t_ns),
            seen_from: first_look(&listed, moment),
            taught: 0,
            listed,
            fingerprint,
            held,
            is_through: false,
            was_through: false,
            was_ever_through: false,
            clock_ns: (moment.t_ns, moment.t_ns),
            is_behind: false,
            is_adopted: false,
        }
    }

    /// Takes a new listing of the same file.
    fn update(&mut self, listed: Listed, t_ns: i64) {
        if listed.size != self.listed.size {
            self.grown_at_ns = t_ns;
        }
        if let Content::Readable {
            fingerprint, verdict, ..
        } = &listed.content
        {
            self.fingerprint = *fingerprint;
            self.is_adopted &= *verdict != KnownVerdict::Same;
        }
        self.listed = listed;
        if matches!(self.held, Held::Unread { .. }) {
            self.look_again(t_ns);
        }
        self.clock_ns = (self.clock_ns.0.min(t_ns), self.clock_ns.1.max(t_ns));
    }

    /// The reading, if there is one.
    pub(super) fn reading(&self) -> Option<&Reading> {
        match &self.held {
            Held::Reading(reading) => Some(reading),
            Held::Archive(archive) => match &archive.state {
                State::Read(reading) => Some(reading),
                _ => None,
            },
            Held::Unread { .. } | Held::Copy { .. } | Held::Unsupported => None,
        }
    }

    /// The reading, to go on with.
    pub(super) fn reading_mut(&mut self) -> Option<&mut Reading> {
        match &mut self.held {
            Held::Reading(reading) => Some(reading),
            Held::Archive(archive) => match &mut archive.state {
                State::Read(reading) => Some(reading),
                _ => None,
            },
            Held::Unread { .. } | Held::Copy { .. } | Held::Unsupported => None,
        }
    }

    /// The same, or one whose bytes are not verified yet.
    fn any_reading_mut(&mut self) -> Option<&mut Reading> {
        match &mut self.held {
            Held::Reading(reading) => Some(reading),
            Held::Archive(archive) => match &mut archive.state {
                State::Inflating(work) => work.reading_mut(),
                State::Read(reading) => Some(reading),
                _ => None,
            },
            Held::Unread { .. } | Held::Copy { .. } | Held::Unsupported => None,
        }
    }

    /// The same, to look at.
    pub(super) fn any_reading(&self) -> Option<&Reading> {
        if let Held::Archive(archive) = &self.held
            && let State::Inflating(work) = &archive.state
        {
            return work.reading();
        }
        self.reading()
    }

    /// Whether it is stored as it was written.
    pub(super) fn is_plain(&self) -> bool {
        self.listed.compression == Compression::Plain
    }

    /// What the next snapshot is to compare it with.
    fn known(&self) -> Option<KnownGeneration> {
        // The agent looks at bytes as they are stored.
        if !self.is_plain() || (self.fingerprint.length == 0 && self.listed.size > 0) {
            return None;
        }
        let tail = self.reading().and_then(Reading::tail_hash);
        Some(KnownGeneration {
            path: self.listed.path.clone(),
            identity: self.listed.identity,
            fingerprint: self.fingerprint,
            tail: tail.unwrap_or_else(|| tail_hash_of(0, &[])),
        })
    }

    /// When that which went unread may have been written, by the clocks of snapshots: after the last of which all was
    /// read, up to now; and a clock that was set back meanwhile has shown the times before, too.
    fn unread_span(&self, moment: Moment) -> (i64, i64) {
        let (earliest_ns, latest_ns) = self.clock_ns;
        let from_ns = match self.was_ever_through {
            true => earliest_ns.min(moment.t_ns).saturating_sub(moment.delay_ns),
            false => moment.proved_ns,
        };
        (from_ns, latest_ns.max(moment.t_ns).saturating_add(1))
    }

    /// All that the snapshot at `t_ns` saw was read.
    pub(super) fn note_through(&mut self, t_ns: i64) {
        self.was_ever_through = true;
        self.clock_ns = (t_ns, t_ns);
        let size = self.listed.size;
        if let Some(reading) = self.reading_mut().filter(|reading| reading.read_to() >= size) {
            reading.note_seen(t_ns);
        }
    }

    /// Whether the agent compared it with what it was here, and not with what is missed.
    fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// Whether no more is expected of it (F5): it was renamed, and rested for the delay.
    pub(super) fn is_finished(&self, t_ns: i64, delay_ns: i64) -> bool {
        !self.is_plain() || (self.listed.role != Role::Live && t_ns.saturating_sub(self.grown_at_ns) >= delay_ns)
    }

    /// Whether another stream holds the same of it.
    fn matches(&self, other: &Self) -> bool {
        match (&self.held, &other.held) {
            (Held::Reading(ours), Held::Reading(theirs)) => {
                ours.learned.key == theirs.learned.key
                    && ours.learned.reads_like(&theirs.learned)
                    && ours.can_adopt(theirs)
            }
            (Held::Unread { .. }, Held::Unread { .. }) | (Held::Unsupported, Held::Unsupported) => true,
            (Held::Archive(ours), Held::Archive(theirs)) => ours.matches(theirs),
            (Held::Copy { key: ours, .. }, Held::Copy { key: theirs, .. }) => ours == theirs,
            _ => false,
        }
    }

    /// Why it can't be read, if so.
    pub(super) fn unreadable(&self) -> Option<&Refusal> {
        match &self.listed.content {
            Content::Unreadable(refusal) => Some(refusal),
            Content::Readable { .. } | Content::NotLookedAt => None,
        }
    }
}

impl Generations {
    /// What the next snapshot is to compare with, the newest listing's first; then what is missed.
    pub(super) fn known(&self, most: usize) -> Vec<KnownGeneration> {
        let here = self.all.iter().filter_map(Generation::known);
        let mut known: Vec<KnownGeneration> = here.collect();
        for missing in self.lost.values().rev().filter_map(|lost| lost.missing.as_ref()) {
            if known.iter().all(|known| known.identity != missing.identity) {
                known.push(missing.clone());
            }
        }
        known.truncate(most);
        known
    }

    /// Takes a stable snapshot: tells who stayed, who is new, who was truncated and who went.
    pub(super) fn reconcile(&mut self, answer: SnapshotAnswer, moment: Moment) {
        let mut before = std::mem::take(&mut self.all);
        let mut found = Vec::new();
        let here: BTreeSet<Identity> = answer.generations.iter().map(|listed| listed.identity).collect();
        for listed in answer.generations {
            let is_it = |known: &Generation| known.listed.identity == listed.identity;
            let was_it = |known: &Generation| {
                !here.contains(&known.listed.identity)
                    && (is_renumbered(&listed, &known.listed.identity) || is_same_archive(&listed, &known.listed))
            };
            let place = before.iter().position(is_it).or_else(|| before.iter().position(was_it));
            let known = place.map(|place| before.swap_remove(place));
            let generation = match known {
                known if self.is_back(&listed) && !known.as_ref().is_some_and(Generation::is_known) => {
                    self.restore(listed, moment)
                }
                Some(known) if is_replaced(&listed) => {
                    self.truncated(known, moment);
                    Generation::new(listed, moment)
                }
                Some(mut known) => {
                    known.update(listed, moment.t_ns);
                    known
                }
                None => {
                    found.push(self.all.len());
                    self.discover(listed, moment)
                }
            };
            if generation.unreadable().is_none() {
                self.settle_missing(generation.listed.identity, moment);
            }
            self.all.push(generation);
        }
        for gone in before {
            self.vanished(gone, moment);
        }
        for index in found {
            self.note_unsupported(index, moment);
        }
        self.clear_orphans(moment);
    }

    fn discover(&mut self, listed: Listed, moment: Moment) -> Generation {
        let mut generation = Generation::new(listed, moment);
        let identity = generation.listed.identity;
        let is_it = |lost: &&Lost| lost.missing.as_ref().is_some_and(|it| it.identity == identity);
        if let (Some(_), Some(lost)) = (generation.unreadable(), self.lost.values().find(is_it)) {
            // It is back and can't be read: all of it was read until it was missed.
            generation.was_ever_through = true;
            generation.clock_ns.0 = generation.clock_ns.0.min(lost.overlay.from_ns);
        }
        generation
    }

    /// What stood in a generation that is not read is lost, unless it is being compressed or was read before.
    fn note_unsupported(&mut self, index: usize, moment: Moment) {
        let listed = &self.all[index].listed;
        if !matches!(self.all[index].held, Held::Unsupported) {
            return;
        }
        let second = |ns: i64| ns.div_euclid(SECOND_NS);
        let is_source = |(other, known): (usize, &Generation)| {
            let is_rotated = known.listed.role != Role::Live;
            let is_as_old = is_rotated && second(known.listed.mtime_ns) == second(listed.mtime_ns);
            other != index && (is_as_old || self.is_named_after(index, other))
        };
        let mut orphans = self.orphans.iter();
        let was_read = self.all.iter().enumerate().any(is_source)
            || orphans.any(|orphan| second(orphan.mtime_ns) == second(listed.mtime_ns));
        // What was written before the last snapshot stood in files that it saw.
        let before_ns = moment.before_ns.map(|before| before.saturating_sub(moment.delay_ns));
        let from_ns = before_ns.unwrap_or(moment.proved_ns);
        let written_ns = listed.mtime_ns.saturating_add(SECOND_NS);
        if !was_read && written_ns > from_ns {
            let detail = format!(
                "{} is compressed in a way that is not read: use gzip or zstd",
                listed.path
            );
            self.lose(from_ns, written_ns, detail, None);
        }
    }

    /// The file is there, its bytes are not: truncated in place (F7). What it held lives on only in a copy.
    fn truncated(&mut self, known: Generation, moment: Moment) {
        let (from_ns, to_ns) = known.unread_span(moment);
        let detail = format!("{} was truncated in place", known.listed.path);
        let overlay = self.lose(from_ns, to_ns, detail, None);
        self.orphan(known, moment, Some(Loss::Truncated(overlay)));
    }

    fn vanished(&mut self, known: Generation, moment: Moment) {
        if let Held::Archive(archive) = &known.held {
            if let Some(unread) = archive.overlay(&known.listed) {
                let detail = format!("{} was removed before it was read", known.listed.path);
                self.lose(unread.from_ns, unread.to_ns, detail, None);
            }
            return self.orphan(known, moment, None);
        }
        let rested = known.is_finished(moment.before_ns.unwrap_or(moment.t_ns), moment.delay_ns);
        let is_copy = matches!(known.held, Held::Copy { .. } | Held::Unsupported);
        if is_copy || (rested && known.is_through) {
            return self.orphan(known, moment, None);
        }
        let (from_ns, to_ns) = known.unread_span(moment);
        let detail = format!(
            "{} was removed before it was known to be read to its end",
            known.listed.path
        );
        let missing = known.known();
        let overlay = self.lose(from_ns, to_ns, detail, missing);
        if known.reading().is_none() && known.unreadable().is_none() {
            let fingerprint = known.fingerprint;
            self.gone.push(Gone {
                fingerprint,
                lost: overlay,
            });
        }
        // What became of a file that could not be looked into at the last, nobody knows: no archive proves it.
        let loss = match known.unreadable() {
            None => Loss::Vanished(overlay),
            Some(_) => Loss::Truncated(overlay),
        };
        self.orphan(known, moment, Some(loss));
    }

    fn orphan(&mut self, known: Generation, moment: Moment, lost: Option<Loss>) {
        let is_disproved = known.is_adopted && matches!(lost, Some(Loss::Truncated(_)));
        let reading = match known.held {
            Held::Reading(reading) => Some(reading),
            Held::Archive(archive) => match archive.state {
                State::Read(reading) => Some(reading),
                _ => None,
            },
            Held::Unread { .. } | Held::Copy { .. } | Held::Unsupported => None,
        };
        if let Some(reading) = reading {
            self.orphans.push(Orphan {
                reading,
                file: known.listed.identity,
                fingerprint: known.fingerprint,
                mtime_ns: known.listed.mtime_ns,
                gone_at_ns: moment.t_ns,
                lost,
                is_disproved,
            });
        }
    }

    /// A generation of this key and size, just learned: goes on with what is left of a generation that is gone, if it
    /// is its copy.
    pub(super) fn adopt(&mut self, index: usize, key: u64, moment: Moment) -> bool {
        if self.adopt_unpacked(index, key) {
            return true;
        }
        let listed = &self.all[index].listed;
        let (size, birth_ns) = (listed.size, listed.identity.birth_ns);
        let since_ns = moment.before_ns.unwrap_or(i64::MIN);
        let birth_ns = birth_ns.filter(|birth| (since_ns..=moment.t_ns).contains(birth));
        let fits = |orphan: &Orphan| orphan.reading.learned.key == key && orphan.reading.read_to() <= size;
        let place = (self.orphans.iter()).position(|orphan| fits(orphan) && !orphan.is_disproved);
        let Some(place) = place else { return false };
        let orphan = self.orphans.remove(place);
        if let (Some(lost), Some(birth_ns)) = (orphan.lost, birth_ns)
            && let Some(lost) = self.lost.get_mut(&lost.number())
        {
            // Until the copy was made, its original was still whole.
            lost.overlay.from_ns = lost.overlay.from_ns.max(birth_ns.saturating_sub(moment.delay_ns));
        }
        self.all[index].held = Held::Reading(orphan.reading);
        self.all[index].is_adopted = true;
        true
    }

    /// Indexes of the generations, the oldest first: of two that begin with the same line, the older has the plain key,
    /// whoever reads them and whenever.
    pub(super) fn by_age(&self) -> Vec<usize> {
        let mut indexes: Vec<usize> = (0..self.all.len()).collect();
        indexes.sort_by_key(|index| {
            let identity = self.all[*index].listed.identity;
            (identity.birth_ns, identity.inode)
        });
        indexes
    }

    /// How a file whose first stamped line is another's stands to that one (F6).
    pub(super) fn likeness(&self, index: usize, key: u64, moment: Moment) -> Likeness {
        let one = &self.all[index];
        let others = self.all.iter().enumerate().filter(|(other, _)| *other != index);
        let mut others = others.filter(|(_, other)| other.reading().is_some_and(|reading| reading.learned.key == key));
        let Some((place, twin)) = others.next() else {
            return Likeness::Unlike;
        };
        // The agent compares no plain file with what an archive holds. One that begins as that does is a copy: until it
        // is as long, if it is being unpacked, then it is adopted; and for good if it stays shorter.
        if self.is_unpacked(index, place, one.fingerprint) || is_copy(&one.listed, &twin.listed) {
            return Likeness::Copy;
        }
        if twin.unreadable().is_some() {
            // The agent could not compare them.
            return Likeness::Undecided;
        }
        let is_short = one.listed.size.min(twin.listed.size) < COPY_HEAD_BYTES as u64;
        let is_rotation = (one.listed.role == Role::Live) != (twin.listed.role == Role::Live);
        let is_young = moment.t_ns.saturating_sub(one.grown_at_ns) < moment.delay_ns;
        if is_short && is_rotation && is_young {
            Likeness::Undecided
        } else {
            Likeness::Apart
        }
    }

    /// Of a file and its copy the longer one is read: a copy that is longer than what is read takes the reading over.
    pub(super) fn take_over(&mut self, index: usize, key: u64) -> bool {
        let is_twin = |other: &Generation| other.reading().is_some_and(|reading| reading.learned.key == key);
        let Some(twin) = self.all.iter().position(is_twin) else {
            return false;
        };
        // Sizes of archives are those of what they hold compressed.
        if !self.all[index].is_plain() || !self.all[twin].is_plain() {
            return false;
        }
        let size = self.all[index].listed.size;
        let fits = |reading: &Reading| reading.read_to() <= size;
        if size <= self.all[twin].listed.size || !self.all[twin].reading().is_some_and(fits) {
            return false;
        }
        let copy = Held::Copy {
            key,
            read_to: self.all[twin].listed.size,
        };
        let reading = std::mem::replace(&mut self.all[twin].held, copy);
        self.all[index].held = reading;
        true
    }

    /// A file that is a copy of what is read is through as far as that is.
    pub(super) fn note_copy(&mut self, index: usize, key: u64) {
        let readings = self.all.iter().filter_map(Generation::reading);
        let twin = readings
            .filter(|reading| reading.learned.key == key)
            .map(Reading::read_to);
        let read_to = twin.max().unwrap_or(0).min(self.all[index].listed.size);
        let copy = &mut self.all[index];
        copy.held = Held::Copy { key, read_to };
        copy.is_through = read_to >= copy.listed.size;
    }

    fn clear_orphans(&mut self, moment: Moment) {
        let is_pending = self.is_any_pending();
        self.orphans.retain(|orphan| {
            is_pending || !orphan.reading.is_told() || moment.t_ns.saturating_sub(orphan.gone_at_ns) < moment.delay_ns
        });
        let excess = self.orphans.len().saturating_sub(ORPHANS_MAX);
        self.orphans.drain(..excess);
        let excess = self.gone.len().saturating_sub(ORPHANS_MAX);
        self.gone.drain(..excess);
        self.gone.retain(|gone| self.lost.contains_key(&gone.lost));
    }

    /// Whether another stream has read the same bytes of the same files, so that its accounts can go on here.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.all.len() == other.all.len()
            && other.orphans.is_empty()
            && other.all.iter().all(|theirs| {
                let ours = self
                    .all
                    .iter()
                    .find(|ours| ours.listed.identity == theirs.listed.identity);
                ours.is_some_and(|ours| ours.is_through && theirs.is_through && ours.matches(theirs))
            })
    }

    /// Takes over the accounts of a stream that [`Generations::matches`], and its losses.
    pub(super) fn absorb(&mut self, other: &mut Self) {
        for theirs in &mut other.all {
            let ours = self
                .all
                .iter_mut()
                .find(|ours| ours.listed.identity == theirs.listed.identity);
            if let (Some(ours), Some(theirs)) = (ours.and_then(Generation::reading_mut), theirs.reading_mut()) {
                ours.accounts.append(&mut theirs.accounts);
            }
        }
        for Lost { overlay, missing } in std::mem::take(&mut other.lost).into_values() {
            if !self.lost.values().any(|known| known.overlay == overlay) {
                self.lose(
                    overlay.from_ns,
                    overlay.to_ns,
                    overlay.detail.unwrap_or_default(),
                    missing,
                );
            }
        }
    }

    /// Every reading, of files that are there and of those that are gone.
    pub(super) fn readings_mut(&mut self) -> impl Iterator<Item = &mut Reading> {
        let here = self.all.iter_mut().filter_map(Generation::reading_mut);
        here.chain(self.orphans.iter_mut().map(|orphan| &mut *orphan.reading))
    }

    /// The same, and those whose bytes are not verified yet.
    pub(super) fn any_readings_mut(&mut self) -> impl Iterator<Item = &mut Reading> {
        let here = self.all.iter_mut().filter_map(Generation::any_reading_mut);
        here.chain(self.orphans.iter_mut().map(|orphan| &mut *orphan.reading))
    }
}

/// Whether a known file holds other bytes than it did.
fn is_replaced(listed: &Listed) -> bool {
    if mutant::is(Mutant::TruncationMissed) {
        return false;
    }
    match &listed.content {
        Content::Readable { verdict, .. } => match verdict {
            KnownVerdict::Shrunk | KnownVerdict::HeadDiffers | KnownVerdict::TailDiffers => true,
            KnownVerdict::New | KnownVerdict::Same => false,
        },
        Content::NotLookedAt | Content::Unreadable(_) => false,
    }
}

/// Whether a file is a known one whose device has another number since: it holds what was read of that. Where files
/// have no birth, an inode alone says little, and an empty head nothing.
pub(super) fn is_renumbered(listed: &Listed, known: &Identity) -> bool {
    let is_same = match &listed.content {
        Content::Readable {
            verdict, fingerprint, ..
        } => {
            let is_told = listed.identity.birth_ns.is_some() || fingerprint.length as usize >= COPY_HEAD_BYTES;
            *verdict == KnownVerdict::Same && is_told
        }
        Content::NotLookedAt | Content::Unreadable(_) => false,
    };
    is_same && listed.identity.is_renumbered(known)
}

/// The same of compressed ones, into which no agent looks: they do not change.
fn is_same_archive(listed: &Listed, known: &Listed) -> bool {
    matches!(listed.content, Content::NotLookedAt)
        && listed.identity.birth_ns.is_some()
        && listed.identity.is_renumbered(&known.identity)
        && (listed.size, listed.mtime_ns, listed.compression) == (known.size, known.mtime_ns, known.compression)
}

/// Whether the agent found that one holds the other's bytes, or that both hold a third one's, which is longer.
fn is_copy(one: &Listed, other: &Listed) -> bool {
    let copy_of = |listed: &Listed| -> Option<Identity> {
        match &listed.content {
            Content::Readable { copy_of, .. } => copy_of.map(|evidence| evidence.of),
            Content::NotLookedAt | Content::Unreadable(_) => None,
        }
    };
    let is_of = |one: &Listed, other: &Listed| copy_of(one) == Some(other.identity);
    is_of(one, other) || is_of(other, one) || (copy_of(one).is_some() && copy_of(one) == copy_of(other))
}
