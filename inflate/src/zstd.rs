//! zstd (RFC 8878): frames one after the other, each with a header, blocks, and mostly a checksum; and skippable ones.
//!
//! The decoder is handed whole blocks only, so what is at hand is cut here.

use crate::{Cap, Fault, Place, Waiting};
use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::Read;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Most bytes of one block, by the format.
const BLOCK_BYTES_MAX: usize = 128 << 10;
/// Bytes before a block's content.
const BLOCK_HEADER_BYTES: usize = 3;
const CHECKSUM_BYTES: usize = 4;

/// Whether a file of zstd begins so.
pub(crate) fn is_magic(head: &[u8]) -> bool {
    head.starts_with(&MAGIC) || is_skippable(head)
}

fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// What a frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    has_checksum: bool,
    /// Bytes of the content, if that is told.
    length: Option<u64>,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A frame's header, or the file's end.
    Between,
    /// A block.
    Blocks(Frame),
    /// Nothing: the last block of a frame was decoded, what it gave is read.
    Ended(Frame),
    /// So many bytes that mean nothing.
    Skipping(u64),
}

/// Inflates frames.
pub(crate) struct Decoder {
    state: State,
    frames: FrameDecoder,
    window_bytes_max: u64,
    /// Bytes given of this frame.
    given: u64,
    /// Whether there was a frame: an empty file is none.
    has_begun: bool,
}

impl Decoder {
    pub(crate) fn new(window_bytes_max: u64) -> Self {
        let mut frames = FrameDecoder::new();
        frames.set_max_window_size(window_bytes_max);
        Self {
            state: State::Between,
            frames,
            window_bytes_max,
            given: 0,
            has_begun: false,
        }
    }

    pub(crate) fn place(&self, waiting: &Waiting) -> Place {
        let is_between = matches!(self.state, State::Between | State::Skipping(0));
        match is_between && self.has_begun && waiting.get().is_empty() {
            true => Place::Between,
            false => Place::Within,
        }
    }

    pub(crate) fn read(&mut self, waiting: &mut Waiting, into: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let before = (self.state, waiting.get().len());
            match self.state {
                State::Between => self.header(waiting)?,
                State::Blocks(frame) => {
                    let given = self.give(into)?;
                    if given > 0 {
                        return Ok(given);
                    }
                    self.block(frame, waiting)?;
                }
                State::Ended(frame) => {
                    let given = self.give(into)?;
                    if given > 0 {
                        return Ok(given);
                    }
                    self.end(frame)?;
                }
                State::Skipping(0) => self.state = State::Between,
                State::Skipping(left) => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(waiting.get().len());
                    waiting.take(count);
                    self.state = State::Skipping(left - count as u64);
                }
            }
            if before == (self.state, waiting.get().len()) {
                return Ok(0);
            }
        }
    }

    fn give(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        let given = self.frames.read(into).map_err(Fault::corrupt)?;
        self.given += given as u64;
        Ok(given)
    }

    fn header(&mut self, waiting: &mut Waiting) -> Result<(), Fault> {
        let bytes = waiting.get();
        if bytes.len() < MAGIC.len() {
            return Ok(());
        }
        if is_skippable(bytes) {
            if let Some([_, _, _, _, length @ ..]) = bytes.first_chunk::<8>() {
                let length = u32::from_le_bytes(*length);
                waiting.take(8);
                self.has_begun = true;
                self.state = State::Skipping(length.into());
            }
            return Ok(());
        }
        if !bytes.starts_with(&MAGIC) {
            return Err(Fault::corrupt("a frame does not begin as zstd does"));
        }
        let Some((length, frame)) = frame_header(bytes) else {
            return Ok(());
        };
        match self.frames.reset(&bytes[..length]) {
            Ok(()) => {}
            Err(FrameDecoderError::WindowSizeTooBig { .. }) => return Err(Cap::Window(self.window_bytes_max).into()),
            Err(error) => return Err(Fault::corrupt(error)),
        }
        waiting.take(length);
        (self.given, self.has_begun) = (0, true);
        self.state = State::Blocks(frame);
        Ok(())
    }

    fn block(&mut self, frame: Frame, waiting: &mut Waiting) -> Result<(), Fault> {
        let bytes = waiting.get();
        let Some([a, b, c]) = bytes.first_chunk::<BLOCK_HEADER_BYTES>().copied() else {
            return Ok(());
        };
        let header = u32::from_le_bytes([a, b, c, 0]);
        let (is_last, kind, size) = (header & 1 == 1, header >> 1 & 3, (header >> 3) as usize);
        if size > BLOCK_BYTES_MAX {
            return Err(Fault::corrupt("a block that is too large"));
        }
        const RUN: u32 = 1;
        let content = if kind == RUN { 1 } else { size };
        let checksum = if is_last && frame.has_checksum {
            CHECKSUM_BYTES
        } else {
            0
        };
        let needed = BLOCK_HEADER_BYTES + content + checksum;
        let Some(block) = bytes.get(..needed) else {
            return Ok(());
        };
        self.frames
            .decode_blocks(block, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|error| Fault::corrupt(format!("a block that makes no sense ({error})")))?;
        waiting.take(needed);
        if is_last {
            self.state = State::Ended(frame);
        }
        Ok(())
    }

    fn end(&mut self, frame: Frame) -> Result<(), Fault> {
        let (told, found) = (
            self.frames.get_checksum_from_data(),
            self.frames.get_calculated_checksum(),
        );
        if frame.has_checksum && told != found {
            return Err(Fault::corrupt("its checksum is another"));
        }
        if frame.length.is_some_and(|length| length != self.given) {
            return Err(Fault::corrupt("its length is another"));
        }
        self.state = State::Between;
        Ok(())
    }
}

/// Length of the header that begins here with its magic, and what matters of it; `None` if it is not all there yet.
fn frame_header(bytes: &[u8]) -> Option<(usize, Frame)> {
    let flags = *bytes.get(MAGIC.len())?;
    let is_single = flags & 0x20 != 0;
    let window = usize::from(!is_single);
    let dictionary = [0, 1, 2, 4][usize::from(flags & 3)];
    let length_bytes = match (flags >> 6, is_single) {
        (0, false) => 0,
        (0, true) => 1,
        (1, _) => 2,
        (2, _) => 4,
        _ => 8,
    };
    let at = MAGIC.len() + 1 + window + dictionary;
    let told = bytes.get(at..at + length_bytes)?;
    let mut length = [0; 8];
    length[..length_bytes].copy_from_slice(told);
    // Two bytes count from 256 on.
    let offset = if length_bytes == 2 { 256 } else { 0 };
    let frame = Frame {
        has_checksum: flags & 4 != 0,
        length: (length_bytes > 0).then(|| u64::from_le_bytes(length) + offset),
    };
    Some((at + length_bytes, frame))
}
