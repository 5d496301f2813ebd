//! The agent as a process of its own, asked over the network as a Map and a console ask it.

use agent::binding::{OPEN_TOKEN, RangeHead};
use agent::content::{fingerprint_of, tail_hash_of};
use agent::profile::{StampProfile, StampZone};
use agent::protocol::{
    Answer, Content, FileKind, FindAnswer, FindRequest, Fingerprint, Generation, Identity, ListAnswer, ListRequest,
    PathProblem, RangeOutcome, RangeRequest, Refusal, RequestBody, Role, SnapshotAnswer, SnapshotRequest, Stability,
    StartProof, TailHash,
};
use lika::bulk::BulkError;
use lika::node::{CallError, ClientState, Refusal as Declined};
use nix::sys::signal::Signal;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use sunfire_tests::access_log::Numbers;
use sunfire_tests::agents::{AgentProcess, PATIENCE, Puller, dialling, until};

struct Scene {
    folder: tempfile::TempDir,
    logs: String,
    agent: AgentProcess,
}

impl Scene {
    fn new() -> Scene {
        Scene::with("")
    }

    /// With more lines in the agent's file.
    fn with(more: &str) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().canonicalize().expect("it is there");
        fs::create_dir(base.join("logs")).expect("a folder");
        let logs = base.join("logs").to_str().expect("UTF-8").to_owned();
        let agent = AgentProcess::start(folder.path(), &config("127.0.0.1:0", &logs, more));
        Scene { folder, logs, agent }
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.logs)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("it can be written");
    }

    fn append(&self, name: &str) -> File {
        let mut options = OpenOptions::new();
        options
            .create(true)
            .append(true)
            .open(self.path(name))
            .expect("it can be opened")
    }

    fn puller(&self) -> Puller {
        Puller::open(&self.agent.address)
    }

    async fn snapshot(&self, puller: &Puller, pattern: &str) -> SnapshotAnswer {
        let request = SnapshotRequest {
            pattern: self.path(pattern),
            dates_from_ns: 0,
            known: Vec::new(),
        };
        match puller.ask(RequestBody::Snapshot(request)).await {
            Ok(Answer::Snapshot(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }
}

fn config(listen: &str, root: &str, more: &str) -> String {
    format!("role: agent\nlisten: {listen}\nhost: h1\nroots: [{root}]\n{more}\n")
}

fn fingerprint(generation: &Generation) -> Fingerprint {
    match generation.content {
        Content::Readable { fingerprint, .. } => fingerprint,
        ref other => panic!("{other:?}"),
    }
}

/// A range of a generation from the beginning.
fn whole(generation: &Generation, length: u64) -> RangeRequest {
    RangeRequest {
        path: generation.path.clone(),
        identity: generation.identity,
        fingerprint: fingerprint(generation),
        tail: None,
        offset: 0,
        length,
    }
}

const NOBODY: Identity = Identity {
    device: 1,
    inode: 2,
    birth_ns: None,
};

fn stranger(path: &str) -> RangeRequest {
    RangeRequest {
        path: path.to_owned(),
        identity: NOBODY,
        fingerprint: Fingerprint { length: 0, hash: 0 },
        tail: None,
        offset: 0,
        length: 1,
    }
}

#[tokio::test]
async fn a_snapshot_and_a_listing_say_what_is_there() {
    let scene = Scene::new();
    scene.write("app.log", b"2026-11-23 07:31:00 one\n");
    scene.write("app.log.1", b"2026-11-23 06:00:00 older, and longer\n");
    scene.write("other.txt", b"x");
    let puller = scene.puller();
    let snapshot = scene.snapshot(&puller, "app.log").await;
    assert_eq!(snapshot.stability, Stability::Stable { attempt: 1 });
    assert!(snapshot.t_ns > 1_700_000_000_000_000_000 && snapshot.problems.is_empty());
    let seen: Vec<_> = snapshot
        .generations
        .iter()
        .map(|generation| (generation.path.clone(), generation.role, generation.size))
        .collect();
    let expected = [
        (scene.path("app.log"), Role::Live, 24),
        (scene.path("app.log.1"), Role::Rotated, 38),
    ];
    assert_eq!(seen, expected);
    for generation in &snapshot.generations {
        let metadata = fs::metadata(&generation.path).expect("it is there");
        let bytes = fs::read(&generation.path).expect("it is there");
        assert_eq!(
            generation.identity.inode,
            std::os::unix::fs::MetadataExt::ino(&metadata)
        );
        assert_eq!(fingerprint(generation), fingerprint_of(&bytes));
    }
    let path = scene.logs.clone();
    let Ok(Answer::List(ListAnswer::Entries {
        entries, limit: None, ..
    })) = puller.ask(RequestBody::List(ListRequest::of(path))).await
    else {
        panic!("no listing");
    };
    let names: Vec<_> = entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry.kind, entry.size))
        .collect();
    let file = FileKind::Regular;
    assert_eq!(
        names,
        [("app.log", file, 24), ("app.log.1", file, 38), ("other.txt", file, 1)]
    );
    let system = puller.ask(RequestBody::System).await;
    assert!(matches!(&system, Ok(Answer::System(answer)) if answer.texts.iter().all(|(_, text)| text.is_ok())));
}

