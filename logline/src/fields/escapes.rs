//! Backslash escapes of quoted strings, decoded to the bytes they stand for.

use memchr::memchr;

/// What U+FFFD is in UTF-8: what stands for half a surrogate pair.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Appends the bytes that the inside of a quoted string stands for: JSON's escapes, and Go's (`\a`, `\v`, `\'`, `\xNN`,
/// `\UNNNNNNNN`), which loggers write into logfmt. A surrogate without its other half is U+FFFD; an escape that is
/// none stays as it is written. JSON has been validated before, so there only JSON's occur.
pub(super) fn decode(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(slash) = memchr(b'\\', text) {
        out.extend_from_slice(&text[..slash]);
        text = &text[slash..];
        text = &text[one(text, out)..];
    }
    out.extend_from_slice(text);
}

/// Decodes the escape at the beginning of `text`, a backslash; its length.
fn one(text: &[u8], out: &mut Vec<u8>) -> usize {
    let byte = match text.get(1) {
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'a') => 0x07,
        Some(b'v') => 0x0b,
        Some(&same @ (b'"' | b'\\' | b'/' | b'\'')) => same,
        Some(b'u') => return utf16(text, out),
        Some(b'U') => return scalar(text, out),
        Some(b'x') => match hex(text, 2, 2) {
            Some(value) => {
                out.push(value as u8);
                return 4;
            }
            None => return as_written(out),
        },
        _ => return as_written(out),
    };
    out.push(byte);
    2
}

/// Keeps the backslash of something that is no escape.
fn as_written(out: &mut Vec<u8>) -> usize {
    out.push(b'\\');
    1
}

/// `\uNNNN`, or two of them that make a surrogate pair.
fn utf16(text: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(unit) = hex(text, 2, 4) else {
        return as_written(out);
    };
    if let Some(character) = char::from_u32(unit) {
        push(character, out);
        return 6;
    }
    let low = if text[6..].starts_with(b"\\u") {
        hex(text, 8, 4)
    } else {
        None
    };
    match low {
        Some(low @ 0xdc00..=0xdfff) if unit < 0xdc00 => {
            let value = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            // Two halves in their ranges always make a character.
            push(char::from_u32(value).unwrap_or('\u{fffd}'), out);
            12
        }
        _ => {
            out.extend_from_slice(REPLACEMENT);
            6
        }
    }
}

/// `\UNNNNNNNN`.
fn scalar(text: &[u8], out: &mut Vec<u8>) -> usize {
    match hex(text, 2, 8).and_then(char::from_u32) {
        Some(character) => {
            push(character, out);
            10
        }
        None => as_written(out),
    }
}

/// Appends a character in UTF-8.
fn push(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The number that `digits` hexadecimal digits from `start` on make.
fn hex(text: &[u8], start: usize, digits: usize) -> Option<u32> {
    let digits = text.get(start..start + digits)?;
    digits.iter().try_fold(0_u32, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: impl AsRef<[u8]>) {
        let mut out = b"kept".to_vec();
        decode(text.as_bytes(), &mut out);
        assert_eq!(out.strip_prefix(b"kept"), Some(expected.as_ref()), "{text}");
    }

    #[test]
    fn escapes_are_decoded() {
        check("", "");
        check("plain", "plain");
        check(r#"a\"b\\c\/d"#, "a\"b\\c/d");
        check(r"\b\f\n\r\t\a\v", b"\x08\x0c\n\r\t\x07\x0b");
        check(r"\u0041\u00e9\u20AC", "Aé€");
        check(r"\u0000", b"\0");
        check(r"\x41\xff", b"A\xff");
        check(r"\U0001F600", "😀");
    }

    #[test]
    fn surrogates_pair_or_are_replaced() {
        check(r"\ud83d\ude00", "😀");
        check(r"\uD83D", "\u{fffd}");
        check(r"\ude00x", "\u{fffd}x");
        check(r"\ud83d\ud83d\ude00", "\u{fffd}😀");
        check(r"\ud83d\u0041", "\u{fffd}A");
        check(r"\ud83d\n", "\u{fffd}\n");
    }

    #[test]
    fn what_is_no_escape_stays() {
        check(r"\q", r"\q");
        check(r"\", r"\");
        check(r"\u12", r"\u12");
        check(r"\xg1", r"\xg1");
        check(r"\U00110000", r"\U00110000");
        check(r"\u+123", r"\u+123");
    }
}
