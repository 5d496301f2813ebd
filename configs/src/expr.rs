//! The expressions of MQL as a tree: what a monitor filters by, groups by and computes.
//!
//! One language serves `where`, `select` and the YAML fields of the same names. The tree keeps the place of every node
//! in its source text, so that whoever finds a mistake later (a missing column, a sum of text) can still point at it.

use crate::mql::check::walk;
use std::ops::Range;

/// A node of an expression with the byte range of its source text.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What the node is.
    pub kind: ExprKind,
    /// Where it stands in the text it was read from, in bytes.
    pub span: Range<usize>,
}

/// Calls `visit` for every column that an expression names, aggregates' arguments and conditions included.
pub fn visit_columns<'e>(expr: &'e Expr, visit: &mut impl FnMut(&'e Column)) {
    walk(expr, &mut |node| {
        if let ExprKind::Column(column) = &node.kind {
            visit(column);
        }
    });
}

/// The kinds of expression nodes.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `'pay'`, compared as bytes.
    Text(String),
    /// `99.5`, as written (optional sign aside); compared and computed as an exact decimal.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// A field of the record or a label of its host.
    Column(Column),
    /// `not x`, `-x`.
    Unary(UnaryOp, Box<Expr>),
    /// `a and b`, `a = b`, `a + b`, …
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `x in (a, b)`, `x not in (a, b)`.
    In {
        /// The value looked for.
        value: Box<Expr>,
        /// The literals it is looked for in.
        list: Vec<Expr>,
        /// `not in`.
        negated: bool,
    },
    /// `x like '%a_'`, `x contains 'a'`, `x matches 'a.*'` and their `not` forms.
    TextMatch {
        /// Which of the three.
        op: TextMatchOp,
        /// The text that is looked at.
        value: Box<Expr>,
        /// The pattern, a literal.
        pattern: String,
        /// `not like` and so on.
        negated: bool,
    },
    /// `x is null`, `x is not null`.
    IsNull {
        /// The value asked about.
        value: Box<Expr>,
        /// `is not null`.
        negated: bool,
    },
    /// An aggregate call; only in `select` (and `having`).
    Aggregate(Box<Aggregate>),
}

/// A column: what a record can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// A field cut out of the record by the parse rule: `status`, `a.b[0]`, `$3`, `field('host')`.
    Field(String),
    /// A label of the host or file: `host`, `ip`, `app`, `zone`, `path`, `file`, or `label('unit')`, any of the
    /// inventory's.
    Label(String),
    /// `line`: the record's whole text.
    Line,
}

/// Operators of one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOp {
    /// `not`
    Not,
    /// `-`
    Negate,
}

/// Operators of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// Tests of a text against a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextMatchOp {
    /// SQL's `like`: `%` any run, `_` any one byte, `\` escapes.
    Like,
    /// A substring.
    Contains,
    /// A regular expression of linear time, unanchored.
    Matches,
}

/// One aggregate call.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Which one.
    pub function: Function,
    /// What is aggregated; `None` for `count()`, `lines()` and `bytes()`.
    pub argument: Option<Expr>,
    /// Only records for which this holds: `count(result = 'success')`, `sum(amount, op = 'pay')`.
    pub condition: Option<Expr>,
}

/// The aggregate functions.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Function {
    /// Records.
    Count,
    /// Physical lines of the counted records.
    Lines,
    /// Bytes of the counted records, line ends included.
    Bytes,
    /// Exact sum of decimals.
    Sum,
    /// Sum divided by the number of values.
    Avg,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Population standard deviation.
    Stddev,
    /// `p50(x)`, `p99.9(x)`, `quantile(0.5, x)`: the quantile as a fraction written in decimals, `0.999`.
    Quantile(String),
    /// Number of different texts.
    Distinct,
    /// Text of the earliest record.
    First,
    /// Text of the latest record.
    Last,
    /// Records (or the sum of the argument) per second of the window.
    Rate,
}
