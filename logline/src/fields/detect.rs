//! `auto`: the rule that suits a log, by consistency over the lines of a sample.
//!
//! Forms are tried from the most telling to the least: JSON, access logs, pairs of key and value, delimited columns.
//! Nothing is guessed from a single odd line: a form must suit nearly all of them. Header lines (`#…`), empty lines and
//! indented ones, which continue a record, have no say.

use super::detect_pairs;
use super::rule::Rule;
use super::text::{Needle, is_blank};
use super::{Extractor, Scratch, Slot};

/// Lines that are looked at: enough to judge by, few enough to be done at once.
const LINES_MAX: usize = 500;

/// Percent of the lines that a form must suit. Starts of processes and torn lines are forgiven.
pub(super) const SHARE_PERCENT_MIN: usize = 80;

/// The same for JSON, which nothing else looks like: what of it is torn shows as `unparsable`.
const JSON_SHARE_PERCENT_MIN: usize = 50;

/// The same for columns, which need more proof: any text has some.
const COLUMNS_SHARE_PERCENT_MIN: usize = 95;

/// Lines that must agree before columns are believed.
const COLUMNS_LINES_MIN: usize = 3;

/// The same where only blanks separate: a few lines of prose may well have as many words.
const WORDS_LINES_MIN: usize = 20;

/// A rule found by [`Rule::detect`], and what speaks for it.
#[derive(Debug, Clone)]
pub struct Detected {
    /// The rule.
    pub rule: Rule,
    /// Lines of the sample that were judged.
    pub lines: usize,
    /// How many of them it suits.
    pub fitting: usize,
    /// Why, in words for people, such as `keys cost, op in 500 of 500 lines`.
    pub why: String,
}

/// See [`Rule::detect`].
pub(super) fn detect(sample: &[u8], stamp_end_hint: Option<usize>) -> Option<Detected> {
    let lines = judged(sample);
    if lines.is_empty() {
        return None;
    }
    json(&lines)
        .or_else(|| access(Rule::nginx_combined(), "the combined log format", &lines))
        .or_else(|| access(Rule::clf(), "the common log format", &lines))
        .or_else(|| detect_pairs::detect(&lines))
        .or_else(|| columns(&lines, stamp_end_hint))
}

/// The lines that have a say. The last has none if its end is missing, since the sample may have cut it.
fn judged(sample: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = sample.split(|&byte| byte == b'\n').collect();
    // What follows the last line end: nothing, or a line without its end.
    if lines.len() > 1 {
        lines.pop();
    }
    let line = |line: &[u8]| !line.is_empty() && line[0] != b'#' && !is_blank(line[0]);
    let plain = lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    plain.filter(|text| line(text)).take(LINES_MAX).collect()
}

/// Whether so many of all are enough.
pub(super) fn enough(fitting: usize, lines: usize, percent: usize) -> bool {
    fitting > 0 && fitting * 100 >= lines * percent
}

/// The lines in which all columns can be cut and please `fits`.
fn fitting(rule: &Rule, columns: &[&str], lines: &[&[u8]], fits: impl Fn(&[&[u8]]) -> bool) -> usize {
    let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    let Ok(mut extractor) = Extractor::new(rule, &columns) else {
        return 0;
    };
    let (mut scratch, mut slots) = (Scratch::default(), vec![Slot::Absent; columns.len()]);
    let mut fit = |line: &&&[u8]| {
        extractor.extract(line, &mut scratch, &mut slots).is_ok() && {
            let fields: Vec<&[u8]> = slots
                .iter()
                .map(|slot| slot.bytes(line, &scratch).unwrap_or_default())
                .collect();
            fits(&fields)
        }
    };
    lines.iter().filter(|line| fit(line)).count()
}

/// JSON objects, with a member at least: other logs have `{}` in them too.
fn json(lines: &[&[u8]]) -> Option<Detected> {
    let object = |line: &&[u8]| {
        let start = line
            .iter()
            .position(|&byte| byte == b'{')
            .map_or(line.len(), |start| start + 1);
        line[start..].trim_ascii_start().starts_with(b"\"")
    };
    let objects: Vec<&[u8]> = lines.iter().copied().filter(object).collect();
    let rule = Rule::json();
    let fitting = fitting(&rule, &[""], &objects, |_| true);
    let why = format!("{fitting} of {} lines hold one JSON object", lines.len());
    enough(fitting, lines.len(), JSON_SHARE_PERCENT_MIN).then_some(Detected {
        rule,
        lines: lines.len(),
        fitting,
        why,
    })
}

/// An access log. A user with blanks means that another field stands in front, and all names would be shifted.
fn access(rule: Rule, what: &str, lines: &[&[u8]]) -> Option<Detected> {
    let fitting = fitting(
        &rule,
        &["remote_user", "time_local", "status", "bytes"],
        lines,
        |fields| {
            let number = |field: &[u8]| field == b"-" || !field.is_empty() && field.iter().all(u8::is_ascii_digit);
            let date = fields[1].first().is_some_and(u8::is_ascii_digit) && fields[1].contains(&b'/');
            !fields[0].contains(&b' ') && date && fields[2].len() == 3 && number(fields[2]) && number(fields[3])
        },
    );
    let why = format!("{fitting} of {} lines follow {what}", lines.len());
    enough(fitting, lines.len(), SHARE_PERCENT_MIN).then_some(Detected {
        rule,
        lines: lines.len(),
        fitting,
        why,
    })
}

