//! Encodings: how bytes become UTF-8.
//!
//! UTF-16 is recognised, by its byte order mark or by its zeros; its line ends are two bytes, so lines must be found by
//! it too. Encodings that keep ASCII (GBK, GB18030, Big5, Shift_JIS, EUC, Latin-1 and its kin) must be named: their
//! bytes look alike. UTF-8 is read as bytes and never validated.

use super::NoText;
use encoding_rs::{DecoderResult, Encoding as Known, UTF_16BE, UTF_16LE};
use memchr::memchr;

/// Bytes that are looked at for the zeros of UTF-16.
const PROBE_BYTES: usize = 1024;
/// Pairs of bytes that must be ASCII with a zero, of a hundred.
const ZEROS_PERCENT_MIN: usize = 60;

/// How bytes become characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8, or anything else that keeps ASCII and is passed on as it is.
    #[default]
    Bytes,
    /// One that is decoded.
    Decoded(&'static Known),
}

/// Why an encoding is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// No such name.
    #[error("unknown encoding `{name}`: write a name of the WHATWG's list, such as gbk, gb18030, latin1 or utf-16le")]
    Unknown {
        /// As written.
        name: String,
    },
    /// One whose bytes mean something else after others (ISO-2022-JP), so that no line can be read alone.
    #[error(
        "encoding `{name}` has shift states, so that no line of it can be read alone: have the log written in UTF-8"
    )]
    Stateful {
        /// As written.
        name: String,
    },
}

impl Encoding {
    /// By its name or one of its labels in the WHATWG's Encoding Standard.
    ///
    /// # Errors
    /// If there is none, or it can't be read line by line.
    pub fn parse(name: &str) -> Result<Self, EncodingError> {
        let known = Known::for_label_no_replacement(name.as_bytes());
        match known {
            Some(known) if known == encoding_rs::UTF_8 => Ok(Encoding::Bytes),
            Some(known) if known == encoding_rs::ISO_2022_JP => Err(EncodingError::Stateful { name: name.to_owned() }),
            Some(known) => Ok(Encoding::Decoded(known)),
            None => Err(EncodingError::Unknown { name: name.to_owned() }),
        }
    }

    /// What a file's first bytes tell: UTF-16, or bytes as they are.
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0xff, 0xfe, ..] => return Encoding::Decoded(UTF_16LE),
            [0xfe, 0xff, ..] => return Encoding::Decoded(UTF_16BE),
            _ => {}
        }
        let pairs = head[..head.len().min(PROBE_BYTES)].as_chunks::<2>().0;
        let share = |is_it: fn(&[u8; 2]) -> bool| {
            let count = pairs.iter().filter(|pair| is_it(pair)).count();
            pairs.len() >= 4 && count * 100 >= pairs.len() * ZEROS_PERCENT_MIN
        };
        if share(|pair| pair[1] == 0 && pair[0].is_ascii() && pair[0] != 0) {
            Encoding::Decoded(UTF_16LE)
        } else if share(|pair| pair[0] == 0 && pair[1].is_ascii() && pair[1] != 0) {
            Encoding::Decoded(UTF_16BE)
        } else {
            Encoding::Bytes
        }
    }

    /// The name of the Encoding Standard.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Bytes => "UTF-8",
            Encoding::Decoded(known) => known.name(),
        }
    }

    /// Bytes of a unit: a line end is one.
    pub fn unit(self) -> usize {
        match self {
            Encoding::Decoded(known) if known == UTF_16LE || known == UTF_16BE => 2,
            _ => 1,
        }
    }

    /// The first line end in bytes that begin at an offset of their file: where it begins, and its length. `None` if
    /// there is none, or only a half of one at the end.
    #[inline]
    pub fn line_end(self, bytes: &[u8], offset: u64) -> Option<(usize, usize)> {
        match self {
            Encoding::Decoded(known) if known == UTF_16LE || known == UTF_16BE => {
                line_end_of_units(bytes, offset, known == UTF_16BE)
            }
            _ => memchr(b'\n', bytes).map(|at| (at, 1)),
        }
    }

    /// Appends the text of bytes that are whole characters, without a byte order mark.
    ///
    /// # Errors
    /// If some are no character; what stands before them is appended.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NoText> {
        let Encoding::Decoded(known) = self else {
            out.extend_from_slice(bytes);
            return Ok(());
        };
        let mut decoder = known.new_decoder_with_bom_removal();
        let needed = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
        let begin = out.len();
        out.resize(begin + needed.unwrap_or(0), 0);
        let (result, _, written) = decoder.decode_to_utf8_without_replacement(bytes, &mut out[begin..], true);
        out.truncate(begin + written);
        match result {
            DecoderResult::InputEmpty => Ok(()),
            DecoderResult::OutputFull | DecoderResult::Malformed(..) => Err(NoText::Undecodable),
        }
    }

    /// The same, with U+FFFD in the place of what is no character.
    pub fn decode_lossy(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Encoding::Bytes => out.extend_from_slice(bytes),
            Encoding::Decoded(known) => out.extend_from_slice(known.decode_with_bom_removal(bytes).0.as_bytes()),
        }
    }
}

/// A line feed of two bytes that begins at an even offset: inside other characters the same bytes may stand.
fn line_end_of_units(bytes: &[u8], offset: u64, big_endian: bool) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = memchr(b'\n', &bytes[from..]) {
        let at = from + found;
        let begin = if big_endian { at.checked_sub(1) } else { Some(at) };
        if let Some(begin) = begin
            && (offset + begin as u64).is_multiple_of(2)
            && let Some(unit) = bytes.get(begin..begin + 2)
            && (unit == b"\n\0" || unit == b"\0\n")
        {
            return Some((begin, 2));
        }
        from = at + 1;
    }
    None
}
