//! `grok`: names for common patterns, as Logstash, Elasticsearch and many others know them, expanded to one regular
//! expression.
//!
//! `%{NAME}` is a pattern, `%{NAME:field}` one whose match is a field; `%{NAME:field:int}` is the same, since values
//! are numbers where they are used as such. All else is a regular expression. The patterns are written anew for an
//! engine of linear time: without look-around and atomic groups, which the original set uses; the texts they match are
//! those that its names promise. `timestamp` is a field like others: what a record's time is, its stamp says.

use super::error::RuleError;
use regex::Regex;
use std::fmt::Write;
use std::sync::LazyLock;

/// Patterns within patterns, at most: the deepest known has five.
const DEPTH_MAX: usize = 12;
/// Bytes of an expanded pattern: the largest known, a combined access log, has 2 KiB.
const EXPANDED_BYTES_MAX: usize = 64 << 10;

/// Names and what they stand for.
const PATTERNS: &[(&str, &str)] = &[
    ("USERNAME", r"[a-zA-Z0-9._-]+"),
    ("USER", "%{USERNAME}"),
    ("EMAILLOCALPART", r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]+"),
    ("EMAILADDRESS", "%{EMAILLOCALPART}@%{HOSTNAME}"),
    ("INT", r"[+-]?[0-9]+"),
    ("BASE10NUM", r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"),
    ("NUMBER", "%{BASE10NUM}"),
    ("BASE16NUM", r"[+-]?(?:0x)?[0-9A-Fa-f]+"),
    (
        "BASE16FLOAT",
        r"[+-]?(?:0x)?(?:[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]*)?|\.[0-9A-Fa-f]+)",
    ),
    ("POSINT", r"[1-9][0-9]*"),
    ("NONNEGINT", r"[0-9]+"),
    ("WORD", r"\b\w+\b"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("DATA", ".*?"),
    ("GREEDYDATA", ".*"),
    (
        "QUOTEDSTRING",
        r#"(?:"(?:\\.|[^\\"])*"|'(?:\\.|[^\\'])*'|`(?:\\.|[^\\`])*`)"#,
    ),
    ("QS", "%{QUOTEDSTRING}"),
    ("UUID", r"[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}"),
    (
        "URN",
        r"urn:[0-9A-Za-z][0-9A-Za-z-]{0,31}:[0-9A-Za-z()+,.:=@;$_!*'/?#%-]+",
    ),
    ("CISCOMAC", r"(?:[A-Fa-f0-9]{4}\.){2}[A-Fa-f0-9]{4}"),
    ("WINDOWSMAC", r"(?:[A-Fa-f0-9]{2}-){5}[A-Fa-f0-9]{2}"),
    ("COMMONMAC", r"(?:[A-Fa-f0-9]{2}:){5}[A-Fa-f0-9]{2}"),
    ("MAC", "(?:%{CISCOMAC}|%{WINDOWSMAC}|%{COMMONMAC})"),
    (
        "IPV6",
        r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:%{IPV4}|[0-9A-Fa-f]{0,4})(?:%\w+)?",
    ),
    (
        "IPV4",
        r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})",
    ),
    ("IP", "(?:%{IPV6}|%{IPV4})"),
    (
        "HOSTNAME",
        r"\b[0-9A-Za-z][0-9A-Za-z-]{0,62}(?:\.[0-9A-Za-z][0-9A-Za-z-]{0,62})*\.?",
    ),
    ("HOST", "%{HOSTNAME}"),
    ("IPORHOST", "(?:%{IP}|%{HOSTNAME})"),
    ("HOSTPORT", "%{IPORHOST}:%{POSINT}"),
    ("PATH", "(?:%{UNIXPATH}|%{WINPATH})"),
    ("UNIXPATH", r"(?:/[\w_%!$@:.,+~-]*)+"),
    ("TTY", r"/dev/(?:pts|tty(?:[pq])?)(?:\w+)?/?[0-9]+"),
    ("WINPATH", r"(?:[A-Za-z]:|\\)(?:\\[^\\?*]*)+"),
    ("URIPROTO", r"[A-Za-z][A-Za-z0-9+.-]+"),
    ("URIHOST", "%{IPORHOST}(?::%{POSINT})?"),
    ("URIPATH", r"(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%&_-]*)+"),
    ("URIQUERY", r"[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?\[\]<>-]*"),
    ("URIPARAM", r"\?%{URIQUERY}"),
    ("URIPATHPARAM", r"%{URIPATH}(?:\?%{URIQUERY})?"),
    (
        "URI",
        r"%{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST})?(?:%{URIPATH}(?:\?%{URIQUERY})?)?",
    ),
    (
        "MONTH",
        "\\b(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|[Jj]une?|[Jj]uly?|[Aa]ug(?:ust)?|\
         [Ss]ep(?:t(?:ember)?)?|[Oo]ct(?:ober)?|[Nn]ov(?:ember)?|[Dd]ec(?:ember)?)\\b",
    ),
    ("MONTHNUM", "(?:0?[1-9]|1[0-2])"),
    ("MONTHNUM2", "(?:0[1-9]|1[0-2])"),
    ("MONTHDAY", "(?:0[1-9]|[12][0-9]|3[01]|[1-9])"),
    (
        "DAY",
        "(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)",
    ),
    ("YEAR", "[0-9]{4}|[0-9]{2}"),
    ("HOUR", "(?:2[0123]|[01]?[0-9])"),
    ("MINUTE", "[0-5][0-9]"),
    ("SECOND", r"(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?"),
    ("TIME", "%{HOUR}:%{MINUTE}(?::%{SECOND})?"),
    ("DATE_US", "%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}"),
    ("DATE_EU", "%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}"),
    ("DATE", "(?:%{DATE_US}|%{DATE_EU})"),
    ("ISO8601_TIMEZONE", "(?:Z|[+-]%{HOUR}(?::?%{MINUTE})?)"),
    ("ISO8601_SECOND", "%{SECOND}"),
    (
        "TIMESTAMP_ISO8601",
        "%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?%{ISO8601_TIMEZONE}?",
    ),
    ("DATESTAMP", "%{DATE}[- ]%{TIME}"),
    ("TZ", "(?:[APMCE][SD]T|UTC|GMT|CEST|CET)"),
    ("DATESTAMP_RFC822", "%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}"),
    (
        "DATESTAMP_RFC2822",
        "%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{ISO8601_TIMEZONE}",
    ),
    ("DATESTAMP_OTHER", "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}"),
    (
        "DATESTAMP_EVENTLOG",
        "%{YEAR}%{MONTHNUM2}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}",
    ),
    ("HTTPDERROR_DATE", "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{YEAR}"),
    ("SYSLOGTIMESTAMP", "%{MONTH} +%{MONTHDAY} %{TIME}"),
    ("PROG", r"[\x21-\x5a\x5c\x5e-\x7e]+"),
    ("SYSLOGPROG", r"%{PROG:program}(?:\[%{POSINT:pid}\])?"),
    ("SYSLOGHOST", "%{IPORHOST}"),
    ("SYSLOGFACILITY", "<%{NONNEGINT:facility}.%{NONNEGINT:priority}>"),
    (
        "SYSLOGBASE",
        "%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:logsource} %{SYSLOGPROG}:",
    ),
    ("SYSLOGLINE", "%{SYSLOGBASE} %{GREEDYDATA:message}"),
    ("HTTPDATE", "%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}"),
    (
        "COMMONAPACHELOG",
        "%{IPORHOST:clientip} %{NOTSPACE:ident} %{NOTSPACE:auth} \\[%{HTTPDATE:timestamp}\\] \
         \"(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion})?|%{DATA:rawrequest})\" \
         (?:%{NUMBER:response}|-) (?:%{NUMBER:bytes}|-)",
    ),
    ("COMBINEDAPACHELOG", "%{COMMONAPACHELOG} %{QS:referrer} %{QS:agent}"),
    ("HTTPD_COMMONLOG", "%{COMMONAPACHELOG}"),
    ("HTTPD_COMBINEDLOG", "%{COMBINEDAPACHELOG}"),
    (
        "LOGLEVEL",
        "\\b(?i:trace|debug|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe|\
         emerg(?:ency)?|alert|panic|fine(?:r|st)?|config)\\b",
    ),
];

