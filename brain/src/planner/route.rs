//! Whom to ask about a host: the Reduce of a monitor that reads its logs first, since its Maps pull from it.

use super::Planner;
use crate::hosts::{nowhere, target_of};
use lika::actor::{Context, Failure, Handler, Message};
use lika::node::Client;
use map::protocol::HostTarget;
use reduce::protocol::{MonitorTask, Place, ReduceProtocol};

/// Asks whom to ask: about a host of an application, or about all.
pub(crate) struct Route(pub(crate) Option<(String, String)>);

/// Whom to ask.
pub(crate) struct Routed {
    /// The host, if it is in the inventory now.
    pub(crate) target: Option<HostTarget>,
    /// What counts it, and which Maps there are.
    pub(crate) place: Place,
    /// Reduces that live, by name, the best first; all of them if none does.
    pub(crate) reduces: Vec<(String, Client<ReduceProtocol>)>,
}

impl Message for Route {
    type Reply = Routed;
}

impl Handler<Route> for Planner {
    async fn handle(&mut self, Route(of): Route, _context: &mut Context<Planner>) -> Result<Routed, Failure> {
        let target = of.as_ref().and_then(|(app, host)| self.target(app, host));
        let app = of.map(|(app, _)| app).unwrap_or_default();
        let reading = target.as_ref().and_then(|target| self.reading(&app, target));
        let place = match reading {
            Some((_, task)) => task.place.clone(),
            None => nowhere(app, self.setup.maps.clone()),
        };
        let first = reading.map(|(reduce, _)| reduce);
        let live = self.live_reduces();
        let links = self.reduces.iter().enumerate();
        let mut reduces: Vec<_> = links.filter(|(_, link)| live.contains(&link.node)).collect();
        reduces.sort_by_key(|(number, _)| Some(*number) != first);
        Ok(Routed {
            target,
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

    /// A monitor that reads this host, and the Reduce that it is on.
    fn reading(&self, app: &str, target: &HostTarget) -> Option<(usize, &MonitorTask)> {
        let installed = self.tasks.values().filter_map(|task| task.installed.as_ref());
        let mut tasks = installed.map(|installed| (installed.reduce, &*installed.task));
        tasks.find(|(_, task)| {
            let now = task.inventory.last();
            task.place.app == app && now.is_some_and(|span| span.hosts.contains(target))
        })
    }
}
