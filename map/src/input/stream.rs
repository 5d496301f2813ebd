//! A stream of pulls: the same generations read on and on for some monitors, with what each window has proved.

use super::account::Account;
use super::generation::{Generation, Generations, Held};
use super::learn::Learned;
use super::listing::Listing;
use super::missed::Told;
use super::proof::{Asked, Condition, DelayLearner, Overlay, Proved, Reach, is_ahead, is_behind, prove, verdicts};
use super::pull::{BARREN_BYTES, Pull, Restless, Stop};
use super::refused::Refused;
use super::suspension::{self, Suspension};
use super::usage::{CpuClock, Usage, timed};
use super::{InputKey, Port, Pulled, Purpose, Subscription};
use crate::protocol::{Cell, CellVersion, HostReport, KeptLife, KeptProfile, PROFILES_MAX, TaskId};
use crate::verdict::{HostState, VerdictRun};
use agent::profile::StampZone;
use configs::monitor::Absent;
use logline::stamp::Zone;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Verdicts are repeated for so long: longer than a window is worth repairing by default.
const TOLD_NS: i64 = 24 * 3600 * 1_000_000_000;
/// A monitor's interest, and how far it has got.
pub(super) struct Subscribed {
    pub(super) subscription: Subscription,
    pub(super) proved: Proved,
    /// Stretches that are not counted, as they were begun here.
    pub(super) suspended: Arc<[Suspension]>,
    /// What it cost since that was asked last, beside its accounts' counting.
    spent: Usage,
    told: Vec<VerdictRun>,
    /// Windows whose records have no dates, as they were not seen to be written.
    pub(super) undated: Option<Overlay>,
    /// Generations whose profile is known to whoever asks, and what was told of them.
    told_profiles: BTreeMap<u64, (u32, Option<KeptLife>)>,
}

/// What may be news of a generation.
enum Kept<'t> {
    Here(&'t Told<'t>, KeptLife),
    Over(KeptProfile),
}

impl Subscribed {
    pub(super) fn new(subscription: Subscription) -> Self {
        Self {
            proved: Proved::nothing(subscription.from_ns),
            suspended: Arc::clone(&subscription.suspended),
            subscription,
            spent: Usage::default(),
            told: Vec::new(),
            undated: None,
            told_profiles: BTreeMap::new(),
        }
    }

    /// What is known to whoever asks.
    pub(super) fn kept(&self) -> impl Iterator<Item = &KeptProfile> {
        self.subscription.profiles.iter()
    }

    /// What was learned and is not known to whoever asks.
    fn news(&mut self, told: &[Told<'_>], over: Vec<KeptProfile>) -> Vec<KeptProfile> {
        let mut news = Vec::new();
        let known = &self.subscription.profiles;
        let known = |key: u64| known.iter().find(|known| known.generation == key);
        let here = told.iter().map(|told| {
            let life = told.kept_life(known(told.learned.key));
            (
                (told.learned.key, told.learned.version(), Some(life)),
                Kept::Here(told, life),
            )
        });
        let over = over
            .into_iter()
            .map(|kept| ((kept.generation, kept.version, kept.life), Kept::Over(kept)));
        for ((key, version, life), kept) in here.chain(over) {
            // Most pulls bring nothing new of any: that is found out before anything is copied.
            if self.told_profiles.insert(key, (version, life)) == Some((version, life)) {
                continue;
            }
            let kept = match kept {
                Kept::Here(told, life) => told.learned.to_kept(life),
                Kept::Over(kept) => kept,
            };
            if known(key) != Some(&kept) {
                kept.join(&mut news);
            }
        }
        if self.told_profiles.len() > 4 * PROFILES_MAX {
            let is_there = |key: u64| told.iter().any(|told| told.learned.key == key);
            self.told_profiles.retain(|key, _| is_there(*key));
        }
        news
    }

    /// Takes what a snapshot proved.
    fn prove(&mut self, proved: Proved) {
        let before_ns = self.proved.provisional_ns;
        self.proved = proved.or(self.proved);
        let advanced_ns = self.proved.provisional_ns.saturating_sub(before_ns);
        self.spent.advanced_ns += u64::try_from(advanced_ns).unwrap_or(0);
    }

    /// Takes which stretches are not to be counted; whether that is news.
    fn suspend(&mut self, asked: &Arc<[Suspension]>) -> bool {
        if self.subscription.suspended == *asked {
            return false;
        }
        self.subscription.suspended = Arc::clone(asked);
        // Windows that start before this were said to be ok, or may have been.
        let proved_ns = align(self.proved.provisional_ns, self.length_ns());
        self.suspended = suspension::begun(asked, &self.suspended, proved_ns);
        true
    }

    fn length_ns(&self) -> i64 {
        self.subscription.plan.window_ns
    }

    fn given_ns(ms: Option<u64>) -> Option<i64> {
        ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000))
    }

    pub(super) fn lateness_ns(&self, learned: &Learned) -> i64 {
        Self::given_ns(self.subscription.monitor.lateness_ms).unwrap_or(learned.lateness_ns())
    }

    fn delay_ns(&self) -> Option<i64> {
        Self::given_ns(self.subscription.monitor.delay_ms)
    }

    fn grace_ns(&self) -> i64 {
        Self::given_ns(Some(self.subscription.monitor.grace_ms)).unwrap_or(0)
    }
}

