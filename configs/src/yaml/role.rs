//! A raw node's file to a validated one.

use super::field::Field;
use super::raw::{RawAgent, RawAgentLimits, RawHardLinks, RawManners, RawSandbox};
use super::reading::Reading;
use super::tls::{open_beyond_loopback, tls};
use crate::diagnostic::Mistake;
use crate::node::{
    AgentLimits, AgentNode, HardLinkPolicy, Manners, SandboxPolicy, Secret, TOKEN_BYTES_MIN, TokenSource,
};
use crate::units::bytes_per_second;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;

/// Where a node listens if its file had a mistake there: never used, since the mistake was noted.
pub(super) const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Validates an agent's file, noting all its mistakes. The result is usable only if none was noted.
pub(super) fn agent(raw: &RawAgent, reading: &mut Reading, document: Range<usize>) -> AgentNode {
    let listen = listen(&raw.listen, ("agent", "127.0.0.1:7801"), reading, &document);
    let token = token(raw, reading, &document);
    open_beyond_loopback(&raw.listen, (&token, &raw.tls), reading);
    if let Field::Absent = raw.host {
        reading.note(Mistake::new(document.clone(), "the agent has no `host`").hint("add the host's name: `host: h1`"));
    }
    AgentNode {
        listen: listen.unwrap_or(NOWHERE),
        host: reading.text(&raw.host, "host").unwrap_or_default(),
        roots: roots(&raw.roots, reading, document),
        browse: Vec::new(),
        token,
        tls: tls(&raw.tls, reading),
        hard_links: match raw.hard_links.value() {
            Some(RawHardLinks::Allow) => HardLinkPolicy::Allow,
            Some(RawHardLinks::Refuse) | None => HardLinkPolicy::Refuse,
        },
        sandbox: match raw.sandbox.value() {
            Some(RawSandbox::Off) => SandboxPolicy::Off,
            Some(RawSandbox::Required) => SandboxPolicy::Required,
            Some(RawSandbox::On) | None => SandboxPolicy::On,
        },
        user: reading.text(&raw.user, "user"),
        manners: match raw.manners.value() {
            Some(RawManners::Normal) => Manners::Normal,
            Some(RawManners::Polite) | None => Manners::Polite,
        },
        limits: raw.limits.value().map(|raw| limits(raw, reading)).unwrap_or_default(),
    }
}

/// Where a node of a kind listens; `example` is an address that it could.
pub(super) fn listen(
    raw: &Field<String>,
    (kind, example): (&str, &str),
    reading: &mut Reading,
    place: &Range<usize>,
) -> Option<SocketAddr> {
    if let Field::Absent = raw {
        let mistake = Mistake::new(place.clone(), format!("the {kind} has no `listen`"));
        reading.note(mistake.hint(format!("add `listen: {example}`")));
    }
    let (text, span) = raw.given()?;
    let address = text.parse().ok();
    if address.is_none() {
        let mistake = Mistake::new(span, format!("`{text}` is not an address to listen on"));
        let port = example.rsplit(':').next().unwrap_or_default();
        reading.note(mistake.hint(format!("write an IP address and a port: {example}, or [::1]:{port}")));
    }
    address
}

/// The mistakes of a token are shown at the document's beginning, since a diagnostic prints the line that it is about.
fn token(raw: &RawAgent, reading: &mut Reading, document: &Range<usize>) -> TokenSource {
    match (raw.token.value(), raw.token_file.given()) {
        (Some(_), Some((_, span))) => {
            let mistake = Mistake::new(span, "both `token` and `token_file` are given");
            reading.note(mistake.hint("keep one of them"));
            TokenSource::OpenOnLoopback
        }
        (Some(token), None) => {
            if token.len() < TOKEN_BYTES_MIN {
                let message = format!("the `token` has {} bytes, fewer than {TOKEN_BYTES_MIN}", token.len());
                let mistake = Mistake::new(document.clone(), message);
                reading.note(mistake.hint("make one by `head -c 24 /dev/urandom | base64`"));
            }
            TokenSource::Given(Secret::new(token.clone()))
        }
        (None, Some(_)) => match reading.text(&raw.token_file, "token_file") {
            Some(path) => TokenSource::File(path.into()),
            None => TokenSource::OpenOnLoopback,
        },
        (None, None) => TokenSource::OpenOnLoopback,
    }
}

