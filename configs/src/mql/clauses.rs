//! A query: `select` and the clauses after it, in any order.
//!
//! One grammar for all kinds: a monitor behind `from` makes it a question about stored points (see `stored`), a log one
//! about logs (see `raw`); what a monitor stores is written the same.

use super::lexer::TokenKind;
use super::parser::{Parser, join};
use super::shaping::{self, Source, TopK};
use super::{QUERY_NAME, check, not_in_a_monitor, raw, rule, stored};
use crate::diagnostic::Mistake;
use crate::expr::{BinaryOp, Column, Expr, ExprKind};
use crate::log_path::LogPath;
use crate::monitor::{Absent, GroupColumn, Limits, Monitor, Output, TimeRange};
use crate::nearest::nearest;
use crate::parse_rule::{RuleForm, check_columns};
use crate::query::{Fill, Local, OrderKey, Question};
use crate::records;
use crate::units::{DURATION_HINT, duration_ms, window_fault, window_hint};
use crate::zone;
use crate::{GRACE_MS_DEFAULT, GROUPS_DEFAULT, WINDOW_MS_DEFAULT};
use logline::boundary::{Boundary, Side};
use logline::text::Encoding;
use std::ops::Range;

/// The words that begin a clause.
const CLAUSES: [&str; 21] = [
    "from",
    "records",
    "parse",
    "where",
    "filter",
    "group by",
    "every",
    "lateness",
    "delay",
    "grace",
    "limit",
    "since",
    "timezone",
    "timestamp",
    "encoding",
    "app",
    "having",
    "order by",
    "topk",
    "offset",
    "fill",
];

/// Whether a word begins a clause.
pub(super) fn is_clause_word(word: &str) -> bool {
    CLAUSES.contains(&word) || word == "group" || word == "order"
}

/// A value and the clause it came from, to say which when there are two.
pub(super) type Placed<T> = Option<(T, Range<usize>)>;

/// The clauses as written.
#[derive(Default)]
pub(super) struct Clauses {
    /// Where `*` stands instead of outputs.
    pub(super) star: Option<Range<usize>>,
    pub(super) outputs: Vec<Output>,
    /// The stored points that are asked about.
    pub(super) sources: Vec<Source>,
    pub(super) log: Placed<String>,
    /// The monitor whose log it is.
    pub(super) log_of: Placed<String>,
    pub(super) records: Placed<Boundary>,
    pub(super) rule: Placed<RuleForm>,
    pub(super) filter: Option<Expr>,
    pub(super) group_by: Vec<(GroupColumn, Range<usize>)>,
    pub(super) window_ms: Placed<u64>,
    pub(super) lateness_ms: Placed<u64>,
    pub(super) delay_ms: Placed<u64>,
    pub(super) grace_ms: Placed<u64>,
    pub(super) limit: Placed<usize>,
    pub(super) since: Placed<String>,
    pub(super) from_to: Placed<(String, Option<String>)>,
    pub(super) timezone: Placed<String>,
    pub(super) timestamp: Placed<String>,
    pub(super) encoding: Placed<String>,
    pub(super) app: Placed<String>,
    pub(super) having: Placed<Expr>,
    pub(super) order_by: Placed<Vec<OrderKey>>,
    pub(super) topk: Placed<TopK>,
    pub(super) fill: Placed<Fill>,
    pub(super) offset: Placed<u64>,
}

/// Reads a query of any kind and validates it.
pub(super) fn question(text: &str) -> Result<Question, Mistake> {
    let clauses = read(text)?;
    check_ranges(&clauses)?;
    if !clauses.sources.is_empty() {
        return stored::query(clauses).map(|query| Question::Stored(Box::new(query)));
    }
    if let (Some((_, span)), None) = (&clauses.log_of, &clauses.star) {
        let mistake = Mistake::new(span.clone(), "of a monitor's log, only the records can be asked for");
        return Err(mistake.hint("write `select *`; what it counts are its points: select … from <monitor>"));
    }
    match &clauses.star {
        Some(star) if clauses.log.is_none() && clauses.log_of.is_none() => {
            let mistake = Mistake::new(star.clone(), "everything of which monitor?");
            Err(mistake.hint("name it: select * from <monitor> since 30m"))
        }
        Some(_) => raw::records(clauses).map(|query| Question::Records(Box::new(query))),
        None => raw::query(clauses).map(|query| Question::Raw(Box::new(query))),
    }
}

