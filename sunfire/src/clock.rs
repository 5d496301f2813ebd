//! The process's clock, in one place: everything else is handed a time.

/// Nanoseconds since the epoch, from the system's clock.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the seam that the ban sends callers to"
)]
pub fn now_ns() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX))
}

/// Seconds since an arbitrary start, never stepping back.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the seam that the ban sends callers to"
)]
pub fn monotonic_seconds() -> f64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_secs_f64()
}
