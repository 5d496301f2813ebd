//! The ConfigDB as a directory: the one place here that touches the file system.

use crate::diagnostic::Diagnostic;
use crate::node::AgentNode;
use crate::yaml::{FILE_BYTES_MAX, documents};
use crate::{Document, Set, check_set};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How deep directories may nest: a guard against links that lead in circles.
const DEPTH_MAX: usize = 16;

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
    let is_directory = path.is_dir();
    let mut diagnostics = Vec::new();
    let mut files = Vec::new();
    if is_directory {
        collect(path, 0, &mut files, &mut diagnostics);
    } else {
        files.push(path.to_owned());
    }
    let mut set = Set::default();
    for file in files {
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
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let warnings = if is_directory { check_set(&set) } else { Vec::new() };
    Ok(Loaded {
        documents: set.into_documents(),
        warnings,
    })
}

/// Loads the file of an agent (`--config FILE`): exactly one document, with `role: agent`.
///
/// # Errors
/// All mistakes of the file.
pub fn load_agent(path: &Path) -> Result<AgentNode, Vec<Diagnostic>> {
    let mut documents = load_path(path)?.documents;
    match (documents.pop(), documents.pop()) {
        (Some(Document::Agent(agent)), None) => Ok(agent),
        _ => {
            let message = "is not one document with `role: agent`".to_owned();
            let hint = Some("see configs/examples/agent.yaml".to_owned());
            Err(vec![Diagnostic::of_file(&path.display().to_string(), message, hint)])
        }
    }
}

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => Some("check the path".to_owned()),
        io::ErrorKind::PermissionDenied => Some("let the user that runs this read it".to_owned()),
        _ => None,
    };
    Diagnostic::of_file(name, format!("can't be read: {error}"), hint)
}

/// The YAML files below a directory, sorted by path.
fn collect(directory: &Path, depth: usize, files: &mut Vec<PathBuf>, diagnostics: &mut Vec<Diagnostic>) {
    if depth > DEPTH_MAX {
        let message = format!("directories nest deeper than {DEPTH_MAX}");
        diagnostics.push(Diagnostic::of_file(&directory.display().to_string(), message, None));
        return;
    }
    let listed = std::fs::read_dir(directory).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut paths: Vec<PathBuf> = match listed {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(error) => {
            diagnostics.push(unreadable(&directory.display().to_string(), &error));
            return;
        }
    };
    paths.sort();
    for path in paths {
        let is_hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            collect(&path, depth + 1, files, diagnostics);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            files.push(path);
        }
    }
}

/// A file's text, if it isn't too large.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "it is larger than {FILE_BYTES_MAX} bytes; split it"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        io::Error::other(format!("it is not UTF-8 from byte {offset} on"))
    })?;
    // Editors of other systems begin a file with a byte order mark; columns count from behind it.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
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
    fn a_path_that_is_not_there_is_told() {
        let diagnostics = load_path(Path::new("/nowhere/x.yaml")).expect_err("no file");
        assert_eq!((diagnostics.len(), diagnostics[0].line), (1, 0));
        assert_eq!(diagnostics[0].hint.as_deref(), Some("check the path"));
    }
}
