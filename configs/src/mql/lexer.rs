//! MQL text to tokens: the one place that knows how words, quotes, numbers and units are spelt.
//!
//! Lexing never looks at meaning: a word is a keyword only where the parser expects one, so that columns may be called
//! `limit` or `app`.

use crate::diagnostic::Mistake;
use crate::units::{DURATION_HINT, is_time_unit};
use std::ops::Range;

/// Digits after the point that a number may have, and before it: the fixed point of the engine holds no more, and a
/// literal that would be rounded silently is refused here.
const FRACTION_DIGITS_MAX: usize = 9;
const WHOLE_DIGITS_MAX: usize = 15;

/// A token and the bytes it was read from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

/// The kinds of tokens. Those without a text of their own are read off the source by their span.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// `count`, `a.b[0]`, `@timestamp`, `$1`.
    Word,
    /// A name in `"` or backticks, unescaped; whether it was in double quotes.
    QuotedName(String, Quote),
    /// A text in single quotes, unescaped.
    Text(String),
    /// `99.5`.
    Number,
    /// `5s`.
    Duration,
    /// `2026-11-23T07:31:00Z`, unquoted.
    Time,
    /// An operator or a separator.
    Symbol(&'static str),
    /// The end of the text; its span is empty.
    End,
}

/// The quotes around a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    /// `"`
    Double,
    /// A backtick.
    Backtick,
}

/// Operators and separators; a longer one stands before those that begin it.
const SYMBOLS: [&str; 16] = [
    "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "+", "-", "*", "/", "%", ":",
];

/// What other languages write, and what it is here.
const FOREIGN_SYMBOLS: [(&str, &str); 5] = [
    ("==", "="),
    ("&&", "and"),
    ("||", "or"),
    ("=~", "matches"),
    ("!", "not"),
];

/// Splits `source` into tokens, the last of which is `End`.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Mistake> {
    let mut tokens = Vec::new();
    let mut position = 0;
    loop {
        position = source.len() - source[position..].trim_start().len();
        if position == source.len() {
            tokens.push(Token {
                kind: TokenKind::End,
                span: position..position,
            });
            return Ok(tokens);
        }
        let token = token_at(source, position)?;
        position = token.span.end;
        tokens.push(token);
    }
}

/// The token at `start`, which is not at the end and not at a blank.
fn token_at(source: &str, start: usize) -> Result<Token, Mistake> {
    let rest = &source[start..];
    let first = rest.chars().next().unwrap_or('\0');
    match first {
        '\'' => {
            let (text, end) = quoted(source, start, '\'')?;
            Ok(Token {
                kind: TokenKind::Text(text),
                span: start..end,
            })
        }
        '"' | '`' => {
            let (name, end) = quoted(source, start, first)?;
            let quote = if first == '"' { Quote::Double } else { Quote::Backtick };
            if name.is_empty() {
                return Err(Mistake::new(start..end, "a name in quotes is empty"));
            }
            Ok(Token {
                kind: TokenKind::QuotedName(name, quote),
                span: start..end,
            })
        }
        '0'..='9' => number_like(source, start),
        '.' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => number_like(source, start),
        _ if is_word_start(first) => Ok(Token {
            kind: TokenKind::Word,
            span: start..word_end(source, start),
        }),
        _ => symbol(source, start, first),
    }
}

fn symbol(source: &str, start: usize, first: char) -> Result<Token, Mistake> {
    let rest = &source[start..];
    let foreign = FOREIGN_SYMBOLS
        .iter()
        .find(|(name, _)| rest.starts_with(name) && !rest.starts_with("!="));
    if let Some((name, own)) = foreign {
        let mistake = Mistake::new(start..start + name.len(), format!("unknown operator `{name}`"));
        return Err(mistake.hint(format!("write `{own}`")));
    }
    if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
        return Ok(Token {
            kind: TokenKind::Symbol(symbol),
            span: start..start + symbol.len(),
        });
    }
    let span = start..start + first.len_utf8();
    let mistake = Mistake::new(span, format!("unexpected character `{}`", first.escape_debug()));
    Err(match first {
        ';' => mistake.hint("one query at a time, without a semicolon"),
        '‘' | '’' | '“' | '”' => mistake.hint("text stands in straight single quotes: 'pay'"),
        _ => mistake,
    })
}

/// Reads a text in quotes, in which the quote is doubled, from its opening quote. Returns it unescaped, and its end.
fn quoted(source: &str, start: usize, quote: char) -> Result<(String, usize), Mistake> {
    let mut text = String::new();
    let mut position = start + 1;
    while let Some(length) = source[position..].find(quote) {
        text.push_str(&source[position..position + length]);
        position += length + 1;
        if !source[position..].starts_with(quote) {
            return Ok((text, position));
        }
        text.push(quote);
        position += 1;
    }
    let mistake = Mistake::new(start..source.len(), format!("this {quote} is never closed"));
    Err(mistake.hint(format!("close it with {quote}; inside, {quote} is written twice")))
}

/// A number, a duration or an unquoted time.
fn number_like(source: &str, start: usize) -> Result<Token, Mistake> {
    if let Some(end) = time_end(source, start) {
        return Ok(Token {
            kind: TokenKind::Time,
            span: start..end,
        });
    }
    let whole_end = digits_end(source, start);
    let end = match source[whole_end..].strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|next: char| next.is_ascii_digit()) => digits_end(source, whole_end + 1),
        _ => whole_end,
    };
    let unit_end = if source[end..].starts_with(is_word_start) {
        word_end(source, end)
    } else {
        end
    };
    if unit_end == end {
        return number(source, start, whole_end, end);
    }
    let span = start..unit_end;
    if end == whole_end && is_time_unit(&source[end..unit_end]) {
        return Ok(Token {
            kind: TokenKind::Duration,
            span,
        });
    }
    let mistake = Mistake::new(
        span,
        format!("`{}` is neither a number nor a duration", &source[start..unit_end]),
    );
    Err(mistake.hint(DURATION_HINT))
}

