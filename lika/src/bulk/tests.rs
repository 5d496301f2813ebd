//! Bulk transfers: exact, also when files shrink under them; and ends that are too slow.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::node::{Dialling, Server, ServerBuilder, Settings};
use crate::seam::{Clock, MemoryNetwork, Network, Randomness, TcpNetwork};
use crate::tls::TlsNetwork;
use crate::tls::tests::{Authority, NOW};
use crate::wire::{Identity, Token};

const PATIENCE: Duration = Duration::from_secs(60);

/// Ranges of named files.
struct Pull;

impl BulkProtocol for Pull {
    type Request = Vec<(String, u64, u64)>;
    type Head = String;
    type Tail = Vec<SentRange>;
    const NAME: &'static str = "pull";
    const VERSIONS: (u16, u16) = (1, 1);
    const SERVER_ROLE: &'static str = "agent";
    const CLIENT_ROLES: &'static [&'static str] = &["map"];
}

struct Folder {
    path: PathBuf,
}

impl BulkSource<Pull> for Folder {
    async fn open(&self, request: Vec<(String, u64, u64)>, peer: &Peer) -> Result<Transfer<Pull>, Refusal> {
        if request.is_empty() {
            return Err(Refusal::Declined("nothing is asked for".to_owned()));
        }
        let folder = self.path.clone();
        let ranges = request.into_iter().map(move |(name, start, length)| {
            let file = File::open(folder.join(name))?;
            Ok(FileRange { file, start, length })
        });
        Ok(Transfer {
            head: peer.node.clone(),
            ranges: Box::new(ranges),
            tail: Box::new(<[SentRange]>::to_vec),
        })
    }
}

struct Stage {
    folder: tempfile::TempDir,
    server: Server,
    dialling: Dialling,
    settings: BulkSettings,
}

#[derive(Debug, Clone, Copy)]
enum Over {
    Tcp,
    Tls,
    Memory,
}

