//! Full names of zones in lines: `[12-Mar-2024 10:11:12 Europe/Berlin]`, as PHP writes them.
//!
//! A name is of the tz database that is compiled in, in its own spelling. What begins with one of the database's areas
//! and is no zone of it may be one of a newer edition: such a line has no stamp, since any time that it could be given
//! might be wrong. Names without an area (`Japan`, `EST5EDT`) are words like others and not looked for.

use super::civil::WrittenZone;
use super::zone::{FoldState, WallClock, Zone};
use jiff::tz::TimeZoneDatabase;
use std::sync::LazyLock;

/// Areas of which an unknown name is an unknown zone.
const AREAS: [&[u8]; 11] = [
    b"Africa",
    b"America",
    b"Antarctica",
    b"Arctic",
    b"Asia",
    b"Atlantic",
    b"Australia",
    b"Etc",
    b"Europe",
    b"Indian",
    b"Pacific",
];
/// Areas of the database's older names, which are words before a slash elsewhere: an unknown name is no zone.
const OLD_AREAS: [&[u8]; 5] = [b"Brazil", b"Canada", b"Chile", b"Mexico", b"US"];
/// The longest area has ten letters, the longest name of the database 32 bytes.
const AREA_BYTES_MAX: usize = 10;
const NAME_BYTES_MAX: usize = 40;

/// A zone of the database, by its place among the sorted names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ZoneId(u16);

/// The names of the database that have an area, sorted.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let database = TimeZoneDatabase::bundled();
    let names = database.available().map(|name| name.as_str().to_owned());
    let mut names: Vec<String> = names.filter(|name| name.contains('/')).collect();
    names.sort_unstable();
    names.dedup();
    names
});

/// The zone whose name stands there, and where it ends; [`WrittenZone::Unknown`] if it has a name and is not known.
pub fn zone_name(line: &[u8], at: usize) -> Option<(WrittenZone, usize)> {
    let rest = line.get(at..)?;
    let is_letter = |byte: &&u8| byte.is_ascii_alphabetic();
    let length = rest.iter().take(AREA_BYTES_MAX + 1).take_while(is_letter).count();
    if rest.get(length) != Some(&b'/') {
        return None;
    }
    let is_area = AREAS.contains(&&rest[..length]);
    if !is_area && !OLD_AREAS.contains(&&rest[..length]) {
        return None;
    }
    let is_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(byte);
    let length = rest.iter().take(NAME_BYTES_MAX).take_while(is_of_name).count();
    let name = &rest[..length];
    let end = at + length;
    match NAMES.binary_search_by(|known| known.as_bytes().cmp(name)) {
        // There are some six hundred names.
        Ok(index) => Some((WrittenZone::Named(ZoneId(index as u16)), end)),
        Err(_) => is_area.then_some((WrittenZone::Unknown, end)),
    }
}

impl ZoneId {
    /// Its rules.
    pub fn zone(self) -> Zone {
        let name = NAMES.get(usize::from(self.0));
        // An id is made of a name of the database alone.
        name.and_then(|name| Zone::parse(name).ok()).unwrap_or_else(Zone::utc)
    }
}

/// The clocks of one file: that of stamps without a zone, and one of each zone that its lines name, with what each has
/// learned of its repeated hours (F9). Bounded by the names of the database.
#[derive(Debug, Clone)]
pub struct Clocks {
    own: WallClock,
    named: Vec<(ZoneId, WallClock)>,
    /// Which of the named ones was used last; `None` is the own.
    last: Option<usize>,
}

impl Clocks {
    /// Clocks that have seen no stamp; `zone` is that of stamps without one.
    pub fn new(zone: Zone) -> Self {
        Self {
            own: WallClock::new(zone),
            named: Vec::new(),
            last: None,
        }
    }

    /// UTC seconds of a wall time in the zone that is written; `None` if nobody knows that zone.
    #[inline]
    pub fn utc_of(&mut self, zone: WrittenZone, wall: i64) -> Option<i64> {
        match zone {
            WrittenZone::Absent => {
                self.last = None;
                Some(self.own.to_utc(wall))
            }
            WrittenZone::Offset(offset) => Some(wall - i64::from(offset)),
            WrittenZone::Named(id) => Some(self.named_clock(id).to_utc(wall)),
            WrittenZone::Unknown => None,
        }
    }

    fn named_clock(&mut self, id: ZoneId) -> &mut WallClock {
        let known = self.named.iter().position(|(known, _)| *known == id);
        let index = known.unwrap_or_else(|| {
            self.named.push((id, WallClock::new(id.zone())));
            self.named.len() - 1
        });
        self.last = Some(index);
        &mut self.named[index].1
    }

    /// The wall time of an instant in the zone that is written.
    pub fn wall_at(&self, zone: WrittenZone, utc: i64) -> i64 {
        match zone {
            WrittenZone::Offset(offset) => utc.saturating_add(i64::from(offset)),
            WrittenZone::Named(id) => id.zone().wall_at(utc),
            WrittenZone::Absent | WrittenZone::Unknown => self.own.wall_at(utc),
        }
    }

    fn all(&self) -> impl Iterator<Item = &WallClock> {
        std::iter::once(&self.own).chain(self.named.iter().map(|(_, clock)| clock))
    }

    /// The UTC seconds `[start, end)` of the repeated hours that were read without a backward jump.
    pub fn ambiguous_times(&self) -> Vec<(i64, i64)> {
        self.all().flat_map(WallClock::ambiguous_times).collect()
    }

    /// Whether a stamp fell into a repeated hour of its zone.
    pub fn met_fold(&self) -> bool {
        self.all().any(|clock| clock.fold() != FoldState::default())
    }

