//! Checks of a source file as syntax: length of functions, macros and calls that may not stay, tests that do not run.
//!
//! The file is parsed by `syn`, so that a text which merely contains `todo!` is not taken for the macro. Arguments of
//! macros (`assert!(…)`, `proptest! {…}`) are only tokens to `syn`; the same checks look at those tokens.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta, Path};

use super::{Finding, Role};

/// Longest function, from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Shortest message of an `expect` that can say why it cannot fail.
const EXPECT_MESSAGE_CHARS_MIN: usize = 10;
/// Macros that stand for code not yet written, or for a look while debugging.
const MACROS_OF_UNFINISHED_WORK: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// A parsed source file.
pub struct Parsed<'a> {
    /// Path from the workspace root.
    pub path: &'a str,
    /// The text as it stands.
    pub source: &'a str,
    /// The lines with the contents of literals blanked, so that what is left is code and comments.
    pub masked_lines: Vec<String>,
    file: syn::File,
}

impl<'a> Parsed<'a> {
    /// Parses `source`; the error is a finding that says where it does not parse.
    pub fn new(path: &'a str, source: &'a str) -> Result<Self, Finding> {
        let broken = |span: Span, error: &dyn std::fmt::Display| {
            Finding::new(path, span.start().line.max(1), format!("does not parse: {error}"))
        };
        let tokens: TokenStream = source
            .parse()
            .map_err(|error: proc_macro2::LexError| broken(error.span(), &error))?;
        let masked_lines = mask_literals(source, tokens.clone())
            .lines()
            .map(str::to_owned)
            .collect();
        let file = syn::parse2(tokens).map_err(|error| broken(error.span(), &error))?;
        Ok(Self {
            path,
            source,
            masked_lines,
            file,
        })
    }

    /// Files, and folders with a trailing slash, that this file declares as `#[cfg(test)] mod name;`.
    pub fn test_module_paths(&self) -> Vec<String> {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", self.path));
        let stem = name.trim_end_matches(".rs");
        let base = if ["mod", "lib", "main"].contains(&stem) {
            folder.to_owned()
        } else {
            format!("{folder}/{stem}")
        };
        let mut paths = Vec::new();
        for item in &self.file.items {
            let Item::Mod(module) = item else { continue };
            if module.content.is_some() || !only_for_tests(&module.attrs) {
                continue;
            }
            match explicit_path(&module.attrs) {
                Some(explicit) => paths.push(format!("{folder}/{explicit}")),
                None => paths.extend([
                    format!("{base}/{}.rs", module.ident),
                    format!("{base}/{}/", module.ident),
                ]),
            }
        }
        paths
    }
}

/// Findings in one parsed file.
pub fn findings(file: &Parsed<'_>, role: Role) -> Vec<Finding> {
    let mut walk = Walk {
        file,
        role,
        findings: Vec::new(),
    };
    walk.visit_file(&file.file);
    walk.findings
}

