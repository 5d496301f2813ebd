//! Reduces: how they are reached, whether they live, and what they say they have.

use super::task::Stage;
use super::{Ordered, Planner, Stands};
use crate::events::Kind;
use crate::keeper::chain;
use crate::ledger::TaskKey;
use configs::Wholeness;
use lika::actor::{Context, Failure, Handler};
use lika::node::{Client, Dialling, Settings};
use lika::seam::Monotonic;
use reduce::protocol::{MonitorStatus, NodeAddress, ReduceAnswer, ReduceProtocol, ReduceRequest, ReduceStatus};
use std::time::Duration;

/// How long a Reduce may take to say how it stands.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);
/// A Reduce that said nothing for so long is taken for dead: longer than lika takes to notice a dead peer, so that a
/// short cut of the network moves nothing.
const DEAD_AFTER: Duration = Duration::from_secs(15);

/// Whether a Reduce gets monitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Live,
    Dead,
}

pub(super) struct ReduceLink {
    pub(super) node: NodeAddress,
    pub(super) client: Client<ReduceProtocol>,
    pub(super) status: Option<ReduceStatus>,
    pub(super) trouble: Option<String>,
    pub(super) life: Life,
    /// When it was last heard; at first when it was made.
    heard: Monotonic,
    /// The last news of what was learned that is written down.
    pub(super) news_kept: u64,
    is_asked: bool,
}

impl Planner {
    /// Starts to connect to all Reduces.
    pub(super) fn connect(&mut self, context: &Context<Planner>) {
        for node in &self.setup.reduces {
            let client = Client::start(Dialling {
                network: self.setup.network.clone(),
                address: node.address.clone(),
                identity: self.setup.identity.clone(),
                settings: Settings::default(),
                clock: context.clock().clone(),
                randomness: context.randomness().clone(),
            });
            self.reduces.push(ReduceLink {
                node: node.clone(),
                client,
                status: None,
                trouble: None,
                life: Life::Live,
                heard: context.clock().monotonic(),
                news_kept: 0,
                is_asked: false,
            });
        }
    }

    /// Those that live; all of them if none does, since there is nowhere else to go.
    pub(super) fn live_reduces(&self) -> Vec<NodeAddress> {
        let live = self.reduces.iter().filter(|link| link.life == Life::Live);
        let live: Vec<NodeAddress> = live.map(|link| link.node.clone()).collect();
        if live.is_empty() {
            self.setup.reduces.clone()
        } else {
            live
        }
    }

    /// What a task's Reduce says of it.
    pub(super) fn status_of(&self, key: &TaskKey) -> Option<&MonitorStatus> {
        let installed = self.tasks.get(key)?.installed.as_ref()?;
        let status = self.reduces.get(installed.reduce)?.status.as_ref()?;
        status.monitors.iter().find(|monitor| is_of(monitor, key))
    }

    /// Asks every Reduce how it stands that isn't being asked.
    pub(super) fn ask_reduces(&mut self, context: &mut Context<Planner>) {
        let asked = self.installs;
        for (reduce, link) in self.reduces.iter_mut().enumerate() {
            if std::mem::replace(&mut link.is_asked, true) {
                continue;
            }
            let (client, heard) = (link.client.clone(), link.news_kept);
            let question = async move {
                match client.call(&ReduceRequest::Status { heard }, STATUS_PATIENCE).await {
                    Ok(ReduceAnswer::Status(status)) => Ok(status),
                    Ok(other) => Err(format!("it answered {other:?} to a question for its status")),
                    Err(error) => Err(chain(&error)),
                }
            };
            context.pipe(question, move |result| Stands { reduce, asked, result });
        }
    }

    /// Notices Reduces that died.
    pub(super) fn watch_reduces(&mut self, context: &mut Context<Planner>) {
        let now = context.clock().monotonic();
        let mut died = Vec::new();
        for link in &mut self.reduces {
            if link.life == Life::Live && now.since(link.heard) >= DEAD_AFTER {
                link.life = Life::Dead;
                died.push(link.node.node.clone());
            }
        }
        for node in &died {
            let text = format!("reduce {node} said nothing for {} s", DEAD_AFTER.as_secs());
            self.event(Kind::Node, text, context);
        }
        if !died.is_empty() {
            self.plan();
        }
    }

