//! A directory under an editor's hands: whatever is written, broken, mended, removed and renamed, what is in force is
//! what was last good, and each mistake is told.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const MONITOR: &str = "kind: monitor\nname: m\napp: shop\nlog: /l\nselect: { n: count() }\n";

/// A directory in the making.
struct Stage {
    root: tempfile::TempDir,
    directory: Directory,
}

impl Stage {
    fn new(files: &[(&str, &str)]) -> Stage {
        let root = tempfile::tempdir().expect("a directory");
        let directory = Directory::new(root.path(), &[]);
        let stage = Stage { root, directory };
        files.iter().for_each(|(name, text)| stage.write(name, text));
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).expect("removed");
    }

    /// Polls until a change has rested.
    fn settle(&mut self) -> Poll {
        self.directory.poll().or(self.directory.poll())
    }

    /// Documents in force as `name@file`.
    fn in_force(&self) -> Vec<String> {
        let brief = |placed: &Placed| {
            let file = Path::new(&*placed.source.file);
            let file = file.strip_prefix(self.root.path()).unwrap_or(file);
            format!("{}@{}", placed.document.name(), file.display())
        };
        self.directory.documents().iter().map(brief).collect()
    }

    /// Mistakes as `file:line:column: message (hint)`.
    fn mistakes(&self) -> Vec<String> {
        let prefix = format!("{}/", self.root.path().display());
        let brief = |told: &Diagnostic| {
            let (file, hint) = (
                told.file.as_deref().unwrap_or_default(),
                told.hint.as_deref().unwrap_or_default(),
            );
            format!("{file}:{}:{}: {} ({hint})", told.line, told.column, told.message).replace(&prefix, "")
        };
        self.directory.mistakes().iter().map(brief).collect()
    }

    #[track_caller]
    fn check(&self, in_force: &[&str], mistakes: &[&str]) {
        assert_eq!(self.in_force(), in_force);
        assert_eq!(self.mistakes(), mistakes);
    }
}

fn named(name: &str) -> String {
    MONITOR.replace("name: m", &format!("name: {name}"))
}

#[test]
fn the_first_poll_reads_and_the_next_finds_nothing() {
    let mut stage = Stage::new(&[("b.yaml", MONITOR), ("a/c.yml", &named("c")), ("a/.d.yaml", "x")]);
    assert_eq!(stage.directory.poll(), Poll::Changed);
    stage.check(&["c@a/c.yml", "m@b.yaml"], &[]);
    assert_eq!(stage.directory.wholeness(), Wholeness::Whole);
    assert_eq!(stage.settle(), Poll::Same);
    let source = &stage.directory.documents()[1].source;
    assert_eq!((source.line, &*source.text), (1, MONITOR));
}

#[test]
fn a_broken_file_keeps_its_last_good_documents_and_others_go_on() {
    let mut stage = Stage::new(&[("a.yaml", MONITOR), ("b.yaml", &named("b"))]);
    let _first = stage.settle();
    stage.write("a.yaml", &format!("{}where: a == 1\n", named("other")));
    stage.write("b.yaml", &named("bb"));
    assert_eq!(stage.settle(), Poll::Changed);
    stage.check(
        &["m@a.yaml", "bb@b.yaml"],
        &["a.yaml:6:10: unknown operator `==` (write `=`)"],
    );
    assert_eq!(stage.directory.wholeness(), Wholeness::Whole);
    stage.write("a.yaml", &named("mended"));
    assert_eq!(stage.settle(), Poll::Changed);
    stage.check(&["mended@a.yaml", "bb@b.yaml"], &[]);
}

#[test]
fn a_file_that_was_never_good_gives_what_it_can_and_says_that_there_is_more() {
    let mut stage = Stage::new(&[("a.yaml", &format!("{MONITOR}---\nkind: monitr\n"))]);
    assert_eq!(stage.directory.poll(), Poll::Changed);
    stage.check(
        &["m@a.yaml"],
        &["a.yaml:7:7: unknown kind `monitr` (did you mean `monitor`?)"],
    );
    assert_eq!(stage.directory.wholeness(), Wholeness::Partial);
}