struct Walk<'a> {
    file: &'a Parsed<'a>,
    role: Role,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn report(&mut self, at: Span, message: impl Into<String>) {
        self.findings
            .push(Finding::new(self.file.path, at.start().line, message));
    }

    /// Visits an item, as test code if its attributes say so.
    fn within(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let outer = self.role;
        if only_for_tests(attributes) {
            self.role = Role::Test;
        }
        visit(self);
        self.role = outer;
    }

    fn check_function_length(&mut self, name: &Ident, from: Span, to: Span) {
        let lines = to.end().line + 1 - from.start().line;
        if lines > FUNCTION_LINES_MAX {
            let message = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX} are allowed; split it");
            self.report(from, message);
        }
    }

    fn check_method(&mut self, method: &Ident, receiver: Receiver, argument: Argument) {
        if self.role == Role::Test || self.has_reason(method.span()) {
            return;
        }
        let name = method.to_string();
        match name.as_str() {
            "unwrap" | "unwrap_err" => {
                let advice = "use `?`, or `.expect(\"why it cannot fail\")`, or say why in a comment `// reason: …`";
                self.report(method.span(), format!("`.{name}()` without a reason: {advice}"));
            }
            // A parser's own `self.expect(token)` is no `Option::expect`.
            "expect" | "expect_err" if receiver == Receiver::Other && argument == Argument::ShortText => {
                self.report(
                    method.span(),
                    format!("the message of `.{name}()` must say why it cannot fail"),
                );
            }
            _ => {}
        }
    }

    /// Whether a comment on the line of `at`, or right above it, holds `reason:`.
    fn has_reason(&self, at: Span) -> bool {
        let index = at.start().line - 1;
        let lines = &self.file.masked_lines;
        let said = |line: &String| {
            line.split_once("//")
                .is_some_and(|(_, comment)| comment.contains("reason:"))
        };
        let above = lines[..index]
            .iter()
            .rev()
            .take_while(|line| line.trim_start().starts_with("//"));
        lines.get(index).is_some_and(said) || above.into_iter().any(said)
    }

    fn check_macro(&mut self, name: &Ident) {
        if MACROS_OF_UNFINISHED_WORK.iter().any(|banned| name == banned) {
            self.report(name.span(), format!("`{name}!` may not stay"));
        }
    }

    fn check_sleep(&mut self, at: Span) {
        if self.role == Role::Test {
            self.report(
                at,
                "a test waits for a condition with a deadline, never for a while: no `sleep`",
            );
        }
    }

    fn report_ignored_test(&mut self, at: Span) {
        self.report(
            at,
            "no `#[ignore]`: make the test run, or let it say why it skips (`sunfire_tests::skip::skipped`)",
        );
    }

    /// The checks above, on the unparsed tokens of a macro's argument.
    fn check_tokens(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        for (index, tree) in trees.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|before| trees.get(before));
            match tree {
                TokenTree::Group(group) => self.check_tokens(group.stream()),
                TokenTree::Ident(word) => self.check_word(word, before, &trees[index + 1..]),
                TokenTree::Punct(punct) if punct.as_char() == '#' => self.check_attribute_tokens(trees.get(index + 1)),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn check_word(&mut self, word: &Ident, before: Option<&TokenTree>, after: &[TokenTree]) {
        match after.first() {
            Some(TokenTree::Punct(punct)) if punct.as_char() == '!' => self.check_macro(word),
            Some(TokenTree::Group(call)) if call.delimiter() == Delimiter::Parenthesis => match before {
                Some(TokenTree::Punct(punct)) if punct.as_char() == '.' => {
                    self.check_method(word, Receiver::Other, Argument::of_tokens(call));
                }
                _ if word == "sleep" => self.check_sleep(word.span()),
                _ => {}
            },
            Some(TokenTree::Ident(name)) if word == "fn" => {
                if let Some(body) = after.iter().find_map(braces) {
                    self.check_function_length(name, word.span(), body.span_close());
                }
            }
            _ => {}
        }
    }

    fn check_attribute_tokens(&mut self, tree: Option<&TokenTree>) {
        let Some(TokenTree::Group(group)) = tree else { return };
        if let Some(TokenTree::Ident(word)) = group.stream().into_iter().next()
            && word == "ignore"
        {
            self.report_ignored_test(word.span());
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        self.within(&node.attrs, |walk| visit::visit_item_mod(walk, node));
    }

    fn visit_item_impl(&mut self, node: &'ast syn::ItemImpl) {
        self.within(&node.attrs, |walk| visit::visit_item_impl(walk, node));
    }

    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.check_function_length(
            &node.sig.ident,
            node.sig.fn_token.span,
            node.block.brace_token.span.close(),
        );
        self.within(&node.attrs, |walk| visit::visit_item_fn(walk, node));
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.check_function_length(
            &node.sig.ident,
            node.sig.fn_token.span,
            node.block.brace_token.span.close(),
        );
        self.within(&node.attrs, |walk| visit::visit_impl_item_fn(walk, node));
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        if let Some(body) = &node.default {
            self.check_function_length(&node.sig.ident, node.sig.fn_token.span, body.brace_token.span.close());
        }
        self.within(&node.attrs, |walk| visit::visit_trait_item_fn(walk, node));
    }

    fn visit_attribute(&mut self, node: &'ast Attribute) {
        let conditional = node.path().is_ident("cfg_attr") && meta_has_word(&node.meta, "ignore");
        if let Some(word) = node.path().get_ident()
            && (word == "ignore" || conditional)
        {
            self.report_ignored_test(word.span());
        }
        visit::visit_attribute(self, node);
    }

    fn visit_expr_method_call(&mut self, node: &'ast syn::ExprMethodCall) {
        let receiver = match &*node.receiver {
            Expr::Path(path) if path.path.is_ident("self") => Receiver::Itself,
            _ => Receiver::Other,
        };
        let argument = node.args.first().map_or(Argument::Other, Argument::of_expression);
        self.check_method(&node.method, receiver, argument);
        visit::visit_expr_method_call(self, node);
    }

    fn visit_expr_call(&mut self, node: &'ast syn::ExprCall) {
        if let Expr::Path(function) = &*node.func
            && is_sleep(&function.path)
        {
            let at = function
                .path
                .segments
                .first()
                .map_or_else(Span::call_site, |segment| segment.ident.span());
            self.check_sleep(at);
        }
        visit::visit_expr_call(self, node);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        if let Some(last) = node.path.segments.last() {
            self.check_macro(&last.ident);
        }
        self.check_tokens(node.tokens.clone());
        visit::visit_macro(self, node);
    }
}

