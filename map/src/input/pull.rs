//! The conversation with an agent: a snapshot, then what is needed of each generation, verified before it is counted.

use super::account::Account;
use super::generation::{Held, Likeness, Moment};
use super::learn::{Circumstances, Learned, zone_of_host};
use super::listing::in_the_way;
use super::proof::Condition;
use super::reading::Reading;
use super::stream::{Stream, Subscribed};
use super::{InputKey, Port, PortError, Pulled, Subscription, origin};
use crate::engine::Labels;
use crate::protocol::KeptProfile;
use crate::verdict::HostState;
use agent::profile::StampZone;
use agent::protocol::{
    Answer, FindAnswer, FindRequest, KNOWN_GENERATIONS_MAX, PathProblem, RangeEnd, RangeOutcome, RangeRequest,
    RequestBody, Role, TailHash,
};
use configs::log_path::LogPath;
use logline::stamp::{Format, SAMPLE_BYTES, Zone};
use logline::text::{Encoding, NUL_ENDED, ends_in_nul};
use mutant::Mutant;
use std::ops::Range;

/// Bytes of one range: large enough that asking costs little, small enough to stay in the second-level cache together
/// with the range that comes meanwhile and the reader's own buffer.
pub(super) const RANGE_BYTES: u64 = 256 << 10;
/// Files up to this size are read from their beginning: a search would read as much.
const WHOLE_BYTES_MAX: u64 = 1 << 20;
/// Samples tried one after the other for a format before a file is called unstamped: 4 MiB of head.
pub(super) const SAMPLES_MAX: u64 = 64;
/// Pulls in a row that may break off before that is said: rotations break off one or two.
const RESTLESS_MAX: u32 = 5;
/// Growth without a stamp after which a new format is looked for, and the host is `unstamped` (F8).
pub(super) const BARREN_BYTES: u64 = SAMPLE_BYTES as u64;

/// One pull in progress.
pub(super) struct Pull<'p, P> {
    pub(super) key: &'p InputKey,
    pub(super) port: &'p mut P,
    pub(super) pulled: &'p mut Pulled,
    /// Bytes that may still be fetched.
    budget: u64,
    pub(super) buffer: Vec<u8>,
    /// What was fetched beyond the buffer while that was counted.
    ahead: Option<Ahead>,
    /// Its bytes, or room for them.
    ahead_bytes: Vec<u8>,
}

/// A range that was fetched before its turn: it is used if it is what is asked for then.
struct Ahead {
    request: RangeRequest,
    end: Result<RangeEnd, PortError>,
}

/// Why a pull got no further.
pub(super) enum Stop {
    /// The agent did not answer.
    Port(PortError),
    /// What stands in the way on the host.
    Condition(Condition),
    /// Something changed while it was read; the next snapshot will tell.
    Again,
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl Stop {
    pub(super) fn condition(state: HostState, detail: impl Into<String>) -> Self {
        Self::Condition((state, Some(detail.into())))
    }

    pub(super) fn refused(problem: &PathProblem) -> Self {
        Self::condition(HostState::Denied, problem.to_string())
    }

    pub(super) fn unexpected() -> Self {
        let detail = "the agent answered something else than was asked; run compatible versions";
        Self::condition(HostState::Timeout, detail)
    }
}

/// Pulls in a row that broke off because something changed while it was read.
#[derive(Debug, Default)]
pub(super) struct Restless(u32);

impl Restless {
    /// What a pull came to: one that broke off is tried again at once, and no more so after some. Then it is said what
    /// keeps windows from being proved, and the log is pulled as often as others are.
    pub(super) fn judge<T>(&mut self, read: Result<T, Stop>) -> Result<T, Stop> {
        let Err(Stop::Again) = read else {
            self.0 = 0;
            return read;
        };
        self.0 += 1;
        if self.0 < RESTLESS_MAX {
            return read;
        }
        let detail = "its files change whenever they are read, or hold fewer bytes than their sizes say";
        Err(Stop::condition(HostState::Timeout, detail))
    }
}

impl<'p, P: Port> Pull<'p, P> {
    pub(super) fn new(key: &'p InputKey, port: &'p mut P, pulled: &'p mut Pulled) -> Self {
        Self {
            budget: port.pull_bytes_max(),
            key,
            port,
            pulled,
            buffer: Vec::new(),
            ahead: None,
            ahead_bytes: Vec::new(),
        }
    }

