//! Questions to logs: hosts are handed to Maps a few at a time, and what they say is told as it comes.
//!
//! Everything of a question lives in the request that asked it: whoever stops waiting drops the request, with it the
//! calls of Maps, and with those the reading. Maps read for questions in the turns of what is read anew, never in those
//! of pulls; and a question has fewer hosts in hand at a Map than that has turns, so that repairs go on beside it.

use super::asking::chain;
use super::hosts::{Reached, route};
use super::registry::{Registry, Route};
use super::{ReadDefinition, ReduceConfig};
use crate::placement;
use crate::protocol::{AskedEnd, AskedPart, AskedProgress, LogQuestion, MapNode, Place, ReduceProtocol};
use crate::question::{BYTES_MAX, HOST_BYTES_MAX, Tally, troubles};
use crate::terms::Terms;
use lika::actor::Mailbox;
use lika::node::{Call, CallError, Client, ClientState, Refusal};
use lika::pool::CpuPool;
use lika::seam::{Clock, Deadline};
use map::protocol::{AskRequest, Definition, HostTarget, MapAnswer, MapProtocol, MapRequest, RecordsWanted};
use map::verdict::HostState;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use store::StoredWindow;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Questions in hand at a time: each keeps what its hosts counted.
const QUESTIONS_MAX: usize = 4;
/// Hosts that one question has in hand at a Map: one less than a Map reads anew at a time.
const HOSTS_PER_MAP_MAX: usize = 3;
/// How long one host may take: some gigabytes of a busy agent.
const HOST_PATIENCE: Duration = Duration::from_secs(120);
/// How long a connection to a Map is waited for.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is told how far a question has come, at most.
const TOLD_EVERY: Duration = Duration::from_millis(500);
/// Telling may take a part of the time like this, and no more: a question of many windows is told more seldom.
const TOLD_SHARE: u32 = 8;
/// A host is allowed an equal part of what may still be read, but no less than this while there is so much.
const SHARE_BYTES_MIN: u64 = 256 << 20;
/// About the most bytes of windows in one part, well below a frame with the largest body.
const PART_BYTES_MAX: usize = 2 << 20;
/// So long before whoever asks gives up, hosts that have not answered are given up, so that he hears the rest.
const END_MARGIN: Duration = Duration::from_secs(5);

/// What questions need of the node.
pub(super) struct Questions {
    clock: Clock,
    pool: CpuPool,
    read_definition: ReadDefinition,
    turns: Semaphore,
}

impl Questions {
    pub(super) fn new(config: &ReduceConfig) -> Self {
        Self {
            clock: config.clock.clone(),
            pool: config.pool.clone(),
            read_definition: config.read_definition,
            turns: Semaphore::new(QUESTIONS_MAX),
        }
    }

    /// Answers a question in parts.
    pub(super) async fn answer(
        &self,
        registry: &Mailbox<Registry>,
        question: LogQuestion,
        call: &mut Call<ReduceProtocol>,
    ) -> Result<AskedEnd, Refusal> {
        let Ok(_turn) = self.turns.try_acquire() else {
            return Ok(AskedEnd::Busy);
        };
        let (definition, records) = (&question.definition, question.records.as_ref());
        let terms = match Terms::of_question(definition, records, self.read_definition) {
            Ok(terms) => terms,
            Err(why) => return Ok(AskedEnd::Invalid(why)),
        };
        let asked_ns = self.clock.wall().0;
        let range = question.from_ns..question.to_ns;
        let tally = match Tally::new(terms, range, &question.inventory, asked_ns) {
            Ok(tally) => tally,
            Err(why) => return Ok(AskedEnd::Invalid(why)),
        };
        let maps = question.place.maps.clone();
        let reached = route(registry, Route::All { maps }).await?;
        let until = self.clock.deadline_in(call.remaining().saturating_sub(END_MARGIN));
        let mut asking = Asking::new(tally, question, reached);
        asking.run(self, call, until).await?;
        Ok(AskedEnd::Done)
    }
}

/// What a Map said of a host.
struct Heard {
    target: HostTarget,
    map: usize,
    /// Bytes that it was allowed.
    allowed: u64,
    answer: Result<MapAnswer, CallError>,
}

/// A Map that may be asked.
struct Asked {
    node: MapNode,
    client: Client<MapProtocol>,
    /// Why it is not asked any more.
    gone: Option<String>,
    waiting: VecDeque<HostTarget>,
    in_hand: usize,
}

/// Bytes that may be read: what is allowed to those that are reading is spoken for until they have answered.
struct Budget {
    left: u64,
    allowed: u64,
}

