//! Bytes of a log as text that people look at: nothing in it moves a cursor, changes a colour, or turns the direction
//! of reading, and what is no character is told from what is.

use super::Form;

/// What a reader of the file's bytes sees of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Offset of its first byte.
    pub offset: u64,
    /// Its text, safe to show.
    pub text: String,
    /// How many of its bytes are no text of its encoding; they are shown as `\xNN`, or U+FFFD where they are decoded.
    pub invalid: u64,
    /// Whether more of it stands in the file than is shown.
    pub is_cut: bool,
}

/// Bytes of UTF-8 as text: invalid bytes and control characters but the tab as `\xNN`, characters that are unseen or
/// turn the direction of reading as `\u{NNNN}`.
pub fn shown(bytes: &[u8]) -> String {
    shown_counted(bytes).0
}

fn shown_counted(bytes: &[u8]) -> (String, u64) {
    let (mut text, mut invalid) = (String::with_capacity(bytes.len()), 0);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\t' => text.push('\t'),
                control if control.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(control))),
                unseen if is_unseen(unseen) => text.push_str(&format!("\\u{{{:x}}}", u32::from(unseen))),
                plain => text.push(plain),
            }
        }
        for byte in chunk.invalid() {
            invalid += 1;
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    (text, invalid)
}

/// Soft hyphens, zero widths, marks and overrides of direction, line separators, the byte order mark.
fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

/// The lines of a piece of a file that begins at `offset`, at most `line_bytes_max` of each; `is_whole` says that the
/// piece begins where a line does. What is left of a cut line at its beginning is left out where a whole one follows.
pub fn lines_shown(form: Form, bytes: &[u8], offset: u64, (is_whole, line_bytes_max): (bool, usize)) -> Vec<Line> {
    let encoding = form.encoding;
    // The units of UTF-16 begin at even offsets.
    let unit = encoding.unit() as u64;
    let mut at = usize::try_from((unit - offset % unit) % unit)
        .unwrap_or(0)
        .min(bytes.len());
    let mut lines = Vec::new();
    if !is_whole && let Some((end, after)) = encoding.line_end(&bytes[at..], offset + at as u64) {
        let next = at + end + after;
        if next < bytes.len() {
            at = next;
        }
    }
    while at < bytes.len() {
        let found = encoding.line_end(&bytes[at..], offset + at as u64);
        let (end, next) = found.map_or((bytes.len(), bytes.len()), |(end, after)| (at + end, at + end + after));
        lines.push(line(form, &bytes[at..end], offset + at as u64, line_bytes_max));
        at = next;
    }
    lines
}

fn line(form: Form, bytes: &[u8], offset: u64, line_bytes_max: usize) -> Line {
    let unit = form.encoding.unit();
    let kept = bytes.len().min(line_bytes_max / unit * unit);
    let mut decoded = Vec::new();
    let is_text = form.encoding.decode(&bytes[..kept], &mut decoded).is_ok();
    if !is_text {
        decoded.clear();
        form.encoding.decode_lossy(&bytes[..kept], &mut decoded);
    }
    if decoded.last() == Some(&b'\r') {
        decoded.pop();
    }
    let (text, invalid) = shown_counted(&decoded);
    let replaced = if is_text {
        0
    } else {
        text.matches('\u{fffd}').count() as u64
    };
    Line {
        offset,
        text,
        invalid: invalid + replaced,
        is_cut: kept < bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Encoding;

    #[test]
    fn nothing_shown_acts() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(shown(bytes), expected);
        check(b"plain\ttext", "plain\ttext");
        check(b"\x1b[31mred\x1b[0m\x07\0", "\\x1b[31mred\\x1b[0m\\x07\\x00");
        check("caf\u{e9} \u{85}\u{9b}2J".as_bytes(), "café \\x85\\x9b2J");
        check(b"\xff\xc3(", "\\xff\\xc3(");
        check("abc\u{202e}gpj.exe\u{200b}".as_bytes(), "abc\\u{202e}gpj.exe\\u{200b}");
        check(b"<script>&amp;", "<script>&amp;");
    }

    #[track_caller]
    fn check(form: Form, bytes: &[u8], offset: u64, is_whole: bool, expected: &[(u64, &str, u64)]) {
        let lines = lines_shown(form, bytes, offset, (is_whole, 12));
        let lines: Vec<(u64, &str, u64)> = lines
            .iter()
            .map(|line| (line.offset, line.text.as_str(), line.invalid))
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_piece_is_shown_in_whole_lines() {
        let plain = Form::default();
        check(plain, b"a\r\nb\nc", 0, true, &[(0, "a", 0), (3, "b", 0), (5, "c", 0)]);
        check(plain, b"rest\nb\n", 10, false, &[(15, "b", 0)]);
        check(plain, b"no line ends here", 10, false, &[(10, "no line ends", 0)]);
        check(plain, b"rest\n", 10, false, &[(10, "rest", 0)]);
        check(plain, b"\xff\n\n", 0, true, &[(0, "\\xff", 1), (2, "", 0)]);
        check(plain, b"", 0, true, &[]);
        assert!(lines_shown(plain, b"0123456789abcdef", 0, (true, 12))[0].is_cut);
    }

    #[test]
    fn a_piece_of_utf_16_begins_at_a_character() {
        let utf_16 = Form {
            encoding: Encoding::parse("utf-16le").expect("known"),
            ..Form::default()
        };
        let bytes: Vec<u8> = "é\nb\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(utf_16, &bytes, 100, true, &[(100, "é", 0), (104, "b", 0)]);
        check(utf_16, &bytes[1..], 101, false, &[(104, "b", 0)]);
        let torn = [0x00, 0xd8, b'x', 0];
        check(utf_16, &torn, 0, true, &[(0, "\u{fffd}x", 1)]);
    }

    #[test]
    fn bytes_of_another_encoding_are_told() {
        let gbk = Form {
            encoding: Encoding::parse("gbk").expect("known"),
            ..Form::default()
        };
        check(gbk, b"\xd6\xd0\xff\n", 0, true, &[(0, "中\u{fffd}", 1)]);
    }
}