/// `%{NAME}`, `%{NAME:field}`, `%{NAME:field:type}`.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"%\{([A-Za-z0-9_]+)(?::([A-Za-z0-9_@.\[\]-]+))?(?::[a-z]+)?\}").expect("a pattern that was tried")
});

/// The regular expression that a grok pattern stands for.
///
/// # Errors
/// An unknown name, or a pattern that grows beyond its bound.
pub(super) fn expand(pattern: &str) -> Result<String, RuleError> {
    let mut out = String::new();
    expand_into(pattern, &mut out, 0)?;
    Ok(out)
}

fn expand_into(pattern: &str, out: &mut String, depth: usize) -> Result<(), RuleError> {
    if depth > DEPTH_MAX || out.len() > EXPANDED_BYTES_MAX {
        return Err(RuleError::GrokTooLarge);
    }
    let mut end = 0;
    for reference in REFERENCE.captures_iter(pattern) {
        let Some(whole) = reference.get(0) else { continue };
        let name = &reference[1];
        out.push_str(&pattern[end..whole.start()]);
        end = whole.end();
        let Some((_, meaning)) = PATTERNS.iter().find(|(known, _)| *known == name) else {
            return Err(unknown(name));
        };
        match reference.get(2) {
            Some(field) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "(?<{}>", field_name(field.as_str()));
            }
            None => out.push_str("(?:"),
        }
        expand_into(meaning, out, depth + 1)?;
        out.push(')');
    }
    out.push_str(&pattern[end..]);
    Ok(())
}

