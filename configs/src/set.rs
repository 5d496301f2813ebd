//! Documents together: names that clash, and names that lead nowhere.

use crate::Document;
use crate::diagnostic::{Diagnostic, Mistake};
use crate::nearest::nearest;
use crate::yaml::Placed;
use std::collections::HashMap;

/// Documents with where they come from.
#[derive(Default)]
pub(crate) struct Set {
    members: Vec<Member>,
    /// Place of the first document of each kind and name.
    first: HashMap<(&'static str, String), String>,
    /// Documents that have another's name.
    pub(crate) clashes: Vec<Diagnostic>,
}

struct Member {
    document: Document,
    /// A diagnostic at the document's name, still without a message.
    place: Diagnostic,
}

impl Set {
    /// Adds a file's documents, noting those whose name is taken.
    pub(crate) fn add(&mut self, file: &str, text: &str, placed: Vec<Placed>) {
        for Placed { document, name_span } in placed {
            let (kind, name) = (document.kind(), document.name().to_owned());
            let place = Diagnostic::in_text(Some(file), text, Mistake::new(name_span, ""));
            let written = format!("{file}:{}:{}", place.line, place.column);
            match self.first.get(&(kind, name.clone())) {
                Some(first) => self.clashes.push(Diagnostic {
                    message: format!("two {kind}s are named `{name}`"),
                    hint: Some(format!("the first is at {first}; rename one of them")),
                    ..place
                }),
                None => {
                    self.first.insert((kind, name), written);
                    self.members.push(Member { document, place });
                }
            }
        }
    }

    pub(crate) fn into_documents(self) -> Vec<Document> {
        self.members.into_iter().map(|member| member.document).collect()
    }
}

/// What works and is probably not meant: monitors of applications that the set doesn't have, or without a log.
pub(crate) fn check_set(set: &Set) -> Vec<Diagnostic> {
    let apps: Vec<&str> = set
        .members
        .iter()
        .filter_map(|member| match &member.document {
            Document::App(app) => Some(app.name.as_str()),
            Document::Monitor(_) | Document::Agent(_) => None,
        })
        .collect();
    let mut warnings = Vec::new();
    for Member { document, place } in &set.members {
        let Document::Monitor(monitor) = document else { continue };
        if let Some(app) = monitor.app.as_deref().filter(|app| !apps.contains(app)) {
            let hint = match nearest(app, apps.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add a document `kind: app` with `name: {app}`"),
            };
            let message = format!(
                "the monitor `{}` reads the app `{app}`, which is not here",
                monitor.name
            );
            warnings.push(Diagnostic {
                message,
                hint: Some(hint),
                ..place.clone()
            });
        }
        if monitor.log.is_none() {
            let message = format!("the monitor `{}` names no `log`, so it reads nothing", monitor.name);
            warnings.push(Diagnostic {
                message,
                hint: Some("add a line `log: /…`".to_owned()),
                ..place.clone()
            });
        }
    }
    warnings
}
