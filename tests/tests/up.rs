//! `sunfire up` as a user meets it: the first start in an empty folder, logs named on the command line, a configuration
//! that is edited while it runs, a power cut, and a console beyond loopback. Every count is compared with what the test
//! itself did.

use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::live::api::{Point, get, query};
use sunfire_tests::live::up::Up;

const S: i64 = 1_000_000_000;
/// After a first start there are points of everything within so long; this is promised to users.
const FIRST_POINTS_WITHIN: Duration = Duration::from_secs(10);
/// How long a test waits for what must come; only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

fn now_ns() -> i64 {
    lika::seam::Clock::system().wall().0
}

fn time(ns: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).expect("this century")
}

/// Looks until there is what is looked for.
#[track_caller]
fn until<T>(patience: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(patience);
    loop {
        match look() {
            Ok(found) => return found,
            Err(why) => assert!(!clock.has_passed(deadline), "not within {patience:?}: {why}"),
        }
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

/// A window's edge that no event before this call and every event after it lies behind: waits for it.
fn next_edge() -> i64 {
    // What has happened may be written down, with its time, a little later: a whole second lies between.
    let edge_ns = (now_ns() / S + 2) * S;
    until(PATIENCE, || (now_ns() >= edge_ns).then_some(()).ok_or_else(String::new));
    edge_ns
}

/// A client that counts its requests, and those of them that find nothing.
struct Client {
    agent: ureq::Agent,
    server: String,
    token: Option<&'static str>,
    requests: Cell<u64>,
    not_found: Cell<u64>,
}

impl Client {
    fn new(server: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        Self {
            agent: ureq::Agent::new_with_config(config),
            server: server.to_owned(),
            token: None,
            requests: Cell::new(0),
            not_found: Cell::new(0),
        }
    }

    /// Status and body of an answer; null where that is no JSON.
    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
        let mut request = self.agent.get(format!("{}{path}", self.server));
        for (name, value) in parameters {
            request = request.query(*name, *value);
        }
        if let Some(token) = self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().unwrap_or_else(|error| panic!("{path}: {error}"));
        self.requests.set(self.requests.get() + 1);
        let text = response.body_mut().read_to_string().expect("a whole body");
        let status = response.status().as_u16();
        self.not_found.set(self.not_found.get() + u64::from(status == 404));
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    fn query(&self, mql: &str) -> (u16, Value) {
        self.get("/api/v1/query", &[("q", mql)])
    }
}

/// Runs the program against a server.
fn sunfire(server: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::dev());
    let output = command.args(arguments).args(["--server", server]).output();
    output.expect("the built binary runs")
}

fn exit_code(output: &Output) -> i32 {
    output.status.code().expect("no signal ended it")
}

/// The points that `sunfire query` prints.
fn printed(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a point a line"))
        .collect()
}

/// Sum of a value over points of windows that begin before `edge_ns`.
fn sum_before(points: &[Value], value: &str, edge_ns: i64) -> u64 {
    let begins = |point: &&Value| -> i64 {
        let window: jiff::Timestamp = point["window"].as_str().expect("a time").parse().expect("RFC 3339");
        i64::try_from(window.as_nanosecond()).expect("this century")
    };
    let before = points.iter().filter(|point| begins(point) < edge_ns);
    before.map(|point| point["values"][value].as_u64().unwrap_or(0)).sum()
}

fn monitor(server: &str, name: &str) -> Option<Value> {
    let state = get(server, "/api/v1/monitors", &[]);
    let monitors = state["data"]["monitors"].as_array().expect("monitors");
    monitors.iter().find(|monitor| monitor["name"] == name).cloned()
}

/// Why points are not the complete windows of a range of seconds, if they are not.
fn incomplete(points: &[Point], range: &Range<i64>, states: &[&str]) -> Option<String> {
    let windows: BTreeSet<i64> = points.iter().map(|point| point.window_ns).collect();
    let expected: BTreeSet<i64> = (range.start / S..range.end / S).map(|second| second * S).collect();
    if windows != expected {
        let missing: Vec<String> = expected.difference(&windows).map(|ns| time(*ns).to_string()).collect();
        return Some(format!("windows that are missing: {missing:?}"));
    }
    let is_done = |point: &&Point| point.percent == Some(100) && states.contains(&point.state.as_str());
    let waits = points.iter().find(|point| !is_done(point));
    waits.map(|point| format!("{point:?}"))
}

/// Waits until all windows of a second in a range are complete and in one of these states; then their points.
#[track_caller]
fn complete(server: &str, select: &str, monitor: &str, range: &Range<i64>, states: &[&str]) -> Vec<Point> {
    let (from, to) = (time(range.start), time(range.end));
    let mql = format!("select {select} from {monitor} from {from} to {to}");
    until(PATIENCE, || {
        let points = query(server, &mql);
        match incomplete(&points, range, states) {
            None => Ok(points),
            Some(why) => Err(format!("{mql}: {why}")),
        }
    })
}

/// Counts by window and group.
type Counts = BTreeMap<(i64, String), u64>;

/// Records of points by window and group.
fn counts(points: &[Point], group: &str) -> Counts {
    let named = points.iter().filter_map(|point| {
        let name = point.group.get(group)?.as_str().unwrap_or("none");
        let records = point.values["records"].as_u64().expect("a count");
        Some(((point.window_ns, name.to_owned()), records))
    });
    named.collect()
}

/// A log that the test writes, and what it has written.
struct Log {
    path: PathBuf,
    line: fn(jiff::Timestamp, &str) -> String,
    truth: Counts,
}

impl Log {
    fn new(path: PathBuf, line: fn(jiff::Timestamp, &str) -> String) -> Self {
        fs::write(&path, "").expect("it can be made");
        Self {
            path,
            line,
            truth: Counts::new(),
        }
    }

    /// Appends a record of this moment.
    fn write(&mut self, group: &str) {
        let now_ns = now_ns();
        let line = (self.line)(time(now_ns), group);
        let mut file = OpenOptions::new().append(true).open(&self.path).expect("it is there");
        file.write_all(line.as_bytes()).expect("it can be written");
        *self.truth.entry((now_ns / S * S, group.to_owned())).or_default() += 1;
    }

    /// What was written in a range.
    fn within(&self, range: &Range<i64>) -> Counts {
        let within = self.truth.iter().filter(|((window, _), _)| range.contains(window));
        within.map(|(key, count)| (key.clone(), *count)).collect()
    }
}

fn plain_line(time: jiff::Timestamp, level: &str) -> String {
    format!("{time:.3} {level} worker: did a thing\n")
}

fn json_line(time: jiff::Timestamp, level: &str) -> String {
    format!(
        "{}\n",
        json!({"time": time.to_string(), "level": level, "msg": "did a thing"})
    )
}

fn nginx_line(time: jiff::Timestamp, status: &str) -> String {
    let time = time.strftime("%d/%b/%Y:%H:%M:%S +0000");
    format!("10.0.0.7 - - [{time}] \"GET /shop/1 HTTP/1.1\" {status} 512 \"-\" \"curl/8\"\n")
}

fn unstamped_line(_: jiff::Timestamp, level: &str) -> String {
    format!("{level} nobody knows when\n")
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("it is there");
    (folder, path)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Whether a table has a point with any value.
fn has_values(client: &Client, table: &str) -> Result<(), String> {
    let (status, answer) = client.query(&format!("select * from {table} since 1m"));
    let points = answer["data"]["points"].as_array().cloned().unwrap_or_default();
    let is_value = |point: &Value| {
        point["values"]
            .as_object()
            .is_some_and(|values| values.values().any(|value| !value.is_null()))
    };
    match points.iter().any(is_value) {
        true => Ok(()),
        false => Err(format!("{table}: {status} {answer}")),
    }
}

/// Asks for what is there and for what is not.
fn make_requests(client: &Client, rounds: usize) {
    for _ in 0..rounds {
        for (path, expected) in [
            ("/", 200),
            ("/healthz", 200),
            ("/api/v1/cluster", 200),
            ("/api/v1/query", 400),
            ("/nothing here", 404),
            ("/api/v1/nothing", 404),
        ] {
            let (status, _) = client.get(&path.replace(' ', "%20"), &[]);
            assert_eq!(status, expected, "{path}");
        }
    }
}

#[test]
fn a_first_start_counts_its_own_requests() {
    let (_kept, folder) = folder();
    let binary = binary::dev();
    let clock = lika::seam::Clock::system();
    let first_points = clock.deadline_in(FIRST_POINTS_WITHIN);
    let up = Up::start(&binary, &folder, &[]);
    let client = Client::new(&up.server);
    for table in ["sunfire_http", "system"] {
        until(clock.remaining(first_points), || has_values(&client, table));
    }
    make_requests(&client, 7);
    // Two clients at a time, and the program itself.
    let from_threads: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let work = || {
            let client = Client::new(&up.server);
            make_requests(&client, 5);
            (client.not_found.get(), client.requests.get())
        };
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.map(|thread| thread.join().expect("no panic")).to_vec()
    });
    let mut not_found = client.not_found.get() + from_threads.iter().map(|(not_found, _)| not_found).sum::<u64>();
    let mut requests = client.requests.get() + from_threads.iter().map(|(_, requests)| requests).sum::<u64>();
    let status = sunfire(&up.server, &["status"]);
    assert!(
        String::from_utf8_lossy(&status.stdout).contains("sunfire_http"),
        "{status:?}"
    );
    assert_eq!(exit_code(&status), 0, "{status:?}");
    // It asks for the monitors, the cluster and the agents.
    requests += 3;
    for (question, code) in [("selekt 1", 2), ("select * from nothing", 2)] {
        let output = sunfire(&up.server, &["query", question]);
        assert_eq!(exit_code(&output), code, "{output:?}");
        requests += 1;
    }
    // The second question was answered with a 404, too.
    not_found += 1;
    let edge_ns = next_edge();
    let range = edge_ns - 20 * S..edge_ns;
    complete(&up.server, "*", "sunfire_http", &range, &["provisional", "settled"]);
    let total = sunfire(
        &up.server,
        &["query", "select sum(requests) from sunfire_http since 5m"],
    );
    assert_eq!(
        sum_before(&printed(&total), "sum(requests)", edge_ns),
        requests,
        "{total:?}"
    );
    let missed = "select requests from sunfire_http where status = '404' since 5m";
    let missed = sunfire(&up.server, &["query", missed, "--format", "json"]);
    assert_eq!(
        sum_before(&printed(&missed), "requests", edge_ns),
        not_found,
        "{missed:?}"
    );
    assert!(
        requests > 100 && not_found > 30,
        "{requests} requests, {not_found} 404s"
    );
}