impl Budget {
    /// What one more host is allowed, of `hosts` that may read at a time.
    fn share(&self, hosts: usize) -> u64 {
        let free = self.left.saturating_sub(self.allowed);
        let part = free / (hosts.max(1) as u64);
        part.clamp(SHARE_BYTES_MIN, HOST_BYTES_MAX).min(free)
    }
}

/// A question while it is asked.
struct Asking {
    tally: Tally,
    definition: Definition,
    records: Option<RecordsWanted>,
    place: Place,
    maps: Vec<Asked>,
    calls: JoinSet<Heard>,
    budget: Budget,
    progress: AskedProgress,
    /// Numbers what was told.
    revision: u64,
}

impl Asking {
    fn new(tally: Tally, question: LogQuestion, reached: Vec<Reached>) -> Self {
        let of = |(address, client): Reached| {
            let node = question.place.maps.iter().find(|map| map.node == address)?;
            Some(Asked {
                node: node.clone(),
                client,
                gone: None,
                waiting: VecDeque::new(),
                in_hand: 0,
            })
        };
        let maps = reached.into_iter().filter_map(of).collect();
        let hosts = tally.unheard().len() as u64;
        let mut asking = Self {
            definition: question.definition,
            records: question.records,
            place: question.place,
            maps,
            calls: JoinSet::new(),
            budget: Budget {
                left: question.bytes_max.min(BYTES_MAX),
                allowed: 0,
            },
            progress: AskedProgress {
                hosts,
                ..AskedProgress::default()
            },
            revision: 0,
            tally,
        };
        let hosts: Vec<HostTarget> = asking.tally.unheard().cloned().collect();
        asking.hand_out(hosts);
        asking
    }

    /// Places hosts on the Maps that can be asked.
    fn hand_out(&mut self, hosts: Vec<HostTarget>) {
        let living: Vec<&MapNode> = self
            .maps
            .iter()
            .filter(|map| map.gone.is_none())
            .map(|map| &map.node)
            .collect();
        let plans = placement::shards(&self.place, &hosts, &living);
        let mut targets: BTreeMap<String, HostTarget> =
            hosts.into_iter().map(|target| (target.host.clone(), target)).collect();
        for plan in plans {
            let hosts: Vec<HostTarget> = plan.hosts.iter().filter_map(|host| targets.remove(host)).collect();
            if let Some(map) = self.maps.iter_mut().find(|map| map.node.node == plan.map) {
                map.waiting.extend(hosts);
            }
        }
        let troubles: Vec<&str> = self.maps.iter().filter_map(|map| map.gone.as_deref()).collect();
        let why = match troubles.is_empty() {
            true => "there is no map to read it".to_owned(),
            false => troubles.join("; "),
        };
        for target in targets.values() {
            self.tally.give_up(&target.host, HostState::Unreachable, why.clone());
        }
    }

    async fn run(&mut self, with: &Questions, call: &mut Call<ReduceProtocol>, until: Deadline) -> Result<(), Refusal> {
        let mut next = with.clock.deadline_in(TOLD_EVERY);
        let mut told = None;
        while self.tally.unheard().len() > 0 {
            self.begin(&with.clock);
            if self.calls.is_empty() {
                self.give_up_rest("the bytes that may be read for the question were used up");
                break;
            }
            tokio::select! {
                biased;
                Some(heard) = self.calls.join_next() => match heard {
                    Ok(heard) => self.take(heard),
                    Err(error) => return Err(Refusal::Failed(error.to_string())),
                },
                () = with.clock.sleep_until(until) => {
                    self.give_up_rest("the time for the question was used up");
                }
                () = with.clock.sleep_until(next), if told != Some(self.answered()) => {
                    told = Some(self.answered());
                    let began = with.clock.monotonic();
                    self.tell(with, call).await?;
                    let took = with.clock.monotonic().since(began);
                    next = with.clock.deadline_in(TOLD_EVERY.max(took * TOLD_SHARE));
                }
            }
        }
        self.calls.abort_all();
        self.tell(with, call).await
    }

    fn answered(&self) -> u64 {
        self.progress.hosts - self.tally.unheard().len() as u64
    }

    /// Asks as many hosts as may be asked at a time, and as the budget allows.
    fn begin(&mut self, clock: &Clock) {
        for index in 0..self.maps.len() {
            while self.maps[index].in_hand < HOSTS_PER_MAP_MAX {
                let allowed = self.budget.share(self.maps.len() * HOSTS_PER_MAP_MAX);
                if allowed == 0 {
                    return;
                }
                let map = &mut self.maps[index];
                let Some(target) = map.waiting.pop_front() else { break };
                map.in_hand += 1;
                self.budget.allowed += allowed;
                let request = MapRequest::Ask(Box::new(AskRequest {
                    definition: self.definition.clone(),
                    target: target.clone(),
                    from_ns: self.tally.range().start,
                    to_ns: self.tally.range().end,
                    bytes_max: allowed,
                    records: self.records.clone(),
                }));
                let (client, clock) = (map.client.clone(), clock.clone());
                self.calls.spawn(async move {
                    let answer = called(&client, &clock, &request).await;
                    Heard {
                        target,
                        map: index,
                        allowed,
                        answer,
                    }
                });
            }
        }
    }

