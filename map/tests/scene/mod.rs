//! A folder of logs, an agent over it that is asked directly, a clock that the test owns, and what a Reduce would keep.

// Each test binary uses another part of it.
#![allow(dead_code, missing_docs)]

use agent::profile::LoglineStamps;
use agent::protocol::{
    Answer, Content, Identity, PROTOCOL_VERSION, PathProblem, RangeEnd, RangeOutcome, RangeRequest, Refusal, Request,
    RequestBody,
};
use agent::ranges::RangeSink;
use agent::roots::{HardLinks, Roots};
use agent::service::{Agent, Served};
use agent::snapshot::{HostClock, HostFacts};
use jiff::tz::TimeZone;
use logline::boundary::RecordStamps;
use logline::order::Following;
use logline::records::{RecordReader, Start};
use logline::stamp::{Detection, FileStamps, Zone, learn};
use logline::text::Form;
use map::definition::of_records;
use map::engine::{Counter, Input as EngineInput, Labels};
use map::input::{Input, InputKey, Port, PortError, Purpose, Subscription, Suspension, Terms, Turn, Usage, reread};
use map::partial::{Partial, WindowPartial};
use map::plan::Plan;
use map::protocol::{Cell, CellVersion, HostReport, KeptProfile, RecordsWanted, TaskId};
use map::verdict::{HostState, Stage, VerdictRun};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// 2026-11-23T12:00:00Z
pub const START_NS: i64 = 1_795_435_200_000_000_000;
pub const S: i64 = 1_000_000_000;

/// The host's clock.
#[derive(Clone)]
pub struct Time(pub Arc<AtomicI64>);

impl Time {
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn pass(&self, ns: i64) {
        self.0.fetch_add(ns, Ordering::Relaxed);
    }
}

impl HostClock for Time {
    fn now_ns(&self) -> i64 {
        self.now()
    }
}

/// An agent asked without a network.
pub struct Direct {
    agent: Agent,
    /// What every question is answered with, if the agent is to be away.
    pub away: Option<PortError>,
    pub asked: usize,
    /// Whether others are inflated at the moment, so that nothing of this input may be.
    pub is_crowded: bool,
    /// Added to the number of every device, as a remount does.
    pub renumbered: u64,
    /// What a file system says of the births of files.
    pub births: Births,
    /// Inode and birth of files, and what was told of their birth.
    born: BTreeMap<(u64, Option<i64>), Option<i64>>,
    /// What a file system makes of the sizes of files.
    pub sizes: Option<Sizes>,
    /// What the kernel says to every read of a file, if it fails.
    pub reads_fail: Option<i32>,
}

/// What a file system says of the births of files.
pub enum Births {
    /// What it says.
    Real,
    /// They are born by the test's clock, when they are first listed.
    By(Time),
    /// Nothing.
    Untold,
}

/// A size as it is told, for one that is.
pub type Sizes = Box<dyn FnMut(u64) -> u64>;

impl Direct {
    /// The question as the host's own numbers put it: a number of before fits no file.
    fn in_numbers_of_host(&self, mut body: RequestBody) -> RequestBody {
        let number = |identity: &mut Identity| {
            identity.device = identity.device.wrapping_sub(self.renumbered);
            let is_it = |(known, told): &(&(u64, Option<i64>), &Option<i64>)| {
                known.0 == identity.inode && **told == identity.birth_ns
            };
            if let Some((known, _)) = self.born.iter().rev().find(is_it) {
                identity.birth_ns = known.1;
            }
        };
        match &mut body {
            RequestBody::Snapshot(request) => request.known.iter_mut().for_each(|known| number(&mut known.identity)),
            RequestBody::Find(request) => number(&mut request.identity),
            RequestBody::Range(request) => number(&mut request.identity),
            _ => {}
        }
        body
    }

