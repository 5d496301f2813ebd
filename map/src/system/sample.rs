//! The texts of `/proc` as numbers. Unknown lines are passed over; what is missing or makes no sense is `None`.

use crate::number::Decimal;
use agent::protocol::{DiskUsage, SystemAnswer, SystemText};
use std::collections::BTreeMap;

/// Bytes of a sector in `/proc/diskstats`, whatever the disk's own are (kernel: Documentation/admin-guide/iostats.rst).
const SECTOR_BYTES: u64 = 512;
/// Disks that only pass on to others, or are memory: their bytes are counted there, or are none.
const STACKED: [&str; 6] = ["loop", "ram", "zram", "dm-", "md", "drbd"];
/// Counters of the kernel's TCP, with our names; the one that is no counter is read apart.
const TCP: [(&str, &str); 9] = [
    ("ActiveOpens", "tcp.active_opens"),
    ("PassiveOpens", "tcp.passive_opens"),
    ("AttemptFails", "tcp.attempt_fails"),
    ("EstabResets", "tcp.estab_resets"),
    ("InSegs", "tcp.in_segs"),
    ("OutSegs", "tcp.out_segs"),
    ("RetransSegs", "tcp.retrans_segs"),
    ("InErrs", "tcp.in_errs"),
    ("OutRsts", "tcp.out_rsts"),
];

/// Ticks of all processors by use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cpu {
    pub(super) user: u64,
    pub(super) nice: u64,
    pub(super) system: u64,
    pub(super) idle: u64,
    pub(super) iowait: u64,
    pub(super) irq: u64,
    pub(super) softirq: u64,
    pub(super) steal: u64,
}

/// Bytes in and out by device.
pub(super) type Devices = BTreeMap<String, (u64, u64)>;

/// One sample of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sample {
    /// The host's clock.
    pub(super) t_ns: i64,
    pub(super) cpu: Option<Cpu>,
    /// Averages over 1, 5 and 15 minutes.
    pub(super) load: [Option<Decimal>; 3],
    pub(super) memory_total_bytes: Option<u64>,
    pub(super) memory_available_bytes: Option<u64>,
    /// Read and written, whole disks.
    pub(super) disks: Option<Devices>,
    /// Received and sent, without the loopback.
    pub(super) networks: Option<Devices>,
    pub(super) tcp: BTreeMap<&'static str, u64>,
    pub(super) tcp_established: Option<u64>,
    /// Mounts and how full they are, in percent.
    pub(super) mounts: Vec<(String, Decimal)>,
}

impl Sample {
    /// Reads an agent's answer. Cost: some tens of microseconds.
    pub(super) fn read(answer: &SystemAnswer) -> Self {
        let text = |wanted: SystemText| {
            let found = answer.texts.iter().find(|(text, _)| *text == wanted);
            found.and_then(|(_, text)| text.as_deref().ok())
        };
        let memory = text(SystemText::MemoryInfo);
        let counters = text(SystemText::NetworkCounters);
        let mounts = answer.mounts.iter();
        Self {
            t_ns: answer.t_after_ns,
            cpu: text(SystemText::Stat).and_then(cpu),
            load: text(SystemText::LoadAverage).map(load).unwrap_or_default(),
            memory_total_bytes: memory.and_then(|text| memory_bytes(text, "MemTotal:")),
            memory_available_bytes: memory.and_then(|text| memory_bytes(text, "MemAvailable:")),
            disks: text(SystemText::DiskStatistics).map(disks),
            networks: text(SystemText::NetworkDevices).map(networks),
            tcp: (TCP.into_iter())
                .filter_map(|(theirs, ours)| Some((ours, counters.and_then(|text| tcp(text, theirs))?)))
                .collect(),
            tcp_established: counters.and_then(|text| tcp(text, "CurrEstab")),
            mounts: mounts
                .filter_map(|mount| Some((mount.mount_point.clone(), used_percent(&mount.usage)?)))
                .collect(),
        }
    }
}

/// `cpu  user nice system idle iowait irq softirq steal guest guest_nice`; guests are within user and nice.
fn cpu(text: &str) -> Option<Cpu> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut ticks = line
        .split_ascii_whitespace()
        .map_while(|field| field.parse::<u64>().ok());
    let mut next = || ticks.next();
    Some(Cpu {
        user: next()?,
        nice: next()?,
        system: next()?,
        idle: next()?,
        // Kernels before 2.6 had fewer.
        iowait: next().unwrap_or(0),
        irq: next().unwrap_or(0),
        softirq: next().unwrap_or(0),
        steal: next().unwrap_or(0),
    })
}

/// `0.20 0.18 0.12 1/80 11206`
fn load(text: &str) -> [Option<Decimal>; 3] {
    let mut fields = text
        .split_ascii_whitespace()
        .map(|field| Decimal::parse(field.as_bytes()).ok());
    [(); 3].map(|()| fields.next().flatten().filter(|load| load.nanos() >= 0))
}

/// `MemTotal:       16384000 kB`
fn memory_bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

/// `8 0 sda reads merged sectors ms writes merged sectors ms …`
fn disks(text: &str) -> Devices {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let bytes = |at: usize| fields.get(at)?.parse::<u64>().ok()?.checked_mul(SECTOR_BYTES);
        let name = *fields.get(2)?;
        let stacked = STACKED.iter().any(|prefix| name.starts_with(prefix));
        (!stacked)
            .then(|| Some((name.to_owned(), (bytes(5)?, bytes(9)?))))
            .flatten()
    };
    let all: Devices = text.lines().filter_map(line).collect();
    let is_whole = |name: &str| !all.keys().any(|whole| is_partition(name, whole));
    all.iter()
        .filter(|(name, _)| is_whole(name))
        .map(|(name, bytes)| (name.clone(), *bytes))
        .collect()
}

/// Whether `name` is a partition of `whole`: `sda1` of `sda`, `nvme0n1p1` of `nvme0n1`. Judged by what is there: a
/// cloud's `xvda1` without `xvda` is a disk.
fn is_partition(name: &str, whole: &str) -> bool {
    let Some(rest) = name.strip_prefix(whole) else {
        return false;
    };
    let number = if whole.ends_with(|last: char| last.is_ascii_digit()) {
        rest.strip_prefix('p')
    } else {
        Some(rest)
    };
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `  eth0: bytes packets errs drop fifo frame compressed multicast bytes packets …`; there may be no blank behind the
/// colon.
fn networks(text: &str) -> Devices {
    let line = |line: &str| {
        // An alias, `eth0:1`, has a colon of its own.
        let (name, numbers) = line.rsplit_once(':')?;
        let numbers: Vec<u64> = numbers
            .split_ascii_whitespace()
            .map_while(|field| field.parse().ok())
            .collect();
        let name = name.trim();
        (name != "lo")
            .then(|| Some((name.to_owned(), (*numbers.first()?, *numbers.get(8)?))))
            .flatten()
    };
    text.lines().filter_map(line).collect()
}

/// Two lines begin with `Tcp:`, the names and the values.
fn tcp(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_ascii_whitespace().position(|found| found == name)?;
    values.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// As `df` has it: what is used, of that and what an unprivileged user may still write.
fn used_percent(usage: &DiskUsage) -> Option<Decimal> {
    let DiskUsage::Known {
        total_bytes,
        free_bytes,
        available_bytes,
    } = usage
    else {
        return None;
    };
    let used = total_bytes.checked_sub(*free_bytes)?;
    super::rates::share_percent(used, used.checked_add(*available_bytes)?)
}

#[cfg(test)]
mod tests;
