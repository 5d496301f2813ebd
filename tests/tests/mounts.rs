//! Mounts as hosts and containers have them: a log mounted as a single file, and a file system that is mounted anew
//! under another device number. Each agent has a mount namespace of its own, so nothing is left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent::protocol::{
    Answer, Content, Generation, KnownGeneration, KnownVerdict, Refusal, RequestBody, SnapshotAnswer, SnapshotRequest,
};
use sunfire_tests::agents::{AgentProcess, Puller};
use sunfire_tests::binary;
use sunfire_tests::skip::skipped;

const LINE: &str = "2026-11-23 07:31:00 one\n";

/// A folder with `outside` and `logs`, of which the agent may look into the latter.
struct Scene {
    _folder: tempfile::TempDir,
    base: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().canonicalize().expect("it is there");
        for name in ["outside", "logs"] {
            fs::create_dir(base.join(name)).expect("a folder");
        }
        Scene { _folder: folder, base }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// Whether a script succeeds in a mount namespace of its own: what it needs may not be allowed here.
    fn can(&self, script: &str) -> Result<(), String> {
        let said = Command::new("unshare")
            .args(["--mount", "sh", "-ec", script])
            .current_dir(&self.base)
            .output()
            .map_err(|error| format!("there is no `unshare`: {error}"))?;
        match said.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&said.stderr).trim().to_owned()),
        }
    }

    /// An agent in a mount namespace of its own, after a script has mounted something there.
    fn start(&self, script: &str) -> AgentProcess {
        let starter = self.path("start");
        let (base, sunfire) = (self.base.display(), binary::dev());
        let text = format!(
            "#!/bin/sh\nexec unshare --mount sh -ec 'cd {base}; {script}; exec {} \"$@\"' sh \"$@\"\n",
            sunfire.display()
        );
        fs::write(&starter, text).expect("a file");
        fs::set_permissions(&starter, PermissionsExt::from_mode(0o755)).expect("it is ours");
        let yaml = format!("role: agent\nlisten: 127.0.0.1:0\nhost: h1\nroots: [{base}/logs]\n");
        AgentProcess::start_of(&starter, &self.base, &yaml, &[])
    }
}

async fn snapshot(puller: &Puller, path: &Path, known: Vec<KnownGeneration>) -> SnapshotAnswer {
    let request = SnapshotRequest {
        pattern: path.display().to_string(),
        dates_from_ns: 0,
        known,
    };
    match puller.ask(RequestBody::Snapshot(request)).await {
        Ok(Answer::Snapshot(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

fn append(path: &Path, text: &str) {
    let mut all = fs::read(path).unwrap_or_default();
    all.extend_from_slice(text.as_bytes());
    fs::write(path, all).expect("writes");
}

/// What the name shows inside stays with the old file when another one takes its place outside.
#[tokio::test]
async fn a_log_mounted_as_a_single_file_is_never_called_complete() {
    let test = "a_log_mounted_as_a_single_file_is_never_called_complete";
    let scene = Scene::new();
    for name in ["outside/app.log", "logs/app.log", "logs/beside.log"] {
        append(&scene.path(name), LINE);
    }
    let mount = "mount --bind outside/app.log logs/app.log";
    if let Err(why) = scene.can(mount) {
        return skipped(test, &format!("nothing can be mounted here: {why}"));
    }
    let agent = scene.start(mount);
    let puller = Puller::open(&agent.address);
    let log = scene.path("logs/app.log");
    // Before anything is rotated: afterwards nothing can be seen of it.
    let before = snapshot(&puller, &log, Vec::new()).await;
    let refusals: Vec<&Refusal> = before.problems.iter().map(|problem| &problem.refusal).collect();
    assert_eq!(refusals, [&Refusal::MountedAlone], "{before:?}");
    assert!(
        before.problems[0].to_string().contains("mount its folder"),
        "{}",
        before.problems[0]
    );
    // What it holds can be read all the same.
    assert!(
        matches!(before.generations[0].content, Content::Readable { .. }),
        "{before:?}"
    );
    fs::rename(scene.path("outside/app.log"), scene.path("outside/app.log.1")).expect("renames");
    append(&scene.path("outside/app.log"), &LINE.repeat(3));
    let after = snapshot(&puller, &log, Vec::new()).await;
    assert_eq!(
        after.generations[0].size,
        LINE.len() as u64,
        "the mount stays with the old file"
    );
    assert_eq!(after.problems, before.problems);
    // A file beside it is as it should be, and so is all of a folder that is mounted.
    let beside = snapshot(&puller, &scene.path("logs/beside.log"), Vec::new()).await;
    assert_eq!((beside.generations.len(), beside.problems.len()), (1, 0), "{beside:?}");
    let folder = scene.start("mount --bind outside logs");
    let whole = snapshot(&Puller::open(&folder.address), &log, Vec::new()).await;
    assert_eq!((whole.generations.len(), whole.problems.len()), (2, 0), "{whole:?}");
}

fn known(listed: &Generation, read: &str) -> KnownGeneration {
    let Content::Readable { fingerprint, .. } = listed.content else {
        panic!("{listed:?}");
    };
    KnownGeneration {
        path: listed.path.clone(),
        identity: listed.identity,
        fingerprint,
        tail: agent::content::tail_hash_of(read.len() as u64, read.as_bytes()),
    }
}

/// The same file system on another loop device, as after a reboot that found the disks in another order.
#[tokio::test]
async fn a_file_system_mounted_from_another_device_holds_the_same_files() {
    let test = "a_file_system_mounted_from_another_device_holds_the_same_files";
    let scene = Scene::new();
    let make = "truncate -s 4M image other && mkfs.ext4 -q image && mkfs.ext4 -q other";
    let mount =
        "mount -o loop image logs; test -f logs/app.log || printf \"2026-11-23 07:31:00 one\\n\" > logs/app.log";
    if let Err(why) = scene.can(&format!("{make}; {mount}")) {
        return skipped(test, &format!("no file system can be made and mounted here: {why}"));
    }
    let first = scene.start(mount);
    let log = scene.path("logs/app.log");
    let listed = snapshot(&Puller::open(&first.address), &log, Vec::new())
        .await
        .generations
        .remove(0);
    drop(first);
    // The first free loop device is taken by something else meanwhile.
    let again = scene.start("mkdir taken; mount -o loop other taken; mount -o loop image logs");
    let puller = Puller::open(&again.address);
    let answer = snapshot(&puller, &log, vec![known(&listed, LINE)]).await;
    let now = &answer.generations[0];
    assert_ne!(
        now.identity.device, listed.identity.device,
        "another device has the file system"
    );
    assert!(now.identity.is_renumbered(&listed.identity), "{now:?} {listed:?}");
    let verdict = |listed: &Generation| match listed.content {
        Content::Readable { verdict, .. } => verdict,
        _ => panic!("{listed:?}"),
    };
    assert_eq!(verdict(now), KnownVerdict::Same);
    // Who has read something else of it is told.
    let other = "2026-11-23 07:31:00 two\n";
    let answer = snapshot(&puller, &log, vec![known(&listed, other)]).await;
    assert_eq!(verdict(&answer.generations[0]), KnownVerdict::TailDiffers);
}