#[test]
fn the_exit_code_says_how_complete_the_answer_is() {
    let (_kept, folder) = folder();
    let config = folder.join("config");
    fs::create_dir_all(&config).expect("a folder");
    let mut log = Log::new(folder.join("app.log"), plain_line);
    // A host that is never there: nobody listens at this port any more.
    let port = sunfire_tests::ports::free_port();
    let path = text(&log.path).to_owned();
    let select = "select: { records: count() }\nwindow: 1s\n";
    let text = format!(
        "kind: app\nname: away\nhosts: [{{ host: h1, address: \"127.0.0.1:{port}\" }}]\n---\nkind: monitor\nname: \
         missed\napp: away\nlog: {path}\n{select}---\nkind: monitor\nname: counted\napp: local\nlog: {path}\n{select}"
    );
    fs::write(config.join("both.yaml"), text).expect("it can be written");
    let up = Up::start(&binary::dev(), &folder, &["--config", "config", "--data", "data"]);
    log.write("INFO");
    let edge_ns = next_edge();
    let ask = |server: &str, monitor: &str| {
        let (from, to) = (time(edge_ns - 3 * S), time(edge_ns));
        let question = format!("select records from {monitor} from {from} to {to}");
        sunfire(server, &["query", &question])
    };
    let range = edge_ns - 3 * S..edge_ns;
    complete(&up.server, "*", "counted", &range, &["provisional", "settled"]);
    let answer = ask(&up.server, "counted");
    assert_eq!(
        (exit_code(&answer), sum_before(&printed(&answer), "records", edge_ns)),
        (0, 1),
        "{answer:?}"
    );
    let answer = until(PATIENCE, || {
        let answer = ask(&up.server, "missed");
        let is_told = printed(&answer).len() == 3 && exit_code(&answer) == 3;
        if is_told {
            Ok(answer)
        } else {
            Err(format!("{answer:?}"))
        }
    });
    for point in printed(&answer) {
        assert_eq!(point["values"], json!({"records": null}), "{point}");
        assert_eq!(point["completeness"]["percent"], 0, "{point}");
        assert_eq!(point["completeness"]["missing"], json!({"unreachable": 1}), "{point}");
    }
    assert_eq!(exit_code(&sunfire(&up.server, &["status"])), 3);
    for (question, code) in [
        ("select nothing from counted", 2),
        ("select", 2),
        ("select * from n", 2),
    ] {
        let answer = sunfire(&up.server, &["query", question]);
        assert_eq!(exit_code(&answer), code, "{answer:?}");
        assert!(!answer.stderr.is_empty(), "it says what is wrong");
    }
    let away = format!("http://127.0.0.1:{}", sunfire_tests::ports::free_port());
    for answer in [ask(&away, "counted"), sunfire(&away, &["status"])] {
        assert_eq!(exit_code(&answer), 4, "{answer:?}");
        assert!(String::from_utf8_lossy(&answer.stderr).contains(&away), "{answer:?}");
    }
}

