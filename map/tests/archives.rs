//! Compressed generations: rotated and compressed between pulls, while they are pulled, beside their sources, torn,
//! corrupt, or the only place where a window can be found. Whatever happens, nothing counts twice, nothing is missed at
//! 100 %, and what can't be read is said.

mod scene;

use map::partial::WindowPartial;
use map::verdict::HostState;
use scene::{Kept, S, START_NS, Scene, gzip, stamp, zstd};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

const MONITOR: &str = "select count(), sum(x) parse logfmt every 5s lateness 10s";

fn scene() -> Scene {
    Scene::new("app.log", MONITOR, START_NS - 60 * S)
}

fn record(seconds: i64) -> String {
    format!("{} x={seconds} and some more text\n", stamp(START_NS + seconds * S))
}

fn text(seconds: Range<i64>) -> String {
    seconds.map(record).collect()
}

fn write(scene: &Scene, name: &str, seconds: Range<i64>) {
    scene.append(name, &text(seconds));
}

/// A file written just now, or as long ago as another one: compressors keep the time.
fn put(scene: &Scene, name: &str, bytes: &[u8], written_like: Option<&str>) {
    let time = written_like.map(|like| {
        fs::metadata(scene.path(like))
            .and_then(|it| it.modified())
            .expect("is there")
    });
    fs::write(scene.path(name), bytes).expect("writes");
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(scene.time.now() as u64);
    let file = fs::File::options().write(true).open(scene.path(name)).expect("opens");
    file.set_modified(time.unwrap_or(now)).expect("sets the time");
}

/// `gzip NAME`, at once.
fn compress(scene: &Scene, name: &str) {
    let bytes = fs::read(scene.path(name)).expect("reads");
    put(scene, &format!("{name}.gz"), &gzip(&bytes), Some(name));
    fs::remove_file(scene.path(name)).expect("removes");
}

fn rename(scene: &Scene, from: &str, to: &str) {
    fs::rename(scene.path(from), scene.path(to)).expect("renames");
}

fn at(scene: &mut Scene, seconds: i64) -> map::input::Pulled {
    scene.time.pass(START_NS + seconds * S - scene.time.now());
    scene.pull_all()
}

fn sums(windows: BTreeMap<i64, WindowPartial>) -> BTreeMap<i64, u64> {
    let all = windows
        .into_iter()
        .map(|(start, window)| ((start - START_NS) / S, window.records));
    all.filter(|(_, records)| *records > 0).collect()
}

/// Each second of a range once, by windows.
fn expected(seconds: Range<i64>) -> BTreeMap<i64, u64> {
    let mut windows = BTreeMap::new();
    for second in seconds {
        *windows.entry(second.div_euclid(5) * 5).or_default() += 1;
    }
    windows
}

/// Exactly these seconds are counted, once, and every window of them is ok.
#[track_caller]
fn check_whole(scene: &Scene, kept: &Kept, seconds: Range<i64>) {
    assert_eq!(sums(kept.windows(&scene.plan)), expected(seconds.clone()));
    for second in seconds.clone() {
        let verdict = kept.verdict(START_NS + second.div_euclid(5) * 5 * S);
        assert_eq!(
            verdict.map(|(state, _)| state),
            Some(HostState::Ok),
            "at {second} s: {:?}",
            kept.verdicts
        );
    }
}

fn state(scene: &Scene, seconds: i64) -> Option<HostState> {
    scene.kept.verdict(START_NS + seconds * S).map(|(state, _)| state)
}

#[test]
fn a_log_rotated_and_compressed_between_two_pulls_is_read_to_its_end() {
    for name in ["app.log.1", "app.log-20261123"] {
        let mut scene = scene();
        write(&scene, "app.log", 0..30);
        at(&mut scene, 30);
        // Ten seconds that nobody has pulled when they are compressed.
        write(&scene, "app.log", 30..40);
        rename(&scene, "app.log", name);
        compress(&scene, name);
        write(&scene, "app.log", 40..50);
        at(&mut scene, 50);
        at(&mut scene, 60);
        check_whole(&scene, &scene.kept, 0..50);
        assert!(at(&mut scene, 600).bytes == 0, "it is not read again");
        check_whole(&scene, &scene.kept, 0..50);
    }
}

