//! Streaming, re-reading and one pass over the whole files give the same, at every pull and at the end: values, losses,
//! and which windows are proved. Random lines, rotations and pull times; the agent is the real one.

mod scene;

use map::partial::WindowPartial;
use map::verdict::{HostState, Stage};
use proptest::prelude::*;
use scene::{S, START_NS, Scene, stamp};
use std::collections::BTreeMap;
use std::fs;

const MONITOR: &str = "select count(), lines(), bytes(), sum(x), max(x) parse logfmt group by op every 5s lateness 10s";

/// What happens to the log and its reader.
#[derive(Debug, Clone)]
enum Action {
    /// Records whose stamps lie so many milliseconds before the clock.
    Write(Vec<(u64, u8)>),
    /// A record with a stamp far from the clock.
    Wild(i8),
    /// A line that continues its record.
    Continue,
    /// Half of a line, ended by the next one.
    Half,
    /// Time goes by.
    Wait(u64),
    /// The reader looks.
    Pull,
    /// The agent does not answer the next pull.
    Away,
    /// The log is renamed, and a new one begun.
    Rotate,
    /// A second monitor comes, and reads from the beginning.
    Subscribe,
    /// A generation is compressed.
    Compress(usize, Compressor),
}

/// Who compresses, and how far it got.
#[derive(Debug, Clone, Copy)]
enum Compressor {
    Gzip,
    Zstandard,
    /// The source stands beside the beginning of its archive.
    GzipAtWork,
    /// The source stands beside its archive.
    GzipKeeps,
}

fn action() -> impl Strategy<Value = Action> {
    let record = (
        prop_oneof![8 => 0..3_000_u64, 2 => 0..10_000_u64, 1 => 10_001..40_000_u64],
        any::<u8>(),
    );
    prop_oneof![
        8 => prop::collection::vec(record, 1..12).prop_map(Action::Write),
        1 => (-2..3_i8).prop_map(Action::Wild),
        2 => Just(Action::Continue),
        1 => Just(Action::Half),
        4 => (10..9_000_u64).prop_map(Action::Wait),
        5 => Just(Action::Pull),
        1 => Just(Action::Away),
        1 => Just(Action::Rotate),
        1 => Just(Action::Subscribe),
        2 => (0..3_usize, compressor()).prop_map(|(which, how)| Action::Compress(which, how)),
    ]
}

fn compressor() -> impl Strategy<Value = Compressor> {
    use Compressor::{Gzip, GzipAtWork, GzipKeeps, Zstandard};
    prop_oneof![3 => Just(Gzip), 2 => Just(Zstandard), 1 => Just(GzipAtWork), 1 => Just(GzipKeeps)]
}

struct Run {
    scene: Scene,
    rotations: usize,
    half: bool,
    subscribed: bool,
    /// Pulls after which all that is there was read, so that the promise could be checked.
    checked: usize,
}

impl Run {
    fn new() -> Run {
        Run {
            scene: Scene::new("app.log", MONITOR, START_NS - 60 * S),
            rotations: 0,
            half: false,
            subscribed: false,
            checked: 0,
        }
    }

    fn line(&mut self, text: &str) {
        self.scene.append("app.log", text);
        self.half = false;
    }

    fn act(&mut self, action: &Action) {
        let now = self.scene.time.now();
        match action {
            Action::Write(records) => {
                for (back_ms, seed) in records {
                    let at = stamp(now - *back_ms as i64 * 1_000_000);
                    self.line(&format!("{at} op=o{} x={}.5\n", seed % 4, seed));
                }
            }
            Action::Wild(days) => {
                let at = stamp(now + i64::from(*days) * 86_400 * S);
                self.line(&format!("{at} op=wild x=1\n"));
            }
            Action::Continue => self.line("  at somewhere op=never x=99\n"),
            Action::Half => {
                self.scene.append("app.log", &format!("{} op=half", stamp(now)));
                self.half = true;
            }
            Action::Wait(ms) => self.scene.time.pass(*ms as i64 * 1_000_000),
            Action::Pull => self.pull(),
            Action::Away => {
                self.scene.port.away = Some(map::input::PortError {
                    state: HostState::Unreachable,
                    detail: "away".into(),
                });
                self.scene.pull();
                self.scene.port.away = None;
            }
            Action::Rotate => self.rotate(),
            Action::Compress(which, how) => self.compress(*which, *how),
            Action::Subscribe => {
                let second = "select count() parse logfmt every 5s lateness 10s";
                self.scene
                    .input
                    .subscribe(scene::subscription(second, START_NS - 60 * S));
                self.subscribed = true;
            }
        }
    }

    fn rotate(&mut self) {
        if !self.scene.names().iter().any(|name| name == "app.log") {
            return;
        }
        if self.half {
            self.line(" x=1\n");
        }
        for number in (1..=self.rotations).rev() {
            for ending in ["", ".gz", ".zst"] {
                let from = self.scene.path(&format!("app.log.{number}{ending}"));
                let to = self.scene.path(&format!("app.log.{}{ending}", number + 1));
                // It has that form or another.
                let _absent = fs::rename(from, to);
            }
        }
        fs::rename(self.scene.path("app.log"), self.scene.path("app.log.1")).expect("renames");
        self.rotations += 1;
    }

