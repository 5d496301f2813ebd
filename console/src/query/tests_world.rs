//! A store in memory for tests, filled by the real engine with what it counts in given lines.

use crate::points::Points;
use lika::seam::BoxedFuture;
use logline::fields::Rule;
use logline::order::Following;
use logline::records::{RecordReader, Stamps, Start};
use map::engine::{Counter, Input, Labels};
use map::partial::{Loss, Losses, WindowPartial};
use map::plan::Plan;
use map::verdict::HostState;
use map::wire::{WireFolded, WirePartial};
use reduce::overflow::Overflow;
use reduce::point::{Flag, WindowState};
use reduce::stored::{HOSTS, HostTable, SHAPE, StoredBody, StoredHeader, encode};
use std::collections::BTreeMap;
use std::ops::Range;
use store::{Document, Fence, PieceChange, Store, StoreError, StoreStatus, StoredWindow, WindowWrite};

pub(crate) const SECOND_NS: i64 = 1_000_000_000;

/// Windows and documents in memory.
#[derive(Default)]
pub(crate) struct World {
    documents: Vec<Document>,
    windows: BTreeMap<(String, i64), StoredWindow>,
    plans: BTreeMap<(String, u64), Plan>,
    pub(crate) fails: bool,
}

/// A window to be stored.
pub(crate) struct Window<'a> {
    pub(crate) monitor: &'a str,
    pub(crate) version: u64,
    pub(crate) start_s: i64,
    pub(crate) lines: &'a [&'a str],
    /// The expected hosts.
    pub(crate) hosts: &'a [HostState],
    /// Values of the first group column whose groups are folded.
    pub(crate) fold: &'a [&'a str],
    pub(crate) state: WindowState,
    pub(crate) flags: Vec<Flag>,
    pub(crate) late: u64,
}

impl Default for Window<'_> {
    /// A settled window at 100 % of two hosts, without lines.
    fn default() -> Self {
        Self {
            monitor: "m",
            version: 1,
            start_s: 0,
            lines: &[],
            hosts: &[HostState::Ok, HostState::OkSilent],
            fold: &[],
            state: WindowState::Settled,
            flags: Vec::new(),
            late: 0,
        }
    }
}

struct At(i64);

impl Stamps for At {
    fn read(&mut self, _line: &[u8], _offset: u64) -> Option<i64> {
        Some(self.0)
    }
}

impl World {
    /// Adds a version of a monitor, written as MQL over logfmt.
    pub(crate) fn monitor(&mut self, name: &str, version: u64, mql: &str) {
        let mut monitor = configs::parse_mql(mql).unwrap_or_else(|error| panic!("{error}"));
        monitor.name = name.to_owned();
        let plan = Plan::new(&monitor).unwrap_or_else(|error| panic!("{error}"));
        self.document(SHAPE, name, version, encode(&plan.shape()));
        self.plans.insert((name.to_owned(), version), plan);
    }

    pub(crate) fn document(&mut self, kind: &str, name: &str, version: u64, content: Vec<u8>) {
        self.documents.push(Document {
            kind: kind.to_owned(),
            name: name.to_owned(),
            version,
            content,
        });
    }

    /// Says who was expected in an inventory's version.
    pub(crate) fn hosts(&mut self, monitor: &str, version: u64, hosts: &[map::protocol::HostTarget]) {
        self.document(HOSTS, monitor, version, encode(&hosts.to_vec()));
    }

    pub(crate) fn store(&mut self, window: &Window<'_>) {
        let plan = &self.plans[&(window.monitor.to_owned(), window.version)];
        let start_ns = window.start_s * SECOND_NS;
        let counted = counted(plan, start_ns, window.lines);
        let mut wire = WirePartial::from(&counted);
        fold(&mut wire, plan, window.fold);
        let mut lost = Losses::default();
        lost.add(Loss::Late, window.late);
        let header = StoredHeader {
            monitor_version: window.version,
            inventory_version: Some(7),
            profile_version: 1,
            state: window.state,
            hosts: HostTable::new(window.hosts.iter().map(|state| (*state, None))),
            records: wire.records,
            lost,
            flags: window.flags.clone(),
            withdrawn: Vec::new(),
            overflow: Overflow::of(&plan.group_names, &counted.groups, wire.groups.len()),
        };
        let stored = StoredWindow {
            window_ns: start_ns,
            length_ns: plan.window_ns,
            fence: Fence { epoch: 1, revision: 3 },
            done: true,
            header: encode(&header),
            body: encode(&StoredBody { partial: wire }),
        };
        self.windows.insert((window.monitor.to_owned(), start_ns), stored);
    }
}

