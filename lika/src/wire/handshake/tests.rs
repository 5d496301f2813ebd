//! Handshakes between ends that agree, and ends that do not.

use super::*;
use crate::seam::WallNs;

const PATIENCE: Duration = Duration::from_secs(5);
const LIMITS: Limits = Limits {
    requests_max: 3,
    frame_bytes_max: 1000,
};

fn reached(address: &str) -> Reached<'_> {
    Reached { address, names: None }
}

fn identity(role: &str, token: &str) -> Identity {
    Identity {
        role: role.to_owned(),
        node: format!("{role}-1"),
        token: Token::new(token).unwrap(),
    }
}

fn admission(asked: &Asked<'_>) -> Result<(u16, u16), Refused> {
    match asked {
        Asked { lane: Lane::Bulk, .. } => Err(Refused::UnknownProtocol(asked.protocol.to_owned())),
        Asked {
            protocol: "pull",
            role: "map",
            ..
        } => Ok((2, 4)),
        Asked {
            protocol: "pull", role, ..
        } => Err(Refused::Role((*role).to_owned())),
        Asked { protocol, .. } => Err(Refused::UnknownProtocol((*protocol).to_owned())),
    }
}

struct Case {
    client: Identity,
    server: Identity,
    wanted: Wanted,
}

impl Case {
    fn good() -> Case {
        let wanted = Wanted {
            lane: Lane::Messages,
            protocol: "pull".into(),
            versions: (1, 3),
            server_role: "agent".into(),
            server_node: None,
        };
        let (client, server) = (
            identity("map", "sixteen bytes it is"),
            identity("agent", "sixteen bytes it is"),
        );
        Case { client, server, wanted }
    }

    async fn run(&self) -> (Result<(Peer, Limits), HandshakeError>, Result<Admitted, HandshakeError>) {
        let (mut near, mut far) = tokio::io::duplex(8192);
        let (clock, randomness) = (Clock::simulated(WallNs(0)), Randomness::seeded(1));
        let host = Host {
            identity: &self.server,
            limits: LIMITS,
            patience: PATIENCE,
        };
        let client = async {
            let greeted = greet(
                &mut near,
                &self.client,
                &self.wanted,
                reached("there"),
                (&clock, &randomness, PATIENCE),
            )
            .await;
            // Whoever is not content hangs up.
            drop(near);
            greeted
        };
        tokio::join!(
            client,
            welcome(&mut far, host, &admission, reached("here"), (&clock, &randomness))
        )
    }
}

#[tokio::test(start_paused = true)]
async fn ends_that_agree_know_each_other() {
    let (client, server) = Case::good().run().await;
    let peer = |role: &str, address: &str| Peer {
        role: role.to_owned(),
        node: format!("{role}-1"),
        address: address.to_owned(),
        version: 3,
    };
    assert_eq!(client.unwrap(), (peer("agent", "there"), LIMITS));
    let admitted = Admitted {
        peer: peer("map", "here"),
        lane: Lane::Messages,
        protocol: "pull".to_owned(),
    };
    assert_eq!(server.unwrap(), admitted);
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut Case), expected: Refused) {
    let mut case = Case::good();
    change(&mut case);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (client, server) = runtime.block_on(case.run());
    match (client, server) {
        (Err(HandshakeError::Refused(told)), Err(HandshakeError::Turned { why, .. })) => {
            assert_eq!((told, why), (expected.clone(), expected));
        }
        other => panic!("expected {expected:?}, got {other:?}"),
    }
}

