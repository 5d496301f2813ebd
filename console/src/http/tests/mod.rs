//! The console over real sockets on loopback, with a store in memory and a Brain that says what it is told.

mod files;
mod log;
mod standing;

use crate::points::Points;
use crate::process::{ApiToken, Console, ConsoleConfig, Limits, StartError, start};
use crate::query::tests_world::{Window, World};
use brain::protocol::BrainProtocol;
use lika::node::{Server, ServerBuilder, Settings};
use lika::seam::{BoxedFuture, Clock, MemoryNetwork, Randomness};
use lika::wire::{Identity, Token};
use map::protocol::HostTarget;
use map::verdict::HostState;
use serde_json::{Value, json};
use standing::{FixedBrain, brain_state};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use store::{Document, EmbeddedStore, StoreError, StoreHandle, StoreStatus, StoredWindow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SECRET: &str = "a secret of sixteen bytes";
const TOKEN: &str = "0123456789abcdef0123";

/// A response as it came.
#[derive(Debug)]
struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Response {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<String> {
        let prefix = format!("{}:", name.to_lowercase());
        let line = self
            .head
            .lines()
            .find(|line| line.to_lowercase().starts_with(&prefix))?;
        Some(line[prefix.len()..].trim().to_owned())
    }
}

/// Sends a request as it is written, and reads all that comes.
async fn send(address: SocketAddr, request: &str) -> Response {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("reads");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    Response {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n"
}

async fn get(console: &Console, path: &str) -> Response {
    send(console.local_address(), &request("GET", path, &[])).await
}

/// A question as a path.
fn question(text: &str) -> String {
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/api/v1/query?q={encoded}")
}

/// A monitor `m` with two windows of ten seconds in 1970, the second below 100 %.
fn world() -> World {
    let mut world = World::default();
    world.monitor(
        "m",
        1,
        "select count() as n, p50(ms) as p50_ms parse logfmt group by field('path') every 10s",
    );
    let target = |host: &str, zone: &str| HostTarget {
        host: host.to_owned(),
        address: format!("{host}:7801"),
        labels: BTreeMap::from([("zone".to_owned(), zone.to_owned())]),
    };
    world.hosts("m", 7, &[target("h1", "a"), target("h2", "b")]);
    world.store(&Window {
        lines: &["path=/a ms=1", "path=/a ms=3", "path=/b ms=5"],
        ..Window::default()
    });
    world.store(&Window {
        start_s: 10,
        lines: &["path=/a ms=2"],
        hosts: &[HostState::Ok, HostState::Unreachable],
        ..Window::default()
    });
    world
}

struct Scene {
    console: Console,
    brain: Server,
}

async fn scene(store: Arc<dyn Points>, change: impl FnOnce(&mut ConsoleConfig)) -> Scene {
    let network = Arc::new(MemoryNetwork::default());
    let (clock, randomness) = (Clock::system(), Randomness::seeded(5));
    let token = Token::new(SECRET).expect("long enough");
    let identity = Identity {
        role: brain::protocol::ROLE.to_owned(),
        node: "brain-1".to_owned(),
        token: token.clone(),
    };
    let builder = ServerBuilder::new(identity, Settings::default(), clock.clone(), randomness.clone());
    let serving = builder
        .serve::<BrainProtocol>(FixedBrain(brain_state()))
        .listen(&*network, "brain:1");
    let brain = serving.await.expect("listens");
    let mut config = ConsoleConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        name: Some("Console.Example".to_owned()),
        token: None,
        store,
        brains: vec!["brain:1".to_owned()],
        node: "console-1".to_owned(),
        cluster_token: token,
        network,
        clock,
        randomness,
        access_log: None,
        limits: Limits::default(),
    };
    change(&mut config);
    let console = start(config).await.unwrap_or_else(|error| panic!("{error}"));
    Scene { console, brain }
}

impl Scene {
    async fn end(self) {
        self.console.stop().await;
        self.brain.stop(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn questions_are_answered_as_json() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let text = "select n, p50_ms from m from 1970-01-01T00:00:00Z to 1970-01-01T00:00:20Z";
    let response = get(&scene.console, &question(text)).await;
    assert_eq!(response.status, 200);
    let answer = response.json();
    assert_eq!(
        (&answer["status"], &answer["partial"], &answer["warnings"]),
        (&json!("success"), &json!(true), &json!([]))
    );
    let data = &answer["data"];
    assert_eq!(data["points"][0]["values"], json!({"n": 3, "p50_ms": 3}));
    assert_eq!(data["points"][1]["completeness"]["missing"], json!({"unreachable": 1}));
    assert_eq!(data["points"].as_array().map(Vec::len), Some(2));
    assert_eq!(data["absent"], json!({"n": 0, "p50_ms": null}));
    let rest = json!([
        data["monitor"],
        data["window_ms"],
        data["group_by"],
        data["outputs"],
        data["from"],
        data["to"]
    ]);
    let expected = json!([
        "m",
        10_000,
        [],
        ["n", "p50_ms"],
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:20Z"
    ]);
    assert_eq!(rest, expected);
    scene.end().await;
}

/// The same from a file on the disk, through the handle that everybody uses.
#[tokio::test]
async fn the_embedded_store_gives_the_same_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let embedded = EmbeddedStore::open(folder.path()).expect("opens");
    world().write_to(&embedded).expect("written");
    let real = scene(Arc::new(StoreHandle::local(Arc::new(embedded))), |_| {}).await;
    let memory = scene(Arc::new(world()), |_| {}).await;
    for path in [
        question("select * from m from 1970-01-01 to 1970-01-02 limit 1"),
        question("select p50_ms from m from 1970-01-01 to 1970-01-02 every 1m"),
        question("select n from nothing"),
        "/api/v1/hosts?monitor=m&window=10000".to_owned(),
    ] {
        let (left, right) = (get(&real.console, &path).await, get(&memory.console, &path).await);
        assert_eq!((left.status, left.json()), (right.status, right.json()), "{path}");
    }
    assert_eq!(get(&real.console, "/readyz").await.status, 200);
    real.end().await;
    memory.end().await;
}

/// A browser that keeps its connection does not keep the console.
#[tokio::test]
async fn an_idle_connection_does_not_delay_the_end() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let mut idle = TcpStream::connect(scene.console.local_address())
        .await
        .expect("connects");
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("sends");
    assert!(idle.read(&mut [0; 4096]).await.expect("reads") > 0);
    let clock = Clock::system();
    let deadline = clock.deadline_in(Duration::from_secs(3));
    scene.end().await;
    assert!(!clock.has_passed(deadline));
}

#[tokio::test]
async fn mistakes_are_told_with_status_place_and_hint() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let mut refused = Vec::new();
    for path in [
        question("selekt n from m"),
        question("select nn from m"),
        question("select avg(p50_ms) from m"),
        question("select n from nothing"),
        question("select n from m since 3000d"),
        "/api/v1/query".to_owned(),
        "/api/v1/nothing".to_owned(),
        "/api/v1/hosts?monitor=m".to_owned(),
        "/api/v1/hosts?monitor=m&window=yesterday".to_owned(),
        "/api/v1/hosts?monitor=m&window=99".to_owned() + "000000",
    ] {
        let response = get(&scene.console, &path).await;
        let body = response.json();
        assert_eq!(body["status"], "error", "{path}");
        refused.push(format!("{} {} {}", response.status, body["errorType"], body["error"]));
    }
    assert_eq!(
        refused,
        [
            "400 \"bad_data\" \"expected `select`, found `selekt`\"",
            "422 \"execution\" \"`m` has no column `nn`\"",
            "422 \"execution\" \"`p50_ms` is a percentile: an average of such values is no value of the whole\"",
            "404 \"not_found\" \"there is no monitor `nothing` with stored points\"",
            "422 \"execution\" \"windows would be over 100000: ask for a shorter range, a longer `every`, or fewer \
             groups\"",
            "400 \"bad_data\" \"the parameter `q` is missing\"",
            "404 \"not_found\" \"there is nothing at /api/v1/nothing\"",
            "400 \"bad_data\" \"the parameter `window` is missing\"",
            "400 \"bad_data\" \"`yesterday` is not the start of a window\"",
            "404 \"not_found\" \"no window of `m` at 1970-01-02T03:30:00Z is stored\"",
        ]
    );
    let explained = get(
        &scene.console,
        &format!("{}&explain=true", question("select nn from m")),
    )
    .await;
    assert_eq!(
        (explained.status, &explained.json()["hint"]),
        (422, &json!("its columns are: n, p50_ms"))
    );
    let asked = get(&scene.console, &format!("{}&explain=yes", question("select n from m"))).await;
    assert_eq!(
        (asked.status, &asked.json()["error"]),
        (400, &json!("`explain=yes` is neither true nor false"))
    );
    let body = get(&scene.console, &question("select nn from m")).await.json();
    assert_eq!(body["position"], json!({"line": 1, "column": 8, "length": 2}));
    assert_eq!(body["hint"], "its columns are: n, p50_ms");
    scene.end().await;
}

