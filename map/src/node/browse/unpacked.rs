//! What people look at in a compressed file: as much of what it holds as may be unpacked while somebody waits.
//!
//! The agent sends the file as it is, in the pieces that it shows of any file; it is unpacked here, off the threads
//! that serve, under bounds of bytes, memory and time. A file that is over them shows its beginning, one that ends too
//! early shows what there is, and both are said to. One that is not what was compressed shows nothing: no byte of it
//! can be trusted.

use super::preview;
use crate::node::Shared;
use crate::node::port::AgentLink;
use crate::protocol::{NotBrowsed, Packed, Reach};
use agent::protocol::{PREVIEW_BYTES_MAX, Preview, PreviewFrom};
use inflate::{Caps, Fault, Inflater, Kind, Outcome};
use lika::seam::{Clock, Deadline};
use std::time::Duration;

/// Compressed bytes of which the end is shown: the agent sends them for somebody who only looks.
pub(super) const PACKED_BYTES_MAX: u64 = 8 << 20;
/// Bytes that are unpacked for one look: a core has about as many done while people wait.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;
/// Memory that a zstd frame may ask for: what all levels but the `--ultra` ones ask for at most.
const WINDOW_BYTES_MAX: u64 = 8 << 20;
/// How long the end of a file is worked for; then its beginning is shown. Less than all that a question may take.
const UNPACK_PATIENCE: Duration = Duration::from_millis(2000);
/// Bytes unpacked at a time.
const STEP_BYTES: usize = 64 << 10;
/// Files unpacked at a time for people: each may take a core, which pulls need more.
pub(in crate::node) const UNPACKS_MAX: usize = 2;

/// How much of a file's beginning and of its end is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) head_bytes: usize,
    pub(super) tail_bytes: usize,
}

/// What was unpacked.
pub(super) struct Unpacked {
    /// The first bytes, as many as were wanted if there are so many.
    pub(super) head: Vec<u8>,
    /// The last bytes: of the file, or of what there is of it.
    pub(super) tail: Vec<u8>,
    pub(super) packed: Packed,
}

