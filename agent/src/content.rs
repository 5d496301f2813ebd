//! Hashes that tell whether a file still holds the bytes it held: the content half of identity (F6).
//!
//! XXH3-64 with seed 0: fast, fixed for ever, and not a defence against someone who may write the log anyway.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use xxhash_rust::xxh3::xxh3_64;

use crate::protocol::{FINGERPRINT_BYTES, Fingerprint, KnownVerdict, TAIL_BYTES, TailHash};

/// Reads up to `buffer.len()` bytes at an offset, going on after short reads until the buffer or the file ends.
pub(crate) fn read_at(file: &OwnedFd, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(filled)
}

/// The first bytes of a file, up to [`FINGERPRINT_BYTES`].
pub(crate) struct Head {
    buffer: [u8; FINGERPRINT_BYTES],
    length: usize,
}

impl Head {
    /// Reads them. One system call.
    pub(crate) fn read(file: &OwnedFd) -> Result<Self, Errno> {
        let mut buffer = [0; FINGERPRINT_BYTES];
        let length = read_at(file, 0, &mut buffer)?;
        Ok(Self { buffer, length })
    }

    /// Their hash over at most `length` bytes.
    pub(crate) fn fingerprint(&self, length: usize) -> Fingerprint {
        fingerprint_of(&self.buffer[..self.length.min(length)])
    }
}

/// Hash of the first `length` bytes, or of as many as there are; at most [`FINGERPRINT_BYTES`].
pub fn fingerprint(file: &OwnedFd, length: usize) -> Result<Fingerprint, Errno> {
    Ok(Head::read(file)?.fingerprint(length))
}

/// The same over bytes in memory.
pub fn fingerprint_of(head: &[u8]) -> Fingerprint {
    let head = &head[..head.len().min(FINGERPRINT_BYTES)];
    Fingerprint {
        length: head.len() as u32,
        hash: xxh3_64(head),
    }
}

/// Hash of up to [`TAIL_BYTES`] before `offset`; None if the file ends before it.
pub fn tail_hash(file: &OwnedFd, offset: u64) -> Result<Option<TailHash>, Errno> {
    let mut buffer = [0; TAIL_BYTES];
    let from = offset.saturating_sub(TAIL_BYTES as u64);
    let wanted = &mut buffer[..(offset - from) as usize];
    let read = read_at(file, from, wanted)?;
    Ok((read == wanted.len()).then(|| TailHash {
        offset,
        hash: xxh3_64(wanted),
    }))
}

/// The same over the bytes that end at `offset`: at least the last [`TAIL_BYTES`] before it, or all from 0.
pub fn tail_hash_of(offset: u64, before: &[u8]) -> TailHash {
    let length = before
        .len()
        .min(TAIL_BYTES)
        .min(usize::try_from(offset).unwrap_or(usize::MAX));
    TailHash {
        offset,
        hash: xxh3_64(&before[before.len() - length..]),
    }
}

/// Whether the file still holds the known head, and the known bytes before an offset.
pub fn compare(file: &OwnedFd, size: u64, head: Fingerprint, tail: Option<TailHash>) -> Result<KnownVerdict, Errno> {
    if size < u64::from(head.length) || tail.is_some_and(|tail| size < tail.offset) {
        return Ok(KnownVerdict::Shrunk);
    }
    if fingerprint(file, head.length as usize)? != head {
        return Ok(KnownVerdict::HeadDiffers);
    }
    let Some(tail) = tail else {
        return Ok(KnownVerdict::Same);
    };
    Ok(match tail_hash(file, tail.offset)? {
        None => KnownVerdict::Shrunk,
        Some(now) if now == tail => KnownVerdict::Same,
        Some(_) => KnownVerdict::TailDiffers,
    })
}
