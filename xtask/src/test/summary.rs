//! Reads from a test runner's output how many tests passed, failed and were skipped.
//!
//! Known forms, each taken from the tools' own source: cargo-nextest's
//! `Summary [ 0.5s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped`, libtest's
//! `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out` (one per test binary, summed), node's
//! block of lines `# tests 5`, `# pass 4`, … (`ℹ` instead of `#` in the reporter for people), and
//! our own `N passed, N failed, N skipped` for runners of the house.

use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Numbers of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that ran and proved something.
    pub passed: usize,
    /// Tests that failed, timed out or could not be started.
    pub failed: usize,
    /// Tests that were not run.
    pub skipped: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Whose summary it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// cargo-nextest
    Nextest,
    /// `cargo test`
    Libtest,
    /// `node --test`
    Node,
}

/// The counts in `output`. `None` if there is no summary, or one that contradicts itself: then nothing is known.
pub fn read(runner: Runner, output: &str) -> Option<Counts> {
    let lines = output.lines().map(without_colours);
    match runner {
        Runner::Nextest => lines.filter_map(|line| nextest_line(&line)).next_back()?,
        Runner::Libtest => {
            let mut total = None;
            for line in lines {
                if let Some((_, rest)) = line.split_once("test result: ") {
                    *total.get_or_insert_with(Counts::default) += libtest_counts(rest)?;
                }
            }
            total
        }
        Runner::Node => node_counts(lines),
    }
}

/// Node's numbers are the last of their names in its output: a test may print lines of the same form before them.
fn node_counts(lines: impl Iterator<Item = String>) -> Option<Counts> {
    let mut numbers = BTreeMap::new();
    for line in lines {
        let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "));
        if let Some((name, number)) = rest.and_then(|rest| rest.split_once(' '))
            && let Ok(number) = number.trim().parse::<usize>()
        {
            numbers.insert(name.to_owned(), number);
        }
    }
    let number = |name: &str| numbers.get(name).copied();
    // A test marked as unfinished proves nothing, whether it passes or fails.
    let counts = Counts {
        passed: number("pass")?,
        failed: number("fail")? + number("cancelled")?,
        skipped: number("skipped")? + number("todo")?,
    };
    let consistent = counts.passed + counts.failed + counts.skipped == number("tests")?;
    consistent.then_some(counts)
}

/// `None` if the line is no summary, `Some(None)` if it is one that cannot be believed.
fn nextest_line(line: &str) -> Option<Option<Counts>> {
    let rest = line.trim_start().strip_prefix("Summary [")?;
    let (_, rest) = rest.split_once(']')?;
    let (run, results) = rest.split_once(" run: ")?;
    Some(nextest_counts(run, results))
}

fn nextest_counts(run: &str, results: &str) -> Option<Counts> {
    // `12 tests`, or `3/12 tests` where the run was cancelled: then the rest never ran.
    let number = run.split_whitespace().next()?;
    let (run, total) = number.split_once('/').unwrap_or((number, number));
    let (run, total) = (run.parse::<usize>().ok()?, total.parse::<usize>().ok()?);
    let mut counts = Counts::default();
    for part in without_parentheses(results).split(',') {
        let (number, word) = part.trim().split_once(' ')?;
        let number: usize = number.parse().ok()?;
        match word.trim() {
            "passed" => counts.passed += number,
            "skipped" => counts.skipped += number,
            _ => counts.failed += number,
        }
    }
    let consistent = counts.passed + counts.failed == run;
    counts.skipped += total.checked_sub(run)?;
    consistent.then_some(counts)
}

fn libtest_counts(rest: &str) -> Option<Counts> {
    let (_, numbers) = rest.split_once(". ")?;
    let number = |word: &str| -> Option<usize> {
        let part = numbers
            .split(';')
            .map(str::trim)
            .find_map(|part| part.strip_suffix(word))?;
        part.trim().parse().ok()
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number("ignored")?,
    })
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::new();
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(character),
            _ => {}
        }
    }
    kept
}

