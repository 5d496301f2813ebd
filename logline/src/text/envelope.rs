//! Envelopes: what container runtimes write around each line of a container's output.
//!
//! | runtime | a line |
//! |---|---|
//! | CRI (containerd, CRI-O) | `2016-10-06T00:17:09.669794202Z stdout F text` |
//! | Docker `json-file` | `{"log":"text\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}` |
//!
//! A long line is cut by the runtime (at 8 or 16 KiB): CRI marks all its parts but the last with `P`, and Docker's have
//! no `\n`. Together they are one line of the container, and its first part's stamp is its time. The two streams of a
//! container stand in one file, so parts of one may have lines of the other between them: then the record is counted
//! once, at its first part, and is a loss where its fields are asked for, because a record is one stretch of bytes.
//! Sources: the Kubernetes CRI
//! logging design, and Docker's `jsonlog` package.

use crate::stamp::Locator;
use memchr::{memchr, memchr2, memmem};

/// Lines of a sample that must be the runtime's, of a hundred: others can only be torn.
const SHARE_PERCENT_MIN: usize = 95;
/// Longest stamp that a runtime writes: with nanoseconds and an offset it has 35 bytes.
const STAMP_BYTES_MAX: usize = 40;
/// What Docker's line begins with.
const DOCKER_BEGIN: &[u8] = b"{\"log\":\"";
/// What stands before its stamp. Inside the text a quotation mark has a backslash before it, so this is the runtime's.
const DOCKER_TIME: &[u8] = b"\"time\":\"";
const DOCKER_STDERR: &[u8] = b"\"stream\":\"stderr\"";

/// What stands around each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Envelope {
    /// Nothing.
    #[default]
    None,
    /// Time, stream and tags before it.
    Cri,
    /// A JSON object around it.
    Docker,
}

/// One line of a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// 0 for standard output, 1 for standard error.
    pub stream: usize,
    /// The next line of the stream goes on with it.
    pub is_partial: bool,
    pub payload: &'a [u8],
    /// The payload is the inside of a JSON string.
    pub is_escaped: bool,
}

impl Envelope {
    /// Its name, if there is one.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Envelope::None => None,
            Envelope::Cri => Some("cri"),
            Envelope::Docker => Some("docker"),
        }
    }

    /// The envelope that nearly all lines of a sample have.
    pub(super) fn detect<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut all, mut cri, mut docker) = (0, 0, 0);
        // The last line of a sample may be cut.
        let mut lines = lines.peekable();
        while let Some(line) = lines.next() {
            if line.is_empty() || all > 0 && lines.peek().is_none() {
                continue;
            }
            all += 1;
            cri += usize::from(Envelope::Cri.part(line).is_some());
            docker += usize::from(Envelope::Docker.part(line).is_some());
        }
        let is_enough = |count: usize| count > 0 && count * 100 >= all * SHARE_PERCENT_MIN;
        match (is_enough(cri), is_enough(docker)) {
            (true, _) => Envelope::Cri,
            (false, true) => Envelope::Docker,
            (false, false) => Envelope::None,
        }
    }

    /// Where the runtime's stamp stands.
    pub(super) fn locator(self) -> Option<Locator> {
        match self {
            Envelope::None => None,
            Envelope::Cri => Some(Locator::Column(0)),
            Envelope::Docker => Some(Locator::After(DOCKER_TIME.into())),
        }
    }

    /// The runtime's stamp of a line.
    pub(super) fn stamp(self, line: &[u8]) -> Option<&[u8]> {
        match self {
            Envelope::None => None,
            Envelope::Cri => {
                self.part(line)?;
                line.split(|byte| *byte == b' ').next()
            }
            Envelope::Docker => {
                let rest = &line[memmem::find(line, DOCKER_TIME)? + DOCKER_TIME.len()..];
                Some(&rest[..memchr(b'"', rest)?])
            }
        }
    }

    /// What a line is; `None` if it is none of the runtime's.
    pub(super) fn part(self, line: &[u8]) -> Option<Part<'_>> {
        match self {
            Envelope::None => None,
            Envelope::Cri => cri(line),
            Envelope::Docker => docker(line),
        }
    }
}

fn cri(line: &[u8]) -> Option<Part<'_>> {
    let (time, rest) = word(line)?;
    if time.len() > STAMP_BYTES_MAX || !time.first()?.is_ascii_digit() || !time.contains(&b'T') {
        return None;
    }
    let (stream, rest) = word(rest)?;
    let stream = match stream {
        b"stdout" => 0,
        b"stderr" => 1,
        _ => return None,
    };
    // An empty line may end behind its tags.
    let (tags, payload) = word(rest).unwrap_or((rest, b""));
    let first = tags.split(|byte| *byte == b':').next()?;
    let is_partial = match first {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    Some(Part {
        stream,
        is_partial,
        payload,
        is_escaped: false,
    })
}

/// What stands before the first space, and behind it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr(b' ', text)?;
    Some((&text[..space], &text[space + 1..]))
}

fn docker(line: &[u8]) -> Option<Part<'_>> {
    let inside = line.strip_prefix(DOCKER_BEGIN)?;
    let length = string_length(inside)?;
    let (payload, rest) = inside.split_at(length);
    memmem::find(rest, DOCKER_TIME)?;
    Some(Part {
        stream: usize::from(memmem::find(rest, DOCKER_STDERR).is_some()),
        is_partial: !ends_line(payload),
        payload,
        is_escaped: true,
    })
}

/// Bytes up to the quotation mark that ends a JSON string.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Whether the inside of a JSON string ends with an escaped line end, and not with a backslash and an `n`.
fn ends_line(payload: &[u8]) -> bool {
    let Some(before) = payload.strip_suffix(b"n") else {
        return false;
    };
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}
