//! Access log formats, as nginx's `log_format` writes them: text with `$variables` in it.
//!
//! `clf` and `combined` are such formats too. Apache writes the remote user's identity where nginx has a fixed `-`, so
//! both read a word there, `ident`; on nginx's lines that changes nothing.

use super::error::RuleError;
use super::text::{hint, quoted};

/// The Common Log Format.
const CLF: &str = r#"$remote_addr $ident $remote_user [$time_local] "$request" $status $body_bytes_sent"#;

/// What `combined` adds.
const COMBINED_TAIL: &str = r#" "$http_referer" "$http_user_agent""#;

/// Other names of variables, and what they mean, in the order of preference.
const ALIASES: [(&str, &[&str]); 8] = [
    ("bytes", &["body_bytes_sent", "bytes_sent"]),
    ("referer", &["http_referer"]),
    ("user_agent", &["http_user_agent"]),
    ("method", &["request_method"]),
    ("uri", &["request_uri"]),
    ("protocol", &["server_protocol"]),
    ("request_method", &["method"]),
    ("request_uri", &["uri"]),
];

/// What a request line gives besides itself.
const REQUEST_PARTS: [(&str, Part); 3] = [
    ("method", Part::Method),
    ("uri", Part::Uri),
    ("server_protocol", Part::Protocol),
];

/// A log format.
#[derive(Debug, Clone)]
pub(super) struct Format {
    written: Written,
    pub(super) variables: Vec<Variable>,
    /// The text behind the last variable.
    pub(super) tail: String,
}

/// How a user writes the format.
#[derive(Debug, Clone)]
enum Written {
    Clf,
    Combined,
    Custom(String),
}

/// A variable and the text before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) before: String,
    pub(super) name: String,
}

/// Which part of a variable a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// The method of a request line.
    Method,
    /// The target of a request line, query string included.
    Uri,
    /// The protocol of a request line.
    Protocol,
}

impl Format {
    pub(super) fn clf() -> Format {
        // The format is a constant of this file, and a test compiles it.
        Format::parse(CLF, Written::Clf).expect("the clf format is good")
    }

    pub(super) fn combined() -> Format {
        let format = Format::parse(&format!("{CLF}{COMBINED_TAIL}"), Written::Combined);
        // The format is a constant of this file, and a test compiles it.
        format.expect("the combined format is good")
    }

    pub(super) fn new(log_format: &str) -> Result<Format, RuleError> {
        Format::parse(
            log_format.trim_end_matches(['\r', '\n']),
            Written::Custom(log_format.to_owned()),
        )
    }

    fn parse(text: &str, written: Written) -> Result<Format, RuleError> {
        let mut variables: Vec<Variable> = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            let (name, after) = variable(after).ok_or(RuleError::BadVariable {
                position: text.len() - after.len() - 1,
            })?;
            if let (true, Some(last)) = (before.is_empty(), variables.last()) {
                return Err(RuleError::AdjacentVariables {
                    first: last.name.clone(),
                    second: name.to_owned(),
                });
            }
            variables.push(Variable {
                before: before.to_owned(),
                name: name.to_owned(),
            });
            rest = after;
        }
        if variables.is_empty() {
            return Err(RuleError::NoFields {
                hint: "write the log_format with its `$variables`",
            });
        }
        Ok(Format {
            written,
            variables,
            tail: rest.to_owned(),
        })
    }

    /// The names of its variables, and of the parts of a request line if it has one.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for variable in &self.variables {
            if !names.contains(&variable.name) {
                names.push(variable.name.clone());
            }
            if variable.name == "request" {
                names.extend(
                    REQUEST_PARTS
                        .iter()
                        .filter(|(part, _)| self.find(part).is_none())
                        .map(|(part, _)| (*part).to_owned()),
                );
            }
        }
        names
    }

    pub(super) fn name(&self) -> String {
        match &self.written {
            Written::Clf => "clf".to_owned(),
            Written::Combined => "nginx".to_owned(),
            Written::Custom(format) => format!("nginx({})", quoted(format)),
        }
    }

    /// The variable, by its place, and the part of it that a column means: a variable of that name, else one that the
    /// name is an alias of, else a part of the request line.
    pub(super) fn resolve(&self, column: &str) -> Result<(usize, Part), RuleError> {
        let aliases = ALIASES
            .iter()
            .find(|(alias, _)| *alias == column)
            .map_or([].as_slice(), |(_, names)| names);
        let names = || std::iter::once(column).chain(aliases.iter().copied());
        if let Some(place) = names().find_map(|name| self.find(name)) {
            return Ok((place, Part::Whole));
        }
        let part = names().find_map(|name| REQUEST_PARTS.iter().find(|(part, _)| *part == name));
        match (part, self.find("request")) {
            (Some(&(_, part)), Some(request)) => Ok((request, part)),
            _ => Err(RuleError::UnknownColumn {
                column: column.to_owned(),
                rule: self.name(),
                hint: hint(column, &self.names()),
            }),
        }
    }

    /// The place of a variable; the first, if it stands there twice.
    fn find(&self, name: &str) -> Option<usize> {
        self.variables.iter().position(|variable| variable.name == name)
    }
}