/// A monitor that is configured and has no window yet is no mistake; a question that it can never answer is one.
#[tokio::test]
async fn a_monitor_without_windows_is_answered_without_points() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let question_of = |select: &str| {
        question(&format!(
            "select {select} from young from 1970-01-01T00:00:00Z to 1970-01-01T00:00:20Z"
        ))
    };
    let young = get(&scene.console, &question_of("*")).await;
    let expected = json!({
        "status": "success", "partial": true, "warnings": ["no window of `young` is stored yet"],
        "data": {
            "points": [], "monitor": "young", "window_ms": 5_000, "group_by": ["op"], "outputs": ["n", "avg_ms"],
            "absent": {"n": 0, "avg_ms": null}, "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:20Z",
        },
    });
    assert_eq!((young.status, young.json()), (200, expected));
    let total = get(&scene.console, &question_of("sum(n) as total")).await;
    assert_eq!(
        (total.status, &total.json()["data"]["outputs"]),
        (200, &json!(["total"]))
    );
    let wrong = get(&scene.console, &question_of("nn")).await;
    assert_eq!(
        (wrong.status, &wrong.json()["error"]),
        (422, &json!("`young` has no column `nn`"))
    );
    let explained = get(&scene.console, &format!("{}&explain=true", question_of("n"))).await;
    let plan = &explained.json()["data"]["plan"];
    assert_eq!(
        (explained.status, &plan[0]),
        (200, &json!({"name": "source", "text": "stored points of `young`"}))
    );
    // The built-in table has no text that could be read.
    let system = get(&scene.console, &question("select cpu.util from system")).await;
    assert_eq!(
        (system.status, &system.json()["data"]["window_ms"]),
        (200, &json!(5_000))
    );
    scene.end().await;
}

