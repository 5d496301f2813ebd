//! The rule a user writes: which form, with what parameters, validated when it is made.

use super::access_format::Format;
use super::between::Between;
use super::detect::{self, Detected};
use super::error::RuleError;
use super::kv::Kv;
use super::regex::Pattern;
use super::split::Split;

/// How fields are cut out of a record.
#[derive(Debug, Clone)]
pub struct Rule {
    form: Form,
}

/// The forms, each with its parameters.
#[derive(Debug, Clone)]
pub(super) enum Form {
    Json,
    Logfmt,
    Kv(Kv),
    Split(Split),
    Between(Between),
    Regex(Pattern),
    Access(Format),
}

/// How a rule finds fields, which is what its cost depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// JSON objects.
    Json,
    /// `key=value key="quoted value"`.
    Logfmt,
    /// Pairs between separators of the user's.
    Kv,
    /// Columns between separators.
    Split,
    /// Texts between texts, each looked for by itself.
    Between,
    /// A regular expression of literals and runs of bytes, one behind the other.
    Chain,
    /// Any other regular expression.
    Regex,
    /// A web server's format of literals and variables.
    Access,
}

impl Rule {
    /// How it finds fields.
    pub fn manner(&self) -> Manner {
        match &self.form {
            Form::Json => Manner::Json,
            Form::Logfmt => Manner::Logfmt,
            Form::Kv(_) => Manner::Kv,
            Form::Split(_) => Manner::Split,
            Form::Between(_) => Manner::Between,
            Form::Regex(pattern) if pattern.is_chain() => Manner::Chain,
            Form::Regex(_) => Manner::Regex,
            Form::Access(_) => Manner::Access,
        }
    }

    /// One JSON object a record, perhaps behind other text: columns are paths such as `a.b[0]`.
    pub fn json() -> Rule {
        Rule { form: Form::Json }
    }

    /// `key=value key="quoted value"` in the first line.
    pub fn logfmt() -> Rule {
        Rule { form: Form::Logfmt }
    }

    /// Pairs separated by `pair`, key and value by `assign`, in the first line; with `after`, behind its first
    /// occurrence.
    ///
    /// # Errors
    /// An empty parameter, or an `assign` that holds `pair`.
    pub fn kv(pair: &str, assign: &str, after: Option<&str>) -> Result<Rule, RuleError> {
        Ok(Rule {
            form: Form::Kv(Kv::new(pair, assign, after)?),
        })
    }

    /// The first line cut at each `by`, or at runs of blanks if that is the word `whitespace`. Columns are `$1`, `$2`,
    /// …, and the names given; an empty name or `_` passes a column over.
    ///
    /// # Errors
    /// An empty separator, or a name that stands twice.
    pub fn split(by: &str, fields: &[String]) -> Result<Rule, RuleError> {
        Ok(Rule {
            form: Form::Split(Split::new(by, fields)?),
        })
    }

    /// For each (name, left, right): the text between the first `left` and the next `right`. An empty `left` is the
    /// record's beginning, an empty `right` the end of the line.
    ///
    /// # Errors
    /// No field, a field without a name, or a name that stands twice.
    pub fn between(fields: &[(String, String, String)]) -> Result<Rule, RuleError> {
        Ok(Rule {
            form: Form::Between(Between::new(fields)?),
        })
    }

    /// The named groups of the pattern's first match anywhere in the record. Classes such as `\w` are ASCII wherever
    /// the pattern allows it.
    ///
    /// # Errors
    /// A pattern that does not compile within its limits, or has no named group.
    pub fn regex(pattern: &str) -> Result<Rule, RuleError> {
        Ok(Rule {
            form: Form::Regex(Pattern::new(pattern)?),
        })
    }

    /// As [`Rule::regex`], with `%{NAME:field}` for common patterns.
    ///
    /// # Errors
    /// As [`Rule::regex`], and a name that stands for no pattern.
    pub fn grok(pattern: &str) -> Result<Rule, RuleError> {
        Ok(Rule {
            form: Form::Regex(Pattern::of_grok(pattern)?),
        })
    }

