//! `cargo xtask chaos`: builds the suite of faults and runs it. What it does is told in docs/reliability.md.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::Outcome;

/// The planted bugs that are caught by nothing smaller than a cluster.
const MUTANTS: [&str; 8] = [
    "ok-before-last-chunk",
    "overlap-accepted",
    "ack-before-stored",
    "truncation-missed",
    "better-header-overwritten",
    "stale-epoch-accepted",
    "rotated-generation-dropped",
    "clock-after-listing",
];

/// Runs the suite for so many minutes by a seed; with one planted bug, with each of them, or with none.
pub fn run(root: &Path, (minutes, seed): (u32, u64), mutant: Option<String>, all: bool) -> anyhow::Result<Outcome> {
    let mutants: Vec<Option<String>> = if all {
        MUTANTS.iter().map(|name| Some((*name).to_owned())).collect()
    } else {
        vec![mutant]
    };
    let mut outcome = Outcome::Clean;
    let mut ends = Vec::new();
    for mutant in mutants {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .current_dir(root)
            .args(["run", "--quiet", "--package", "chaos", "--bin", "sunfire-chaos", "--"])
            .args(["--minutes", &minutes.to_string(), "--seed", &seed.to_string()]);
        command.args(mutant.iter().flat_map(|name| ["--mutant", name.as_str()]));
        let status = command.status().context("cargo cannot be run")?;
        if !status.success() {
            outcome = Outcome::Failed;
        }
        if let Some(name) = mutant {
            ends.push(format!(
                "{name}: {}",
                if status.success() { "caught" } else { "NOT CAUGHT" }
            ));
        }
    }
    ends.iter().for_each(|end| println!("{end}"));
    Ok(outcome)
}
