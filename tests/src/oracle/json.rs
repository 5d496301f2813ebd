//! A strict JSON reader over bytes: RFC 8259, except that bytes inside strings need not be UTF-8.

use std::collections::BTreeMap;

/// Members of an object by name; `null` ones are left out.
pub type Members = BTreeMap<Vec<u8>, Vec<u8>>;

/// How deep values may be nested.
const DEPTH_MAX: usize = 128;

/// Reads the object at the start of `text`: its members by name (the last of a name wins), and the length of the
/// object.
///
/// Strings are decoded; numbers, `true` and `false` are as written; arrays and objects are their text as written;
/// `null` members are left out. `None` where the text is not a well-formed object.
pub fn object(text: &[u8]) -> Option<(Members, usize)> {
    let mut reader = Reader { text, at: 0 };
    let mut members = BTreeMap::new();
    reader.object(0, &mut |name, value| {
        match value {
            Some(value) => members.insert(name, value),
            None => members.remove(&name),
        };
    })?;
    Some((members, reader.at))
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, literal: &[u8]) -> Option<()> {
        self.text[self.at..]
            .starts_with(literal)
            .then(|| self.at += literal.len())
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn object(&mut self, depth: usize, member: &mut dyn FnMut(Vec<u8>, Option<Vec<u8>>)) -> Option<()> {
        self.eat(b"{")?;
        self.blanks();
        if self.eat(b"}").is_some() {
            return Some(());
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            self.eat(b":")?;
            self.blanks();
            let value = self.value(depth + 1)?;
            member(name, value);
            self.blanks();
            if self.eat(b",").is_none() {
                return self.eat(b"}");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.eat(b"[")?;
        self.blanks();
        if self.eat(b"]").is_some() {
            return Some(());
        }
        loop {
            self.blanks();
            self.value(depth + 1)?;
            self.blanks();
            if self.eat(b",").is_none() {
                return self.eat(b"]");
            }
        }
    }

    /// The outer `None` is a mistake in the text, the inner one is `null`.
    fn value(&mut self, depth: usize) -> Option<Option<Vec<u8>>> {
        let begin = self.at;
        match self.peek()? {
            _ if depth > DEPTH_MAX => return None,
            b'"' => return self.string().map(Some),
            b'{' => self.object(depth, &mut |_, _| {})?,
            b'[' => self.array(depth)?,
            b't' => self.eat(b"true")?,
            b'f' => self.eat(b"false")?,
            b'n' => return self.eat(b"null").map(|()| None),
            _ => self.number()?,
        }
        Some(Some(self.text[begin..self.at].to_vec()))
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.eat(b"-");
        if self.eat(b"0").is_none() {
            self.digits()?;
        }
        if self.eat(b".").is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        self.eat(b"\"")?;
        let mut decoded = Vec::new();
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(decoded),
                b'\\' => self.escape(&mut decoded)?,
                0..0x20 => return None,
                other => decoded.push(other),
            }
        }
    }

    fn escape(&mut self, decoded: &mut Vec<u8>) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character = self.unicode()?;
                decoded.extend_from_slice(character.to_string().as_bytes());
                return Some(());
            }
            _ => return None,
        };
        decoded.push(plain);
        Some(())
    }

    /// Behind `\u`: one code point, two escapes for a surrogate pair; a lone surrogate is U+FFFD.
    fn unicode(&mut self) -> Option<char> {
        let high = self.hex()?;
        if !(0xD800..0xDC00).contains(&high) {
            return Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let back = self.at;
        if self.eat(b"\\u").is_some() {
            let low = self.hex()?;
            if (0xDC00..0xE000).contains(&low) {
                return char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
            }
            self.at = back;
        }
        Some(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = std::str::from_utf8(self.text.get(self.at..self.at + 4)?).ok()?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: Option<&[(&str, &[u8])]>) {
        let expected = expected.map(|members| {
            members
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()))
                .collect::<BTreeMap<_, _>>()
        });
        assert_eq!(
            object(text).map(|(members, _)| members),
            expected,
            "{}",
            String::from_utf8_lossy(text)
        );
    }

    #[test]
    fn objects() {
        check(b"{}", Some(&[]));
        check(
            br#"{"a":"b","n":-1.5e3,"t":true}"#,
            Some(&[("a", b"b"), ("n", b"-1.5e3"), ("t", b"true")]),
        );
        check(
            br#"{ "a" : null , "b" : [1, {"c":2}] }"#,
            Some(&[("b", br#"[1, {"c":2}]"#)]),
        );
        check(br#"{"a":1,"a":2}"#, Some(&[("a", b"2")]));
        check(br#"{"a":1,"a":null}"#, Some(&[]));
        check(
            br#"{"a":"x\"\\\/\n\u0041\uD83D\uDE00\uD83Dx"}"#,
            Some(&[("a", "x\"\\/\nA😀\u{FFFD}x".as_bytes())]),
        );
        check(b"{\"a\":\"\xff\"}", Some(&[("a", b"\xff")]));
    }

    #[test]
    fn what_is_malformed() {
        let texts: [&[u8]; 12] = [
            b"",
            b"{",
            b"{\"a\":1",
            b"{\"a\":1,}",
            b"{\"a\":01}",
            b"{\"a\":1.}",
            b"{\"a\":.5}",
            b"{\"a\":NaN}",
            b"{\"a\":\"\x00\"}",
            b"{\"a\":\"\\x\"}",
            b"{a:1}",
            b"{\"a\" 1}",
        ];
        for text in texts {
            check(text, None);
        }
        let deep = [b"{\"a\":".to_vec(), vec![b'['; 200], vec![b']'; 200], b"}".to_vec()].concat();
        check(&deep, None);
    }
}
