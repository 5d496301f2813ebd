//! Nodes' own files as they are written, but for the agent's: the raw twin of [`crate::node`].

use super::field::{Field, Ordered};
use schemars::JsonSchema;

/// A Map's own file: what pulls logs and counts.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["role", "node", "listen"]))]
pub(super) struct RawMap {
    /// Always `map`.
    pub(super) role: Field<MapRole>,
    /// Its name, by which the Brain's file knows it.
    pub(super) node: Field<String>,
    /// Where it listens to Reduces: 127.0.0.1:7811. Beyond loopback a token or `tls` is needed.
    pub(super) listen: Field<String>,
    /// A file that holds the secret that all nodes of a cluster share, at least 16 bytes.
    pub(super) token_file: Field<String>,
    /// The certificate by which this node and those it talks to know each other; all that they say is encrypted.
    pub(super) tls: Field<RawTls>,
    /// How agents are asked.
    pub(super) agents: Field<RawAgents>,
    /// Memory for what it counts: 1GiB, at least 64MiB. Pulls wait, and the largest monitors are suspended, before it
    /// takes more. Default: 1GiB.
    pub(super) memory: Field<String>,
}

/// A node's certificate.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["ca", "cert", "key"]))]
pub(super) struct RawTls {
    /// A PEM file with the certificate of the authority that vouches for all nodes; of several, while one follows
    /// another.
    pub(super) ca: Field<String>,
    /// A PEM file with this node's certificate, whose URI names say its role: sunfire://role/map, sunfire://agent/h1
    pub(super) cert: Field<String>,
    /// A PEM file with its private key.
    pub(super) key: Field<String>,
}

/// How a Map asks agents.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAgents {
    /// A file that holds the secret that agents ask for. Default: they are open on loopback.
    pub(super) token_file: Field<String>,
}

/// A Reduce's own file: what merges counts into points.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["role", "node", "listen", "store"]))]
pub(super) struct RawReduce {
    /// Always `reduce`.
    pub(super) role: Field<ReduceRole>,
    /// Its name, by which the Brain's file knows it.
    pub(super) node: Field<String>,
    /// Where it listens to Brains: 127.0.0.1:7821. Beyond loopback a token or `tls` is needed.
    pub(super) listen: Field<String>,
    /// A file that holds the secret that all nodes of a cluster share, at least 16 bytes.
    pub(super) token_file: Field<String>,
    /// The certificate by which this node and those it talks to know each other; all that they say is encrypted.
    pub(super) tls: Field<RawTls>,
    /// Where the store is: 127.0.0.1:7831
    pub(super) store: Field<String>,
}

/// A Brain's own file: what plans who does what.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["role", "node", "listen", "store", "reduces", "maps"]))]
pub(super) struct RawBrain {
    /// Always `brain`.
    pub(super) role: Field<BrainRole>,
    /// Its name.
    pub(super) node: Field<String>,
    /// Where it listens to consoles: 127.0.0.1:7841. Beyond loopback a token or `tls` is needed.
    pub(super) listen: Field<String>,
    /// A file that holds the secret that all nodes of a cluster share, at least 16 bytes.
    pub(super) token_file: Field<String>,
    /// The certificate by which this node and those it talks to know each other; all that they say is encrypted.
    pub(super) tls: Field<RawTls>,
    /// The folder of the ConfigDB: monitors and applications as YAML files. Or `configdb`.
    pub(super) config: Field<String>,
    /// The folder of what must last: epochs, the inventory's history, what was learned of logs. Or `configdb`.
    pub(super) data: Field<String>,
    /// The ConfigDB in etcd, with all that must last, in place of `config` and `data`.
    pub(super) configdb: Field<RawConfigDb>,
    /// Where the store is: 127.0.0.1:7831
    pub(super) store: Field<String>,
    /// The Reduces.
    pub(super) reduces: Field<Vec<Field<RawPeer>>>,
    /// The Maps.
    pub(super) maps: Field<Vec<Field<RawPeer>>>,
    /// How long a window below 100 % is worth repairing: 24h
    pub(super) horizon: Field<String>,
    /// How far before it is first seen a monitor begins: 15m
    pub(super) first_windows_back: Field<String>,
}

/// A ConfigDB in etcd.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["etcd"]))]
pub(super) struct RawConfigDb {
    /// Its members: ["http://10.0.0.1:2379"]
    pub(super) etcd: Field<Vec<Field<String>>>,
    /// What all keys begin with: /sunfire/
    pub(super) prefix: Field<String>,
    /// The folder where relative `file_sd` globs begin. Default: this file's own.
    pub(super) files: Field<String>,
}

/// A node as another one's file names it.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["node", "address"]))]
pub(super) struct RawPeer {
    /// Its name, as its own file has it.
    pub(super) node: Field<String>,
    /// Where it listens: 10.0.0.1:7811
    pub(super) address: Field<String>,
    /// Its labels; a Map counts the hosts of its own `zone` first.
    pub(super) labels: Field<Ordered<String>>,
}

/// A console's own file: what people and programs ask.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["role", "node", "listen", "store"]))]
pub(super) struct RawConsole {
    /// Always `console`.
    pub(super) role: Field<ConsoleRole>,
    /// Its name.
    pub(super) node: Field<String>,
    /// Where it listens to browsers: 127.0.0.1:7800. Beyond loopback an API token is needed.
    pub(super) listen: Field<String>,
    /// A file that holds the bearer token that browsers and programs must show.
    pub(super) api_token_file: Field<String>,
    /// A file that holds the secret that all nodes of a cluster share, at least 16 bytes.
    pub(super) token_file: Field<String>,
    /// The certificate by which this node and those it talks to know each other; all that they say is encrypted.
    pub(super) tls: Field<RawTls>,
    /// Where the Brain is: 127.0.0.1:7841
    pub(super) brain: Field<String>,
    /// The same of several, of which one leads: ["10.0.0.1:7841", "10.0.0.2:7841"]
    pub(super) brains: Field<Vec<Field<String>>>,
    /// Where points are kept.
    pub(super) store: Field<RawStore>,
}

/// Where points are kept.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStore {
    /// The folder of the store's file, if it is kept by this process.
    pub(super) data: Field<String>,
    /// Where it then listens to the other nodes: 127.0.0.1:7831. Beyond loopback a token or `tls` is needed.
    pub(super) listen: Field<String>,
    /// Where the store is, if another process keeps it: 127.0.0.1:7831
    pub(super) address: Field<String>,
}

/// The role of a Map's file.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum MapRole {
    Map,
}

/// The role of a Reduce's file.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum ReduceRole {
    Reduce,
}

/// The role of a Brain's file.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum BrainRole {
    Brain,
}

/// The role of a console's file.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum ConsoleRole {
    Console,
}