    /// Fetches a range of a generation into the buffer.
    pub(super) async fn fetch(
        &mut self,
        stream: &Stream,
        index: usize,
        range: Range<u64>,
        tail: Option<TailHash>,
    ) -> Result<RangeEnd, Stop> {
        self.fetch_range(range_request(stream, index, range, tail)).await
    }

    /// The same, as it is asked for.
    pub(super) async fn fetch_range(&mut self, request: RangeRequest) -> Result<RangeEnd, Stop> {
        let end = match self.ahead.take() {
            Some(ahead) if ahead.request == request => {
                std::mem::swap(&mut self.buffer, &mut self.ahead_bytes);
                ahead.end?
            }
            _ => {
                self.buffer.clear();
                let end = self.port.fetch(request, &mut self.buffer).await?;
                self.pulled.bytes += self.buffer.len() as u64;
                end
            }
        };
        self.budget = self.budget.saturating_sub(self.buffer.len() as u64);
        match &end.outcome {
            RangeOutcome::Unchanged if end.sent == self.buffer.len() as u64 => Ok(end),
            RangeOutcome::Refused(problem) => Err(Stop::refused(problem)),
            _ => Err(Stop::Again),
        }
    }

    /// Does something with the buffer, while the range that is asked for next is on its way.
    async fn fetch_beside<T>(&mut self, request: Option<RangeRequest>, work: impl FnOnce(&[u8]) -> T) -> T {
        let Some(request) = request else {
            return work(&self.buffer);
        };
        self.ahead_bytes.clear();
        let fetch = self.port.fetch(request.clone(), &mut self.ahead_bytes);
        let buffer = &self.buffer;
        // The request is written before the work begins: what is sent meanwhile waits in the socket.
        let (end, done) = tokio::join!(biased; fetch, async { work(buffer) });
        self.pulled.bytes += self.ahead_bytes.len() as u64;
        self.ahead = Some(Ahead { request, end });
        done
    }

    /// Whether it has brought all that one pull may.
    pub(super) fn is_spent(&self) -> bool {
        self.budget == 0
    }
}

impl Stream {
    /// Takes a snapshot and reads what it shows; the host's time of it.
    pub(super) async fn read<P: Port>(&mut self, pull: &mut Pull<'_, P>) -> Result<i64, Stop> {
        let dates_from_ns = self.dates_from_ns();
        let known = self.generations.known(KNOWN_GENERATIONS_MAX);
        let answer = self.listing.take(pull, dates_from_ns, known).await?;
        let t_ns = answer.t_ns;
        let problem = in_the_way(&answer);
        self.zone = zone_of_host(&answer.zone);
        self.origin = origin(answer.instance, &pull.key.pattern);
        let moment = self.begin_moment(t_ns);
        self.generations.reconcile(answer, moment);
        self.last_t_ns = Some(t_ns);
        let mut in_the_way = problem.map(|problem| Stop::refused(&problem));
        for index in self.generations.by_age() {
            let generation = &mut self.generations.all[index];
            generation.was_through = generation.is_through;
            generation.is_through = false;
            match self.advance(index, pull, moment).await {
                Ok(()) => {
                    let generation = &mut self.generations.all[index];
                    if generation.is_through {
                        generation.note_through(t_ns);
                    }
                }
                Err(Stop::Port(error)) => return Err(Stop::Port(error)),
                // One file in the way keeps windows from being proved, and no other file from being read.
                Err(stop) => {
                    in_the_way.get_or_insert(stop);
                }
            }
        }
        if in_the_way.is_none() {
            self.look_for_known(&pull.key.pattern, dates_from_ns, t_ns);
        }
        for index in self.generations.by_age() {
            self.advance_archive(index, pull, moment).await?;
        }
        self.generations.settle_seams();
        match in_the_way {
            Some(stop) => Err(stop),
            None => Ok(t_ns),
        }
    }

