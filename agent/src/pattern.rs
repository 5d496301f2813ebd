//! Log paths with globs and dates: what a pattern means, and which names it finds beneath the roots.
//!
//! `*`, `?` and `[a-z]`, `[!a-z]` match within one name, `**` as a whole part matches up to [`DEPTH_MAX`] folders,
//! `\` takes the meaning from the next character. As in a shell, a wildcard doesn't match the dot in front of a hidden
//! name (editors' swap files, `.nfs…`). `%Y %m %d %H …` are dates in the host's zone, expanded for every step of the
//! asked time; the smallest unit used sets the step. Every limit met is reported, never silently obeyed.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, ZonedDateTime};
use rustix::fs::RawDir;

use crate::protocol::{FileKind, LimitMet, PathProblem, Refusal};
use crate::roots::{Roots, check_name, clean, kind_of, refusal_of};

/// Most files one pattern may match on a host.
pub const FILES_MAX: usize = 4096;
/// Most folder entries one listing looks at: bounds the cost of a glob over a mail spool.
pub const ENTRIES_MAX: usize = 200_000;
/// Most folders that `**` goes down.
pub const DEPTH_MAX: usize = 8;
/// Most dates one pattern expands to: 1440 minutes of a day, or almost four years of days.
pub const DATES_MAX: usize = 1440;
/// Bytes of folder entries read at once; the kernel fills it in one call.
const FOLDER_BUFFER_BYTES: usize = 32 * 1024;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The path part is refused.
    #[error("the path {0}")]
    Path(#[source] Refusal),
    /// A date directive that is not supported.
    #[error("%{directive} is not a date this agent expands: use %Y %y %m %d %j %H %M, or %% for a percent sign")]
    Directive {
        /// The letter.
        directive: char,
    },
    /// A lone `%` at the end.
    #[error("it ends with a lone %: write %% for a percent sign")]
    LonePercent,
    /// A `[` without its `]`.
    #[error("a [ has no ]: close it, or write \\[ for the bracket itself")]
    OpenBracket,
    /// `**` as a piece of a name.
    #[error("** must stand alone between two slashes")]
    DoubleStar,
    /// A time span of too many dates.
    #[error("it expands to over {DATES_MAX} dates for the asked time: ask for a shorter time")]
    TooManyDates,
    /// A time that no calendar holds.
    #[error("the asked time lies outside the years 1 to 9999")]
    TimeOutOfRange,
}

/// A pattern whose dates are not expanded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    step: DateStep,
}

/// The smallest unit of the dates in a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DateStep {
    None,
    Day,
    Hour,
    Minute,
}

/// One part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Glob(Vec<Token>),
    AnyFolders,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Character(char),
    AnyOne,
    AnyRun,
    Class { ranges: Vec<(char, char)>, negated: bool },
}

/// What a pattern finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// Names found by globs, and names spelt out whether they exist or not; sorted.
    pub paths: BTreeSet<String>,
    /// Folders and names that could not be looked at.
    pub problems: BTreeSet<PathProblem>,
    /// Limits met.
    pub limits: BTreeSet<LimitMet>,
}

