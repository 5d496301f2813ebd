//! The path of a log as a monitor writes it: globs, dates, and captures that become labels.
//!
//! `(?<name>regex)` stands for a part of one name: agents list what `*` finds in its place, files whose path does not
//! match are none of the log's, and what a capture holds is a column of every record of the file. So one monitor reads
//! the logs of all containers of a host and keeps them apart:
//! `/var/log/containers/(?<pod>[^_]+)_(?<namespace>[^_]+)_(?<container>.+)-[0-9a-f]*.log`.

use regex::Regex;
use std::collections::BTreeSet;

/// Captures of one path: a file's name says a handful of things.
pub const CAPTURES_MAX: usize = 16;

/// Why a path is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogPathError {
    /// A capture without its end.
    #[error("the capture at byte {at} has no end: close it with `)`")]
    OpenCapture {
        /// Where it begins.
        at: usize,
    },
    /// A capture without a name that a column can have.
    #[error("the capture at byte {at} has no name: write (?<name>…), of letters, digits and `_`")]
    Name {
        /// Where it begins.
        at: usize,
    },
    /// A capture over several folders.
    #[error("the capture `{name}` holds a `/`, and stands for a part of one name: write one capture for each folder")]
    Slash {
        /// Its name.
        name: String,
    },
    /// A name that stands twice, or that every record has.
    #[error("the capture `{name}` is there already, or a label of every record: choose another name")]
    Taken {
        /// Its name.
        name: String,
    },
    /// More than [`CAPTURES_MAX`].
    #[error("the path has more than {CAPTURES_MAX} captures: name fewer")]
    TooMany,
    /// A capture that is no regular expression.
    #[error("the captures are no regular expression: {why}")]
    Pattern {
        /// The compiler's words.
        why: String,
    },
}

/// A log's path.
#[derive(Debug, Clone)]
pub struct LogPath {
    glob: String,
    names: Vec<String>,
    regex: Option<Regex>,
}

impl LogPath {
    /// Reads a path.
    ///
    /// # Errors
    /// If a capture is none.
    pub fn parse(path: &str) -> Result<Self, LogPathError> {
        let (mut glob, mut regex, mut names) = (String::new(), String::from("^"), Vec::new());
        let mut at = 0;
        while let Some(found) = path[at..].find("(?<") {
            let begin = at + found;
            let capture = Capture::read(path, begin)?;
            if names.len() == CAPTURES_MAX {
                return Err(LogPathError::TooMany);
            }
            if is_reserved(capture.name) || names.iter().any(|name| name == capture.name) {
                let name = capture.name.to_owned();
                return Err(LogPathError::Taken { name });
            }
            glob.push_str(&path[at..begin]);
            glob.push('*');
            regex.push_str(&regex_of(&path[at..begin]));
            regex.push_str(&path[begin..capture.end]);
            names.push(capture.name.to_owned());
            at = capture.end;
        }
        glob.push_str(&path[at..]);
        if names.is_empty() {
            return Ok(Self {
                glob,
                names,
                regex: None,
            });
        }
        regex.push_str(&regex_of(&path[at..]));
        regex.push('$');
        let regex = Regex::new(&regex).map_err(|error| LogPathError::Pattern { why: error.to_string() })?;
        Ok(Self {
            glob: glob.replace("**", "*"),
            names,
            regex: Some(regex),
        })
    }

    /// A path without captures, whatever stands in it.
    pub fn plain(path: &str) -> Self {
        Self {
            glob: path.to_owned(),
            names: Vec::new(),
            regex: None,
        }
    }

    /// The pattern that agents list files by.
    pub fn glob(&self) -> &str {
        &self.glob
    }

    /// Names of the captures.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether a file is one of this log.
    pub fn has(&self, path: &str) -> bool {
        self.regex.as_ref().is_none_or(|regex| regex.is_match(path))
    }

    /// What the captures hold of a file's path.
    pub fn labels(&self, path: &str) -> Vec<(String, String)> {
        let Some(captures) = self.regex.as_ref().and_then(|regex| regex.captures(path)) else {
            return Vec::new();
        };
        let label = |name: &String| Some((name.clone(), captures.name(name)?.as_str().to_owned()));
        self.names.iter().filter_map(label).collect()
    }
}

/// Labels that every record has.
fn is_reserved(name: &str) -> bool {
    BTreeSet::from(["host", "ip", "app", "zone", "path", "file"]).contains(name)
}

struct Capture<'p> {
    name: &'p str,
    /// Behind its closing parenthesis.
    end: usize,
}

