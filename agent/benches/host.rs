//! What an agent costs its host, as a process, in CPU time as the scheduler counts it: handing a log out, beside nginx
//! with sendfile on the same file by turns, with the same priority as the agent, to the same client, which copies what
//! comes or discards it; and the first query of a log of 100 GB. `cargo bench -p agent --bench host -- [MIB] [RUNS]`;
//! without nginx (Debian: `apt install nginx-light`) it says so, and leaves the comparison out.

use agent::binding::{AgentProtocol, OPEN_TOKEN, RangeProtocol};
use agent::bisect::{self, ReadAt, Target};
use agent::profile::{StampProfile, StampZone};
use agent::protocol::{
    Answer, Content, FindAnswer, FindRequest, Generation, PROTOCOL_VERSION, RANGE_BYTES_MAX, RangeRequest, Request,
    RequestBody, SnapshotRequest,
};
use lika::bulk::{BulkClient, BulkSettings, Received};
use lika::node::{Client, Dialling, Settings};
use lika::seam::{BoxedFuture, BoxedStream, Clock, Listener, Network, Randomness, Stream, TcpNetwork};
use lika::wire::{Identity, Token};
use logline::stamp::{Detection, ProfileReader, Zone, learn};
use rustix::net::RecvFlags;
use rustix::process::{Pid, setpriority_process};
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a client reads at once: a chunk, as a Map.
const READ_BYTES: usize = 1 << 20;
/// Reads for so many bytes are for pieces of the file, and for fewer also for what stands between them.
const DISCARDED_BYTES_MIN: usize = 32 << 10;
/// How often nginx is asked whether it listens.
const ATTEMPTS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(60);
/// The ratio to nginx that is aimed at.
const RATIO_AIM: f64 = 1.3;
/// A log that is searched: so many lines of so many bytes.
const LINES: u64 = 1_000_000_000;
const LINE_BYTES: u64 = 100;
const SEARCHES: u64 = 200;
/// 2026-11-23T00:00:00Z
const FIRST_SECOND: u64 = 1_795_392_000;
/// The log is of so many seconds.
const SECONDS: u64 = 30 * 86_400;

/// What a client does with the bytes that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Copying,
    Discarding,
}

/// The agent's `manners`, and what they mean to the scheduler. Its clients are on the same machine here: whoever wakes
/// one gives way to it with low priority at each packet, which is dear, and would not happen with clients elsewhere.
const MANNERS: [(&str, i32); 2] = [("normal", 0), ("polite", 19)];

/// Nanoseconds that all threads of a process have run.
fn cpu_ns(pid: u32) -> Result<u64> {
    let mut all = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        all += text.split_ascii_whitespace().next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(all)
}

/// A process that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A file server beside which an agent is measured.
struct Nginx {
    running: Running,
    port: u16,
}

impl Nginx {
    fn start(folder: &Path, nice: i32) -> Result<Option<Self>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = folder.join("nginx.conf");
        let served = folder.display();
        let text = format!(
            "daemon off; master_process off; pid {served}/nginx.pid; error_log {served}/nginx.log;\n\
             events {{}}\n\
             http {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port}; root {served}; }} }}\n"
        );
        fs::write(&config, text)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(&config);
        let Ok(child) = command.stderr(Stdio::null()).spawn() else {
            return Ok(None);
        };
        let running = Running(child);
        setpriority_process(Pid::from_raw(running.0.id().cast_signed()), nice)?;
        for _ in 0..ATTEMPTS {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Some(Self { running, port }));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Err(format!("nginx does not listen: see {served}/nginx.log").into())
    }

    /// Bytes of a file that came.
    async fn fetch(&self, name: &str, buffer: &mut [u8], how: Reader) -> Result<u64> {
        let address = format!("127.0.0.1:{}", self.port);
        let mut stream = match how {
            Reader::Copying => TcpNetwork.dial(&address).await?,
            Reader::Discarding => Discarding.dial(&address).await?,
        };
        let request = format!(
            "GET /{name} HTTP/1.0

"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut all = 0;
        loop {
            match stream.read(buffer).await? {
                0 => return Ok(all),
                count => all += count as u64,
            }
        }
    }
}

/// TCP whose large reads are never copied: the network of a client that discards what it asked for.
struct Discarding;

impl Network for Discarding {
    fn listen<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<Box<dyn Listener>>> {
        TcpNetwork.listen(address)
    }

    fn dial<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(Discarded(stream)) as BoxedStream)
        })
    }
}

struct Discarded(TcpStream);

impl Stream for Discarded {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(&self.0)
    }
}

