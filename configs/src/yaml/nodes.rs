//! Raw files of the cluster's nodes to validated ones; the agent's is in `role`.

use super::app::labels;
use super::configdb;
use super::field::Field;
use super::raw_node::{RawBrain, RawConsole, RawMap, RawPeer, RawReduce};
use super::reading::Reading;
use super::role::{NOWHERE, listen};
use super::tls::{open_beyond_loopback, tls};
use crate::app::is_address;
use crate::diagnostic::Mistake;
use crate::node::{BrainNode, ConsoleNode, MAP_MEMORY_BYTES_MIN, MapNode, Peer, ReduceNode, StorePlace, TokenSource};
use crate::units::bytes;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::Range;

/// What all files of nodes say: a name, where it listens, the cluster's secret.
struct Common {
    node: String,
    listen: SocketAddr,
    token: TokenSource,
}

/// The fields of a file that are common to all.
struct RawCommon<'r> {
    node: &'r Field<String>,
    listen: &'r Field<String>,
    token_file: &'r Field<String>,
}

/// The kind of a node, and an address that it could listen at.
type Kind = (&'static str, &'static str);

fn common(raw: &RawCommon<'_>, (kind, example): Kind, reading: &mut Reading, document: &Range<usize>) -> Common {
    if let Field::Absent = raw.node {
        let mistake = Mistake::new(document.clone(), format!("the {kind} has no `node`"));
        reading.note(mistake.hint(format!("add its name: `node: {kind}-1`")));
    }
    Common {
        node: reading.optional_name(raw.node).unwrap_or_default(),
        listen: listen(raw.listen, (kind, example), reading, document).unwrap_or(NOWHERE),
        token: token_file(raw.token_file, "token_file", reading),
    }
}

fn token_file(raw: &Field<String>, key: &str, reading: &mut Reading) -> TokenSource {
    match reading.text(raw, key) {
        Some(path) => TokenSource::File(path.into()),
        None => TokenSource::OpenOnLoopback,
    }
}

/// Where another node is.
fn address(raw: &Field<String>, key: &str, reading: &mut Reading) -> String {
    let Some((address, span)) = raw.given() else {
        return String::new();
    };
    if !is_address(address) {
        let mistake = Mistake::new(span, format!("`{key}: {address}` is not an address"));
        reading.note(mistake.hint("write host and port: 10.0.0.1:7831"));
    }
    address.clone()
}

pub(super) fn needed(
    raw: &Field<impl Sized>,
    (kind, key, hint): (&str, &str, &str),
    reading: &mut Reading,
    at: &Range<usize>,
) {
    if let Field::Absent = raw {
        reading.note(Mistake::new(at.clone(), format!("the {kind} has no `{key}`")).hint(hint));
    }
}

/// Validates a Map's file.
pub(super) fn map(raw: &RawMap, reading: &mut Reading, document: Range<usize>) -> MapNode {
    let fields = RawCommon {
        node: &raw.node,
        listen: &raw.listen,
        token_file: &raw.token_file,
    };
    let Common { node, listen, token } = common(&fields, ("map", "127.0.0.1:7811"), reading, &document);
    open_beyond_loopback(&raw.listen, (&token, &raw.tls), reading);
    let agents = raw.agents.value();
    let agents = agents.map(|agents| token_file(&agents.token_file, "token_file", reading));
    MapNode {
        node,
        listen,
        token,
        tls: tls(&raw.tls, reading),
        agents: agents.unwrap_or(TokenSource::OpenOnLoopback),
        memory_bytes: memory(&raw.memory, reading),
    }
}

fn memory(raw: &Field<String>, reading: &mut Reading) -> Option<u64> {
    let bytes = reading.quantity(raw, bytes, "a size", "1GiB")?;
    if bytes < MAP_MEMORY_BYTES_MIN
        && let Some((_, span)) = raw.given()
    {
        reading.note(Mistake::new(span, "a map needs 64MiB at least").hint("write 1GiB, or leave it out"));
    }
    Some(bytes)
}

/// Validates a Reduce's file.
pub(super) fn reduce(raw: &RawReduce, reading: &mut Reading, document: Range<usize>) -> ReduceNode {
    let fields = RawCommon {
        node: &raw.node,
        listen: &raw.listen,
        token_file: &raw.token_file,
    };
    let Common { node, listen, token } = common(&fields, ("reduce", "127.0.0.1:7821"), reading, &document);
    open_beyond_loopback(&raw.listen, (&token, &raw.tls), reading);
    needed(&raw.store, ("reduce", "store", STORE_HINT), reading, &document);
    ReduceNode {
        node,
        listen,
        token,
        tls: tls(&raw.tls, reading),
        store: address(&raw.store, "store", reading),
    }
}

const STORE_HINT: &str = "say where the console's file has its store listen: `store: 127.0.0.1:7831`";