#[test]
fn zstd_is_read_too() {
    let mut scene = scene();
    write(&scene, "app.log", 0..30);
    at(&mut scene, 30);
    write(&scene, "app.log", 30..40);
    rename(&scene, "app.log", "app.log.1");
    let bytes = fs::read(scene.path("app.log.1")).expect("reads");
    put(&scene, "app.log.1.zst", &zstd(&bytes), Some("app.log.1"));
    fs::remove_file(scene.path("app.log.1")).expect("removes");
    write(&scene, "app.log", 40..50);
    at(&mut scene, 50);
    at(&mut scene, 60);
    check_whole(&scene, &scene.kept, 0..50);
}

#[test]
fn generations_that_came_and_were_compressed_between_two_pulls_are_read() {
    let mut scene = scene();
    write(&scene, "app.log", 0..20);
    at(&mut scene, 20);
    write(&scene, "app.log", 20..25);
    rename(&scene, "app.log", "app.log.2");
    compress(&scene, "app.log.2");
    write(&scene, "app.log", 25..32);
    rename(&scene, "app.log", "app.log.1");
    compress(&scene, "app.log.1");
    write(&scene, "app.log", 32..40);
    at(&mut scene, 40);
    at(&mut scene, 50);
    check_whole(&scene, &scene.kept, 0..40);
}

#[test]
fn while_gzip_is_at_work_nothing_counts_twice_and_nothing_is_doubted() {
    let mut scene = scene();
    write(&scene, "app.log", 0..3000);
    at(&mut scene, 3000);
    rename(&scene, "app.log", "app.log.1");
    let bytes = fs::read(scene.path("app.log.1")).expect("reads");
    let whole = gzip(&bytes);
    for (step, end) in [0, 5, 200, whole.len() / 2, whole.len() - 4, whole.len()]
        .into_iter()
        .enumerate()
    {
        let second = 3000 + 10 * step as i64;
        write(&scene, "app.log", second..second + 10);
        put(&scene, "app.log.1.gz", &whole[..end], None);
        at(&mut scene, second + 11);
        check_whole(&scene, &scene.kept, 0..second + 10);
    }
    put(&scene, "app.log.1.gz", &whole, Some("app.log.1"));
    fs::remove_file(scene.path("app.log.1")).expect("removes");
    at(&mut scene, 3100);
    at(&mut scene, 3110);
    check_whole(&scene, &scene.kept, 0..3060);
}

#[test]
fn with_delaycompress_a_finished_generation_that_is_compressed_is_no_loss() {
    let mut scene = scene();
    write(&scene, "app.log", 0..20);
    at(&mut scene, 20);
    rename(&scene, "app.log", "app.log.1");
    write(&scene, "app.log", 20..40);
    at(&mut scene, 40);
    at(&mut scene, 400);
    rename(&scene, "app.log.1", "app.log.2");
    compress(&scene, "app.log.2");
    rename(&scene, "app.log", "app.log.1");
    write(&scene, "app.log", 400..410);
    at(&mut scene, 410);
    at(&mut scene, 420);
    assert_eq!(sums(scene.kept.windows(&scene.plan)).values().sum::<u64>(), 50);
    for second in [0, 20, 35, 200, 400, 405] {
        assert_eq!(state(&scene, second), Some(HostState::Ok), "at {second} s");
    }
    // Another Map that knows nothing reads the same of what is left.
    let again = scene.reread(START_NS - 60 * S, START_NS + 415 * S);
    assert_eq!(again.windows(&scene.plan), scene.kept.windows(&scene.plan));
}

#[test]
fn a_compressed_copy_beside_its_source_is_one_generation() {
    let mut scene = scene();
    write(&scene, "app.log.1", 0..20);
    let bytes = fs::read(scene.path("app.log.1")).expect("reads");
    put(&scene, "app.log.1.gz", &gzip(&bytes), Some("app.log.1"));
    put(&scene, "app.log.1.zst", &zstd(&bytes), Some("app.log.1"));
    write(&scene, "app.log", 20..30);
    at(&mut scene, 30);
    at(&mut scene, 40);
    check_whole(&scene, &scene.kept, 0..30);
    fs::remove_file(scene.path("app.log.1")).expect("removes");
    at(&mut scene, 50);
    fs::remove_file(scene.path("app.log.1.zst")).expect("removes");
    at(&mut scene, 60);
    at(&mut scene, 70);
    assert_eq!(sums(scene.kept.windows(&scene.plan)), expected(0..30));
    // And unpacked again, which takes a while.
    scene.append("app.log.1", &text(0..9));
    at(&mut scene, 80);
    fs::write(scene.path("app.log.1"), &bytes).expect("writes");
    at(&mut scene, 90);
    at(&mut scene, 100);
    assert_eq!(sums(scene.kept.windows(&scene.plan)), expected(0..30));
}

