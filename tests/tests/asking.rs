//! Questions to the logs of a fleet through the whole cluster, as a process for each role: at 100 % the answer is what
//! `sunfire eval` counts in the same files; below, it is that of the hosts that are ok, and every other host is named.

#[path = "asking/records.rs"]
mod records;

use lika::seam::Clock;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::live::api::until_answered;

/// Longer than a question may take here: a host that hangs takes some seconds of it.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long what must come is waited for.
const WITHIN: Duration = Duration::from_secs(60);
const SECOND_NS: i64 = 1_000_000_000;
/// Lines of each log, one a second.
const LINES: i64 = 600;
/// The last line is so long ago: every window is over, and nothing is late.
const BEFORE_NS: i64 = 120 * SECOND_NS;
/// What is counted.
const SELECT: &str = "select count() as n, sum(cost) as cost, p99(cost) as p99, lines() as lines";
/// How.
const HOW: &str = "parse logfmt group by op every 10s";

/// A cluster whose hosts have logs, and what is asked of them.
struct Fleet {
    cluster: Cluster,
    server: String,
    logs: BTreeMap<String, PathBuf>,
    /// A minute before the logs begin.
    before: String,
    /// When they do.
    from: String,
    from_ns: i64,
    to: String,
    /// Another log, of two generations: its records that count.
    written: Vec<records::Written>,
}

fn rfc3339(ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(ns.into()).expect("a time");
    format!("{time:.0}")
}

/// A log: some groups, some values that are none, some lines without a stamp.
fn log(host: usize, from_ns: i64) -> String {
    let line = |n: i64| {
        let op = ["pay", "refund", "ask"][(n as usize * 7 + host) % 3];
        let trace = if n % 50 == 7 { "  at some.place(Code:1)\n" } else { "" };
        let cost = n * (host as i64 + 1) % 977;
        format!(
            "{} level=INFO op={op} cost={cost}.25\n{trace}",
            rfc3339(from_ns + n * SECOND_NS)
        )
    };
    (0..LINES).map(line).collect()
}

impl Fleet {
    fn start(base: &Path) -> Self {
        let mut cluster = Cluster::prepare(&binary::dev(), base);
        let brain = cluster.config().with_file_name("brain.yaml");
        let text = fs::read_to_string(&brain).expect("an example");
        // The inventory's history begins with a day: not with this one, if that is only just begun.
        fs::write(&brain, text + "\nfirst_windows_back: 2h\n").expect("it can be written");
        let step_ns = 10 * SECOND_NS;
        let to_ns = (Clock::system().wall().0 - BEFORE_NS) / step_ns * step_ns;
        let from_ns = to_ns - LINES * SECOND_NS;
        let (mut logs, mut written) = (BTreeMap::new(), Vec::new());
        for (number, host) in cluster.of_role("agent").into_iter().enumerate() {
            let path = cluster.host_folder(&host).join("app.log");
            fs::write(&path, log(number, from_ns)).expect("a file");
            written.extend(records::write(&cluster.host_folder(&host), &host, number, from_ns));
            logs.insert(host, path);
        }
        let log = cluster.hosts_folder().join("${host}/records.log");
        let monitor = records::MONITOR.replace("LOG", &log.display().to_string());
        fs::write(cluster.config().join("asked.yaml"), monitor).expect("it can be written");
        cluster.start_all();
        let server = cluster.server();
        until_answered(&server);
        Self {
            server,
            logs,
            before: rfc3339(from_ns - 60 * SECOND_NS),
            from: rfc3339(from_ns),
            from_ns,
            written,
            to: rfc3339(to_ns),
            cluster,
        }
    }

    fn question(&self, rest: &str) -> String {
        let log = self.cluster.hosts_folder().join("${host}/app.log");
        let (from, to) = (&self.from, &self.to);
        format!(
            "{SELECT} from log '{}' where app = 'shop' {HOW} from {from} to {to} {rest}",
            log.display()
        )
    }

