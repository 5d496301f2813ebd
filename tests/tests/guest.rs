//! The agent as a guest on somebody's host: shut in by the kernel, modest, and steady under strangers.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use agent::confinement::{Confinement, IoClass, Landlock, Seccomp};
use agent::profile::{StampProfile, StampZone};
use agent::protocol::{
    Answer, Content, FindAnswer, FindRequest, Generation, ListAnswer, ListRequest, PREVIEW_BYTES_MAX, PreviewFrom,
    PreviewRequest, RangeRequest, RequestBody, SnapshotAnswer, SnapshotRequest,
};
use agent::roots::OpenWay;
use lika::seam::Clock;
use sunfire_tests::agents::{AgentProcess, PATIENCE, Puller, until};
use sunfire_tests::skip::skipped;

struct Scene {
    folder: tempfile::TempDir,
    logs: String,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().canonicalize().expect("it is there");
        fs::create_dir(base.join("logs")).expect("a folder");
        fs::write(base.join("logs/app.log"), "2026-11-23 07:31:00 one\n").expect("a file");
        let logs = base.join("logs").to_str().expect("UTF-8").to_owned();
        Scene { folder, logs }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self, more: &str) -> String {
        format!(
            "role: agent\nlisten: 127.0.0.1:0\nhost: h1\nroots: [{}]\n{more}\n",
            self.logs
        )
    }

    fn start(&self, more: &str) -> AgentProcess {
        AgentProcess::start(self.path(), &self.config(more))
    }

    async fn snapshot(&self, puller: &Puller) -> SnapshotAnswer {
        let request = SnapshotRequest {
            pattern: format!("{}/app.log", self.logs),
            dates_from_ns: 0,
            known: Vec::new(),
        };
        match puller.ask(RequestBody::Snapshot(request)).await {
            Ok(Answer::Snapshot(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }
}

async fn confinement(puller: &Puller) -> Confinement {
    match puller.ask(RequestBody::Status).await {
        Ok(Answer::Status(status)) => status.confinement,
        other => panic!("{other:?}"),
    }
}

/// What the kernel says of a process, by the name of the line.
fn of_process(agent: &AgentProcess, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.expect("the kernel says it").trim().to_owned()
}

#[tokio::test]
async fn what_is_in_force_is_in_the_status_in_the_log_and_in_the_kernel() {
    let scene = Scene::new();
    let agent = scene.start("");
    let puller = Puller::open(&agent.address);
    let told = confinement(&puller).await;
    assert_eq!(
        agent
            .says("confinement:")
            .split_once("confinement: ")
            .expect("its line")
            .1,
        told.to_string()
    );
    assert_eq!(of_process(&agent, "NoNewPrivs:"), "1");
    assert_eq!(of_process(&agent, "Seccomp:") == "2", told.seccomp == Seccomp::InForce);
    assert_eq!(
        of_process(&agent, "Uid:").split('\t').nth(1),
        Some(told.user_id.to_string().as_str())
    );
    let capabilities = match told.capabilities.as_slice() {
        [] => "0000000000000000",
        _ => "0000000000000004",
    };
    assert_eq!(of_process(&agent, "CapEff:"), capabilities);
    // What it is made for goes on.
    let snapshot = scene.snapshot(&puller).await;
    assert_eq!((snapshot.generations.len(), snapshot.problems.len()), (1, 0));
    let system = puller.ask(RequestBody::System).await;
    assert!(matches!(&system, Ok(Answer::System(answer)) if answer.texts.iter().all(|(_, text)| text.is_ok())));
    if let Some(missing) = told.missing() {
        skipped(
            "what_is_in_force_is_in_the_status_in_the_log_and_in_the_kernel",
            &missing,
        );
    }
}

/// What `ionice` says of each thread of a process: `/proc` does not say it. `None` where there is no `ionice`.
fn io_classes(agent: &AgentProcess) -> Option<Vec<String>> {
    let threads = fs::read_dir(format!("/proc/{}/task", agent.id())).expect("it runs");
    let ask = |thread: std::io::Result<fs::DirEntry>| {
        let thread = thread.expect("it runs").file_name();
        let said = std::process::Command::new("ionice")
            .arg("-p")
            .arg(thread)
            .output()
            .ok()?;
        Some(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    threads.map(ask).collect()
}

/// The nineteenth field of `/proc/PID/stat`.
fn niceness(agent: &AgentProcess) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", agent.id())).expect("it runs");
    let (_, fields) = stat.rsplit_once(") ").expect("the name ends");
    let nice = fields.split(' ').nth(16).expect("the kernel says it");
    nice.parse().expect("a number")
}

#[tokio::test]
async fn a_polite_agent_stands_back_for_processor_and_disk() {
    let test = "a_polite_agent_stands_back_for_processor_and_disk";
    for (manners, nice, io) in [("polite", Some(19), Some(IoClass::Idle)), ("normal", None, None)] {
        let scene = Scene::new();
        let agent = scene.start(&format!("manners: {manners}"));
        let puller = Puller::open(&agent.address);
        // Threads for file work come with the first question.
        scene.snapshot(&puller).await;
        let told = confinement(&puller).await;
        assert_eq!(told.nice, niceness(&agent));
        assert_eq!((told.nice, told.io), (nice.unwrap_or(told.nice), io.unwrap_or(told.io)));
        assert!(
            agent
                .says("confinement:")
                .ends_with(&format!("nice {}, I/O {}", told.nice, told.io.name()))
        );
        let Some(classes) = io_classes(&agent) else {
            return skipped(test, "there is no ionice (util-linux)");
        };
        let is_idle = |class: &String| class == "idle";
        assert!(!classes.is_empty());
        match told.io {
            IoClass::Idle => assert!(classes.iter().all(is_idle), "{classes:?}"),
            _ => assert!(!classes.iter().any(is_idle), "{classes:?}"),
        }
        // Who asks here may be idle himself, and a child is then as well.
        let own = std::process::Command::new("ionice").output().expect("it is there");
        let is_own_idle = own.stdout.starts_with(b"idle");
        assert!(
            manners == "polite" || is_own_idle == (told.io == IoClass::Idle),
            "{told}"
        );
    }
}

#[tokio::test]
async fn off_is_said_as_well() {
    let scene = Scene::new();
    let agent = scene.start("sandbox: off\nmanners: normal");
    let told = confinement(&Puller::open(&agent.address)).await;
    assert_eq!((told.landlock, told.seccomp), (Landlock::Off, Seccomp::Off));
    assert_eq!(of_process(&agent, "Seccomp:"), "0");
}

#[tokio::test]
async fn root_steps_down_to_the_user_of_its_file() {
    let test = "root_steps_down_to_the_user_of_its_file";
    if !nix::unistd::geteuid().is_root() {
        return skipped(test, "only root can become another user");
    }
    let scene = Scene::new();
    let log = format!("{}/app.log", scene.logs);
    fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
    let agent = scene.start("user: nobody");
    let puller = Puller::open(&agent.address);
    let told = confinement(&puller).await;
    let nobody = nix::unistd::User::from_name("nobody")
        .expect("it can be asked")
        .expect("it is there");
    let uid = nobody.uid.as_raw().to_string();
    assert_eq!(
        of_process(&agent, "Uid:").split('\t').collect::<Vec<_>>(),
        [uid.as_str(); 4]
    );
    assert_eq!(told.user_id, nobody.uid.as_raw());
    assert_eq!(told.capabilities, ["dac_read_search"]);
    let snapshot = scene.snapshot(&puller).await;
    assert_eq!(
        (snapshot.generations.len(), snapshot.problems.len()),
        (1, 0),
        "{snapshot:?}"
    );
}

/// A sandbox holds for a folder, not for its name: one that is made anew is shut out until the agent starts again.
#[tokio::test]
async fn a_root_that_is_made_anew_is_said_and_ends_a_supervised_agent() {
    let scene = Scene::new();
    let supervised = [(agent::process::SUPERVISED, "1")];
    let mut ending = AgentProcess::start_with(scene.path(), &scene.config(""), &supervised);
    let staying = scene.start("");
    let (puller, other) = (Puller::open(&ending.address), Puller::open(&staying.address));
    let told = confinement(&puller).await;
    if !matches!(told.landlock, Landlock::InForce { .. }) {
        let test = "a_root_that_is_made_anew_is_said_and_ends_a_supervised_agent";
        return skipped(test, "this kernel has no Landlock");
    }
    assert_eq!(scene.snapshot(&puller).await.generations.len(), 1);
    fs::rename(&scene.logs, format!("{}.old", scene.logs)).expect("it is ours");
    fs::create_dir(&scene.logs).expect("it is ours");
    fs::write(format!("{}/app.log", scene.logs), "2026-11-23 07:31:00 one\n").expect("a file");
    let request = ListRequest::of(scene.logs.clone());
    let snapshot = scene.snapshot(&other).await;
    assert!(
        !snapshot.problems.is_empty(),
        "a host whose logs are shut out is no host without logs: {snapshot:?}"
    );
    let listed = other.ask(RequestBody::List(request)).await;
    assert!(matches!(listed, Ok(Answer::List(ListAnswer::Refused(_)))), "{listed:?}");
    staying.says("is another folder than at the start");
    assert_eq!(confinement(&other).await.open_way, OpenWay::OpenAt2);
    let request = SnapshotRequest {
        pattern: format!("{}/app.log", scene.logs),
        dates_from_ns: 0,
        known: Vec::new(),
    };
    let _answered_or_gone = puller.ask(RequestBody::Snapshot(request)).await;
    assert!(
        !ending.ended().await.success(),
        "who starts it again looks for a failure"
    );
    let again = AgentProcess::start_with(scene.path(), &scene.config(""), &supervised);
    let puller = Puller::open(&again.address);
    assert_eq!(scene.snapshot(&puller).await.generations.len(), 1);
}

/// A thousand connections that begin a handshake and never end it; those that the agent closes are dialled anew.
struct Strangers {
    over: Arc<AtomicBool>,
    dialled: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

const STRANGERS: usize = 1000;

impl Strangers {
    fn come(address: &str) -> Strangers {
        let (over, dialled) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let thread = std::thread::spawn({
            let (address, over, dialled) = (address.to_owned(), Arc::clone(&over), Arc::clone(&dialled));
            move || {
                let mut streams: Vec<Option<TcpStream>> = (0..STRANGERS).map(|_| None).collect();
                while !over.load(Ordering::Relaxed) {
                    for stream in &mut streams {
                        let alive = stream.as_mut().is_some_and(|stream| stream.write_all(b"l").is_ok());
                        if !alive {
                            *stream = TcpStream::connect(&address).ok();
                            dialled.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            }
        });
        let thread = Some(thread);
        Strangers { over, dialled, thread }
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

fn whole(generation: &Generation) -> RangeRequest {
    let Content::Readable { fingerprint, .. } = generation.content else {
        panic!("{generation:?}");
    };
    RangeRequest {
        path: generation.path.clone(),
        identity: generation.identity,
        fingerprint,
        tail: None,
        offset: 0,
        length: generation.size,
    }
}

#[tokio::test]
async fn a_thousand_dawdling_strangers_keep_no_map_from_its_pull() {
    let files = nix::sys::resource::Resource::RLIMIT_NOFILE;
    let (_, most) = nix::sys::resource::getrlimit(files).expect("it can be asked");
    nix::sys::resource::setrlimit(files, most, most).expect("up to the hard limit it may");
    if most < 2 * STRANGERS as u64 {
        let test = "a_thousand_dawdling_strangers_keep_no_map_from_its_pull";
        return skipped(test, "too few open files are allowed here: raise `ulimit -Hn`");
    }
    let scene = Scene::new();
    let agent = scene.start("");
    let strangers = Strangers::come(&agent.address);
    until(|| (strangers.dialled.load(Ordering::Relaxed) >= STRANGERS).then_some(())).await;
    // The pull of a Map that comes while they are there; a fetch that they cut off is made again, as Maps do.
    let mut puller = Puller::open(&agent.address);
    let generation = scene.snapshot(&puller).await.generations.remove(0);
    let clock = Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    let bytes = loop {
        let mut bytes = Vec::new();
        match puller
            .fetch(&whole(&generation), |piece| bytes.extend_from_slice(piece))
            .await
        {
            Ok(_) => break bytes,
            Err(error) => assert!(!clock.has_passed(deadline), "{error}"),
        }
    };
    assert_eq!(bytes, fs::read(&generation.path).expect("it is there"));
    assert!(agent.rss_anon_kib() <= RSS_ANON_KIB_MAX, "{} KiB", agent.rss_anon_kib());
}

/// What an agent may have allocated, whatever it is asked.
const RSS_ANON_KIB_MAX: u64 = 16 << 10;

/// A log of some megabytes, and five hundred small ones that were rotated; gives the text of the first.
fn many_generations(scene: &Scene) -> String {
    let mut line = String::new();
    for second in 0..200_000 {
        let at = jiff::Timestamp::from_second(1_792_800_000 + second).expect("a time");
        line.push_str(&format!("{} some text of a line\n", at.strftime("%Y-%m-%d %H:%M:%S")));
    }
    fs::write(format!("{}/app.log", scene.logs), &line).expect("a file");
    for number in 0..500 {
        fs::write(
            format!("{}/app.log.{number}", scene.logs),
            &line[number * 40..number * 40 + 4000],
        )
        .expect("a file");
    }
    line
}

#[tokio::test]
async fn a_mix_of_requests_takes_little_memory() {
    let scene = Scene::new();
    let line = many_generations(&scene);
    let agent = scene.start("");
    let mut pullers: Vec<Puller> = (0..4).map(|_| Puller::open(&agent.address)).collect();
    let generations = scene.snapshot(&pullers[0]).await.generations;
    assert!(generations.len() > 400, "{}", generations.len());
    let live = generations
        .into_iter()
        .find(|generation| generation.size == line.len() as u64)
        .expect("it is there");
    let logline::stamp::Detection::Stamped(detected) = logline::stamp::learn(&line.as_bytes()[..4096]) else {
        panic!("no stamps found");
    };
    let mut rss_kib_max = 0;
    for round in 0..30 {
        let find = FindRequest {
            path: live.path.clone(),
            identity: live.identity,
            start_ns: (1_792_800_000 + round * 5000) * 1_000_000_000,
            lateness_ns: 0,
            hint: None,
            profile: StampProfile::new(&detected.profile, StampZone::Named("UTC".to_owned())),
        };
        let list = ListRequest::of(scene.logs.clone());
        let preview = PreviewRequest {
            path: format!("{}/app.log", scene.logs),
            identity: None,
            from: PreviewFrom::End,
            length: PREVIEW_BYTES_MAX,
        };
        let request = whole(&live);
        let [one, two, three, four] = &mut pullers[..] else {
            panic!("four")
        };
        let (answers, fetched) = tokio::join!(
            async {
                tokio::join!(
                    scene.snapshot(one),
                    two.ask(RequestBody::Find(find)),
                    three.ask(RequestBody::System),
                    two.ask(RequestBody::List(list)),
                    one.ask(RequestBody::Status),
                    one.ask(RequestBody::Preview(preview)),
                )
            },
            four.fetch(&request, |_| {}),
        );
        assert!(
            matches!(answers.1, Ok(Answer::Find(FindAnswer::Found { .. }))),
            "{:?}",
            answers.1
        );
        assert!(matches!(answers.2, Ok(Answer::System(_))) && answers.3.is_ok() && answers.4.is_ok());
        assert_eq!(fetched.expect("it is served").1.sent, live.size);
        rss_kib_max = rss_kib_max.max(agent.rss_anon_kib());
    }
    println!("RssAnon at most {rss_kib_max} KiB under a mix of requests");
    assert!(rss_kib_max <= RSS_ANON_KIB_MAX, "{rss_kib_max} KiB");
}

/// A limit is a promise about the least time, which no slow machine can break.
#[tokio::test]
async fn no_more_bytes_a_second_than_allowed() {
    const BYTES_PER_SECOND: u64 = 256 << 10;
    let scene = Scene::new();
    fs::write(
        format!("{}/app.log", scene.logs),
        vec![b'x'; 2 * BYTES_PER_SECOND as usize],
    )
    .expect("a file");
    let agent = scene.start("limits: { bytes: 256KiB/s }");
    let (mut one, mut two) = (Puller::open(&agent.address), Puller::open(&agent.address));
    let generation = scene.snapshot(&one).await.generations.remove(0);
    let clock = Clock::system();
    let began = clock.monotonic();
    let request = whole(&generation);
    let (first, second) = tokio::join!(one.fetch(&request, |_| {}), two.fetch(&request, |_| {}));
    let sent = first.expect("it is served").1.sent + second.expect("it is served").1.sent;
    assert_eq!(sent, 4 * BYTES_PER_SECOND);
    // Both share the limit; the last chunk, of a tenth of a second, does not wait for itself.
    let took = clock.monotonic().since(began);
    assert!(took >= Duration::from_millis(3900), "{took:?}");
}

#[test]
fn the_unit_leaves_little_exposed() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/sunfire-agent.service");
    let mut command = std::process::Command::new("systemd-analyze");
    command.args(["security", "--offline=true"]).arg(&unit);
    let Ok(analyzed) = command.output() else {
        return skipped(
            "the_unit_leaves_little_exposed",
            "systemd-analyze is not here: install systemd",
        );
    };
    let said = String::from_utf8_lossy(&analyzed.stdout).into_owned();
    let Some((_, level)) = said.split_once("exposure level for sunfire-agent.service: ") else {
        let error = String::from_utf8_lossy(&analyzed.stderr).into_owned();
        return skipped(
            "the_unit_leaves_little_exposed",
            &format!("systemd-analyze cannot look at a file: {error}"),
        );
    };
    let level: f64 = level.split(' ').next().unwrap_or_default().parse().expect("a number");
    println!("exposure level {level}");
    assert!(level <= 2.0, "{said}");
}
