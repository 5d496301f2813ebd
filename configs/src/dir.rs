//! The ConfigDB read once from a file or a directory, as commands do it. What goes on reading it is `directory`.

use crate::diagnostic::Diagnostic;
use crate::documents::Placed;
use crate::files::{Listing, list_yaml, read, unreadable};
use crate::node::Node;
use crate::yaml::documents;
use crate::{Document, Set, check_set};
use std::path::Path;

/// What a file or a directory holds.
#[derive(Debug)]
pub struct Loaded {
    /// All documents, by file in alphabetical order, then in the file's order.
    pub documents: Vec<Document>,
    /// What works and is probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// Loads a YAML file, or every `*.yaml` and `*.yml` below a directory; names that begin with a dot are passed over.
///
/// # Errors
/// All mistakes of all files, in their order; files and directories that can't be read are among them.
pub fn load_path(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    let set = read_all([path])?;
    let warnings = if path.is_dir() {
        check_set(set.places())
    } else {
        Vec::new()
    };
    Ok(Loaded {
        documents: set.into_documents(),
        warnings,
    })
}

/// Loads documents of the ConfigDB from files and directories, each with where it stands.
///
/// # Errors
/// As [`load_path`]; nodes' own files are mistakes here, and so is a name that is taken twice.
pub fn load_sources<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<Vec<Placed>, Vec<Diagnostic>> {
    let (members, _) = read_all(paths)?.into_members();
    let placed: Vec<Placed> = members.into_iter().map(Placed::from).collect();
    let is_node = |placed: &&Placed| matches!(placed.document, Document::Node(_));
    let hint = "give it to the node by `--config FILE`";
    let mistake = |placed: &Placed| placed.mistake("a node's own file is no part of the ConfigDB", hint);
    let mistakes: Vec<Diagnostic> = placed.iter().filter(is_node).map(mistake).collect();
    if mistakes.is_empty() { Ok(placed) } else { Err(mistakes) }
}

/// What works in these documents together, and is probably not meant.
pub fn check_together(documents: &[Placed]) -> Vec<Diagnostic> {
    check_set(documents.iter().map(|placed| (&placed.document, &placed.place)))
}

fn read_all<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<Set, Vec<Diagnostic>> {
    let mut listing = Listing::default();
    for path in paths {
        if path.is_dir() {
            let Listing { files, diagnostics, .. } = list_yaml(path);
            listing.files.extend(files);
            listing.diagnostics.extend(diagnostics);
        } else {
            listing.files.push(path.to_owned());
        }
    }
    let mut diagnostics = listing.diagnostics;
    let mut set = Set::default();
    for file in listing.files {
        let name = file.display().to_string();
        match read(&file) {
            Ok(text) => {
                let (placed, mistakes) = documents(&name, &text);
                diagnostics.extend(mistakes);
                set.add(&name, &text, placed);
            }
            Err(error) => diagnostics.push(unreadable(&name, &error)),
        }
    }
    diagnostics.append(&mut set.clashes);
    if diagnostics.is_empty() {
        Ok(set)
    } else {
        Err(diagnostics)
    }
}

/// Loads a node's own file (`--config FILE`): exactly one document, with a `role`. Its relative paths begin at the
/// file's folder.
///
/// # Errors
/// All mistakes of the file.
pub fn load_node(path: &Path) -> Result<Node, Vec<Diagnostic>> {
    let mut documents = load_path(path)?.documents;
    match (documents.pop(), documents.pop()) {
        (Some(Document::Node(node)), None) => Ok(node.begun_at(path.parent().unwrap_or(Path::new("")))),
        _ => {
            let message = "is not one document with a `role`".to_owned();
            let hint = Some("see configs/examples/cluster".to_owned());
            Err(vec![Diagnostic::of_file(&path.display().to_string(), message, hint)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with these files.
    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        directory
    }

    /// Diagnostics as `file:line: message (hint)`, without the directory.
    fn brief(diagnostics: &[Diagnostic], directory: &Path) -> Vec<String> {
        let prefix = format!("{}/", directory.display());
        let brief = |Diagnostic {
                         file,
                         line,
                         message,
                         hint,
                         ..
                     }: &Diagnostic| {
            let (file, hint) = (file.as_deref().unwrap_or_default(), hint.as_deref().unwrap_or_default());
            format!("{file}:{line}: {message} ({hint})").replace(&prefix, "")
        };
        diagnostics.iter().map(brief).collect()
    }

    const MONITOR: &str = "kind: monitor\nname: m\napp: shop\nlog: /l\nselect: { n: count() }\n";

    #[test]
    fn a_directory_is_walked_in_order() {
        let files = [
            ("b.yaml", MONITOR),
            ("a/c.yml", "kind: app\nname: shop\nhosts: []\n"),
            ("a/.hidden.yaml", "kind: x"),
            ("a.txt", "kind: x"),
        ];
        let directory = directory(&files);
        let loaded = load_path(directory.path()).expect("good files");
        let names: Vec<(&str, &str)> = loaded
            .documents
            .iter()
            .map(|found| (found.kind(), found.name()))
            .collect();
        assert_eq!(names, [("app", "shop"), ("monitor", "m")]);
        assert_eq!(loaded.warnings, []);
    }

    #[test]
    fn mistakes_of_all_files_are_told() {
        let directory = directory(&[("a.yaml", MONITOR), ("b.yaml", "kind: monitr\n"), ("c.yaml", MONITOR)]);
        std::fs::write(directory.path().join("d.yaml"), b"kind: \xff").expect("a file");
        let diagnostics = load_path(directory.path()).expect_err("bad files");
        assert_eq!(
            brief(&diagnostics, directory.path()),
            [
                "b.yaml:1: unknown kind `monitr` (did you mean `monitor`?)",
                "d.yaml:0: can't be read: it is not UTF-8 from byte 6 on ()",
                "c.yaml:2: two monitors are named `m` (the first is at a.yaml:2:7; rename one of them)",
            ]
        );
    }

    #[test]
    fn an_app_that_is_not_there_is_a_warning_of_directories() {
        let directory = directory(&[
            ("a.yaml", &MONITOR.replace("log: /l\n", "")),
            ("b.yaml", "kind: app\nname: shpo\nhosts: []\n"),
        ]);
        let loaded = load_path(directory.path()).expect("good files");
        assert_eq!(
            brief(&loaded.warnings, directory.path()),
            [
                "a.yaml:2: the monitor `m` reads the app `shop`, which is not here (did you mean `shpo`?)",
                "a.yaml:2: the monitor `m` names no `log`, so it reads nothing (add a line `log: /…`)",
            ]
        );
        let loaded = load_path(&directory.path().join("a.yaml")).expect("a good file");
        assert_eq!(loaded.warnings, []);
    }

    #[test]
    fn a_tenant_needs_no_document_but_one_that_is_nearly_another_is_a_warning() {
        let monitor = |tenant: &str| MONITOR.replace("app: shop\n", &format!("tenant: {tenant}\n"));
        let of = |tenant: &str| {
            let (monitor, tenants) = (monitor(tenant), "kind: tenant\nname: trade\n");
            let directory = directory(&[("a.yaml", &monitor), ("b.yaml", tenants)]);
            let loaded = load_path(directory.path()).expect("good files");
            brief(&loaded.warnings, directory.path())
        };
        assert_eq!(of("trade"), [""; 0]);
        assert_eq!(of("search"), [""; 0]);
        assert_eq!(
            of("trad"),
            ["a.yaml:2: the tenant `trad` has no document, so it has no limits (did you mean `trade`?)"]
        );
    }

    #[test]
    fn a_path_that_is_not_there_is_told() {
        let diagnostics = load_path(Path::new("/nowhere/x.yaml")).expect_err("no file");
        assert_eq!((diagnostics.len(), diagnostics[0].line), (1, 0));
        assert_eq!(diagnostics[0].hint.as_deref(), Some("check the path"));
    }
}
