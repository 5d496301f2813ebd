//! A monitor that costs more than it may, as its operator and its neighbours see it: it says why it is not counted,
//! what was counted before is right, another one on the same log goes on, and a higher limit is all that is needed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use sunfire_tests::binary;
use sunfire_tests::live::api::{Point, query, until_stored};
use sunfire_tests::live::steady::{S, Steady, monitor, now_ns, points, settled, troubles, until};
use sunfire_tests::live::up::Up;

struct Scene {
    up: Up,
    config: PathBuf,
    log: Steady,
}

impl Scene {
    fn put(&self, name: &str, limits: &str) {
        let text = monitor(name, &self.log.path, limits);
        fs::write(self.config.join(format!("{name}.yaml")), text).expect("writes");
    }

    /// From its first windows on, until it is suspended and its neighbour is not.
    fn is_suspended(&self) {
        let server = &self.up.server;
        let why = until(|| {
            let troubles = troubles(server, "dear");
            let found = troubles
                .iter()
                .find(|text| text.contains("suspended for its cost: it took "));
            found.cloned().ok_or_else(|| format!("{troubles:?}"))
        });
        assert!(why.contains("of CPU a second here, its limit is 0.0"), "{why}");
        let (from_ns, to_ns) = (now_ns() / S * S + S, now_ns() / S * S + 4 * S);
        let left_out = until(|| settled(server, "dear", from_ns, to_ns));
        assert_eq!(left_out, BTreeMap::new(), "no window is called complete");
        let states = points(server, "dear", from_ns, to_ns);
        assert!(
            states.iter().all(|point| point.missing.get("over_budget") == Some(&1)),
            "{states:?}"
        );
        let counted = until(|| settled(server, "cheap", from_ns, to_ns));
        assert_eq!(counted, self.log.written(from_ns, to_ns));
        assert_eq!(troubles(server, "cheap"), Vec::<String>::new());
    }
}

#[test]
fn a_monitor_over_its_budget_says_so_and_harms_nobody() {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().canonicalize().expect("it is there");
    let config = folder.join("config");
    fs::create_dir_all(&config).expect("a folder");
    let arguments = ["--config", "config", "--data", "data"];
    let scene = Scene {
        up: Up::start(&binary::dev(), &folder, &arguments),
        config,
        log: Steady::new(folder.join("app.log")),
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| scene.log.write(1, &is_over));
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(&scene)));
        is_over.store(true, Ordering::Relaxed);
        watched.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn watch(scene: &Scene) {
    let server = &scene.up.server;
    scene.put("cheap", "");
    scene.put("dear", "limits: { cpu: 4us/s }\n");
    until_stored(server, "cheap");
    until_stored(server, "dear");
    let first_ns = until(|| {
        let points = query(server, "select records from dear since 30s");
        let is_counted = |point: &&Point| point.percent == Some(100) && point.values["records"].as_u64() > Some(0);
        let first = points.iter().find(is_counted);
        first.map(|point| point.window_ns).ok_or_else(|| format!("{points:?}"))
    });
    scene.is_suspended();
    // What was answered before it was suspended is right, to the last record.
    let before = until(|| settled(server, "dear", first_ns, first_ns + 4 * S));
    assert!(!before.is_empty());
    let written = scene.log.written(first_ns, first_ns + 4 * S);
    assert!(
        before.iter().all(|(start, count)| written.get(start) == Some(count)),
        "{before:?} {written:?}"
    );
    // A higher limit is a new version, which begins at once.
    scene.put("dear", "limits: { cpu: 1s/s }\n");
    let counted = until(|| {
        let now_ns = now_ns() / S * S;
        let counted = settled(server, "dear", now_ns - 8 * S, now_ns - 6 * S)?;
        match counted.len() {
            2 => Ok(counted),
            _ => Err(format!("{counted:?}")),
        }
    });
    assert!(
        counted
            .iter()
            .all(|(start, count)| scene.log.written(*start, start + S).get(start) == Some(count))
    );
    until(|| match troubles(server, "dear").as_slice() {
        [] => Ok(()),
        troubles => Err(format!("{troubles:?}")),
    });
}