    fn begin_moment(&mut self, t_ns: i64) -> Moment {
        self.delay.begin(t_ns);
        self.moment(t_ns)
    }

    pub(super) fn moment(&self, t_ns: i64) -> Moment {
        Moment {
            t_ns,
            before_ns: self.last_t_ns,
            delay_ns: self.delay_ns(None, t_ns),
            from_ns: self.first_asked_ns(),
            proved_ns: self.first_unproved_ns(),
        }
    }

    /// Names of dates before this hold nothing that is asked for.
    fn dates_from_ns(&self) -> i64 {
        let delay_ns = self.delay_ns(None, self.last_t_ns.unwrap_or(0));
        let margin_ns = self.lateness_ns(None).saturating_add(delay_ns);
        self.first_asked_ns().saturating_sub(margin_ns)
    }

    /// Reads one generation as far as the snapshot saw it.
    async fn advance<P: Port>(&mut self, index: usize, pull: &mut Pull<'_, P>, moment: Moment) -> Result<(), Stop> {
        let generation = &mut self.generations.all[index];
        if let Some(refusal) = generation.unreadable() {
            return Err(Stop::refused(&PathProblem {
                path: generation.listed.path.clone(),
                refusal: refusal.clone(),
            }));
        }
        match &generation.held {
            // Compressed ones are read when all others are; what they hold back is said of its own windows alone.
            Held::Archive(_) | Held::Unsupported => {
                generation.is_through = true;
                return Ok(());
            }
            Held::Copy { key, read_to } => {
                let (key, read_to) = (*key, *read_to);
                let has_more = generation.listed.size > read_to;
                if !self.generations.adopt(index, key, moment) {
                    let likeness = self.generations.likeness(index, key, moment);
                    if likeness == Likeness::Unlike && !has_more {
                        // Its original is gone, and all that this one holds was read of it.
                        self.generations.all[index].is_through = true;
                        return Ok(());
                    }
                    if likeness != Likeness::Copy {
                        // Its original is gone, and ended otherwise: it is read in its own right.
                        self.generations.all[index].held = Held::Unread { tried_to: 0, why: None };
                        self.begin(index, pull, moment).await?;
                    } else if !self.generations.take_over(index, key) {
                        self.generations.note_copy(index, key);
                        return Ok(());
                    }
                }
            }
            Held::Unread { .. } => self.begin(index, pull, moment).await?,
            Held::Reading(_) => match self.go_on_days(index, moment) {
                true => self.learn_more(index, pull).await?,
                false => self.begin(index, pull, moment).await?,
            },
        }
        self.fetch_on(index, pull).await
    }

    /// Learns a generation, and finds where reading begins.
    async fn begin<P: Port>(&mut self, index: usize, pull: &mut Pull<'_, P>, moment: Moment) -> Result<(), Stop> {
        // Without stamps there is nothing more to read: that much is through.
        self.generations.all[index].is_through = true;
        let Some(mut learned) = self.learn(index, pull).await? else {
            return Ok(());
        };
        let key = learned.key;
        if self.generations.adopt(index, key, moment) {
            self.generations.all[index].is_through = false;
            return Ok(());
        }
        self.generations.all[index].is_through = false;
        let likeness = self.generations.likeness(index, key, moment);
        match likeness {
            Likeness::Unlike | Likeness::Apart => {}
            Likeness::Copy if self.generations.take_over(index, key) => return Ok(()),
            Likeness::Copy => {
                self.generations.note_copy(index, key);
                return Ok(());
            }
            Likeness::Undecided => return Ok(()),
        }
        learned.key = self.plain_key(index, key, likeness, pull).await?;
        let listed = &self.generations.all[index].listed;
        if learned.first_day_mark().is_some() {
            learned = self.settle_days(index, learned, pull, moment).await?;
        } else if let Some(inherited) = self.inherited.iter().find(|inherited| inherited.key == learned.key) {
            learned = inherited.clone();
        } else {
            let known = self.circumstances(pull.key, listed.mtime_ns)?;
            learned = self
                .kept(&learned, &pull.buffer, listed.size, pull.key, &known)
                .unwrap_or(learned);
        }
        let dated = learned.first_day_mark().map_or(0, |mark| mark.offset);
        let offset = self.landing(index, &learned, moment.from_ns, pull).await?.max(dated);
        let mut reading = Reading::new(learned, offset);
        for subscribed in &self.subscribed {
            let account = self
                .refused
                .track(subscribed, &reading, &self.generations.all[index].listed.family);
            reading.accounts.extend(account);
        }
        self.generations.all[index].held = Held::Reading(Box::new(reading));
        Ok(())
    }

