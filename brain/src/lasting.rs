//! What must last beside the configuration, wherever it is kept: the epoch, and lines.

use crate::epoch::DataDirectory;
use crate::journal::JournalError;
use crate::lines::{FileLines, Lines, replace};
use configdb::Term;
use std::time::Duration;

/// Lines of a name, and what they are now.
pub(crate) type Opened = (Box<dyn Lines>, Vec<u8>);

/// Where what must last is kept; by one Brain at a time, which sees to that.
pub(crate) trait Lasting: Send {
    /// Where that is, for people.
    fn told(&self) -> String;

    /// The epoch in force.
    fn epoch(&self) -> u64;

    /// Takes the next epoch; it never comes again, whatever happens, when this returns.
    fn next_epoch(&mut self) -> Result<u64, JournalError>;

    /// Opens lines, or makes some.
    fn lines(&self, name: &str) -> Result<Opened, JournalError>;

    /// A note, if there is one: nothing depends on it.
    fn note(&self, name: &str) -> Option<Vec<u8>>;

    /// Writes a note.
    fn set_note(&self, name: &str, content: &[u8]) -> Result<(), JournalError>;

    /// How often a note that changes all the time is to be written.
    fn note_every(&self) -> Duration;

    /// Whether this Brain may decide.
    fn leading(&self) -> Leading;
}

/// Whether this Brain may decide: asked before every order.
#[derive(Clone)]
pub(crate) enum Leading {
    /// For as long as the process lives: its lock is the kernel's.
    Always,
    /// For as long as its term lasts.
    Term(Term),
}

impl Leading {
    pub(crate) fn holds(&self) -> bool {
        match self {
            Leading::Always => true,
            Leading::Term(term) => term.leads(),
        }
    }

    /// Resolves when it will never hold again.
    pub(crate) async fn lost(&self) {
        match self {
            Leading::Always => std::future::pending().await,
            Leading::Term(term) => term.lost().await,
        }
    }
}

impl Lasting for DataDirectory {
    fn told(&self) -> String {
        DataDirectory::told(self)
    }

    fn epoch(&self) -> u64 {
        DataDirectory::epoch(self)
    }

    fn next_epoch(&mut self) -> Result<u64, JournalError> {
        DataDirectory::next_epoch(self)
    }

    fn lines(&self, name: &str) -> Result<Opened, JournalError> {
        let (lines, bytes) = FileLines::open(&self.file(&format!("{name}.jsonl")))?;
        Ok((Box::new(lines), bytes))
    }

    fn note(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.file(&format!("{name}.json"))).ok()
    }

    fn set_note(&self, name: &str, content: &[u8]) -> Result<(), JournalError> {
        replace(&self.file(&format!("{name}.json")), content)
    }

    fn note_every(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn leading(&self) -> Leading {
        Leading::Always
    }
}
