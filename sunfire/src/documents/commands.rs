//! The commands themselves.

use super::changes::{edits, new_warnings, read, removal};
use super::difference::difference;
use super::folder::{file_of, write};
use super::place::Place;
use super::{ApplyArguments, DeleteArguments, DiffArguments, DrainArguments, GetArguments, HistoryArguments};
use crate::exit::{Exit, Failure};
use configdb::apply::{Edit, Held, Snapshot, Version};
use std::fmt::Write as _;

/// `sunfire apply`.
///
/// # Errors
/// If files have mistakes, the ConfigDB can't be reached, or somebody else changed it meanwhile.
pub fn apply(arguments: &ApplyArguments) -> Result<Exit, Failure> {
    let documents = read(&arguments.paths)?;
    let place = Place::of(&arguments.place)?;
    let snapshot = place.snapshot()?;
    let edits = edits(&snapshot, &documents, arguments.prune);
    commit(&place, &snapshot, edits, documents.len())
}

/// `sunfire delete`.
///
/// # Errors
/// If there is no such document, or as [`apply`].
pub fn delete(arguments: &DeleteArguments) -> Result<Exit, Failure> {
    let place = Place::of(&arguments.place)?;
    let snapshot = place.snapshot()?;
    for name in &arguments.names {
        find(&snapshot, &arguments.kind, name)?;
    }
    let edits = arguments.names.iter().map(|name| removal(&arguments.kind, name));
    commit(&place, &snapshot, edits.collect(), 0)
}

/// `sunfire drain`.
///
/// # Errors
/// If the name can't be one, it is to be undone and is not drained, or as [`apply`].
pub fn drain(arguments: &DrainArguments) -> Result<Exit, Failure> {
    let place = Place::of(&arguments.place)?;
    let snapshot = place.snapshot()?;
    if arguments.undo {
        find(&snapshot, "drain", &arguments.node)?;
        return commit(&place, &snapshot, vec![removal("drain", &arguments.node)], 0);
    }
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let why = arguments.why.as_ref().map(|why| format!("why: {}\n", quoted(why)));
    let text = format!(
        "kind: drain\nname: {}\n{}",
        quoted(&arguments.node),
        why.unwrap_or_default()
    );
    if let Err(mistakes) = configs::load_str("drain", &text) {
        let told: Vec<String> = mistakes.iter().map(|mistake| mistake.message.clone()).collect();
        return Err(Failure::usage(told.join("; ")));
    }
    let held = snapshot.find("drain", &arguments.node);
    let edit = Edit {
        kind: "drain".to_owned(),
        name: arguments.node.clone(),
        text: Some(text),
        origin: "sunfire drain".to_owned(),
    };
    let is_new = held.map(|held| &held.text) != edit.text.as_ref();
    commit(&place, &snapshot, is_new.then_some(edit).into_iter().collect(), 1)
}

fn commit(place: &Place, snapshot: &Snapshot, edits: Vec<Edit>, named: usize) -> Result<Exit, Failure> {
    for warning in new_warnings(snapshot, &edits) {
        eprintln!("warning: {warning}");
    }
    let told: String = edits.iter().fold(String::new(), |mut told, edit| {
        // Writing to a text cannot fail.
        let _told = writeln!(told, "{} {} {}", edit.kind, edit.name, deed(snapshot, edit));
        told
    });
    let same = named.saturating_sub(edits.iter().filter(|edit| edit.text.is_some()).count());
    if !edits.is_empty() {
        place.commit(snapshot, edits)?;
    }
    print!("{told}");
    if same > 0 {
        eprintln!("{same} documents were as they are already");
    }
    Ok(Exit::Complete)
}

fn deed(snapshot: &Snapshot, edit: &Edit) -> &'static str {
    match (snapshot.find(&edit.kind, &edit.name), &edit.text) {
        (_, None) => "removed",
        (None, Some(_)) => "made",
        (Some(_), Some(_)) => "changed",
    }
}

