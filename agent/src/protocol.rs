//! Everything an upstream may say to an agent, and everything it can hear back: plain data, versioned, bounded.
//!
//! Times are nanoseconds since the Unix epoch in UTC, offsets and sizes are bytes. Paths are absolute UTF-8 strings: a
//! file whose name is not UTF-8, or holds control characters, is reported as [`Refusal::HostileName`], never skipped.
//! Every "why" is a closed enum, so that a Map can turn each into a host state without reading prose.

mod browse;

pub use browse::{
    FolderEntry, ListAnswer, ListRequest, Preview, PreviewAnswer, PreviewFrom, PreviewRequest, RootStatus,
    StatusAnswer, StatusLimits,
};

use serde::{Deserialize, Serialize};

use crate::profile::StampProfile;

/// Version of these messages; an agent answers a request of another version with [`RequestError::Version`].
pub const PROTOCOL_VERSION: u16 = 1;
/// Longest path or pattern in bytes: Linux' own `PATH_MAX`.
pub const PATH_BYTES_MAX: usize = 4096;
/// Most generations a snapshot request may name as known; a busy input has a few dozen.
pub const KNOWN_GENERATIONS_MAX: usize = 4096;
/// Most bytes one range request may ask for: beyond it a slow peer would pin a descriptor for too long.
pub const RANGE_BYTES_MAX: u64 = 256 << 20;
/// Most entries one page of a folder's listing answers with: each costs a look at the file.
pub const FOLDER_ENTRIES_MAX: usize = 10_000;
/// Most bytes that one preview answers with: it is held in memory, unlike a range.
pub const PREVIEW_BYTES_MAX: u32 = 256 << 10;
/// Bytes at the head of a file that its fingerprint covers.
pub const FINGERPRINT_BYTES: usize = 1024;
/// Bytes before an offset that a tail hash covers.
pub const TAIL_BYTES: usize = 4096;
/// Fewest bytes at two heads that must agree before they count as evidence of a copy (F6).
pub const COPY_HEAD_BYTES: usize = 256;

/// What an upstream may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub version: u16,
    /// The question.
    pub body: RequestBody,
}

/// The questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestBody {
    /// List the generations of an input and prove that the list was stable (P1).
    Snapshot(SnapshotRequest),
    /// Find where reading must begin for a time (P3).
    Find(FindRequest),
    /// Send bytes of one generation; the bytes go by the bulk lane.
    Range(RangeRequest),
    /// The raw texts of the `system` source.
    System,
    /// The names in one folder, for the console.
    List(ListRequest),
    /// What keeps the agent within its bounds.
    Status,
    /// Some bytes of one file, for people to look at.
    Preview(PreviewRequest),
}

/// The answers, one for each question; bytes of a range go beside, through a [`crate::ranges::RangeSink`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`RequestBody::Snapshot`].
    Snapshot(SnapshotAnswer),
    /// To [`RequestBody::Find`].
    Find(FindAnswer),
    /// To [`RequestBody::Range`]: the trailer, sent after the bytes.
    Range(RangeEnd),
    /// To [`RequestBody::System`].
    System(SystemAnswer),
    /// To [`RequestBody::List`].
    List(ListAnswer),
    /// The request itself could not be served.
    Rejected(RequestError),
    /// To [`RequestBody::Status`].
    Status(Box<StatusAnswer>),
    /// To [`RequestBody::Preview`].
    Preview(PreviewAnswer),
}

