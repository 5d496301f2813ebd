//! Generations that others knew before a reader began: what became of them, as far as it can be seen.
//!
//! A reader that begins has seen nothing go. Where the readers before it died with their nodes, what was destroyed
//! meanwhile would read as silence: so the life of a generation is kept with its profile, and whoever begins looks for
//! those that were not over. One that is not there is a loss from the first window that nobody has proved; one that
//! stands in another file is a copy, and its original may have had more in it (F7). An archive of it may prove that
//! nothing is lost.

use super::archive::State;
use super::generation::{Generation, Generations, Held};
use super::known::{apart, is_same_file};
use super::learn::Learned;
use super::proof::Overlay;
use super::stream::{Stream, Subscribed};
use crate::protocol::{KeptLife, KeptProfile};
use crate::verdict::HostState;
use agent::pattern::Pattern;
use agent::protocol::{FINGERPRINT_BYTES, Fingerprint, Identity, Role};
use std::collections::BTreeSet;
use std::ops::Range;

/// A generation that somebody knew, and that is not where it was.
pub(super) struct Missed {
    key: u64,
    file: Identity,
    /// What that means, unless an archive proves otherwise.
    pub(super) lost: u64,
}

/// How the life of a generation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// More is written to it.
    Open,
    /// It was renamed, and may still be written to.
    Renamed,
    /// No record is of this time or later, or that was said to be lost.
    Until(i64),
}

/// What a subscriber may have to be told of a generation.
pub(super) struct Told<'l> {
    pub(super) learned: &'l Learned,
    pub(super) file: Identity,
    pub(super) fingerprint: Fingerprint,
    pub(super) life: Life,
}

impl Told<'_> {
    /// Its life, as it is told to somebody who knows this of it. What is over stays so, unless it is written to again.
    pub(super) fn kept_life(&self, known: Option<&KeptProfile>) -> KeptLife {
        let known_ns = known.and_then(|known| known.life?.until_ns);
        let until_ns = match self.life {
            Life::Open => None,
            Life::Renamed => known_ns,
            Life::Until(until_ns) => Some(known_ns.map_or(until_ns, |known_ns| known_ns.max(until_ns))),
        };
        KeptLife {
            file: self.file,
            first_ns: self.learned.first_ns,
            until_ns,
            // One that still grows would be told anew with each line.
            fingerprint: Some(self.fingerprint).filter(|it| it.length as usize == FINGERPRINT_BYTES),
        }
    }
}

impl Generation {
    /// Whether it holds the generation of a key, as whoever gave the key may have told it from others.
    fn holds(&self, key: u64) -> bool {
        if let Held::Copy { key: of_copy, .. } = &self.held {
            return *of_copy == key;
        }
        let is_it = |learned: &Learned| {
            learned.key == key || learned.content_key == key || apart(learned.content_key, self.listed.identity) == key
        };
        self.any_reading().is_some_and(|reading| is_it(&reading.learned))
    }

    /// How its life goes on, as the snapshot at `t_ns` shows it; `first_asked_ns` is when that begins which is read.
    fn life(&self, t_ns: i64, delay_ns: i64, first_asked_ns: i64) -> Life {
        let is_proved = match &self.held {
            Held::Archive(archive) => matches!(archive.state, State::Read(_)) && archive.seam.is_none(),
            _ => self.is_through,
        };
        if self.is_plain() && self.listed.role == Role::Live {
            return Life::Open;
        }
        let last_ns = self.reading().and_then(|reading| reading.greatest_ns());
        match is_proved && self.is_finished(t_ns, delay_ns) {
            true => Life::Until(last_ns.unwrap_or(first_asked_ns).min(t_ns).saturating_add(1)),
            false => Life::Renamed,
        }
    }
}

