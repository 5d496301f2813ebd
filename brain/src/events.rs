//! What happened, for people: the newest events, in order.

use crate::protocol::{EVENTS_MAX, Event};
use std::collections::VecDeque;

/// Longest list of names in one event; a thousand hosts that join are one line, not a page.
const NAMES_MAX: usize = 8;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Config,
    Inventory,
    Topology,
    Repair,
    Node,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Config => "config",
            Kind::Inventory => "inventory",
            Kind::Topology => "topology",
            Kind::Repair => "repair",
            Kind::Node => "node",
        }
    }
}

/// The newest events, at most [`EVENTS_MAX`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Events(VecDeque<Event>);

impl Events {
    pub(crate) fn add(&mut self, t_ns: i64, kind: Kind, text: String) {
        if self.0.len() >= EVENTS_MAX {
            self.0.pop_front();
        }
        tracing::info!(kind = kind.name(), %text, "event");
        let kind = kind.name().to_owned();
        self.0.push_back(Event { t_ns, kind, text });
    }

    pub(crate) fn list(&self) -> Vec<Event> {
        self.0.iter().cloned().collect()
    }
}

/// Names in a row, the rest as a number.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let mut text = names.by_ref().take(NAMES_MAX).collect::<Vec<_>>().join(", ");
    let rest = names.count();
    if rest > 0 {
        text.push_str(&format!(" and {rest} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_events_are_kept() {
        let mut events = Events::default();
        for number in 0..EVENTS_MAX as i64 + 3 {
            events.add(number, Kind::Node, number.to_string());
        }
        let list = events.list();
        assert_eq!(
            (list.len(), list[0].t_ns, list[0].kind.as_str()),
            (EVENTS_MAX, 3, "node")
        );
    }

    #[test]
    fn long_lists_of_names_end_in_a_number() {
        assert_eq!(names(["a", "b"]), "a, b");
        assert_eq!(names(["x"; 11]), "x, x, x, x, x, x, x, x and 3 more");
    }
}
