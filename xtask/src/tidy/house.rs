//! Checks of the repository as a whole: that every crate says what it owns, that the documents exist, and that no
//! file knows the machine it was written on.

use super::{Finding, Tree};

/// Fewest lines of docs in which a crate's root can say what it owns, what it refuses to know, and whom it talks to.
const CRATE_DOCS_LINES_MIN: usize = 3;
/// Beginnings of paths that exist only where the code was written, in two parts so that this file does not hold them.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/tmp", "/t-"),
    concat!("/tmp", "/briefs"),
];

/// Findings about the repository.
pub fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = machine_paths(tree);
    findings.extend(changelog(tree));
    findings.extend(schema(tree));
    for path in tree.keys() {
        if let Some(member) = path.strip_suffix("/Cargo.toml") {
            findings.extend(workspace_member(tree, path, member));
        }
    }
    findings
}

fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree {
        for (index, line) in text.lines().enumerate() {
            if let Some(found) = MACHINE_PATHS.iter().find(|machine| names_machine_path(line, machine)) {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    format!("names a path of one machine: `{found}…`"),
                ));
            }
        }
    }
    findings
}

/// Whether `machine` stands in `line` as the beginning of a path, not within a longer one or an address.
fn names_machine_path(line: &str, machine: &str) -> bool {
    line.match_indices(machine).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || "-_.~}".contains(before))
    })
}

fn changelog(tree: &Tree) -> Option<Finding> {
    let path = "CHANGELOG.md";
    match tree.get(path) {
        None => Some(Finding::new(path, 1, "the changelog is missing")),
        Some(text) if !text.lines().any(|line| line.starts_with("## [Unreleased]")) => {
            Some(Finding::new(path, 1, "the changelog has no section `## [Unreleased]`"))
        }
        Some(_) => None,
    }
}

fn schema(tree: &Tree) -> Option<Finding> {
    let path = "configs/schema.json";
    let needed = tree.contains_key("configs/Cargo.toml") && !tree.contains_key(path);
    needed.then(|| Finding::new(path, 1, "the schema of the configuration is missing; generate it"))
}

fn workspace_member(tree: &Tree, manifest: &str, member: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(crate_docs(tree, manifest, member));
    let lints = tree
        .get(manifest)
        .is_some_and(|text| text.contains("[lints]\nworkspace = true"));
    if !lints {
        findings.push(Finding::new(
            manifest,
            1,
            "the crate must take the lints of the workspace: `[lints]`",
        ));
    }
    let path = "ARCHITECTURE.md";
    let mapped = tree.get(path).is_some_and(|text| text.contains(&format!("`{member}`")));
    if !mapped {
        findings.push(Finding::new(
            path,
            1,
            format!("the code map does not name the crate `{member}`"),
        ));
    }
    findings
}

fn crate_docs(tree: &Tree, manifest: &str, member: &str) -> Option<Finding> {
    let roots = [format!("{member}/src/lib.rs"), format!("{member}/src/main.rs")];
    let root = roots.iter().find_map(|path| tree.get(path).map(|text| (path, text)));
    let Some((path, text)) = root else {
        return Some(Finding::new(
            manifest,
            1,
            "the crate has neither `src/lib.rs` nor `src/main.rs`",
        ));
    };
    let docs = text
        .lines()
        .filter(|line| line.strip_prefix("//!").is_some_and(|text| !text.trim().is_empty()))
        .count();
    (docs < CRATE_DOCS_LINES_MIN).then(|| {
        let message = "the crate's docs must say what it owns, what it refuses to know, and whom it talks to";
        Finding::new(path, 1, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository to which nothing is to be said, with some files replaced (`Some`) or removed (`None`).
    fn tree(changes: &[(&str, Option<&str>)]) -> Tree {
        let clean = [
            ("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n"),
            ("ARCHITECTURE.md", "- `configs`: the model\n"),
            ("Cargo.toml", "[workspace]\n"),
            ("configs/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n"),
            ("configs/schema.json", "{}\n"),
            (
                "configs/src/lib.rs",
                "//! It owns this.\n//!\n//! It does not know that.\n//! It talks to those.\n",
            ),
        ];
        let mut tree: Tree = clean
            .iter()
            .map(|&(path, text)| (path.to_owned(), text.to_owned()))
            .collect();
        for &(path, text) in changes {
            match text {
                Some(text) => tree.insert(path.to_owned(), text.to_owned()),
                None => tree.remove(path),
            };
        }
        tree
    }

    #[track_caller]
    fn check(changes: &[(&str, Option<&str>)], expected: &[(&str, usize, &str)]) {
        let found = findings(&tree(changes));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (finding, &(file, line, part)) in found.iter().zip(expected) {
            assert_eq!((finding.file.as_str(), finding.line), (file, line));
            assert!(finding.message.contains(part), "{finding:?} should say {part:?}");
        }
    }

    #[test]
    fn documents() {
        check(&[], &[]);
        check(&[("CHANGELOG.md", None)], &[("CHANGELOG.md", 1, "missing")]);
        check(
            &[("CHANGELOG.md", Some("# Changelog\n"))],
            &[("CHANGELOG.md", 1, "Unreleased")],
        );
        check(
            &[("configs/schema.json", None)],
            &[("configs/schema.json", 1, "missing")],
        );
        check(
            &[("ARCHITECTURE.md", Some("configs\n"))],
            &[("ARCHITECTURE.md", 1, "`configs`")],
        );
        check(&[("ARCHITECTURE.md", None)], &[("ARCHITECTURE.md", 1, "`configs`")]);
    }

    #[test]
    fn crates() {
        check(
            &[("configs/src/lib.rs", Some("//! Short.\n//!\n//!\n"))],
            &[("configs/src/lib.rs", 1, "owns")],
        );
        check(&[("configs/src/lib.rs", None)], &[("configs/Cargo.toml", 1, "neither")]);
        check(
            &[("configs/Cargo.toml", Some("[package]\n"))],
            &[("configs/Cargo.toml", 1, "lints")],
        );
    }

    #[test]
    fn paths_of_the_machine() {
        for machine in MACHINE_PATHS {
            check(
                &[("a.md", Some(&format!("\nsee {machine}file\n")))],
                &[("a.md", 2, machine)],
            );
            check(&[("a.rs", Some(&format!("\"{machine}\"")))], &[("a.rs", 1, machine)]);
            check(
                &[(
                    "a.md",
                    Some(&format!("https://example.org{machine}file, ..{machine}, a{machine}")),
                )],
                &[],
            );
        }
    }
}