impl Pattern {
    /// Reads a pattern; everything that can be wrong with it is said here, before any folder is looked at.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = clean(text).map_err(PatternError::Path)?;
        let step = date_step(&text)?;
        let pattern = Self { text, step };
        // The dates hold nothing that a glob could mean, so any date stands for all of them.
        parse_parts(&expand_one(
            &pattern.text,
            &ZonedDateTime::new(Timestamp::UNIX_EPOCH, TimeZone::UTC),
        ))?;
        Ok(pattern)
    }

    /// For how long a name of it is written to, at most: a day and an hour for names by the day. `None` if it has no
    /// dates.
    pub fn span_ns(&self) -> Option<i64> {
        const HOUR_NS: i64 = 3600 * 1_000_000_000;
        let mut characters = self.text.chars();
        let mut least = None;
        while characters.any(|character| character == '%') {
            let span_ns = match characters.next() {
                Some('M') => HOUR_NS / 60,
                Some('H') => HOUR_NS,
                Some('d' | 'j') => 25 * HOUR_NS,
                Some('m') => (31 * 24 + 1) * HOUR_NS,
                Some('Y' | 'y') => (366 * 24 + 1) * HOUR_NS,
                _ => continue,
            };
            least = Some(least.map_or(span_ns, |least: i64| least.min(span_ns)));
        }
        least
    }

    /// The patterns after expanding every date in `[from_ns, to_ns]` in the host's zone; one without dates is itself.
    fn expand(&self, from_ns: i64, to_ns: i64, zone: &TimeZone) -> Result<BTreeSet<String>, PatternError> {
        let at = |ns: i64| Timestamp::from_nanosecond(ns.into()).map_err(|_| PatternError::TimeOutOfRange);
        let (from, to) = (at(from_ns.min(to_ns))?, at(to_ns)?);
        let mut expanded = BTreeSet::from([expand_one(&self.text, &to.to_zoned_datetime(zone.clone()))]);
        let mut next = from.to_zoned_datetime(zone.clone());
        let mut steps = 0;
        while self.step != DateStep::None && next.timestamp() <= to {
            steps += 1;
            if steps > DATES_MAX {
                return Err(PatternError::TooManyDates);
            }
            expanded.insert(expand_one(&self.text, &next));
            next = self.step.after(&next)?;
        }
        Ok(expanded)
    }

    /// Finds what the pattern matches beneath the roots, for the dates in `[from_ns, to_ns]`.
    /// Cost: one listing of each folder in which a wildcard stands.
    pub fn find(&self, roots: &Roots, from_ns: i64, to_ns: i64, zone: &TimeZone) -> Result<Matches, PatternError> {
        let mut search = Search {
            roots,
            matches: Matches::default(),
            entries_left: ENTRIES_MAX,
            must_look: false,
        };
        for text in self.expand(from_ns, to_ns, zone)? {
            let parts = parse_parts(&text)?;
            let spelt_out = |part: &Part| matches!(part, Part::Literal(_));
            search.must_look = parts.last().is_some_and(spelt_out) && !parts.iter().all(spelt_out);
            search.descend("", &parts, 0);
        }
        Ok(search.matches)
    }
}

impl DateStep {
    fn after(self, at: &ZonedDateTime) -> Result<ZonedDateTime, PatternError> {
        let next = match self {
            // Noon exists on every day and in every zone, so no date is skipped; the end is expanded by itself.
            Self::None | Self::Day => at
                .date()
                .at(12, 0, 0, 0)
                .to_zoned_datetime(at.time_zone().clone())
                .and_then(|noon| {
                    if *at < noon {
                        Ok(noon)
                    } else {
                        noon.checked_add(1.day())
                    }
                }),
            Self::Hour => at.checked_add(SignedDuration::from_hours(1)),
            Self::Minute => at.checked_add(SignedDuration::from_mins(1)),
        };
        next.map_err(|_| PatternError::TimeOutOfRange)
    }
}

fn date_step(text: &str) -> Result<DateStep, PatternError> {
    let mut step = DateStep::None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            continue;
        }
        let unit = match characters.next().ok_or(PatternError::LonePercent)? {
            '%' => DateStep::None,
            'Y' | 'y' | 'm' | 'd' | 'j' => DateStep::Day,
            'H' => DateStep::Hour,
            'M' => DateStep::Minute,
            directive => return Err(PatternError::Directive { directive }),
        };
        step = step.max(unit);
    }
    Ok(step)
}

/// Writes one date into a text whose directives [`date_step`] has checked.
fn expand_one(text: &str, at: &ZonedDateTime) -> String {
    let mut expanded = String::with_capacity(text.len() + 8);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            expanded.push(character);
            continue;
        }
        expanded.push_str(&match characters.next() {
            Some('Y') => format!("{:04}", at.year()),
            Some('y') => format!("{:02}", at.year().rem_euclid(100)),
            Some('m') => format!("{:02}", at.month()),
            Some('d') => format!("{:02}", at.day()),
            Some('j') => format!("{:03}", at.day_of_year()),
            Some('H') => format!("{:02}", at.hour()),
            Some('M') => format!("{:02}", at.minute()),
            _ => "%".to_owned(),
        });
    }
    expanded
}