/// Reads a query of files that are named beside it: a monitor, or a question for records.
pub(super) fn local(text: &str) -> Result<Local, Mistake> {
    let clauses = read(text)?;
    if clauses.star.is_none() || !clauses.sources.is_empty() || clauses.log_of.is_some() {
        return query(text).map(|monitor| Local::Monitor(Box::new(monitor)));
    }
    check_ranges(&clauses)?;
    raw::records(clauses).map(|query| Local::Records(Box::new(query)))
}

/// Reads a query of a monitor and validates it.
pub(super) fn query(text: &str) -> Result<Monitor, Mistake> {
    let clauses = read(text)?;
    if let Some(Source { span, .. }) = clauses.sources.first() {
        let mistake = not_in_a_monitor(span.clone(), &format!("from {}", &text[span.clone()]));
        return Err(mistake.hint("a monitor reads a log: from log '/var/log/x.log'"));
    }
    if let Some((_, span)) = clauses.log_of {
        let mistake = Mistake::new(span, "a monitor names its log by the path");
        return Err(mistake.hint("write such as: from log '/var/log/x.log'"));
    }
    shaping::refuse_in_a_monitor(&clauses)?;
    check_ranges(&clauses)?;
    monitor(clauses)
}

fn read(text: &str) -> Result<Clauses, Mistake> {
    let mut parser = Parser::new(text)?;
    let mut clauses = Clauses::default();
    if !parser.take_word("select") {
        let hint = "a query looks like: select count() from log '/var/log/x.log' where op = 'pay' every 5s";
        return Err(parser.unexpected("`select`").hint(hint));
    }
    select(&mut parser, &mut clauses)?;
    while parser.peek().kind != TokenKind::End {
        clause(&mut parser, &mut clauses)?;
    }
    Ok(clauses)
}

fn select(parser: &mut Parser, clauses: &mut Clauses) -> Result<(), Mistake> {
    if parser.is_symbol_at(0, "*") {
        clauses.star = Some(parser.advance().span);
        return match parser.is_symbol_at(0, ",") {
            true => Err(Mistake::new(parser.peek().span.clone(), "`*` stands alone in `select`")
                .hint("it means every column; name the columns, or leave the others out")),
            false => Ok(()),
        };
    }
    loop {
        let start = parser.peek().span.start;
        let expr = parser.expression()?;
        let written = start..parser.last_end();
        let name = alias(parser)?.unwrap_or_else(|| written_name(&expr, &parser.source[written.clone()]));
        if clauses.outputs.iter().any(|output| output.name == name) {
            let mistake = Mistake::new(
                written.start..parser.last_end(),
                format!("two outputs are named `{name}`"),
            );
            return Err(mistake.hint("give one of them another name with `as`"));
        }
        clauses.outputs.push(Output { name, expr });
        if !parser.take_symbol(",") {
            return Ok(());
        }
    }
}

/// What an output is called if nobody says: a column by its name without quotes, anything else as it is written.
fn written_name(expr: &Expr, written: &str) -> String {
    match &expr.kind {
        ExprKind::Column(column) => check::column_name(column),
        _ => written.to_owned(),
    }
}

/// `as name`, if it follows.
pub(super) fn alias(parser: &mut Parser) -> Result<Option<String>, Mistake> {
    if !parser.take_word("as") {
        return Ok(None);
    }
    let token = parser.peek().clone();
    let name = match token.kind {
        TokenKind::Word => parser.text_of(&token).to_owned(),
        TokenKind::QuotedName(name, _) => name,
        TokenKind::Text(name) if !name.is_empty() => name,
        _ => return Err(parser.unexpected("a name after `as`")),
    };
    parser.advance();
    Ok(Some(name))
}

