//! The YAML documents of the ConfigDB, and nodes' own files: several documents a file, each of a kind or a role, with
//! all mistakes told at once.
//!
//! A file is cut at its document marks, so that a broken document hides no other; each becomes a tree of placed nodes
//! (`node`), that a raw model (`de`, `field`, `raw`), and that a validated value (`monitor`, `app`).

mod app;
mod configdb;
mod de;
mod drain;
mod field;
mod locate;
mod monitor;
mod node;
mod nodes;
mod raw;
mod raw_node;
mod reading;
mod role;
pub(crate) mod schema;
mod tenant;
#[cfg(test)]
mod tests;
mod tls;

use crate::Document;
use crate::diagnostic::{Diagnostic, Lines, Mistake};
use crate::nearest::suggest;
use crate::node::Node as ConfiguredNode;
use node::{Node, NodeValue};
use raw::{KINDS, ROLES};
use reading::Reading;
use std::ops::Range;
use std::sync::Arc;

/// The largest file that is read: 10 000 hosts are a tenth of it.
pub(crate) const FILE_BYTES_MAX: usize = 16 << 20;

/// Mistakes told one by one of a file; of the rest, their number. Who made more has made one many times.
const MISTAKES_MAX: usize = 100;

/// A document and where its name stands.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) document: Document,
    /// Where to point when it clashes with another.
    pub(crate) name_span: Range<usize>,
    /// Where it stands in its file, with what is around it up to the marks.
    pub(crate) range: Range<usize>,
}

/// Reads all documents of a file's text; `Err` has every mistake, and what could be read in spite of them.
pub(crate) fn documents(file_name: &str, text: &str) -> (Vec<Placed>, Vec<Diagnostic>) {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file is larger than {FILE_BYTES_MAX} bytes; split it");
        return (Vec::new(), vec![Diagnostic::of_file(file_name, message, None)]);
    }
    let mut reading = Reading {
        file: text,
        mistakes: Vec::new(),
    };
    let mut placed = Vec::new();
    for range in document_ranges(text) {
        let before = reading.mistakes.len();
        let document = match node::document(text, range.clone()) {
            Ok(Some(node)) => document(&node, &mut reading),
            Ok(None) => None,
            Err(mistake) => {
                reading.note(mistake);
                None
            }
        };
        if reading.mistakes.len() == before {
            placed.extend(document.map(|(document, name_span)| Placed {
                document,
                name_span,
                range,
            }));
        }
    }
    (placed, told(file_name, text, reading.mistakes))
}

/// The first mistakes of a file, in its order, and how many more there are.
fn told(file_name: &str, text: &str, mut mistakes: Vec<Mistake>) -> Vec<Diagnostic> {
    mistakes.sort_by_key(|mistake| mistake.span.start);
    let rest = mistakes.split_off(mistakes.len().min(MISTAKES_MAX));
    let (file, lines): (Arc<str>, Lines) = (file_name.into(), Lines::of(text));
    let place = |mistake| Diagnostic::in_lines(Some(Arc::clone(&file)), text, &lines, mistake);
    let mut told: Vec<Diagnostic> = mistakes.into_iter().map(place).collect();
    if let Some(first) = rest.first() {
        let message = format!("and {} more mistakes from here on", rest.len());
        let mistake = Mistake::new(first.span.clone(), message).hint("mend those above first: many are often one");
        told.push(Diagnostic {
            count: u32::try_from(rest.len()).unwrap_or(u32::MAX),
            ..place(mistake)
        });
    }
    told
}

/// The documents of a file. A line that begins with `---` always begins one, even within a text, and `...` ends one:
/// so says YAML. Directives before a mark are no document.
fn document_ranges(text: &str) -> Vec<Range<usize>> {
    let is_mark = |line: &str, mark: &str| {
        line.strip_prefix(mark)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    };
    let mut starts = vec![0];
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        if is_mark(line, "---") {
            starts.push(position);
        }
        position += line.len();
        if is_mark(line, "...") {
            starts.push(position);
        }
    }
    let ends: Vec<usize> = starts[1..].iter().copied().chain([text.len()]).collect();
    let is_document = |range: &Range<usize>| {
        let mut lines = text[range.clone()]
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        lines.any(|line| !line.starts_with('%') && !is_mark(line, "..."))
    };
    starts
        .into_iter()
        .zip(ends)
        .map(|(start, end)| start..end)
        .filter(is_document)
        .collect()
}

