//! Reduces: how they are reached, whether they live, and what they say they have.

use super::task::Stage;
use super::{Ordered, Planner, Stands};
use crate::events::Kind;
use crate::keeper::chain;
use crate::ledger::TaskKey;
use configs::Wholeness;
use lika::actor::{Context, Failure, Handler};
use lika::guard::{Guard, Life, Policy};
use lika::node::{Client, Dialling, Settings};
use lika::seam::Deadline;
use reduce::protocol::{MonitorStatus, NodeAddress, ReduceAnswer, ReduceProtocol, ReduceRequest, ReduceStatus};
use std::time::Duration;

/// How long a Reduce may take to say how it stands.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);
/// How long a Reduce that did nothing for a monitor does not get it again; doubled by each move in a row.
const AVOIDED: Duration = Duration::from_secs(600);

pub(super) struct ReduceLink {
    pub(super) node: NodeAddress,
    pub(super) client: Client<ReduceProtocol>,
    pub(super) status: Option<ReduceStatus>,
    pub(super) trouble: Option<String>,
    pub(super) guard: Guard,
    /// Since when it is taken as it is.
    pub(super) since_ns: i64,
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
                server_node: None,
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
                guard: Guard::new(Policy::default(), context.clock().monotonic()),
                since_ns: context.clock().wall().0,
                news_kept: 0,
                is_asked: false,
            });
        }
    }

    /// Those that live; all of them if none does, since there is nowhere else to go.
    pub(super) fn live_reduces(&self) -> Vec<NodeAddress> {
        let live = self.reduces.iter().filter(|link| link.guard.may_work());
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

    /// Notices Reduces that died or came back.
    pub(super) fn watch_reduces(&mut self, context: &mut Context<Planner>) {
        let (now, wall_ns) = (context.clock().monotonic(), context.clock().wall().0);
        let mut texts = Vec::new();
        for link in &mut self.reduces {
            link.guard.sees(&link.client.state(), now);
            if !link.guard.judge(now) {
                continue;
            }
            link.since_ns = wall_ns;
            let node = &link.node.node;
            texts.push(match link.guard.life() {
                Life::Dead(why) => format!("reduce {node} is taken for dead: {why}"),
                Life::Live | Life::Unknown => format!("reduce {node} is there"),
            });
        }
        let is_changed = !texts.is_empty();
        for text in texts {
            self.event(Kind::Node, text, context);
        }
        if is_changed {
            self.plan();
        }
    }

    /// Trusts Reduces again that did nothing for a monitor long ago.
    pub(super) fn end_avoiding(&mut self, context: &Context<Planner>) {
        let is_over = |(_, until): &mut (usize, Deadline)| context.clock().has_passed(*until);
        let ended = self.tasks.values_mut().filter_map(|task| task.avoids.take_if(is_over));
        if ended.count() > 0 {
            self.plan();
        }
    }

    /// Takes a monitor from a Reduce that lives, and gets nowhere with it.
    fn notice_idle(&mut self, reduce: usize, status: &ReduceStatus, context: &mut Context<Planner>) {
        let has_others = self.reduces.iter().filter(|link| link.guard.may_work()).count() > 1;
        let (now, now_ns) = (context.clock().monotonic(), context.clock().wall().0);
        let mut idle = Vec::new();
        for monitor in &status.monitors {
            let key = TaskKey {
                monitor: monitor.monitor.clone(),
                version: monitor.version,
            };
            let Some(task) = self.tasks.get_mut(&key) else {
                continue;
            };
            let gets_nowhere = task.gets_nowhere(reduce, monitor, now, now_ns);
            if gets_nowhere && has_others && task.avoids.is_none_or(|(avoided, _)| avoided != reduce) {
                let avoided = AVOIDED.saturating_mul(task.doubled());
                task.avoids = Some((reduce, context.clock().deadline_in(avoided)));
                task.moves = task.moves.saturating_add(1);
                idle.push(key.monitor);
            }
        }
        if !idle.is_empty() {
            let names = crate::events::names(idle.iter().map(String::as_str));
            let node = &self.reduces[reduce].node.node;
            let text = format!("reduce {node} does nothing for {names}, which others take over");
            self.event(Kind::Node, text, context);
            self.plan();
        }
    }

    fn heard(&mut self, reduce: usize, asked: u64, mut status: ReduceStatus, context: &mut Context<Planner>) {
        self.keep_news(reduce, std::mem::take(&mut status.news), context);
        let Some(link) = self.reduces.get_mut(reduce) else {
            return;
        };
        link.guard.hears(context.clock().monotonic());
        link.trouble = None;
        self.watch_reduces(context);
        self.notice_idle(reduce, &status, context);
        self.compare(reduce, asked, &status, context);
        self.drop_strangers(reduce, &status, context);
        if let Some(link) = self.reduces.get_mut(reduce) {
            link.status = Some(status);
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
        if !self.setup.leading.holds() {
            return;
        }
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
