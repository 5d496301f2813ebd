//! A folder to which everything is done that rotation, people and clocks do to logs, the agent and the reader over it,
//! and a list of what was written: which record in which life of which file, and what could not be known any more.
//!
//! The list is kept as plain as can be and shares nothing with the reader: it knows bytes only as records.

use super::scene::{self, S, START_NS, Scene};
use agent::protocol::COPY_HEAD_BYTES;
use flate2::{Compression, write::GzEncoder};
use map::verdict::HostState;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

mod check;

pub use check::Outcome;

/// Every record is a group of its own, so that a record that is counted twice, or in another window, has a name.
const MONITOR: &str = "select count() parse logfmt group by id every 5s lateness 10s";
pub const WINDOW_NS: i64 = 5 * S;
/// The monitor's `lateness`.
pub const LATENESS_NS: i64 = 10 * S;
/// The longest time that a reader takes a writer to hold bytes back (`D`).
pub const DELAY_NS_MAX: i64 = 15 * 60 * S;
/// Windows are asked for from here on: earlier than any clock of a sequence.
const FROM_NS: i64 = START_NS - 3600 * S;
/// Clocks stay this near to their start, so that no stamp is wild (F3).
const STEPS_NS_MAX: i64 = 40 * 60 * S;
const LOG: &str = "app.log";
/// Whether what a compressed file holds is known: it is not read yet, so a file that was written and compressed between
/// two pulls is one that nobody has seen.
const COMPRESSED_IS_READ: bool = true;
/// Rotated files that are kept.
const KEPT: usize = 6;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Whole lines, so many.
    Write(u8),
    /// A line without its end.
    Half,
    /// The rest of it, by a writer that kept the file open.
    Finish,
    /// The log is renamed, and a new one begun.
    Rotate,
    /// Twice, with lines in between.
    DoubleRotate,
    /// The log is copied and stays.
    Copy,
    /// The log is emptied.
    Truncate,
    /// Both, as logrotate's `copytruncate` does.
    CopyTruncate,
    /// The log is emptied and at once longer than it was.
    Regrow,
    /// The newest plain rotated file is compressed.
    Gzip,
    /// The log is removed.
    Delete,
    /// It is removed, and another one is there.
    Recreate,
    /// The same in the same inode.
    Reuse,
    /// The log becomes a link to a file of a new date.
    SwitchLink,
    /// The log may not be opened from now on, or may again.
    Lock,
    /// The log has a second name elsewhere from now on (which the agent refuses), or has not any more.
    SecondName,
    /// The folder is not where it was, or is there again.
    Hide,
    /// Seconds pass.
    Pause(u16),
    /// The host's clock is set, by so many seconds.
    Step(i16),
    /// The reader looks.
    Pull,
}

/// Kinds of actions, for coverage.
pub const KINDS: usize = 21;

impl Action {
    /// Its kind's number; the two directions of a clock are two kinds.
    pub fn kind(self) -> usize {
        match self {
            Self::Write(_) => 0,
            Self::Half => 1,
            Self::Finish => 2,
            Self::Rotate => 3,
            Self::DoubleRotate => 4,
            Self::Copy => 5,
            Self::Truncate => 6,
            Self::CopyTruncate => 7,
            Self::Regrow => 8,
            Self::Gzip => 9,
            Self::Delete => 10,
            Self::Recreate => 11,
            Self::Reuse => 12,
            Self::SwitchLink => 13,
            Self::Lock => 14,
            Self::SecondName => 15,
            Self::Hide => 16,
            Self::Pause(_) => 17,
            Self::Step(seconds) if seconds < 0 => 18,
            Self::Step(_) => 19,
            Self::Pull => 20,
        }
    }
}

/// A record that was written.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    pub stamp_ns: i64,
    /// Its line has an end.
    pub is_whole: bool,
    /// A pull that read everything has seen it.
    pub was_read: bool,
    /// It was written while the folder was away, or when the last pull had found it so, and no pull has seen it since.
    pub is_out_of_sight: bool,
    /// It went unread in a file that nobody could know it was in, or with a stamp that no clock showed at a pull.
    pub is_unknowable: bool,
}

