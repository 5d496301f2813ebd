//! Expressions on one record: conditions and arguments, evaluated on borrowed bytes.
//!
//! Null is SQL's: a comparison with it is neither true nor false, and only what is true selects. An empty field and `-`
//! are null. A number literal compares as a decimal, a string as bytes; two columns are equal as bytes, and ordered as
//! decimals where both are numbers.

use crate::number::Decimal;
use crate::plan::{Columns, PlanError, decimal, is_arithmetic};
use configs::expr::{BinaryOp, Expr, ExprKind, TextMatchOp, UnaryOp};
use memchr::memmem;
use regex::bytes::Regex;
use std::cmp::Ordering;

/// A compiled expression.
#[derive(Debug, Clone)]
pub enum Node {
    /// A literal text.
    Text(Vec<u8>),
    /// A literal number.
    Number(Decimal),
    /// A literal truth.
    Bool(bool),
    /// `null`
    Null,
    /// A column of the plan.
    Column(usize),
    /// `not x`
    Not(Box<Node>),
    /// `-x`
    Negate(Box<Node>),
    /// `a and b`
    And(Box<Node>, Box<Node>),
    /// `a or b`
    Or(Box<Node>, Box<Node>),
    /// `a < b` and its kin.
    Compare(BinaryOp, Box<Node>, Box<Node>),
    /// `a + b` and its kin.
    Arithmetic(BinaryOp, Box<Node>, Box<Node>),
    /// `x in (…)`
    In {
        /// What is looked for.
        value: Box<Node>,
        /// Where.
        list: Vec<Node>,
        /// `not in`
        negated: bool,
    },
    /// `like`, `contains`, `matches`.
    Match {
        /// What is looked at.
        value: Box<Node>,
        /// What it is looked at for.
        matcher: Matcher,
        /// The `not` form.
        negated: bool,
    },
    /// `x is null`
    IsNull {
        /// What is asked about.
        value: Box<Node>,
        /// `is not null`
        negated: bool,
    },
}

impl PartialEq for Node {
    /// Equal in what they compute; used to share states, so telling equal ones apart would only cost memory.
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

/// A test of a text.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// It has this substring.
    Contains(Box<memmem::Finder<'static>>),
    /// It matches, anywhere unless anchored.
    Regex(Regex),
}

/// The value of a node for one record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// Bytes of the record, a label, or a literal.
    Text(&'a [u8]),
    /// A number.
    Number(Decimal),
    /// A truth.
    Bool(bool),
    /// No number where one was needed.
    Bad,
}

/// What gives the texts of a record's columns.
pub trait Row {
    /// The text of a column by its number in the plan; `None` for null.
    fn column(&self, number: usize) -> Option<&[u8]>;
}

/// Compiles an expression and numbers its columns.
pub(crate) fn compile_node(expr: &Expr, columns: &mut Columns) -> Result<Node, PlanError> {
    Ok(match &expr.kind {
        ExprKind::Text(text) => Node::Text(text.clone().into_bytes()),
        ExprKind::Number(text) => Node::Number(decimal(expr, text)?),
        ExprKind::Bool(truth) => Node::Bool(*truth),
        ExprKind::Null => Node::Null,
        ExprKind::Column(column) => Node::Column(columns.number(column)),
        ExprKind::Unary(UnaryOp::Not, inner) => Node::Not(Box::new(compile_node(inner, columns)?)),
        ExprKind::Unary(UnaryOp::Negate, inner) => Node::Negate(Box::new(compile_node(inner, columns)?)),
        ExprKind::Binary(op, left, right) => {
            let left = Box::new(compile_node(left, columns)?);
            let right = Box::new(compile_node(right, columns)?);
            match op {
                BinaryOp::And => Node::And(left, right),
                BinaryOp::Or => Node::Or(left, right),
                op if is_arithmetic(*op) => Node::Arithmetic(*op, left, right),
                op => Node::Compare(*op, left, right),
            }
        }
        ExprKind::In { value, list, negated } => Node::In {
            value: Box::new(compile_node(value, columns)?),
            list: list
                .iter()
                .map(|item| compile_node(item, columns))
                .collect::<Result<_, _>>()?,
            negated: *negated,
        },
        ExprKind::TextMatch {
            op,
            value,
            pattern,
            negated,
        } => Node::Match {
            value: Box::new(compile_node(value, columns)?),
            matcher: Matcher::new(*op, pattern).map_err(|message| PlanError::at(expr, message))?,
            negated: *negated,
        },
        ExprKind::IsNull { value, negated } => Node::IsNull {
            value: Box::new(compile_node(value, columns)?),
            negated: *negated,
        },
        ExprKind::Aggregate(_) => {
            return Err(PlanError::at(expr, "an aggregate has no value for a single record"));
        }
    })
}

impl Matcher {
    fn new(op: TextMatchOp, pattern: &str) -> Result<Self, String> {
        let regex = |pattern: &str| {
            regex::bytes::RegexBuilder::new(pattern)
                .unicode(false)
                .size_limit(REGEX_SIZE_LIMIT_BYTES)
                .build()
                .or_else(|_| {
                    regex::bytes::RegexBuilder::new(pattern)
                        .size_limit(REGEX_SIZE_LIMIT_BYTES)
                        .build()
                })
                .map(Self::Regex)
                .map_err(|error| error.to_string())
        };
        match op {
            TextMatchOp::Contains => Ok(Self::Contains(Box::new(memmem::Finder::new(pattern).into_owned()))),
            TextMatchOp::Matches => regex(pattern),
            TextMatchOp::Like => regex(&like_to_regex(pattern)),
        }
    }

    fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// A compiled pattern may take this much; a larger one is refused when the monitor is read.
const REGEX_SIZE_LIMIT_BYTES: usize = 4 << 20;

/// SQL's `like` as an anchored regular expression over bytes.
fn like_to_regex(pattern: &str) -> String {
    let mut regex = String::from(r"(?s-u)\A");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '\\' => regex.push_str(&escape(characters.next().unwrap_or('\\'))),
            other => regex.push_str(&escape(other)),
        }
    }
    regex.push_str(r"\z");
    regex
}

/// A character as the bytes of its UTF-8 form, which `-u` mode needs spelt out.
fn escape(character: char) -> String {
    if character.is_ascii() {
        return regex::escape(character.encode_utf8(&mut [0; 4]));
    }
    character
        .encode_utf8(&mut [0; 4])
        .bytes()
        .map(|byte| format!("\\x{byte:02x}"))
        .collect()
}

impl Node {
    /// Whether the node holds for a record: `None` where null makes that unknown.
    pub fn holds(&self, row: &impl Row) -> Option<bool> {
        match self {
            Self::And(left, right) => match (left.holds(row), right) {
                (Some(false), _) => Some(false),
                (Some(true), right) => right.holds(row),
                (None, right) => right.holds(row).filter(|truth| !truth),
            },
            Self::Or(left, right) => match (left.holds(row), right) {
                (Some(true), _) => Some(true),
                (Some(false), right) => right.holds(row),
                (None, right) => right.holds(row).filter(|truth| *truth),
            },
            Self::Not(inner) => inner.holds(row).map(|truth| !truth),
            Self::Compare(op, left, right) => {
                let texts = if left.is_text() || right.is_text() {
                    Texts::AsBytes
                } else {
                    Texts::AsNumbers
                };
                compare(*op, left.value(row), right.value(row), texts)
            }
            Self::In { value, list, negated } => is_in(value.value(row), list, row).map(|found| found != *negated),
            Self::Match {
                value,
                matcher,
                negated,
            } => match value.value(row) {
                Value::Text(text) => Some(matcher.is_match(text) != *negated),
                Value::Number(number) => Some(matcher.is_match(number.to_string().as_bytes()) != *negated),
                _ => None,
            },
            Self::IsNull { value, negated } => Some((value.value(row) == Value::Null) != *negated),
            Self::Bool(truth) => Some(*truth),
            other => match other.value(row) {
                Value::Bool(truth) => Some(truth),
                Value::Text(b"true") => Some(true),
                Value::Text(b"false") => Some(false),
                _ => None,
            },
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// The conditions that must all be true for this one to be true, in their order.
    pub(crate) fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::And(left, right) => [left.conjuncts(), right.conjuncts()].concat(),
            other => vec![other],
        }
    }