#[tokio::test]
async fn nothing_outside_the_roots_is_served_and_it_is_said_by_name() {
    let scene = Scene::new();
    let mut puller = scene.puller();
    let outside = |path: &str| PathProblem {
        path: path.to_owned(),
        refusal: Refusal::OutsideRoots,
    };
    let path = "/etc".to_owned();
    let listed = puller.ask(RequestBody::List(ListRequest::of(path))).await;
    assert_eq!(listed, Ok(Answer::List(ListAnswer::Refused(outside("/etc")))));
    let (bytes, head, end) = puller.bytes(&stranger("/etc/passwd")).await;
    assert_eq!((bytes.len(), head), (0, RangeHead::NothingToSend));
    assert_eq!(end.outcome, RangeOutcome::Refused(outside("/etc/passwd")));
    let pattern = "/etc/passwd".to_owned();
    let request = SnapshotRequest {
        pattern,
        dates_from_ns: 0,
        known: Vec::new(),
    };
    let Ok(Answer::Snapshot(snapshot)) = puller.ask(RequestBody::Snapshot(request)).await else {
        panic!("no snapshot");
    };
    // The folder that a rotated sibling would stand in, and the file.
    let problems = vec![outside("/etc"), outside("/etc/passwd")];
    assert_eq!((snapshot.generations.len(), snapshot.problems), (0, problems));
    // A link out of the roots is no way out either.
    std::os::unix::fs::symlink("/etc/passwd", scene.path("link.log")).expect("a link");
    let (_, _, end) = puller.bytes(&stranger(&scene.path("link.log"))).await;
    assert!(matches!(end.outcome, RangeOutcome::Refused(_)), "{end:?}");
    let by_message = puller.ask(RequestBody::Range(stranger("/etc/passwd"))).await;
    assert!(matches!(
        by_message,
        Err(CallError::Refused {
            refusal: Declined::Declined(_),
            ..
        })
    ));
}

/// One generation as it is pulled: what came so far.
struct Pulled {
    generation: Generation,
    bytes: Vec<u8>,
}

impl Pulled {
    /// Pulls on from where the last pull ended, by the path of the first snapshot.
    async fn pull(&mut self, puller: &mut Puller, length: u64) {
        let offset = self.bytes.len() as u64;
        let request = RangeRequest {
            tail: (offset > 0).then(|| tail_hash_of(offset, &self.bytes)),
            offset,
            ..whole(&self.generation, length)
        };
        let (bytes, _, end) = puller.bytes(&request).await;
        assert_eq!((end.outcome, end.sent), (RangeOutcome::Unchanged, bytes.len() as u64));
        self.bytes.extend_from_slice(&bytes);
        assert_eq!(end.tail_after, Some(tail_hash_of(self.bytes.len() as u64, &self.bytes)));
    }
}

