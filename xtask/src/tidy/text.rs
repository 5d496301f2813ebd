//! Checks of a source file as lines of text: its length, its width, its module docs, words left behind.

use super::Finding;

/// Longest file. Files of the codebases we learn from have 150–350 lines at the median.
const FILE_LINES_MAX: usize = 700;
/// Widest line, in characters. rustfmt keeps code within it, but not comments and strings.
const LINE_COLUMNS_MAX: usize = 120;
/// Shortest first sentence that can say why a file exists.
const MODULE_DOCS_CHARS_MIN: usize = 20;
/// Marks of unfinished work, written in two parts so that this file does not hold them.
const MARKS_OF_UNFINISHED_WORK: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

/// Findings in one file; `masked_lines` are its lines with the contents of literals blanked.
pub fn findings(path: &str, source: &str, masked_lines: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(missing_module_docs(path, source));
    findings.extend(too_many_lines(path, source));
    findings.extend(wide_lines(path, source));
    findings.extend(unfinished_work(path, masked_lines));
    findings
}

fn missing_module_docs(path: &str, source: &str) -> Option<Finding> {
    let first = source
        .trim_start_matches('\u{feff}')
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let line = 1;
    match first.trim_start().strip_prefix("//!") {
        None => Some(Finding::new(
            path,
            line,
            "open the file with `//!` docs that say why it exists",
        )),
        Some(text) if text.trim().chars().count() < MODULE_DOCS_CHARS_MIN => Some(Finding::new(
            path,
            line,
            "the module docs are too short to say why the file exists",
        )),
        Some(_) => None,
    }
}

fn too_many_lines(path: &str, source: &str) -> Option<Finding> {
    let lines = source.lines().count();
    (lines > FILE_LINES_MAX).then(|| {
        let message = format!("the file has {lines} lines, at most {FILE_LINES_MAX} are allowed; split it by concept");
        Finding::new(path, FILE_LINES_MAX + 1, message)
    })
}

fn wide_lines(path: &str, source: &str) -> Vec<Finding> {
    let widths = source.lines().map(|line| line.chars().count()).enumerate();
    widths
        .filter(|&(_, width)| width > LINE_COLUMNS_MAX)
        .map(|(index, width)| {
            Finding::new(
                path,
                index + 1,
                format!("the line has {width} columns, at most {LINE_COLUMNS_MAX} are allowed"),
            )
        })
        .collect()
}

fn unfinished_work(path: &str, masked_lines: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in masked_lines.iter().enumerate() {
        let words = line.split(|character: char| !character.is_alphanumeric() && character != '_');
        if let Some(mark) = words.into_iter().find(|word| MARKS_OF_UNFINISHED_WORK.contains(word)) {
            findings.push(Finding::new(
                path,
                index + 1,
                format!("finish it or file an issue: stray {mark}"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::syntax::Parsed;
    use super::*;

    const DOCS: &str = "//! A file that exists for this test alone.\n";

    #[track_caller]
    fn check(source: &str, expected: &[(usize, &str)]) {
        let parsed = Parsed::new("a.rs", source).expect("the test's source parses");
        let found = findings("a.rs", source, &parsed.masked_lines);
        let places: Vec<usize> = found.iter().map(|finding| finding.line).collect();
        assert_eq!(
            places,
            expected.iter().map(|&(line, _)| line).collect::<Vec<_>>(),
            "{found:?}"
        );
        for (finding, (_, part)) in found.iter().zip(expected) {
            assert!(finding.message.contains(part), "{finding:?} should say {part:?}");
        }
    }

    #[test]
    fn module_docs() {
        check(DOCS, &[]);
        check(&format!("\n{DOCS}"), &[]);
        check("", &[(1, "docs")]);
        check("fn main() {}\n", &[(1, "docs")]);
        check("/// Docs of an item, not of the file.\nfn main() {}\n", &[(1, "docs")]);
        check("// A comment that is no documentation.\n", &[(1, "docs")]);
        check("//! tests\n", &[(1, "too short")]);
        check("//!\n//! The first line says nothing.\n", &[(1, "too short")]);
    }

    #[test]
    fn file_length() {
        let of = |lines: usize| format!("{DOCS}{}", "\n".repeat(lines - 1));
        check(&of(700), &[]);
        check(&of(701), &[(701, "701 lines")]);
    }

    #[test]
    fn line_width() {
        let of = |width: usize| format!("{DOCS}// {}\n", "x".repeat(width - 3));
        check(&of(120), &[]);
        check(&of(121), &[(2, "121 columns")]);
        // Columns are characters, not bytes.
        check(&format!("{DOCS}// {}\n", "é".repeat(117)), &[]);
    }

    #[test]
    fn marks_of_unfinished_work() {
        let [first, second, third, fourth] = MARKS_OF_UNFINISHED_WORK;
        check(&format!("{DOCS}// {first}: later\n"), &[(2, first)]);
        check(&format!("{DOCS}/* {second} */\n"), &[(2, second)]);
        check(&format!("{DOCS}/// {third}\nfn f() {{}}\n"), &[(2, third)]);
        check(&format!("{DOCS}fn f() {{}} // ({fourth})\n"), &[(2, fourth)]);
        // Neither in a text, nor as a part of a word, nor in small letters.
        check(&format!("{DOCS}const A: &str = \"{third}\";\n"), &[]);
        check(&format!("{DOCS}// {third}X, {}\n", first.to_lowercase()), &[]);
    }
}
