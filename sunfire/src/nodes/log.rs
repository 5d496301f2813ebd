//! What a role says while it runs: one line on stderr for each warning, with time, level and who says it.

use tracing_subscriber::filter::LevelFilter;

/// The environment variable that asks for more: `error`, `warn`, `info`, `debug` or `trace`.
pub const VARIABLE: &str = "SUNFIRE_LOG";

/// Begins to write what is worth a warning, or more if [`VARIABLE`] asks for it.
pub fn to_stderr() {
    let asked = std::env::var(VARIABLE)
        .ok()
        .and_then(|level| level.parse::<LevelFilter>().ok());
    // A second one in the same process, as tests have it, changes nothing.
    let _set = tracing_subscriber::fmt()
        .with_max_level(asked.unwrap_or(LevelFilter::WARN))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}
