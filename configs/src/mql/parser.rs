//! The expressions of MQL: a Pratt parser over the tokens.
//!
//! Binding, loosest first: `or`, `and`, `not`, comparisons (which don't chain), `+ -`, `* / %`, unary `-`.

use super::lexer::{Quote, Token, TokenKind, tokens};
use super::{MQL_BYTES_MAX, call};
use crate::diagnostic::Mistake;
use crate::expr::{BinaryOp, Column, Expr, ExprKind, TextMatchOp, UnaryOp};
use std::ops::Range;

/// Parentheses, calls and prefix operators may nest this deep: the parser and everything after it recurse.
const NESTING_MAX: usize = 64;

/// Operators of one query. A chain of them is a tree as deep as it is long, so this bounds recursion too.
const OPERATORS_MAX: usize = 500;

/// Labels that every record carries, whatever its fields are called.
pub(crate) const LABELS: [&str; 6] = ["host", "ip", "app", "zone", "path", "file"];

/// Words that begin or join something wherever they stand; a column of such a name is quoted.
pub(super) const RESERVED: [&str; 14] = [
    "select", "from", "where", "filter", "group", "having", "order", "as", "and", "or", "in", "is", "like", "by",
];

/// A position in the tokens of one text.
pub(super) struct Parser<'a> {
    pub(super) source: &'a str,
    tokens: Vec<Token>,
    position: usize,
    nesting: usize,
    operators: usize,
    /// Whether an aggregate's arguments are being read: aggregates don't nest.
    pub(super) inside_aggregate: bool,
}

impl<'a> Parser<'a> {
    pub(super) fn new(source: &'a str) -> Result<Parser<'a>, Mistake> {
        if source.len() > MQL_BYTES_MAX {
            return Err(Mistake::new(
                0..0,
                format!("the text is longer than {MQL_BYTES_MAX} bytes"),
            ));
        }
        let tokens = tokens(source)?;
        Ok(Parser {
            source,
            tokens,
            position: 0,
            nesting: 0,
            operators: 0,
            inside_aggregate: false,
        })
    }

    /// The next token; at the end, `End` again and again.
    pub(super) fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> &Token {
        &self.tokens[(self.position + ahead).min(self.tokens.len() - 1)]
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.position += 1;
        token
    }

    /// The bytes of the token before the next one end here.
    pub(super) fn last_end(&self) -> usize {
        self.position
            .checked_sub(1)
            .map_or(0, |last| self.tokens[last.min(self.tokens.len() - 1)].span.end)
    }

    pub(super) fn text_of(&self, token: &Token) -> &'a str {
        &self.source[token.span.clone()]
    }

    /// Whether the token so far ahead is the word `keyword`, in any case.
    pub(super) fn is_word_at(&self, ahead: usize, keyword: &str) -> bool {
        let token = self.peek_at(ahead);
        token.kind == TokenKind::Word && self.text_of(token).eq_ignore_ascii_case(keyword)
    }

    pub(super) fn is_word(&self, keyword: &str) -> bool {
        self.is_word_at(0, keyword)
    }

