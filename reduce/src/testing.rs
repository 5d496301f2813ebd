//! What several tests need: a store in memory, and the small monitor that they count for.

use crate::storage::Storage;
use crate::stored::{StoredBody, StoredHeader, decode};
use lika::seam::BoxedFuture;
use map::partial::WindowPartial;
use map::plan::{Plan, Shape};
use map::protocol::{
    Cell, CellVersion, HostReport, HostTarget, KeptProfile, PatternOrigin, StampEntry, StampPlace, StampProfile,
    StampZone,
};
use map::verdict::{HostState, Stage, VerdictRun};
use map::wire::WirePartial;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use store::{Document, Fence, PieceChange, PieceRow, StoreError, StoredPiece, StoredWindow, WindowWrite, WriteOutcome};

pub const SECOND_NS: i64 = 1_000_000_000;
pub const MONITOR: &str = "kind: monitor\nname: pay\napp: shop\nlog: /logs/pay.log\nparse: logfmt\n\
                           select: { total: count() }\ngroup_by: [g]\nwindow: 1s\ngrace: 1s\n";

pub fn shape() -> Shape {
    static SHAPE: std::sync::OnceLock<Shape> = std::sync::OnceLock::new();
    SHAPE.get_or_init(read_shape).clone()
}

fn read_shape() -> Shape {
    let documents = configs::load_str("pay.yaml", MONITOR).expect("a good monitor");
    match documents.first() {
        Some(configs::Document::Monitor(monitor)) => Plan::new(monitor).expect("it can be counted").shape(),
        other => panic!("{other:?}"),
    }
}

/// The counts of so many records by group.
pub fn counts(shape: &Shape, groups: &[(&str, u64)]) -> WirePartial {
    let mut partial = WindowPartial::new(&shape.kinds, 1000);
    for (group, records) in groups {
        let mut key = Vec::new();
        map::groups::encode_column(&mut key, Some(group.as_bytes()));
        for _ in 0..*records {
            partial.records += 1;
            let place = partial.groups.enter(&key, 1);
            partial.groups.states_mut(place)[0].add_count(1);
        }
    }
    WirePartial::from(&partial)
}

pub fn cell(shape: &Shape, window_ns: i64, generation: u64, read_to: u64, records: u64) -> Cell {
    Cell {
        window_ns,
        generation,
        version: CellVersion {
            profile: 1,
            read_to,
            epoch: 1,
            attempt: 1,
        },
        partial: counts(shape, &[("a", records), ("b", records / 2)]),
        ambiguous: false,
    }
}

pub fn run(from_ns: i64, to_ns: i64, state: HostState, stage: Stage) -> VerdictRun {
    VerdictRun {
        from_ns,
        to_ns,
        state,
        stage,
        detail: None,
    }
}

pub fn report(host: &str, cells: Vec<Cell>, verdicts: Vec<VerdictRun>) -> HostReport {
    HostReport {
        host: host.to_owned(),
        origin: 0,
        t_ns: 0,
        delay_ns: 0,
        profile_version: 1,
        cells,
        verdicts,
        profiles: Vec::new(),
    }
}

/// What was learned of a generation from so many bytes.
pub fn profile(generation: u64, sample_bytes: u32) -> KeptProfile {
    KeptProfile {
        tail: None,
        generation,
        version: sample_bytes,
        sample_bytes: sample_bytes.into(),
        appended: 0,
        stamps: StampProfile {
            entries: vec![StampEntry {
                offset: 0,
                pattern: "%Y-%m-%d %H:%M:%S".to_owned(),
                origin: PatternOrigin::Learned,
                place: StampPlace::Column(0),
                year_marks: Vec::new(),
            }],
            zone: StampZone::Host,
        },
        lateness_ns: 10 * SECOND_NS,
        life: None,
    }
}

/// `name` or `name@address`.
pub fn target(name: &str) -> HostTarget {
    let (host, address) = name.split_once('@').unwrap_or((name, name));
    HostTarget {
        host: host.to_owned(),
        address: address.to_owned(),
        labels: BTreeMap::new(),
    }
}

#[derive(Debug, Default)]
pub struct Kept {
    pub windows: BTreeMap<(String, i64), StoredWindow>,
    pub pieces: BTreeMap<(String, i64), BTreeMap<Vec<u8>, Vec<u8>>>,
    pub documents: Vec<Document>,
    /// Every window that was written, in order.
    pub history: Vec<(i64, Fence, StoredHeader)>,
    /// Set to have all calls fail.
    pub is_broken: bool,
    /// Set to have all calls wait for ever.
    pub is_hung: bool,
}

/// A store that keeps the promises of `store::Store` in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

