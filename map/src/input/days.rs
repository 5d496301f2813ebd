//! Dates of stamps that say a time of day alone.
//!
//! Nothing in a file tells on which day such a line was written: a silence of a day leaves no trace. Who looks at the
//! file from snapshot to snapshot knows: bytes that one did not see and the next one did were written in between, and
//! their stamps lie close to that. So a mark (byte, clock) says that what stands from that byte on was not there then,
//! and stamps behind it take the day that brings them nearest to its clock (the marks of [`YearWalk`], which does
//! the like for years). It serves bytes that were seen to come within [`REACH_SECONDS`] of it; whoever reads the log
//! next goes on from the last mark, if the bytes before it are still those.
//!
//! What was there before the first look has no date. Reading begins behind it, and windows that it may belong to are
//! not ok. [The rule](../../../docs/reading.md#timestamps).
//!
//! [`YearWalk`]: logline::stamp::YearWalk

use super::Port;
use super::generation::{Generation, Generations, Held, Moment};
use super::known::is_same_file;
use super::learn::Learned;
use super::proof::{BEHIND_NS, Overlay};
use super::pull::{Pull, Stop, as_kept};
use super::reading::Reading;
use super::stream::Stream;
use crate::protocol::KeptProfile;
use crate::verdict::HostState;
use agent::protocol::{Generation as Listed, Role};
use logline::stamp::YearMark;

/// Bytes that are seen to come this long after a mark are dated by it: their stamps may then lie three hours ahead of
/// the clock, and were written at most eight hours late, at a change to or from daylight saving too.
pub(super) const REACH_SECONDS: i64 = 9 * 3600;
/// A mark is made when the last is this old: what a reader that goes on may have missed is the rest of the reach.
pub(super) const MARK_SECONDS: i64 = 3 * 3600;
/// Bytes that are there are of no later time than this after they were seen: more is `ahead` (P4).
const AHEAD_SECONDS: i64 = 60;
/// File systems stamp births by a clock that lags a little behind.
const BIRTH_LAG_NS: i64 = 100_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// Whether bytes that were not there at `since` and were at `until` can be dated. A clock may have been set back.
pub(super) fn reaches(since_seconds: i64, until_seconds: i64) -> bool {
    (-MARK_SECONDS..=REACH_SECONDS).contains(&until_seconds.saturating_sub(since_seconds))
}

/// The first window whose records all came after a first look, if that found bytes.
pub(super) fn dated_from_ns(first: YearMark) -> Option<i64> {
    let seconds = first.anchor.saturating_add(AHEAD_SECONDS);
    (first.offset > 0).then(|| seconds.saturating_mul(SECOND_NS))
}

/// Why a stretch of time has no dates.
fn detail(path: &str) -> String {
    format!(
        "{path}: its stamps say a time of day and no date, and what stood there then was not seen to be written: let \
         the application write dates; `sunfire eval` counts such a file as a whole"
    )
}

/// From which byte on a file's bytes will be seen to come: all of them, if it was made since the snapshot before.
pub(super) fn first_look(listed: &Listed, moment: Moment) -> YearMark {
    let born_ns = listed.identity.birth_ns;
    let is_born_since = |before_ns: &i64| {
        let since_ns = before_ns.saturating_sub(BIRTH_LAG_NS);
        let is_born = born_ns.is_some_and(|born_ns| (since_ns..=moment.t_ns).contains(&born_ns));
        listed.role == Role::Live
            && is_born
            && reaches(before_ns.div_euclid(SECOND_NS), moment.t_ns.div_euclid(SECOND_NS))
    };
    match moment.before_ns.filter(is_born_since) {
        Some(before_ns) => YearMark {
            offset: 0,
            anchor: before_ns.div_euclid(SECOND_NS),
        },
        None => as_it_stands(listed, moment.t_ns),
    }
}

/// What is there was not seen to come; what comes will be. Written it was up to the file's own time.
fn as_it_stands(listed: &Listed, t_ns: i64) -> YearMark {
    // Listing may take a while, and a time that somebody set means nothing.
    let written_ns = Some(listed.mtime_ns).filter(|at| *at < t_ns.saturating_add(MARK_SECONDS * SECOND_NS));
    let seen_ns = written_ns.map_or(t_ns, |written_ns| written_ns.max(t_ns));
    YearMark {
        offset: listed.size,
        anchor: seen_ns.div_euclid(SECOND_NS) + 1,
    }
}