    /// Compresses one of the plain generations, as far as that got.
    fn compress(&mut self, which: usize, how: Compressor) {
        let names = self.scene.names();
        let plain = |name: &&String| name.starts_with("app.log.") && !name.ends_with(".gz") && !name.ends_with(".zst");
        let plain: Vec<&String> = names.iter().filter(plain).collect();
        let Some(name) = plain.get(which) else { return };
        let path = self.scene.path(name);
        let bytes = fs::read(&path).expect("reads");
        let written = fs::metadata(&path).and_then(|it| it.modified()).expect("is there");
        let gzip = scene::gzip(&bytes);
        let (ending, compressed) = match how {
            Compressor::Gzip | Compressor::GzipKeeps => ("gz", gzip),
            Compressor::GzipAtWork => ("gz", gzip[..gzip.len() / 2].to_vec()),
            Compressor::Zstandard => ("zst", scene::zstd(&bytes)),
        };
        let archive = self.scene.path(&format!("{name}.{ending}"));
        fs::write(&archive, compressed).expect("writes");
        let file = fs::File::options().write(true).open(&archive).expect("opens");
        file.set_modified(written).expect("sets the time");
        if let Compressor::Gzip | Compressor::Zstandard = how {
            fs::remove_file(&path).expect("removes");
            // What was left of another attempt goes with it.
            let other = if ending == "gz" { "zst" } else { "gz" };
            let _absent = fs::remove_file(self.scene.path(&format!("{name}.{other}")));
        }
    }

    /// Compressors end what they have begun.
    fn finish_compressing(&self) {
        for name in self.scene.names() {
            if let (Some(_), Ok(bytes)) = (
                name.strip_suffix(".gz"),
                fs::read(self.scene.path(name.trim_end_matches(".gz"))),
            ) {
                let archive = self.scene.path(&name);
                let written = fs::metadata(&archive).and_then(|it| it.modified()).expect("is there");
                fs::write(&archive, scene::gzip(&bytes)).expect("writes");
                let file = fs::File::options().write(true).open(&archive).expect("opens");
                file.set_modified(written).expect("sets the time");
            }
        }
    }

    /// A pull, and the promise: every window that is called ok is what the files hold now.
    fn pull(&mut self) {
        if self.scene.pull_all().unread {
            return;
        }
        self.checked += 1;
        let names = self.scene.names();
        let truth = self.scene.whole(&names, |_| false);
        let windows = self.scene.kept.windows(&self.scene.plan);
        for run in self.scene.kept.verdicts.iter().filter(|run| run.state.is_ok()) {
            let proved = || run.from_ns..run.to_ns;
            let (ours, theirs) = (windows.range(proved()), truth.range(proved()));
            assert_eq!(brief(ours.clone()), brief(theirs.clone()), "{run:?}");
            assert!(ours.eq(theirs), "{run:?}");
        }
    }
}

/// Enough of a window to see what is wrong with it.
fn brief<'a>(windows: impl IntoIterator<Item = (&'a i64, &'a WindowPartial)>) -> Vec<String> {
    let show = |(start, window): (&i64, &WindowPartial)| {
        let lost: Vec<String> = window
            .lost
            .iter()
            .map(|(loss, count)| format!("{} {count}", loss.name()))
            .collect();
        format!(
            "{} s: {} records, {} groups, lost {lost:?}",
            (start - START_NS) / S,
            window.records,
            window.groups.len()
        )
    };
    windows.into_iter().map(show).collect()
}

proptest! {
    #[test]
    fn streaming_rereading_and_one_pass_agree(actions in prop::collection::vec(action(), 1..60)) {
        let mut run = Run::new();
        for action in &actions {
            run.act(action);
        }
        if run.half {
            run.line(" x=1\n");
        }
        run.finish_compressing();
        // Everything that can be known is known after a while.
        run.scene.time.pass(1200 * S);
        run.pull();
        run.scene.time.pass(1200 * S);
        run.pull();
        let names = run.scene.names();
        let truth = run.scene.whole(&names, |_| false);
        let windows = run.scene.kept.windows(&run.scene.plan);
        let from = START_NS - 60 * S;
        let asked: BTreeMap<_, _> = truth.range(from..).map(|(start, window)| (*start, window.clone())).collect();
        prop_assert_eq!(brief(&windows), brief(&asked));
        prop_assert!(windows == asked);
        prop_assert!(run.checked > 0);
        // Joined again, however many came.
        prop_assert!(run.scene.input.streams() == 1);
        // Read apart from the stream: all windows at once, and each by itself.
        let to = run.scene.time.now() - 300 * S;
        let to = to - to.rem_euclid(5 * S);
        let kept = run.scene.reread(from, to);
        let expected: BTreeMap<_, _> = asked.range(..to).map(|(start, window)| (*start, window.clone())).collect();
        prop_assert_eq!(brief(&kept.windows(&run.scene.plan)), brief(&expected));
        prop_assert!(kept.windows(&run.scene.plan) == expected);
        for start in expected.keys().take(6) {
            let one = run.scene.reread(*start, start + 5 * S);
            let alone = one.windows(&run.scene.plan);
            prop_assert_eq!(alone.get(start), expected.get(start));
            if run.scene.kept.verdict(*start).is_some_and(|(state, _)| state.is_ok()) {
                prop_assert_eq!(one.verdict(*start), Some((HostState::Ok, Stage::Settled)));
            }
        }
    }
}