/// Validates a Brain's file.
pub(super) fn brain(raw: &RawBrain, reading: &mut Reading, document: Range<usize>) -> BrainNode {
    let fields = RawCommon {
        node: &raw.node,
        listen: &raw.listen,
        token_file: &raw.token_file,
    };
    let Common { node, listen, token } = common(&fields, ("brain", "127.0.0.1:7841"), reading, &document);
    open_beyond_loopback(&raw.listen, (&token, &raw.tls), reading);
    needed(&raw.store, ("brain", "store", STORE_HINT), reading, &document);
    let configdb = configdb::place(raw, reading, &document);
    BrainNode {
        node,
        listen,
        token,
        tls: tls(&raw.tls, reading),
        configdb,
        store: address(&raw.store, "store", reading),
        reduces: peers(&raw.reduces, "reduces", reading, &document),
        maps: peers(&raw.maps, "maps", reading, &document),
        horizon_ms: reading.duration(&raw.horizon),
        first_windows_back_ms: reading.duration(&raw.first_windows_back),
    }
}

fn peers(raw: &Field<Vec<Field<RawPeer>>>, key: &str, reading: &mut Reading, document: &Range<usize>) -> Vec<Peer> {
    let missing = match raw {
        Field::Absent => Some(document.clone()),
        Field::Broken => None,
        Field::Given(peers, span) => peers.is_empty().then(|| span.clone()),
    };
    if let Some(place) = missing {
        let mistake = Mistake::new(place, format!("the brain has no `{key}`"));
        reading.note(mistake.hint(format!(
            "name them: `{key}: [{{ node: …, address: \"10.0.0.1:7811\" }}]`"
        )));
    }
    let (mut names, mut addresses) = (HashSet::new(), HashSet::new());
    let mut peers = Vec::new();
    for (raw, span) in raw.value().into_iter().flatten().filter_map(Field::given) {
        reading.required(&raw.node, "the node", "node", &span);
        reading.required(&raw.address, "the node", "address", &span);
        let node = reading.optional_name(&raw.node).unwrap_or_default();
        let address = address(&raw.address, "address", reading);
        for (text, raw, known) in [(&node, &raw.node, &mut names), (&address, &raw.address, &mut addresses)] {
            if let (false, Some((_, span))) = (known.insert(text.clone()), raw.given()) {
                let mistake = Mistake::new(span, format!("`{text}` stands twice in `{key}`"));
                reading.note(mistake.hint("nodes differ in name and address: keep one of them"));
            }
        }
        peers.push(Peer {
            node,
            address,
            labels: labels(&raw.labels, reading),
        });
    }
    peers
}

/// Validates a console's file.
pub(super) fn console(raw: &RawConsole, reading: &mut Reading, document: Range<usize>) -> ConsoleNode {
    let fields = RawCommon {
        node: &raw.node,
        listen: &raw.listen,
        token_file: &raw.token_file,
    };
    let Common { node, listen, token } = common(&fields, ("console", "127.0.0.1:7800"), reading, &document);
    let api_token = token_file(&raw.api_token_file, "api_token_file", reading);
    if let (Some((_, span)), TokenSource::OpenOnLoopback, false) =
        (raw.listen.given(), &api_token, listen.ip().is_loopback())
    {
        let mistake = Mistake::new(
            span,
            format!("`{listen}` can be reached from other hosts, and there is no API token"),
        );
        reading.note(mistake.hint("add `api_token_file: …`, or listen on 127.0.0.1"));
    }
    let store = store(raw, &token, reading, &document);
    ConsoleNode {
        node,
        listen,
        api_token,
        token,
        tls: tls(&raw.tls, reading),
        brains: brains(raw, reading),
        store,
    }
}

fn brains(raw: &RawConsole, reading: &mut Reading) -> Vec<String> {
    if let (Some(_), Some((_, span))) = (raw.brain.value(), raw.brains.given()) {
        reading.note(Mistake::new(span, "both `brain` and `brains` are given").hint("keep one of them"));
    }
    let one = raw.brain.value().map(|_| address(&raw.brain, "brain", reading));
    let several = raw.brains.value().into_iter().flatten();
    let several: Vec<String> = several.map(|each| address(each, "brains", reading)).collect();
    one.into_iter().chain(several).collect()
}

fn store(raw: &RawConsole, token: &TokenSource, reading: &mut Reading, document: &Range<usize>) -> StorePlace {
    let hint = "keep it here, `store: { data: store-data, listen: 127.0.0.1:7831 }`, or say where it is, `store: \
                { address: 10.0.0.1:7831 }`";
    needed(&raw.store, ("console", "store", hint), reading, document);
    let Some((store, span)) = raw.store.given() else {
        return StorePlace::There(String::new());
    };
    if let Field::Given(..) = store.address {
        if let Some((_, span)) = store.data.given().or(store.listen.given()) {
            reading
                .note(Mistake::new(span, "the store is kept here and elsewhere").hint("keep `address`, or the others"));
        }
        return StorePlace::There(address(&store.address, "address", reading));
    }
    needed(&store.data, ("store", "data", hint), reading, &span);
    let at = listen(&store.listen, ("store", "127.0.0.1:7831"), reading, &span);
    open_beyond_loopback(&store.listen, (token, &raw.tls), reading);
    StorePlace::Here {
        data: reading.text(&store.data, "data").unwrap_or_default().into(),
        listen: at.unwrap_or(NOWHERE),
    }
}