impl Generation {
    /// Takes a new listing of a file of which nothing was read: an empty one that stays so is looked at for the first
    /// time again, and so is one that was not learned for too long.
    pub(super) fn look_again(&mut self, t_ns: i64) {
        let seconds = t_ns.div_euclid(SECOND_NS);
        if self.listed.size == self.seen_from.offset {
            self.seen_from.anchor = seconds;
        } else if !reaches(self.seen_from.anchor, seconds) {
            self.seen_from = as_it_stands(&self.listed, t_ns);
        }
    }
}

impl Reading {
    /// Goes on with the days of stamps without a date, at the host's time `until_ns`; whether what has come since can
    /// be dated.
    fn go_on_days(&mut self, until_ns: i64, has_grown: bool) -> bool {
        let Some(last) = self.learned.last_day_mark() else {
            return true;
        };
        let (since, until) = (self.seen_ns.div_euclid(SECOND_NS), until_ns.div_euclid(SECOND_NS));
        if until.saturating_sub(last.anchor).abs() <= MARK_SECONDS {
            return true;
        }
        if reaches(since, until) && self.mark_day(since) {
            return true;
        }
        reaches(last.anchor, until) || !has_grown
    }

    /// All that stood there at `t_ns` was read.
    pub(super) fn note_seen(&mut self, t_ns: i64) {
        self.seen_ns = t_ns;
        self.learned.note_tail(self.tail_hash());
    }
}

impl Generations {
    /// The bytes that have come can't be dated: reading begins anew behind them, and their windows are lost.
    fn begin_days_anew(&mut self, index: usize, moment: Moment) {
        let generation = &mut self.all[index];
        let Some(reading) = generation.reading() else { return };
        let from_ns = reading.seen_ns.saturating_sub(moment.delay_ns);
        generation.taught = reading.learned.appended() + 1;
        generation.seen_from = as_it_stands(&generation.listed, moment.t_ns);
        generation.held = Held::Unread { tried_to: 0, why: None };
        let (path, to_ns) = (generation.listed.path.clone(), dated_from_ns(generation.seen_from));
        self.lose(from_ns, to_ns.unwrap_or(moment.t_ns), detail(&path), None);
    }
}

impl Stream {
    /// Goes on with the days of a generation that is read; whether it can.
    pub(super) fn go_on_days(&mut self, index: usize, moment: Moment) -> bool {
        let generation = &mut self.generations.all[index];
        let size = generation.listed.size;
        let Some(reading) = generation.reading_mut() else {
            return true;
        };
        let has_grown = size > reading.read_to();
        if reading.go_on_days(moment.t_ns, has_grown) {
            return true;
        }
        self.generations.begin_days_anew(index, moment);
        false
    }