/// `sunfire diff`.
///
/// # Errors
/// If files have mistakes, or the ConfigDB can't be read.
pub fn diff(arguments: &DiffArguments) -> Result<Exit, Failure> {
    let documents = read(&arguments.paths)?;
    let snapshot = Place::of(&arguments.place)?.snapshot()?;
    for edit in edits(&snapshot, &documents, arguments.prune) {
        let before = snapshot.find(&edit.kind, &edit.name).map(|held| held.text.as_str());
        println!("{} {} would be {}:", edit.kind, edit.name, deed(&snapshot, &edit));
        let after = edit.text.as_deref().unwrap_or_default();
        print!("{}", difference(before.unwrap_or_default(), after));
    }
    Ok(Exit::Complete)
}

/// `sunfire get`.
///
/// # Errors
/// If there is no such document, or the ConfigDB can't be read.
pub fn get(arguments: &GetArguments) -> Result<Exit, Failure> {
    let snapshot = Place::of(&arguments.place)?.snapshot()?;
    if let (Some(kind), Some(name)) = (&arguments.kind, &arguments.name) {
        find(&snapshot, kind, name)?;
    }
    let is_meant = |held: &&Held| {
        let is = |given: &Option<String>, own: &str| given.as_deref().is_none_or(|given| given == own);
        is(&arguments.kind, &held.kind) && is(&arguments.name, &held.name)
    };
    let held: Vec<&Held> = snapshot.held.iter().filter(is_meant).collect();
    if let Some(folder) = &arguments.output {
        for one in &held {
            write(&file_of(folder, &one.kind, &one.name)?, &whole(&one.text))?;
        }
        eprintln!("{} documents are written to {}", held.len(), folder.display());
    } else if arguments.all || arguments.name.is_some() {
        let texts: Vec<String> = held.iter().map(|held| whole(&held.text)).collect();
        print!("{}", texts.join("---\n"));
    } else {
        held.iter().for_each(|held| println!("{} {}", held.kind, held.name));
    }
    Ok(Exit::Complete)
}

/// A text with its last newline.
fn whole(text: &str) -> String {
    format!("{}\n", text.trim_end_matches('\n'))
}

/// `sunfire history`.
///
/// # Errors
/// If there is no such document or version, or etcd can't be reached.
pub fn history(arguments: &HistoryArguments) -> Result<Exit, Failure> {
    let (kind, name) = (&arguments.kind, &arguments.name);
    let versions = Place::of(&arguments.place)?.history(kind, name)?;
    if versions.is_empty() {
        return Err(nothing(&format!("the {kind} `{name}` has no history")));
    }
    let Some(number) = arguments.show else {
        versions.iter().for_each(|version| println!("{}", line(version)));
        return Ok(Exit::Complete);
    };
    let Some(version) = versions.iter().find(|version| version.number == number) else {
        return Err(nothing(&format!(
            "the {kind} `{name}` has no version {number} any more, or not yet"
        )));
    };
    match &version.text {
        Some(text) => print!("{}", whole(text)),
        None => return Err(nothing(&format!("in version {number} the {kind} `{name}` was removed"))),
    }
    Ok(Exit::Complete)
}

fn line(version: &Version) -> String {
    let at = jiff::Timestamp::from_nanosecond(version.at_ns.into()).unwrap_or_default();
    let did = match (&version.text, version.origin.as_str()) {
        (None, _) => "removed".to_owned(),
        (Some(_), "") => "written".to_owned(),
        (Some(_), origin) => format!("from {origin}"),
    };
    format!(
        "{}  {}  {}  {did}",
        version.number,
        at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        version.who
    )
}

fn find<'s>(snapshot: &'s Snapshot, kind: &str, name: &str) -> Result<&'s Held, Failure> {
    snapshot.find(kind, name).ok_or_else(|| {
        let names = snapshot
            .held
            .iter()
            .filter(|held| held.kind == kind)
            .map(|held| held.name.as_str());
        let near = configs::nearest(name, names).map(|near| format!("; did you mean `{near}`?"));
        nothing(&format!("there is no {kind} `{name}`{}", near.unwrap_or_default()))
    })
}

fn nothing(message: &str) -> Failure {
    Failure {
        exit: Exit::Failed,
        message: message.to_owned(),
    }
}
