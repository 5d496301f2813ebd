//! What the beginning of a file tells of all of it: how its bytes are text, and how its lines are stamped.
//!
//! The file is asked for through [`Source`], so that a program with the file at hand, and one that was sent parts of
//! it, find the same in the same bytes.

use crate::boundary::Boundary;
use crate::records::{RecordReader, Stamps, Start};
use crate::stamp::{Detection, Format, Profile, SAMPLE_BYTES, StampReader, YearWalk, Zone};
use crate::text::{Encoding, Form, LineReader, LineRole, learn_text};
use std::ops::Range;

/// Samples tried one after the other for a format before a file is called unstamped: 4 MiB of head.
const LEARN_SAMPLES_MAX: u64 = 64;

/// The bytes of a file, or as much of them as there is to look at.
pub trait Source {
    /// Why they can't be read.
    type Error;

    /// Bytes of the whole file.
    fn size(&self) -> u64;

    /// Reads into `buffer` at `offset`; 0 bytes only where a stretch ends.
    ///
    /// # Errors
    /// If the file can't be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Self::Error>;

    /// The stretches that can be read, in their order; the first begins the file.
    fn stretches(&self) -> Vec<Range<u64>> {
        std::iter::once(0..self.size()).collect()
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
pub fn learn_head<S: Source>(log: &S, zone: &Zone, written_seconds: i64, said: Said<'_>) -> Result<Head, S::Error> {
    let mut encoding = said.encoding;
    let mut sample = vec![0; SAMPLE_BYTES + 1];
    let mut first = None;
    for block in 0..LEARN_SAMPLES_MAX {
        let offset = block * SAMPLE_BYTES as u64;
        if offset > 0 && offset >= log.size() {
            break;
        }
        let mut len = fill(log, &mut sample[..SAMPLE_BYTES], offset)?;
        if len == 0 && offset > 0 {
            break;
        }
        if offset + len as u64 == log.size() {
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
///
/// # Errors
/// If the file can't be read.
pub fn fill<S: Source>(log: &S, buffer: &mut [u8], offset: u64) -> Result<usize, S::Error> {
    let mut filled = 0;
    while filled < buffer.len() {
        match log.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// The stretches that a file of this form can be read in: one that must be read from its beginning has but the first.
pub(crate) fn readable<S: Source>(log: &S, form: Form) -> Vec<Range<u64>> {
    let mut stretches = log.stretches();
    if form.is_read_from_the_beginning() {
        stretches.truncate(1);
    }
    stretches
}

/// How a reader begins a stretch.
pub(crate) fn beginning(stretch: &Range<u64>) -> Start {
    match stretch.start {
        0 => Start::FileStart,
        _ => Start::Landing,
    }
}

/// Gives year-less stamps their years, by a walk over the whole file (F8).
///
/// # Errors
/// If the file can't be read.
pub fn set_years<S: Source>(
    log: &S,
    profile: &mut Profile,
    form: Form,
    (zone, written_seconds): (&Zone, i64),
    records: Option<&Boundary>,
) -> Result<(), S::Error> {
    for entry in profile.entries.iter_mut().filter(|entry| entry.format.lacks_year()) {
        let mut walker = Walker {
            walk: YearWalk::new(StampReader::new(entry, zone.clone())),
            records,
            lines: LineReader::new(form),
        };
        for stretch in readable(log, form) {
            let mut reader = RecordReader::new(walker, beginning(&stretch), stretch.start);
            let mut offset = stretch.start;
            loop {
                let read = log.read_at(&mut reader.space(SAMPLE_BYTES)[..SAMPLE_BYTES], offset)?;
                if read == 0 {
                    break;
                }
                reader.advance(read);
                offset += read as u64;
            }
            reader.finish();
            walker = reader.into_stamps();
        }
        entry.year_marks = walker.walk.finish(written_seconds, zone);
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
