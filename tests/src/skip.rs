//! How a test says that it could not run here, so that nobody takes its passing for proof.
//!
//! A test that needs what this machine lacks (a browser, a tool to compare with, logs that are not in the repository)
//! calls [`skipped`] once and returns. The runner then counts it as passed and hides its output; therefore the line
//! goes to the file named by the environment variable `SUNFIRE_SKIPS` as well. `cargo xtask test` sets that variable,
//! prints the lines at its end, and counts such a test as skipped.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// The environment variable that names the file.
const VARIABLE: &str = "SUNFIRE_SKIPS";

/// Says that the test named `test` could not run, and `why` (what is missing, how to get it). Call it once in a test,
/// with the test's own name, and return.
///
/// # Panics
/// If the line cannot be written to the file of the run: a skip that nobody sees would be a pass.
pub fn skipped(test: &str, why: &str) {
    let line = line_of(test, why);
    eprint!("{line}");
    if let Some(path) = std::env::var_os(VARIABLE) {
        append(Path::new(&path), &line).expect("the file named by SUNFIRE_SKIPS can be appended to");
    }
}

/// One line, whatever the reason holds: `SKIPPED: <test>: <why>`.
fn line_of(test: &str, why: &str) -> String {
    let why: Vec<&str> = why.split_whitespace().collect();
    format!("SKIPPED: {test}: {}\n", why.join(" "))
}

/// Appends in a single write, so that lines of tests in other processes do not mix with it.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        assert_eq!(line_of("a::b", "no mawk"), "SKIPPED: a::b: no mawk\n");
        assert_eq!(
            line_of("a", "no mawk:\n  install it\n"),
            "SKIPPED: a: no mawk: install it\n"
        );
    }

    #[test]
    fn lines_are_appended() {
        let path = std::env::temp_dir().join(format!("sunfire-skip-test-{}", std::process::id()));
        append(&path, "one\n").unwrap();
        append(&path, "two\n").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, "one\ntwo\n");
        assert!(append(&path.join("below-a-file"), "three\n").is_err());
    }
}
