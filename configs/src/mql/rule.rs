//! The `parse` clause: `parse kv('|', '=')`, `parse json`, `parse between(cost: 'cost=','ms')`, …

use super::lexer::TokenKind;
use super::parser::Parser;
use crate::diagnostic::Mistake;
use crate::nearest::suggest;
use crate::parse_rule::{FORM_NAMES, RuleForm};

/// Reads the form after `parse`.
pub(super) fn form(parser: &mut Parser) -> Result<RuleForm, Mistake> {
    let token = parser.peek().clone();
    let hint = format!("one of: {}", FORM_NAMES.join(", "));
    if token.kind != TokenKind::Word {
        return Err(parser.unexpected("how to parse").hint(hint));
    }
    let name = parser.text_of(&token).to_ascii_lowercase();
    if !FORM_NAMES.contains(&name.as_str()) {
        let mistake = Mistake::new(token.span, format!("unknown parse form `{name}`"));
        return Err(mistake.hint(suggest(&name, "one of", FORM_NAMES)));
    }
    parser.advance();
    let has_arguments = parser.take_symbol("(");
    match name.as_str() {
        "auto" => bare(parser, has_arguments, RuleForm::Auto, &name),
        "json" => bare(parser, has_arguments, RuleForm::Json, &name),
        "logfmt" => bare(parser, has_arguments, RuleForm::Logfmt, &name),
        "clf" => bare(parser, has_arguments, RuleForm::Clf, &name),
        "nginx" if !has_arguments => Ok(RuleForm::Nginx(None)),
        _ if !has_arguments => Err(parser.unexpected(&format!("`(` after `{name}`")).hint(usage(&name))),
        _ => arguments(parser, &name).map_err(|mistake| match mistake.hint {
            None => mistake.hint(usage(&name)),
            Some(_) => mistake,
        }),
    }
}

/// A form that takes no arguments, perhaps with empty parentheses.
fn bare(parser: &mut Parser, has_arguments: bool, form: RuleForm, name: &str) -> Result<RuleForm, Mistake> {
    if has_arguments && !parser.take_symbol(")") {
        return Err(parser.unexpected("`)`").hint(format!("`{name}` takes no arguments")));
    }
    Ok(form)
}

fn usage(name: &str) -> String {
    let usage = match name {
        "kv" => "kv('|', '='), or kv('|', '=', ' - ') to begin after ` - `",
        "split" => "split('|') for $1, $2, …, or split('|', op, cost)",
        "between" => "between(cost: 'cost=','ms', op: '[',']')",
        "grok" => "grok('%{WORD:op} %{NUMBER:cost}')",
        "regex" => "regex('(?<op>\\w+) (?<cost>\\d+)')",
        _ => "nginx, or nginx('$remote_addr - $remote_user [$time_local] …')",
    };
    format!("write {usage}")
}

/// The arguments behind the opening parenthesis, up to and with the closing one.
fn arguments(parser: &mut Parser, name: &str) -> Result<RuleForm, Mistake> {
    let form = match name {
        "kv" => {
            let pair = parser.text_literal("what separates the pairs, in single quotes")?;
            parser.expect_symbol(",", "the pairs' separator")?;
            let assign = parser.text_literal("what separates key and value, in single quotes")?;
            let after = match parser.take_symbol(",") {
                true => Some(parser.text_literal("what the pairs come after, in single quotes")?),
                false => None,
            };
            RuleForm::Kv { pair, assign, after }
        }
        "split" => split(parser)?,
        "between" => between(parser)?,
        "grok" => RuleForm::Grok(parser.text_literal("a pattern in single quotes")?),
        "regex" => RuleForm::Regex(parser.text_literal("a pattern in single quotes")?),
        _ if parser.is_symbol_at(0, ")") => RuleForm::Nginx(None),
        _ => RuleForm::Nginx(Some(parser.text_literal("a log_format in single quotes")?)),
    };
    parser.expect_symbol(")", &format!("the arguments of `{name}`"))?;
    Ok(form)
}

fn split(parser: &mut Parser) -> Result<RuleForm, Mistake> {
    let by = match parser.take_word("whitespace") {
        true => "whitespace".to_owned(),
        false => parser.text_literal("the separator in single quotes")?,
    };
    let mut fields = Vec::new();
    while parser.take_symbol(",") {
        fields.push(field_name(parser)?);
    }
    Ok(RuleForm::Split { by, fields })
}

/// `cost: 'cost=','ms', op: '[',']'`.
fn between(parser: &mut Parser) -> Result<RuleForm, Mistake> {
    let mut fields = Vec::new();
    loop {
        let name = field_name(parser)?;
        parser.expect_symbol(":", "the field's name")?;
        let left = parser.text_literal("the text left of the field, in single quotes")?;
        parser.expect_symbol(",", "the left text")?;
        let right = parser.text_literal("the text right of the field, in single quotes")?;
        fields.push((name, left, right));
        if !parser.take_symbol(",") {
            return Ok(RuleForm::Between(fields));
        }
    }
}

fn field_name(parser: &mut Parser) -> Result<String, Mistake> {
    let token = parser.peek().clone();
    let name = match token.kind {
        TokenKind::Word => parser.text_of(&token).to_owned(),
        TokenKind::QuotedName(name, _) => name,
        TokenKind::Text(name) if !name.is_empty() => name,
        _ => return Err(parser.unexpected("a field's name")),
    };
    parser.advance();
    Ok(name)
}