fn roots(raw: &Field<Vec<Field<String>>>, reading: &mut Reading, document: Range<usize>) -> Vec<String> {
    let missing = match raw {
        Field::Absent => Some(document),
        Field::Broken => None,
        Field::Given(roots, span) => roots.is_empty().then_some(span.clone()),
    };
    if let Some(place) = missing {
        let mistake = Mistake::new(place, "the agent has no `roots`, so it could read nothing");
        reading.note(mistake.hint("name the folders that hold logs: `roots: [/var/log]`"));
    }
    let mut roots = Vec::new();
    for (root, span) in raw.value().into_iter().flatten().filter_map(Field::given) {
        if !root.starts_with('/') || root.split('/').any(|part| part == "..") {
            let mistake = Mistake::new(span, format!("`{root}` can't be a root"));
            reading.note(mistake.hint("write an absolute path without `..`: /var/log"));
        }
        roots.push(root.clone());
    }
    roots
}

fn limits(raw: &RawAgentLimits, reading: &mut Reading) -> AgentLimits {
    AgentLimits {
        connections: at_least_one(&raw.connections, reading),
        pulls_per_peer: at_least_one(&raw.pulls_per_peer, reading),
        bytes_per_second: reading.quantity(&raw.bytes, bytes_per_second, "a rate of bytes", "100MiB/s"),
        bytes_per_second_per_peer: reading.quantity(
            &raw.bytes_per_peer,
            bytes_per_second,
            "a rate of bytes",
            "50MiB/s",
        ),
    }
}

fn at_least_one(raw: &Field<u64>, reading: &mut Reading) -> Option<u64> {
    let (number, span) = raw.given()?;
    if *number == 0 {
        reading.note(Mistake::new(span, "with a limit of 0 nothing could be asked").hint("write 1 or more"));
    }
    Some(*number)
}

#[cfg(test)]
mod tests {
    use crate::node::{AgentNode, HardLinkPolicy, Manners, Node, SandboxPolicy, Secret, TokenSource};
    use crate::{Document, load_str};

    fn agent(text: &str) -> AgentNode {
        match load_str("agent.yaml", text).as_deref() {
            Ok([Document::Node(Node::Agent(agent))]) => agent.clone(),
            other => panic!("{other:?}"),
        }
    }

    const SMALL: &str = "role: agent\nlisten: 127.0.0.1:0\nhost: h1\nroots: [/var/log]\n";

    #[test]
    fn an_agent_is_read_with_its_defaults_and_without() {
        let small = agent(SMALL);
        assert_eq!((small.listen.port(), small.host.as_str()), (0, "h1"));
        assert_eq!(
            (small.token, small.hard_links),
            (TokenSource::OpenOnLoopback, HardLinkPolicy::Refuse)
        );
        assert_eq!(
            (small.sandbox, small.user, small.manners),
            (SandboxPolicy::On, None, Manners::Polite)
        );
        let full = agent(
            "role: agent\nlisten: '[::]:7801'\nhost: h1\nroots: [/var/log, /home]\nhard_links: allow\n\
             sandbox: required\nuser: sunfire\nmanners: normal\n\
             token: a token of some length\nlimits: { connections: 9, pulls_per_peer: 2, bytes: 10MB/s, \
             bytes_per_peer: 4MB/s }\n",
        );
        assert_eq!((full.roots.len(), full.hard_links), (2, HardLinkPolicy::Allow));
        assert_eq!(
            full.token,
            TokenSource::Given(Secret::new("a token of some length".to_owned()))
        );
        assert_eq!(
            (full.sandbox, full.user.as_deref(), full.manners),
            (SandboxPolicy::Required, Some("sunfire"), Manners::Normal)
        );
        assert_eq!(agent(&format!("{SMALL}sandbox: off\n")).sandbox, SandboxPolicy::Off);
        assert_eq!(full.limits.connections, Some(9));
        assert_eq!(
            (full.limits.pulls_per_peer, full.limits.bytes_per_second),
            (Some(2), Some(10_000_000))
        );
        assert_eq!(full.limits.bytes_per_second_per_peer, Some(4_000_000));
        assert!(!format!("{full:?}").contains("some length"), "the token is shown");
    }

