//! Documents together: names that clash, and names that lead nowhere.

use crate::Document;
use crate::diagnostic::{Diagnostic, Lines, Mistake};
use crate::nearest::nearest;
use crate::source::Source;
use crate::yaml::Placed;
use std::collections::HashMap;
use std::sync::Arc;

/// Documents with where they come from.
#[derive(Default)]
pub(crate) struct Set {
    members: Vec<Member>,
    /// Place of the first document of each kind and name.
    first: HashMap<(&'static str, String), String>,
    /// Documents that have another's name.
    pub(crate) clashes: Vec<Diagnostic>,
}

/// A document with where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) document: Document,
    pub(crate) source: Source,
    /// A diagnostic at the document's name, still without a message.
    pub(crate) place: Diagnostic,
}

impl Member {
    /// Of all documents that were read from this text.
    pub(crate) fn all(file: &str, text: &str, placed: Vec<Placed>) -> Vec<Member> {
        let (file, lines): (Arc<str>, Lines) = (file.into(), Lines::of(text));
        let member = |placed: Placed| {
            let name = Mistake::new(placed.name_span, "");
            Member {
                source: Source::of_range(Arc::clone(&file), text, &lines, placed.range),
                document: placed.document,
                place: Diagnostic::in_lines(Some(Arc::clone(&file)), text, &lines, name),
            }
        };
        placed.into_iter().map(member).collect()
    }
}

impl Set {
    /// Adds a file's documents, noting those whose name is taken.
    pub(crate) fn add(&mut self, file: &str, text: &str, placed: Vec<Placed>) {
        for member in Member::all(file, text, placed) {
            self.add_member(member);
        }
    }

    /// Adds a document, or notes that its name is taken: the first one keeps it.
    pub(crate) fn add_member(&mut self, member: Member) {
        let (kind, name) = (member.document.kind(), member.document.name().to_owned());
        match self.first.get(&(kind, name.clone())) {
            Some(first) => self.clashes.push(Diagnostic {
                message: format!("two {kind}s are named `{name}`"),
                hint: Some(format!("the first is at {first}; rename one of them")),
                ..member.place
            }),
            None => {
                let file = member.place.file.as_deref().unwrap_or_default();
                let written = format!("{file}:{}:{}", member.place.line, member.place.column);
                self.first.insert((kind, name), written);
                self.members.push(member);
            }
        }
    }

    pub(crate) fn into_documents(self) -> Vec<Document> {
        self.members.into_iter().map(|member| member.document).collect()
    }

    /// The documents, and where each has its name.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&Document, &Diagnostic)> + Clone {
        self.members.iter().map(|member| (&member.document, &member.place))
    }

    pub(crate) fn into_members(self) -> (Vec<Member>, Vec<Diagnostic>) {
        (self.members, self.clashes)
    }
}

/// What works and is probably not meant: monitors of applications that the set doesn't have, or without a log, and
/// tenants that look like a slip of one that has a document.
pub(crate) fn check_set<'d>(
    documents: impl Iterator<Item = (&'d Document, &'d Diagnostic)> + Clone,
) -> Vec<Diagnostic> {
    let named = |kind: &str| -> Vec<&str> {
        let documents = documents.clone().map(|(document, _)| document);
        let of_kind = documents.filter(|document| document.kind() == kind);
        of_kind.map(Document::name).collect()
    };
    let (apps, tenants) = (named("app"), named("tenant"));
    let mut warnings = Vec::new();
    for (document, place) in documents {
        let mut warn = |message: String, hint: String| {
            warnings.push(Diagnostic {
                message,
                hint: Some(hint),
                ..place.clone()
            });
        };
        let tenant = match document {
            Document::Monitor(monitor) => monitor.tenant.as_deref(),
            Document::App(app) => app.tenant.as_deref(),
            Document::Tenant(_) | Document::Drain(_) | Document::Node(_) => None,
        };
        if let Some(tenant) = tenant.filter(|tenant| !tenants.contains(tenant))
            && let Some(near) = nearest(tenant, tenants.iter().copied())
        {
            let message = format!("the tenant `{tenant}` has no document, so it has no limits");
            warn(message, format!("did you mean `{near}`?"));
        }
        let Document::Monitor(monitor) = document else { continue };
        if let Some(app) = monitor.app.as_deref().filter(|app| !apps.contains(app)) {
            let hint = match nearest(app, apps.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add a document `kind: app` with `name: {app}`"),
            };
            let name = &monitor.name;
            warn(
                format!("the monitor `{name}` reads the app `{app}`, which is not here"),
                hint,
            );
        }
        if monitor.log.is_none() {
            let message = format!("the monitor `{}` names no `log`, so it reads nothing", monitor.name);
            warn(message, "add a line `log: /…`".to_owned());
        }
    }
    warnings
}
