//! A store's protocol over `lika`: who may ask what is decided here, by the role that the handshake proved.

use std::io;

use lika::node::{Call, Handler, Refusal, Server, ServerBuilder, Settings};
use lika::seam::{Clock, Network, Randomness};
use lika::wire::Identity;

use crate::handle::{StoreHandle, settings};
use crate::protocol::{ROLE_BRAIN, ROLE_CONSOLE, ROLE_REDUCE, StoreAnswer, StoreProtocol, StoreRequest};

/// Connections at a time: every Reduce, Brain and console of a cluster has one.
const CONNECTIONS_MAX: usize = 512;

/// Serves a store at `address`, in tasks of the present tokio runtime, until the server is dropped or stopped.
///
/// # Errors
/// If the address cannot be listened at.
pub async fn listen(
    store: StoreHandle,
    identity: Identity,
    (clock, randomness): (Clock, Randomness),
    (network, address): (&dyn Network, &str),
) -> io::Result<Server> {
    let settings = settings(Settings {
        connections_max: CONNECTIONS_MAX,
        ..Settings::default()
    });
    ServerBuilder::new(identity, settings, clock, randomness)
        .serve::<StoreProtocol>(StoreNode { store })
        .listen(network, address)
        .await
}

/// Answers the questions of other nodes from a store.
#[derive(Debug, Clone)]
pub struct StoreNode {
    store: StoreHandle,
}

impl StoreNode {
    /// A node over a store, for a server that serves more than this; [`listen`] makes one that does not.
    pub fn new(store: StoreHandle) -> StoreNode {
        StoreNode { store }
    }
}

/// Whether a role may ask this. Roles that may ask nothing do not get past the handshake.
fn may_ask(role: &str, request: &StoreRequest) -> bool {
    match request {
        StoreRequest::Write(_) | StoreRequest::PutDocument(_) => role == ROLE_REDUCE,
        StoreRequest::Windows { .. }
        | StoreRequest::Newest { .. }
        | StoreRequest::Undone { .. }
        | StoreRequest::Pieces { .. }
        | StoreRequest::Monitors
        | StoreRequest::Documents { .. }
        | StoreRequest::Status => [ROLE_REDUCE, ROLE_BRAIN, ROLE_CONSOLE].contains(&role),
    }
}

impl Handler<StoreProtocol> for StoreNode {
    async fn handle(&self, request: StoreRequest, call: &mut Call<StoreProtocol>) -> Result<StoreAnswer, Refusal> {
        let role = &call.peer().role;
        if !may_ask(role, &request) {
            let why = format!("the role {role} may not write into a store; only a reduce may");
            return Err(Refusal::Declined(why));
        }
        let answered = self.store.ask(request).await;
        Ok(answered.unwrap_or_else(|error| StoreAnswer::Failed(error.to_string())))
    }
}