#[tokio::test]
async fn every_expected_host_of_a_window_is_shown() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let body = get(&scene.console, "/api/v1/hosts?monitor=m&window=1970-01-01T00:00:10Z")
        .await
        .json();
    let hosts = json!([
        {"host": "h1", "state": "ok", "detail": null, "labels": {"zone": "a"}},
        {"host": "h2", "state": "unreachable", "detail": null, "labels": {"zone": "b"}},
    ]);
    assert_eq!(
        (&body["data"]["hosts"], &body["data"]["inventory_version"]),
        (&hosts, &json!(7))
    );
    let by_ms = get(&scene.console, "/api/v1/hosts?monitor=m&window=10000").await.json();
    assert_eq!(by_ms, body);
    let within = get(&scene.console, "/api/v1/hosts?monitor=m&window=12345").await.json();
    assert_eq!(within, body);
    scene.end().await;
}

#[tokio::test]
async fn the_brain_is_asked_how_everything_stands() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let monitors = get(&scene.console, "/api/v1/monitors").await.json();
    let first = &monitors["data"]["monitors"][0];
    let expected = json!({
        "name": "m", "tenant": null, "app": "shop", "log": "/var/log/x.log", "file": "m.yaml", "text": "kind: monitor",
        "version": "ffffffffffffffff", "window_ms": 10_000, "grace_ms": 1_000, "group_by": ["path"], "outputs": ["n"],
        "hosts_expected": 2, "reduce": "reduce-1", "shards": [{"map": "map-1", "hosts": 2}],
        "newest": "1970-01-01T00:00:10Z", "below": 1,
        "below_windows": [{"window": "1970-01-01T00:00:00Z", "ok": 1, "expected": 2, "missing": {"timeout": 1}}],
        "troubles": ["something"], "cpu_us_per_s": 12_300, "bytes_per_s": 1_048_576,
        "overflow": {"values": 1_200, "or_more": false, "groups": 1_000, "columns": ["path"]},
        "estimated_us_per_mb": 900, "cpu_limit_us_per_s": 50_000, "notices": ["something to expect"],
    });
    assert_eq!(*first, expected);
    assert_eq!(monitors["data"]["mistakes"][0]["line"], 3);
    let tenant = json!({
        "name": "trade", "monitors": 2, "cpu_us_per_s": 620_000, "bytes_per_s": 1_048_576,
        "cpu_limit_us_per_s": 500_000, "bytes_limit_per_s": null, "suspended": 1,
    });
    assert_eq!(monitors["data"]["tenants"], json!([tenant]));
    let cluster = get(&scene.console, "/api/v1/cluster").await.json();
    let host = json!({"host": "h1", "address": "10.0.0.2:7801", "labels": {"zone": "a"}});
    assert_eq!(
        (&cluster["data"]["epoch"], &cluster["data"]["apps"][0]["hosts"][0]),
        (&json!(4), &host)
    );
    let node = &cluster["data"]["nodes"][0];
    assert_eq!(node["figures"], json!({"pulls": 17, "inputs": 3, "inputs_unshared": 4}));
    assert_eq!(
        (&node["life"], &node["since"]),
        (&json!("live"), &json!("1970-01-01T00:00:01.5Z"))
    );
    let sharing = json!({"inputs": 3, "inputs_unshared": 4, "saved_percent": 25});
    assert_eq!(cluster["data"]["sharing"], sharing);
    let events = get(&scene.console, "/api/v1/events").await.json();
    let event = json!({"time": "1970-01-01T00:00:01.5Z", "kind": "config", "text": "changed"});
    assert_eq!(events["data"]["events"], json!([event]));
    assert_eq!(
        get(&scene.console, "/api/v1/alerts").await.json()["data"],
        json!({"alerts": []})
    );
    assert_eq!(get(&scene.console, "/readyz").await.status, 200);
    let metrics = String::from_utf8(get(&scene.console, "/metrics").await.body).expect("text");
    for line in [
        "sunfire_store_up 1",
        "sunfire_store_disk_bytes 4096",
        "sunfire_map_pulls{node=\"map-1\",role=\"map\"} 17",
        "sunfire_console_requests_total{route=\"/api/v1/monitors\",status=\"200\"} 1",
        "sunfire_invariant_violations_total{invariant=\"C1\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    scene.end().await;
}