fn parse_parts(text: &str) -> Result<Vec<Part>, PatternError> {
    text.split('/')
        .filter(|part| !part.is_empty())
        .map(parse_part)
        .collect()
}

fn parse_part(text: &str) -> Result<Part, PatternError> {
    if text == "**" {
        return Ok(Part::AnyFolders);
    }
    let mut tokens = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '*' if characters.peek() == Some(&'*') => return Err(PatternError::DoubleStar),
            '*' => Token::AnyRun,
            '?' => Token::AnyOne,
            '[' => parse_class(&mut characters)?,
            '\\' => Token::Character(characters.next().unwrap_or('\\')),
            character => Token::Character(character),
        });
    }
    let literal = tokens.iter().map(|token| match token {
        Token::Character(character) => Some(*character),
        _ => None,
    });
    Ok(literal
        .collect::<Option<String>>()
        .map_or_else(|| Part::Glob(tokens), Part::Literal))
}

fn parse_class(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, PatternError> {
    let negated = characters.next_if(|character| matches!(character, '!' | '^')).is_some();
    let mut ranges = Vec::new();
    loop {
        let first = match characters.next().ok_or(PatternError::OpenBracket)? {
            // A bracket right at the front is a member, as everywhere.
            ']' if !ranges.is_empty() => return Ok(Token::Class { ranges, negated }),
            '\\' => characters.next().ok_or(PatternError::OpenBracket)?,
            first => first,
        };
        let mut ahead = characters.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) if last != ']' => {
                *characters = ahead;
                last
            }
            _ => first,
        };
        ranges.push((first, last));
    }
}

/// Whether a name matches; linear in practice, at worst name × pattern.
fn matches_name(tokens: &[Token], name: &str) -> bool {
    if name.starts_with('.') && tokens.first() != Some(&Token::Character('.')) {
        return false;
    }
    let name: Vec<char> = name.chars().collect();
    let (mut token, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < name.len() {
        match tokens.get(token) {
            Some(Token::AnyRun) => {
                retry = Some((token, at));
                token += 1;
            }
            Some(one) if one.takes(name[at]) => (token, at) = (token + 1, at + 1),
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (token, at) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    tokens[token..].iter().all(|token| *token == Token::AnyRun)
}

impl Token {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Character(own) => *own == character,
            Self::AnyOne => true,
            Self::AnyRun => false,
            Self::Class { ranges, negated } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)) != *negated
            }
        }
    }
}

struct Search<'r> {
    roots: &'r Roots,
    matches: Matches,
    entries_left: usize,
    /// A name spelt out behind a wildcard (`*/app.log`) is missed in no folder: it matches only where it exists.
    must_look: bool,
}

