//! The `tls` of a node's file.

use super::field::Field;
use super::nodes::needed;
use super::raw_node::RawTls;
use super::reading::Reading;
use crate::node::{TlsPlace, TokenSource};
use std::net::SocketAddr;

use crate::diagnostic::Mistake;

/// Validates a node's `tls`. What its files hold is checked where they are used.
pub(super) fn tls(raw: &Field<RawTls>, reading: &mut Reading) -> Option<TlsPlace> {
    let (tls, span) = raw.given()?;
    let mut path = |field: &Field<String>, key: &str, hint: &str| {
        needed(field, ("`tls`", key, hint), reading, &span);
        reading.text(field, key).unwrap_or_default().into()
    };
    Some(TlsPlace {
        ca: path(&tls.ca, "ca", "add the authority's certificate: `ca: ca.pem`"),
        cert: path(&tls.cert, "cert", "add this node's certificate: `cert: node.pem`"),
        key: path(&tls.key, "key", "add the key of the certificate: `key: node.key`"),
    })
}

/// Notes a listener that others can reach, and that asks neither for a token nor for a certificate.
pub(super) fn open_beyond_loopback(
    raw: &Field<String>,
    (token, tls): (&TokenSource, &Field<RawTls>),
    reading: &mut Reading,
) {
    let (Some((text, span)), Field::Absent) = (raw.given(), tls) else {
        return;
    };
    let listen = text.parse::<SocketAddr>().ok();
    if let (Some(listen), TokenSource::OpenOnLoopback) = (listen, token)
        && !listen.ip().is_loopback()
    {
        let message = format!("`{listen}` can be reached from other hosts, and there is neither a token nor `tls`");
        let hint =
            "add `tls: { ca: …, cert: …, key: … }` or `token_file: …` that all nodes share, or listen on 127.0.0.1";
        reading.note(Mistake::new(span, message).hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use crate::load_str;
    use crate::node::{Node, TlsPlace};
    use crate::{Document, load_node};
    use std::path::Path;

    /// Files of all roles that listen at an address, but for `tls` and token.
    fn files(listen: &str) -> [String; 5] {
        let peers = "[{ node: n, address: \"127.0.0.1:1\" }]";
        let store = "store: 127.0.0.1:7831\n";
        [
            format!("role: agent\nlisten: {listen}\nhost: h1\nroots: [/l]\n"),
            format!("role: map\nlisten: {listen}\nnode: m\n"),
            format!("role: reduce\nlisten: {listen}\nnode: r\n{store}"),
            format!(
                "role: brain\nlisten: {listen}\nnode: b\n{store}config: c\ndata: d\nreduces: {peers}\nmaps: {peers}\n"
            ),
            format!("role: console\nlisten: 127.0.0.1:1\nnode: c\nstore: {{ data: d, listen: \"{listen}\" }}\n"),
        ]
    }

    fn told(text: &str) -> Vec<String> {
        let told = load_str("node.yaml", text).err().unwrap_or_default();
        told.iter()
            .map(|told| format!("{}:{}: {}", told.line, told.column, told.message))
            .collect()
    }

    #[test]
    fn every_role_beyond_loopback_needs_a_token_or_a_certificate() {
        let tls = "tls: { ca: ca.pem, cert: /etc/node.pem, key: node.key }\n";
        for file in files("0.0.0.0:7000") {
            let open = told(&file);
            assert!(
                matches!(&open[..], [one] if one.contains("`0.0.0.0:7000` can be reached from other hosts, and there")),
                "{file}: {open:?}"
            );
            assert_eq!(told(&format!("{file}{tls}")), [""; 0], "{file}");
            assert_eq!(told(&format!("{file}token_file: t\n")), [""; 0], "{file}");
            assert_eq!(told(&format!("{file}{tls}token_file: t\n")), [""; 0], "{file}");
        }
        for file in files("127.0.0.1:7000") {
            assert_eq!(told(&file), [""; 0], "{file}");
        }
    }

    #[test]
    fn its_mistakes_are_told_with_their_places() {
        for file in files("127.0.0.1:7000") {
            let line = file.lines().count() + 1;
            let with = |tls: &str| told(&format!("{file}tls: {tls}\n"));
            assert_eq!(
                with("{ ca: ca.pem, key: k }"),
                [format!("{line}:6: the `tls` has no `cert`")]
            );
            assert_eq!(
                with("{ ca: ca.pem, cert: c, kye: k, key: \"\" }"),
                [
                    format!("{line}:29: unknown key `kye`"),
                    format!("{line}:42: `key` is empty")
                ]
            );
        }
    }

    #[test]
    fn its_paths_begin_at_the_folder_of_the_file() {
        for file in files("127.0.0.1:7000") {
            let text = format!("{file}tls: {{ ca: ca.pem, cert: /etc/node.pem, key: ../node.key }}\n");
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("node.yaml");
            std::fs::write(&path, &text).expect("written");
            let node = load_node(&path).unwrap_or_else(|told| panic!("{text}: {told:?}"));
            let expected = TlsPlace {
                ca: folder.path().join("ca.pem"),
                cert: Path::new("/etc/node.pem").to_owned(),
                key: folder.path().join("../node.key"),
            };
            assert_eq!(node.tls(), Some(&expected), "{text}");
            assert!(matches!(
                load_str("node.yaml", &file).as_deref(),
                Ok([Document::Node(node)]) if Node::tls(node).is_none()
            ));
        }
    }
}
