//! A built agent as a process, and the peers that talk to it over `lika`.

use crate::binary;
use agent::binding::{AgentProtocol, OPEN_TOKEN, RangeHead, RangeProtocol};
use agent::protocol::{Answer, PROTOCOL_VERSION, RangeEnd, RangeRequest, Request, RequestBody};
use lika::bulk::{BulkClient, BulkError, BulkSettings, Received};
use lika::node::{CallError, Client, Dialling, Settings};
use lika::seam::{Clock, Randomness, TcpNetwork};
use lika::wire::{Identity, Token};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How long a test waits for what must come; only a failure takes so long.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A running `sunfire agent`; it is killed when this is dropped.
pub struct AgentProcess {
    child: Child,
    said: mpsc::Receiver<String>,
    /// Where it listens.
    pub address: String,
}

impl AgentProcess {
    /// Starts one whose file is `yaml`, and waits until it says where it listens.
    ///
    /// # Panics
    /// If it does not start; what it said instead is in the message.
    pub fn start(folder: &Path, yaml: &str) -> AgentProcess {
        AgentProcess::start_with(folder, yaml, &[])
    }

    /// The same with more in its environment.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with(folder: &Path, yaml: &str, environment: &[(&str, &str)]) -> AgentProcess {
        AgentProcess::start_of(&binary::dev(), folder, yaml, environment)
    }

    /// The same of a given build.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_of(binary: &Path, folder: &Path, yaml: &str, environment: &[(&str, &str)]) -> AgentProcess {
        let config = folder.join("agent.yaml");
        std::fs::write(&config, yaml).expect("a temporary file can be written");
        let mut command = std::process::Command::new(binary);
        command.arg("agent").arg("--config").arg(&config).stderr(Stdio::piped());
        command.envs(environment.iter().copied());
        let mut child = command.spawn().expect("the built binary runs");
        let stderr = child.stderr.take().expect("it is piped");
        let (say, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _nobody_listens = say.send(line);
            }
        });
        let line = said.recv_timeout(PATIENCE).unwrap_or_default();
        let Some((_, address)) = line.split_once("listening on ") else {
            let _gone = child.kill();
            panic!(
                "the agent did not start: {line} {:?}",
                said.try_iter().collect::<Vec<_>>()
            );
        };
        AgentProcess {
            address: address.to_owned(),
            child,
            said,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says and that holds `part`; those before it are passed over.
    ///
    /// # Panics
    /// If none comes.
    pub fn says(&self, part: &str) -> String {
        let lines = std::iter::from_fn(|| self.said.recv_timeout(PATIENCE).ok());
        let line = lines.into_iter().find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("the agent never said {part:?}"))
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is not there any more.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("it is there");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn ended(&mut self) -> ExitStatus {
        until(|| self.child.try_wait().expect("it is our child")).await
    }

    /// The anonymous memory that it holds, in KiB: what it has allocated, without pages of files.
    ///
    /// # Panics
    /// If it is not there any more.
    pub fn rss_anon_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it is there");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number
            .and_then(|number| number.parse().ok())
            .expect("the kernel says it")
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Looks until there is something.
///
/// # Panics
/// If there is nothing for [`PATIENCE`].
pub async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!clock.has_passed(deadline), "what was waited for did not come");
        clock.sleep(LOOK_AGAIN).await;
    }
}

/// What a peer needs to reach an agent.
///
/// # Panics
/// If the token is too short.
pub fn dialling(address: &str, role: &str, token: &str) -> Dialling {
    Dialling {
        network: Arc::new(TcpNetwork),
        address: address.to_owned(),
        server_node: None,
        identity: Identity {
            role: role.to_owned(),
            node: format!("{role}-1"),
            token: Token::new(token).expect("long enough"),
        },
        settings: Settings::default(),
        clock: Clock::system(),
        randomness: Randomness::seeded(7),
    }
}

/// A Map, as far as an agent sees one.
pub struct Puller {
    /// For questions.
    pub messages: Client<AgentProtocol>,
    /// For bytes.
    pub bulk: BulkClient<RangeProtocol>,
}

impl Puller {
    /// One that reaches an agent without a token, on loopback.
    pub fn open(address: &str) -> Puller {
        Puller::new(dialling(address, "map", OPEN_TOKEN))
    }

    /// One that reaches an agent.
    pub fn new(dialling: Dialling) -> Puller {
        Puller {
            messages: Client::start(dialling.clone()),
            bulk: BulkClient::new(dialling, BulkSettings::default()),
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// As the connection or the agent says.
    pub async fn ask(&self, body: RequestBody) -> Result<Answer, CallError> {
        let version = PROTOCOL_VERSION;
        self.messages.call(&Request { version, body }, PATIENCE).await
    }

    /// Fetches a range; `take` gets each piece.
    ///
    /// # Errors
    /// As the connection or the agent says.
    pub async fn fetch(
        &mut self,
        request: &RangeRequest,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(RangeHead, RangeEnd), BulkError> {
        let mut space = vec![0; 256 << 10];
        let mut fetch = self.bulk.fetch(request, PATIENCE).await?;
        let head = fetch.head().clone();
        loop {
            match fetch.next(&mut space).await? {
                Received::Bytes(count) => take(&space[..count]),
                Received::Range { .. } | Received::RangeEnd(_) => {}
                Received::Tail(end) => return Ok((head, end)),
            }
        }
    }

    /// All the bytes of a range.
    ///
    /// # Panics
    /// If the fetch fails.
    pub async fn bytes(&mut self, request: &RangeRequest) -> (Vec<u8>, RangeHead, RangeEnd) {
        let mut bytes = Vec::new();
        let fetched = self.fetch(request, |piece| bytes.extend_from_slice(piece)).await;
        let (head, end) = fetched.expect("the agent serves it");
        (bytes, head, end)
    }
}
