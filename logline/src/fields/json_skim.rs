//! A strict validator of JSON that walks a text once and builds nothing (RFC 8259; nothing that it forbids is let by).
//!
//! Strings are skipped sixteen bytes at a time. Nesting is followed with one bit a level, without recursion, to
//! [`DEPTH_MAX`] levels. Bytes inside strings that aren't UTF-8 are let by: logs have them, and they are kept as they
//! are.

use super::error::Unparsable;
use bytefind::plain_text;

/// Levels of nesting that are followed, the object itself being the first: what common parsers allow, and what a
/// hostile line may cost at most.
pub(super) const DEPTH_MAX: u32 = 128;

/// A position in a JSON text.
#[derive(Debug)]
pub(super) struct Skim<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

/// The containers that are open, innermost in the lowest bit: 1 for an object.
struct Open {
    kinds: u128,
    count: u32,
    most: u32,
}

impl Open {
    fn push(&mut self, object: bool) -> Result<(), Unparsable> {
        if self.count >= self.most {
            return Err(Unparsable::TooDeep);
        }
        self.kinds = self.kinds << 1 | u128::from(object);
        self.count += 1;
        Ok(())
    }

    fn pop(&mut self) {
        self.kinds >>= 1;
        self.count -= 1;
    }

    fn in_object(&self) -> bool {
        self.kinds & 1 == 1
    }
}

impl Skim<'_> {
    /// The next byte, without taking it.
    #[inline]
    pub(super) fn peek(&self) -> Result<u8, Unparsable> {
        self.text.get(self.at).copied().ok_or(Unparsable::MalformedJson)
    }

    /// Takes the next byte if it is this one.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is);
        is
    }

    /// Takes this byte, which must come next.
    #[inline]
    pub(super) fn need(&mut self, byte: u8) -> Result<(), Unparsable> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(Unparsable::MalformedJson)
        }
    }

    /// Skips JSON's white space.
    #[inline]
    pub(super) fn blanks(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips a value that lies within `depth` containers.
    pub(super) fn value(&mut self, depth: u32) -> Result<(), Unparsable> {
        let mut open = Open {
            kinds: 0,
            count: 0,
            most: DEPTH_MAX.saturating_sub(depth),
        };
        loop {
            self.blanks();
            if self.enters(&mut open)? {
                continue;
            }
            if self.leaves(&mut open)? {
                return Ok(());
            }
        }
    }

    /// Skips a scalar or an empty container, or enters a container up to its first value; whether it entered one.
    fn enters(&mut self, open: &mut Open) -> Result<bool, Unparsable> {
        let (object, close) = match self.peek()? {
            b'{' => (true, b'}'),
            b'[' => (false, b']'),
            _ => return self.scalar().map(|()| false),
        };
        open.push(object)?;
        self.at += 1;
        self.blanks();
        if self.eat(close) {
            open.pop();
            return Ok(false);
        }
        if object {
            self.key()?;
        }
        Ok(true)
    }

    /// Behind a value: leaves what closes here, up to the next value; whether nothing is open any more.
    fn leaves(&mut self, open: &mut Open) -> Result<bool, Unparsable> {
        while open.count > 0 {
            self.blanks();
            let object = open.in_object();
            if self.eat(b',') {
                if object {
                    self.blanks();
                    self.key()?;
                }
                return Ok(false);
            }
            self.need(if object { b'}' } else { b']' })?;
            open.pop();
        }
        Ok(true)
    }

    /// Skips a key and its colon; the key, without its quotes.
    pub(super) fn key(&mut self) -> Result<(usize, usize), Unparsable> {
        let start = self.at + 1;
        self.need(b'"')?;
        self.string()?;
        let end = self.at - 1;
        self.blanks();
        self.need(b':')?;
        Ok((start, end))
    }

    /// Skips what is neither an object nor an array.
    pub(super) fn scalar(&mut self) -> Result<(), Unparsable> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.string()
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    #[inline]
    pub(super) fn word(&mut self, word: &[u8]) -> Result<(), Unparsable> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Unparsable::MalformedJson);
        }
        self.at += word.len();
        Ok(())
    }

    /// Skips the rest of a string, behind its first quote.
    fn string(&mut self) -> Result<(), Unparsable> {
        loop {
            self.at += plain_text(&self.text[self.at..]);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape()?,
                _ => return Err(Unparsable::MalformedJson),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Unparsable> {
        let len = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self
                    .text
                    .get(self.at + 2..self.at + 6)
                    .ok_or(Unparsable::MalformedJson)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Unparsable::MalformedJson);
                }
                6
            }
            _ => return Err(Unparsable::MalformedJson),
        };
        self.at += len;
        Ok(())
    }

    #[inline]
    pub(super) fn number(&mut self) -> Result<(), Unparsable> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(())
    }

    /// Skips one digit or more.
    fn digits(&mut self) -> Result<(), Unparsable> {
        let from = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == from {
            Err(Unparsable::MalformedJson)
        } else {
            Ok(())
        }
    }
}
