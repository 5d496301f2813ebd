//! A folder of YAML files as a ConfigDB that is changed by commands: documents are replaced where they stand, in files
//! that people wrote, and new ones get files of their own.

use super::place::sorted;
use crate::exit::Failure;
use anyhow::{Context, anyhow};
use configdb::apply::{Edit, Held, Snapshot};
use configs::{Placed, Source};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A folder of YAML files.
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// A folder that need not be there yet.
    pub fn new(root: &Path) -> Folder {
        Folder { root: root.to_owned() }
    }

    /// All documents.
    ///
    /// # Errors
    /// If files have mistakes: what they are meant to hold is not known.
    pub fn snapshot(&self) -> Result<Snapshot, Failure> {
        let held = self.placed()?.into_iter().map(|placed| Held {
            kind: placed.document.kind().to_owned(),
            name: placed.document.name().to_owned(),
            text: placed.source.text.to_string(),
            written_at: 0,
        });
        Ok(Snapshot {
            revision: 0,
            held: sorted(held.collect()),
        })
    }

    fn placed(&self) -> Result<Vec<Placed>, Failure> {
        if !self.root.exists() {
            return Ok(Vec::new());
        }
        configs::load_sources([self.root.as_path()]).map_err(|mistakes| {
            let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            Failure::configuration(told.join("\n"))
        })
    }

    /// Changes files, one after the other, each at once.
    ///
    /// # Errors
    /// If a file can't be written; those before it are.
    pub fn commit(&self, edits: &[Edit]) -> Result<(), Failure> {
        for edit in edits {
            // Read anew each time: an edit moves what is behind it.
            let placed = self.placed()?;
            let is_it = |placed: &&Placed| placed.document.kind() == edit.kind && placed.document.name() == edit.name;
            match (placed.iter().find(is_it), &edit.text) {
                (Some(placed), text) => splice(&placed.source, text.as_deref().unwrap_or_default())?,
                (None, Some(text)) => self.add(edit, text)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn add(&self, edit: &Edit, text: &str) -> Result<(), Failure> {
        let path = file_of(&self.root, &edit.kind, &edit.name)?;
        let whole = match fs::read_to_string(&path) {
            Ok(others) if !others.trim().is_empty() => format!("{}\n---\n{text}", others.trim_end()),
            _ => text.to_owned(),
        };
        write(&path, &whole)
    }
}

/// The file of a document that has one of its own.
///
/// # Errors
/// If its name is none that a file could have.
pub fn file_of(root: &Path, kind: &str, name: &str) -> Result<PathBuf, Failure> {
    let is_plain = |text: &str| !text.is_empty() && !text.starts_with('.') && !text.contains(['/', '\0']);
    if !is_plain(kind) || !is_plain(name) {
        return Err(anyhow!("the {kind} `{name}` has a name that no file can have").into());
    }
    Ok(root.join(kind).join(format!("{name}.yaml")))
}

/// Puts another text in the place of a document, or nothing; a file without anything else goes.
fn splice(source: &Source, text: &str) -> Result<(), Failure> {
    let path = Path::new(&*source.file);
    let whole = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let lines = whole.split_inclusive('\n').take(source.line as usize - 1);
    let start: usize = lines.map(str::len).sum();
    if !whole[start..].starts_with(&*source.text) {
        return Err(anyhow!("{} was changed meanwhile; try again", path.display()).into());
    }
    let (before, behind) = (&whole[..start], &whole[start + source.text.len()..]);
    // A document that ends its file may lack the last newline.
    let end = if behind.is_empty() || text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let spliced = format!("{before}{text}{end}{behind}");
    let is_void = |line: &str| line.trim().is_empty() || line.trim() == "---" || line.trim() == "...";
    if spliced.lines().all(is_void) {
        return Ok(fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?);
    }
    write(path, &spliced)
}

/// Writes a file at once or not at all.
///
/// # Errors
/// If it can't be written.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let part = path.with_extension("part");
    let written = fs::create_dir_all(folder).and_then(|()| {
        let mut file = fs::File::create(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, path)
    });
    Ok(written.with_context(|| format!("writing {}", path.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# Whose hosts.\nkind: app\nname: a\nhosts: []\n---\n# Another.\nkind: app\nname: b\nhosts: []\n";

    fn edit(name: &str, text: Option<&str>) -> Edit {
        Edit {
            kind: "app".to_owned(),
            name: name.to_owned(),
            text: text.map(str::to_owned),
            origin: String::new(),
        }
    }

    /// The file, and the names in the folder, after some edits.
    #[track_caller]
    fn check(edits: &[Edit], expected: Option<&str>, names: &[&str]) {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("apps.yaml");
        fs::write(&path, FILE).expect("written");
        let folder = Folder::new(root.path());
        folder.commit(edits).unwrap_or_else(|failure| panic!("{failure:?}"));
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), expected);
        let held = folder.snapshot().unwrap_or_else(|failure| panic!("{failure:?}")).held;
        let found: Vec<&str> = held.iter().map(|held| held.name.as_str()).collect();
        assert_eq!(found, names);
    }

    #[test]
    fn a_document_is_replaced_where_it_stands_and_what_surrounds_it_stays() {
        let longer = "kind: app\nname: a\nhosts: [] # none\n";
        let expected = FILE.replacen("kind: app\nname: a\nhosts: []\n", longer, 1);
        check(&[edit("a", Some(longer))], Some(&expected), &["a", "b"]);
        // Without its last newline, before another one and at the file's end.
        let (bare, other) = (longer.trim_end(), longer.trim_end().replace("name: a", "name: b"));
        let expected = format!("# Whose hosts.\n{bare}\n---\n# Another.\n{other}");
        let edits = [edit("a", Some(bare)), edit("b", Some(&other))];
        check(&edits, Some(&expected), &["a", "b"]);
    }

    #[test]
    fn one_that_is_removed_leaves_the_others_and_the_last_takes_its_file_along() {
        let expected = "# Whose hosts.\n---\n# Another.\nkind: app\nname: b\nhosts: []\n";
        check(&[edit("a", None)], Some(expected), &["b"]);
        let root = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(root.path());
        let app = "kind: app\nname: c\nhosts: []\n";
        folder.commit(&[edit("c", Some(app))]).expect("written");
        let own = root.path().join("app/c.yaml");
        assert_eq!(fs::read_to_string(&own).expect("a file of its own"), app);
        folder.commit(&[edit("c", None)]).expect("removed");
        assert!(!own.exists());
    }
}
