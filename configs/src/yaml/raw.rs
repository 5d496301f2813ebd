//! The YAML documents as they are written: the raw twin of the validated model, and the source of the JSON Schema.
//!
//! Nothing is required here, so that a document with a missing key can still be searched for other mistakes; what is
//! required is said to the schema and checked by the validation. The comments are the schema's descriptions.

use super::field::{Field, Ordered};
use super::raw_node::{RawBrain, RawConsole, RawMap, RawReduce, RawTls};
use schemars::{JsonSchema, Schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;

/// A document of the ConfigDB.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    clippy::large_enum_variant,
    reason = "only the schema is made of it, never a value"
)]
pub(super) enum RawDocument {
    Monitor(RawMonitor),
    App(RawApp),
    Tenant(RawTenant),
    Drain(RawDrain),
    Agent(RawAgent),
    Map(RawMap),
    Reduce(RawReduce),
    Brain(RawBrain),
    Console(RawConsole),
}

/// The kinds of documents.
pub(super) const KINDS: [&str; 4] = ["monitor", "app", "tenant", "drain"];

/// The roles that have a file of their own.
pub(super) const ROLES: [&str; 5] = ["agent", "map", "reduce", "brain", "console"];

/// A monitor: which records of which log are counted, by what, and how.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["kind", "name", "select"]))]
pub(super) struct RawMonitor {
    /// Always `monitor`.
    pub(super) kind: Field<MonitorKind>,
    /// Its name, unique in the ConfigDB.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
    pub(super) name: Field<String>,
    /// The tenant it belongs to.
    pub(super) tenant: Field<String>,
    /// The application whose hosts it reads.
    pub(super) app: Field<String>,
    /// The log's absolute path on the hosts, with globs and strftime dates: /var/log/pay.%Y-%m-%d.log. A capture stands
    /// for a part of a name and is a column: /logs/(?<shop>[a-z]+).log
    #[schemars(regex(pattern = "^/"))]
    pub(super) log: Field<String>,
    /// Which lines begin a record. Default: every line with a timestamp.
    pub(super) records: Field<RawRecords>,
    /// How fields are cut out of a record. Default: auto, detected from the log.
    pub(super) parse: Field<RawParse>,
    /// Which records count: a condition in MQL, such as op in ('pay', 'refund').
    pub(super) r#where: Field<String>,
    /// By what the values are kept apart: fields of the record, the labels host, ip, app, zone, path, file, or another
    /// label of the inventory: label('unit').
    pub(super) group_by: Field<Vec<Field<RawGroup>>>,
    /// What is computed: names with expressions in MQL, such as count() or sum(amount).
    pub(super) select: Field<Ordered<String>>,
    /// Length of the windows: 5s. It divides a day evenly. Default: 1m.
    #[schemars(regex(pattern = r"^\d+(ms|s|m|h|d)$"))]
    pub(super) window: Field<String>,
    /// How far a timestamp may lie behind the greatest before it in its file and still count. Default: learned.
    #[schemars(regex(pattern = r"^\d+(ms|s|m|h|d)$"))]
    pub(super) lateness: Field<String>,
    /// How long after its end a window may still grow. Default: learned.
    #[schemars(regex(pattern = r"^\d+(ms|s|m|h|d)$"))]
    pub(super) delay: Field<String>,
    /// How long after a window's end the first answer comes. Default: 1s.
    #[schemars(regex(pattern = r"^\d+(ms|s|m|h|d)$"))]
    pub(super) grace: Field<String>,
    /// Zone of stamps that have none in the line: Asia/Shanghai, or +08:00. Default: the host's.
    pub(super) timezone: Field<String>,
    /// A timestamp format that overrides detection; `arrival` counts the lines of a log without timestamps when they
    /// are seen to arrive.
    pub(super) timestamp: Field<String>,
    /// The log's encoding, where its bytes don't tell: gbk, gb18030, latin1, or another name of the WHATWG's list.
    /// Default: UTF-8, or UTF-16 where that is found.
    pub(super) encoding: Field<String>,
    /// What a missing log file means. Default: missing.
    pub(super) absent: Field<RawAbsent>,
    /// Budgets.
    pub(super) limits: Field<RawLimits>,
}