#[tokio::test]
async fn without_a_brain_or_a_store_that_is_said() {
    let mut failing = world();
    failing.fails = true;
    let scene = scene(Arc::new(failing), |config| config.brains.clear()).await;
    for path in ["/readyz", "/api/v1/monitors", &question("select n from m")] {
        assert_eq!(get(&scene.console, path).await.status, 503, "{path}");
    }
    assert_eq!(get(&scene.console, "/healthz").await.status, 200);
    let metrics = String::from_utf8(get(&scene.console, "/metrics").await.body).expect("text");
    assert!(
        metrics.contains("sunfire_store_up 0") && metrics.contains("sunfire_brain_up 0"),
        "{metrics}"
    );
    scene.end().await;
}

#[tokio::test]
async fn a_token_opens_what_is_closed() {
    let scene = scene(Arc::new(world()), |config| config.token = ApiToken::new(TOKEN)).await;
    let address = scene.console.local_address();
    let status = |path: &'static str, token: Option<&'static str>| async move {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
        send(address, &request("GET", path, &headers)).await.status
    };
    for path in ["/api/v1/monitors", "/metrics", "/api/v1/nothing"] {
        assert_eq!(status(path, None).await, 401, "{path}");
        assert_eq!(status(path, Some("0123456789abcdef0124")).await, 401, "{path}");
        assert_ne!(status(path, Some(TOKEN)).await, 401, "{path}");
    }
    for path in ["/", "/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(status(path, None).await, 200, "{path}");
    }
    let refused = get(&scene.console, "/api/v1/monitors").await;
    assert_eq!(
        refused.header("www-authenticate").as_deref(),
        Some("Bearer realm=\"sunfire\"")
    );
    assert!(
        refused.json()["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("Authorization: Bearer"))
    );
    scene.end().await;
}

#[tokio::test]
async fn a_listener_beyond_loopback_needs_a_token() {
    let config = ConsoleConfig {
        listen: SocketAddr::from(([0, 0, 0, 0], 0)),
        name: None,
        token: None,
        store: Arc::new(world()),
        brains: Vec::new(),
        node: "console-1".to_owned(),
        cluster_token: Token::new(SECRET).expect("long enough"),
        network: Arc::new(MemoryNetwork::default()),
        clock: Clock::system(),
        randomness: Randomness::seeded(1),
        access_log: None,
        limits: Limits::default(),
    };
    assert!(matches!(start(config).await, Err(StartError::OpenBeyondLoopback(_))));
}

#[tokio::test]
async fn on_loopback_only_our_own_names_are_answered_to() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let address = scene.console.local_address();
    let own = address.to_string();
    for (host, status) in [
        ("localhost:7800", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        (own.as_str(), 200),
        ("[::1]:1", 200),
        ("console.example:7800", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("", 403),
    ] {
        let response = send(address, &request("GET", "/api/v1/monitors", &[("Host", host)])).await;
        assert_eq!(response.status, status, "{host}");
    }
    scene.end().await;
}

#[tokio::test]
async fn requests_are_bounded() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let address = scene.console.local_address();
    let long = question(&"x".repeat(20_000));
    assert_eq!(get(&scene.console, &long).await.status, 414);
    assert_eq!(
        send(
            address,
            &request("POST", "/api/v1/monitors", &[("Content-Length", "0")])
        )
        .await
        .status,
        405
    );
    let head = send(address, &request("HEAD", "/api/v1/monitors", &[])).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    let zipped = send(
        address,
        &request("GET", "/api/v1/monitors", &[("Accept-Encoding", "gzip")]),
    )
    .await;
    assert_eq!(zipped.header("content-encoding").as_deref(), Some("gzip"));
    scene.end().await;
}

/// A store whose disk hangs.
struct Hanging;

impl Hanging {
    fn never<T>() -> BoxedFuture<'static, Result<T, StoreError>>
    where
        T: Send + 'static,
    {
        Box::pin(std::future::pending())
    }
}

impl Points for Hanging {
    fn windows<'a>(
        &'a self,
        _monitor: &'a str,
        _range: Range<i64>,
        _most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Self::never()
    }

    fn newest<'a>(&'a self, _monitor: &'a str, _most: usize) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Self::never()
    }

    fn monitors(&self) -> BoxedFuture<'_, Result<Vec<String>, StoreError>> {
        Self::never()
    }

    fn documents<'a>(&'a self, _kind: &'a str, _name: &'a str) -> BoxedFuture<'a, Result<Vec<Document>, StoreError>> {
        Self::never()
    }

    fn status(&self) -> BoxedFuture<'_, Result<StoreStatus, StoreError>> {
        Self::never()
    }
}

