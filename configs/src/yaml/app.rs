//! A raw application to a validated one.

use super::field::{Field, Ordered};
use super::raw::{RawApp, RawHost};
use super::reading::Reading;
use crate::app::{App, Host, OWN_LABELS, is_address};
use crate::diagnostic::Mistake;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// Validates an application, noting all its mistakes. The result is usable only if none was noted.
pub(super) fn app(raw: &RawApp, reading: &mut Reading, document: Range<usize>) -> App {
    if let (Field::Absent, Field::Absent, Field::Absent) = (&raw.hosts, &raw.file_sd, &raw.http_sd) {
        let mistake = Mistake::new(document.clone(), "the app names no hosts");
        reading.note(mistake.hint("add `hosts`, `file_sd` or `http_sd`"));
    }
    App {
        name: reading.name(&raw.name, "app", &document),
        tenant: reading.optional_name(&raw.tenant),
        hosts: hosts(&raw.hosts, reading),
        file_sd: raw
            .file_sd
            .value()
            .into_iter()
            .flatten()
            .filter_map(|glob| reading.text(glob, "file_sd"))
            .collect(),
        http_sd: http_sd(&raw.http_sd, reading),
    }
}

fn http_sd(raw: &Field<String>, reading: &mut Reading) -> Option<String> {
    let (url, span) = raw.given()?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        reading.note(Mistake::new(span, "`http_sd` is not a URL").hint("begin it with http:// or https://"));
    }
    Some(url.clone())
}

fn hosts(raw: &Field<Vec<Field<RawHost>>>, reading: &mut Reading) -> Vec<Host> {
    let mut seen = HashSet::new();
    let mut hosts = Vec::new();
    for (raw, span) in raw.value().into_iter().flatten().filter_map(Field::given) {
        let name = reading.required(&raw.host, "the host", "host", &span);
        let address = reading.required(&raw.address, "the host", "address", &span);
        check_address(&raw.address, reading);
        let (Some(host), Some(address)) = (name, address) else {
            continue;
        };
        if let (false, Some((_, span))) = (seen.insert(host.clone()), raw.host.given()) {
            let mistake = Mistake::new(span, format!("the host `{host}` is listed twice"));
            reading.note(mistake.hint("a host answers once for an app: keep one of them"));
        }
        hosts.push(Host {
            host,
            address,
            labels: labels(&raw.labels, reading),
        });
    }
    hosts
}

fn check_address(raw: &Field<String>, reading: &mut Reading) {
    let Some((address, span)) = raw.given() else { return };
    if !is_address(address) {
        let mistake = Mistake::new(span, format!("`{address}` is not an address"));
        reading.note(mistake.hint("write host and port of its agent: 10.0.0.1:7801"));
    }
}

pub(super) fn labels(raw: &Field<Ordered<String>>, reading: &mut Reading) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (name, value) in raw.value().map(|Ordered(entries)| entries).into_iter().flatten() {
        let (Some((name, span)), Some(value)) = (name.given(), value.value()) else {
            continue;
        };
        if OWN_LABELS.contains(&name.as_str()) {
            let mistake = Mistake::new(span, format!("the label `{name}` is Sunfire's own"));
            reading.note(mistake.hint("give yours another name"));
        }
        labels.insert(name.clone(), value.clone());
    }
    labels
}
