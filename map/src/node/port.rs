//! How a Map asks an agent: one connection for questions and a few for bytes, shared by all its inputs there.
//!
//! What goes wrong is told apart in two ways only, as P2 needs it: the agent could not be reached, or it was and gave
//! no answer. After the first failure of a pull the rest of it fails at once, so that a dead agent costs one wait a
//! pull, however many files it has. Beside the pulls, each agent is asked now and then how it is kept within bounds.

use super::Shared;
use super::source::lock;
use crate::input::{CpuClock, PULL_BYTES_MAX, Port, PortError, Turn};
use crate::protocol::{AGENTS_MAX, AgentSaid, AgentSeen};
use crate::verdict::HostState;
use agent::binding::{AgentProtocol, RangeProtocol};
use agent::protocol::{Answer, PROTOCOL_VERSION, RangeEnd, RangeRequest, Request, RequestBody};
use lika::actor::ProgressHandle;
use lika::bulk::{BulkClient, BulkError, BulkSettings, Received};
use lika::node::{CallError, Client, ClientState, Dialling, Settings};
use lika::seam::{Backoff, Clock};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;

/// The longest time for a handshake with an agent; a dial into nothing ends with it, and the next one follows soon.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(3);
/// How an agent is dialled again: soon enough that with one handshake and one pull interval an agent that came back is
/// read again within ten seconds, and never more often than twice a second, whatever is drawn.
const REDIAL: Backoff = Backoff {
    first: Duration::from_millis(700),
    longest: Duration::from_secs(2),
};
/// How often a connection says that it is there, and the silence after which it counts as dead.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
const DEAD_AFTER: Duration = Duration::from_secs(6);
/// The longest time for one range, however steadily it comes: what one pull asks for is far less than a slow line
/// brings in this time, and a pull must end.
const RANGE_DEADLINE: Duration = Duration::from_secs(60);
/// How often an agent that stays connected is asked how it is kept within bounds: that changes with its process alone.
const STATUS_EVERY: Duration = Duration::from_secs(60);
/// Room made in a buffer at a time: a chunk of the bulk lane.
const CHUNK_BYTES: u64 = 1 << 20;

/// The connections to one agent, closed with the last input that uses them.
pub(super) struct AgentLink {
    questions: Client<AgentProtocol>,
    dialling: Dialling,
    bulk_settings: BulkSettings,
    /// Bulk connections that are idle; there are never more than pulls at a time.
    idle: Mutex<Vec<BulkClient<RangeProtocol>>>,
    /// A pull of this agent takes one.
    turns: Arc<Semaphore>,
    patience: Duration,
    stopping: watch::Receiver<bool>,
    said: Arc<Mutex<AgentSeen>>,
    /// Asks for that.
    asking: AbortHandle,
}

impl Drop for AgentLink {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl AgentLink {
    fn start(shared: &Shared, address: &str, host: Option<&str>) -> Self {
        let config = &shared.config;
        let mut identity = config.identity.clone();
        identity.token = config.agent_tokens.of(address).clone();
        let dialling = Dialling {
            network: Arc::clone(&config.network),
            address: address.to_owned(),
            server_node: host.map(str::to_owned),
            identity,
            settings: Settings {
                handshake_deadline: HANDSHAKE_DEADLINE,
                backoff: REDIAL,
                heartbeat_interval: HEARTBEAT_INTERVAL,
                dead_after: DEAD_AFTER,
                ..Settings::default()
            },
            clock: config.clock.clone(),
            randomness: config.randomness.fork(),
        };
        let questions = Client::start(dialling.clone());
        let said = Arc::new(Mutex::new(AgentSeen {
            address: address.to_owned(),
            asked_ns: 0,
            said: AgentSaid::Nothing("it was not asked yet".to_owned()),
        }));
        let patience = config.limits.pull_deadline;
        let asking = ask_for_status(questions.clone(), Arc::clone(&said), (config.clock.clone(), patience));
        Self {
            asking: tokio::spawn(asking).abort_handle(),
            said,
            questions,
            dialling,
            bulk_settings: BulkSettings {
                stall_deadline: config.limits.pull_deadline,
                ..BulkSettings::default()
            },
            idle: Mutex::default(),
            turns: Arc::new(Semaphore::new(config.limits.pulls_per_agent_max)),
            patience,
            stopping: shared.stopping.subscribe(),
        }
    }

    /// Awaits the agent, unless the node stops meanwhile.
    async fn unless_stopping<T>(&self, work: impl Future<Output = Result<T, PortError>>) -> Result<T, PortError> {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => Err(PortError {
                state: HostState::Unreachable,
                detail: "the map is stopping".to_owned(),
            }),
            worked = work => worked,
        }
    }

