//! Records that are asked for: exactly those that count, by the names that their files have now, and never more than
//! are wanted, however long the log is.

mod scene;

use map::kept::{End, Keep, Kept, KeptRecord};
use map::protocol::{HostReport, RecordsWanted};
use map::verdict::HostState;
use scene::{S, START_NS, Scene, gzip, stamp};
use std::fs;
use std::ops::Range;

const MONITOR: &str = "select count(), sum(x) parse logfmt where x <> '13' group by y as why every 5s lateness 10s";

fn scene() -> Scene {
    Scene::new("app.log", MONITOR, START_NS - 60 * S)
}

fn record(seconds: i64) -> String {
    format!(
        "{} x={seconds} y={} and some more text",
        stamp(START_NS + seconds * S),
        seconds % 2
    )
}

fn write(scene: &Scene, name: &str, seconds: Range<i64>) {
    let text: String = seconds.map(|second| record(second) + "\n").collect();
    scene.append(name, &text);
}

fn at(scene: &mut Scene, seconds: i64) {
    scene.time.pass(START_NS + seconds * S - scene.time.now());
}

fn wanted(seconds: Range<i64>, limit: u16, end: End) -> RecordsWanted {
    RecordsWanted {
        keep: Keep { limit, end },
        from_ns: START_NS + seconds.start * S,
        to_ns: START_NS + seconds.end * S,
        window_ms: 5_000,
        condition: None,
    }
}

/// The records of all cells, as a Reduce merges them: those of windows that are ok.
fn merged(report: &HostReport, keep: Keep) -> (Kept, u64) {
    let is_ok = |window_ns: i64| {
        let mut runs = report.verdicts.iter();
        runs.any(|run| run.state.is_ok() && run.from_ns <= window_ns && window_ns < run.to_ns)
    };
    let (mut all, mut matched) = (Kept::new(keep), 0);
    for cell in report.cells.iter().filter(|cell| is_ok(cell.window_ns)) {
        cell.partial.kept().for_each(|kept| all.merge(kept));
        matched += cell.partial.groups.iter().map(|group| group.records).sum::<u64>();
    }
    (all, matched)
}

/// Name of the file within the folder, offset, text.
fn place(record: &KeptRecord) -> (String, u64, String) {
    let name = record.file.rsplit('/').next().unwrap_or_default().to_owned();
    (name, record.offset, String::from_utf8_lossy(&record.text).into_owned())
}

#[track_caller]
fn check(scene: &mut Scene, wanted: &RecordsWanted, expected: &[(&str, u64, String)], matched: u64) {
    let report = scene.records(wanted);
    let (kept, counted) = merged(&report, wanted.keep);
    let shown: Vec<_> = kept.shown().into_iter().map(place).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, offset, text)| ((*name).to_owned(), *offset, text.clone()))
        .collect();
    assert_eq!(shown, expected, "{:?}", report.verdicts);
    assert_eq!(counted, matched);
}

/// Offsets of records that stand one behind the other, each with its line end.
fn offset(seconds: Range<i64>) -> u64 {
    seconds.map(|second| record(second).len() as u64 + 1).sum()
}

#[test]
fn those_that_count_come_by_the_names_of_their_files() {
    let mut scene = scene();
    write(&scene, "app.log", 0..20);
    fs::rename(scene.path("app.log"), scene.path("app.log.2")).expect("renames");
    write(&scene, "app.log", 20..40);
    fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
    write(&scene, "app.log", 40..60);
    let bytes = fs::read(scene.path("app.log.2")).expect("reads");
    fs::write(scene.path("app.log.2.gz"), gzip(&bytes)).expect("writes");
    fs::remove_file(scene.path("app.log.2")).expect("removes");
    at(&mut scene, 200);
    let expected = [
        ("app.log.2.gz", offset(0..18), record(18)),
        ("app.log.2.gz", offset(0..19), record(19)),
        ("app.log.1", 0, record(20)),
        ("app.log.1", offset(20..21), record(21)),
    ];
    check(&mut scene, &wanted(18..22, 10, End::First), &expected, 4);
    check(&mut scene, &wanted(18..41, 2, End::First), &expected[..2], 23);
    let latest = [("app.log", 0, record(40)), ("app.log.1", offset(20..39), record(39))];
    check(&mut scene, &wanted(18..41, 2, End::Last), &latest, 23);
    // What the monitor filters out is not there; groups narrow by their names, and fields that are none of them too.
    let expected = [
        ("app.log.2.gz", offset(0..11), record(11)),
        ("app.log.2.gz", offset(0..15), record(15)),
    ];
    let narrowed = RecordsWanted {
        condition: Some("why = '1' and x > 10".to_owned()),
        ..wanted(5..17, 10, End::First)
    };
    check(&mut scene, &narrowed, &expected, 2);
}