    fn heard(&mut self, reduce: usize, asked: u64, mut status: ReduceStatus, context: &mut Context<Planner>) {
        self.keep_news(reduce, std::mem::take(&mut status.news), context);
        let Some(link) = self.reduces.get_mut(reduce) else {
            return;
        };
        link.heard = context.clock().monotonic();
        link.trouble = None;
        let was = std::mem::replace(&mut link.life, Life::Live);
        let is_first = link.status.is_none();
        let node = link.node.node.clone();
        if was == Life::Dead || is_first {
            self.event(Kind::Node, format!("reduce {node} is there"), context);
        }
        self.compare(reduce, asked, &status, context);
        self.drop_strangers(reduce, &status, context);
        if let Some(link) = self.reduces.get_mut(reduce) {
            link.status = Some(status);
        }
        if was == Life::Dead {
            self.plan();
        }
        self.act(context);
    }

    /// What it should have and has not is installed again.
    fn compare(&mut self, reduce: usize, asked: u64, status: &ReduceStatus, context: &mut Context<Planner>) {
        let now_ns = context.clock().wall().0;
        let mut lost = Vec::new();
        for (key, task) in &mut self.tasks {
            let is_here = |installed: &super::task::Installed| installed.reduce == reduce && installed.number <= asked;
            if task.is_busy || !task.installed.as_ref().is_some_and(is_here) {
                continue;
            }
            match status.monitors.iter().find(|monitor| is_of(monitor, key)) {
                None => {
                    task.lost();
                    lost.push(key.monitor.clone());
                }
                Some(monitor) if monitor.epoch < self.epoch => task.installed = None,
                Some(monitor) => self
                    .ledger
                    .below(key, &monitor.below_windows, now_ns, context.randomness()),
            }
        }
        if !lost.is_empty() {
            let names = crate::events::names(lost.iter().map(String::as_str));
            let node = &self.reduces[reduce].node.node;
            let text = format!("reduce {node} has lost what it was told, and is told again: {names}");
            self.event(Kind::Node, text, context);
            self.plan();
        }
    }

    /// What it has and should not have is removed: only if all that should be is known.
    fn drop_strangers(&mut self, reduce: usize, status: &ReduceStatus, context: &mut Context<Planner>) {
        let is_whole = self
            .known
            .as_ref()
            .is_some_and(|known| known.wholeness == Wholeness::Whole);
        for monitor in &status.monitors {
            let key = TaskKey {
                monitor: monitor.monitor.clone(),
                version: monitor.version,
            };
            let is_stranger = match self.tasks.get(&key) {
                None => is_whole,
                Some(task) if task.stage != Stage::Wanted => task.installed.is_none() && !task.is_busy,
                Some(task) => {
                    let is_elsewhere = |installed: &super::task::Installed| installed.reduce != reduce;
                    task.installed.as_ref().is_some_and(is_elsewhere)
                }
            };
            if is_stranger {
                self.order(reduce, key, Ordered::Remove, context);
            }
        }
    }
}

pub(super) fn is_of(monitor: &MonitorStatus, key: &TaskKey) -> bool {
    monitor.monitor == key.monitor && monitor.version == key.version
}

impl Handler<Stands> for Planner {
    async fn handle(&mut self, stands: Stands, context: &mut Context<Planner>) -> Result<(), Failure> {
        if let Some(link) = self.reduces.get_mut(stands.reduce) {
            link.is_asked = false;
        }
        match stands.result {
            Ok(status) => self.heard(stands.reduce, stands.asked, status, context),
            Err(why) => {
                if let Some(link) = self.reduces.get_mut(stands.reduce) {
                    link.trouble = Some(why);
                }
            }
        }
        Ok(())
    }
}