#[test]
fn the_first_by_path_keeps_a_name_and_the_other_is_told() {
    let mut stage = Stage::new(&[("b.yaml", MONITOR), ("c.yaml", MONITOR)]);
    let _first = stage.settle();
    let told = "two monitors are named `m` (the first is at b.yaml:2:7; rename one of them)";
    stage.check(&["m@b.yaml"], &[&format!("c.yaml:2:7: {told}")]);
    stage.remove("b.yaml");
    assert_eq!(stage.settle(), Poll::Changed);
    stage.check(&["m@c.yaml"], &[]);
}

#[test]
fn a_file_half_written_or_moved_away_for_a_moment_is_no_outage() {
    let mut stage = Stage::new(&[("a.yaml", MONITOR)]);
    let _first = stage.settle();
    stage.remove("a.yaml");
    assert_eq!(stage.directory.poll(), Poll::Same);
    for length in 1..MONITOR.len() {
        stage.write("a.yaml", &MONITOR[..length]);
        assert_eq!(stage.directory.poll(), Poll::Same, "{length}");
    }
    stage.check(&["m@a.yaml"], &[]);
    stage.write("a.yaml", &named("n"));
    assert_eq!(stage.settle(), Poll::Changed);
    stage.check(&["n@a.yaml"], &[]);
}

#[test]
fn a_rename_moves_documents_without_a_gap() {
    let mut stage = Stage::new(&[("a.yaml", MONITOR)]);
    let _first = stage.settle();
    std::fs::rename(stage.path("a.yaml"), stage.path("z.yaml")).expect("renamed");
    let _moving = stage.directory.poll();
    stage.check(&["m@a.yaml"], &[]);
    assert_eq!(stage.directory.poll(), Poll::Changed);
    stage.check(&["m@z.yaml"], &[]);
}

#[test]
fn what_can_not_be_read_is_told_and_changes_nothing() {
    let mut stage = Stage::new(&[("a.yaml", MONITOR), ("sub/b.yaml", &named("b"))]);
    let _first = stage.settle();
    std::fs::write(stage.path("a.yaml"), b"kind: \xff").expect("a file");
    let root = stage.root.path().to_owned();
    assert_eq!(stage.settle(), Poll::Changed);
    stage.check(
        &["m@a.yaml", "b@sub/b.yaml"],
        &["a.yaml:0:0: can't be read: it is not UTF-8 from byte 6 on ()"],
    );
    let aside = root.with_extension("aside");
    std::fs::rename(&root, &aside).expect("renamed");
    assert_eq!(stage.settle(), Poll::Changed);
    assert_eq!(stage.in_force(), ["m@a.yaml", "b@sub/b.yaml"]);
    assert!(
        stage.mistakes()[0].contains("can't be read: No such file"),
        "{:?}",
        stage.mistakes()
    );
    assert_eq!(stage.directory.wholeness(), Wholeness::Partial);
    std::fs::rename(&aside, &root).expect("renamed");
    assert_eq!(stage.settle(), Poll::Changed);
    assert_eq!(stage.directory.wholeness(), Wholeness::Whole);
}

#[test]
fn a_directory_that_is_not_there_at_the_start_is_a_mistake() {
    let mut directory = Directory::new(Path::new("/nowhere/config"), &[("up".to_owned(), MONITOR.to_owned())]);
    assert_eq!(directory.poll(), Poll::Changed);
    assert_eq!(directory.documents().len(), 1);
    assert_eq!(directory.mistakes().len(), 1);
    assert_eq!(directory.wholeness(), Wholeness::Partial);
}

#[test]
fn texts_of_the_process_stand_behind_files_and_nodes_files_are_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let node = "role: agent\nlisten: 127.0.0.1:0\nhost: h1\nroots: [/l]\n";
    std::fs::write(root.path().join("a.yaml"), MONITOR).expect("a file");
    std::fs::write(root.path().join("b.yaml"), node).expect("a file");
    let texts = [("up".to_owned(), format!("{MONITOR}---\n{}", named("n")))];
    let directory = Directory::new(root.path(), &texts);
    let mut stage = Stage { root, directory };
    let _first = stage.settle();
    let refused = "b.yaml:3:7: a node's own file is no part of the ConfigDB (move it out of this directory, and give \
                   it to the node by `--config FILE`)";
    let clash = "up:2:7: two monitors are named `m` (the first is at a.yaml:2:7; rename one of them)";
    stage.check(&["m@a.yaml", "n@up"], &[refused, clash]);
}