#[test]
fn named_logs_are_counted_exactly() {
    let (_kept, folder) = folder();
    fs::create_dir_all(folder.join("other")).expect("a folder");
    let levels: [&str; 3] = ["INFO", "WARN", "ERROR"];
    let statuses: [&str; 3] = ["200", "404", "500"];
    let mut logs = [
        ("shop", "level", levels, Log::new(folder.join("shop.log"), json_line)),
        (
            "access",
            "status",
            statuses,
            Log::new(folder.join("access.log"), nginx_line),
        ),
        ("plain", "level", levels, Log::new(folder.join("plain.log"), plain_line)),
        (
            "other_plain",
            "level",
            levels,
            Log::new(folder.join("other/plain.log"), plain_line),
        ),
        (
            "bare",
            "level",
            levels,
            Log::new(folder.join("bare.log"), unstamped_line),
        ),
    ];
    let write = |logs: &mut [(&str, &str, [&str; 3], Log)], count: usize| {
        for (at, (.., groups, log)) in logs.iter_mut().enumerate() {
            (0..count).for_each(|n| log.write(groups[(n * n + at) % 3]));
        }
    };
    // What is there at the start is counted too.
    let from_ns = now_ns() / S * S;
    write(&mut logs, 30);
    let paths: Vec<String> = logs.iter().map(|(.., log)| text(&log.path).to_owned()).collect();
    let arguments: Vec<&str> = paths.iter().map(String::as_str).collect();
    let up = Up::start(&binary::dev(), &folder, &arguments);
    for burst in 0..25 {
        write(&mut logs, 1 + burst % 4);
        std::thread::park_timeout(LOOK_AGAIN);
    }
    let range = from_ns..next_edge();
    for (name, group, _, log) in &logs {
        let known = monitor(&up.server, name).unwrap_or_else(|| panic!("no monitor {name}"));
        assert_eq!(known["group_by"], json!([group]), "{name}");
        assert_eq!(known["troubles"], json!([]), "{name}");
        if *name == "bare" {
            continue;
        }
        let points = complete(&up.server, "*", name, &range, &["provisional", "settled"]);
        assert_eq!(counts(&points, group), log.within(&range), "{name}");
        assert!(log.within(&range).len() > 10, "{name}: too little was written");
    }
    // Records of which nobody knows the time are no zeros.
    let question = format!("select * from bare from {} to {}", time(range.start), time(range.end));
    let points = query(&up.server, &question);
    assert!(points.len() > 3, "{points:?}");
    for point in points {
        assert_eq!((point.percent, point.hosts), (Some(0), (0, 1)), "{point:?}");
        assert!(point.values["records"].is_null(), "{point:?}");
    }
    assert_eq!(exit_code(&sunfire(&up.server, &["query", &question])), 3);
}