    /// What the file's first lines teach; `None` if there is nothing to learn from yet, or no stamp.
    async fn learn<P: Port>(&mut self, index: usize, pull: &mut Pull<'_, P>) -> Result<Option<Learned>, Stop> {
        let generation = &self.generations.all[index];
        let (size, written_ns) = (generation.listed.size, generation.listed.mtime_ns);
        let Held::Unread { tried_to, .. } = generation.held else {
            return Ok(None);
        };
        // A sample that failed is tried again when it has grown; a large one, by an eighth.
        let step = if tried_to < SAMPLE_BYTES as u64 {
            1
        } else {
            tried_to / 8
        };
        if size == 0 || (tried_to > 0 && size < tried_to + step) {
            return Ok(None);
        }
        let mut known = self.circumstances(pull.key, written_ns)?;
        known.seen_from = Some(self.generations.all[index].seen_from);
        let mut why = None;
        for block in 0..SAMPLES_MAX {
            let from = block * SAMPLE_BYTES as u64;
            if block > 0 && from >= size {
                break;
            }
            let end = size.min(from + SAMPLE_BYTES as u64);
            pull.fetch(self, index, from..end, None).await?;
            let lines = whole_lines(&pull.buffer, from);
            if lines.is_empty() {
                // Lines that are still to end are waited for; these never do.
                if ends_in_nul(&pull.buffer) {
                    why.get_or_insert(NUL_ENDED.to_owned());
                }
                continue;
            }
            match Learned::from_sample(&pull.buffer[lines.clone()], from + lines.start as u64, &known) {
                Ok(mut learned) => {
                    learned.looked_at(end);
                    return Ok(Some(learned));
                }
                Err(reason) => {
                    why.get_or_insert(reason);
                }
            }
        }
        let tried_to = if why.is_some() { size } else { 0 };
        self.generations.all[index].held = Held::Unread { tried_to, why };
        Ok(None)
    }

    /// What was kept of a generation, if that has no more to teach since. `sample` is the block that just taught what
    /// is learned, of a file of this size.
    pub(super) fn kept(
        &self,
        learned: &Learned,
        sample: &[u8],
        size: u64,
        key: &InputKey,
        known: &Circumstances,
    ) -> Option<Learned> {
        let profiles = self.subscribed.iter().flat_map(|it| it.subscription.profiles.iter());
        let of_it = profiles.filter(|kept| kept.generation == learned.key && kept.sample_bytes <= size);
        let kept = of_it.max_by_key(|kept| kept.version)?;
        if key.timezone.is_some() && kept.stamps.zone != known.stamp_zone {
            return None;
        }
        let kept = as_kept(kept, learned, sample, known)?;
        Some(kept).filter(|kept| !kept.wants_more(size) || kept.version() >= learned.version())
    }