/// One clause, from its keyword on.
fn clause(parser: &mut Parser, clauses: &mut Clauses) -> Result<(), Mistake> {
    let token = parser.peek().clone();
    if token.kind != TokenKind::Word {
        return Err(parser.unexpected("a clause such as `where`, `group by` or `every`"));
    }
    let keyword = parser.text_of(&token).to_ascii_lowercase();
    if !is_clause_word(&keyword) {
        return Err(unknown_clause(parser, &keyword));
    }
    parser.advance();
    match keyword.as_str() {
        "from" => from(parser, clauses, token.span),
        "parse" => {
            let form = rule::form(parser)?;
            put(&mut clauses.rule, form, "parse", token.span.start..parser.last_end())
        }
        "records" => records(parser, clauses, &token.span),
        "where" | "filter" => filter(parser, clauses, &keyword),
        "group" => group_by(parser, clauses),
        "every" => duration(parser, &mut clauses.window_ms, "every"),
        "lateness" => duration(parser, &mut clauses.lateness_ms, "lateness"),
        "delay" => duration(parser, &mut clauses.delay_ms, "delay"),
        "grace" => duration(parser, &mut clauses.grace_ms, "grace"),
        "limit" => limit(parser, clauses),
        "having" => shaping::having(parser, clauses, token.span),
        "order" => shaping::order_by(parser, clauses, token.span),
        "topk" => shaping::topk(parser, clauses, token.span),
        "fill" => shaping::fill(parser, clauses, &token.span),
        "offset" => {
            let (offset_ms, _) = shaping::offset(parser)?;
            put(&mut clauses.offset, offset_ms, "offset", token.span)
        }
        "since" => since(parser, clauses),
        "timezone" => text(parser, &mut clauses.timezone, "timezone", "a zone in single quotes"),
        "timestamp" => text(parser, &mut clauses.timestamp, "timestamp", "a format in single quotes"),
        "encoding" => text(
            parser,
            &mut clauses.encoding,
            "encoding",
            "a name in single quotes, such as 'gbk'",
        ),
        _ => app(parser, clauses),
    }
}

fn unknown_clause(parser: &Parser, keyword: &str) -> Mistake {
    let span = parser.peek().span.clone();
    let mistake = Mistake::new(span, format!("unknown clause `{}`", parser.text_of(parser.peek())));
    // `gropu by` is two words: its first is compared with `group`.
    let near = nearest(keyword, CLAUSES.into_iter().chain(["group", "order"]));
    match near {
        Some("group") => mistake.hint("did you mean `group by`?"),
        Some("order") => mistake.hint("did you mean `order by`?"),
        Some(near) => mistake.hint(format!("did you mean `{near}`?")),
        None => mistake.hint(format!(
            "a name is given with `as {keyword}`; clauses are: {}",
            CLAUSES.join(", ")
        )),
    }
}

/// Stores a clause's value, once.
pub(super) fn put<T>(place: &mut Placed<T>, value: T, keyword: &str, span: Range<usize>) -> Result<(), Mistake> {
    if place.is_some() {
        return Err(Mistake::new(span, format!("`{keyword}` is given twice")).hint("keep one of them"));
    }
    *place = Some((value, span));
    Ok(())
}

/// `from log '…'`, `from <monitor>`, or `from <time> [to <time>]`.
fn from(parser: &mut Parser, clauses: &mut Clauses, keyword: Range<usize>) -> Result<(), Mistake> {
    let token = parser.peek().clone();
    if parser.is_word("log") && is_name_at_1(parser) {
        parser.advance();
        return log_of(parser, clauses);
    }
    let text_follows = matches!(parser.peek_at(1).kind, TokenKind::Text(_) | TokenKind::QuotedName(..));
    if parser.is_word("log") && text_follows {
        parser.advance();
        let log = parser.text_literal("the log's path in single quotes")?;
        if !log.starts_with('/') {
            let mistake = Mistake::new(token.span.end + 1..parser.last_end(), "a log's path is absolute");
            return Err(mistake.hint("begin it with /, as it is on the hosts"));
        }
        let span = keyword.start..parser.last_end();
        if clauses.log_of.is_some() {
            return Err(Mistake::new(span, "`from log` is given twice").hint("keep one of them"));
        }
        return put(&mut clauses.log, log, "from log", span);
    }
    match token.kind {
        TokenKind::Time | TokenKind::Duration | TokenKind::Text(_) => {
            let from = time(parser)?;
            let to = if parser.take_word("to") {
                Some(time(parser)?)
            } else {
                None
            };
            put(
                &mut clauses.from_to,
                (from, to),
                "from … to",
                keyword.start..parser.last_end(),
            )
        }
        TokenKind::QuotedName(..) => sources(parser, clauses),
        TokenKind::Word if !parser.is_word("log") => sources(parser, clauses),
        _ if parser.take_word("log") => Err(parser.unexpected("the log's path in single quotes")),
        _ => Err(parser.unexpected("`log '/path'` or a time after `from`")),
    }
}

