//! How a row lies on the disk: a checksum, a few numbers, bytes.
//!
//! redb checks its pages after a crash only, not when it reads them; and a value read from a disk that lies must not
//! be shown as if it were true. So every row carries a CRC-32C over its key and content, and one that does not fit is
//! an error, never a value.

use crate::traits::{Fence, StoredWindow, WindowWrite};

/// Bytes of a row's checksum, which it begins with.
const CHECKSUM_BYTES: usize = 4;
/// Header and body up to this stand in one row; a larger body stands apart, so that reading headers does not read it.
pub(super) const INLINE_BYTES_MAX: usize = 512;
/// The window needs nobody's attention.
const FLAG_DONE: u8 = 1;
/// The body stands in a row of its own.
const FLAG_BODY_APART: u8 = 2;

/// Bytes left free behind a row that is not done: it is written again, often some bytes longer, and a leaf that is
/// full would then be split into two that nothing fills any more (248 bytes a window instead of 141, measured).
fn room(content_bytes: usize) -> usize {
    8 + content_bytes / 8
}

/// The checksum of a row does not fit, or it cannot be read for another reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// A checksum of the parts of a row's key and of its content.
pub(super) fn checksum(key: &[&[u8]], content: &[u8]) -> u32 {
    let mut sum = 0;
    for part in key {
        // Lengths first, so that no two keys give the same bytes.
        sum = crc32c::crc32c_append(sum, &(part.len() as u64).to_le_bytes());
        sum = crc32c::crc32c_append(sum, part);
    }
    crc32c::crc32c_append(sum, content)
}

/// A row of `content` as it is.
pub(super) fn sealed(key: &[&[u8]], content: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(CHECKSUM_BYTES + content.len());
    row.extend_from_slice(&checksum(key, content).to_le_bytes());
    row.extend_from_slice(content);
    row
}

/// The content of a row.
pub(super) fn opened<'a>(key: &[&[u8]], row: &'a [u8]) -> Result<&'a [u8], Damaged> {
    let (sum, content) = row.split_first_chunk::<CHECKSUM_BYTES>().ok_or(Damaged)?;
    if u32::from_le_bytes(*sum) == checksum(key, content) {
        Ok(content)
    } else {
        Err(Damaged)
    }
}

/// Which window of which monitor: what checksums of its rows begin with.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowKey([u8; 12]);

impl WindowKey {
    pub(super) fn new(monitor: u32, window_ns: i64) -> Self {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&monitor.to_le_bytes());
        bytes[4..].copy_from_slice(&window_ns.to_le_bytes());
        WindowKey(bytes)
    }

    pub(super) fn window(&self) -> [&[u8]; 1] {
        [&self.0]
    }

    /// The key of a body apart: it names the revision, so that one cannot be taken for another's.
    pub(super) fn body<'a>(&'a self, revision: &'a [u8; 8]) -> [&'a [u8]; 2] {
        [&self.0, revision]
    }

    pub(super) fn piece<'a>(&'a self, key: &'a [u8]) -> [&'a [u8]; 2] {
        [&self.0, key]
    }
}

/// Where a window's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyPlace<'a> {
    /// In the same row.
    Here(&'a [u8]),
    /// In a row of its own.
    Apart,
}

/// A window's row, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WindowRow<'a> {
    pub(super) fence: Fence,
    pub(super) length_ns: i64,
    pub(super) done: bool,
    pub(super) header: &'a [u8],
    pub(super) body: BodyPlace<'a>,
}

impl<'a> WindowRow<'a> {
    /// The row that a write makes.
    pub(super) fn of(write: &'a WindowWrite) -> Self {
        let inline = write.header.len() + write.body.len() <= INLINE_BYTES_MAX;
        WindowRow {
            fence: write.fence,
            length_ns: write.length_ns,
            done: write.done,
            header: &write.header,
            body: if inline {
                BodyPlace::Here(&write.body)
            } else {
                BodyPlace::Apart
            },
        }
    }

    pub(super) fn encode(&self, key: &WindowKey) -> Vec<u8> {
        let body: &[u8] = match self.body {
            BodyPlace::Here(body) => body,
            BodyPlace::Apart => &[],
        };
        let content_bytes = self.header.len() + body.len();
        let mut row = Vec::with_capacity(content_bytes + room(content_bytes) + 48);
        row.extend_from_slice(&[0; CHECKSUM_BYTES]);
        let done = if self.done { FLAG_DONE } else { 0 };
        let apart = if self.body == BodyPlace::Apart {
            FLAG_BODY_APART
        } else {
            0
        };
        row.push(done | apart);
        push_number(&mut row, self.fence.epoch);
        push_number(&mut row, self.fence.revision);
        push_number(&mut row, zigzag(self.length_ns));
        push_number(&mut row, self.header.len() as u64);
        push_number(&mut row, body.len() as u64);
        row.extend_from_slice(self.header);
        row.extend_from_slice(body);
        if !self.done {
            row.resize(row.len() + room(content_bytes), 0);
        }
        let sum = checksum(&key.window(), &row[CHECKSUM_BYTES..]);
        row[..CHECKSUM_BYTES].copy_from_slice(&sum.to_le_bytes());
        row
    }

