//! Frames: a fixed header with its own checksum, then a payload with another. Pure.
//!
//! Layout, little-endian: length of the payload `u32`, kind `u8`, three zero bytes, id `u64`, CRC-32C of the payload
//! `u32`, CRC-32C of the 20 bytes before `u32`. The header has a checksum of its own so that a flipped length is seen
//! before a byte of payload is awaited or allocated. CRC-32C (Castagnoli; polynomial as in RFC 3720) finds every burst
//! of up to 32 bits.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 24;
/// The part of the header that its checksum covers.
const CHECKED_BYTES: usize = 20;

/// What a frame is; a closed set, unknown ones are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Handshake, client: who I am and what I want.
    Hello = 1,
    /// Handshake, server: who I am, my limits, prove that you know the token.
    Challenge = 2,
    /// Handshake, client: the proof.
    Proof = 3,
    /// Handshake, server: my proof; the connection is open.
    Welcome = 4,
    /// Handshake, server: no, and why.
    Refused = 5,
    /// A question, with its time left and its credit.
    Request = 16,
    /// A part of an answer; more follows.
    Part = 17,
    /// The end of an answer.
    Response = 18,
    /// The end of an answer that was refused.
    Refusal = 19,
    /// The asker wants no answer any longer.
    Cancel = 20,
    /// The asker can take more parts.
    Credit = 21,
    /// Are you there.
    Ping = 22,
    /// I am.
    Pong = 23,
    /// No new requests, please: I am stopping.
    Goodbye = 24,
    /// Bulk lane: the typed head of an answer.
    BulkHead = 32,
    /// Bulk lane: a range of a file begins.
    BulkItem = 33,
    /// Bulk lane: raw bytes follow the header; see [`crate::bulk`].
    BulkChunk = 34,
    /// Bulk lane: the range's true length and why it ended.
    BulkItemEnd = 35,
    /// Bulk lane: the typed tail of an answer.
    BulkTail = 36,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 19] = [
        Kind::Hello,
        Kind::Challenge,
        Kind::Proof,
        Kind::Welcome,
        Kind::Refused,
        Kind::Request,
        Kind::Part,
        Kind::Response,
        Kind::Refusal,
        Kind::Cancel,
        Kind::Credit,
        Kind::Ping,
        Kind::Pong,
        Kind::Goodbye,
        Kind::BulkHead,
        Kind::BulkItem,
        Kind::BulkChunk,
        Kind::BulkItemEnd,
        Kind::BulkTail,
    ];

    fn from_byte(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What is wrong with a frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// More payload than may be.
    #[error("a frame of {length} bytes exceeds the limit of {limit}; ask for less at a time or raise the limit")]
    TooLarge {
        /// Bytes announced or to be sent.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The header's checksum is wrong.
    #[error("a frame's header is damaged; is the other end speaking this protocol?")]
    HeaderDamaged,
    /// The payload's checksum is wrong.
    #[error("a frame's payload is damaged; look for a faulty network card, memory or middlebox")]
    PayloadDamaged,
    /// An undamaged header of a kind that does not exist in this version.
    #[error("a frame of the unknown kind {0}; the other end runs another version")]
    UnknownKind(u8),
    /// A frame that must not come here.
    #[error("a {0:?} frame came out of turn; the other end is faulty")]
    OutOfTurn(Kind),
}

/// A checked header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// The request it belongs to, 0 where there is none.
    pub id: u64,
    /// Bytes of payload.
    pub length: usize,
    payload_check: u32,
}

impl Header {
    /// Checks a header against damage and against the payload limit.
    pub fn decode(bytes: &[u8; HEADER_BYTES], payload_bytes_max: usize) -> Result<Header, FrameError> {
        let [
            l0,
            l1,
            l2,
            l3,
            kind,
            zero0,
            zero1,
            zero2,
            i0,
            i1,
            i2,
            i3,
            i4,
            i5,
            i6,
            i7,
            p0,
            p1,
            p2,
            p3,
            h0,
            h1,
            h2,
            h3,
        ] = *bytes;
        if crc32c::crc32c(&bytes[..CHECKED_BYTES]) != u32::from_le_bytes([h0, h1, h2, h3]) {
            return Err(FrameError::HeaderDamaged);
        }
        if [zero0, zero1, zero2] != [0; 3] {
            return Err(FrameError::UnknownKind(kind));
        }
        let kind = Kind::from_byte(kind).ok_or(FrameError::UnknownKind(kind))?;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if length > payload_bytes_max {
            return Err(FrameError::TooLarge {
                length,
                limit: payload_bytes_max,
            });
        }
        let id = u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]);
        Ok(Header {
            kind,
            id,
            length,
            payload_check: u32::from_le_bytes([p0, p1, p2, p3]),
        })
    }

    /// Checks a payload against damage.
    pub fn check(&self, payload: &[u8]) -> Result<(), FrameError> {
        if payload.len() == self.length && crc32c::crc32c(payload) == self.payload_check {
            Ok(())
        } else {
            Err(FrameError::PayloadDamaged)
        }
    }

    /// A header whose payload is not covered by a checksum, since it never passes through this program.
    pub fn encode_unchecked(kind: Kind, id: u64, length: u32) -> [u8; HEADER_BYTES] {
        encode_header(kind, id, length, 0)
    }
}

