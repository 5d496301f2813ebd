//! What befalls the shop: five minutes that tell what completeness means, then whatever the seed draws.

use super::shop::Log;
use lika::seam::Randomness;

/// How long the told part is; afterwards something is drawn every so often.
const TOLD_S: u64 = 300;
/// Between two things that are drawn, at least and at most.
const DRAWN_EVERY_S: (u64, u64) = (20, 60);

/// Something that befalls a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It loses power.
    Dies,
    /// It has power again.
    ComesBack,
    /// It takes connections and answers none.
    Stalls,
    /// A log of it is emptied in place.
    Truncates(Log),
    /// Its records come late by so many seconds.
    Late(i64),
    /// It is listed.
    Joins,
    /// It is listed no more.
    Leaves,
}

/// A thing, whom it befalls, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// Seconds from the start.
    pub at_s: u64,
    /// Number of the host.
    pub host: usize,
    /// What.
    pub event: Event,
}

impl Happening {
    /// What is said of it, and what to look at.
    pub fn told(&self, name: &str) -> String {
        match self.event {
            Event::Dies => format!("{name} dies: its windows fall below 100 %, and say `unreachable`"),
            Event::ComesBack => format!("{name} is back: what was missed is read from its logs, up to 100 %"),
            Event::Stalls => {
                format!("{name} takes connections and answers none: windows without it, and no wait for it")
            }
            Event::Truncates(log) => {
                format!(
                    "{name}: its {log:?} log is emptied in place; what was lost stays lost, and is said: `bytes_lost`"
                )
            }
            Event::Late(0) => format!("{name}: its records are on time again"),
            Event::Late(seconds) => {
                format!("{name}: its records come {seconds} s late; some windows are corrected by a new revision")
            }
            Event::Joins => format!("{name} joins the shop: one more host is expected from now on"),
            Event::Leaves => format!("{name} leaves the shop: one host less is expected, the past stays"),
        }
    }
}

/// What befalls a shop of so many hosts, of which the last is a spare that joins; without end.
pub fn story(hosts: usize, chance: Randomness) -> impl Iterator<Item = Happening> {
    let told = told(hosts);
    told.into_iter().chain(drawn(hosts, chance))
}

fn told(hosts: usize) -> Vec<Happening> {
    let at = |at_s: u64, host: usize, event: Event| Happening {
        at_s,
        host: host % hosts.max(1),
        event,
    };
    let spare = hosts.saturating_sub(1);
    vec![
        at(30, 6, Event::Dies),
        at(60, 6, Event::ComesBack),
        at(90, 2, Event::Stalls),
        at(115, 2, Event::ComesBack),
        at(135, 4, Event::Truncates(Log::Orders)),
        at(165, spare, Event::Joins),
        at(190, 8, Event::Late(6)),
        at(215, 8, Event::Late(0)),
        at(230, 1, Event::Dies),
        at(232, 3, Event::Dies),
        at(250, 1, Event::ComesBack),
        at(255, 3, Event::ComesBack),
        at(275, spare, Event::Leaves),
    ]
}

/// One thing after the other: each has ended before the next begins.
fn drawn(hosts: usize, chance: Randomness) -> impl Iterator<Item = Happening> {
    let mut at_s = TOLD_S;
    let mut ending: Option<Happening> = None;
    std::iter::from_fn(move || {
        if let Some(end) = ending.take() {
            at_s = end.at_s;
            return Some(end);
        }
        let (least, most) = DRAWN_EVERY_S;
        at_s += least + chance.below(most - least);
        let host = usize::try_from(chance.below(hosts.max(1) as u64)).unwrap_or(0);
        let (event, end) = match chance.below(4) {
            0 => (Event::Stalls, Some(Event::ComesBack)),
            1 => (Event::Truncates(Log::Orders), None),
            2 => (Event::Late(6), Some(Event::Late(0))),
            _ => (Event::Dies, Some(Event::ComesBack)),
        };
        let ends_s = at_s + 10 + chance.below(25);
        ending = end.map(|event| Happening {
            at_s: ends_s,
            host,
            event,
        });
        Some(Happening { at_s, host, event })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_goes_on_in_order_and_whoever_falls_rises_again() {
        let all: Vec<Happening> = story(20, Randomness::seeded(3)).take(200).collect();
        assert!(all.windows(2).all(|pair| pair[0].at_s <= pair[1].at_s));
        let again: Vec<Happening> = story(20, Randomness::seeded(3)).take(200).collect();
        assert_eq!(all, again, "a seed is a story");
        for (place, down) in all.iter().enumerate().take(180) {
            if matches!(down.event, Event::Dies | Event::Stalls) {
                let rises = |later: &Happening| later.host == down.host && later.event == Event::ComesBack;
                assert!(all[place..].iter().any(rises), "{down:?}");
            }
        }
    }
}