    pub(super) fn decode(key: &WindowKey, row: &'a [u8]) -> Result<Self, Damaged> {
        let content = opened(&key.window(), row)?;
        let (&flags, mut rest) = content.split_first().ok_or(Damaged)?;
        if flags & !(FLAG_DONE | FLAG_BODY_APART) != 0 {
            return Err(Damaged);
        }
        let (epoch, revision) = (take_number(&mut rest)?, take_number(&mut rest)?);
        let length_ns = unzigzag(take_number(&mut rest)?);
        let (header_bytes, body_bytes) = (take_length(&mut rest)?, take_length(&mut rest)?);
        let (header, rest) = rest.split_at_checked(header_bytes).ok_or(Damaged)?;
        let (body, _room) = rest.split_at_checked(body_bytes).ok_or(Damaged)?;
        Ok(WindowRow {
            fence: Fence { epoch, revision },
            length_ns,
            done: flags & FLAG_DONE != 0,
            header,
            body: if flags & FLAG_BODY_APART == 0 {
                BodyPlace::Here(body)
            } else {
                BodyPlace::Apart
            },
        })
    }

    /// The window as it is answered, with this body.
    pub(super) fn stored(&self, window_ns: i64, body: Vec<u8>) -> StoredWindow {
        StoredWindow {
            window_ns,
            length_ns: self.length_ns,
            fence: self.fence,
            done: self.done,
            header: self.header.to_vec(),
            body,
        }
    }
}

/// LEB128: seven bits a byte, the least first.
fn push_number(row: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        row.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    row.push(number as u8);
}

fn take_number(rest: &mut &[u8]) -> Result<u64, Damaged> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first().ok_or(Damaged)?;
        *rest = behind;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(Damaged);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Damaged)
}

fn take_length(rest: &mut &[u8]) -> Result<usize, Damaged> {
    usize::try_from(take_number(rest)?).map_err(|_| Damaged)
}

/// Small numbers of either sign as small numbers without one.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traits::PieceChange;
    use proptest::prelude::*;

    fn write(header: Vec<u8>, body: Vec<u8>, numbers: (u64, u64, i64, bool)) -> WindowWrite {
        let (epoch, revision, length_ns, done) = numbers;
        WindowWrite {
            monitor: String::new(),
            window_ns: 0,
            length_ns,
            fence: Fence { epoch, revision },
            done,
            header,
            body,
            pieces: PieceChange::Drop,
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            header in proptest::collection::vec(any::<u8>(), 0..300),
            body in proptest::collection::vec(any::<u8>(), 0..600),
            numbers in any::<(u64, u64, i64, bool)>(),
            place in any::<(u32, i64)>(),
        ) {
            let write = write(header, body, numbers);
            let row = WindowRow::of(&write);
            let key = WindowKey::new(place.0, place.1);
            let encoded = row.encode(&key);
            prop_assert_eq!(WindowRow::decode(&key, &encoded), Ok(row));
        }

        #[test]
        fn any_flipped_bit_and_any_other_place_is_seen(
            body in proptest::collection::vec(any::<u8>(), 0..60),
            flip in any::<proptest::sample::Index>(),
            bit in 0..8u32,
        ) {
            let write = write(vec![1, 2, 3], body, (3, 4, 1_000_000_000, false));
            let key = WindowKey::new(7, -5);
            let mut encoded = WindowRow::of(&write).encode(&key);
            prop_assert_eq!(WindowRow::decode(&WindowKey::new(8, -5), &encoded), Err(Damaged));
            prop_assert_eq!(WindowRow::decode(&WindowKey::new(7, 5), &encoded), Err(Damaged));
            let at = flip.index(encoded.len());
            encoded[at] ^= 1 << bit;
            prop_assert_eq!(WindowRow::decode(&key, &encoded), Err(Damaged));
            prop_assert_eq!(WindowRow::decode(&key, &encoded[..at]), Err(Damaged));
        }
    }

    #[test]
    fn numbers_at_their_ends() {
        for number in [0, 1, 127, 128, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            let mut rest = bytes.as_slice();
            assert_eq!((take_number(&mut rest), rest.len()), (Ok(number), 0));
        }
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert_eq!(take_number(&mut [0xff; 10].as_slice()), Err(Damaged), "too long");
        assert_eq!(take_number(&mut [0x80].as_slice()), Err(Damaged), "too short");
    }

    #[test]
    fn a_small_window_takes_few_bytes_and_a_done_one_no_room() {
        let undone = write(vec![0; 50], vec![0; 50], (3, 2, 5_000_000_000, false));
        let done = WindowWrite {
            done: true,
            ..undone.clone()
        };
        let key = WindowKey::new(1, 1);
        assert_eq!(WindowRow::of(&done).encode(&key).len(), 100 + 4 + 1 + 2 + 5 + 2);
        assert_eq!(WindowRow::of(&undone).encode(&key).len(), 114 + room(100));
        let large = write(vec![0; 50], vec![0; INLINE_BYTES_MAX - 49], (1, 1, 1, true));
        assert_eq!(WindowRow::of(&large).body, BodyPlace::Apart);
    }
}
