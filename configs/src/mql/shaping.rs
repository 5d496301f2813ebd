//! Clauses that make something of values after they were computed: `having`, `order by`, `limit`, `topk`, `fill`, and
//! the times before of `offset`. They belong to questions; a monitor stores what it counts.

use super::check;
use super::clauses::{Clauses, first, put};
use super::lexer::TokenKind;
use super::parser::Parser;
use crate::diagnostic::Mistake;
use crate::expr::Expr;
use crate::nearest::nearest;
use crate::query::{Direction, Fill, OrderKey, PARTS_MAX, Part, Placed, Shaping};
use crate::units::{DURATION_HINT, duration_ms};
use std::ops::Range;

/// Most keys of one order: more than any answer has columns that matter.
const ORDER_KEYS_MAX: usize = 16;

const FILLS: [&str; 3] = ["null", "0", "previous"];

/// A monitor behind `from`, perhaps some time before.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) span: Range<usize>,
    offset: Option<(u64, Range<usize>)>,
    alias: Option<String>,
}

/// `topk 5`, `topk 5 by sum(errors)`.
pub(super) struct TopK {
    groups: usize,
    by: Option<Expr>,
}

/// `m`, `m offset 7d`, `m offset 7d as last_week`, behind a name that was read.
pub(super) fn source(parser: &mut Parser, name: String, span: Range<usize>) -> Result<Source, Mistake> {
    let offset = match parser.is_word("offset") {
        true => {
            parser.advance();
            Some(offset(parser)?)
        }
        false => None,
    };
    let alias = super::clauses::alias(parser)?;
    Ok(Source {
        name,
        span,
        offset,
        alias,
    })
}

/// The duration behind `offset`.
pub(super) fn offset(parser: &mut Parser) -> Result<(u64, Range<usize>), Mistake> {
    let token = parser.peek().clone();
    let written = match &token.kind {
        TokenKind::Duration => parser.text_of(&token),
        TokenKind::Text(text) => text.as_str(),
        _ => {
            let mistake = parser.unexpected("how long before, after `offset`");
            return Err(mistake.hint("write such as offset 7d, for the week before"));
        }
    };
    let Some(offset_ms) = duration_ms(written) else {
        return Err(Mistake::new(token.span, format!("`{written}` is not a duration")).hint(DURATION_HINT));
    };
    parser.advance();
    Ok((offset_ms, token.span))
}

pub(super) fn having(parser: &mut Parser, clauses: &mut Clauses, keyword: Range<usize>) -> Result<(), Mistake> {
    let condition = parser.expression()?;
    check::check_having(&condition)?;
    put(&mut clauses.having, condition, "having", keyword)
}

pub(super) fn order_by(parser: &mut Parser, clauses: &mut Clauses, keyword: Range<usize>) -> Result<(), Mistake> {
    if !parser.take_word("by") {
        return Err(parser.unexpected("`by` after `order`"));
    }
    let mut keys = Vec::new();
    loop {
        let expr = parser.expression()?;
        check::check_key(&expr)?;
        let direction = if parser.take_word("desc") {
            Direction::Descending
        } else {
            parser.take_word("asc");
            Direction::Ascending
        };
        keys.push(OrderKey { expr, direction });
        if keys.len() > ORDER_KEYS_MAX {
            return Err(Mistake::new(
                keyword,
                format!("more than {ORDER_KEYS_MAX} keys of an order"),
            ));
        }
        if !parser.take_symbol(",") {
            return put(&mut clauses.order_by, keys, "order by", keyword);
        }
    }
}

/// `topk 5`, or `topk 5 by errors`: the groups that have most of something.
pub(super) fn topk(parser: &mut Parser, clauses: &mut Clauses, keyword: Range<usize>) -> Result<(), Mistake> {
    let hint = "write such as topk 10 by sum(errors), or topk 10 for those with most records";
    let groups = number_of_groups(parser, "topk").map_err(|mistake| mistake.hint(hint))?;
    let by = match parser.take_word("by") {
        true => Some(parser.expression()?),
        false => None,
    };
    if let Some(by) = &by {
        check::check_key(by)?;
    }
    put(&mut clauses.topk, TopK { groups, by }, "topk", keyword)
}

/// A whole number of groups, from one on.
pub(super) fn number_of_groups(parser: &mut Parser, keyword: &str) -> Result<usize, Mistake> {
    let token = parser.peek().clone();
    let groups = match token.kind {
        TokenKind::Number => parser.text_of(&token).parse().ok().filter(|groups| *groups > 0),
        _ => None,
    };
    match groups {
        Some(groups) => {
            parser.advance();
            Ok(groups)
        }
        None => Err(parser.unexpected(&format!("a whole number from 1 on after `{keyword}`"))),
    }
}