    /// What has been learned of the last repeated hour of the zone of the last stamp.
    pub fn fold(&self) -> FoldState {
        self.last.map_or(&self.own, |index| &self.named[index].1).fold()
    }

    /// Goes on, for stamps without a zone, from what another reader of the bytes before had learned.
    pub fn set_fold(&mut self, fold: FoldState) {
        self.last = None;
        self.own.set_fold(fold);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(Option<&str>, usize)>) {
        let found = zone_name(text.as_bytes(), 0).map(|(zone, end)| match zone {
            WrittenZone::Named(id) => (Some(NAMES[usize::from(id.0)].clone()), end),
            other => {
                assert_eq!(other, WrittenZone::Unknown, "{text}");
                (None, end)
            }
        });
        let expected = expected.map(|(name, end)| (name.map(str::to_owned), end));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn names_of_the_database_and_words_that_are_none() {
        check("Europe/Berlin] x", Some((Some("Europe/Berlin"), 13)));
        check(
            "America/Argentina/Buenos_Aires",
            Some((Some("America/Argentina/Buenos_Aires"), 30)),
        );
        check("Etc/GMT+3: x", Some((Some("Etc/GMT+3"), 9)));
        check("US/Eastern x", Some((Some("US/Eastern"), 10)));
        check("Europe/Atlantis] x", Some((None, 15)));
        check("US/EU failover", None);
        check("GET/POST", None);
        check("Europe", None);
        check("europe/berlin", None);
        check("", None);
        let longest = NAMES.iter().map(String::len).max();
        assert!(longest < Some(NAME_BYTES_MAX), "{longest:?}");
    }

    /// Reads the stamps of PHP's error log, whose lines name their zones; the input's zone is another.
    #[track_caller]
    fn check_stamps(lines: &[(&str, Option<&str>)]) -> crate::stamp::FileStamps {
        use crate::records::Stamps;
        let text: String = lines
            .iter()
            .map(|(stamp, _)| format!("[{stamp}] PHP Warning:  x\n"))
            .collect();
        let crate::stamp::Detection::Stamped(detected) = crate::stamp::learn(text.as_bytes()) else {
            panic!("{text}");
        };
        let zone = Zone::parse("Asia/Tokyo").expect("a zone");
        let mut stamps = crate::stamp::FileStamps::new(&detected.profile, &zone);
        for (offset, (line, (_, expected))) in text.lines().zip(lines).enumerate() {
            let expected = expected.map(|time| {
                let time: jiff::Timestamp = time.parse().expect("a time");
                i64::try_from(time.as_nanosecond()).expect("fits")
            });
            assert_eq!(stamps.read(line.as_bytes(), offset as u64), expected, "{line}");
        }
        stamps
    }

    #[test]
    fn a_line_names_its_zone() {
        check_stamps(&[
            ("12-Mar-2024 10:11:12 Europe/Berlin", Some("2024-03-12T09:11:12Z")),
            ("12-Mar-2024 10:11:13 Europe/Berlin", Some("2024-03-12T09:11:13Z")),
            ("12-Mar-2024 10:11:12 America/New_York", Some("2024-03-12T14:11:12Z")),
            ("12-Mar-2024 10:11:12 Etc/GMT+3", Some("2024-03-12T13:11:12Z")),
            ("12-Mar-2024 10:11:12 UTC", Some("2024-03-12T10:11:12Z")),
            ("12-Mar-2024 10:11:12 Europe/Atlantis", None),
            ("12-Mar-2024 10:11:14 Europe/Berlin", Some("2024-03-12T09:11:14Z")),
            // None is written: the input's.
            ("12-Mar-2024 20:11:12", Some("2024-03-12T11:11:12Z")),
        ]);
    }

    #[test]
    fn each_zone_has_its_gaps_and_repeated_hours() {
        let stamps = check_stamps(&[
            ("31-Mar-2024 01:59:59 Europe/Berlin", Some("2024-03-31T00:59:59Z")),
            ("31-Mar-2024 02:30:00 Europe/Berlin", Some("2024-03-31T01:30:00Z")),
            ("31-Mar-2024 03:00:00 Europe/Berlin", Some("2024-03-31T01:00:00Z")),
            ("27-Oct-2024 02:59:00 Europe/Berlin", Some("2024-10-27T00:59:00Z")),
            // No other zone's hour is repeated then, and what its lines say tells nothing of this one's.
            ("27-Oct-2024 02:05:00 America/New_York", Some("2024-10-27T06:05:00Z")),
            ("27-Oct-2024 02:59:30 Europe/Berlin", Some("2024-10-27T00:59:30Z")),
            ("27-Oct-2024 02:10:00 Europe/Berlin", Some("2024-10-27T01:10:00Z")),
            ("27-Oct-2024 02:59:45 Europe/Berlin", Some("2024-10-27T01:59:45Z")),
            ("27-Oct-2024 03:00:00 Europe/Berlin", Some("2024-10-27T02:00:00Z")),
            // Without a jump back nobody knows which pass it is of.
            ("03-Nov-2024 01:30:00 America/New_York", Some("2024-11-03T05:30:00Z")),
        ]);
        let at = |time: &str| {
            let time: jiff::Timestamp = time.parse().expect("a time");
            i64::try_from(time.as_nanosecond()).expect("fits")
        };
        assert!(stamps.met_fold());
        let ambiguous = at("2024-11-03T05:00:00Z")..at("2024-11-03T07:00:00Z");
        assert_eq!(stamps.ambiguous_ns(), [ambiguous]);
    }
}
