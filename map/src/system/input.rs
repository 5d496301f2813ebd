//! One host's figures, read for all monitors on them: when to sample, what a sample counts as, and what it proves.
//!
//! A window belongs to the host's clock, as a record's does. It gets its sample near its middle, so that neither a slow
//! answer nor a clock that is off by a second moves it into another one. If that fails it is tried once more. After its
//! end and grace a window with a sample is complete and settled, since no other can come; one without is lost, with the
//! reason.

use super::rates::columns;
use super::sample::Sample;
use super::{MOUNT_COLUMN, WINDOW_NS};
use crate::engine::{Counter, Input as CounterInput, Labels};
use crate::input::{Port, PortError, Pulled, Subscription, origin};
use crate::number::Decimal;
use crate::partial::{Partial, WindowPartial};
use crate::protocol::{Cell, CellVersion, HostReport, TaskId};
use crate::verdict::{HostState, Stage, VerdictRun};
use crate::wire::WirePartial;
use agent::protocol::{Answer, RequestBody, SystemAnswer};
use logline::fields::Rule;
use logline::order::Following;
use logline::records::{RecordReader, Stamps, Start};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Where in a window it is sampled, and sampled again if that failed.
const PHASES_NS: [i64; 2] = [2_500_000_000, 4_000_000_000];
/// From here on in a window a sample is its sample; one before, when a reader has just begun, is only a base for rates.
const SAMPLE_FROM_NS: i64 = 2_000_000_000;
/// How long after a window's end it is spoken of.
const GRACE_NS: i64 = 1_000_000_000;
/// A little behind a place of the clock, so that it has passed on the host as well.
const PHASE_NS: i64 = 5_000_000;
/// How far a host's clock may be off (P4): behind by 15 minutes, ahead by one.
const SKEW_NS: RangeInclusive<i64> = -900_000_000_000..=60_000_000_000;
/// Runs of verdicts that are told again and again; older ones were told before.
const RUNS_MAX: usize = 64;

/// Reads the `system` source of one agent.
pub struct SystemInput {
    /// Hash of the agent's address: what its cells are told apart by.
    generation: u64,
    interests: BTreeMap<TaskId, Interest>,
    before: Option<Before>,
    /// By how much the host's clock is ahead of ours.
    skew_ns: i64,
    /// The last sample's time.
    t_ns: i64,
    /// As in [`HostReport::origin`], by the last sample.
    origin: u64,
    /// Windows that have a sample, and are not judged yet.
    sampled: BTreeSet<i64>,
    /// The newest window that has one, judged or not.
    newest_ns: Option<i64>,
    /// Windows before this are judged.
    judged_ns: Option<i64>,
    runs: Vec<VerdictRun>,
    trouble: Option<(HostState, String)>,
}

/// The sample before, and when it came by our clock.
struct Before {
    sample: Sample,
    ours_ns: i64,
}

/// A monitor's interest, and what was counted of windows that may get another sample.
struct Interest {
    subscription: Subscription,
    /// The first window that is counted for it; known at the first pull after its beginning.
    begins_ns: Option<i64>,
    cells: BTreeMap<i64, Counted>,
    is_new: bool,
}

struct Counted {
    partial: WindowPartial,
    samples: u64,
    last_t_ns: i64,
}

impl Counted {
    fn version(&self, epoch: u64) -> CellVersion {
        CellVersion {
            profile: 0,
            read_to: self.samples,
            epoch,
            // A reader that begins anew within the window counts from one again: the later sample wins.
            attempt: self.last_t_ns.unsigned_abs(),
        }
    }
}

impl SystemInput {
    /// Reads the figures of the agent at `address`.
    pub fn new(address: &str) -> Self {
        Self {
            generation: xxhash_rust::xxh3::xxh3_64(address.as_bytes()),
            interests: BTreeMap::new(),
            before: None,
            skew_ns: 0,
            t_ns: 0,
            origin: 0,
            sampled: BTreeSet::new(),
            newest_ns: None,
            judged_ns: None,
            runs: Vec::new(),
            trouble: None,
        }
    }

    /// Adds or changes a monitor's interest.
    pub fn subscribe(&mut self, subscription: Subscription) {
        let id = subscription.id.clone();
        let new = || Interest {
            subscription: subscription.clone(),
            begins_ns: None,
            cells: BTreeMap::new(),
            is_new: true,
        };
        let interest = self.interests.entry(id).or_insert_with(new);
        let from_ns = interest.subscription.from_ns.min(subscription.from_ns);
        interest.subscription = Subscription {
            from_ns,
            ..subscription
        };
        interest.is_new = true;
    }

