//! What patterns match: names, dates in the host's zone, limits, and what is said of what can't be looked at.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use agent::pattern::{DATES_MAX, DEPTH_MAX, FILES_MAX, Matches, Pattern, PatternError};
use agent::protocol::{LimitMet, PathProblem, Refusal};
use agent::roots::{HardLinks, Roots};
use jiff::Timestamp;
use jiff::tz::TimeZone;

struct Scene {
    _folder: tempfile::TempDir,
    base: String,
    roots: Roots,
}

impl Scene {
    fn new(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let base = folder
            .path()
            .canonicalize()
            .expect("real")
            .to_str()
            .expect("utf-8")
            .to_owned();
        for name in names {
            let path = format!("{base}/{name}");
            fs::create_dir_all(path.rsplit_once('/').expect("folder").0).expect("folder");
            fs::write(path, "x").expect("write");
        }
        let roots = Roots::open(std::slice::from_ref(&base), HardLinks::Refuse).expect("roots");
        Self {
            _folder: folder,
            base,
            roots,
        }
    }

    fn find(&self, pattern: &str, from: &str, to: &str, zone: &str) -> Result<Matches, PatternError> {
        let ns = |text: &str| text.parse::<Timestamp>().expect("time").as_nanosecond() as i64;
        let zone = TimeZone::get(zone).expect("zone");
        Pattern::parse(&format!("{}/{pattern}", self.base))?.find(&self.roots, ns(from), ns(to), &zone)
    }

    #[track_caller]
    fn check(&self, pattern: &str, expected: &[&str]) -> Matches {
        let (from, to) = ("2026-11-23T10:00:00Z", "2026-11-23T12:00:00Z");
        let matches = self.find(pattern, from, to, "UTC").expect("pattern");
        let paths: Vec<_> = matches
            .paths
            .iter()
            .map(|path| path.strip_prefix(&self.base).expect("base"))
            .collect();
        let expected: Vec<_> = expected.iter().map(|name| format!("/{name}")).collect();
        assert_eq!(paths, expected, "{pattern}");
        matches
    }

    #[track_caller]
    fn check_dates(&self, pattern: &str, from: &str, to: &str, zone: &str, expected: &[&str]) {
        let matches = self.find(pattern, from, to, zone).expect("pattern");
        let paths: Vec<_> = matches
            .paths
            .iter()
            .map(|path| path.rsplit_once('/').expect("name").1)
            .collect();
        assert_eq!(paths, expected, "{pattern} {from} {to} {zone}");
    }
}

#[test]
fn globs() {
    let scene = Scene::new(&[
        "app.log",
        "app.log.1",
        "app2.log",
        "b/app.log",
        "b/c/app.log",
        "b/c/d/x.txt",
        ".hidden.log",
        "b/.h/app.log",
        "we[i]rd.log",
        "a*b.log",
        "axb.log",
        "ümlaut.log",
    ]);
    scene.check("app.log", &["app.log"]);
    scene.check("missing.log", &["missing.log"]);
    scene.check("app*", &["app.log", "app.log.1", "app2.log"]);
    scene.check("app?.log", &["app2.log"]);
    scene.check("app[0-9].log", &["app2.log"]);
    scene.check("app[!0-9]log", &["app.log"]);
    scene.check("app[^2].log", &[]);
    scene.check(
        "*.log",
        &["a*b.log", "app.log", "app2.log", "axb.log", "we[i]rd.log", "ümlaut.log"],
    );
    scene.check(".*.log", &[".hidden.log"]);
    scene.check("*/app.log", &["b/app.log"]);
    scene.check("**/app.log", &["app.log", "b/app.log", "b/c/app.log"]);
    scene.check("b/**", &["b/app.log", "b/c/app.log", "b/c/d/x.txt"]);
    scene.check("**/c/**/*.txt", &["b/c/d/x.txt"]);
    scene.check("we\\[i\\]rd.log", &["we[i]rd.log"]);
    scene.check("a\\*b.log", &["a*b.log"]);
    scene.check("a?b.log", &["a*b.log", "axb.log"]);
    scene.check("?mlaut.log", &["ümlaut.log"]);
    scene.check("[]x].log", &[]);
    scene.check("a*a*a*a*a*a*a*a*a*a*a*a*b", &[]);
}

#[test]
fn dates_are_expanded_in_the_hosts_zone() {
    let scene = Scene::new(&[]);
    let (from, to) = ("2026-11-22T22:30:00Z", "2026-11-23T12:00:00Z");
    scene.check_dates(
        "pay.%Y-%m-%d.log",
        from,
        to,
        "UTC",
        &["pay.2026-11-22.log", "pay.2026-11-23.log"],
    );
    scene.check_dates("pay.%Y-%m-%d.log", from, to, "Asia/Shanghai", &["pay.2026-11-23.log"]);
    scene.check_dates(
        "pay.%y%m%d",
        from,
        to,
        "America/New_York",
        &["pay.261122", "pay.261123"],
    );
    scene.check_dates("%j%%.log", from, to, "UTC", &["326%.log", "327%.log"]);
    scene.check_dates("x", from, to, "UTC", &["x"]);
    let (from, to) = ("2026-11-23T09:59:59Z", "2026-11-23T12:00:00Z");
    scene.check_dates("%H.log", from, to, "UTC", &["09.log", "10.log", "11.log", "12.log"]);
    scene.check_dates(
        "%H%M",
        "2026-11-23T09:58:59Z",
        "2026-11-23T10:00:00Z",
        "UTC",
        &["0958", "0959", "1000"],
    );
    // A time span that ends before it begins is its end.
    scene.check_dates("%d", to, from, "UTC", &["23"]);
}