/// Writes a log steadily while something else happens.
fn while_writing<T>(log: &Mutex<Log>, groups: &[&str], work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            while !is_over.load(Ordering::Relaxed) {
                log.lock().expect("no panic").write(groups[turn % groups.len()]);
                turn += 1;
                std::thread::park_timeout(Duration::from_millis(40));
            }
        });
        // Whatever becomes of the work, the writer ends.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        is_over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn by_level(name: &str, log: &Path, more: &str) -> String {
    format!(
        "kind: monitor\nname: {name}\napp: local\nlog: {}\nparse: {{ regex: ' (?P<level>[A-Z]+) ' }}\ngroup_by: \
         [level]\nselect:\n  records: count()\n{more}window: 1s\nlateness: 2s\ndelay: 4s\n",
        log.display()
    )
}

/// Waits until the configuration has these mistakes, as `file:line:column`.
#[track_caller]
fn until_mistakes(server: &str, expected: &[&str]) -> Value {
    until(PATIENCE, || {
        let state = get(server, "/api/v1/monitors", &[]);
        let mistakes = state["data"]["mistakes"].clone();
        let places: Vec<String> = (mistakes.as_array().expect("mistakes").iter())
            .map(|mistake| {
                let file = mistake["file"].as_str().expect("a name").rsplit('/').next();
                let file = file.unwrap_or_default();
                format!("{file}:{}:{}", mistake["line"], mistake["column"])
            })
            .collect();
        if places == expected {
            Ok(mistakes)
        } else {
            Err(format!("{mistakes}"))
        }
    })
}

