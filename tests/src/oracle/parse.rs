//! Fields of a record, by each parse form that the generator writes.

use super::json;
use super::question::ParseForm;
use std::collections::BTreeMap;

/// Values by field name, as written; a field that isn't there is missing from the map.
pub type Fields = BTreeMap<String, Vec<u8>>;

/// The wanted columns can't be reached by the form's grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unparsable;

/// The variables of nginx' `combined` in order, each with the literal before it.
///
/// <https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format>
const NGINX_COMBINED: [(&[u8], &str); 8] = [
    (b"", "remote_addr"),
    (b" - ", "remote_user"),
    (b" [", "time_local"),
    (b"] \"", "request"),
    (b"\" ", "status"),
    (b" ", "body_bytes_sent"),
    (b" \"", "http_referer"),
    (b"\" \"", "http_user_agent"),
];
/// The literal behind the last variable.
const NGINX_END: &[u8] = b"\"";

/// Cuts the `wanted` fields out of a record's text: its lines without line ends, joined by `\n`.
pub fn fields(form: &ParseForm, text: &[u8], wanted: &[String]) -> Result<Fields, Unparsable> {
    let first_line = text.split(|byte| *byte == b'\n').next().unwrap_or(text);
    let all = match form {
        ParseForm::Kv { pair, assign } => kv(first_line, *pair, *assign)?,
        ParseForm::Split { by, fields } => split(first_line, *by, fields, wanted)?,
        ParseForm::Json => json_behind_text(text)?,
        ParseForm::Logfmt => logfmt(first_line)?,
        ParseForm::NginxCombined => nginx_combined(first_line, wanted)?,
    };
    Ok(all.into_iter().filter(|(name, _)| wanted.contains(name)).collect())
}

/// Parts without `assign` are no pairs; keys and values are trimmed of blanks; the first of a key wins. No pair at all
/// is unparsable. In the first part only the last word is the key, because a stamp may precede it.
fn kv(line: &[u8], pair: u8, assign: u8) -> Result<Fields, Unparsable> {
    let mut found = Fields::new();
    for (number, part) in line.split(|byte| *byte == pair).enumerate() {
        let Some(at) = part.iter().position(|byte| *byte == assign) else {
            continue;
        };
        let mut key = part[..at].trim_ascii();
        if number == 0 {
            key = key.rsplit(|byte| *byte == b' ').next().unwrap_or(key);
        }
        found
            .entry(name(key))
            .or_insert_with(|| part[at + 1..].trim_ascii().to_vec());
    }
    if found.is_empty() { Err(Unparsable) } else { Ok(found) }
}

/// A line with fewer columns than the last wanted one is unparsable.
fn split(line: &[u8], by: u8, names: &[String], wanted: &[String]) -> Result<Fields, Unparsable> {
    let columns: Vec<&[u8]> = line.split(|byte| *byte == by).collect();
    let needed = names
        .iter()
        .rposition(|name| wanted.contains(name))
        .map_or(0, |index| index + 1);
    if columns.len() < needed {
        return Err(Unparsable);
    }
    Ok(names
        .iter()
        .cloned()
        .zip(columns.iter().map(|column| column.to_vec()))
        .collect())
}

/// The object begins at the first `{`; behind it, on its line, only blanks.
fn json_behind_text(text: &[u8]) -> Result<Fields, Unparsable> {
    let begin = text.iter().position(|byte| *byte == b'{').ok_or(Unparsable)?;
    let (members, len) = json::object(&text[begin..]).ok_or(Unparsable)?;
    let behind = text[begin + len..]
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    if !behind.trim_ascii().is_empty() {
        return Err(Unparsable);
    }
    Ok(members.into_iter().map(|(key, value)| (name(&key), value)).collect())
}

/// `key=value` and `key="quoted \" value"` between blanks; other words are skipped; the last of a key wins.
fn logfmt(line: &[u8]) -> Result<Fields, Unparsable> {
    let mut found = Fields::new();
    let mut rest = line;
    while !rest.is_empty() {
        let key_len = rest
            .iter()
            .position(|byte| matches!(byte, b' ' | b'='))
            .unwrap_or(rest.len());
        let (key, behind) = rest.split_at(key_len);
        let Some(value) = behind.strip_prefix(b"=") else {
            rest = behind.get(1..).unwrap_or_default();
            continue;
        };
        let (value, behind) = logfmt_value(value);
        found.insert(name(key), value);
        rest = behind;
    }
    if found.is_empty() { Err(Unparsable) } else { Ok(found) }
}

fn logfmt_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let len = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
        return (text[..len].to_vec(), &text[len..]);
    };
    let mut value = Vec::new();
    let mut at = 0;
    while at < quoted.len() && quoted[at] != b'"' {
        if quoted[at] == b'\\' && at + 1 < quoted.len() {
            at += 1;
        }
        value.push(quoted[at]);
        at += 1;
    }
    (value, quoted.get(at + 1..).unwrap_or_default())
}

/// Each variable ends at the literal behind it; one in quotes ends at the first quote without `\` before it, and the
/// whole literal must stand there. Only the part up to the last wanted variable must fit.
fn nginx_combined(line: &[u8], wanted: &[String]) -> Result<Fields, Unparsable> {
    let mut found = Fields::new();
    let mut rest = line;
    for (index, (_, variable)) in NGINX_COMBINED.iter().enumerate() {
        let literal = NGINX_COMBINED.get(index + 1).map_or(NGINX_END, |(literal, _)| literal);
        let quoted = literal.starts_with(b"\"");
        let end = if quoted {
            unescaped_quote(rest)
        } else {
            position(rest, literal)
        };
        let end = end.filter(|end| rest[*end..].starts_with(literal)).ok_or(Unparsable)?;
        found.insert((*variable).to_owned(), rest[..end].to_vec());
        if *variable == "request" {
            request_parts(&rest[..end], &mut found);
        }
        rest = &rest[end + literal.len()..];
        if wanted
            .iter()
            .all(|name| found.contains_key(name) || is_part_of_request(name, &found))
        {
            break;
        }
    }
    Ok(found)
}

