//! The compressed generations among all: which are to be read, what they prove, what they keep from being proved.

use super::archive::{Archive, Hurdle, Rest, State};
use super::generation::{Generation, Generations, Held, Loss, Moment, Orphan};
use super::proof::Overlay;
use super::reading::Reading;
use crate::verdict::HostState;
use agent::content::fingerprint_of;
use agent::protocol::{COPY_HEAD_BYTES, Fingerprint, Identity, Role};
use agent::rotation::compression_of;

impl Generations {
    /// A compressed generation.
    pub(super) fn archive(&self, index: usize) -> Option<&Archive> {
        match &self.all[index].held {
            Held::Archive(archive) => Some(archive),
            _ => None,
        }
    }

    /// A compressed generation, to go on with.
    pub(super) fn archive_mut(&mut self, index: usize) -> Option<&mut Archive> {
        match &mut self.all[index].held {
            Held::Archive(archive) => Some(archive),
            _ => None,
        }
    }

    /// Whether one is to be read now.
    pub(super) fn wants_archive(&mut self, index: usize, moment: Moment) -> bool {
        let twin = match self.archive(index).map(|archive| &archive.state) {
            Some(State::Twin { key }) => Some(*key),
            _ => None,
        };
        let is_there = |key: u64| {
            let mut others = self.all.iter().enumerate().filter(|(other, _)| *other != index);
            others.any(|(_, other)| other.reading().is_some_and(|reading| reading.learned.key == key))
        };
        let is_alone = twin.is_some_and(|key| !is_there(key));
        let Generation {
            held,
            listed,
            grown_at_ns,
            ..
        } = &mut self.all[index];
        let Held::Archive(archive) = held else { return false };
        let rest = match *grown_at_ns < moment.t_ns {
            true => Rest::Resting,
            false => Rest::Growing,
        };
        if is_alone {
            archive.reset();
        }
        if !archive.is_wanted(listed, moment.from_ns, rest) {
            return false;
        }
        if let State::Read(_) = archive.state {
            // It has changed since: what was read of it must be found again.
            let fingerprint = self.all[index].fingerprint;
            if let Some(reading) = self.take_read(index) {
                let file = self.all[index].listed.identity;
                let orphan = Orphan::of_changed(reading, file, fingerprint, moment);
                self.orphans.push(orphan);
            }
        }
        true
    }

    /// The reading of an archive that is read, which is to be read anew then.
    fn take_read(&mut self, index: usize) -> Option<Box<Reading>> {
        let archive = self.archive_mut(index)?;
        match std::mem::replace(&mut archive.state, State::Waiting(Hurdle::Turn)) {
            State::Read(reading) => {
                archive.reset();
                Some(reading)
            }
            other => {
                archive.state = other;
                None
            }
        }
    }

    /// One was read to its end, or as far as it can be; `head` is of its inflated bytes, `gone` the loss of a file that
    /// begins so, if nothing was learned of that.
    pub(super) fn archive_ended(&mut self, index: usize, state: State, head: Vec<u8>, gone: Option<u64>) {
        let key = match &state {
            State::Read(reading) => Some(reading.learned.key),
            _ => None,
        };
        let generation = &mut self.all[index];
        let Held::Archive(archive) = &mut generation.held else {
            return;
        };
        archive.ended(&generation.listed, state);
        let Some(key) = key else { return };
        archive.head = head;
        generation.fingerprint = fingerprint_of(&archive.head);
        let file = generation.listed.identity;
        let missed = self.take_missed(key, file);
        let source = self.orphans.iter().position(|orphan| orphan.reading.learned.key == key);
        let seam = match source.map(|source| self.orphans.remove(source)) {
            Some(orphan) => orphan.vanished(),
            None => gone.or(missed),
        };
        if let (Some(seam), Some(archive)) = (seam, self.archive_mut(index)) {
            archive.seam = Some(seam);
        }
    }

    /// Lifts the losses that archives disprove: all bytes of a file that went are here, and nobody wrote to it after it
    /// was compressed. That shows where its log went on without it. That it had rested before it was compressed does
    /// not show it: what was compressed may be a copy, and the file that went have gone on.
    pub(super) fn settle_seams(&mut self) {
        for index in 0..self.all.len() {
            let Generation { listed, .. } = &self.all[index];
            let Some(Archive {
                state: State::Read(reading),
                seam: Some(seam),
                ..
            }) = self.archive(index)
            else {
                continue;
            };
            let is_next = |other: &Generation| {
                other.listed.family == listed.family
                    && other.listed.role == Role::Live
                    && other.is_plain()
                    && other.reading().is_some_and(|live| live.continues(reading))
            };
            let began_within = |other: &Generation| {
                other.listed.family == listed.family && other.reading().is_some_and(|other| other.began_within(reading))
            };
            let has_moved_on = self.all.iter().any(is_next) && !self.all.iter().any(began_within);
            if has_moved_on {
                let seam = *seam;
                self.lost.remove(&seam);
                if let Some(archive) = self.archive_mut(index) {
                    archive.seam = None;
                }
            }
        }
    }

