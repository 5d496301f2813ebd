//! Looking at the folders and files of a host through the whole cluster, as a process for each role: what is allowed is
//! shown, what is not gives not one byte away, and a host or a Map that is stopped is said in time.

use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::live::api::until_answered;

/// What stands in no answer, whatever is asked.
const SECRET: &str = "TOP-SECRET-BYTES";
/// Longer than any question may take: the console's own limit, and some time for a busy machine.
const PATIENCE: Duration = Duration::from_secs(14);
/// How long what must come is waited for.
const WITHIN: Duration = Duration::from_secs(60);
const LINES: usize = 300;

/// Asks below `/api/v1/` with a query string as it is written; the status and the whole answer.
fn ask(server: &str, query: &str) -> (u16, String) {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build();
    let url = format!("{server}/api/v1/{query}");
    let mut response = ureq::Agent::new_with_config(config)
        .get(&url)
        .call()
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string();
    (status, text.unwrap_or_else(|error| panic!("{url}: {error}")))
}

#[track_caller]
fn data(server: &str, query: &str) -> Value {
    let (status, text) = ask(server, query);
    assert_eq!(status, 200, "{query}: {text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    answer["data"].clone()
}

fn encoded(text: &[u8]) -> String {
    text.iter().map(|byte| format!("%{byte:02X}")).collect()
}

fn of_host(host: &str, path: &str) -> String {
    format!("app=shop&host={host}&path={}", encoded(path.as_bytes()))
}

/// Asks until the answer is as wanted.
fn until(what: &str, mut look: impl FnMut() -> Option<Value>) -> Value {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(WITHIN);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!clock.has_passed(deadline), "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(300));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// The log compressed: whole, larger than is unpacked for a look, torn, spoilt, and by what is not unpacked.
fn furnish_compressed(folder: &Path, log: &[u8]) {
    let packed = folder.join("packed");
    fs::create_dir_all(&packed).expect("a folder");
    let put = |name: &str, bytes: &[u8]| fs::write(packed.join(name), bytes).expect("a file");
    let whole = gzip(log);
    put("whole.gz", &whole);
    put(
        "whole.zst",
        &ruzstd::encoding::compress_to_vec(log, ruzstd::encoding::CompressionLevel::Fastest),
    );
    // By what they hold, whatever their name.
    put("named.log", &whole);
    put("plain.gz", log);
    put("torn.gz", &whole[..whole.len() / 2]);
    let mut spoilt = whole.clone();
    let checksum = spoilt.len() - 6;
    spoilt[checksum] ^= 1;
    put("spoilt.gz", &spoilt);
    put("other.xz", b"\xfd7zXZ\0");
    let bomb = [log, &vec![b'x'; 65 << 20]].concat();
    put("bomb.gz", &gzip(&bomb));
}

/// A host's folder with a log, and ways out of it.
fn furnish(folder: &Path, outside: &Path) {
    fs::create_dir_all(folder.join("sub")).expect("a folder");
    fs::create_dir_all(outside).expect("a folder");
    fs::write(outside.join("secret.log"), format!("2026-11-23 07:00:00 {SECRET}\n")).expect("a file");
    let line = |n: usize| {
        format!(
            "2026-11-23 07:{:02}:{:02} INFO request {n} \u{1b}[31mred\n",
            n / 60,
            n % 60
        )
    };
    let mut log = (0..LINES).map(line).collect::<String>().into_bytes();
    log.extend_from_slice(b"2026-11-23 07:05:00 INFO no text: \xff\n");
    furnish_compressed(folder, &log);
    fs::write(folder.join("app.log"), log).expect("a file");
    symlink(outside.join("secret.log"), folder.join("link.log")).expect("a link");
    symlink(outside, folder.join("out")).expect("a link");
    symlink("/", folder.join("slash")).expect("a link");
    fs::hard_link(outside.join("secret.log"), folder.join("hard.log")).expect("a hard link");
    let made = std::process::Command::new("mkfifo")
        .arg(folder.join("fifo.log"))
        .status();
    assert!(made.expect("mkfifo is there").success());
}

#[test]
fn a_host_is_browsed_through_the_cluster_and_gives_nothing_else_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let mut cluster = Cluster::prepare(&binary::dev(), &base);
    for host in cluster.of_role("agent") {
        cluster.host_folder(&host);
    }
    let (home, outside) = (cluster.host_folder("web-01"), base.join("outside"));
    furnish(&home, &outside);
    let home = home.to_str().expect("UTF-8").to_owned();
    cluster.start_all();
    let server = cluster.server();
    until_answered(&server);
    what_is_allowed(&server, &home);
    what_is_compressed(&server, &home);
    what_is_hostile(&server, &home, outside.to_str().expect("UTF-8"));
    agents_are_told(&server);
    stopped_ones_are_said(&mut cluster, &server, &home);
}

fn what_is_allowed(server: &str, home: &str) {
    let status = until("the agent's status", || {
        let (status, text) = ask(server, "files?app=shop&host=web-01");
        (status == 200).then(|| serde_json::from_str::<Value>(&text).expect("JSON")["data"].clone())
    });
    assert_eq!(status["roots"][0]["path"], home);
    assert!(
        status["confinement"]
            .as_str()
            .is_some_and(|told| told.contains("opens by")),
        "{status}"
    );
    let listed = data(server, &format!("files?{}", of_host("web-01", home)));
    let names: Vec<&str> = listed["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "app.log", "fifo.log", "hard.log", "link.log", "out", "packed", "slash", "sub"
        ]
    );
    let log = &listed["entries"][0];
    assert_eq!((&log["kind"], &log["refusal"]), (&"file".into(), &Value::Null));
    assert!(log["size"].as_u64() > Some(1000) && log["mtime"].is_string(), "{log}");
    for at in [1, 2, 3, 4] {
        assert!(listed["entries"][at]["refusal"].is_string(), "{listed}");
    }
    let page = data(
        server,
        &format!("files?{}&after=link.log&limit=1", of_host("web-01", home)),
    );
    assert_eq!(
        (&page["entries"][0]["name"], &page["more"]),
        (&"out".into(), &true.into())
    );

    let log = of_host("web-01", &format!("{home}/app.log"));
    let tail = data(server, &format!("files/tail?{log}&bytes=200"));
    let lines = tail["lines"].as_array().expect("lines");
    let last = lines.last().expect("a line");
    assert_eq!(
        (&last["text"], &last["invalid"]),
        (&"2026-11-23 07:05:00 INFO no text: \\xff".into(), &1.into())
    );
    let before = lines[lines.len() - 2]["text"].as_str().expect("text");
    assert!(before.ends_with("INFO request 299 \\x1b[31mred"), "{before}");
    let detected = data(server, &format!("files/detect?{log}"));
    let found = &detected["found"];
    assert_eq!(
        (&found["format"], &found["offset"]),
        (&"%Y-%m-%d %H:%M:%S".into(), &0.into())
    );
    assert_eq!(
        (&found["lines"], &found["records"]),
        (&(LINES + 1).into(), &(LINES + 1).into())
    );
    let sample = found["sample"].as_str().expect("a sample");
    assert_eq!(sample, "⟦2026-11-23 07:00:00⟧ INFO request 0 \\x1b[31mred");
}

