//! An action model that does to folders what rotation tools do, with a snapshot after each action compared with a model
//! of what is there: every file once, with its size and hashes, and `Same` said if and only if its bytes are.

mod scene;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};

use agent::content::{fingerprint_of, tail_hash_of};
use agent::protocol::{
    COPY_HEAD_BYTES, Compression, Content, Generation, Identity, KnownGeneration, KnownVerdict, Refusal, Stability,
    TAIL_BYTES,
};
use proptest::prelude::*;
use scene::Scene;

/// What the model knows of one file.
#[derive(Debug, Clone, Default)]
struct ModelFile {
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Write(u8),
    HalfWrite(u8),
    WriteToRotated(u8),
    Rotate,
    DoubleRotate,
    Copy { percent: u8 },
    Truncate,
    CopyTruncate,
    TruncateAndRegrow,
    ChangeHead,
    ChangeEnd,
    Delete,
    Recreate,
    OddRename,
    Compress,
    SwitchLink,
    Pause,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        6 => (1_u8..60).prop_map(Action::Write),
        2 => (1_u8..60).prop_map(Action::HalfWrite),
        2 => (1_u8..60).prop_map(Action::WriteToRotated),
        3 => Just(Action::Rotate),
        1 => Just(Action::DoubleRotate),
        2 => (1_u8..=100).prop_map(|percent| Action::Copy { percent }),
        1 => Just(Action::Truncate),
        2 => Just(Action::CopyTruncate),
        1 => Just(Action::TruncateAndRegrow),
        1 => Just(Action::ChangeHead),
        1 => Just(Action::ChangeEnd),
        1 => Just(Action::Delete),
        1 => Just(Action::Recreate),
        1 => Just(Action::OddRename),
        1 => Just(Action::Compress),
        2 => Just(Action::SwitchLink),
        1 => Just(Action::Pause),
    ];
    prop::collection::vec(action, 1..25)
}

/// The folder and the model of it, moved together. `logs/app.log` is the one log, `logs/current.log`, a link to a dated
/// name in `data`, the other; both get every write.
struct World {
    scene: Scene,
    files: BTreeMap<String, ModelFile>,
    day: u32,
    odd: u32,
    counter: u32,
    known: [Vec<(KnownGeneration, Vec<u8>)>; 2],
}

const LOG: &str = "logs/app.log";
const KEPT: usize = 6;

impl World {
    fn new() -> Self {
        let scene = Scene::new();
        let mut world = Self {
            scene,
            files: BTreeMap::new(),
            day: 9,
            odd: 0,
            counter: 0,
            known: [Vec::new(), Vec::new()],
        };
        world.switch_link();
        world
    }

    fn dated(&self) -> String {
        format!("data/pay-202611{:02}.log", self.day)
    }

    fn text(&mut self, lines: u8, end: &str) -> String {
        let mut text = String::new();
        for _ in 0..lines {
            self.counter += 1;
            text.push_str(&format!("2026-11-23 12:00:00 line {} of this log\n", self.counter));
        }
        text.push_str(end);
        text
    }

    fn append(&mut self, name: &str, text: &str) {
        let path = self.scene.path(name);
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("open");
        file.write_all(text.as_bytes()).expect("append");
        self.files
            .entry(name.to_owned())
            .or_default()
            .bytes
            .extend_from_slice(text.as_bytes());
    }

    fn rename(&mut self, from: &str, to: &str) {
        if let Some(file) = self.files.remove(from) {
            self.scene.rename(from, to);
            self.files.insert(to.to_owned(), file);
        }
    }

    fn remove(&mut self, name: &str) {
        if self.files.remove(name).is_some() {
            fs::remove_file(self.scene.path(name)).expect("remove");
        }
    }

    fn shift(&mut self) {
        self.remove(&format!("{LOG}.{KEPT}"));
        for number in (1..KEPT).rev() {
            self.rename(&format!("{LOG}.{number}"), &format!("{LOG}.{}", number + 1));
        }
    }

    fn rotate(&mut self) {
        self.shift();
        self.rename(LOG, &format!("{LOG}.1"));
        self.append(LOG, "");
    }

    fn copy(&mut self, percent: u8) {
        if let Some(file) = self.files.get(LOG).cloned() {
            self.shift();
            let bytes = &file.bytes[..file.bytes.len() * usize::from(percent) / 100];
            fs::write(self.scene.path(&format!("{LOG}.1")), bytes).expect("copy");
            self.files
                .insert(format!("{LOG}.1"), ModelFile { bytes: bytes.to_vec() });
        }
    }

