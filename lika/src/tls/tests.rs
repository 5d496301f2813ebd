//! Nodes with certificates: whom they let in, whom they leave, and what they say to both; files that change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::node::{Call, Client, ClientState, Dialling, Handler, Protocol, Refusal, Server, ServerBuilder, Settings};
use crate::seam::{Randomness, TcpNetwork, WallNs};
use crate::wire::{Identity, Token};

/// 2026-11-23T00:00:00Z.
pub(crate) const NOW: WallNs = WallNs(1_795_392_000_000_000_000);
const PATIENCE: Duration = Duration::from_secs(20);

/// An authority of its own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate with these names, valid until the end of a year: certificate and key.
    fn pair(&self, names: &[&str], last_year: i32) -> (String, String) {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last_year, 12, 31);
        params.subject_alt_names = names
            .iter()
            .map(|name| SanType::URI((*name).try_into().unwrap()))
            .collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Writes a node's three files into a folder.
    pub(crate) fn write(&self, folder: &Path, names: &[&str], last_year: i32) -> TlsFiles {
        fs::create_dir_all(folder).unwrap();
        let (cert, key) = self.pair(names, last_year);
        let files = TlsFiles {
            ca: folder.join("ca.pem"),
            cert: folder.join("node.pem"),
            key: folder.join("node.key"),
        };
        for (path, text) in [(&files.ca, &self.pem), (&files.cert, &cert), (&files.key, &key)] {
            fs::write(path, text).unwrap();
        }
        files
    }
}

struct Echo;

impl Protocol for Echo {
    type Request = String;
    type Part = ();
    type Response = String;
    const NAME: &'static str = "echo";
    const VERSIONS: (u16, u16) = (1, 1);
    const SERVER_ROLE: &'static str = "agent";
    const CLIENT_ROLES: &'static [&'static str] = &["map", "console"];
}

impl Handler<Echo> for Echo {
    async fn handle(&self, request: String, _call: &mut Call<Echo>) -> Result<String, Refusal> {
        Ok(request)
    }
}

/// A client and a server, each with or without TLS.
struct Stage {
    folder: tempfile::TempDir,
    authority: Authority,
    clock: Clock,
    server: Option<Server>,
    client_role: &'static str,
    server_node: Option<String>,
}

const MAP: &[&str] = &["sunfire://role/map"];
const AGENT: &[&str] = &["sunfire://agent/h1"];

impl Stage {
    fn new() -> Stage {
        Stage {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new(),
            clock: Clock::simulated(NOW),
            server: None,
            client_role: "map",
            server_node: Some("h1".to_owned()),
        }
    }

    fn files(&self, end: &str, names: &[&str]) -> TlsFiles {
        self.authority.write(&self.path(end), names, 2030)
    }

    fn path(&self, end: &str) -> PathBuf {
        self.folder.path().join(end)
    }

    fn network(&self, files: Option<TlsFiles>) -> Arc<dyn Network> {
        match files {
            Some(files) => Arc::new(TlsNetwork::over(Arc::new(TcpNetwork), files, self.clock.clone()).unwrap()),
            None => Arc::new(TcpNetwork),
        }
    }

    async fn listen(&mut self, files: Option<TlsFiles>) {
        let network = self.network(files);
        let settings = Settings {
            handshake_deadline: Duration::from_millis(500),
            handshakes_max: 2,
            ..Settings::default()
        };
        let builder = ServerBuilder::new(
            identity("agent", "h1"),
            settings,
            self.clock.clone(),
            Randomness::seeded(3),
        );
        let listening = builder.serve::<Echo>(Echo).listen(&*network, "127.0.0.1:0");
        self.server = Some(listening.await.unwrap());
    }

    fn address(&self) -> String {
        self.server.as_ref().unwrap().local_address().to_owned()
    }

    fn dial(&self, network: Arc<dyn Network>) -> Client<Echo> {
        Client::start(Dialling {
            network,
            address: self.address(),
            server_node: self.server_node.clone(),
            identity: identity(self.client_role, "c1"),
            settings: Settings::default(),
            clock: self.clock.clone(),
            randomness: Randomness::seeded(5),
        })
    }

