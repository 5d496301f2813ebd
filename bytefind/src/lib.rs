//! Finding a byte: near by, and everywhere in a buffer. The only crate with `unsafe` in it: three loads of bytes into
//! vector registers, each beside the version without.
//!
//! `memchr` is unbeaten where a byte is far away, but a call of it costs as much as looking at fifty bytes, and in a
//! line of a log the next separator is mostly nearer than that. So [`near`] looks at the first bytes in place, and
//! [`marks`] turns a whole block into bits, of which lines are then taken one by one without any call. Each has a plain
//! version that the tests hold it against, and that other processors use.

use memchr::{memchr, memchr_iter};

/// Bytes that [`near`] looks at by itself: beyond it, a call costs less than looking on.
const NEAR_BYTES: usize = 128;

/// Bytes looked at in one step.
const STEP_BYTES: usize = 16;

/// Bytes that become one word of bits.
const WORD_BYTES: usize = u64::BITS as usize;

/// Bytes of a block at most: its bits are 512 bytes, so that they stay on the stack.
pub const BLOCK_BYTES: usize = WORD_BYTES * BLOCK_WORDS;

/// Words of bits of a block.
const BLOCK_WORDS: usize = 64;

/// One bit for each byte of a block, the first in the lowest bit of the first word.
pub type Marks = [u64; BLOCK_WORDS];

/// Position of a byte that is probably near.
#[inline]
pub fn near(byte: u8, text: &[u8]) -> Option<usize> {
    let (mut rest, mut passed) = (text, 0);
    while let Some((step, behind)) = rest.split_first_chunk::<STEP_BYTES>() {
        let hits = hits(byte, step);
        if hits != 0 {
            return Some(passed + hits.trailing_zeros() as usize);
        }
        (rest, passed) = (behind, passed + STEP_BYTES);
        if passed >= NEAR_BYTES {
            return memchr(byte, rest).map(|found| passed + found);
        }
    }
    // The last bytes, with some that were looked at already: those have no hit.
    if let Some(step) = text.last_chunk::<STEP_BYTES>() {
        let hits = hits(byte, step);
        return (hits != 0).then(|| text.len() - STEP_BYTES + hits.trailing_zeros() as usize);
    }
    rest.iter().position(|&other| other == byte)
}

/// Bytes before the first quote, backslash or control character: how far a string of JSON is as it is written.
#[inline]
pub fn plain_text(text: &[u8]) -> usize {
    let mut passed = 0;
    while let Some(step) = text[passed..].first_chunk() {
        let hits = odd_in_text(step);
        if hits != 0 {
            return passed + hits.trailing_zeros() as usize;
        }
        passed += STEP_BYTES;
    }
    let rest = &text[passed..];
    passed + rest.iter().position(|&byte| is_odd_in_text(byte)).unwrap_or(rest.len())
}

#[inline]
fn is_odd_in_text(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// A bit for each byte of a step that ends the plain part of a string.
#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code, reason = "as for `hits`")]
fn odd_in_text(step: &[u8; STEP_BYTES]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: the array has the 16 bytes that are loaded, at any alignment; SSE2 is part of x86_64.
    unsafe {
        let bytes = _mm_loadu_si128(step.as_ptr().cast());
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let slashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        let controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, slashes), controls)) as u32
    }
}

/// A bit for each byte of a step that ends the plain part of a string.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn odd_in_text(step: &[u8; STEP_BYTES]) -> u32 {
    (step.iter().enumerate()).fold(0, |hits, (at, &byte)| hits | u32::from(is_odd_in_text(byte)) << at)
}

/// A bit for each byte of a step that is the one looked for.
#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(
    unsafe_code,
    reason = "four instructions that every processor of this kind has; no other way says them"
)]
fn hits(byte: u8, step: &[u8; STEP_BYTES]) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: the array has the 16 bytes that are loaded, at any alignment; SSE2 is part of x86_64.
    unsafe {
        let bytes = _mm_loadu_si128(step.as_ptr().cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8))) as u32
    }
}

/// A bit for each byte of a step that is the one looked for.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn hits(byte: u8, step: &[u8; STEP_BYTES]) -> u32 {
    (step.iter().enumerate()).fold(0, |hits, (at, &other)| hits | u32::from(other == byte) << at)
}

