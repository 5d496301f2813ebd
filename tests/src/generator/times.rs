//! The stamps of lines: in order, late, wild, equal, and at edges.

use super::LogSpec;
use super::mixing::{Salt, Stream};

/// Lines that may share one stamp.
const EQUAL_BLOCK: u64 = 16;
/// Lines among which one run of wild stamps may stand.
const WILD_BLOCK: u64 = 64;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How a line's stamp stands to those before it.
enum Timing {
    OnTime,
    /// Behind the last line on time by so much.
    Behind(i64),
    /// Off its own time by so much.
    Off(i64),
}

/// The stamp of line `seq`, milliseconds since the epoch.
pub fn stamp_ms(spec: &LogSpec, stream: &Stream, seq: u64) -> i64 {
    let stamp = match timing(spec, stream, seq) {
        Timing::OnTime => on_time(spec, stream, seq),
        Timing::Behind(by_ms) => leader(spec, stream, seq) - by_ms,
        Timing::Off(by_ms) => on_time(spec, stream, seq) + by_ms,
    };
    whole_units(spec, stamp)
}

/// Stamps of a log whose lines come in order: they never fall but for edges within a step.
fn on_time(spec: &LogSpec, stream: &Stream, seq: u64) -> i64 {
    let block = seq - seq % EQUAL_BLOCK;
    if stream.chance(block, Salt::EqualRun, spec.rates.equal_run) {
        return raw(spec, stream, block);
    }
    let at = raw(spec, stream, seq);
    let window = |stamp_ms: i64| stamp_ms.div_euclid(spec.window_ms);
    let (before, after) = (raw(spec, stream, seq.saturating_sub(1)), raw(spec, stream, seq + 1));
    let snaps = stream.chance(seq, Salt::Edge, spec.rates.edge);
    if snaps && window(before) != window(at) {
        window(at) * spec.window_ms
    } else if snaps && window(after) != window(at) {
        (window(at) + 1) * spec.window_ms - spec.resolution_ms()
    } else {
        at
    }
}

fn raw(spec: &LogSpec, stream: &Stream, seq: u64) -> i64 {
    let step = spec.step_ms.unsigned_abs().max(1);
    let jitter = stream.below(seq, Salt::Jitter, step);
    let silent_ms = (seq / spec.gap_lines) as i64 * spec.gap_ms;
    whole_units(spec, spec.start_ms + (seq * step + jitter) as i64 + silent_ms)
}

fn whole_units(spec: &LogSpec, stamp_ms: i64) -> i64 {
    stamp_ms - stamp_ms.rem_euclid(spec.resolution_ms())
}

/// The stamp of the last line before `seq` that was on time: what lateness is measured from.
fn leader(spec: &LogSpec, stream: &Stream, seq: u64) -> i64 {
    let before = (0..seq)
        .rev()
        .find(|&before| matches!(timing(spec, stream, before), Timing::OnTime));
    whole_units(spec, on_time(spec, stream, before.unwrap_or(0)))
}

fn timing(spec: &LogSpec, stream: &Stream, seq: u64) -> Timing {
    let block = seq - seq % WILD_BLOCK;
    if stream.chance(block, Salt::WildRun, spec.rates.wild_run) {
        let choice = stream.mix(block, Salt::WildRunAt);
        let at_start = seq < WILD_BLOCK && choice.is_multiple_of(2);
        let begin = if at_start {
            0
        } else {
            block + (choice / 2) % (WILD_BLOCK - 7)
        };
        let length = 1 + stream.below(block, Salt::WildRunLength, 7);
        if (begin..begin + length).contains(&seq) {
            // Less than the silences are long, so that what a run of five or more spoils heals there.
            return Timing::Off(5 * HOUR_MS / 2);
        }
    }
    if stream.chance(seq, Salt::Wild, spec.rates.wild) {
        return Timing::Off(wild_by_ms(spec, stream, seq));
    }
    if stream.chance(seq, Salt::Late, spec.rates.late) {
        return Timing::Behind(late_by_ms(spec, stream, seq));
    }
    Timing::OnTime
}

fn wild_by_ms(spec: &LogSpec, stream: &Stream, seq: u64) -> i64 {
    let choice = stream.mix(seq, Salt::WildBy);
    let has_year = !matches!(spec.stamp, crate::oracle::StampForm::Syslog { .. });
    match choice % 12 {
        // About an hour ahead: some of the next eight are more than an hour below, some are not. Rare, because where it
        // is judged good all that follow up to the next silence are late.
        0 => HOUR_MS + ((choice / 12) % 10) as i64 * spec.step_ms,
        1..=2 if has_year => 10 * 365 * DAY_MS,
        3..=4 if has_year => -20 * 365 * DAY_MS,
        1..=7 => 20 * DAY_MS,
        _ => -20 * DAY_MS,
    }
}

fn late_by_ms(spec: &LogSpec, stream: &Stream, seq: u64) -> i64 {
    let choice = stream.mix(seq, Salt::LateBy);
    match choice % 6 {
        0 => spec.lateness_ms,
        1 => spec.lateness_ms + spec.resolution_ms(),
        2 => spec.lateness_ms - spec.resolution_ms(),
        3 => spec.lateness_ms + ((choice / 6) % 600_000) as i64,
        _ => ((choice / 6) % spec.lateness_ms.unsigned_abs().max(1)) as i64,
    }
}
