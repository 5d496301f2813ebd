//! `clf` and `nginx`: access logs, cut by jumping from one fixed text of the format to the next.
//!
//! A variable ends where the text behind it first occurs. Between double quotes it ends at the next quote that isn't
//! escaped (Apache writes `\"`, nginx `\x22`), and there that text must stand. Values are as written, escapes too.
//! Only as much of the first line is looked at as the needed columns take; what follows the format is ignored.

use memchr::memrchr;

use super::access_format::{Format, Part};
use super::error::{RuleError, Unparsable};
use super::logfmt::closing_quote;
use super::slot::{Lines, Slot};
use super::text::{first_line, is_blank};
use bytefind::near;

mod jump;
use jump::Jump;

/// Variables that are one word, so that a blank ends one at the end of a format; any other takes the rest of the line.
const WORDS: [&str; 14] = [
    "status",
    "body_bytes_sent",
    "bytes_sent",
    "bytes",
    "request_time",
    "request_length",
    "request_id",
    "msec",
    "connection",
    "connection_requests",
    "remote_addr",
    "remote_port",
    "server_port",
    "pid",
];

/// The steps through a line, up to the last that a column needs.
#[derive(Debug)]
pub(super) struct Plan {
    /// The text before the first variable.
    lead: Box<[u8]>,
    steps: Vec<Step>,
    /// Over the first steps, where no column needs them.
    jump: Option<Jump>,
}

/// One variable.
#[derive(Debug)]
struct Step {
    end: End,
    /// The slots that it fills, and with which part.
    targets: Vec<(usize, Part)>,
}

/// Where a variable ends.
#[derive(Debug)]
enum End {
    /// At the first occurrence of a text: its first byte, and the others.
    Text(u8, Box<[u8]>),
    /// At a quote that isn't escaped, which this text must follow.
    Quote(Box<[u8]>),
    /// At a blank or the end of the line.
    Word,
    /// At the end of the line.
    Line,
}

impl Plan {
    pub(super) fn new(format: &Format, columns: &[String]) -> Result<Plan, RuleError> {
        let variables = &format.variables;
        let mut steps: Vec<Step> = Vec::with_capacity(variables.len());
        for (place, variable) in variables.iter().enumerate() {
            let behind = variables.get(place + 1).map_or(&format.tail, |next| &next.before);
            steps.push(Step {
                end: End::new(&variable.before, &variable.name, behind),
                targets: Vec::new(),
            });
        }
        let mut needed = 0;
        for (slot, column) in columns.iter().enumerate() {
            let (place, part) = format.resolve(column)?;
            steps[place].targets.push((slot, part));
            needed = needed.max(place + 1);
        }
        steps.truncate(needed);
        let lead: Box<[u8]> = variables[0].before.as_bytes().into();
        let jump = Jump::new(&lead, &steps);
        Ok(Plan { lead, steps, jump })
    }

    #[inline]
    pub(super) fn extract(&mut self, record: &[u8], lines: Lines, out: &mut [Slot]) -> Result<(), Unparsable> {
        let line = first_line(record, lines);
        if !stands(&self.lead, line, 0) {
            return Err(Unparsable::OtherFormat);
        }
        let (steps, mut at) = match &mut self.jump {
            None => (&*self.steps, self.lead.len()),
            Some(jump) => match jump.find(line) {
                Some(at) => (&self.steps[jump.steps()..], at),
                None => {
                    let at = jump.walk(line, self.lead.len(), &self.steps);
                    (&self.steps[jump.steps()..], at.ok_or(Unparsable::OtherFormat)?)
                }
            },
        };
        for step in steps {
            let (end, next) = step.end.find(line, at).ok_or(Unparsable::OtherFormat)?;
            step.cut(line, at, end, out);
            at = next;
        }
        Ok(())
    }
}

impl End {
    /// Where a variable ends that stands between two texts.
    fn new(before: &str, name: &str, behind: &str) -> End {
        match behind.as_bytes() {
            [b'"', rest @ ..] if before.ends_with('"') => End::Quote(rest.into()),
            [first, rest @ ..] => End::Text(*first, rest.into()),
            [] if WORDS.contains(&name) => End::Word,
            [] => End::Line,
        }
    }

    /// The end of the variable that begins at `from`, and where the next begins.
    #[inline]
    fn find(&self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        match self {
            End::Text(first, rest) => {
                let mut at = from;
                loop {
                    at += near(*first, &line[at..])?;
                    if stands(rest, line, at + 1) {
                        return Some((at, at + 1 + rest.len()));
                    }
                    at += 1;
                }
            }
            End::Quote(rest) => {
                let quote = from + near(b'"', &line[from..])?;
                let escaped = quote > from && line[quote - 1] == b'\\';
                let end = if escaped {
                    from + closing_quote(&line[from..])?
                } else {
                    quote
                };
                stands(rest, line, end + 1).then_some((end, end + 1 + rest.len()))
            }
            End::Word => {
                let len = line[from..].iter().position(|&byte| is_blank(byte));
                let end = len.map_or(line.len(), |len| from + len);
                Some((end, end))
            }
            End::Line => Some((line.len(), line.len())),
        }
    }
}