fn version(server: &str, name: &str) -> String {
    let monitor = monitor(server, name).unwrap_or_else(|| panic!("no monitor {name}"));
    monitor["version"].as_str().expect("a version").to_owned()
}

/// Waits until a window of this moment is complete.
#[track_caller]
fn goes_on(server: &str, monitor: &str) {
    let edge_ns = next_edge();
    let range = edge_ns - S..edge_ns;
    complete(server, "*", monitor, &range, &["provisional", "settled"]);
}

/// A file that is broken stops nobody else, and says where; mended, it works.
fn break_and_mend(up: &Up, log: &Path, put: impl Fn(&str, &str)) {
    let good = by_level("second", log, "");
    put("second.yaml", &good.replace("group_by", "group_bi"));
    let mistakes = until_mistakes(&up.server, &["second.yaml:6:1"]);
    assert!(mistakes[0]["message"].to_string().contains("group_bi"), "{mistakes}");
    assert_eq!(mistakes[0]["hint"], "did you mean `group_by`?");
    assert!(monitor(&up.server, "second").is_none());
    goes_on(&up.server, "good");
    put("second.yaml", &good);
    until_mistakes(&up.server, &[]);
    goes_on(&up.server, "second");
}

/// A monitor whose file is broken goes on as it was; one that changes is a new version from an edge on.
fn change(up: &Up, log: &Path, put: impl Fn(&str, &str)) {
    let before = version(&up.server, "good");
    put("good.yaml", &by_level("good", log, "  lines: linez()\n"));
    until_mistakes(&up.server, &["good.yaml:9:10"]);
    goes_on(&up.server, "good");
    assert_eq!(version(&up.server, "good"), before);
    put("good.yaml", &by_level("good", log, "  lines: lines()\n"));
    until_mistakes(&up.server, &[]);
    until(PATIENCE, || {
        let points = query(&up.server, "select * from good since 15s");
        let last = points.iter().rev().find(|point| point.percent == Some(100));
        match last {
            Some(point) if point.values["lines"].is_u64() => Ok(()),
            _ => Err(format!("{points:?}")),
        }
    });
    assert_ne!(version(&up.server, "good"), before);
}

#[test]
fn a_configuration_is_edited_while_it_runs() {
    let (_kept, folder) = folder();
    let config = folder.join("config");
    fs::create_dir_all(&config).expect("a folder");
    let path = folder.join("app.log");
    let log = Mutex::new(Log::new(path.clone(), plain_line));
    let put = |file: &str, text: &str| fs::write(config.join(file), text).expect("it can be written");
    put("good.yaml", &by_level("good", &path, ""));
    let up = Up::start(&binary::dev(), &folder, &["--config", "config", "--data", "data"]);
    let from_ns = next_edge();
    let to_ns = while_writing(&log, &["INFO", "WARN"], || {
        break_and_mend(&up, &path, put);
        change(&up, &path, put);
        next_edge()
    });
    let range = from_ns..to_ns;
    let points = complete(
        &up.server,
        "records, lines",
        "good group by level",
        &range,
        &["settled"],
    );
    assert_eq!(counts(&points, "level"), log.lock().expect("no panic").within(&range));
    let has_lines: Vec<bool> = points.iter().map(|point| point.values["lines"].is_u64()).collect();
    let edge = has_lines
        .iter()
        .position(|has| *has)
        .expect("the new version has values");
    assert!(edge > 0 && has_lines[edge..].iter().all(|has| *has), "{has_lines:?}");
    // The edge lies between two windows.
    assert_ne!(points[edge - 1].window_ns, points[edge].window_ns);
}

