//! Questions to the store: from where on a task has something to do, and how its windows stand.

use super::task::{From, Stage, Task, since_ns};
use super::{AuditDone, Planner, RETRY, Scanned};
use crate::events::Kind;
use crate::keeper::chain;
use crate::ledger::TaskKey;
use crate::windows::{Audit, Question, audit, first_wanted};
use lika::actor::{Context, Failure, Handler};
use std::sync::Arc;
use std::time::Duration;

/// Questions to the store at a time: each holds a page of headers, and the store has more to do than this.
const READS_MAX: usize = 4;
/// How often the store is asked how the windows of a task stand.
const AUDIT_EVERY: Duration = Duration::from_secs(60);
/// A window is not missed before one that is so much younger is there: a Reduce writes in no strict order.
const MISSED_AFTER_NS: i64 = 60_000_000_000;
/// How long after a version's last window it is looked whether all its windows are done.
const OVER_AFTER_NS: i64 = 60_000_000_000;

impl Planner {
    /// Asks the store for those tasks of which it must be known.
    pub(super) fn read_store(&mut self, context: &mut Context<Planner>) {
        let clock = context.clock();
        let is_due = |task: &Task| match task.from {
            From::Unknown => task.stage == Stage::Wanted,
            From::Asking => false,
            From::Ns(_) => {
                let is_due = task.next_audit.is_none_or(|next| clock.has_passed(next));
                is_due && !task.is_auditing && task.installed.is_some()
            }
        };
        // What is not installed yet comes first.
        let mut due: Vec<(bool, &TaskKey)> = Vec::new();
        for (key, task) in self.tasks.iter().filter(|(_, task)| is_due(task)) {
            due.push((task.from != From::Unknown, key));
        }
        due.sort_unstable();
        let due: Vec<TaskKey> = due.into_iter().map(|(_, key)| key.clone()).collect();
        for key in due {
            if self.reads < READS_MAX {
                self.scan(&key, context);
                self.audit(&key, context);
            }
        }
    }

    fn scan(&mut self, key: &TaskKey, context: &mut Context<Planner>) {
        let Some(known) = &self.known else { return };
        let Some(task) = self.tasks.get_mut(key) else { return };
        let is_due = task
            .not_before
            .is_none_or(|deadline| context.clock().has_passed(deadline));
        let spans = task.known.inventory.as_ref().and_then(|app| known.spans.get(app));
        let Some(spans) = spans.filter(|spans| !spans.is_empty()) else {
            return;
        };
        if task.from != From::Unknown || task.stage != Stage::Wanted || !is_due {
            return;
        }
        let since_ns = since_ns(task, spans, context.clock().wall().0, self.setup.horizon_ns);
        task.from = From::Asking;
        self.reads += 1;
        let (store, asked, lease) = (Arc::clone(&self.setup.store), key.clone(), task.known.lease.clone());
        let read = async move {
            let result = first_wanted(&*store, &asked.monitor, &lease, since_ns).await;
            (asked, result.map_err(|error| chain(&error)))
        };
        context.pipe(read, |(key, result)| Scanned { key, result });
    }

    fn audit(&mut self, key: &TaskKey, context: &mut Context<Planner>) {
        let newest_ns = self.status_of(key).and_then(|status| status.newest_ns);
        let Some(task) = self.tasks.get_mut(key) else { return };
        let clock = context.clock().clone();
        let (From::Ns(from_ns), Some(_)) = (task.from, &task.installed) else {
            return;
        };
        let next = *task.next_audit.get_or_insert_with(|| clock.deadline_in(AUDIT_EVERY));
        if task.is_auditing || !clock.has_passed(next) || self.reads >= READS_MAX {
            return;
        }
        task.is_auditing = true;
        task.next_audit = Some(clock.deadline_in(AUDIT_EVERY));
        self.reads += 1;
        let there_from_ns = task.audited_to_ns.max(from_ns);
        let there_to_ns = newest_ns.map_or(there_from_ns, |newest_ns| newest_ns - MISSED_AFTER_NS);
        let question = Question {
            since_ns: clock.wall().0 - self.setup.horizon_ns,
            there: there_from_ns..there_to_ns,
            missed: self.ledger.missing_of(key).collect(),
        };
        let (store, asked, lease) = (Arc::clone(&self.setup.store), key.clone(), task.known.lease.clone());
        let read = async move {
            let result = audit(&*store, &asked.monitor, &lease, &question).await;
            (asked, result.map_err(|error| chain(&error)))
        };
        context.pipe(read, |(key, result)| AuditDone { key, result });
    }

    fn audited(&mut self, key: &TaskKey, audit: &Audit, context: &mut Context<Planner>) {
        let now_ns = context.clock().wall().0;
        let healed = self.ledger.audited(key, audit, now_ns, context.randomness());
        if healed > 0 {
            let text = format!(
                "{healed} windows of {} are complete after they were read again",
                key.monitor
            );
            self.event(Kind::Repair, text, context);
        }
        if !audit.missing.is_empty() {
            let text = format!(
                "{} windows of {} are missing in the store",
                audit.missing.len(),
                key.monitor
            );
            self.event(Kind::Repair, text, context);
        }
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.audited_to_ns = task.audited_to_ns.max(audit.audited_to_ns);
        let is_past = task
            .known
            .lease
            .until_ns
            .is_some_and(|until_ns| until_ns + OVER_AFTER_NS <= now_ns);
        if is_past && audit.undone == 0 && self.ledger.count(key) == 0 {
            task.stage = Stage::Over;
            self.plan_one(key);
        }
    }
}

impl Handler<Scanned> for Planner {
    async fn handle(&mut self, scanned: Scanned, context: &mut Context<Planner>) -> Result<(), Failure> {
        self.reads -= 1;
        let Some(task) = self.tasks.get_mut(&scanned.key) else {
            return Ok(());
        };
        match scanned.result {
            Ok(from_ns) => {
                let until_ns = task.known.lease.until_ns;
                task.from = From::Ns(from_ns);
                task.audited_to_ns = from_ns;
                (task.failures, task.not_before, task.trouble) = (0, None, None);
                let is_past = until_ns.is_some_and(|until_ns| until_ns <= from_ns.min(context.clock().wall().0));
                if is_past && task.stage == Stage::Wanted {
                    task.stage = Stage::Over;
                }
            }
            Err(why) => {
                task.from = From::Unknown;
                task.failures += 1;
                let wait = RETRY.wait(task.failures, context.randomness());
                task.not_before = Some(context.clock().deadline_in(wait));
                task.trouble = Some(format!("the store cannot say which windows it has: {why}"));
            }
        }
        self.plan_one(&scanned.key);
        self.act_on(&scanned.key, context);
        self.read_store(context);
        Ok(())
    }
}

impl Handler<AuditDone> for Planner {
    async fn handle(&mut self, done: AuditDone, context: &mut Context<Planner>) -> Result<(), Failure> {
        self.reads -= 1;
        if let Some(task) = self.tasks.get_mut(&done.key) {
            task.is_auditing = false;
            match done.result {
                Ok(audit) => self.audited(&done.key, &audit, context),
                Err(why) => tracing::warn!(monitor = %done.key.monitor, %why, "the store could not be audited"),
            }
        }
        Ok(())
    }
}