/// Why a request was not served at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RequestError {
    /// The two ends speak different versions.
    #[error("protocol version {asked} is not spoken here, this agent speaks {spoken}: upgrade the older side")]
    Version {
        /// The version of the request.
        asked: u16,
        /// The version of this agent.
        spoken: u16,
    },
    /// A path or pattern longer than [`PATH_BYTES_MAX`].
    #[error("the path has {bytes} bytes, at most {PATH_BYTES_MAX} are allowed: shorten the pattern")]
    PathTooLong {
        /// Its length.
        bytes: usize,
    },
    /// More than [`KNOWN_GENERATIONS_MAX`] known generations.
    #[error("{count} known generations, at most {KNOWN_GENERATIONS_MAX} are allowed: forget the finished ones")]
    TooManyKnown {
        /// How many were named.
        count: usize,
    },
    /// A range over [`RANGE_BYTES_MAX`], or one that ends beyond 2^63.
    #[error("a range of {bytes} bytes at {offset} is over the limit of {RANGE_BYTES_MAX} bytes: ask in pieces")]
    RangeTooLong {
        /// Where it would begin.
        offset: u64,
        /// Its length.
        bytes: u64,
    },
    /// A preview over [`PREVIEW_BYTES_MAX`].
    #[error("a preview of {bytes} bytes is over the limit of {PREVIEW_BYTES_MAX} bytes: ask in pieces")]
    PreviewTooLong {
        /// Its length.
        bytes: u32,
    },
    /// The pattern cannot be understood.
    #[error("the pattern cannot be used: {why}")]
    Pattern {
        /// What is wrong with it and what to write instead.
        why: String,
    },
    /// The profile of a [`FindRequest`] cannot be used here.
    #[error("the profile cannot be used: {why}")]
    Profile {
        /// What is wrong with it and what to send instead.
        why: String,
    },
    /// There is no `/proc` to read.
    #[error("the system source {0}: mount /proc")]
    SystemSource(Refusal),
}

/// Which file it is, whatever it is called: F6, first part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// Device number, major in the upper 32 bits.
    pub device: u64,
    /// Inode number; ext4 gives it to the next file at once, hence the birth.
    pub inode: u64,
    /// When the inode was made; absent on filesystems that don't keep it.
    pub birth_ns: Option<i64>,
}

impl Identity {
    /// Whether it may be the same file under another device number, which a remount, a reboot or another order of disks
    /// gives to a file system. Its content must tell ([`KnownVerdict::Same`]).
    pub fn is_renumbered(&self, known: &Self) -> bool {
        self.device != known.device && (self.inode, self.birth_ns) == (known.inode, known.birth_ns)
    }
}

/// Hash of the first bytes: F6, second part. Two of them compare only over the shorter length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many bytes from offset 0 are covered: at most [`FINGERPRINT_BYTES`], fewer in a short file.
    pub length: u32,
    /// XXH3-64, seed 0, of these bytes.
    pub hash: u64,
}

/// Hash of the bytes just before an offset: F6, third part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TailHash {
    /// The offset; the hash covers `[max(0, offset − TAIL_BYTES), offset)`.
    pub offset: u64,
    /// XXH3-64, seed 0, of these bytes.
    pub hash: u64,
}

/// How the bytes of a file are stored, by its name. Compressed ones are sent as they are, and inflated by who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compression {
    /// Bytes as written.
    Plain,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstandard,
    /// `.bz2` or `.xz`: never read, still named so that nobody takes the history for complete.
    Unsupported,
}

/// What kind of thing stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FileKind {
    /// A regular file: the only kind that is opened.
    Regular,
    /// A folder.
    Folder,
    /// A symbolic link, not followed here.
    Link,
    /// A FIFO; opening one may hang, reading one takes bytes from its owner.
    Fifo,
    /// A socket.
    Socket,
    /// A character or block device.
    Device,
    /// Anything else.
    Other,
}

/// Why a path was not opened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Nothing there.
    #[error("does not exist")]
    NotFound,
    /// A link whose target is not there.
    #[error("is a link to something that does not exist")]
    DanglingLink,
    /// The agent's user may not read it (for a moment, as logrotate does it, or for good).
    #[error("may not be read by the agent: give its user read access")]
    Denied,
    /// Not below an allowed root, or a link that leads out of all of them.
    #[error("lies outside the allowed roots: add its folder to `roots`")]
    OutsideRoots,
    /// The path is not absolute.
    #[error("is not absolute: begin it with /")]
    NotAbsolute,
    /// The path holds a `..`.
    #[error("holds `..`, which is never followed: write the path without it")]
    ParentComponent,
    /// NUL, a control character, or not UTF-8.
    #[error("has a name with control characters or not in UTF-8: rename it")]
    HostileName,
    /// Longer than the limit.
    #[error("is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// More links in a row than any sane layout has.
    #[error("leads through too many links")]
    TooManyLinks,
    /// Not a regular file (or not a folder where a folder was asked for).
    #[error("is a {0:?}, not what was asked for")]
    WrongKind(FileKind),
    /// More than one name for the same inode: it may be a foreign file smuggled into the root.
    #[error("has {links} hard links, which are refused: copy the file, or allow hard links in the agent's config")]
    HardLinked {
        /// How many names it has.
        links: u32,
    },
    /// The file itself is a mount: a rename outside is not seen here, the mount stays with the old file.
    #[error("is mounted as a single file, which hides its rotation: mount its folder instead")]
    MountedAlone,
    /// The path changed again and again while it was opened.
    #[error("changed while it was opened: try again")]
    Changing,
    /// The root folder itself is missing at the moment.
    #[error("lies below a root that does not exist now")]
    RootMissing,
    /// Anything else the kernel said.
    #[error("failed with errno {errno}")]
    Io {
        /// The raw errno.
        errno: i32,
    },
}