impl MemoryStore {
    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no test panics with the store in hand")
    }

    /// A call arrives.
    async fn reach(&self, operation: &'static str) -> Result<(), StoreError> {
        let is_hung = self.kept().is_hung;
        if is_hung {
            std::future::pending::<()>().await;
        }
        self.kept().check(operation)
    }

    pub fn header(&self, start_ns: i64) -> Option<StoredHeader> {
        let kept = self.kept();
        let stored = kept.windows.get(&("pay".to_owned(), start_ns))?;
        Some(decode("header", &stored.header).expect("a header"))
    }

    /// Records by group, as they are stored.
    pub fn groups(&self, start_ns: i64) -> BTreeMap<String, u64> {
        let kept = self.kept();
        let stored = &kept.windows[&("pay".to_owned(), start_ns)];
        groups_of(&decode::<StoredBody>("body", &stored.body).expect("a body").partial)
    }

    pub fn write_now(&self, writes: &[WindowWrite]) -> Result<Vec<WriteOutcome>, StoreError> {
        let mut kept = self.kept();
        kept.check("writing")?;
        Ok(writes.iter().map(|write| kept.write(write)).collect())
    }

    pub fn windows_now(&self, monitor: &str, range: &Range<i64>, most: usize) -> Vec<StoredWindow> {
        let kept = self.kept();
        let key = |start_ns| (monitor.to_owned(), start_ns);
        let found = kept.windows.range(key(range.start)..key(range.end));
        found.take(most).map(|(_, window)| window.clone()).collect()
    }

    pub fn pieces_now(&self, monitor: &str, range: &Range<i64>) -> Vec<StoredPiece> {
        let kept = self.kept();
        let key = |start_ns| (monitor.to_owned(), start_ns);
        let found = kept.pieces.range(key(range.start)..key(range.end));
        let rows = found.flat_map(|((_, window_ns), rows)| rows.iter().map(move |row| (*window_ns, row)));
        rows.map(|(window_ns, (key, value))| StoredPiece {
            window_ns,
            row: PieceRow {
                key: key.clone(),
                value: value.clone(),
            },
        })
        .collect()
    }
}

pub fn groups_of(partial: &WirePartial) -> BTreeMap<String, u64> {
    let groups = partial.groups.iter();
    groups
        .map(|group| (String::from_utf8_lossy(&group.key[5..]).into_owned(), group.records))
        .collect()
}

impl Kept {
    fn check(&self, operation: &'static str) -> Result<(), StoreError> {
        match self.is_broken {
            false => Ok(()),
            true => Err(StoreError::Failed {
                operation,
                why: "told to".to_owned(),
            }),
        }
    }

    fn write(&mut self, write: &WindowWrite) -> WriteOutcome {
        let key = (write.monitor.clone(), write.window_ns);
        if let Some(stored) = self.windows.get(&key).map(|stored| stored.fence) {
            if stored == write.fence {
                return WriteOutcome::Already;
            }
            if write.fence.epoch < stored.epoch || write.fence.revision <= stored.revision {
                return WriteOutcome::Refused { stored };
            }
        }
        let header = decode("header", &write.header).expect("a header");
        self.history.push((write.window_ns, write.fence, header));
        match &write.pieces {
            PieceChange::Drop => drop(self.pieces.remove(&key)),
            PieceChange::Upsert(rows) => {
                let pieces = self.pieces.entry(key.clone()).or_default();
                pieces.extend(rows.iter().map(|row| (row.key.clone(), row.value.clone())));
            }
        }
        let stored = StoredWindow {
            window_ns: write.window_ns,
            length_ns: write.length_ns,
            fence: write.fence,
            done: write.done,
            header: write.header.clone(),
            body: write.body.clone(),
        };
        self.windows.insert(key, stored);
        WriteOutcome::Written
    }
}

impl Storage for MemoryStore {
    fn write(&self, windows: Vec<WindowWrite>) -> BoxedFuture<'_, Result<Vec<WriteOutcome>, StoreError>> {
        Box::pin(async move {
            self.reach("writing").await?;
            self.write_now(&windows)
        })
    }

    fn windows<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
        bodies: bool,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Box::pin(async move {
            self.reach("reading windows").await?;
            let mut windows = self.windows_now(monitor, &range, most);
            if !bodies {
                windows.iter_mut().for_each(|window| window.body.clear());
            }
            Ok(windows)
        })
    }

    fn pieces<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
    ) -> BoxedFuture<'a, Result<Vec<StoredPiece>, StoreError>> {
        Box::pin(async move {
            self.reach("reading pieces").await?;
            Ok(self.pieces_now(monitor, &range))
        })
    }

    fn put_document(&self, document: Document) -> BoxedFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.reach("keeping a document").await?;
            let mut kept = self.kept();
            let key = |document: &Document| (document.kind.clone(), document.name.clone(), document.version);
            if !kept.documents.iter().any(|have| key(have) == key(&document)) {
                kept.documents.push(document);
            }
            Ok(())
        })
    }

    fn documents<'a>(&'a self, kind: &'a str, name: &'a str) -> BoxedFuture<'a, Result<Vec<Document>, StoreError>> {
        Box::pin(async move {
            self.reach("reading documents").await?;
            let kept = self.kept();
            let found = kept
                .documents
                .iter()
                .filter(|document| document.kind == kind && document.name == name);
            Ok(found.cloned().collect())
        })
    }
}