/// Compressed files show what is in them, and what of them can't be had is said.
fn what_is_compressed(server: &str, home: &str) {
    let plain = format!("{home}/app.log");
    let asked = |question: &str, path: &str| format!("files/{question}?{}&bytes=200", of_host("web-01", path));
    let (lines, found) = (
        data(server, &asked("tail", &plain))["lines"].clone(),
        data(server, &asked("detect", &plain))["found"].clone(),
    );
    for (name, method) in [
        ("whole.gz", "gzip"),
        ("whole.zst", "zstd"),
        ("named.log", "gzip"),
        ("plain.gz", ""),
    ] {
        let path = format!("{home}/packed/{name}");
        let (tail, detected) = (
            data(server, &asked("tail", &path)),
            data(server, &asked("detect", &path)),
        );
        assert_eq!((&tail["lines"], &detected["found"]), (&lines, &found), "{name}");
        let packed = &tail["file"]["packed"];
        assert_eq!(packed, &detected["file"]["packed"]);
        match method {
            "" => assert_eq!(packed, &Value::Null),
            method => assert_eq!(
                (&packed["method"], &packed["shown"], &packed["note"]),
                (&method.into(), &"end".into(), &Value::Null)
            ),
        }
    }
    let tail = data(server, &asked("tail", &format!("{home}/packed/bomb.gz")));
    assert_eq!(tail["file"]["packed"]["shown"], "beginning");
    assert_eq!(
        tail["lines"][0]["text"],
        "2026-11-23 07:00:00 INFO request 0 \\x1b[31mred"
    );
    let note = tail["file"]["packed"]["note"].as_str().expect("a note");
    assert!(note.contains("too large"), "{note}");
    let detected = data(server, &asked("detect", &format!("{home}/packed/bomb.gz")));
    assert_eq!(detected["found"]["format"], found["format"]);
    let torn = data(server, &asked("tail", &format!("{home}/packed/torn.gz")));
    let note = torn["file"]["packed"]["note"].as_str().expect("a note");
    assert!(note.contains("ends too early"), "{note}");
    for (name, why) in [
        ("spoilt.gz", "is corrupt"),
        ("other.xz", "only gzip and zstd are unpacked"),
    ] {
        for question in ["tail", "detect"] {
            let (status, text) = ask(server, &asked(question, &format!("{home}/packed/{name}")));
            assert!(status == 422 && text.contains(why), "{name}: {status} {text}");
        }
    }
}

