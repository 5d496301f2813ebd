//! Texts of `/proc` as kernels write them, whole, old, cut and senseless.

use super::*;
use agent::protocol::{MountUsage, Refusal};

const STAT: &str = "cpu  100 1 50 800 40 2 3 4 5 0\ncpu0 50 1 25 400 20 1 1 2 2 0\nintr 1 2 3\nctxt 9\n";
const MEMINFO: &str = "MemTotal:       16384 kB\nMemFree:         1000 kB\nMemAvailable:    4096 kB\nBuffers: 1 kB\n";
const DISKSTATS: &str = "   8       0 sda 10 0 200 5 20 0 400 9 0 5 14\n\
     8       1 sda1 9 0 190 5 20 0 400 9 0 5 14\n\
   259       0 nvme0n1 1 0 8 0 2 0 16 0 0 0 0 0 0 0 0\n\
   259       1 nvme0n1p1 1 0 8 0 2 0 16 0 0 0 0\n\
   202       1 xvda1 1 0 2 0 1 0 4 0 0 0 0\n\
     7       0 loop0 5 0 50 0 0 0 0 0 0 0 0\n\
     1       0 ram0 5 0 50 0 0 0 0 0 0 0 0\n\
   253       0 dm-0 5 0 50 0 5 0 50 0 0 0 0\n\
     9       0 md0 5 0 50\n\
   nonsense\n";
const NETDEV: &str = "Inter-|   Receive                                                |  Transmit\n \
    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo\n    \
    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n  \
  eth0: 1000 9 0 0 0 0 0 0 2000 8 0 0 0 0 0 0\n\
  eth1:30 9 0 0 0 0 0 0 40 8 0 0 0 0 0 0\n\
  eth0:1: 1 9 0 0 0 0 0 0 2 8 0 0 0 0 0 0\n\
  wlan0: 1 2\n";
const SNMP: &str = "Ip: Forwarding DefaultTTL\nIp: 1 64\n\
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets \
CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n\
Tcp: 1 200 120000 -1 11 12 13 14 15 16 17 18 19 20 0\nUdp: InDatagrams\nUdp: 5\n";

fn answer(texts: &[(SystemText, &str)]) -> SystemAnswer {
    SystemAnswer {
        t_before_ns: 1,
        t_after_ns: 2,
        machine_id: String::new(),
        instance: 0,
        texts: texts
            .iter()
            .map(|(text, content)| (*text, Ok((*content).to_owned())))
            .collect(),
        mounts: Vec::new(),
    }
}

fn devices(devices: &[(&str, u64, u64)]) -> Devices {
    devices
        .iter()
        .map(|(name, inward, outward)| ((*name).to_owned(), (*inward, *outward)))
        .collect()
}

fn decimal(text: &str) -> Option<Decimal> {
    Some(Decimal::parse(text.as_bytes()).expect("a number"))
}

#[test]
fn a_whole_answer_is_read() {
    let mut answer = answer(&[
        (SystemText::Stat, STAT),
        (SystemText::LoadAverage, "0.20 1.5 12.00 1/80 11206\n"),
        (SystemText::MemoryInfo, MEMINFO),
        (SystemText::DiskStatistics, DISKSTATS),
        (SystemText::NetworkDevices, NETDEV),
        (SystemText::NetworkCounters, SNMP),
    ]);
    let mount = |name: &str, usage| MountUsage {
        mount_point: name.to_owned(),
        filesystem: "ext4".to_owned(),
        usage,
    };
    let known = |total_bytes, free_bytes, available_bytes| DiskUsage::Known {
        total_bytes,
        free_bytes,
        available_bytes,
    };
    answer.mounts = vec![
        mount("/", known(1000, 300, 100)),
        mount("/empty", known(0, 0, 0)),
        mount("/odd", known(10, 20, 5)),
        mount("/nfs", DiskUsage::NotAsked),
        mount("/denied", DiskUsage::Failed(Refusal::Denied)),
    ];
    let sample = Sample::read(&answer);
    assert_eq!(sample.t_ns, 2);
    let cpu = sample.cpu.expect("it is there");
    assert_eq!(
        (cpu.user, cpu.nice, cpu.idle, cpu.iowait, cpu.steal),
        (100, 1, 800, 40, 4)
    );
    assert_eq!(sample.load, [decimal("0.2"), decimal("1.5"), decimal("12")]);
    assert_eq!(
        (sample.memory_total_bytes, sample.memory_available_bytes),
        (Some(16_777_216), Some(4_194_304))
    );
    let disks = [
        ("nvme0n1", 8 * 512, 16 * 512),
        ("sda", 200 * 512, 400 * 512),
        ("xvda1", 1024, 2048),
    ];
    assert_eq!(sample.disks, Some(devices(&disks)));
    assert_eq!(
        sample.networks,
        Some(devices(&[("eth0", 1000, 2000), ("eth0:1", 1, 2), ("eth1", 30, 40)]))
    );
    assert_eq!((sample.tcp_established, sample.tcp.len()), (Some(15), 9));
    assert_eq!((sample.tcp["tcp.active_opens"], sample.tcp["tcp.out_rsts"]), (11, 20));
    // 700 used, of 700 and 100 that a user may still write.
    assert_eq!(sample.mounts, [("/".to_owned(), decimal("87.5").expect("some"))]);
}

#[test]
fn what_is_missing_or_makes_no_sense_is_unknown() {
    assert_eq!(
        Sample::read(&answer(&[])),
        Sample {
            t_ns: 2,
            ..Sample::default()
        }
    );
    let check = |text: SystemText, content: &str| Sample::read(&answer(&[(text, content)]));
    assert_eq!(check(SystemText::Stat, "").cpu, None);
    assert_eq!(check(SystemText::Stat, "cpu0 1 2 3 4 5\n").cpu, None);
    assert_eq!(check(SystemText::Stat, "cpu  1 2 x 4\n").cpu, None);
    // Linux 2.4.
    let old = check(SystemText::Stat, "cpu  1 2 3 4\n").cpu.expect("four are enough");
    assert_eq!((old.idle, old.steal), (4, 0));
    assert_eq!(
        check(SystemText::LoadAverage, "0.1 -2 x").load,
        [decimal("0.1"), None, None]
    );
    assert_eq!(
        check(SystemText::MemoryInfo, "MemTotal: 5 MB\n").memory_total_bytes,
        None
    );
    assert_eq!(
        check(SystemText::MemoryInfo, "MemTotal: 18446744073709551615 kB\n").memory_total_bytes,
        None
    );
    assert_eq!(
        check(SystemText::NetworkCounters, "Tcp: CurrEstab\n").tcp_established,
        None
    );
    assert_eq!(
        check(SystemText::NetworkCounters, "Tcp: CurrEstab\nTcp: -1\n").tcp_established,
        None
    );
    assert_eq!(check(SystemText::DiskStatistics, "").disks, Some(Devices::new()));
    let refused = SystemAnswer {
        texts: vec![(SystemText::Stat, Err(Refusal::Denied))],
        ..answer(&[])
    };
    assert_eq!(Sample::read(&refused).cpu, None);
}

#[test]
fn partitions_are_told_by_what_is_there() {
    let check = |name: &str, whole: &str, expected: bool| assert_eq!(is_partition(name, whole), expected, "{name}");
    check("sda1", "sda", true);
    check("sda12", "sda", true);
    check("sdaa", "sda", false);
    check("sda", "sda", false);
    check("nvme0n1p2", "nvme0n1", true);
    check("nvme0n12", "nvme0n1", false);
    check("nvme0n1p", "nvme0n1", false);
    check("mmcblk0boot0", "mmcblk0", false);
}