#[tokio::test]
async fn a_question_has_only_so_much_time() {
    let change = |config: &mut ConsoleConfig| {
        config.limits.query_patience = Duration::from_millis(50);
        config.limits.questions_max = 1;
    };
    let scene = scene(Arc::new(Hanging), change).await;
    let path = question("select n from m");
    // The second and third also wait for their turn, within the same time.
    let all = tokio::join!(
        get(&scene.console, &path),
        get(&scene.console, &path),
        get(&scene.console, &path)
    );
    for response in [all.0, all.1, all.2] {
        assert_eq!(
            (response.status, &response.json()["errorType"]),
            (504, &json!("timeout"))
        );
    }
    assert_eq!(get(&scene.console, "/healthz").await.status, 200);
    scene.end().await;
}

#[tokio::test]
async fn the_page_may_load_only_what_is_ours() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let page = get(&scene.console, "/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    assert!(
        page.header("content-security-policy")
            .is_some_and(|policy| policy.starts_with("default-src 'self'; "))
    );
    assert_eq!(page.header("x-content-type-options").as_deref(), Some("nosniff"));
    if let Some(tag) = page.header("etag") {
        let again = request("GET", "/", &[("If-None-Match", tag.as_str())]);
        assert_eq!(send(scene.console.local_address(), &again).await.status, 304);
    }
    assert_eq!(get(&scene.console, "/assets/../Cargo.toml").await.status, 404);
    assert_eq!(get(&scene.console, "/assets/nothing.js").await.status, 404);
    scene.end().await;
}

#[tokio::test]
async fn the_description_names_every_route() {
    let scene = scene(Arc::new(world()), |_| {}).await;
    let description = get(&scene.console, "/openapi.json").await.json();
    let paths: Vec<String> = description["paths"]
        .as_object()
        .expect("paths")
        .keys()
        .cloned()
        .collect();
    assert_eq!(paths.len(), 14);
    for path in paths {
        assert_ne!(get(&scene.console, &path).await.status, 404, "{path}");
    }
    scene.end().await;
}