impl Generations {
    /// What is to be told of the generations that are read, and of those that are gone.
    pub(super) fn told(&self, t_ns: i64, delay_ns: i64, first_asked_ns: i64) -> Vec<Told<'_>> {
        let here = self.all.iter().filter_map(|generation| {
            Some(Told {
                learned: &generation.reading()?.learned,
                file: generation.listed.identity,
                fingerprint: generation.fingerprint,
                life: generation.life(t_ns, delay_ns, first_asked_ns),
            })
        });
        let is_here = |key: u64| self.all.iter().any(|generation| generation.holds(key));
        let gone = self
            .orphans
            .iter()
            .filter(|orphan| !is_here(orphan.reading.learned.key));
        let gone = gone.map(|orphan| Told {
            learned: &orphan.reading.learned,
            file: orphan.file,
            fingerprint: orphan.fingerprint,
            life: Life::Until(match (&orphan.lost, orphan.reading.greatest_ns()) {
                (None, Some(last_ns)) => last_ns.min(orphan.gone_at_ns).saturating_add(1),
                _ => orphan.gone_at_ns.saturating_add(1),
            }),
        });
        here.chain(gone).collect()
    }

    /// A generation in a file that is an archive of it. It proves that nothing was lost, or may do so when it is seen
    /// that nobody wrote to its source after it was compressed: the loss that this would lift then.
    pub(super) fn take_missed(&mut self, key: u64, file: Identity) -> Option<u64> {
        let place = self.missed.iter().position(|missed| missed.key == key)?;
        let missed = self.missed.remove(place);
        if is_same_file(missed.file, file) {
            self.lost.remove(&missed.lost);
            return None;
        }
        Some(missed.lost)
    }

    /// The time before the first line that is there: what was written then is gone, or there was nothing. `None` if
    /// older lines are there, which were not needed. Of several logs, the oldest line of all.
    pub(super) fn before_all(&self) -> Option<Overlay> {
        let mut begins: Option<(i64, &str)> = None;
        for generation in &self.all {
            let reading = match &generation.held {
                Held::Reading(reading) if reading.reads_head() => reading,
                Held::Reading(_) => return None,
                Held::Archive(archive) => match &archive.state {
                    State::NotNeeded => return None,
                    State::Read(reading) => reading,
                    State::Waiting(_) | State::Inflating(_) | State::Twin { .. } | State::Empty => continue,
                },
                Held::Unread { .. } | Held::Copy { .. } | Held::Unsupported => continue,
            };
            let first_ns = reading.learned.first_ns;
            if begins.is_none_or(|(earliest_ns, _)| first_ns < earliest_ns) {
                begins = Some((first_ns, &generation.listed.path));
            }
        }
        let (first_ns, path) = begins?;
        Some(Overlay {
            from_ns: i64::MIN,
            to_ns: first_ns,
            state: HostState::NoFile,
            detail: Some(format!(
                "the log begins with {path}: what was before is gone, or there was nothing"
            )),
        })
    }

    /// Whether a loss is of a generation that an archive may still hold.
    pub(super) fn is_missed(&self, number: u64) -> bool {
        self.missed.iter().any(|missed| missed.lost == number)
    }
}

impl Stream {
    /// Looks for the generations that its subscribers knew when it began. `t_ns` is the host's time of a snapshot of
    /// which every plain file was looked into.
    pub(super) fn look_for_known(&mut self, pattern: &str, dates_from_ns: i64, t_ns: i64) {
        if std::mem::replace(&mut self.has_looked, true) {
            return;
        }
        // Names of earlier dates are not listed.
        let span_ns = Pattern::parse(pattern).ok().and_then(|pattern| pattern.span_ns());
        // Of a first line without a date nobody knows.
        let is_later =
            |first_ns: i64, span_ns: i64| first_ns == i64::MIN || first_ns.saturating_add(span_ns) > dates_from_ns;
        let is_listed = |life: &KeptLife| span_ns.is_none_or(|span_ns| is_later(life.first_ns, span_ns));
        let mut seen = BTreeSet::new();
        let mut missed = Vec::new();
        for Subscribed { subscription, .. } in &self.subscribed {
            let proved_ns = subscription.from_ns.max(subscription.proved_ns);
            for known in subscription.profiles.iter() {
                let Some(life) = known.life.filter(is_listed) else {
                    continue;
                };
                let from_ns = proved_ns.max(life.first_ns.saturating_sub(known.lateness_ns));
                let to_ns = life.until_ns.unwrap_or(i64::MAX).min(t_ns.saturating_add(1));
                if from_ns < to_ns && seen.insert((known.generation, from_ns, to_ns)) {
                    missed.push((known.clone(), life, from_ns..to_ns));
                }
            }
        }
        for (known, life, span) in missed {
            self.miss(known, life, span);
        }
    }

    /// A generation that somebody read, of which a stretch of time is of interest: is it where it was?
    fn miss(&mut self, known: KeptProfile, life: KeptLife, span: Range<i64>) {
        let all = &self.generations.all;
        let of_it = || all.iter().filter(|one| one.holds(known.generation));
        if of_it().any(|holder| is_same_file(holder.listed.identity, life.file)) {
            return;
        }
        let successor = all.iter().find(|one| is_same_file(one.listed.identity, life.file));
        let detail = match (of_it().next(), successor) {
            (Some(copy), _) => format!("{} is a copy of a file that went while nobody looked", copy.listed.path),
            (None, Some(other)) => format!("{} was truncated in place while nobody looked", other.listed.path),
            (None, None) => "a file that was being read went while nobody looked".to_owned(),
        };
        let (is_there, may_be_packed) = (of_it().next().is_some(), successor.is_none());
        let lost = self.generations.lose(span.start, span.end, detail, None);
        if is_there {
            return;
        }
        if may_be_packed {
            self.generations.missed.push(Missed {
                key: known.generation,
                file: life.file,
                lost,
            });
        }
        let life = KeptLife {
            until_ns: Some(span.end),
            ..life
        };
        let over = KeptProfile {
            life: Some(life),
            ..known
        };
        over.join(&mut self.over);
    }

    /// Generations that were missed, as they are told: bytes of them are gone, and that is said.
    pub(super) fn over(&self) -> Vec<KeptProfile> {
        let is_here = |over: &&KeptProfile| self.generations.all.iter().any(|one| one.holds(over.generation));
        self.over.iter().filter(|over| !is_here(over)).cloned().collect()
    }
}