/// `method uri protocol`; anything else has none of the parts.
fn request_parts(request: &[u8], found: &mut Fields) {
    let words: Vec<&[u8]> = request.split(|byte| *byte == b' ').collect();
    if let [method, uri, protocol] = words[..] {
        for (part, value) in [("method", method), ("uri", uri), ("server_protocol", protocol)] {
            found.insert(part.to_owned(), value.to_vec());
        }
    }
}

/// Whether a wanted part of the request is absent for good, because the request was read and isn't of three words.
fn is_part_of_request(name: &str, found: &Fields) -> bool {
    ["method", "uri", "server_protocol"].contains(&name) && found.contains_key("request")
}

fn unescaped_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

fn position(text: &[u8], literal: &[u8]) -> Option<usize> {
    (0..text.len()).find(|&at| text[at..].starts_with(literal))
}

fn name(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `wanted` names with expected values; `None` is absent.
    #[track_caller]
    fn check(form: &ParseForm, text: &str, expected: &[(&str, Option<&str>)]) {
        let wanted: Vec<String> = expected.iter().map(|(name, _)| (*name).to_owned()).collect();
        let found = fields(form, text.as_bytes(), &wanted).unwrap_or_else(|_| panic!("unparsable: {text}"));
        for (name, value) in expected {
            let bytes = value.map(|value| value.as_bytes().to_vec());
            assert_eq!(found.get(*name), bytes.as_ref(), "{name} of {text}");
        }
    }

    #[track_caller]
    fn check_unparsable(form: &ParseForm, text: &str, wanted: &[&str]) {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(fields(form, text.as_bytes(), &wanted), Err(Unparsable), "{text}");
    }

    #[test]
    fn key_values() {
        let form = ParseForm::Kv {
            pair: b'|',
            assign: b'=',
        };
        check(
            &form,
            "2026 x|op=pay| cost = 1=2 |r=",
            &[("op", Some("pay")), ("cost", Some("1=2")), ("r", Some(""))],
        );
        check(
            &form,
            "2026-11-23 INFO op=pay|a=b\nc=d|op=x",
            &[("op", Some("pay")), ("c", None)],
        );
        check(&form, "op=a|op=b", &[("op", Some("a"))]);
        check_unparsable(&form, "nothing|here", &["op"]);
    }

    #[test]
    fn columns() {
        let fields = ["time", "op", "cost"].map(str::to_owned).to_vec();
        let form = ParseForm::Split { by: b'|', fields };
        check(&form, "t|pay|5|more", &[("op", Some("pay")), ("cost", Some("5"))]);
        check(&form, "t|pay", &[("op", Some("pay"))]);
        check_unparsable(&form, "t|pay", &["cost"]);
    }

    #[test]
    fn objects_behind_text() {
        check(
            &ParseForm::Json,
            "2026 {\"op\":\"pay\"} \nrest",
            &[("op", Some("pay")), ("x", None)],
        );
        check(&ParseForm::Json, "2026 {\"op\":\n1}", &[("op", Some("1"))]);
        check_unparsable(&ParseForm::Json, "2026 {\"op\":\"pay\"} x", &["op"]);
        check_unparsable(&ParseForm::Json, "2026 {\"op\":\"pa", &["op"]);
        check_unparsable(&ParseForm::Json, "2026", &["op"]);
    }

    #[test]
    fn logfmt_pairs() {
        check(
            &ParseForm::Logfmt,
            "2026-11-23 op=pay  msg=\"a \\\"b\\\" c\" cost= flag",
            &[
                ("op", Some("pay")),
                ("msg", Some("a \"b\" c")),
                ("cost", Some("")),
                ("flag", None),
            ],
        );
        check_unparsable(&ParseForm::Logfmt, "no pairs", &["op"]);
    }

    #[test]
    fn combined() {
        let form = ParseForm::NginxCombined;
        let line = "10.0.0.1 - - [23/Nov/2026:07:31:00 +0000] \"GET /a?\\\"b HTTP/1.1\" 200 512 \"-\" \"curl/8\"";
        check(
            &form,
            line,
            &[
                ("remote_addr", Some("10.0.0.1")),
                ("remote_user", Some("-")),
                ("method", Some("GET")),
                ("uri", Some("/a?\\\"b")),
                ("status", Some("200")),
                ("body_bytes_sent", Some("512")),
                ("http_referer", Some("-")),
                ("http_user_agent", Some("curl/8")),
            ],
        );
        let garbage = "10.0.0.1 - - [23/Nov/2026:07:31:00 +0000] \"\\x16\\x03\" 400 0 \"-";
        check(
            &form,
            garbage,
            &[("uri", None), ("status", Some("400")), ("body_bytes_sent", Some("0"))],
        );
        check_unparsable(&form, garbage, &["http_referer"]);
        check_unparsable(&form, "10.0.0.1 - - [x] \"GET /a\" 200", &["status"]);
        check_unparsable(&form, "10.0.0.1 - - [x] \"GET /a\"b\" 200 5 \"", &["status"]);
    }
}
