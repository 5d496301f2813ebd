//! Which names rotation gives to a log: pure functions of two names.
//!
//! A name that only looks like a rotation of another log would count foreign records, so the rules are narrow:
//! `name.N`, `name` with a date behind `.`, `-` or `_`, a date before the extension (`pay-20261123.log` beside
//! `pay.log`), `name.old`, and any of these compressed. A bare number before the extension (`app-8081.log` beside
//! `app.log`) is more often another instance than a rotation: such a layout needs a glob.

use crate::protocol::Compression;

/// Most digits of a rotation number: more is a process id, a port or an epoch.
const NUMBER_DIGITS_MAX: usize = 4;

/// Splits what a compressor appended from a name.
pub fn compression_of(name: &str) -> (&str, Compression) {
    const ENDINGS: [(&str, Compression); 4] = [
        (".gz", Compression::Gzip),
        (".zst", Compression::Zstandard),
        (".bz2", Compression::Unsupported),
        (".xz", Compression::Unsupported),
    ];
    let found = ENDINGS
        .iter()
        .find_map(|(ending, kind)| Some((name.strip_suffix(ending)?, *kind)));
    found
        .filter(|(plain, _)| !plain.is_empty())
        .unwrap_or((name, Compression::Plain))
}

/// Whether `candidate` is a name that rotation gives to a log called `live` (both without folder).
pub fn is_rotation(live: &str, candidate: &str) -> bool {
    let (plain, compression) = compression_of(candidate);
    if plain == live {
        return compression != Compression::Plain;
    }
    let behind = plain.strip_prefix(live).is_some_and(is_behind);
    behind
        || live
            .rsplit_once('.')
            .is_some_and(|(stem, extension)| is_before_extension(stem, extension, plain))
}

/// Every name that `candidate` could be a rotation of: so a folder is searched in one pass, however many logs it holds.
pub fn bases_of(candidate: &str) -> Vec<String> {
    let plain = compression_of(candidate).0;
    let mut bases = vec![plain.to_owned()];
    let extension = plain.rsplit_once('.').map(|(_, extension)| extension);
    for (at, _) in plain.match_indices(['.', '-', '_']) {
        bases.push(plain[..at].to_owned());
        bases.extend(extension.map(|extension| format!("{}.{extension}", &plain[..at])));
    }
    bases.sort();
    bases.dedup();
    bases.retain(|base| is_rotation(base, candidate));
    bases
}

/// `.1`, `.old`, `-20261123`, `.2026-11-23`, `.2026-11-23.3`
fn is_behind(rest: &str) -> bool {
    let Some(tag) = rest.strip_prefix('.') else {
        return is_separated_date(rest);
    };
    is_number(tag) || tag == "old" || is_separated_date(rest)
}

fn is_before_extension(stem: &str, extension: &str, plain: &str) -> bool {
    let tag = plain
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_suffix(extension)?.strip_suffix('.'));
    !stem.is_empty() && tag.is_some_and(is_separated_date)
}

fn is_number(tag: &str) -> bool {
    !tag.is_empty() && tag.len() <= NUMBER_DIGITS_MAX && tag.bytes().all(|byte| byte.is_ascii_digit())
}

/// A date behind a separator, with or without a time and a number behind it.
fn is_separated_date(rest: &str) -> bool {
    let tag = rest.strip_prefix(['.', '-', '_']).unwrap_or("");
    let Some(length) = date_length(tag.as_bytes()) else {
        return false;
    };
    tag.as_bytes()[length..]
        .iter()
        .all(|byte| byte.is_ascii_digit() || b".-_:T".contains(byte))
        && !tag.ends_with(['.', '-', '_', ':', 'T'])
}

/// How many bytes of a date stand at the front: `20261123`, `2026-11-23`, `2026-11`, `2026_11_23`, `2026.11.23`.
fn date_length(tag: &[u8]) -> Option<usize> {
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = tag.get(from..to)?;
        digits.iter().try_fold(0, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0'))
        })
    };
    let plausible = |year: u32, month: u32, day: u32| {
        (1970..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
    };
    let year = number(0, 4)?;
    if let Some(separator @ (b'-' | b'_' | b'.')) = tag.get(4) {
        let month = number(5, 7)?;
        return match tag.get(7) {
            Some(second) if second == separator && number(8, 10).is_some() => {
                plausible(year, month, number(8, 10)?).then_some(10)
            }
            _ => plausible(year, month, 1).then_some(7),
        };
    }
    plausible(year, number(4, 6)?, number(6, 8)?).then_some(8)
}

