//! Who may sit down at a server, and who waits at its door.
//!
//! A stranger costs nothing but a place at the door until it has proved that it knows the token: places at the door and
//! seats are counted apart, and when the door is full the one that stands there longest has to go. An honest handshake
//! takes milliseconds, so the longest is hardly ever one; strangers that connect and dawdle, however many, can neither
//! take a seat nor keep anybody from the door.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The seats of a server.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    most_per_peer: usize,
    /// Counts by role and name; numbers have no invariant that a panic elsewhere could break.
    taken: Mutex<BTreeMap<(String, String), usize>>,
}

/// A seat, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    peer: (String, String),
}

impl Seats {
    pub(super) fn new(most: usize, most_per_peer: usize) -> Seats {
        Seats {
            most,
            most_per_peer,
            taken: Mutex::default(),
        }
    }

    fn has_room(&self, taken: &BTreeMap<(String, String), usize>, peer: &(String, String)) -> bool {
        let own = taken.get(peer).copied().unwrap_or(0);
        taken.values().sum::<usize>() < self.most && own < self.most_per_peer
    }

    /// Whether somebody would get a seat now.
    pub(super) fn free_for(&self, role: &str, node: &str) -> bool {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_room(&taken, &(role.to_owned(), node.to_owned()))
    }

    /// Takes one, if one is free.
    pub(super) fn take(self: &Arc<Seats>, role: &str, node: &str) -> Option<Seat> {
        let peer = (role.to_owned(), node.to_owned());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.has_room(&taken, &peer) {
            return None;
        }
        *taken.entry(peer.clone()).or_default() += 1;
        let seats = Arc::clone(self);
        Some(Seat { seats, peer })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

/// The door: connections whose handshake is not done, the one that stands there longest first.
#[derive(Debug)]
pub(super) struct Door {
    most: usize,
    standing: VecDeque<(u64, Arc<Notify>)>,
    next: u64,
    count: Arc<AtomicUsize>,
}

/// Someone at the door.
#[derive(Debug)]
pub(super) struct Standing {
    /// Its number at the door.
    pub(super) number: u64,
    /// Told when it has to go.
    pub(super) go: Arc<Notify>,
}

impl Door {
    /// A door for so many; `count` is kept for others to see.
    pub(super) fn new(most: usize, count: Arc<AtomicUsize>) -> Door {
        Door {
            most: most.max(1),
            standing: VecDeque::new(),
            next: 0,
            count,
        }
    }

    /// Lets one more stand there; who stands there longest goes if there is no room.
    pub(super) fn enter(&mut self) -> Standing {
        while self.standing.len() >= self.most {
            if let Some((_, longest)) = self.standing.pop_front() {
                longest.notify_one();
            }
        }
        let (number, go) = (self.next, Arc::new(Notify::new()));
        self.next += 1;
        self.standing.push_back((number, Arc::clone(&go)));
        self.counted();
        Standing { number, go }
    }

    /// One has gone, in or away.
    pub(super) fn left(&mut self, number: u64) {
        // Sorted by number, since they came in this order.
        if let Ok(at) = self.standing.binary_search_by_key(&number, |(number, _)| *number) {
            self.standing.remove(at);
        }
        self.counted();
    }

    fn counted(&self) {
        self.count.store(self.standing.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_for_all_and_for_each() {
        let seats = Arc::new(Seats::new(3, 2));
        let first = seats.take("map", "one");
        let second = seats.take("map", "one");
        assert!(first.is_some() && second.is_some() && seats.take("map", "one").is_none());
        assert!(!seats.free_for("map", "one") && seats.free_for("map", "two"));
        let third = seats.take("map", "two");
        assert!(third.is_some() && seats.take("console", "one").is_none());
        assert_eq!(seats.taken(), 3);
        drop(first);
        assert!(seats.take("map", "one").is_some());
        drop((second, third));
        assert_eq!(seats.taken(), 0);
        assert!(
            seats.taken.lock().unwrap().is_empty(),
            "peers that are gone are forgotten"
        );
    }

    #[tokio::test]
    async fn who_stands_longest_at_a_full_door_goes() {
        let count = Arc::new(AtomicUsize::new(0));
        let mut door = Door::new(2, Arc::clone(&count));
        let [first, second] = [door.enter(), door.enter()];
        door.left(first.number);
        let third = door.enter();
        let fourth = door.enter();
        second.go.notified().await;
        door.left(second.number);
        assert_eq!(count.load(Ordering::Relaxed), 2);
        door.left(third.number);
        door.left(fourth.number);
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
