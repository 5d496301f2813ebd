//! `sunfire up`: every role of a cluster in one process, each behind the protocol it has as a process of its own.
//!
//! The roles talk over loopback with a token that nobody else has. Agent and Map have threads of their own, since they
//! work; Brain, Reduce and the store's door share one, since they mostly wait. Whatever ends the process, the
//! configuration and the points are on the disk, and the next start goes on with what it missed.

mod logs;
mod started;
mod starter;

use crate::cli::UpArguments;
use crate::exit::{Exit, Failure};
use crate::nodes::{self, Signals, log};
use started::{Door, Nodes};
use starter::Folders;
use std::net::SocketAddr;

/// Runs `sunfire up` until a signal ends it.
///
/// # Errors
/// If a folder, a port or a log can't be used.
pub fn run(arguments: &UpArguments) -> Result<Exit, Failure> {
    // A log that is not there is a mistake of the command line, told before anything is written.
    let monitors = logs::monitors(&arguments.logs)?;
    run_with(arguments, &monitors, |console, folders| {
        greet(console, folders, &monitors)
    })
}

/// The same, with what is to be done once all roles run.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_with(
    arguments: &UpArguments,
    monitors: &[logs::LogMonitor],
    ready: impl FnOnce(SocketAddr, &Folders),
) -> Result<Exit, Failure> {
    let door = Door::of(arguments)?;
    let folders = Folders::prepare(arguments)?;
    log::to_stderr();
    nodes::run(async {
        let mut signals = Signals::new()?;
        let mut nodes = Nodes::start(arguments, door, &folders, monitors).await?;
        ready(nodes.console_address(), &folders);
        let ended = tokio::select! {
            () = signals.received() => Ok(Exit::Complete),
            escalation = nodes.escalated() => Err(Failure::from(escalation)),
        };
        nodes.stop().await;
        ended
    })
}

/// Says where to look and how to go on.
fn greet(console: SocketAddr, folders: &Folders, monitors: &[logs::LogMonitor]) {
    eprintln!("sunfire is up: http://{console}");
    for monitor in monitors {
        eprintln!(
            "  {} → monitor `{}`{}",
            monitor.path.display(),
            monitor.name,
            monitor.grouped()
        );
    }
    let server = if console.port() == 7800 {
        String::new()
    } else {
        format!(" --server http://{console}")
    };
    let ask = monitors.first().map_or(
        "select sum(requests) from sunfire_http since 5m".to_owned(),
        |monitor| format!("select sum(records) from {} since 5m", monitor.name),
    );
    eprintln!("  ask:       sunfire query '{ask}'{server}");
    eprintln!("  status:    sunfire status{server}");
    eprintln!("  configure: put monitors as YAML into {}", folders.config.display());
    if monitors.is_empty() {
        eprintln!("  your logs: sunfire up /var/log/*.log charts them without a line of YAML");
    }
    eprintln!("  stop:      Ctrl-C; points stay in {}", folders.data.display());
}
