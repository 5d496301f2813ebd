//! An etcd as a process holds it: with a thread of its own, so that neither a slow disk nor a long plan elsewhere in
//! the process keeps a lease from being renewed, and usable from threads that wait.

use crate::keys::Keys;
use etcd::{Client, Error};
use lika::seam::{Clock, Randomness};
use std::future::Future;
use std::io;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// How long one call may take: longer than etcd takes to choose a new leader (1–2 s), shorter than a lease (8 s).
const CALL_PATIENCE: Duration = Duration::from_secs(3);

/// Where an installation's ConfigDB is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The members of etcd, such as `http://127.0.0.1:2379`.
    pub endpoints: Vec<String>,
    /// What all its keys begin with.
    pub prefix: String,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// An endpoint is none.
    #[error("{0}")]
    Endpoint(#[from] Error),
    /// The prefix can't be one.
    #[error("{0}")]
    Prefix(String),
    /// No thread.
    #[error("no thread could be made for etcd")]
    Thread(#[from] io::Error),
}

/// A connection that is made as it is needed, and made again.
pub struct Connection {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    keys: Keys,
    clock: Clock,
    randomness: Randomness,
}

impl Connection {
    /// Prepares a connection; nobody is asked yet.
    ///
    /// # Errors
    /// If the place can't be one.
    pub fn open(place: &Place, clock: &Clock, randomness: &Randomness) -> Result<Connection, OpenError> {
        let keys = Keys::below(&place.prefix).map_err(OpenError::Prefix)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("etcd")
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let client = Client::new(&place.endpoints, CALL_PATIENCE, clock.clone())?;
        drop(entered);
        Ok(Connection {
            runtime: Some(runtime),
            client,
            keys,
            clock: clock.clone(),
            randomness: randomness.fork(),
        })
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Chance.
    pub fn randomness(&self) -> &Randomness {
        &self.randomness
    }

    /// The members, for people.
    pub fn told(&self) -> String {
        let endpoints: Vec<&str> = self.client.endpoints().collect();
        format!("etcd at {}", endpoints.join(", "))
    }

    /// Begins something on etcd's thread.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let runtime = self.runtime.as_ref();
        runtime.expect("the runtime goes with the connection only").spawn(work)
    }

    /// Does something on etcd's thread, and waits for it on this one, which may block. `None` if it panicked.
    pub fn wait<F>(&self, work: F) -> Option<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let (sender, receiver) = sync_channel(1);
        self.spawn(async move {
            // Nobody listens only if the waiting thread is gone.
            let _heard = sender.send(work.await);
        });
        receiver.recv().ok()
    }

    /// The same for a call of etcd.
    ///
    /// # Errors
    /// As the call.
    pub fn call<F, T>(&self, work: F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
        T: Send + 'static,
    {
        let endpoint = || self.client.endpoints().next().unwrap_or_default().to_owned();
        self.wait(work).unwrap_or_else(|| {
            Err(Error::Unreachable {
                endpoint: endpoint(),
                why: "the call ended without an answer".to_owned(),
            })
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // In the background: this may be an async context, in which nothing may wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