/// Whether `text` stands at a position of the line. Byte by byte: it has one to three.
#[inline]
fn stands(text: &[u8], line: &[u8], at: usize) -> bool {
    match *text {
        [] => line.len() >= at,
        [only] => line.get(at) == Some(&only),
        _ => line.len() >= at + text.len() && text.iter().zip(&line[at..]).all(|(wanted, byte)| wanted == byte),
    }
}

impl Step {
    /// Fills the slots with the parts of the variable at `start..end` that columns ask for.
    #[inline]
    fn cut(&self, line: &[u8], start: usize, end: usize, out: &mut [Slot]) {
        let mut request = None;
        for &(slot, part) in &self.targets {
            out[slot] = if part == Part::Whole {
                Slot::of_record(start, end)
            } else {
                let parse = || Request::parse(&line[start..end]);
                let request = request.get_or_insert_with(parse);
                request
                    .as_ref()
                    .map_or(Slot::Absent, |request| request.part(part, start, end))
            };
        }
    }
}

/// A request line: method, target, and perhaps protocol, with one space between them.
struct Request {
    /// Where the method ends.
    method: usize,
    /// Where the target ends.
    uri: usize,
    protocol: Protocol,
}

/// Whether a request line names its protocol.
#[derive(Debug, Clone, Copy)]
enum Protocol {
    Named,
    /// HTTP/0.9 does not.
    Left,
}

impl Request {
    /// The part of a request line at `start..end` that a column asks for.
    fn part(&self, part: Part, start: usize, end: usize) -> Slot {
        let (from, to) = match (part, self.protocol) {
            (Part::Method, _) => (0, self.method),
            (Part::Uri, _) => (self.method + 1, self.uri),
            (_, Protocol::Named) => (self.uri + 1, end - start),
            (_, Protocol::Left) => return Slot::Absent,
        };
        Slot::of_record(start + from, start + to)
    }

