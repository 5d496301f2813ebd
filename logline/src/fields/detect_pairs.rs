//! `auto` for pairs of key and value: logfmt, or kv with some usual separators.
//!
//! A form is judged by its keys: at least two must stand in nearly all lines. A key counts where its value looks whole,
//! since `a=1, b=2` read as logfmt gives `1,`, and logfmt read as kv gives values with further pairs inside.

use std::collections::{BTreeMap, BTreeSet};

use super::detect::{Detected, SHARE_PERCENT_MIN, enough};
use super::kv::Kv;
use super::logfmt::{Pairs, Value};
use super::rule::Rule;

/// Separators that are tried, in the order of preference.
const PAIRS: [&str; 7] = ["|", ",", ";", "&", "\t", "\u{1}", "||"];

/// What is tried between key and value.
const ASSIGNMENTS: [&str; 2] = ["=", ":"];

/// Marks behind which pairs begin.
const MARKS: [Option<&str>; 3] = [None, Some(" - "), Some("] ")];

/// Keys that must stand in nearly all lines.
const KEYS_MIN: usize = 2;

/// Longest key: no program names one as long, and prose has no longer words.
const KEY_BYTES_MAX: usize = 64;

/// Most keys that are shown.
const SHOWN_MAX: usize = 6;

/// The form with the most keys that nearly all lines have; of equals, the one tried first.
pub(super) fn detect(lines: &[&[u8]]) -> Option<Detected> {
    let mut best: Option<(usize, Detected)> = None;
    let mut consider = |rule: Rule, keys: &dyn Fn(&[u8]) -> BTreeSet<Vec<u8>>| {
        let (count, detected) = judge(rule, lines, keys);
        if count >= KEYS_MIN && best.as_ref().is_none_or(|(most, _)| count > *most) {
            best = Some((count, detected));
        }
    };
    consider(Rule::logfmt(), &logfmt_keys);
    for after in MARKS {
        for pair in PAIRS {
            for assign in ASSIGNMENTS {
                if let (Ok(rule), Ok(kv)) = (Rule::kv(pair, assign, after), Kv::new(pair, assign, after)) {
                    consider(rule, &|line| kv_keys(&kv, assign.as_bytes(), line));
                }
            }
        }
    }
    best.map(|(_, detected)| detected)
}

/// How many keys stand in nearly all lines, and what that says.
fn judge(rule: Rule, lines: &[&[u8]], keys: &dyn Fn(&[u8]) -> BTreeSet<Vec<u8>>) -> (usize, Detected) {
    let found: Vec<BTreeSet<Vec<u8>>> = lines.iter().map(|line| keys(line)).collect();
    let mut counts: BTreeMap<&[u8], usize> = BTreeMap::new();
    for key in found.iter().flatten() {
        *counts.entry(key).or_default() += 1;
    }
    counts.retain(|_, count| enough(*count, lines.len(), SHARE_PERCENT_MIN));
    let fitting = found
        .iter()
        .filter(|keys| counts.keys().filter(|key| keys.contains(**key)).count() >= KEYS_MIN);
    let fitting = fitting.count();
    let mut shown: Vec<_> = counts
        .keys()
        .take(SHOWN_MAX)
        .map(|key| String::from_utf8_lossy(key))
        .collect();
    if counts.len() > SHOWN_MAX {
        shown.push("…".into());
    }
    let why = format!("keys {} in {fitting} of {} lines", shown.join(", "), lines.len());
    (
        counts.len(),
        Detected {
            rule,
            lines: lines.len(),
            fitting,
            why,
        },
    )
}

/// The keys of a line read as logfmt. A torn line has none.
fn logfmt_keys(line: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let mut pairs = Pairs::new(line);
    while let Ok(Some((key, value))) = pairs.next_pair() {
        let whole = match value {
            Value::None(_) => false,
            Value::Escaped(..) => true,
            Value::Plain(start, end) => {
                balanced(&line[start..end]) && !matches!(line[start..end].last(), Some(b',' | b';' | b'|'))
            }
        };
        if whole && is_key(key) {
            keys.insert(key.to_vec());
        }
    }
    keys
}

/// The keys of a line read as kv. If brackets are cut apart, the pairs are part of something else, and there are none.
fn kv_keys(kv: &Kv, assign: &[u8], line: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    for (key, (start, end)) in kv.pairs(line).into_iter().flatten() {
        if !balanced(&line[start..end]) {
            return BTreeSet::new();
        }
        if is_key(key) && memchr::memmem::find(&line[start..end], assign).is_none() {
            keys.insert(key.to_vec());
        }
    }
    keys
}

/// Whether every closing bracket has an opening one before it, by number.
fn balanced(text: &[u8]) -> bool {
    let mut open = 0_usize;
    for byte in text {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' if open == 0 => return false,
            b')' | b']' | b'}' => open -= 1,
            _ => {}
        }
    }
    true
}

/// Whether a program may have named a field so.
fn is_key(key: &[u8]) -> bool {
    let first = key
        .first()
        .is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'@');
    let inner = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'@');
    first && key.len() <= KEY_BYTES_MAX && key.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: Option<(&str, &str)>) {
        let bytes: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let found = detect(&bytes).map(|detected| (detected.rule.name(), detected.why));
        let found = found.as_ref().map(|(name, why)| (name.as_str(), why.as_str()));
        assert_eq!(found, expected, "{lines:?}");
    }

    #[test]
    fn logfmt_is_found() {
        let why = "keys level, msg in 2 of 2 lines";
        check(
            &[r#"level=info msg="a, b=1""#, r#"level=warn msg="c" x=1"#],
            Some(("logfmt", why)),
        );
        let why = "keys status, url in 2 of 2 lines";
        check(
            &["url=/x?a=1&b=2 status=200", "url=/y?a=2&b=3 status=404"],
            Some(("logfmt", why)),
        );
    }

    #[test]
    fn kv_is_found() {
        let why = "keys cost, op in 2 of 2 lines";
        check(
            &["07:31 INFO op=pay|cost=3", "07:32 WARN op=buy|cost=5"],
            Some(("kv('|', '=')", why)),
        );
        check(
            &["07:31 op=pay, cost=3", "07:32 op=buy, cost=5"],
            Some(("kv(',', '=')", why)),
        );
        check(&["op: pay, cost: 3", "op: buy, cost: 5"], Some(("kv(',', ':')", why)));
        check(
            &["07:31,123 - op=pay,cost=3", "07:32,123 - op=buy,cost=5"],
            Some(("kv(',', '=', ' - ')", why)),
        );
        check(&["op=pay||cost=3", "op=buy||cost=5"], Some(("kv('|', '=')", why)));
    }

    #[test]
    fn prose_has_no_pairs() {
        check(
            &[
                "info (Leader:0,ISR:0,Epoch:1),all",
                "info (Leader:1,ISR:0,Epoch:2),none",
            ],
            None,
        );
        check(&["info [sub=a op=b] x", "info [sub=c op=d] y"], None);
        check(&["a=1 is not enough", "a=2 either"], None);
        check(&["x=1 y=2 here", "none here", "nor here"], None);
        check(&["Started: now, twice", "Stopped: then, once"], None);
        check(
            &["2026-11-23 07:31:02,123 INFO x: y", "2026-11-23 07:31:03,456 INFO x: z"],
            None,
        );
    }
}