fn encode_header(kind: Kind, id: u64, length: u32, payload_check: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4] = kind as u8;
    bytes[8..16].copy_from_slice(&id.to_le_bytes());
    bytes[16..20].copy_from_slice(&payload_check.to_le_bytes());
    let check = crc32c::crc32c(&bytes[..CHECKED_BYTES]);
    bytes[CHECKED_BYTES..].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// The request it belongs to, 0 where there is none.
    pub id: u64,
    /// Its payload.
    pub payload: Bytes,
}

/// Encodes a frame of the given payload parts, one after the other; the limit is the receiver's.
pub fn encode(kind: Kind, id: u64, parts: &[&[u8]], payload_bytes_max: usize) -> Result<Bytes, FrameError> {
    let length = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
    let too_large = FrameError::TooLarge {
        length,
        limit: payload_bytes_max,
    };
    let length_u32 = u32::try_from(length).map_err(|_| too_large.clone())?;
    if length > payload_bytes_max {
        return Err(too_large);
    }
    let payload_check = parts.iter().fold(0, |check, part| crc32c::crc32c_append(check, part));
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + length);
    bytes.put_slice(&encode_header(kind, id, length_u32, payload_check));
    for part in parts {
        bytes.put_slice(part);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8], limit: usize) -> Result<Frame, FrameError> {
        let header: &[u8; HEADER_BYTES] = bytes[..HEADER_BYTES].try_into().unwrap();
        let header = Header::decode(header, limit)?;
        let payload = &bytes[HEADER_BYTES..];
        header.check(payload)?;
        Ok(Frame {
            kind: header.kind,
            id: header.id,
            payload: Bytes::copy_from_slice(payload),
        })
    }

    #[test]
    fn the_layout_is_pinned() {
        let bytes = encode(Kind::Ping, 0x0102, &[b"1234", b"56789"], 9).unwrap();
        assert_eq!(bytes[..16], [9, 0, 0, 0, 22, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        // The check value of CRC-32C in every catalogue.
        assert_eq!(bytes[16..20], 0xE306_9283_u32.to_le_bytes());
        assert_eq!(bytes[HEADER_BYTES..], *b"123456789");
    }

    #[test]
    fn limits_hold_on_both_sides() {
        let payload = vec![7; 100];
        let too_large = Err(FrameError::TooLarge { length: 100, limit: 99 });
        assert_eq!(encode(Kind::Part, 1, &[&payload], 99), too_large);
        let bytes = encode(Kind::Part, 1, &[&payload], 100).unwrap();
        assert_eq!(decode(&bytes, 99).map(|_| ()), too_large.map(|_: Bytes| ()));
        assert_eq!(decode(&bytes, 100).unwrap().payload, payload);
    }

    #[test]
    fn kinds_of_other_versions_are_refused() {
        for byte in 0..=u8::MAX {
            let mut bytes = encode_header(Kind::Ping, 1, 0, 0);
            bytes[4] = byte;
            let check = crc32c::crc32c(&bytes[..CHECKED_BYTES]);
            bytes[CHECKED_BYTES..].copy_from_slice(&check.to_le_bytes());
            match Header::decode(&bytes, 0) {
                Ok(header) => assert_eq!(header.kind as u8, byte),
                Err(error) => assert_eq!(error, FrameError::UnknownKind(byte)),
            }
        }
        assert_eq!(
            Kind::ALL
                .into_iter()
                .filter_map(|kind| Kind::from_byte(kind as u8))
                .count(),
            Kind::ALL.len()
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            kind in 0..Kind::ALL.len(),
            id: u64,
            payload in prop::collection::vec(any::<u8>(), 0..300),
            cut in 0usize..300,
        ) {
            let cut = cut.min(payload.len());
            let bytes = encode(Kind::ALL[kind], id, &[&payload[..cut], &payload[cut..]], 300).unwrap();
            let frame = Frame { kind: Kind::ALL[kind], id, payload: payload.into() };
            prop_assert_eq!(decode(&bytes, 300), Ok(frame));
        }

        #[test]
        fn flipped_bits_are_refused(
            id: u64,
            payload in prop::collection::vec(any::<u8>(), 0..200),
            place: prop::sample::Index,
            flip in 1..=u8::MAX,
        ) {
            let mut bytes = encode(Kind::Response, id, &[&payload], 1 << 20).unwrap().to_vec();
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            prop_assert!(decode(&bytes, 1 << 20).is_err());
        }

        #[test]
        fn arbitrary_headers_never_panic_and_are_refused(bytes: [u8; HEADER_BYTES], limit: usize) {
            // A random header passes its checksum once in 2^32.
            prop_assert!(Header::decode(&bytes, limit).is_err());
        }
    }
}