/// The kind of a monitor's document.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum MonitorKind {
    Monitor,
}

/// What a missing log file means.
#[derive(Debug, Clone, Copy, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum RawAbsent {
    /// The host is not ok.
    Missing,
    /// The host is complete with nothing in it.
    Zero,
}

/// Budgets of a monitor.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    /// Groups kept in an answer; the rest are folded into `__other__`. Default: 100000.
    #[schemars(range(min = 1))]
    pub(super) groups: Field<u64>,
    /// CPU time per second on each Map: 50ms/s. Three windows in a row over it suspend the monitor there for a while.
    /// Default: no limit.
    #[schemars(regex(pattern = r"^\d+ ?(us|ms|s)/s$"))]
    pub(super) cpu: Field<String>,
    /// Bytes of log per second that each Map goes through for it: 100MiB/s, as `cpu`. Default: no limit.
    #[schemars(regex(pattern = r"^\d+ ?(B|kB|KB|MB|GB|KiB|MiB|GiB)/s$"))]
    pub(super) bytes: Field<String>,
}

/// Which lines begin a record, by a regular expression of linear time over the line.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawRecords {
    /// Only a line that matches, if it has a timestamp: '^MainThread::'
    Start(Field<String>),
    /// A line that matches never does, even with a timestamp: '^\s'
    Continue(Field<String>),
}

/// How fields are cut out of a record.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = allow_bare_nginx)]
pub(super) enum RawParse {
    /// Detected from the log.
    Auto,
    /// JSON objects; fields by dotted paths, a.b[0].
    Json,
    /// key=value key="value with blanks".
    Logfmt,
    /// The Common Log Format of web servers.
    Clf,
    /// nginx's combined format, or the `log_format` given.
    Nginx(Option<Field<String>>),
    /// Keys and values between separators.
    Kv(RawKv),
    /// Columns between separators.
    Split(RawSplit),
    /// Fields between two texts each: { cost: ["cost=", "ms"] }.
    Between(Ordered<(String, String)>),
    /// Named groups of a regular expression of linear time.
    Regex(Field<String>),
    /// The same with names for common patterns: %{NUMBER:cost}.
    Grok(Field<String>),
}

/// `nginx` stands alone as well as with a format; serde's model of a choice can't say so.
fn allow_bare_nginx(schema: &mut Schema) {
    if let Some(serde_json::Value::Array(choices)) = schema.get_mut("oneOf") {
        choices.push(serde_json::json!({
            "description": "nginx's combined format.", "type": "string", "const": "nginx",
        }));
    }
}

/// Keys and values between separators: op=pay|cost=3.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline, extend("required" = ["pair", "assign"]))]
pub(super) struct RawKv {
    /// What separates the pairs.
    pub(super) pair: Field<String>,
    /// What separates key and value.
    pub(super) assign: Field<String>,
    /// What the pairs come after; without it they begin with the record.
    pub(super) after: Field<String>,
}

/// Columns between separators: pay|3.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline, extend("required" = ["by"]))]
pub(super) struct RawSplit {
    /// The separator; `whitespace` for runs of blanks.
    pub(super) by: Field<String>,
    /// The columns' names; without them they are $1, $2, …
    pub(super) fields: Field<Vec<Field<String>>>,
}

/// A column to group by, and the name it has in the answer.
#[derive(Debug)]
pub(super) struct RawGroup {
    pub(super) column: Field<String>,
    pub(super) name: Field<String>,
}

impl<'de> Deserialize<'de> for RawGroup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawGroup, D::Error> {
        deserializer.deserialize_any(RawGroupVisitor)
    }
}

