//! Maps and Reduces taken out of a running cluster on purpose: `sunfire drain`, and once nothing is left there, the end
//! of the process. Every window before, while, and after is complete and exact; what comes back gets work again.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use sunfire_tests::binary;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::live::api::{get, until_answered, until_stored};
use sunfire_tests::live::steady::{S, Steady, monitor, now_ns, settled, state_of, until};

const HOSTS: u16 = 6;

struct Scene {
    cluster: Cluster,
    server: String,
}

impl Scene {
    fn node(&self, name: &str) -> serde_json::Value {
        let cluster = get(&self.server, "/api/v1/cluster", &[]);
        let nodes = cluster["data"]["nodes"].as_array().cloned().unwrap_or_default();
        let mut of_it = nodes.into_iter().filter(|node| node["node"] == name);
        of_it.next().expect("it is there")
    }

    /// Runs `sunfire drain` on the cluster's folder.
    fn drain(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(binary::dev());
        let output = command
            .arg("drain")
            .args(arguments)
            .arg("--config")
            .arg(self.cluster.config());
        let output = output.output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Drains a node, waits until nothing is left there, and ends it.
    fn take_out(&mut self, node: &str) {
        assert_eq!(
            self.drain(&[node, "--why", "a new kernel"]),
            format!("drain {node} made\n")
        );
        let told = "drained: a new kernel; nothing is left there: it can be stopped";
        until(|| match &self.node(node)["drained"] {
            drained if drained == told => Ok(()),
            drained => Err(drained.to_string()),
        });
        assert_eq!(self.node(node)["life"], "live");
        self.cluster.kill(node);
    }

    /// Starts a node again, and lets it work.
    fn bring_back(&mut self, node: &str) {
        self.cluster.start(node);
        assert_eq!(self.drain(&[node, "--undo"]), format!("drain {node} removed\n"));
        until(|| match &self.node(node)["drained"] {
            serde_json::Value::Null => Ok(()),
            drained => Err(drained.to_string()),
        });
    }

    /// All windows of a range are complete, and what was written.
    fn check(&self, from_ns: i64, to_ns: i64, logs: &[Steady]) {
        let counted = until(|| settled(&self.server, "pay", from_ns, to_ns));
        let mut written: BTreeMap<i64, u64> = BTreeMap::new();
        for (start_ns, records) in logs.iter().flat_map(|log| log.written(from_ns, to_ns)) {
            *written.entry(start_ns).or_default() += records;
        }
        assert_eq!(counted, written);
    }

    /// Maps that count something for the monitor now.
    fn counting(&self) -> Vec<String> {
        let shards = state_of(&self.server, "pay")["shards"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        shards
            .iter()
            .filter_map(|shard| shard["map"].as_str())
            .map(str::to_owned)
            .collect()
    }
}

#[test]
fn nodes_are_taken_out_and_come_back_and_no_window_is_lost() {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().canonicalize().expect("it is there");
    let mut cluster = Cluster::prepare(&binary::dev(), &folder);
    let hosts: Vec<String> = (1..=HOSTS).map(|number| format!("web-{number:02}")).collect();
    let mut targets = Vec::new();
    for (host, port) in hosts.iter().zip(7901..) {
        let address = format!("127.0.0.1:{}", cluster.port(port));
        targets.push(serde_json::json!({ "targets": [address], "labels": { "host": host } }));
    }
    cluster.configure("targets/web.json", &serde_json::Value::from(targets).to_string());
    let log = cluster.hosts_folder().join("${host}/app.log");
    let app = "kind: app\nname: local\nfile_sd: [targets/*.json]\n";
    cluster.configure("shop.yaml", &format!("{app}---\n{}", monitor("pay", &log, "")));
    let logs: Vec<Steady> = hosts
        .iter()
        .map(|host| Steady::new(cluster.host_folder(host).join("app.log")))
        .collect();
    let is_over = AtomicBool::new(false);
    let server = cluster.server();
    let mut scene = Scene { cluster, server };
    std::thread::scope(|scope| {
        for log in &logs {
            scope.spawn(|| log.write(1, &is_over));
        }
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(&mut scene, &logs)));
        is_over.store(true, Ordering::Relaxed);
        watched.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn watch(scene: &mut Scene, logs: &[Steady]) {
    scene.cluster.start_all();
    until_answered(&scene.server);
    until_stored(&scene.server, "pay");
    let from_ns = until(|| match scene.counting().len() {
        0 => Err("nobody counts yet".to_owned()),
        _ => Ok(now_ns() / S * S + 2 * S),
    });
    let map = scene.counting().remove(0);
    scene.take_out(&map);
    assert!(!scene.counting().contains(&map), "{:?}", scene.counting());
    let reduce = state_of(&scene.server, "pay")["reduce"]
        .as_str()
        .expect("one")
        .to_owned();
    scene.take_out(&reduce);
    let other = until(|| match state_of(&scene.server, "pay")["reduce"].as_str() {
        Some(other) if other != reduce => Ok(other.to_owned()),
        other => Err(format!("{other:?}")),
    });
    assert_ne!(other, reduce);
    scene.bring_back(&map);
    scene.bring_back(&reduce);
    until(|| match scene.counting() {
        counting if counting.contains(&map) => Ok(()),
        counting => Err(format!("{counting:?}")),
    });
    until(|| match state_of(&scene.server, "pay")["reduce"].as_str() {
        Some(again) if again == reduce => Ok(()),
        again => Err(format!("{again:?}")),
    });
    let to_ns = now_ns() / S * S + 2 * S;
    scene.check(from_ns, to_ns, logs);
}