/// What an editor does.
#[derive(Debug, Clone)]
enum Action {
    /// Writes a file that is good, with monitors of these names.
    Write(u8, BTreeSet<u8>),
    /// Writes one in which a document is broken.
    Break(u8, BTreeSet<u8>),
    Remove(u8),
    Rename(u8, u8),
}

fn action() -> impl Strategy<Value = Action> {
    let names = || prop::collection::btree_set(0u8..6, 0..3);
    prop_oneof![
        3 => (0u8..4, names()).prop_map(|(file, names)| Action::Write(file, names)),
        2 => (0u8..4, names()).prop_map(|(file, names)| Action::Break(file, names)),
        1 => (0u8..4).prop_map(Action::Remove),
        1 => (0u8..4, 0u8..4).prop_map(|(from, to)| Action::Rename(from, to)),
    ]
}

/// A file as it should stand.
#[derive(Debug, Clone, Default)]
struct Modelled {
    /// What is on the disk: monitors, and whether something is broken.
    disk: Option<(BTreeSet<u8>, bool)>,
    in_force: BTreeSet<u8>,
    was_whole: bool,
}

impl Modelled {
    fn settle(&mut self) {
        match &self.disk {
            None => *self = Modelled::default(),
            Some((names, broken)) if !broken || !self.was_whole => {
                self.in_force = names.clone();
                self.was_whole = !broken;
            }
            Some(_) => {}
        }
    }
}

type Model = BTreeMap<u8, Modelled>;

/// Claims in force, by path, and how many were refused.
fn expected(model: &Model) -> (Vec<String>, usize) {
    let (mut claimed, mut in_force, mut clashes) = (BTreeSet::new(), Vec::new(), 0);
    for (file, modelled) in model {
        for name in &modelled.in_force {
            if claimed.insert(name) {
                in_force.push(format!("m{name}@f{file}.yaml"));
            } else {
                clashes += 1;
            }
        }
    }
    (in_force, clashes)
}

fn apply(stage: &Stage, model: &mut Model, action: &Action, padding: usize) {
    let path = |file: &u8| format!("f{file}.yaml");
    match action {
        Action::Write(file, names) | Action::Break(file, names) => {
            let broken = matches!(action, Action::Break(..));
            // Every text has another length, as two saves of a person have other times.
            let mut documents = vec![format!("# {}\n", "x".repeat(padding))];
            documents.extend(names.iter().map(|name| named(&format!("m{name}"))));
            documents.extend(broken.then(|| "kind: [\n".to_owned()));
            stage.write(&path(file), &documents.join("---\n"));
            model.entry(*file).or_default().disk = Some((names.clone(), broken));
        }
        Action::Remove(file) => {
            if model.entry(*file).or_default().disk.take().is_some() {
                stage.remove(&path(file));
            }
        }
        Action::Rename(from, to) if from != to => {
            if let Some(disk) = model.entry(*from).or_default().disk.take() {
                std::fs::rename(stage.path(&path(from)), stage.path(&path(to))).expect("renamed");
                model.entry(*to).or_default().disk = Some(disk);
            }
        }
        Action::Rename(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_in_force_is_what_was_last_good(actions in prop::collection::vec(action(), 1..14)) {
        let mut stage = Stage::new(&[]);
        let mut model = Model::new();
        let _first = stage.settle();
        for (index, action) in actions.iter().enumerate() {
            let before = stage.in_force();
            apply(&stage, &mut model, action, index);
            let _moving = stage.directory.poll();
            prop_assert_eq!(stage.in_force(), before, "a change took effect before it rested");
            let _rested = stage.directory.poll();
            model.values_mut().for_each(Modelled::settle);
            let (in_force, clashes) = expected(&model);
            prop_assert_eq!(stage.in_force(), in_force);
            let broken = model.values().filter(|modelled| modelled.disk.as_ref().is_some_and(|(_, broken)| *broken));
            prop_assert_eq!(stage.directory.mistakes().len(), clashes + broken.count());
            let whole = model.values().all(|modelled| modelled.disk.is_none() || modelled.was_whole);
            prop_assert_eq!(stage.directory.wholeness(), Wholeness::whole_if(whole));
        }
    }
}
