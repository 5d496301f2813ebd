//! A cluster of processes with two Brains whose ConfigDB is in a real etcd: etcd dies and comes back, a leader is
//! killed, another is paused and wakes up. No value is wrong, and every window comes to 100 %.

use lika::seam::Clock;
use nix::sys::signal::Signal;
use std::process::Command;
use std::time::Duration;
use sunfire_tests::agents::PATIENCE;
use sunfire_tests::binary;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::etcd::Etcd;
use sunfire_tests::live::api::{get, try_get, until_answered, until_stored};
use sunfire_tests::shop::{Shop, next_window, this_window};

/// A standby must lead so long after the leader was killed.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(15);
/// Longer than a leader's lease, so that it stops deciding.
const ETCD_IS_GONE: Duration = Duration::from_secs(12);

struct Scene {
    etcd: Etcd,
    cluster: Cluster,
    shop: Shop,
    server: String,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// A cluster that counts, led by `brain-a`, while `brain-b` stands by; `None` where there is no etcd.
    fn set(test: &str, members: usize) -> Option<Scene> {
        let etcd = Etcd::start(test, members)?;
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().canonicalize().expect("it is there");
        let mut cluster = Cluster::prepare(&binary::dev(), &base);
        cluster.led_from(&etcd.endpoints());
        let shop = Shop::open(&cluster);
        let config = cluster.config();
        apply(&etcd, &[config.to_str().expect("UTF-8")]);
        for name in cluster.names() {
            if name != "brain-b" {
                cluster.start(&name);
            }
        }
        cluster.launch("brain-b");
        let server = cluster.server();
        until_answered(&server);
        until_stored(&server, "shop_access");
        let scene = Scene {
            etcd,
            cluster,
            shop,
            server,
            _folder: folder,
        };
        scene.until("the other stands by", PATIENCE, |scene| {
            scene
                .cluster
                .said("brain-b")
                .contains("standing by; brain-a leads, at 127.0.0.1:")
        });
        Some(scene)
    }

    #[track_caller]
    fn until(&self, what: &str, patience: Duration, holds: impl Fn(&Scene) -> bool) -> Duration {
        let clock = Clock::system();
        let (began, deadline) = (clock.monotonic(), clock.deadline_in(patience));
        while !holds(self) {
            let said = ["brain-a", "brain-b"].map(|name| self.cluster.said(name));
            assert!(!clock.has_passed(deadline), "{what}: {said:?}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
        clock.monotonic().since(began)
    }

    /// How often a Brain began to lead.
    fn terms(&self, name: &str) -> usize {
        self.cluster.said(name).matches(": listening on ").count()
    }

    fn epoch(&self) -> u64 {
        let text = self
            .etcd
            .control(&["get", "/sunfire/brain/epoch", "--print-value-only"]);
        text.trim().parse().expect("an epoch")
    }

    fn leader(&self) -> String {
        self.etcd
            .control(&["get", "/sunfire/brain/leader", "--print-value-only"])
    }

    #[track_caller]
    fn check(&self, monitor: &str, from_ns: i64) {
        self.shop.check(&self.server, monitor, &(from_ns..this_window()));
    }
}

/// `sunfire apply`, as a person would.
#[track_caller]
fn apply(etcd: &Etcd, paths: &[&str]) {
    let mut command = Command::new(binary::dev());
    command
        .arg("apply")
        .args(paths)
        .args(["--etcd", &etcd.endpoints().join(",")]);
    let output = command.output().expect("the built binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const SECOND: &str = "kind: monitor\nname: second\napp: shop\nlog: LOGS/${host}/access.log\nparse: nginx\n\
                      group_by: [status]\nselect:\n  requests: count()\n  bytes: sum(body_bytes_sent)\nwindow: 5s\n";

impl Scene {
    /// Applies another monitor of the same logs.
    fn apply_second(&self) {
        let file = self.cluster.config().join("second.txt");
        let logs = self.cluster.hosts_folder();
        let text = SECOND.replace("LOGS", logs.to_str().expect("UTF-8"));
        std::fs::write(&file, text).expect("written");
        apply(&self.etcd, &[file.to_str().expect("UTF-8")]);
    }
}

#[test]
fn counting_goes_on_while_etcd_is_gone_and_what_is_applied_afterwards_counts() {
    let test = "counting_goes_on_while_etcd_is_gone_and_what_is_applied_afterwards_counts";
    let Some(mut scene) = Scene::set(test, 1) else { return };
    let from_ns = next_window();
    scene.etcd.kill(0);
    std::thread::park_timeout(ETCD_IS_GONE);
    // Windows that began and ended while it was gone.
    scene.check("shop_access", from_ns);
    let state = get(&scene.server, "/api/v1/monitors", &[]).to_string();
    assert!(
        state.contains("what was read last stays in force"),
        "people are told: {state}"
    );
    scene.etcd.launch(0);
    scene.etcd.until_healthy();
    scene.apply_second();
    until_stored(&scene.server, "second");
    scene.check("shop_access", from_ns);
    assert_eq!(scene.cluster.ended(), []);
    for name in scene.cluster.names() {
        assert!(
            scene.cluster.end(&name).success(),
            "{name}: {}",
            scene.cluster.said(&name)
        );
    }
}

#[test]
fn a_standby_takes_over_from_a_killed_leader_and_a_paused_one_decides_nothing_when_it_wakes_up() {
    let test = "a_standby_takes_over_from_a_killed_leader_and_a_paused_one_decides_nothing_when_it_wakes_up";
    let Some(mut scene) = Scene::set(test, 1) else { return };
    let from_ns = next_window();
    let first_epoch = scene.epoch();
    scene.cluster.kill("brain-a");
    let after = scene.until("it takes over", TAKEN_OVER_WITHIN, |scene| scene.terms("brain-b") == 1);
    eprintln!("taken over after {after:?}");
    let second_epoch = scene.epoch();
    assert!(second_epoch > first_epoch);
    until_answered(&scene.server);
    scene.apply_second();
    until_stored(&scene.server, "second");
    scene.check("shop_access", from_ns);

    let terms = scene.terms("brain-a");
    scene.cluster.launch("brain-a");
    scene.until("it stands by", PATIENCE, |scene| {
        scene.cluster.said("brain-a").contains("standing by; brain-b leads")
    });
    scene.cluster.signal("brain-b", Signal::SIGSTOP);
    scene.until("it takes over", TAKEN_OVER_WITHIN, |scene| {
        scene.terms("brain-a") == terms + 1
    });
    let answers = || try_get(&scene.server, "/api/v1/monitors", &[], Duration::from_secs(5)).is_some();
    scene.until("the console finds the new leader", PATIENCE, |_| answers());
    let third_epoch = scene.epoch();
    assert!(third_epoch > second_epoch);

    scene.cluster.signal("brain-b", Signal::SIGCONT);
    scene.until("it stands down", PATIENCE, |scene| {
        scene
            .cluster
            .said("brain-b")
            .contains("does not lead any more; standing by")
    });
    assert!(scene.leader().contains("brain-a"), "{}", scene.leader());
    assert_eq!(scene.epoch(), third_epoch, "nobody took an epoch");
    assert_eq!(scene.terms("brain-b"), 1);
    std::thread::park_timeout(Duration::from_secs(6));
    assert_eq!(scene.epoch(), third_epoch);
    scene.check("shop_access", from_ns);
    scene.check("second", next_window() - 2 * sunfire_tests::shop::WINDOW_NS);
    assert_eq!(scene.cluster.ended(), []);
}