    /// All mistakes as `line:column: message (hint)`.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let diagnostics = load_str("agent.yaml", text).err().unwrap_or_default();
        let told: Vec<String> = diagnostics
            .iter()
            .map(|told| {
                let hint = told.hint.as_deref().unwrap_or_default();
                format!("{}:{}: {} ({hint})", told.line, told.column, told.message)
            })
            .collect();
        assert_eq!(told, expected, "{text}");
        let shown: String = diagnostics.iter().map(ToString::to_string).collect();
        assert!(!shown.contains("s3cret"), "the token is shown: {shown}");
    }

    #[test]
    fn mistakes_are_told_with_their_places() {
        let head = "role: agent\nlisten: 127.0.0.1:0\nhost: h1\nroots: [/l]\n";
        let line = |line: &str| format!("{head}{line}\n");
        check(head, &[]);
        check(
            "role: agent\n",
            &[
                "1:1: the agent has no `listen` (add `listen: 127.0.0.1:7801`)",
                "1:1: the agent has no `host` (add the host's name: `host: h1`)",
                "1:1: the agent has no `roots`, so it could read nothing (name the folders that hold logs: \
                 `roots: [/var/log]`)",
            ],
        );
        check(
            &line("token: s3cret"),
            &["1:1: the `token` has 6 bytes, fewer than 16 (make one by `head -c 24 /dev/urandom | base64`)"],
        );
        check(
            &line("token: a token of some length\ntoken_file: /t"),
            &["6:13: both `token` and `token_file` are given (keep one of them)"],
        );
        check(&line("root: /l"), &["5:1: unknown key `root` (did you mean `roots`?)"]);
        check(
            &line("limits: { connections: 0 }"),
            &["5:24: with a limit of 0 nothing could be asked (write 1 or more)"],
        );
        check(
            &line("hard_links: yes"),
            &["5:13: unknown value `yes` (one of: refuse, allow)"],
        );
        check(
            &line("sandbox: yes"),
            &["5:10: unknown value `yes` (one of: on, off, required)"],
        );
        check(
            &head.replace("127.0.0.1:0", "localhost"),
            &[
                "2:9: `localhost` is not an address to listen on (write an IP address and a port: 127.0.0.1:7801, or \
             [::1]:7801)",
            ],
        );
        check(
            &head.replace("127.0.0.1:0", "0.0.0.0:7801"),
            &[
                "2:9: `0.0.0.0:7801` can be reached from other hosts, and there is neither a token nor `tls` \
             (add `tls: { ca: …, cert: …, key: … }` or `token_file: …` that all nodes share, or listen on 127.0.0.1)",
            ],
        );
        check(
            &head.replace("/l", "logs, /a/../b"),
            &[
                "4:9: `logs` can't be a root (write an absolute path without `..`: /var/log)",
                "4:15: `/a/../b` can't be a root (write an absolute path without `..`: /var/log)",
            ],
        );
        check(
            &head.replace("role: agent", "role: agnet"),
            &["1:7: no file is known for the role `agnet` (did you mean `agent`?)"],
        );
    }
}
