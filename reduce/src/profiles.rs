//! What Maps have learned of their inputs (F8), on its way to the Brain, which keeps it, and back.
//!
//! A Map proposes a profile once. Here it is remembered for whoever reads the host next, and waits until a Brain says
//! that it heard of it. What is lost on the way all the same, with a Reduce that ended, the Map tells again: it is
//! installed anew then, and sees that nobody knew.

use crate::protocol::{LearnedProfile, ProfileNews};
use map::protocol::{KeptProfile, PROFILES_BYTES_MAX, fitting};
use std::collections::BTreeMap;

/// Profiles that wait for a Brain, the newest: as many as the hosts of the largest installation have logs at a time.
/// One that is dropped is told again, or learned anew.
const WAITING_MAX: usize = 100_000;

/// What is known of the inputs of one version of a monitor, by host.
#[derive(Debug, Default)]
pub struct HostProfiles(BTreeMap<String, Vec<KeptProfile>>);

impl HostProfiles {
    /// Takes what a Map has learned; whether it is new.
    pub fn learn(&mut self, host: &str, profile: KeptProfile) -> bool {
        match self.0.get_mut(host) {
            Some(kept) => profile.join(kept),
            None => profile.join(self.0.entry(host.to_owned()).or_default()),
        }
    }

    /// Takes what a Brain keeps, for hosts that are `expected`; returns what that Brain does not know.
    pub fn give(
        &mut self,
        kept: Vec<(String, Vec<KeptProfile>)>,
        expected: impl Fn(&str) -> bool,
    ) -> Vec<(String, KeptProfile)> {
        self.0.retain(|host, _| expected(host));
        let given: BTreeMap<String, Vec<KeptProfile>> = kept.into_iter().filter(|(host, _)| expected(host)).collect();
        let mut unknown = Vec::new();
        for (host, profiles) in &self.0 {
            let given = given.get(host).map_or(&[][..], Vec::as_slice);
            let is_unknown = |profile: &&KeptProfile| !given.contains(profile);
            unknown.extend(profiles.iter().filter(is_unknown).map(|it| (host.clone(), it.clone())));
        }
        for (host, profiles) in given {
            let known = self.0.insert(host.clone(), Vec::new()).unwrap_or_default();
            for profile in profiles.into_iter().chain(known) {
                self.learn(&host, profile);
            }
        }
        unknown
    }

    /// What is known of some hosts, as much as fits into a message.
    pub fn of<'h>(&self, hosts: impl IntoIterator<Item = &'h str>) -> Vec<(String, Vec<KeptProfile>)> {
        let known = hosts.into_iter().filter_map(|host| self.0.get_key_value(host));
        fitting(known.map(|(host, kept)| (host.clone(), kept.as_slice())))
    }
}

/// Of what a profile is: monitor, version, host, generation.
type Place = (String, u64, String, u64);

/// Profiles that no Brain has heard of. The newest of a place wins.
#[derive(Debug)]
pub struct News {
    /// By a number that rises with each that is added.
    waiting: BTreeMap<u64, (Place, KeptProfile)>,
    numbers: BTreeMap<Place, u64>,
    last: u64,
    /// The ticket that was handed out last: the greatest number in that answer.
    handed: Option<u64>,
}

impl News {
    /// None yet. Tickets begin behind `base`, which differs from life to life of the process: an acknowledgement of
    /// another life must not be taken for one of this.
    pub fn new(base: u64) -> Self {
        Self {
            waiting: BTreeMap::new(),
            numbers: BTreeMap::new(),
            last: base,
            handed: None,
        }
    }

    /// Adds what was learned of a host.
    pub fn add(&mut self, (monitor, version, host): (&str, u64, &str), profile: KeptProfile) {
        let place = (monitor.to_owned(), version, host.to_owned(), profile.generation);
        self.last += 1;
        if let Some(older) = self.numbers.insert(place.clone(), self.last) {
            self.waiting.remove(&older);
        }
        self.waiting.insert(self.last, (place, profile));
        if self.waiting.len() > WAITING_MAX
            && let Some((_, (place, _))) = self.waiting.pop_first()
        {
            self.numbers.remove(&place);
        }
    }

