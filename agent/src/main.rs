//! `sunfire-agent --config FILE`: the agent alone, for hosts that need nothing else. The same as `sunfire agent`.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use agent::process::{ProcessError, Started, run_file};

/// Exit codes as `sunfire` has them: failed, wrong usage, wrong configuration.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let config = match arguments.as_slice() {
        [flag, file] if flag == "--config" => Path::new(file),
        [flag] if flag == "--version" => {
            println!("sunfire-agent {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("usage: sunfire-agent --config FILE");
            return USAGE.into();
        }
    };
    let ended = run_file(
        config,
        |Started {
             address,
             confinement,
             tls,
         }| {
            eprintln!("sunfire-agent: listening on {address}");
            eprintln!("sunfire-agent: confinement: {confinement}");
            if let Some(tls) = tls {
                eprintln!("sunfire-agent: TLS: {tls}");
            }
        },
    );
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ProcessError::Configuration(diagnostics)) => {
            diagnostics.iter().for_each(|diagnostic| eprintln!("{diagnostic}"));
            CONFIGURATION.into()
        }
        Err(error) => {
            eprintln!("sunfire-agent: {}", told(&error));
            match error {
                ProcessError::Tls(_) => CONFIGURATION.into(),
                _ => FAILED.into(),
            }
        }
    }
}

/// An error and its causes in one line.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
