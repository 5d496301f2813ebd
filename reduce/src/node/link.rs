//! Clients of Maps, one for each address, shared by all owners.

use super::ReduceConfig;
use lika::node::{Client, Dialling, Settings};
use map::protocol::MapProtocol;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A client in use: it is closed some time after the last user is gone.
#[derive(Clone)]
pub(super) struct MapLink {
    pub(super) client: Client<MapProtocol>,
    _lease: Rc<()>,
}

/// All clients.
pub(super) struct Maps {
    dialling: Dialling,
    links: RefCell<BTreeMap<String, MapLink>>,
}

impl Maps {
    pub(super) fn new(config: &ReduceConfig) -> Self {
        Self {
            dialling: Dialling {
                network: config.network.clone(),
                address: String::new(),
                server_node: None,
                identity: config.identity.clone(),
                settings: Settings {
                    // A Map's answers may be larger than other frames: a window of one host is never cut.
                    frame_bytes_max: config.settings.frame_bytes_max.max(map::node::FRAME_BYTES_MAX),
                    ..config.settings.clone()
                },
                clock: config.clock.clone(),
                randomness: config.randomness.clone(),
            },
            links: RefCell::default(),
        }
    }

    /// The client of an address; those that nobody uses any more are closed.
    pub(super) fn link(&self, address: &str) -> MapLink {
        let mut links = self.links.borrow_mut();
        links.retain(|known, link| known == address || Rc::strong_count(&link._lease) > 1);
        let link = links.entry(address.to_owned()).or_insert_with(|| MapLink {
            client: Client::start(Dialling {
                address: address.to_owned(),
                ..self.dialling.clone()
            }),
            _lease: Rc::new(()),
        });
        link.clone()
    }
}
