//! Where a piece of a YAML text stands in the file, whatever the style it was written in.

use std::ops::Range;

/// The bytes of `file` that `piece`, a range of `value`, was read from; `node` is where the whole value was written.
///
/// YAML folds lines, strips indentation and escapes quotes, but it keeps every visible character in its order: the two
/// texts are walked side by side over those. `None` if they part, as at an escape `\u0041`.
pub(super) fn locate(file: &str, node: Range<usize>, value: &str, piece: Range<usize>) -> Option<Range<usize>> {
    let written = file.get(node.clone())?;
    let (quote, body) = match written.chars().next() {
        Some(quote @ ('"' | '\'')) => (Some(quote), 1..written.len().saturating_sub(1).max(1)),
        _ => (None, 0..written.len()),
    };
    let mut source = written
        .get(body.clone())?
        .char_indices()
        .filter(|(_, character)| !character.is_whitespace());
    let (mut start, mut end) = (None, body.start);
    for (offset, character) in value.char_indices().filter(|(_, character)| !character.is_whitespace()) {
        if offset >= piece.end && start.is_some() {
            break;
        }
        let (mut at, found) = source.next()?;
        let escaped = match quote {
            Some('\'') => character == '\'',
            Some(_) => found == '\\' && matches!(character, '"' | '\\' | '/'),
            None => false,
        };
        if escaped {
            at = source.next().filter(|(_, found)| *found == character)?.0;
        } else if found != character {
            return None;
        }
        let here = body.start + at;
        if offset >= piece.start && start.is_none() {
            start = Some(here);
        }
        end = here + character.len_utf8();
    }
    // A mistake at the end of the text points behind its last character.
    let start = start.unwrap_or(end);
    Some(node.start + start..node.start + if piece.is_empty() { start } else { end.max(start) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, value: &str, piece: &str, expected: Option<&str>) {
        let file = format!("key: {written}\n");
        let start = value.find(piece).expect("the piece is in the value");
        let found = locate(&file, 5..5 + written.len(), value, start..start + piece.len());
        assert_eq!(found.map(|range| &file[range]), expected, "{written}");
    }

    #[test]
    fn pieces_are_found_in_every_style() {
        check("sum(x) / y", "sum(x) / y", "y", Some("y"));
        check("'a = ''b'' or c'", "a = 'b' or c", "or", Some("or"));
        check("'a = ''b'' or c'", "a = 'b' or c", "'b'", Some("'b''"));
        check("\"a = \\\"b\\\" or c\"", "a = \"b\" or c", "or", Some("or"));
        check("a\n  b\n  c", "a b c", "c", Some("c"));
        check("a\n    and b\n  c", "a\n  and b\nc", "b", Some("b"));
        check("\"\\u0061 b\"", "a b", "b", None);
        check("é = 'ü' or x", "é = 'ü' or x", "or x", Some("or x"));
        check("", "", "", Some(""));
    }

    #[test]
    fn the_end_of_the_text_is_behind_its_last_character() {
        assert_eq!(locate("a: b +", 3..6, "b +", 3..3), Some(6..6));
        assert_eq!(locate("a: 'b +'", 3..8, "b +", 3..3), Some(7..7));
    }
}