/// Ways out, as they are written in a query string: each is refused, and none gives a byte of what lies outside.
fn what_is_hostile(server: &str, home: &str, outside: &str) {
    let plain = |path: &str| encoded(path.as_bytes());
    let paths = [
        plain("/etc/passwd"),
        plain("/etc"),
        plain("/"),
        plain("/proc/self/environ"),
        plain(outside),
        plain(&format!("{outside}/secret.log")),
        plain(&format!("{home}/link.log")),
        plain(&format!("{home}/out")),
        plain(&format!("{home}/out/secret.log")),
        plain(&format!("{home}/slash{outside}/secret.log")),
        plain(&format!("{home}/slash/etc/passwd")),
        plain(&format!("{home}/hard.log")),
        plain(&format!("{home}/fifo.log")),
        plain(&format!("{home}/../../outside/secret.log")),
        plain(&format!("{home}/sub/../../../outside/secret.log")),
        format!("{home}/%2e%2e/%2e%2e/outside/secret.log"),
        format!("{home}/%252e%252e/%252e%252e/outside/secret.log"),
        format!("{home}/..%2f..%2foutside%2fsecret.log"),
        format!("{outside}/secret.log%00{home}/app.log"),
        format!("{home}/app.log%00"),
        format!("{home}/%ff.log"),
        format!("{home}/%0a"),
        plain("app.log"),
        plain("../outside/secret.log"),
        String::new(),
        "a".repeat(5000),
    ];
    for path in &paths {
        for question in ["files", "files/tail", "files/detect"] {
            let query = format!("{question}?app=shop&host=web-01&path={path}");
            let (status, text) = ask(server, &query);
            assert!(matches!(status, 400 | 403 | 404 | 422), "{query}: {status} {text}");
            assert!(!text.contains(SECRET) && !text.contains("root:x:"), "{query}: {text}");
        }
    }
    for query in [
        "files?app=shop&host=127.0.0.1:22",
        "files?app=other&host=web-01",
        "files?app=shop&host=../web-01",
    ] {
        assert_eq!(ask(server, query).0, 404, "{query}");
    }
    for query in [
        "files?app=shop",
        "files/tail?app=shop&host=web-01",
        "files?app=shop&host=web-01&path=/&limit=0",
    ] {
        assert_eq!(ask(server, query).0, 400, "{query}");
    }
}

fn agents_are_told(server: &str) {
    let told = until("what each agent says", || {
        let told = data(server, "agents");
        let agents = told["agents"].as_array().expect("agents");
        let all = agents.len() == 10 && agents.iter().all(|agent| agent["sandbox"].is_string());
        all.then(|| told.clone())
    });
    let first = &told["agents"][0];
    assert_eq!((&first["app"], &first["host"]), (&"shop".into(), &"web-01".into()));
    let output = std::process::Command::new(binary::dev())
        .args(["status", "--server", server])
        .output()
        .expect("the built binary runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = format!(
        "sandbox: {}, user {}",
        first["sandbox"].as_str().expect("text"),
        first["user"].as_str().expect("text")
    );
    let line = said.lines().find(|line| line.starts_with("agent web-01"));
    assert!(line.is_some_and(|line| line.contains(&expected)), "{expected}: {said}");
}

/// A Map that is stopped is passed over; a host that is stopped is said to be, in time, and others go on.
fn stopped_ones_are_said(cluster: &mut Cluster, server: &str, home: &str) {
    let maps = cluster.of_role("map");
    for map in &maps {
        cluster.signal(map, Signal::SIGSTOP);
        let listed = data(server, &format!("files?{}", of_host("web-01", home)));
        assert!(listed["entries"].is_array(), "{map} is stopped: {listed}");
        cluster.signal(map, Signal::SIGCONT);
    }
    cluster.signal("web-01", Signal::SIGSTOP);
    let (status, text) = ask(server, &format!("files?{}", of_host("web-01", home)));
    assert!(matches!(status, 503 | 504), "{status} {text}");
    assert!(text.contains("the agent does not answer"), "{text}");
    let other = data(server, "files?app=shop&host=web-02");
    assert_eq!(other["host"], "web-02");
    cluster.signal("web-01", Signal::SIGCONT);
    cluster.kill("web-01");
    let (status, text) = ask(server, &format!("files?{}", of_host("web-01", home)));
    assert!(matches!(status, 503 | 504), "{status} {text}");
}
