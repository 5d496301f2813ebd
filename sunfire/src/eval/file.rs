//! One log file: what is learned of it, and counting it whole or in ranges.

use super::range::{self, Beginning, LogFile};
use crate::progress::Progress;
use anyhow::{Result, bail};
use logline::boundary::{Boundary, RecordStamps};
use logline::records::{RecordReader, Stamps, Start};
use logline::stamp::{Detection, FileStamps, Format, Profile, SAMPLE_BYTES, StampReader, YearWalk, Zone, learn};
use logline::text::{Encoding, Form, LineReader, LineRole, learn_text};
use map::engine::Input;
use map::partial::Partial;
use map::plan::Plan;
use map::verdict::HostState;
use std::ops::Range;

/// Samples tried one after the other for a format before a file is called unstamped: 4 MiB of head.
const LEARN_SAMPLES_MAX: u64 = 64;
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

/// What a monitor says of a log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// Its timestamp format.
    pub format: Option<&'a Format>,
    /// Its encoding.
    pub encoding: Option<Encoding>,
    /// Which of its lines may begin a record.
    pub records: Option<&'a Boundary>,
}

/// What was learned of a file.
pub struct Head {
    /// How its lines are stamped; `None` if no stamp was found.
    pub profile: Option<Profile>,
    /// How its bytes are text.
    pub form: Form,
    /// What was found, for people.
    pub detection: Detection,
}

/// Learns a file's profile from its first bytes, or the first later ones that have stamps.
///
/// # Errors
/// If the file can't be read.
pub fn learn_head(log: &LogFile<'_>, zone: &Zone, written_seconds: i64, said: Said<'_>) -> Result<Head> {
    let mut encoding = said.encoding;
    let mut sample = vec![0; SAMPLE_BYTES + 1];
    let mut first = None;
    for block in 0..LEARN_SAMPLES_MAX {
        let offset = block * SAMPLE_BYTES as u64;
        if offset > 0 && offset >= log.size {
            break;
        }
        let mut len = fill(log, &mut sample[..SAMPLE_BYTES], offset)?;
        if offset + len as u64 == log.size {
            // The file is finished, so its last line is a line even without an end (F4): it has a vote too.
            sample[len] = b'\n';
            len += 1;
        }
        let is_units = encoding.is_some_and(|encoding| encoding.unit() > 1);
        let from = if offset == 0 || is_units {
            0
        } else {
            line_start(&sample[..len])
        };
        let (form, detection) = learn_text(&sample[from..len], encoding, said.format);
        // Only the first bytes have a byte order mark.
        encoding = Some(form.encoding);
        if let Detection::Stamped(detected) = &detection {
            let mut profile = detected.profile.clone();
            set_years(log, &mut profile, form, (zone, written_seconds), said.records)?;
            return Ok(Head {
                profile: Some(profile),
                form,
                detection,
            });
        }
        first.get_or_insert(detection);
    }
    let unstamped = Detection::Unstamped {
        why: "the file is empty".to_owned(),
    };
    Ok(Head {
        profile: None,
        form: Form::default(),
        detection: first.unwrap_or(unstamped),
    })
}

fn line_start(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(0, |at| at + 1)
}

/// Reads as much as there is for `buffer`, from `offset` on.
pub fn fill(log: &LogFile<'_>, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match log.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Gives year-less stamps their years, by a walk over the whole file (F8).
fn set_years(
    log: &LogFile<'_>,
    profile: &mut Profile,
    form: Form,
    (zone, written_seconds): (&Zone, i64),
    records: Option<&Boundary>,
) -> Result<()> {
    for entry in profile.entries.iter_mut().filter(|entry| entry.format.lacks_year()) {
        let walk = YearWalk::new(StampReader::new(entry, zone.clone()));
        let walker = Walker {
            walk,
            records,
            lines: LineReader::new(form),
        };
        let mut reader = RecordReader::new(walker, Start::FileStart, 0);
        let mut offset = 0;
        loop {
            let read = log.read_at(&mut reader.space(SAMPLE_BYTES)[..SAMPLE_BYTES], offset)?;
            if read == 0 {
                break;
            }
            reader.advance(read);
            offset += read as u64;
        }
        reader.finish();
        entry.year_marks = reader.into_stamps().walk.finish(written_seconds, zone);
    }
    Ok(())
}

/// Shows every line that may begin a record to the walk; to the reader none does, so none is kept.
struct Walker<'r> {
    walk: YearWalk,
    records: Option<&'r Boundary>,
    lines: LineReader,
}

impl Stamps for Walker<'_> {
    fn read(&mut self, line: &[u8], offset: u64) -> Option<i64> {
        let role = self.lines.take(line);
        if role == LineRole::MayBegin
            && self
                .records
                .is_none_or(|records| records.may_begin(self.lines.payload()))
        {
            self.walk.feed(offset, self.lines.line());
        }
        None
    }

    fn encoding(&self) -> Encoding {
        self.lines.form().encoding
    }
}