/// What one file held from its creation, or from when it was emptied, to the next such time.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// Records by number, in order.
    pub records: Vec<usize>,
    /// The last of them, if its line has no end here.
    pub half: Option<usize>,
    /// A snapshot listed it, or was refused it.
    pub was_seen: bool,
    /// A pull could open it.
    pub was_opened: bool,
    /// It had bytes then.
    pub had_bytes: bool,
    /// It is in no plain file any more.
    pub is_over: bool,
    /// That is known to have been so at a pull already.
    pub was_judged: bool,
    /// How it ended leaves no trace: it was emptied before anything of it was seen.
    pub ends_unseen: bool,
    /// A copy of it was compressed since the last pull that saw it. If it goes now, nothing tells it from what was
    /// compressed, which is then taken for all that it held.
    pub has_packed_copy: bool,
    bytes: usize,
    grown_at_ns: i64,
}

/// A file.
#[derive(Debug, Clone, Default)]
struct Inode {
    life: usize,
    /// The number of a record whose line has no end yet, and whose writer still has the file open.
    owed: Option<usize>,
    is_locked: bool,
    has_second_name: bool,
}

/// A stretch of time for whose windows something may be said to be in the way, for ever.
pub type Harm = (i64, i64);

pub struct World {
    pub scene: Scene,
    /// Plain files by name; the log itself may be a link instead.
    names: BTreeMap<String, usize>,
    link: Option<String>,
    inodes: Vec<Inode>,
    pub lives: Vec<Life>,
    pub records: Vec<Record>,
    pub harms: Vec<Harm>,
    /// Harm since the last pull: it ends with the next one.
    harmed: bool,
    is_hidden: bool,
    was_hidden_at_pull: bool,
    was_in_the_way: bool,
    stepped_ns: i64,
    /// The least and the greatest time that the clock has shown since the last pull that could see all, included.
    clock: (i64, i64),
    /// The host's time at the last pull.
    pulled_ns: Option<i64>,
    made: usize,
    /// Bytes of compressed files that are there.
    pub packed: usize,
}

impl World {
    /// In a folder of memory, if there is such.
    pub fn new() -> World {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let scene = Scene::within(&parent, &format!("logs/{LOG}"), MONITOR, FROM_NS);
        fs::create_dir(scene.path("logs")).expect("makes a folder");
        let now = scene.time.now();
        World {
            scene,
            names: BTreeMap::new(),
            link: None,
            inodes: Vec::new(),
            lives: Vec::new(),
            records: Vec::new(),
            harms: Vec::new(),
            harmed: false,
            is_hidden: false,
            was_hidden_at_pull: false,
            was_in_the_way: false,
            stepped_ns: 0,
            clock: (now, now),
            pulled_ns: None,
            made: 0,
            packed: 0,
        }
    }

    fn now(&self) -> i64 {
        self.scene.time.now()
    }

    fn pass(&mut self, ns: i64) {
        self.scene.time.pass(ns);
        let now = self.now();
        self.clock = (self.clock.0.min(now), self.clock.1.max(now));
    }

    fn path(&self, name: &str) -> String {
        let folder = if self.is_hidden { "elsewhere" } else { "logs" };
        self.scene.path(&format!("{folder}/{name}"))
    }

    /// The name of the file that the log is.
    fn live(&self) -> String {
        self.link.clone().unwrap_or_else(|| LOG.to_owned())
    }

    fn live_inode(&self) -> Option<usize> {
        self.names.get(&self.live()).copied()
    }

    fn new_life(&mut self) -> usize {
        self.lives.push(Life {
            grown_at_ns: self.now(),
            ..Life::default()
        });
        self.lives.len() - 1
    }

    /// A new empty file of that name.
    fn create(&mut self, name: &str) -> usize {
        let life = self.new_life();
        self.inodes.push(Inode {
            life,
            ..Inode::default()
        });
        let inode = self.inodes.len() - 1;
        self.names.insert(name.to_owned(), inode);
        let file = fs::File::create_new(self.path(name)).expect("creates");
        self.scene.date(&file);
        inode
    }

    /// The log, created if it is not there.
    fn log(&mut self) -> usize {
        match self.live_inode() {
            Some(inode) => inode,
            None => self.create(&self.live()),
        }
    }

    fn name_of(&self, inode: usize) -> Option<String> {
        self.names
            .iter()
            .find(|(_, other)| **other == inode)
            .map(|(name, _)| name.clone())
    }

