//! The only door to the filesystem: every open of the agent happens beneath a root that the administrator allowed.
//!
//! Confinement is the kernel's: a path is opened by `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)` from the root's
//! descriptor, so whatever an attacker renames or links meanwhile, the open fails or stays below. A link is read, its
//! target resolved here component by component, and the result opened by the same call beneath the root it leads to: a
//! link may lead into another allowed root (`/var/log/containers` does), never out of all of them. Kernels without
//! `openat2` (before 5.6) get a walk with `O_NOFOLLOW` at each component, shown in the status
//! ([`crate::confinement`]).
//!
//! Policy: only regular files are opened, after a look through `O_PATH` that touches nothing (opening a FIFO can hang,
//! opening a device can act). A file of several hard links is refused unless allowed: whoever may write to a log folder
//! could link a foreign file there and have it served. `..` is refused in requests and never followed out of a root.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mutant::Mutant;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::protocol::{FileKind, Identity, PATH_BYTES_MAX, PathProblem, Refusal};

/// Most links followed for one path; Linux' own limit is 40, real layouts need two or three.
pub const LINKS_MAX: usize = 16;
/// How often an open is tried again when the path changes under it.
const ATTEMPTS_MAX: usize = 4;
/// Most components of a path after its links are resolved: bounds what a hostile nest of links can cost.
const COMPONENTS_MAX: usize = 512;

/// How paths are opened here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenWay {
    /// By `openat2`: the kernel confines.
    OpenAt2,
    /// By a walk with `O_NOFOLLOW` at each component: for kernels before 5.6.
    ComponentWalk,
}

/// What to do with files that have several names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HardLinks {
    /// Refuse them: the default.
    Refuse,
    /// Serve them: for hosts where rotation works by `link` and `unlink` and nobody else writes to the folder.
    Allow,
}

/// Why the roots could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// No root at all.
    #[error("no roots are configured: name at least one folder in `roots`")]
    Empty,
    /// A root that cannot be one.
    #[error("root cannot be used: correct `roots`")]
    Unusable(#[source] PathProblem),
}

/// What the kernel says of an open file, as far as it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Which file.
    pub identity: Identity,
    /// What kind.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Last modification.
    pub mtime_ns: i64,
    /// Number of names.
    pub links: u32,
    /// Whether it is what a mount shows, as a single file that is mounted is; kernels before 5.8 do not say.
    pub is_mounted_alone: bool,
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenFile {
    /// Its descriptor, closed when this is dropped.
    pub descriptor: OwnedFd,
    /// Its path without links.
    pub real_path: String,
    /// What the kernel said of it after the open.
    pub stat: FileStat,
}

/// What stands at a path, seen without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Its path without links.
    pub real_path: String,
    /// What the kernel says of it.
    pub stat: FileStat,
}

struct Root {
    /// As configured; may lead through links, which the administrator chose.
    configured: String,
    /// The same without links, fixed when the root was first opened.
    canonical: String,
    /// None while the folder does not exist.
    folder: Mutex<Option<Arc<OwnedFd>>>,
    /// Which folder it was when the sandbox was made, once one was.
    sealed: OnceLock<Option<Identity>>,
}

/// Told of a root that the sandbox does not cover.
type OnUncovered = Box<dyn Fn(&str) + Send + Sync>;

/// The allowed roots, open.
pub struct Roots {
    roots: Vec<Root>,
    on_uncovered: OnceLock<OnUncovered>,
    way: OpenWay,
    hard_links: HardLinks,
}

impl Roots {
    /// Opens the roots. One that does not exist yet is kept and opened when it appears (then without following links);
    /// one that is no folder or may not be entered is an error.
    pub fn open(paths: &[String], hard_links: HardLinks) -> Result<Self, RootsError> {
        Self::open_with(paths, hard_links, detect_way())
    }