    fn truncate(&mut self) {
        if let Some(file) = self.files.get_mut(LOG) {
            file.bytes.clear();
            OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(self.scene.path(LOG))
                .expect("truncate");
        }
    }

    /// As a truncation does after which almost the same is written: same size, another byte.
    fn change(&mut self, at: usize) {
        if let Some(byte) = self.files.get_mut(LOG).and_then(|file| file.bytes.get_mut(at)) {
            *byte ^= 1;
            let file = OpenOptions::new().write(true).open(self.scene.path(LOG)).expect("open");
            file.write_all_at(&[*byte], at as u64).expect("write");
        }
    }

    fn switch_link(&mut self) {
        self.day += 1;
        let name = self.dated();
        self.append(&name, "");
        let link = self.scene.path("logs/current.log");
        fs::remove_file(&link).ok();
        symlink(format!("../{name}"), link).expect("link");
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Write(lines) => {
                let text = self.text(lines, "");
                self.append(LOG, &text);
                self.append(&self.dated(), &text);
            }
            Action::HalfWrite(lines) => {
                let text = self.text(lines, "2026-11-23 12:00:00 hal");
                self.append(LOG, &text);
            }
            Action::WriteToRotated(lines) => {
                let text = self.text(lines, "");
                if self.files.contains_key(&format!("{LOG}.1")) {
                    self.append(&format!("{LOG}.1"), &text);
                }
            }
            Action::Rotate => self.rotate(),
            Action::DoubleRotate => (0..2).for_each(|_| self.rotate()),
            Action::Copy { percent } => self.copy(percent),
            Action::Truncate => self.truncate(),
            Action::CopyTruncate => {
                self.copy(100);
                self.truncate();
            }
            Action::TruncateAndRegrow => {
                let lines = self.files.get(LOG).map_or(1, |file| file.bytes.len() / 30 + 2).min(250);
                self.truncate();
                let text = self.text(lines as u8, "");
                self.append(LOG, &text);
            }
            Action::ChangeHead => self.change(10),
            Action::ChangeEnd => self.change(self.files.get(LOG).map_or(0, |file| file.bytes.len()).saturating_sub(9)),
            Action::Delete => self.remove(LOG),
            Action::Recreate => {
                self.remove(LOG);
                let text = self.text(20, "");
                self.append(LOG, &text);
            }
            Action::OddRename => {
                self.odd += 1;
                self.rename(LOG, &format!("logs/odd-{}", self.odd));
            }
            Action::Compress => self.compress(),
            Action::SwitchLink => self.switch_link(),
            Action::Pause => {}
        }
    }

    /// As gzip does: another file under another name, and the plain one gone.
    fn compress(&mut self) {
        let (plain, packed) = (format!("{LOG}.{KEPT}"), format!("{LOG}.{KEPT}.gz"));
        if let Some(file) = self.files.remove(&plain) {
            fs::write(self.scene.path(&packed), &file.bytes).expect("pack");
            fs::remove_file(self.scene.path(&plain)).expect("remove");
            self.files.insert(packed, file);
        }
    }

    /// One snapshot of each log, compared with the model.
    fn check(&mut self) {
        for (index, pattern) in [LOG, "logs/current.log"].into_iter().enumerate() {
            let known = std::mem::take(&mut self.known[index]);
            let answer = self
                .scene
                .snapshot(pattern, known.iter().map(|(known, _)| known.clone()).collect());
            assert_eq!(answer.stability, Stability::Stable { attempt: 1 });
            let folder = if index == 0 { "logs/" } else { "data/" };
            let mine: BTreeMap<String, &ModelFile> = self
                .files
                .iter()
                .filter(|(name, _)| name.starts_with(folder))
                .map(|(name, file)| (self.scene.path(name), file))
                .collect();
            let found: Vec<&String> = answer.generations.iter().map(|found| &found.path).collect();
            let mut sorted = found.clone();
            sorted.sort();
            assert_eq!(sorted, mine.keys().collect::<Vec<_>>(), "{pattern}");
            let missing = index == 0 && !self.files.contains_key(LOG);
            self.scene
                .check_problems(&answer, if missing { &[(LOG, Refusal::NotFound)] } else { &[] });
            for generation in &answer.generations {
                check_generation(generation, &mine[&generation.path].bytes, &known);
            }
            check_copies(&answer.generations, &mine);
            let knowing = |generation: &Generation| {
                let bytes = &mine[&generation.path].bytes;
                (known_of(generation, bytes), bytes.clone())
            };
            self.known[index] = answer.generations.iter().map(knowing).collect();
        }
    }
}