    pub(super) fn is_symbol_at(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.peek_at(ahead).kind, TokenKind::Symbol(found) if found == symbol)
    }

    pub(super) fn take_word(&mut self, keyword: &str) -> bool {
        let found = self.is_word(keyword);
        self.position += usize::from(found);
        found
    }

    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol_at(0, symbol);
        self.position += usize::from(found);
        found
    }

    pub(super) fn expect_symbol(&mut self, symbol: &str, after: &str) -> Result<(), Mistake> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{symbol}` after {after}")))
        }
    }

    /// A mistake at the next token: something else was `expected`.
    pub(super) fn unexpected(&self, expected: &str) -> Mistake {
        let token = self.peek();
        if token.kind == TokenKind::End {
            return Mistake::new(token.span.clone(), format!("expected {expected}, but the text ends"));
        }
        Mistake::new(
            token.span.clone(),
            format!("expected {expected}, found `{}`", self.text_of(token)),
        )
    }

    pub(super) fn expect_end(&self) -> Result<(), Mistake> {
        if self.peek().kind == TokenKind::End {
            Ok(())
        } else {
            Err(self.unexpected("the end of the expression"))
        }
    }

    /// An expression of any kind.
    pub(super) fn expression(&mut self) -> Result<Expr, Mistake> {
        self.binary(0)
    }

    /// Runs `read` one level deeper, if that is not too deep.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Mistake>) -> Result<T, Mistake> {
        if self.nesting == NESTING_MAX {
            return Err(Mistake::new(
                self.peek().span.clone(),
                format!("nested deeper than {NESTING_MAX} levels"),
            ));
        }
        self.nesting += 1;
        let result = read(self);
        self.nesting -= 1;
        result
    }

    /// Counts an operator of the query against its limit.
    pub(super) fn count_operator(&mut self) -> Result<(), Mistake> {
        self.operators += 1;
        if self.operators <= OPERATORS_MAX {
            return Ok(());
        }
        let mistake = Mistake::new(self.peek().span.clone(), format!("more than {OPERATORS_MAX} operators"));
        Err(mistake.hint("a list is written `column in ('a', 'b', …)`"))
    }

    /// Operators that bind tighter than `floor`, over their operands.
    fn binary(&mut self, floor: u8) -> Result<Expr, Mistake> {
        let mut left = self.prefix()?;
        let mut compared = false;
        loop {
            if floor < COMPARISON && !compared && self.at_predicate() {
                left = self.predicate(left)?;
                compared = true;
                continue;
            }
            let Some((op, binding)) = self.peek_binary() else {
                return Ok(left);
            };
            if binding <= floor {
                return Ok(left);
            }
            if compared && binding == COMPARISON {
                let mistake = Mistake::new(self.peek().span.clone(), "comparisons can't be chained");
                return Err(mistake.hint("join them with `and`"));
            }
            compared = binding == COMPARISON || (compared && binding > COMPARISON);
            self.count_operator()?;
            self.advance();
            self.refuse_double_quoted(binding)?;
            let right = self.nested(|parser| parser.binary(binding))?;
            left = join(op, left, right);
        }
    }

    /// `op = "pay"` would silently compare with a column named pay, where a text is meant nearly always.
    fn refuse_double_quoted(&self, binding: u8) -> Result<(), Mistake> {
        let token = self.peek();
        match &token.kind {
            TokenKind::QuotedName(name, Quote::Double) if binding == COMPARISON => {
                let mistake = Mistake::new(token.span.clone(), "text is written in single quotes");
                Err(mistake.hint(format!("'{name}' is the text; `{name}` in backticks is the column")))
            }
            _ => Ok(()),
        }
    }

    fn peek_binary(&self) -> Option<(BinaryOp, u8)> {
        let token = self.peek();
        match token.kind {
            TokenKind::Symbol(symbol) => SYMBOL_OPERATORS.iter().find(|(name, ..)| *name == symbol),
            TokenKind::Word => {
                let word = self.text_of(token);
                WORD_OPERATORS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(word))
            }
            _ => None,
        }
        .map(|(_, op, binding)| (*op, *binding))
    }

    /// `not x`, `-x`, or an operand.
    fn prefix(&mut self) -> Result<Expr, Mistake> {
        let start = self.peek().span.start;
        let (op, binding) = match (self.is_word("not"), self.is_symbol_at(0, "-")) {
            (true, _) => (UnaryOp::Not, NOT),
            (_, true) => (UnaryOp::Negate, NEGATE),
            _ => return self.operand(),
        };
        self.count_operator()?;
        self.advance();
        let operand = self.nested(|parser| parser.binary(binding))?;
        let span = start..operand.span.end;
        Ok(Expr {
            kind: ExprKind::Unary(op, Box::new(operand)),
            span,
        })
    }

    fn at_predicate(&self) -> bool {
        let ahead = usize::from(self.is_word("not"));
        let negatable = ["in", "like", "contains", "matches"]
            .iter()
            .any(|word| self.is_word_at(ahead, word));
        negatable || self.is_word("is")
    }

    /// `in (…)`, `like '…'`, `is null` and their kin, after their operand.
    fn predicate(&mut self, value: Expr) -> Result<Expr, Mistake> {
        self.count_operator()?;
        let start = value.span.start;
        let value = Box::new(value);
        let kind = if self.take_word("is") {
            let negated = self.take_word("not");
            if !self.take_word("null") {
                return Err(self.unexpected(if negated {
                    "`null` after `is not`"
                } else {
                    "`null` after `is`"
                }));
            }
            ExprKind::IsNull { value, negated }
        } else {
            let negated = self.take_word("not");
            let keyword = self.advance();
            match self.text_of(&keyword).to_ascii_lowercase().as_str() {
                "in" => ExprKind::In {
                    value,
                    list: self.literal_list()?,
                    negated,
                },
                "like" => self.text_match(TextMatchOp::Like, value, negated)?,
                "contains" => self.text_match(TextMatchOp::Contains, value, negated)?,
                _ => self.text_match(TextMatchOp::Matches, value, negated)?,
            }
        };
        Ok(Expr {
            kind,
            span: start..self.last_end(),
        })
    }

    fn text_match(&mut self, op: TextMatchOp, value: Box<Expr>, negated: bool) -> Result<ExprKind, Mistake> {
        let span = self.peek().span.clone();
        let pattern = self.text_literal("a pattern in single quotes")?;
        if op == TextMatchOp::Matches
            && let Err(error) = regex::bytes::Regex::new(&pattern)
        {
            return Err(Mistake::new(span, regex_fault(&error.to_string())));
        }
        Ok(ExprKind::TextMatch {
            op,
            value,
            pattern,
            negated,
        })
    }

    /// A text in single quotes.
    pub(super) fn text_literal(&mut self, expected: &str) -> Result<String, Mistake> {
        match &self.peek().kind {
            TokenKind::Text(text) => {
                let text = text.clone();
                self.advance();
                Ok(text)
            }
            TokenKind::QuotedName(name, Quote::Double) => {
                let hint = format!("text is written in single quotes: '{name}'");
                Err(self.unexpected(expected).hint(hint))
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// `('a', 2, true)`.
    fn literal_list(&mut self) -> Result<Vec<Expr>, Mistake> {
        self.expect_symbol("(", "`in`")?;
        let mut list = Vec::new();
        loop {
            list.push(self.literal()?);
            if self.take_symbol(")") {
                return Ok(list);
            }
            if !self.take_symbol(",") {
                return Err(self.unexpected("`,` or `)` in the list"));
            }
        }
    }

    fn literal(&mut self) -> Result<Expr, Mistake> {
        let start = self.peek().span.start;
        let negated = self.take_symbol("-");
        let token = self.peek();
        let text = self.text_of(token);
        let kind = match &token.kind {
            TokenKind::Number if negated => ExprKind::Number(format!("-{text}")),
            TokenKind::Number => ExprKind::Number(text.to_owned()),
            TokenKind::Word if !negated && text.eq_ignore_ascii_case("true") => ExprKind::Bool(true),
            TokenKind::Word if !negated && text.eq_ignore_ascii_case("false") => ExprKind::Bool(false),
            _ if negated => return Err(self.unexpected("a number after `-`")),
            _ => ExprKind::Text(self.text_literal("a text in single quotes or a number")?),
        };
        if !matches!(kind, ExprKind::Text(_)) {
            self.advance();
        }
        Ok(Expr {
            kind,
            span: start..self.last_end(),
        })
    }

    /// A literal, a column, a call, or an expression in parentheses.
    fn operand(&mut self) -> Result<Expr, Mistake> {
        let token = self.peek().clone();
        let kind = match token.kind {
            TokenKind::Symbol("(") => return self.parenthesised(),
            TokenKind::Text(text) => ExprKind::Text(text),
            TokenKind::Number => ExprKind::Number(self.text_of(&token).to_owned()),
            TokenKind::QuotedName(name, _) => ExprKind::Column(Column::Field(name)),
            TokenKind::Word if self.is_symbol_at(1, "(") => return call::call(self),
            TokenKind::Word => self.word_operand(&token)?,
            TokenKind::Time => {
                return Err(self
                    .unexpected("a value")
                    .hint("a time compared as text is quoted: '…'"));
            }
            TokenKind::Duration => {
                return Err(self
                    .unexpected("a value")
                    .hint("a number has no unit here: write it in the field's unit"));
            }
            TokenKind::Symbol(_) | TokenKind::End => return Err(self.unexpected("a value or a column")),
        };
        self.advance();
        Ok(Expr { kind, span: token.span })
    }

    fn parenthesised(&mut self) -> Result<Expr, Mistake> {
        let start = self.advance().span.start;
        let mut inner = self.nested(Self::expression)?;
        self.expect_symbol(")", "the expression in parentheses")?;
        inner.span = start..self.last_end();
        Ok(inner)
    }

    /// `true`, `null`, `line`, a label, or a field.
    fn word_operand(&self, token: &Token) -> Result<ExprKind, Mistake> {
        let word = self.text_of(token);
        match word.to_ascii_lowercase().as_str() {
            "true" => Ok(ExprKind::Bool(true)),
            "false" => Ok(ExprKind::Bool(false)),
            "null" => Ok(ExprKind::Null),
            keyword if RESERVED.contains(&keyword) => {
                let hint = format!("a column of that name is written in backticks: `{word}`");
                Err(self.unexpected("a value or a column").hint(hint))
            }
            _ => Ok(ExprKind::Column(word_column(word, &token.span)?)),
        }
    }

    /// A column: `op`, `$1`, `"a b"`, `host`, `field('host')`, `line`.
    pub(super) fn column(&mut self) -> Result<(Column, Range<usize>), Mistake> {
        let expr = self.operand()?;
        match expr.kind {
            ExprKind::Column(column) => Ok((column, expr.span)),
            _ => Err(Mistake::new(expr.span, "expected a column")),
        }
    }
}

/// Why a regular expression can't be used, of the compiler's words: the last line, below a drawing of the pattern.
pub(crate) fn regex_fault(why: &str) -> String {
    let why = why.lines().last().unwrap_or_default();
    format!(
        "the regular expression can't be used: {}",
        why.trim_start_matches("error: ")
    )
}

/// The column that an unquoted word names.
fn word_column(word: &str, span: &Range<usize>) -> Result<Column, Mistake> {
    if let Some(name) = word.strip_prefix('$')
        && (name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let mistake = Mistake::new(
            span.clone(),
            format!("`{word}` is not a column: only `$1`, `$2`, … begin with $"),
        );
        return Err(if name.is_empty() {
            mistake
        } else {
            mistake.hint(format!("did you mean `{name}`?"))
        });
    }
    Ok(match word {
        "line" => Column::Line,
        _ if LABELS.contains(&word) => Column::Label(word.to_owned()),
        _ => Column::Field(word.to_owned()),
    })
}

const NOT: u8 = 3;
const COMPARISON: u8 = 4;
const NEGATE: u8 = 7;

/// Infix operators of symbols: how they are written, what they are, how tightly they bind.
const SYMBOL_OPERATORS: [(&str, BinaryOp, u8); 12] = [
    ("=", BinaryOp::Equal, COMPARISON),
    ("!=", BinaryOp::NotEqual, COMPARISON),
    ("<>", BinaryOp::NotEqual, COMPARISON),
    ("<", BinaryOp::Less, COMPARISON),
    ("<=", BinaryOp::LessOrEqual, COMPARISON),
    (">", BinaryOp::Greater, COMPARISON),
    (">=", BinaryOp::GreaterOrEqual, COMPARISON),
    ("+", BinaryOp::Add, 5),
    ("-", BinaryOp::Subtract, 5),
    ("*", BinaryOp::Multiply, 6),
    ("/", BinaryOp::Divide, 6),
    ("%", BinaryOp::Modulo, 6),
];

/// Infix operators of words.
const WORD_OPERATORS: [(&str, BinaryOp, u8); 2] = [("or", BinaryOp::Or, 1), ("and", BinaryOp::And, 2)];

/// `left op right`, spanning both.
pub(super) fn join(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    let span = left.span.start.min(right.span.start)..left.span.end.max(right.span.end);
    Expr {
        kind: ExprKind::Binary(op, Box::new(left), Box::new(right)),
        span,
    }
}
