//! Patterns that are a chain: literals and runs of bytes of a class, one behind the other, such as
//! `op=(?<op>\w+)\|cost=(?<cost>\d+)`.
//!
//! Most patterns that people write for logs are one. Where no run can take the byte that what follows begins with, a
//! match from a given place is decided by going forward once, each run as far as it reaches: to give bytes back could
//! never help. So the first place from which the chain goes through is the match that a regular expression finds, with
//! the same groups. Places to begin are where the first literal stands. What a chain can't say is left to the engine of
//! `regex`, and so is a text in which beginning again and again would cost more than one pass.

use bytefind::near;
use memchr::memmem;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Links of a chain at most; a longer pattern was made by a program.
const LINKS_MAX: usize = 64;

/// Steps of a search, as multiples of the text's length, before it is left to the engine: keeps it linear.
const STEPS_MAX: usize = 4;

/// A set of bytes.
type Set = [bool; 256];

/// One link.
#[derive(Debug, Clone)]
enum Link {
    Literal(Box<[u8]>),
    Run(Run),
    /// A group begins or ends.
    Open(usize),
    Close(usize),
    /// The end of the text.
    End,
}

/// Bytes of a class, as many as there are.
#[derive(Debug, Clone)]
struct Run {
    set: Box<Set>,
    least: usize,
    most: usize,
    /// The only byte that ends it, if it is only one.
    stop: Option<u8>,
}

/// Where a search may begin.
#[derive(Debug, Clone)]
enum Beginning {
    /// At the text's beginning only.
    Text,
    /// Where the first literal stands.
    Literal(Box<memmem::Finder<'static>>),
}

/// A pattern as a chain.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    beginning: Beginning,
    links: Vec<Link>,
}

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// A match; its groups are where they were asked for.
    Match,
    NoMatch,
    /// The engine must decide.
    Undecided,
}

impl Chain {
    /// The chain that a pattern without Unicode tables is; `None` if it is none.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
        let mut links = Vec::new();
        let is_anchored = add(&parser.parse(pattern).ok()?, &mut links)?;
        if links.len() > LINKS_MAX || !is_decided_forward(&links) {
            return None;
        }
        let first = links
            .iter()
            .find(|link| !matches!(link, Link::Open(_) | Link::Close(_)))?;
        let beginning = match first {
            _ if is_anchored => Beginning::Text,
            Link::Literal(literal) => Beginning::Literal(Box::new(memmem::Finder::new(literal).into_owned())),
            Link::Run(_) | Link::Open(_) | Link::Close(_) | Link::End => return None,
        };
        Some(Self { beginning, links })
    }

    /// Looks for the first match; `groups` gets where each group begins and ends, and has room for all.
    pub(super) fn search(&self, text: &[u8], groups: &mut [(usize, usize)]) -> Search {
        let mut steps = 0;
        let finder = match &self.beginning {
            Beginning::Text => {
                let is_match = self.go(text, 0, groups, &mut steps).is_some();
                return if is_match { Search::Match } else { Search::NoMatch };
            }
            Beginning::Literal(finder) => finder,
        };
        let mut from = 0;
        while let Some(found) = finder.find(&text[from..]) {
            let at = from + found;
            if self.go(text, at, groups, &mut steps).is_some() {
                return Search::Match;
            }
            if steps > STEPS_MAX * text.len() {
                return Search::Undecided;
            }
            from = at + 1;
        }
        Search::NoMatch
    }

    /// Follows the chain from a place; where it ends.
    #[inline]
    fn go(&self, text: &[u8], from: usize, groups: &mut [(usize, usize)], steps: &mut usize) -> Option<usize> {
        let mut at = from;
        for link in &self.links {
            match link {
                Link::Literal(literal) => {
                    if !text[at..].starts_with(literal) {
                        *steps += at - from + 1;
                        return None;
                    }
                    at += literal.len();
                }
                Link::Run(run) => {
                    let len = run.len(&text[at..]);
                    at += len;
                    if len < run.least {
                        *steps += at - from + 1;
                        return None;
                    }
                }
                Link::Open(group) => groups[*group].0 = at,
                Link::Close(group) => groups[*group].1 = at,
                Link::End if at == text.len() => {}
                Link::End => {
                    *steps += at - from + 1;
                    return None;
                }
            }
        }
        Some(at)
    }
}