/// The name that begins behind a `$`, and what follows it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| is_name(name));
    }
    let end = text
        .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .unwrap_or(text.len());
    Some(text.split_at(end)).filter(|(name, _)| is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(log_format: &str, expected: &[(&str, &str)], tail: &str) {
        let format = Format::new(log_format).expect("a good format");
        let found: Vec<(&str, &str)> = format
            .variables
            .iter()
            .map(|variable| (variable.before.as_str(), variable.name.as_str()))
            .collect();
        assert_eq!(
            (found.as_slice(), format.tail.as_str()),
            (expected, tail),
            "{log_format}"
        );
    }

    #[test]
    fn formats_are_texts_with_variables() {
        check("$a", &[("", "a")], "");
        check(
            "x $a - ${b}c\"$d_1\"\n",
            &[("x ", "a"), (" - ", "b"), ("c\"", "d_1")],
            "\"",
        );
    }

    #[test]
    fn bad_formats_are_refused() {
        assert!(matches!(Format::new("status"), Err(RuleError::NoFields { .. })));
        assert_eq!(Format::new("a $").err(), Some(RuleError::BadVariable { position: 2 }));
        assert_eq!(
            Format::new("$a ${b").err(),
            Some(RuleError::BadVariable { position: 3 })
        );
        assert_eq!(
            Format::new("$a ${} ").err(),
            Some(RuleError::BadVariable { position: 3 })
        );
        let adjacent = RuleError::AdjacentVariables {
            first: "a".to_owned(),
            second: "b".to_owned(),
        };
        assert_eq!(Format::new("$a$b").err(), Some(adjacent));
    }

    #[track_caller]
    fn check_column(format: &Format, column: &str, expected: Result<(&str, Part), &str>) {
        let found = format
            .resolve(column)
            .map(|(place, part)| (format.variables[place].name.as_str(), part));
        let found = found.map_err(|error| error.to_string());
        assert_eq!(
            found.as_ref().map_err(|error| error.as_str()).copied(),
            expected,
            "{column}"
        );
    }

    #[test]
    fn columns_have_aliases() {
        let combined = Format::combined();
        let names = "remote_addr, ident, remote_user, time_local, request, method, uri, server_protocol, status, \
                     body_bytes_sent, http_referer, http_user_agent";
        assert_eq!(combined.names().join(", "), names);
        check_column(&combined, "status", Ok(("status", Part::Whole)));
        check_column(&combined, "bytes", Ok(("body_bytes_sent", Part::Whole)));
        check_column(&combined, "referer", Ok(("http_referer", Part::Whole)));
        check_column(&combined, "user_agent", Ok(("http_user_agent", Part::Whole)));
        check_column(&combined, "ident", Ok(("ident", Part::Whole)));
        for (column, part) in REQUEST_PARTS.into_iter().chain([
            ("request_method", Part::Method),
            ("request_uri", Part::Uri),
            ("protocol", Part::Protocol),
        ]) {
            check_column(&combined, column, Ok(("request", part)));
        }
        let unknown = "the rule nginx gives no column `stauts`; did you mean `status`?";
        check_column(&combined, "stauts", Err(unknown));
        let missing = "the rule clf gives no column `referer`; it gives remote_addr, ident, remote_user, time_local, \
                       request, method, uri, server_protocol, status, body_bytes_sent";
        check_column(&Format::clf(), "referer", Err(missing));
    }

    #[test]
    fn a_variable_wins_over_a_part_of_the_request() {
        let format = Format::new("$request|$uri|$request_method|$bytes_sent").expect("a good format");
        check_column(&format, "uri", Ok(("uri", Part::Whole)));
        check_column(&format, "method", Ok(("request_method", Part::Whole)));
        check_column(&format, "bytes", Ok(("bytes_sent", Part::Whole)));
        check_column(&format, "protocol", Ok(("request", Part::Protocol)));
        assert_eq!(
            format.names(),
            [
                "request",
                "method",
                "server_protocol",
                "uri",
                "request_method",
                "bytes_sent"
            ]
        );
    }
}