#[test]
fn dates_around_changes_of_the_clock() {
    let scene = Scene::new(&[]);
    // Both passes of the repeated hour have one name; the hour that doesn't exist has none.
    let berlin = "Europe/Berlin";
    scene.check_dates(
        "%H",
        "2026-10-24T23:30:00Z",
        "2026-10-25T02:30:00Z",
        berlin,
        &["01", "02", "03"],
    );
    scene.check_dates(
        "%H",
        "2026-03-29T00:30:00Z",
        "2026-03-29T01:30:00Z",
        berlin,
        &["01", "03"],
    );
    // A day that a whole country skipped, and one that begins at one o'clock.
    let apia = ["20111229", "20111231"];
    scene.check_dates(
        "%Y%m%d",
        "2011-12-29T20:00:00Z",
        "2011-12-31T00:00:00Z",
        "Pacific/Apia",
        &apia,
    );
    let cairo = ["20260423", "20260424", "20260425"];
    scene.check_dates(
        "%Y%m%d",
        "2026-04-23T12:00:00Z",
        "2026-04-25T12:00:00Z",
        "Africa/Cairo",
        &cairo,
    );
}

#[test]
fn patterns_that_make_no_sense_are_explained() {
    let check = |pattern: &str, expected: PatternError| assert_eq!(Pattern::parse(pattern), Err(expected), "{pattern}");
    check("app.log", PatternError::Path(Refusal::NotAbsolute));
    check("/a/../b", PatternError::Path(Refusal::ParentComponent));
    check("/a\n", PatternError::Path(Refusal::HostileName));
    check("/a/%Q.log", PatternError::Directive { directive: 'Q' });
    check("/a/%", PatternError::LonePercent);
    check("/a/[b", PatternError::OpenBracket);
    check("/a/[]", PatternError::OpenBracket);
    check("/a/b**c", PatternError::DoubleStar);
    let scene = Scene::new(&[]);
    let found = scene.find("%M", "2026-01-01T00:00:00Z", "2026-11-23T00:00:00Z", "UTC");
    assert_eq!(found, Err(PatternError::TooManyDates));
    let days = scene
        .find("%Y%m%d", "2023-01-01T12:00:00Z", "2026-11-23T00:00:00Z", "UTC")
        .expect("four years");
    assert!(days.paths.len() > 1400 && days.paths.len() <= DATES_MAX);
}

#[test]
fn limits_are_said() {
    let names: Vec<String> = (0..FILES_MAX + 1).map(|index| format!("many/{index}.log")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    let deep = format!("{}x.log", "d/".repeat(DEPTH_MAX + 2));
    names.push(&deep);
    let scene = Scene::new(&names);
    let matches = scene
        .find("many/*.log", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "UTC")
        .expect("pattern");
    assert_eq!(matches.paths.len(), FILES_MAX);
    assert_eq!(matches.limits.into_iter().collect::<Vec<_>>(), [LimitMet::Files]);
    let matches = scene.check("d/**/x.log", &[]);
    fs::write(format!("{}/{}y.log", scene.base, "d/".repeat(DEPTH_MAX + 1)), "y").expect("write");
    scene.check("d/**/y.log", &[&format!("{}y.log", "d/".repeat(DEPTH_MAX + 1))]);
    assert_eq!(matches.limits.into_iter().collect::<Vec<_>>(), [LimitMet::Depth]);
    assert!(scene.check("missing/**", &[]).limits.is_empty());
}

#[test]
fn names_that_cant_be_spoken_of_are_reported() {
    let scene = Scene::new(&["ok.log"]);
    for name in [b"bad\xff.log".as_slice(), b"line\nbreak.log"] {
        let path = std::path::Path::new(&scene.base).join(std::ffi::OsStr::from_bytes(name));
        fs::write(path, "x").expect("write");
    }
    let matches = scene.check("*.log", &["ok.log"]);
    let refusals: Vec<_> = matches.problems.iter().map(|problem| problem.refusal.clone()).collect();
    assert_eq!(refusals, [Refusal::HostileName, Refusal::HostileName]);
    assert!(scene.check("*.txt", &[]).problems.is_empty(), "only where they match");
}

#[test]
fn folders_behind_links_are_entered_but_not_by_double_star() {
    let scene = Scene::new(&["real/app.log"]);
    symlink("real", format!("{}/linked", scene.base)).expect("link");
    symlink(".", format!("{}/loop", scene.base)).expect("link");
    symlink("/etc", format!("{}/out", scene.base)).expect("link");
    scene.check("linked/app.log", &["linked/app.log"]);
    scene.check("lin*/app.log", &["linked/app.log"]);
    scene.check("**/app.log", &["real/app.log"]);
    let matches = scene.check("out/*", &[]);
    let problem = PathProblem {
        path: format!("{}/out", scene.base),
        refusal: Refusal::OutsideRoots,
    };
    assert_eq!(matches.problems.into_iter().collect::<Vec<_>>(), [problem]);
}

#[test]
fn a_wildcard_above_the_roots_is_a_problem_not_an_empty_answer() {
    let scene = Scene::new(&["app.log"]);
    let pattern = Pattern::parse("/*/app.log").expect("pattern");
    let matches = pattern.find(&scene.roots, 0, 0, &TimeZone::UTC).expect("expands");
    let refusals: Vec<_> = matches.problems.into_iter().map(|problem| problem.refusal).collect();
    assert_eq!(refusals, [Refusal::OutsideRoots]);
}