/// Words that stand behind `from log` where its path was forgotten. Others are monitors' names there, `app` too.
const BEHIND_A_LOG: [&str; 9] = [
    "where", "filter", "from", "since", "parse", "group", "every", "order", "having",
];

/// Whether a monitor's name follows the next word: no path, and none of [`BEHIND_A_LOG`].
fn is_name_at_1(parser: &Parser) -> bool {
    let next = parser.peek_at(1);
    match &next.kind {
        TokenKind::QuotedName(name, _) => !name.starts_with('/'),
        TokenKind::Word => !BEHIND_A_LOG.contains(&&*parser.text_of(next).to_ascii_lowercase()),
        _ => false,
    }
}

/// The monitor's name behind `from log`.
fn log_of(parser: &mut Parser, clauses: &mut Clauses) -> Result<(), Mistake> {
    let token = parser.peek().clone();
    let (name, span) = match token.kind {
        TokenKind::QuotedName(name, _) => {
            parser.advance();
            (name, token.span)
        }
        _ => dashed_name(parser),
    };
    if clauses.log.is_some() {
        return Err(Mistake::new(span, "`from log` is given twice").hint("keep one of them"));
    }
    put(&mut clauses.log_of, name, "from log", span)
}

/// `m`, or `m, m offset 7d as last_week`.
fn sources(parser: &mut Parser, clauses: &mut Clauses) -> Result<(), Mistake> {
    let is_second = !clauses.sources.is_empty();
    loop {
        let token = parser.peek().clone();
        let (name, span) = match token.kind {
            TokenKind::QuotedName(name, _) => {
                parser.advance();
                (name, token.span)
            }
            TokenKind::Word => dashed_name(parser),
            _ => return Err(parser.unexpected("a monitor's name")),
        };
        if is_second {
            return Err(Mistake::new(span, "`from` is given twice").hint("keep one of them"));
        }
        clauses.sources.push(shaping::source(parser, name, span)?);
        if !parser.take_symbol(",") {
            return Ok(());
        }
    }
}

/// A time as written: RFC 3339, or a distance before now.
fn time(parser: &mut Parser) -> Result<String, Mistake> {
    let token = parser.peek().clone();
    let written = match &token.kind {
        TokenKind::Time | TokenKind::Duration => parser.text_of(&token).to_owned(),
        TokenKind::Text(text) => text.clone(),
        _ => return Err(parser.unexpected("a time").hint(zone::TIME_HINT)),
    };
    if duration_ms(&written).is_none() && !zone::is_time(&written) {
        let mistake = Mistake::new(token.span, format!("`{written}` is not a time"));
        return Err(mistake.hint(zone::TIME_HINT));
    }
    parser.advance();
    Ok(written)
}

fn since(parser: &mut Parser, clauses: &mut Clauses) -> Result<(), Mistake> {
    let token = parser.peek().clone();
    let written = match &token.kind {
        TokenKind::Duration => parser.text_of(&token).to_owned(),
        TokenKind::Text(text) if duration_ms(text).is_some() => text.clone(),
        TokenKind::Text(_) | TokenKind::Time => {
            return Err(parser
                .unexpected("a duration after `since`")
                .hint("a time is given with `from`"));
        }
        _ => return Err(parser.unexpected("a duration after `since`").hint(DURATION_HINT)),
    };
    parser.advance();
    put(&mut clauses.since, written, "since", token.span)
}

/// `where` and `filter`: all of them must hold.
fn filter(parser: &mut Parser, clauses: &mut Clauses, keyword: &str) -> Result<(), Mistake> {
    let condition = parser.expression()?;
    check::check_condition(&condition, &format!("`{keyword}`"))?;
    parser.count_operator()?;
    clauses.filter = Some(match clauses.filter.take() {
        Some(before) => join(BinaryOp::And, before, condition),
        None => condition,
    });
    Ok(())
}