    /// The answer as this file system gives it.
    fn as_seen(&mut self, mut answer: Answer) -> Answer {
        let told_ns = match &self.births {
            Births::Real => None,
            Births::By(time) => Some(Some(time.now())),
            Births::Untold => Some(None),
        };
        if let (Answer::Snapshot(snapshot), Some(told_ns)) = (&mut answer, told_ns) {
            for listed in &mut snapshot.generations {
                let file = (listed.identity.inode, listed.identity.birth_ns);
                listed.identity.birth_ns = *self.born.entry(file).or_insert(told_ns);
            }
        }
        if let Answer::Snapshot(snapshot) = &mut answer {
            for listed in &mut snapshot.generations {
                listed.identity.device = listed.identity.device.wrapping_add(self.renumbered);
                if let Content::Readable {
                    copy_of: Some(evidence),
                    ..
                } = &mut listed.content
                {
                    evidence.of.device = evidence.of.device.wrapping_add(self.renumbered);
                    let file = (evidence.of.inode, evidence.of.birth_ns);
                    evidence.of.birth_ns = self.born.get(&file).copied().unwrap_or(evidence.of.birth_ns);
                }
                if let Some(sizes) = &mut self.sizes {
                    listed.size = sizes(listed.size);
                }
            }
        }
        answer
    }
}

struct Memory<'b>(&'b mut Vec<u8>);

impl RangeSink for Memory<'_> {
    async fn send(&mut self, file: &OwnedFd, offset: u64, length: u64) -> std::io::Result<u64> {
        use std::os::unix::fs::FileExt;
        let file = fs::File::from(file.try_clone()?);
        let mut bytes = vec![0; length as usize];
        let read = file.read_at(&mut bytes, offset)?;
        self.0.extend_from_slice(&bytes[..read]);
        Ok(read as u64)
    }
}

impl Port for Direct {
    async fn ask(&mut self, body: RequestBody) -> Result<Answer, PortError> {
        self.asked += 1;
        if let Some(away) = &self.away {
            return Err(away.clone());
        }
        let request = Request {
            version: PROTOCOL_VERSION,
            body: self.in_numbers_of_host(body),
        };
        match self.agent.serve(request) {
            Served::Answer(answer) => Ok(self.as_seen(answer)),
            Served::Range(_) => panic!("a question was answered with bytes"),
        }
    }

    async fn fetch(&mut self, request: RangeRequest, into: &mut Vec<u8>) -> Result<RangeEnd, PortError> {
        self.asked += 1;
        if let Some(away) = &self.away {
            return Err(away.clone());
        }
        if let Some(errno) = self.reads_fail {
            let (path, refusal) = (request.path, Refusal::Io { errno });
            return Ok(RangeEnd {
                sent: 0,
                size_after: 0,
                tail_after: None,
                outcome: RangeOutcome::Refused(PathProblem { path, refusal }),
            });
        }
        let request = Request {
            version: PROTOCOL_VERSION,
            body: self.in_numbers_of_host(RequestBody::Range(request)),
        };
        match self.agent.serve(request) {
            Served::Range(plan) => Ok(plan.send(&mut Memory(into)).await.expect("memory takes all")),
            Served::Answer(Answer::Range(end)) => Ok(end),
            Served::Answer(other) => panic!("a range was answered with {other:?}"),
        }
    }

    async fn inflation(&mut self) -> Option<Turn> {
        (!self.is_crowded).then(Turn::default)
    }
}

/// What a Reduce keeps of one host: cells by their version, verdicts as they were said last.
#[derive(Default)]
pub struct Kept {
    pub cells: BTreeMap<(i64, u64), Cell>,
    pub verdicts: Vec<VerdictRun>,
    /// What was said to be learned.
    pub profiles: Vec<KeptProfile>,
}

impl Kept {
    pub fn take(&mut self, report: &HostReport) {
        for cell in &report.cells {
            let place = (cell.window_ns, cell.generation);
            if self.cells.get(&place).is_none_or(|kept| kept.version < cell.version) {
                self.cells.insert(place, cell.clone());
            }
        }
        self.verdicts.clone_from(&report.verdicts);
        for profile in &report.profiles {
            profile.clone().join(&mut self.profiles);
        }
    }