pub(super) fn fill(parser: &mut Parser, clauses: &mut Clauses, keyword: &Range<usize>) -> Result<(), Mistake> {
    let token = parser.peek().clone();
    let word = parser.text_of(&token).to_ascii_lowercase();
    let fill = match (&token.kind, word.as_str()) {
        (TokenKind::Word, "null") => Fill::Null,
        (TokenKind::Number, "0") => Fill::Zero,
        (TokenKind::Word, "previous") => Fill::Previous,
        (TokenKind::Number, _) => {
            let mistake = Mistake::new(token.span, format!("`fill {word}` would make up values"));
            return Err(mistake.hint("`fill 0` puts a zero where it is known to be one; else write null or previous"));
        }
        _ => {
            let mistake = parser.unexpected("`null`, `0` or `previous` after `fill`");
            return Err(mistake.hint_maybe(nearest(&word, FILLS).map(|near| format!("did you mean `{near}`?"))));
        }
    };
    parser.advance();
    put(&mut clauses.fill, fill, "fill", keyword.start..parser.last_end())
}

/// What the clauses make of values together.
pub(super) fn shaping(clauses: &mut Clauses) -> Result<Shaping, Mistake> {
    let mut order_by = clauses.order_by.take();
    let mut limit = clauses.limit.take();
    if let Some((topk, span)) = clauses.topk.take() {
        let both = |what: &str| {
            Mistake::new(span.clone(), format!("`topk` and `{what}` are both given"))
                .hint("`topk n by x` is `order by x desc limit n`: keep one of them")
        };
        if limit.is_some() {
            return Err(both("limit"));
        }
        if order_by.is_some() && topk.by.is_some() {
            return Err(both("order by"));
        }
        limit = Some((topk.groups, span.clone()));
        if let Some(expr) = topk.by {
            let key = OrderKey {
                expr,
                direction: Direction::Descending,
            };
            order_by = Some((vec![key], span.clone()));
        }
    }
    let having = clauses.having.take().map(first);
    let fill = clauses.fill.take().map(|(value, span)| Placed { value, span });
    if let (Some(_), Some(fill)) = (&having, fill.as_ref().filter(|fill| fill.value != Fill::Null)) {
        let message = "a group that `having` hides has a value, so none can be put in its place";
        let mistake = Mistake::new(fill.span.clone(), message);
        return Err(mistake.hint("write `fill null`, or leave one of the two out"));
    }
    Ok(Shaping {
        having,
        order_by: order_by.map(first).unwrap_or_default(),
        limit: limit.map(first),
        fill,
    })
}

/// The times at which the one monitor is asked about.
pub(super) fn parts(
    sources: Vec<Source>,
    clause: Option<(u64, Range<usize>)>,
) -> Result<(Placed<String>, Vec<Part>), Mistake> {
    let Some(main) = sources.first() else {
        return Err(Mistake::new(0..0, "the query names no monitor to ask"));
    };
    let source = Placed {
        value: main.name.clone(),
        span: main.span.clone(),
    };
    if let (Some((_, span)), true) = (&clause, sources.len() > 1 || main.offset.is_some()) {
        let mistake = Mistake::new(span.clone(), "`offset` of which source?");
        return Err(mistake.hint(format!("write it behind its name: from {} offset 7d", source.value)));
    }
    let mut parts: Vec<Part> = Vec::new();
    for other in sources {
        if other.name != source.value {
            let mistake = Mistake::new(other.span, "a question asks one monitor, at one time or at several");
            return Err(mistake.hint(format!("such as: from {0}, {0} offset 7d as before", source.value)));
        }
        let offset = other.offset.or_else(|| clause.clone());
        let part = Part {
            name: other.alias.unwrap_or(other.name),
            offset_ms: offset.map_or(0, first),
            span: other.span,
        };
        if parts.iter().any(|known| known.name == part.name) {
            let mistake = Mistake::new(part.span, format!("two sources are named `{}`", part.name));
            return Err(mistake.hint("name one of them with `as`, as in: m offset 7d as last_week"));
        }
        parts.push(part);
    }
    if let Some(beyond) = parts.get(PARTS_MAX) {
        return Err(Mistake::new(
            beyond.span.clone(),
            format!("more than {PARTS_MAX} sources"),
        ));
    }
    Ok((source, parts))
}

/// Refuses what makes something of values, where there is none to make something of.
pub(super) fn refuse_in_a_monitor(clauses: &Clauses) -> Result<(), Mistake> {
    fn place<T>(clause: &Option<(T, Range<usize>)>) -> Option<Range<usize>> {
        clause.as_ref().map(|(_, span)| span.clone())
    }
    let shaping = [
        ("having", place(&clauses.having), "having total > 5"),
        ("order by", place(&clauses.order_by), "order by total desc"),
        ("topk", place(&clauses.topk), "topk 10 by total"),
        ("fill", place(&clauses.fill), "fill null"),
        ("offset", place(&clauses.offset), "offset 7d"),
    ];
    let mut found: Vec<_> = shaping
        .into_iter()
        .filter_map(|(name, span, example)| Some((name, span?, example)))
        .collect();
    found.sort_by_key(|(_, span, _)| span.start);
    match found.into_iter().next() {
        None => Ok(()),
        Some((name, span, example)) => {
            let mistake = Mistake::new(
                span,
                format!("`{name}` belongs to a question about stored points, not to a monitor"),
            );
            Err(mistake.hint(format!(
                "a monitor stores all it counts; ask it: select … from <monitor> {example}"
            )))
        }
    }
}
