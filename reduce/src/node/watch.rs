//! The watch over Maps: each is asked how it is once a second, and what that shows decides who counts what.
//!
//! Owners look at [`Guards::turn`] with every look at the clock; a change of it means that another Map died or came
//! back, and that their hosts are to be placed anew. So a Map that is lost is replaced without anybody else: no Brain
//! is needed.

use super::Shared;
use super::link::MapLink;
use crate::protocol::{MapNode, MapSeen, NodeAddress, NodeLife};
use lika::actor::{Actor, Context, Failure, Handler, Message};
use lika::guard::{Guard, Life, Policy};
use lika::node::CallError;
use map::protocol::{MapAnswer, MapRequest, MapStatus};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// How often Maps are asked and judged.
const BEAT: Duration = Duration::from_millis(500);
/// How long a Map may take to say how it is.
const STATUS_PATIENCE: Duration = Duration::from_secs(4);

struct Guarded {
    map: NodeAddress,
    link: MapLink,
    guard: Guard,
    since_ns: i64,
    status: Option<MapStatus>,
    is_asked: bool,
}

/// All Maps of all monitors that are installed here.
#[derive(Default)]
pub(super) struct Guards {
    maps: BTreeMap<String, Guarded>,
    turn: u64,
}

impl Guards {
    /// Counts up whenever a Map dies or comes back.
    pub(super) fn turn(&self) -> u64 {
        self.turn
    }

    /// Of these Maps those that nothing speaks against: they live, and are neither avoided nor drained. If there is
    /// none, what speaks against them counts for nothing, life last: there is nowhere else to go.
    pub(super) fn living<'m>(&self, maps: &'m [MapNode], is_avoided: impl Fn(&str) -> bool) -> Vec<&'m MapNode> {
        let may_work = |map: &&MapNode| {
            let guarded = self.maps.get(&map.node.address);
            guarded.is_none_or(|guarded| guarded.guard.may_work())
        };
        let living: Vec<&MapNode> = maps.iter().filter(may_work).collect();
        let wanted: Vec<&MapNode> = living
            .iter()
            .copied()
            .filter(|map| !map.is_drained && !is_avoided(&map.node.address))
            .collect();
        match (wanted.is_empty(), living.is_empty()) {
            (false, _) => wanted,
            (true, false) => living,
            (true, true) => maps.iter().collect(),
        }
    }

    /// Whether a Map is known to answer.
    pub(super) fn is_live(&self, address: &str) -> bool {
        let guarded = self.maps.get(address);
        guarded.is_some_and(|guarded| *guarded.guard.life() == Life::Live)
    }

    /// How each stands, by name.
    pub(super) fn seen(&self) -> Vec<MapSeen> {
        let mut seen: Vec<MapSeen> = self.maps.values().map(Guarded::seen).collect();
        seen.sort_by(|one, other| one.map.cmp(&other.map));
        seen
    }
}

impl Guarded {
    fn seen(&self) -> MapSeen {
        let (life, why) = match self.guard.life() {
            Life::Unknown => (NodeLife::Unknown, None),
            Life::Live => (NodeLife::Live, None),
            Life::Dead(why) => (NodeLife::Dead, Some(why.clone())),
        };
        MapSeen {
            map: self.map.clone(),
            life,
            since_ns: self.since_ns,
            why,
            status: self.status.clone(),
        }
    }
}

impl Shared {
    /// Watches these Maps and no others.
    pub(super) fn guard_only<'m>(&self, maps: impl Iterator<Item = &'m MapNode>) {
        let wanted: BTreeMap<&str, &NodeAddress> = maps.map(|map| (map.node.address.as_str(), &map.node)).collect();
        let mut guards = self.guards.borrow_mut();
        guards.maps.retain(|address, _| wanted.contains_key(address.as_str()));
        for (address, map) in wanted {
            let clock = &self.config.clock;
            let guarded = guards.maps.entry(address.to_owned()).or_insert_with(|| Guarded {
                map: map.clone(),
                link: self.maps.link(address),
                guard: Guard::new(Policy::default(), clock.monotonic()),
                since_ns: clock.wall().0,
                status: None,
                is_asked: false,
            });
            guarded.map.clone_from(map);
        }
    }
}

/// Asks and judges.
pub(super) struct Watch(pub(super) Rc<Shared>);

pub(super) struct Beat;

impl Message for Beat {
    type Reply = ();
}

/// A Map said how it is, or didn't.
pub(super) struct Said {
    address: String,
    answer: Result<MapAnswer, CallError>,
}

impl Message for Said {
    type Reply = ();
}

impl Actor for Watch {
    type State = u64;

    fn observe(&self) -> u64 {
        self.0.guards.borrow().turn
    }

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), Failure> {
        // Questions of a generation before this one are answered to nobody.
        let mut guards = self.0.guards.borrow_mut();
        guards.maps.values_mut().for_each(|guarded| guarded.is_asked = false);
        context.send_later(Duration::ZERO, Beat);
        Ok(())
    }
}

impl Handler<Beat> for Watch {
    async fn handle(&mut self, _beat: Beat, context: &mut Context<Self>) -> Result<(), Failure> {
        let (now, wall_ns) = (context.clock().monotonic(), context.clock().wall().0);
        let mut guards = self.0.guards.borrow_mut();
        let mut changed = 0;
        for (address, guarded) in &mut guards.maps {
            guarded.guard.sees(&guarded.link.client.state(), now);
            if guarded.guard.judge(now) {
                guarded.since_ns = wall_ns;
                changed += 1;
                let map = &guarded.map.node;
                match guarded.guard.life() {
                    Life::Dead(why) => tracing::warn!(%map, why, "a map is taken for dead"),
                    Life::Live | Life::Unknown => tracing::info!(%map, "a map is there"),
                }
            }
            if !std::mem::replace(&mut guarded.is_asked, true) {
                let (client, address) = (guarded.link.client.clone(), address.clone());
                let question = async move { client.call(&MapRequest::Status, STATUS_PATIENCE).await };
                context.pipe(question, move |answer| Said { address, answer });
            }
        }
        guards.turn += changed;
        drop(guards);
        context.send_later(BEAT, Beat);
        Ok(())
    }
}

impl Handler<Said> for Watch {
    async fn handle(&mut self, said: Said, context: &mut Context<Self>) -> Result<(), Failure> {
        let mut guards = self.0.guards.borrow_mut();
        let Some(guarded) = guards.maps.get_mut(&said.address) else {
            return Ok(());
        };
        guarded.is_asked = false;
        match said.answer {
            Ok(MapAnswer::Status(status)) => {
                guarded.guard.hears(context.clock().monotonic());
                guarded.status = Some(status);
            }
            // Whoever refuses lives.
            Ok(_) | Err(CallError::Refused { .. }) => guarded.guard.hears(context.clock().monotonic()),
            Err(_) => {}
        }
        Ok(())
    }
}
