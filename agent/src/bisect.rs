//! Where in a file reading must begin for a time (P3): found with a couple of dozen reads in a file of any size.
//!
//! A pure search over [`ReadAt`] and a function that reads a line's stamp (given the line's offset too). Lines are not
//! sorted: a stamp may lie up to `L` below the greatest before it. So a proof is a whole *block* of up to 1 MiB whose
//! greatest good stamp (F3) lies below `start − L`: had any earlier record been at or after `start`, all of that block
//! would be late beyond it. While searching, a probe's first stamps judge a place; at the landing the block before it
//! is judged in full, and reading begins at that block. Wrong turns of a probe (wild or late stamps) therefore cost
//! reads, never values.
//!
//! Order of the search: the hint, the tail (a live pull ends there), the head (a new file ends there), then
//! interpolation as long as it at least halves the rest (it may miss [`MISSES_MAX`] times), then bisection. Bisecting
//! 100 GB into blocks takes 17 probes; with two reads at the tail, the head, the misses and the landing that is 23.

use std::io;

use memchr::{memchr, memrchr};

use crate::content::tail_hash_of;
use crate::protocol::{HintVerdict, Landing, StartProof, TAIL_BYTES, TailHash};

/// Size of a block that is judged in full. A run of late or wild records longer than this can mislead (DESIGN 3).
pub const BLOCK_BYTES: u64 = 1 << 20;
/// Bytes of a probe: a whole record of up to 64 KiB stands in it wherever it begins.
pub const PROBE_BYTES: u64 = 192 << 10;
/// How many stamps of a probe judge it: enough to tell a wild one by its successors.
const PROBE_STAMPS: usize = 24;
/// How often interpolation may fail to halve the rest before only bisection is used.
pub const MISSES_MAX: u32 = 2;
/// Blocks at the end of a file that are judged before anything else.
const TAIL_BLOCKS: u32 = 2;
/// Most reads of one search before the landing. A file that needs more has many megabytes without stamps; reading then
/// begins at the best block proved so far, or at 0: costly, never wrong.
pub const READS_MAX: u32 = 96;
/// Most blocks that one probe goes on through while it finds no stamp.
const STAMPLESS_BLOCKS_MAX: u32 = 8;
/// F3: successors that are looked at, how many of them must lie below, and by how much at least (1 hour).
const WILD_SUCCESSORS: usize = 8;
const WILD_BELOW: usize = 5;
const WILD_DISTANCE_NS: i64 = 3_600_000_000_000;

/// A file that can be read anywhere.
pub trait ReadAt {
    /// Its size when the search began.
    fn size(&self) -> u64;
    /// Fills the buffer from an offset; fewer bytes only where the file ends.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Why a search found nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The file is shorter than it was when the search began.
    #[error("the file shrank while it was searched: take a new snapshot")]
    Shrank,
    /// The kernel refused a read.
    #[error("reading at {offset} failed: check the disk")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The time that is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Start of the window.
    pub start_ns: i64,
    /// Lateness bound `L`.
    pub lateness_ns: i64,
}

/// Where an earlier search or pull ended: trusted only if the bytes before it are the same still, and their block lies
/// before the window.
pub type Hint = TailHash;

/// Finds the offset from which reading must begin, so that no record with a stamp in `[start, …)` begins before it as
/// long as disorder stays within `L`. Buffers of up to 1 MiB are allocated once per search.
pub fn find<R, S>(file: &mut R, stamp: S, target: Target, hint: Option<Hint>) -> Result<Landing, FindError>
where
    R: ReadAt,
    S: FnMut(u64, &[u8]) -> Option<i64>,
{
    let size = file.size();
    let mut search = Search {
        file,
        stamp,
        size,
        threshold_ns: target.start_ns.saturating_sub(target.lateness_ns),
        wild_ns: target.lateness_ns.max(WILD_DISTANCE_NS),
        buffer: Vec::new(),
        buffer_from: 0,
        stamps: Vec::new(),
        reads: 0,
        bytes_read: 0,
        newest_ns: None,
        hint: HintVerdict::NoHint,
    };
    let (offset, proof) = search.run(hint)?;
    let Search {
        newest_ns,
        hint,
        reads,
        bytes_read,
        ..
    } = search;
    Ok(Landing {
        offset,
        proof,
        newest_ns,
        hint,
        reads,
        bytes_read,
    })
}