impl<'p> Capture<'p> {
    fn read(path: &'p str, begin: usize) -> Result<Self, LogPathError> {
        let inside = &path[begin + 3..];
        let open = LogPathError::OpenCapture { at: begin };
        let name_length = inside.find('>').ok_or(open.clone())?;
        let name = &inside[..name_length];
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            bytes
                .next()
                .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !is_name(name) {
            return Err(LogPathError::Name { at: begin });
        }
        let pattern_begin = begin + 3 + name_length + 1;
        let length = pattern_length(&path.as_bytes()[pattern_begin..]).ok_or(open)?;
        // A class may name the slash to leave it out.
        if path[pattern_begin..pattern_begin + length]
            .replace("[^/", "[^")
            .contains('/')
        {
            return Err(LogPathError::Slash { name: name.to_owned() });
        }
        Ok(Self {
            name,
            end: pattern_begin + length + 1,
        })
    }
}

/// Bytes up to the parenthesis that closes a group.
fn pattern_length(pattern: &[u8]) -> Option<usize> {
    let (mut depth, mut in_class, mut at) = (0, false, 0);
    while at < pattern.len() {
        match pattern[at] {
            b'\\' => at += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'(' if !in_class => depth += 1,
            b')' if !in_class && depth == 0 => return Some(at),
            b')' if !in_class => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The regular expression of a glob with dates.
fn regex_of(glob: &str) -> String {
    let mut regex = String::new();
    let mut rest = glob.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.next_if_eq(&'*').is_some() => regex.push_str(".*"),
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '%' => regex.push_str(match rest.next() {
                Some('Y') => "[0-9]{4}",
                Some('j') => "[0-9]{3}",
                Some('%') | None => "%",
                Some(_) => "[0-9]{2}",
            }),
            '\\' => regex.extend(rest.next().map(|next| regex::escape(&next.to_string()))),
            '[' => {
                regex.push('[');
                if rest.next_if_eq(&'!').is_some() {
                    regex.push('^');
                }
            }
            // Classes are written alike.
            ']' | '-' => regex.push(character),
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTAINERS: &str = "/var/log/containers/(?<pod>[^_]+)_(?<namespace>[^_]+)_(?<container>.+)-[0-9a-f]*.log";

    #[track_caller]
    fn check(path: &str, glob: &str, file: &str, labels: Option<&[(&str, &str)]>) {
        let parsed = LogPath::parse(path).expect("a good path");
        assert_eq!(parsed.glob(), glob);
        assert_eq!(parsed.has(file), labels.is_some(), "{path} has {file}");
        let found = parsed.labels(file);
        let found: Vec<_> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, labels.unwrap_or_default(), "{file}");
    }

    #[test]
    fn captures_are_labels_and_the_rest_is_a_glob() {
        check("/var/log/*.log", "/var/log/*.log", "/var/log/x.log", Some(&[]));
        let glob = "/var/log/containers/*_*_*-[0-9a-f]*.log";
        let labels = [("pod", "web-7f"), ("namespace", "shop"), ("container", "nginx-a")];
        check(
            CONTAINERS,
            glob,
            "/var/log/containers/web-7f_shop_nginx-a-0a1b.log",
            Some(&labels),
        );
        check(CONTAINERS, glob, "/var/log/containers/web-7f_nginx-0a1b.log", None);
        check(
            "/logs/(?<unit>x)/%Y%m%d.log",
            "/logs/*/%Y%m%d.log",
            "/logs/x/20261123.log",
            Some(&[("unit", "x")]),
        );
        check(
            "/l/(?<op>(?:pay|refund)+)[!x].l?g",
            "/l/*[!x].l?g",
            "/l/payrefund1.log",
            Some(&[("op", "payrefund")]),
        );
        check("/l/(?<op>[^/]*).log", "/l/*.log", "/l/a/b.log", None);
    }

    #[track_caller]
    fn check_error(path: &str, expected: &str) {
        let error = LogPath::parse(path).expect_err("a bad path").to_string();
        assert!(error.contains(expected), "{path}: {error}");
    }

    #[test]
    fn mistakes() {
        check_error("/l/(?<pod[a-z]+.log", "no end");
        check_error("/l/(?<pod>[a-z]+.log", "no end");
        check_error("/l/(?<a b>x).log", "no name");
        check_error("/l/(?<a>x/y).log", "holds a `/`");
        check_error("/l/(?<a>x)(?<a>y).log", "`a` is there already");
        check_error("/l/(?<host>x).log", "`host` is there already");
        check_error("/l/(?<a>+).log", "no regular expression");
    }
}
