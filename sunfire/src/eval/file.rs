//! One log file: what is learned of it, and counting it whole or in ranges.

use super::range::{self, Beginning, LogFile};
use crate::progress::Progress;
use anyhow::{Result, bail};
use logline::boundary::{Boundary, RecordStamps};
use logline::head::{Source, fill, set_years};
use logline::stamp::{Detection, FileStamps, Profile, SAMPLE_BYTES, Zone, learn};
use logline::text::Form;
use map::engine::Input;
use map::partial::Partial;
use map::plan::Plan;
use map::verdict::HostState;
use std::ops::Range;

/// Formats learned within one file; a file that changes more often keeps the last.
const FORMATS_MAX: usize = 64;
/// Lines of a stretch without stamps that a new format must find stamps in: less is a dump with dates in it.
const RELEARN_SHARE_MIN: f64 = 0.5;
/// Growth without a stamp after which a new format is looked for (F8).
const BARREN_BYTES: u64 = SAMPLE_BYTES as u64;

/// What counting a range of a file gave.
pub type Outcome = range::Outcome<RecordStamps>;

/// A file to be counted.
pub struct FileJob<'a> {
    /// The file.
    pub log: LogFile<'a>,
    /// What was learned of it; `None` if no stamp was found.
    pub profile: Option<Profile>,
    /// Zone of stamps without one.
    pub zone: Zone,
    /// Which lines may begin a record.
    pub records: Option<&'a Boundary>,
    /// How its bytes are text.
    pub form: Form,
    /// When it was last written, seconds since the epoch.
    pub written_seconds: i64,
    /// What is counted.
    pub plan: &'a Plan,
    /// Labels, lateness and rule.
    pub input: Input,
}

/// A counted file.
pub struct Counted {
    /// What was counted.
    pub partial: Partial,
    /// What is known of it.
    pub state: HostState,
    /// Stretches of UTC that an ambiguous hour may have been put into, in nanoseconds.
    pub ambiguous_ns: Vec<Range<i64>>,
}

impl FileJob<'_> {
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.log.size
    }

    fn stamps(&self, profile: &Profile) -> RecordStamps {
        RecordStamps::new(FileStamps::new(profile, &self.zone), self.records).with_form(self.form)
    }

    /// The greatest stamp just before `cut`.
    pub fn look_back(&self, cut: u64) -> Result<Option<i64>> {
        match &self.profile {
            Some(profile) if cut > 0 => range::look_back(&self.log, self.stamps(profile), cut),
            _ => Ok(None),
        }
    }

    /// Counts the records that begin in `range`.
    pub fn count_range(&self, range: Range<u64>, greatest: Option<i64>, progress: &Progress) -> Result<Outcome> {
        let Some(profile) = &self.profile else {
            bail!("a range of a file without stamps was to be counted")
        };
        let beginning = Beginning {
            range,
            greatest,
            barren_limit: BARREN_BYTES,
        };
        range::count(
            &self.log,
            self.stamps(profile),
            self.plan,
            &self.input,
            &beginning,
            progress,
        )
    }

    /// Whether an outcome met what only one pass from the start can read: a stretch without stamps, a repeated hour,
    /// losses that wait for a first good record.
    pub fn needs_one_pass(&self, outcome: &Outcome) -> bool {
        outcome.barren.is_some() || outcome.stamps.met_fold() || !outcome.partial.unplaced.is_empty()
    }

    /// Counts the file in one pass, learning anew where stamps end. Each format that is learned begins a new pass, so
    /// that what is counted is what one pass with the whole profile counts.
    pub fn count_whole(&self, progress: &Progress) -> Result<Outcome> {
        let Some(mut profile) = self.profile.clone() else {
            bail!("a file without stamps was to be counted")
        };
        let mut barren_limit = BARREN_BYTES;
        loop {
            let stamps = self.stamps(&profile);
            let beginning = Beginning::whole(barren_limit);
            let outcome = range::count(&self.log, stamps, self.plan, &self.input, &beginning, progress)?;
            let Some(barren) = outcome.barren.clone() else {
                return Ok(outcome);
            };
            let learned = match profile.entries.len() < FORMATS_MAX {
                true => self.learn_within(barren)?,
                false => None,
            };
            match learned {
                Some((offset, learned)) => profile.append(offset, learned),
                // Nothing to learn there: those lines continue their record, however many they are.
                None => barren_limit = u64::MAX,
            }
        }
    }

    /// Looks for a format in a stretch of bytes without stamps, up to the next stamp or the end of the file.
    fn learn_within(&self, barren: Range<u64>) -> Result<Option<(u64, Profile)>> {
        // A container runtime's stamps do not change.
        if !self.form.is_plain() {
            return Ok(None);
        }
        let mut sample = vec![0; SAMPLE_BYTES];
        let len = fill(&self.log, &mut sample, barren.start)?;
        let Detection::Stamped(detected) = learn(&sample[..len]) else {
            return Ok(None);
        };
        if detected.share() < RELEARN_SHARE_MIN {
            return Ok(None);
        }
        let mut profile = detected.profile;
        let (zone, form) = (&self.zone, self.form);
        set_years(
            &self.log,
            &mut profile,
            form,
            (zone, self.written_seconds),
            self.records,
        )?;
        Ok(Some((barren.start, profile)))
    }

    /// What became of the file.
    pub fn counted(&self, outcome: Option<Outcome>) -> Counted {
        let Some(outcome) = outcome else {
            let state = if self.log.size == 0 {
                HostState::OkSilent
            } else {
                HostState::Unstamped
            };
            return Counted {
                partial: Partial::default(),
                state,
                ambiguous_ns: Vec::new(),
            };
        };
        let state = match (self.log.size, outcome.partial.windows.is_empty()) {
            (0, _) => HostState::OkSilent,
            (_, true) => HostState::Unstamped,
            _ => HostState::Ok,
        };
        if let (HostState::Unstamped, Some(records)) = (state, self.records) {
            let path = self.log.path.display();
            eprintln!("warning: {path}: no stamped line begins a record by `records {records}`: correct the pattern");
        }
        Counted {
            partial: outcome.partial,
            state,
            ambiguous_ns: outcome.stamps.ambiguous_ns(),
        }
    }
}

impl Source for LogFile<'_> {
    type Error = anyhow::Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        LogFile::read_at(self, buffer, offset)
    }
}