    /// Forgets a monitor's interest.
    pub fn unsubscribe(&mut self, id: &TaskId) {
        self.interests.remove(id);
    }

    /// Whether nobody is interested.
    pub fn is_idle(&self) -> bool {
        self.interests.is_empty()
    }

    /// Bytes that are held, about, of each monitor.
    pub fn held(&self) -> BTreeMap<TaskId, usize> {
        let held = |interest: &Interest| {
            let cells = interest.cells.values();
            cells.map(|counted| counted.partial.groups.memory_bytes()).sum()
        };
        let interests = self.interests.iter();
        interests.map(|(id, interest)| (id.clone(), held(interest))).collect()
    }

    /// When it is to be pulled next.
    pub fn next_ns(&self, now_ns: i64, jitter_ns: i64) -> i64 {
        let host_ns = now_ns.saturating_add(self.skew_ns);
        let late_ns = PHASE_NS + jitter_ns;
        let window_ns = window_of(host_ns);
        let in_window = |start_ns: i64| {
            let wanted = self.newest_ns < Some(start_ns);
            let samples = PHASES_NS.into_iter().filter(move |_| wanted);
            samples
                .chain([GRACE_NS])
                .map(move |phase_ns| start_ns + phase_ns + late_ns)
        };
        let places = [window_ns, window_ns + WINDOW_NS].into_iter().flat_map(in_window);
        let next = places.filter(|place| *place > host_ns).min();
        next.unwrap_or(host_ns + WINDOW_NS) - self.skew_ns
    }

    /// One pull: a sample if the window wants one, and what is known of the windows that have ended.
    pub async fn pull<P: Port>(&mut self, port: &mut P, now_ns: i64) -> Pulled {
        let mut pulled = Pulled::default();
        let host_ns = now_ns.saturating_add(self.skew_ns);
        let window_ns = window_of(host_ns);
        let is_time = host_ns - window_ns >= SAMPLE_FROM_NS && self.newest_ns < Some(window_ns);
        let mut changed = BTreeSet::new();
        if is_time || self.before.is_none() {
            match self.sample(port, now_ns, &mut pulled).await {
                Ok(counted_ns) => {
                    self.trouble = None;
                    changed.extend(counted_ns);
                }
                Err(error) => {
                    self.trouble = Some((error.state, error.detail));
                    pulled.trouble = self.trouble.clone();
                }
            }
        }
        let host_ns = now_ns.saturating_add(self.skew_ns);
        self.begin(host_ns);
        let has_judged = self.judge(host_ns);
        pulled.reports = self.reports(&changed, has_judged);
        if let Some(judged_ns) = self.judged_ns {
            let interests = self.interests.values_mut();
            interests.for_each(|interest| interest.cells.retain(|window_ns, _| *window_ns >= judged_ns));
        }
        pulled
    }

    /// Settles where new interests begin: with the first window whose every sample they will see.
    fn begin(&mut self, host_ns: i64) {
        let window_ns = window_of(host_ns);
        let first_ns = match self.newest_ns {
            Some(newest_ns) if newest_ns >= window_ns => newest_ns + WINDOW_NS,
            _ => window_ns,
        };
        for interest in self.interests.values_mut() {
            interest.begins_ns.get_or_insert(first_ns);
        }
        self.judged_ns.get_or_insert(window_ns);
    }

    /// Takes a sample; the window that it counts in, if any.
    async fn sample<P: Port>(
        &mut self,
        port: &mut P,
        now_ns: i64,
        pulled: &mut Pulled,
    ) -> Result<Option<i64>, PortError> {
        let answer = match port.ask(RequestBody::System).await? {
            Answer::System(answer) => answer,
            Answer::Rejected(error) => return Err(no_answer(format!("the agent gives no figures: {error}"))),
            _ => return Err(no_answer("the agent answered something else".to_owned())),
        };
        pulled.bytes += text_bytes(&answer);
        self.origin = origin(answer.instance, "");
        let sample = Sample::read(&answer);
        let skew_ns = sample.t_ns.saturating_sub(now_ns);
        if let Some(error) = implausible(skew_ns) {
            self.before = None;
            return Err(error);
        }
        self.skew_ns = skew_ns;
        self.t_ns = sample.t_ns;
        self.begin(sample.t_ns);
        let window_ns = window_of(sample.t_ns);
        let counts =
            sample.t_ns - window_ns >= SAMPLE_FROM_NS && self.judged_ns.is_none_or(|judged| window_ns >= judged);
        if counts {
            let before = self
                .before
                .as_ref()
                .map(|before| (&before.sample, now_ns - before.ours_ns));
            let lines = lines(&sample, before);
            for interest in self.interests.values_mut() {
                pulled.records += interest.count(&lines, sample.t_ns, self.generation);
            }
            self.sampled.insert(window_ns);
            self.newest_ns = self.newest_ns.max(Some(window_ns));
        }
        self.before = Some(Before {
            sample,
            ours_ns: now_ns,
        });
        Ok(counts.then_some(window_ns))
    }

