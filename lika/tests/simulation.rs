//! The whole framework inside of a `turmoil` simulation: other clock, other chance, other network, the same code.
//!
//! What it proves: nothing below the roles asks the operating system for time, chance or sockets; actors, nodes and
//! the bulk lane survive a partition; and the same seed gives the same run, event for event.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use lika::actor::{self, Actor, Failure, Mailbox, Message, Options, Root};
use lika::bulk::{BulkClient, BulkProtocol, BulkSettings, BulkSource, FileRange, Received, SentRange, Transfer};
use lika::node::{Call, Client, Dialling, Handler, Protocol, Refusal, ServerBuilder, Settings};
use lika::seam::{BoxedFuture, BoxedStream, Clock, Listener, Network, Randomness, Stream, WallNs};
use lika::wire::{Identity, Peer, Token};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const PORT: &str = "agent:700";
const PATIENCE: Duration = Duration::from_secs(5);

struct SimulatedNetwork;

struct SimulatedStream(turmoil::net::TcpStream);

impl AsyncRead for SimulatedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for SimulatedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Stream for SimulatedStream {
    fn tcp(&self) -> Option<&tokio::net::TcpStream> {
        None
    }
}

struct SimulatedListener(turmoil::net::TcpListener);

impl Listener for SimulatedListener {
    fn local_address(&self) -> &str {
        PORT
    }

    fn accept(&mut self) -> BoxedFuture<'_, io::Result<(BoxedStream, String)>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            Ok((Box::new(SimulatedStream(stream)) as BoxedStream, peer.to_string()))
        })
    }
}

impl Network for SimulatedNetwork {
    fn listen<'a>(&'a self, _address: &'a str) -> BoxedFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            let listener = turmoil::net::TcpListener::bind((any, 700)).await?;
            Ok(Box::new(SimulatedListener(listener)) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            let stream = turmoil::net::TcpStream::connect(address).await?;
            Ok(Box::new(SimulatedStream(stream)) as BoxedStream)
        })
    }
}

/// An actor behind a node: counts, and panics on every seventh message.
struct Counter(u64);

struct Count;

impl Message for Count {
    type Reply = u64;
}

impl Actor for Counter {
    type State = u64;

    fn observe(&self) -> u64 {
        self.0
    }
}

impl actor::Handler<Count> for Counter {
    async fn handle(&mut self, _count: Count, _context: &mut actor::Context<Counter>) -> Result<u64, Failure> {
        self.0 += 1;
        assert!(self.0 < 7, "seven is too many");
        Ok(self.0)
    }
}

struct Counting;

impl Protocol for Counting {
    type Request = ();
    type Part = ();
    type Response = u64;
    const NAME: &'static str = "counting";
    const VERSIONS: (u16, u16) = (1, 1);
    const SERVER_ROLE: &'static str = "agent";
    const CLIENT_ROLES: &'static [&'static str] = &["map"];
}

struct Front(Mailbox<Counter>);

impl Handler<Counting> for Front {
    async fn handle(&self, (): (), call: &mut Call<Counting>) -> Result<u64, Refusal> {
        self.0
            .ask(Count, call.remaining())
            .await
            .map_err(|error| Refusal::Declined(error.to_string()))
    }
}

struct Reading;

impl BulkProtocol for Reading {
    type Request = ();
    type Head = ();
    type Tail = SentRange;
    const NAME: &'static str = "reading";
    const VERSIONS: (u16, u16) = (1, 1);
    const SERVER_ROLE: &'static str = "agent";
    const CLIENT_ROLES: &'static [&'static str] = &["map"];
}

struct ThisFile;

impl BulkSource<Reading> for ThisFile {
    async fn open(&self, (): (), _peer: &Peer) -> Result<Transfer<Reading>, Refusal> {
        let open = || {
            Ok(FileRange {
                file: File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation.rs"))?,
                start: 0,
                length: 5000,
            })
        };
        let tail = Box::new(|sent: &[SentRange]| sent[0].clone());
        Ok(Transfer {
            head: (),
            ranges: Box::new(std::iter::once_with(open)),
            tail,
        })
    }
}

fn seam() -> (Clock, Randomness) {
    (Clock::simulated(WallNs(1_000_000_000)), Randomness::seeded(11))
}

fn identity(role: &str) -> Identity {
    let token = Token::new("a token of some length").expect("it has 16 bytes and more");
    Identity {
        role: role.to_owned(),
        node: role.to_owned(),
        token,
    }
}

async fn agent() -> turmoil::Result {
    let (clock, randomness) = seam();
    let root = Root::new(clock.clone(), randomness.clone());
    let counter = root.spawn(Options::named("counter"), || Counter(0));
    let builder = ServerBuilder::new(identity("agent"), Settings::default(), clock, randomness);
    let builder = builder.serve::<Counting>(Front(counter));
    let builder = builder.serve_bulk::<Reading>(ThisFile, BulkSettings::default());
    let _server = builder.listen(&SimulatedNetwork, PORT).await?;
    std::future::pending().await
}

async fn map(trace: Arc<Mutex<Vec<String>>>) -> turmoil::Result {
    let (clock, randomness) = seam();
    let began = clock.monotonic();
    let note = |what: String| {
        let at = clock.monotonic().since(began).as_millis();
        trace
            .lock()
            .expect("nobody panics with it")
            .push(format!("{at} ms: {what}"));
    };
    let (settings, identity) = (Settings::default(), identity("map"));
    let network = Arc::new(SimulatedNetwork);
    let (address, clock) = (PORT.to_owned(), clock.clone());
    let dialling = Dialling {
        network,
        address,
        server_node: None,
        identity,
        settings,
        clock,
        randomness,
    };
    let client = Client::<Counting>::start(dialling.clone());
    for number in 0..20 {
        if number == 10 {
            turmoil::partition("map", "agent");
        }
        note(format!("{:?}", client.call(&(), PATIENCE).await));
        note(format!("{:?}", client.state()));
        if number == 14 {
            turmoil::repair("map", "agent");
        }
    }
    let mut bulk = BulkClient::<Reading>::new(dialling, BulkSettings::default());
    let mut fetch = bulk.fetch(&(), PATIENCE).await?;
    let mut space = vec![0; 1000];
    loop {
        let received = fetch.next(&mut space).await?;
        note(format!("{received:?}"));
        if matches!(received, Received::Tail(_)) {
            return Ok(());
        }
    }
}

fn run(seed: u64) -> Vec<String> {
    let mut simulation = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(300))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(200))
        .build();
    let trace = Arc::new(Mutex::new(Vec::new()));
    simulation.host("agent", agent);
    simulation.client("map", map(Arc::clone(&trace)));
    simulation.run().expect("the simulation ends in order");
    drop(simulation);
    let trace = Arc::into_inner(trace).expect("the simulation is gone, and its handles with it");
    trace.into_inner().expect("nobody panicked with it")
}

#[test]
fn a_simulated_cluster_lives_through_panics_and_a_partition_and_can_be_repeated() {
    let trace = run(42);
    let count = |what: &str| trace.iter().filter(|event| event.contains(what)).count();
    assert!(count("Ok(") >= 10, "{trace:#?}");
    assert!(count("lost the question") >= 1, "the actor's panic is told: {trace:#?}");
    assert!(
        count("Disconnected") + count("Unreachable") >= 2,
        "the partition is told: {trace:#?}"
    );
    assert!(
        trace.last().unwrap().contains("sent: 5000, end: Complete"),
        "{trace:#?}"
    );
    assert_eq!(trace, run(42));
    assert_ne!(trace, run(43));
}