fn group_by(parser: &mut Parser, clauses: &mut Clauses) -> Result<(), Mistake> {
    if !parser.take_word("by") {
        return Err(parser.unexpected("`by` after `group`"));
    }
    if !clauses.group_by.is_empty() {
        let span = parser.last_end().saturating_sub(2)..parser.last_end();
        return Err(Mistake::new(span, "`group by` is given twice").hint("name all columns in one"));
    }
    loop {
        let (column, span) = parser.column()?;
        let name = alias(parser)?.unwrap_or_else(|| check::column_name(&column));
        if clauses.group_by.iter().any(|(group, _)| group.name == name) {
            let mistake = Mistake::new(span, format!("two group columns are named `{name}`"));
            return Err(mistake.hint("drop one, or give it another name with `as`"));
        }
        clauses.group_by.push((GroupColumn { name, column }, span));
        if !parser.take_symbol(",") {
            return Ok(());
        }
    }
}

/// A clause with a duration.
fn duration(parser: &mut Parser, place: &mut Placed<u64>, keyword: &str) -> Result<(), Mistake> {
    let token = parser.peek().clone();
    let written = match &token.kind {
        TokenKind::Duration => parser.text_of(&token),
        TokenKind::Text(text) => text.as_str(),
        _ => {
            return Err(parser
                .unexpected(&format!("a duration after `{keyword}`"))
                .hint(DURATION_HINT));
        }
    };
    let Some(milliseconds) = duration_ms(written) else {
        return Err(Mistake::new(token.span, format!("`{written}` is not a duration")).hint(DURATION_HINT));
    };
    parser.advance();
    put(place, milliseconds, keyword, token.span)
}

fn limit(parser: &mut Parser, clauses: &mut Clauses) -> Result<(), Mistake> {
    let span = parser.peek().span.clone();
    let groups = shaping::number_of_groups(parser, "limit")?;
    put(&mut clauses.limit, groups, "limit", span)
}

/// `records start '…'` or `records continue '…'`.
fn records(parser: &mut Parser, clauses: &mut Clauses, keyword: &Range<usize>) -> Result<(), Mistake> {
    let side = if parser.take_word("start") {
        Side::Start
    } else if parser.take_word("continue") {
        Side::Continue
    } else {
        let mistake = parser.unexpected("`start` or `continue` after `records`");
        return Err(mistake.hint(records::USAGE));
    };
    let span = parser.peek().span.clone();
    let pattern = parser.text_literal("a pattern in single quotes")?;
    let boundary = records::boundary(side, &pattern);
    let boundary = boundary.map_err(|(message, hint)| Mistake::new(span, message).hint(hint))?;
    put(
        &mut clauses.records,
        boundary,
        "records",
        keyword.start..parser.last_end(),
    )
}

/// A clause with a text.
fn text(parser: &mut Parser, place: &mut Placed<String>, keyword: &str, expected: &str) -> Result<(), Mistake> {
    let span = parser.peek().span.clone();
    let text = parser.text_literal(expected)?;
    if text.is_empty() {
        return Err(Mistake::new(span, format!("`{keyword}` is empty")));
    }
    put(place, text, keyword, span)
}

/// `app trade-center` or `app 'trade-center'`: a bare name may have `-` in it, so words next to each other are one.
fn app(parser: &mut Parser, clauses: &mut Clauses) -> Result<(), Mistake> {
    if parser.peek().kind != TokenKind::Word {
        return text(parser, &mut clauses.app, "app", "the application's name");
    }
    let (name, span) = dashed_name(parser);
    put(&mut clauses.app, name, "app", span)
}

/// A word and what follows it after `-` without a blank, as in `trade-center`.
fn dashed_name(parser: &mut Parser) -> (String, Range<usize>) {
    let span = parser.advance().span;
    while parser.is_symbol_at(0, "-") && parser.peek().span.start == parser.last_end() {
        let joined = parser.peek_at(1);
        let is_part = matches!(joined.kind, TokenKind::Word | TokenKind::Number | TokenKind::Duration);
        if !is_part || joined.span.start != parser.peek().span.end {
            break;
        }
        parser.advance();
        parser.advance();
    }
    let span = span.start..parser.last_end();
    (parser.source[span.clone()].to_owned(), span)
}

/// The application that a condition names beyond doubt: `app = 'x'`, alone or joined by `and`.
pub(crate) fn app_of(condition: &Expr) -> Option<&str> {
    match &condition.kind {
        ExprKind::Binary(BinaryOp::And, left, right) => app_of(left).or_else(|| app_of(right)),
        ExprKind::Binary(BinaryOp::Equal, left, right) => match (&left.kind, &right.kind) {
            (ExprKind::Column(Column::Label(label)), ExprKind::Text(app))
            | (ExprKind::Text(app), ExprKind::Column(Column::Label(label)))
                if label == "app" =>
            {
                Some(app)
            }
            _ => None,
        },
        _ => None,
    }
}

