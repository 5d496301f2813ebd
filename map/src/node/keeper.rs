//! The parent of all sources' actors: brings them in line with what is wanted, whenever that changes.

use super::Shared;
use super::actor::{Changed, SourceActor, options};
use super::reread::{RereadHost, reread_host};
use super::source::{SourceKey, SourceShared};
use lika::actor::{Actor, Context, Failure, Handler, Mailbox, Message};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often budgets are judged, and hosts that are listed twice, or not read for their cost, are said to be so for the
/// windows that have ended since.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// What is wanted has changed. One that waits covers all changes before it.
pub(super) struct Nudge;

impl Message for Nudge {
    type Reply = ();
}

/// Look at the clock.
struct Tick;

impl Message for Tick {
    type Reply = ();
}

/// A piece of work beside the sources is done.
struct Done;

impl Message for Done {
    type Reply = ();
}

struct Child {
    shared: Arc<SourceShared>,
    mailbox: Mailbox<SourceActor>,
}

/// Owns the actors of all sources.
pub(super) struct Keeper {
    node: Arc<Shared>,
    children: BTreeMap<SourceKey, Child>,
}

impl Keeper {
    pub(super) fn new(node: Arc<Shared>) -> Self {
        Self {
            node,
            children: BTreeMap::new(),
        }
    }

    /// Brings all actors in line whose sources changed.
    fn follow_changes(&mut self, context: &mut Context<Self>) {
        let changed = self.node.registry().take_changed();
        for key in changed {
            self.follow(&key, context);
        }
    }

    /// Starts, stops or tells the actor of one source, as its place in the registry says.
    fn follow(&mut self, key: &SourceKey, context: &mut Context<Self>) {
        let wanted = self.node.registry().source(key).cloned();
        if let Some(child) = self.children.get(key) {
            if wanted.as_ref().is_some_and(|wanted| Arc::ptr_eq(wanted, &child.shared)) {
                // A full mailbox has such a message in it, or a pull, which looks for changes as well.
                let _covered = child.mailbox.tell(Changed);
                return;
            }
            context.order_stop(&child.mailbox);
            self.children.remove(key);
        }
        let Some(shared) = wanted else { return };
        let (node, source) = (Arc::clone(&self.node), Arc::clone(&shared));
        let factory = move || SourceActor::new(Arc::clone(&node), Arc::clone(&source));
        let mailbox = context.spawn_child(options(key), factory);
        self.children.insert(key.clone(), Child { shared, mailbox });
    }
}

impl Actor for Keeper {
    /// Number of sources.
    type State = usize;

    fn observe(&self) -> usize {
        self.children.len()
    }

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), Failure> {
        let keys: Vec<SourceKey> = {
            let mut registry = self.node.registry();
            registry.take_changed();
            registry.sources().map(|source| source.key.clone()).collect()
        };
        for key in keys {
            self.follow(&key, context);
        }
        context.send_later(TICK_INTERVAL, Tick);
        Ok(())
    }
}

impl Handler<Nudge> for Keeper {
    async fn handle(&mut self, _nudge: Nudge, context: &mut Context<Self>) -> Result<(), Failure> {
        self.follow_changes(context);
        Ok(())
    }
}

impl Handler<Tick> for Keeper {
    async fn handle(&mut self, _tick: Tick, context: &mut Context<Self>) -> Result<(), Failure> {
        let (clock, mut registry) = (&self.node.config.clock, self.node.registry());
        let now_ns = clock.wall().0;
        let monotonic_ns = clock.monotonic().as_nanos();
        registry.judge_budgets(monotonic_ns, now_ns);
        registry.judge_memory(self.node.config.limits.counting_bytes_max, monotonic_ns, now_ns);
        registry.fill_duplicates(now_ns);
        registry.fill_suspended(now_ns);
        drop(registry);
        self.follow_changes(context);
        context.send_later(TICK_INTERVAL, Tick);
        Ok(())
    }
}

impl Handler<RereadHost> for Keeper {
    async fn handle(&mut self, job: RereadHost, context: &mut Context<Self>) -> Result<(), Failure> {
        // A mailbox full of these may have turned a nudge away.
        self.follow_changes(context);
        let node = Arc::clone(&self.node);
        context.pipe(reread_host(node, job), |()| Done);
        Ok(())
    }
}

impl Handler<Done> for Keeper {
    async fn handle(&mut self, _done: Done, context: &mut Context<Self>) -> Result<(), Failure> {
        self.follow_changes(context);
        Ok(())
    }
}