/// Monitors that are read for together.
pub(super) struct Stream {
    pub(super) subscribed: Vec<Subscribed>,
    pub(super) generations: Generations,
    pub(super) delay: DelayLearner,
    /// The host's time of the last stable snapshot.
    pub(super) last_t_ns: Option<i64>,
    /// As in [`HostReport::origin`], by the last snapshot.
    pub(super) origin: u64,
    /// The host's zone, as it said last.
    pub(super) zone: Option<(Zone, StampZone)>,
    pub(super) listing: Listing,
    pub(super) refused: Refused,
    attempt: u64,
    restless: Restless,
    /// What another stream of the same input has learned: profiles are the input's, not the stream's.
    pub(super) inherited: Vec<Learned>,
    /// Stretches of time that stamps ahead of the clock have spoiled.
    ahead: Option<Overlay>,
    /// Verdicts are told of all windows, however old: for a re-read.
    is_isolated: bool,
    /// Windows before the first line are not ok: for a question.
    is_asked: bool,
    /// Whether generations that were known when it began were looked for.
    pub(super) has_looked: bool,
    /// Those of them that are gone.
    pub(super) over: Vec<KeptProfile>,
}

impl Stream {
    pub(super) fn new(subscriptions: impl IntoIterator<Item = Subscription>) -> Self {
        Self {
            subscribed: subscriptions.into_iter().map(Subscribed::new).collect(),
            generations: Generations::default(),
            delay: DelayLearner::default(),
            last_t_ns: None,
            origin: 0,
            zone: None,
            listing: Listing::default(),
            refused: Refused::default(),
            attempt: 0,
            restless: Restless::default(),
            inherited: Vec::new(),
            ahead: None,
            is_isolated: false,
            is_asked: false,
            has_looked: false,
            over: Vec::new(),
        }
    }

    /// A stream for one re-read.
    pub(super) fn isolated(subscription: Subscription, purpose: Purpose) -> Self {
        Self {
            is_isolated: true,
            is_asked: purpose == Purpose::Question,
            ..Self::new([subscription])
        }
    }

    /// What was learned of the generations that are read.
    pub(super) fn learned(&self) -> Vec<Learned> {
        let readings = self.generations.all.iter().filter_map(Generation::reading);
        readings.map(|reading| reading.learned.clone()).collect()
    }

    /// Names of the files of the generations that are read, by key. Of a copy and what it is a copy of, that which is
    /// read.
    pub(super) fn files(&self) -> BTreeMap<u64, String> {
        let generations = self.generations.all.iter();
        let read = generations.filter_map(|it| Some((it.reading()?.learned.key, it.listed.path.clone())));
        read.collect()
    }