    /// Windows merged over generations; empty ones left out.
    pub fn windows(&self, plan: &Plan) -> BTreeMap<i64, WindowPartial> {
        let mut windows: BTreeMap<i64, WindowPartial> = BTreeMap::new();
        for cell in self.cells.values().filter(|cell| !cell.partial.is_empty()) {
            let partial = cell
                .partial
                .clone()
                .into_partial(&plan.kinds, plan.window_groups)
                .expect("of this plan");
            match windows.get_mut(&cell.window_ns) {
                Some(window) => window.merge(&partial),
                None => {
                    windows.insert(cell.window_ns, partial);
                }
            }
        }
        windows
    }

    /// Verdict of the window that starts at `start`.
    pub fn verdict(&self, start: i64) -> Option<(HostState, Stage)> {
        let run = self
            .verdicts
            .iter()
            .find(|run| (run.from_ns..run.to_ns).contains(&start));
        run.map(|run| (run.state, run.stage))
    }
}

pub struct Scene {
    folder: tempfile::TempDir,
    pub base: String,
    pub time: Time,
    pub port: Direct,
    pub input: Input,
    pub plan: Arc<Plan>,
    subscription: Subscription,
    pub kept: Kept,
    /// What readings apart cost so far.
    pub spent_apart: Usage,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    /// A monitor over `app.log` (or another pattern) whose windows are asked for from `from_ns` on; `{base}` in its
    /// text is the folder.
    pub fn new(pattern: &str, mql: &str, from_ns: i64) -> Scene {
        Scene::within(&std::env::temp_dir(), pattern, mql, from_ns)
    }

    /// The same in a folder below `parent`.
    pub fn within(parent: &Path, pattern: &str, mql: &str, from_ns: i64) -> Scene {
        let folder = tempfile::tempdir_in(parent).expect("folder");
        let base = folder
            .path()
            .canonicalize()
            .expect("real")
            .to_str()
            .expect("utf-8")
            .to_owned();
        let time = Time(Arc::new(AtomicI64::new(START_NS)));
        let roots = Roots::open(std::slice::from_ref(&base), HardLinks::Refuse).expect("roots");
        let facts = || HostFacts {
            zone: TimeZone::UTC,
            machine_id: "m".into(),
            instance: 0,
        };
        let agent = Agent::new(roots, Arc::new(time.clone()), Arc::new(LoglineStamps)).with_facts(facts);
        let subscription = subscription(&mql.replace("{base}", &base), from_ns);
        let key = InputKey {
            address: "h:1".into(),
            host: None,
            pattern: format!("{base}/{pattern}"),
            timestamp: subscription.monitor.timestamp.clone(),
            timezone: subscription.monitor.timezone.clone(),
            encoding: subscription.monitor.encoding.clone(),
            records: subscription.monitor.records.clone(),
        };
        let mut input = Input::new(key);
        input.subscribe(subscription.clone());
        Scene {
            base,
            folder,
            time,
            port: Direct {
                agent,
                away: None,
                asked: 0,
                is_crowded: false,
                renumbered: 0,
                births: Births::Real,
                born: BTreeMap::new(),
                sizes: None,
                reads_fail: None,
            },
            input,
            plan: subscription.plan.clone(),
            subscription,
            kept: Kept::default(),
            spent_apart: Usage::default(),
            runtime: tokio::runtime::Builder::new_current_thread().build().expect("runtime"),
        }
    }

    /// Another Map in the place of this one, which knows nothing but these profiles.
    pub fn restart(&mut self, profiles: &[KeptProfile]) {
        self.subscription.profiles = profiles.into();
        let mut input = Input::new(self.input.key().clone());
        input.subscribe(self.subscription.clone());
        (self.input, self.kept) = (input, Kept::default());
    }

    /// Another Map in the place of this one, after what was proved so far: what the Reduce keeps, it keeps.
    pub fn take_over(&mut self, proved_ns: i64) {
        let subscription = Subscription {
            proved_ns,
            epoch: self.subscription.epoch + 1,
            ..self.subscription.clone()
        };
        let mut input = Input::new(self.input.key().clone());
        input.subscribe(subscription);
        self.input = input;
    }