/// `line` without ANSI colours, which tools write even into a pipe when the environment says so.
fn without_colours(line: &str) -> String {
    let mut kept = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        kept.push_str(before);
        rest = after
            .split_once(|character: char| character.is_ascii_alphabetic())
            .map_or("", |(_, rest)| rest);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(runner: Runner, output: &str, expected: Option<(usize, usize, usize)>) {
        let expected = expected.map(|(passed, failed, skipped)| Counts {
            passed,
            failed,
            skipped,
        });
        assert_eq!(read(runner, output), expected, "{output}");
    }

    #[test]
    fn nextest() {
        let check = |output: &str, expected| check(Runner::Nextest, output, expected);
        check(
            "     Summary [   0.003s] 1 test run: 1 passed, 0 skipped",
            Some((1, 0, 0)),
        );
        check(
            "     Summary [  10.003s] 12 tests run: 11 passed (1 slow, 1 leaky), 1 failed, 2 skipped",
            Some((11, 1, 2)),
        );
        check(
            "Summary [ 1.0s] 5 tests run: 1 passed, 1 failed, 1 exec failed, 2 timed out, 0 skipped",
            Some((1, 4, 0)),
        );
        check(
            "Summary [ 1.0s] 2 tests run: 1 passed, 1 failed (1 due to being leaky), 0 skipped",
            Some((1, 1, 0)),
        );
        check(
            "Summary [ 1.0s] 3/12 tests run: 2 passed, 1 failed, 0 skipped",
            Some((2, 1, 9)),
        );
        check("Summary [ 1.0s] 0 tests run: 0 passed, 4 skipped", Some((0, 0, 4)));
        check(
            "\u{1b}[32;1m     Summary\u{1b}[0m [ 0.1s] \u{1b}[1m3\u{1b}[0m tests run: \u{1b}[1m3\u{1b}[0m passed",
            Some((3, 0, 0)),
        );
        check(
            "before\n  Summary [ 0.1s] 3 tests run: 3 passed, 0 skipped\n  FAIL [ 0.1s] a b\nafter",
            Some((3, 0, 0)),
        );
    }

    #[test]
    fn nextest_without_a_summary_that_can_be_believed() {
        let check = |output| check(Runner::Nextest, output, None);
        check("");
        check("error: could not compile `map`");
        check("Summary [ 0.1s] 3 tests run: 2 passed, 0 skipped");
        check("Summary [ 0.1s] 3 tests run: x passed");
        check("Summary [ 0.1s] 12/3 tests run: 12 passed, 0 skipped");
        check("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    }

    #[test]
    fn node() {
        let check = |output: &str, expected| check(Runner::Node, output, expected);
        let block = |tests, pass, fail, cancelled, skipped, todo| {
            format!(
                "# tests {tests}\n# suites 1\n# pass {pass}\n# fail {fail}\n# cancelled {cancelled}\n\
                 # skipped {skipped}\n# todo {todo}\n# duration_ms 56.18\n"
            )
        };
        check(&block(5, 5, 0, 0, 0, 0), Some((5, 0, 0)));
        check(&block(9, 3, 2, 1, 2, 1), Some((3, 3, 3)));
        check(
            &format!("✔ a test (1.2ms)\n{}", block(5, 4, 1, 0, 0, 0).replace('#', "ℹ")),
            Some((4, 1, 0)),
        );
        check(
            &block(1, 1, 0, 0, 0, 0)
                .replace("# ", "\u{1b}[34mℹ ")
                .replace('\n', "\u{1b}[39m\n"),
            Some((1, 0, 0)),
        );
        // What a test prints does not count, as the summary comes last.
        check(&format!("# tests 77\n{}", block(1, 1, 0, 0, 0, 0)), Some((1, 0, 0)));
    }

    #[test]
    fn node_without_a_summary_that_can_be_believed() {
        let check = |output| check(Runner::Node, output, None);
        check("");
        check("node: bad option: --test");
        check("# tests 5\n# pass 5\n");
        check("# tests 6\n# pass 5\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n");
        check("# tests 5\n# pass x\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n");
    }

    #[test]
    fn libtest() {
        let check = |output: &str, expected| check(Runner::Libtest, output, expected);
        let line = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        check(line, Some((3, 0, 1)));
        check(&line.repeat(3), Some((9, 0, 3)));
        check(
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out",
            Some((3, 2, 0)),
        );
        check(
            "test result: \u{1b}[32mok\u{1b}[0m. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            Some((3, 0, 0)),
        );
        check("", None);
        check("error: could not compile `map`", None);
        // One broken summary makes the sum unknown.
        check(&format!("{line}test result: ok. many passed\n"), None);
    }
}
