//! A stand-in for the reading of logs, so that the node can be tried with a real agent before the real one is there.
//!
//! It reads each file whole at each pull, and takes stamps in RFC 3339 at the lines' beginnings. To be replaced.

use super::{InputKey, Port, PortError, Pulled, Subscription};
use crate::engine::{Counter, Input as CounterInput, Labels};
use crate::protocol::{Cell, CellVersion, HostReport, TaskId};
use crate::verdict::{HostState, Stage, VerdictRun};
use crate::wire::WirePartial;
use agent::protocol::{
    Answer, Content, Generation, RangeOutcome, RangeRequest, RequestBody, SnapshotAnswer, SnapshotRequest,
};
use logline::fields::Rule;
use logline::order::Following;
use logline::records::{RecordReader, Stamps, Start};
use std::collections::BTreeMap;

struct Rfc3339;

impl Stamps for Rfc3339 {
    fn read(&mut self, line: &[u8], _offset: u64) -> Option<i64> {
        let text = std::str::from_utf8(line.split(|byte| *byte == b' ').next()?).ok()?;
        i64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok()
    }
}

/// One log of one host.
pub struct Input {
    key: InputKey,
    subscriptions: BTreeMap<TaskId, Subscription>,
}

impl Input {
    /// Nobody is interested yet.
    pub fn new(key: InputKey) -> Self {
        Self {
            key,
            subscriptions: BTreeMap::new(),
        }
    }

    /// Adds or changes an interest.
    pub fn subscribe(&mut self, subscription: Subscription) {
        self.subscriptions.insert(subscription.id.clone(), subscription);
    }

    /// Forgets an interest.
    pub fn unsubscribe(&mut self, id: &TaskId) {
        self.subscriptions.remove(id);
    }

    /// Whether nobody is interested.
    pub fn is_idle(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// The store has these.
    pub fn acked(&mut self, _id: &TaskId, _cells: &[(i64, u64, CellVersion)]) {}

    /// Bytes held.
    pub fn held_bytes(&self) -> usize {
        0
    }

    /// One pull.
    pub async fn pull<P: Port>(&mut self, port: &mut P, now_ns: i64) -> Pulled {
        let mut pulled = Pulled::default();
        let read = read(&self.key, port, now_ns, &mut pulled.bytes).await;
        for (id, subscription) in &self.subscriptions {
            let report = match &read {
                Ok((snapshot, files)) => {
                    let (report, records) = count(subscription, snapshot, files);
                    pulled.records += records;
                    report
                }
                Err(error) => failed(subscription, error, now_ns),
            };
            pulled.reports.push((id.clone(), report));
        }
        pulled.trouble = read.err().map(|error| (error.state, error.detail));
        pulled
    }
}

/// Reads windows anew.
pub async fn reread<P: Port>(key: &InputKey, subscription: Subscription, port: &mut P, now_ns: i64) -> HostReport {
    match read(key, port, now_ns, &mut 0).await {
        Ok((snapshot, files)) => count(&subscription, &snapshot, &files).0,
        Err(error) => failed(&subscription, &error, now_ns),
    }
}

type Files = Vec<(Generation, Vec<u8>)>;

async fn read<P: Port>(
    key: &InputKey,
    port: &mut P,
    now_ns: i64,
    bytes: &mut u64,
) -> Result<(SnapshotAnswer, Files), PortError> {
    let request = SnapshotRequest {
        pattern: key.pattern.clone(),
        dates_from_ns: now_ns,
        known: Vec::new(),
    };
    let other = |detail: String| PortError {
        state: HostState::Timeout,
        detail,
    };
    let snapshot = match port.ask(RequestBody::Snapshot(request)).await? {
        Answer::Snapshot(snapshot) => snapshot,
        answer => return Err(other(format!("{answer:?}"))),
    };
    let mut files = Vec::new();
    for generation in &snapshot.generations {
        let Content::Readable { fingerprint, .. } = generation.content else {
            continue;
        };
        let request = RangeRequest {
            path: generation.path.clone(),
            identity: generation.identity,
            fingerprint,
            tail: None,
            offset: 0,
            length: generation.size,
        };
        let mut content = Vec::new();
        let end = port.fetch(request, &mut content).await?;
        if end.outcome != RangeOutcome::Unchanged || end.sent != content.len() as u64 {
            return Err(other(format!("{:?}", end.outcome)));
        }
        *bytes += end.sent;
        files.push((generation.clone(), content));
    }
    Ok((snapshot, files))
}

fn count(subscription: &Subscription, snapshot: &SnapshotAnswer, files: &Files) -> (HostReport, u64) {
    let (mut cells, mut records) = (Vec::new(), 0);
    let until_ns = subscription.until_ns.unwrap_or(i64::MAX);
    for (generation, content) in files {
        let input = CounterInput {
            labels: Labels::new(subscription.labels.clone()),
            lateness_ns: 10_000_000_000,
            rule: Some(subscription.monitor.parse.clone().unwrap_or_else(Rule::logfmt)),
            generation: generation.identity.inode,
        };
        let Ok(mut counter) = Counter::new(&*subscription.plan, input, None) else {
            continue;
        };
        let mut reader = RecordReader::new(Rfc3339, Start::FileStart, 0);
        reader.push(content);
        reader.finish();
        counter.take(&mut reader, Following::None, u64::MAX);
        for (window_ns, partial) in counter.finish().windows {
            if !(subscription.from_ns..until_ns).contains(&window_ns) {
                continue;
            }
            records += partial.records;
            cells.push(Cell {
                window_ns,
                generation: generation.identity.inode,
                version: CellVersion {
                    profile: 1,
                    read_to: content.len() as u64,
                    epoch: subscription.epoch,
                    attempt: 0,
                },
                partial: WirePartial::from(&partial),
                ambiguous: false,
            });
        }
    }
    let window_ns = subscription.plan.window_ns;
    let grace_ns = subscription.monitor.grace_ms as i64 * 1_000_000;
    let due_ns = (snapshot.t_ns - grace_ns).div_euclid(window_ns) * window_ns;
    let run = VerdictRun {
        from_ns: subscription.from_ns,
        to_ns: due_ns.min(until_ns),
        state: HostState::Ok,
        stage: Stage::Settled,
        detail: None,
    };
    (report(subscription, snapshot.t_ns, cells, run), records)
}

fn failed(subscription: &Subscription, error: &PortError, now_ns: i64) -> HostReport {
    let window_ns = subscription.plan.window_ns;
    let run = VerdictRun {
        from_ns: subscription.from_ns,
        to_ns: now_ns.div_euclid(window_ns) * window_ns,
        state: error.state,
        stage: Stage::Provisional,
        detail: Some(error.detail.clone()),
    };
    report(subscription, 0, Vec::new(), run)
}

fn report(subscription: &Subscription, t_ns: i64, cells: Vec<Cell>, run: VerdictRun) -> HostReport {
    HostReport {
        host: subscription.host.clone(),
        t_ns,
        delay_ns: 0,
        profile_version: 1,
        cells,
        verdicts: if run.from_ns < run.to_ns { vec![run] } else { Vec::new() },
    }
}
