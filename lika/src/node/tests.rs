//! Nodes that talk, and nodes that cannot: over loopback TCP where sockets matter, in memory with paused time where
//! waiting does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::*;
use crate::seam::{Clock, LinkState, MemoryNetwork, Network, Randomness, TcpNetwork, WallNs};
use crate::wire::{Identity, Token};

const PATIENCE: Duration = Duration::from_secs(20);
const ADDRESS: &str = "agent:1";

#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    Echo(String),
    Wait,
    Forever,
    Panic,
    Decline,
    Large(usize),
    Parts { count: u32, bytes: usize },
    Whoami,
}

struct Talk;

impl Protocol for Talk {
    type Request = Ask;
    type Part = Vec<u8>;
    type Response = String;
    const NAME: &'static str = "talk";
    const VERSIONS: (u16, u16) = (2, 3);
    const SERVER_ROLE: &'static str = "agent";
    const CLIENT_ROLES: &'static [&'static str] = &["map"];
}

/// The same protocol as a later build speaks it.
struct LaterTalk;

impl Protocol for LaterTalk {
    type Request = Ask;
    type Part = Vec<u8>;
    type Response = String;
    const NAME: &'static str = Talk::NAME;
    const VERSIONS: (u16, u16) = (4, 4);
    const SERVER_ROLE: &'static str = Talk::SERVER_ROLE;
    const CLIENT_ROLES: &'static [&'static str] = Talk::CLIENT_ROLES;
}

#[derive(Default)]
struct Seen {
    entered: AtomicUsize,
    dropped: AtomicUsize,
    parts: AtomicUsize,
    changed: Notify,
    gate: Notify,
}

impl Seen {
    async fn until(&self, condition: impl Fn(&Seen) -> bool) {
        loop {
            let changed = self.changed.notified();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }

    fn count(&self, counter: &AtomicUsize) {
        counter.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }
}

struct CountDrop(Arc<Seen>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.count(&self.0.dropped);
    }
}

struct Talker(Arc<Seen>);

impl Handler<Talk> for Talker {
    async fn handle(&self, request: Ask, call: &mut Call<Talk>) -> Result<String, Refusal> {
        self.0.count(&self.0.entered);
        let _dropped = CountDrop(Arc::clone(&self.0));
        match request {
            Ask::Echo(text) => Ok(text),
            Ask::Wait => {
                self.0.gate.notified().await;
                Ok("done".to_owned())
            }
            Ask::Forever => std::future::pending().await,
            Ask::Panic => panic!("told to"),
            Ask::Decline => Err(Refusal::Declined("told to".to_owned())),
            Ask::Large(bytes) => Ok("x".repeat(bytes)),
            Ask::Parts { count, bytes } => {
                for number in 0..count {
                    call.send_part(&vec![u8::try_from(number % 251).unwrap(); bytes])
                        .await?;
                    self.0.count(&self.0.parts);
                }
                Ok(format!("{count} parts"))
            }
            Ask::Whoami => Ok(format!(
                "{} {} v{}",
                call.peer().role,
                call.peer().node,
                call.peer().version
            )),
        }
    }
}

fn identity(role: &str) -> Identity {
    let token = Token::new("a token of some length").unwrap();
    Identity {
        role: role.to_owned(),
        node: format!("{role}-7"),
        token,
    }
}

/// A server, and what is needed to reach it.
struct Stage {
    server: Server,
    seen: Arc<Seen>,
    dialling: Dialling,
}

impl Stage {
    async fn new(network: Arc<dyn Network>, address: &str, settings: Settings) -> Stage {
        let (clock, randomness) = (Clock::simulated(WallNs(0)), Randomness::seeded(3));
        let seen = Arc::new(Seen::default());
        let builder = ServerBuilder::new(identity("agent"), settings.clone(), clock.clone(), randomness.clone());
        let server = builder
            .serve::<Talk>(Talker(Arc::clone(&seen)))
            .listen(&*network, address)
            .await
            .unwrap();
        let (address, identity) = (server.local_address().to_owned(), identity("map"));
        let dialling = Dialling {
            network,
            address,
            server_node: None,
            identity,
            settings,
            clock,
            randomness,
        };
        Stage { server, seen, dialling }
    }

    async fn tcp() -> Stage {
        Stage::new(Arc::new(TcpNetwork), "127.0.0.1:0", Settings::default()).await
    }

