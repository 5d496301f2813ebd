//! A folder of logs, an agent's roots over it, and a clock that a test owns: what the tests of generations share.

// Each test binary uses another part of it.
#![allow(dead_code, missing_docs)]

use std::fs;
use std::sync::atomic::{AtomicI64, Ordering};

use agent::protocol::{KnownGeneration, PathProblem, Refusal, Role, SnapshotAnswer, SnapshotRequest, Stability};
use agent::roots::{HardLinks, Roots};
use agent::snapshot::{HostClock, HostFacts, snapshot};
use jiff::tz::TimeZone;

/// 2026-11-23T12:00:00Z
pub const NOW_NS: i64 = 1_795_435_200_000_000_000;

pub struct Clock(pub AtomicI64);

impl HostClock for Clock {
    fn now_ns(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

pub struct Scene {
    _folder: tempfile::TempDir,
    pub base: String,
    pub roots: Roots,
}

pub fn facts() -> HostFacts {
    HostFacts {
        zone: TimeZone::get("Asia/Shanghai").expect("zone"),
        machine_id: "m1".into(),
        instance: 0,
    }
}

impl Scene {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let base = folder
            .path()
            .canonicalize()
            .expect("real")
            .to_str()
            .expect("utf-8")
            .to_owned();
        for name in ["logs", "data"] {
            fs::create_dir(format!("{base}/{name}")).expect("folder");
        }
        let roots = Roots::open(std::slice::from_ref(&base), HardLinks::Refuse).expect("roots");
        Self {
            _folder: folder,
            base,
            roots,
        }
    }

    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("write");
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("rename");
    }

    pub fn snapshot(&self, pattern: &str, known: Vec<KnownGeneration>) -> SnapshotAnswer {
        let clock = Clock(NOW_NS.into());
        let request = SnapshotRequest {
            pattern: self.path(pattern),
            dates_from_ns: NOW_NS,
            known,
        };
        snapshot(&self.roots, &clock, &facts(), &request).expect("pattern")
    }

    /// Names, families and roles that a pattern finds.
    #[track_caller]
    pub fn check(&self, pattern: &str, expected: &[(&str, &str, Role)]) -> SnapshotAnswer {
        let answer = self.snapshot(pattern, Vec::new());
        assert_eq!(answer.stability, Stability::Stable { attempt: 1 });
        let own = |path: &str| path.strip_prefix(&format!("{}/", self.base)).expect("base").to_owned();
        let found: Vec<_> = answer
            .generations
            .iter()
            .map(|found| (own(&found.path), own(&found.family), found.role))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(path, family, role)| (path.to_string(), family.to_string(), *role))
            .collect();
        assert_eq!(found, expected, "{pattern}");
        answer
    }

    #[track_caller]
    pub fn check_problems(&self, answer: &SnapshotAnswer, expected: &[(&str, Refusal)]) {
        let problem = |(name, refusal): &(&str, Refusal)| PathProblem {
            path: self.path(name),
            refusal: refusal.clone(),
        };
        assert_eq!(answer.problems, expected.iter().map(problem).collect::<Vec<_>>());
    }
}
