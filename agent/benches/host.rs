//! What it costs a host to hand its log out: an agent against nginx with sendfile, on one file, by turns, CPU time of
//! each as the scheduler counts it, and their ratio. Both serve a client on loopback that copies what comes into one
//! buffer. `cargo bench -p sunfire-tests --bench serving -- [MIB] [RUNS]`; without nginx it says so and ends.

use agent::protocol::{Answer, Content, Generation, RANGE_BYTES_MAX, RangeRequest, RequestBody, SnapshotRequest};
use anyhow::{Context, Result, anyhow, bail};
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use sunfire_tests::access_log::write_access_log;
use sunfire_tests::agents::{AgentProcess, Puller};
use sunfire_tests::binary;

/// What a client reads at once.
const READ_BYTES: usize = 256 << 10;
/// How often nginx is asked whether it listens.
const ATTEMPTS: usize = 1000;

/// Nanoseconds that all threads of a process have run.
fn cpu_ns(pid: u32) -> Result<u64> {
    let mut all = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let first = text.split_ascii_whitespace().next().context("schedstat is empty")?;
        all += first.parse::<u64>()?;
    }
    Ok(all)
}

/// One nginx process that serves a folder; it is killed when this is dropped.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(folder: &Path) -> Result<Option<Self>> {
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
        let nginx = Self { child, port };
        for _ in 0..ATTEMPTS {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Some(nginx));
            }
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        bail!("nginx does not listen: see {served}/nginx.log")
    }

    /// Bytes of a file that came.
    fn fetch(&self, name: &str, buffer: &mut [u8]) -> Result<u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(stream, "GET /{name} HTTP/1.0\r\n\r\n")?;
        let mut all = 0;
        loop {
            match stream.read(buffer)? {
                0 => return Ok(all),
                count => all += count as u64,
            }
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The file as the agent lists it.
async fn listed(puller: &Puller, path: &Path) -> Result<Generation> {
    let request = SnapshotRequest {
        pattern: path.display().to_string(),
        dates_from_ns: 0,
        known: Vec::new(),
    };
    match puller.ask(RequestBody::Snapshot(request)).await? {
        Answer::Snapshot(answer) => answer.generations.into_iter().next().context("the agent sees no file"),
        other => Err(anyhow!("the agent answers {other:?}")),
    }
}

/// Fetches a whole file in ranges, as a Map does; the bytes that came.
async fn pull(puller: &mut Puller, file: &Generation) -> Result<u64> {
    let Content::Readable { fingerprint, .. } = &file.content else {
        bail!("the agent can't read {}", file.path)
    };
    let mut all = 0;
    while all < file.size {
        let request = RangeRequest {
            path: file.path.clone(),
            identity: file.identity,
            fingerprint: *fingerprint,
            tail: None,
            offset: all,
            length: (file.size - all).min(RANGE_BYTES_MAX),
        };
        let before = all;
        puller.fetch(&request, |piece| all += piece.len() as u64).await?;
        anyhow::ensure!(all > before, "the agent sends nothing");
    }
    Ok(all)
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
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("serving");
    fs::create_dir_all(&folder)?;
    let log = folder.join("access.log");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&log)?);
    write_access_log(&mut out, mebibytes << 20, 1)?;
    out.flush()?;
    let Some(nginx) = Nginx::start(&folder)? else {
        println!("skipped: there is no nginx to compare with (Debian: nginx-light)");
        return Ok(());
    };
    let yaml = format!(
        "role: agent\nlisten: 127.0.0.1:0\nhost: h1\nroots: [{}]\n",
        folder.display()
    );
    let agent = AgentProcess::start_of(&binary::release(), &folder, &yaml, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    runtime.block_on(async {
        let mut puller = Puller::open(&agent.address);
        let file = listed(&puller, &log).await?;
        let mut buffer = vec![0; READ_BYTES];
        for round in 0..=runs {
            let before = (cpu_ns(agent.id())?, cpu_ns(nginx.child.id())?);
            let pulled = pull(&mut puller, &file).await? as f64;
            let fetched = nginx.fetch("access.log", &mut buffer)? as f64;
            let (agent_ns, nginx_ns) = (cpu_ns(agent.id())? - before.0, cpu_ns(nginx.child.id())? - before.1);
            // The first warms the cache.
            if round > 0 {
                ours.push(agent_ns as f64 / pulled);
                theirs.push(nginx_ns as f64 / fetched);
                ratios.push(agent_ns as f64 / pulled / (nginx_ns as f64 / fetched));
            }
        }
        anyhow::Ok(())
    })?;
    println!("serving {mebibytes} MiB, median of {runs}");
    println!("  sunfire agent  {:.3} CPU seconds per GB", median(ours));
    println!("  nginx          {:.3} CPU seconds per GB", median(theirs));
    println!("  ratio          {:.2}", median(ratios));
    fs::remove_dir_all(&folder)?;
    Ok(())
}