fn known_of(generation: &Generation, bytes: &[u8]) -> KnownGeneration {
    KnownGeneration {
        path: generation.path.clone(),
        identity: generation.identity,
        fingerprint: fingerprint_of(bytes),
        tail: tail_hash_of(bytes.len() as u64, bytes),
    }
}

/// Sizes and hashes are those of the model's bytes, and `Same` is said if and only if the known bytes still stand.
fn check_generation(generation: &Generation, bytes: &[u8], known: &[(KnownGeneration, Vec<u8>)]) {
    assert_eq!(generation.size, bytes.len() as u64, "{}", generation.path);
    let Content::Readable {
        fingerprint, verdict, ..
    } = &generation.content
    else {
        assert_eq!(generation.compression, Compression::Gzip);
        return;
    };
    assert_eq!(*fingerprint, fingerprint_of(bytes));
    let before = known
        .iter()
        .find(|(known, _)| known.identity == generation.identity)
        .map(|(_, bytes)| bytes);
    let expected_same = before.map(|before| bytes.starts_with(before));
    match verdict {
        KnownVerdict::New => assert_eq!(expected_same, None),
        KnownVerdict::Same => assert_eq!(expected_same, Some(true), "{}", generation.path),
        KnownVerdict::Shrunk => assert!(before.is_some_and(|before| before.len() > bytes.len())),
        KnownVerdict::HeadDiffers | KnownVerdict::TailDiffers => {
            assert_eq!(expected_same, Some(false), "{}", generation.path);
        }
    }
}

/// A copy is told if and only if the model's bytes show one.
fn check_copies(generations: &[Generation], files: &BTreeMap<String, &ModelFile>) {
    let copy_told = |one: &Generation| match &one.content {
        Content::Readable { copy_of, .. } => copy_of.map(|copy| copy.of),
        _ => None,
    };
    let told = |one: &Generation, other: Identity| copy_told(one) == Some(other);
    let anything_told = |one: &Generation| copy_told(one).is_some();
    for (index, one) in generations.iter().enumerate() {
        for other in &generations[..index] {
            if one.compression != Compression::Plain || other.compression != Compression::Plain {
                continue;
            }
            let (first, second) = (&files[&one.path].bytes, &files[&other.path].bytes);
            let common = first.len().min(second.len());
            let tail = common - common.min(TAIL_BYTES);
            let copied = common >= COPY_HEAD_BYTES
                && first[..COPY_HEAD_BYTES] == second[..COPY_HEAD_BYTES]
                && first[tail..common] == second[tail..common];
            if copied {
                assert!(
                    anything_told(one) || anything_told(other),
                    "{} {}",
                    one.path,
                    other.path
                );
            } else {
                assert!(
                    !told(one, other.identity) && !told(other, one.identity),
                    "{} {}",
                    one.path,
                    other.path
                );
            }
        }
    }
}

fn run(actions: &[Action]) {
    let mut world = World::new();
    world.check();
    for action in actions {
        world.act(*action);
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn snapshots_agree_with_the_model(actions in actions()) {
        run(&actions);
    }
}

#[test]
fn sequences_that_went_wrong_elsewhere() {
    use Action::{
        ChangeEnd, ChangeHead, Compress, Copy, CopyTruncate, Delete, DoubleRotate, HalfWrite, OddRename, Recreate,
        Rotate, SwitchLink, Truncate, TruncateAndRegrow, Write, WriteToRotated,
    };
    run(&[Write(9), Rotate, WriteToRotated(3), Write(1)]);
    run(&[
        Write(50),
        Copy { percent: 40 },
        Write(3),
        CopyTruncate,
        Write(50),
        CopyTruncate,
    ]);
    run(&[Write(50), TruncateAndRegrow, Write(2), Truncate, TruncateAndRegrow]);
    run(&[
        Write(5),
        DoubleRotate,
        DoubleRotate,
        DoubleRotate,
        Compress,
        Rotate,
        Write(3),
    ]);
    run(&[
        Write(5),
        Delete,
        Write(5),
        Recreate,
        Recreate,
        HalfWrite(3),
        OddRename,
        Write(4),
        Rotate,
        OddRename,
    ]);
    run(&[
        Write(59),
        Write(59),
        Write(59),
        ChangeHead,
        Write(3),
        ChangeEnd,
        ChangeHead,
    ]);
    run(&[Write(5), SwitchLink, Write(5), SwitchLink, SwitchLink, Write(5)]);
}