impl Search<'_> {
    fn descend(&mut self, folder: &str, parts: &[Part], depth: usize) {
        match parts {
            [] => self.found(folder.to_owned()),
            [Part::Literal(name), rest @ ..] => self.descend(&format!("{folder}/{name}"), rest, depth),
            [Part::Glob(tokens), rest @ ..] => {
                for entry in self.list(folder) {
                    let may_hold = rest.is_empty() || entry.may_be_folder();
                    if may_hold && matches_name(tokens, &entry.name) {
                        self.enter(folder, &entry, rest, depth);
                    }
                }
            }
            [Part::AnyFolders, rest @ ..] => {
                // `**` at the end means every file below.
                let every_name = [Part::Glob(vec![Token::AnyRun])];
                self.descend(folder, if rest.is_empty() { &every_name } else { rest }, depth);
                for entry in self.list(folder) {
                    if entry.kind == FileKind::Folder && !entry.name.starts_with('.') {
                        match depth < DEPTH_MAX {
                            true => self.enter(folder, &entry, parts, depth + 1),
                            false => self.limit(LimitMet::Depth),
                        }
                    }
                }
            }
        }
    }

    fn enter(&mut self, folder: &str, entry: &FolderName, rest: &[Part], depth: usize) {
        let path = format!("{folder}/{}", entry.name);
        match &entry.hostile {
            Some(refusal) => self.problem(path, refusal.clone()),
            // A folder that matches as the last part is no log; it is left out as a shell's `*` would be of no use.
            None if rest.is_empty() && entry.kind == FileKind::Folder => {}
            None => self.descend(&path, rest, depth),
        }
    }

    fn found(&mut self, path: String) {
        if self.must_look && matches!(self.roots.look(&path), Err(Refusal::NotFound)) {
            return;
        }
        if self.matches.paths.len() >= FILES_MAX && !self.matches.paths.contains(&path) {
            return self.limit(LimitMet::Files);
        }
        self.matches.paths.insert(path);
    }

    fn limit(&mut self, limit: LimitMet) {
        self.matches.limits.insert(limit);
    }

    fn problem(&mut self, path: String, refusal: Refusal) {
        // Bounded as the files are: a folder full of hostile names must not fill the answer.
        if self.matches.problems.len() >= FILES_MAX {
            return self.limit(LimitMet::Files);
        }
        self.matches.problems.insert(PathProblem { path, refusal });
    }

    /// The names in a folder. One that is not there holds none, which is no problem: the file it should hold is.
    fn list(&mut self, folder: &str) -> Vec<FolderName> {
        match list_folder(
            self.roots,
            if folder.is_empty() { "/" } else { folder },
            &mut self.entries_left,
        ) {
            Ok(listing) => {
                if let Some(limit) = listing.limit {
                    self.limit(limit);
                }
                listing.names
            }
            Err(Refusal::NotFound | Refusal::DanglingLink | Refusal::WrongKind(_)) => Vec::new(),
            Err(refusal) => {
                self.problem(folder.to_owned(), refusal);
                Vec::new()
            }
        }
    }
}

/// One name in a folder, as the folder itself tells it: no look at the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FolderName {
    /// The name, lossily decoded if it is hostile.
    pub name: String,
    /// Why it can't be spoken of, if so.
    pub hostile: Option<Refusal>,
    /// What the folder says it is; [`FileKind::Other`] where the filesystem doesn't tell.
    pub kind: FileKind,
    /// Its inode number.
    pub inode: u64,
}

impl FolderName {
    fn may_be_folder(&self) -> bool {
        matches!(self.kind, FileKind::Folder | FileKind::Link | FileKind::Other)
    }
}

/// The names in a folder.
pub(crate) struct FolderListing {
    /// The folder's path without links.
    pub real_path: String,
    /// Sorted by name.
    pub names: Vec<FolderName>,
    /// Whether names are missing.
    pub limit: Option<LimitMet>,
}

/// Lists a folder beneath the roots, taking its entries from a budget.
pub(crate) fn list_folder(roots: &Roots, path: &str, left: &mut usize) -> Result<FolderListing, Refusal> {
    let (descriptor, real_path) = roots.open_folder(path)?;
    let mut buffer = Vec::with_capacity(FOLDER_BUFFER_BYTES);
    let mut raw = RawDir::new(&descriptor, buffer.spare_capacity_mut());
    let mut listing = FolderListing {
        real_path,
        names: Vec::new(),
        limit: None,
    };
    while let Some(entry) = raw.next() {
        let entry = entry.map_err(refusal_of)?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if *left == 0 {
            listing.limit = Some(LimitMet::Entries);
            break;
        }
        *left -= 1;
        let hostile = match std::str::from_utf8(name) {
            Ok(name) => check_name(name).err(),
            Err(_) => Some(Refusal::HostileName),
        };
        let name = String::from_utf8_lossy(name).into_owned();
        listing.names.push(FolderName {
            name,
            hostile,
            kind: kind_of(entry.file_type()),
            inode: entry.ino(),
        });
    }
    listing.names.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listing)
}

/// Folder and name of a cleaned path.
pub(crate) fn split_path(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