    /// What becomes of a connection: `connected`, or why not, in which case nothing was served.
    async fn outcome(&self, files: Option<TlsFiles>) -> String {
        let client = self.dial(self.network(files));
        let state = client.wait_for_state(|state| *state != ClientState::Connecting);
        match self.clock.timeout(PATIENCE, state).await.unwrap() {
            ClientState::Connected(_) => {
                let answer = client.call(&"hello".to_owned(), PATIENCE).await;
                assert_eq!(answer.as_deref(), Ok("hello"));
                "connected".to_owned()
            }
            ClientState::Disconnected { why, .. } => {
                assert_eq!(self.server.as_ref().unwrap().state().served, 0, "{why}");
                why
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check(&self, said: &str, parts: &[&str]) {
        for part in parts {
            assert!(said.contains(part), "no `{part}` in: {said}");
        }
    }
}

fn identity(role: &str, node: &str) -> Identity {
    Identity {
        role: role.to_owned(),
        node: node.to_owned(),
        token: Token::new("a token of some length").unwrap(),
    }
}

#[tokio::test]
async fn nodes_with_certificates_of_their_roles_talk() {
    let mut stage = Stage::new();
    stage.listen(Some(stage.files("server", AGENT))).await;
    assert_eq!(stage.outcome(Some(stage.files("client", MAP))).await, "connected");
    let own = ["sunfire://map/c1"];
    assert_eq!(stage.outcome(Some(stage.files("named", &own))).await, "connected");
}

#[tokio::test]
async fn the_wrong_role_is_told_what_was_needed_and_what_was_shown() {
    let mut stage = Stage::new();
    stage.listen(Some(stage.files("server", AGENT))).await;
    let told = [
        "needs a certificate that names sunfire://role/map or sunfire://role/console",
        "shown one that names sunfire://role/reduce",
    ];
    let reduce = &["sunfire://role/reduce"];
    // It claims a role that may ask, with the certificate of one that may not; then it says what it is.
    let said = stage.outcome(Some(stage.files("liar", reduce))).await;
    stage.check(&said, &told);
    stage.client_role = "reduce";
    let said = stage.outcome(Some(stage.files("honest", reduce))).await;
    stage.check(&said, &told);
    stage.client_role = "map";
    let said = stage.outcome(Some(stage.files("other", &["sunfire://map/c2"]))).await;
    stage.check(&said, &["shown one that names sunfire://map/c2"]);
    let said = stage.outcome(Some(stage.files("nameless", &[]))).await;
    stage.check(&said, &["shown one that names no role"]);
}

#[tokio::test]
async fn a_server_of_another_host_or_role_is_left() {
    let mut stage = Stage::new();
    stage.server_node = Some("h2".to_owned());
    stage.listen(Some(stage.files("server", AGENT))).await;
    let client = stage.files("client", MAP);
    let said = stage.outcome(Some(client.clone())).await;
    let needed = "needs a certificate that names sunfire://agent/h2, and showed one that names sunfire://agent/h1";
    stage.check(&said, &[needed]);
    // Any agent is not this agent.
    stage.listen(Some(stage.files("any", &["sunfire://role/agent"]))).await;
    let said = stage.outcome(Some(client.clone())).await;
    stage.check(&said, &["needs a certificate that names sunfire://agent/h2"]);
    stage.server_node = None;
    stage.listen(Some(stage.files("map", MAP))).await;
    let said = stage.outcome(Some(client)).await;
    stage.check(
        &said,
        &[
            "sunfire://role/agent or sunfire://agent/h1",
            "showed one that names sunfire://role/map",
        ],
    );
}

#[tokio::test]
async fn certificates_of_another_authority_are_refused_at_both_ends() {
    let mut stage = Stage::new();
    stage.listen(Some(stage.files("server", AGENT))).await;
    let other = Authority::new();
    let stranger = other.write(&stage.path("stranger"), MAP, 2030);
    let said = stage.outcome(Some(stranger.clone())).await;
    stage.check(&said, &["of another authority; give both nodes the same `tls: ca`"]);
    // One that trusts the server, and is not trusted by it.
    let half = TlsFiles {
        ca: stage.path("both.pem"),
        ..stranger
    };
    fs::write(&half.ca, format!("{}{}", stage.authority.pem, other.pem)).unwrap();
    let said = stage.outcome(Some(half)).await;
    stage.check(&said, &["the other end refused our certificate"]);
}

#[tokio::test]
async fn there_is_no_way_around_tls() {
    let mut stage = Stage::new();
    let (server, client) = (stage.files("server", AGENT), stage.files("client", MAP));
    stage.listen(Some(server)).await;
    let said = stage.outcome(None).await;
    stage.check(&said, &["or only over TLS"]);
    stage.listen(None).await;
    let said = stage.outcome(Some(client)).await;
    stage.check(&said, &["no TLS connection", "has it `tls:` too?"]);
}

#[tokio::test]
async fn a_certificate_that_expires_lets_nobody_in_any_more() {
    let mut stage = Stage::new();
    stage.listen(Some(stage.files("server", AGENT))).await;
    let client = stage.authority.write(&stage.path("client"), MAP, 2026);
    let network = stage.network(Some(client.clone()));
    stage.clock.step_wall(60 * 86_400 * 1_000_000_000);
    let client_of = stage.dial(Arc::clone(&network));
    let state = client_of
        .wait_for_state(|state| *state != ClientState::Connecting)
        .await;
    let ClientState::Disconnected { why, .. } = state else {
        panic!("{state:?}");
    };
    stage.check(&why, &["refused our certificate: it has expired"]);
    let again = TlsNetwork::over(Arc::new(TcpNetwork), client, stage.clock.clone());
    let said = again.err().unwrap().to_string();
    stage.check(&said, &["client/node.pem expired", "hours ago: renew it"]);
}

#[tokio::test]
async fn one_that_does_not_finish_its_handshake_is_dropped() {
    let mut stage = Stage::new();
    stage.listen(Some(stage.files("server", AGENT))).await;
    let mut silent = tokio::net::TcpStream::connect(stage.address()).await.unwrap();
    // The beginning of a ClientHello, and no more.
    silent.write_all(&[0x16, 3, 1, 0, 200, 1]).await.unwrap();
    let mut rest = Vec::new();
    let dropped = stage
        .clock
        .timeout(Duration::from_secs(5), silent.read_to_end(&mut rest))
        .await;
    assert!(dropped.is_ok(), "it is still there after ten times the deadline");
    // Two places at the door: the third that dawdles costs the first its place, and an honest one still gets in.
    let mut dawdling = Vec::new();
    for _ in 0..6 {
        dawdling.push(tokio::net::TcpStream::connect(stage.address()).await.unwrap());
    }
    assert!(stage.server.as_ref().unwrap().state().handshakes <= 2);
    assert_eq!(stage.outcome(Some(stage.files("client", MAP))).await, "connected");
}

#[tokio::test]
async fn changed_files_are_taken_up_and_broken_ones_are_not() {
    let mut stage = Stage::new();
    let files = stage.files("server", AGENT);
    stage.listen(Some(files.clone())).await;
    let client = TlsNetwork::over(Arc::new(TcpNetwork), stage.files("client", MAP), stage.clock.clone()).unwrap();
    let look = || stage.clock.sleep(Duration::from_millis(1100));
    let state = async |network: &TlsNetwork| {
        let client = stage.dial(Arc::new(network.clone()));
        client.wait_for_state(|state| *state != ClientState::Connecting).await
    };
    assert!(matches!(state(&client).await, ClientState::Connected(_)));
    // Both go over to another authority: the client first trusts both, then shows its new certificate.
    let before = (fs::read(&files.cert).unwrap(), fs::read(&files.key).unwrap());
    let other = Authority::new();
    let own = stage.path("client");
    let (cert, key) = other.pair(MAP, 2030);
    fs::write(own.join("node.pem"), &cert).unwrap();
    look().await;
    // The key is not there yet: what was before stays.
    assert!(matches!(state(&client).await, ClientState::Connected(_)));
    stage.check(&client.trouble().unwrap(), &["is not one that"]);
    fs::write(own.join("ca.pem"), format!("{}{}", stage.authority.pem, other.pem)).unwrap();
    look().await;
    assert!(matches!(state(&client).await, ClientState::Connected(_)));
    stage.check(&client.trouble().unwrap(), &["node.key is not that of the certificate"]);
    fs::write(own.join("node.key"), key).unwrap();
    look().await;
    let ClientState::Disconnected { why, .. } = state(&client).await else {
        panic!("the server does not know the new authority yet");
    };
    stage.check(&why, &["refused our certificate"]);
    assert_eq!(client.trouble(), None);
    fs::write(&files.ca, format!("{}{}", stage.authority.pem, other.pem)).unwrap();
    look().await;
    assert!(matches!(state(&client).await, ClientState::Connected(_)));
    // The server's own, renewed; and then one that is nonsense.
    let (cert, key) = other.pair(AGENT, 2030);
    fs::write(&files.cert, cert).unwrap();
    fs::write(&files.key, key).unwrap();
    fs::write(own.join("ca.pem"), &other.pem).unwrap();
    look().await;
    assert!(matches!(state(&client).await, ClientState::Connected(_)));
    fs::write(&files.cert, "nonsense").unwrap();
    look().await;
    assert!(matches!(state(&client).await, ClientState::Connected(_)));
    // Back at what the client does not trust any more: it was really the new one that was in use.
    fs::write(&files.cert, before.0).unwrap();
    fs::write(&files.key, before.1).unwrap();
    look().await;
    assert!(matches!(state(&client).await, ClientState::Disconnected { .. }));
}

#[test]
fn files_that_cannot_be_used_are_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let good = authority.write(folder.path(), AGENT, 2030);
    let check = |files: &TlsFiles, parts: &[&str]| {
        let opened = TlsNetwork::over(Arc::new(TcpNetwork), files.clone(), Clock::simulated(NOW));
        let said = opened.map(|_| ()).unwrap_err().to_string();
        for part in parts {
            assert!(said.contains(part), "no `{part}` in: {said}");
        }
    };
    let path = |name: &str| folder.path().join(name);
    let with_cert = |name: &str| TlsFiles {
        cert: path(name),
        ..good.clone()
    };
    check(
        &with_cert("nowhere.pem"),
        &["nowhere.pem cannot be read: correct `tls: cert`"],
    );
    check(
        &with_cert("node.key"),
        &["node.key holds no certificate in PEM: correct `tls: cert`"],
    );
    let swapped = TlsFiles {
        key: path("node.pem"),
        ..good.clone()
    };
    check(&swapped, &["node.pem holds no private key"]);
    let other = authority.write(&path("other"), AGENT, 2030);
    check(
        &TlsFiles {
            key: other.key,
            ..good.clone()
        },
        &["other/node.key is not that of the certificate", "made together"],
    );
    fs::write(
        path("damaged.pem"),
        "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    check(&with_cert("damaged.pem"), &["damaged.pem cannot be understood"]);
    fs::write(path("large.pem"), vec![b'x'; (1 << 20) + 1]).unwrap();
    check(&with_cert("large.pem"), &["large.pem has over 1048576 bytes"]);
    let stranger = Authority::new().write(&path("stranger"), AGENT, 2030);
    check(
        &TlsFiles {
            ca: good.ca.clone(),
            ..stranger
        },
        &["stranger/node.pem is not one that", "ca.pem vouches for ("],
    );
    let expired = authority.write(&path("expired"), AGENT, 2025);
    check(&expired, &["expired/node.pem expired 78", "hours ago: renew it"]);
    let network = TlsNetwork::over(Arc::new(TcpNetwork), good, Clock::simulated(NOW)).unwrap();
    assert!(network.check_own("agent", "h1").is_ok() && network.check_own_node("agent", "h1").is_ok());
    let said = network.check_own("map", "map-1").unwrap_err().to_string();
    assert!(
        said.contains("node.pem does not name sunfire://role/map but sunfire://agent/h1: add"),
        "{said}"
    );
}
