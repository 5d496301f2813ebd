//! `docs/failures.md` says what becomes of every case met in the field: all of them are there, and every test that is
//! named exists. A claim whose test was renamed or removed fails here.

use std::fs;
use std::path::Path;

/// Cases of the list.
const CASES: usize = 97;

/// A row: its number, what is claimed, and the test that shows it.
struct Row {
    number: usize,
    claim: String,
    shown: String,
}

fn rows(text: &str) -> Vec<Row> {
    let cells = |line: &str| -> Option<Row> {
        let cells: Vec<&str> = line
            .strip_prefix('|')?
            .strip_suffix('|')?
            .split('|')
            .map(str::trim)
            .collect();
        let [number, _, claim, shown] = cells[..] else {
            return None;
        };
        Some(Row {
            number: number.parse().ok()?,
            claim: claim.to_owned(),
            shown: shown.to_owned(),
        })
    };
    text.lines().filter_map(cells).collect()
}

/// What is wrong with a row, if anything is.
fn mistake(row: &Row, root: &Path) -> Option<String> {
    let quoted: Vec<&str> = row.shown.split('`').skip(1).step_by(2).collect();
    match (row.claim.split('*').nth(1), quoted[..].is_empty()) {
        (Some("open"), true) | (Some("not possible"), true) => None,
        (Some("handled" | "reported" | "not possible"), false) => {
            let [file, test] = quoted[..] else {
                return Some("names something else than a file and a test".to_owned());
            };
            let source = fs::read_to_string(root.join(file)).unwrap_or_default();
            (!source.contains(&format!("fn {test}("))).then(|| format!("{file} has no test {test}"))
        }
        _ => Some(format!("claims {:?} and shows {:?}", row.claim, row.shown)),
    }
}

#[test]
fn every_case_is_there_and_every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs/failures.md")).expect("the document is there");
    let rows = rows(&text);
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=CASES).collect::<Vec<_>>());
    let wrong: Vec<String> = (rows.iter())
        .filter_map(|row| Some(format!("{}: {}", row.number, mistake(row, &root)?)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let shown = rows.iter().filter(|row| row.shown.contains('`')).count();
    assert!(shown > CASES / 2, "only {shown} are shown by a test");
}

#[test]
fn a_test_that_is_gone_is_noticed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let row = |claim: &str, shown: &str| Row {
        number: 1,
        claim: claim.to_owned(),
        shown: shown.to_owned(),
    };
    let here = "`tests/tests/failures.rs` `a_test_that_is_gone_is_noticed`";
    assert_eq!(mistake(&row("*handled*: so", here), &root), None);
    let gone = [
        "`tests/tests/failures.rs` `a_test_that_never_was`",
        "`no/file.rs` `x`",
        "",
        "`x`",
    ];
    assert!(
        gone.iter()
            .all(|shown| mistake(&row("*handled*", shown), &root).is_some())
    );
    assert!(mistake(&row("fine", here), &root).is_some());
}
