//! Questions about windows whose groups the monitor folded (M6), with answers computed by hand.

use super::tests::{MQL, ask, check};
use super::tests_world::{Window, World};
use super::*;
use reduce::point::Flag;

/// Two windows, in the second of which the monitor had folded `/c`.
fn folded() -> World {
    let mut world = World::default();
    world.monitor("m", 1, MQL);
    world.store(&Window {
        lines: &["path=/a s=200 ms=1", "path=/c s=200 ms=5"],
        ..Window::default()
    });
    world.store(&Window {
        start_s: 10,
        lines: &["path=/a s=200 ms=1", "path=/c s=500 ms=5", "path=/c s=200 ms=6"],
        fold: &["/c"],
        flags: vec![Flag::GroupsFolded],
        ..Window::default()
    });
    world
}

/// M6: whose groups were too many, and by which columns, wherever what was folded shows.
#[test]
fn folded_groups_are_said_to_be_by_which_columns() {
    let told = "monitor `m`: more than 1 groups in a window, mostly by `path` and `s` (2 different values each); the \
                rest are `__other__`";
    let warnings = |text: &str| ask(&folded(), text).warnings;
    for text in ["select n from m group by path, s", "select n from m where s = '200'"] {
        assert!(
            warnings(text).iter().any(|warning| warning == told),
            "{:?}",
            warnings(text)
        );
    }
    let total = "select n from m";
    assert!(
        !warnings(total).iter().any(|warning| warning.contains("mostly by")),
        "a total has all of it"
    );
    let answer = ask(&folded(), "select n from m group by path, s");
    let overflow = |point: &QueryPoint| serde_json::to_value(point).expect("json")["completeness"]["overflow"].clone();
    let expected = serde_json::json!({"values": 2, "or_more": false, "groups": 1, "columns": ["path", "s"]});
    assert_eq!(overflow(answer.points.last().expect("a point")), expected);
    assert_eq!(
        overflow(&answer.points[0]),
        serde_json::Value::Null,
        "of this window nothing was folded"
    );
}

/// M6: what was folded belongs to nobody knows which group.
#[test]
fn folded_groups_make_unknown_what_they_may_belong_to() {
    let world = folded();
    check(&world, "select n from m", &["0 : 2 100%", "10 : 3 100%"]);
    check(
        &world,
        "select * from m where path = '/a'",
        &[
            "0 /a,200: 1 0 1 1 1 0 0.1 0 null 0 100%",
            "10 /a,200: 1 0 1 1 1 0 0.1 0 null 0 100%",
        ],
    );
    let answer = check(
        &world,
        "select n from m where path = '/c' group by path, s",
        &["0 /c,200: 1 100%", "10 : null 100%"],
    );
    assert!(
        answer.warnings[1].contains("were folded into `__other__`"),
        "{:?}",
        answer.warnings
    );
    check(
        &world,
        "select n from m where s = '200'",
        &["0 : 2 100%", "10 : null 100%"],
    );
    check(
        &world,
        "select n, sum(n where s = '200') from m",
        &["0 : 2 2 100%", "10 : 3 null 100%"],
    );
    check(
        &world,
        "select n from m group by s",
        &["0 200: 2 100%", "10 200: null 100%", "10 __other__: 2 100%"],
    );
    // In the step, /c is whole nowhere: all of it is among the rest, so that what is shown of a group is exact.
    check(
        &world,
        "select n from m group by path, s every 20s",
        &["0 /a,200: 2 100%", "0 __other__,__other__: 3 100%"],
    );
}