fn counted(plan: &Plan, start_ns: i64, lines: &[&str]) -> WindowPartial {
    let input = Input {
        labels: Labels::default(),
        lateness_ns: 0,
        rule: Some(Rule::logfmt()),
        form: logline::text::Form::default(),
        generation: 1,
    };
    let mut counter = Counter::new(plan, input, None).expect("any field");
    let mut reader = RecordReader::new(At(start_ns), Start::FileStart, 0);
    for line in lines {
        reader.push(format!("{line}\n").as_bytes());
    }
    reader.finish();
    counter.take(&mut reader, Following::None, u64::MAX);
    let mut partial = counter.finish();
    let empty = || WindowPartial::new(&plan.kinds, 10);
    partial.windows.remove(&start_ns).unwrap_or_else(empty)
}

/// Folds the groups whose first column is one of these, as the last merge does.
fn fold(wire: &mut WirePartial, plan: &Plan, texts: &[&str]) {
    let is_folded = |key: &[u8]| {
        texts
            .iter()
            .any(|text| key.get(5..).is_some_and(|key| key.starts_with(text.as_bytes())))
    };
    let (folded, kept) = std::mem::take(&mut wire.groups)
        .into_iter()
        .partition(|group| is_folded(&group.key));
    wire.groups = kept;
    let folded: Vec<map::wire::WireGroup> = folded;
    if folded.is_empty() {
        return;
    }
    let mut states: Vec<_> = plan.kinds.iter().map(|kind| map::state::State::new(*kind)).collect();
    folded
        .iter()
        .for_each(|group| map::groups::merge_states(&mut states, &group.states));
    let records = folded.iter().map(|group| group.records).sum();
    wire.folded = Some(WireFolded { records, states });
}

impl World {
    /// Writes all of it into a real store.
    pub(crate) fn write_to(&self, store: &dyn Store) -> Result<(), StoreError> {
        self.documents
            .iter()
            .try_for_each(|document| store.put_document(document))?;
        let writes = self.windows.iter().map(|((monitor, _), window)| WindowWrite {
            monitor: monitor.clone(),
            window_ns: window.window_ns,
            length_ns: window.length_ns,
            fence: window.fence,
            done: window.done,
            header: window.header.clone(),
            body: window.body.clone(),
            pieces: PieceChange::Drop,
        });
        store.write(&writes.collect::<Vec<_>>()).map(drop)
    }

    fn answer<T: Send + 'static>(&self, value: T) -> BoxedFuture<'static, Result<T, StoreError>> {
        let result = match self.fails {
            false => Ok(value),
            true => Err(StoreError::Failed {
                operation: "testing",
                why: "it should".to_owned(),
            }),
        };
        Box::pin(async move { result })
    }
}

impl Points for World {
    fn windows<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        let keys = (monitor.to_owned(), range.start)..(monitor.to_owned(), range.end);
        self.answer(
            self.windows
                .range(keys)
                .take(most)
                .map(|(_, window)| window.clone())
                .collect(),
        )
    }

    fn newest<'a>(&'a self, monitor: &'a str, most: usize) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        let keys = (monitor.to_owned(), i64::MIN)..(monitor.to_owned(), i64::MAX);
        let newest = self
            .windows
            .range(keys)
            .rev()
            .take(most)
            .map(|(_, window)| StoredWindow {
                body: Vec::new(),
                ..window.clone()
            });
        self.answer(newest.collect())
    }

    fn monitors(&self) -> BoxedFuture<'_, Result<Vec<String>, StoreError>> {
        let mut names: Vec<String> = self.windows.keys().map(|(monitor, _)| monitor.clone()).collect();
        names.dedup();
        self.answer(names)
    }

    fn documents<'a>(&'a self, kind: &'a str, name: &'a str) -> BoxedFuture<'a, Result<Vec<Document>, StoreError>> {
        let documents = self
            .documents
            .iter()
            .filter(|document| document.kind == kind && document.name == name);
        self.answer(documents.cloned().collect())
    }

    fn status(&self) -> BoxedFuture<'_, Result<StoreStatus, StoreError>> {
        self.answer(StoreStatus {
            disk_bytes: 4096,
            windows: self.windows.len() as u64,
            pieces: 0,
            refused: 0,
        })
    }
}