    /// `None` for `-` and for what isn't HTTP: a TLS hello, a scanner's noise. A target with spaces is kept whole.
    fn parse(text: &[u8]) -> Option<Request> {
        let method = near(b' ', text)?;
        let is_token = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
        if method == 0 || !text[..method].iter().all(is_token) {
            return None;
        }
        let target = &text[method + 1..];
        match memrchr(b' ', target) {
            Some(end) if end > 0 && target[end + 1..].starts_with(b"HTTP/") => Some(Request {
                method,
                uri: method + 1 + end,
                protocol: Protocol::Named,
            }),
            None if target.starts_with(b"/") => Some(Request {
                method,
                uri: text.len(),
                protocol: Protocol::Left,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::super::testing;
    use super::*;

    const LINE: &str = r#"1.2.3.4 - bob [23/Nov/2026:07:31:02 +0100] "GET /a?b=1 HTTP/1.1" 200 612 "-" "curl/8 (x)""#;

    #[track_caller]
    fn check(columns: &[&str], record: &str, expected: Result<&[Option<&str>], Unparsable>) {
        testing::check(&Rule::nginx_combined(), columns, record, expected);
    }

    #[track_caller]
    fn check_format(format: &str, columns: &[&str], record: &str, expected: Result<&[Option<&str>], Unparsable>) {
        testing::check(&Rule::nginx(format).expect("a good format"), columns, record, expected);
    }

    #[test]
    fn variables_are_cut() {
        check(&["status", "body_bytes_sent"], LINE, Ok(&[Some("200"), Some("612")]));
        check(&["bytes", "status"], LINE, Ok(&[Some("612"), Some("200")]));
        check(
            &["remote_addr", "ident", "remote_user"],
            LINE,
            Ok(&[Some("1.2.3.4"), Some("-"), Some("bob")]),
        );
        check(&["time_local"], LINE, Ok(&[Some("23/Nov/2026:07:31:02 +0100")]));
        check(&["request"], LINE, Ok(&[Some("GET /a?b=1 HTTP/1.1")]));
        check(
            &["method", "uri", "protocol"],
            LINE,
            Ok(&[Some("GET"), Some("/a?b=1"), Some("HTTP/1.1")]),
        );
        check(&["referer", "user_agent"], LINE, Ok(&[Some("-"), Some("curl/8 (x)")]));
        check(
            &["user_agent"],
            &format!("{LINE} \"more\" 1"),
            Ok(&[Some("curl/8 (x)")]),
        );
        check(&["user_agent"], &format!("{LINE}\r\nmore"), Ok(&[Some("curl/8 (x)")]));
        testing::check(&Rule::clf(), &["bytes"], LINE, Ok(&[Some("612")]));
        testing::check(&Rule::clf(), &["bytes"], r#"h - - [t] "r" 304 -"#, Ok(&[Some("-")]));
        testing::check(&Rule::clf(), &["bytes"], "h - - [t] \"r\" 304 -\r", Ok(&[Some("-")]));
    }

    #[track_caller]
    fn check_request(request: &str, expected: [Option<&str>; 3]) {
        let line = format!(r#"h - - [t] "{request}" 400 0 "-" "-""#);
        check(&["method", "uri", "server_protocol"], &line, Ok(&expected));
        check(&["request", "status"], &line, Ok(&[Some(request), Some("400")]));
    }

    #[test]
    fn request_lines_are_taken_apart() {
        check_request("GET / HTTP/1.1", [Some("GET"), Some("/"), Some("HTTP/1.1")]);
        check_request("M-SEARCH * HTTP/1.1", [Some("M-SEARCH"), Some("*"), Some("HTTP/1.1")]);
        check_request("GET /a b HTTP/1.0", [Some("GET"), Some("/a b"), Some("HTTP/1.0")]);
        check_request(
            r#"GET /\"x\" HTTP/1.0"#,
            [Some("GET"), Some(r#"/\"x\""#), Some("HTTP/1.0")],
        );
        check_request("GET /old", [Some("GET"), Some("/old"), None]);
        for garbage in [
            "-",
            "",
            r"\x16\x03\x01",
            "GET",
            "GET ",
            " / HTTP/1.1",
            "GET HTTP/1.1",
            "GET  HTTP/1.1",
            "a b c",
        ] {
            check_request(garbage, [None, None, None]);
        }
    }

    #[test]
    fn quotes_may_be_escaped() {
        let line = |request: &str| format!(r#"h - - [t] "{request}" 200 1 "-" "-""#);
        check(&["status"], &line(r#"GET /\"x\" 404 HTTP"#), Ok(&[Some("200")]));
        check(&["request", "status"], &line(r"\\"), Ok(&[Some(r"\\"), Some("200")]));
        check(
            &["request", "status"],
            &line(r#"\\\""#),
            Ok(&[Some(r#"\\\""#), Some("200")]),
        );
        check(&["status"], &line(r"GET /\x22x\x22 HTTP"), Ok(&[Some("200")]));
        check(&["status"], &line(r#"GET /"x" HTTP"#), Err(Unparsable::OtherFormat));
    }

    #[test]
    fn torn_lines_are_unparsable_where_it_matters() {
        check(&["status"], "", Err(Unparsable::OtherFormat));
        check(&["status"], "a word or two", Err(Unparsable::OtherFormat));
        let cut = |text: &str| LINE[..LINE.find(text).expect("it is there") + text.len()].to_owned();
        check(&["status"], &cut("\" 200"), Err(Unparsable::OtherFormat));
        check(&["status"], &cut("\" 200 6"), Ok(&[Some("200")]));
        check(&["status", "bytes"], &cut("\" 200 612"), Err(Unparsable::OtherFormat));
        check(&["request"], &cut("GET /a"), Err(Unparsable::OtherFormat));
        check(&["remote_addr"], &cut("GET /a"), Ok(&[Some("1.2.3.4")]));
        check(
            &["status"],
            &LINE.replace("] \"", "]\n\""),
            Err(Unparsable::OtherFormat),
        );
    }

    #[test]
    fn formats_of_ones_own() {
        let format = r#"<$host> "$request" $status|$upstream_response_time"#;
        let line = r#"<a.b> "GET / HTTP/1.1" 200|0.1, 0.2"#;
        check_format(format, &["host", "status"], line, Ok(&[Some("a.b"), Some("200")]));
        check_format(format, &["upstream_response_time"], line, Ok(&[Some("0.1, 0.2")]));
        check_format(format, &["host"], &line[1..], Err(Unparsable::OtherFormat));
        check_format(
            "$a :: $b ::",
            &["a", "b"],
            "x : y :: z ::",
            Ok(&[Some("x : y"), Some("z")]),
        );
        check_format("$a :: $b ::", &["b"], "x : y :: z :", Err(Unparsable::OtherFormat));
        check_format(
            "rt=$request_time",
            &["request_time"],
            "rt=0.25 more",
            Ok(&[Some("0.25")]),
        );
        check_format("$a,$b", &["a", "b"], ",", Ok(&[Some(""), Some("")]));
        check_format(
            "\"$a\",\"$b\"",
            &["a", "b"],
            r#""x,\"y","z""#,
            Ok(&[Some(r#"x,\"y"#), Some("z")]),
        );
    }
}