/// A generation as the upstream last saw it: lets the agent find it under any name, and say whether it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownGeneration {
    /// Real path when last seen; looked at again although the pattern may no longer match it.
    pub path: String,
    /// Which file it was.
    pub identity: Identity,
    /// Its fingerprint then.
    pub fingerprint: Fingerprint,
    /// The hash before the offset read so far.
    pub tail: TailHash,
}

/// Asks for [`SnapshotAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRequest {
    /// Absolute path with globs and strftime dates.
    pub pattern: String,
    /// `start − L − D`: the earliest instant whose date a dated pattern is expanded for.
    pub dates_from_ns: i64,
    /// What was known before, at most [`KNOWN_GENERATIONS_MAX`].
    pub known: Vec<KnownGeneration>,
}

/// Whether two listings in a row agreed: P1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stability {
    /// They did, at this attempt (1 to 3).
    Stable {
        /// The attempt.
        attempt: u8,
    },
    /// They did not, three times: nothing is proved, ask again.
    Unstable,
}

/// The host's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostZone {
    /// Its name, if it has one.
    pub name: ZoneName,
    /// Offset from UTC in seconds, east positive, at the answer's `t`.
    pub offset_seconds: i32,
}

/// What the host calls its zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZoneName {
    /// An IANA name: local stamps of any instant can be read with it.
    Iana(String),
    /// `/etc/localtime` is a copy without a name: only the offset at `t` is known.
    Unnamed,
    /// The host says nothing that makes sense; the offset means nothing. Stamps without an offset need an override.
    Unknown,
}

/// What one input looks like on this host at `t`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotAnswer {
    /// The host's clock, sampled before the listing: every byte written before it is within the sizes.
    pub t_ns: i64,
    /// The host's zone.
    pub zone: HostZone,
    /// `/etc/machine-id`, empty if there is none. Cloned machines share one, and so do agents of one machine.
    pub machine_id: String,
    /// A number that the agent drew when it was started: the same behind two addresses is one agent, listed twice. 0 if
    /// it drew none.
    #[serde(default)]
    pub instance: u64,
    /// Whether the listing is proved.
    pub stability: Stability,
    /// Every generation, each inode once, sorted by family, then live first, then path.
    pub generations: Vec<Generation>,
    /// Names that were looked for or matched, and could not be used.
    pub problems: Vec<PathProblem>,
    /// Limits met; the listing is incomplete if there is one.
    pub limits: Vec<LimitMet>,
    /// Roots that are missing or were replaced.
    pub roots: Vec<PathProblem>,
}

/// Part a generation plays in its log's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// It stands at a name the pattern matches (or is the target of a link that does).
    Live,
    /// It stands at a name that rotation gives, beside the live one.
    Rotated,
    /// Only its identity ties it to the input: it was known, and has an unusual name now.
    KnownByIdentity,
}

/// One file of a log's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The name the pattern matched: what all generations of one log share.
    pub family: String,
    /// Path to ask for in [`FindRequest`] and [`RangeRequest`]; links are resolved.
    pub path: String,
    /// Its part.
    pub role: Role,
    /// Which file.
    pub identity: Identity,
    /// Size in bytes as stored, seen after `t`.
    pub size: u64,
    /// Last modification.
    pub mtime_ns: i64,
    /// How it is stored.
    pub compression: Compression,
    /// Its head and what became of it, or why it can't be read.
    pub content: Content,
}

