//! The chores of the house, in Rust instead of shell scripts: `cargo xtask test` is what people, continuous
//! integration and the README run, and `cargo xtask tidy` turns the style into a test.
//!
//! Owns: which steps a change must pass, in which order, and how their results are counted. Refuses to know: anything
//! about logs; it depends on no other crate of the workspace, so that it still runs while they do not compile.

mod chaos;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What was asked for on the command line.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "The chores of the house",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

/// The chores; each later one (simulation, benchmarks) is a variant here and a module beside this file.
#[derive(Debug, Subcommand)]
enum Chore {
    /// Checks the style of all source files; prints `file:line: message` for each finding
    Tidy,
    /// Runs every step that a change must pass; the last line is `N passed, N failed, N skipped`
    Test {
        /// Run only this step; may be given several times
        #[arg(long, value_name = "STEP", value_parser = test::step_names())]
        only: Vec<String>,
    },
    /// Runs faults against a cluster of real processes and checks every answer
    Chaos {
        /// Minutes of faults
        #[arg(long, default_value_t = 10)]
        minutes: u32,
        /// The seed of everything that is drawn
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// A planted bug, which must be caught
        #[arg(long, value_name = "NAME")]
        mutant: Option<String>,
        /// Every planted bug of the cluster, one after the other, each for so many minutes with up to three seeds
        #[arg(long, conflicts_with = "mutant")]
        mutants: bool,
    },
}

fn main() -> ExitCode {
    let root = workspace_root();
    let outcome = match Arguments::parse().chore {
        Chore::Tidy => tidy::run(&root),
        Chore::Test { only } => test::run(&root, &only),
        Chore::Chaos {
            minutes,
            seed,
            mutant,
            mutants,
        } => chaos::run(&root, (minutes, seed), mutant, mutants),
    };
    match outcome {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How a chore ended, apart from errors that kept it from being done at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing to complain about.
    Clean,
    /// Something failed; what, was printed.
    Failed,
}

/// The folder of the workspace. Cargo names this crate's folder at run time; the one it was built in serves a binary
/// that is started by hand.
fn workspace_root() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), Path::to_path_buf)
}