    /// As [`Roots::open`], with the way to open chosen by the caller: tests run every case through both.
    pub fn open_with(paths: &[String], hard_links: HardLinks, way: OpenWay) -> Result<Self, RootsError> {
        if paths.is_empty() {
            return Err(RootsError::Empty);
        }
        let roots = paths
            .iter()
            .map(|path| {
                open_root(path).map_err(|refusal| {
                    RootsError::Unusable(PathProblem {
                        path: path.clone(),
                        refusal,
                    })
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            roots,
            on_uncovered: OnceLock::new(),
            way,
            hard_links,
        })
    }

    /// The folders of the roots that exist.
    pub(crate) fn folders(&self) -> Vec<Arc<OwnedFd>> {
        self.roots.iter().filter_map(Root::held).collect()
    }

    /// From now on a sandbox covers the folders that the roots are at this moment, and no other: `on_uncovered` is told
    /// the name of a root whenever another folder is found to stand there, whose files the kernel will not give out.
    pub fn seal(&self, on_uncovered: impl Fn(&str) + Send + Sync + 'static) {
        for root in &self.roots {
            let identity = root.held().and_then(|held| Some(stat_of(&held).ok()?.identity));
            let _sealed_before = root.sealed.set(identity);
        }
        let _sealed_before = self.on_uncovered.set(Box::new(on_uncovered));
    }

    /// Takes a folder for the root's.
    fn adopt(&self, root: &Root, folder: Arc<OwnedFd>) {
        let identity = stat_of(&folder).ok().map(|stat| stat.identity);
        root.hold(Some(folder));
        if let (Some(sealed), Some(told)) = (root.sealed.get(), self.on_uncovered.get())
            && *sealed != identity
        {
            told(&root.configured);
        }
    }

    /// The roots as they are configured, each with why nothing can be opened below it, if so.
    pub fn states(&self) -> Vec<(String, Option<Refusal>)> {
        let problems = self.refresh();
        let state = |root: &Root| {
            let problem = problems.iter().find(|problem| problem.path == root.configured);
            let path = if root.configured.is_empty() {
                "/"
            } else {
                &root.configured
            };
            (path.to_owned(), problem.map(|problem| problem.refusal.clone()))
        };
        self.roots.iter().map(state).collect()
    }

    /// How paths are opened on this kernel.
    pub fn way(&self) -> OpenWay {
        self.way
    }

    /// Looks whether each root is still the folder that its path names, and opens it again if not: a log folder that
    /// was removed and made again would otherwise read as empty for ever. Only the path as it was without links at the
    /// start is looked at, and no link in it is followed. Two system calls a root.
    pub fn refresh(&self) -> Vec<PathProblem> {
        let mut problems = Vec::new();
        for root in &self.roots {
            let held = root.held();
            match self
                .open_slash(&root.canonical)
                .and_then(|now| Ok((stat_of(&now)?, now)))
            {
                Ok((stat, now)) => {
                    let same = held
                        .and_then(|held| stat_of(&held).ok())
                        .is_some_and(|old| old.identity == stat.identity);
                    if !same {
                        self.adopt(root, Arc::new(now));
                    }
                }
                Err(errno) => {
                    if errno == Errno::NOENT {
                        root.hold(None);
                    }
                    problems.push(PathProblem {
                        path: root.configured.clone(),
                        refusal: refusal_of(errno),
                    });
                }
            }
        }
        problems
    }

    /// What stands at `path`, links followed within the roots, without opening it for reading. It may be of any kind.
    pub fn look(&self, path: &str) -> Result<Look, Refusal> {
        let (descriptor, real_path) = self.open_following(path, OFlags::PATH)?;
        let stat = stat_of(&descriptor).map_err(refusal_of)?;
        Ok(Look { real_path, stat })
    }

    /// Opens the regular file at `path`, links followed within the roots.
    pub fn open_regular(&self, path: &str) -> Result<OpenFile, Refusal> {
        if mutant::is(Mutant::PlainOpen) {
            return open_plainly(path);
        }
        for _ in 0..ATTEMPTS_MAX {
            let look = self.look(path)?;
            self.check_regular(&look.stat)?;
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            let (descriptor, real_path) = match self.open_following(&look.real_path, flags) {
                Ok(opened) => opened,
                Err(Refusal::NotFound | Refusal::DanglingLink) => continue,
                Err(refusal) => return Err(refusal),
            };
            let stat = stat_of(&descriptor).map_err(refusal_of)?;
            // Another file has taken the name since the look: what was opened is not what was judged.
            if stat.identity == look.stat.identity && self.check_regular(&stat).is_ok() {
                return Ok(OpenFile {
                    descriptor,
                    real_path,
                    stat,
                });
            }
        }
        Err(Refusal::Changing)
    }

    /// Opens the folder at `path` for listing, links followed within the roots.
    pub(crate) fn open_folder(&self, path: &str) -> Result<(OwnedFd, String), Refusal> {
        match self.open_following(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            // The kernel has one errno for "not there" and "no folder"; people need to know which.
            Err(Refusal::NotFound) => match self.look(path)?.stat.kind {
                FileKind::Folder => Err(Refusal::Changing),
                kind => Err(Refusal::WrongKind(kind)),
            },
            opened => opened,
        }
    }

    /// Whether a file may be served.
    pub(crate) fn check_regular(&self, stat: &FileStat) -> Result<(), Refusal> {
        match stat.kind {
            FileKind::Regular if stat.links > 1 && self.hard_links == HardLinks::Refuse => {
                Err(Refusal::HardLinked { links: stat.links })
            }
            FileKind::Regular => Ok(()),
            kind => Err(Refusal::WrongKind(kind)),
        }
    }

    fn open_following(&self, path: &str, flags: OFlags) -> Result<(OwnedFd, String), Refusal> {
        let asked = self.canonical(&clean(path)?)?;
        let mut real = asked.clone();
        for _ in 0..ATTEMPTS_MAX {
            match self.open_exact(&real, flags) {
                Ok(descriptor) if !flags.contains(OFlags::PATH) => return Ok((descriptor, real)),
                Ok(descriptor) => match stat_of(&descriptor).map_err(refusal_of)?.kind {
                    FileKind::Link => real = self.resolve_links(&asked)?,
                    _ => return Ok((descriptor, real)),
                },
                Err(Failure::Kernel(Errno::LOOP)) => real = self.resolve_links(&asked)?,
                // The walk may have met a link that has led elsewhere since, so this is asked once more.
                Err(Failure::Kernel(Errno::NOENT)) if real != asked => {
                    let again = self.resolve_links(&asked)?;
                    if again == real {
                        return Err(Refusal::DanglingLink);
                    }
                    real = again;
                }
                Err(failure) => return Err(failure.refusal()),
            }
        }
        Err(Refusal::Changing)
    }

    /// Opens a path that must be free of links; a link anywhere in it is `LOOP` (a last one under `O_PATH` opens).
    fn open_exact(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Failure> {
        let (root, rest) = self.root_of(path).ok_or(Failure::Refused(Refusal::OutsideRoots))?;
        let folder = self.folder_of(root).ok_or(Failure::Refused(Refusal::RootMissing))?;
        open_beneath(self.way, &folder, rest, flags).map_err(Failure::Kernel)
    }

    fn folder_of(&self, root: &Root) -> Option<Arc<OwnedFd>> {
        root.held().or_else(|| {
            let folder = Arc::new(self.open_slash(&root.canonical).ok()?);
            self.adopt(root, folder.clone());
            Some(folder)
        })
    }

    /// Opens an absolute path as a folder without following any link: for roots only.
    fn open_slash(&self, path: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let slash = rustix::fs::openat(CWD, "/", flags, Mode::empty())?;
        open_beneath(
            self.way,
            &slash,
            path.trim_start_matches('/'),
            OFlags::PATH | OFlags::DIRECTORY,
        )
    }

    /// The root that holds a canonical path, and the rest of it: the longest where roots nest.
    fn root_of<'p>(&self, path: &'p str) -> Option<(&Root, &'p str)> {
        let holding = self
            .roots
            .iter()
            .filter_map(|root| Some((root, below(path, &root.canonical)?)));
        holding.min_by_key(|(_, rest)| rest.len())
    }

    /// Replaces a root's configured name at the front by its path without links.
    fn canonical(&self, path: &str) -> Result<String, Refusal> {
        if self.root_of(path).is_some() {
            return Ok(path.to_owned());
        }
        let aliased = |root: &Root| Some(join(&root.canonical, below(path, &root.configured)?));
        self.roots.iter().find_map(aliased).ok_or(Refusal::OutsideRoots)
    }

    /// Whether a path is above a root, so that a link's target may pass through it.
    fn is_above_root(&self, path: &str) -> bool {
        let above = |root: &Root| below(&root.canonical, path).is_some() || below(&root.configured, path).is_some();
        self.roots.iter().any(above)
    }

    /// Resolves every link of a path by hand. The result is only a name: the open that follows confines it again.
    fn resolve_links(&self, path: &str) -> Result<String, Refusal> {
        let mut todo: Vec<String> = path
            .rsplit('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        let mut done = String::new();
        let (mut links, mut steps) = (0, 0);
        while let Some(part) = todo.pop() {
            steps += 1;
            if steps > COMPONENTS_MAX {
                return Err(Refusal::TooManyLinks);
            }
            if part == ".." {
                done.truncate(done.rfind('/').unwrap_or(0));
                continue;
            }
            let parent = done.len();
            done = join(&done, &part);
            let Some(target) = self.link_target(&mut done)? else {
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(Refusal::TooManyLinks);
            }
            done.truncate(if target.starts_with('/') { 0 } else { parent });
            todo.extend(
                target
                    .rsplit('/')
                    .filter(|part| !part.is_empty() && *part != ".")
                    .map(str::to_owned),
            );
        }
        self.root_of(&done).map(|_| done.clone()).ok_or(Refusal::OutsideRoots)
    }

    /// The target of the link at `path`, or None if it is none. A root's configured name becomes its canonical one.
    fn link_target(&self, path: &mut String) -> Result<Option<String>, Refusal> {
        if self.root_of(path).is_none() {
            if let Some(root) = self.roots.iter().find(|root| root.configured == *path) {
                *path = root.canonical.clone();
                return Ok(None);
            }
            // Above a root nothing is opened: those folders are the administrator's, and have no link in them.
            return if self.is_above_root(path) {
                Ok(None)
            } else {
                Err(Refusal::OutsideRoots)
            };
        }
        let descriptor = match self.open_exact(path, OFlags::PATH) {
            Ok(descriptor) => descriptor,
            // The final open will say it; with what is missing or became a link meanwhile there is no target.
            Err(Failure::Kernel(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => return Ok(None),
            Err(failure) => return Err(failure.refusal()),
        };
        if stat_of(&descriptor).map_err(refusal_of)?.kind != FileKind::Link {
            return Ok(None);
        }
        let target = rustix::fs::readlinkat(&descriptor, c"", Vec::new()).map_err(refusal_of)?;
        let target = target.into_string().map_err(|_| Refusal::HostileName)?;
        check_name(&target).map(|()| Some(target))
    }
}

impl Root {
    fn held(&self) -> Option<Arc<OwnedFd>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, folder: Option<Arc<OwnedFd>>) {
        *self.folder.lock().unwrap_or_else(PoisonError::into_inner) = folder;
    }
}

/// Why an open failed: by our rule, or by the kernel's word.
enum Failure {
    Refused(Refusal),
    Kernel(Errno),
}

impl Failure {
    fn refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Kernel(errno) => refusal_of(errno),
        }
    }
}

fn open_root(path: &str) -> Result<Root, Refusal> {
    let configured = clean(path)?;
    let named = if configured.is_empty() { "/" } else { &configured };
    let canonical = match std::fs::canonicalize(named) {
        Ok(real) => clean(real.to_str().ok_or(Refusal::HostileName)?)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => configured.clone(),
        Err(error) => {
            return Err(Refusal::Io {
                errno: error.raw_os_error().unwrap_or(0),
            });
        }
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let named = if canonical.is_empty() { "/" } else { &canonical };
    let folder = match rustix::fs::openat(CWD, named, flags, Mode::empty()) {
        Ok(folder) => Some(Arc::new(folder)),
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(refusal_of(errno)),
    };
    Ok(Root {
        configured,
        canonical,
        folder: Mutex::new(folder),
        sealed: OnceLock::new(),
    })
}

fn detect_way() -> OpenWay {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(_) => OpenWay::OpenAt2,
        // Old kernels say NOSYS, seccomp filters of old container runtimes PERM: both mean that it cannot be used.
        Err(_) => OpenWay::ComponentWalk,
    }
}

fn open_beneath(way: OpenWay, folder: &OwnedFd, rest: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    let rest = if rest.is_empty() { "." } else { rest };
    match way {
        OpenWay::OpenAt2 => {
            // O_NOFOLLOW lets O_PATH open the link itself; elsewhere it would turn the link's LOOP into NOTDIR.
            let on_link = flags.contains(OFlags::PATH) && !flags.contains(OFlags::DIRECTORY);
            let flags = if on_link { flags | OFlags::NOFOLLOW } else { flags };
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            rustix::fs::openat2(folder, rest, flags, Mode::empty(), resolve)
        }
        OpenWay::ComponentWalk => walk_beneath(folder, rest, flags | OFlags::NOFOLLOW),
    }
}

/// What this module is there to prevent, for the planted bug that leaves only the sandbox.
fn open_plainly(path: &str) -> Result<OpenFile, Refusal> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let descriptor = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(refusal_of)?;
    let stat = stat_of(&descriptor).map_err(refusal_of)?;
    Ok(OpenFile {
        descriptor,
        real_path: path.to_owned(),
        stat,
    })
}

/// `openat2` by hand. `rest` holds no `..` (see [`clean`]), so a walk that follows no link can't leave the folder.
fn walk_beneath(folder: &OwnedFd, rest: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let (parents, last) = rest.rsplit_once('/').unwrap_or(("", rest));
    let mut at = rustix::fs::openat(folder, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    for part in parents.split('/').filter(|part| !part.is_empty()) {
        at = rustix::fs::openat(
            &at,
            part,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        match stat_of(&at)?.kind {
            FileKind::Folder => {}
            FileKind::Link => return Err(Errno::LOOP),
            _ => return Err(Errno::NOTDIR),
        }
    }
    match rustix::fs::openat(&at, last, flags, Mode::empty()) {
        // With O_DIRECTORY the kernel calls a link no folder; openat2 calls it a link.
        Err(Errno::NOTDIR) if is_link(&at, last) => Err(Errno::LOOP),
        opened => opened,
    }
}

fn is_link(folder: &OwnedFd, name: &str) -> bool {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink)
}

/// What the kernel says of an open descriptor. One system call.
pub(crate) fn stat_of(descriptor: &OwnedFd) -> Result<FileStat, Errno> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let stat = match rustix::fs::statx(descriptor, c"", AtFlags::EMPTY_PATH, mask) {
        Ok(stat) => stat,
        Err(Errno::NOSYS) => return stat_without_birth(descriptor),
        Err(errno) => return Err(errno),
    };
    let born = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    Ok(FileStat {
        identity: Identity {
            device: u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor),
            inode: stat.stx_ino,
            birth_ns: born.then(|| nanoseconds(stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec.into())),
        },
        kind: kind_of(rustix::fs::FileType::from_raw_mode(stat.stx_mode.into())),
        size: stat.stx_size,
        mtime_ns: nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec.into()),
        links: stat.stx_nlink,
        is_mounted_alone: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    })
}

