//! gzip (RFC 1952): members one after the other, each with a header, deflated bytes, a CRC32 and a length.

use crate::{Fault, Place, Waiting};
use flate2::{Crc, Decompress, FlushDecompress, Status};

/// The first bytes of a member: its magic, and the one method there is.
pub(crate) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Bytes of a header before its optional fields.
const FIXED_BYTES: usize = 10;
/// Longest header that is read: an extra field of the greatest length, and a name and a comment longer than any tool's.
const HEADER_BYTES_MAX: usize = 128 << 10;
/// CRC32 and length, behind the deflated bytes.
const TRAILER_BYTES: usize = 8;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A member's header.
    Header,
    /// Deflated bytes.
    Body,
    /// Its CRC32 and length.
    Trailer,
    /// Another member, or zeros that fill a tape's block.
    Between,
    /// Those zeros.
    Padding,
}

/// Inflates members.
pub(crate) struct Decoder {
    state: State,
    inflate: Decompress,
    crc: Crc,
    /// Bytes of the member; the format keeps them modulo 2³².
    length: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            state: State::Header,
            inflate: Decompress::new(false),
            crc: Crc::new(),
            length: 0,
        }
    }
}

impl Decoder {
    pub(crate) fn place(&self, waiting: &Waiting) -> Place {
        match self.state {
            State::Between | State::Padding if waiting.get().is_empty() => Place::Between,
            _ => Place::Within,
        }
    }

    pub(crate) fn read(&mut self, waiting: &mut Waiting, into: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let before = (self.state, waiting.get().len());
            match self.state {
                State::Header => self.header(waiting)?,
                State::Body => {
                    let given = self.body(waiting, into)?;
                    if given > 0 {
                        return Ok(given);
                    }
                }
                State::Trailer => self.trailer(waiting)?,
                State::Between => match waiting.get() {
                    [0, ..] => self.state = State::Padding,
                    // What follows must be a member, which its header shows.
                    [_, ..] => self.state = State::Header,
                    [] => {}
                },
                State::Padding => {
                    if waiting.get().iter().any(|byte| *byte != 0) {
                        return Err(Fault::corrupt("other bytes behind its end"));
                    }
                    waiting.take(waiting.get().len());
                }
            }
            if before == (self.state, waiting.get().len()) {
                return Ok(0);
            }
        }
    }

    fn header(&mut self, waiting: &mut Waiting) -> Result<(), Fault> {
        let bytes = waiting.get();
        let known = bytes.len().min(MAGIC.len());
        if bytes[..known] != MAGIC[..known] {
            return Err(Fault::corrupt("a member does not begin as gzip does"));
        }
        match header_length(bytes)? {
            Some(length) => {
                waiting.take(length);
                self.inflate.reset(false);
                self.crc.reset();
                self.length = 0;
                self.state = State::Body;
            }
            None if bytes.len() > HEADER_BYTES_MAX => return Err(Fault::corrupt("a header without end")),
            None => {}
        }
        Ok(())
    }

    fn body(&mut self, waiting: &mut Waiting, into: &mut [u8]) -> Result<usize, Fault> {
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(waiting.get(), into, FlushDecompress::None)
            .map_err(|_| Fault::corrupt("deflated bytes that make no sense"))?;
        let used = self.inflate.total_in() - before_in;
        let given = (self.inflate.total_out() - before_out) as usize;
        waiting.take(used as usize);
        self.crc.update(&into[..given]);
        self.length = self.length.wrapping_add(given as u32);
        if status == Status::StreamEnd {
            self.state = State::Trailer;
        }
        Ok(given)
    }

    fn trailer(&mut self, waiting: &mut Waiting) -> Result<(), Fault> {
        let Some(bytes) = waiting.get().first_chunk::<TRAILER_BYTES>() else {
            return Ok(());
        };
        let [a, b, c, d, rest @ ..] = *bytes;
        if u32::from_le_bytes([a, b, c, d]) != self.crc.sum() {
            return Err(Fault::corrupt("its CRC32 is another"));
        }
        if u32::from_le_bytes(rest) != self.length {
            return Err(Fault::corrupt("its length is another"));
        }
        waiting.take(TRAILER_BYTES);
        self.state = State::Between;
        Ok(())
    }
}

/// Length of the header that begins here; `None` if it is not all there yet.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    const CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;
    let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else {
        return Ok(None);
    };
    let flags = fixed[3];
    if flags & RESERVED != 0 {
        return Err(Fault::corrupt("a header with flags that mean nothing"));
    }
    let mut at = FIXED_BYTES;
    if flags & EXTRA != 0 {
        let Some(length) = bytes[at..].first_chunk::<2>() else {
            return Ok(None);
        };
        at += 2 + usize::from(u16::from_le_bytes(*length));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let text = bytes.get(at..).unwrap_or_default();
            let Some(end) = text.iter().position(|byte| *byte == 0) else {
                return Ok(None);
            };
            at += end + 1;
        }
    }
    if flags & CRC != 0 {
        let Some(told) = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()) else {
            return Ok(None);
        };
        let mut crc = Crc::new();
        crc.update(&bytes[..at]);
        if u16::from_le_bytes(*told) != crc.sum() as u16 {
            return Err(Fault::corrupt("the checksum of a header is another"));
        }
        at += 2;
    }
    Ok((at <= bytes.len()).then_some(at))
}