    async fn memory(settings: Settings) -> (MemoryNetwork, Stage) {
        let network = MemoryNetwork::default();
        (network.clone(), Stage::new(Arc::new(network), ADDRESS, settings).await)
    }

    fn client(&self) -> Client<Talk> {
        Client::start(self.dialling.clone())
    }

    fn clock(&self) -> &Clock {
        &self.dialling.clock
    }

    async fn until_connections(&self, count: usize) {
        let reached = async {
            while self.server.state().connections != count {
                self.clock().sleep(Duration::from_millis(1)).await;
            }
        };
        self.clock().timeout(PATIENCE * 3, reached).await.unwrap();
    }
}

async fn until_disconnected(client: &Client<Talk>) -> String {
    let state = client
        .wait_for_state(|state| matches!(state, ClientState::Disconnected { .. }))
        .await;
    match state {
        ClientState::Disconnected { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn questions_are_answered_over_tcp() {
    let stage = Stage::tcp().await;
    let client = stage.client();
    assert_eq!(client.call(&Ask::Whoami, PATIENCE).await.unwrap(), "map map-7 v3");
    assert_eq!(
        client.call(&Ask::Large(3_000_000), PATIENCE).await.unwrap().len(),
        3_000_000
    );
    assert_eq!(
        client
            .call(&Ask::Echo("y".repeat(3_000_000)), PATIENCE)
            .await
            .unwrap()
            .len(),
        3_000_000
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_share_a_connection() {
    let stage = Stage::tcp().await;
    let client = stage.client();
    let calls: Vec<_> = (0..1000)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let text = format!("{number} {}", "z".repeat(number * 7));
                (client.call(&Ask::Echo(text.clone()), PATIENCE).await, text)
            })
        })
        .collect();
    let waiting = client.call(&Ask::Wait, PATIENCE);
    let echoes = async {
        for call in calls {
            let (answer, text) = call.await.unwrap();
            assert_eq!(answer, Ok(text));
        }
        stage.seen.gate.notify_one();
    };
    let (waited, ()) = tokio::join!(waiting, echoes);
    assert_eq!(waited, Ok("done".to_owned()));
    assert_eq!((stage.server.state().served, stage.server.state().connections), (1, 1));
}

#[tokio::test]
async fn more_requests_than_turns_wait_at_the_client() {
    let (_, stage) = Stage::memory(Settings {
        requests_max: 2,
        ..Settings::default()
    })
    .await;
    let client = stage.client();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call(&Ask::Wait, PATIENCE).await })
        })
        .collect();
    for done in 0..50 {
        stage
            .seen
            .until(|seen| seen.entered.load(Ordering::SeqCst) >= (done + 2).min(50))
            .await;
        assert!(stage.seen.entered.load(Ordering::SeqCst) <= done + 2);
        stage.seen.gate.notify_one();
        stage
            .seen
            .until(|seen| seen.dropped.load(Ordering::SeqCst) > done)
            .await;
    }
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok("done".to_owned()));
    }
}

