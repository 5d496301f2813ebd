//! The stamps of one file, by all entries of its profile together.

use std::ops::Range;

use super::profile::{Profile, ProfileEntry};
use super::reader::ProfileReader;
use super::year::YearMark;
use super::zone::Zone;
use crate::records::Stamps;

/// Finds the stamps of a file by its profile. A later entry does not make an earlier one void: a line that only an
/// earlier one can read is read by it, so that a format wrongly learned in mid-file hides no records.
#[derive(Debug, Clone)]
pub struct FileStamps {
    first: ProfileReader,
    later: Vec<(u64, ProfileReader)>,
}

impl FileStamps {
    /// Stamps by this profile; `zone` is that of stamps without one.
    pub fn new(profile: &Profile, zone: &Zone) -> Self {
        let reader = |entry: &ProfileEntry| {
            let profile = Profile {
                entries: vec![entry.clone()],
                lateness_ns: profile.lateness_ns,
            };
            (entry.offset, ProfileReader::new(&profile, zone.clone()))
        };
        let mut readers = profile.entries.iter().map(reader);
        let first = readers
            .next()
            .map_or_else(|| ProfileReader::new(profile, zone.clone()), |(_, first)| first);
        Self {
            first,
            later: readers.collect(),
        }
    }

    fn readers(&self) -> impl Iterator<Item = &ProfileReader> {
        std::iter::once(&self.first).chain(self.later.iter().map(|(_, reader)| reader))
    }

    /// Adds a year mark behind all others, for the entries whose stamps lack their year.
    pub fn add_mark(&mut self, mark: YearMark) {
        let later = self.later.iter_mut().map(|(_, reader)| reader);
        let readers = std::iter::once(&mut self.first).chain(later);
        readers
            .filter(|reader| reader.lacks_year())
            .for_each(|reader| reader.add_mark(mark));
    }

    /// Whether a stamp fell into a repeated hour, so that its meaning may hang on the stamps before it (F9).
    pub fn met_fold(&self) -> bool {
        self.readers().any(ProfileReader::met_fold)
    }

    /// The stretches of UTC that a stamp of a repeated hour may belong to, in nanoseconds.
    pub fn ambiguous_ns(&self) -> Vec<Range<i64>> {
        let ns = |seconds: i64| seconds.saturating_mul(1_000_000_000);
        let times = self.readers().flat_map(ProfileReader::ambiguous_times);
        times.map(|(start, end)| ns(start)..ns(end)).collect()
    }

    #[cold]
    fn read_later(&mut self, line: &[u8], offset: u64) -> Option<i64> {
        let in_force = self.later.iter_mut().rev().filter(|(from, _)| *from <= offset);
        in_force
            .map(|(_, reader)| reader)
            .find_map(|reader| reader.read_at(line, offset))
    }
}

impl Stamps for FileStamps {
    #[inline]
    fn read(&mut self, line: &[u8], offset: u64) -> Option<i64> {
        if !self.later.is_empty()
            && let Some(stamp) = self.read_later(line, offset)
        {
            return Some(stamp);
        }
        self.first.read_at(line, offset)
    }
}