impl AsyncRead for Discarded {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if into.remaining() < DISCARDED_BYTES_MIN {
            return Pin::new(&mut self.0).poll_read(context, into);
        }
        loop {
            ready!(self.0.poll_read_ready(context))?;
            let space = into.initialize_unfilled();
            let read = || Ok(rustix::net::recv(&self.0, &mut *space, RecvFlags::TRUNC)?.1);
            match self.0.try_io(Interest::READABLE, read) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    into.advance(count);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Discarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// A built agent over a folder, and where it listens.
fn start_agent(folder: &Path, manners: &str) -> Result<(Running, String)> {
    let yaml = format!(
        "role: agent\nlisten: 127.0.0.1:0\nhost: h1\nmanners: {manners}\nroots: [{}]\n",
        folder.display()
    );
    let config = folder.join("agent.yaml");
    fs::write(&config, yaml)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunfire-agent"));
    command.arg("--config").arg(&config).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let said = child.stderr.take().ok_or("its stderr is piped")?;
    let running = Running(child);
    let mut lines = BufReader::new(said).lines();
    let line = lines.next().ok_or("the agent ended")??;
    // What it says later is not read, and is a line or two.
    std::mem::forget(lines);
    let (_, address) = line.split_once("listening on ").ok_or(line.clone())?;
    Ok((running, address.to_owned()))
}

/// A Map, as far as an agent sees one.
struct Puller {
    questions: Client<AgentProtocol>,
    copying: BulkClient<RangeProtocol>,
    discarding: BulkClient<RangeProtocol>,
}

impl Puller {
    fn open(address: &str) -> Result<Self> {
        let dialling = |network: Arc<dyn Network>| -> Result<Dialling> {
            Ok(Dialling {
                network,
                address: address.to_owned(),
                server_node: None,
                identity: Identity {
                    role: "map".to_owned(),
                    node: "map-1".to_owned(),
                    token: Token::new(OPEN_TOKEN)?,
                },
                settings: Settings::default(),
                clock: Clock::system(),
                randomness: Randomness::seeded(7),
            })
        };
        Ok(Self {
            questions: Client::start(dialling(Arc::new(TcpNetwork))?),
            copying: BulkClient::new(dialling(Arc::new(TcpNetwork))?, BulkSettings::default()),
            discarding: BulkClient::new(dialling(Arc::new(Discarding))?, BulkSettings::default()),
        })
    }

    async fn ask(&self, body: RequestBody) -> Result<Answer> {
        let version = PROTOCOL_VERSION;
        Ok(self.questions.call(&Request { version, body }, PATIENCE).await?)
    }

    /// The file as the agent lists it.
    async fn listed(&self, path: &Path) -> Result<Generation> {
        let request = SnapshotRequest {
            pattern: path.display().to_string(),
            dates_from_ns: 0,
            known: Vec::new(),
        };
        match self.ask(RequestBody::Snapshot(request)).await? {
            Answer::Snapshot(answer) => Ok(answer.generations.into_iter().next().ok_or("the agent sees no file")?),
            other => Err(format!("the agent answers {other:?}").into()),
        }
    }

    /// Fetches a whole file in ranges, as a Map does; the bytes that came.
    async fn pull(&mut self, file: &Generation, buffer: &mut [u8], how: Reader) -> Result<u64> {
        let Content::Readable { fingerprint, .. } = file.content else {
            return Err(format!("the agent can't read {}", file.path).into());
        };
        let client = match how {
            Reader::Copying => &mut self.copying,
            Reader::Discarding => &mut self.discarding,
        };
        let mut all = 0;
        while all < file.size {
            let request = RangeRequest {
                path: file.path.clone(),
                identity: file.identity,
                fingerprint,
                tail: None,
                offset: all,
                length: (file.size - all).min(RANGE_BYTES_MAX),
            };
            let before = all;
            let mut fetch = client.fetch(&request, PATIENCE).await?;
            loop {
                match fetch.next(buffer).await? {
                    Received::Bytes(count) => all += count as u64,
                    Received::Range { .. } | Received::RangeEnd(_) => {}
                    Received::Tail(_) => break,
                }
            }
            if all == before {
                return Err("the agent sends nothing".into());
            }
        }
        Ok(all)
    }
}

/// A line of the log that is searched: the more of it there is, the more lines a second.
fn line(number: u64) -> Vec<u8> {
    let part = number as f64 / LINES as f64;
    let nanoseconds = (part.sqrt() * SECONDS as f64 * 1e9) as i128 + i128::from(FIRST_SECOND) * 1_000_000_000;
    let at = jiff::Timestamp::from_nanosecond(nanoseconds).unwrap_or_default();
    let mut line = format!("{} op=pay cost={number:012} ", at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ")).into_bytes();
    line.resize(LINE_BYTES as usize - 1, b'x');
    line.push(b'\n');
    line
}

/// The log as it would be, were it all there; what is read of it is written to a sparse file.
struct Imagined {
    file: File,
}

impl ReadAt for Imagined {
    fn size(&self) -> u64 {
        LINES * LINE_BYTES
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min((self.size() - offset) as usize);
        let (first, skipped) = (offset / LINE_BYTES, (offset % LINE_BYTES) as usize);
        let lines = (skipped + count).div_ceil(LINE_BYTES as usize) as u64;
        let text: Vec<u8> = (first..first + lines).flat_map(line).collect();
        buffer[..count].copy_from_slice(&text[skipped..skipped + count]);
        self.file.write_all_at(&buffer[..count], offset)?;
        Ok(count)
    }
}

/// What the first query of a log of 100 GB costs: its listing, and the search for where reading must begin.
async fn first_query(folder: &Path) -> Result<()> {
    let path = folder.join("large.log");
    let file = File::create(&path)?;
    file.set_len(LINES * LINE_BYTES)?;
    let head: Vec<u8> = (0..1000).flat_map(line).collect();
    file.write_all_at(&head, 0)?;
    let Detection::Stamped(detected) = learn(&head) else {
        return Err("the log has no stamps".into());
    };
    let profile = detected.profile;
    let targets: Vec<Target> = (0..SEARCHES)
        .map(|number| Target {
            start_ns: ((FIRST_SECOND + SECONDS * (2 * number + 1) / (2 * SEARCHES)) * 1_000_000_000) as i64,
            lateness_ns: profile.lateness_ns,
        })
        .collect();
    let mut imagined = Imagined { file };
    for target in &targets {
        let mut stamps = ProfileReader::new(&profile, Zone::utc());
        bisect::find(
            &mut imagined,
            |offset, line| stamps.read_at(line, offset),
            *target,
            None,
        )?;
    }
    let (agent, address) = start_agent(folder, "polite")?;
    let puller = Puller::open(&address)?;
    let (mut spent_ns, mut reads, mut bytes) = (Vec::new(), 0, 0);
    for target in &targets {
        let before = cpu_ns(agent.0.id())?;
        let listed = puller.listed(&path).await?;
        let request = FindRequest {
            path: listed.path,
            identity: listed.identity,
            start_ns: target.start_ns,
            lateness_ns: target.lateness_ns,
            hint: None,
            profile: StampProfile::new(&profile, StampZone::Named("UTC".to_owned())),
        };
        let Answer::Find(FindAnswer::Found { landing, .. }) = puller.ask(RequestBody::Find(request)).await? else {
            return Err("nothing was found".into());
        };
        spent_ns.push((cpu_ns(agent.0.id())? - before) as f64);
        reads = reads.max(landing.reads);
        bytes += landing.bytes_read;
    }
    let most = spent_ns.iter().copied().fold(0.0, f64::max) / 1e3;
    let mebibytes = bytes as f64 / SEARCHES as f64 / f64::from(1 << 20);
    println!(
        "first query of a log of {} GB, {SEARCHES} times",
        LINES * LINE_BYTES / 1_000_000_000
    );
    println!("  CPU            {:.0} µs (most {most:.0} µs)", median(spent_ns) / 1e3);
    println!("  reads at most  {reads}, {mebibytes:.1} MiB each time");
    Ok(())
}

/// Hands a log out, by turns with nginx.
async fn serving(folder: &Path, mebibytes: u64, runs: usize) -> Result<()> {
    let log = folder.join("access.log");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&log)?);
    for number in 0..(mebibytes << 20) / LINE_BYTES {
        out.write_all(&line(number))?;
    }
    out.flush()?;
    drop(out);
    for (manners, nice) in MANNERS {
        let Some(nginx) = Nginx::start(folder, nice)? else {
            println!("skipped: there is no nginx to compare with (Debian: apt install nginx-light)");
            return Ok(());
        };
        println!("serving {mebibytes} MiB with nice {nice}, CPU seconds per GB, median of {runs}");
        compare(&log, &nginx, manners, runs).await?;
    }
    Ok(())
}

async fn compare(log: &Path, nginx: &Nginx, manners: &str, runs: usize) -> Result<()> {
    let folder = log.parent().ok_or("a log is in a folder")?;
    let (agent, address) = start_agent(folder, manners)?;
    let mut puller = Puller::open(&address)?;
    let file = puller.listed(log).await?;
    let mut buffer = vec![0; READ_BYTES];
    for how in [Reader::Discarding, Reader::Copying] {
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=runs {
            let before = (cpu_ns(agent.0.id())?, cpu_ns(nginx.running.0.id())?);
            let pulled = puller.pull(&file, &mut buffer, how).await? as f64;
            let fetched = nginx.fetch("access.log", &mut buffer, how).await? as f64;
            let spent = (
                cpu_ns(agent.0.id())? - before.0,
                cpu_ns(nginx.running.0.id())? - before.1,
            );
            let (agent_ns, nginx_ns) = (spent.0 as f64 / pulled, spent.1 as f64 / fetched);
            // The first warms the cache.
            if round > 0 {
                ours.push(agent_ns);
                theirs.push(nginx_ns);
                ratios.push(agent_ns / nginx_ns);
            }
        }
        let (ours, theirs, ratio) = (median(ours), median(theirs), median(ratios));
        println!("  to a client that is {how:?}: agent {ours:.3}, nginx {theirs:.3}, {ratio:.2} × (aim {RATIO_AIM})");
    }
    Ok(())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() -> Result<()> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<u64>().ok());
    let mebibytes = numbers.next().unwrap_or(1024);
    let runs = numbers.next().unwrap_or(7) as usize;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("host");
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        first_query(&folder).await?;
        serving(&folder, mebibytes, runs).await
    })?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}