/// Marks a byte in at most [`BLOCK_BYTES`] bytes; how many words of `marks` hold the answer.
#[inline]
pub fn marks(byte: u8, block: &[u8], marks: &mut Marks) -> usize {
    debug_assert!(block.len() <= BLOCK_BYTES, "a block is larger than its marks");
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return wide::marks(byte, block, marks);
    }
    plain_marks(byte, block, marks)
}

/// The same on any processor.
fn plain_marks(byte: u8, block: &[u8], marks: &mut Marks) -> usize {
    let words = block.len().div_ceil(WORD_BYTES);
    marks[..words].fill(0);
    for at in memchr_iter(byte, block) {
        marks[at / WORD_BYTES] |= 1 << (at % WORD_BYTES);
    }
    words
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "32 bytes at a time: a third of the cost of finding lines")]
mod wide {
    use super::{Marks, WORD_BYTES};
    use std::arch::x86_64::{_mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8};

    /// As [`super::plain_marks`], on a processor that was found to have AVX2.
    #[inline]
    pub(super) fn marks(byte: u8, block: &[u8], marks: &mut Marks) -> usize {
        // SAFETY: the caller has just asked the processor.
        unsafe { marks_avx2(byte, block, marks) }
    }

    #[target_feature(enable = "avx2")]
    fn marks_avx2(byte: u8, block: &[u8], marks: &mut Marks) -> usize {
        let (words, rest) = block.as_chunks::<WORD_BYTES>();
        for (word, mark) in words.iter().zip(marks.iter_mut()) {
            *mark = word_marks(byte, word);
        }
        if rest.is_empty() {
            return words.len();
        }
        let mut last = [0; WORD_BYTES];
        last[..rest.len()].copy_from_slice(rest);
        marks[words.len()] = word_marks(byte, &last) & ((1 << rest.len()) - 1);
        words.len() + 1
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn word_marks(byte: u8, word: &[u8; WORD_BYTES]) -> u64 {
        let wanted = _mm256_set1_epi8(byte as i8);
        let half = |from: usize| {
            // SAFETY: 32 bytes from 0 or from 32 on lie within the 64 of the array, at any alignment.
            let bytes = unsafe { _mm256_loadu_si256(word.as_ptr().add(from).cast()) };
            u64::from(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, wanted)) as u32)
        };
        half(0) | half(WORD_BYTES / 2) << (WORD_BYTES / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_byte_is_found_near_and_far() {
        for len in 0..200 {
            for filler in [b'a', 0x00, b'!', 0x80, 0xff, b' ' ^ 0x01, b' ' | 0x80] {
                let mut text = vec![filler; len];
                assert_eq!(near(b' ', &text), None);
                for at in 0..len {
                    text[at] = b' ';
                    assert_eq!(near(b' ', &text), Some(at), "{text:?}");
                    text[at] = filler;
                }
            }
        }
    }

    #[test]
    fn plain_bytes_are_counted() {
        for special in [b'"', b'\\', 0, 0x1f] {
            for before in 0..40 {
                for filler in [b' ', b'a', 0x7f, 0x80, 0xa2, 0xff, b'!', b'#', b'[', b']'] {
                    let mut text = vec![filler; before];
                    assert_eq!(plain_text(&text), before, "{filler:#x}");
                    text.push(special);
                    text.extend_from_slice(b"\"\\\0abcdefghijklmnopqrst");
                    assert_eq!(plain_text(&text), before, "{special:#x} behind {before} of {filler:#x}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn near_is_the_first(text in prop::collection::vec(0..4_u8, 0..300), byte in 0..5_u8) {
            prop_assert_eq!(near(byte, &text), text.iter().position(|&other| other == byte));
        }

        #[test]
        fn marks_are_those_of_the_plain_version(
            text in prop::collection::vec(prop::sample::select(&[0, b'\n', b'\n' | 0x80, b'a'][..]), 0..=BLOCK_BYTES),
            byte in prop::sample::select(&[0, b'\n'][..]),
        ) {
            let (mut fast, mut plain) = ([u64::MAX; BLOCK_WORDS], [u64::MAX; BLOCK_WORDS]);
            let words = marks(byte, &text, &mut fast);
            prop_assert_eq!(words, plain_marks(byte, &text, &mut plain));
            prop_assert_eq!(&fast[..words], &plain[..words]);
            let positions: Vec<usize> = (0..words * WORD_BYTES)
                .filter(|at| fast[at / WORD_BYTES] >> (at % WORD_BYTES) & 1 == 1)
                .collect();
            prop_assert_eq!(positions, memchr_iter(byte, &text).collect::<Vec<_>>());
        }
    }
}
