//! Files as the ConfigDB sees them: which there are, what they say, and whether they are still the same.

use crate::diagnostic::Diagnostic;
use crate::yaml::FILE_BYTES_MAX;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How deep directories may nest: a guard against links that lead in circles.
const DEPTH_MAX: usize = 16;
/// Most files below a directory: each costs a stat at every poll.
const FILES_MAX: usize = 10_000;

/// The files that were found, and what kept others from being found.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Sorted by path within each directory, directories in their place.
    pub(crate) files: Vec<PathBuf>,
    /// Directories that could not be listed: nothing is known of the files below them.
    pub(crate) unlisted: Vec<PathBuf>,
    /// Why.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Listing {
    fn fail(&mut self, directory: &Path, diagnostic: Diagnostic) {
        self.unlisted.push(directory.to_owned());
        self.diagnostics.push(diagnostic);
    }

    /// Whether nothing is known of this path, since a directory above it could not be listed.
    pub(crate) fn is_unknown(&self, path: &Path) -> bool {
        self.unlisted.iter().any(|directory| path.starts_with(directory))
    }
}

/// Every `*.yaml` and `*.yml` below a directory; names that begin with a dot are passed over.
pub(crate) fn list_yaml(directory: &Path) -> Listing {
    let mut listing = Listing::default();
    collect(directory, 0, &mut listing);
    listing
}

fn collect(directory: &Path, depth: usize, listing: &mut Listing) {
    let name = || directory.display().to_string();
    if depth > DEPTH_MAX {
        let message = format!("directories nest deeper than {DEPTH_MAX}");
        let hint = "look for a link that leads in a circle".to_owned();
        return listing.fail(directory, Diagnostic::of_file(&name(), message, Some(hint)));
    }
    let paths = match entries(directory) {
        Ok(paths) => paths,
        Err(error) => return listing.fail(directory, unreadable(&name(), &error)),
    };
    for path in paths {
        if listing.files.len() >= FILES_MAX {
            let message = format!("there are more than {FILES_MAX} files here");
            let hint = "put several documents into one file, separated by `---`".to_owned();
            return listing.fail(directory, Diagnostic::of_file(&name(), message, Some(hint)));
        }
        if path.is_dir() {
            collect(&path, depth + 1, listing);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            listing.files.push(path);
        }
    }
}

/// What stands in a directory, hidden names aside, sorted.
pub(crate) fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = std::fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    let is_shown = |entry: &std::fs::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut paths: Vec<PathBuf> = listed.into_iter().filter(is_shown).map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// The mistake of a path that can't be read.
pub(crate) fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => Some("check the path".to_owned()),
        io::ErrorKind::PermissionDenied => Some("let the user that runs this read it".to_owned()),
        _ => None,
    };
    Diagnostic::of_file(name, format!("can't be read: {error}"), hint)
}

/// A file's text, if it isn't too large.
pub(crate) fn read(path: &Path) -> io::Result<String> {
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

/// What tells two states of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    identity: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of the file that a path leads to, links followed.
    pub(crate) fn of(path: &Path) -> io::Result<Stamp> {
        let metadata = std::fs::metadata(path)?;
        Ok(Stamp {
            identity: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