    /// Decides from where on the stamps of a file have dates that was just learned: as readers before this one knew, if
    /// the file still is what they read; else as it was first seen here.
    pub(super) async fn settle_days<P: Port>(
        &mut self,
        index: usize,
        mut learned: Learned,
        pull: &mut Pull<'_, P>,
        moment: Moment,
    ) -> Result<Learned, Stop> {
        learned.teach(self.generations.all[index].taught);
        let mut missed_ns = (moment.proved_ns > moment.from_ns).then_some(moment.proved_ns);
        let profiles = self.subscribed.iter().flat_map(|it| it.subscription.profiles.iter());
        let of_it = profiles.filter(|kept| kept.generation == learned.key);
        if let Some(kept) = of_it.max_by_key(|kept| kept.version).cloned() {
            if let Some(kept) = self.kept_days(index, (&kept, &learned), pull, moment).await? {
                return Ok(kept);
            }
            learned.teach(kept.appended + 1);
            // All that came before the last mark was read; the store may lack what came later.
            let marks = kept.stamps.entries.iter().flat_map(|entry| &entry.year_marks);
            let read_ns = marks.map(|(_, anchor)| anchor.saturating_mul(SECOND_NS)).max();
            missed_ns = read_ns.map(|read_ns| read_ns.saturating_sub(moment.delay_ns).max(moment.proved_ns));
        }
        // A file that was made just now, and holds what was not written just now, is none that was seen to be written.
        let listed = &self.generations.all[index].listed;
        let limit_ns = BEHIND_NS.max(self.lateness_ns(Some(&learned)));
        let is_plausible = |mark: YearMark| {
            let since_ns = mark.anchor.saturating_mul(SECOND_NS).saturating_sub(limit_ns);
            let until_ns = moment.t_ns.saturating_add(AHEAD_SECONDS * SECOND_NS);
            mark.offset > 0 || (since_ns..until_ns).contains(&learned.first_ns)
        };
        if !learned.first_day_mark().is_some_and(is_plausible) {
            learned.date_from(as_it_stands(listed, moment.t_ns));
        }
        let before_ns = moment
            .before_ns
            .map(|before_ns| before_ns.saturating_sub(moment.delay_ns));
        self.note_undated(index, &learned, before_ns, missed_ns);
        Ok(learned)
    }

    /// What was kept of a generation, if its marks hold: the file is that one, the bytes before the last mark are those
    /// that were read, and what has come since can be dated.
    async fn kept_days<P: Port>(
        &mut self,
        index: usize,
        (kept, learned): (&KeptProfile, &Learned),
        pull: &mut Pull<'_, P>,
        moment: Moment,
    ) -> Result<Option<Learned>, Stop> {
        let listed = &self.generations.all[index].listed;
        let (size, written_ns) = (listed.size, listed.mtime_ns);
        let is_it = kept.life.is_some_and(|life| is_same_file(life.file, listed.identity));
        let (Some(tail), true) = (kept.tail.filter(|tail| tail.offset <= size), is_it) else {
            return Ok(None);
        };
        let known = self.circumstances(pull.key, written_ns)?;
        let Some(found) = as_kept(kept, learned, &pull.buffer, &known) else {
            return Ok(None);
        };
        let t_seconds = moment.t_ns.div_euclid(SECOND_NS);
        let holds =
            |mark: YearMark| mark.offset == tail.offset && (size == tail.offset || reaches(mark.anchor, t_seconds));
        if !found.last_day_mark().is_some_and(holds) {
            return Ok(None);
        }
        // The agent compares the bytes before the mark with what they were.
        if let Some(before) = tail.offset.checked_sub(1) {
            match pull.fetch(self, index, before..tail.offset, Some(tail)).await {
                Ok(_) => {}
                Err(Stop::Again) => return Ok(None),
                Err(stop) => return Err(stop),
            }
        }
        if let Some(to_ns) = found.first_day_mark().and_then(dated_from_ns) {
            self.leave_undated(index, to_ns);
        }
        Ok(Some(found))
    }

    /// Windows before the first look are not ok, if that found bytes. What a reader before this one counted from
    /// `missed_ns` on, and what this one has since `before_ns`, may have been added to.
    fn note_undated(&mut self, index: usize, learned: &Learned, before_ns: Option<i64>, missed_ns: Option<i64>) {
        let Some(to_ns) = learned.first_day_mark().and_then(dated_from_ns) else {
            return;
        };
        if let Some(from_ns) = before_ns.or(missed_ns).filter(|from_ns| *from_ns < to_ns) {
            let path = self.generations.all[index].listed.path.clone();
            self.generations.lose(from_ns, to_ns, detail(&path), None);
        }
        if before_ns.is_none() {
            self.leave_undated(index, to_ns);
        }
    }

    /// Says of all windows before a time that they have no dates.
    fn leave_undated(&mut self, index: usize, to_ns: i64) {
        let detail = detail(&self.generations.all[index].listed.path);
        for subscribed in &mut self.subscribed {
            let undated = subscribed.undated.get_or_insert_with(|| Overlay {
                from_ns: i64::MIN,
                to_ns,
                state: HostState::Unstamped,
                detail: Some(detail.clone()),
            });
            undated.to_ns = undated.to_ns.max(to_ns);
        }
    }
}