#[test]
fn windows_that_lie_only_in_compressed_generations_are_read_from_them() {
    let mut scene = Scene::new("app.log", MONITOR, START_NS + 7000 * S);
    scene.time.pass(2000 * S);
    put(&scene, "app.log.3.gz", &gzip(text(0..2000).as_bytes()), None);
    scene.time.pass(2000 * S);
    let halves = [gzip(text(2000..3000).as_bytes()), gzip(text(3000..4000).as_bytes())].concat();
    put(&scene, "app.log.2.gz", &halves, None);
    scene.time.pass(2000 * S);
    put(&scene, "app.log.1.zst", &zstd(text(4000..6000).as_bytes()), None);
    scene.time.pass(1000 * S);
    write(&scene, "app.log", 6000..7000);
    at(&mut scene, 7100);
    assert_eq!(
        sums(scene.kept.windows(&scene.plan)),
        BTreeMap::new(),
        "nobody has asked for them"
    );
    for range in [0..7000, 0..100, 1990..2010, 2500..3500, 3995..4005, 5000..6500] {
        let again = scene.reread(START_NS + range.start * S, START_NS + range.end * S);
        check_whole(&scene, &again, range);
    }
}

/// A stream that began before them counts what one that reads plain files counts: late records, wild stamps, traces,
/// heads and half lines too.
#[test]
fn a_compressed_file_counts_as_the_plain_one_does() {
    let mut lines: Vec<String> = (0..40_000).map(|n| record(n / 40)).collect();
    lines.insert(0, "a head\nof two lines\n".to_owned());
    for n in (1000..39_000).step_by(997) {
        lines[n] = record(n as i64 / 40 - 9);
        lines[n + 1] = record(n as i64 / 40 - 300);
        lines[n + 2] = record(n as i64 / 40 + 90_000);
        lines[n + 3].push_str("  at a.trace\n\n");
    }
    let mut all = lines.concat();
    all.push_str(record(1000).trim_end());
    let counted = |name: &str, bytes: &[u8]| {
        let mut scene = Scene::new("app.log", MONITOR, START_NS - 60 * S);
        scene.time.pass(1001 * S);
        put(&scene, name, bytes, None);
        at(&mut scene, 1100);
        at(&mut scene, 5000);
        assert_eq!(state(&scene, 500), Some(HostState::Ok), "{:?}", scene.kept.verdicts);
        scene.kept.windows(&scene.plan)
    };
    let plain = counted("app.log.1", all.as_bytes());
    assert!(plain.values().map(|window| window.lost.total()).sum::<u64>() > 50);
    assert!(plain == counted("app.log.1.gz", &gzip(all.as_bytes())));
    assert!(plain == counted("app.log.1.zst", &zstd(all.as_bytes())));
}

#[test]
fn a_torn_or_corrupt_generation_keeps_its_windows_below_100_and_is_tried_again() {
    let whole = gzip(text(0..40).as_bytes());
    let mut flipped = whole.clone();
    let crc = flipped.len() - 8;
    flipped[crc] ^= 1;
    for (bytes, why) in [
        (&whole[..whole.len() - 9], HostState::Timeout),
        (&flipped, HostState::Denied),
    ] {
        let mut scene = scene();
        scene.time.pass(40 * S);
        put(&scene, "app.log.1.gz", bytes, None);
        scene.time.pass(160 * S);
        write(&scene, "app.log", 140..200);
        at(&mut scene, 201);
        assert_eq!(state(&scene, 10), Some(why), "{:?}", scene.kept.verdicts);
        assert_eq!(
            state(&scene, 150),
            Some(HostState::Ok),
            "what can't lie in it is not held back"
        );
        assert_eq!(
            sums(scene.kept.windows(&scene.plan)),
            expected(140..200),
            "nothing of it is counted"
        );
        let detail = scene.kept.verdicts.iter().find_map(|run| run.detail.clone());
        assert!(detail.is_some_and(|detail| detail.contains("app.log.1.gz")));
        let pulled = at(&mut scene, 210);
        assert!(pulled.unread && pulled.bytes == 0, "the same bytes say the same");
        put(&scene, "app.log.1.gz", &whole, None);
        at(&mut scene, 220);
        at(&mut scene, 230);
        assert_eq!(state(&scene, 10), Some(HostState::Ok));
        let both = expected(0..40).into_iter().chain(expected(140..200)).collect();
        assert_eq!(sums(scene.kept.windows(&scene.plan)), both);
    }
}

