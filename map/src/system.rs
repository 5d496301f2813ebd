//! The `system` source: the hosts' own figures as a table like any other, from `/proc` texts to records of the engine.
//!
//! Every five seconds' window of a host gets one sample, and of it one record for the host and one for each mount. They
//! go through the ordinary counting, so a window of figures is merged, stored and asked like a window of a log. What a
//! sample does not say, or says in a way that cannot be (a counter that fell), is null, never a guess.
//!
//! C1 and C6 do not cover this table: a sample is of its moment, and a missed one is missed.

mod input;
mod rates;
mod sample;

pub use input::SystemInput;
pub(crate) use input::implausible;

use configs::monitor::Monitor;

/// Name of the table, and of its monitor.
pub const NAME: &str = "system";
/// Length of its windows.
pub const WINDOW_NS: i64 = 5_000_000_000;

/// Columns of a host, in the order in which they are shown.
pub const HOST_COLUMNS: [&str; 25] = [
    "cpu.util",
    "cpu.user",
    "cpu.system",
    "cpu.iowait",
    "cpu.steal",
    "load.load1",
    "load.load5",
    "load.load15",
    "mem.total",
    "mem.used",
    "mem.available",
    "disk.read",
    "disk.written",
    "net.received",
    "net.sent",
    "tcp.active_opens",
    "tcp.passive_opens",
    "tcp.attempt_fails",
    "tcp.estab_resets",
    "tcp.curr_estab",
    "tcp.in_segs",
    "tcp.out_segs",
    "tcp.retrans_segs",
    "tcp.in_errs",
    "tcp.out_rsts",
];
/// The column of a mount.
pub const MOUNT_COLUMN: &str = "disk.used_percent";

/// The monitor of the table: each column's average by host, application, zone and mount. A host's own figures have no
/// mount.
pub fn monitor() -> Monitor {
    let columns = HOST_COLUMNS.into_iter().chain([MOUNT_COLUMN]);
    let outputs: Vec<String> = columns.map(|column| format!("avg({column}) as \"{column}\"")).collect();
    let text = format!(
        "select {} parse logfmt group by host, app, zone, mount every {}s",
        outputs.join(", "),
        WINDOW_NS / 1_000_000_000
    );
    let mut monitor = configs::parse_mql(&text)
        // reason: the text is made of constants; a test parses it.
        .expect("the built-in monitor is written in good MQL");
    monitor.name = NAME.to_owned();
    monitor
}

#[cfg(test)]
mod tests;