/// For kernels before 4.11, which have no `statx`.
fn stat_without_birth(descriptor: &OwnedFd) -> Result<FileStat, Errno> {
    let stat = rustix::fs::fstat(descriptor)?;
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    Ok(FileStat {
        identity: Identity {
            device: u64::from(major) << 32 | u64::from(minor),
            inode: stat.st_ino,
            birth_ns: None,
        },
        kind: kind_of(rustix::fs::FileType::from_raw_mode(stat.st_mode)),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: nanoseconds(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
        links: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        is_mounted_alone: false,
    })
}

/// The kind behind the kernel's file type.
pub(crate) fn kind_of(kind: rustix::fs::FileType) -> FileKind {
    match kind {
        rustix::fs::FileType::RegularFile => FileKind::Regular,
        rustix::fs::FileType::Directory => FileKind::Folder,
        rustix::fs::FileType::Symlink => FileKind::Link,
        rustix::fs::FileType::Fifo => FileKind::Fifo,
        rustix::fs::FileType::Socket => FileKind::Socket,
        rustix::fs::FileType::CharacterDevice | rustix::fs::FileType::BlockDevice => FileKind::Device,
        _ => FileKind::Other,
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// The closed reason behind an errno.
pub(crate) fn refusal_of(errno: Errno) -> Refusal {
    match errno {
        Errno::NOENT | Errno::NOTDIR => Refusal::NotFound,
        Errno::ACCESS | Errno::PERM => Refusal::Denied,
        Errno::LOOP => Refusal::TooManyLinks,
        Errno::XDEV => Refusal::OutsideRoots,
        Errno::NAMETOOLONG => Refusal::TooLong,
        Errno::AGAIN => Refusal::Changing,
        errno => Refusal::Io {
            errno: errno.raw_os_error(),
        },
    }
}

/// Whether a name can be spoken of on the wire and on a terminal.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.chars().any(char::is_control) {
        Err(Refusal::HostileName)
    } else {
        Ok(())
    }
}

/// An absolute path without empty, `.` and trailing parts; the root folder is the empty string. `..` is refused:
/// what it means depends on links, and no honest request needs it.
pub(crate) fn clean(path: &str) -> Result<String, Refusal> {
    if path.len() > PATH_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    check_name(path)?;
    if !path.starts_with('/') {
        return Err(Refusal::NotAbsolute);
    }
    let mut cleaned = String::with_capacity(path.len());
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(Refusal::ParentComponent),
            part => {
                cleaned.push('/');
                cleaned.push_str(part);
            }
        }
    }
    Ok(cleaned)
}

/// The rest of `path` below `folder`, without a slash in front; None if it is not below (or equal).
fn below<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    match path.strip_prefix(folder)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

/// `folder` and `rest` with one slash between.
pub(crate) fn join(folder: &str, rest: &str) -> String {
    if rest.is_empty() {
        folder.to_owned()
    } else {
        format!("{folder}/{rest}")
    }
}
