//! Compressed logs to the bytes they were written as: gzip and zstd, as a stream, under caps.
//!
//! Whoever pulls is the victim of what it pulls: a megabyte may inflate to a gigabyte, an archive may be torn, flipped,
//! or not finished yet. So an [`Inflater`] is fed with pieces, gives pieces, holds little, stops at named [`Caps`], and
//! says at the end which of a closed set of things the file was ([`Outcome`]): bytes are good only once it is
//! [`Outcome::Complete`], that is, every checksum and length in the file was compared.
//!
//! Does no I/O and knows nothing of logs. Both decoders are Rust, `flate2` over `miniz_oxide` for gzip and `ruzstd` for
//! zstd, since the bytes are a stranger's. The reference of zstd is some times faster, and would bring a C compiler to
//! every build and C to those bytes; old generations are not worth that.

mod gzip;
mod zstd;

/// Bytes that one file may inflate to: more than a day of any log we know of, and an end to a stream that has none.
pub const INFLATED_BYTES_MAX: u64 = 256 << 30;
/// How many times larger a file may become. Logs become 5 to 50 times larger, ones that say the same again and again
/// some hundred times; deflate can't do more than 1032 times.
pub const RATIO_MAX: u64 = 500;
/// So many bytes are let through at any ratio: little files of equal lines are no bombs.
pub const RATIO_FREE_BYTES: u64 = 256 << 20;
/// Memory that a zstd frame may ask for: what `zstd --long` writes, and `zstd` reads unless told otherwise.
pub const WINDOW_BYTES_MAX: u64 = 128 << 20;
/// Bytes at a file's beginning that [`Kind::of`] looks at.
pub const MAGIC_BYTES: usize = 4;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RFC 1952, of any number of members.
    Gzip,
    /// RFC 8878, of any number of frames.
    Zstandard,
}

impl Kind {
    /// Tells by a file's first [`MAGIC_BYTES`]; `None` for anything else, which is then no compressed log.
    pub fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(&gzip::MAGIC) {
            return Some(Self::Gzip);
        }
        zstd::is_magic(head).then_some(Self::Zstandard)
    }
}

/// How much a file may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// See [`INFLATED_BYTES_MAX`].
    pub inflated_bytes_max: u64,
    /// See [`RATIO_MAX`].
    pub ratio_max: u64,
    /// See [`RATIO_FREE_BYTES`].
    pub ratio_free_bytes: u64,
    /// See [`WINDOW_BYTES_MAX`].
    pub window_bytes_max: u64,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            inflated_bytes_max: INFLATED_BYTES_MAX,
            ratio_max: RATIO_MAX,
            ratio_free_bytes: RATIO_FREE_BYTES,
            window_bytes_max: WINDOW_BYTES_MAX,
        }
    }
}

/// A cap that a file goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cap {
    /// [`Caps::inflated_bytes_max`]
    #[error("inflates to more than {0} bytes")]
    Bytes(u64),
    /// [`Caps::ratio_max`]
    #[error("inflates to more than {0} times its size")]
    Ratio(u64),
    /// [`Caps::window_bytes_max`]
    #[error("asks for a window of more than {0} bytes: compress it without --long or --ultra")]
    Window(u64),
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Whole, and every checksum and length in it agreed.
    Complete,
    /// It ends before its end: still being written, or torn.
    Truncated,
    /// It is not what was compressed.
    Corrupt {
        /// What is wrong, for people.
        why: String,
    },
    /// It costs more than it may.
    OverCap(Cap),
}

/// Why inflating stopped for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// See [`Outcome::Corrupt`].
    #[error("is corrupt: {why}")]
    Corrupt {
        /// What is wrong, for people.
        why: String,
    },
    /// See [`Outcome::OverCap`].
    #[error(transparent)]
    OverCap(#[from] Cap),
}

impl Fault {
    fn corrupt(why: impl std::fmt::Display) -> Self {
        let why = why.to_string();
        Self::Corrupt { why }
    }
}

/// Whether a decoder stands at a place where the file may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    Within,
}

enum Decoder {
    Gzip(Box<gzip::Decoder>),
    Zstandard(Box<zstd::Decoder>),
}

/// Compressed bytes that came and were not used yet.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    used: usize,
}

impl Waiting {
    fn get(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    fn take(&mut self, count: usize) {
        self.used += count;
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }
}

/// Inflates one file. Memory: what was fed and not read, plus 32 KiB for gzip, or the frame's window (at most
/// [`Caps::window_bytes_max`]) and some blocks of 128 KiB for zstd.
pub struct Inflater {
    caps: Caps,
    decoder: Decoder,
    waiting: Waiting,
    /// Compressed bytes that were fed.
    fed: u64,
    /// Bytes that were given.
    given: u64,
    fault: Option<Fault>,
}

impl Inflater {
    /// Begins with a file of a kind.
    pub fn new(kind: Kind, caps: Caps) -> Self {
        let decoder = match kind {
            Kind::Gzip => Decoder::Gzip(Box::default()),
            Kind::Zstandard => Decoder::Zstandard(Box::new(zstd::Decoder::new(caps.window_bytes_max))),
        };
        Self {
            caps,
            decoder,
            waiting: Waiting::default(),
            fed: 0,
            given: 0,
            fault: None,
        }
    }

    /// Takes the next bytes of the file. They are copied; feed again when [`Inflater::read`] gives nothing.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.fed += bytes.len() as u64;
        self.waiting.push(bytes);
    }

    /// Inflates into a buffer, which should not be empty; how many bytes, 0 if more must be fed first.
    ///
    /// # Errors
    /// If the file is corrupt or goes over a cap; then always again.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let read = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.read(&mut self.waiting, into),
            Decoder::Zstandard(decoder) => decoder.read(&mut self.waiting, into),
        };
        let read = read.and_then(|count| self.check(count).map(|()| count));
        self.fault = read.as_ref().err().cloned();
        read
    }

    fn check(&mut self, count: usize) -> Result<(), Fault> {
        self.given += count as u64;
        let caps = &self.caps;
        if self.given > caps.inflated_bytes_max {
            return Err(Cap::Bytes(caps.inflated_bytes_max).into());
        }
        // The file is at least as large as what was fed of it: who feeds little at a time must not be refused for it.
        let fair = self.fed.saturating_mul(caps.ratio_max).max(caps.ratio_free_bytes);
        if self.given > fair {
            return Err(Cap::Ratio(caps.ratio_max).into());
        }
        Ok(())
    }

    /// Bytes given so far.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// What the file was, if it ends with what was fed, and [`Inflater::read`] gave nothing more.
    pub fn outcome(&self) -> Outcome {
        let place = match &self.decoder {
            Decoder::Gzip(decoder) => decoder.place(&self.waiting),
            Decoder::Zstandard(decoder) => decoder.place(&self.waiting),
        };
        match (&self.fault, place) {
            (Some(Fault::Corrupt { why }), _) => Outcome::Corrupt { why: why.clone() },
            (Some(Fault::OverCap(cap)), _) => Outcome::OverCap(*cap),
            (None, Place::Between) => Outcome::Complete,
            (None, Place::Within) => Outcome::Truncated,
        }
    }
}

#[cfg(test)]
mod tests;
