//! What was learned of logs (F8): heard from Reduces, written down, and only then acknowledged; given with every task.

use super::Planner;
use crate::keeper::chain;
use crate::ledger::TaskKey;
use crate::profiles::Lesson;
use lika::actor::{Context, Failure, Handler, Message};
use reduce::protocol::{LearnedProfile, MonitorTask, ProfileNews};
use std::sync::{Arc, PoisonError};

/// What a Reduce told was written down, or couldn't be.
pub(super) struct NewsKept {
    reduce: usize,
    ticket: u64,
    result: Result<(), String>,
}

impl Message for NewsKept {
    type Reply = ();
}

impl Planner {
    /// Has written down what a Reduce says was learned. It tells it again until it hears that it was.
    pub(super) fn keep_news(&mut self, reduce: usize, news: ProfileNews, context: &mut Context<Planner>) {
        if news.learned.is_empty() || self.known.is_none() {
            return;
        }
        let lessons: Vec<Lesson> = news.learned.into_iter().filter_map(|one| self.lesson(one)).collect();
        let (keeper, ticket) = (Arc::clone(&self.setup.keeper), news.ticket);
        let keep = tokio::task::spawn_blocking(move || {
            let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
            keeper.keep_profiles(lessons).map_err(|error| chain(&error))
        });
        context.pipe(keep, move |joined| NewsKept {
            reduce,
            ticket,
            result: joined.unwrap_or_else(|error| Err(chain(&error))),
        });
    }

    /// What is written down; `None` if nobody reads the log any more.
    fn lesson(&self, learned: LearnedProfile) -> Option<Lesson> {
        let key = TaskKey {
            monitor: learned.monitor,
            version: learned.version,
        };
        Some(Lesson {
            host: learned.host,
            log: self.tasks.get(&key)?.known.log.clone()?,
            profile: learned.profile,
        })
    }

    /// A task as a Reduce is told it, with what is known of its logs.
    pub(super) fn with_profiles(&self, key: &TaskKey, task: &MonitorTask) -> MonitorTask {
        let mut task = task.clone();
        let log = self.tasks.get(key).and_then(|task| task.known.log.as_ref());
        if let (Some(log), Some(span)) = (log, task.inventory.last()) {
            let hosts = span.hosts.iter().map(|target| target.host.as_str());
            task.profiles = self.setup.profiles.look().of(log, hosts);
        }
        task
    }
}

impl Handler<NewsKept> for Planner {
    async fn handle(&mut self, kept: NewsKept, _context: &mut Context<Planner>) -> Result<(), Failure> {
        match (kept.result, self.reduces.get_mut(kept.reduce)) {
            (Ok(()), Some(link)) => link.news_kept = kept.ticket,
            (Ok(()), None) => {}
            (Err(why), _) => tracing::error!(%why, "what was learned of logs was not written down; it is tried again"),
        }
        Ok(())
    }
}
