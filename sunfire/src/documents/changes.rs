//! What files would change in a ConfigDB, and whether the result would be right.

use crate::exit::Failure;
use configdb::apply::{Edit, Snapshot};
use configs::{Document, Placed, Texts};
use map::plan::Plan;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Reads files, and validates each document by itself.
///
/// # Errors
/// All mistakes.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Placed>, Failure> {
    let read = configs::load_sources(paths.iter().map(PathBuf::as_path));
    let placed = read.map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        mistaken(&told)
    })?;
    let mut told = Vec::new();
    for one in &placed {
        if let Document::Monitor(monitor) = &one.document
            && let Err(error) = Plan::new(monitor)
        {
            told.push(
                one.mistake(format!("it can't be counted: {error}"), "change it")
                    .to_string(),
            );
        }
    }
    if told.is_empty() {
        Ok(placed)
    } else {
        Err(mistaken(&told))
    }
}

fn mistaken(told: &[String]) -> Failure {
    Failure::configuration(format!(
        "{}\n{} mistakes; nothing was written",
        told.join("\n"),
        told.len()
    ))
}

/// What makes a ConfigDB hold these documents: those that are new or others now, applications first; and, if nothing
/// else is to stay, the removal of the rest, last.
pub fn edits(snapshot: &Snapshot, documents: &[Placed], prune: bool) -> Vec<Edit> {
    let put = |placed: &Placed| Edit {
        kind: placed.document.kind().to_owned(),
        name: placed.document.name().to_owned(),
        text: Some(placed.source.text.to_string()),
        origin: origin(&placed.source),
    };
    let is_new = |edit: &Edit| {
        let held = snapshot.find(&edit.kind, &edit.name);
        held.map(|held| &held.text) != edit.text.as_ref()
    };
    let mut edits: Vec<Edit> = documents.iter().map(put).filter(is_new).collect();
    // What monitors read is there before they are.
    edits.sort_by_key(|edit| edit.kind == "monitor");
    if prune {
        let named: BTreeSet<(&str, &str)> = documents
            .iter()
            .map(|placed| (placed.document.kind(), placed.document.name()))
            .collect();
        // Which nodes are drained is nothing that a set of files says: it would give them work again unasked.
        let held = snapshot.held.iter().filter(|held| held.kind != "drain");
        let gone = held.filter(|held| !named.contains(&(held.kind.as_str(), held.name.as_str())));
        edits.extend(gone.map(|held| removal(&held.kind, &held.name)));
    }
    edits
}

/// The removal of a document.
pub fn removal(kind: &str, name: &str) -> Edit {
    Edit {
        kind: kind.to_owned(),
        name: name.to_owned(),
        text: None,
        origin: String::new(),
    }
}

fn origin(source: &configs::Source) -> String {
    let file = Path::new(&*source.file);
    let whole = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    format!("{}:{}", whole.display(), source.line)
}

/// What works in the resulting set and is probably not meant, as far as these edits make it so.
pub fn new_warnings(snapshot: &Snapshot, edits: &[Edit]) -> Vec<String> {
    let mut texts = Texts::default();
    for one in &snapshot.held {
        texts.put(&place(&one.kind, &one.name), (&one.kind, &one.name), one.text.clone());
    }
    let _changed = texts.gather();
    let told = |texts: &Texts| -> BTreeSet<String> {
        configs::check_together(texts.documents())
            .iter()
            .map(|told| told.message.clone())
            .collect()
    };
    let before = told(&texts);
    for edit in edits {
        let at = place(&edit.kind, &edit.name);
        match &edit.text {
            Some(text) => texts.put(&at, (&edit.kind, &edit.name), text.clone()),
            None => texts.remove(&at),
        }
    }
    let _changed = texts.gather();
    told(&texts).difference(&before).cloned().collect()
}

fn place(kind: &str, name: &str) -> String {
    format!("{kind}/{name}")
}