    /// Bytes at the end of a file, whoever may open it: a writer has it open already.
    fn append(&mut self, inode: usize, text: &str) {
        let path = self.path(&self.name_of(inode).expect("a writer's file has a name"));
        let is_locked = self.inodes[inode].is_locked;
        if is_locked {
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("unlocks");
        }
        let mut file = OpenOptions::new().append(true).open(&path).expect("opens");
        file.write_all(text.as_bytes()).expect("writes");
        self.scene.date(&file);
        if is_locked {
            fs::set_permissions(&path, Permissions::from_mode(0o000)).expect("locks");
        }
        let now = self.now();
        let life = &mut self.lives[self.inodes[inode].life];
        life.grown_at_ns = now;
        life.bytes += text.len();
    }

    fn record(&mut self, inode: usize, is_whole: bool) -> String {
        let stamp_ns = self.now();
        let number = self.records.len();
        self.records.push(Record {
            stamp_ns,
            is_whole,
            was_read: false,
            is_out_of_sight: self.is_hidden || self.was_hidden_at_pull,
            is_unknowable: false,
        });
        self.lives[self.inodes[inode].life].records.push(number);
        let end = if is_whole { "\n" } else { "" };
        let stamp = scene::stamp(stamp_ns);
        format!("{stamp} id=r{number} what=\"a line that is as long as lines of logs usually are\" and{end}")
    }

    fn write(&mut self, lines: u8) {
        let inode = self.log();
        self.finish(inode);
        for _ in 0..lines {
            let text = self.record(inode, true);
            self.append(inode, &text);
            self.pass(S / 4);
        }
    }

    /// The rest of a half line: in a file that was emptied meanwhile it belongs to nothing.
    fn finish(&mut self, inode: usize) {
        let Some(number) = self.inodes[inode].owed.take() else {
            return;
        };
        self.append(inode, " the rest of it\n");
        if self.lives[self.inodes[inode].life].records.last() == Some(&number) {
            self.records[number].is_whole = true;
            self.lives[self.inodes[inode].life].half = None;
        }
    }

    /// Something is about to go. It is harm, unless it is a rotated file that was read to its end and has rested.
    fn end_life(&mut self, life: usize, is_rotated: bool) {
        let now = self.now();
        let it = &mut self.lives[life];
        it.is_over = true;
        let is_read = it.records.iter().all(|number| self.records[*number].was_read);
        let rested_ns = self.pulled_ns.map_or(0, |pulled| pulled.min(now) - it.grown_at_ns);
        if !is_rotated || !is_read || !it.was_seen || rested_ns <= DELAY_NS_MAX {
            self.harmed = true;
        }
        if it.was_seen && (!it.was_opened || self.was_in_the_way) {
            // It was there, and perhaps never opened: who knows from when on it wrote.
            self.harms.push((FROM_NS, now + S));
        }
    }

    fn remove(&mut self, name: &str) {
        let Some(inode) = self.names.remove(name) else { return };
        self.drop_second_name(inode);
        self.end_life(
            self.inodes[inode].life,
            name != LOG && self.link.as_deref() != Some(name),
        );
        fs::remove_file(self.path(name)).expect("removes");
    }

    fn rename(&mut self, from: &str, to: &str) {
        if let Some(inode) = self.names.remove(from) {
            self.names.insert(to.to_owned(), inode);
            fs::rename(self.path(from), self.path(to)).expect("renames");
        }
    }

    fn shift(&mut self) {
        self.remove(&format!("{LOG}.{KEPT}"));
        for number in (1..KEPT).rev() {
            self.rename(&format!("{LOG}.{number}"), &format!("{LOG}.{}", number + 1));
        }
    }

    fn unlink(&mut self) {
        if self.link.take().is_some() {
            fs::remove_file(self.path(LOG)).expect("removes the link");
        }
    }

    fn rotate(&mut self) {
        // What a link showed keeps its name: it has a date.
        self.unlink();
        self.shift();
        self.rename(LOG, &format!("{LOG}.1"));
        self.log();
    }

    /// Fewer bytes than [`COPY_HEAD_BYTES`] make no copy, by the contract (F6): left beside its original, such a file
    /// is a log of its own.
    fn copy(&mut self) {
        let Some(inode) = self.live_inode().filter(|inode| !self.inodes[*inode].is_locked) else {
            return;
        };
        if self.lives[self.inodes[inode].life].bytes < COPY_HEAD_BYTES {
            return;
        }
        let live = self.live();
        self.shift();
        let name = format!("{LOG}.1");
        fs::copy(self.path(&live), self.path(&name)).expect("copies");
        let file = OpenOptions::new().append(true).open(self.path(&name)).expect("opens");
        self.scene.date(&file);
        let life = self.lives[self.inodes[inode].life].clone();
        self.lives.push(Life {
            was_seen: false,
            was_opened: false,
            had_bytes: false,
            grown_at_ns: self.now(),
            ..life
        });
        self.inodes.push(Inode {
            life: self.lives.len() - 1,
            ..Inode::default()
        });
        self.names.insert(name, self.inodes.len() - 1);
    }