/// What both kinds of queries must keep to.
fn check_ranges(clauses: &Clauses) -> Result<(), Mistake> {
    if let (Some((_, since)), Some(_)) = (&clauses.since, &clauses.from_to) {
        let mistake = Mistake::new(since.clone(), "`since` and `from … to` are both given");
        return Err(mistake.hint("keep one of them"));
    }
    if let Some((window_ms, span)) = &clauses.window_ms
        && let Some(fault) = window_fault(*window_ms)
    {
        return Err(Mistake::new(span.clone(), fault).hint(window_hint(*window_ms)));
    }
    Ok(())
}

/// The monitor that the clauses describe.
pub(super) fn monitor(clauses: Clauses) -> Result<Monitor, Mistake> {
    if let Some(star) = clauses.star {
        let mistake = Mistake::new(star, "`select *` belongs to a question, not to a monitor");
        return Err(mistake.hint("name what to compute: select count(), sum(cost)"));
    }
    for output in &clauses.outputs {
        check::check_output(&output.expr)?;
    }
    if let Some((name, span)) = &clauses.timezone {
        zone::check_zone(name).map_err(|(message, hint)| Mistake::new(span.clone(), message).hint(hint))?;
    }
    if let Some((name, span)) = &clauses.encoding {
        Encoding::parse(name).map_err(|error| Mistake::new(span.clone(), error.to_string()))?;
    }
    let (path, span) = clauses.log.clone().unwrap_or_default();
    let path = LogPath::parse(&path).map_err(|error| Mistake::new(span, error.to_string()))?;
    let parse = match &clauses.rule {
        Some((form, span)) => form.build().map_err(|message| Mistake::new(span.clone(), message))?,
        None => None,
    };
    if let Some(rule) = &parse {
        let groups = clauses
            .group_by
            .iter()
            .map(|(group, span)| (&group.column, span.clone()));
        let exprs = clauses.outputs.iter().map(|output| &output.expr).chain(&clauses.filter);
        check_columns(rule, path.names(), exprs, groups)?;
    }
    let app = clauses
        .app
        .map(first)
        .or_else(|| clauses.filter.as_ref().and_then(app_of).map(str::to_owned));
    let range = range(clauses.since, clauses.from_to);
    let stamped = clauses.timestamp.as_ref().map_or(0..0, |(_, span)| span.clone());
    let monitor = Monitor {
        name: QUERY_NAME.to_owned(),
        tenant: None,
        app,
        log: clauses.log.map(first),
        records: clauses.records.map(first),
        parse,
        filter: clauses.filter,
        group_by: clauses.group_by.into_iter().map(first).collect(),
        select: clauses.outputs,
        window_ms: clauses.window_ms.map_or(WINDOW_MS_DEFAULT, first),
        lateness_ms: clauses.lateness_ms.map(first),
        delay_ms: clauses.delay_ms.map(first),
        grace_ms: clauses.grace_ms.map_or(GRACE_MS_DEFAULT, first),
        timezone: clauses.timezone.map(first),
        timestamp: clauses.timestamp.map(first),
        encoding: clauses.encoding.map(first),
        absent: Absent::default(),
        limits: Limits {
            groups: clauses.limit.map_or(GROUPS_DEFAULT, first),
            cpu_us_per_s: None,
            bytes_per_s: None,
        },
        range,
    };
    match monitor.arrival_fault() {
        Some((name, why)) => Err(Mistake::new(
            stamped,
            format!("with `timestamp 'arrival'`, leave out `{name}`: {why}"),
        )),
        None => Ok(monitor),
    }
}

/// The stretch of time that is asked for.
pub(super) fn range(since: Placed<String>, from_to: Placed<(String, Option<String>)>) -> TimeRange {
    let (from, to) = from_to.map(first).map_or((None, None), |(from, to)| (Some(from), to));
    TimeRange {
        from,
        to,
        since: since.map(first),
    }
}

/// A value without its place.
pub(super) fn first<T>((value, _): (T, Range<usize>)) -> T {
    value
}