impl Run {
    fn new(set: Set, least: u32, most: Option<u32>) -> Self {
        let mut others = (0..=u8::MAX).filter(|byte| !set[usize::from(*byte)]);
        let stop = others.next().filter(|_| others.next().is_none());
        Self {
            set: Box::new(set),
            least: least as usize,
            most: most.map_or(usize::MAX, |most| most as usize),
            stop,
        }
    }

    /// How far it reaches.
    #[inline]
    fn len(&self, text: &[u8]) -> usize {
        let text = &text[..text.len().min(self.most)];
        match self.stop {
            Some(stop) => near(stop, text).unwrap_or(text.len()),
            None => (text.iter().position(|byte| !self.set[usize::from(*byte)])).unwrap_or(text.len()),
        }
    }
}

/// Appends the links of an expression; whether it begins with the text's beginning. `None` if it has no links.
fn add(hir: &Hir, links: &mut Vec<Link>) -> Option<bool> {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => links.push(Link::Literal(literal.0.clone())),
        HirKind::Class(_) => links.push(Link::Run(Run::new(set(hir)?, 1, Some(1)))),
        HirKind::Repetition(Repetition { min, max, greedy, sub }) => {
            if !greedy && *max != Some(*min) {
                return None;
            }
            links.push(Link::Run(Run::new(set(sub)?, *min, *max)));
        }
        HirKind::Capture(capture) => {
            let group = capture.index as usize;
            links.push(Link::Open(group));
            // An anchor within a group is a rare thing to write.
            if add(&capture.sub, links)? {
                return None;
            }
            links.push(Link::Close(group));
        }
        HirKind::Look(Look::End) => links.push(Link::End),
        HirKind::Look(Look::Start) if links.is_empty() => return Some(true),
        HirKind::Concat(parts) => {
            let mut is_anchored = false;
            for (index, part) in parts.iter().enumerate() {
                let anchors = add(part, links)?;
                if anchors && index > 0 {
                    return None;
                }
                is_anchored |= anchors;
            }
            return Some(is_anchored);
        }
        HirKind::Look(_) | HirKind::Alternation(_) => return None,
    }
    Some(false)
}

/// The bytes that a class, or a literal of one byte, stands for.
fn set(hir: &Hir) -> Option<Set> {
    let mut set = [false; 256];
    match hir.kind() {
        HirKind::Literal(literal) if literal.0.len() == 1 => set[usize::from(literal.0[0])] = true,
        HirKind::Class(Class::Bytes(class)) => {
            for range in class.ranges() {
                set[usize::from(range.start())..=usize::from(range.end())].fill(true);
            }
        }
        _ => return None,
    }
    Some(set)
}

/// Whether no run of open length can take a byte with which what follows it may begin.
fn is_decided_forward(links: &[Link]) -> bool {
    (links.iter().enumerate()).all(|(index, link)| match link {
        Link::Run(run) if run.least != run.most => is_disjoint(&run.set, &links[index + 1..]),
        _ => true,
    })
}

