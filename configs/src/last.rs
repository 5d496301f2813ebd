//! A text that changes, and the last good value that it had.
//!
//! What is in force is never less than what was: a text with a mistake keeps the value of the last text without one,
//! and only as long as there was none does what could be understood stand for it.

use crate::diagnostic::Diagnostic;
use crate::watched::Poll;

/// What a text was understood as.
pub(crate) struct Parsed<T> {
    pub(crate) value: T,
    pub(crate) mistakes: Vec<Diagnostic>,
}

/// How much of a text is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was never understood at all.
    Nothing,
    /// It was never without mistake; what could be understood is in force.
    Part,
    /// A text without mistake, be it the present one or an earlier one.
    Whole,
}

/// A text's last good value.
pub(crate) struct Last<T> {
    /// What was read last.
    text: Option<String>,
    value: Option<T>,
    standing: Standing,
    mistakes: Vec<Diagnostic>,
}

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self {
            text: None,
            value: None,
            standing: Standing::Nothing,
            mistakes: Vec::new(),
        }
    }
}

impl<T> Last<T> {
    /// Takes what the text is now.
    pub(crate) fn take(&mut self, text: String, parse: impl FnOnce(&str) -> Parsed<T>) -> Poll {
        if self.text.as_ref() == Some(&text) {
            return Poll::Same;
        }
        let parsed = parse(&text);
        let is_good = parsed.mistakes.is_empty();
        if is_good || self.standing != Standing::Whole {
            self.value = Some(parsed.value);
            self.standing = if is_good { Standing::Whole } else { Standing::Part };
        }
        self.text = Some(text);
        self.mistakes = parsed.mistakes;
        Poll::Changed
    }

    /// Notes that it can't be read.
    pub(crate) fn complain(&mut self, mistakes: Vec<Diagnostic>) -> Poll {
        // The text is read again as if it were new, since these mistakes are not of it.
        self.text = None;
        let poll = Poll::changed_if(self.mistakes != mistakes);
        self.mistakes = mistakes;
        poll
    }

    /// What is in force.
    pub(crate) fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// What is wrong.
    pub(crate) fn mistakes(&self) -> &[Diagnostic] {
        &self.mistakes
    }

    /// Whether a text without mistake is in force.
    pub(crate) fn is_whole(&self) -> bool {
        self.standing == Standing::Whole
    }
}