    /// A Brain has kept all of the answer with this ticket. One that is not the last that was given is of another life,
    /// or of another Brain, and nothing of it is believed.
    pub fn heard(&mut self, ticket: u64) {
        if self.handed != Some(ticket) {
            return;
        }
        // The oldest go out first, so that an answer held all up to its ticket.
        let rest = self.waiting.split_off(&(ticket + 1));
        for (place, _) in std::mem::replace(&mut self.waiting, rest).into_values() {
            self.numbers.remove(&place);
        }
        self.handed = None;
    }

    /// The oldest, as much as fits into a message.
    pub fn hand_out(&mut self) -> ProfileNews {
        let mut room = PROFILES_BYTES_MAX;
        let mut news = ProfileNews::default();
        for (number, ((monitor, version, host, _), profile)) in &self.waiting {
            let bytes = profile.bytes() + monitor.len() + host.len();
            if bytes > room {
                break;
            }
            room -= bytes;
            news.ticket = *number;
            news.learned.push(LearnedProfile {
                monitor: monitor.clone(),
                version: *version,
                host: host.clone(),
                profile: profile.clone(),
            });
        }
        self.handed = (!news.learned.is_empty()).then_some(news.ticket);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::profile;

    fn expect(news: &mut News, expected: &[(&str, u64, u32)]) -> u64 {
        let out = news.hand_out();
        let seen = out.learned.iter();
        let seen: Vec<(&str, u64, u32)> = seen
            .map(|it| (it.host.as_str(), it.profile.generation, it.profile.version))
            .collect();
        assert_eq!(seen, expected);
        out.ticket
    }

    #[test]
    fn news_is_told_until_it_was_heard_and_the_newest_wins() {
        let mut news = News::new(70);
        expect(&mut news, &[]);
        news.add(("pay", 7, "a"), profile(1, 100));
        news.add(("pay", 7, "b"), profile(1, 100));
        let lost = expect(&mut news, &[("a", 1, 100), ("b", 1, 100)]);
        let first = expect(&mut news, &[("a", 1, 100), ("b", 1, 100)]);
        assert_eq!(lost, first);
        // What came meanwhile stays, also in the place of what was handed out.
        news.add(("pay", 7, "a"), profile(1, 200));
        news.heard(first);
        let second = expect(&mut news, &[("a", 1, 200)]);
        news.heard(second + 1);
        news.heard(first);
        expect(&mut news, &[("a", 1, 200)]);
        news.heard(second);
        expect(&mut news, &[]);
        assert!(news.numbers.is_empty() && news.waiting.is_empty());
    }

    #[test]
    fn news_is_bounded_in_number_and_in_an_answer() {
        let mut news = News::new(0);
        for generation in 0..WAITING_MAX as u64 + 3 {
            news.add(("pay", 7, "a"), profile(generation, 100));
        }
        assert_eq!((news.waiting.len(), news.numbers.len()), (WAITING_MAX, WAITING_MAX));
        let mut seen = 0;
        while let Some(last) = news.hand_out().learned.last() {
            let out = news.hand_out();
            let bytes: usize = out.learned.iter().map(|it| it.profile.bytes()).sum();
            assert!(bytes <= PROFILES_BYTES_MAX && out.learned.last() == Some(last));
            seen += out.learned.len();
            news.heard(out.ticket);
        }
        assert_eq!(seen, WAITING_MAX);
    }

    #[test]
    fn what_a_brain_does_not_know_becomes_news_and_what_it_knows_does_not() {
        let mut known = HostProfiles::default();
        assert!(known.learn("a", profile(1, 100)));
        assert!(!known.learn("a", profile(1, 100)));
        assert!(known.learn("a", profile(2, 100)));
        assert!(!known.learn("a", profile(2, 50)), "a smaller version is older");
        assert!(known.learn("gone", profile(1, 100)));
        let given = vec![
            ("a".to_owned(), vec![profile(1, 100), profile(3, 10)]),
            ("b".to_owned(), vec![profile(9, 100)]),
            ("unexpected".to_owned(), vec![profile(9, 100)]),
        ];
        let unknown = known.give(given, |host| host == "a" || host == "b");
        assert_eq!(unknown, [("a".to_owned(), profile(2, 100))]);
        let all = known.of(["a", "b", "gone", "unexpected"]);
        let all: Vec<(&str, Vec<u64>)> = all
            .iter()
            .map(|(host, kept)| (host.as_str(), kept.iter().map(|one| one.generation).collect()))
            .collect();
        assert_eq!(all, [("a", vec![1, 3, 2]), ("b", vec![9])]);
    }
}
