//! Orders to Reduces: install, remove, repair. Each may be given twice, and none by a Brain that may not lead any more.

use super::task::{Installed, Stage};
use super::{Answered, Ordered, Planner};
use crate::keeper::chain;
use crate::ledger::{Order, TaskKey};
use lika::actor::Context;
use reduce::protocol::ReduceRequest;
use std::sync::Arc;
use std::time::Duration;

/// How long a Reduce may take to answer an order.
const ORDER_PATIENCE: Duration = Duration::from_secs(10);

/// What is next for a task.
enum Next {
    Nothing,
    Forget,
    /// It moves to another Reduce, and that takes a new epoch first.
    Epoch,
    Tell(usize, Ordered),
}

impl Planner {
    /// Does for every task what is next, if it can be done now.
    pub(super) fn act(&mut self, context: &mut Context<Planner>) {
        self.read_store(context);
        let keys: Vec<TaskKey> = self.tasks.keys().cloned().collect();
        for key in keys {
            self.act_on(&key, context);
        }
    }

    /// The same, for one task.
    pub(super) fn act_on(&mut self, key: &TaskKey, context: &mut Context<Planner>) {
        if !self.setup.leading.holds() {
            return;
        }
        match self.next(key, context) {
            Next::Nothing => {}
            Next::Forget => {
                self.tasks.remove(key);
                self.ledger.forget(key);
            }
            Next::Epoch => self.take_epoch(context),
            Next::Tell(reduce, ordered) => {
                if let Some(task) = self.tasks.get_mut(key) {
                    task.is_busy = true;
                }
                self.order(reduce, key.clone(), ordered, context);
            }
        }
    }

    fn next(&self, key: &TaskKey, context: &Context<Planner>) -> Next {
        let Some(task) = self.tasks.get(key) else {
            return Next::Nothing;
        };
        let is_waiting = task
            .not_before
            .is_some_and(|deadline| !context.clock().has_passed(deadline));
        if task.is_busy || is_waiting {
            return Next::Nothing;
        }
        match (&task.desired, &task.installed) {
            (None, Some(installed)) => Next::Tell(installed.reduce, Ordered::Remove),
            (None, None) if task.stage == Stage::Gone => Next::Forget,
            (None, None) => Next::Nothing,
            (Some((reduce, _)), Some(Installed { reduce: now, .. })) if reduce != now => Next::Epoch,
            (Some((reduce, wanted)), installed) => {
                let is_told = installed.as_ref().is_some_and(|installed| installed.task == *wanted);
                let is_refused = task.refused.as_ref() == Some(wanted);
                if is_told || is_refused {
                    Next::Nothing
                } else {
                    Next::Tell(*reduce, Ordered::Install(Arc::clone(wanted)))
                }
            }
        }
    }

    /// Orders windows again that are due.
    pub(super) fn repair(&mut self, context: &mut Context<Planner>) {
        if !self.setup.leading.holds() {
            return;
        }
        let now_ns = context.clock().wall().0;
        let tasks = &self.tasks;
        let may = |key: &TaskKey| {
            tasks
                .get(key)
                .is_some_and(|task| task.installed.is_some() && !task.is_repairing && !task.is_busy)
        };
        let orders = self
            .ledger
            .orders(may, now_ns, now_ns - self.setup.horizon_ns, context.randomness());
        for Order { key, windows } in orders {
            let Some(task) = self.tasks.get_mut(&key) else { continue };
            let Some(installed) = &task.installed else { continue };
            task.is_repairing = true;
            let (reduce, ordered) = (installed.reduce, Ordered::Repair(windows.len()));
            let request = ReduceRequest::Repair {
                monitor: key.monitor.clone(),
                version: key.version,
                epoch: self.epoch,
                windows,
            };
            self.send(reduce, key, ordered, request, context);
        }
    }

    /// Tells a Reduce to install or to remove, for who has seen that this Brain leads.
    pub(super) fn order(&mut self, reduce: usize, key: TaskKey, ordered: Ordered, context: &mut Context<Planner>) {
        let request = match &ordered {
            Ordered::Install(task) => ReduceRequest::Install(Box::new(self.with_profiles(&key, task))),
            Ordered::Remove => ReduceRequest::Remove {
                monitor: key.monitor.clone(),
                version: key.version,
                epoch: self.epoch,
            },
            // Its windows are told by `repair`.
            Ordered::Repair(_) => return,
        };
        self.send(reduce, key, ordered, request, context);
    }

    fn send(
        &mut self,
        reduce: usize,
        key: TaskKey,
        ordered: Ordered,
        request: ReduceRequest,
        context: &mut Context<Planner>,
    ) {
        let Some(link) = self.reduces.get(reduce) else { return };
        let client = link.client.clone();
        let call = async move { client.call(&request, ORDER_PATIENCE).await };
        context.pipe(call, move |result| Answered {
            reduce,
            key,
            ordered,
            result: result.map_err(|error| chain(&error)),
        });
    }
}
