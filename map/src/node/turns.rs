//! Whose turn it is to pull: so many at a time, fair between tenants and among the inputs of each.
//!
//! A pull holds a buffer and the bytes that it has not counted yet, so turns are memory, and who finds none waits. They
//! go to the tenant that has been served least, and within a tenant to whoever has waited longest; an input takes one
//! turn and goes to the back. So one with a single input waits for no more than the turns under way, whatever another
//! has, and a log of a terabyte is read between the turns of thin ones. The more wait, the less a turn may bring.
//!
//! The order is that of start-time fair queuing (Goyal, Vin, Cheng 1996), with equal weights: each tenant has a virtual
//! time that moves on by the bytes it was served; one that comes, or comes back, begins at the time of the turn that
//! was given last, and has saved nothing up.

use super::source::lock;
use crate::input::PULL_BYTES_MAX;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Bytes that one turn may bring when many wait: fewer would cost more in asking than they bring.
const TURN_BYTES_MIN: u64 = 1 << 20;
/// What a turn costs beside its bytes: asking, listing, answering.
const TURN_COST_BYTES: u64 = 64 << 10;

/// The turns of a node.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<Queue>>);

/// One tenant's.
#[derive(Default)]
struct Lane {
    /// Its virtual time.
    served: u64,
    under_way: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

struct Queue {
    free: usize,
    waiting: usize,
    /// Those that wait or are served.
    lanes: BTreeMap<String, Lane>,
    /// The virtual time of the turn that was given last: one that comes begins no earlier.
    now: u64,
}

/// The right to pull until it is dropped.
pub(super) struct Turn {
    turns: Turns,
    tenant: String,
    bytes_max: u64,
    bytes: u64,
}

impl Turns {
    /// So many at a time.
    pub(super) fn new(at_a_time: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            free: at_a_time.max(1),
            waiting: 0,
            lanes: BTreeMap::new(),
            now: 0,
        })))
    }

    /// Waits for a turn. Given up before it comes, it costs nobody anything.
    pub(super) async fn take(&self, tenant: &str) -> Turn {
        let (wake, woken) = oneshot::channel();
        {
            let mut queue = lock(&self.0);
            let now = queue.now;
            let lane = queue.lanes.entry(tenant.to_owned()).or_default();
            if lane.waiting.is_empty() && lane.under_way == 0 {
                lane.served = lane.served.max(now);
            }
            lane.waiting.push_back(wake);
            queue.waiting += 1;
        }
        let mut place = Place {
            turns: self,
            woken,
            is_served: false,
        };
        self.give();
        let turn = (&mut place.woken).await;
        place.is_served = true;
        turn.expect("a place in the queue is kept as long as somebody waits at it")
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.0).waiting
    }

    /// Gives free turns to those who wait.
    fn give(&self) {
        loop {
            let next = lock(&self.0).next(self);
            let Some((wake, turn)) = next else { return };
            if let Err(turn) = wake.send(turn) {
                // Whoever waited has just gone, and takes himself off as well. The turn goes to the next.
                lock(&self.0).waiting += 1;
                drop(turn);
            }
        }
    }
}

/// A place in the queue.
struct Place<'t> {
    turns: &'t Turns,
    woken: oneshot::Receiver<Turn>,
    is_served: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.woken.close();
        // A turn that came and was not taken any more is given back as it is dropped here.
        if !self.is_served && self.woken.try_recv().is_err() {
            lock(&self.turns.0).waiting -= 1;
        }
    }
}

