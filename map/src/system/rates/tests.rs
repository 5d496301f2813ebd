//! Rates and shares, and all the ways in which there is none.

use super::*;
use std::collections::BTreeMap;

const SECOND: i64 = 1_000_000_000;

fn devices(devices: &[(&str, u64, u64)]) -> Devices {
    devices
        .iter()
        .map(|(name, inward, outward)| ((*name).to_owned(), (*inward, *outward)))
        .collect()
}

fn before() -> Sample {
    Sample {
        t_ns: 100 * SECOND,
        cpu: Some(Cpu {
            user: 1000,
            nice: 10,
            system: 500,
            idle: 9000,
            iowait: 100,
            irq: 1,
            softirq: 2,
            steal: 3,
        }),
        memory_total_bytes: Some(1000),
        memory_available_bytes: Some(400),
        disks: Some(devices(&[("sda", 1000, 2000)])),
        networks: Some(devices(&[("eth0", 10, 20)])),
        tcp: BTreeMap::from([("tcp.in_segs", 100)]),
        tcp_established: Some(7),
        ..Sample::default()
    }
}

fn after() -> Sample {
    let mut sample = before();
    sample.t_ns += 5 * SECOND;
    sample.cpu = sample.cpu.map(|cpu| Cpu {
        user: cpu.user + 300,
        nice: cpu.nice + 10,
        system: cpu.system + 60,
        idle: cpu.idle + 600,
        iowait: cpu.iowait + 20,
        irq: cpu.irq + 4,
        softirq: cpu.softirq + 5,
        steal: cpu.steal + 1,
    });
    sample.disks = Some(devices(&[("sda", 6000, 2500), ("sdb", 5, 5)]));
    sample.networks = Some(devices(&[("eth0", 20, 21)]));
    sample.tcp = BTreeMap::from([("tcp.in_segs", 101)]);
    sample
}

/// The columns as text, `name=value`; those of one prefix.
fn show(sample: &Sample, before: &Sample, ours_ns: i64, prefix: &str) -> String {
    let columns = columns(sample, Some((before, ours_ns))).into_iter();
    let columns = columns.filter(|(name, _)| name.starts_with(prefix));
    columns
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[track_caller]
fn check(change: impl Fn(&mut Sample), prefix: &str, expected: &str) {
    let mut sample = after();
    change(&mut sample);
    assert_eq!(show(&sample, &before(), sample.t_ns - 100 * SECOND, prefix), expected);
}

#[test]
fn counters_become_rates_and_ticks_shares() {
    check(
        |_| {},
        "cpu.",
        "cpu.util=38 cpu.user=31 cpu.system=6.9 cpu.iowait=2 cpu.steal=0.1",
    );
    check(|_| {}, "disk.", "disk.read=1001 disk.written=101");
    check(|_| {}, "net.", "net.received=2 net.sent=0.2");
    check(|_| {}, "tcp.", "tcp.curr_estab=7 tcp.in_segs=0.2");
    check(|_| {}, "mem.", "mem.total=1000 mem.available=400 mem.used=600");
    check(|sample| sample.t_ns += 2 * SECOND, "tcp.in", "tcp.in_segs=0.142857142");
}

#[test]
fn counters_that_fell_give_nothing() {
    let set_cpu = |change: fn(&mut Cpu)| move |sample: &mut Sample| sample.cpu.iter_mut().for_each(change);
    check(set_cpu(|cpu| cpu.user = 5), "cpu.", "");
    check(set_cpu(|cpu| cpu.iowait = 99), "cpu.", "");
    check(|sample| sample.cpu = before().cpu, "cpu.", "");
    check(|sample| sample.cpu = None, "cpu.", "");
    check(
        |sample| sample.disks = Some(devices(&[("sda", 999, 9000)])),
        "disk.",
        "",
    );
    // A device that is gone took with it what it moved last.
    check(
        |sample| sample.disks = Some(devices(&[("sdb", 6000, 6000)])),
        "disk.",
        "",
    );
    check(|sample| sample.networks = None, "net.", "");
    // Wrapped at 32 bits on an old kernel, or set to a value that no wire carries.
    check(|sample| sample.networks = Some(devices(&[("eth0", 0, 30)])), "net.", "");
    check(
        |sample| sample.networks = Some(devices(&[("eth0", u64::MAX, 30)])),
        "net.",
        "net.sent=2",
    );
    check(
        |sample| sample.tcp = BTreeMap::from([("tcp.in_segs", 99)]),
        "tcp.in",
        "",
    );
    check(
        |sample| sample.memory_available_bytes = Some(2000),
        "mem.",
        "mem.total=1000 mem.available=2000",
    );
}

#[test]
fn samples_too_far_apart_or_across_a_step_of_the_clock_give_no_rates() {
    let check = |theirs_ns: i64, ours_ns: i64, expected: bool| {
        let mut sample = after();
        sample.t_ns = 100 * SECOND + theirs_ns;
        let text = show(&sample, &before(), ours_ns, "");
        assert_eq!(text.contains("cpu.util"), expected, "{text}");
        assert_eq!(text.contains("disk.read"), expected, "{text}");
        assert!(text.contains("mem.used"));
    };
    check(5 * SECOND, 5 * SECOND, true);
    check(5 * SECOND, 5 * SECOND + 900_000_000, true);
    check(10 * SECOND, 10 * SECOND, true);
    check(15 * SECOND, 15 * SECOND, false);
    check(SECOND / 10, SECOND / 10, false);
    check(5 * SECOND, 15 * SECOND, false);
    check(-5 * SECOND, 5 * SECOND, false);
    assert!(!columns(&after(), None).iter().any(|(name, _)| name.starts_with("cpu.")));
}