    /// The same with columns of other numbers; `None` if one of them has none.
    pub(crate) fn renumbered(&self, number: &mut impl FnMut(usize) -> Option<usize>) -> Option<Self> {
        Some(match self {
            Self::Column(column) => Self::Column(number(*column)?),
            Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Null => self.clone(),
            Self::Not(inner) => Self::Not(Box::new(inner.renumbered(number)?)),
            Self::Negate(inner) => Self::Negate(Box::new(inner.renumbered(number)?)),
            Self::And(left, right) => {
                Self::And(Box::new(left.renumbered(number)?), Box::new(right.renumbered(number)?))
            }
            Self::Or(left, right) => Self::Or(Box::new(left.renumbered(number)?), Box::new(right.renumbered(number)?)),
            Self::Compare(op, left, right) => Self::Compare(
                *op,
                Box::new(left.renumbered(number)?),
                Box::new(right.renumbered(number)?),
            ),
            Self::Arithmetic(op, left, right) => Self::Arithmetic(
                *op,
                Box::new(left.renumbered(number)?),
                Box::new(right.renumbered(number)?),
            ),
            Self::In { value, list, negated } => Self::In {
                value: Box::new(value.renumbered(number)?),
                list: list.iter().map(|item| item.renumbered(number)).collect::<Option<_>>()?,
                negated: *negated,
            },
            Self::Match {
                value,
                matcher,
                negated,
            } => Self::Match {
                value: Box::new(value.renumbered(number)?),
                matcher: matcher.clone(),
                negated: *negated,
            },
            Self::IsNull { value, negated } => Self::IsNull {
                value: Box::new(value.renumbered(number)?),
                negated: *negated,
            },
        })
    }

    /// The node's value for a record.
    pub fn value<'a>(&'a self, row: &'a impl Row) -> Value<'a> {
        match self {
            Self::Column(number) => row.column(*number).map_or(Value::Null, Value::Text),
            Self::Text(text) => Value::Text(text),
            Self::Number(number) => Value::Number(*number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Null => Value::Null,
            Self::Negate(inner) => match inner.value(row).number() {
                Value::Number(number) => Value::Number(Decimal::from_nanos(-number.nanos())),
                other => other,
            },
            Self::Arithmetic(op, left, right) => match (left.value(row).number(), right.value(row).number()) {
                (Value::Null, _) | (_, Value::Null) => Value::Null,
                (Value::Number(left), Value::Number(right)) => crate::arithmetic::apply(*op, left, right),
                _ => Value::Bad,
            },
            condition => condition.holds(row).map_or(Value::Null, Value::Bool),
        }
    }
}

impl<'a> Value<'a> {
    /// The value as a number: texts are parsed, other kinds are `Bad`.
    #[inline]
    pub fn number(self) -> Self {
        match self {
            Self::Text(text) => Decimal::parse(text).map_or(Self::Bad, Self::Number),
            Self::Bool(_) => Self::Bad,
            other => other,
        }
    }
}

/// How two texts are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    /// Against a string literal.
    AsBytes,
    /// Two columns: as decimals where both are.
    AsNumbers,
}

fn compare(op: BinaryOp, left: Value<'_>, right: Value<'_>, texts: Texts) -> Option<bool> {
    let by_number = |left: Value<'_>, right: Value<'_>| match (left.number(), right.number()) {
        (Value::Number(left), Value::Number(right)) => Some(left.cmp(&right)),
        _ => None,
    };
    let ordering = match (left, right) {
        (Value::Null | Value::Bad, _) | (_, Value::Null | Value::Bad) => return None,
        (Value::Text(left), Value::Text(right)) => match op {
            BinaryOp::Equal | BinaryOp::NotEqual => left.cmp(right),
            _ if texts == Texts::AsBytes => left.cmp(right),
            _ => by_number(Value::Text(left), Value::Text(right)).unwrap_or_else(|| left.cmp(right)),
        },
        (Value::Bool(left), Value::Bool(right)) => left.cmp(&right),
        (Value::Bool(truth), Value::Text(text)) => truth_text(truth).cmp(text),
        (Value::Text(text), Value::Bool(truth)) => text.cmp(truth_text(truth)),
        (left, right) => by_number(left, right)?,
    };
    Some(match op {
        BinaryOp::Equal => ordering == Ordering::Equal,
        BinaryOp::NotEqual => ordering != Ordering::Equal,
        BinaryOp::Less => ordering == Ordering::Less,
        BinaryOp::LessOrEqual => ordering != Ordering::Greater,
        BinaryOp::Greater => ordering == Ordering::Greater,
        BinaryOp::GreaterOrEqual => ordering != Ordering::Less,
        _ => return None,
    })
}

fn truth_text(truth: bool) -> &'static [u8] {
    if truth { b"true" } else { b"false" }
}

fn is_in(value: Value<'_>, list: &[Node], row: &impl Row) -> Option<bool> {
    if value == Value::Null {
        return None;
    }
    let mut unknown = false;
    for item in list {
        match compare(BinaryOp::Equal, value, item.value(row), Texts::AsBytes) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => unknown = true,
        }
    }
    if unknown { None } else { Some(false) }
}
