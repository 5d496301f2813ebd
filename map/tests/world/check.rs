//! What must be true after a pull: everything that was written is counted once in its window, or the window says why.

use super::{DELAY_NS_MAX, FROM_NS, LATENESS_NS, Life, World, is_ok, window_of};
use crate::scene::{S, START_NS};
use map::partial::{Loss, WindowPartial};
use map::verdict::HostState;
use std::collections::BTreeMap;

/// What a sequence came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Records counted.
    pub counted: usize,
    /// Records that were seen to be lost.
    pub lost: usize,
    /// Records that nobody could know of.
    pub unknowable: usize,
    /// Records that came too late.
    pub late: u64,
    /// Every window is ok, and nothing is lost.
    pub is_complete: bool,
}

impl Life {
    /// Records of whole lines.
    fn whole(&self) -> Vec<usize> {
        self.records
            .iter()
            .copied()
            .filter(|number| self.half != Some(*number))
            .collect()
    }
}

impl World {
    /// A pull, and what must be true then.
    pub fn pull(&mut self) -> Result<(), String> {
        let pulled = self.scene.pull_all();
        let now = self.now();
        if self.harmed {
            self.harms.push((self.clock.0 - DELAY_NS_MAX, self.clock.1 + S));
        }
        // What happened to a file that can't be looked into is seen when it can.
        let is_in_the_way = self.is_hidden
            || (self.names.values().map(|inode| &self.inodes[*inode]))
                .any(|inode| inode.is_locked || inode.has_second_name);
        self.harmed &= is_in_the_way;
        let present = self.present();
        if !self.is_hidden {
            for inode in self.names.values().map(|inode| &self.inodes[*inode]) {
                let life = &mut self.lives[inode.life];
                let is_open = !inode.is_locked && !inode.has_second_name;
                life.was_opened |= is_open;
                if self.was_in_the_way && !life.was_opened {
                    // It came back unreadable: since when it is another one can't be known.
                    self.harms.push((FROM_NS, now + S));
                }
                life.was_seen = true;
                life.has_packed_copy &= !is_open;
                life.had_bytes |= is_open && life.bytes > 0;
            }
        }
        if !self.is_hidden {
            for number in present.iter().flat_map(|life| self.lives[*life].records.clone()) {
                self.records[number].is_out_of_sight = false;
            }
        }
        if self.is_hidden {
            // That what is away now was not all read is known of the times that the pulls around showed.
            let shown = (self.pulled_ns.unwrap_or(now).min(now) - 10 * S)..=self.pulled_ns.unwrap_or(now).max(now);
            for number in present.iter().flat_map(|life| self.lives[*life].records.clone()) {
                self.records[number].is_out_of_sight |= !shown.contains(&self.records[number].stamp_ns);
            }
        }
        if !pulled.unread && !self.is_hidden {
            for life in present.iter().map(|life| &self.lives[*life]) {
                for number in life.whole() {
                    self.records[number].was_read = true;
                }
            }
        }
        self.judge_ended(now);
        self.pulled_ns = Some(now);
        self.was_hidden_at_pull = self.is_hidden;
        if !is_in_the_way {
            self.clock = (now, now);
        }
        self.check(pulled.unread)
    }

    /// Which records went in a way that no pull can know of: in a file that came and went between two pulls, in one
    /// that was emptied before anything of it was seen, in one of which a copy was compressed meanwhile, in a folder
    /// that was away until the file was gone, or with stamps of a time that no pull's clock came near to.
    fn judge_ended(&mut self, now: i64) {
        let before = self.pulled_ns.unwrap_or(now);
        for life in self.lives.iter_mut().filter(|life| life.is_over && !life.was_judged) {
            life.was_judged = true;
            let is_traceless = !life.was_seen || life.ends_unseen || life.has_packed_copy;
            for number in &life.records {
                let record = &mut self.records[*number];
                let is_shown = (before.min(now) - 10 * S..=before.max(now)).contains(&record.stamp_ns);
                record.is_unknowable |= !record.was_read && (is_traceless || !is_shown || record.is_out_of_sight);
            }
        }
    }

    /// Records that are late within their files (F2), by the window that such a loss is charged to: at least, at most.
    fn late(&self) -> (BTreeMap<usize, i64>, BTreeMap<i64, (u64, u64)>) {
        let mut late = BTreeMap::new();
        for life in self.lives.iter().filter(|life| life.was_seen) {
            let mut greatest = i64::MIN;
            for number in &life.records {
                let stamp = self.records[*number].stamp_ns;
                if greatest.saturating_sub(stamp) > LATENESS_NS {
                    late.insert(*number, window_of(greatest));
                }
                greatest = greatest.max(stamp);
            }
        }
        let mut windows: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        for (number, window) in &late {
            let (least, most) = windows.entry(*window).or_default();
            *least += u64::from(self.records[*number].was_read);
            *most += 1;
        }
        (late, windows)
    }

