//! The style as a test: what a reviewer would say every time is said here once, by a program.
//!
//! All checks are functions from text to findings; only this file touches git and the disk. It looks at every file
//! that git tracks or would track (`git ls-files -co --exclude-standard`), so a new file is judged before it is added.

mod house;
mod syntax;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::Outcome;
use syntax::Parsed;

/// The files looked at, by their path from the workspace root; files that are not UTF-8 are left out.
pub type Tree = BTreeMap<String, String>;

/// One complaint, at a place that an editor can jump to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the workspace root.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// A finding in `file` at `line`, counted from 1.
    pub fn new(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            message: message.into(),
        }
    }
}

/// What a source file is for; tests may do what production code may not, and the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Ends up in a binary that people run.
    Production,
    /// Tests, benchmarks, and the `tests` crate.
    Test,
}

/// Checks the workspace at `root`, prints each finding and their number on stdout.
pub fn run(root: &Path) -> anyhow::Result<Outcome> {
    let tree = read_tree(root)?;
    let findings = findings(&tree);
    for finding in &findings {
        println!("{}:{}: {}", finding.file, finding.line, finding.message);
    }
    let sources = tree.keys().filter(|path| path.ends_with(".rs")).count();
    println!(
        "tidy: {} findings in {} source files of {} files",
        findings.len(),
        sources,
        tree.len()
    );
    Ok(if findings.is_empty() {
        Outcome::Clean
    } else {
        Outcome::Failed
    })
}

/// All findings in `tree`, by file and line.
fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = house::findings(tree);
    let mut parsed = Vec::new();
    for (path, source) in tree.iter().filter(|(path, _)| path.ends_with(".rs")) {
        match Parsed::new(path, source) {
            Ok(file) => parsed.push(file),
            Err(finding) => findings.push(finding),
        }
    }
    let test_modules: BTreeSet<String> = parsed.iter().flat_map(Parsed::test_module_paths).collect();
    for file in &parsed {
        findings.extend(text::findings(file.path, file.source, &file.masked_lines));
        findings.extend(syntax::findings(file, role(file.path, &test_modules)));
    }
    findings.sort();
    findings.dedup();
    findings
}

/// The role of the file at `path`; `test_modules` holds files and folders (with a slash) declared `#[cfg(test)]`.
fn role(path: &str, test_modules: &BTreeSet<String>) -> Role {
    let folder_of_tests = path.starts_with("tests/") || path.contains("/tests/") || path.contains("/benches/");
    let declared = test_modules
        .iter()
        .any(|place| path == place || (place.ends_with('/') && path.starts_with(place)));
    if folder_of_tests || declared {
        Role::Test
    } else {
        Role::Production
    }
}

fn read_tree(root: &Path) -> anyhow::Result<Tree> {
    // A clone made by another user is refused by git unless it is called safe; listing files runs nothing from it.
    let listing = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("cannot run git to list the files; install git")?;
    ensure!(
        listing.status.success(),
        "git cannot list the files of {}; run this in a clone: {}",
        root.display(),
        String::from_utf8_lossy(&listing.stderr).trim()
    );
    let mut tree = Tree::new();
    for path in String::from_utf8_lossy(&listing.stdout).split_terminator('\0') {
        // A file that is tracked and deleted, or is no text, has nothing to be checked.
        if let Ok(text) = fs::read_to_string(root.join(path)) {
            tree.insert(path.to_owned(), text);
        }
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_role(path: &str, declared: &[&str], expected: Role) {
        let declared = declared.iter().map(|&place| place.to_owned()).collect();
        assert_eq!(role(path, &declared), expected, "{path}");
    }

    #[test]
    fn roles() {
        check_role("map/src/plan.rs", &[], Role::Production);
        check_role("tests/src/oracle/mod.rs", &[], Role::Test);
        check_role("logline/tests/corpora.rs", &[], Role::Test);
        check_role("map/benches/engine.rs", &[], Role::Test);
        check_role(
            "map/src/plan/properties.rs",
            &["map/src/plan/properties.rs"],
            Role::Test,
        );
        check_role(
            "map/src/plan/properties/a.rs",
            &["map/src/plan/properties/"],
            Role::Test,
        );
        check_role(
            "map/src/plan/properties_of.rs",
            &["map/src/plan/properties/"],
            Role::Production,
        );
        check_role("map/src/attests/a.rs", &[], Role::Production);
    }

    #[test]
    fn a_file_declared_as_test_module_elsewhere_may_unwrap() {
        let docs = "//! A file that exists for this test alone.\n";
        let with = |declaration: &str| {
            let mut tree = Tree::new();
            tree.insert("a/src/lib.rs".to_owned(), format!("{docs}{declaration}\n"));
            tree.insert(
                "a/src/cases.rs".to_owned(),
                format!("{docs}fn f() {{ g().unwrap(); }}\n"),
            );
            findings(&tree)
                .into_iter()
                .filter(|finding| finding.file == "a/src/cases.rs")
                .count()
        };
        assert_eq!(with("#[cfg(test)]\nmod cases;"), 0);
        assert_eq!(with("mod cases;"), 1);
    }

    #[test]
    fn a_file_that_does_not_parse_is_a_finding() {
        let tree = Tree::from([("a/src/b.rs".to_owned(), "//! Docs of a broken file.\nfn (".to_owned())]);
        assert!(
            findings(&tree)
                .iter()
                .any(|finding| finding.message.contains("does not parse"))
        );
    }
}
