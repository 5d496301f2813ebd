//! The `system` source: the texts of `/proc` as the kernel writes them, with the clock around them.
//!
//! The Map parses. All that is understood here is the list of mounts, to ask each real filesystem for its space; one
//! on a network is not asked, since a dead server would hang the agent.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{CWD, Mode, OFlags};

use crate::content::read_at;
use crate::protocol::{DiskUsage, MountUsage, Refusal, SystemAnswer, SystemText};
use crate::roots::refusal_of;
use crate::snapshot::{HostClock, HostFacts};

/// Longest text that is sent; `/proc/stat` of a thousand cores has 100 KB.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most mounts that are reported; container hosts have thousands of overlays, none of them listed.
pub const MOUNTS_MAX: usize = 256;

const TEXTS: [(SystemText, &str); 6] = [
    (SystemText::Stat, "stat"),
    (SystemText::LoadAverage, "loadavg"),
    (SystemText::MemoryInfo, "meminfo"),
    (SystemText::DiskStatistics, "diskstats"),
    (SystemText::NetworkDevices, "net/dev"),
    (SystemText::NetworkCounters, "net/snmp"),
];
/// Filesystems on a disk of this host.
const LOCAL: [&str; 11] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "vfat", "bcachefs",
];
/// Filesystems on another machine: named, not asked.
const REMOTE: [&str; 9] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "glusterfs",
    "lustre",
    "9p",
    "afs",
];

/// A text that is open, or why it is not.
type Text = Result<OwnedFd, Refusal>;

/// The texts of `/proc`, each held open: an agent that is shut in could not open them again, since a sandbox that let
/// it into `/proc` would let it at other processes too. The kernel writes a text anew for whoever reads from its start.
pub struct SystemSource {
    /// One reader at a time: the kernel keeps one position in each text, and two would get a mixture.
    open: Mutex<OpenTexts>,
}

struct OpenTexts {
    texts: [(SystemText, Text); TEXTS.len()],
    mounts: Text,
}

impl SystemSource {
    /// Opens the texts below `/proc`.
    pub fn open() -> Result<Self, Refusal> {
        Self::open_at("/proc")
    }

    /// Opens a folder that looks like `/proc`: a container's view of its host, or a test's.
    pub fn open_at(path: &str) -> Result<Self, Refusal> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(refusal_of)?;
        let open = |path: &str| {
            let text = rustix::fs::openat(&proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            text.map_err(refusal_of)
        };
        let open = OpenTexts {
            texts: TEXTS.map(|(text, path)| (text, open(path))),
            mounts: open("self/mounts"),
        };
        Ok(Self { open: Mutex::new(open) })
    }

    /// Takes a sample. The texts are read in one go, the slow question for disk space comes after.
    /// Cost: seven small files, about 200 µs.
    pub fn sample(&self, clock: &dyn HostClock, facts: &HostFacts) -> SystemAnswer {
        // Descriptors have no state that a panic elsewhere could break.
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let t_before_ns = clock.now_ns();
        let texts = open.texts.iter().map(|(text, file)| (*text, read(file))).collect();
        let t_after_ns = clock.now_ns();
        let mounts = read(&open.mounts);
        // A disk that hangs must not keep others from the texts.
        drop(open);
        SystemAnswer {
            t_before_ns,
            t_after_ns,
            machine_id: facts.machine_id.clone(),
            instance: facts.instance,
            texts,
            mounts: mounts.map(|text| mounts_of(&text)).unwrap_or_default(),
        }
    }
}

fn read(file: &Text) -> Result<String, Refusal> {
    let file = file.as_ref().map_err(Clone::clone)?;
    let mut bytes = vec![0; TEXT_BYTES_MAX];
    let read = read_at(file, 0, &mut bytes).map_err(refusal_of)?;
    if read == TEXT_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    bytes.truncate(read);
    bytes.shrink_to_fit();
    String::from_utf8(bytes).map_err(|_| Refusal::HostileName)
}

