//! A tenant whose monitors cost more than they may together, as its operator and its neighbours see it: the dearest
//! says why it is not counted, its others and another tenant's on the same log are right to the last record, and the
//! limit is set and lifted while all goes on, without a new version of anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use sunfire_tests::binary;
use sunfire_tests::live::api::{get, query, until_stored};
use sunfire_tests::live::steady::{S, Steady, monitor, now_ns, points, settled, state_of, time, troubles, until};
use sunfire_tests::live::up::Up;

/// Records of the two logs each 40 ms: one monitor is to cost many times as much as the other.
const MANY: u64 = 200;
const FEW: u64 = 1;

struct Scene {
    up: Up,
    config: PathBuf,
    busy: Steady,
    quiet: Steady,
}

impl Scene {
    fn put(&self, name: &str, log: &Steady, tenant: &str) {
        let text = monitor(name, &log.path, &format!("tenant: {tenant}\n"));
        fs::write(self.config.join(format!("{name}.yaml")), text).expect("writes");
    }

    fn limit(&self, cpu_us: u64) {
        let text = format!("kind: tenant\nname: trade\nlimits: {{ cpu: {cpu_us}us/s }}\n");
        fs::write(self.config.join("trade.yaml"), text).expect("writes");
    }

    fn cost_us(&self, name: &str) -> u64 {
        state_of(&self.up.server, name)["cpu_us_per_s"].as_u64().unwrap_or(0)
    }

    fn tenant(&self) -> serde_json::Value {
        let state = get(&self.up.server, "/api/v1/monitors", &[]);
        let tenants = state["data"]["tenants"].as_array().cloned().unwrap_or_default();
        let mut of_it = tenants.into_iter().filter(|tenant| tenant["name"] == "trade");
        of_it.next().unwrap_or_default()
    }

    /// That a monitor is complete, and right, in a range.
    #[track_caller]
    fn is_exact(&self, name: &str, log: &Steady, from_ns: i64, to_ns: i64) {
        let counted = until(|| settled(&self.up.server, name, from_ns, to_ns));
        assert_eq!(counted, log.written(from_ns, to_ns), "{name}");
        assert_eq!(counted.len() as i64, (to_ns - from_ns) / S, "{name}");
        assert_eq!(troubles(&self.up.server, name), Vec::<String>::new());
    }
}

#[test]
fn a_tenant_over_its_budget_loses_its_dearest_monitor_and_nobody_else_does() {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().canonicalize().expect("it is there");
    let config = folder.join("config");
    fs::create_dir_all(&config).expect("a folder");
    let scene = Scene {
        up: Up::start(&binary::dev(), &folder, &["--config", "config", "--data", "data"]),
        config,
        busy: Steady::new(folder.join("busy.log")),
        quiet: Steady::new(folder.join("quiet.log")),
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| scene.busy.write(MANY, &is_over));
        scope.spawn(|| scene.quiet.write(FEW, &is_over));
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(&scene)));
        is_over.store(true, Ordering::Relaxed);
        watched.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn watch(scene: &Scene) {
    let server = &scene.up.server;
    scene.put("dear", &scene.busy, "trade");
    scene.put("thin", &scene.quiet, "trade");
    scene.put("other", &scene.busy, "search");
    ["dear", "thin", "other"]
        .iter()
        .for_each(|name| until_stored(server, name));
    let version = state_of(server, "dear")["version"].clone();
    // A tenant without a document is measured, too.
    let (dear_us, thin_us) = until(|| match (scene.cost_us("dear"), scene.cost_us("thin")) {
        (dear, thin) if thin > 0 && dear > 4 * thin && scene.tenant()["cpu_us_per_s"].as_u64() > Some(dear / 2) => {
            Ok((dear, thin))
        }
        costs => Err(format!("{costs:?} {}", scene.tenant())),
    });
    scene.limit(dear_us.midpoint(thin_us).midpoint(thin_us));
    let why = until(|| {
        let troubles = troubles(server, "dear");
        let begun = "suspended for the cost of its tenant `trade`: its monitors took ";
        let found = troubles.iter().find(|text| text.contains(begun));
        found.cloned().ok_or_else(|| format!("{troubles:?} {}", scene.tenant()))
    });
    assert!(why.ends_with("; it is tried again after 5 min"), "{why}");
    let (from_ns, to_ns) = (now_ns() / S * S + S, now_ns() / S * S + 4 * S);
    let left_out = until(|| settled(server, "dear", from_ns, to_ns));
    assert_eq!(left_out, BTreeMap::new(), "no window is called complete");
    for point in points(server, "dear", from_ns, to_ns) {
        assert_eq!(point.missing.get("over_budget"), Some(&1), "{point:?}");
    }
    // Its neighbours are right all along, from before the limit on.
    scene.is_exact("thin", &scene.quiet, from_ns - 30 * S, to_ns);
    scene.is_exact("other", &scene.busy, from_ns - 30 * S, to_ns);
    is_shown(scene);
    lifted(scene, &version);
}

/// Wherever monitors' costs are shown.
fn is_shown(scene: &Scene) {
    let server = &scene.up.server;
    let tenant = scene.tenant();
    assert_eq!(
        (&tenant["monitors"], &tenant["suspended"]),
        (&2.into(), &1.into()),
        "{tenant}"
    );
    let status = Command::new(binary::dev())
        .args(["status", "--server", server])
        .output()
        .expect("it runs");
    let shown = String::from_utf8_lossy(&status.stdout).into_owned();
    let is_of_it = |line: &&str| line.starts_with("trade ") && line.trim_end().ends_with(" 1");
    assert!(shown.lines().any(|line| is_of_it(&line)), "{shown}");
    let metrics = ureq::get(format!("{server}/metrics")).call().expect("an answer");
    let metrics = metrics.into_body().read_to_string().expect("a text");
    assert!(
        metrics.contains("sunfire_tenant_monitors_suspended{tenant=\"trade\"} 1"),
        "{metrics}"
    );
}

/// A higher limit takes effect at once, for the version that there is.
fn lifted(scene: &Scene, version: &serde_json::Value) {
    let server = &scene.up.server;
    scene.limit(60_000_000);
    let from_ns = until(|| {
        let points = query(server, "select records from dear since 5s");
        let counted = points.iter().find(|point| point.percent == Some(100));
        counted
            .map(|point| point.window_ns)
            .ok_or_else(|| format!("{points:?}"))
    });
    assert_eq!(state_of(server, "dear")["version"], *version, "{}", time(from_ns));
    until(|| match troubles(server, "dear").as_slice() {
        [] => Ok(()),
        troubles => Err(format!("{troubles:?}")),
    });
    scene.is_exact("dear", &scene.busy, from_ns, from_ns + 3 * S);
}
