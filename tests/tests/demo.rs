//! `sunfire demo` as a user starts it, its story told faster: charts come, a host that dies is missing and heals, bytes
//! that are gone stay gone, and what is complete is what `sunfire eval` counts.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::live::api::{Point, get, query, until_stored};

/// How much faster the story is told: a host dies after 3 s and is back after 6 s.
const SPEED: &str = "10";
const PATIENCE: Duration = Duration::from_secs(60);

/// The demo; it is killed when this is dropped.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Starts the demo in a folder; gives back its console's address, and what it says further.
fn start(folder: &Path) -> (Demo, String, mpsc::Receiver<String>) {
    let mut command = Command::new(binary::dev());
    command
        .current_dir(folder)
        .args([
            "demo",
            "--no-browser",
            "--listen",
            "127.0.0.1:0",
            "--hosts",
            "12",
            "--story-speed",
            SPEED,
        ])
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the built binary runs");
    let stderr = child.stderr.take().expect("it is piped");
    let (say, said) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _nobody_listens = say.send(line);
        }
    });
    let demo = Demo(child);
    let line = said.recv_timeout(PATIENCE).expect("it says where the page is");
    let (_, page) = line.split_once("the shop is open: ").expect("an address");
    let (server, _) = page.split_once("/?m=").expect("the page opens on a monitor");
    (demo, server.to_owned(), said)
}

/// Waits until some window of a monitor is as wanted.
#[track_caller]
fn until(server: &str, monitor: &str, what: &str, is_wanted: impl Fn(&Point) -> bool) -> Point {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    loop {
        let points = query(server, &format!("select * from {monitor} since 5m"));
        if let Some(point) = points.into_iter().find(&is_wanted) {
            return point;
        }
        assert!(!clock.has_passed(deadline), "never: {what}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

fn missing(point: &Point, state: &str) -> bool {
    point.missing.contains_key(state)
}

/// Orders by operation in a range, as `eval` counts them in the files of one host.
fn counted(folder: &Path, (from, to): (&str, &str)) -> BTreeMap<String, u64> {
    let rotated = |number: &u32| folder.join(format!("orders.log.{number}"));
    let mut files: Vec<_> = (1..20)
        .map(|number| rotated(&number))
        .filter(|path| path.exists())
        .collect();
    files.reverse();
    files.push(folder.join("orders.log"));
    let question = "select count() as orders parse kv('|', '=', ' - ') group by op every 1s";
    let mut command = Command::new(binary::dev());
    command
        .args([
            "eval", question, "--chain", "--format", "json", "--from", from, "--to", to,
        ])
        .args(files);
    let output = command.output().expect("the built binary runs");
    let mut orders = BTreeMap::new();
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        let point: Value = serde_json::from_str(line).expect("a point");
        if let (Some(op), Some(count)) = (point["group"]["op"].as_str(), point["values"]["orders"].as_u64()) {
            *orders.entry(op.to_owned()).or_default() += count;
        }
    }
    orders
}

#[test]
fn five_minutes_of_the_shop_tell_what_completeness_means() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_demo, server, said) = start(folder.path());
    for monitor in [
        "shop_orders",
        "shop_orders_by_zone",
        "shop_payments",
        "shop_access",
        "shop_errors",
        "shop_app",
    ] {
        until_stored(&server, monitor);
    }
    let down = until(&server, "shop_orders", "a host that died is missing", |point| {
        missing(point, "unreachable")
    });
    until(&server, "shop_orders", "its window heals", |point| {
        point.window_ns == down.window_ns && point.percent == Some(100) && point.revision > down.revision
    });
    until(&server, "shop_orders", "a truncated log is said", |point| {
        missing(point, "bytes_lost")
    });
    until(&server, "shop_orders_by_zone", "the spare is expected", |point| {
        point.hosts.1 == 13
    });
    let lines: Vec<String> = said.try_iter().collect();
    for told in ["dies:", "is back:", "answers none:", "emptied in place;"] {
        assert!(lines.iter().any(|line| line.contains(told)), "{told}: {lines:?}");
    }
    // The log of payments is never emptied, but what is compared is the one that was, before that.
    let whole = until(&server, "shop_orders", "a settled window", |point| {
        point.percent == Some(100) && point.state == "settled" && point.window_ns > down.window_ns
    });
    let text = |ns: i64| jiff::Timestamp::from_nanosecond(ns.into()).expect("a time").to_string();
    let (from, to) = (text(whole.window_ns), text(whole.window_ns + 1_000_000_000));
    let answered = query(&server, &format!("select * from shop_orders from {from} to {to}"));
    let answered: BTreeMap<String, u64> = answered
        .iter()
        .filter_map(|point| Some((point.group["op"].as_str()?.to_owned(), point.values["orders"].as_u64()?)))
        .collect();
    let mut in_files: BTreeMap<String, u64> = BTreeMap::new();
    let millis = (whole.window_ns / 1_000_000).to_string();
    let hosts = get(
        &server,
        "/api/v1/hosts",
        &[("monitor", "shop_orders"), ("window", &millis)],
    );
    for host in hosts["data"]["hosts"].as_array().expect("hosts") {
        let name = host["host"].as_str().expect("a name");
        for (op, orders) in counted(&folder.path().join("sunfire-demo/hosts").join(name), (&from, &to)) {
            *in_files.entry(op).or_default() += orders;
        }
    }
    assert_eq!(answered, in_files);
}