    /// How often each record is counted, and in which window.
    fn counted(&self, windows: &BTreeMap<i64, WindowPartial>) -> Result<BTreeMap<usize, i64>, String> {
        let mut counted = BTreeMap::new();
        for (start, window) in windows {
            for (group, _) in window.groups.iter() {
                let id = group.columns()[0].ok_or("a record without id")?.to_vec();
                let id = String::from_utf8(id).map_err(|error| error.to_string())?;
                let number: usize = id
                    .trim_start_matches('r')
                    .parse()
                    .map_err(|_| format!("{id} was never written"))?;
                let record = self.records.get(number).ok_or(format!("{id} was never written"))?;
                if group.records != 1 || counted.insert(number, *start).is_some() {
                    return Err(format!("r{number} is counted more than once"));
                }
                if window_of(record.stamp_ns) != *start {
                    return Err(format!("r{number} is counted in another window: {}", shown(*start)));
                }
            }
        }
        Ok(counted)
    }

    fn state(&self, window: i64) -> Option<HostState> {
        self.scene.kept.verdict(window).map(|(state, _)| state)
    }

    /// The promise. While bytes are known that were not read yet, what was proved before stays: then only that nothing
    /// counts twice.
    fn check(&self, is_unread: bool) -> Result<(), String> {
        let windows = self.scene.kept.windows(&self.scene.plan);
        let counted = self.counted(&windows)?;
        if is_unread {
            return Ok(());
        }
        let (late, charged) = self.late();
        for life in &self.lives {
            for number in &life.whole() {
                let record = self.records[*number];
                let window = window_of(record.stamp_ns);
                let is_known = life.was_seen && !record.is_unknowable;
                let is_missing = !counted.contains_key(number) && !late.contains_key(number);
                if is_known && is_missing && is_ok(self.state(window)) {
                    return Err(format!("r{number} is missing in {}, which is ok", shown(window)));
                }
            }
        }
        for (start, window) in &windows {
            let told = window.lost.get(Loss::Late);
            let (least, most) = charged.get(start).copied().unwrap_or_default();
            if is_ok(self.state(*start)) && !(least..=most).contains(&told) {
                return Err(format!("{told} late in {}, {least} to {most} are", shown(*start)));
            }
        }
        Ok(())
    }

    /// What is said in the end, after the last pull: all that is ok must be so, and nothing else may be.
    pub fn outcome(&self) -> Result<Outcome, String> {
        let windows = self.scene.kept.windows(&self.scene.plan);
        let counted = self.counted(&windows)?;
        let mut outcome = Outcome {
            counted: counted.len(),
            is_complete: true,
            ..Outcome::default()
        };
        let end = window_of(self.now()) - 60 * S;
        for run in &self.scene.kept.verdicts {
            if run.state.is_ok() || run.from_ns >= end {
                continue;
            }
            outcome.is_complete = false;
            let is_excused = |window: i64| {
                let harms = self.harms.iter();
                harms
                    .into_iter()
                    .any(|(from, to)| window + super::WINDOW_NS > *from && window < *to)
            };
            let excused = (run.from_ns..run.to_ns)
                .step_by(super::WINDOW_NS as usize)
                .find(|it| !is_excused(*it));
            if let Some(window) = excused {
                return Err(format!("{} is {:?} for ever, without reason", shown(window), run.state));
            }
        }
        let told = self.scene.kept.verdicts.last().map_or(i64::MIN, |run| run.to_ns);
        if told < end {
            return Err(format!("nothing is said of {}", shown(told)));
        }
        let (late, _) = self.late();
        for (number, record) in self.records.iter().enumerate() {
            let is_missing = !counted.contains_key(&number) && !late.contains_key(&number);
            if record.is_whole && is_missing {
                let which = if record.is_unknowable {
                    &mut outcome.unknowable
                } else {
                    &mut outcome.lost
                };
                *which += 1;
            }
        }
        outcome.late = windows.values().map(|window| window.lost.get(Loss::Late)).sum();
        outcome.is_complete &= outcome.lost + outcome.unknowable == 0 && outcome.late == 0;
        Ok(outcome)
    }
}

/// A window's start, in seconds since the beginning.
fn shown(window: i64) -> String {
    format!("the window at {} s", (window - START_NS) / S)
}
