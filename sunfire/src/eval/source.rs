//! Where a log's bytes come from: the file itself, or what it inflates to (told by its content, not by its name).
//!
//! A compressed file is inflated once to be measured and checked before anything of it is counted, and again for each
//! pass over it: so nothing of a torn one is ever taken for the whole, and neither memory nor a disk must hold it.

use anyhow::{Context, Result, bail};
use inflate::{Caps, Fault, Inflater, Kind, MAGIC_BYTES, Outcome};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Compressed bytes read at a time.
const FEED_BYTES: usize = 64 << 10;
/// Inflated bytes passed over at a time.
const SKIP_BYTES: usize = 256 << 10;

/// An open log.
pub enum Source {
    /// Bytes as written.
    Plain(File),
    /// To be inflated.
    Compressed(Compressed),
}

impl Source {
    /// Reads at an offset of the log's own bytes; 0 bytes only at its end.
    ///
    /// # Errors
    /// If the file can't be read, or is not what it was when it was opened.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read_at(buffer, offset),
            Self::Compressed(compressed) => compressed.read_at(buffer, offset),
        }
    }

    /// The file as it is stored.
    pub fn file(&self) -> &File {
        match self {
            Self::Plain(file) => file,
            Self::Compressed(compressed) => &compressed.file,
        }
    }

    /// Whether reading in parts costs no more than reading once.
    pub fn is_seekable(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

/// A compressed log, inflated from its beginning up to wherever it is read.
pub struct Compressed {
    file: File,
    kind: Kind,
    pass: Mutex<Pass>,
}

/// One pass over it.
struct Pass {
    inflater: Inflater,
    fed: u64,
}

impl Pass {
    fn new(kind: Kind) -> Self {
        Self {
            inflater: Inflater::new(kind, Caps::default()),
            fed: 0,
        }
    }

    /// Inflates on; 0 bytes only at the end of the file.
    fn read(&mut self, file: &File, into: &mut [u8]) -> io::Result<Result<usize, Fault>> {
        loop {
            match self.inflater.read(into) {
                Ok(0) => {}
                other => return Ok(other),
            }
            let mut bytes = [0; FEED_BYTES];
            let read = file.read_at(&mut bytes, self.fed)?;
            if read == 0 {
                return Ok(Ok(0));
            }
            self.inflater.feed(&bytes[..read]);
            self.fed += read as u64;
        }
    }
}

impl Compressed {
    fn new(file: File, kind: Kind) -> Self {
        Self {
            file,
            kind,
            pass: Mutex::new(Pass::new(kind)),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        // A pass is good whatever a thread that panicked wanted of it.
        let mut pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        if pass.inflater.given() > offset {
            *pass = Pass::new(self.kind);
        }
        let mut passed_over = vec![0; if pass.inflater.given() < offset { SKIP_BYTES } else { 0 }];
        while pass.inflater.given() < offset {
            let left = usize::try_from(offset - pass.inflater.given()).unwrap_or(usize::MAX);
            let wanted = left.min(SKIP_BYTES);
            if pass
                .read(&self.file, &mut passed_over[..wanted])?
                .map_err(io::Error::other)?
                == 0
            {
                return Ok(0);
            }
        }
        pass.read(&self.file, buffer)?.map_err(io::Error::other)
    }

    /// Inflates all of it; how many bytes that are, and what it turned out to be.
    fn measure(&self) -> io::Result<(u64, Outcome)> {
        let mut pass = Pass::new(self.kind);
        let mut bytes = vec![0; SKIP_BYTES];
        while let Ok(1..) = pass.read(&self.file, &mut bytes)? {}
        Ok((pass.inflater.given(), pass.inflater.outcome()))
    }
}

/// Opens a log and takes its size (that of its content, if it is compressed) and its time of writing.
///
/// # Errors
/// If it can't be read, is no regular file, or is compressed and not whole. Cost of a compressed one: it is inflated
/// once.
pub fn open(path: &Path) -> Result<(Source, u64, i64)> {
    let file = File::open(path).with_context(|| format!("{}: opening", path.display()))?;
    let metadata = file
        .metadata()
        .with_context(|| format!("{}: its size", path.display()))?;
    if !metadata.is_file() {
        bail!("{}: not a regular file", path.display());
    }
    let written = metadata.mtime();
    let mut magic = [0; MAGIC_BYTES];
    let length = file
        .read_at(&mut magic, 0)
        .with_context(|| format!("{}: reading", path.display()))?;
    let Some(kind) = Kind::of(&magic[..length]) else {
        return Ok((Source::Plain(file), metadata.len(), written));
    };
    let compressed = Compressed::new(file, kind);
    let (size, outcome) = compressed
        .measure()
        .with_context(|| format!("{}: reading", path.display()))?;
    let path = path.display();
    match outcome {
        Outcome::Complete => Ok((Source::Compressed(compressed), size, written)),
        Outcome::Truncated => bail!(
            "{path}: its compressed data ends too early, after {size} bytes of log: it is still being written, or \
             torn; nothing was counted: try again, or unpack what is there and read that"
        ),
        Outcome::Corrupt { why } => bail!(
            "{path}: its compressed data is corrupt ({why}), after {size} bytes of log; nothing was counted: take \
             another copy of it"
        ),
        Outcome::OverCap(cap) => bail!("{path}: {cap}; nothing was counted: unpack it first"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    #[test]
    fn a_compressed_log_is_read_at_any_offset() {
        let text: Vec<u8> = (0..200_000_u32)
            .flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes())
            .collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).expect("memory takes all");
        let folder = tempfile::tempdir().expect("folder");
        // By its content, whatever its name.
        let path = folder.path().join("app.log");
        std::fs::write(&path, encoder.finish().expect("memory takes all")).expect("writes");
        let (source, size, _) = open(&path).expect("is whole");
        assert_eq!((size, source.is_seekable()), (800_000, false));
        for offset in [0, 500_000, 10, 11, 799_999, 65_536] {
            let mut bytes = [0; 100];
            let read = source.read_at(&mut bytes, offset as u64).expect("reads");
            assert!(read > 0 && bytes[..read] == text[offset..offset + read], "at {offset}");
        }
        assert_eq!(source.read_at(&mut [0; 10], 800_000).expect("reads"), 0);
    }
}