    /// Whether nothing was pulled yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.attempt == 0
    }

    /// How many pulls there were, this one included.
    pub(super) fn attempt(&self) -> u64 {
        self.attempt
    }

    /// One pull: what changed is read, counted, and told. `now_ns` is the caller's clock.
    pub(super) async fn pull<P: Port>(&mut self, key: &InputKey, port: &mut P, now_ns: i64, pulled: &mut Pulled) {
        self.attempt += 1;
        let before_ns = self.last_t_ns;
        let read = self.read(&mut Pull::new(key, port, pulled)).await;
        let read = self.restless.judge(read);
        let (t_ns, is_new, condition) = match read {
            Ok(t_ns) => (t_ns, true, self.condition(key, t_ns)),
            Err(Stop::Again) => {
                pulled.more = true;
                (self.last_t_ns.unwrap_or(now_ns), false, None)
            }
            Err(Stop::Condition(condition)) => (self.last_t_ns.unwrap_or(now_ns).max(now_ns), false, Some(condition)),
            Err(Stop::Port(error)) => (now_ns, false, Some((error.state, Some(error.detail)))),
        };
        // Also of a pull that something was in the way of: what it read is no growth of the next one.
        self.learn_from_growth(before_ns, t_ns);
        if is_new {
            let told_from_ns = if self.is_isolated {
                i64::MIN
            } else {
                t_ns.saturating_sub(TOLD_NS)
            };
            self.generations.bound_losses(told_from_ns);
        }
        // Also where a pull broke off: what it committed must not stand in a scratch of before as well.
        let cpu = port.cpu_clock();
        self.count_tails(self.last_t_ns.unwrap_or(t_ns), cpu);
        self.note_ahead(t_ns);
        let is_unread = self.generations.all.iter().any(|generation| !generation.is_through);
        pulled.unread |= !is_new || is_unread || self.generations.is_any_pending();
        pulled.trouble = condition
            .clone()
            .map(|(state, detail)| (state, detail.unwrap_or_default()));
        for index in 0..self.subscribed.len() {
            let (report, told_ns) = timed(cpu, || self.report(index, t_ns, is_new, condition.as_ref()));
            self.subscribed[index].spent.cpu_ns += told_ns;
            pulled
                .reports
                .extend(report.map(|report| (self.subscribed[index].subscription.id.clone(), report)));
        }
    }

    /// What all that cost since this was asked last.
    pub(super) fn take_usage(&mut self, usage: &mut BTreeMap<TaskId, Usage>) {
        let accounts = self
            .generations
            .any_readings_mut()
            .flat_map(|reading| &mut reading.accounts);
        let spent = accounts.map(|account| (account.id.clone(), std::mem::take(&mut account.spent)));
        for (id, spent) in spent.filter(|(_, spent)| *spent != Usage::default()) {
            usage.entry(id).or_default().add(spent);
        }
        for subscribed in &mut self.subscribed {
            let spent = std::mem::take(&mut subscribed.spent);
            usage.entry(subscribed.subscription.id.clone()).or_default().add(spent);
        }
    }

    pub(super) fn first_asked_ns(&self) -> i64 {
        let starts = self.subscribed.iter().map(|subscribed| subscribed.subscription.from_ns);
        starts.min().unwrap_or(i64::MAX)
    }

    /// The first window that nobody has proved: bytes that were gone before the first look concern no earlier one.
    pub(super) fn first_unproved_ns(&self) -> i64 {
        let starts = self
            .subscribed
            .iter()
            .map(|it| it.subscription.from_ns.max(it.subscription.proved_ns));
        starts.min().unwrap_or(i64::MAX)
    }

    /// The greatest lateness bound of all monitors.
    pub(super) fn lateness_ns(&self, learned: Option<&Learned>) -> i64 {
        let of = |subscribed: &Subscribed| match learned {
            Some(learned) => subscribed.lateness_ns(learned),
            None => Subscribed::given_ns(subscribed.subscription.monitor.lateness_ms).unwrap_or(0),
        };
        let least = logline::stamp::profile::LATENESS_NS_MIN;
        self.subscribed.iter().map(of).max().unwrap_or(least).max(least)
    }

    pub(super) fn delay_ns(&self, subscribed: Option<&Subscribed>, t_ns: i64) -> i64 {
        let learned = self
            .generations
            .all
            .iter()
            .filter_map(Generation::reading)
            .map(|reading| &reading.learned);
        let lateness_ns = learned.map(|learned| self.lateness_ns(Some(learned))).max();
        let lateness_ns = lateness_ns.unwrap_or_else(|| self.lateness_ns(None));
        self.delay
            .delay_ns(t_ns, lateness_ns, subscribed.and_then(Subscribed::delay_ns))
    }

    /// What keeps windows from being proved although everything was read.
    fn condition(&self, key: &InputKey, t_ns: i64) -> Option<Condition> {
        // A young file may begin with a header, or with the rest of a trace; but some file must have stamps.
        let is_any_stamped = self
            .generations
            .all
            .iter()
            .any(|generation| generation.reading().is_some());
        let unstamped = self
            .generations
            .all
            .iter()
            .find_map(|generation| match &generation.held {
                Held::Unread {
                    why: Some(why),
                    tried_to,
                } if !is_any_stamped || *tried_to >= BARREN_BYTES => Some((&generation.listed.path, why.clone())),
                Held::Reading(reading) => {
                    let barren = reading.barren(BARREN_BYTES)?;
                    let why = format!(
                        "no timestamp in {} bytes from {} on",
                        barren.end - barren.start,
                        barren.start
                    );
                    Some((&generation.listed.path, why))
                }
                Held::Unread { .. } | Held::Copy { .. } | Held::Archive(_) | Held::Unsupported => None,
            });
        let unstamped = unstamped.map(|(path, why)| format!("{path}: {why}"));
        if let Some(why) = unstamped.or_else(|| self.fruitless()) {
            return Some((HostState::Unstamped, Some(why)));
        }
        if self.generations.all.is_empty() {
            return Some((HostState::NoFile, Some(format!("no file is named {}", key.pattern))));
        }
        let ahead = self.greatest_ns().filter(|greatest| is_ahead(*greatest, t_ns));
        ahead.map(|greatest| {
            let detail = format!(
                "a stamp is {} s ahead of the host's clock",
                (greatest - t_ns) / 1_000_000_000
            );
            (HostState::Ahead, Some(detail))
        })
    }

    /// Says that the user's pattern lets no line of any generation begin a record: a mistake rather than a zero. One
    /// generation without such a line is no mistake.
    fn fruitless(&self) -> Option<String> {
        let readings = self.generations.all.iter();
        let readings = readings.filter_map(|generation| Some((&generation.listed.path, generation.reading()?)));
        let all: Option<Vec<_>> = readings
            .map(|(path, reading)| Some((path, reading.fruitless()?)))
            .collect();
        let (path, records) = all?.into_iter().next()?;
        Some(format!(
            "{path}: no stamped line begins a record by `records {records}`: correct the pattern"
        ))
    }

    /// The greatest good stamp of all generations.
    fn greatest_ns(&self) -> Option<i64> {
        let readings = self.generations.all.iter().filter_map(Generation::reading);
        readings
            .flat_map(|reading| &reading.accounts)
            .filter_map(Account::greatest_ns)
            .max()
    }

    /// Stamps ahead of the clock spoil the windows up to them: records with true stamps are late there (P4).
    fn note_ahead(&mut self, t_ns: i64) {
        let Some(greatest) = self.greatest_ns().filter(|greatest| is_ahead(*greatest, t_ns)) else {
            return;
        };
        let spoiled = self.ahead.get_or_insert_with(|| Overlay {
            from_ns: t_ns,
            to_ns: greatest,
            state: HostState::Ahead,
            detail: Some("stamps ran ahead of the host's clock".to_owned()),
        });
        spoiled.to_ns = spoiled.to_ns.max(greatest);
    }

    /// Learns the delay, and who is behind, from what came with this pull.
    fn learn_from_growth(&mut self, before_ns: Option<i64>, t_ns: i64) {
        let shortest = self.subscribed.iter().filter_map(Subscribed::delay_ns).max();
        for generation in &mut self.generations.all {
            let (written_ns, was_steady) = (generation.listed.mtime_ns, generation.was_through);
            let Some(reading) = generation.reading_mut() else {
                continue;
            };
            let grown = reading.take_grown();
            let (Some(before_ns), true, false) = (before_ns, was_steady, grown.newest_ns.is_empty()) else {
                continue;
            };
            generation.is_behind = is_behind(&grown.newest_ns, written_ns, shortest);
            if let Some(least) = grown.least_ns.filter(|_| !generation.is_behind) {
                self.delay.observe(before_ns, least, t_ns);
            }
        }
    }

    /// Counts the undecided ends of all generations as they are now.
    fn count_tails(&mut self, t_ns: i64, cpu: CpuClock) {
        let stream_delay_ns = self.delay_ns(None, t_ns);
        let delays: Vec<(TaskId, i64)> = (self.subscribed.iter())
            .map(|subscribed| {
                (
                    subscribed.subscription.id.clone(),
                    self.delay_ns(Some(subscribed), t_ns),
                )
            })
            .collect();
        let settled_before_ns = |account: &Account| {
            let delay = delays.iter().find(|(id, _)| *id == account.id);
            t_ns.saturating_sub(delay.map_or(stream_delay_ns, |(_, delay)| *delay))
        };
        for generation in &mut self.generations.all {
            let is_finished = generation.is_finished(t_ns, stream_delay_ns);
            if let Some(reading) = generation.reading_mut() {
                reading.count_tail(is_finished, settled_before_ns, cpu);
                reading
                    .accounts
                    .iter_mut()
                    .for_each(|account| account.forget(is_finished));
            }
        }
        for orphan in &mut self.generations.orphans {
            orphan.reading.count_tail(true, settled_before_ns, cpu);
            orphan
                .reading
                .accounts
                .iter_mut()
                .for_each(|account| account.forget(true));
        }
    }

    /// What is new for one monitor, if anything is.
    fn report(&mut self, index: usize, t_ns: i64, is_new: bool, condition: Option<&Condition>) -> Option<HostReport> {
        let subscribed = &self.subscribed[index];
        let (id, grace_ns) = (subscribed.subscription.id.clone(), subscribed.grace_ns());
        let delay_ns = self.delay_ns(Some(subscribed), t_ns);
        let condition = self.condition_of(subscribed, condition);
        if is_new && condition.is_none() {
            let proved = prove(t_ns, grace_ns, delay_ns, self.reaches(&id));
            self.subscribed[index].prove(proved);
        }
        let subscribed = &self.subscribed[index];
        let length_ns = subscribed.length_ns();
        let told_from_ns = if self.is_isolated {
            i64::MIN
        } else {
            align(t_ns.saturating_sub(TOLD_NS), length_ns)
        };
        let asked = Asked {
            from_ns: subscribed.subscription.from_ns.max(told_from_ns),
            until_ns: subscribed.subscription.until_ns.unwrap_or(i64::MAX),
            length_ns,
        };
        let overlays: Vec<Overlay> = self
            .generations
            .overlays(self.moment(t_ns))
            .into_iter()
            .chain(self.ahead.clone())
            .chain(subscribed.undated.clone())
            .chain(self.is_asked.then(|| self.generations.before_all()).flatten())
            .collect();
        let upto_ns = t_ns.saturating_sub(grace_ns);
        let told = verdicts(
            asked,
            subscribed.proved,
            condition.as_ref().map(|it| (it, upto_ns)),
            &overlays,
        );
        let told = suspension::lay_over(told, &subscribed.suspended);
        let (cells, profile_version) = self.cells(index, length_ns);
        let (over, first_asked_ns) = (self.over(), self.first_asked_ns());
        let generations = self.generations.told(t_ns, self.delay_ns(None, t_ns), first_asked_ns);
        let profiles = self.subscribed[index].news(&generations, over);
        if cells.is_empty() && profiles.is_empty() && told == self.subscribed[index].told {
            return None;
        }
        self.subscribed[index].told.clone_from(&told);
        Some(HostReport {
            host: self.subscribed[index].subscription.host.clone(),
            t_ns: self.last_t_ns.unwrap_or(0),
            origin: self.origin,
            delay_ns,
            profile_version,
            cells,
            verdicts: told,
            profiles,
        })
    }

    /// The condition as it is for one monitor: its fields may not be there, it may not mind a missing file, its delay
    /// may be longer than what makes others call a host behind.
    fn condition_of(&self, subscribed: &Subscribed, condition: Option<&Condition>) -> Option<Condition> {
        let subscription = &subscribed.subscription;
        let is_fine = |state: HostState| state == HostState::NoFile && subscription.monitor.absent == Absent::Zero;
        if let Some(condition) = condition.filter(|(state, _)| !is_fine(*state)) {
            return Some(condition.clone());
        }
        if let Some(why) = self.refused.why(&subscription.id) {
            return Some((HostState::Unstamped, Some(why.to_owned())));
        }
        // Of a finished file nothing more is held back.
        let t_ns = self.last_t_ns.unwrap_or(0);
        let delay_ns = self.delay_ns(None, t_ns);
        let is_behind = |generation: &&Generation| generation.is_behind && !generation.is_finished(t_ns, delay_ns);
        let behind = self.generations.all.iter().find(is_behind);
        behind.map(|generation| {
            let detail = format!(
                "the newest records of {} are old: a wrong zone, or a writer that holds back",
                generation.listed.path
            );
            (HostState::Behind, Some(detail))
        })
    }

    /// How far each generation that is there proves windows for a monitor.
    fn reaches(&self, id: &TaskId) -> Vec<Reach> {
        let reach = |generation: &Generation| {
            let account = generation.reading().and_then(|reading| reading.account(id));
            Reach {
                is_through: generation.is_through,
                greatest_ns: account.and_then(Account::greatest_ns),
                lateness_ns: account.map_or(0, Account::lateness_ns),
            }
        };
        self.generations.all.iter().map(reach).collect()
    }

    /// Cells that changed, of windows that are proved, or of all if everything that is there was read.
    fn cells(&mut self, index: usize, length_ns: i64) -> (Vec<Cell>, u32) {
        let subscribed = &self.subscribed[index];
        let (id, epoch) = (subscribed.subscription.id.clone(), subscribed.subscription.epoch);
        let proved_ns = subscribed.proved.provisional_ns;
        let is_through = self.generations.all.iter().all(|generation| generation.is_through);
        let may_tell = |start: i64| is_through || start.saturating_add(length_ns) <= proved_ns;
        let attempt = self.attempt;
        let mut profile_version = 0;
        let mut cells = Vec::new();
        for reading in self.generations.readings_mut() {
            let version = CellVersion {
                profile: reading.learned.version(),
                read_to: reading.read_to(),
                epoch,
                attempt,
            };
            profile_version = profile_version.max(version.profile);
            let (key, ambiguous) = (reading.learned.key, reading.ambiguous_ns());
            if let Some(account) = reading.account_mut(&id) {
                cells.extend(account.cells(key, version, may_tell, &ambiguous));
            }
        }
        (cells, profile_version)
    }

    /// The store has these cells.
    pub(super) fn acked(&mut self, id: &TaskId, cells: &[(i64, u64, CellVersion)]) {
        for reading in self.generations.any_readings_mut() {
            let key = reading.learned.key;
            let Some(account) = reading.account_mut(id) else {
                continue;
            };
            for (window_ns, _, version) in cells.iter().filter(|(_, generation, _)| *generation == key) {
                account.acked(*window_ns, *version);
            }
        }
    }

    /// Forgets a monitor.
    pub(super) fn unsubscribe(&mut self, id: &TaskId) {
        self.subscribed.retain(|subscribed| subscribed.subscription.id != *id);
        self.refused.forget(id);
        for reading in self.generations.any_readings_mut() {
            reading.remove(id);
        }
    }

    /// Takes a changed subscription in place, if it differs in nothing that was counted by.
    pub(super) fn renew(&mut self, new: &Subscription) -> bool {
        let is_same = |old: &Subscription| {
            old.id == new.id && old.host == new.host && old.labels == new.labels && old.from_ns <= new.from_ns
        };
        let mut subscribed = self.subscribed.iter_mut();
        let Some(old) = subscribed.find(|old| is_same(&old.subscription)) else {
            return false;
        };
        if old.subscription.profiles != new.profiles {
            // Whoever asks now may not have heard what was told before.
            old.subscription.profiles = new.profiles.clone();
            old.told_profiles.clear();
        }
        let suspended = old.suspend(&new.suspended).then(|| Arc::clone(&old.suspended));
        let old = &mut old.subscription;
        old.epoch = new.epoch;
        old.until_ns = new.until_ns;
        let until_ns = new.until_ns.unwrap_or(i64::MAX);
        for account in self
            .generations
            .any_readings_mut()
            .filter_map(|reading| reading.account_mut(&new.id))
        {
            account.ask_until(until_ns);
            if let Some(suspended) = &suspended {
                account.leave_out(suspended);
            }
        }
        true
    }

    /// Takes over the monitors of another stream that has read exactly what this one has, byte for byte.
    pub(super) fn join(&mut self, mut later: Self) -> Result<(), Box<Self>> {
        if !self.generations.matches(&later.generations) {
            return Err(Box::new(later));
        }
        self.generations.absorb(&mut later.generations);
        self.subscribed.append(&mut later.subscribed);
        self.refused.append(&mut later.refused);
        Ok(())
    }

    /// Adds the bytes held in windows, about, for each monitor.
    pub(super) fn add_held(&self, held: &mut BTreeMap<TaskId, usize>) {
        let here = self.generations.all.iter().filter_map(Generation::any_reading);
        let readings = here.chain(self.generations.orphans.iter().map(|orphan| &*orphan.reading));
        for account in readings.flat_map(|reading| &reading.accounts) {
            *held.entry(account.id.clone()).or_default() += account.held_bytes();
        }
    }
}

fn align(at_ns: i64, length_ns: i64) -> i64 {
    at_ns.div_euclid(length_ns).saturating_mul(length_ns)
}
