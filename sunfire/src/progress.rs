//! Progress on stderr, for what takes long: nothing in the first two seconds, nothing where nobody looks.

use crate::clock::monotonic_seconds;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Silence before the first line.
const QUIET_SECONDS: f64 = 2.0;
/// Time between lines.
const STEP_SECONDS: f64 = 0.5;

/// Bytes done of bytes to do; shared by the threads that do them.
pub struct Progress {
    total_bytes: u64,
    done_bytes: AtomicU64,
    started: f64,
    next_line: Mutex<f64>,
    is_shown: bool,
}

impl Progress {
    /// Progress through `total_bytes`; shown if stderr is a terminal.
    pub fn new(total_bytes: u64) -> Self {
        let started = monotonic_seconds();
        Self {
            total_bytes,
            done_bytes: AtomicU64::new(0),
            started,
            next_line: Mutex::new(started + QUIET_SECONDS),
            is_shown: std::io::stderr().is_terminal(),
        }
    }

    /// Counts bytes as done, and writes a line if it is time.
    pub fn add(&self, bytes: u64) {
        let done = self.done_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if !self.is_shown {
            return;
        }
        // Whoever finds the lock taken leaves the line to the one that holds it.
        let Ok(mut next_line) = self.next_line.try_lock() else {
            return;
        };
        let now = monotonic_seconds();
        if now >= *next_line {
            *next_line = now + STEP_SECONDS;
            let percent = done as f64 * 100.0 / self.total_bytes.max(1) as f64;
            let rate = done as f64 / 1e6 / (now - self.started);
            let left = self.total_bytes.saturating_sub(done) as f64 / 1e6 / rate;
            eprint!("\r{percent:5.1} %  {rate:6.0} MB/s  {left:4.0} s left ");
            let _ = std::io::stderr().flush();
        }
    }

    /// Wipes the line, if one was written.
    pub fn finish(&self) {
        let was_written = monotonic_seconds() - self.started > QUIET_SECONDS;
        if self.is_shown && was_written {
            eprint!("\r{:40}\r", "");
        }
    }
}
