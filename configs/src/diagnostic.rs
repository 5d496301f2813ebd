//! Mistakes in what people wrote, told so that a tired operator can mend them: where, what, and what to write instead.
//!
//! Parsers know only byte ranges of the text in front of them (`Mistake`); a `Diagnostic` adds the file, the line and
//! the snippet, and needs the text no longer.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Characters of a source line shown on each side of a mistake: longer lines are cropped so that the caret still
/// stands under its text on a narrow terminal.
const SNIPPET_CONTEXT: usize = 60;

/// A mistake in a file or a query, complete enough to be shown without its source.
///
/// `Display` is several lines: `file:line:column: message`, the source line with a caret, and the hint.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub struct Diagnostic {
    /// The file as it was named; `None` for a query given as an argument.
    pub file: Option<Arc<str>>,
    /// Line of the offending text, from 1; 0 where the whole file is meant.
    pub line: u32,
    /// Column in characters, from 1; 0 where the whole file is meant.
    pub column: u32,
    /// Length of the offending text in characters, within its line.
    pub length: u32,
    /// The offending text, as far as it stands on its first line.
    pub text: String,
    /// What is wrong: lower-case, without a full stop.
    pub message: String,
    /// What to write instead, if that can be known.
    pub hint: Option<String>,
    /// The source line, whole.
    pub source_line: Box<str>,
    /// How many mistakes this tells of: more than one where the rest of a file's are not told one by one.
    pub count: u32,
}

/// Where the lines of a text begin: who looks up many places in it does not count its lines from the start for each.
pub(crate) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Lines {
        let behind_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines {
            starts: std::iter::once(0).chain(behind_newlines).collect(),
        }
    }

    /// The line that a byte stands in, from 1.
    pub(crate) fn number(&self, offset: usize) -> u32 {
        number(self.starts.partition_point(|start| *start <= offset))
    }
}