#[tokio::test]
async fn a_growing_log_comes_over_whole_across_a_rotation() {
    let scene = Scene::new();
    let mut puller = scene.puller();
    let mut numbers = Numbers::new(11);
    let mut writer = scene.append("app.log");
    let mut append = |writer: &mut File| {
        for _ in 0..=numbers.below(200) {
            let (number, length) = (numbers.below(1 << 40), numbers.below(300) as usize);
            writeln!(writer, "2026-11-23 07:31:00 {number} {}", "x".repeat(length)).expect("it can be written");
        }
        1 + numbers.below(70_000)
    };
    append(&mut writer);
    let first = scene.snapshot(&puller, "app.log").await.generations.remove(0);
    let mut old = Pulled {
        generation: first,
        bytes: Vec::new(),
    };
    for _ in 0..30 {
        let length = append(&mut writer);
        old.pull(&mut puller, length).await;
    }
    // The writer goes on with the old file for a while, as they do.
    fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("a rotation");
    let mut writer_after = scene.append("app.log");
    append(&mut writer_after);
    let snapshot = scene.snapshot(&puller, "app.log").await;
    let identities: Vec<_> = snapshot
        .generations
        .iter()
        .map(|generation| generation.identity)
        .collect();
    assert_eq!((identities.len(), identities[1]), (2, old.generation.identity));
    let mut new = Pulled {
        generation: snapshot.generations[0].clone(),
        bytes: Vec::new(),
    };
    for _ in 0..30 {
        append(&mut writer);
        let length = append(&mut writer_after);
        old.pull(&mut puller, length).await;
        new.pull(&mut puller, length).await;
    }
    for (name, pulled) in [("app.log.1", &mut old), ("app.log", &mut new)] {
        let bytes = fs::read(scene.path(name)).expect("it is there");
        pulled.pull(&mut puller, bytes.len() as u64).await;
        assert!(pulled.bytes == bytes, "{name} differs from what was pulled");
    }
}

#[tokio::test]
async fn a_changed_file_is_said_to_be_changed() {
    let scene = Scene::new();
    let mut puller = scene.puller();
    scene.write("app.log", b"2026-11-23 07:31:00 one\n2026-11-23 07:31:01 two\n");
    let generation = scene.snapshot(&puller, "app.log").await.generations.remove(0);
    let (bytes, head, end) = puller.bytes(&whole(&generation, 1000)).await;
    let sending = RangeHead::Sending {
        path: generation.path.clone(),
        size: 48,
        mtime_ns: generation.mtime_ns,
    };
    assert_eq!((bytes.len(), head, end.sent, end.size_after), (48, sending, 48, 48));
    let moved = RangeRequest {
        tail: Some(TailHash { offset: 24, hash: 1 }),
        offset: 24,
        ..whole(&generation, 24)
    };
    let (bytes, head, end) = puller.bytes(&moved).await;
    assert_eq!((bytes.len(), head), (0, RangeHead::NothingToSend));
    assert!(matches!(end.outcome, RangeOutcome::ChangedBefore(_)), "{end:?}");
    fs::remove_file(&generation.path).expect("it is there");
    assert_eq!(puller.bytes(&whole(&generation, 1)).await.2.outcome, RangeOutcome::Gone);
}

mod find {
    //! Counting from where a search landed, held against counting the whole file.

    use super::*;
    use logline::order::Following;
    use logline::records::{RecordReader, Stamps, Start};
    use logline::stamp::{Detection, Profile, ProfileReader, SAMPLE_BYTES, Zone, learn};
    use map::engine::{Counter, Input, Labels};
    use map::partial::Partial;
    use map::plan::Plan;

