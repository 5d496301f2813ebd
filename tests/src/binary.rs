//! The built binary, for tests that run it as a user does.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The dev build of `sunfire`, built now if need be.
pub fn dev() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build(&[], "debug")).clone()
}

/// The release build of `sunfire`, built now if need be.
pub fn release() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build(&["--release"], "release")).clone()
}

fn build(arguments: &[&str], profile: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(cargo);
    command
        .current_dir(&root)
        .args(["build", "--quiet", "--package", "sunfire"])
        .args(arguments);
    let status = command.status().expect("cargo can be run");
    assert!(status.success(), "sunfire does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join(profile).join("sunfire")
}