    fn truncate(&mut self, inode: usize) {
        let path = self.path(&self.name_of(inode).expect("a log has a name"));
        let life = self.inodes[inode].life;
        self.lives[life].ends_unseen = !self.lives[life].had_bytes;
        self.end_life(life, false);
        let file = OpenOptions::new().write(true).open(path).expect("opens");
        file.set_len(0).expect("truncates");
        self.scene.date(&file);
        self.inodes[inode].life = self.new_life();
        // What follows in it may be taken for the growth of what it held, if nothing of that was seen.
        let (old, new) = (life, self.inodes[inode].life);
        self.lives[new].was_seen = self.lives[old].was_seen && self.lives[old].ends_unseen;
    }

    fn truncate_live(&mut self) {
        if let Some(inode) = self.live_inode().filter(|inode| !self.inodes[*inode].is_locked) {
            self.truncate(inode);
        }
    }

    fn regrow(&mut self) {
        let Some(inode) = self.live_inode().filter(|inode| !self.inodes[*inode].is_locked) else {
            return;
        };
        let lines = self.lives[self.inodes[inode].life].records.len() as u8 + 2;
        self.truncate(inode);
        self.write(lines);
    }

    fn gzip(&mut self) {
        let names = self.names.keys().filter(|name| **name != self.live());
        let Some(name) = names.min().cloned() else { return };
        let inode = self.names[&name];
        if self.inodes[inode].is_locked {
            return;
        }
        let path = self.path(&name);
        let bytes = fs::read(&path).expect("reads");
        let modified = fs::metadata(&path).and_then(|it| it.modified()).expect("has a time");
        self.made += 1;
        // A name of its own, as logrotate's `dateext` gives: numbers of other files don't run into it.
        let packed = fs::File::create_new(self.path(&format!("{LOG}-20251101.{}.gz", self.made))).expect("creates");
        let mut packer = GzEncoder::new(&packed, Compression::fast());
        packer.write_all(&bytes).expect("packs");
        packer.finish().expect("ends");
        packed.set_modified(modified).expect("sets the time");
        self.remove(&name);
        self.packed += 1;
        let packed = self.lives[self.inodes[inode].life].records.clone();
        for life in &mut self.lives {
            life.has_packed_copy |= !packed.is_empty() && life.records.starts_with(&packed);
        }
        self.lives[self.inodes[inode].life].was_seen |= COMPRESSED_IS_READ;
        if self.pulled_ns.is_none() {
            // Nobody knows from when on a file wrote that was compressed before the first look.
            self.harms.push((FROM_NS, self.now() + S));
        }
    }

    fn delete(&mut self) {
        match self.link {
            Some(_) => self.unlink(),
            None => self.remove(LOG),
        }
    }

    /// As if the file system gave the number of a removed file again: birth and inode stay, all bytes go.
    fn reuse(&mut self) {
        if let Some(inode) = self.live_inode().filter(|inode| !self.inodes[*inode].is_locked) {
            self.truncate(inode);
            self.inodes[inode].owed = None;
        }
        self.write(1);
    }

    fn switch_link(&mut self) {
        if self.link.is_some() {
            self.unlink();
        } else {
            self.shift();
            self.rename(LOG, &format!("{LOG}.1"));
        }
        self.made += 1;
        let target = format!("{LOG}-20251102.{}", self.made);
        self.create(&target);
        symlink(&target, self.path(LOG)).expect("links");
        self.link = Some(target);
    }

    fn lock(&mut self, inode: usize, is_locked: bool) {
        let path = self.path(&self.name_of(inode).expect("a log has a name"));
        let mode = if is_locked { 0o000 } else { 0o600 };
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("changes the mode");
        self.inodes[inode].is_locked = is_locked;
        self.was_in_the_way = true;
    }

    fn second_path(&self, inode: usize) -> String {
        self.scene.path(&format!("second-name-{inode}"))
    }

    fn drop_second_name(&mut self, inode: usize) {
        if std::mem::take(&mut self.inodes[inode].has_second_name) {
            fs::remove_file(self.second_path(inode)).expect("removes");
        }
    }

