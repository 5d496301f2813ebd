//! What a log's bytes are before they are lines of text: their encoding, and the envelope that a container runtime put
//! around each line.
//!
//! Both are learned from a file's first bytes, so they are a function of bytes like everything else (F8); an encoding
//! that nothing in the bytes tells (GBK, Latin-1) is given. Most logs have neither, and then nothing here is called.
//! Offsets stay those of the file's own bytes: what is decoded is looked at and thrown away, never stored.
//!
//! | module | holds |
//! |---|---|
//! | [`encoding`] | bytes to UTF-8 |
//! | `envelope` | the lines of CRI and of Docker's `json-file`, and which of them go together |

pub mod encoding;
mod envelope;
mod show;

pub use encoding::{Encoding, EncodingError};
pub use envelope::Envelope;
pub use show::{Line, lines_shown, shown};

use crate::stamp::{Detection, Format, Locator, SAMPLE_BYTES, learn, learn_as};
use envelope::Part;

/// Streams of a container: its standard output and its standard error.
const STREAMS: usize = 2;

/// How a file's bytes are to be read as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Form {
    /// Bytes to characters.
    pub encoding: Encoding,
    /// What stands around each line.
    pub envelope: Envelope,
}

/// Why a record has no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoText {
    /// Its bytes are none of its encoding.
    #[error("the record is no text of its encoding")]
    Undecodable,
    /// The runtime cut its line, and lines of the other stream stand before the rest: what is in hand ends in the
    /// middle, perhaps of a number.
    #[error("the record was cut by its container's runtime, and its rest stands elsewhere")]
    Parted,
}

impl Form {
    /// The form of a file that begins with these bytes; `given` is the encoding that a monitor names.
    pub fn detect(head: &[u8], given: Option<Encoding>) -> Self {
        let head = &head[..head.len().min(SAMPLE_BYTES)];
        let encoding = given.unwrap_or_else(|| Encoding::detect(head));
        let form = Form {
            encoding,
            envelope: Envelope::None,
        };
        let envelope = Envelope::detect(form.lines(head, 0).iter().map(|(_, line)| line.as_slice()));
        Form { envelope, ..form }
    }

    /// Whether bytes are lines as they are.
    pub fn is_plain(self) -> bool {
        self == Form::default()
    }

    /// Whether a reader must begin at the file's first byte: in the middle of a file, nothing tells whether a line
    /// goes on with one before, or where a character begins.
    pub fn is_read_from_the_beginning(self) -> bool {
        self.envelope != Envelope::None || self.encoding.unit() > 1
    }

    /// The lines of a sample that begins at `offset`, decoded, with their offsets. A last line without end is one.
    pub fn lines(self, sample: &[u8], offset: u64) -> Vec<(u64, Vec<u8>)> {
        let (mut lines, mut at) = (Vec::new(), 0);
        while at < sample.len() {
            let found = self.encoding.line_end(&sample[at..], offset + at as u64);
            let (end, after) = found.map_or((sample.len(), sample.len()), |(end, bytes)| {
                (at + end, at + end + bytes)
            });
            let mut line = Vec::new();
            // Text that is none has no stamp: the line continues another.
            let _ = self.encoding.decode(&sample[at..end], &mut line);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            lines.push((offset + at as u64, line));
            at = after;
        }
        lines
    }

    /// What a sample says without its encoding and its envelopes: for learning how its fields are cut.
    pub fn unwrapped(self, sample: &[u8]) -> Vec<u8> {
        let mut reader = TextReader::new(self);
        let mut text = Vec::new();
        for (_, line) in self.lines(sample, 0) {
            let part = self.envelope.part(&line);
            match &part {
                Some(part) => reader.append(part, &mut text),
                None => text.extend_from_slice(&line),
            }
            if !part.is_some_and(|part| part.is_partial) {
                text.push(b'\n');
            }
        }
        text
    }
}

/// Why a log whose records end in NUL is not counted.
pub const NUL_ENDED: &str = "its records end with a NUL byte and not with a line end: let the application end them \
    with line ends";

/// Whether NUL bytes end records in a sample, rather than standing in a line now and then: in most of what lies
/// between two line ends there is one, with text on either side. Zeros at the beginning of a line are a hole.
pub fn ends_in_nul(sample: &[u8]) -> bool {
    let is_between =
        |window: &&[u8]| window[1] == 0 && !b"\0\n".contains(&window[0]) && !b"\0\r\n".contains(&window[2]);
    let ends = sample.windows(3).filter(is_between).count();
    ends >= 2 && 2 * ends > memchr::memchr_iter(b'\n', sample).count()
}

/// Learns how a file that begins with these bytes is to be read, and how its lines are stamped. `format` and `given`
/// are what a monitor says of it.
pub fn learn_text(sample: &[u8], given: Option<Encoding>, format: Option<&Format>) -> (Form, Detection) {
    let sample = &sample[..sample.len().min(SAMPLE_BYTES)];
    let form = Form::detect(sample, given);
    let learn = |text: &[u8]| match format {
        Some(format) => learn_as(text, format),
        None => learn(text),
    };
    if form.is_plain() {
        return (form, learn(sample));
    }
    let lines = form.lines(sample, 0);
    let (Some(place), None) = (form.envelope.locator(), format) else {
        return (form, learn(&joined(lines.iter().map(|(_, line)| line.as_slice()))));
    };
    // The runtime's own stamp, whatever dates the text holds.
    let stamps = lines
        .iter()
        .map(|(_, line)| form.envelope.stamp(line).unwrap_or_default());
    (form, at_place(learn(&joined(stamps)), place, &lines))
}