/// The rest of a file that went is in an archive that is torn: it may be proved yet, and so it is not for ever.
#[test]
fn a_torn_archive_of_a_file_that_went_is_no_loss_for_good_until_it_goes_too() {
    let mut scene = scene();
    write(&scene, "app.log", 0..30);
    at(&mut scene, 30);
    write(&scene, "app.log", 30..40);
    let whole = gzip(text(0..40).as_bytes());
    put(&scene, "app.log.1.gz", &whole[..whole.len() - 1], Some("app.log"));
    fs::remove_file(scene.path("app.log")).expect("removes");
    write(&scene, "app.log", 40..50);
    at(&mut scene, 50);
    assert_eq!(state(&scene, 35), Some(HostState::Timeout), "{:?}", scene.kept.verdicts);
    put(&scene, "app.log.1.gz", &whole, None);
    at(&mut scene, 60);
    assert_eq!(state(&scene, 35), Some(HostState::Timeout), "it may be growing still");
    at(&mut scene, 61);
    check_whole(&scene, &scene.kept, 0..50);

    let mut scene = self::scene();
    write(&scene, "app.log", 0..30);
    at(&mut scene, 30);
    put(&scene, "app.log.1.gz", &whole[..whole.len() - 1], Some("app.log"));
    fs::remove_file(scene.path("app.log")).expect("removes");
    write(&scene, "app.log", 40..50);
    at(&mut scene, 50);
    fs::remove_file(scene.path("app.log.1.gz")).expect("removes");
    at(&mut scene, 60);
    assert_eq!(
        state(&scene, 30),
        Some(HostState::BytesLost),
        "{:?}",
        scene.kept.verdicts
    );
}

/// Whoever still wrote to the old file after the new one had begun may have gone on when it had been compressed.
#[test]
fn a_writer_that_lingered_on_a_file_that_was_compressed_may_have_lost_lines() {
    let mut scene = scene();
    write(&scene, "app.log", 0..30);
    at(&mut scene, 30);
    rename(&scene, "app.log", "app.log.1");
    write(&scene, "app.log", 31..40);
    write(&scene, "app.log.1", 35..36);
    compress(&scene, "app.log.1");
    at(&mut scene, 40);
    at(&mut scene, 50);
    assert_eq!(sums(scene.kept.windows(&scene.plan)).values().sum::<u64>(), 40);
    assert_eq!(
        state(&scene, 35),
        Some(HostState::BytesLost),
        "{:?}",
        scene.kept.verdicts
    );
    at(&mut scene, 600);
    assert_eq!(
        [state(&scene, 35), state(&scene, 300)],
        [Some(HostState::BytesLost), Some(HostState::Ok)]
    );
}

/// A form that is not read: what was read before it was compressed is no loss, what was not is one, and said.
#[test]
fn a_form_that_is_not_read_is_a_loss_unless_it_was_read_before() {
    let mut scene = scene();
    write(&scene, "app.log", 0..20);
    at(&mut scene, 20);
    rename(&scene, "app.log", "app.log.1");
    write(&scene, "app.log", 20..30);
    at(&mut scene, 30);
    at(&mut scene, 300);
    // `xz` at work, and done.
    put(&scene, "app.log.1.xz", b"some", None);
    at(&mut scene, 310);
    put(&scene, "app.log.1.xz", b"something", Some("app.log.1"));
    fs::remove_file(scene.path("app.log.1")).expect("removes");
    at(&mut scene, 320);
    assert_eq!(
        [state(&scene, 15), state(&scene, 300)],
        [Some(HostState::Ok); 2],
        "{:?}",
        scene.kept.verdicts
    );
    // One that nobody has seen before.
    put(&scene, "app.log.2.xz", b"something else", None);
    write(&scene, "app.log", 330..331);
    at(&mut scene, 340);
    assert_eq!(
        state(&scene, 315),
        Some(HostState::BytesLost),
        "{:?}",
        scene.kept.verdicts
    );
    let windows = scene.kept.windows(&scene.plan);
    assert_eq!(sums(windows).values().sum::<u64>(), 31);
}

