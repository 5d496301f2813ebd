//! The ConfigDB as whoever plans sees it, wherever it is kept: what is in force, and what is wrong.

use crate::Document;
use crate::diagnostic::Diagnostic;
use crate::set::{Member, Set};
use crate::source::Source;
use crate::watched::Poll;
use std::path::Path;

/// Documents that may change.
pub trait Documents: Send {
    /// Looks for changes. Call it every second or two.
    fn poll(&mut self) -> Poll;

    /// The documents in force, in an order that depends on nothing but where they are kept.
    fn documents(&self) -> &[Placed];

    /// What is wrong.
    fn mistakes(&self) -> &[Diagnostic];

    /// Whether something that is not in force may be meant to be.
    fn wholeness(&self) -> Wholeness;

    /// The folder where relative globs begin of documents that stand in no file.
    fn root(&self) -> &Path;
}

/// A document in force, and where it comes from.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The document.
    pub document: Document,
    /// Where it comes from.
    pub source: Source,
    pub(crate) place: Diagnostic,
}

impl Placed {
    /// A mistake that is told at the document's name.
    pub fn mistake(&self, message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
        Diagnostic {
            message: message.into(),
            hint: Some(hint.into()),
            ..self.place.clone()
        }
    }
}

/// Whether all that should be known is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wholeness {
    /// Of every file a text without mistake is in force, be it an earlier one.
    Whole,
    /// Something was never read without mistake: what is not in force may well be meant to be.
    Partial,
}

impl Wholeness {
    pub(crate) fn whole_if(is_whole: bool) -> Wholeness {
        if is_whole { Wholeness::Whole } else { Wholeness::Partial }
    }
}

/// Documents put together; the first to claim a name has it.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) documents: Vec<Placed>,
    pub(crate) mistakes: Vec<Diagnostic>,
}

impl Gathered {
    /// `told` are the mistakes that are known already.
    pub(crate) fn of<'m>(
        members: impl Iterator<Item = &'m Member>,
        told: impl Iterator<Item = &'m Diagnostic>,
    ) -> Gathered {
        let mut set = Set::default();
        members.for_each(|member| set.add_member(member.clone()));
        let (members, clashes) = set.into_members();
        Gathered {
            documents: members.into_iter().map(Placed::from).collect(),
            mistakes: told.cloned().chain(clashes).collect(),
        }
    }
}

impl From<Member> for Placed {
    fn from(member: Member) -> Placed {
        Placed {
            document: member.document,
            source: member.source,
            place: member.place,
        }
    }
}