    /// These stretches are not counted from now on.
    pub fn suspend(&mut self, suspended: &[Suspension]) {
        self.subscription.suspended = suspended.into();
        self.input.subscribe(self.subscription.clone());
    }

    /// A new reader in the place of this one, which begins here; what the Reduce keeps, it keeps.
    pub fn begin_again(&mut self, from_ns: i64) {
        self.input.unsubscribe(&self.subscription.id);
        (self.subscription.from_ns, self.subscription.proved_ns) = (from_ns, from_ns);
        self.input.subscribe(self.subscription.clone());
    }

    /// Whoever takes over next knows these profiles.
    pub fn know(&mut self, profiles: &[KeptProfile]) {
        self.subscription.profiles = profiles.into();
    }

    /// Whoever takes over next is asked for windows from here on.
    pub fn begin_from(&mut self, from_ns: i64) {
        self.subscription.from_ns = from_ns;
    }

    /// Compresses a file, as `gzip --keep` does.
    pub fn pack(&self, name: &str, archive: &str) {
        let bytes = fs::read(self.path(name)).expect("reads");
        let file = fs::File::create_new(self.path(archive)).expect("creates");
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
        encoder.write_all(&bytes).expect("compresses");
        self.date(&encoder.finish().expect("ends"));
    }

    /// The monitor is installed again, by somebody who knows these profiles.
    pub fn install_again(&mut self, profiles: &[KeptProfile]) {
        self.subscription.profiles = profiles.into();
        self.input.subscribe(self.subscription.clone());
    }

    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    pub fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name))
            .expect("opens");
        file.write_all(text.as_bytes()).expect("writes");
        self.date(&file);
    }

    /// The file system lives by the test's clock too.
    pub fn date(&self, file: &fs::File) {
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(self.time.now() as u64);
        file.set_modified(now).expect("sets the time");
    }

    /// One pull; what it brought is kept and acknowledged.
    pub fn pull(&mut self) -> map::input::Pulled {
        let now_ns = self.time.now();
        let pulled = self.runtime.block_on(self.input.pull(&mut self.port, now_ns));
        for (id, report) in &pulled.reports {
            if *id == self.subscription.id {
                self.kept.take(report);
            }
            let cells: Vec<(i64, u64, CellVersion)> = report
                .cells
                .iter()
                .map(|cell| (cell.window_ns, cell.generation, cell.version))
                .collect();
            self.input.acked(id, &cells);
        }
        pulled
    }

    /// Pulls until nothing is left to be read at once.
    pub fn pull_all(&mut self) -> map::input::Pulled {
        for _ in 0..100 {
            let pulled = self.pull();
            if !pulled.more {
                return pulled;
            }
        }
        panic!("there is always more");
    }

    /// The same windows, read apart from the stream.
    pub fn reread(&mut self, from_ns: i64, to_ns: i64) -> Kept {
        self.read_apart(from_ns, to_ns, Purpose::Repair)
    }

    /// The same windows, as somebody is answered who asks about the past.
    pub fn ask(&mut self, from_ns: i64, to_ns: i64) -> Kept {
        self.read_apart(from_ns, to_ns, Purpose::Question)
    }

    fn read_apart(&mut self, from_ns: i64, to_ns: i64, purpose: Purpose) -> Kept {
        let subscription = Subscription {
            from_ns,
            proved_ns: from_ns,
            until_ns: Some(to_ns),
            suspended: Arc::default(),
            ..self.subscription.clone()
        };
        let terms = Terms {
            purpose,
            bytes_max: u64::MAX,
        };
        let (now_ns, key) = (self.time.now(), self.input.key().clone());
        let spent = |used| self.spent_apart.add(used);
        let reread = reread(&key, subscription, &mut self.port, (now_ns, terms), spent);
        let mut kept = Kept::default();
        kept.take(&self.runtime.block_on(reread).report);
        kept
    }

    /// The records of a stretch of time that a question wants.
    pub fn records(&mut self, wanted: &RecordsWanted) -> HostReport {
        let monitor = (*self.subscription.monitor).clone();
        let (monitor, plan) = of_records(monitor, wanted).expect("a good question");
        let align = |ns: i64| ns.div_euclid(plan.window_ns) * plan.window_ns;
        let subscription = Subscription {
            from_ns: align(wanted.from_ns),
            proved_ns: align(wanted.from_ns),
            until_ns: Some(align(wanted.to_ns + plan.window_ns - 1)),
            monitor: Arc::new(monitor),
            plan: Arc::new(plan),
            ..self.subscription.clone()
        };
        let terms = Terms {
            purpose: Purpose::Question,
            bytes_max: u64::MAX,
        };
        let (now_ns, key) = (self.time.now(), self.input.key().clone());
        let reread = reread(&key, subscription, &mut self.port, (now_ns, terms), |_| ());
        self.runtime.block_on(reread).report
    }

    /// Bytes that are held of windows, about.
    pub fn held_bytes(&self) -> usize {
        self.input.held().values().sum()
    }

    /// Names of the folder.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("lists");
        let name =
            |entry: std::io::Result<fs::DirEntry>| entry.expect("entry").file_name().into_string().expect("utf-8");
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    /// Each named file counted in one pass, as a whole; half lines count only if `finished` says so.
    pub fn whole(&self, names: &[String], finished: impl Fn(&str) -> bool) -> BTreeMap<i64, WindowPartial> {
        let mut partial = Partial::default();
        for name in names {
            let bytes = fs::read(self.path(name)).expect("reads");
            let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
            if plain == name {
                partial.merge(self.count(&bytes, finished(name)));
            } else if !names.iter().any(|other| other == plain) {
                partial.merge(self.count(&inflated(&bytes), true));
            }
        }
        partial.windows
    }

    fn count(&self, bytes: &[u8], is_finished: bool) -> Partial {
        let Detection::Stamped(detected) = learn(bytes) else {
            return Partial::default();
        };
        let lateness_ms = self.subscription.monitor.lateness_ms;
        let engine = EngineInput {
            labels: Labels::new(labels()),
            lateness_ns: lateness_ms.map_or(detected.profile.lateness_ns, |ms| ms as i64 * 1_000_000),
            rule: self.subscription.monitor.parse.clone(),
            form: Form::default(),
            generation: 0,
        };
        let mut counter = Counter::new(&*self.plan, engine, None).expect("counts");
        let stamps = FileStamps::new(&detected.profile, &Zone::utc());
        let stamps = RecordStamps::new(stamps, self.subscription.monitor.records.as_ref());
        let mut reader = RecordReader::new(stamps, Start::FileStart, 0);
        reader.push(bytes);
        if is_finished {
            reader.finish();
        } else {
            reader.close();
        }
        counter.take(&mut reader, Following::None, u64::MAX);
        counter.count_head(reader.head().lines);
        counter.finish()
    }
}

