//! What was learned of logs (F8), kept: whoever reads a log next reads it as it was read before.
//!
//! Maps propose profiles, Reduces hand them on until they are written down here, and every task that is installed takes
//! them along. They are kept by what they were learned under: the log, and what its monitor says of stamps. A profile
//! that is lost costs nothing but that it is learned anew; one that is kept is not learned otherwise.

use crate::journal::{Journal, JournalError};
use map::protocol::{KeptProfile, fitting};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Logs of which profiles are kept; beyond, the one that taught nothing for longest is forgotten. As many as the
/// largest installation has hosts and logs.
const LOGS_MAX: usize = 100_000;
/// The journal is rewritten when it has more than twice the lines that are needed, and so many more.
const SURPLUS_LINES_MAX: usize = 1000;

/// A log of an application, read by some monitors in one way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) app: String,
    /// Its pattern, as the monitor has it.
    pub(crate) log: String,
    /// What the monitor says of its stamps and records.
    pub(crate) timestamp: Option<String>,
    pub(crate) timezone: Option<String>,
    /// Absent in journals of before there was one.
    #[serde(default)]
    pub(crate) encoding: Option<String>,
    pub(crate) records: Option<String>,
}

/// What was learned of a host's log: a line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lesson {
    pub(crate) host: String,
    pub(crate) log: Log,
    pub(crate) profile: KeptProfile,
}

type Place = (Log, String);

/// All that is kept.
#[derive(Debug, Default)]
pub(crate) struct Profiles {
    logs: BTreeMap<Place, (u64, Vec<KeptProfile>)>,
    /// The same by when they changed last.
    by_age: BTreeMap<u64, Place>,
    last: u64,
}

impl Profiles {
    /// Whether a lesson says something new.
    fn is_new(&self, lesson: &Lesson) -> bool {
        let place = (lesson.log.clone(), lesson.host.clone());
        let mut kept = self.logs.get(&place).map(|(_, kept)| kept.clone()).unwrap_or_default();
        lesson.profile.clone().join(&mut kept)
    }

    fn learn(&mut self, lesson: Lesson) {
        let place = (lesson.log, lesson.host);
        let (changed, kept) = self.logs.entry(place.clone()).or_default();
        if !lesson.profile.join(kept) {
            return;
        }
        self.by_age.remove(changed);
        self.last += 1;
        *changed = self.last;
        self.by_age.insert(self.last, place);
        if self.logs.len() > LOGS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.logs.remove(&oldest);
        }
    }

    /// What is kept, as the lessons that make it.
    fn lessons(&self) -> Vec<Lesson> {
        let places = self.by_age.values().filter_map(|place| self.logs.get_key_value(place));
        let lesson = |(log, host): &Place, profile: &KeptProfile| Lesson {
            host: host.clone(),
            log: log.clone(),
            profile: profile.clone(),
        };
        let of_place = |(place, (_, kept)): (&Place, &(u64, Vec<KeptProfile>))| {
            let lessons = kept.iter().map(|profile| lesson(place, profile));
            lessons.collect::<Vec<Lesson>>()
        };
        places.flat_map(of_place).collect()
    }

    /// What is known of a log on some hosts, as much as fits into a message.
    pub(crate) fn of<'h>(
        &self,
        log: &Log,
        hosts: impl IntoIterator<Item = &'h str>,
    ) -> Vec<(String, Vec<KeptProfile>)> {
        let known = hosts.into_iter().filter_map(|host| {
            let (_, kept) = self.logs.get(&(log.clone(), host.to_owned()))?;
            Some((host.to_owned(), kept.as_slice()))
        });
        fitting(known)
    }

    fn lines(&self) -> usize {
        self.logs.values().map(|(_, kept)| kept.len()).sum()
    }
}

/// The profiles in memory, to be looked at without waiting for the disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownProfiles(Arc<Mutex<Profiles>>);