fn number(source: &str, start: usize, whole_end: usize, end: usize) -> Result<Token, Mistake> {
    let whole_digits = source[start..whole_end].trim_start_matches('0').len();
    let fraction_digits = source[whole_end..end].trim_end_matches('0').len().saturating_sub(1);
    if whole_digits > WHOLE_DIGITS_MAX || fraction_digits > FRACTION_DIGITS_MAX {
        let message = "a number has at most 15 digits before the point and 9 behind it";
        return Err(Mistake::new(start..end, message));
    }
    Ok(Token {
        kind: TokenKind::Number,
        span: start..end,
    })
}

/// The end of `2026-11-23` or `2026-11-23T07:31:00.5+01:00` at `start`, if one stands there.
fn time_end(source: &str, start: usize) -> Option<usize> {
    let bytes = &source.as_bytes()[start..];
    let date = bytes.get(..10)?;
    let is_date = date.iter().enumerate().all(|(index, byte)| match index {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if !is_date {
        return None;
    }
    let is_time_byte = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'+' | b'-');
    Some(start + 10 + bytes[10..].iter().take_while(is_time_byte).count())
}

fn digits_end(source: &str, start: usize) -> usize {
    source.len()
        - source[start..]
            .trim_start_matches(|character: char| character.is_ascii_digit())
            .len()
}

fn is_word_start(character: char) -> bool {
    character.is_alphabetic() || matches!(character, '_' | '@' | '$')
}

fn is_word_part(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '@' | '$')
}

/// The end of the word at `start`: letters, digits, `.` before a word part, and `[0]`.
fn word_end(source: &str, start: usize) -> usize {
    let mut position = start;
    while let Some(character) = source[position..].chars().next() {
        let rest = &source[position + character.len_utf8()..];
        position += match character {
            '.' if rest.starts_with(is_word_part) => 1,
            '[' => match digits_end(rest, 0) {
                digits if digits > 0 && rest[digits..].starts_with(']') => digits + 2,
                _ => break,
            },
            _ if is_word_part(character) => character.len_utf8(),
            _ => break,
        };
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &[&str]) {
        let tokens = tokens(source).unwrap_or_else(|mistake| panic!("{source}: {mistake:?}"));
        let shown: Vec<String> = tokens
            .iter()
            .map(|token| match &token.kind {
                TokenKind::QuotedName(name, _) => format!("name {name}"),
                TokenKind::Text(text) => format!("text {text}"),
                TokenKind::Symbol(symbol) => (*symbol).to_owned(),
                TokenKind::End => "end".to_owned(),
                kind => format!("{kind:?} {}", &source[token.span.clone()]).to_lowercase(),
            })
            .collect();
        let expected: Vec<&str> = expected.iter().copied().chain(["end"]).collect();
        assert_eq!(shown, expected, "{source}");
    }

    #[track_caller]
    fn check_mistake(source: &str, span: Range<usize>, message: &str) {
        let mistake = tokens(source).expect_err(source);
        assert_eq!((mistake.span, mistake.message.as_str()), (span, message), "{source}");
    }

    #[test]
    fn words_names_and_texts() {
        check(
            "a.b[0].c $1 @timestamp été",
            &["word a.b[0].c", "word $1", "word @timestamp", "word été"],
        );
        check("a. [x] ".trim_end_matches(" [x] ").trim_end_matches('.'), &["word a"]);
        check("'it''s' \"a\"\"b\" `c d`", &["text it's", "name a\"b", "name c d"]);
        check("''", &["text "]);
        check("p99.9(x)", &["word p99.9", "(", "word x", ")"]);
    }

    #[test]
    fn numbers_durations_and_times() {
        check("1 2.50 .5 007", &["number 1", "number 2.50", "number .5", "number 007"]);
        check("5s 500ms 1d", &["duration 5s", "duration 500ms", "duration 1d"]);
        check(
            "2026-11-23 2026-11-23T07:31:00.5+01:00,",
            &["time 2026-11-23", "time 2026-11-23t07:31:00.5+01:00", ","],
        );
        check("10-3", &["number 10", "-", "number 3"]);
        check(
            "a<=b<>c!=d",
            &["word a", "<=", "word b", "<>", "word c", "!=", "word d"],
        );
    }

    #[test]
    fn mistakes() {
        check_mistake("a 'b", 2..4, "this ' is never closed");
        check_mistake("`", 0..1, "this ` is never closed");
        check_mistake("\"\"", 0..2, "a name in quotes is empty");
        check_mistake("a == b", 2..4, "unknown operator `==`");
        check_mistake("a && b", 2..4, "unknown operator `&&`");
        check_mistake("!a", 0..1, "unknown operator `!`");
        check_mistake("a;", 1..2, "unexpected character `;`");
        check_mistake("5x", 0..2, "`5x` is neither a number nor a duration");
        check_mistake("1.5s", 0..4, "`1.5s` is neither a number nor a duration");
        check_mistake("1e5", 0..3, "`1e5` is neither a number nor a duration");
        let message = "a number has at most 15 digits before the point and 9 behind it";
        check_mistake("1234567890123456", 0..16, message);
        check_mistake("0.0000000001", 0..12, message);
        check(
            "000000000000000000001.500000000000",
            &["number 000000000000000000001.500000000000"],
        );
        check_mistake("a[x]", 1..2, "unexpected character `[`");
    }
}