    /// Waits until it is known whether the agent can be reached; at most as long as a first dial takes.
    pub(super) async fn known(&self) -> Reach {
        let known = self.questions.wait_for_state(|state| *state != ClientState::Connecting);
        match self.dialling.clock.timeout(HANDSHAKE_DEADLINE, known).await {
            Ok(ClientState::Connected(_)) => Reach::Connected,
            Ok(_) => Reach::Disconnected,
            Err(_still_dialling) => Reach::Disconnected,
        }
    }

    /// Asks, unless the connection is known to be down: it is being dialled all the time, and nobody waits for it.
    pub(super) async fn ask(&self, body: RequestBody) -> Result<Answer, PortError> {
        self.unless_stopping(self.question(body)).await
    }

    fn check(&self) -> Result<(), PortError> {
        match self.questions.state() {
            ClientState::Disconnected { why, .. } => Err(PortError {
                state: HostState::Unreachable,
                detail: format!("{} is not reachable: {why}", self.dialling.address),
            }),
            _ => Ok(()),
        }
    }

    async fn question(&self, body: RequestBody) -> Result<Answer, PortError> {
        self.check()?;
        let version = PROTOCOL_VERSION;
        let called = self.questions.call(&Request { version, body }, self.patience).await;
        called.map_err(|error| port_error(call_state(&error), &error))
    }

    /// A place among the pulls of this agent. `None` if this agent is being given up.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }
}

/// Asks an agent how it is kept within bounds: whenever it is connected anew, and every [`STATUS_EVERY`].
async fn ask_for_status(
    questions: Client<AgentProtocol>,
    said: Arc<Mutex<AgentSeen>>,
    (clock, patience): (Clock, Duration),
) {
    let is_connected = |state: &ClientState| matches!(state, ClientState::Connected(_));
    loop {
        if questions
            .wait_for_state(|state| is_connected(state) || *state == ClientState::Closed)
            .await
            == ClientState::Closed
        {
            return;
        }
        let request = Request {
            version: PROTOCOL_VERSION,
            body: RequestBody::Status,
        };
        let heard = match questions.call(&request, patience).await {
            Ok(Answer::Status(status)) => AgentSaid::of(&status),
            Ok(_) => AgentSaid::Nothing("it does not know this question: upgrade it".to_owned()),
            Err(error) => AgentSaid::Nothing(port_error(call_state(&error), &error).detail),
        };
        {
            let mut said = lock(&said);
            (said.asked_ns, said.said) = (clock.wall().0, heard);
        }
        let gone = questions.wait_for_state(|state| !is_connected(state));
        let _gone_or_time = clock.timeout(STATUS_EVERY, gone).await;
    }
}

/// Whether an agent can be reached at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Connected,
    Disconnected,
}

/// The links of a node, by address and by the host that must be there.
#[derive(Default)]
pub(super) struct Links(Mutex<BTreeMap<LinkKey, Weak<AgentLink>>>);

/// An address, and the host that must be there.
type LinkKey = (String, Option<String>);

impl Links {
    /// The link to an agent, which must prove to be a host if one is given; it begins to connect if it is new. Needs a
    /// tokio runtime.
    pub(super) fn link(&self, shared: &Shared, address: &str, host: Option<&str>) -> Arc<AgentLink> {
        let key = (address.to_owned(), host.map(str::to_owned));
        let mut links = lock(&self.0);
        if let Some(link) = links.get(&key).and_then(Weak::upgrade) {
            return link;
        }
        links.retain(|_, link| link.strong_count() > 0);
        let link = Arc::new(AgentLink::start(shared, address, host));
        links.insert(key, Arc::downgrade(&link));
        link
    }

    /// What is known of the agents that are pulled from; of one that can't be reached, that.
    pub(super) fn agents(&self) -> Vec<AgentSeen> {
        let links = lock(&self.0);
        let live = links.values().filter_map(Weak::upgrade).take(AGENTS_MAX);
        live.map(|link| {
            let mut seen = lock(&link.said).clone();
            if let Err(PortError { detail, .. }) = link.check() {
                seen.said = AgentSaid::Nothing(detail);
            }
            seen
        })
        .collect()
    }
}

/// How leave to inflate is got.
#[derive(Clone)]
pub(super) enum Inflations {
    /// If it is free; else the next pull tries again.
    IfFree(Arc<Semaphore>),
    /// By waiting for it.
    InTurn(Arc<Semaphore>),
}

/// Asks one agent for one input.
pub(super) struct AgentPort {
    link: Arc<AgentLink>,
    inflations: Inflations,
    /// What made the present pull fail.
    trouble: Option<PortError>,
    /// Shows that an actor's pull gets on.
    progress: Option<ProgressHandle>,
    /// Bytes that the present pull may bring, if somebody said so.
    pull_bytes_max: Option<u64>,
}