/// One document, by its kind, and where its name stands. It is good only if no mistake was noted.
fn document(node: &Node, reading: &mut Reading) -> Option<(Document, Range<usize>)> {
    let start = start_of(node);
    let NodeValue::Map(map) = &node.value else {
        let mistake = Mistake::new(start, format!("expected keys with values, found {}", node.kind()));
        reading.note(mistake.hint("a document begins with `kind: monitor` or `kind: app`"));
        return None;
    };
    let value_of = |name: &str| {
        map.iter()
            .find(|(key, _)| key.scalar() == Some(name))
            .map(|(_, value)| value)
    };
    if let (None, Some(role)) = (value_of("kind"), value_of("role")) {
        let name_span = value_of("host")
            .or(value_of("node"))
            .map_or(start.clone(), |host| host.span.clone());
        let document = node_file(node, role, reading, start)?;
        return Some((document, name_span));
    }
    let Some(kind) = value_of("kind") else {
        reading.note(missing_kind(map, start));
        return None;
    };
    let name_span = value_of("name").map_or(start.clone(), |name| name.span.clone());
    let document = match kind.scalar() {
        Some("monitor") => {
            let raw = de::from_node(node, &mut reading.mistakes)?;
            Document::Monitor(monitor::monitor(&raw, reading, start))
        }
        Some("app") => {
            let raw = de::from_node(node, &mut reading.mistakes)?;
            Document::App(app::app(&raw, reading, start))
        }
        Some("tenant") => {
            let raw = de::from_node(node, &mut reading.mistakes)?;
            Document::Tenant(tenant::tenant(&raw, reading, &start))
        }
        Some("drain") => {
            let raw = de::from_node(node, &mut reading.mistakes)?;
            Document::Drain(drain::drain(&raw, reading, &start))
        }
        Some(other) => {
            let mistake = Mistake::new(kind.span.clone(), format!("unknown kind `{other}`"));
            reading.note(mistake.hint(suggest(other, "kinds", KINDS)));
            return None;
        }
        None => {
            reading.note(Mistake::new(
                kind.span.clone(),
                format!("expected a kind, found {}", kind.kind()),
            ));
            return None;
        }
    };
    Some((document, name_span))
}

/// A node's own file, by its role.
fn node_file(node: &Node, role: &Node, reading: &mut Reading, start: Range<usize>) -> Option<Document> {
    let mistakes = &mut reading.mistakes;
    let known = match role.scalar() {
        Some("agent") => ConfiguredNode::Agent(role::agent(&de::from_node(node, mistakes)?, reading, start)),
        Some("map") => ConfiguredNode::Map(nodes::map(&de::from_node(node, mistakes)?, reading, start)),
        Some("reduce") => ConfiguredNode::Reduce(nodes::reduce(&de::from_node(node, mistakes)?, reading, start)),
        Some("brain") => ConfiguredNode::Brain(nodes::brain(&de::from_node(node, mistakes)?, reading, start)),
        Some("console") => ConfiguredNode::Console(nodes::console(&de::from_node(node, mistakes)?, reading, start)),
        Some(other) => {
            let mistake = Mistake::new(role.span.clone(), format!("no file is known for the role `{other}`"));
            reading.note(mistake.hint(suggest(other, "roles", ROLES)));
            return None;
        }
        None => {
            let mistake = Mistake::new(role.span.clone(), format!("expected a role, found {}", role.kind()));
            reading.note(mistake);
            return None;
        }
    };
    Some(Document::Node(known))
}

fn missing_kind(map: &[(Node, Node)], start: Range<usize>) -> Mistake {
    let slip = map.iter().find(|(key, _)| {
        key.scalar()
            .is_some_and(|name| crate::nearest::nearest(name, ["kind"]).is_some())
    });
    match slip {
        Some((key, _)) => {
            let mistake = Mistake::new(
                key.span.clone(),
                format!("unknown key `{}`", key.scalar().unwrap_or_default()),
            );
            mistake.hint("did you mean `kind`?")
        }
        None => Mistake::new(start, "the document has no `kind`").hint("add a line `kind: monitor` or `kind: app`"),
    }
}

/// Where to say that something is missing in a document: at its first key.
fn start_of(node: &Node) -> Range<usize> {
    match &node.value {
        NodeValue::Map(map) => map.first().map_or(node.span.clone(), |(key, _)| key.span.clone()),
        _ => node.span.clone(),
    }
}
