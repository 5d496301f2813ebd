//! The console's page in a real browser: gets the one npm package that drives it, builds the `sunfire` that serves the
//! page, then runs `node --test`.
//!
//! Node, npm and Chromium are not needed to build Sunfire or to use it, so a machine may lack them: the step is then
//! skipped, and says what is missing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::process::{Ending, Invocation};
use super::report::Verdict;
use super::run_tests;
use super::summary::Runner;

/// Where the tests are, from the workspace root.
const FOLDER: &str = "tests/browser";
/// The environment variable that names another browser, as the tests read it.
const BROWSER_VARIABLE: &str = "CHROMIUM";
/// Where Debian puts Chromium.
const BROWSER: &str = "/usr/bin/chromium";
/// The oldest node that takes the page's files for modules without being told, and that playwright runs on.
const NODE_MIN: (u32, u32) = (20, 19);
/// `npm ci` installs what the lock file names and nothing else; the package brings no browser with it.
const INSTALL: &[&str] = &["ci", "--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts"];
/// The environment variable that names the program, as the tests read it.
const PROGRAM_VARIABLE: &str = "SUNFIRE_BIN";
/// The program as tests of other crates build it too, so that nothing is built twice; alone, without the features that
/// tests add.
const BUILD: &[&str] = &["build", "--quiet", "--package", "sunfire", "--bin", "sunfire"];
/// Files run one after the other: two browsers at once would share what CPU there is and miss deadlines.
const TEST: &[&str] = &["--test", "--test-concurrency=1", "--test-reporter=spec"];

/// Runs the step; `skips` is the variable that names the file of skips.
pub fn run(root: &Path, skips: (OsString, OsString)) -> Verdict {
    if let Some(why) = missing(root) {
        return Verdict::Skipped { why };
    }
    let folder = root.join(FOLDER);
    let preparations = [
        (Invocation::new("npm", &folder, INSTALL), "`npm ci` failed"),
        (Invocation::cargo(root, BUILD), "the program does not build"),
    ];
    for (preparation, failure) in preparations {
        match preparation.run() {
            Ok(Ending::Success) => {}
            Ok(Ending::Failure) => return Verdict::failed_step(failure),
            Err(error) => return Verdict::failed_step(format!("{error:#}")),
        }
    }
    let program = program(root, std::env::var_os("CARGO_TARGET_DIR"));
    let variables = [skips, (PROGRAM_VARIABLE.into(), program.into())];
    run_tests(&Invocation::new("node", &folder, TEST).with(variables), Runner::Node)
}

/// Where the built program is: in the folder that `CARGO_TARGET_DIR` names, from the root, or in `target`.
fn program(root: &Path, target: Option<OsString>) -> PathBuf {
    let target = target.unwrap_or_else(|| "target".into());
    root.join(target).join("debug").join("sunfire")
}

/// What this machine lacks, if it lacks something.
fn missing(root: &Path) -> Option<String> {
    let version = match Invocation::new("node", root, &["--version"]).output_if_succeeds() {
        Some(output) => output,
        None => return Some("node is not installed".to_owned()),
    };
    if let Some(why) = too_old(&version) {
        return Some(why);
    }
    if !Invocation::new("npm", root, &["--version"]).succeeds_silently() {
        return Some("npm is not installed".to_owned());
    }
    let browser = std::env::var_os(BROWSER_VARIABLE).unwrap_or_else(|| BROWSER.into());
    let found = Path::new(&browser).exists();
    (!found).then(|| {
        format!(
            "there is no {}; install chromium or name one in {BROWSER_VARIABLE}",
            browser.display()
        )
    })
}

/// Why the node that answered `version`, such as `v20.19.2`, cannot run the tests.
fn too_old(version: &str) -> Option<String> {
    let version = version.trim();
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    let known = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= NODE_MIN,
        _ => false,
    };
    let (major, minor) = NODE_MIN;
    (!known).then(|| format!("node is {version}, at least {major}.{minor} is needed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_in_the_target_folder() {
        let root = Path::new("/src");
        assert_eq!(program(root, None), Path::new("/src/target/debug/sunfire"));
        assert_eq!(program(root, Some("/cache".into())), Path::new("/cache/debug/sunfire"));
        assert_eq!(program(root, Some("out".into())), Path::new("/src/out/debug/sunfire"));
    }

    #[test]
    fn versions_of_node() {
        #[track_caller]
        fn check(version: &str, expected: bool) {
            assert_eq!(too_old(version).is_none(), expected, "{version}");
        }
        check("v20.19.0\n", true);
        check("v20.20.2", true);
        check("v24.1.0", true);
        check("v20.18.3", false);
        check("v18.20.4", false);
        check("", false);
        check("nonsense", false);
    }
}