/// Whether two names are equal but for the date in them: `pay-20261122.log.gz` and `pay-20261123.log`. Used for the
/// target of a link only, whose predecessors have never been called otherwise.
pub fn differ_in_date_only(one: &str, other: &str) -> bool {
    let (one, other) = (compression_of(one).0, compression_of(other).0);
    match (date_in(one), date_in(other)) {
        (Some((from, to)), Some((other_from, other_to))) => {
            one[..from] == other[..other_from] && one[to..] == other[other_to..] && one != other
        }
        _ => false,
    }
}

/// Where the first date stands in a name.
fn date_in(name: &str) -> Option<(usize, usize)> {
    let bytes = name.as_bytes();
    (0..bytes.len())
        .filter(|&from| from == 0 || !bytes[from - 1].is_ascii_digit())
        .find_map(|from| Some((from, from + date_length(&bytes[from..])?)))
        .filter(|&(_, to)| !bytes.get(to).is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(live: &str, candidate: &str, expected: bool) {
        assert_eq!(is_rotation(live, candidate), expected, "{live} ← {candidate}");
    }

    #[test]
    fn names_that_rotation_gives() {
        for candidate in [
            "app.log.1",
            "app.log.12",
            "app.log.1.gz",
            "app.log.2.zst",
            "app.log.gz",
            "app.log-20261123",
            "app.log-20261123.gz",
            "app.log.2026-11-23",
            "app.log.2026-11-23.3",
            "app.log.2026-11-23.3.gz",
            "app.log_2026_11_23",
            "app-20261123.log",
            "app.2026-11-23.log",
            "app.2026-11-23.1.log.gz",
            "app.log.old",
            "app.log.20261123-101112",
            "app.log.2026-11-23-10",
            "app-2026-11.log",
            "app.log.1.xz",
        ] {
            check("app.log", candidate, true);
            assert!(bases_of(candidate).contains(&"app.log".to_owned()), "{candidate}");
        }
        check("0.log", "0.log.20261123-101010", true);
        check("0.log", "0.log.20261123-101010.gz", true);
        check("access_log", "access_log-20261123", true);
        check("access_log", "access_log.1", true);
    }

    #[test]
    fn names_of_other_logs() {
        for candidate in [
            "app.log",
            "app.log2",
            "app-1.log",
            "app-8081.log",
            "app.1.log",
            "app.log.12345",
            "app.log.swp",
            "app.log~",
            "app.log.d",
            "app2.log.1",
            "app-error.log",
            "app-error.log.1",
            "app.log.1.2",
            "xapp.log.1",
            "app.log.",
            "app.log-",
            "app.log.20261323",
            "app.log-20261123-x",
            "app.log.1.tmp",
            "app-error-20261123.log",
            ".gz",
        ] {
            check("app.log", candidate, false);
        }
        check("log", "log.log", false);
    }

    #[track_caller]
    fn check_dates(one: &str, other: &str, expected: bool) {
        assert_eq!(differ_in_date_only(one, other), expected, "{one} {other}");
        assert_eq!(differ_in_date_only(other, one), expected, "{other} {one}");
    }

    #[test]
    fn names_that_differ_in_their_date() {
        check_dates("pay-20261122.log", "pay-20261123.log", true);
        check_dates("pay-20261122.log.gz", "pay-20261123.log", true);
        check_dates("2026-11-22", "2026-11-23", true);
        check_dates("pay-20261122.log", "pay-20261122.log", false);
        check_dates("pay-20261122.log", "buy-20261123.log", false);
        check_dates("pay-20261122.log", "pay-20261123.err", false);
        check_dates("pay-1.log", "pay-2.log", false);
        check_dates("pay-202611221.log", "pay-20261123.log", false);
    }
}
