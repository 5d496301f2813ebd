//! Whom to ask about a host or an application: the Reduce of a monitor that reads its logs first, since its Maps pull
//! from it.

use super::Planner;
use crate::hosts::target_of;
use lika::actor::{Context, Failure, Handler, Message};
use lika::node::Client;
use map::protocol::HostTarget;
use reduce::protocol::{InventorySpan, MonitorTask, Place, ReduceProtocol};
use std::sync::Arc;

/// Asks whom to ask.
pub(crate) enum Route {
    /// About a host of an application.
    Host {
        /// The application.
        app: String,
        /// Its host.
        host: String,
    },
    /// About a log of an application.
    App {
        /// The application.
        app: String,
        /// The log.
        log: String,
    },
    /// About all.
    All,
}

/// Whom to ask.
pub(crate) struct Routed {
    /// The host, if it is in the inventory now.
    pub(crate) target: Option<HostTarget>,
    /// Who is expected of the application, oldest first, if there is one.
    pub(crate) spans: Option<Arc<[InventorySpan]>>,
    /// What counts it, and which Maps there are.
    pub(crate) place: Place,
    /// Reduces that live, by name, the best first; all of them if none does.
    pub(crate) reduces: Vec<(String, Client<ReduceProtocol>)>,
}

impl Message for Route {
    type Reply = Routed;
}

impl Handler<Route> for Planner {
    async fn handle(&mut self, route: Route, _context: &mut Context<Planner>) -> Result<Routed, Failure> {
        let (mut target, mut spans) = (None, None);
        let (place, reading) = match route {
            Route::Host { app, host } => {
                target = self.target(&app, &host);
                let reading = target
                    .as_ref()
                    .and_then(|target| self.reading(&app, |span| span.hosts.contains(target)));
                let place = match reading {
                    Some((_, task)) => task.place.clone(),
                    None => self.nowhere(app, String::new()),
                };
                (place, reading)
            }
            Route::App { app, log } => {
                let known = self.known.as_ref();
                spans = known.and_then(|known| known.spans.get(&app)).cloned();
                (self.nowhere(app.clone(), log), self.reading(&app, |_| true))
            }
            Route::All => (self.nowhere(String::new(), String::new()), None),
        };
        let first = reading.map(|(reduce, _)| reduce);
        let live = self.live_reduces();
        let links = self.reduces.iter().enumerate();
        let mut reduces: Vec<_> = links.filter(|(_, link)| live.contains(&link.node)).collect();
        reduces.sort_by_key(|(number, _)| Some(*number) != first);
        Ok(Routed {
            target,
            spans,
            place,
            reduces: reduces
                .into_iter()
                .map(|(_, link)| (link.node.node.clone(), link.client.clone()))
                .collect(),
        })
    }
}

impl Planner {
    fn target(&self, app: &str, host: &str) -> Option<HostTarget> {
        let apps = &self.known.as_ref()?.apps;
        let app = apps.iter().find(|known| known.name == app)?;
        app.hosts.iter().find(|(name, ..)| name == host).map(target_of)
    }

    /// A monitor that reads such hosts of an application, and the Reduce that it is on.
    fn reading(&self, app: &str, reads: impl Fn(&InventorySpan) -> bool) -> Option<(usize, &MonitorTask)> {
        let installed = self.tasks.values().filter_map(|task| task.installed.as_ref());
        let mut tasks = installed.map(|installed| (installed.reduce, &*installed.task));
        tasks.find(|(_, task)| task.place.app == app && task.inventory.last().is_some_and(&reads))
    }

    /// Where nothing counts a log.
    fn nowhere(&self, app: String, path: String) -> Place {
        Place {
            app,
            path,
            maps: self.maps(),
        }
    }
}
