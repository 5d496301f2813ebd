//! Pulling compressed generations: fetched as they are stored, inflated under caps, counted as their sources would be.
//!
//! Lowest in rank: after all plain generations of a pull, as many at a time as the node allows, a slice at a pull. What
//! is counted is shown to nobody before the file has turned out to be whole.

use super::archive::{Hurdle, State};
use super::generation::Moment;
use super::inflating::{Inflating, Seen, Target};
use super::known::key_of;
use super::learn::Learned;
use super::pull::{BARREN_BYTES, Pull, SAMPLES_MAX, Stop, whole_lines};
use super::reading::Reading;
use super::stream::Stream;
use super::{InputKey, Port};
use agent::protocol::{COPY_HEAD_BYTES, RangeEnd, RangeOutcome, RangeRequest, TailHash};
use inflate::Fault;
use logline::stamp::SAMPLE_BYTES;

/// Compressed bytes of one range: what they inflate to is taken in chunks, between which others get their turn.
const RANGE_BYTES: u64 = 256 << 10;
/// Inflated bytes that one pull may bring of one generation; the rest comes with the next, after newer bytes.
const SLICE_BYTES: u64 = 64 << 20;

/// Whose bytes an archive holds (F6).
enum Likened {
    /// Those of a generation that is read, by its key.
    Twin(u64),
    /// Those of one that is gone, and whatever follows them.
    Resumed(Box<Reading>, TailHash),
    /// Its own.
    Own,
    /// Its own, though another begins with the same stamped line.
    Apart,
    /// There is too little to tell.
    Undecided,
}

/// How a slice of the work ended.
enum Slice {
    /// There is more.
    More,
    /// The generation is read, or can't be, or need not be.
    Ended(State),
    /// It is not what it was taken for: it is a file of its own.
    Apart,
    /// Too short to tell from another: the next pulls will show.
    Undecided,
    /// A format was learned within it: it is read anew by this.
    Anew(Box<Reading>),
}

impl Stream {
    /// Reads on in a compressed generation, if it must be read at all.
    pub(super) async fn advance_archive<P: Port>(
        &mut self,
        index: usize,
        pull: &mut Pull<'_, P>,
        moment: Moment,
    ) -> Result<(), Stop> {
        if !self.generations.wants_archive(index, moment) {
            return Ok(());
        }
        let Some(mut work) = self.begin_archive(index, pull).await else {
            return Ok(());
        };
        let slice = match self.inflate_on(index, &mut work, pull, moment).await {
            Ok(slice) => slice,
            Err(Stop::Port(error)) => return Err(Stop::Port(error)),
            Err(Stop::Condition((state, detail))) => {
                Slice::Ended(State::Waiting(Hurdle::Refused(state, detail.unwrap_or_default())))
            }
            // It changes at the moment, or went: the next snapshot will tell.
            Err(Stop::Again) => return Ok(()),
        };
        match slice {
            Slice::More => {
                pull.pulled.more = true;
                if let Some(archive) = self.generations.archive_mut(index) {
                    archive.state = State::Inflating(work);
                }
            }
            Slice::Ended(state) => self.generations.archive_ended(index, state, work.head, work.gone),
            Slice::Undecided => {}
            Slice::Apart => {
                pull.pulled.more = true;
                if let Some(archive) = self.generations.archive_mut(index) {
                    archive.is_apart = true;
                }
            }
            Slice::Anew(reading) => {
                pull.pulled.more = true;
                if let Some(archive) = self.generations.archive_mut(index) {
                    work.restart(archive, reading);
                    archive.state = State::Inflating(work);
                }
            }
        }
        Ok(())
    }

    /// The work on a generation, taken out of it: should it break off, it begins anew. `None` if others are before it.
    async fn begin_archive<P: Port>(&mut self, index: usize, pull: &mut Pull<'_, P>) -> Option<Box<Inflating>> {
        let archive = self.generations.archive_mut(index)?;
        if matches!(archive.state, State::Inflating(_)) {
            return match std::mem::replace(&mut archive.state, State::Waiting(Hurdle::Turn)) {
                State::Inflating(work) => Some(work),
                _ => None,
            };
        }
        let turn = pull.port.inflation().await?;
        archive.reset();
        Some(Box::new(Inflating::new(archive, turn)))
    }

    async fn inflate_on<P: Port>(
        &mut self,
        index: usize,
        work: &mut Inflating,
        pull: &mut Pull<'_, P>,
        moment: Moment,
    ) -> Result<Slice, Stop> {
        let until = work.inflated().saturating_add(SLICE_BYTES);
        loop {
            let filled = work.fill();
            let is_over = match filled {
                Ok(true) => false,
                Ok(false) if work.next().2 < self.generations.all[index].listed.size => {
                    self.fetch_archive(index, work, pull).await?;
                    continue;
                }
                Ok(false) => true,
                Err(fault) => return Ok(Slice::Ended(State::Waiting(hurdle(fault)))),
            };
            if let Some(slice) = self.take_chunk(index, work, is_over, pull, moment).await? {
                return Ok(slice);
            }
            if is_over {
                return Ok(end(work));
            }
            if work.inflated() >= until || pull.is_spent() {
                return Ok(Slice::More);
            }
            tokio::task::yield_now().await;
        }
    }

