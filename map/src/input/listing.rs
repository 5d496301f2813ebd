//! A snapshot of a log's files (P1): asked for, told apart from what only looks like one, and what stands in its way.

use super::Port;
use super::pull::{Pull, Stop};
use crate::verdict::HostState;
use agent::protocol::{
    Answer, KnownGeneration, PathProblem, Refusal, RequestBody, SnapshotAnswer, SnapshotRequest, Stability,
};
use configs::log_path::LogPath;

/// Listings in a row that did not hold still before that is said.
const UNSTABLE_MAX: u32 = 3;

/// How the files of an input are listed.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The input's path, read at its first pull.
    path: Option<LogPath>,
    /// Listings in a row that did not hold still.
    unstable: u32,
}

impl Listing {
    /// The input's path, which was checked when its monitor was.
    fn path(&mut self, pattern: &str) -> &LogPath {
        self.path
            .get_or_insert_with(|| LogPath::parse(pattern).unwrap_or_else(|_| LogPath::plain(pattern)))
    }

    /// A stable snapshot that is whole.
    pub(super) async fn take<P: Port>(
        &mut self,
        pull: &mut Pull<'_, P>,
        dates_from_ns: i64,
        known: Vec<KnownGeneration>,
    ) -> Result<SnapshotAnswer, Stop> {
        let request = SnapshotRequest {
            pattern: self.path(&pull.key.pattern).glob().to_owned(),
            dates_from_ns,
            known,
        };
        match pull.port.ask(RequestBody::Snapshot(request)).await? {
            Answer::Snapshot(mut answer) if matches!(answer.stability, Stability::Stable { .. }) => {
                self.unstable = 0;
                if let Some(limit) = answer.limits.first() {
                    let detail = format!("more files than are looked at ({limit:?}): name them more closely");
                    return Err(Stop::condition(HostState::OverBudget, detail));
                }
                let path = self.path(&pull.key.pattern);
                answer.generations.retain(|generation| path.has(&generation.family));
                Ok(answer)
            }
            Answer::Snapshot(_) => {
                self.unstable += 1;
                match self.unstable {
                    UNSTABLE_MAX.. => Err(Stop::condition(
                        HostState::Timeout,
                        "the log's files change their names too fast to be listed",
                    )),
                    _ => Err(Stop::Again),
                }
            }
            Answer::Rejected(error) => Err(Stop::condition(HostState::Denied, error.to_string())),
            _ => Err(Stop::unexpected()),
        }
    }
}

/// What could not be looked at, beside names that are simply not there.
pub(super) fn in_the_way(answer: &SnapshotAnswer) -> Option<PathProblem> {
    let is_absence = |refusal: &Refusal| matches!(refusal, Refusal::NotFound | Refusal::DanglingLink);
    let mut problems = answer.problems.iter().chain(&answer.roots);
    problems.find(|problem| !is_absence(&problem.refusal)).cloned()
}