/// On what a method is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiver {
    /// `self`
    Itself,
    /// Anything else.
    Other,
}

/// The first argument of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument {
    /// A text too short to say why.
    ShortText,
    /// Anything else.
    Other,
}

impl Argument {
    fn of_expression(expression: &Expr) -> Self {
        match expression {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Self::of_text(&text.value()),
            _ => Self::Other,
        }
    }

    fn of_tokens(arguments: &Group) -> Self {
        syn::parse2::<syn::LitStr>(arguments.stream()).map_or(Self::Other, |text| Self::of_text(&text.value()))
    }

    fn of_text(text: &str) -> Self {
        if text.trim().chars().count() < EXPECT_MESSAGE_CHARS_MIN {
            Self::ShortText
        } else {
            Self::Other
        }
    }
}

fn braces(tree: &TokenTree) -> Option<&Group> {
    match tree {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

/// `sleep(…)`, `thread::sleep(…)`, `tokio::time::sleep(…)`; not `clock::sleep(…)`, which may be simulated.
fn is_sleep(path: &Path) -> bool {
    let words: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    match words.as_slice() {
        [name] => name == "sleep",
        [.., module, name] => name == "sleep" && (module == "thread" || module == "time"),
        [] => false,
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`, `#[cfg(any(test, …))]`, but not `#[cfg(not(test))]`.
fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let name = attribute
            .path()
            .segments
            .last()
            .map(|segment| segment.ident.to_string());
        match name.as_deref() {
            Some("test") => true,
            Some("cfg") => meta_has_word(&attribute.meta, "test") && !meta_has_word(&attribute.meta, "not"),
            _ => false,
        }
    })
}

fn meta_has_word(meta: &Meta, word: &str) -> bool {
    fn has(tokens: TokenStream, word: &str) -> bool {
        tokens.into_iter().any(|tree| match tree {
            TokenTree::Ident(ident) => ident == word,
            TokenTree::Group(group) => has(group.stream(), word),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    matches!(meta, Meta::List(list) if has(list.tokens.clone(), word))
}

/// The file named by `#[path = "…"]`.
fn explicit_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// `source` with every character inside a literal replaced by a blank, line ends kept. Doc comments, which the lexer
/// turns into literals too, stay.
fn mask_literals(source: &str, tokens: TokenStream) -> String {
    let mut masked = source.as_bytes().to_vec();
    let mut pending = vec![tokens];
    while let Some(tokens) = pending.pop() {
        for tree in tokens {
            match tree {
                TokenTree::Group(group) => pending.push(group.stream()),
                TokenTree::Literal(literal) => {
                    let range = literal.span().byte_range();
                    let is_comment = source.get(range.clone()).is_some_and(|text| text.starts_with('/'));
                    for byte in masked.get_mut(range).into_iter().flatten() {
                        if !is_comment && *byte != b'\n' {
                            *byte = b' ';
                        }
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
    String::from_utf8_lossy(&masked).into_owned()
}

#[cfg(test)]
mod tests;
