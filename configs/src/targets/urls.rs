//! Targets that URLs name (`http_sd`): who fetches them is somebody else; here is what their answers mean.
//!
//! As in Prometheus, an answer holds until the next good one: a server that is away, or answers nonsense, takes no host
//! out of an application.

use super::parse;
use crate::app::Host;
use crate::diagnostic::Diagnostic;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is known of a URL by now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UrlRead {
    /// The last answer; `None` before the first.
    pub text: Option<Arc<str>>,
    /// Why the last try brought none.
    pub trouble: Option<String>,
}

/// Fetches URLs again and again, apart from whoever asks: asking never waits.
pub trait UrlReader: Send {
    /// Has these fetched from now on, and no others; what is known of each by now. One that was never named before
    /// has nothing yet.
    fn read(&mut self, urls: &BTreeSet<String>) -> BTreeMap<String, UrlRead>;
}

/// The targets of one URL.
#[derive(Debug, Default)]
pub(super) struct UrlTargets {
    text: Option<Arc<str>>,
    pub(super) trouble: Option<String>,
    /// Of the last answer without a mistake.
    pub(super) hosts: Option<Vec<Host>>,
    /// Of the last answer.
    pub(super) mistakes: Vec<Diagnostic>,
}

impl UrlTargets {
    fn take(&mut self, url: &str, read: UrlRead) {
        self.trouble = read.trouble;
        if self.text == read.text {
            return;
        }
        self.text = read.text;
        let Some(text) = &self.text else { return };
        let parsed = parse(url, text);
        self.mistakes = parsed.mistakes;
        if self.mistakes.is_empty() {
            self.hosts = Some(parsed.value);
        }
    }

    /// Whether its hosts are what it says now.
    pub(super) fn is_whole(&self) -> bool {
        self.trouble.is_none() && self.mistakes.is_empty() && self.hosts.is_some()
    }
}

/// Takes what is known of all URLs that applications name.
pub(super) fn take_all(known: &mut BTreeMap<String, UrlTargets>, urls: &BTreeSet<String>, reader: &mut dyn UrlReader) {
    known.retain(|url, _| urls.contains(url));
    for (url, read) in reader.read(urls) {
        known.entry(url.clone()).or_default().take(&url, read);
    }
}
