//! `sunfire apply`, `get`, `diff`, `delete` and `history` on a real etcd and on a folder, and what becomes of two who
//! change one document at a time.

use configdb::Connection;
use configdb::apply::{ApplyError, Edit, VERSIONS_MAX, apply, history, snapshot};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use sunfire_tests::binary;
use sunfire_tests::etcd::{Etcd, connect};

fn app(name: &str, hosts: &str) -> String {
    format!("kind: app\nname: {name}\nhosts: {hosts}\n")
}

fn edit(name: &str, text: Option<String>) -> Edit {
    Edit {
        kind: "app".to_owned(),
        name: name.to_owned(),
        text,
        origin: "a test".to_owned(),
    }
}

/// Applies upon what is there now, after something else was done.
fn apply_after(connection: &Arc<Connection>, edits: Vec<Edit>, meanwhile: impl FnOnce()) -> Result<usize, ApplyError> {
    let (client, keys) = (connection.client().clone(), connection.keys().clone());
    let before = connection.call(async move { snapshot(&client, &keys).await });
    let before = before.expect("a snapshot");
    meanwhile();
    let within = Arc::clone(connection);
    let applied = connection.wait(async move { apply(&within, &before, &edits, "me").await });
    applied.expect("no panic")
}

#[test]
fn who_writes_upon_something_else_is_told_and_writes_nothing() {
    let Some(etcd) = Etcd::start("who_writes_upon_something_else_is_told_and_writes_nothing", 1) else {
        return;
    };
    let connection = connect(etcd.endpoints());
    let both = || vec![edit("a", Some(app("a", "[]"))), edit("b", Some(app("b", "[]")))];
    assert_eq!(apply_after(&connection, both(), || {}).expect("written"), 1);
    let others = app("b", "[{ host: h, address: 'h:1' }]");
    let edits = vec![edit("a", None), edit("b", Some(app("b", "[] # mine")))];
    let refused = apply_after(&connection, edits, || {
        etcd.control(&["put", "/sunfire/config/app/b", &others]);
    });
    let Err(ApplyError::Conflict { conflicts, written: 0 }) = refused else {
        panic!("{refused:?}")
    };
    let told: Vec<(&str, Option<&str>)> = conflicts
        .iter()
        .map(|one| (one.name.as_str(), one.now.as_deref()))
        .collect();
    assert_eq!(told, [("b", Some(others.as_str()))]);
    let held = etcd.control(&["get", "--prefix", "/sunfire/config/", "--print-value-only"]);
    assert_eq!(
        held,
        format!("{}\n{others}\n", app("a", "[]")),
        "a is still there, and b is the other's"
    );
    let made = apply_after(&connection, vec![edit("c", Some(app("c", "[]")))], || {
        etcd.control(&["put", "/sunfire/config/app/c", &app("c", "[] # theirs")]);
    });
    assert!(matches!(made, Err(ApplyError::Conflict { .. })), "{made:?}");
    let removed = apply_after(&connection, vec![edit("a", Some(app("a", "[] # more")))], || {
        etcd.control(&["del", "/sunfire/config/app/a"]);
    });
    assert!(matches!(removed, Err(ApplyError::Conflict { .. })), "{removed:?}");
}