impl AgentPort {
    pub(super) fn new(link: Arc<AgentLink>, inflations: Inflations, progress: Option<ProgressHandle>) -> Self {
        Self {
            link,
            inflations,
            trouble: None,
            progress,
            pull_bytes_max: None,
        }
    }

    /// Begins another pull, which may bring so many bytes: what failed before is tried again.
    pub(super) fn begin(&mut self, pull_bytes_max: Option<u64>) {
        self.trouble = None;
        self.pull_bytes_max = pull_bytes_max;
    }

    fn check(&self) -> Result<(), PortError> {
        if let Some(trouble) = &self.trouble {
            return Err(trouble.clone());
        }
        self.link.check()
    }

    fn note<T>(&mut self, result: Result<T, PortError>) -> Result<T, PortError> {
        // A generation that was replaced is being dropped; its progress is nobody's.
        let _replaced = self.progress.as_ref().map(ProgressHandle::progress);
        if let Err(error) = &result {
            self.trouble = Some(error.clone());
        }
        result
    }

    async fn question(&self, body: RequestBody) -> Result<Answer, PortError> {
        self.check()?;
        self.link.question(body).await
    }

    async fn range(&self, request: &RangeRequest, into: &mut Vec<u8>) -> Result<RangeEnd, PortError> {
        self.check()?;
        let idle = lock(&self.link.idle).pop();
        let new = || BulkClient::new(self.link.dialling.clone(), self.link.bulk_settings.clone());
        let mut client = idle.unwrap_or_else(new);
        let fetched = fetch(&mut client, request, into, self.progress.as_ref()).await;
        lock(&self.link.idle).push(client);
        fetched.map_err(|error| port_error(bulk_state(&error), &error))
    }
}

impl Port for AgentPort {
    fn pull_bytes_max(&self) -> u64 {
        self.pull_bytes_max.unwrap_or(PULL_BYTES_MAX)
    }

    fn cpu_clock(&self) -> CpuClock {
        lika::seam::thread_cpu_ns
    }

    async fn ask(&mut self, body: RequestBody) -> Result<Answer, PortError> {
        let answer = self.link.unless_stopping(self.question(body)).await;
        self.note(answer)
    }

    async fn fetch(&mut self, request: RangeRequest, into: &mut Vec<u8>) -> Result<RangeEnd, PortError> {
        let end = self.link.unless_stopping(self.range(&request, into)).await;
        self.note(end)
    }

    async fn inflation(&mut self) -> Option<Turn> {
        let permit = match &self.inflations {
            Inflations::IfFree(free) => Arc::clone(free).try_acquire_owned().ok(),
            Inflations::InTurn(turns) => {
                let turn = async { Ok(Arc::clone(turns).acquire_owned().await.ok()) };
                self.link.unless_stopping(turn).await.ok().flatten()
            }
        };
        permit.map(Turn::from)
    }
}

/// Cuts a buffer to the bytes that came, also if the fetch is dropped half way.
struct Filled<'v> {
    into: &'v mut Vec<u8>,
    len: usize,
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        self.into.truncate(self.len);
    }
}

async fn fetch(
    client: &mut BulkClient<RangeProtocol>,
    request: &RangeRequest,
    into: &mut Vec<u8>,
    progress: Option<&ProgressHandle>,
) -> Result<RangeEnd, BulkError> {
    let len = into.len();
    let filled = &mut Filled { into, len };
    let mut fetch = client.fetch(request, RANGE_DEADLINE).await?;
    loop {
        let left = request.length.saturating_sub((filled.len - len) as u64);
        let room = usize::try_from(left.min(CHUNK_BYTES)).unwrap_or(usize::MAX);
        if filled.into.len() < filled.len + room {
            filled.into.resize(filled.len + room, 0);
        }
        match fetch.next(&mut filled.into[filled.len..]).await? {
            Received::Bytes(count) => filled.len += count,
            Received::Range { .. } | Received::RangeEnd(_) => {}
            Received::Tail(end) => return Ok(end),
        }
        let _replaced = progress.map(ProgressHandle::progress);
    }
}

fn call_state(error: &CallError) -> HostState {
    match error {
        CallError::Unreachable { .. } | CallError::Disconnected { .. } | CallError::Closed(_) => HostState::Unreachable,
        _ => HostState::Timeout,
    }
}

fn bulk_state(error: &BulkError) -> HostState {
    match error {
        BulkError::Connect(_) | BulkError::Read(_) | BulkError::Write(_) => HostState::Unreachable,
        _ => HostState::Timeout,
    }
}

fn port_error(state: HostState, error: &dyn Error) -> PortError {
    let mut detail = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        detail = format!("{detail}: {cause}");
        source = cause.source();
    }
    PortError { state, detail }
}
