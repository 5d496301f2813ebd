//! What a Reduce asks, answered: a thin layer between the wire and the registry.

use super::Shared;
use super::keeper::{Keeper, Nudge};
use super::outbox::{HandedOut, Part};
use super::registry::Refused;
use super::reread::{RereadHost, Windows};
use crate::definition::{Compiled, compile, compile_question};
use crate::input::{Purpose, Reread, Terms};
use crate::protocol::{
    AskRequest, CollectRequest, Collected, Definition, HostAsked, HostReport, HostTarget, INPUTS_MAX, MapAnswer,
    MapProtocol, MapRequest, RereadRequest, ShardTask, TaskId,
};
use lika::actor::Mailbox;
use lika::node::{Call, Handler, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The longest wait for news in one request; a Reduce that wants more asks again.
const COLLECT_WAIT_MAX: Duration = Duration::from_secs(30);
/// An answer is sent so long before the asker's deadline, so that it arrives.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);
/// After the first news so long is waited for more: the pulls of one window's end are spread over
/// [`super::schedule::JITTER_NS_MAX`], and one answer with ten hosts costs less than ten.
const GATHER: Duration = Duration::from_millis(20);
/// Hosts that one request reads anew at a time; the node's own limit holds besides.
const REREADS_PER_REQUEST_MAX: usize = 4;

/// Answers Reduces.
pub(super) struct MapService {
    pub(super) node: Arc<Shared>,
    pub(super) keeper: Mailbox<Keeper>,
}

impl Handler<MapProtocol> for MapService {
    async fn handle(&self, request: MapRequest, call: &mut Call<MapProtocol>) -> Result<MapAnswer, Refusal> {
        let answered = match request {
            MapRequest::Install(task) => self.install(*task).await,
            MapRequest::Remove { id, epoch } => self.remove(&id, epoch),
            MapRequest::Collect(request) => self.collect(&request, call).await,
            MapRequest::Reread(request) => self.reread(request).await,
            MapRequest::Status => Ok(MapAnswer::Status(self.node.status())),
            MapRequest::Browse(request) => Ok(MapAnswer::Browsed(Box::new(self.node.browse(request).await))),
            MapRequest::Agents => Ok(MapAnswer::Agents(self.node.links.agents())),
            MapRequest::Ask(request) => self.ask(*request).await,
        };
        answered.or_else(refused)
    }
}

/// Why a request has no answer of its own.
enum No {
    Refused(Refused),
    Invalid(String),
    Failed(String),
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

fn refused(no: No) -> Result<MapAnswer, Refusal> {
    match no {
        No::Refused(Refused::Stale(epoch)) => Ok(MapAnswer::Stale { epoch }),
        No::Refused(Refused::Unknown) => Ok(MapAnswer::Unknown),
        No::Refused(Refused::Full(why)) => Err(Refusal::Declined(why)),
        No::Invalid(why) => Ok(MapAnswer::Invalid(why)),
        No::Failed(why) => Err(Refusal::Failed(why)),
    }
}

impl MapService {
    /// Has the actors brought in line, whenever the keeper gets to it. Every message in a full mailbox does so too.
    fn nudge(&self) {
        let _covered = self.keeper.tell(Nudge);
    }

    /// The compiled form of a definition. Cost: nothing if this shard is installed with it, else some milliseconds on
    /// the CPU pool.
    async fn compiled(&self, id: &TaskId, definition: &Definition) -> Result<Compiled, No> {
        if let Some(compiled) = self.node.registry().compiled(id, definition) {
            return Ok(compiled);
        }
        let definition = definition.clone();
        let compiled = self.node.config.cpu.run(move || compile(&definition)).await;
        match compiled {
            Ok(compiled) => compiled.map_err(No::Invalid),
            Err(error) => Err(No::Failed(error.to_string())),
        }
    }

    async fn install(&self, task: ShardTask) -> Result<MapAnswer, No> {
        self.node.registry().check_epoch(&task.id, task.epoch)?;
        check_hosts(task.inputs.iter().map(|input| &*input.target.host)).map_err(No::Invalid)?;
        let compiled = self.compiled(&task.id, &task.definition).await?;
        let sources_max = self.node.config.limits.inputs_max;
        // Microseconds rise faster than tickets of a shard's earlier life ever did.
        let ticket_base = u64::try_from(self.node.config.clock.wall().0 / 1000).unwrap_or(0);
        self.node
            .registry()
            .install(task, compiled, (sources_max, ticket_base))?;
        self.nudge();
        Ok(MapAnswer::Done)
    }

    fn remove(&self, id: &TaskId, epoch: u64) -> Result<MapAnswer, No> {
        self.node.registry().remove(id, epoch)?;
        self.nudge();
        Ok(MapAnswer::Done)
    }

    async fn collect(&self, request: &CollectRequest, call: &Call<MapProtocol>) -> Result<MapAnswer, No> {
        let clock = self.node.config.clock.clone();
        let (collector, news) = self.node.registry().begin_collect(request)?;
        let wait = Duration::from_millis(request.wait_ms.into()).min(COLLECT_WAIT_MAX);
        let deadline = clock.deadline_in(wait.min(call.remaining().saturating_sub(ANSWER_MARGIN)));
        let mut waited = false;
        loop {
            let told = news.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.node.registry().is_ready(request, collector) {
                break;
            }
            waited = true;
            if clock.timeout_at(deadline, told).await.is_err() {
                break;
            }
        }
        if waited {
            clock.sleep(GATHER.min(clock.remaining(deadline))).await;
        }
        let handed = self.node.registry().hand_out(request, collector)?;
        Ok(MapAnswer::Collected(collected(handed.flatten(), request.acked)))
    }

    async fn reread(&self, request: RereadRequest) -> Result<MapAnswer, No> {
        self.node.registry().check_epoch(&request.id, request.epoch)?;
        check_hosts(request.hosts.iter().map(|target| &*target.host)).map_err(No::Invalid)?;
        let compiled = self.compiled(&request.id, &request.definition).await?;
        let windows = Arc::new(Windows {
            id: request.id,
            epoch: request.epoch,
            compiled,
            from_ns: request.from_ns,
            to_ns: request.to_ns,
            profiles: request.profiles.into_iter().collect(),
            terms: Terms {
                purpose: Purpose::Repair,
                bytes_max: u64::MAX,
            },
        });
        let mut answers = std::collections::VecDeque::new();
        let mut reports = Vec::with_capacity(request.hosts.len());
        for target in request.hosts {
            if answers.len() == REREADS_PER_REQUEST_MAX {
                reports.extend(next_report(&mut answers).await?);
            }
            answers.push_back(self.begin_reread(&windows, target).await?);
        }
        while let Some(report) = next_report(&mut answers).await? {
            reports.push(report);
        }
        Ok(MapAnswer::Reread(reports))
    }

    /// Has the windows of one host read, in its turn.
    async fn begin_reread(&self, windows: &Arc<Windows>, target: HostTarget) -> Result<oneshot::Receiver<Reread>, No> {
        let (reply, answer) = oneshot::channel();
        let windows = Arc::clone(windows);
        let job = RereadHost { windows, target, reply };
        let told = self.keeper.tell_when_room(job).await;
        told.map_err(|_gone| No::Failed("the map is stopping".to_owned()))?;
        Ok(answer)
    }

    /// Reads one host for a question. It takes its turn among what is read anew: pulls have turns of their own.
    async fn ask(&self, request: AskRequest) -> Result<MapAnswer, No> {
        // Nothing is installed, and nothing that is has this name.
        let id = TaskId {
            monitor: String::new(),
            version: 0,
            shard: 0,
        };
        let (definition, records) = (request.definition, request.records);
        let compiled = move || compile_question(&definition, records.as_ref());
        let compiled = self.node.config.cpu.run(compiled).await;
        let compiled = compiled.map_err(|error| No::Failed(error.to_string()))?;
        let compiled = compiled.map_err(No::Invalid)?;
        let windows = Arc::new(Windows {
            id,
            epoch: 0,
            compiled,
            from_ns: request.from_ns,
            to_ns: request.to_ns,
            profiles: BTreeMap::new(),
            terms: Terms {
                purpose: Purpose::Question,
                bytes_max: request.bytes_max,
            },
        });
        let answer = self.begin_reread(&windows, request.target).await?;
        let Reread { report, bytes } = answer.await.map_err(lost)?;
        Ok(MapAnswer::Asked(Box::new(HostAsked { report, bytes })))
    }
}

fn lost(_lost: oneshot::error::RecvError) -> No {
    No::Failed("the work was lost; ask again".to_owned())
}

/// The oldest of the answers that are awaited.
async fn next_report(
    answers: &mut std::collections::VecDeque<oneshot::Receiver<Reread>>,
) -> Result<Option<HostReport>, No> {
    match answers.pop_front() {
        Some(answer) => answer.await.map(|reread| Some(reread.report)).map_err(lost),
        None => Ok(None),
    }
}

/// An answer of what was handed out; an empty one repeats what was acknowledged, so that acknowledging it means
/// nothing.
fn collected(handed: Option<HandedOut>, acked: u64) -> Collected {
    match handed {
        Some(HandedOut { ticket, parts, more }) => Collected {
            ticket,
            reports: parts.into_iter().map(Part::into_report).collect(),
            more,
        },
        None => Collected {
            ticket: acked,
            reports: Vec::new(),
            more: false,
        },
    }
}

fn check_hosts<'h>(hosts: impl ExactSizeIterator<Item = &'h str>) -> Result<(), String> {
    if hosts.len() > INPUTS_MAX {
        return Err(format!(
            "{} hosts in one shard, at most {INPUTS_MAX} are allowed: make more shards",
            hosts.len()
        ));
    }
    let mut seen = BTreeSet::new();
    for host in hosts {
        if !seen.insert(host) {
            return Err(format!(
                "the host {host} is listed twice: names are unique in an application"
            ));
        }
    }
    Ok(())
}
