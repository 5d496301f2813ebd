//! What the keeper has to tell people of a poll.

use super::EVERY;
use crate::events::{Kind, names};
use crate::inventory::{Change, History};
use crate::leases::{Leases, Turn};
use crate::protocol::{MISTAKES_MAX, Mistake};
use configs::{AppHosts, Diagnostic, Poll};
use std::collections::{BTreeSet, HashSet};

/// Most mistakes of one poll that become events, and then how many more; the state has more of them.
const EVENTS_MAX: usize = 20;

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
        let mistakes = of_configdb.iter().chain(of_apps);
        let app_names: BTreeSet<String> = apps.iter().map(|app| app.app.clone()).collect();
        if mistakes.clone().eq(&self.mistakes) && app_names == self.apps {
            return Poll::Same;
        }
        let mistakes: Vec<Diagnostic> = mistakes.cloned().collect();
        let known: HashSet<&Diagnostic> = self.mistakes.iter().collect();
        let mut new = mistakes.iter().filter(|told| !known.contains(told));
        for told in new.by_ref().take(EVENTS_MAX) {
            events.push((Kind::Config, refusal(told)));
        }
        let rest: u64 = new.map(|told| u64::from(told.count)).sum();
        if rest > 0 {
            events.push((
                Kind::Config,
                format!("refused: {rest} more mistakes: see `sunfire status`"),
            ));
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

/// Mistakes as the state has them.
pub(super) fn mistakes<'d>(diagnostics: impl Iterator<Item = &'d Diagnostic>) -> Vec<Mistake> {
    let mut diagnostics = diagnostics.peekable();
    let mut told: Vec<Mistake> = diagnostics.by_ref().take(MISTAKES_MAX).map(mistake).collect();
    if let Some(first) = diagnostics.peek().map(|first| mistake(first)) {
        let count = diagnostics.map(|one| u64::from(one.count)).sum();
        told.push(Mistake {
            message: format!("and {count} more mistakes from here on"),
            hint: Some("mend those above first, or run `sunfire check` where the files are".to_owned()),
            count,
            ..first
        });
    }
    told
}

fn mistake(diagnostic: &Diagnostic) -> Mistake {
    Mistake {
        file: diagnostic.file.as_deref().unwrap_or_default().to_owned(),
        line: diagnostic.line.into(),
        column: diagnostic.column.into(),
        message: diagnostic.message.clone(),
        hint: diagnostic.hint.clone(),
        count: diagnostic.count.into(),
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