/// Columns between a separator: the same number, three or more, in nearly all lines behind their stamps.
fn columns(lines: &[&[u8]], stamp_end: Option<usize>) -> Option<Detected> {
    let place = if stamp_end.is_some() {
        " behind the timestamp"
    } else {
        ""
    };
    let behind: Vec<&[u8]> = lines
        .iter()
        .map(|line| line.get(stamp_end.unwrap_or(0)..).unwrap_or_default())
        .collect();
    let separators = [
        ("|", "`|`"),
        ("\t", "tabs"),
        (";", "`;`"),
        (",", "`,`"),
        ("whitespace", "blanks"),
    ];
    separators.into_iter().find_map(|(by, shown)| {
        let rule = Rule::split(by, &[]).ok()?;
        let separated = |line: &[u8]| match Needle::new(by, "by") {
            Ok(needle) if by != "whitespace" => count(&needle, line),
            _ => line
                .split(|&byte| is_blank(byte))
                .filter(|word| !word.is_empty())
                .count()
                .saturating_sub(1),
        };
        let counts: Vec<usize> = behind.iter().map(|line| separated(line)).collect();
        let (most, fitting) = commonest(&counts)?;
        let why = format!("{fitting} of {} lines have {most} {shown}{place}", lines.len());
        let lines_min = if by == "whitespace" {
            WORDS_LINES_MIN
        } else {
            COLUMNS_LINES_MIN
        };
        let believed = lines.len() >= lines_min && most >= 2 && enough(fitting, lines.len(), COLUMNS_SHARE_PERCENT_MIN);
        believed.then_some(Detected {
            rule,
            lines: lines.len(),
            fitting,
            why,
        })
    })
}

/// How often a separator occurs.
fn count(needle: &Needle, line: &[u8]) -> usize {
    let (mut from, mut count) = (0, 0);
    while let Some(found) = needle.find(&line[from..]) {
        from += found + needle.len();
        count += 1;
    }
    count
}

/// The commonest number, and how often it stands there; of two, the greater number.
fn commonest(numbers: &[usize]) -> Option<(usize, usize)> {
    let often = |number: usize| numbers.iter().filter(|&&other| other == number).count();
    numbers
        .iter()
        .map(|&number| (number, often(number)))
        .max_by_key(|&(number, often)| (often, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], stamp_end: Option<usize>, expected: Option<(&str, &str)>) {
        let sample = lines.join("\n") + "\n";
        let found = Rule::detect(sample.as_bytes(), stamp_end).map(|detected| (detected.rule.name(), detected.why));
        let found = found.as_ref().map(|(name, why)| (name.as_str(), why.as_str()));
        assert_eq!(found, expected, "{lines:?}");
    }

    #[test]
    fn json_is_found() {
        let json = r#"2026-11-23T07:31:02Z {"op":"pay"}"#;
        check(&[json], None, Some(("json", "1 of 1 lines hold one JSON object")));
        check(
            &[json, json, json, json, "starting"],
            None,
            Some(("json", "4 of 5 lines hold one JSON object")),
        );
        check(&[json, "x {}", "y {}"], None, None);
    }

    #[test]
    fn access_logs_are_found() {
        let clf = r#"h - bob [23/Nov/2026:07:31:02 +0100] "GET / HTTP/1.1" 200 -"#;
        let combined = format!(r#"{clf} "-" "curl""#);
        check(
            &[&combined],
            None,
            Some(("nginx", "1 of 1 lines follow the combined log format")),
        );
        check(
            &[clf, clf, "\r"],
            None,
            Some(("clf", "2 of 2 lines follow the common log format")),
        );
        check(&[&format!("vhost:443 {clf}")], None, None);
    }

    #[test]
    fn columns_are_found() {
        let piped = [
            "2026-11-23 07:31:02|pay|3",
            "2026-11-23 07:31:03|refund|x y",
            "2026-11-23 07:31:04|pay|",
        ];
        check(
            &piped,
            Some(19),
            Some(("split('|')", "3 of 3 lines have 2 `|` behind the timestamp")),
        );
        check(&piped[..2], Some(19), None);
        let words: Vec<String> = (0..20).map(|minute| format!("07:{minute:02} a b {minute}")).collect();
        let words: Vec<&str> = std::iter::once("#Fields: a b c")
            .chain(words.iter().map(String::as_str))
            .collect();
        let why = "20 of 20 lines have 2 blanks behind the timestamp";
        check(&words, Some(5), Some(("split('whitespace')", why)));
        check(&words[..20], Some(5), None);
        check(
            &["a,b,c", "d,e,f", "g,h,"],
            None,
            Some(("split(',')", "3 of 3 lines have 2 `,`")),
        );
        let prose = [
            "07:31 one, two and three",
            "07:32 four",
            "07:33 five, six",
            "07:34 seven | eight",
        ];
        check(&prose, Some(5), None);
    }

    #[test]
    fn a_cut_line_has_no_say() {
        let found = Rule::detect(b"{\"a\":1}\n{\"a\"", None).expect("json");
        assert_eq!((found.lines, found.fitting), (1, 1));
        assert!(Rule::detect(b"", None).is_none());
        assert!(Rule::detect(b"\n\n  x=1 y=2\n", None).is_none());
    }
}