    const LATENESS_NS: i64 = 10_000_000_000;
    const ROME: &str = "Europe/Rome";

    struct At(ProfileReader);

    impl Stamps for At {
        fn read(&mut self, line: &[u8], offset: u64) -> Option<i64> {
            self.0.read_at(line, offset)
        }
    }

    /// About 12 MiB of lines, ten a second, up to 8 s out of order, some late or wild, some of several lines.
    fn log() -> Vec<u8> {
        let mut numbers = Numbers::new(5);
        let zone = jiff::tz::TimeZone::get(ROME).expect("a zone");
        let mut bytes = Vec::new();
        for number in 0..120_000_i64 {
            let back_s = match numbers.below(1000) {
                0 => 3600 * 30,
                1 => -3600 * 5,
                2..10 => 40,
                _ => numbers.below(9) as i64,
            };
            let at = jiff::Timestamp::from_second(1_792_800_000 + number / 10 - back_s).expect("a time");
            let local = zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string();
            let (op, cost) = (
                ["pay", "refund", "void"][numbers.below(3) as usize],
                numbers.below(1000),
            );
            writeln!(
                bytes,
                "{local}|op={op}|cost={cost}|{}",
                "x".repeat(numbers.below(120) as usize)
            )
            .expect("memory");
            if numbers.below(50) == 0 {
                bytes.extend_from_slice(b"  at some.Frame\n  at 2026-01-01 00:00:00 another\n");
            }
        }
        bytes
    }

    fn count(plan: &Plan, profile: &Profile, (start, offset): (Start, u64), bytes: &[u8]) -> Partial {
        let monitor_rule = configs::parse_mql(QUESTION).expect("a query").parse;
        let input = Input {
            labels: Labels::default(),
            lateness_ns: LATENESS_NS,
            rule: monitor_rule,
            form: logline::text::Form::default(),
            generation: 0,
        };
        let stamps = At(ProfileReader::new(profile, Zone::parse(ROME).expect("a zone")));
        let mut reader = RecordReader::new(stamps, start, offset);
        let mut counter = Counter::new(plan, input, None).expect("the rule has the fields");
        reader.push(bytes);
        reader.finish();
        counter.take(&mut reader, Following::None, u64::MAX);
        counter.finish()
    }

    const QUESTION: &str = "select count(), sum(cost), max(cost) parse kv('|', '=') group by op every 5s lateness 10s";

    #[tokio::test]
    async fn counting_from_a_landing_equals_counting_the_whole_file() {
        let scene = Scene::new();
        let bytes = log();
        scene.write("app.log", &bytes);
        let mut puller = scene.puller();
        let generation = scene.snapshot(&puller, "app.log").await.generations.remove(0);
        let Detection::Stamped(detected) = learn(&bytes[..SAMPLE_BYTES]) else {
            panic!("no stamps found");
        };
        let plan = Plan::new(&configs::parse_mql(QUESTION).expect("a query")).expect("a plan");
        let all = count(&plan, &detected.profile, (Start::FileStart, 0), &bytes);
        let mut skipped_bytes = 0;
        for second in [10, 700, 5_000, 8_000, 11_000, 11_990] {
            let start_ns = (1_792_800_000 + second) / 5 * 5 * 1_000_000_000;
            let request = FindRequest {
                path: generation.path.clone(),
                identity: generation.identity,
                start_ns,
                lateness_ns: LATENESS_NS,
                hint: None,
                profile: StampProfile::new(&detected.profile, StampZone::Named(ROME.to_owned())),
            };
            let found = puller.ask(RequestBody::Find(request)).await;
            let Ok(Answer::Find(FindAnswer::Found { landing, size })) = found else {
                panic!("{found:?}");
            };
            assert_eq!(size, bytes.len() as u64);
            assert_eq!(landing.offset == 0, landing.proof == StartProof::Beginning);
            skipped_bytes += landing.offset;
            // A reader that lands wants the byte before the place, to see that a line begins there.
            let (start, from) = match landing.offset {
                0 => (Start::FileStart, 0),
                offset => (Start::Landing, offset - 1),
            };
            let request = RangeRequest {
                offset: from,
                ..whole(&generation, size - from)
            };
            let (read, _, end) = puller.bytes(&request).await;
            assert_eq!((end.outcome, end.sent), (RangeOutcome::Unchanged, size - from));
            let part = count(&plan, &detected.profile, (start, from), &read);
            let from_start = |partial: &Partial| {
                let windows = partial.windows.iter().filter(|(window, _)| **window >= start_ns);
                windows
                    .map(|(start, window)| (*start, window.clone()))
                    .collect::<Vec<_>>()
            };
            let (expected, counted) = (from_start(&all), from_start(&part));
            assert!(!expected.is_empty());
            assert!(
                expected == counted,
                "windows from {second} s on differ after {landing:?}"
            );
        }
        assert!(
            skipped_bytes > 2 * bytes.len() as u64,
            "the search saved next to nothing"
        );
    }
}

