//! Targets files in Prometheus' form, good and broken, and what an application's list is worth then.

use super::*;
use crate::{Directory, Documents};

struct Stage {
    root: tempfile::TempDir,
    directory: Directory,
    targets: Targets,
    urls: Urls,
}

/// Answers of URLs, as a test sets them.
#[derive(Default)]
struct Urls(BTreeMap<String, UrlRead>);

impl UrlReader for Urls {
    fn read(&mut self, urls: &BTreeSet<String>) -> BTreeMap<String, UrlRead> {
        let known = |url: &String| Some((url.clone(), self.0.get(url)?.clone()));
        urls.iter().filter_map(known).collect()
    }
}

impl Stage {
    fn new(app: &str, files: &[(&str, &str)]) -> Stage {
        let root = tempfile::tempdir().expect("a directory");
        let directory = Directory::new(root.path(), &[]);
        let stage = Stage {
            root,
            directory,
            targets: Targets::default(),
            urls: Urls::default(),
        };
        stage.write("apps/a.yaml", &format!("kind: app\nname: a\n{app}\n"));
        files.iter().for_each(|(name, text)| stage.write(name, text));
        stage
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    fn poll(&mut self) -> AppHosts {
        let _changed = self.directory.poll();
        let mut found = self
            .targets
            .poll(self.directory.documents(), self.root.path(), &mut self.urls);
        found.pop().expect("an app")
    }

    fn settle(&mut self) -> AppHosts {
        self.poll();
        self.poll()
    }
}

/// Hosts as `name=address{labels}`, and mistakes as messages.
#[track_caller]
fn check(found: &AppHosts, wholeness: Wholeness, hosts: &[&str], mistakes: &[&str]) {
    let brief = |host: &Host| format!("{}={}{:?}", host.host, host.address, host.labels);
    assert_eq!(found.hosts.iter().map(brief).collect::<Vec<_>>(), hosts);
    let told: Vec<&str> = found.mistakes.iter().map(|told| told.message.as_str()).collect();
    assert_eq!((told, found.wholeness), (mistakes.to_vec(), wholeness));
}

const ONE: &str =
    r#"[{"targets": ["10.0.0.1:7801", "[::1]:7801"], "labels": {"zone": "a", "__meta_x": "1", "app": "b"}}]"#;
const ONE_HOSTS: [&str; 2] = [
    r#"10.0.0.1=10.0.0.1:7801{"zone": "a"}"#,
    r#"[::1]=[::1]:7801{"zone": "a"}"#,
];

#[test]
fn hosts_come_from_the_document_and_from_files_beside_it() {
    let app = "hosts: [{ host: h, address: 'h:1' }]\nfile_sd: [targets/w?b-*.json]";
    let two = r#"[{"targets": ["10.0.0.2:7801"], "labels": {"host": "two"}}]"#;
    let files = [
        ("apps/targets/web-1.json", ONE),
        ("apps/targets/web-2.json", two),
        ("apps/targets/x.json", "?"),
    ];
    let expected = ["h=h:1{}", ONE_HOSTS[0], ONE_HOSTS[1], "two=10.0.0.2:7801{}"];
    check(&Stage::new(app, &files).poll(), Wholeness::Whole, &expected, &[]);
}

#[test]
fn a_broken_file_keeps_its_last_good_targets() {
    let mut stage = Stage::new("file_sd: [t.json]", &[("apps/t.json", ONE)]);
    check(&stage.settle(), Wholeness::Whole, &ONE_HOSTS, &[]);
    stage.write("apps/t.json", "[{\"targets\":\n  [10]}]");
    let found = stage.settle();
    check(
        &found,
        Wholeness::Whole,
        &ONE_HOSTS,
        &["not a list of targets: invalid type: integer `10`, expected a string"],
    );
    assert_eq!((found.mistakes[0].line, found.mistakes[0].column), (2, 5));
    stage.write("apps/t.json", r#"[{"targets": ["10.0.0.9"]}]"#);
    check(
        &stage.settle(),
        Wholeness::Whole,
        &ONE_HOSTS,
        &[r#"a target is not an address: "10.0.0.9""#],
    );
    stage.write(
        "apps/t.json",
        r#"[{"targets": ["x:1", "y:1"], "labels": {"host": "h"}}]"#,
    );
    check(
        &stage.settle(),
        Wholeness::Whole,
        &ONE_HOSTS,
        &[r#"one label `host` can't name two targets: "y:1""#],
    );
    stage.write("apps/t.json", "[]");
    check(&stage.settle(), Wholeness::Whole, &[], &[]);
}

#[test]
fn a_source_that_can_not_be_read_makes_the_list_partial() {
    let gone = |app: &str, told: &[&str]| check(&Stage::new(app, &[]).poll(), Wholeness::Partial, &[], told);
    gone("file_sd: [t.json]", &["no file matches `t.json`"]);
    gone("file_sd: [t.yml]", &["`t.yml` is not JSON"]);
    gone(
        "file_sd: ['*/t.json']",
        &["`*/t.json` has a wildcard in a folder's name"],
    );
    gone("http_sd: http://x", &[]);
    gone(
        "file_sd: [x/t.json]",
        &["`x/t.json`: can't be read: No such file or directory (os error 2)"],
    );
    let broken = Stage::new("file_sd: [t.json]", &[("apps/t.json", "{")]).poll();
    let told = "not a list of targets: invalid type: map, expected a sequence";
    check(&broken, Wholeness::Partial, &[], &[told]);
}

#[test]
fn a_host_that_is_named_twice_counts_once() {
    let app = "hosts: [{ host: 10.0.0.1, address: 'h:1' }]\nfile_sd: [t.json]";
    let found = Stage::new(app, &[("apps/t.json", ONE)]).poll();
    check(
        &Stage::new(app, &[]).poll(),
        Wholeness::Partial,
        &["10.0.0.1=h:1{}"],
        &["no file matches `t.json`"],
    );
    assert_eq!((found.hosts.len(), found.mistakes.len()), (2, 1));
    assert!(
        found.mistakes[0]
            .message
            .starts_with("the host `10.0.0.1` is named twice, at last in ")
    );
}

#[test]
fn wildcards_match_as_they_should() {
    let fits = |pattern: &str, name: &str| assert!(matches(pattern, name), "{pattern} {name}");
    let fails = |pattern: &str, name: &str| assert!(!matches(pattern, name), "{pattern} {name}");
    for (pattern, name) in [
        ("*", ""),
        ("a*b*c", "aXbYbZc"),
        ("?", "é"),
        ("*.json", ".json"),
        ("a**", "a"),
    ] {
        fits(pattern, name);
    }
    for (pattern, name) in [("?", ""), ("a*b", "ab-"), ("a", "A"), ("*.json", "x.json~"), ("", "x")] {
        fails(pattern, name);
    }
}

#[test]
fn a_url_names_hosts_and_keeps_its_last_good_answer() {
    let mut stage = Stage::new("hosts: [{ host: h, address: 'h:1' }]\nhttp_sd: http://sd/a", &[]);
    let answered = |text: &str, trouble: Option<&str>| UrlRead {
        text: Some(text.into()),
        trouble: trouble.map(str::to_owned),
    };
    let set = |stage: &mut Stage, read: UrlRead| stage.urls.0.insert("http://sd/a".to_owned(), read);
    let unread = |trouble: &str| UrlRead {
        text: None,
        trouble: Some(trouble.to_owned()),
    };
    set(&mut stage, unread("connection refused"));
    let own = "h=h:1{}";
    let told = ["http://sd/a: connection refused"];
    check(&stage.poll(), Wholeness::Partial, &[own], &told);
    let all = [own, ONE_HOSTS[0], ONE_HOSTS[1]];
    set(&mut stage, answered(ONE, None));
    check(&stage.poll(), Wholeness::Whole, &all, &[]);
    // Away, or talking nonsense: what it named last stays, and it is said.
    set(&mut stage, answered(ONE, Some("connection refused")));
    check(&stage.poll(), Wholeness::Partial, &all, &told);
    set(&mut stage, answered("<html>", None));
    let nonsense = ["not a list of targets: expected value"];
    check(&stage.poll(), Wholeness::Partial, &all, &nonsense);
    set(&mut stage, answered(r#"[{"targets": ["x"]}]"#, None));
    let found = stage.poll();
    check(
        &found,
        Wholeness::Partial,
        &all,
        &[r#"a target is not an address: "x""#],
    );
    assert_eq!(found.mistakes[0].file.as_deref(), Some("http://sd/a"));
    // Nobody is left, it says.
    set(&mut stage, answered("[]", None));
    check(&stage.poll(), Wholeness::Whole, &[own], &[]);
    // One that is named no more is forgotten: named again, it has not answered.
    set(&mut stage, answered(ONE, None));
    stage.poll();
    stage.write(
        "apps/a.yaml",
        "kind: app\nname: a\nhosts: [{ host: h, address: 'h:1' }]\n",
    );
    stage.urls.0.clear();
    stage.poll();
    check(&stage.poll(), Wholeness::Whole, &[own], &[]);
    stage.write(
        "apps/a.yaml",
        "kind: app\nname: a\nhosts: [{ host: h, address: 'h:1' }]\nhttp_sd: http://sd/a\n",
    );
    stage.poll();
    check(&stage.poll(), Wholeness::Partial, &[own], &[]);
}

#[test]
fn hosts_of_a_url_and_of_a_file_count_once() {
    let mut stage = Stage::new("file_sd: [t.json]\nhttp_sd: http://sd/a", &[("apps/t.json", ONE)]);
    let read = UrlRead {
        text: Some(ONE.into()),
        trouble: None,
    };
    stage.urls.0.insert("http://sd/a".to_owned(), read);
    let twice = |host: &str| format!("the host `{host}` is named twice, at last in http://sd/a");
    let told = [twice("10.0.0.1"), twice("[::1]")];
    check(
        &stage.poll(),
        Wholeness::Whole,
        &ONE_HOSTS,
        &told.each_ref().map(String::as_str),
    );
}