/// What could be read of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// It can be read.
    Readable {
        /// Hash of its head.
        fingerprint: Fingerprint,
        /// Compared with the request's [`KnownGeneration`] of the same identity.
        verdict: KnownVerdict,
        /// Another generation of the same family whose head and tail hold the same bytes (F6): a copy, finished or in
        /// the making. Evidence only; the upstream knows which of them grow.
        copy_of: Option<CopyEvidence>,
    },
    /// It is compressed; its bytes are not looked at here.
    NotLookedAt,
    /// It exists and can't be opened now.
    Unreadable(Refusal),
}

/// Whether a generation still is what was known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KnownVerdict {
    /// It was not known.
    New,
    /// Head and tail hold the known bytes.
    Same,
    /// Smaller than the known offset: truncated in place, or a stale size (ask again before believing).
    Shrunk,
    /// Its head differs: truncated and rewritten.
    HeadDiffers,
    /// Its head agrees and the bytes before the known offset differ: truncated and regrown.
    TailDiffers,
}

/// Two files that begin with the same bytes and agree before the end of the shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyEvidence {
    /// The other file.
    pub of: Identity,
    /// Size of the shorter: both agree over its first [`COPY_HEAD_BYTES`] and its last [`TAIL_BYTES`].
    pub common_bytes: u64,
}

/// A path and why it can't be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[error("{path} {refusal}")]
pub struct PathProblem {
    /// The path, lossily decoded if it is hostile.
    pub path: String,
    /// Why.
    pub refusal: Refusal,
}

/// A limit that made a listing incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LimitMet {
    /// More files match than [`crate::pattern::FILES_MAX`].
    Files,
    /// More folder entries to look at than [`crate::pattern::ENTRIES_MAX`].
    Entries,
    /// `**` reached [`crate::pattern::DEPTH_MAX`] and there was more below.
    Depth,
}

/// Asks for [`FindAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindRequest {
    /// A path from a snapshot.
    pub path: String,
    /// Which file it must be.
    pub identity: Identity,
    /// Start of the window.
    pub start_ns: i64,
    /// Lateness bound `L`.
    pub lateness_ns: i64,
    /// Where a search for the same or an earlier time ended, if one did.
    pub hint: Option<TailHash>,
    /// How its stamps are to be read.
    pub profile: StampProfile,
}

/// To [`FindRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FindAnswer {
    /// Where reading must begin.
    Found {
        /// The offset and its proof.
        landing: Landing,
        /// The size the search worked on.
        size: u64,
    },
    /// The file shrank while it was searched.
    Changed,
    /// It could not be opened or read.
    Refused(PathProblem),
    /// Another file has this path now, and the asked one is not beside it.
    Gone,
}

/// Why nothing before a landing can lie in the window: P3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartProof {
    /// Reading begins at offset 0.
    Beginning,
    /// The block in `[from, to)` was judged in full: its greatest good stamp is below `start − L`, and reading begins
    /// not behind its end.
    Block {
        /// Where the block begins.
        from: u64,
        /// Where it ends.
        to: u64,
        /// Its greatest good stamp.
        greatest_ns: i64,
    },
}

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HintVerdict {
    /// There was none.
    NoHint,
    /// Its bytes are the same and lie before the window: reading begins there.
    Trusted,
    /// It is behind the end of the file, or the bytes before it are not the same.
    Mismatch,
    /// Its bytes are the same, but don't prove that the window begins behind it.
    NotBefore,
}

/// Result of a search, with its cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// Where reading begins: 0 or the beginning of a line.
    pub offset: u64,
    /// Why that is early enough.
    pub proof: StartProof,
    /// Greatest good stamp of the last block of the file, if the search read it and found one.
    pub newest_ns: Option<i64>,
    /// What became of the hint.
    pub hint: HintVerdict,
    /// Reads made.
    pub reads: u32,
    /// Bytes they returned.
    pub bytes_read: u64,
}

/// Asks for bytes of one generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeRequest {
    /// A path from a snapshot.
    pub path: String,
    /// Which file it must be; if it was renamed beside its old name it is found there.
    pub identity: Identity,
    /// What its head must be.
    pub fingerprint: Fingerprint,
    /// What must stand before `offset`, if that is known (a pull that goes on).
    pub tail: Option<TailHash>,
    /// First byte.
    pub offset: u64,
    /// Bytes wanted, at most [`RANGE_BYTES_MAX`]; fewer come if the file ends before.
    pub length: u64,
}