struct RawGroupVisitor;

impl<'de> Visitor<'de> for RawGroupVisitor {
    type Value = RawGroup;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a column, or { column: name }")
    }

    fn visit_str<E>(self, column: &str) -> Result<RawGroup, E> {
        // Its place is that of the field around it.
        Ok(RawGroup {
            column: Field::Given(column.to_owned(), 0..0),
            name: Field::Absent,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawGroup, A::Error> {
        let entry: Option<(Field<String>, Field<String>)> = access.next_entry()?;
        let more: Option<(Field<String>, Field<String>)> = access.next_entry()?;
        match (entry, more) {
            (Some((column, name)), None) => Ok(RawGroup { column, name }),
            _ => Err(de::Error::custom(
                "expected one column with its name in { column: name }",
            )),
        }
    }
}

impl JsonSchema for RawGroup {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RawGroup".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "oneOf": [
                { "description": "A column.", "type": "string" },
                {
                    "description": "A column and the name it has in the answer.",
                    "type": "object",
                    "additionalProperties": { "type": "string" },
                    "minProperties": 1,
                    "maxProperties": 1,
                },
            ],
        })
    }
}

/// An application and the hosts it should have.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend(
    "required" = ["kind", "name"],
    "anyOf" = [{ "required": ["hosts"] }, { "required": ["file_sd"] }, { "required": ["http_sd"] }],
))]
pub(super) struct RawApp {
    /// Always `app`.
    pub(super) kind: Field<AppKind>,
    /// Its name, unique in the ConfigDB.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
    pub(super) name: Field<String>,
    /// The tenant it belongs to.
    pub(super) tenant: Field<String>,
    /// Its hosts.
    pub(super) hosts: Field<Vec<Field<RawHost>>>,
    /// Files that list its hosts in Prometheus' format, with globs, relative to this one.
    pub(super) file_sd: Field<Vec<Field<String>>>,
    /// A URL that lists its hosts in Prometheus' format.
    #[schemars(regex(pattern = "^https?://"))]
    pub(super) http_sd: Field<String>,
}

/// The kind of an application's document.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum AppKind {
    App,
}

/// A tenant, and what its monitors may cost together. One that has no document has no limits.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["kind", "name"]))]
pub(super) struct RawTenant {
    /// Always `tenant`.
    pub(super) kind: Field<TenantKind>,
    /// Its name, unique in the ConfigDB, as monitors and applications have it in `tenant`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
    pub(super) name: Field<String>,
    /// Budgets.
    pub(super) limits: Field<RawTenantLimits>,
}

/// The kind of a tenant's document.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum TenantKind {
    Tenant,
}

/// Budgets of a tenant.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTenantLimits {
    /// CPU time per second that all its monitors together may take on each Map: 500ms/s. Where they take more for three
    /// periods in a row, the dearest of them are suspended there for a while, as few as are enough. Default: no limit.
    #[schemars(regex(pattern = r"^\d+ ?(us|ms|s)/s$"))]
    pub(super) cpu: Field<String>,
    /// Bytes of log per second that each Map goes through for all of them: 1GiB/s, as `cpu`. Default: no limit.
    #[schemars(regex(pattern = r"^\d+ ?(B|kB|KB|MB|GB|KiB|MiB|GiB)/s$"))]
    pub(super) bytes: Field<String>,
}

/// A Map or a Reduce that is to be given no work: what it has is handed over to others. Removing the document gives it
/// work again.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["kind", "name"]))]
pub(super) struct RawDrain {
    /// Always `drain`.
    pub(super) kind: Field<DrainKind>,
    /// The node's name, as the Brain's file has it.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
    pub(super) name: Field<String>,
    /// Why, for whoever wonders.
    pub(super) why: Field<String>,
}

/// The kind of a drain's document.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum DrainKind {
    Drain,
}

