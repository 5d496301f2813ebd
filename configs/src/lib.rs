//! The ConfigDB: what users ask for, as validated values.
//!
//! Owns the model of monitors, applications and tenants, the two languages that they are written in (YAML documents and
//! MQL), and the telling of mistakes in them. It refuses to know how a monitor is run, where logs are, and what time it
//! is.
//! It leans on `logline` for the rules that cut fields out of records; everything that plans or counts leans on it.
//!
//! Everything is a function of the text given, except what reads files: `load_path` and `load_agent` once,
//! [`Directory`] and [`Targets`] again and again, keeping the last good documents of a file that is broken. What is
//! kept elsewhere is fetched by others ([`Texts`]), and seen through the same trait ([`Documents`]).

#![warn(missing_docs)]

pub mod app;
pub mod cost;
mod diagnostic;
mod dir;
mod directory;
mod documents;
pub mod drain;
pub mod expr;
mod files;
mod last;
pub mod log_path;
pub mod monitor;
mod mql;
mod nearest;
pub mod node;
mod parse_rule;
pub mod query;
mod records;
mod set;
mod source;
mod targets;
pub mod tenant;
mod texts;
mod units;
mod watched;
mod yaml;
mod zone;

pub use diagnostic::Diagnostic;
pub use dir::{Loaded, check_together, load_node, load_path, load_sources};
pub use directory::Directory;
pub use documents::{Documents, Placed, Wholeness};
pub use mql::{check_narrowing, parse_condition, parse_expr, parse_local, parse_mql, parse_query, parse_question};
pub use nearest::nearest;
pub use source::Source;
pub use targets::{AppHosts, Targets, UrlRead, UrlReader};
pub use texts::Texts;
pub use units::{bytes, duration_ms};
pub use watched::Poll;

use app::App;
use drain::Drain;
use monitor::Monitor;
use set::{Set, check_set};
use tenant::Tenant;

/// A document of the ConfigDB.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "documents are few, and moved seldom")]
pub enum Document {
    /// What is counted.
    Monitor(Monitor),
    /// Whose hosts.
    App(App),
    /// Who pays.
    Tenant(Tenant),
    /// Which node is to be given no work.
    Drain(Drain),
    /// How one process runs: its own file, not a part of the ConfigDB.
    Node(node::Node),
}

impl Document {
    /// The kind as it is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Document::Monitor(_) => "monitor",
            Document::App(_) => "app",
            Document::Tenant(_) => "tenant",
            Document::Drain(_) => "drain",
            Document::Node(node) => node.role(),
        }
    }

    /// The document's name, unique among those of its kind.
    pub fn name(&self) -> &str {
        match self {
            Document::Monitor(monitor) => &monitor.name,
            Document::App(app) => &app.name,
            Document::Tenant(tenant) => &tenant.name,
            Document::Drain(drain) => &drain.name,
            Document::Node(node) => node.name(),
        }
    }
}

/// Reads the YAML documents of a file's text; `file_name` is only told in the mistakes.
///
/// # Errors
/// All mistakes of all documents, in their order; a broken document hides no other.
pub fn load_str(file_name: &str, text: &str) -> Result<Vec<Document>, Vec<Diagnostic>> {
    let (placed, mut diagnostics) = yaml::documents(file_name, text);
    let mut set = Set::default();
    set.add(file_name, text, placed);
    diagnostics.append(&mut set.clashes);
    if diagnostics.is_empty() {
        Ok(set.into_documents())
    } else {
        Err(diagnostics)
    }
}

/// The JSON Schema of a YAML document, for editors.
pub fn schema() -> serde_json::Value {
    yaml::schema::schema()
}

/// Length of a raw log's windows if the monitor names none, in milliseconds.
pub const WINDOW_MS_DEFAULT: u64 = 60_000;

/// How long after a window's end the first answer comes if the monitor doesn't say, in milliseconds.
pub const GRACE_MS_DEFAULT: u64 = 1_000;

/// Groups kept in an answer if the monitor doesn't say: the `H` of rule M6.
pub const GROUPS_DEFAULT: usize = 100_000;
