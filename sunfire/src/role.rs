//! The roles of a cluster as subcommands: each reads its own file and runs until a signal ends it.

use crate::cli::AgentArguments;
use crate::exit::{Exit, Failure};
use agent::process::{ProcessError, run_file};

/// Runs an agent.
///
/// # Errors
/// If its file has mistakes, or it cannot start.
pub fn agent(arguments: &AgentArguments) -> Result<Exit, Failure> {
    let ready = |address: &str| eprintln!("sunfire agent: listening on {address}");
    match run_file(&arguments.config, ready) {
        Ok(()) => Ok(Exit::Complete),
        Err(ProcessError::Configuration(diagnostics)) => {
            let told: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
            Err(Failure::configuration(told.join("\n")))
        }
        Err(error) => Err(anyhow::Error::from(error).into()),
    }
}
