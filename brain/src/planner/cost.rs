//! What monitors cost: as Maps measure it, and for those that nobody has measured yet, what is to be expected.

use super::Planner;
use crate::events::Kind;
use crate::protocol::MonitorState;
use lika::actor::Context;
use map::protocol::MapStatus;
use std::collections::BTreeSet;

impl Planner {
    /// What the Maps say that a monitor costs, and where it is suspended for that; else what it may be expected to.
    pub(super) fn add_cost(&self, state: &mut MonitorState) {
        for map in &self.setup.maps {
            let Some(status) = self.map_status(&map.node) else {
                continue;
            };
            let seen = || status.monitors.iter().filter(|seen| seen.monitor == state.name);
            for seen in seen() {
                state.cpu_us_per_s += seen.cpu_us_per_s;
                state.bytes_per_s += seen.bytes_per_s;
                let why = seen.suspended.iter().filter(|_| seen.version == state.version);
                state
                    .troubles
                    .extend(why.map(|why| format!("{}: {why}", map.node.node)));
            }
            let is_measured = seen().any(|seen| {
                let is_now = seen.version == state.version;
                is_now && (seen.bytes_per_s > 0 || seen.suspended.is_some())
            });
            if !is_measured {
                state.notices.extend(self.expected_of(state, &map.node.node, status));
            }
        }
    }

    /// That a monitor is expected to take more than its limit on a Map, by what the others on its log go through there.
    fn expected_of(&self, state: &MonitorState, map: &str, status: &MapStatus) -> Option<String> {
        let limit_us = state.cpu_limit_us_per_s?;
        let monitors = &self.known.as_ref()?.monitors;
        let shares = |name: &str| {
            let other = monitors.iter().find(|other| other.name == name);
            other.is_some_and(|other| state.log.is_some() && (&other.app, &other.log) == (&state.app, &state.log))
        };
        let on_log = status.monitors.iter().filter(|seen| shares(&seen.monitor));
        let bytes_per_s = on_log.map(|seen| seen.bytes_per_s).max()?;
        let expected_us = expected_us_per_s(state.estimated_us_per_mb, bytes_per_s);
        (expected_us > limit_us).then(|| {
            format!(
                "{map}: by its estimate it will take {} ms of CPU a second, its limit is {}: its log brings {} there",
                tenths(expected_us),
                tenths(limit_us),
                configs::cost::rate_text(bytes_per_s)
            )
        })
    }

    /// Versions of monitors that are known.
    pub(super) fn versions(&self) -> BTreeSet<(String, u64)> {
        let monitors = self.known.iter().flat_map(|known| &known.monitors);
        monitors
            .map(|monitor| (monitor.name.clone(), monitor.version))
            .collect()
    }

    /// Tells what is to be expected of versions that were not known before.
    pub(super) fn foretell(&mut self, before: &BTreeSet<(String, u64)>, context: &Context<Planner>) {
        let monitors = self.known.iter().flat_map(|known| &known.monitors);
        let new = monitors.filter(|monitor| !before.contains(&(monitor.name.clone(), monitor.version)));
        let notices = |monitor: &MonitorState| {
            let state = self.monitor(monitor);
            let told = state
                .notices
                .iter()
                .map(|notice| format!("monitor {}: {notice}", state.name));
            told.collect::<Vec<_>>()
        };
        let told: Vec<String> = new.flat_map(notices).collect();
        for text in told {
            self.event(Kind::Config, text, context);
        }
    }
}

/// Microseconds of processor time a second for so many bytes a second.
fn expected_us_per_s(us_per_mb: u64, bytes_per_s: u64) -> u64 {
    let expected = u128::from(us_per_mb) * u128::from(bytes_per_s) / 1_000_000;
    u64::try_from(expected).unwrap_or(u64::MAX)
}

/// Microseconds as milliseconds with one digit behind the point, as Maps say why they suspend.
fn tenths(us: u64) -> String {
    format!("{}.{}", us / 1_000, us % 1_000 / 100)
}
