//! File work off the async thread, bounded for all peers together and for each.
//!
//! A disk may hang for minutes. So everything that opens, lists or searches runs on a small pool of blocking threads,
//! and one peer can hold only a part of it: the others go on being answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lika::node::Refusal;
use lika::wire::Peer;
use tokio::sync::Semaphore;

/// One bound for each peer, which exists only while something is under way for it.
#[derive(Debug)]
pub(crate) struct PerPeer {
    most: usize,
    /// By role and name. The name is the peer's own claim; who knows the token and lies about its name can take more
    /// than its part, never more than what is bounded for all together.
    semaphores: Mutex<HashMap<(String, String), Weak<Semaphore>>>,
}

impl PerPeer {
    pub(crate) fn new(most: usize) -> PerPeer {
        PerPeer {
            most: most.clamp(1, Semaphore::MAX_PERMITS),
            semaphores: Mutex::default(),
        }
    }

    /// The peer's bound, shared by all of its connections.
    pub(crate) fn of(&self, peer: &Peer) -> Arc<Semaphore> {
        // A map of weak pointers has no invariant that a panic elsewhere could break.
        let mut semaphores = self.semaphores.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (peer.role.clone(), peer.node.clone());
        if let Some(semaphore) = semaphores.get(&key).and_then(Weak::upgrade) {
            return semaphore;
        }
        semaphores.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(self.most));
        semaphores.insert(key, Arc::downgrade(&semaphore));
        semaphore
    }
}

/// Where file work is done.
#[derive(Debug)]
pub(crate) struct FileWork {
    all: Arc<Semaphore>,
    per_peer: PerPeer,
}

impl FileWork {
    /// So much at a time, and so much of it for one peer.
    pub(crate) fn new(all: usize, per_peer: usize) -> FileWork {
        FileWork {
            all: Arc::new(Semaphore::new(all.clamp(1, Semaphore::MAX_PERMITS))),
            per_peer: PerPeer::new(per_peer),
        }
    }

    /// Does `work` when it is its turn. Who asks less often waits less: a peer waits for its own work first. Dropping
    /// the future gives up a turn that has not begun; what has begun is done to its end, and holds its turn until then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        peer: &Peer,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let closed = |_| Refusal::Stopping;
        let own_turn = self.per_peer.of(peer).acquire_owned().await.map_err(closed)?;
        let turn = Arc::clone(&self.all).acquire_owned().await.map_err(closed)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((own_turn, turn));
            done
        });
        done.await
            .map_err(|error| Refusal::Failed(format!("its file work ended early: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn peer(node: &str) -> Peer {
        Peer {
            role: "map".to_owned(),
            node: node.to_owned(),
            address: String::new(),
            version: 1,
        }
    }

    #[tokio::test]
    async fn one_peer_cannot_take_all_and_work_outlives_its_asker() {
        let work = Arc::new(FileWork::new(2, 1));
        let (release, gate) = mpsc::channel::<()>();
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        let stuck = tokio::spawn({
            let work = Arc::clone(&work);
            async move {
                let blocked = move || {
                    let _told = begun.send(());
                    let _released = gate.recv();
                };
                work.run(&peer("one"), blocked).await
            }
        });
        begins.recv().await.expect("it begins");
        stuck.abort();
        assert!(stuck.await.is_err_and(|error| error.is_cancelled()));
        // Another peer is served; the same one isn't, since its work goes on.
        assert_eq!(work.run(&peer("other"), || 7).await, Ok(7));
        assert_eq!(work.per_peer.of(&peer("one")).available_permits(), 0);
        release.send(()).expect("it waits");
        assert_eq!(work.run(&peer("one"), || 8).await, Ok(8));
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_gives_its_turn_back() {
        let work = FileWork::new(1, 1);
        let failed = work.run(&peer("one"), || panic!("on purpose")).await;
        assert!(matches!(failed, Err(Refusal::Failed(_))), "{failed:?}");
        assert_eq!(work.run(&peer("one"), || 1).await, Ok(1));
    }

    #[test]
    fn peers_that_are_gone_are_forgotten() {
        let peers = PerPeer::new(1);
        for number in 0..100 {
            let _gone = peers.of(&peer(&number.to_string()));
        }
        assert!(peers.semaphores.lock().expect("sound").len() <= 2);
    }
}