/// How a range ended: the trailer behind its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeEnd {
    /// The true length: how many bytes of the file were sent.
    pub sent: u64,
    /// Size of the file afterwards, 0 if it was never opened.
    pub size_after: u64,
    /// Hash of up to [`TAIL_BYTES`] before `offset + sent`, read again after sending: the
    /// receiver compares it with what it received. Absent where the outcome is not [`RangeOutcome::Unchanged`].
    pub tail_after: Option<TailHash>,
    /// What to think of the bytes.
    pub outcome: RangeOutcome,
}

/// What to think of the bytes of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RangeOutcome {
    /// The file was the asked one before and after: the bytes are good (fewer than asked where it ends).
    Unchanged,
    /// It is not what was known of it; nothing was sent.
    ChangedBefore(KnownVerdict),
    /// It changed while it was sent: throw the bytes away and take a snapshot.
    ChangedDuring(KnownVerdict),
    /// Another file has this path now, and the asked one is not beside it.
    Gone,
    /// It could not be opened or read.
    Refused(PathProblem),
}

/// The texts of the `system` source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SystemText {
    /// `/proc/stat`
    Stat,
    /// `/proc/loadavg`
    LoadAverage,
    /// `/proc/meminfo`
    MemoryInfo,
    /// `/proc/diskstats`
    DiskStatistics,
    /// `/proc/net/dev`
    NetworkDevices,
    /// `/proc/net/snmp`
    NetworkCounters,
}

/// To [`RequestBody::System`]: raw texts, parsed by the Map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemAnswer {
    /// The host's clock before the first text was read.
    pub t_before_ns: i64,
    /// The host's clock after the last text was read: a sample is as coherent as this is near.
    pub t_after_ns: i64,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// As in [`SnapshotAnswer::instance`].
    #[serde(default)]
    pub instance: u64,
    /// Each text, or why it is missing.
    pub texts: Vec<(SystemText, Result<String, Refusal>)>,
    /// Each mount of a real filesystem.
    pub mounts: Vec<MountUsage>,
}

/// One mounted filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountUsage {
    /// Where it is mounted.
    pub mount_point: String,
    /// Its type, as the kernel calls it.
    pub filesystem: String,
    /// Its space, or why that is not known.
    pub usage: DiskUsage,
}

/// Space of a filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskUsage {
    /// As `statvfs` says.
    Known {
        /// All bytes.
        total_bytes: u64,
        /// Free for anyone.
        free_bytes: u64,
        /// Free for unprivileged users.
        available_bytes: u64,
    },
    /// A network filesystem: asking a dead server would hang the agent.
    NotAsked,
    /// The kernel refused.
    Failed(Refusal),
}

impl Request {
    /// Checks version and bounds, before anything else looks at the request.
    pub fn validate(&self) -> Result<(), RequestError> {
        if self.version != PROTOCOL_VERSION {
            return Err(RequestError::Version {
                asked: self.version,
                spoken: PROTOCOL_VERSION,
            });
        }
        match &self.body {
            RequestBody::Snapshot(request) => {
                if request.known.len() > KNOWN_GENERATIONS_MAX {
                    return Err(RequestError::TooManyKnown {
                        count: request.known.len(),
                    });
                }
                request.known.iter().try_for_each(|known| check_path(&known.path))?;
                check_path(&request.pattern)
            }
            RequestBody::Find(request) => check_path(&request.path),
            RequestBody::Range(request) => {
                check_path(&request.path)?;
                let end = request.offset.checked_add(request.length);
                if request.length > RANGE_BYTES_MAX || end.is_none_or(|end| end > i64::MAX as u64) {
                    return Err(RequestError::RangeTooLong {
                        offset: request.offset,
                        bytes: request.length,
                    });
                }
                Ok(())
            }
            RequestBody::System | RequestBody::Status => Ok(()),
            RequestBody::List(request) => {
                check_path(request.after.as_deref().unwrap_or_default())?;
                check_path(&request.path)
            }
            RequestBody::Preview(request) => match request.length {
                bytes if bytes > PREVIEW_BYTES_MAX => Err(RequestError::PreviewTooLong { bytes }),
                _ => check_path(&request.path),
            },
        }
    }
}

fn check_path(path: &str) -> Result<(), RequestError> {
    match path.len() {
        bytes if bytes > PATH_BYTES_MAX => Err(RequestError::PathTooLong { bytes }),
        _ => Ok(()),
    }
}
