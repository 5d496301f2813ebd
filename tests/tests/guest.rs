//! The agent as a guest on somebody's host: shut in by the kernel, modest, and steady under strangers.

use std::fs;
use std::path::Path;

use agent::confinement::{Confinement, Landlock, Seccomp};
use agent::protocol::{Answer, ListAnswer, ListRequest, RequestBody, SnapshotAnswer, SnapshotRequest, StatusAnswer};
use agent::roots::OpenWay;
use sunfire_tests::agents::{AgentProcess, Puller};
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
        Ok(Answer::Status(StatusAnswer { confinement })) => confinement,
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
    let request = ListRequest {
        path: scene.logs.clone(),
    };
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
