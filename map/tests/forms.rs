//! Logs whose lines are not what their bytes are: of container runtimes, in other encodings, with holes of zeros. A
//! stream of pulls, a Map that begins anew, and a reading apart must count the same, exactly once.

mod scene;

use scene::{S, START_NS, Scene};
use std::io::Write;

fn stamp(second: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(START_NS + second * S)).expect("a time");
    time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z").to_string()
}

/// Records, and records lost, of all windows.
fn counts(scene: &Scene) -> (u64, u64) {
    let windows = scene.kept.windows(&scene.plan);
    windows.values().fold((0, 0), |(records, lost), window| {
        (records + window.records, lost + window.lost.total())
    })
}

/// Writes bytes in so many pieces, with a pull after each; then demands the same of whoever reads anew.
#[track_caller]
fn check(mql: &str, bytes: &[u8], piece: usize, expected: (u64, u64)) {
    let mut scene = Scene::new("app.log", mql, START_NS - 600 * S);
    for piece in bytes.chunks(piece) {
        let path = scene.path("app.log");
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("opens");
        file.write_all(piece).expect("writes");
        scene.time.pass(S);
        scene.pull_all();
    }
    assert_eq!(counts(&scene), expected, "{mql}");
    let streamed = scene.kept.windows(&scene.plan);
    let kept = scene.kept.profiles.clone();
    scene.restart(&kept);
    scene.pull_all();
    assert_eq!(scene.kept.windows(&scene.plan), streamed, "who begins anew");
    let apart = scene.reread(START_NS - 600 * S, START_NS + 3600 * S);
    assert_eq!(apart.windows(&scene.plan), streamed, "who reads apart");
}

#[test]
fn lines_of_a_container_that_its_runtime_cut_are_one_record() {
    let mut log = String::new();
    for second in 0..40 {
        let at = stamp(second);
        log.push_str(&format!(
            "{at} stdout P {{\"op\":\"pay\",\n{at} stderr F warning {second}\n"
        ));
        log.push_str(&format!(
            "{at} stdout P \"status\":{},\n{at} stdout F \"ms\":7}}\n",
            second % 3
        ));
    }
    // Those of standard error are no JSON and stand between the parts of the others: losses where fields are used.
    check("select count() every 10s", log.as_bytes(), 997, (80, 0));
    check(
        "select sum(ms) parse json group by status every 10s",
        log.as_bytes(),
        61,
        (0, 80),
    );
    let lines = log.lines().filter(|line| line.contains("stdout"));
    let of_stdout: String = lines.flat_map(|line| [line, "\n"]).collect();
    check(
        "select sum(ms) parse json group by status every 10s",
        of_stdout.as_bytes(),
        61,
        (40, 0),
    );
}

#[test]
fn lines_of_docker_are_read_without_their_envelope() {
    let mut log = String::new();
    for second in 0..40 {
        let at = stamp(second);
        log.push_str(&format!(
            "{{\"log\":\"o=p \\\"time\\\":\\\"2001-01-01T00:00:00Z\\\" \",\"stream\":\"stdout\",\"time\":\"{at}\"}}\n\
             {{\"log\":\"status={}\\n\",\"stream\":\"stdout\",\"time\":\"{at}\"}}\n",
            second % 3
        ));
    }
    check(
        "select count() parse logfmt group by status every 10s",
        log.as_bytes(),
        301,
        (40, 0),
    );
}

fn chinese() -> String {
    let line = |second: i64| format!("{}|支付|ਊĊ{second}\n", stamp(second));
    (0..60).map(line).collect()
}

#[test]
fn utf_16_is_read_as_text() {
    let bytes: Vec<u8> = chinese().encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(
        "select count() parse split('|') group by $2 every 10s",
        &bytes,
        333,
        (60, 0),
    );
}

#[test]
fn an_encoding_that_is_given_is_decoded_and_what_is_none_is_a_loss() {
    let mut bytes = encoding_rs::GB18030.encode(&chinese()).0.into_owned();
    bytes.extend_from_slice(stamp(61).as_bytes());
    bytes.extend_from_slice(b"|\x81\xff|x\n");
    let mql = "select count() parse split('|') encoding 'gb18030' group by $2 every 10s";
    check(mql, &bytes, 333, (60, 1));
}

#[test]
fn a_hole_of_zeros_hides_no_record() {
    let mut bytes = format!("{} a\n", stamp(0)).into_bytes();
    bytes.resize(bytes.len() + 3_000_000, 0);
    bytes.extend_from_slice(format!("{} b\n  more\n{} c\n", stamp(1), stamp(2)).as_bytes());
    check("select count(), bytes() every 10s", &bytes, 500_000, (3, 0));
}

/// Ranges are asked for while the ones before are counted. What was asked for so must be thrown away where reading
/// begins anew meanwhile, since a new format shows: here in the third MiB.
#[test]
fn a_format_that_changes_far_behind_the_beginning_of_what_is_read_at_once_loses_nothing() {
    let mut log = String::new();
    let mut records = 0u32;
    while log.len() < 5 << 20 {
        let at = jiff::Timestamp::from_nanosecond(i128::from(START_NS - 500 * S + i64::from(records) * 10_000_000));
        let at = at.expect("a time");
        let text = match log.len() < (5 << 20) / 2 {
            true => at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
            false => at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        };
        log.push_str(&format!("{text} op=pay number={records} {}\n", "x".repeat(100)));
        records += 1;
    }
    let mql = "select count(), sum(number) from log '{base}/app.log' parse auto every 10s";
    check(mql, log.as_bytes(), log.len(), (u64::from(records), 0));
    check(mql, log.as_bytes(), 700_001, (u64::from(records), 0));
}