    pub(super) fn circumstances(&self, key: &InputKey, written_ns: i64) -> Result<Circumstances, Stop> {
        let format = key.timestamp.as_deref().map(Format::parse_override).transpose();
        let format = format.map_err(|error| Stop::condition(HostState::Unstamped, format!("timestamp: {error}")))?;
        let (zone, stamp_zone) = match (&key.timezone, &self.zone) {
            (Some(name), _) => match Zone::parse(name) {
                Ok(zone) => (zone, StampZone::Named(name.clone())),
                Err(error) => return Err(Stop::condition(HostState::Unstamped, format!("timezone: {error}"))),
            },
            (None, Some(of_host)) => of_host.clone(),
            (None, None) => {
                let detail = "the host does not know its time zone: set `timezone` in the monitor";
                return Err(Stop::condition(HostState::Unstamped, detail));
            }
        };
        let encoding = key.encoding.as_deref().map(Encoding::parse).transpose();
        let encoding = encoding.map_err(|error| Stop::condition(HostState::Unstamped, error.to_string()))?;
        Ok(Circumstances {
            format,
            zone,
            stamp_zone,
            written_seconds: written_ns.div_euclid(1_000_000_000),
            seen_from: None,
            records: key.records.clone(),
            encoding,
        })
    }

    /// Where reading must begin for the first window that is asked for (P3).
    async fn landing<P: Port>(
        &self,
        index: usize,
        learned: &Learned,
        from_ns: i64,
        pull: &mut Pull<'_, P>,
    ) -> Result<u64, Stop> {
        let listed = &self.generations.all[index].listed;
        if listed.size <= WHOLE_BYTES_MAX || learned.form().is_read_from_the_beginning() {
            return Ok(0);
        }
        let request = FindRequest {
            path: listed.path.clone(),
            identity: listed.identity,
            start_ns: from_ns,
            lateness_ns: self.lateness_ns(Some(learned)),
            hint: None,
            profile: learned.for_agent(),
        };
        match pull.port.ask(RequestBody::Find(request)).await? {
            Answer::Find(FindAnswer::Found { landing, .. }) => Ok(landing.offset),
            Answer::Find(FindAnswer::Changed | FindAnswer::Gone) => Err(Stop::Again),
            Answer::Find(FindAnswer::Refused(problem)) => Err(Stop::refused(&problem)),
            Answer::Rejected(error) => Err(Stop::condition(HostState::Unstamped, error.to_string())),
            _ => Err(Stop::unexpected()),
        }
    }

    /// A young file teaches more as it grows; what was counted by an earlier idea of it is counted again.
    async fn learn_more<P: Port>(&mut self, index: usize, pull: &mut Pull<'_, P>) -> Result<(), Stop> {
        let generation = &self.generations.all[index];
        let (size, written_ns) = (generation.listed.size, generation.listed.mtime_ns);
        let Some(reading) = generation.reading() else {
            return Ok(());
        };
        let inherited = self
            .inherited
            .iter()
            .find(|inherited| inherited.key == reading.learned.key);
        if let Some(inherited) = inherited.cloned() {
            self.learned_again(index, inherited);
            return Ok(());
        }
        if !reading.learned.wants_more(size) {
            return Ok(());
        }
        let mut known = self.circumstances(pull.key, written_ns)?;
        known.seen_from = reading.learned.first_day_mark();
        let end = size.min(SAMPLE_BYTES as u64);
        pull.fetch(self, index, 0..end, None).await?;
        let lines = whole_lines(&pull.buffer, 0);
        let Ok(mut learned) = Learned::from_sample(&pull.buffer[lines], 0, &known) else {
            return Ok(());
        };
        learned.looked_at(end);
        let Some(reading) = self.generations.all[index].reading() else {
            return Ok(());
        };
        learned.take_days(&reading.learned);
        if learned.version() <= reading.learned.version() {
            return Ok(());
        }
        // A header that grew stamps of its own changes nothing about which file it is.
        learned.key = reading.learned.key;
        self.learned_again(index, learned);
        Ok(())
    }