    async fn fetch_archive<P: Port>(
        &mut self,
        index: usize,
        work: &mut Inflating,
        pull: &mut Pull<'_, P>,
    ) -> Result<(), Stop> {
        let listed = &self.generations.all[index].listed;
        let (fingerprint, tail, offset) = work.next();
        let request = RangeRequest {
            path: listed.path.clone(),
            identity: listed.identity,
            fingerprint,
            tail,
            offset,
            length: (listed.size - offset).min(RANGE_BYTES),
        };
        let end: RangeEnd = pull.fetch_range(request).await?;
        match &end.outcome {
            RangeOutcome::Unchanged if !pull.buffer.is_empty() && work.take(&pull.buffer, &end) => Ok(()),
            _ => Err(Stop::Again),
        }
    }

    /// Does with a chunk what it is for. `Some` if that ends the work, or this slice of it.
    async fn take_chunk<P: Port>(
        &mut self,
        index: usize,
        work: &mut Inflating,
        is_over: bool,
        pull: &mut Pull<'_, P>,
        moment: Moment,
    ) -> Result<Option<Slice>, Stop> {
        if let Target::Head { .. } = work.target {
            match self.learn_archive(index, work, pull.key)? {
                Some(learned) => {
                    let likeness = self.likeness_of(index, work, &learned, pull, moment).await?;
                    match likeness {
                        Likened::Twin(key) => return Ok(Some(Slice::Ended(State::Twin { key }))),
                        Likened::Undecided => return Ok(Some(Slice::Undecided)),
                        Likened::Resumed(reading, at) => work.resume(reading, at),
                        Likened::Own | Likened::Apart => self.count_apart(index, work, learned, likeness),
                    }
                }
                None if is_over || !work.wants_more_head() => {
                    return Ok(Some(Slice::Ended(unstamped(work, is_over))));
                }
                None => return Ok(None),
            }
        }
        let Some(records) = work.count(pull.port.cpu_clock()) else {
            return Ok(Some(Slice::Apart));
        };
        pull.pulled.records += records;
        let barren = work.barren(BARREN_BYTES);
        work.pass();
        let written_ns = self.generations.all[index].listed.mtime_ns;
        if let (Some((barren, sample)), Some(reading)) = (barren, work.reading()) {
            let (mut learned, known) = (reading.learned.clone(), self.circumstances(pull.key, written_ns)?);
            if learned.append(&sample, barren.start, &known) {
                return Ok(self.anew(index, work, learned).map(Slice::Anew));
            }
        }
        let Target::Reading { reading, from: 0 } = &work.target else {
            return Ok(None);
        };
        // Nothing of it was counted, and nothing will be: no need to know whether the rest is whole.
        let is_beyond = self.has_enough(reading) && reading.is_untouched();
        Ok(is_beyond.then_some(Slice::Ended(State::NotNeeded)))
    }

    /// What the first bytes teach; as of a plain file, one sample after the other.
    fn learn_archive(&self, index: usize, work: &mut Inflating, key: &InputKey) -> Result<Option<Learned>, Stop> {
        let known = self.circumstances(key, self.generations.all[index].listed.mtime_ns)?;
        let mut first_why = None;
        for block in 0..SAMPLES_MAX as usize {
            let from = block * SAMPLE_BYTES;
            if block > 0 && from >= work.chunk.len() {
                break;
            }
            let end = work.chunk.len().min(from + SAMPLE_BYTES);
            let sample = &work.chunk[from..end];
            let lines = whole_lines(sample, from as u64);
            if lines.is_empty() {
                continue;
            }
            match Learned::from_sample(&sample[lines.clone()], (from + lines.start) as u64, &known) {
                Ok(mut learned) => {
                    learned.looked_at(end as u64);
                    let (file, head) = (self.generations.all[index].listed.identity, &work.chunk[..]);
                    learned.key = key_of(&self.known_of(learned.key), learned.key, (file, head), true);
                    let size = work.chunk.len() as u64;
                    let kept = self.kept(&learned, sample, size, key, &known);
                    let inherited = self.inherited.iter().find(|inherited| inherited.key == learned.key);
                    return Ok(Some(inherited.cloned().or(kept).unwrap_or(learned)));
                }
                Err(reason) => {
                    first_why.get_or_insert(reason);
                }
            }
        }
        work.target = Target::Head { why: first_why };
        Ok(None)
    }