impl KnownProfiles {
    /// Held for moments.
    pub(crate) fn look(&self) -> MutexGuard<'_, Profiles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The profiles on the disk.
pub(crate) struct ProfileBook {
    journal: Journal<Lesson>,
    lines: usize,
    known: KnownProfiles,
}

impl ProfileBook {
    /// The book that a journal makes, with what it holds.
    pub(crate) fn over((journal, lessons): (Journal<Lesson>, Vec<Lesson>)) -> Result<ProfileBook, JournalError> {
        let (lines, known) = (lessons.len(), KnownProfiles::default());
        lessons.into_iter().for_each(|lesson| known.look().learn(lesson));
        let mut book = ProfileBook { journal, lines, known };
        book.compact()?;
        Ok(book)
    }

    pub(crate) fn known(&self) -> KnownProfiles {
        self.known.clone()
    }

    /// Writes down what is new of some lessons. When this returns it is on the disk, and given to whoever reads next.
    pub(crate) fn keep(&mut self, lessons: Vec<Lesson>) -> Result<(), JournalError> {
        let is_new = |lesson: &Lesson| self.known.look().is_new(lesson);
        let lessons: Vec<Lesson> = lessons.into_iter().filter(is_new).collect();
        self.journal.append(&lessons)?;
        self.lines += lessons.len();
        lessons.into_iter().for_each(|lesson| self.known.look().learn(lesson));
        self.compact()
    }