    /// Asks by the command line: points, exit code, and what was said on stderr.
    fn ask(&self, arguments: &[&str]) -> (Vec<Value>, i32, String) {
        let output = Command::new(binary::dev())
            .args(["query", "--json", "--server", &self.server])
            .args(arguments)
            .output()
            .expect("the built binary runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (lines(&output.stdout), output.status.code().expect("a code"), said)
    }

    /// Asks until there is an answer: hosts and nodes are found one after the other.
    fn ask_until_whole(&self) -> (Vec<Value>, String) {
        let clock = Clock::system();
        let deadline = clock.deadline_in(WITHIN);
        loop {
            let (points, code, said) = self.ask(&[&self.question("")]);
            if code == 0 {
                return (points, said);
            }
            assert!(!clock.has_passed(deadline), "{code}: {said}");
            std::thread::park_timeout(Duration::from_millis(300));
        }
    }

    /// Asks stored points until all of them are complete: the windows of before the monitor are read one by one.
    fn ask_until_settled(&self, question: &str) -> Vec<Value> {
        let clock = Clock::system();
        let deadline = clock.deadline_in(2 * PATIENCE);
        loop {
            let (points, code, said) = self.ask(&[question]);
            if code == 0 && points.iter().all(|point| point["state"] != "open") {
                return points;
            }
            assert!(!clock.has_passed(deadline), "{code}: {said}");
            std::thread::park_timeout(Duration::from_millis(300));
        }
    }

    /// What `sunfire eval` counts in the logs of these hosts.
    fn eval(&self, hosts: &BTreeSet<&str>) -> Vec<Value> {
        let output = Command::new(binary::dev())
            .args([
                "eval",
                &format!("{SELECT} {HOW}"),
                "--from",
                &self.from,
                "--to",
                &self.to,
            ])
            .args(["--format", "json", "--fill"])
            .args(hosts.iter().map(|host| &self.logs[*host]))
            .output()
            .expect("the built binary runs");
        lines(&output.stdout)
    }

    /// Asks over HTTP as a stream.
    fn stream(&self, rest: &str) -> (u16, impl BufRead + use<>) {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        let request = ureq::Agent::new_with_config(config).get(format!("{}/api/v1/query", self.server));
        let request = request.query("q", self.question(rest)).query("stream", "true");
        let response = request.call().expect("an answer");
        let status = response.status().as_u16();
        (status, BufReader::new(response.into_body().into_reader()))
    }
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// What a point says of logs: all but how final it is, and who counted it.
fn said(points: &[Value]) -> BTreeMap<(String, String), (Value, Value, Value)> {
    let said = points.iter().map(|point| {
        let of = &point["completeness"];
        (
            (
                point["window"].as_str().expect("a window").to_owned(),
                point["group"].to_string(),
            ),
            (point["values"].clone(), of["records"].clone(), of["lost"].clone()),
        )
    });
    said.collect()
}

#[track_caller]
fn check_completeness(points: &[Value], percent: u64, missing: &Value) {
    for point in points {
        let of = &point["completeness"];
        assert_eq!(
            (&of["percent"], &of["expected"]),
            (&percent.into(), &10.into()),
            "{point}"
        );
        assert_eq!(&of["missing"], missing, "{point}");
        assert_ne!(point["state"], "open", "{point}");
    }
}

#[test]
fn a_question_to_logs_is_answered_exactly_or_says_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::start(&folder.path().canonicalize().expect("it is there"));
    whole_answers_are_those_of_eval(&fleet);
    answers_are_shaped_like_those_of_stored_points(&fleet);
    what_cannot_be_asked_is_refused(&fleet);
    records::those_that_come_back_are_those_that_were_written(&fleet);
    records::what_does_not_count_is_not_shown_and_what_is_cut_says_so(&fleet);
    records::a_points_records_are_those_that_it_counted(&fleet);
    records::what_has_no_records_is_said(&fleet);
    records::files_here_say_the_same(&fleet);
    a_budget_is_kept(&fleet);
    a_stopped_host_is_named_and_the_rest_is_exact(&mut fleet);
    a_question_that_nobody_waits_for_makes_room(&mut fleet);
}

fn whole_answers_are_those_of_eval(fleet: &Fleet) {
    let (points, told) = fleet.ask_until_whole();
    assert_eq!(points.len(), 3 * LINES as usize / 10);
    check_completeness(&points, 100, &serde_json::json!({}));
    let all: BTreeSet<&str> = fleet.logs.keys().map(String::as_str).collect();
    assert_eq!(said(&points), said(&fleet.eval(&all)));
    assert!(told.contains("10 of 10 hosts answered"), "{told}");
    // What may have been removed before anybody asked is no silence.
    let earlier = fleet
        .question("")
        .replace(&format!(" from {}", fleet.from), &format!(" from {}", fleet.before));
    let (points, code, told) = fleet.ask(&[&earlier]);
    assert!(code == 3 && told.contains("the log begins with"), "{told}");
    let (late, early): (Vec<Value>, Vec<Value>) = points
        .into_iter()
        .partition(|point| point["window"].as_str() >= Some(&fleet.from));
    assert!(!early.is_empty());
    check_completeness(&early, 0, &serde_json::json!({"no_file": 10}));
    check_completeness(&late, 100, &serde_json::json!({}));
    // Labels of the inventory are columns as they are of a monitor.
    let by_zone = fleet.question("").replace("group by op", "group by zone");
    let (points, code, told) = fleet.ask(&[&by_zone]);
    let zones: BTreeSet<&str> = points
        .iter()
        .filter_map(|point| point["group"]["zone"].as_str())
        .collect();
    assert_eq!((code, zones), (0, BTreeSet::from(["a", "b"])), "{told}");
}

fn answers_are_shaped_like_those_of_stored_points(fleet: &Fleet) {
    let (points, code, told) = fleet.ask(&[&fleet.question("topk 1 by n")]);
    assert_eq!(code, 0, "{told}");
    let groups: BTreeSet<&str> = points
        .iter()
        .filter_map(|point| point["group"]["op"].as_str())
        .collect();
    assert!(groups.len() == 2 && groups.contains("__other__"), "{groups:?}");
    let (points, _, told) = fleet.ask(&[&fleet.question("having n > 1000000")]);
    let is_hidden = |point: &Value| point["group"] == serde_json::json!({}) && point["values"]["n"].is_null();
    assert!(!points.is_empty() && points.iter().all(is_hidden), "{told}");
}

fn what_cannot_be_asked_is_refused(fleet: &Fleet) {
    let question = fleet.question("");
    for (question, expected) in [
        (
            question.replace("app = 'shop'", "app = 'shpo'"),
            "there is no application `shpo`",
        ),
        (question.replace("where app = 'shop'", ""), "name the application"),
        (question.replace("every 10s", "every 100ms"), "longer `every`"),
        (format!("{question} timestamp 'arrival'"), "when lines arrived"),
    ] {
        let (points, code, told) = fleet.ask(&[&question]);
        assert_eq!((points.len(), code), (0, 2), "{question}: {told}");
        assert!(told.contains(expected), "{question}: {told}");
    }
    let (_, code, told) = fleet.ask(&[&question, "--budget", "much"]);
    assert!(code == 2 && told.contains("500MiB"), "{told}");
}

/// One host is read, since one must be to know that it is too much; all others are named.
fn a_budget_is_kept(fleet: &Fleet) {
    let (points, code, told) = fleet.ask(&[&fleet.question(""), "--budget", "1B"]);
    assert_eq!(code, 3, "{told}");
    check_completeness(&points, 10, &serde_json::json!({"over_budget": 9}));
    let named = |host: &&String| {
        told.lines()
            .any(|line| line.starts_with(&format!("{host}: over_budget in 60 windows")))
    };
    let read: BTreeSet<&str> = fleet
        .logs
        .keys()
        .filter(|host| !named(host))
        .map(String::as_str)
        .collect();
    assert_eq!(read.len(), 1, "{told}");
    let counted = |points: &[Value]| -> BTreeMap<_, _> {
        let groups = points.iter().filter(|point| point["group"]["op"].is_string());
        said(&groups.cloned().collect::<Vec<_>>())
    };
    assert_eq!(counted(&points), counted(&fleet.eval(&read)));
}

fn a_stopped_host_is_named_and_the_rest_is_exact(fleet: &mut Fleet) {
    fleet.cluster.signal("web-03", Signal::SIGSTOP);
    let (status, body) = fleet.stream("");
    assert_eq!(status, 200);
    let moments: Vec<Value> = body
        .lines()
        .map(|line| line.expect("a line"))
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    records::without_a_host_the_rest_is_exact(fleet, "web-03");
    fleet.cluster.signal("web-03", Signal::SIGCONT);
    let (last, before) = moments.split_last().expect("moments");
    assert!(
        !before.is_empty(),
        "the stopped host takes seconds, in which others are told"
    );
    let mut ok: BTreeMap<String, u64> = BTreeMap::new();
    for moment in &moments {
        assert_eq!(
            moment["asked"]["final"],
            std::ptr::eq(moment, last),
            "{}",
            moment["asked"]
        );
        for point in moment["data"]["points"].as_array().expect("points") {
            let now = point["completeness"]["ok"].as_u64().expect("a number");
            let before = ok.insert(point["window"].as_str().expect("a window").to_owned(), now);
            assert!(before.is_none_or(|before| before <= now), "completeness fell: {point}");
        }
    }
    let early = &before[before.len() - 1];
    assert!(
        early["partial"] == true && early["data"]["points"][0]["state"] == "open",
        "{}",
        early["asked"]
    );
    let points = last["data"]["points"].as_array().expect("points");
    let missing = last["asked"]["missing"].as_array().expect("hosts");
    assert_eq!(
        (missing.len(), &missing[0]["host"]),
        (1, &"web-03".into()),
        "{missing:?}"
    );
    let state = missing[0]["state"].as_str().expect("a state");
    check_completeness(points, 90, &serde_json::json!({ state: 1 }));
    let others: BTreeSet<&str> = fleet
        .logs
        .keys()
        .map(String::as_str)
        .filter(|host| *host != "web-03")
        .collect();
    let zeros = |points: &[Value]| -> BTreeMap<_, _> {
        let groups = points.iter().filter(|point| point["group"]["op"].is_string());
        said(&groups.cloned().collect::<Vec<_>>())
    };
    assert_eq!(zeros(points), zeros(&fleet.eval(&others)));
    assert_eq!(last["partial"], true);
}

/// As many questions as may be asked at a time wait for hosts that hang; when nobody waits for them any more, others
/// are answered, and no node has lost anything by it.
fn a_question_that_nobody_waits_for_makes_room(fleet: &mut Fleet) {
    let hosts: Vec<String> = fleet.logs.keys().cloned().collect();
    hosts
        .iter()
        .for_each(|host| fleet.cluster.signal(host, Signal::SIGSTOP));
    let mut waiting = Vec::new();
    let refused = loop {
        let (status, body) = fleet.stream("");
        if status != 200 {
            break status;
        }
        waiting.push(body);
        assert!(waiting.len() < 20, "there is no bound");
    };
    assert_eq!(refused, 503);
    drop(waiting);
    hosts
        .iter()
        .for_each(|host| fleet.cluster.signal(host, Signal::SIGCONT));
    let (points, _) = fleet.ask_until_whole();
    let all: BTreeSet<&str> = fleet.logs.keys().map(String::as_str).collect();
    assert_eq!(said(&points), said(&fleet.eval(&all)));
}