    /// Goes on with a newer idea of a generation, from its beginning if that reads otherwise.
    fn learned_again(&mut self, index: usize, learned: Learned) {
        let Some(reading) = self.generations.all[index].reading_mut() else {
            return;
        };
        if learned.reads_like(&reading.learned) {
            reading.learned = learned;
            return;
        }
        let offset = reading.begins_at();
        self.restart(index, learned, offset);
    }

    /// Reads a generation anew by another profile.
    fn restart(&mut self, index: usize, learned: Learned, offset: u64) {
        let family = self.generations.all[index].listed.family.clone();
        let held = std::mem::replace(
            &mut self.generations.all[index].held,
            Held::Unread { tried_to: 0, why: None },
        );
        let Held::Reading(old) = held else { return };
        let reading = self.read_again(*old, learned, offset, &family);
        self.generations.all[index].held = Held::Reading(Box::new(reading));
    }

    /// A reading in the place of another one, by another profile.
    pub(super) fn read_again(&mut self, old: Reading, learned: Learned, offset: u64, family: &str) -> Reading {
        let mut reading = Reading::new(learned, offset);
        reading.seen_ns = old.seen_ns;
        for account in old.into_accounts() {
            let subscribed = self
                .subscribed
                .iter()
                .find(|subscribed| subscribed.subscription.id == account.id);
            let engine = subscribed.and_then(|subscribed| self.refused.engine(subscribed, &reading.learned, family));
            reading
                .accounts
                .extend(engine.map(|engine| account.restarted(engine, offset == 0)));
        }
        reading
    }

    /// Fetches what is there beyond what was read.
    async fn fetch_on<P: Port>(&mut self, index: usize, pull: &mut Pull<'_, P>) -> Result<(), Stop> {
        let generation = &mut self.generations.all[index];
        let size = generation.listed.size;
        let written_seconds = generation.listed.mtime_ns.div_euclid(1_000_000_000);
        // All that the snapshot before saw was read: what is there now was written since.
        if generation.was_through
            && let Some(reading) = generation.reading_mut().filter(|reading| reading.read_to() < size)
        {
            reading.written_at(written_seconds);
        }
        loop {
            let Some(reading) = self.generations.all[index].reading() else {
                return Ok(());
            };
            let from = reading.read_to();
            if from >= size || self.has_enough(reading) {
                self.generations.all[index].is_through = from >= size;
                return Ok(());
            }
            if self.is_cut_short(index, size - from) {
                self.generations.all[index].is_through = true;
                return Ok(());
            }
            if pull.budget == 0 {
                pull.pulled.more = true;
                return Ok(());
            }
            let end = size.min(from + RANGE_BYTES.min(pull.budget));
            let tail = reading.tail_hash();
            let trailer = pull.fetch(self, index, from..end, tail).await?;
            let Some(reading) = self.generations.all[index].reading_mut() else {
                return Ok(());
            };
            if pull.buffer.is_empty() || !reading.verifies(&pull.buffer, &trailer) {
                return Err(Stop::Again);
            }
            let tail = reading.tail_hash_with(&pull.buffer);
            let next = end..size.min(end + RANGE_BYTES.min(pull.budget));
            let is_whole = pull.buffer.len() as u64 == end - from;
            let next = (is_whole && !next.is_empty()).then(|| range_request(self, index, next, tail));
            let Some(reading) = self.generations.all[index].reading_mut() else {
                return Ok(());
            };
            let cpu = pull.port.cpu_clock();
            pull.pulled.records += pull.fetch_beside(next, |bytes| reading.take(bytes, cpu)).await;
            self.look_for_new_format(index, pull).await?;
        }
    }

    /// Whether a planted bug takes a generation for read although so many bytes are not.
    fn is_cut_short(&self, index: usize, left: u64) -> bool {
        let is_renamed = self.generations.all[index].listed.role != Role::Live;
        let is_last_chunk = left <= RANGE_BYTES && !self.attempt().is_multiple_of(4);
        (mutant::is(Mutant::RotatedGenerationDropped) && is_renamed)
            || (mutant::is(Mutant::OkBeforeLastChunk) && is_last_chunk)
    }