    fn compact(&mut self) -> Result<(), JournalError> {
        if self.lines <= 2 * self.known.look().lines() + SURPLUS_LINES_MAX {
            return Ok(());
        }
        let lessons = self.known.look().lessons();
        self.journal.rewrite(&lessons)?;
        self.lines = lessons.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use map::protocol::{PROFILES_MAX, PatternOrigin, StampEntry, StampPlace, StampProfile, StampZone};
    use std::io::Write;
    use std::path::Path;

    fn log(timezone: Option<&str>) -> Log {
        Log {
            app: "shop".to_owned(),
            log: "/l".to_owned(),
            timestamp: None,
            timezone: timezone.map(str::to_owned),
            encoding: None,
            records: None,
        }
    }

    fn lesson(host: &str, generation: u64, version: u32) -> Lesson {
        Lesson {
            host: host.to_owned(),
            log: log(None),
            profile: KeptProfile {
                tail: None,
                generation,
                version,
                sample_bytes: version.into(),
                appended: 0,
                stamps: StampProfile {
                    entries: vec![StampEntry {
                        offset: 0,
                        pattern: "%d/%m/%Y %H:%M:%S".to_owned(),
                        origin: PatternOrigin::Learned,
                        place: StampPlace::After(b"[\xff".to_vec()),
                        year_marks: vec![(7, -1)],
                    }],
                    zone: StampZone::Named("Europe/Rome".to_owned()),
                },
                lateness_ns: 10_000_000_000,
                life: None,
            },
        }
    }

    fn book(path: &Path) -> ProfileBook {
        let journal = Journal::open(path).expect("a journal");
        ProfileBook::over(journal).expect("a book")
    }

    struct Stage {
        folder: tempfile::TempDir,
        book: ProfileBook,
    }

    impl Stage {
        fn new() -> Stage {
            let folder = tempfile::tempdir().expect("a folder");
            let book = book(&folder.path().join("profiles.jsonl"));
            Stage { folder, book }
        }

        fn path(&self) -> std::path::PathBuf {
            self.folder.path().join("profiles.jsonl")
        }

        fn keep(&mut self, lessons: Vec<Lesson>) {
            self.book.keep(lessons).expect("written");
        }

        /// Versions by host and generation, the same after a restart.
        #[track_caller]
        fn check(&mut self, expected: &[(&str, &[(u64, u32)])]) {
            for _ in 0..2 {
                let kept = self.book.known().look().of(&log(None), ["a", "b", "c"]);
                let versions = |kept: &[KeptProfile]| -> Vec<(u64, u32)> {
                    kept.iter().map(|one| (one.generation, one.version)).collect()
                };
                let seen: Vec<(&str, Vec<(u64, u32)>)> = kept
                    .iter()
                    .map(|(host, kept)| (host.as_str(), versions(kept)))
                    .collect();
                let expected: Vec<(&str, Vec<(u64, u32)>)> =
                    expected.iter().map(|(host, kept)| (*host, kept.to_vec())).collect();
                assert_eq!(seen, expected);
                self.book = book(&self.path());
            }
        }

        fn lines(&self) -> usize {
            let text = std::fs::read_to_string(self.path()).expect("text");
            text.lines().count()
        }
    }

    #[test]
    fn what_was_learned_lasts_and_a_greater_version_takes_its_place() {
        let mut stage = Stage::new();
        stage.keep(vec![lesson("a", 1, 100), lesson("a", 2, 100), lesson("b", 1, 100)]);
        stage.check(&[("a", &[(1, 100), (2, 100)]), ("b", &[(1, 100)])]);
        stage.keep(vec![lesson("a", 1, 200), lesson("b", 1, 50), lesson("b", 1, 100)]);
        stage.check(&[("a", &[(2, 100), (1, 200)]), ("b", &[(1, 100)])]);
        assert_eq!(stage.lines(), 4, "what was known is not written again");
        let kept = stage.book.known().look().of(&log(None), ["b"]);
        assert_eq!(kept, [("b".to_owned(), vec![lesson("b", 1, 100).profile])]);
        assert_eq!(stage.book.known().look().of(&log(Some("UTC")), ["b"]), []);
    }

    #[test]
    fn a_torn_last_line_is_cut_and_the_rest_lasts() {
        let mut stage = Stage::new();
        stage.keep(vec![lesson("a", 1, 100)]);
        let whole = std::fs::read(stage.path()).expect("bytes");
        for torn in [1, whole.len() / 2, whole.len() - 1] {
            let mut file = std::fs::OpenOptions::new().append(true).open(stage.path());
            let file = file.as_mut().expect("the file");
            file.write_all(&whole[..torn]).expect("torn");
            stage.book = book(&stage.path());
            stage.check(&[("a", &[(1, 100)])]);
        }
        stage.keep(vec![lesson("b", 1, 100)]);
        stage.check(&[("a", &[(1, 100)]), ("b", &[(1, 100)])]);
    }

    #[test]
    fn the_newest_generations_of_a_log_are_kept_and_the_journal_stays_small() {
        let mut stage = Stage::new();
        let all = PROFILES_MAX as u64 + 10;
        stage.keep((0..all).map(|generation| lesson("a", generation, 100)).collect());
        let newest: Vec<(u64, u32)> = (10..all).map(|generation| (generation, 100)).collect();
        stage.check(&[("a", &newest)]);
        let needed = newest.len();
        for version in 0..3000 {
            stage.keep(vec![lesson("b", 1, version)]);
        }
        assert!(stage.lines() <= 2 * (needed + 1) + SURPLUS_LINES_MAX);
        stage.check(&[("a", &newest), ("b", &[(1, 2999)])]);
    }

    #[test]
    fn the_log_that_taught_nothing_for_longest_is_forgotten() {
        let mut profiles = Profiles::default();
        let host = |number: usize| format!("h{number}");
        for number in 0..LOGS_MAX {
            profiles.learn(lesson(&host(number), 1, 100));
        }
        profiles.learn(lesson("h0", 2, 100));
        profiles.learn(lesson("another", 1, 100));
        let kept = |host: &str| profiles.of(&log(None), [host]).len();
        assert_eq!((kept("h0"), kept("h1"), kept("h2"), kept("another")), (1, 0, 1, 1));
        assert_eq!((profiles.logs.len(), profiles.by_age.len()), (LOGS_MAX, LOGS_MAX));
    }
}