/// A group's name: `[log][level]` and `@timestamp` are written `log.level` and `timestamp`.
fn field_name(field: &str) -> String {
    let joined = field.replace("][", ".").replace(['[', ']', '@'], "");
    joined.replace('-', "_")
}

fn unknown(name: &str) -> RuleError {
    let near = PATTERNS
        .iter()
        .map(|(known, _)| (strsim::damerau_levenshtein(known, name), *known))
        .min();
    let hint = match near {
        Some((distance, known)) if distance <= 3 => format!("did you mean `{known}`?"),
        _ => "write a regular expression in its place, as in (?<id>[0-9]+)".to_owned(),
    };
    RuleError::UnknownGrok {
        name: name.to_owned(),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::super::{Rule, Unparsable};
    use super::*;

    #[track_caller]
    fn check(pattern: &str, columns: &[&str], record: &str, expected: Result<&[Option<&str>], Unparsable>) {
        testing::check(&Rule::grok(pattern).expect("a good pattern"), columns, record, expected);
    }

    #[test]
    fn every_pattern_compiles() {
        for (name, _) in PATTERNS {
            let rule = Rule::grok(&format!("%{{{name}:all}}"));
            assert!(rule.is_ok(), "{name}: {rule:?}");
        }
    }

    #[test]
    fn fields() {
        check(
            "%{TIMESTAMP_ISO8601:at} %{LOGLEVEL:level} +\\[%{DATA:thread}\\] took %{NUMBER:ms:int}ms",
            &["level", "thread", "ms", "at"],
            "2026-11-23T07:31:00,123+01:00 WARN  [pool-1 a] took 12.5ms",
            Ok(&[
                Some("WARN"),
                Some("pool-1 a"),
                Some("12.5"),
                Some("2026-11-23T07:31:00,123+01:00"),
            ]),
        );
        check(
            "%{IP:client} %{GREEDYDATA:rest}",
            &["client"],
            "10.0.0.255 x",
            Ok(&[Some("10.0.0.255")]),
        );
        check("^%{IP:client}$", &["client"], "2001:db8::1", Ok(&[Some("2001:db8::1")]));
        check(
            "%{WORD:[log][level]} %{WORD:@x-y}",
            &["log.level", "x_y"],
            "a b",
            Ok(&[Some("a"), Some("b")]),
        );
        check("%{IP:client}", &["client"], "nobody", Err(Unparsable::NoMatch));
    }

    #[test]
    fn an_access_log_and_a_syslog_line() {
        check(
            "%{COMBINEDAPACHELOG}",
            &["clientip", "verb", "response", "bytes", "agent"],
            "1.2.3.4 - - [23/Nov/2026:07:31:00 +0000] \"GET /x?y=1 HTTP/1.1\" 200 512 \"-\" \"curl/8 (x)\"",
            Ok(&[
                Some("1.2.3.4"),
                Some("GET"),
                Some("200"),
                Some("512"),
                Some("\"curl/8 (x)\""),
            ]),
        );
        check(
            "%{SYSLOGLINE}",
            &["program", "pid", "logsource", "message"],
            "Nov  3 07:31:00 web-1 sshd[77]: accepted",
            Ok(&[Some("sshd"), Some("77"), Some("web-1"), Some("accepted")]),
        );
    }

    #[track_caller]
    fn check_error(pattern: &str, expected: &str) {
        let error = Rule::grok(pattern).expect_err("a bad pattern").to_string();
        assert!(error.contains(expected), "{pattern}: {error}");
    }

    #[test]
    fn mistakes() {
        check_error("%{NUMBR:x}", "no grok pattern `NUMBR`; did you mean `NUMBER`?");
        check_error("%{QQQQQQQQQQ:x}", "write a regular expression in its place");
        check_error("%{NUMBER}", "names no field");
        check_error("%{NUMBER:x} %{NUMBER:x}", "x");
        check_error(&"%{COMBINEDAPACHELOG}".repeat(200), "too large");
    }
}