    /// Whether all that anybody asks of a generation is read: a record lies behind the last window and the bound (P2).
    pub(super) fn has_enough(&self, reading: &Reading) -> bool {
        let until = |subscribed: &Subscribed| subscribed.subscription.until_ns;
        let Some(until_ns) = self.subscribed.iter().map(until).max().flatten() else {
            return false;
        };
        let is_beyond = |account: &Account| {
            account
                .greatest_ns()
                .is_some_and(|greatest| greatest.saturating_sub(account.lateness_ns()) >= until_ns)
        };
        self.subscribed.iter().all(|subscribed| until(subscribed).is_some())
            && !reading.accounts.is_empty()
            && reading.accounts.iter().all(is_beyond)
    }

    /// A long stretch without stamps: perhaps the format has changed (F8).
    async fn look_for_new_format<P: Port>(&mut self, index: usize, pull: &mut Pull<'_, P>) -> Result<(), Stop> {
        let written_ns = self.generations.all[index].listed.mtime_ns;
        let size = self.generations.all[index].listed.size;
        let Some(reading) = self.generations.all[index].reading_mut() else {
            return Ok(());
        };
        let Some(barren) = reading
            .barren(BARREN_BYTES)
            .filter(|barren| barren.start >= reading.searched_to)
        else {
            return Ok(());
        };
        reading.searched_to = barren.end;
        let (mut learned, offset) = (reading.learned.clone(), reading.begins_at());
        let known = self.circumstances(pull.key, written_ns)?;
        let sample = barren.start..size.min(barren.start + SAMPLE_BYTES as u64);
        pull.fetch(self, index, sample, None).await?;
        if learned.append(&pull.buffer, barren.start, &known) {
            self.restart(index, learned, offset);
        }
        Ok(())
    }
}

fn range_request(stream: &Stream, index: usize, range: Range<u64>, tail: Option<TailHash>) -> RangeRequest {
    let generation = &stream.generations.all[index];
    RangeRequest {
        path: generation.listed.path.clone(),
        identity: generation.listed.identity,
        fingerprint: generation.fingerprint,
        tail,
        offset: range.start,
        length: range.end - range.start,
    }
}

/// What was kept of a generation, as the sample reads by it that just taught what is learned.
pub(super) fn as_kept(kept: &KeptProfile, learned: &Learned, sample: &[u8], known: &Circumstances) -> Option<Learned> {
    // The sample ends where it was learned to; it began with a block of its own.
    let block = learned.sample_bytes.saturating_sub(1) / SAMPLE_BYTES as u64 * SAMPLE_BYTES as u64;
    let lines = whole_lines(sample, block);
    let mut kept = Learned::from_kept(kept, &sample[lines.clone()], block + lines.start as u64, known)?;
    kept.content_key = learned.content_key;
    Some(kept)
}

/// The whole lines of a sample that begins at an offset of its file: those of the file's beginning, or the ones after
/// the first line end. A sample that is full and has no line end is a line of its own.
pub(super) fn whole_lines(sample: &[u8], offset: u64) -> Range<usize> {
    let from = match offset {
        0 => 0,
        _ => memchr::memchr(b'\n', sample).map_or(sample.len(), |at| at + 1),
    };
    match memchr::memrchr(b'\n', sample) {
        Some(at) if at >= from => from..at + 1,
        None if sample.len() >= SAMPLE_BYTES => 0..sample.len(),
        _ => from..from,
    }
}

/// What records of a file say of where they came from.
pub(super) fn labels(subscription: &Subscription, family: &str) -> Labels {
    let mut labels = subscription.labels.clone();
    for name in ["path", "file"] {
        labels.insert(name.to_owned(), family.to_owned());
    }
    let path = subscription.monitor.log.as_deref().map(LogPath::parse);
    labels.extend(
        path.and_then(Result::ok)
            .map(|path| path.labels(family))
            .unwrap_or_default(),
    );
    Labels::new(labels)
}
