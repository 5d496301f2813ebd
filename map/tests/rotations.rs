//! A thousand rotations while the log is read at full speed: no record lost, none counted twice. A writer in a thread
//! of its own renames and creates between, before and during the listings and reads of a reader that never rests.

mod scene;

use scene::{S, START_NS, Scene, stamp};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, UNIX_EPOCH};

const ROTATIONS: usize = 1000;
/// Rotations for which the writer needs a pull to have begun: it is never far ahead of the reader, and never waits for
/// one to end.
const ROTATIONS_A_PULL: usize = 4;
/// Writes of a generation, and lines of a write.
const WRITES: usize = 3;
const LINES: usize = 5;

struct Writer {
    time: scene::Time,
    log: String,
    written: usize,
}

impl Writer {
    fn write(&mut self, file: &mut File) {
        let mut text = String::new();
        for _ in 0..LINES {
            text.push_str(&format!(
                "{} id=r{} what=\"something\"\n",
                stamp(self.time.now()),
                self.written
            ));
            self.written += 1;
        }
        // In two parts, so that a pull may find a half line.
        let (begin, rest) = text.split_at(text.len() / 2);
        for part in [begin, rest] {
            file.write_all(part.as_bytes()).expect("writes");
            self.date(file);
        }
        self.time.pass(S / 100);
    }

    fn date(&self, file: &File) {
        let now = UNIX_EPOCH + Duration::from_nanos(self.time.now() as u64);
        file.set_modified(now).expect("sets the time");
    }

    fn open(&self) -> File {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("opens");
        self.date(&file);
        file
    }

    /// Rotates; half of what comes next still goes to the old file, as by a writer that has not heard of it yet.
    fn run(mut self, pulls: &Receiver<()>) -> usize {
        let mut file = self.open();
        for rotation in 0..ROTATIONS {
            if rotation % ROTATIONS_A_PULL == 0 {
                pulls.recv().expect("the reader goes on");
            }
            (0..WRITES).for_each(|_| self.write(&mut file));
            fs::rename(&self.log, format!("{}-20261123.{rotation}", self.log)).expect("renames");
            self.write(&mut file);
            file = self.open();
            self.write(&mut file);
        }
        self.written
    }
}

#[test]
fn a_thousand_rotations_lose_nothing_and_count_nothing_twice() {
    let mut scene = Scene::new(
        "app.log",
        "select count() parse logfmt group by id every 5s lateness 10s",
        START_NS,
    );
    let writer = Writer {
        time: scene.time.clone(),
        log: scene.path("app.log"),
        written: 0,
    };
    let (token, pulls) = sync_channel(1);
    let writing = std::thread::spawn(move || writer.run(&pulls));
    let (mut looks, mut brought) = (0, 0);
    while !writing.is_finished() {
        // Full if the writer is still busy, gone if it has ended: both are well.
        token.try_send(()).ok();
        looks += 1;
        brought += usize::from(scene.pull().records > 0);
    }
    let written = writing.join().expect("the writer ends well");
    scene.time.pass(1200 * S);
    assert!(!scene.pull_all().unread);
    scene.append(
        "app.log",
        &format!("{} id=last what=\"something\"\n", stamp(scene.time.now())),
    );
    scene.time.pass(1200 * S);
    assert!(!scene.pull_all().unread);
    assert!(
        looks >= ROTATIONS / ROTATIONS_A_PULL && brought * 4 > looks,
        "{brought} of {looks} pulls brought records"
    );
    let mut seen = BTreeSet::new();
    for window in scene.kept.windows(&scene.plan).values() {
        assert_eq!(window.lost.total(), 0);
        for (group, _) in window.groups.iter() {
            let id = group.columns()[0].expect("each has an id").to_vec();
            assert_eq!(group.records, 1, "{:?} is counted twice", String::from_utf8(id));
            assert!(
                seen.insert(id.clone()),
                "{:?} is counted in two windows",
                String::from_utf8(id)
            );
        }
    }
    let missing: Vec<usize> = (0..written)
        .filter(|number| !seen.contains(format!("r{number}").as_bytes()))
        .collect();
    assert!(
        missing.is_empty(),
        "{} of {written} are missing: {missing:?}",
        missing.len()
    );
    assert_eq!(seen.len(), written + 1);
    let bad: Vec<_> = scene.kept.verdicts.iter().filter(|run| !run.state.is_ok()).collect();
    assert!(bad.is_empty(), "{bad:?}");
}
