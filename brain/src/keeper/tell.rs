//! What the keeper has to tell people of a poll.

use super::EVERY;
use crate::events::{Kind, names};
use crate::inventory::{Change, History};
use crate::leases::{Leases, Turn};
use configs::{AppHosts, Diagnostic, Poll};
use std::collections::BTreeSet;

/// Most mistakes of one poll that become events; all of them are in the state.
const MISTAKES_MAX: usize = 20;

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Seen {
    mistakes: Vec<Diagnostic>,
    apps: BTreeSet<String>,
}

impl Seen {
    /// Tells mistakes that were not there at the last poll, and applications that came or went.
    pub(super) fn look(
        &mut self,
        of_configdb: &[Diagnostic],
        apps: &[AppHosts],
        events: &mut Vec<(Kind, String)>,
    ) -> Poll {
        let of_apps = apps.iter().flat_map(|app| &app.mistakes);
        let mistakes: Vec<Diagnostic> = of_configdb.iter().chain(of_apps).cloned().collect();
        let app_names: BTreeSet<String> = apps.iter().map(|app| app.app.clone()).collect();
        if mistakes == self.mistakes && app_names == self.apps {
            return Poll::Same;
        }
        let is_new = |told: &&Diagnostic| !self.mistakes.contains(told);
        for told in mistakes.iter().filter(is_new).take(MISTAKES_MAX) {
            events.push((Kind::Config, refusal(told)));
        }
        if mistakes.is_empty() && !self.mistakes.is_empty() {
            events.push((Kind::Config, "all mistakes are mended".to_owned()));
        }
        for (what, one, other) in [("new", &app_names, &self.apps), ("removed", &self.apps, &app_names)] {
            let apps: Vec<&str> = one.difference(other).map(String::as_str).collect();
            if !apps.is_empty() {
                events.push((Kind::Config, format!("{what} apps: {}", names(apps))));
            }
        }
        (self.mistakes, self.apps) = (mistakes, app_names);
        Poll::Changed
    }
}

/// A mistake in words; what belongs to no line is a trouble of the whole.
fn refusal(told: &Diagnostic) -> String {
    let file = told.file.as_deref().unwrap_or_default();
    match told.line {
        0 => format!("trouble: {file}: {}", told.message),
        line => format!("refused: {file}:{line}:{}: {}", told.column, told.message),
    }
}

/// Tells a change of an application's hosts.
pub(super) fn inventory(change: &Change, history: &History, events: &mut Vec<(Kind, String)>) {
    if change.app == EVERY {
        return;
    }
    let known: BTreeSet<&str> = history.hosts(&change.app).map(|target| target.host.as_str()).collect();
    let named = change.joined.iter().map(|target| target.host.as_str());
    let (moved, joined): (Vec<&str>, Vec<&str>) = named.partition(|host| known.contains(host));
    let left: Vec<&str> = change.left.iter().map(String::as_str).collect();
    for (what, hosts) in [
        ("joined", joined),
        ("have another address or label", moved),
        ("left", left),
    ] {
        if !hosts.is_empty() {
            let text = format!("hosts of {} {what}: {}", change.app, names(hosts));
            events.push((Kind::Inventory, text));
        }
    }
}

/// A turn in words; `leases` are those before it.
pub(super) fn turn(turn: &Turn, leases: &Leases, now_ns: i64) -> String {
    match turn {
        Turn::End { monitor, .. } => format!("monitor {monitor} removed"),
        Turn::Begin { monitor, .. } if leases.of_monitor(monitor).is_empty() => format!("new monitor {monitor}"),
        Turn::Begin { monitor, from_ns, .. } => {
            let ahead_s = (from_ns - now_ns).max(0) / 1_000_000_000;
            format!("monitor {monitor} changed; its new version begins at a window's edge in {ahead_s} s")
        }
    }
}