    fn take(&mut self, heard: Heard) {
        let Heard {
            target,
            map,
            allowed,
            answer,
        } = heard;
        self.maps[map].in_hand -= 1;
        self.budget.allowed -= allowed;
        let name = self.maps[map].node.node.node.clone();
        match answer {
            Ok(MapAnswer::Asked(asked)) if asked.report.host == target.host => {
                self.budget.left = self.budget.left.saturating_sub(asked.bytes);
                self.progress.bytes += asked.bytes;
                self.tally.take(asked.report);
            }
            Ok(MapAnswer::Invalid(why)) => {
                let why = format!("the map {name} cannot count it: {why}");
                self.tally.give_up(&target.host, HostState::Unreachable, why);
            }
            Ok(_) => {
                let why = format!("the map {name} answered something else; run compatible versions");
                self.tally.give_up(&target.host, HostState::Unreachable, why);
            }
            Err(
                error @ CallError::Refused {
                    refusal: Refusal::TooLarge(_),
                    ..
                },
            ) => {
                let why = format!("the map {name}: {}", chain(&error));
                self.tally.give_up(&target.host, HostState::OverBudget, why);
            }
            Err(error @ (CallError::TimedOut { .. } | CallError::Refused { .. })) => {
                let why = format!("the map {name}: {}", chain(&error));
                self.tally.give_up(&target.host, HostState::Timeout, why);
            }
            Err(error) => self.lose(map, target, format!("the map {name}: {}", chain(&error))),
        }
    }

    /// A Map cannot be asked: another one is, for all that it had.
    fn lose(&mut self, map: usize, target: HostTarget, why: String) {
        let lost = &mut self.maps[map];
        lost.gone = Some(why);
        let mut hosts: Vec<HostTarget> = std::mem::take(&mut lost.waiting).into();
        hosts.push(target);
        self.hand_out(hosts);
    }

    fn give_up_rest(&mut self, why: &str) {
        let rest: Vec<String> = self.tally.unheard().map(|target| target.host.clone()).collect();
        for host in rest {
            self.tally.give_up(&host, HostState::OverBudget, why.to_owned());
        }
    }

    /// Tells all windows as they stand.
    async fn tell(&mut self, with: &Questions, call: &mut Call<ReduceProtocol>) -> Result<(), Refusal> {
        self.revision += 1;
        self.progress.answered = self.answered();
        let (drafts, shape) = (self.tally.drafts(), Arc::clone(self.tally.shape()));
        let merge = move || drafts.into_iter().map(|draft| draft.merge(&shape)).collect();
        let merged = with.pool.run(merge).await;
        let merged: Vec<_> = merged.map_err(|error| Refusal::Failed(error.to_string()))?;
        let mut troubles = troubles(&merged);
        let windows = self.tally.windows(merged, self.revision);
        let mut parts = parts(windows).into_iter().peekable();
        while let Some(windows) = parts.next() {
            let is_whole = parts.peek().is_none();
            let part = AskedPart {
                progress: self.progress,
                windows,
                troubles: if is_whole {
                    std::mem::take(&mut troubles)
                } else {
                    Vec::new()
                },
                is_whole,
            };
            call.send_part(&part).await?;
        }
        Ok(())
    }
}

/// Calls a Map, unless it is not even connected soon: then there may be another one.
async fn called(client: &Client<MapProtocol>, clock: &Clock, request: &MapRequest) -> Result<MapAnswer, CallError> {
    let connected = client.wait_for_state(|state| matches!(state, ClientState::Connected(_) | ClientState::Closed));
    if clock.timeout(CONNECT_PATIENCE, connected).await.is_err() {
        // It ends at once, and says why there is no connection.
        return client.call(request, Duration::ZERO).await;
    }
    client.call(request, HOST_PATIENCE).await
}

/// Windows in parts that fit into messages; at least one part.
fn parts(windows: Vec<StoredWindow>) -> Vec<Vec<StoredWindow>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = 0;
    for window in windows {
        let more = window.header.len() + window.body.len();
        if bytes > 0 && bytes + more > PART_BYTES_MAX {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += more;
        if let Some(part) = parts.last_mut() {
            part.push(window);
        }
    }
    parts
}
