//! Files that are watched by asking for their stamps again and again, each with the last good value that it had.
//!
//! Asked again, not told: inotify sees neither network file systems nor what a link leads to, and loses events when
//! many come at once. A change counts once a file has rested for one poll, so that what an editor has half written, or
//! has moved away to write it anew, changes nothing; and a file with a mistake keeps the last value that had none.

use crate::diagnostic::Diagnostic;
use crate::files::{Listing, Stamp, read, unreadable};
use crate::last::{Last, Parsed};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Whether a poll found something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Poll {
    /// Values and mistakes are what they were.
    Same,
    /// Some are others.
    Changed,
}

impl Poll {
    /// [`Poll::Changed`] if either is.
    pub fn or(self, other: Poll) -> Poll {
        match self {
            Poll::Same => other,
            Poll::Changed => Poll::Changed,
        }
    }

    /// [`Poll::Changed`] if something is.
    pub fn changed_if(changed: bool) -> Poll {
        if changed { Poll::Changed } else { Poll::Same }
    }
}

struct Watch<T> {
    /// At the last poll; `None` if it was not there.
    stamp: Option<Stamp>,
    /// Whether `text` was read while the file rested.
    rested: bool,
    last: Last<T>,
}

/// Files and their last good values.
pub(crate) struct Watched<T> {
    files: BTreeMap<PathBuf, Watch<T>>,
    polled_before: bool,
}

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            polled_before: false,
        }
    }
}

impl<T> Watched<T> {
    /// Looks at the files that are listed now, reads those that changed and have rested since, and forgets those that
    /// have been gone for two polls. The first poll reads all of them at once: there is nothing yet to keep.
    pub(crate) fn poll(&mut self, listing: &Listing, parse: impl Fn(&str, &str) -> Parsed<T>) -> Poll {
        let mut poll = self.forget(listing);
        let is_first = !self.polled_before;
        for path in &listing.files {
            let watch = self.files.entry(path.clone()).or_insert_with(|| Watch {
                stamp: None,
                rested: false,
                last: Last::default(),
            });
            poll = poll.or(watch.look(path, is_first, &parse));
        }
        self.polled_before = true;
        poll
    }

    fn forget(&mut self, listing: &Listing) -> Poll {
        let before = self.files.len();
        let listed: BTreeSet<&PathBuf> = listing.files.iter().collect();
        self.files.retain(|path, watch| {
            let is_kept = listed.contains(path) || listing.is_unknown(path);
            is_kept || watch.stamp.take().is_some()
        });
        Poll::changed_if(self.files.len() != before)
    }

    /// The values in force, by path.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&Path, &T)> {
        self.files
            .iter()
            .filter_map(|(path, watch)| Some((path.as_path(), watch.last.value()?)))
    }

    /// The value in force of a file.
    pub(crate) fn value(&self, path: &Path) -> Option<&T> {
        self.files.get(path)?.last.value()
    }

    /// What is wrong with a file.
    pub(crate) fn mistakes_of(&self, path: &Path) -> &[Diagnostic] {
        self.files.get(path).map_or(&[], |watch| watch.last.mistakes())
    }

    /// What is wrong, by path.
    pub(crate) fn mistakes(&self) -> impl Iterator<Item = &Diagnostic> {
        self.files.values().flat_map(|watch| watch.last.mistakes())
    }

    /// Whether of every file a text without mistake is in force.
    pub(crate) fn is_whole(&self) -> bool {
        self.files.values().all(|watch| watch.last.is_whole())
    }

    /// The same, of one file.
    pub(crate) fn is_whole_of(&self, path: &Path) -> bool {
        self.files.get(path).is_some_and(|watch| watch.last.is_whole())
    }
}

impl<T> Watch<T> {
    fn look(&mut self, path: &Path, is_first: bool, parse: &impl Fn(&str, &str) -> Parsed<T>) -> Poll {
        let stamp = Stamp::of(path).ok();
        let rests = stamp == self.stamp;
        self.stamp = stamp;
        self.rested &= rests;
        if self.rested || !(rests || is_first) {
            return Poll::Same;
        }
        let name = path.display().to_string();
        match read(path) {
            Ok(text) => {
                // A file that grew while it was read is read again once it rests.
                self.rested = rests && Stamp::of(path).ok() == stamp;
                if self.rested || is_first {
                    self.last.take(text, |text| parse(&name, text))
                } else {
                    Poll::Same
                }
            }
            Err(error) => self.last.complain(vec![unreadable(&name, &error)]),
        }
    }
}
