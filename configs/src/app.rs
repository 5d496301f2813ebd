//! An application: the hosts that it should have.

use std::collections::BTreeMap;

/// Labels that Sunfire sets itself; `zone` is the inventory's to give.
pub(crate) const OWN_LABELS: [&str; 5] = ["host", "ip", "app", "path", "file"];

/// Whether a text is `name:port`, `10.0.0.1:port` or `[::1]:port`.
pub(crate) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        !host.is_empty() && !is_bare_v6 && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// A validated application. Its hosts are those listed and those that its files and its URL name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its name.
    pub name: String,
    /// The tenant it belongs to.
    pub tenant: Option<String>,
    /// The hosts that are listed, in the order of the file.
    pub hosts: Vec<Host>,
    /// Globs of files in Prometheus' `file_sd` format, relative to the file of this document.
    pub file_sd: Vec<String>,
    /// A URL in Prometheus' `http_sd` format.
    pub http_sd: Option<String>,
}

/// A host that should answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name, unique in the application.
    pub host: String,
    /// Where its agent listens, `host:port`.
    pub address: String,
    /// Its labels beyond the reserved ones; `zone` may be among them.
    pub labels: BTreeMap<String, String>,
}