/// A place to begin and why.
type Start = (u64, StartProof);

const BEGINNING: Start = (0, StartProof::Beginning);

/// What the stamps of a place say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// All good ones are below `start − L`; this is the greatest.
    Before(i64),
    /// One is not; this is the greatest.
    NotBefore(i64),
    /// There is none.
    Stampless,
}

/// The part of the file in which the landing lies, in blocks: `before` was judged to lie before the window.
struct Rest {
    before: u64,
    before_ns: i64,
    behind: u64,
    behind_ns: i64,
}

impl Rest {
    fn blocks(&self) -> u64 {
        self.behind - self.before
    }
}

struct Search<'f, R, S> {
    file: &'f mut R,
    stamp: S,
    size: u64,
    /// `start − L`.
    threshold_ns: i64,
    wild_ns: i64,
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte.
    buffer_from: u64,
    stamps: Vec<i64>,
    reads: u32,
    bytes_read: u64,
    newest_ns: Option<i64>,
    hint: HintVerdict,
}

impl<R: ReadAt, S: FnMut(u64, &[u8]) -> Option<i64>> Search<'_, R, S> {
    fn run(&mut self, hint: Option<Hint>) -> Result<Start, FindError> {
        if let Some(hint) = hint
            && let Some(start) = self.try_hint(hint)?
        {
            return Ok(start);
        }
        // A file of one block is read whole: nothing would be saved by looking first.
        if self.size <= BLOCK_BYTES {
            return Ok(BEGINNING);
        }
        let (behind, behind_ns) = match self.search_tail()? {
            Tail::Landed(start) => return Ok(start),
            Tail::Behind { block, stamp_ns } => (block, stamp_ns),
        };
        let head = self.probe(0, self.block_of(behind))?;
        let Some(before_ns) = head.before() else {
            return Ok(BEGINNING);
        };
        let rest = self.narrow(Rest {
            before: 0,
            before_ns,
            behind,
            behind_ns,
        })?;
        self.land(rest.before)
    }

    /// The hint needs the same bytes before it, the end of a line, and a block before it that proves the time.
    fn try_hint(&mut self, hint: Hint) -> Result<Option<Start>, FindError> {
        self.hint = HintVerdict::Mismatch;
        if hint.offset > self.size || hint.offset == 0 {
            return Ok(None);
        }
        let from = hint.offset.saturating_sub(BLOCK_BYTES.max(TAIL_BYTES as u64));
        let verdict = self.judge(from, hint.offset)?;
        // The buffer still holds the block, whose end is the hint's offset.
        if tail_hash_of(hint.offset, &self.buffer) != hint {
            return Ok(None);
        }
        self.hint = HintVerdict::NotBefore;
        let whole_line = self.buffer.last() == Some(&b'\n');
        Ok(match verdict {
            Verdict::Before(greatest_ns) if whole_line => {
                self.hint = HintVerdict::Trusted;
                Some((
                    hint.offset,
                    StartProof::Block {
                        from,
                        to: hint.offset,
                        greatest_ns,
                    },
                ))
            }
            _ => None,
        })
    }

    /// Judges the last two blocks in full, counted from the end: where a live pull begins. They are not taken from the
    /// grid, whose last block may hold a single record, which proves nothing if it happens to be late.
    fn search_tail(&mut self) -> Result<Tail, FindError> {
        let mut to = self.size;
        let mut stamp_ns = i64::MAX;
        for nth in 0..TAIL_BLOCKS {
            let from = to.saturating_sub(BLOCK_BYTES);
            let verdict = self.judge(from, to)?;
            if nth == 0 {
                self.newest_ns = verdict.greatest();
            }
            match verdict {
                Verdict::Before(greatest_ns) => {
                    return Ok(Tail::Landed(self.start_at(from, to, greatest_ns)));
                }
                Verdict::NotBefore(greatest_ns) => stamp_ns = greatest_ns,
                // A long trace or an unfinished line: what it says of the time is unknown, the landing is before it.
                Verdict::Stampless => {}
            }
            if from == 0 {
                return Ok(Tail::Landed(BEGINNING));
            }
            to = from;
        }
        Ok(Tail::Behind {
            block: to / BLOCK_BYTES,
            stamp_ns,
        })
    }

    /// Interpolates and bisects until one block is left between what lies before and what doesn't.
    fn narrow(&mut self, mut rest: Rest) -> Result<Rest, FindError> {
        let mut misses = 0;
        let mut from_before = true;
        while rest.blocks() > 1 && self.reads < READS_MAX {
            let middle = rest.before + rest.blocks() / 2;
            let block = match misses < MISSES_MAX {
                true => self.interpolate(&rest, from_before).unwrap_or(middle),
                false => middle,
            };
            let old_blocks = rest.blocks();
            match self.probe(self.block_of(block), self.block_of(rest.behind))? {
                Verdict::Before(stamp_ns) => (rest.before, rest.before_ns) = (block, stamp_ns),
                Verdict::NotBefore(stamp_ns) => (rest.behind, rest.behind_ns) = (block, stamp_ns),
                // No stamp up to what lies behind: the landing can only be earlier.
                Verdict::Stampless => rest.behind = block,
            }
            from_before = rest.before == block;
            if rest.blocks() > old_blocks / 2 + 1 {
                misses += 1;
            }
        }
        Ok(rest)
    }

    /// Where the threshold would stand if stamps grew evenly, moved a little away from the side that was moved last:
    /// landing beyond the threshold cuts off the larger part. None where the stamps allow no guess.
    fn interpolate(&self, rest: &Rest, from_before: bool) -> Option<u64> {
        let span = i128::from(rest.behind_ns) - i128::from(rest.before_ns);
        if rest.behind_ns == i64::MAX || span <= 0 {
            return None;
        }
        let part = i128::from(self.threshold_ns) - i128::from(rest.before_ns);
        let guess = u64::try_from(i128::from(rest.blocks()) * part / span).ok()?;
        let margin = (rest.blocks() / 64).max(1);
        let guess = if from_before {
            guess.saturating_add(margin)
        } else {
            guess.saturating_sub(margin)
        };
        Some(rest.before + guess.clamp(1, rest.blocks() - 1))
    }

    /// Judges the block before the landing in full, and goes back in growing steps while it isn't before the window.
    fn land(&mut self, landing: u64) -> Result<Start, FindError> {
        let mut step = 1;
        let mut block = landing.saturating_sub(1);
        while block > 0 {
            let (from, to) = (self.block_of(block), self.block_of(block + 1));
            if let Verdict::Before(greatest_ns) = self.judge(from, to)? {
                return Ok(self.start_at(from, to, greatest_ns));
            }
            block = block.saturating_sub(step);
            step *= 2;
        }
        Ok(BEGINNING)
    }

    /// Reading begins at the first line that begins in a judged block; the buffer still holds it.
    fn start_at(&self, from: u64, to: u64, greatest_ns: i64) -> Start {
        let offset = match memchr(b'\n', &self.buffer) {
            // The buffer holds one byte before the block: a newline there means that a line begins with the block.
            Some(newline) if from > 0 => from + newline as u64,
            _ => from,
        };
        (offset, StartProof::Block { from, to, greatest_ns })
    }

    fn block_of(&self, block: u64) -> u64 {
        block.saturating_mul(BLOCK_BYTES).min(self.size)
    }

    /// Judges all complete lines that begin in `[from, to)` and end in it.
    fn judge(&mut self, from: u64, to: u64) -> Result<Verdict, FindError> {
        let lead = u64::from(from > 0);
        self.fill(from - lead, to)?;
        self.stamps.clear();
        self.collect(from > 0, usize::MAX);
        Ok(self.verdict())
    }

    /// Judges the first stamps behind `from`, going on through blocks without any; never from `end` on.
    fn probe(&mut self, from: u64, end: u64) -> Result<Verdict, FindError> {
        let mut at = from;
        let mut length = PROBE_BYTES;
        for _ in 0..STAMPLESS_BLOCKS_MAX {
            let to = (at + length).min(end);
            self.fill(at - u64::from(at > 0), to)?;
            self.stamps.clear();
            self.collect(at > 0, PROBE_STAMPS);
            if !self.stamps.is_empty() || to >= end || self.reads >= READS_MAX {
                break;
            }
            // Again from the last line that was cut off, if it is short enough to fit at all.
            let cut = memrchr(b'\n', &self.buffer).map_or(0, |newline| self.buffer.len() - newline - 1) as u64;
            at = if cut > 0 && cut < BLOCK_BYTES / 2 { to - cut } else { to };
            length = BLOCK_BYTES;
        }
        Ok(self.verdict())
    }

    /// Collects the stamps of the complete lines in the buffer. If a line may have begun before it, it holds one byte
    /// more at the front, and what stands before the first newline is left out.
    fn collect(&mut self, begins_within_line: bool, most: usize) {
        let mut rest = self.buffer.as_slice();
        if begins_within_line {
            rest = memchr(b'\n', rest).map_or(&[], |newline| &rest[newline + 1..]);
        }
        while self.stamps.len() < most
            && let Some(newline) = memchr(b'\n', rest)
        {
            let offset = self.buffer_from + (self.buffer.len() - rest.len()) as u64;
            self.stamps.extend((self.stamp)(offset, &rest[..newline]));
            rest = &rest[newline + 1..];
        }
    }

    fn verdict(&self) -> Verdict {
        match greatest_good(&self.stamps, self.wild_ns) {
            None => Verdict::Stampless,
            Some(greatest_ns) if greatest_ns < self.threshold_ns => Verdict::Before(greatest_ns),
            Some(greatest_ns) => Verdict::NotBefore(greatest_ns),
        }
    }

    fn fill(&mut self, from: u64, to: u64) -> Result<(), FindError> {
        self.buffer.resize((to - from) as usize, 0);
        self.buffer_from = from;
        let read = self.file.read_at(from, &mut self.buffer);
        let read = read.map_err(|source| FindError::Read { offset: from, source })?;
        self.reads += 1;
        self.bytes_read += read as u64;
        if read < self.buffer.len() {
            Err(FindError::Shrank)
        } else {
            Ok(())
        }
    }
}

