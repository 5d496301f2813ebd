//! Free ports for processes that must be told theirs, and that others must find there again after a restart.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports that no system gives out by itself, neither to listeners nor to connections: what is free now and is not
/// listened at for a moment stays free, but for other tests that draw here.
const DRAWN: std::ops::Range<u32> = 10_000..32_000;

/// A port at which nobody listens. Processes draw from different places on, so that tests seldom meet.
///
/// # Panics
/// If none is free.
pub fn free_port() -> u16 {
    static DRAWN_SO_FAR: AtomicU32 = AtomicU32::new(0);
    let width = DRAWN.end - DRAWN.start;
    let begin = std::process::id().wrapping_mul(7919);
    for _ in 0..width {
        let number = begin.wrapping_add(DRAWN_SO_FAR.fetch_add(1, Ordering::Relaxed)) % width;
        let port = u16::try_from(DRAWN.start + number).expect("the range is below 65536");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_listened_at_is_not_given() {
        let first = free_port();
        let _listener = TcpListener::bind(("127.0.0.1", first)).expect("it is free");
        for _ in 0..100 {
            assert_ne!(free_port(), first);
        }
    }
}
