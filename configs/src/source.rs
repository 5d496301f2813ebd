//! Where a document was read from, and its text: what can be shown, sent and read again elsewhere.

use crate::diagnostic::Lines;
use std::ops::Range;
use std::sync::Arc;

/// Where a document comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as it was named.
    pub file: Arc<str>,
    /// Line of the text's beginning, from 1.
    pub line: u32,
    /// The document as written, without the marks, comments and blank lines before and behind it; comments within it
    /// stay. [`crate::load_str`] makes the same document of it, anywhere.
    pub text: Arc<str>,
}

impl Source {
    /// Of the document that stands in a range of a file's text.
    pub(crate) fn of_range(file: Arc<str>, text: &str, lines: &Lines, range: Range<usize>) -> Source {
        let document = core(text, range);
        Source {
            file,
            line: lines.number(document.start),
            text: text[document].into(),
        }
    }
}

/// A document's range without what means nothing at its ends. A mark that shares its line with something stays.
fn core(text: &str, range: Range<usize>) -> Range<usize> {
    let lines = || text[range.clone()].split_inclusive('\n');
    let leading: usize = lines().take_while(|line| is_void(line)).map(str::len).sum();
    // A comment that ends a document stands at the margin; what is indented may belong to a text.
    let is_behind = |line: &&str| is_void(line) && !line.starts_with([' ', '\t']) || line.trim().is_empty();
    let trailing: usize = lines().rev().take_while(is_behind).map(str::len).sum();
    let start = range.start + leading;
    start..(range.end - trailing).max(start)
}

fn is_void(line: &str) -> bool {
    let line = line.trim_end();
    line == "---" || line == "..." || line.is_empty() || line.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::documents;

    /// Lines and texts of a file's documents.
    #[track_caller]
    fn check(text: &str, expected: &[(u32, &str)]) {
        let (placed, mistakes) = documents("x.yaml", text);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let sources: Vec<Source> = placed
            .into_iter()
            .map(|placed| Source::of_range("x.yaml".into(), text, &Lines::of(text), placed.range))
            .collect();
        let found: Vec<(u32, &str)> = sources.iter().map(|source| (source.line, &*source.text)).collect();
        assert_eq!(found, expected);
        for source in &sources {
            let again = crate::load_str("sent", &source.text).expect("a source is read again");
            assert_eq!(again.len(), 1);
        }
    }

    const APP: &str = "kind: app\nname: a\nhosts: []\n";

    #[test]
    fn a_source_is_the_document_without_its_surroundings() {
        check(APP, &[(1, APP)]);
        check(&format!("# head\n\n---\n# more\n{APP}\n# tail\n...\n"), &[(5, APP)]);
        let second = APP.replace("name: a", "name: b # why");
        check(&format!("{APP}---\n{second}"), &[(1, APP), (5, &second)]);
        check(&format!("%YAML 1.2\n---\n{APP}"), &[(3, APP)]);
        check(
            "--- { kind: app, name: a, hosts: [] }\n",
            &[(1, "--- { kind: app, name: a, hosts: [] }\n")],
        );
        let folded = "kind: monitor\nname: m\nselect: { n: count() }\nwhere: |\n  a = 1\n  and b = '\n  #'\n";
        check(&format!("{folded}\n# end\n"), &[(1, folded)]);
        check("kind: app\nname: a\nhosts: []", &[(1, "kind: app\nname: a\nhosts: []")]);
    }
}
