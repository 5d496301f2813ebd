//! The example cluster as a user starts it: a process for each role, from the files of `configs/examples/cluster`.

use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::live::api::{Point, query, until_answered, until_stored};

const S: i64 = 1_000_000_000;
const WINDOW_NS: i64 = 5 * S;
/// Longer than a learned delay's least in a young input takes is not waited for: windows at 100 % are exact anyway.
const WITHIN: Duration = Duration::from_secs(60);

/// Requests by window and status.
type Truth = Arc<Mutex<BTreeMap<(i64, &'static str), u64>>>;

fn write(mut logs: Vec<File>, truth: &Truth, stop: &AtomicBool) {
    let clock = lika::seam::Clock::system();
    let mut round = 0u64;
    while !stop.load(Ordering::Relaxed) {
        for log in &mut logs {
            round += 1;
            let status = if round.is_multiple_of(7) { "404" } else { "200" };
            let second_ns = clock.wall().0 / S * S;
            let at = jiff::Timestamp::from_nanosecond(second_ns.into()).expect("a time");
            let time = at.strftime("%d/%b/%Y:%H:%M:%S +0000");
            writeln!(
                log,
                "10.0.0.1 - - [{time}] \"GET /{round} HTTP/1.1\" {status} 123 \"-\" \"-\""
            )
            .expect("written");
            let window_ns = second_ns.div_euclid(WINDOW_NS) * WINDOW_NS;
            *truth.lock().expect("no panic").entry((window_ns, status)).or_default() += 1;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Waits until the windows of a range are all at 100 %.
fn complete(server: &str, range: &std::ops::Range<i64>) -> Vec<Point> {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(WITHIN);
    let text = |ns: i64| jiff::Timestamp::from_nanosecond(ns.into()).expect("a time").to_string();
    let mql = format!(
        "select * from shop_access from {} to {}",
        text(range.start),
        text(range.end)
    );
    loop {
        let points = query(server, &mql);
        let windows: BTreeMap<i64, Option<u64>> = points.iter().map(|point| (point.window_ns, point.percent)).collect();
        let expected = usize::try_from((range.end - range.start) / WINDOW_NS).expect("a count");
        let is_closed = points.iter().all(|point| point.state != "open");
        if windows.len() == expected && is_closed && windows.values().all(|percent| *percent == Some(100)) {
            return points;
        }
        assert!(!clock.has_passed(deadline), "{windows:?}");
        std::thread::park_timeout(Duration::from_millis(300));
    }
}

#[test]
fn the_example_cluster_runs_a_process_for_each_role_and_survives_one_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let mut cluster = Cluster::prepare(&binary::dev(), &base);
    let hosts = cluster.of_role("agent");
    let of = |role: &str| cluster.of_role(role).len();
    assert_eq!(
        (hosts.len(), of("map"), of("reduce"), of("brain"), of("console")),
        (10, 3, 2, 1, 1)
    );
    let open = |host: &String| File::create(cluster.host_folder(host).join("access.log")).expect("a log");
    let logs: Vec<File> = hosts.iter().map(open).collect();
    let (truth, stop) = (Truth::default(), Arc::new(AtomicBool::new(false)));
    let writer = std::thread::spawn({
        let (truth, stop) = (Arc::clone(&truth), Arc::clone(&stop));
        move || write(logs, &truth, &stop)
    });
    cluster.start_all();
    let server = cluster.server();
    until_answered(&server);
    until_stored(&server, "shop_access");
    let clock = lika::seam::Clock::system();
    let from_ns = (clock.wall().0 / WINDOW_NS + 1) * WINDOW_NS;
    std::thread::park_timeout(Duration::from_secs(8));
    cluster.kill("map-2");
    std::thread::park_timeout(Duration::from_secs(4));
    cluster.start("map-2");
    std::thread::park_timeout(Duration::from_secs(6));
    let to_ns = clock.wall().0 / WINDOW_NS * WINDOW_NS;
    let points = complete(&server, &(from_ns..to_ns));
    stop.store(true, Ordering::Relaxed);
    writer.join().expect("no panic");
    for point in &points {
        let status = point.group["status"].as_str().expect("a status");
        let status = ["200", "404"]
            .into_iter()
            .find(|known| *known == status)
            .expect("one that was written");
        let written = truth.lock().expect("no panic")[&(point.window_ns, status)];
        assert_eq!(point.values["requests"], written, "{point:?}");
        assert_eq!(point.values["bytes"], written * 123, "{point:?}");
    }
    assert_eq!(points.len() as i64, (to_ns - from_ns) / WINDOW_NS * 2);
    assert_eq!(cluster.ended(), []);
    for name in cluster.names() {
        assert!(cluster.end(&name).success(), "{name}: {}", cluster.said(&name));
    }
}

/// The process's exit code and what it said on stderr.
fn run(arguments: &[&str], file: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(binary::dev());
    let output = command
        .args(arguments)
        .arg("--config")
        .arg(file)
        .output()
        .expect("the built binary runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_role_says_what_is_wrong_with_its_file_or_its_port() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let mut cluster = Cluster::prepare(&binary::dev(), &base);
    let map = base.join("cluster/map-1.yaml");
    let (code, said) = run(&["reduce"], &map);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("is of the role `map`: run `sunfire map --config"),
        "{said}"
    );
    let broken = base.join("broken.yaml");
    std::fs::write(&broken, "role: map\nnode: map-1\nlisten: 0.0.0.0:7811\ntoken_fiel: x\n").expect("written");
    let (code, said) = run(&["map"], &broken);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("broken.yaml:3:9") && said.contains("did you mean `token_file`?"),
        "{said}"
    );
    cluster.start("map-1");
    let (code, said) = run(&["map"], &map);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("cannot listen at") && said.contains("choose another port"),
        "{said}"
    );
    // One that is paused does not end; continued, it does.
    cluster.signal("map-1", Signal::SIGSTOP);
    cluster.signal("map-1", Signal::SIGCONT);
    assert!(cluster.end("map-1").success());
}