#[test]
fn of_many_at_once_each_is_in_the_history_or_was_told() {
    let Some(etcd) = Etcd::start("of_many_at_once_each_is_in_the_history_or_was_told", 1) else {
        return;
    };
    let connection = connect(etcd.endpoints());
    let write = |number: usize| {
        let connection = Arc::clone(&connection);
        move || {
            let text = app("shared", &format!("[] # {number}"));
            match apply_after(&connection, vec![edit("shared", Some(text.clone()))], || {}) {
                Ok(_) => Some(text),
                Err(ApplyError::Conflict { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let mut written = Vec::new();
    for round in 0..20 {
        let writers: Vec<_> = (0..4)
            .map(|writer| std::thread::spawn(write(round * 4 + writer)))
            .collect();
        let texts: Vec<String> = writers
            .into_iter()
            .filter_map(|one| one.join().expect("no panic"))
            .collect();
        assert!(!texts.is_empty(), "one of them was first");
        written.extend(texts);
    }
    let (client, keys) = (connection.client().clone(), connection.keys().clone());
    let versions = connection.call(async move { history(&client, &keys, "app", "shared").await });
    let versions = versions.expect("a history");
    let kept = usize::try_from(VERSIONS_MAX).expect("a count").min(written.len());
    assert_eq!(versions.len(), kept);
    assert_eq!(versions.last().map(|last| last.number), Some(written.len() as u64));
    for version in versions {
        let text = version.text.expect("none was removed");
        assert!(written.contains(&text), "{text}");
    }
}

/// The exit code, stdout and stderr of `sunfire`.
fn sunfire(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(binary::dev())
        .env_remove("SUNFIRE_ETCD")
        .args(arguments)
        .output();
    let output = output.expect("the built binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// What it printed, where it went well.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let (code, out, said) = sunfire(arguments);
    assert_eq!(code, 0, "{said}");
    out
}

#[test]
fn documents_go_from_a_folder_to_etcd_and_back_and_keep_their_history() {
    let test = "documents_go_from_a_folder_to_etcd_and_back_and_keep_their_history";
    let Some(etcd) = Etcd::start(test, 1) else { return };
    let at = ["--etcd", &etcd.endpoints().join(",")].map(str::to_owned);
    let with = |arguments: &[&'static str]| -> Vec<String> {
        arguments
            .iter()
            .map(|one| (*one).to_owned())
            .chain(at.clone())
            .collect()
    };
    let run = |arguments: Vec<String>| printed(&arguments.iter().map(String::as_str).collect::<Vec<&str>>());
    let folder = tempfile::tempdir().expect("a folder");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/examples/cluster/config");
    let examples = examples.to_str().expect("UTF-8").to_owned();
    let (export, edited) = (folder.path().join("export"), folder.path().join("edited.yaml"));

    let (apply, of_file) = (["apply".to_owned(), examples.clone()], |path: &Path| {
        path.display().to_string()
    });
    let apply_examples = || [&apply[..], &at[..]].concat();
    assert_eq!(run(apply_examples()), "app shop made\nmonitor shop_access made\n");
    assert_eq!(run(apply_examples()), "", "nothing is written twice");
    assert_eq!(run(with(&["get"])), "app shop\nmonitor shop_access\n");
    let output = [
        "get".to_owned(),
        "--all".to_owned(),
        "--output".to_owned(),
        of_file(&export),
    ];
    run([&output[..], &at[..]].concat());
    let diff = |path: &Path| run([&["diff".to_owned(), of_file(path), "--prune".to_owned()], &at[..]].concat());
    assert_eq!(diff(&export), "", "what was exported is what is there");

    let monitor = std::fs::read_to_string(export.join("monitor/shop_access.yaml")).expect("exported");
    std::fs::write(&edited, monitor.replace("window: 5s", "window: 10s")).expect("written");
    let shown = diff(&edited);
    assert!(
        shown.contains("- window: 5s\n+ window: 10s\n") && shown.contains("app shop would be removed"),
        "{shown}"
    );
    let apply_edited = [&["apply".to_owned(), of_file(&edited)], &at[..]].concat();
    assert_eq!(run(apply_edited), "monitor shop_access changed\n");
    run(with(&["delete", "monitor", "shop_access"]));
    let versions = run(with(&["history", "monitor", "shop_access"]));
    let ends: Vec<&str> = versions
        .lines()
        .map(|line| line.rsplit('/').next().unwrap_or(line))
        .collect();
    assert_eq!(
        (ends.len(), ends[0], ends[1]),
        (3, "shop.yaml:6", "edited.yaml:1"),
        "{versions}"
    );
    assert!(
        ends[2].ends_with("removed") && versions.starts_with("1  20"),
        "{versions}"
    );
    assert_eq!(
        run(with(&["history", "monitor", "shop_access", "--show", "1"])),
        monitor
    );
}

#[test]
fn a_folder_is_written_as_it_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/examples/cluster/config");
    let (examples, dir) = (examples.to_str().expect("UTF-8"), folder.path().join("dir"));
    let dir_name = dir.to_str().expect("UTF-8");
    let applied = printed(&["apply", examples, "--config", dir_name]);
    assert_eq!(applied, "app shop made\nmonitor shop_access made\n");
    assert_eq!(printed(&["diff", examples, "--prune", "--config", dir_name]), "");
    assert_eq!(
        printed(&["get", "--config", dir_name]),
        "app shop\nmonitor shop_access\n"
    );
    let held = std::fs::read_to_string(dir.join("monitor/shop_access.yaml")).expect("a file of its own");
    assert_eq!(printed(&["get", "monitor", "shop_access", "--config", dir_name]), held);
    printed(&["delete", "monitor", "shop_access", "--config", dir_name]);
    assert_eq!(printed(&["get", "--config", dir_name]), "app shop\n");
}

#[test]
fn exit_codes_say_what_went_wrong_and_nothing_is_written() {
    let Some(etcd) = Etcd::start("exit_codes_say_what_went_wrong_and_nothing_is_written", 1) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let endpoints = etcd.endpoints().join(",");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (good, bad) = (
        write("good.yaml", &app("a", "[]")),
        write("bad.yaml", "kind: app\nname: b\nhsots: []\nhosts: []\n"),
    );
    let twice = write("twice.yaml", &app("a", "[] # again"));
    let node = write("node.yaml", "role: map\nnode: m\nlisten: 127.0.0.1:1\n");
    let large = write("large.yaml", &format!("{}# {}\n", app("l", "[]"), "x".repeat(700_000)));
    #[track_caller]
    fn check(arguments: &[&str], code: i32, expected: &str) {
        let (exit, _, said) = sunfire(arguments);
        assert_eq!(exit, code, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    check(
        &["apply", &good, &bad, "--etcd", &endpoints],
        78,
        "bad.yaml:3:1: unknown key `hsots`",
    );
    check(
        &["apply", &good, &twice, "--etcd", &endpoints],
        78,
        "two apps are named `a`",
    );
    check(
        &["apply", &node, "--etcd", &endpoints],
        78,
        "is no part of the ConfigDB",
    );
    check(&["get", "app", "a", "--etcd", &endpoints], 1, "there is no app `a`");
    check(&["delete", "app", "a", "--etcd", &endpoints], 1, "there is no app `a`");
    check(&["history", "app", "a", "--etcd", &endpoints], 1, "has no history");
    check(&["get", "--etcd", "http://127.0.0.1:1"], 4, "cannot be reached");
    check(
        &["get", "--etcd", "127.0.0.1:1"],
        2,
        "write such as http://127.0.0.1:2379",
    );
    check(
        &["get", "--etcd", &endpoints, "--prefix", "x"],
        2,
        "with a slash at both ends",
    );
    check(
        &[
            "history",
            "app",
            "a",
            "--config",
            folder.path().to_str().expect("UTF-8"),
        ],
        2,
        "version control",
    );
    // A comment behind the document is none of its text, so that this one fits.
    check(&["apply", &large, "--etcd", &endpoints], 0, "");
    let huge = write("huge.yaml", &app("l", &format!("[] # {}", "x".repeat(700_000))));
    check(&["apply", &huge, "--etcd", &endpoints], 1, "600000 at most");
    assert_eq!(printed(&["get", "--etcd", &endpoints]), "app l\n");
}

#[test]
fn what_takes_several_transactions_says_so_and_arrives_whole() {
    let Some(etcd) = Etcd::start("what_takes_several_transactions_says_so_and_arrives_whole", 1) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let endpoints = etcd.endpoints().join(",");
    let texts: Vec<String> = (0..100).map(|number| app(&format!("a{number:03}"), "[]")).collect();
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, texts.join("---\n")).expect("written");
    let (code, out, said) = sunfire(&["apply", file.to_str().expect("UTF-8"), "--etcd", &endpoints]);
    assert_eq!((code, out.lines().count()), (0, 100), "{said}");
    assert!(said.contains("written in 2 transactions"), "{said}");
    assert_eq!(printed(&["get", "--all", "--etcd", &endpoints]), texts.join("---\n"));
}