impl Stage {
    async fn new(over: Over, settings: BulkSettings) -> Stage {
        let (clock, randomness) = (Clock::simulated(NOW), Randomness::seeded(5));
        let folder = tempfile::tempdir().unwrap();
        let (network, address): (Arc<dyn Network>, _) = match over {
            Over::Tls => {
                let names = ["sunfire://role/agent", "sunfire://role/map"];
                let files = Authority::new().write(folder.path(), &names, 2030);
                let network = TlsNetwork::over(Arc::new(TcpNetwork), files, clock.clone());
                (Arc::new(network.unwrap()), "127.0.0.1:0")
            }
            Over::Tcp => (Arc::new(TcpNetwork), "127.0.0.1:0"),
            Over::Memory => (Arc::new(MemoryNetwork::default()), "agent:1"),
        };
        let identity = |role: &str| {
            let token = Token::new("a token of some length").unwrap();
            Identity {
                role: role.to_owned(),
                node: format!("{role}-7"),
                token,
            }
        };
        let source = Folder {
            path: folder.path().to_owned(),
        };
        let builder = ServerBuilder::new(
            identity("agent"),
            Settings::default(),
            clock.clone(),
            randomness.clone(),
        );
        let builder = builder.serve_bulk::<Pull>(source, settings.clone());
        let server = builder.listen(&*network, address).await.unwrap();
        let address = server.local_address().to_owned();
        let dialling = Dialling {
            network,
            address,
            server_node: None,
            identity: identity("map"),
            settings: Settings::default(),
            clock,
            randomness,
        };
        Stage {
            folder,
            server,
            dialling,
            settings,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn client(&self) -> BulkClient<Pull> {
        BulkClient::new(self.dialling.clone(), self.settings.clone())
    }

    fn client_of(&self, node: &str) -> BulkClient<Pull> {
        let mut dialling = self.dialling.clone();
        dialling.identity.node = node.to_owned();
        BulkClient::new(dialling, self.settings.clone())
    }

    async fn until_connections(&self, count: usize) {
        let clock = &self.dialling.clock;
        let reached = async {
            while self.server.state().connections != count {
                clock.sleep(Duration::from_millis(1)).await;
            }
        };
        clock.timeout(PATIENCE, reached).await.unwrap();
    }
}

/// Bytes that repeat only after a while, so that a misplaced one shows.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn write_file(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

type Fetched = (Vec<(Vec<u8>, SentRange)>, Vec<SentRange>);

async fn drain(fetch: &mut Fetch<'_, Pull>, space_bytes: usize) -> Result<Fetched, BulkError> {
    let mut space = vec![0xEE; space_bytes];
    let (mut ranges, mut bytes) = (Vec::new(), Vec::new());
    loop {
        match fetch.next(&mut space).await? {
            Received::Range { index, .. } => assert_eq!(index, ranges.len() as u64),
            Received::Bytes(count) => bytes.extend_from_slice(&space[..count]),
            Received::RangeEnd(sent) => ranges.push((std::mem::take(&mut bytes), sent)),
            Received::Tail(tail) => return Ok((ranges, tail)),
        }
    }
}

async fn fetch_all(client: &mut BulkClient<Pull>, request: &[(&str, u64, u64)], space: usize) -> Fetched {
    let request = request
        .iter()
        .map(|(name, start, length)| ((*name).to_owned(), *start, *length))
        .collect();
    let mut fetch = client.fetch(&request, PATIENCE).await.unwrap();
    assert_eq!(
        (fetch.head().as_str(), fetch.peer().node.as_str()),
        ("map-7", "agent-7")
    );
    drain(&mut fetch, space).await.unwrap()
}

async fn check_ranges(over: Over, chunk: u32, space: usize, length: usize, asked: &[(u64, u64)]) {
    let settings = BulkSettings {
        chunk_bytes_max: chunk,
        ..BulkSettings::default()
    };
    let stage = Stage::new(over, settings).await;
    let file = noise(length);
    write_file(&stage.path("a"), &file);
    let request: Vec<_> = asked.iter().map(|(start, length)| ("a", *start, *length)).collect();
    let mut client = stage.client();
    let (ranges, tail) = fetch_all(&mut client, &request, space).await;
    assert_eq!(ranges.len(), asked.len());
    for (((bytes, sent), &(start, asked)), told) in ranges.iter().zip(asked).zip(&tail) {
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(length);
        let end = start
            .saturating_add(usize::try_from(asked).unwrap_or(usize::MAX))
            .min(length);
        assert_eq!(bytes, &file[start..end]);
        let reason = if (end - start) as u64 == asked {
            RangeEnd::Complete
        } else {
            RangeEnd::Shorter
        };
        assert_eq!(
            *sent,
            SentRange {
                asked,
                sent: (end - start) as u64,
                end: reason
            }
        );
        assert_eq!(sent, told);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn ranges_are_exact(
        tcp: bool,
        chunk in 1u32..3000,
        space in 1usize..5000,
        length in 0usize..10_000,
        asked in prop::collection::vec((0u64..12_000, 0u64..12_000), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let over = if tcp { Over::Tcp } else { Over::Memory };
        runtime.block_on(check_ranges(over, chunk, space, length, &asked));
    }
}

#[tokio::test]
async fn chunks_are_never_larger_than_a_frame_may_be() {
    check_ranges(Over::Tcp, u32::MAX, 1 << 20, 20 << 20, &[(0, 20 << 20)]).await;
    check_ranges(Over::Tls, u32::MAX, 1 << 20, 20 << 20, &[(0, 20 << 20)]).await;
    check_ranges(Over::Memory, 0, 10, 100, &[(0, 100)]).await;
}

#[tokio::test]
async fn offsets_near_the_end_of_numbers_are_merely_shorter() {
    for over in [Over::Tcp, Over::Tls, Over::Memory] {
        check_ranges(
            over,
            1000,
            1000,
            5000,
            &[(u64::MAX, u64::MAX), (4999, u64::MAX), (0, 0), (5000, 1)],
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_mebibytes_arrive_whole() {
    let stage = Stage::new(Over::Tcp, BulkSettings::default()).await;
    let file = noise(64 << 20);
    write_file(&stage.path("large"), &file);
    let mut client = stage.client();
    let request = vec![("large".to_owned(), 7, (64 << 20) - 7)];
    let began = stage.dialling.clock.monotonic();
    let mut fetch = client.fetch(&request, PATIENCE).await.unwrap();
    let (mut space, mut check, mut length) = (vec![0; 1 << 20], 0, 0);
    loop {
        match fetch.next(&mut space).await.unwrap() {
            Received::Bytes(count) => {
                check = crc32c::crc32c_append(check, &space[..count]);
                length += count;
            }
            Received::Tail(_) => break,
            Received::Range { .. } | Received::RangeEnd(_) => {}
        }
    }
    let took = stage.dialling.clock.monotonic().since(began);
    println!("64 MiB in {took:?}");
    assert_eq!((length, check), ((64 << 20) - 7, crc32c::crc32c(&file[7..])));
}

#[tokio::test]
async fn a_connection_serves_many_transfers_and_failures_are_parts_of_them() {
    let stage = Stage::new(Over::Tcp, BulkSettings::default()).await;
    write_file(&stage.path("a"), b"0123456789");
    let mut client = stage.client();
    let request = [("a", 3, 4), ("missing", 0, 1), ("a", 0, 2)];
    let (ranges, _) = fetch_all(&mut client, &request, 100).await;
    assert_eq!(
        (&ranges[0].0[..], &ranges[1].0[..], &ranges[2].0[..]),
        (&b"3456"[..], &b""[..], &b"01"[..])
    );
    assert!(
        matches!(&ranges[1].1, SentRange { sent: 0, end: RangeEnd::Failed(why), .. } if why.contains("os error 2"))
    );
    assert!(matches!(
        client.fetch(&Vec::new(), PATIENCE).await,
        Err(BulkError::Refused(Refusal::Declined(_)))
    ));
    assert_eq!(fetch_all(&mut client, &[("a", 0, 1)], 100).await.0[0].0, b"0");
    assert_eq!(stage.server.state().served, 1, "one connection for all");
    // A transfer that is dropped half way takes its connection along, and the next one gets a new one.
    let mut fetch = client.fetch(&vec![("a".to_owned(), 0, 10)], PATIENCE).await.unwrap();
    assert!(matches!(fetch.next(&mut [0; 100]).await, Ok(Received::Range { .. })));
    drop(fetch);
    assert_eq!(fetch_all(&mut client, &[("a", 9, 1)], 100).await.0[0].0, b"9");
    assert_eq!(stage.server.state().served, 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_replaced_without_a_word() {
    let stage = Stage::new(Over::Memory, BulkSettings::default()).await;
    write_file(&stage.path("a"), b"0123456789");
    let mut client = stage.client();
    fetch_all(&mut client, &[("a", 0, 1)], 100).await;
    stage.dialling.clock.sleep(Duration::from_secs(61)).await;
    assert_eq!(stage.server.state().connections, 0);
    assert_eq!(fetch_all(&mut client, &[("a", 9, 1)], 100).await.0[0].0, b"9");
    assert_eq!(stage.server.state().served, 2);
}

#[tokio::test]
async fn what_sendfile_does_not_take_is_copied() {
    let stage = Stage::new(Over::Tcp, BulkSettings::default()).await;
    std::os::unix::fs::symlink("/proc/self/cmdline", stage.path("proc")).unwrap();
    // Its length is 0 by its metadata, so nothing is announced, and nothing hangs.
    let (ranges, _) = fetch_all(&mut stage.client(), &[("proc", 0, 10)], 100).await;
    assert_eq!(
        ranges[0].1,
        SentRange {
            asked: 10,
            sent: 0,
            end: RangeEnd::Shorter
        }
    );
}

/// The file loses its end while a chunk of it is on its way: what was announced is filled up, and taken back.
async fn check_shrinking(over: Over, space_bytes: usize, length: u64, shrunk: u64) {
    let chunk_bytes_max = u32::try_from(length).unwrap();
    let stage = Stage::new(
        over,
        BulkSettings {
            chunk_bytes_max,
            ..BulkSettings::default()
        },
    )
    .await;
    let bytes = noise(usize::try_from(length).unwrap());
    write_file(&stage.path("a"), &bytes);
    let mut client = stage.client();
    let request = vec![("a".to_owned(), 0, length)];
    let mut fetch = client.fetch(&request, PATIENCE).await.unwrap();
    let mut space = vec![0; space_bytes];
    assert!(matches!(fetch.next(&mut space).await, Ok(Received::Range { .. })));
    // The announcement of the chunk was written together with the range's, in full; the socket holds less than that,
    // so the server waits for us within the chunk.
    File::options()
        .write(true)
        .open(stage.path("a"))
        .unwrap()
        .set_len(shrunk)
        .unwrap();
    let mut got = Vec::new();
    let rest = loop {
        match fetch.next(&mut space).await.unwrap() {
            Received::Bytes(count) => got.extend_from_slice(&space[..count]),
            other => break other,
        }
    };
    assert!(
        got == bytes[..got.len()] && got.len() as u64 == shrunk,
        "{} bytes",
        got.len()
    );
    let tail = fetch.next(&mut space).await.unwrap();
    let sent = SentRange {
        asked: length,
        sent: shrunk,
        end: RangeEnd::Shorter,
    };
    assert_eq!(
        (rest, tail),
        (Received::RangeEnd(sent.clone()), Received::Tail(vec![sent]))
    );
    assert!(matches!(fetch.next(&mut space).await, Err(BulkError::Over)));
}

#[tokio::test]
async fn a_file_that_shrinks_under_a_chunk_gives_only_what_was_there() {
    for space_bytes in [5000, 8 << 20] {
        check_shrinking(Over::Tcp, space_bytes, 8 << 20, (8 << 20) - 4000).await;
        check_shrinking(Over::Tls, space_bytes, 8 << 20, (8 << 20) - 4000).await;
        check_shrinking(Over::Memory, space_bytes, 1 << 20, 900_000).await;
    }
}

#[tokio::test]
async fn a_file_that_was_replaced_by_nothing_is_a_normal_end() {
    let stage = Stage::new(
        Over::Tcp,
        BulkSettings {
            chunk_bytes_max: 1000,
            ..BulkSettings::default()
        },
    )
    .await;
    write_file(&stage.path("a"), &noise(100_000_000));
    let mut client = stage.client();
    let mut fetch = client
        .fetch(&vec![("a".to_owned(), 0, 100_000_000)], PATIENCE)
        .await
        .unwrap();
    let mut space = vec![0; 1000];
    fetch.next(&mut space).await.unwrap();
    File::options()
        .write(true)
        .open(stage.path("a"))
        .unwrap()
        .set_len(0)
        .unwrap();
    let (ranges, tail) = drain(&mut fetch, 1000).await.unwrap();
    assert!(
        ranges[0].1.sent < 100_000_000 && ranges[0].1.end == RangeEnd::Shorter,
        "{:?}",
        ranges[0].1
    );
    assert_eq!(ranges[0].0.len() as u64, ranges[0].1.sent);
    assert_eq!(ranges[0].0, noise(ranges[0].0.len()));
    assert_eq!(tail[0], ranges[0].1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_dropped_by_its_deadline() {
    let stage = Stage::new(Over::Memory, BulkSettings::default()).await;
    write_file(&stage.path("a"), &noise(1 << 20));
    let mut client = stage.client();
    let fetch = client
        .fetch(&vec![("a".to_owned(), 0, 1 << 20)], PATIENCE)
        .await
        .unwrap();
    let began = stage.dialling.clock.monotonic();
    stage.until_connections(0).await;
    let took = stage.dialling.clock.monotonic().since(began);
    assert!((9..=10).contains(&took.as_secs()), "{took:?}");
    drop(fetch);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped_also_from_a_kernel_socket() {
    let settings = BulkSettings {
        stall_deadline: Duration::from_millis(200),
        ..BulkSettings::default()
    };
    let stage = Stage::new(Over::Tcp, settings).await;
    write_file(&stage.path("a"), &noise(64 << 20));
    let mut client = stage.client();
    let mut fetch = client
        .fetch(&vec![("a".to_owned(), 0, 64 << 20)], PATIENCE)
        .await
        .unwrap();
    stage.until_connections(0).await;
    assert!(drain(&mut fetch, 1 << 20).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_trickles_is_dropped_and_others_are_not() {
    let stage = Stage::new(
        Over::Memory,
        BulkSettings {
            chunk_bytes_max: 100,
            ..BulkSettings::default()
        },
    )
    .await;
    write_file(&stage.path("a"), &noise(1 << 20));
    let clock = stage.dialling.clock.clone();
    let (mut slow, mut quick) = (stage.client(), stage.client());
    let request = vec![("a".to_owned(), 0, 1 << 20)];
    let patience = Duration::from_secs(3600);
    let mut fetch = slow.fetch(&request, patience).await.unwrap();
    let began = clock.monotonic();
    let trickle = async {
        loop {
            clock.sleep(Duration::from_secs(5)).await;
            if fetch.next(&mut [0; 100]).await.is_err() {
                return;
            }
        }
    };
    let (ranges, ()) = tokio::join!(fetch_all(&mut quick, &[("a", 0, 1 << 20)], 4096), async {
        // The server gives up long before the client has taken what is on its way.
        tokio::select! { () = trickle => {}, () = stage.until_connections(1) => {} }
    });
    assert_eq!(ranges.0[0].0, noise(1 << 20));
    // 64 KiB in the pipe excuse 64 s, and then some.
    let took = clock.monotonic().since(began);
    assert!(took <= Duration::from_secs(90), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_but_not_too_slow_gets_all() {
    let stage = Stage::new(
        Over::Memory,
        BulkSettings {
            chunk_bytes_max: 1000,
            ..BulkSettings::default()
        },
    )
    .await;
    write_file(&stage.path("a"), &noise(400_000));
    let (clock, mut client) = (stage.dialling.clock.clone(), stage.client());
    let request = vec![("a".to_owned(), 0, 400_000)];
    let mut fetch = client.fetch(&request, Duration::from_secs(3600)).await.unwrap();
    let (mut space, mut got) = (vec![0; 1000], 0);
    while got < 400_000 {
        clock.sleep(Duration::from_millis(250)).await;
        if let Received::Bytes(count) = fetch.next(&mut space).await.unwrap() {
            got += count;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_slow_but_not_too_slow_is_waited_for() {
    let pace = Pace::new(None, NonZeroU64::new(2000));
    let stage = Stage::new(
        Over::Memory,
        BulkSettings {
            pace,
            ..BulkSettings::default()
        },
    )
    .await;
    write_file(&stage.path("a"), &noise(60_000));
    let (ranges, _) = fetch_all(&mut stage.client(), &[("a", 0, 60_000)], 4096).await;
    assert_eq!(ranges[0].0, noise(60_000));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stalls_is_left() {
    let pace = Pace::new(None, NonZeroU64::new(100));
    let slow = BulkSettings {
        pace,
        ..BulkSettings::default()
    };
    let slow = Stage::new(Over::Memory, slow).await;
    write_file(&slow.path("a"), &noise(10_000));
    let mut client = slow.client();
    let mut fetch = client
        .fetch(&vec![("a".to_owned(), 0, 10_000)], PATIENCE)
        .await
        .unwrap();
    let error = drain(&mut fetch, 4096).await.unwrap_err();
    assert!(matches!(error, BulkError::TooSlow(_)), "{error:?}");
    let mut fetch = client
        .fetch(&vec![("a".to_owned(), 0, 10_000)], Duration::from_secs(3))
        .await
        .unwrap();
    let error = drain(&mut fetch, 4096).await.unwrap_err();
    assert!(
        matches!(error, BulkError::TimedOut(_) | BulkError::Read(_)),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_ceiling_of_bytes_per_second_holds_over_all_connections() {
    let rate = NonZeroU64::new(100_000);
    for pace in [Pace::new(None, rate), Pace::new(rate, None)] {
        let settings = BulkSettings {
            pace,
            ..BulkSettings::default()
        };
        let stage = Stage::new(Over::Memory, settings).await;
        write_file(&stage.path("a"), &noise(500_000));
        let (mut one, mut other) = (stage.client(), stage.client());
        let began = stage.dialling.clock.monotonic();
        let request = [("a", 0, 500_000)];
        tokio::join!(
            fetch_all(&mut one, &request, 4096),
            fetch_all(&mut other, &request, 4096)
        );
        let took = stage.dialling.clock.monotonic().since(began);
        assert!((9_800..=10_100).contains(&took.as_millis()), "{took:?}");
    }
}

/// Of three connections of one peer and one of another, each is given what its peer may have.
#[tokio::test(start_paused = true)]
async fn a_peer_at_full_speed_takes_nothing_from_another() {
    let settings = BulkSettings {
        pace: Pace::new(NonZeroU64::new(100_000), None),
        ..BulkSettings::default()
    };
    let stage = Stage::new(Over::Memory, settings).await;
    write_file(&stage.path("a"), &noise(1_000_000));
    let mut calm = stage.client_of("map-8");
    let mut wild: Vec<_> = (0..3).map(|_| stage.client()).collect();
    let clock = stage.dialling.clock.clone();
    let began = clock.monotonic();
    let request = vec![("a".to_owned(), 0, 1_000_000)];
    let deadline = clock.deadline_in(Duration::from_secs(5));
    let counted = async |client: &mut BulkClient<Pull>| {
        let (mut space, mut bytes) = (vec![0; 4096], 0);
        let mut fetch = client.fetch(&request, Duration::from_secs(3600)).await.unwrap();
        while let Ok(received) = clock.timeout_at(deadline, fetch.next(&mut space)).await {
            if let Received::Bytes(count) = received.unwrap() {
                bytes += count;
            }
        }
        bytes
    };
    let [one, two, three] = &mut wild[..] else { panic!() };
    let (calm, one, two, three) = tokio::join!(counted(&mut calm), counted(one), counted(two), counted(three));
    assert!(clock.monotonic().since(began) < Duration::from_secs(6));
    // Of each connection a chunk, which takes a tenth of a second, may have had its turn and be on its way.
    let near = 460_000..=520_000;
    assert!(near.contains(&calm), "{calm} of 500 000 bytes came");
    assert!(near.contains(&(one + two + three)), "{one} + {two} + {three}");
}

proptest! {
    #[test]
    fn damaged_confirmations_are_refused(
        offset: u64,
        announced: u32,
        real: u32,
        place in 0usize..8,
        flip in 1..=u8::MAX,
    ) {
        let real = real.min(announced);
        let mut bytes = confirmation(offset, announced, real);
        prop_assert_eq!(confirmed(offset, announced, bytes), Some(real));
        prop_assert_eq!(confirmed(offset ^ 1, announced, bytes), None);
        bytes[place] ^= flip;
        prop_assert_eq!(confirmed(offset, announced, bytes), None);
    }
}
