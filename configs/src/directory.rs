//! The ConfigDB as a directory that goes on being read: what is in force, and what is wrong.
//!
//! Every file keeps its own last good documents, so that a slip of one editor is an outage of nothing; the mistakes
//! are told until they are mended.

use crate::Document;
use crate::diagnostic::Diagnostic;
use crate::documents::{Documents, Gathered, Placed, Wholeness};
use crate::files::{Listing, list_yaml};
use crate::last::Parsed;
use crate::set::Member;
use crate::watched::{Poll, Watched};
use crate::yaml::documents;
use std::path::{Path, PathBuf};

/// A directory of YAML files, and texts that the process gives itself.
pub struct Directory {
    root: PathBuf,
    texts: Vec<Parsed<Vec<Member>>>,
    files: Watched<Vec<Member>>,
    listing: Vec<Diagnostic>,
    gathered: Gathered,
    wholeness: Wholeness,
}

impl Directory {
    /// A directory that has not been read yet; [`Documents::poll`] does that. `texts` are further files by name, which
    /// are always there; where a name is claimed twice, the directory's files come first, by path.
    pub fn new(root: &Path, texts: &[(String, String)]) -> Directory {
        Directory {
            root: root.to_owned(),
            texts: texts.iter().map(|(name, text)| parse(name, text)).collect(),
            files: Watched::default(),
            listing: Vec::new(),
            gathered: Gathered::default(),
            wholeness: Wholeness::Partial,
        }
    }

    /// Puts the files together; the first to claim a name keeps it.
    fn gather(&mut self) {
        let files = self.files.values().flat_map(|(_, members)| members);
        let members = files.chain(self.texts.iter().flat_map(|text| &text.value));
        let of_texts = self.texts.iter().flat_map(|text| &text.mistakes);
        let told = self.listing.iter().chain(self.files.mistakes()).chain(of_texts);
        self.gathered = Gathered::of(members, told);
    }
}

impl Documents for Directory {
    fn root(&self) -> &Path {
        &self.root
    }

    /// Looks for changes: names, sizes, times and identities of all files; reads what changed and has rested since the
    /// last poll. A file that can't be read, or that is broken, keeps its last good documents in force; one that is
    /// gone for two polls loses them.
    fn poll(&mut self) -> Poll {
        let Listing {
            files,
            unlisted,
            diagnostics,
        } = list_yaml(&self.root);
        let listing = Listing {
            files,
            unlisted,
            diagnostics: Vec::new(),
        };
        let mut poll = self.files.poll(&listing, parse);
        poll = poll.or(Poll::changed_if(diagnostics != self.listing));
        let wholeness = Wholeness::whole_if(self.files.is_whole() && diagnostics.is_empty());
        poll = poll.or(Poll::changed_if(wholeness != self.wholeness));
        (self.listing, self.wholeness) = (diagnostics, wholeness);
        if poll == Poll::Changed {
            self.gather();
        }
        poll
    }

    fn documents(&self) -> &[Placed] {
        &self.gathered.documents
    }

    fn mistakes(&self) -> &[Diagnostic] {
        &self.gathered.mistakes
    }

    fn wholeness(&self) -> Wholeness {
        self.wholeness
    }
}

/// A file's documents; nodes' own files do not belong here.
pub(crate) fn parse(name: &str, text: &str) -> Parsed<Vec<Member>> {
    let (placed, mut mistakes) = documents(name, text);
    let mut value = Vec::new();
    for member in Member::all(name, text, placed) {
        if let Document::Node(_) = member.document {
            mistakes.push(Diagnostic {
                message: "a node's own file is no part of the ConfigDB".to_owned(),
                hint: Some("move it out of this directory, and give it to the node by `--config FILE`".to_owned()),
                ..member.place
            });
        } else {
            value.push(member);
        }
    }
    Parsed { value, mistakes }
}

#[cfg(test)]
mod tests;