    /// The Common Log Format, under nginx's names for the fields.
    pub fn clf() -> Rule {
        Rule {
            form: Form::Access(Format::clf()),
        }
    }

    /// The `combined` format of nginx and Apache.
    pub fn nginx_combined() -> Rule {
        Rule {
            form: Form::Access(Format::combined()),
        }
    }

    /// A `log_format` of nginx.
    ///
    /// # Errors
    /// No variable, a `$` without a name, or two variables with nothing between them.
    pub fn nginx(log_format: &str) -> Result<Rule, RuleError> {
        Ok(Rule {
            form: Form::Access(Format::new(log_format)?),
        })
    }

    /// The names it can give, when they are known beforehand: `None` for `json`, `logfmt`, `kv` and unnamed `split`.
    pub fn fields(&self) -> Option<Vec<String>> {
        match &self.form {
            Form::Json | Form::Logfmt | Form::Kv(_) => None,
            Form::Split(split) => split.names(),
            Form::Between(between) => Some(between.names()),
            Form::Regex(pattern) => Some(pattern.names()),
            Form::Access(format) => Some(format.names()),
        }
    }

    /// The rule as a user would write it in MQL, such as `kv('|', '=')`.
    pub fn name(&self) -> String {
        match &self.form {
            Form::Json => "json".to_owned(),
            Form::Logfmt => "logfmt".to_owned(),
            Form::Kv(kv) => kv.name(),
            Form::Split(split) => split.name(),
            Form::Between(between) => between.name(),
            Form::Regex(pattern) => pattern.name(),
            Form::Access(format) => format.name(),
        }
    }

    /// The rule that suits a sample of a log (`auto`), by consistency over its lines; `None` if none does.
    /// `stamp_end_hint` is the position in a line just behind the timestamp, when that stands at the beginning: what
    /// comes before is no field. A pure function of its arguments; cost: a few passes over the sample.
    pub fn detect(sample: &[u8], stamp_end_hint: Option<usize>) -> Option<Detected> {
        detect::detect(sample, stamp_end_hint)
    }

    /// The form, for those who compile it.
    pub(super) fn form(&self) -> &Form {
        &self.form
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: Result<Rule, RuleError>, name: &str, fields: Option<&[&str]>) {
        let rule = rule.expect("a good rule");
        assert_eq!(rule.name(), name);
        let known = rule.fields();
        let known: Option<Vec<&str>> = known.as_ref().map(|names| names.iter().map(String::as_str).collect());
        assert_eq!(known.as_deref(), fields, "{name}");
    }

    #[test]
    fn rules_are_written_as_a_user_would() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let field = |name: &str, left: &str, right: &str| (name.to_owned(), left.to_owned(), right.to_owned());
        check(Ok(Rule::json()), "json", None);
        check(Ok(Rule::logfmt()), "logfmt", None);
        check(Rule::kv("|", "=", None), "kv('|', '=')", None);
        check(Rule::kv("'", "=", Some(" - ")), "kv('''', '=', ' - ')", None);
        check(Rule::split("|", &[]), "split('|')", None);
        check(
            Rule::split("|", &names(&["op", "_", "cost"])),
            "split('|', 'op', '_', 'cost')",
            Some(&["op", "cost"]),
        );
        check(
            Rule::between(&[field("a", "[", "]")]),
            "between(a, '[', ']')",
            Some(&["a"]),
        );
        check(
            Rule::regex(r"(?<op>\w+) (?<cost>\d+)"),
            r"regex('(?<op>\w+) (?<cost>\d+)')",
            Some(&["op", "cost"]),
        );
        check(Rule::nginx("$a|$b"), "nginx('$a|$b')", Some(&["a", "b"]));
        assert_eq!(Rule::clf().name(), "clf");
        assert_eq!(Rule::nginx_combined().name(), "nginx");
    }
}
