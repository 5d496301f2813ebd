//! What the oracle is asked: a monitor in its simplest form, and the files it reads.

use super::stamps::StampForm;

/// The engine's default bound of a record's text in bytes.
pub const RECORD_LIMIT_BYTES: usize = 1 << 20;

/// One log of one host, whole and finished.
#[derive(Debug, Clone)]
pub struct HostFile {
    /// The label `host`.
    pub host: String,
    /// The label `file`.
    pub file: String,
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// How its lines are stamped: told, never detected.
    pub stamp: StampForm,
}

/// A monitor.
#[derive(Debug, Clone)]
pub struct Question {
    /// Length of a window in milliseconds.
    pub window_ms: i64,
    /// The lateness bound `L` in milliseconds.
    pub lateness_ms: i64,
    /// Longest record text in bytes, up to but without its last `\n`; a longer one is `too_long` where fields are used.
    pub record_limit_bytes: usize,
    /// Which stamped lines begin a record.
    pub beginning: Beginning,
    /// How fields are cut out of a record.
    pub parse: ParseForm,
    /// Which records are selected; `None` selects all.
    pub filter: Option<Condition>,
    /// By what the values are kept apart.
    pub group_by: Vec<Col>,
    /// What is computed, in this order.
    pub aggregates: Vec<Aggregate>,
    /// Groups kept in a window (M6); the rest are folded.
    pub group_limit: usize,
}

/// Which lines begin a record, of those with a stamp. Patterns are plain texts, looked for anywhere in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// All.
    Stamped,
    /// `start`: only those that hold the text.
    With(String),
    /// `continue`: only those that do not.
    Without(String),
}

impl Beginning {
    /// Whether a line without its end may begin a record.
    pub fn allows(&self, line: &[u8]) -> bool {
        let holds = |text: &str| (0..line.len()).any(|at| line[at..].starts_with(text.as_bytes()));
        match self {
            Self::Stamped => true,
            Self::With(text) => holds(text),
            Self::Without(text) => !holds(text),
        }
    }
}

/// A column of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Col {
    /// A field that the parse form gives.
    Field(String),
    /// The host's name.
    Host,
    /// The file's name.
    File,
}

/// How fields are cut out of a record. All but `Json` look at the first line only.
#[derive(Debug, Clone)]
pub enum ParseForm {
    /// Parts separated by `pair`, each `key assign value`.
    Kv {
        /// Between parts.
        pair: u8,
        /// Between key and value.
        assign: u8,
    },
    /// Columns separated by `by`, named in order.
    Split {
        /// Between columns.
        by: u8,
        /// Names of the columns.
        fields: Vec<String>,
    },
    /// One object behind any text; fields are its top-level members.
    Json,
    /// `key=value key="value"`.
    Logfmt,
    /// nginx' predefined format `combined`.
    NginxCombined,
}

/// One output.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// Its name in the answer.
    pub name: String,
    /// What is computed.
    pub function: Function,
    /// Only of records for which this holds.
    pub condition: Option<Condition>,
}

/// The aggregate functions.
#[derive(Debug, Clone)]
pub enum Function {
    /// Records.
    Count,
    /// Physical lines of the records.
    Lines,
    /// Bytes of the records, line ends included.
    Bytes,
    /// Exact sum.
    Sum(Col),
    /// Sum by number of values, half-even at nine fraction digits.
    Avg(Col),
    /// Least value.
    Min(Col),
    /// Greatest value.
    Max(Col),
    /// Population standard deviation, half-even at nine fraction digits.
    Stddev(Col),
    /// Nearest rank of a fraction in [0, 1], written in decimals (`0.99`).
    Quantile(String, Col),
    /// Number of different texts.
    Distinct(Col),
    /// Text of the earliest record that has one.
    First(Col),
    /// Text of the latest record that has one.
    Last(Col),
}

/// A condition; null makes a comparison neither true nor false.
#[derive(Debug, Clone)]
pub enum Condition {
    /// All hold.
    And(Vec<Condition>),
    /// At least one holds.
    Or(Vec<Condition>),
    /// The other does not hold.
    Not(Box<Condition>),
    /// A column against a literal.
    Compare(Col, Comparison, Literal),
    /// A column equals one of the literals.
    In(Col, Vec<Literal>),
    /// A column is null.
    IsNull(Col),
}

/// Comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A literal: its kind decides how the column is compared.
#[derive(Debug, Clone)]
pub enum Literal {
    /// Compared as bytes.
    Text(Vec<u8>),
    /// Compared as a decimal, as written.
    Number(String),
}

impl Question {
    /// A question that counts all records by `window_ms`; the start of most.
    pub fn counting(window_ms: i64, lateness_ms: i64, parse: ParseForm) -> Self {
        Self {
            window_ms,
            lateness_ms,
            record_limit_bytes: RECORD_LIMIT_BYTES,
            beginning: Beginning::Stamped,
            parse,
            filter: None,
            group_by: Vec::new(),
            aggregates: vec![Aggregate::new("total", Function::Count)],
            group_limit: 100_000,
        }
    }

    /// Names of the fields that are looked at anywhere; where there are none nothing is parsed.
    pub fn fields(&self) -> Vec<String> {
        let mut columns: Vec<&Col> = self.group_by.iter().collect();
        let mut conditions: Vec<&Condition> = self.filter.iter().collect();
        for aggregate in &self.aggregates {
            columns.extend(aggregate.function.column());
            conditions.extend(&aggregate.condition);
        }
        for condition in conditions {
            condition.columns(&mut columns);
        }
        let mut names: Vec<String> = Vec::new();
        for column in columns {
            if let Col::Field(name) = column
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        names
    }
}

impl Aggregate {
    /// An aggregate without a condition.
    pub fn new(name: &str, function: Function) -> Self {
        Self {
            name: name.to_owned(),
            function,
            condition: None,
        }
    }

    /// An aggregate of the records for which `condition` holds.
    pub fn when(name: &str, function: Function, condition: Condition) -> Self {
        Self {
            name: name.to_owned(),
            function,
            condition: Some(condition),
        }
    }
}

impl Function {
    /// The column it looks at.
    pub fn column(&self) -> Option<&Col> {
        match self {
            Self::Count | Self::Lines | Self::Bytes => None,
            Self::Sum(column)
            | Self::Avg(column)
            | Self::Min(column)
            | Self::Max(column)
            | Self::Stddev(column)
            | Self::Quantile(_, column)
            | Self::Distinct(column)
            | Self::First(column)
            | Self::Last(column) => Some(column),
        }
    }

    /// Whether its column must be a number, so that other texts are `bad_value`.
    pub fn is_numeric(&self) -> bool {
        match self {
            Self::Sum(_) | Self::Avg(_) | Self::Min(_) | Self::Max(_) | Self::Stddev(_) | Self::Quantile(..) => true,
            Self::Count | Self::Lines | Self::Bytes | Self::Distinct(_) | Self::First(_) | Self::Last(_) => false,
        }
    }
}

impl Condition {
    /// `column = 'text'`.
    pub fn equals(column: Col, text: &str) -> Self {
        Self::Compare(column, Comparison::Equal, Literal::Text(text.as_bytes().to_vec()))
    }

    fn columns<'a>(&'a self, columns: &mut Vec<&'a Col>) {
        match self {
            Self::And(conditions) | Self::Or(conditions) => {
                conditions.iter().for_each(|condition| condition.columns(columns));
            }
            Self::Not(condition) => condition.columns(columns),
            Self::Compare(column, ..) | Self::In(column, _) | Self::IsNull(column) => columns.push(column),
        }
    }
}

impl Col {
    /// A field by name.
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }
}
