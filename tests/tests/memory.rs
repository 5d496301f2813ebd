//! More groups than a Map has memory for, with no limit that would have kept them few: the monitor that makes them is
//! suspended and says why, the Map stays within what it was given, and a thin monitor on another log of the same host
//! stays complete and exact.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use sunfire_tests::binary;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::live::api::{until_answered, until_stored};
use sunfire_tests::live::steady::{S, Steady, monitor, now_ns, points, settled, troubles, until, write_wide};

/// What a Map is given: the least that it takes.
const MEMORY: &str = "64MiB";
/// What it may hold of its own: a pull is judged when it is over, and this one brings five seconds of new groups, of
/// which a copy is on its way to the Reduce. Measured were 159 MB beside other builds.
const RSS_ANON_MAX_KB: u64 = 256 << 10;
/// New groups in each burst of 40 ms: some ten thousand a second.
const GROUPS_BURST: u64 = 400;

struct Scene {
    cluster: Cluster,
    server: String,
    thin: Steady,
    rss_anon_max_kb: AtomicU64,
}

impl Scene {
    /// Looks at what the Maps hold.
    fn measure(&self) {
        for map in self.cluster.of_role("map") {
            let pid = self.cluster.pid(&map).expect("it runs");
            let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
            let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
            let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            self.rss_anon_max_kb.fetch_max(kb.expect("a size"), Ordering::Relaxed);
        }
    }
}

#[test]
fn a_monitor_of_more_groups_than_there_is_memory_for_harms_nobody() {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().canonicalize().expect("it is there");
    let mut cluster = Cluster::prepare(&binary::dev(), &folder);
    for map in cluster.of_role("map") {
        let file = folder.join(format!("cluster/{map}.yaml"));
        let text = fs::read_to_string(&file).expect("it was copied");
        fs::write(&file, format!("{text}memory: {MEMORY}\n")).expect("writes");
    }
    // Which ones, the example says; here it is one host.
    let address = format!("127.0.0.1:{}", cluster.port(7901));
    let target = serde_json::json!([{ "targets": [address], "labels": { "host": "web-01" } }]);
    cluster.configure("targets/web.json", &target.to_string());
    let wide = cluster.host_folder("web-01").join("wide.log");
    let thin = Steady::new(cluster.host_folder("web-01").join("thin.log"));
    let app = "kind: app\nname: local\nfile_sd: [targets/*.json]\n";
    let many = monitor(
        "wide",
        &wide,
        "parse: logfmt\ngroup_by: [id]\nlimits: { groups: 100000 }\n",
    )
    .replace(
        "records: count()",
        "records: count()\n  p99: p99(cost)\n  users: distinct(id)",
    )
    .replace("window: 1s", "window: 60s");
    cluster.configure(
        "shop.yaml",
        &format!("{app}---\n{many}---\n{}", monitor("thin", &thin.path, "")),
    );
    cluster.start_all();
    let server = cluster.server();
    let scene = Scene {
        cluster,
        server,
        thin,
        rss_anon_max_kb: AtomicU64::new(0),
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| scene.thin.write(1, &is_over));
        scope.spawn(|| write_wide(&wide, GROUPS_BURST, &is_over));
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(&scene)));
        is_over.store(true, Ordering::Relaxed);
        watched.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn watch(scene: &Scene) {
    let server = &scene.server;
    until_answered(server);
    until_stored(server, "thin");
    let from_ns = now_ns() / S * S + S;
    let why = until(|| {
        scene.measure();
        let troubles = troubles(server, "wide");
        let found = troubles
            .iter()
            .find(|text| text.contains("suspended for its cost: its open windows hold "));
        found.cloned().ok_or_else(|| format!("{troubles:?}"))
    });
    assert!(why.contains(" on this map, which has 32 for them"), "{why}");
    assert!(why.contains("it is tried again after 5 min"), "{why}");
    // What it does not count is said on its points.
    until(|| {
        scene.measure();
        let points = points(server, "wide", from_ns - 120 * S, now_ns());
        let is_left_out = |point: &&_| left_out(point);
        match points.iter().find(is_left_out) {
            Some(_) => Ok(()),
            None => Err(format!("{} points", points.len())),
        }
    });
    let to_ns = now_ns() / S * S;
    let counted = until(|| {
        scene.measure();
        settled(server, "thin", from_ns, to_ns)
    });
    assert_eq!(counted, scene.thin.written(from_ns, to_ns));
    assert_eq!(troubles(server, "thin"), Vec::<String>::new());
    let most_kb = scene.rss_anon_max_kb.load(Ordering::Relaxed);
    eprintln!("{why}; RssAnon at most {most_kb} kB");
    assert!(most_kb < RSS_ANON_MAX_KB, "{most_kb} kB");
}

fn left_out(point: &sunfire_tests::live::api::Point) -> bool {
    point.missing.get("over_budget") == Some(&1)
}