#[tokio::test]
async fn only_those_who_may_ask_are_answered() {
    let token = "a token of some length";
    let scene = Scene::with(&format!("token: {token}"));
    let as_role = |role: &str, token: &str| Puller::new(dialling(&scene.agent.address, role, token));
    let refused = async |puller: &Puller| {
        let is_refused = |state: &ClientState| matches!(state, ClientState::Disconnected { .. });
        match puller.messages.wait_for_state(is_refused).await {
            ClientState::Disconnected { why, .. } => why,
            other => panic!("{other:?}"),
        }
    };
    let why = refused(&as_role("map", OPEN_TOKEN)).await;
    assert!(why.contains("tokens differ"), "{why}");
    let stranger_may_not = as_role("map", OPEN_TOKEN).fetch(&stranger("/x"), |_| {}).await;
    assert!(
        matches!(stranger_may_not, Err(BulkError::Connect(_))),
        "{stranger_may_not:?}"
    );
    let why = refused(&as_role("brain", token)).await;
    assert!(why.contains("brain"), "{why}");
    // What people browse goes by a Map as well.
    let why = refused(&as_role("console", token)).await;
    assert!(why.contains("console"), "{why}");
    let fetched = as_role("console", token)
        .fetch(&stranger(&scene.path("x")), |_| {})
        .await;
    assert!(matches!(fetched, Err(BulkError::Connect(_))), "{fetched:?}");
    let mapped = as_role("map", token).ask(RequestBody::System).await;
    assert!(matches!(mapped, Ok(Answer::System(_))), "{mapped:?}");
}

#[tokio::test]
async fn a_peer_pulls_no_more_at_a_time_than_it_may() {
    let scene = Scene::with("limits: { pulls_per_peer: 1 }");
    let length = 64 << 20;
    scene.append("app.log").set_len(length).expect("it can grow");
    let (mut one, mut other) = (scene.puller(), scene.puller());
    let generation = scene.snapshot(&one, "app.log").await.generations.remove(0);
    let request = whole(&generation, length);
    // It isn't read on: what the sockets hold is far less than the range.
    let under_way = one.bulk.fetch(&request, PATIENCE).await.expect("it is served");
    let refused = other.fetch(&request, |_| {}).await;
    assert!(
        matches!(refused, Err(BulkError::Refused(Declined::Busy))),
        "{refused:?}"
    );
    drop(under_way);
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    let served = loop {
        match other.fetch(&request, |_| {}).await {
            Err(BulkError::Refused(Declined::Busy)) => assert!(!clock.has_passed(deadline), "its turn is lost"),
            served => break served,
        }
    };
    assert_eq!(served.expect("it is served").1.sent, length);
}