/// As `gzip` writes it.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// As `zstd` writes it.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// By the libraries' own ways, in one go.
fn inflated(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut all = Vec::new();
    let read = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut all),
        false => ruzstd::decoding::StreamingDecoder::new(bytes)
            .expect("a frame")
            .read_to_end(&mut all),
    };
    read.expect("is whole");
    all
}

fn labels() -> Vec<(String, String)> {
    vec![("host".to_owned(), "h".to_owned())]
}

/// A monitor's interest.
pub fn subscription(mql: &str, from_ns: i64) -> Subscription {
    let monitor = configs::parse_mql(mql).unwrap_or_else(|error| panic!("{error}"));
    let plan = Plan::new(&monitor).unwrap_or_else(|error| panic!("{error}"));
    Subscription {
        id: TaskId {
            monitor: mql.to_owned(),
            version: 1,
            shard: 0,
        },
        epoch: 1,
        host: "h".to_owned(),
        labels: labels().into_iter().collect(),
        monitor: Arc::new(monitor),
        plan: Arc::new(plan),
        from_ns,
        proved_ns: from_ns,
        until_ns: None,
        profiles: Arc::default(),
        suspended: Arc::default(),
    }
}

/// A time as logs write it.
pub fn stamp(at_ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at_ns)).expect("in range");
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
