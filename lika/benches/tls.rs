//! What TLS costs the bulk lane, in CPU seconds a GB at each end, over loopback and by turns with the plain lane:
//! `cargo bench -p lika --bench tls -- [MIB] [RUNS]`. The file is in the page cache. Each end has a thread of its own,
//! whose time is asked of the scheduler.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lika::bulk::{BulkClient, BulkProtocol, BulkSettings, BulkSource, FileRange, Received, SentRange, Transfer};
use lika::node::{Dialling, Refusal, ServerBuilder, Settings};
use lika::seam::{Clock, Network, Randomness, TcpNetwork, thread_cpu_ns};
use lika::tls::{TlsFiles, TlsNetwork};
use lika::wire::{Identity, Peer, Token};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tokio::sync::{mpsc, oneshot};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PATIENCE: Duration = Duration::from_secs(300);
/// What a client reads at once: a chunk, as a Map.
const READ_BYTES: usize = 1 << 20;

struct Pull;

impl BulkProtocol for Pull {
    type Request = u64;
    type Head = ();
    type Tail = Vec<SentRange>;
    const NAME: &'static str = "pull";
    const VERSIONS: (u16, u16) = (1, 1);
    const SERVER_ROLE: &'static str = "agent";
    const CLIENT_ROLES: &'static [&'static str] = &["map"];
}

struct Served(PathBuf);

impl BulkSource<Pull> for Served {
    async fn open(&self, length: u64, _peer: &Peer) -> std::result::Result<Transfer<Pull>, Refusal> {
        let file = File::open(&self.0).map_err(|error| Refusal::Failed(error.to_string()))?;
        let range = FileRange { file, start: 0, length };
        Ok(Transfer {
            head: (),
            ranges: Box::new(std::iter::once(Ok(range))),
            tail: Box::new(<[SentRange]>::to_vec),
        })
    }
}

fn identity(role: &str) -> Result<Identity> {
    Ok(Identity {
        role: role.to_owned(),
        node: role.to_owned(),
        token: Token::new("a token of some length")?,
    })
}

/// Certificates for both ends, in one.
fn certificates(folder: &Path) -> Result<TlsFiles> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (authority_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    let ca = authority.self_signed(&authority_key)?.pem();
    let mut params = CertificateParams::default();
    for role in ["agent", "map"] {
        params
            .subject_alt_names
            .push(SanType::URI(format!("sunfire://role/{role}").try_into()?));
    }
    let cert = params.signed_by(&key, &Issuer::new(authority, authority_key))?.pem();
    let files = TlsFiles {
        ca: folder.join("ca.pem"),
        cert: folder.join("node.pem"),
        key: folder.join("node.key"),
    };
    fs::write(&files.ca, ca)?;
    fs::write(&files.cert, cert)?;
    fs::write(&files.key, key.serialize_pem())?;
    Ok(files)
}

type Asked = oneshot::Sender<u64>;

/// A server on a thread of its own: its address, and a way to ask for the time that its thread has run.
fn serve(network: Arc<dyn Network>, file: PathBuf) -> Result<(String, mpsc::UnboundedSender<Asked>)> {
    let (ask, mut asked) = mpsc::unbounded_channel::<Asked>();
    let (started, address) = std::sync::mpsc::channel();
    let identity = identity("agent")?;
    std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let builder = ServerBuilder::new(identity, Settings::default(), Clock::system(), Randomness::system()?);
            let builder = builder.serve_bulk::<Pull>(Served(file), BulkSettings::default());
            let server = builder.listen(&*network, "127.0.0.1:0").await?;
            started.send(server.local_address().to_owned())?;
            while let Some(answer) = asked.recv().await {
                let _gone = answer.send(thread_cpu_ns());
            }
            Ok(())
        })
    });
    Ok((address.recv()?, ask))
}

async fn ran_ns(server: &mpsc::UnboundedSender<Asked>) -> Result<u64> {
    let (answer, answered) = oneshot::channel();
    server.send(answer)?;
    Ok(answered.await?)
}

/// CPU nanoseconds of the sending and of the fetching end for one transfer, connecting included.
async fn transfer(
    network: &Arc<dyn Network>,
    (address, server): &(String, mpsc::UnboundedSender<Asked>),
    bytes: u64,
) -> Result<(u64, u64)> {
    let dialling = Dialling {
        network: Arc::clone(network),
        address: address.clone(),
        server_node: None,
        identity: identity("map")?,
        settings: Settings::default(),
        clock: Clock::system(),
        randomness: Randomness::system()?,
    };
    let mut space = vec![0; READ_BYTES];
    let (sent_before, got_before) = (ran_ns(server).await?, thread_cpu_ns());
    let mut client = BulkClient::<Pull>::new(dialling, BulkSettings::default());
    let mut fetch = client.fetch(&bytes, PATIENCE).await?;
    let mut came = 0;
    loop {
        match fetch.next(&mut space).await? {
            Received::Bytes(count) => came += count as u64,
            Received::Tail(_) => break,
            _ => {}
        }
    }
    assert_eq!(came, bytes, "bytes that came");
    Ok((ran_ns(server).await? - sent_before, thread_cpu_ns() - got_before))
}

/// The middle one of some figures.
fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() / 2]
}

fn main() -> Result<()> {
    let numbers: Vec<u64> = std::env::args().filter_map(|text| text.parse().ok()).collect();
    let mib = numbers.first().copied().unwrap_or(512);
    let runs = numbers.get(1).copied().unwrap_or(9);
    let folder = std::env::temp_dir().join(format!("lika-tls-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let path = folder.join("log");
    let mut file = File::create(&path)?;
    let line = "2026-11-23 08:15:30.123 INFO [worker-7] pay|200|41.5|shop=hangzhou|a line as they are\n";
    let block = line.repeat((1 << 20) / line.len() + 1);
    for _ in 0..mib {
        file.write_all(&block.as_bytes()[..1 << 20])?;
    }
    let plain: Arc<dyn Network> = Arc::new(TcpNetwork);
    let tls = TlsNetwork::over(Arc::clone(&plain), certificates(&folder)?, Clock::system())?;
    let tls: Arc<dyn Network> = Arc::new(tls);
    let ways = [("plain", plain), ("TLS", tls)];
    let servers: Result<Vec<_>> = ways
        .iter()
        .map(|(_, network)| serve(Arc::clone(network), path.clone()))
        .collect();
    let servers = servers?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut all = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for run in 0..=runs {
        for (way, (_, network)) in ways.iter().enumerate() {
            let (sent, got) = runtime.block_on(transfer(network, &servers[way], mib << 20))?;
            // The first is to warm up.
            if run > 0 {
                let a_gb = |ns: u64| ns as f64 / (mib << 20) as f64;
                all[way][0].push(a_gb(sent));
                all[way][1].push(a_gb(got));
            }
        }
    }
    fs::remove_dir_all(&folder)?;
    let [plain, tls] = all.map(|ends| ends.map(median));
    println!("CPU seconds a GB, medians of {runs} runs of {mib} MiB:");
    for (end, name) in ["sending", "fetching"].into_iter().enumerate() {
        let ratio = tls[end] / plain[end];
        println!(
            "{name:>9}: plain {:.3}, TLS {:.3}: {ratio:.1} times",
            plain[end], tls[end]
        );
    }
    let (plain, tls) = (plain[0] + plain[1], tls[0] + tls[1]);
    println!(
        "{:>9}: plain {plain:.3}, TLS {tls:.3}: {:.1} times",
        "both",
        tls / plain
    );
    Ok(())
}