/// A host of an application.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["host", "address"]))]
pub(super) struct RawHost {
    /// Its name, unique in the application.
    pub(super) host: Field<String>,
    /// Where its agent listens: 10.0.0.1:7801
    pub(super) address: Field<String>,
    /// Its labels, such as zone.
    pub(super) labels: Field<Ordered<String>>,
}

/// An agent's own file: what runs on every host, finds log bytes and sends them.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["role", "listen", "host", "roots"]))]
pub(super) struct RawAgent {
    /// Always `agent`.
    pub(super) role: Field<AgentRole>,
    /// Where it listens, as IP address and port: 127.0.0.1:7801. Beyond loopback a token or `tls` is needed.
    pub(super) listen: Field<String>,
    /// The name by which the inventory knows this host.
    pub(super) host: Field<String>,
    /// The folders below which it may read. Nothing outside of them is ever opened.
    #[schemars(inner(regex(pattern = "^/")))]
    pub(super) roots: Field<Vec<Field<String>>>,
    /// The secret that all nodes of an installation share, at least 16 bytes. Without one, anybody on this host may
    /// ask.
    #[schemars(length(min = 16))]
    pub(super) token: Field<String>,
    /// A file that holds the token, in place of `token`.
    pub(super) token_file: Field<String>,
    /// The certificate by which this node and those it talks to know each other; all that they say is encrypted.
    pub(super) tls: Field<RawTls>,
    /// What to do with a log that has several hard links. Default: refuse.
    pub(super) hard_links: Field<RawHardLinks>,
    /// Whether the kernel shuts the agent in: files below its roots to read, no program to run, nobody to dial.
    /// Default: on.
    pub(super) sandbox: Field<RawSandbox>,
    /// The user that it becomes once it listens, if it is started as root. It keeps the right to read any file, and no
    /// other of root's.
    pub(super) user: Field<String>,
    /// What it takes of a busy host. Default: polite.
    pub(super) manners: Field<RawManners>,
    /// Budgets.
    pub(super) limits: Field<RawAgentLimits>,
}

/// The role of an agent's file.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum AgentRole {
    Agent,
}

/// What to do with a log that has several hard links.
#[derive(Debug, Clone, Copy, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum RawHardLinks {
    /// It may be a foreign file that somebody linked there: it is not opened, and the host says so.
    Refuse,
    /// It is served: for hosts where rotation works by link and unlink.
    Allow,
}

/// Whether the kernel shuts the agent in.
#[derive(Debug, Clone, Copy, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum RawSandbox {
    /// As far as the kernel can; what is in force is said at the start and in the status.
    On,
    /// Not at all: for the day on which the sandbox itself is suspected.
    Off,
    /// With Landlock and seccomp both, or the agent does not start.
    Required,
}

/// What the agent takes of a busy host.
#[derive(Debug, Clone, Copy, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum RawManners {
    /// What the host's applications leave over (nice 19): on a host without spare time its windows come late.
    Polite,
    /// As much as any other program.
    Normal,
}

/// Budgets of an agent.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAgentLimits {
    /// Connections at a time. Default: 256.
    #[schemars(range(min = 1))]
    pub(super) connections: Field<u64>,
    /// Ranges sent at a time to one peer. Default: 8.
    #[schemars(range(min = 1))]
    pub(super) pulls_per_peer: Field<u64>,
    /// Bytes of log sent per second to all peers together, shared equally among those that want some: 100MiB/s.
    /// Default: no limit.
    #[schemars(regex(pattern = r"^\d+ ?(B|kB|KB|MB|GB|KiB|MiB|GiB)/s$"))]
    pub(super) bytes: Field<String>,
    /// Bytes of log sent per second to one peer: 50MiB/s. Default: no limit but `bytes`.
    #[schemars(regex(pattern = r"^\d+ ?(B|kB|KB|MB|GB|KiB|MiB|GiB)/s$"))]
    pub(super) bytes_per_peer: Field<String>,
}