#[test]
fn refusals_are_told_with_their_reason() {
    let other = |role| identity(role, "another token, as long");
    check_refused(|case| case.client = other("map"), Refused::WrongToken);
    // What is served is not told to those without the token.
    check_refused(
        |case| {
            case.client = other("brain");
            case.wanted.protocol = "nothing".to_owned();
        },
        Refused::WrongToken,
    );
    check_refused(
        |case| case.wanted.versions = (5, 9),
        Refused::Version { least: 2, greatest: 4 },
    );
    check_refused(
        |case| case.wanted.versions = (0, 1),
        Refused::Version { least: 2, greatest: 4 },
    );
    check_refused(
        |case| case.client.role = "brain".to_owned(),
        Refused::Role("brain".to_owned()),
    );
    check_refused(
        |case| case.wanted.protocol = "push".to_owned(),
        Refused::UnknownProtocol("push".to_owned()),
    );
    check_refused(
        |case| case.wanted.lane = Lane::Bulk,
        Refused::UnknownProtocol("pull".to_owned()),
    );
    check_refused(|case| case.client.node = "n".repeat(300), Refused::Malformed);
}

#[tokio::test(start_paused = true)]
async fn the_client_leaves_a_server_of_another_role() {
    let mut case = Case::good();
    case.wanted.server_role = "map".to_owned();
    let (client, server) = case.run().await;
    assert!(matches!(client, Err(HandshakeError::ServerRole { .. })), "{client:?}");
    assert!(server.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_server_without_the_token_is_found_out() {
    // It lets everybody in and sends the client's own proof back as its own.
    let case = Case::good();
    let (mut near, mut far) = tokio::io::duplex(8192);
    let (clock, randomness) = (Clock::simulated(WallNs(0)), Randomness::seeded(1));
    let imposter = async {
        far.read_exact(&mut [0; 8]).await.unwrap();
        let mut reader = reader(&mut far, &clock, PATIENCE);
        reader.next().await.unwrap();
        let (role, node) = ("agent".to_owned(), "imposter".to_owned());
        let challenge = Challenge {
            role,
            node,
            version: 3,
            limits: LIMITS,
            nonce: [0; 32],
        };
        send(reader.stream(), Kind::Challenge, &pack(&challenge).unwrap())
            .await
            .unwrap();
        let proof = reader.next().await.unwrap();
        send(reader.stream(), Kind::Welcome, &proof.payload).await.unwrap();
    };
    let greeting = greet(
        &mut near,
        &case.client,
        &case.wanted,
        reached("there"),
        (&clock, &randomness, PATIENCE),
    );
    let (client, ()) = tokio::join!(greeting, imposter);
    assert!(matches!(client, Err(HandshakeError::ServerUnproven(node)) if node == "imposter"));
}

#[tokio::test(start_paused = true)]
async fn strangers_and_the_silent_are_hung_up_on() {
    let case = Case::good();
    let (clock, randomness) = (Clock::simulated(WallNs(0)), Randomness::seeded(1));
    let host = Host {
        identity: &case.server,
        limits: LIMITS,
        patience: PATIENCE,
    };
    let outcome = async |bytes: &[u8]| {
        let (mut near, mut far) = tokio::io::duplex(8192);
        near.write_all(bytes).await.unwrap();
        let welcomed = welcome(&mut far, host, &admission, reached("here"), (&clock, &randomness)).await;
        welcomed.unwrap_err()
    };
    assert!(matches!(outcome(b"GET / HTTP/1.1\r\n").await, HandshakeError::NotLika));
    let client_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    assert!(matches!(outcome(client_hello).await, HandshakeError::TlsUnexpected));
    assert!(matches!(outcome(b"").await, HandshakeError::TooSlow(_)));
    assert!(matches!(
        outcome(b"lika/1\r\n").await,
        HandshakeError::TooSlow(_) | HandshakeError::Read(_)
    ));
    let huge = super::super::frame::Header::encode_unchecked(Kind::Hello, 0, 5000);
    let huge = [PREFACE.as_slice(), &huge].concat();
    assert!(matches!(
        outcome(&huge).await,
        HandshakeError::Read(ReadError::Frame(FrameError::TooLarge { .. }))
    ));
}

#[test]
fn tokens_have_a_least_length_and_are_never_shown() {
    assert_eq!(Token::new("fifteen bytes..").unwrap_err(), TokenError(15));
    assert!(!format!("{:?}", identity("map", "sixteen bytes it is")).contains("sixteen"));
}