impl Queue {
    /// The next turn, and whose it is.
    fn next(&mut self, turns: &Turns) -> Option<(oneshot::Sender<Turn>, Turn)> {
        if self.free == 0 {
            return None;
        }
        for lane in self.lanes.values_mut() {
            while lane.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                lane.waiting.pop_front();
            }
        }
        let waiting = self.lanes.iter_mut().filter(|(_, lane)| !lane.waiting.is_empty());
        let (tenant, lane) = waiting.min_by_key(|(_, lane)| lane.served)?;
        let wake = lane.waiting.pop_front()?;
        lane.under_way += 1;
        self.now = self.now.max(lane.served);
        // What it brings is added when it is known; until then others of the tenant stand behind it.
        lane.served = lane.served.saturating_add(TURN_COST_BYTES);
        self.free -= 1;
        self.waiting -= 1;
        let share = PULL_BYTES_MAX / (1 + self.waiting as u64);
        Some((
            wake,
            Turn {
                turns: turns.clone(),
                tenant: tenant.clone(),
                bytes_max: share.max(TURN_BYTES_MIN),
                bytes: 0,
            },
        ))
    }
}

impl Turn {
    /// Bytes that it may bring: fewer, the more wait behind it.
    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// It has brought so many bytes.
    pub(super) fn brought(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let mut queue = lock(&self.turns.0);
            queue.free += 1;
            if let Some(lane) = queue.lanes.get_mut(&self.tenant) {
                lane.under_way -= 1;
                lane.served = lane.served.saturating_add(self.bytes);
                // Nothing is remembered of one that has gone but that it may not come back with time saved up.
                if lane.under_way == 0 && lane.waiting.is_empty() && lane.served <= queue.now {
                    queue.lanes.remove(&self.tenant);
                }
            }
        }
        self.turns.give();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    /// Somebody who waits.
    struct Waiting<'t> {
        tenant: &'static str,
        taking: Pin<Box<dyn Future<Output = Turn> + 't>>,
    }

    impl Waiting<'_> {
        fn poll(&mut self) -> Option<Turn> {
            match self.taking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(turn) => Some(turn),
                Poll::Pending => None,
            }
        }
    }

    fn take<'t>(turns: &'t Turns, tenant: &'static str) -> Waiting<'t> {
        let mut waiting = Waiting {
            tenant,
            taking: Box::pin(turns.take(tenant)),
        };
        assert!(waiting.poll().is_none(), "nothing is free");
        waiting
    }

    /// Who is served next, when one turn after the other ends that has brought `bytes` of its tenant.
    fn served(turns: &Turns, mut first: Turn, waiting: Vec<Waiting<'_>>, bytes: impl Fn(&str) -> u64) -> Vec<String> {
        let mut waiting: Vec<Option<Waiting<'_>>> = waiting.into_iter().map(Some).collect();
        let mut order = Vec::new();
        loop {
            let tenant = first.tenant.clone();
            first.brought(bytes(&tenant));
            drop(first);
            let next = waiting.iter_mut().find_map(|place| {
                let turn = place.as_mut()?.poll()?;
                assert_eq!(place.take().map(|waiting| waiting.tenant), Some(turn.tenant.as_str()));
                Some(turn)
            });
            let Some(turn) = next else { break };
            order.push(turn.tenant.clone());
            first = turn;
        }
        assert_eq!(turns.waiting(), 0);
        assert!(waiting.iter().all(Option::is_none), "nobody is forgotten");
        order
    }

    fn at_once(turns: &Turns, tenant: &'static str) -> Turn {
        let mut taking = Box::pin(turns.take(tenant));
        match taking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => turn,
            Poll::Pending => panic!("a turn is free"),
        }
    }

    #[test]
    fn one_with_a_single_input_does_not_wait_for_the_thousand_of_another() {
        let turns = Turns::new(1);
        let first = at_once(&turns, "fat");
        let mut waiting: Vec<_> = (0..1000).map(|_| take(&turns, "fat")).collect();
        waiting.push(take(&turns, "thin"));
        let order = served(&turns, first, waiting, |_| 1 << 20);
        assert_eq!(order.iter().position(|tenant| tenant == "thin"), Some(0));
    }

    #[test]
    fn tenants_get_the_same_bytes_whatever_a_turn_brings() {
        let turns = Turns::new(1);
        let first = at_once(&turns, "none");
        let of = |tenant| (0..400).map(move |_| tenant);
        let waiting = of("large")
            .chain(of("small"))
            .map(|tenant| take(&turns, tenant))
            .collect();
        let order = served(&turns, first, waiting, |tenant| {
            if tenant == "large" { 4 << 20 } else { 1 << 20 }
        });
        let early = &order[..200];
        let large = early.iter().filter(|tenant| *tenant == "large").count();
        // Four small turns to a large one, but for what a turn itself costs.
        assert!((38..=43).contains(&large), "{large} of 200");
    }

    #[test]
    fn a_pause_saves_nothing_up() {
        let turns = Turns::new(1);
        drop(at_once(&turns, "late"));
        let mut busy = at_once(&turns, "busy");
        busy.brought(1 << 30);
        drop(busy);
        drop(at_once(&turns, "busy"));
        let first = at_once(&turns, "busy");
        let waiting = (0..100)
            .map(|number| take(&turns, if number % 2 == 0 { "late" } else { "busy" }))
            .collect();
        let order = served(&turns, first, waiting, |_| 1 << 20);
        let late = order[..20].iter().filter(|tenant| *tenant == "late").count();
        assert!((9..=12).contains(&late), "{late} of the first 20: {order:?}");
    }

    #[test]
    fn the_more_wait_the_less_a_turn_brings() {
        let turns = Turns::new(1);
        let first = at_once(&turns, "a");
        assert_eq!(first.bytes_max(), PULL_BYTES_MAX);
        let mut one = take(&turns, "a");
        let others: Vec<_> = (0..7).map(|_| take(&turns, "a")).collect();
        drop(first);
        let second = one.poll().expect("it is its turn");
        assert_eq!(second.bytes_max(), PULL_BYTES_MAX / 8);
        // Those that give up are nobody's burden.
        drop(others);
        drop(second);
        assert_eq!(at_once(&turns, "b").bytes_max(), PULL_BYTES_MAX);
        assert_eq!(turns.waiting(), 0);
    }

    /// What happens: somebody comes, one of those who wait gives up, or one of those under way ends.
    #[derive(Debug, Clone)]
    enum Event {
        Come(&'static str),
        GiveUp(usize),
        End(usize, u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => prop::sample::select(&["a", "b", "c"][..]).prop_map(Event::Come),
            1 => (0..1000_usize).prop_map(Event::GiveUp),
            2 => (0..1000_usize, 0..1_u64 << 25).prop_map(|(number, bytes)| Event::End(number, bytes)),
        ]
    }

    proptest! {
        /// Never more under way than may be, none free while anybody waits, and all are served in the end.
        #[test]
        fn turns_are_neither_lost_nor_made(at_a_time in 1..4_usize, events in prop::collection::vec(event(), 0..200)) {
            let turns = Turns::new(at_a_time);
            let mut waiting: Vec<Waiting<'_>> = Vec::new();
            let mut under_way: Vec<Turn> = Vec::new();
            for event in events {
                match event {
                    Event::Come(tenant) => {
                        let taking = Box::pin(turns.take(tenant));
                        waiting.push(Waiting { tenant, taking });
                    }
                    Event::GiveUp(number) if !waiting.is_empty() => {
                        let number = number % waiting.len();
                        waiting.remove(number);
                    }
                    Event::End(number, bytes) if !under_way.is_empty() => {
                        let number = number % under_way.len();
                        under_way.remove(number).brought(bytes);
                    }
                    Event::GiveUp(_) | Event::End(..) => {}
                }
                waiting.retain_mut(|one| match one.poll() {
                    Some(turn) => { under_way.push(turn); false }
                    None => true,
                });
                prop_assert!(under_way.len() <= at_a_time);
                prop_assert!(waiting.is_empty() || under_way.len() == at_a_time);
                prop_assert_eq!(turns.waiting(), waiting.len());
            }
            while !under_way.is_empty() || !waiting.is_empty() {
                under_way.pop();
                waiting.retain_mut(|one| match one.poll() {
                    Some(turn) => { under_way.push(turn); false }
                    None => true,
                });
            }
            prop_assert_eq!(turns.waiting(), 0);
        }
    }
}
