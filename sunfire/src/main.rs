//! `sunfire`: the one binary. Every role is a subcommand, and so is all of them together.
//!
//! stdout is data, stderr is talk, and the exit code says how it went ([`sunfire::exit::Exit`]).

use clap::Parser;
use std::process::ExitCode;
use sunfire::cli::{self, Cli, Command};
use sunfire::exit::{Exit, Failure};
use sunfire::{check, demo, detect, documents, eval, query, role, status, up};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Complete
            }
            .into();
        }
    };
    let result = match cli.command {
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Detect(arguments) => detect::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Agent(arguments) => role::run_role("agent", &arguments),
        Command::Map(arguments) => role::run_role("map", &arguments),
        Command::Reduce(arguments) => role::run_role("reduce", &arguments),
        Command::Brain(arguments) => role::run_role("brain", &arguments),
        Command::Console(arguments) => role::run_role("console", &arguments),
        Command::Up(arguments) => up::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Query(arguments) => query::run(&arguments),
        Command::Apply(arguments) => documents::apply(&arguments),
        Command::Get(arguments) => documents::get(&arguments),
        Command::Diff(arguments) => documents::diff(&arguments),
        Command::Delete(arguments) => documents::delete(&arguments),
        Command::Drain(arguments) => documents::drain(&arguments),
        Command::History(arguments) => documents::history(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Schema => schema(),
        Command::Completions { shell } => {
            cli::print_completions(shell);
            Ok(Exit::Complete)
        }
        Command::Man => cli::print_manual().map_err(Failure::from),
        Command::Version => {
            println!("sunfire {}", env!("CARGO_PKG_VERSION"));
            Ok(Exit::Complete)
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) if failure.message.contains("Broken pipe") => Exit::Complete.into(),
        Err(failure) => {
            eprintln!("sunfire: {}", failure.message);
            failure.exit.into()
        }
    }
}

fn schema() -> Result<Exit, Failure> {
    let schema = serde_json::to_string_pretty(&configs::schema()).map_err(anyhow::Error::from)?;
    println!("{schema}");
    Ok(Exit::Complete)
}