#[tokio::test]
async fn a_killed_agent_comes_back_and_the_pull_goes_on() {
    let mut scene = Scene::new();
    let mut puller = scene.puller();
    scene.write("app.log", b"2026-11-23 07:31:00 one\n");
    let generation = scene.snapshot(&puller, "app.log").await.generations.remove(0);
    let mut pulled = Pulled {
        generation,
        bytes: Vec::new(),
    };
    pulled.pull(&mut puller, 1000).await;
    scene.agent.signal(Signal::SIGKILL);
    assert!(!scene.agent.ended().await.success());
    let is_lost = |state: &ClientState| matches!(state, ClientState::Disconnected { .. });
    puller.messages.wait_for_state(is_lost).await;
    scene
        .append("app.log")
        .write_all(b"2026-11-23 07:31:01 two\n")
        .expect("it can be written");
    let address = scene.agent.address.clone();
    scene.agent = AgentProcess::start(scene.folder.path(), &config(&address, &scene.logs, ""));
    let snapshot = scene.snapshot(&puller, "app.log").await;
    assert_eq!((snapshot.generations.len(), snapshot.generations[0].size), (1, 48));
    pulled.pull(&mut puller, 1000).await;
    assert_eq!(pulled.bytes, fs::read(scene.path("app.log")).expect("it is there"));
}

#[tokio::test]
async fn a_signal_ends_it_cleanly() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut scene = Scene::new();
        let puller = scene.puller();
        scene.snapshot(&puller, "*.log").await;
        scene.agent.signal(signal);
        assert_eq!(scene.agent.ended().await.code(), Some(0), "{signal}");
    }
}

#[test]
fn a_listener_that_others_reach_needs_a_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("agent.yaml");
    let run = |text: &str| {
        fs::write(&path, text).expect("it can be written");
        let mut command = std::process::Command::new(sunfire_tests::binary::dev());
        let output = command
            .arg("agent")
            .arg("--config")
            .arg(&path)
            .output()
            .expect("it runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, told) = run(&config("0.0.0.0:0", "/var/log", ""));
    assert_eq!(code, Some(78), "{told}");
    assert!(told.contains("agent.yaml:2:9") && told.contains("token_file"), "{told}");
    let missing = folder.path().join("missing");
    let (code, told) = run(&config(
        "0.0.0.0:0",
        "/var/log",
        &format!("token_file: {}", missing.display()),
    ));
    assert!(code == Some(1) && told.contains("missing"), "{told}");
    fs::write(&missing, OPEN_TOKEN).expect("it can be written");
    let (code, told) = run(&config(
        "0.0.0.0:0",
        "/var/log",
        &format!("token_file: {}", missing.display()),
    ));
    assert!(
        code == Some(1) && told.contains("there is neither a token nor a certificate"),
        "{told}"
    );
}

#[tokio::test]
async fn serving_a_large_range_takes_little_memory() {
    const RSS_ANON_KIB_MAX: u64 = 16 << 10;
    let scene = Scene::new();
    let length = 200_000_000;
    scene.append("app.log").set_len(length).expect("it can grow");
    let mut puller = scene.puller();
    let generation = scene.snapshot(&puller, "app.log").await.generations.remove(0);
    let (mut rss_kib_max, mut pieces) = (0, 0_u64);
    let watch = |_: &[u8]| {
        pieces += 1;
        rss_kib_max = rss_kib_max.max(scene.agent.rss_anon_kib());
    };
    let (_, end) = puller
        .fetch(&whole(&generation, length), watch)
        .await
        .expect("it is served");
    assert_eq!((end.outcome, end.sent), (RangeOutcome::Unchanged, length));
    assert!(pieces > 500, "it was looked at too seldom");
    println!("RssAnon at most {rss_kib_max} KiB while a range of {length} bytes was served");
    assert!(rss_kib_max <= RSS_ANON_KIB_MAX, "{rss_kib_max} KiB");
    until(|| (scene.agent.rss_anon_kib() <= RSS_ANON_KIB_MAX).then_some(())).await;
}