/// The same head is not enough: what was read last must be found where it was read.
#[test]
fn an_archive_of_another_file_proves_nothing_of_the_one_that_went() {
    let mut scene = scene();
    write(&scene, "app.log", 0..40);
    at(&mut scene, 40);
    fs::remove_file(scene.path("app.log")).expect("removes");
    let other = text(0..30) + &text(130..150);
    scene.time.pass(160 * S);
    put(&scene, "app.log.1.gz", &gzip(other.as_bytes()), None);
    write(&scene, "app.log", 190..200);
    at(&mut scene, 201);
    at(&mut scene, 210);
    assert_eq!(
        state(&scene, 100),
        Some(HostState::BytesLost),
        "{:?}",
        scene.kept.verdicts
    );
    assert_eq!(
        sums(scene.kept.windows(&scene.plan)).values().sum::<u64>(),
        40 + 50 + 10
    );
}

#[test]
fn generations_that_begin_with_the_same_line_are_both_counted() {
    for compress_both in [false, true] {
        let mut scene = scene();
        write(&scene, "app.log.2", 0..1);
        write(&scene, "app.log.2", 10..30);
        write(&scene, "app.log.1", 0..1);
        write(&scene, "app.log.1", 30..50);
        compress(&scene, "app.log.1");
        if compress_both {
            compress(&scene, "app.log.2");
        }
        write(&scene, "app.log", 50..60);
        at(&mut scene, 60);
        at(&mut scene, 70);
        let mut both = expected(10..60);
        both.insert(0, 2);
        assert_eq!(sums(scene.kept.windows(&scene.plan)), both);
    }
}

/// `app | gzip > app.log.gz`: what grows all the time is not inflated anew all the time.
#[test]
fn an_archive_that_grows_is_left_alone_until_it_rests() {
    let mut scene = scene();
    let whole = gzip(text(-4000..0).as_bytes());
    write(&scene, "app.log", 0..10);
    let mut bytes = 0;
    for step in 0..20 {
        put(&scene, "app.log.1.gz", &whole[..whole.len() / 2 + step], None);
        bytes += at(&mut scene, 10 + step as i64).bytes;
    }
    assert!(bytes < 2 * whole.len() as u64, "{bytes} bytes");
    assert_eq!(state(&scene, 5), Some(HostState::Timeout), "{:?}", scene.kept.verdicts);
}

/// While others are inflated, this one waits, its windows say so, and newer ones go on.
#[test]
fn an_archive_waits_for_its_turn() {
    let mut scene = scene();
    write(&scene, "app.log", 0..30);
    at(&mut scene, 30);
    write(&scene, "app.log", 30..40);
    rename(&scene, "app.log", "app.log.1");
    compress(&scene, "app.log.1");
    write(&scene, "app.log", 40..200);
    scene.port.is_crowded = true;
    at(&mut scene, 200);
    assert!(at(&mut scene, 210).unread);
    assert_eq!(state(&scene, 35), Some(HostState::Timeout), "{:?}", scene.kept.verdicts);
    at(&mut scene, 400);
    assert_eq!(
        [state(&scene, 35), state(&scene, 300)],
        [Some(HostState::Timeout), Some(HostState::Ok)]
    );
    scene.port.is_crowded = false;
    at(&mut scene, 410);
    check_whole(&scene, &scene.kept, 0..200);
}

/// A large one takes several pulls, and newer bytes come first in each.
#[test]
fn a_large_generation_is_read_in_slices() {
    let mut scene = Scene::new("app.log", MONITOR, START_NS - 60 * S);
    let long = "y".repeat(2000);
    let all: String = (0..70_000)
        .map(|n| format!("{} x=1 {long}\n", stamp(START_NS + n / 70 * S)))
        .collect();
    scene.time.pass(1000 * S);
    put(&scene, "app.log.1.gz", &gzip(all.as_bytes()), None);
    write(&scene, "app.log", 1000..1010);
    scene.time.pass(12 * S);
    let first = scene.pull();
    assert!(first.more && first.unread);
    assert_eq!(
        state(&scene, 10),
        Some(HostState::Timeout),
        "not read to its end, not checked"
    );
    assert_eq!(
        sums(scene.kept.windows(&scene.plan)),
        expected(1000..1010),
        "newer bytes first"
    );
    at(&mut scene, 1013);
    assert_eq!(state(&scene, 10), Some(HostState::Ok));
    assert_eq!(sums(scene.kept.windows(&scene.plan)).values().sum::<u64>(), 70_010);
}