/// A mistake at a byte range of the text being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Mistake {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Mistake {
        Mistake {
            span,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Mistake {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_maybe(mut self, hint: Option<String>) -> Mistake {
        self.hint = hint.or(self.hint);
        self
    }
}

impl Diagnostic {
    /// A mistake in a query's text that only somebody could find who knows more than the text: at a span of its
    /// expressions, with what to write instead.
    pub fn of_query(text: &str, span: Range<usize>, message: impl Into<String>, hint: Option<String>) -> Diagnostic {
        Diagnostic::in_text(None, text, Mistake::new(span, message).hint_maybe(hint))
    }

    /// A mistake within `source`, whose spans may end on another line than they begin.
    pub(crate) fn in_text(file: Option<&str>, source: &str, mistake: Mistake) -> Diagnostic {
        Diagnostic::in_lines(file.map(Arc::from), source, &Lines::of(source), mistake)
    }

    /// The same, of one of many in a file.
    pub(crate) fn in_lines(file: Option<Arc<str>>, source: &str, lines: &Lines, mistake: Mistake) -> Diagnostic {
        let start = floor_boundary(source, mistake.span.start);
        let end = floor_boundary(source, mistake.span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = source[start..]
            .find('\n')
            .map_or(source.len(), |newline| start + newline);
        let text = source[start..end.min(line_end)].trim_end_matches('\r').to_owned();
        Diagnostic {
            file,
            line: lines.number(start),
            column: number(source[line_start..start].chars().count() + 1),
            length: number(text.chars().count()),
            text,
            message: mistake.message,
            hint: mistake.hint,
            source_line: source[line_start..line_end].trim_end_matches('\r').into(),
            count: 1,
        }
    }

    /// A mistake that belongs to no line: a file that can't be read.
    pub(crate) fn of_file(file: &str, message: String, hint: Option<String>) -> Diagnostic {
        Diagnostic {
            file: Some(file.into()),
            line: 0,
            column: 0,
            length: 0,
            text: String::new(),
            message,
            hint,
            source_line: Box::default(),
            count: 1,
        }
    }

    /// The source line cropped to the surroundings of the mistake, and the caret's distance from its start.
    fn snippet(&self) -> (String, usize) {
        let (before, length) = (self.column.saturating_sub(1) as usize, self.length as usize);
        let skipped = before.saturating_sub(SNIPPET_CONTEXT);
        let shown = before - skipped + length.min(SNIPPET_CONTEXT) + SNIPPET_CONTEXT;
        let mut characters = self.source_line.chars().skip(skipped);
        // A tab is one column here and eight on the terminal: shown as a blank, the caret keeps its place.
        let blank = |character: char| if character.is_control() { ' ' } else { character };
        let cropped: String = characters.by_ref().take(shown).map(blank).collect();
        let (head, tail) = (
            if skipped > 0 { "…" } else { "" },
            if characters.next().is_some() { "…" } else { "" },
        );
        (
            format!("{head}{cropped}{tail}"),
            before - skipped + head.chars().count(),
        )
    }
}

/// A count as it is stored; files are far smaller than its bound.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The greatest character boundary of `text` that is not behind `offset`.
fn floor_boundary(text: &str, offset: usize) -> usize {
    text.floor_char_boundary(offset)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(formatter, "{file}:")?;
        }
        if self.line > 0 {
            write!(formatter, "{}:{}:", self.line, self.column)?;
        }
        write!(formatter, " {}", self.message)?;
        let margin = self.line.to_string().len();
        if self.line > 0 {
            let (snippet, indent) = self.snippet();
            let carets = "^".repeat((self.length as usize).clamp(1, SNIPPET_CONTEXT));
            write!(formatter, "\n{:margin$} |\n{} | {snippet}", "", self.line)?;
            write!(formatter, "\n{:margin$} | {:indent$}{carets}", "", "")?;
        }
        match &self.hint {
            Some(hint) => write!(formatter, "\n{:margin$} = {hint}", ""),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(file: Option<&str>, source: &str, span: Range<usize>, expected: &str) {
        let mistake = Mistake::new(span, "wrong").hint("mend it");
        assert_eq!(Diagnostic::in_text(file, source, mistake).to_string(), expected);
    }

    #[test]
    fn a_mistake_is_shown_under_its_line() {
        check(
            Some("a.yaml"),
            "x\nab cd",
            5..7,
            "a.yaml:2:4: wrong\n  |\n2 | ab cd\n  |    ^^\n  = mend it",
        );
        check(None, "ab", 2..2, "1:3: wrong\n  |\n1 | ab\n  |   ^\n  = mend it");
        check(None, "é\té", 3..5, "1:3: wrong\n  |\n1 | é é\n  |   ^\n  = mend it");
        check(None, "ab\r\ncd", 1..6, "1:2: wrong\n  |\n1 | ab\n  |  ^\n  = mend it");
        check(None, "", 7..9, "1:1: wrong\n  |\n1 | \n  | ^\n  = mend it");
    }

    #[test]
    fn a_long_line_is_cropped_around_the_mistake() {
        let source = format!("{}!{}", "a".repeat(100), "b".repeat(100));
        let shown = format!("1 | …{}!{}…", "a".repeat(60), "b".repeat(60));
        let caret = format!("  | {}^", " ".repeat(61));
        check(
            None,
            &source,
            100..101,
            &format!("1:101: wrong\n  |\n{shown}\n{caret}\n  = mend it"),
        );
    }

    #[test]
    fn a_whole_file_has_no_line() {
        let diagnostic = Diagnostic::of_file("x.yaml", "is not there".to_owned(), None);
        assert_eq!(diagnostic.to_string(), "x.yaml: is not there");
    }

    proptest! {
        #[test]
        fn lines_that_are_looked_up_are_those_that_are_counted(text in "[aé\r\n]{0,40}") {
            let lines = Lines::of(&text);
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let counted = text[..at].matches('\n').count() + 1;
                prop_assert_eq!(lines.number(at) as usize, counted, "{}", at);
            }
        }
    }
}