fn joined<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    lines.flat_map(|line| [line, b"\n"]).flatten().copied().collect()
}

/// What was learned of stamps alone, for the place at which they stand.
fn at_place(detection: Detection, place: Locator, lines: &[(u64, Vec<u8>)]) -> Detection {
    let Detection::Stamped(mut detected) = detection else {
        return detection;
    };
    detected.why = format!(
        "{} of {} lines are a container runtime's, stamped {place}",
        detected.stamped_lines,
        lines.iter().filter(|(_, line)| !line.is_empty()).count()
    );
    if let (Locator::After(literal), Some((_, line))) = (&place, lines.first()) {
        detected.column = memchr::memmem::find(line, literal).map_or(0, |at| at + literal.len());
    }
    for entry in &mut detected.profile.entries {
        entry.locator = place.clone();
    }
    Detection::Stamped(detected)
}

/// Turns the bytes of records into their text: decoded, without envelopes, parts of one line together.
#[derive(Debug, Clone)]
pub struct TextReader {
    form: Form,
    decoded: Vec<u8>,
    text: Vec<u8>,
}

impl TextReader {
    /// For records of this form.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            decoded: Vec::new(),
            text: Vec::new(),
        }
    }

    /// The text of a record that has these bytes; good until the next is asked for.
    ///
    /// # Errors
    /// If it has none.
    pub fn record(&mut self, bytes: &[u8]) -> Result<&[u8], NoText> {
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        let outcome = self.form.encoding.decode(bytes, &mut decoded);
        let outcome = outcome.and_then(|()| self.strip(&decoded));
        self.decoded = decoded;
        outcome.map(|()| self.text.as_slice())
    }

    fn strip(&mut self, decoded: &[u8]) -> Result<(), NoText> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let mut is_parted = false;
        if self.form.envelope == Envelope::None {
            text.extend_from_slice(decoded);
        } else {
            let (mut stream, mut goes_on) = (None, true);
            for line in decoded.split(|byte| *byte == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let Some(part) = self.form.envelope.part(line) else {
                    continue;
                };
                // Lines of the other stream may stand between the parts of one.
                if *stream.get_or_insert(part.stream) != part.stream {
                    continue;
                }
                if !goes_on {
                    text.push(b'\n');
                }
                self.append(&part, &mut text);
                goes_on = part.is_partial;
                is_parted = part.is_partial;
            }
        }
        self.text = text;
        match is_parted {
            true => Err(NoText::Parted),
            false => Ok(()),
        }
    }

    fn append(&mut self, part: &Part<'_>, text: &mut Vec<u8>) {
        if part.is_escaped {
            crate::fields::unescape(part.payload, text);
            if text.last() == Some(&b'\n') {
                text.pop();
            }
        } else {
            text.extend_from_slice(part.payload);
        }
    }
}

/// What a line is to the records of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineRole {
    /// It may begin a record.
    MayBegin,
    /// It is the rest of a line that the runtime cut.
    GoesOn,
}

/// Reads the lines of a file one after the other, for what finds their stamps.
#[derive(Debug, Clone)]
pub struct LineReader {
    reader: TextReader,
    /// Whether the last line of a stream was cut.
    goes_on: [bool; STREAMS],
    line: Vec<u8>,
}

impl LineReader {
    /// For a file of this form, from its first line on.
    pub fn new(form: Form) -> Self {
        Self {
            reader: TextReader::new(form),
            goes_on: [false; STREAMS],
            line: Vec::new(),
        }
    }

    /// The form.
    pub fn form(&self) -> Form {
        self.reader.form
    }

    /// Takes the next line, without its end.
    pub fn take(&mut self, line: &[u8]) -> LineRole {
        self.line.clear();
        let form = self.reader.form;
        if form.encoding.decode(line, &mut self.line).is_err() {
            // Its stamp may be whole; the record will be a loss where its text is asked for.
            self.line.clear();
            form.encoding.decode_lossy(line, &mut self.line);
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        let Some(part) = form.envelope.part(&self.line) else {
            return LineRole::MayBegin;
        };
        match std::mem::replace(&mut self.goes_on[part.stream % STREAMS], part.is_partial) {
            true => LineRole::GoesOn,
            false => LineRole::MayBegin,
        }
    }

    /// The line that was taken last, decoded.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// What it says without its envelope.
    pub fn payload(&mut self) -> &[u8] {
        let mut text = std::mem::take(&mut self.reader.text);
        text.clear();
        match self.reader.form.envelope.part(&self.line) {
            Some(part) => self.reader.append(&part, &mut text),
            None => text.extend_from_slice(&self.line),
        }
        self.reader.text = text;
        &self.reader.text
    }
}

#[cfg(test)]
mod tests;
