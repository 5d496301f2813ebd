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

/// Seeds that a planted bug is tried with, one after the other, until it is caught. What a run meets depends on moments
/// that no seed decides; a bug that needs one of them is met in most runs, not in each.
const SEEDS_A_MUTANT: u64 = 3;

/// Runs the suite for so many minutes by a seed; with one planted bug, with each of them, or with none.
pub fn run(root: &Path, (minutes, seed): (u32, u64), mutant: Option<String>, all: bool) -> anyhow::Result<Outcome> {
    let mutants: Vec<String> = if all {
        MUTANTS.map(str::to_owned).into()
    } else {
        mutant.into_iter().collect()
    };
    if mutants.is_empty() {
        return Ok(match suite(root, minutes, seed, None)? {
            true => Outcome::Clean,
            false => Outcome::Failed,
        });
    }
    let mut outcome = Outcome::Clean;
    let mut ends = Vec::new();
    for name in mutants {
        let mut caught = None;
        for seed in seed..seed + SEEDS_A_MUTANT {
            if suite(root, minutes, seed, Some(&name))? {
                caught = Some(seed);
                break;
            }
        }
        ends.push(match caught {
            Some(seed) => format!("{name}: caught with seed {seed}"),
            None => format!("{name}: NOT CAUGHT with {SEEDS_A_MUTANT} seeds"),
        });
        if caught.is_none() {
            outcome = Outcome::Failed;
        }
    }
    ends.iter().for_each(|end| println!("{end}"));
    Ok(outcome)
}

/// One run; whether it ended as it should.
fn suite(root: &Path, minutes: u32, seed: u64, mutant: Option<&str>) -> anyhow::Result<bool> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root)
        .args(["run", "--quiet", "--package", "chaos", "--bin", "sunfire-chaos", "--"])
        .args(["--minutes", &minutes.to_string(), "--seed", &seed.to_string()]);
    command.args(mutant.iter().flat_map(|name| ["--mutant", name]));
    let status = command.status().context("cargo cannot be run")?;
    Ok(status.success())
}