    /// Whether bytes of any are still to be read.
    pub(super) fn is_any_pending(&self) -> bool {
        (0..self.all.len()).any(|index| self.archive(index).is_some_and(Archive::is_pending))
    }

    /// Stretches of time whose windows are not ok: their bytes are gone, or in an archive that is not read.
    pub(super) fn overlays(&self, moment: Moment) -> Vec<Overlay> {
        let may_hold = |lost: &Overlay| {
            let mut all = self.all.iter().enumerate();
            all.find(|(index, generation)| {
                self.archive(*index)
                    .is_some_and(|archive| archive.may_hold(&generation.listed, lost))
            })
        };
        let may_be_proved = |number: u64| {
            let of_orphan = self.orphans.iter().filter_map(Orphan::vanished);
            of_orphan
                .chain(self.gone.iter().map(|gone| gone.lost))
                .any(|lost| lost == number)
                || self.is_missed(number)
        };
        let lost = self.lost.iter().map(|(number, lost)| (number, &lost.overlay));
        let told = |(number, lost): (&u64, &Overlay)| match may_hold(lost).filter(|_| may_be_proved(*number)) {
            Some((_, archive)) => Overlay {
                state: HostState::Timeout,
                detail: Some(format!("{} may hold the rest of a file that went", archive.listed.path)),
                ..lost.clone()
            },
            None => lost.clone(),
        };
        let archives = self
            .all
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.is_in_the_making(*index, moment));
        let archives = archives.filter_map(|(index, generation)| self.archive(index)?.overlay(&generation.listed));
        lost.map(told).chain(archives).collect()
    }

    /// Whether too little of one is there to be recognised, and the file that it is named after stands beside it and is
    /// read: `gzip` has just begun.
    fn is_in_the_making(&self, index: usize, moment: Moment) -> bool {
        let Generation {
            listed, grown_at_ns, ..
        } = &self.all[index];
        let is_short = self
            .archive(index)
            .is_some_and(|archive| matches!(archive.state, State::Waiting(Hurdle::Truncated | Hurdle::Turn)));
        let source = compression_of(&listed.path).0;
        is_short
            && moment.t_ns.saturating_sub(*grown_at_ns) < moment.delay_ns
            && self
                .all
                .iter()
                .any(|other| other.listed.path == source && other.is_plain() && other.is_through)
    }

    /// Whether a plain file is what an archive holds, or its beginning: it begins as that does, and there is enough of
    /// it to say so, or it is called so.
    pub(super) fn is_unpacked(&self, index: usize, source: usize, fingerprint: Fingerprint) -> bool {
        let has_head = self
            .archive(source)
            .is_some_and(|archive| archive.begins_as(fingerprint));
        has_head && (fingerprint.length as usize >= COPY_HEAD_BYTES || self.is_named_after(source, index))
    }

    /// Whether an archive has the name that a compressor gives to a file's.
    pub(super) fn is_named_after(&self, archive: usize, source: usize) -> bool {
        compression_of(&self.all[archive].listed.path).0 == self.all[source].listed.path
    }

    /// A plain file that begins as an archive does which is read, and is at least as long: it was unpacked, and may go
    /// on. It takes over what was read.
    pub(super) fn adopt_unpacked(&mut self, index: usize, key: u64) -> bool {
        let (fingerprint, size) = (self.all[index].fingerprint, self.all[index].listed.size);
        let is_source = |source: &usize| {
            let reading = self.all[*source].reading().filter(|reading| reading.learned.key == key);
            reading.is_some_and(|reading| reading.read_to() <= size) && self.is_unpacked(index, *source, fingerprint)
        };
        let Some(source) = (0..self.all.len()).find(is_source) else {
            return false;
        };
        let Some(reading) = self.take_read(source) else {
            return false;
        };
        if let Some(archive) = self.archive_mut(source) {
            archive.state = State::Twin { key };
        }
        self.all[index].held = Held::Reading(reading);
        true
    }
}

impl Orphan {
    /// What was read of an archive that has changed since.
    fn of_changed(reading: Box<Reading>, file: Identity, fingerprint: Fingerprint, moment: Moment) -> Self {
        Self {
            reading,
            file,
            fingerprint,
            mtime_ns: moment.t_ns,
            gone_at_ns: moment.t_ns,
            lost: None,
            is_disproved: false,
        }
    }

    /// The loss that its going meant, if its file was there whole until then.
    fn vanished(&self) -> Option<u64> {
        match self.lost {
            Some(Loss::Vanished(number)) => Some(number),
            Some(Loss::Truncated(_)) | None => None,
        }
    }
}