/// What the end of the file says.
enum Tail {
    /// The landing is there.
    Landed(Start),
    /// What was judged doesn't lie before the window; the landing is looked for before this block of the grid.
    Behind { block: u64, stamp_ns: i64 },
}

impl Verdict {
    fn before(self) -> Option<i64> {
        match self {
            Self::Before(stamp_ns) => Some(stamp_ns),
            Self::NotBefore(_) | Self::Stampless => None,
        }
    }

    fn greatest(self) -> Option<i64> {
        match self {
            Self::Before(stamp_ns) | Self::NotBefore(stamp_ns) => Some(stamp_ns),
            Self::Stampless => None,
        }
    }
}

/// The greatest stamp that F3 calls good: fewer than 5 of its next 8 lie more than `wild_ns` below it. The last ones,
/// whose successors are not in the block, count as good, which can only make reading begin earlier.
fn greatest_good(stamps: &[i64], wild_ns: i64) -> Option<i64> {
    let mut greatest = None;
    for (index, &stamp) in stamps.iter().enumerate() {
        if greatest.is_some_and(|greatest| stamp <= greatest) {
            continue;
        }
        let successors = stamps[index + 1..].iter().take(WILD_SUCCESSORS);
        let below = successors
            .filter(|later| stamp.saturating_sub(**later) > wild_ns)
            .count();
        if below < WILD_BELOW {
            greatest = Some(stamp);
        }
    }
    greatest
}