#[test]
fn a_power_cut_costs_nothing() {
    let (_kept, folder) = folder();
    let config = folder.join("config");
    fs::create_dir_all(&config).expect("a folder");
    let path = folder.join("app.log");
    let log = Mutex::new(Log::new(path.clone(), plain_line));
    fs::write(config.join("app.yaml"), by_level("app", &path, "")).expect("it can be written");
    let mut up = Up::start(&binary::dev(), &folder, &["--config", "config", "--data", "data"]);
    let from_ns = next_edge();
    let (settled, first, to_ns) = while_writing(&log, &["INFO", "WARN", "ERROR"], || {
        let until_ns = next_edge();
        let range = from_ns..until_ns;
        let settled = complete(&up.server, "*", "app", &range, &["settled"]);
        up.kill();
        // Nobody reads these windows while they pass.
        let (_, _, _) = (next_edge(), next_edge(), next_edge());
        up.restart();
        (settled, range, next_edge())
    });
    let range = from_ns..to_ns;
    let points = complete(&up.server, "*", "app", &range, &["settled"]);
    let truth = log.lock().expect("no panic").within(&range);
    assert_eq!(counts(&points, "level"), truth);
    assert!(truth.values().sum::<u64>() > 100, "{truth:?}");
    let content = |points: &[Point]| -> Vec<String> {
        let of = points.iter().filter(|point| first.contains(&point.window_ns));
        of.map(|point| {
            // Whoever reads them again may write the same once more.
            format!("{} {} {}", point.window_ns, point.group, point.values)
        })
        .collect()
    };
    assert_eq!(content(&points), content(&settled), "settled windows are as they were");
    let revision = |points: &[Point]| {
        points
            .iter()
            .find(|point| first.contains(&point.window_ns))
            .map(|it| it.revision)
    };
    assert!(revision(&settled) <= revision(&points), "no revision falls");
}

#[test]
fn beyond_loopback_a_token_is_needed() {
    const TOKEN: &str = "correct-horse-battery-staple-0123456789";
    let (_kept, folder) = folder();
    let mut command = Command::new(binary::dev());
    command.current_dir(&folder).args(["up", "--listen", "0.0.0.0:0"]);
    let refused = command.output().expect("the built binary runs");
    let why = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(exit_code(&refused), 2, "{why}");
    assert!(why.contains("token") && why.contains("--token-file"), "{why}");
    assert!(
        fs::read_dir(&folder).expect("it is there").next().is_none(),
        "nothing was written"
    );
    fs::write(folder.join("token"), format!("{TOKEN}\n")).expect("it can be written");
    let up = Up::start_at(&binary::dev(), &folder, "0.0.0.0:0", &["--token-file", "token"]);
    let server = up.server.replace("0.0.0.0", "127.0.0.1");
    let mut client = Client::new(&server);
    for path in ["/api/v1/monitors", "/api/v1/query?q=select+1", "/metrics"] {
        let (status, body) = client.get(path, &[]);
        assert_eq!((status, &body["errorType"]), (401, &json!("unauthorized")), "{path}");
    }
    client.token = Some("correct-horse-battery-staple-0123456780");
    assert_eq!(client.get("/api/v1/monitors", &[]).0, 401);
    client.token = Some(TOKEN);
    for path in ["/api/v1/monitors", "/api/v1/cluster", "/readyz"] {
        assert_eq!(client.get(path, &[]).0, 200, "{path}");
    }
    let file = folder.join("token");
    let with = sunfire(&server, &["status", "--token-file", text(&file)]);
    assert_eq!(exit_code(&with), 0, "{with:?}");
    let without = sunfire(&server, &["status"]);
    assert_eq!(exit_code(&without), 2, "{without:?}");
}