#[test]
fn what_is_late_or_wild_is_no_record_and_a_trace_is_a_part_of_one() {
    let mut scene = scene();
    let trace = format!("{}\r\n  at some.place\r\n", record(1));
    let late = format!("{} x=99 late\n", stamp(START_NS - 30 * S));
    let wild = format!("{} x=98 wild\n", stamp(START_NS + 40 * 24 * 3600 * S));
    scene.append("app.log", &format!("{}\n{trace}{late}{wild}", record(0)));
    write(&scene, "app.log", 2..20);
    at(&mut scene, 200);
    let told = format!("{}\r\n  at some.place", record(1));
    let behind = trace.len() as u64 + late.len() as u64 + wild.len() as u64;
    let expected = [
        ("app.log", 0, record(0)),
        ("app.log", offset(0..1), told),
        ("app.log", offset(0..1) + behind, record(2)),
    ];
    check(&mut scene, &wanted(-60..3, 10, End::First), &expected, 3);
}

/// A log of many windows: no more is held of it than is wanted, and nothing is lost by that.
#[test]
fn of_a_long_log_no_more_is_kept_than_is_wanted() {
    let mut scene = scene();
    write(&scene, "app.log", 0..3_000);
    at(&mut scene, 3_600);
    for (end, first, second) in [(End::First, 0, 1), (End::Last, 2_999, 2_998)] {
        let wanted = wanted(0..3_000, 5, end);
        let report = scene.records(&wanted);
        let held = report
            .cells
            .iter()
            .flat_map(|cell| cell.partial.kept())
            .flat_map(Kept::records)
            .count();
        assert_eq!(held, 5);
        let (kept, matched) = merged(&report, wanted.keep);
        let shown: Vec<String> = kept.shown().into_iter().map(|record| place(record).2).collect();
        assert_eq!((shown.len(), matched), (5, 2_999));
        assert_eq!(shown[..2], [record(first), record(second)]);
    }
}

/// Windows that were counted on and turn out not to be proved: nothing is shown behind a place where one may be
/// missing.
#[test]
fn what_was_counted_on_and_is_not_proved_hides_no_record() {
    let mut scene = scene();
    write(&scene, "app.log", 0..3_000);
    at(&mut scene, 3_600);
    let wanted = wanted(0..3_000, 5, End::First);
    let mut report = scene.records(&wanted);
    // As if the host were not ok for the windows that hold the first records.
    let run = report.verdicts[0].clone();
    let cut_ns = START_NS + 5 * S;
    let lost = map::verdict::VerdictRun {
        to_ns: cut_ns,
        state: HostState::BytesLost,
        ..run.clone()
    };
    report.verdicts = vec![lost, map::verdict::VerdictRun { from_ns: cut_ns, ..run }];
    let (kept, matched) = merged(&report, wanted.keep);
    assert_eq!((kept.shown().len(), matched), (0, 2_994));
}

/// What an application wrote is shown, not what its container's runtime wrote around it; also where nothing else of the
/// question looks at the text.
#[test]
fn records_of_containers_are_shown_without_their_envelope() {
    for filter in ["", " where line contains 'hello'"] {
        let mut scene = Scene::new(
            "app.log",
            &format!("select count(){filter} every 5s"),
            START_NS - 60 * S,
        );
        for second in 0..20 {
            let at = jiff::Timestamp::from_nanosecond(i128::from(START_NS + second * S)).expect("a time");
            let at = at.strftime("%Y-%m-%dT%H:%M:%S.000000000Z");
            scene.append(
                "app.log",
                &format!("{at} stdout P hello \n{at} stdout F \"world\" {second}\n"),
            );
        }
        at(&mut scene, 200);
        let wanted = wanted(3..5, 10, End::First);
        let (kept, matched) = merged(&scene.records(&wanted), wanted.keep);
        let shown: Vec<String> = kept.shown().into_iter().map(|record| place(record).2).collect();
        assert_eq!(
            (shown, matched),
            (vec!["hello \"world\" 3".to_owned(), "hello \"world\" 4".to_owned()], 2)
        );
    }
}
