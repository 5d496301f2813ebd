//! What a sample says beside the one before it: rates from counters, shares from ticks, all exact decimals.

use super::sample::{Cpu, Devices, Sample};
use crate::number::Decimal;

/// A sample further from the one before gives no rates: an average over a longer time is not this window's. One missed
/// sample is bridged.
const GAP_NS_MAX: i64 = 2 * super::WINDOW_NS + super::WINDOW_NS / 2;
/// Samples nearer to each other give no rates: a few ticks are no share of anything.
const GAP_NS_MIN: i64 = 500_000_000;
/// By how much the host's clock and ours may differ over the time between two samples. Over it one of them was stepped,
/// and no rate can be told.
const STEP_NS_MAX: i64 = 1_000_000_000;
/// No disk or network of a host moves more bytes in a second; a counter that says so was reset to another value.
const BYTES_PER_SECOND_MAX: u128 = 1_000_000_000_000;
const NANOS: u128 = 1_000_000_000;

/// The columns of a host that a sample gives, by name, those that are null left out. `before` is the sample before and
/// how long ago it was by our own clock.
pub(super) fn columns(sample: &Sample, before: Option<(&Sample, i64)>) -> Vec<(&'static str, Decimal)> {
    let mut columns = Vec::new();
    let mut put = |name: &'static str, value: Option<Decimal>| columns.extend(value.map(|value| (name, value)));
    for (name, load) in ["load.load1", "load.load5", "load.load15"].into_iter().zip(sample.load) {
        put(name, load);
    }
    let (total, available) = (sample.memory_total_bytes, sample.memory_available_bytes);
    put("mem.total", total.map(whole));
    put("mem.available", available.map(whole));
    put(
        "mem.used",
        total
            .zip(available)
            .and_then(|(total, available)| total.checked_sub(available))
            .map(whole),
    );
    put("tcp.curr_estab", sample.tcp_established.map(whole));
    if let Some((before, elapsed_ns)) =
        before.and_then(|(before, ours_ns)| Some((before, elapsed(sample, before, ours_ns)?)))
    {
        put_rates(sample, before, elapsed_ns, &mut put);
    }
    columns
}

/// The time between two samples, if it is one that rates can be made of.
fn elapsed(sample: &Sample, before: &Sample, ours_ns: i64) -> Option<u64> {
    let theirs_ns = sample.t_ns.checked_sub(before.t_ns)?;
    let is_steady = theirs_ns.abs_diff(ours_ns) <= STEP_NS_MAX.unsigned_abs();
    (is_steady && (GAP_NS_MIN..=GAP_NS_MAX).contains(&theirs_ns)).then_some(theirs_ns.unsigned_abs())
}

fn put_rates(sample: &Sample, before: &Sample, elapsed_ns: u64, put: &mut impl FnMut(&'static str, Option<Decimal>)) {
    let ticks = sample
        .cpu
        .zip(before.cpu)
        .and_then(|(now, before)| ticks_between(now, before));
    if let Some(ticks) = ticks {
        let (busy, all) = (ticks.busy(), ticks.all());
        put("cpu.util", share_percent(busy, all));
        put("cpu.user", share_percent(ticks.user + ticks.nice, all));
        put(
            "cpu.system",
            share_percent(ticks.system + ticks.irq + ticks.softirq, all),
        );
        put("cpu.iowait", share_percent(ticks.iowait, all));
        put("cpu.steal", share_percent(ticks.steal, all));
    }
    let disks = sample.disks.as_ref().zip(before.disks.as_ref());
    let networks = sample.networks.as_ref().zip(before.networks.as_ref());
    for (devices, [inward, outward]) in [
        (disks, ["disk.read", "disk.written"]),
        (networks, ["net.received", "net.sent"]),
    ] {
        let moved = devices.and_then(|(now, before)| moved(now, before));
        put(inward, moved.and_then(|(bytes, _)| bytes_rate(bytes, elapsed_ns)));
        put(outward, moved.and_then(|(_, bytes)| bytes_rate(bytes, elapsed_ns)));
    }
    for (name, now) in &sample.tcp {
        let more = before.tcp.get(name).and_then(|before| now.checked_sub(*before));
        put(name, more.and_then(|more| rate(more, elapsed_ns)));
    }
}

/// Ticks between two samples; none if any counter fell. `iowait` does fall now and then on idle processors (proc(5)
/// says that it is not reliable); such a sample tells no shares.
fn ticks_between(now: Cpu, before: Cpu) -> Option<Cpu> {
    Some(Cpu {
        user: now.user.checked_sub(before.user)?,
        nice: now.nice.checked_sub(before.nice)?,
        system: now.system.checked_sub(before.system)?,
        idle: now.idle.checked_sub(before.idle)?,
        iowait: now.iowait.checked_sub(before.iowait)?,
        irq: now.irq.checked_sub(before.irq)?,
        softirq: now.softirq.checked_sub(before.softirq)?,
        steal: now.steal.checked_sub(before.steal)?,
    })
}

impl Cpu {
    fn busy(self) -> u64 {
        [self.user, self.nice, self.system, self.irq, self.softirq, self.steal]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    fn all(self) -> u64 {
        self.busy().saturating_add(self.idle).saturating_add(self.iowait)
    }
}

/// Bytes that all devices moved in and out between two samples. A device that is new began at zero; one that fell back,
/// or is gone with what it moved last, leaves the sum unknown.
fn moved(now: &Devices, before: &Devices) -> Option<(u64, u64)> {
    if before.keys().any(|name| !now.contains_key(name)) {
        return None;
    }
    let mut sum = (0_u64, 0_u64);
    for (name, (inward, outward)) in now {
        let (inward_before, outward_before) = before.get(name).copied().unwrap_or_default();
        sum.0 = sum.0.checked_add(inward.checked_sub(inward_before)?)?;
        sum.1 = sum.1.checked_add(outward.checked_sub(outward_before)?)?;
    }
    Some(sum)
}

fn bytes_rate(bytes: u64, elapsed_ns: u64) -> Option<Decimal> {
    let possible = u128::from(bytes) * NANOS <= BYTES_PER_SECOND_MAX * u128::from(elapsed_ns);
    possible.then(|| rate(bytes, elapsed_ns)).flatten()
}

/// `count` in `elapsed_ns` as a number per second.
fn rate(count: u64, elapsed_ns: u64) -> Option<Decimal> {
    ratio(u128::from(count) * NANOS, elapsed_ns)
}

/// How much of `all` is `part`, in percent; nothing of nothing is unknown.
pub(super) fn share_percent(part: u64, all: u64) -> Option<Decimal> {
    ratio(u128::from(part) * 100, all)
}

/// A quotient, cut at the ninth fraction digit.
fn ratio(dividend: u128, divisor: u64) -> Option<Decimal> {
    let nanos = dividend.checked_mul(NANOS)?.checked_div(u128::from(divisor))?;
    i128::try_from(nanos).ok().map(Decimal::from_nanos)
}

fn whole(number: u64) -> Decimal {
    Decimal::from_nanos(i128::from(number) * NANOS as i128)
}

#[cfg(test)]
mod tests;