/// Unpacks a file of which `first` was sent already.
pub(super) async fn unpacked(
    shared: &Shared,
    (link, path): (&AgentLink, &str),
    (first, kind): (&Preview, Kind),
    wanted: Wanted,
) -> Result<Unpacked, NotBrowsed> {
    let clock = &shared.config.clock;
    let turn = shared.unpacks.acquire().await.map_err(|_closed| NotBrowsed::Busy)?;
    let mut work = Unpacking::new((kind, first.size), wanted, clock.deadline_in(UNPACK_PATIENCE));
    let (mut fetched, size) = (0, first.size);
    while fetched < size && work.state == State::Wanting {
        let length = u32::try_from(size - fetched).unwrap_or(u32::MAX).min(PREVIEW_BYTES_MAX);
        let from = PreviewFrom::Offset(fetched);
        let piece = preview(link, (path, Some(first.identity)), from, length).await?;
        if piece.bytes.is_empty() {
            return Err(NotBrowsed::Changed { path: path.to_owned() });
        }
        fetched += piece.bytes.len() as u64;
        let clock = clock.clone();
        let worked = shared.config.cpu.run(move || work.take(&piece.bytes, &clock)).await;
        work = worked.map_err(|error| NotBrowsed::Unfit(error.to_string()))?;
    }
    drop(turn);
    work.end(kind).map_err(|fault| NotBrowsed::Damaged {
        path: path.to_owned(),
        why: fault.to_string(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next bytes of the file are wanted.
    Wanting,
    /// There is more than may be looked at.
    Enough,
    Faulty,
}

/// A file that is being unpacked.
struct Unpacking {
    inflater: Inflater,
    wanted: Wanted,
    /// More than so many bytes are not unpacked.
    bytes_max: u64,
    until: Deadline,
    head: Vec<u8>,
    tail: Vec<u8>,
    state: State,
    fault: Option<Fault>,
}

impl Unpacking {
    fn new((kind, size): (Kind, u64), wanted: Wanted, until: Deadline) -> Box<Self> {
        let caps = Caps {
            window_bytes_max: WINDOW_BYTES_MAX,
            ..Caps::default()
        };
        let bytes_max = if size > PACKED_BYTES_MAX {
            wanted.head_bytes as u64
        } else {
            UNPACKED_BYTES_MAX
        };
        Box::new(Self {
            inflater: Inflater::new(kind, caps),
            wanted,
            bytes_max,
            until,
            head: Vec::new(),
            tail: Vec::new(),
            state: State::Wanting,
            fault: None,
        })
    }

    /// Unpacks the next bytes of the file.
    fn take(mut self: Box<Self>, bytes: &[u8], clock: &Clock) -> Box<Self> {
        let mut step = vec![0; STEP_BYTES];
        self.inflater.feed(bytes);
        while self.state == State::Wanting {
            match self.inflater.read(&mut step) {
                Ok(0) => break,
                Ok(count) => self.keep(&step[..count]),
                Err(fault) => (self.state, self.fault) = (State::Faulty, Some(fault)),
            }
            // The beginning is shown whatever it takes; what all of a question may take still bounds it.
            let is_late = self.head.len() >= self.wanted.head_bytes && clock.has_passed(self.until);
            if self.state == State::Wanting && (self.inflater.given() > self.bytes_max || is_late) {
                self.state = State::Enough;
            }
        }
        self
    }

    fn keep(&mut self, bytes: &[u8]) {
        let missing = self.wanted.head_bytes.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        self.tail.extend_from_slice(bytes);
        // Cut seldom, so that a byte is moved once.
        if self.tail.len() > 2 * self.wanted.tail_bytes + STEP_BYTES {
            self.tail.drain(..self.tail.len() - self.wanted.tail_bytes);
        }
    }

    fn end(mut self: Box<Self>, kind: Kind) -> Result<Unpacked, Fault> {
        let reach = match (self.state, self.inflater.outcome()) {
            (State::Enough, _) => Reach::Beginning,
            (State::Wanting, Outcome::Complete) => Reach::Whole,
            (State::Wanting, Outcome::Truncated) => Reach::Torn,
            (_, Outcome::Corrupt { why }) => return Err(Fault::Corrupt { why }),
            (_, Outcome::OverCap(cap)) => return Err(Fault::OverCap(cap)),
            (State::Faulty, _) => {
                let why = "it cannot be unpacked".to_owned();
                return Err(self.fault.unwrap_or(Fault::Corrupt { why }));
            }
        };
        self.tail
            .drain(..self.tail.len().saturating_sub(self.wanted.tail_bytes));
        let packed = Packed {
            method: match kind {
                Kind::Gzip => "gzip",
                Kind::Zstandard => "zstd",
            }
            .to_owned(),
            bytes: self.inflater.given(),
            reach,
        };
        Ok(Unpacked {
            head: self.head,
            tail: self.tail,
            packed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const WANTED: Wanted = Wanted {
        head_bytes: 1000,
        tail_bytes: 300,
    };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    }

    /// Unpacks what is sent in pieces of a file that is said to be so large.
    fn unpack(kind: Kind, file: &[u8], size: u64) -> Result<Unpacked, Fault> {
        let clock = Clock::simulated(lika::seam::WallNs(0));
        let mut work = Unpacking::new((kind, size), WANTED, clock.deadline_in(UNPACK_PATIENCE));
        for piece in file.chunks(PREVIEW_BYTES_MAX as usize) {
            if work.state == State::Wanting {
                work = work.take(piece, &clock);
            }
        }
        work.end(kind)
    }

    fn lines(count: usize) -> Vec<u8> {
        (0..count).flat_map(|n| format!("line {n}\n").into_bytes()).collect()
    }

    #[test]
    fn of_a_whole_file_both_ends_are_there() {
        let text = lines(200_000);
        let file = gzip(&text);
        let got = unpack(Kind::Gzip, &file, file.len() as u64).expect("is whole");
        assert!(got.head == text[..1000] && got.tail == text[text.len() - 300..]);
        assert_eq!((got.packed.bytes, got.packed.reach), (text.len() as u64, Reach::Whole));
        let short = gzip(b"one\n");
        let got = unpack(Kind::Gzip, &short, short.len() as u64).expect("is whole");
        assert_eq!((&got.head[..], &got.tail[..]), (&b"one\n"[..], &b"one\n"[..]));
    }

    #[test]
    fn a_large_file_and_a_bomb_give_their_beginning_alone() {
        let text = lines(200_000);
        let file = gzip(&text);
        let got = unpack(Kind::Gzip, &file, PACKED_BYTES_MAX + 1).expect("begins well");
        assert!(got.head == text[..1000] && got.packed.reach == Reach::Beginning);
        assert!(got.packed.bytes < 1000 + 2 * STEP_BYTES as u64, "{}", got.packed.bytes);
        let bomb = gzip(&vec![b'x'; 2 * UNPACKED_BYTES_MAX as usize]);
        let got = unpack(Kind::Gzip, &bomb, bomb.len() as u64).expect("begins well");
        assert_eq!(got.packed.reach, Reach::Beginning);
        let most = UNPACKED_BYTES_MAX + 2 * STEP_BYTES as u64;
        assert!(got.packed.bytes <= most && got.tail.len() <= 300);
    }

    #[test]
    fn torn_and_spoilt_files_are_told_apart() {
        let text = lines(20_000);
        let mut file = gzip(&text);
        let torn = &file[..file.len() / 2];
        let got = unpack(Kind::Gzip, torn, torn.len() as u64).expect("there is something");
        assert_eq!(got.packed.reach, Reach::Torn);
        let end = usize::try_from(got.packed.bytes).expect("small");
        assert!(end > 1000 && got.tail == text[end - 300..end]);
        let at = file.len() - 6;
        file[at] ^= 1;
        let fault = unpack(Kind::Gzip, &file, file.len() as u64)
            .err()
            .expect("it is spoilt");
        assert!(fault.to_string().starts_with("is corrupt: "), "{fault}");
        let nonsense = [&b"\x28\xb5\x2f\xfd"[..], &[0xff; 40]].concat();
        assert!(unpack(Kind::Zstandard, &nonsense, 44).is_err());
    }
}