#[tokio::test]
async fn refusals_and_panics_come_back_as_such() {
    let (_, stage) = Stage::memory(Settings {
        frame_bytes_max: 10_000,
        ..Settings::default()
    })
    .await;
    let client = stage.client();
    let refused = async |ask: Ask| match client.call(&ask, PATIENCE).await {
        Err(CallError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(Ask::Decline).await, Refusal::Declined("told to".to_owned()));
    assert_eq!(
        refused(Ask::Panic).await,
        Refusal::Failed("its handler panicked: told to".to_owned())
    );
    assert!(matches!(refused(Ask::Large(10_000)).await, Refusal::TooLarge(_)));
    assert!(matches!(
        refused(Ask::Parts { count: 1, bytes: 1 }).await,
        Refusal::Declined(_)
    ));
    let unsendable = client.call(&Ask::Echo("x".repeat(10_000)), PATIENCE).await;
    assert!(matches!(unsendable, Err(CallError::Unsendable(_))));
    assert_eq!(
        client.call(&Ask::Echo("still here".to_owned()), PATIENCE).await,
        Ok("still here".to_owned())
    );
    assert_eq!(stage.server.state().served, 1, "none of it may cost the connection");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_call_here_and_there() {
    let (_, stage) = Stage::memory(Settings::default()).await;
    let client = stage.client();
    let began = stage.clock().monotonic();
    let patience = Duration::from_secs(2);
    let timed_out = client.call(&Ask::Forever, patience).await;
    // Which end notices first does not matter; that both do, does.
    match timed_out {
        Err(
            CallError::TimedOut { .. }
            | CallError::Refused {
                refusal: Refusal::Expired,
                ..
            },
        ) => {}
        other => panic!("{other:?}"),
    }
    stage.seen.until(|seen| seen.dropped.load(Ordering::SeqCst) == 1).await;
    let took = stage.clock().monotonic().since(began);
    assert!((patience..patience * 2).contains(&took), "{took:?}");
    assert_eq!(
        client.call(&Ask::Echo("on".to_owned()), patience).await,
        Ok("on".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_cancels_it_at_the_server() {
    let (_, stage) = Stage::memory(Settings::default()).await;
    let client = stage.client();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Ask::Forever, Duration::from_secs(3600)).await }
    });
    stage.seen.until(|seen| seen.entered.load(Ordering::SeqCst) == 1).await;
    let began = stage.clock().monotonic();
    call.abort();
    stage.seen.until(|seen| seen.dropped.load(Ordering::SeqCst) == 1).await;
    assert!(stage.clock().monotonic().since(began) < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn parts_come_in_order_and_only_as_fast_as_they_are_taken() {
    let (_, stage) = Stage::memory(Settings::default()).await;
    let client = stage.client();
    let ask = Ask::Parts {
        count: 100,
        bytes: 10_000,
    };
    let mut answer = client.stream(&ask, PATIENCE, 4).await.unwrap();
    stage.seen.until(|seen| seen.parts.load(Ordering::SeqCst) == 4).await;
    for number in 0..100usize {
        // Nothing else is left to do, so time jumps when everybody waits: the server is not ahead of its credit.
        stage.clock().sleep(Duration::from_millis(1)).await;
        let ahead = stage.seen.parts.load(Ordering::SeqCst) - number;
        assert!(ahead <= 4, "{ahead} parts ahead");
        match answer.next().await.unwrap() {
            Answered::Part(part) => assert_eq!(part, vec![u8::try_from(number).unwrap(); 10_000]),
            Answered::End(end) => panic!("{end}"),
        }
        // Other calls pass meanwhile.
        if number == 50 {
            assert!(client.call(&Ask::Whoami, PATIENCE).await.is_ok());
        }
    }
    assert_eq!(answer.next().await, Ok(Answered::End("100 parts".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_streamed_answer_cancels_it() {
    let (_, stage) = Stage::memory(Settings::default()).await;
    let client = stage.client();
    let ask = Ask::Parts { count: 100, bytes: 10 };
    let mut answer = client.stream(&ask, PATIENCE, 1).await.unwrap();
    assert!(matches!(answer.next().await, Ok(Answered::Part(_))));
    drop(answer);
    stage.seen.until(|seen| seen.dropped.load(Ordering::SeqCst) == 1).await;
    assert!(stage.seen.parts.load(Ordering::SeqCst) <= 3);
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_noticed_by_both_ends_within_ten_seconds_and_mended() {
    let (network, stage) = Stage::memory(Settings::default()).await;
    let client = stage.client();
    client.call(&Ask::Whoami, PATIENCE).await.unwrap();
    stage.clock().sleep(Duration::from_secs(3600)).await;
    assert!(
        matches!(client.state(), ClientState::Connected(_)),
        "heartbeats keep an idle connection"
    );
    assert_eq!(stage.server.state().served, 1, "and keep it open, not replaced");
    let call = client.call(&Ask::Forever, Duration::from_secs(3600));
    let cut = async {
        stage.seen.until(|seen| seen.entered.load(Ordering::SeqCst) == 2).await;
        network.set_link(LinkState::Cut);
        let began = stage.clock().monotonic();
        let why = until_disconnected(&client).await;
        let noticed = stage.clock().monotonic().since(began);
        assert!(noticed <= Duration::from_secs(10), "{noticed:?}");
        assert!(why.contains("nothing came for 9000 ms"), "{why}");
        stage.until_connections(0).await;
        let noticed = stage.clock().monotonic().since(began);
        assert!(noticed <= Duration::from_secs(10), "{noticed:?}");
    };
    let (lost, ()) = tokio::join!(call, cut);
    assert!(matches!(lost, Err(CallError::Disconnected { .. })), "{lost:?}");
    assert_eq!(
        stage.seen.dropped.load(Ordering::SeqCst),
        2,
        "the handler of a dead asker is dropped"
    );
    let unreachable = client.call(&Ask::Whoami, Duration::from_secs(5)).await;
    assert!(
        matches!(&unreachable, Err(CallError::Unreachable { .. })),
        "{unreachable:?}"
    );
    network.set_link(LinkState::Up);
    assert_eq!(client.call(&Ask::Whoami, PATIENCE).await.unwrap(), "map map-7 v3");
}

#[tokio::test(start_paused = true)]
async fn a_client_says_why_it_cannot_connect() {
    let (_, stage) = Stage::memory(Settings::default()).await;
    let why = async |change: &dyn Fn(&mut Dialling)| {
        let mut dialling = stage.dialling.clone();
        change(&mut dialling);
        until_disconnected(&Client::<Talk>::start(dialling)).await
    };
    let other_token = Token::new("another token altogether").unwrap();
    let refusal = why(&|dialling| dialling.identity.token = other_token.clone()).await;
    assert!(refusal.contains("the tokens differ"), "{refusal}");
    let refusal = why(&|dialling| dialling.identity.role = "brain".to_owned()).await;
    assert!(refusal.contains("does not serve the role brain"), "{refusal}");
    let refusal = why(&|dialling| dialling.address = "nowhere:1".to_owned()).await;
    assert!(refusal.contains("refused"), "{refusal}");
    let later = Client::<LaterTalk>::start(stage.dialling.clone());
    let error = later.call(&Ask::Whoami, Duration::from_secs(1)).await.unwrap_err();
    assert!(error.to_string().contains("it speaks 2 to 3"), "{error}");
    assert_eq!(stage.seen.entered.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn strangers_that_dawdle_keep_nobody_out() {
    let (network, stage) = Stage::memory(Settings {
        connections_max: 1,
        handshakes_max: 2,
        ..Settings::default()
    })
    .await;
    let mut strangers = Vec::new();
    for _ in 0..100 {
        let mut slow = network.dial(ADDRESS).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut slow, b"lika/1\r")
            .await
            .unwrap();
        strangers.push(slow);
    }
    let client = stage.client();
    assert!(client.call(&Ask::Whoami, PATIENCE).await.is_ok());
    assert_eq!(stage.server.state().connections, 1);
    assert!(stage.server.state().handshakes <= 2);
    // Those that stay are given up in time, without anybody coming.
    while stage.server.state().handshakes > 0 {
        stage.clock().sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(stage.server.state().refused, 100);
}

#[tokio::test(start_paused = true)]
async fn a_peer_has_no_more_connections_than_it_may() {
    let (_, stage) = Stage::memory(Settings {
        connections_per_peer_max: 1,
        ..Settings::default()
    })
    .await;
    let client = stage.client();
    assert!(client.call(&Ask::Whoami, PATIENCE).await.is_ok());
    let same = stage.client();
    let why = until_disconnected(&same).await;
    assert!(why.contains("as many connections as it may"), "{why}");
    let mut dialling = stage.dialling.clone();
    dialling.identity.node = "another".to_owned();
    let other = Client::<Talk>::start(dialling);
    assert!(other.call(&Ask::Whoami, PATIENCE).await.is_ok());
    drop(client);
    assert!(same.call(&Ask::Whoami, PATIENCE).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_no_longer_than_the_server_lets_it() {
    let (_, stage) = Stage::memory(Settings {
        request_deadline: Duration::from_secs(7),
        ..Settings::default()
    })
    .await;
    let began = stage.clock().monotonic();
    let client = stage.client();
    let refused = client.call(&Ask::Forever, Duration::from_secs(3600)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            CallError::Refused {
                refusal: Refusal::Expired,
                ..
            }
        ),
        "{refused:?}"
    );
    // Simulated time: it is what it is.
    assert_eq!(stage.clock().monotonic().since(began).as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_requests_end_and_turns_new_ones_away() {
    let (network, stage) = Stage::memory(Settings::default()).await;
    let client = stage.client();
    let in_hand = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Ask::Wait, PATIENCE).await }
    });
    stage.seen.until(|seen| seen.entered.load(Ordering::SeqCst) == 1).await;
    let Stage { server, seen, dialling } = stage;
    let stop = tokio::spawn(server.stop(PATIENCE));
    assert_eq!(until_disconnected(&client).await, "the server is stopping");
    assert!(network.dial(ADDRESS).await.is_err());
    seen.gate.notify_one();
    assert_eq!(in_hand.await.unwrap(), Ok("done".to_owned()));
    stop.await.unwrap();
    // Its successor at the same address is found.
    let next = Stage::new(Arc::new(network), ADDRESS, dialling.settings).await;
    assert!(client.call(&Ask::Whoami, PATIENCE).await.is_ok());
    assert_eq!(next.seen.entered.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_ever() {
    let (_, stage) = Stage::memory(Settings::default()).await;
    let client = stage.client();
    let stuck = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Ask::Forever, Duration::from_secs(600)).await }
    });
    stage.seen.until(|seen| seen.entered.load(Ordering::SeqCst) == 1).await;
    let (clock, began) = (stage.clock().clone(), stage.clock().monotonic());
    stage.server.stop(Duration::from_secs(7)).await;
    assert_eq!(clock.monotonic().since(began), Duration::from_secs(7));
    assert!(matches!(stuck.await.unwrap(), Err(CallError::Disconnected { .. })));
}

#[tokio::test]
async fn a_closed_client_says_so() {
    let (_, stage) = Stage::memory(Settings::default()).await;
    let client = stage.client();
    client.call(&Ask::Whoami, PATIENCE).await.unwrap();
    let other = client.clone();
    let stuck = tokio::spawn(async move { other.call(&Ask::Forever, PATIENCE).await });
    stage.seen.until(|seen| seen.entered.load(Ordering::SeqCst) == 2).await;
    client.close();
    assert!(matches!(stuck.await.unwrap(), Err(CallError::Disconnected { .. })));
    assert_eq!(
        client.call(&Ask::Whoami, PATIENCE).await,
        Err(CallError::Closed(ADDRESS.to_owned()))
    );
    assert_eq!(client.state(), ClientState::Closed);
    stage.until_connections(0).await;
}

/// A peer that takes nothing must not make us hold more than the bounded queue.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_dropped() {
    let settings = Settings {
        queue_frames_max: 4,
        requests_max: 8,
        ..Settings::default()
    };
    let (_, stage) = Stage::memory(settings).await;
    let wanted = client::wanted::<Talk>(crate::wire::Lane::Messages, &stage.dialling);
    let (mut stream, _, _) = client::connect(&stage.dialling, &wanted).await.unwrap();
    let body = crate::wire::pack(&Ask::Large(100_000)).unwrap();
    let head = [u32::MAX.to_le_bytes(), 0u32.to_le_bytes()].concat();
    let ping = crate::wire::frame::encode(crate::wire::Kind::Ping, 0, &[], 0).unwrap();
    for id in 0..8 {
        let request = crate::wire::frame::encode(crate::wire::Kind::Request, id, &[&head, &body], 1000).unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, &request)
            .await
            .unwrap();
    }
    let began = stage.clock().monotonic();
    // It goes on to say that it is there, so it is not silence that ends it.
    let alive = async {
        loop {
            stage.clock().sleep(Duration::from_secs(3)).await;
            let _closed = tokio::io::AsyncWriteExt::write_all(&mut stream, &ping).await;
        }
    };
    tokio::select! {
        () = alive => {}
        () = stage.until_connections(0) => {}
    }
    assert!(stage.clock().monotonic().since(began) <= Duration::from_secs(31));
}

#[tokio::test]
async fn damaged_frames_end_the_connection_not_the_server() {
    let stage = Stage::tcp().await;
    let wanted = client::wanted::<Talk>(crate::wire::Lane::Messages, &stage.dialling);
    let (mut stream, _, _) = client::connect(&stage.dialling, &wanted).await.unwrap();
    let body = crate::wire::pack(&Ask::Whoami).unwrap();
    let request = crate::wire::frame::encode(crate::wire::Kind::Request, 1, &[&[0; 8], &body], 1000).unwrap();
    let mut request = request.to_vec();
    *request.last_mut().unwrap() ^= 1;
    tokio::io::AsyncWriteExt::write_all(&mut stream, &request)
        .await
        .unwrap();
    stage.until_connections(0).await;
    assert_eq!(stage.seen.entered.load(Ordering::SeqCst), 0);
    assert!(stage.client().call(&Ask::Whoami, PATIENCE).await.is_ok());
}

#[test]
fn calls_may_be_made_from_tasks_of_any_thread() {
    fn check<T: Send>(_: T) {}
    fn future_of(client: &Client<Talk>) {
        check(client.call(&Ask::Whoami, PATIENCE));
        check(client.stream(&Ask::Whoami, PATIENCE, 1));
    }
    // What matters is that it compiles; the function is never called.
    let _ = future_of as fn(&Client<Talk>);
}
