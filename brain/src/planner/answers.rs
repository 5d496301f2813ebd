//! What Reduces answer to orders.

use super::task::{Installed, Stage, Task};
use super::{Answered, Ordered, Planner, RETRY};
use crate::events::Kind;
use crate::ledger::TaskKey;
use lika::actor::{Context, Failure, Handler};
use reduce::protocol::{MonitorTask, ReduceAnswer};
use std::sync::Arc;

impl Handler<Answered> for Planner {
    async fn handle(&mut self, answered: Answered, context: &mut Context<Planner>) -> Result<(), Failure> {
        let Answered {
            reduce,
            key,
            ordered,
            result,
        } = answered;
        match ordered {
            Ordered::Install(told) => self.installed(reduce, &key, told, result, context),
            Ordered::Remove => self.removed(reduce, &key, result, context),
            Ordered::Repair(windows) => self.repaired(&key, windows, result, context),
        }
        self.act_on(&key, context);
        Ok(())
    }
}

impl Planner {
    fn installed(
        &mut self,
        reduce: usize,
        key: &TaskKey,
        told: Arc<MonitorTask>,
        result: Result<ReduceAnswer, String>,
        context: &mut Context<Planner>,
    ) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.is_busy = false;
        match result {
            Ok(ReduceAnswer::Done) => {
                self.installs += 1;
                (task.failures, task.not_before, task.trouble) = (0, None, None);
                task.refused = None;
                task.installed = Some(Installed {
                    reduce,
                    task: told,
                    number: self.installs,
                    newest_ns: None,
                    got_on: context.clock().monotonic(),
                });
            }
            Ok(ReduceAnswer::Invalid(why)) => {
                task.trouble = Some(format!("it cannot be counted: {why}"));
                task.refused = Some(told);
            }
            Ok(answer) => failed(task, outranked(&answer), context),
            Err(why) => failed(task, format!("its reduce was not told: {why}"), context),
        }
    }

    fn removed(
        &mut self,
        reduce: usize,
        key: &TaskKey,
        result: Result<ReduceAnswer, String>,
        context: &mut Context<Planner>,
    ) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let is_here = task
            .installed
            .as_ref()
            .is_none_or(|installed| installed.reduce == reduce);
        if !is_here {
            return;
        }
        task.is_busy = false;
        match result {
            Ok(ReduceAnswer::Done | ReduceAnswer::Unknown) => {
                task.installed = None;
                (task.failures, task.not_before) = (0, None);
                if task.stage != Stage::Wanted {
                    self.ledger.forget(key);
                }
            }
            Ok(answer) => failed(task, outranked(&answer), context),
            Err(why) => failed(task, format!("its reduce was not told to stop: {why}"), context),
        }
    }

    fn repaired(
        &mut self,
        key: &TaskKey,
        windows: usize,
        result: Result<ReduceAnswer, String>,
        context: &mut Context<Planner>,
    ) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.is_repairing = false;
        match result {
            Ok(ReduceAnswer::Done) => {
                let text = format!("{windows} windows of {} are read again", key.monitor);
                self.event(Kind::Repair, text, context);
            }
            Ok(ReduceAnswer::Unknown) => {
                task.lost();
                self.plan_one(key);
            }
            // The windows are due again after their backoff.
            Ok(answer) => tracing::warn!(monitor = %key.monitor, ?answer, "a repair was refused"),
            Err(why) => tracing::warn!(monitor = %key.monitor, %why, "a repair was not ordered"),
        }
    }
}

fn failed(task: &mut Task, why: String, context: &Context<Planner>) {
    task.failures = task.failures.saturating_add(1);
    let wait = RETRY.wait(task.failures, context.randomness());
    task.not_before = Some(context.clock().deadline_in(wait));
    task.trouble = Some(why);
}

fn outranked(answer: &ReduceAnswer) -> String {
    match answer {
        ReduceAnswer::Stale { epoch } => format!(
            "its reduce obeys a brain of epoch {epoch}: stop that one, or raise the epoch in this one's data directory"
        ),
        other => format!("its reduce answered {other:?}; run compatible versions"),
    }
}