    /// Judges the windows that have ended, their grace past, by the host's clock; returns whether there were any.
    fn judge(&mut self, host_ns: i64) -> bool {
        let due_ns = window_of(host_ns.saturating_sub(GRACE_NS));
        let Some(judged_ns) = self.judged_ns.filter(|judged_ns| *judged_ns < due_ns) else {
            return false;
        };
        let (state, detail) = self.trouble.clone().unwrap_or_else(|| {
            let why = "no sample fell into the window: the map or the agent was late, or its clock was set";
            (HostState::Timeout, why.to_owned())
        });
        let mut at_ns = judged_ns;
        let later = self.sampled.split_off(&due_ns);
        for window_ns in std::mem::replace(&mut self.sampled, later) {
            self.tell(at_ns, window_ns, state, Some(detail.clone()));
            self.tell(window_ns, window_ns + WINDOW_NS, HostState::Ok, None);
            at_ns = window_ns + WINDOW_NS;
        }
        self.tell(at_ns, due_ns, state, Some(detail));
        self.judged_ns = Some(due_ns);
        let surplus = self.runs.len().saturating_sub(RUNS_MAX);
        self.runs.drain(..surplus);
        true
    }

    /// Nothing more is expected of a window that has ended, whatever came of it.
    fn tell(&mut self, from_ns: i64, to_ns: i64, state: HostState, detail: Option<String>) {
        if from_ns >= to_ns {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if last.to_ns == from_ns && last.state == state && last.detail == detail => last.to_ns = to_ns,
            _ => self.runs.push(VerdictRun {
                from_ns,
                to_ns,
                state,
                stage: Stage::Settled,
                detail,
            }),
        }
    }

    fn reports(&mut self, changed: &BTreeSet<i64>, has_judged: bool) -> Vec<(TaskId, HostReport)> {
        let mut reports = Vec::new();
        for (id, interest) in &mut self.interests {
            let is_new = std::mem::take(&mut interest.is_new);
            if changed.is_empty() && !has_judged && !is_new {
                continue;
            }
            let windows = interest
                .cells
                .keys()
                .filter(|window| is_new || changed.contains(window));
            let cells = windows
                .filter_map(|window_ns| interest.cell(*window_ns, self.generation))
                .collect();
            reports.push((
                id.clone(),
                HostReport {
                    host: interest.subscription.host.clone(),
                    t_ns: self.t_ns,
                    origin: self.origin,
                    delay_ns: GRACE_NS,
                    profile_version: 0,
                    cells,
                    verdicts: interest.verdicts(&self.runs),
                    profiles: Vec::new(),
                },
            ));
        }
        reports
    }
}

impl Interest {
    /// Counts a sample's records; how many there were.
    fn count(&mut self, lines: &str, t_ns: i64, generation: u64) -> u64 {
        let window_ns = window_of(t_ns);
        let until_ns = self.subscription.until_ns.unwrap_or(i64::MAX);
        let begins_ns = self.begins_ns.unwrap_or(i64::MAX).max(self.subscription.from_ns);
        if !(begins_ns..until_ns).contains(&window_ns) {
            return 0;
        }
        let mut records = 0;
        for (window_ns, partial) in counted(&self.subscription, lines, t_ns, generation).windows {
            records += partial.records;
            match self.cells.get_mut(&window_ns) {
                Some(cell) => {
                    cell.partial.merge(&partial);
                    (cell.samples, cell.last_t_ns) = (cell.samples + 1, t_ns);
                }
                None => {
                    let (samples, last_t_ns) = (1, t_ns);
                    self.cells.insert(
                        window_ns,
                        Counted {
                            partial,
                            samples,
                            last_t_ns,
                        },
                    );
                }
            }
        }
        records
    }

    fn cell(&self, window_ns: i64, generation: u64) -> Option<Cell> {
        let counted = self.cells.get(&window_ns)?;
        Some(Cell {
            window_ns,
            generation,
            version: counted.version(self.subscription.epoch),
            partial: WirePartial::from(&counted.partial),
            ambiguous: false,
        })
    }