/// Real filesystems, each device once: a bind mount is the same disk under another name.
fn mounts_of(text: &str) -> Vec<MountUsage> {
    let mut mounts = Vec::new();
    let mut devices = std::collections::BTreeSet::new();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let (Some(device), Some(mount_point), Some(filesystem)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let remote = REMOTE.contains(&filesystem) || filesystem.starts_with("fuse.");
        if !(remote || LOCAL.contains(&filesystem)) || !devices.insert(device.to_owned()) {
            continue;
        }
        let mount_point = unescape(mount_point);
        let usage = if remote {
            DiskUsage::NotAsked
        } else {
            usage_of(&mount_point)
        };
        mounts.push(MountUsage {
            mount_point,
            filesystem: filesystem.to_owned(),
            usage,
        });
        if mounts.len() == MOUNTS_MAX {
            break;
        }
    }
    mounts
}

fn usage_of(mount_point: &str) -> DiskUsage {
    match rustix::fs::statvfs(mount_point) {
        Ok(space) => DiskUsage::Known {
            total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
            free_bytes: space.f_bfree.saturating_mul(space.f_frsize),
            available_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        },
        Err(errno) => DiskUsage::Failed(refusal_of(errno)),
    }
}

/// The kernel writes space, tab, newline and backslash in a mount point as `\040`, `\011`, `\012`, `\134`.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|octal| u8::from_str_radix(octal, 8).ok());
        match code.filter(u8::is_ascii) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            None => {
                plain.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_unescape(text: &str, expected: &str) {
        assert_eq!(unescape(text), expected);
    }

    #[test]
    fn mount_points_are_unescaped() {
        check_unescape("/", "/");
        check_unescape("/a\\040b\\134c", "/a b\\c");
        check_unescape("/a\\04", "/a\\04");
        check_unescape("/a\\é40", "/a\\é40");
        check_unescape("\\011\\", "\t\\");
    }

    #[track_caller]
    fn check_mounts(text: &str, expected: &[(&str, bool)]) {
        let mounts = mounts_of(text);
        let found: Vec<_> = mounts
            .iter()
            .map(|mount| (mount.mount_point.as_str(), mount.usage != DiskUsage::NotAsked))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn only_real_filesystems_each_once_and_no_remote_is_asked() {
        check_mounts("", &[]);
        check_mounts(
            "garbage\n/dev/vda / ext4 rw 0 0\nproc /proc proc rw 0 0",
            &[("/", true)],
        );
        check_mounts("/dev/vda / ext4 rw 0 0\n/dev/vda /bound ext4 rw 0 0", &[("/", true)]);
        check_mounts(
            "nas:/x /nas nfs4 rw 0 0\ns /f fuse.sshfs rw 0 0\noverlay / overlay rw 0 0",
            &[("/nas", false), ("/f", false)],
        );
    }

    struct Ticking(std::sync::atomic::AtomicI64);

    impl HostClock for Ticking {
        fn now_ns(&self) -> i64 {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
        }
    }

    #[test]
    fn a_sample_of_this_machine() {
        let facts = HostFacts {
            zone: jiff::tz::TimeZone::UTC,
            machine_id: "m".into(),
            instance: 0,
        };
        let sample = SystemSource::open().expect("/proc").sample(&Ticking(5.into()), &facts);
        assert_eq!((sample.t_before_ns, sample.t_after_ns), (5, 6));
        assert_eq!(sample.texts.len(), 6);
        let text = |wanted| {
            sample
                .texts
                .iter()
                .find(|(text, _)| *text == wanted)
                .expect("text")
                .1
                .clone()
                .expect("read")
        };
        assert!(text(SystemText::Stat).starts_with("cpu "));
        assert!(text(SystemText::MemoryInfo).contains("MemAvailable:"));
        assert!(text(SystemText::NetworkDevices).contains("lo:"));
    }

    #[test]
    fn a_text_that_is_missing_says_so() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("stat"), "cpu 1\n").expect("write");
        let facts = HostFacts {
            zone: jiff::tz::TimeZone::UTC,
            machine_id: String::new(),
            instance: 0,
        };
        let source = SystemSource::open_at(folder.path().to_str().expect("utf-8")).expect("open");
        let sample = source.sample(&Ticking(0.into()), &facts);
        assert_eq!(sample.texts[0], (SystemText::Stat, Ok("cpu 1\n".to_owned())));
        assert_eq!(sample.texts[1], (SystemText::LoadAverage, Err(Refusal::NotFound)));
        assert_eq!(sample.mounts, vec![]);
    }
}
