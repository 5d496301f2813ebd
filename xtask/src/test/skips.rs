//! The file in which tests say that they could not run.
//!
//! Test runners hide the output of tests that pass, and a test that cannot run here (no browser, no mawk) passes. So
//! that nobody takes it for proof, it appends a line `SKIPPED: <test>: <why>` to the file named by [`VARIABLE`], by
//! `sunfire_tests::skip::skipped`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context;

/// The environment variable that names the file.
pub const VARIABLE: &str = "SUNFIRE_SKIPS";
/// How each line begins.
const PREFIX: &str = "SKIPPED: ";

/// The file of this run; removed with this value.
#[derive(Debug)]
pub struct SkipFile {
    path: PathBuf,
}

/// What the tests said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skips {
    /// The lines, sorted, each once.
    pub lines: Vec<String>,
    /// How many different tests they name.
    pub tests: usize,
}

impl SkipFile {
    /// An empty file in the folder for temporary files.
    pub fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("sunfire-skips-{}", std::process::id()));
        fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path })
    }

    /// The variable that tells tests where the file is.
    pub fn environment(&self) -> (OsString, OsString) {
        (VARIABLE.into(), self.path.clone().into())
    }

    /// What was written so far.
    pub fn read(&self) -> anyhow::Result<Skips> {
        match fs::read(&self.path) {
            Ok(text) => Ok(Skips::parse(&String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Skips::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", self.path.display())),
        }
    }
}

impl Drop for SkipFile {
    fn drop(&mut self) {
        // Left behind, it is an empty or short file among temporary ones.
        drop(fs::remove_file(&self.path));
    }
}

impl Skips {
    fn parse(text: &str) -> Self {
        let lines: BTreeSet<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let name = |line: &'_ str| -> Option<String> {
            let (name, _) = line.strip_prefix(PREFIX)?.split_once(": ")?;
            Some(name.to_owned())
        };
        let tests: BTreeSet<String> = lines.iter().filter_map(|line| name(line)).collect();
        Self {
            lines: lines.into_iter().map(str::to_owned).collect(),
            tests: tests.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, lines: &[&str], tests: usize) {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        assert_eq!(Skips::parse(text), Skips { lines, tests });
    }

    #[test]
    fn lines() {
        check("", &[], 0);
        check("SKIPPED: a: no mawk\n\n", &["SKIPPED: a: no mawk"], 1);
        // The same test in two runners' processes is one skip, two reasons of one test are two lines of one test.
        check("SKIPPED: a: x\nSKIPPED: a: x\n", &["SKIPPED: a: x"], 1);
        check("SKIPPED: a: y\nSKIPPED: a: x\n", &["SKIPPED: a: x", "SKIPPED: a: y"], 1);
        check(
            "SKIPPED: b::c: y: z\nSKIPPED: a: x",
            &["SKIPPED: a: x", "SKIPPED: b::c: y: z"],
            2,
        );
        // A line of another form is still shown and counted, but takes no test off the passed ones.
        check("something\n", &["something"], 0);
    }
}
