//! Where a Brain's file says that the ConfigDB is: in folders, or in etcd.

use super::field::Field;
use super::nodes::needed;
use super::raw_node::{RawBrain, RawConfigDb};
use super::reading::Reading;
use crate::diagnostic::Mistake;
use crate::node::ConfigPlace;
use std::ops::Range;
use std::path::PathBuf;

/// What all keys begin with, unless it is said.
const PREFIX_DEFAULT: &str = "/sunfire/";

/// Validates what a Brain's file says of it.
pub(super) fn place(raw: &RawBrain, reading: &mut Reading, document: &Range<usize>) -> ConfigPlace {
    if let Some((configdb, _)) = raw.configdb.given() {
        for (folder, key) in [(&raw.config, "config"), (&raw.data, "data")] {
            if let Some((_, span)) = folder.given() {
                let mistake = Mistake::new(span, format!("both `{key}` and `configdb` are given"));
                reading.note(mistake.hint("keep `configdb` for etcd, or `config` and `data` for folders"));
            }
        }
        return etcd(configdb, reading, document);
    }
    if let Field::Absent = raw.configdb {
        let hint = "name the folder of monitors and applications, `config: config`, or an etcd: \
                    `configdb: { etcd: [\"http://127.0.0.1:2379\"] }`";
        needed(&raw.config, ("brain", "config", hint), reading, document);
        let hint = "name a folder of its own, which it makes: `data: brain-data`";
        needed(&raw.data, ("brain", "data", hint), reading, document);
    }
    let mut folder = |raw: &Field<String>, key: &str| -> PathBuf { reading.text(raw, key).unwrap_or_default().into() };
    ConfigPlace::Folders {
        config: folder(&raw.config, "config"),
        data: folder(&raw.data, "data"),
    }
}

fn etcd(raw: &RawConfigDb, reading: &mut Reading, document: &Range<usize>) -> ConfigPlace {
    let missing = match &raw.etcd {
        Field::Absent => Some(document.clone()),
        Field::Broken => None,
        Field::Given(endpoints, span) => endpoints.is_empty().then(|| span.clone()),
    };
    if let Some(place) = missing {
        let mistake = Mistake::new(place, "the `configdb` names no `etcd`");
        reading.note(mistake.hint("name its members: `etcd: [\"http://127.0.0.1:2379\"]`"));
    }
    let mut endpoints = Vec::new();
    for (endpoint, span) in raw.etcd.value().into_iter().flatten().filter_map(Field::given) {
        let authority = endpoint.strip_prefix("http://");
        if !authority.is_some_and(|authority| crate::app::is_address(authority.trim_end_matches('/'))) {
            let mistake = Mistake::new(span, format!("`{endpoint}` is not an endpoint of etcd"));
            reading.note(mistake.hint("write `http://`, host and port: http://127.0.0.1:2379 (TLS is not spoken yet)"));
        }
        endpoints.push(endpoint.clone());
    }
    let prefix = match raw.prefix.given() {
        None => PREFIX_DEFAULT.to_owned(),
        Some((prefix, span)) => {
            let is_plain = prefix.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_plain || prefix.len() < 2 || !prefix.starts_with('/') || !prefix.ends_with('/') {
                let mistake = Mistake::new(span, format!("`{prefix}` can't be a prefix"));
                reading.note(mistake.hint("write such as /sunfire/, with a slash at both ends"));
            }
            prefix.clone()
        }
    };
    ConfigPlace::Etcd {
        endpoints,
        prefix,
        files: reading.text(&raw.files, "files").unwrap_or_default().into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::node::{BrainNode, ConfigPlace, Node};
    use crate::{Document, load_str};

    const COMMON: &str = "role: brain\nnode: b\nlisten: 127.0.0.1:1\nstore: s:1\n\
                          reduces: [{ node: r, address: 'r:1' }]\nmaps: [{ node: m, address: 'm:1' }]\n";

    /// Where the ConfigDB is by a Brain's file, or its mistakes.
    fn place(rest: &str) -> Result<ConfigPlace, Vec<String>> {
        match load_str("brain.yaml", &format!("{COMMON}{rest}")) {
            Ok(documents) => match documents.into_iter().next() {
                Some(Document::Node(Node::Brain(BrainNode { configdb, .. }))) => Ok(configdb),
                other => panic!("{other:?}"),
            },
            Err(mistakes) => Err(mistakes.into_iter().map(|mistake| mistake.message).collect()),
        }
    }

    #[track_caller]
    fn check_mistakes(rest: &str, expected: &[&str]) {
        assert_eq!(place(rest).expect_err("mistakes"), expected, "{rest}");
    }

    #[test]
    fn it_is_in_folders_or_in_etcd() {
        let folders = ConfigPlace::Folders {
            config: "c".into(),
            data: "d".into(),
        };
        assert_eq!(place("config: c\ndata: d\n"), Ok(folders));
        let etcd = |prefix: &str, files: &str| ConfigPlace::Etcd {
            endpoints: vec!["http://e:2379".to_owned(), "http://[::1]:2379/".to_owned()],
            prefix: prefix.to_owned(),
            files: files.into(),
        };
        let given = "configdb: { etcd: ['http://e:2379', 'http://[::1]:2379/'] }\n";
        assert_eq!(place(given), Ok(etcd("/sunfire/", "")));
        let given = given.replace(" }", ", prefix: /a/, files: f }");
        assert_eq!(place(&given), Ok(etcd("/a/", "f")));
    }

    #[test]
    fn what_is_missing_doubled_or_wrong_is_told() {
        check_mistakes("", &["the brain has no `config`", "the brain has no `data`"]);
        check_mistakes("config: c\n", &["the brain has no `data`"]);
        check_mistakes("configdb: {}\n", &["the `configdb` names no `etcd`"]);
        check_mistakes("configdb: { etcd: [] }\n", &["the `configdb` names no `etcd`"]);
        let etcd = "configdb: { etcd: ['http://e:1'] }\n";
        check_mistakes(&format!("{etcd}data: d\n"), &["both `data` and `configdb` are given"]);
        for wrong in ["https://e:1", "e:1", "http://e"] {
            let expected = format!("`{wrong}` is not an endpoint of etcd");
            check_mistakes(&etcd.replace("http://e:1", wrong), &[&expected]);
        }
        for wrong in ["sunfire/", "/sunfire", "/"] {
            let expected = format!("`{wrong}` can't be a prefix");
            check_mistakes(&etcd.replace(" }", &format!(", prefix: {wrong} }}")), &[&expected]);
        }
    }
}