    fn second_name(&mut self) {
        let inode = self.log();
        if self.inodes[inode].has_second_name {
            return self.drop_second_name(inode);
        }
        fs::hard_link(self.path(&self.live()), self.second_path(inode)).expect("links");
        self.inodes[inode].has_second_name = true;
        self.was_in_the_way = true;
    }

    fn hide(&mut self) {
        // What was never read can't be known again.
        for inode in self.names.values().map(|inode| &self.inodes[*inode]) {
            self.harmed |= inode.is_locked || inode.has_second_name;
            if self.lives[inode.life].was_seen && !self.lives[inode.life].was_opened {
                self.harms.push((FROM_NS, self.now() + S));
            }
        }
        let (from, to) = match self.is_hidden {
            true => ("elsewhere", "logs"),
            false => ("logs", "elsewhere"),
        };
        fs::rename(self.scene.path(from), self.scene.path(to)).expect("renames");
        self.is_hidden = !self.is_hidden;
        self.was_in_the_way = true;
    }

    /// Sets the clock. Stamps before and after lie apart from what the clock showed: what is between is not proved.
    fn step(&mut self, seconds: i16) {
        let ns = i64::from(seconds) * S;
        if (self.stepped_ns + ns).abs() > STEPS_NS_MAX {
            return;
        }
        self.stepped_ns += ns;
        let before = self.now();
        self.pass(ns);
        if ns < 0 {
            self.harms.push((self.now(), before + S));
        }
    }

    /// Does it. A little time passes with everything that is done.
    pub fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Write(lines) => self.write(lines),
            Action::Half => {
                let inode = self.log();
                self.finish(inode);
                let text = self.record(inode, false);
                let number = self.records.len() - 1;
                self.inodes[inode].owed = Some(number);
                self.lives[self.inodes[inode].life].half = Some(number);
                self.append(inode, &text);
            }
            Action::Finish => {
                let owing = self.names.values().copied();
                let owing: Vec<usize> = owing.filter(|inode| self.inodes[*inode].owed.is_some()).collect();
                owing.into_iter().for_each(|inode| self.finish(inode));
            }
            Action::Rotate => self.rotate(),
            Action::DoubleRotate => {
                self.rotate();
                self.write(2);
                self.rotate();
            }
            Action::Copy => self.copy(),
            Action::Truncate => self.truncate_live(),
            Action::CopyTruncate => {
                self.copy();
                self.truncate_live();
            }
            Action::Regrow => self.regrow(),
            Action::Gzip => self.gzip(),
            Action::Delete => self.delete(),
            Action::Recreate => {
                self.delete();
                self.write(2);
            }
            Action::Reuse => self.reuse(),
            Action::SwitchLink => self.switch_link(),
            Action::Lock => {
                let inode = self.log();
                self.lock(inode, !self.inodes[inode].is_locked);
            }
            Action::SecondName => self.second_name(),
            Action::Hide => self.hide(),
            Action::Pause(seconds) => self.pass(i64::from(seconds) * S),
            Action::Step(seconds) => self.step(seconds),
            Action::Pull => return self.pull(),
        }
        self.pass(S);
        Ok(())
    }

    /// Everything that stands in the way goes, time passes, and the reader looks until it knows all that can be known.
    pub fn heal(&mut self) -> Result<(), String> {
        if self.is_hidden {
            self.hide();
        }
        for inode in self.names.values().copied().collect::<Vec<_>>() {
            self.drop_second_name(inode);
            if self.inodes[inode].is_locked {
                self.lock(inode, false);
            }
        }
        for _ in 0..2 {
            self.pass(STEPS_NS_MAX);
            self.pull()?;
            self.write(1);
            self.pass(2 * S);
            self.pull()?;
        }
        self.pass(STEPS_NS_MAX);
        self.pull()
    }

    /// Lives that are in a plain file now.
    fn present(&self) -> BTreeSet<usize> {
        self.names.values().map(|inode| self.inodes[*inode].life).collect()
    }
}

/// Start of the window of a stamp.
pub fn window_of(stamp_ns: i64) -> i64 {
    stamp_ns.div_euclid(WINDOW_NS) * WINDOW_NS
}

/// Whether a state says that the window is all there.
pub fn is_ok(state: Option<HostState>) -> bool {
    state.is_some_and(HostState::is_ok)
}