fn is_disjoint(set: &Set, behind: &[Link]) -> bool {
    for link in behind {
        match link {
            Link::Open(_) | Link::Close(_) => {}
            Link::Literal(literal) => return !set[usize::from(literal[0])],
            Link::End => return true,
            Link::Run(run) => {
                if set.iter().zip(run.set.iter()).any(|(one, other)| *one && *other) {
                    return false;
                }
                if run.least > 0 {
                    return true;
                }
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::bytes::RegexBuilder;

    /// Both ways to search agree in whether there is a match and in its groups.
    #[track_caller]
    fn check(pattern: &str, text: &[u8]) {
        let Some(chain) = Chain::new(pattern) else { return };
        let regex = RegexBuilder::new(pattern)
            .unicode(false)
            .build()
            .expect("it was parsed");
        let mut groups = vec![(0, 0); regex.captures_len()];
        let found = chain.search(text, &mut groups);
        let expected = regex.captures(text);
        match (found, &expected) {
            (Search::Undecided, _) | (Search::NoMatch, None) => {}
            (Search::Match, Some(captures)) => {
                for (group, &(start, end)) in groups.iter().enumerate().skip(1) {
                    let range = captures.get(group).map(|found| (found.start(), found.end()));
                    assert_eq!(
                        Some((start, end)),
                        range,
                        "group {group} of {pattern} in {}",
                        text.escape_ascii()
                    );
                }
            }
            _ => panic!("{pattern} in {}: {found:?}, not {expected:?}", text.escape_ascii()),
        }
    }

    #[track_caller]
    fn check_is_chain(pattern: &str, expected: bool) {
        assert_eq!(Chain::new(pattern).is_some(), expected, "{pattern}");
    }

    #[test]
    fn chains() {
        check_is_chain(r"op=(?<op>\w+)\|result=\w+\|cost=(?<cost>\d+)", true);
        check_is_chain(r#"^(?<a>\S+) - \S+ \[[^\]]+\] "(?<m>[A-Z]+) "#, true);
        check_is_chain(r"cost=(?<cost>\d{1,3}(ms)?)", false);
        check_is_chain(r"a(?<x>b*)", true);
        check_is_chain(r"t=(?<x>[^|]*)$", true);
        // What follows may begin with what the run takes.
        check_is_chain(r"a=(?<x>\w+)b", false);
        check_is_chain(r"a=(?<x>\w+)\d", false);
        check_is_chain(r"a=(?<x>\w+)-?\d", false);
        check_is_chain(r"a=(?<x>\w{3})\d", true);
        check_is_chain(r"a=(?<x>.*?);", false);
        check_is_chain(r"(?<x>\w+) b", false);
        check_is_chain(r"a|(?<x>b)", false);
        check_is_chain(r"\ba(?<x>b)", false);
        check_is_chain(r"(?m)^a(?<x>b)", false);
    }

    #[test]
    fn a_search_stays_linear() {
        let text = [&b"a".repeat(100_000)[..], b"|"].concat();
        let chain = Chain::new(r"a(?<x>\w*)=").expect("a chain");
        assert_eq!(chain.search(&text, &mut [(0, 0); 2]), Search::Undecided);
    }

    proptest! {
        #[test]
        fn a_chain_finds_what_the_engine_finds(
            pattern in prop::sample::select(&[
                r"a(?<x>b*)", r"ab(?<x>[^c]+)c", r"a(?<x>[bc]+)(?<y>a)", r"^(?<x>[ab]*)c", r"a(?<x>b?)(?<y>c*)$",
                r"(a)(?<x>[^a]{2})a", r"aa(?<x>b{1,2})c", r"(?i)a(?<x>[bc]{2})", r"a(?<x>(b+)c)", r"a(?<x>.)b",
                r"aba(?<x>[^b]*)", r"a(?<x>[^\n]*)$", r"ca(?<x>b{0,1})a", r"a(?<x>b{2,})c",
            ][..]),
            text in "[abc\n]{0,24}",
        ) {
            check(pattern, text.as_bytes());
        }

        #[test]
        fn chains_made_at_random(
            parts in prop::collection::vec(
                prop::sample::select(
                    &["a", "ab", "[bc]+", "(c*)", "(?<x>[^a]+)", "b{1,2}", "[ab]{2}", ".", "$", "^", "c?"][..],
                ),
                1..6,
            ),
            text in "[abc\n]{0,16}",
        ) {
            let mut pattern = parts.concat();
            // A name may stand once.
            while pattern.matches("?<x>").count() > 1 {
                pattern = pattern.replacen("?<x>", "", 1);
            }
            check(&pattern, text.as_bytes());
        }
    }
}
