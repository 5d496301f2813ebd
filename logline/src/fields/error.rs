//! Why a rule is refused, and why a record is unparsable.

/// A rule, or a column of it, that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A separator or mark has no characters.
    #[error("`{what}` is empty; give it at least one character")]
    Empty {
        /// Which part of the rule.
        what: &'static str,
    },
    /// No part of a line could hold the assignment.
    #[error("the assignment `{assign}` holds the pair separator `{pair}`, so no pair could be found; choose others")]
    AssignHoldsPair {
        /// Separator of the pairs.
        pair: String,
        /// Separator of key and value.
        assign: String,
    },
    /// A rule of named fields that names none.
    #[error("the rule names no field; {hint}")]
    NoFields {
        /// How to name one in this form.
        hint: &'static str,
    },
    /// A field without a name.
    #[error("a field of the rule has no name; give it one")]
    UnnamedField,
    /// Two fields of one name.
    #[error("the field `{field}` stands twice in the rule; rename one")]
    DuplicateField {
        /// The name.
        field: String,
    },
    /// A column that the rule can't give.
    #[error("the rule {rule} gives no column `{column}`; {hint}")]
    UnknownColumn {
        /// The column that was asked for.
        column: String,
        /// The rule, as a user would write it.
        rule: String,
        /// The nearest name, or all of them.
        hint: String,
    },
    /// More columns than one extractor cuts out.
    #[error("{columns} columns are too many; use at most {most}")]
    TooManyColumns {
        /// Columns asked for.
        columns: usize,
        /// Columns allowed.
        most: usize,
    },
    /// A regular expression that doesn't compile.
    #[error("the regular expression can't be used; correct it: {why}")]
    Pattern {
        /// The compiler's own words, over several lines.
        why: String,
    },
    /// A name that stands for no pattern.
    #[error("there is no grok pattern `{name}`; {hint}")]
    UnknownGrok {
        /// The name.
        name: String,
        /// What to do.
        hint: String,
    },
    /// A grok pattern that grows too large.
    #[error("the grok pattern is too large when it is expanded; name fewer patterns")]
    GrokTooLarge,
    /// Two variables of a log format with nothing between them.
    #[error(
        "`${first}` and `${second}` stand side by side, so where one ends is unknown; put a character between them"
    )]
    AdjacentVariables {
        /// The variable before.
        first: String,
        /// The variable after.
        second: String,
    },
    /// A `$` that begins no variable.
    #[error("the `$` at byte {position} of the log format begins no variable; write `$name` or `${{name}}`")]
    BadVariable {
        /// Position in the log format.
        position: usize,
    },
}

/// Why the needed columns of a record can't be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unparsable {
    /// The record is longer than what is looked at.
    #[error("the record is too long")]
    TooLong,
    /// `json`: no `{` in the record.
    #[error("no json object in the record")]
    NoObject,
    /// `json`: the object is cut off or not well-formed.
    #[error("the json object is not well-formed")]
    MalformedJson,
    /// `json`: nested deeper than is followed.
    #[error("the json object is nested too deeply")]
    TooDeep,
    /// `json`: text follows the object on its last line.
    #[error("text follows the json object on its line")]
    TextAfterObject,
    /// `logfmt`, `kv`: no key with a value.
    #[error("no pair of key and value in the line")]
    NoPair,
    /// `logfmt`: a quoted value without its end, as in a torn line.
    #[error("a quoted value has no end")]
    UnterminatedQuote,
    /// `kv`: the line lacks the text behind which pairs begin.
    #[error("the text before the pairs is not in the line")]
    NoMark,
    /// `split`: the line ends before the last needed column.
    #[error("the line has too few columns")]
    TooFewColumns,
    /// `between`: none of the needed fields has its marks in the record.
    #[error("none of the fields' marks is in the record")]
    NothingBetween,
    /// `regex`: no match.
    #[error("the regular expression does not match")]
    NoMatch,
    /// `clf`, `nginx`: the line departs from the format before the last needed variable ends.
    #[error("the line does not follow the log format")]
    OtherFormat,
}