    /// What holds for this monitor's windows: those before it began can't be sampled any more.
    fn verdicts(&self, runs: &[VerdictRun]) -> Vec<VerdictRun> {
        let until_ns = self.subscription.until_ns.unwrap_or(i64::MAX);
        let begins_ns = self.begins_ns.unwrap_or(i64::MAX);
        let before = VerdictRun {
            from_ns: self.subscription.from_ns,
            to_ns: begins_ns,
            state: HostState::NotStarted,
            stage: Stage::Settled,
            detail: Some("the host was not sampled yet".to_owned()),
        };
        let first_ns = runs.first().map_or(begins_ns, |run| run.from_ns);
        // Once older runs are dropped, the time before them has been told.
        let before = (first_ns <= begins_ns).then_some(before);
        let clip = |run: VerdictRun, from_ns: i64| VerdictRun {
            from_ns: run.from_ns.max(from_ns),
            to_ns: run.to_ns.min(until_ns),
            ..run
        };
        let begins_ns = begins_ns.max(self.subscription.from_ns);
        let after = runs.iter().map(|run| clip(run.clone(), begins_ns));
        let before = before.into_iter().map(|run| clip(run, i64::MIN));
        before.chain(after).filter(|run| run.from_ns < run.to_ns).collect()
    }
}

/// The window that a time lies in.
fn window_of(t_ns: i64) -> i64 {
    t_ns.div_euclid(WINDOW_NS).saturating_mul(WINDOW_NS)
}

fn no_answer(detail: String) -> PortError {
    PortError {
        state: HostState::Timeout,
        detail,
    }
}

/// A host whose clock is off (P4).
pub(crate) fn implausible(skew_ns: i64) -> Option<PortError> {
    if SKEW_NS.contains(&skew_ns) {
        return None;
    }
    let (state, how) = if skew_ns < 0 {
        (HostState::Behind, "behind")
    } else {
        (HostState::Ahead, "ahead")
    };
    let seconds = skew_ns.unsigned_abs() / 1_000_000_000;
    Some(PortError {
        state,
        detail: format!("the host's clock is {seconds} s {how}: set it"),
    })
}

fn text_bytes(answer: &SystemAnswer) -> u64 {
    let texts = answer.texts.iter().filter_map(|(_, text)| text.as_ref().ok());
    texts.map(|text| text.len() as u64).sum()
}

/// A sample as records in logfmt: one of the host, one of each mount.
fn lines(sample: &Sample, before: Option<(&Sample, i64)>) -> String {
    let mut lines = String::from("system=host");
    for (name, value) in columns(sample, before) {
        push_column(&mut lines, name, value);
    }
    lines.push('\n');
    for (mount, used) in &sample.mounts {
        lines.push_str("system=mount mount=");
        push_quoted(&mut lines, mount);
        push_column(&mut lines, MOUNT_COLUMN, *used);
        lines.push('\n');
    }
    lines
}

fn push_column(lines: &mut String, name: &str, value: Decimal) {
    // Writing to a string cannot fail.
    let _never = write!(lines, " {name}={value}");
}

/// Text in double quotes, with JSON's escapes, so that no name of a mount ends its line or its value.
fn push_quoted(lines: &mut String, text: &str) {
    lines.push('"');
    for character in text.chars() {
        match character {
            '"' => lines.push_str("\\\""),
            '\\' => lines.push_str("\\\\"),
            control if control.is_control() => {
                // Writing to a string cannot fail.
                let _never = write!(lines, "\\u{:04x}", u32::from(control));
            }
            other => lines.push(other),
        }
    }
    lines.push('"');
}

/// All lines of a sample are of its time.
struct At(i64);

impl Stamps for At {
    fn read(&mut self, _line: &[u8], _offset: u64) -> Option<i64> {
        Some(self.0)
    }
}

/// The records of a sample, counted by the ordinary engine.
fn counted(subscription: &Subscription, lines: &str, t_ns: i64, generation: u64) -> Partial {
    let labels = subscription
        .labels
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    let input = CounterInput {
        labels: Labels::new(labels),
        lateness_ns: 0,
        rule: Some(Rule::logfmt()),
        form: logline::text::Form::default(),
        generation,
    };
    let Ok(mut counter) = Counter::new(Arc::clone(&subscription.plan), input, None) else {
        // Logfmt gives any field.
        return Partial::default();
    };
    let mut reader = RecordReader::new(At(t_ns), Start::FileStart, 0);
    reader.push(lines.as_bytes());
    reader.finish();
    counter.take(&mut reader, Following::None, u64::MAX);
    counter.finish()
}

#[cfg(test)]
mod tests;
