//! `sunfire-chaos`: runs the suite; called with the name of a role it is that role, with a planted bug if it was given
//! one ([`mutant::VARIABLE`]).

use chaos::report::End;
use chaos::run::{Asked, run};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use sunfire::cli::RoleArguments;

/// The roles that this binary can be.
const ROLES: [&str; 5] = ["agent", "map", "reduce", "brain", "console"];

/// Faults on a cluster of real processes, every answer checked.
#[derive(Debug, Parser)]
struct Arguments {
    /// Minutes of faults
    #[arg(long, default_value_t = 1)]
    minutes: u32,
    /// The seed of everything that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The binary whose subcommands are the roles [default: this one]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// A planted bug, which must be caught: the exit code is 0 if it is
    #[arg(long)]
    mutant: Option<String>,
    /// Where to write the report as JSON
    #[arg(long)]
    report: Option<PathBuf>,
    /// Where the run's files go, and stay [default: a temporary folder]
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let role = std::env::args().nth(1).filter(|name| ROLES.contains(&name.as_str()));
    match role {
        Some(role) => be(&role),
        None => match suite(&Arguments::parse()) {
            Ok(code) => code,
            Err(error) => {
                eprintln!("sunfire-chaos: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Runs as one of the cluster's processes, as `sunfire ROLE --config FILE` does.
fn be(role: &str) -> ExitCode {
    let Some(file) = std::env::args().nth(3) else {
        eprintln!("sunfire-chaos {role}: --config FILE is missing");
        return ExitCode::FAILURE;
    };
    let arguments = RoleArguments { config: file.into() };
    match sunfire::role::run_role(role, &arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("sunfire: {}", failure.message);
            failure.exit.into()
        }
    }
}

fn suite(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(name) = &arguments.mutant {
        let known: Vec<&str> = mutant::Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
        anyhow::ensure!(
            known.contains(&name.as_str()),
            "no bug is called {name}; there are {}",
            known.join(", ")
        );
    }
    let temporary = tempfile::tempdir()?;
    let folder = arguments.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let asked = Asked {
        minutes: arguments.minutes.max(1),
        seed: arguments.seed,
        binary: match &arguments.binary {
            Some(binary) => binary.canonicalize()?,
            None => std::env::current_exe()?,
        },
        mutant: arguments.mutant.clone(),
        folder: folder.canonicalize()?,
    };
    let report = run(&asked);
    println!("{report}");
    if let Some(path) = &arguments.report {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    let is_as_wanted = match (&report.end, &asked.mutant) {
        (End::Pass, None) | (End::Safety(_), Some(_)) => true,
        (_, Some(_)) => false,
        (_, None) => {
            println!(
                "again: cargo xtask chaos --minutes {} --seed {}",
                asked.minutes, asked.seed
            );
            for (name, said) in report.stderr.iter().filter(|(_, said)| said.lines().count() > 1) {
                let tail: Vec<&str> = said.lines().rev().take(8).collect();
                println!("── {name}");
                tail.iter().rev().for_each(|line| println!("{line}"));
            }
            false
        }
    };
    Ok(if is_as_wanted {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
