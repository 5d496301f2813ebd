//! The ConfigDB as texts that somebody else fetches, one document each: what is in force, and what is wrong.

use crate::diagnostic::Diagnostic;
use crate::directory::parse;
use crate::documents::{Gathered, Placed, Wholeness};
use crate::last::{Last, Parsed};
use crate::set::Member;
use crate::watched::Poll;
use std::collections::{BTreeMap, BTreeSet};

/// Texts by where they are kept, each with the last good document that it had.
#[derive(Default)]
pub struct Texts {
    kept: BTreeMap<String, Last<Vec<Member>>>,
    /// Texts that the process gives itself; where one claims a name that is kept, the kept one counts.
    own: Vec<Parsed<Vec<Member>>>,
    troubles: Vec<Diagnostic>,
    gathered: Gathered,
    is_changed: bool,
}

impl Texts {
    /// Nothing but texts that are always there, by name.
    pub fn new(own: &[(String, String)]) -> Texts {
        Texts {
            own: own.iter().map(|(name, text)| parse(name, text)).collect(),
            is_changed: true,
            ..Texts::default()
        }
    }

    /// A text as it is now. It should hold one document, of this kind and name.
    pub fn put(&mut self, place: &str, (kind, name): (&str, &str), text: String) {
        let last = self.kept.entry(place.to_owned()).or_default();
        let poll = last.take(text, |text| only(parse(place, text), (place, kind, name)));
        self.is_changed |= poll == Poll::Changed;
    }

    /// A text is gone, and its document with it.
    pub fn remove(&mut self, place: &str) {
        self.is_changed |= self.kept.remove(place).is_some();
    }

    /// All texts but these are gone.
    pub fn retain(&mut self, places: &BTreeSet<&str>) {
        let before = self.kept.len();
        self.kept.retain(|place, _| places.contains(place.as_str()));
        self.is_changed |= self.kept.len() != before;
    }

    /// What keeps texts from being fetched, told beside the mistakes in them.
    pub fn troubled(&mut self, what: &str, messages: &[(String, String)]) {
        let trouble =
            |(message, hint): &(String, String)| Diagnostic::of_file(what, message.clone(), Some(hint.clone()));
        let troubles: Vec<Diagnostic> = messages.iter().map(trouble).collect();
        self.is_changed |= troubles != self.troubles;
        self.troubles = troubles;
    }

    /// Puts the texts together, if something changed.
    pub fn gather(&mut self) -> Poll {
        if !std::mem::replace(&mut self.is_changed, false) {
            return Poll::Same;
        }
        let kept = self.kept.values().filter_map(Last::value).flatten();
        let members = kept.chain(self.own.iter().flat_map(|text| &text.value));
        let mistakes = self.kept.values().flat_map(Last::mistakes);
        let own = self.own.iter().flat_map(|text| &text.mistakes);
        self.gathered = Gathered::of(members, self.troubles.iter().chain(mistakes).chain(own));
        Poll::Changed
    }

    /// The documents in force when they were last gathered, by place.
    pub fn documents(&self) -> &[Placed] {
        &self.gathered.documents
    }

    /// What was wrong then.
    pub fn mistakes(&self) -> &[Diagnostic] {
        &self.gathered.mistakes
    }

    /// Whether of every text one without mistake is in force.
    pub fn wholeness(&self) -> Wholeness {
        Wholeness::whole_if(self.kept.values().all(Last::is_whole))
    }
}

/// Notes what makes a text another document than the one that is looked for in its place.
fn only(mut parsed: Parsed<Vec<Member>>, (place, kind, name): (&str, &str, &str)) -> Parsed<Vec<Member>> {
    let is_meant = |member: &Member| (member.document.kind(), member.document.name()) == (kind, name);
    parsed.value.retain(|member| {
        let is_kept = is_meant(member);
        if !is_kept {
            parsed.mistakes.push(Diagnostic {
                message: format!("the {kind} `{name}` should stand here, and nothing else"),
                hint: Some("write documents by `sunfire apply`, which puts each in its place".to_owned()),
                ..member.place.clone()
            });
        }
        is_kept
    });
    if parsed.value.is_empty() && parsed.mistakes.is_empty() {
        let message = format!("the {kind} `{name}` should stand here, and nothing does");
        let hint = "remove it by `sunfire delete`, or write it by `sunfire apply`".to_owned();
        parsed.mistakes.push(Diagnostic::of_file(place, message, Some(hint)));
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "kind: app\nname: shop\nhosts: []\n";

    fn seen(texts: &mut Texts) -> (Vec<String>, Vec<String>, Wholeness) {
        let _changed = texts.gather();
        let names = texts.documents().iter().map(|placed| placed.document.name().to_owned());
        let mistakes = texts.mistakes().iter();
        let told = mistakes.map(|told| format!("{}: {}", told.file.as_deref().unwrap_or_default(), told.message));
        (names.collect(), told.collect(), texts.wholeness())
    }

    #[test]
    fn a_broken_text_keeps_its_last_good_document_and_a_removed_one_goes_at_once() {
        let mut texts = Texts::default();
        texts.put("/app/shop", ("app", "shop"), APP.to_owned());
        assert_eq!(seen(&mut texts), (vec!["shop".to_owned()], vec![], Wholeness::Whole));
        assert_eq!(texts.gather(), Poll::Same);
        texts.put(
            "/app/shop",
            ("app", "shop"),
            "kind: app\nname: shop\nhosts: []\nhsots: []\n".to_owned(),
        );
        let (names, mistakes, wholeness) = seen(&mut texts);
        assert_eq!((names, wholeness), (vec!["shop".to_owned()], Wholeness::Whole));
        assert_eq!(mistakes, ["/app/shop: unknown key `hsots`"]);
        texts.remove("/app/shop");
        assert_eq!(seen(&mut texts), (vec![], vec![], Wholeness::Whole));
    }

    #[test]
    fn what_was_never_good_leaves_doubt() {
        let mut texts = Texts::default();
        texts.put("/app/shop", ("app", "shop"), "kind: [".to_owned());
        let (names, mistakes, wholeness) = seen(&mut texts);
        assert_eq!((names, mistakes.len(), wholeness), (vec![], 1, Wholeness::Partial));
    }

    #[test]
    fn a_document_counts_in_its_own_place_only() {
        let mut texts = Texts::new(&[("own".to_owned(), APP.to_owned())]);
        texts.put("/app/pay", ("app", "pay"), APP.to_owned());
        texts.put("/app/void", ("app", "void"), "# nothing\n".to_owned());
        let (names, mistakes, _) = seen(&mut texts);
        assert_eq!(names, ["shop"], "its own, not the misplaced one");
        let expected = [
            "/app/pay: the app `pay` should stand here, and nothing else",
            "/app/void: the app `void` should stand here, and nothing does",
        ];
        assert_eq!(mistakes, expected);
        texts.put("/app/shop", ("app", "shop"), APP.to_owned());
        let (names, mistakes, _) = seen(&mut texts);
        assert_eq!((names.len(), mistakes.len()), (1, 3), "{mistakes:?}");
        texts.retain(&["/app/shop"].into());
        texts.troubled("etcd", &[("is gone".to_owned(), "start it".to_owned())]);
        assert_eq!(seen(&mut texts).1, ["etcd: is gone", "own: two apps are named `shop`"]);
    }
}