    /// Decides whose bytes these are.
    async fn likeness_of<P: Port>(
        &self,
        index: usize,
        work: &mut Inflating,
        learned: &Learned,
        pull: &mut Pull<'_, P>,
        moment: Moment,
    ) -> Result<Likened, Stop> {
        let generations = &self.generations;
        let gone = generations
            .gone
            .iter()
            .find(|gone| work.begins_as(gone.fingerprint) == Seen::Same);
        work.gone = gone.map(|gone| gone.lost);
        let of_key = |reading: &Reading| reading.learned.content_key == learned.content_key;
        let is_apart = generations.archive(index).is_some_and(|archive| archive.is_apart);
        let mut likened = Likened::Own;
        for (place, other) in generations.all.iter().enumerate() {
            let Some(reading) = other.reading().filter(|reading| place != index && of_key(reading)) else {
                continue;
            };
            likened = Likened::Apart;
            if is_apart || !self.is_head_of(work, place, pull).await? {
                continue;
            }
            let common = work.chunk.len().min(other.fingerprint.length as usize);
            if common >= COPY_HEAD_BYTES || generations.is_named_after(index, place) {
                return Ok(Likened::Twin(reading.learned.key));
            }
            let is_young = |grown_at_ns: i64| moment.t_ns.saturating_sub(grown_at_ns) < moment.delay_ns;
            if is_young(generations.all[index].grown_at_ns) {
                return Ok(Likened::Undecided);
            }
        }
        for orphan in generations.orphans.iter().filter(|orphan| of_key(&orphan.reading)) {
            // A copy, made while less was in it: all that it holds was read.
            let is_short = work.begins_as(orphan.fingerprint) == Seen::NotYet;
            if is_short && work.is_shorter_copy(&orphan.reading) {
                return Ok(Likened::Twin(orphan.reading.learned.key));
            }
            let tail = orphan.reading.tail_hash().filter(|_| !is_apart);
            match tail.filter(|_| work.begins_as(orphan.fingerprint) == Seen::Same) {
                Some(at) => return Ok(Likened::Resumed(orphan.reading.clone(), at)),
                None => likened = Likened::Apart,
            }
        }
        Ok(likened)
    }

    /// Whether another generation begins with the bytes at hand, or with as many of them as its fingerprint covers.
    async fn is_head_of<P: Port>(&self, work: &Inflating, place: usize, pull: &mut Pull<'_, P>) -> Result<bool, Stop> {
        let other = &self.generations.all[place];
        match work.begins_as(other.fingerprint) {
            Seen::Same => Ok(true),
            Seen::Others => Ok(false),
            // What is at hand is shorter than that: its bytes are few enough to be fetched.
            Seen::NotYet if other.is_plain() => {
                pull.fetch(self, place, 0..work.chunk.len() as u64, None).await?;
                Ok(pull.buffer == work.chunk)
            }
            Seen::NotYet => {
                let archive = self.generations.archive(place);
                Ok(archive.is_some_and(|archive| archive.head.starts_with(&work.chunk)))
            }
        }
    }

    /// Counts a generation in its own right.
    fn count_apart(&mut self, index: usize, work: &mut Inflating, mut learned: Learned, likened: Likened) {
        let listed = &self.generations.all[index].listed;
        let known = self.known_of(learned.content_key);
        let is_alone = !matches!(likened, Likened::Apart);
        learned.key = key_of(&known, learned.content_key, (listed.identity, &work.chunk), is_alone);
        let mut reading = Reading::new(learned, 0);
        for subscribed in &self.subscribed {
            let account = self.refused.track(subscribed, &reading, &listed.family);
            reading.accounts.extend(account);
        }
        work.target = Target::Reading {
            reading: Box::new(reading),
            from: 0,
        };
    }

    /// The reading that begins anew with what was learned within the file.
    fn anew(&mut self, index: usize, work: &mut Inflating, learned: Learned) -> Option<Box<Reading>> {
        let target = std::mem::replace(&mut work.target, Target::Head { why: None });
        let Target::Reading { reading: old, .. } = target else {
            return None;
        };
        let family = self.generations.all[index].listed.family.clone();
        Some(Box::new(self.read_again(*old, learned, 0, &family)))
    }
}

fn hurdle(fault: Fault) -> Hurdle {
    match fault {
        Fault::Corrupt { why } => Hurdle::Corrupt(why),
        Fault::OverCap(cap) => Hurdle::OverCap(cap.to_string()),
    }
}

/// What a file is in whose first bytes no stamp was found.
fn unstamped(work: &Inflating, is_over: bool) -> State {
    if let Some(hurdle) = Hurdle::of(work.outcome()).filter(|_| is_over) {
        return State::Waiting(hurdle);
    }
    match &work.target {
        // As of a plain file: a few lines without stamps are a header.
        Target::Head { why: Some(why) } if work.inflated() >= BARREN_BYTES => {
            State::Waiting(Hurdle::Unstamped(why.clone()))
        }
        _ => State::Empty,
    }
}

/// What became of a file that was inflated to its end.
fn end(work: &mut Inflating) -> Slice {
    if let Some(hurdle) = Hurdle::of(work.outcome()) {
        return Slice::Ended(State::Waiting(hurdle));
    }
    if work.is_another() {
        return match work.reading().filter(|reading| work.is_shorter_copy(reading)) {
            Some(reading) => Slice::Ended(State::Twin {
                key: reading.learned.key,
            }),
            None => Slice::Apart,
        };
    }
    match std::mem::replace(&mut work.target, Target::Head { why: None }) {
        Target::Head { .. } => Slice::Ended(State::Empty),
        Target::Reading { reading, .. } => Slice::Ended(State::Read(reading)),
    }
}
