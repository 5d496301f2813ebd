//! The handshake: both ends agree on a protocol and its version, and prove to each other that they know the token.
//!
//! Client: eight bytes of preface, `Hello` (what it wants, who it is, a nonce). Server: `Challenge` (who it is, its
//! limits, a nonce). Client: `Proof`, the HMAC-SHA-256 under the token over its label and both messages before.
//! Server: `Welcome` with its own, over another label. Labels keep a proof from being sent back where it came from,
//! nonces from being used again. The server proves itself second, so that strangers get nothing to guess against.
//! It says who is at the other end when the connection opens; it does not encrypt, nor protect against somebody who
//! can change a connection under way. Below it there may be TLS ([`crate::tls`]), which does: then the role and the
//! name that an end claims count only if its certificate names them, beside what the token proves.

use std::fmt;
use std::io;
use std::time::Duration;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frame::{FrameError, Kind, encode};
use super::reader::{FrameReader, ReadError, ReadPatience};
use super::{pack, unpack};
use crate::seam::{Clock, Randomness};
use crate::tls::{Names, name_of_node, name_of_role};

/// What every connection begins with; its digit is the version of frames and handshake.
const PREFACE: &[u8; 8] = b"lika/1\r\n";
/// What a connection over TLS begins with.
const TLS_HANDSHAKE: u8 = 0x16;
/// No handshake message is longer; so much can a stranger make us hold.
const HANDSHAKE_BYTES_MAX: usize = 4096;
/// Shorter ones could be guessed from a recorded handshake.
const TOKEN_BYTES_MIN: usize = 16;
/// Names of roles and nodes are for people; longer ones are refused.
const NAME_BYTES_MAX: usize = 256;

/// The secret that all nodes of an installation share. It is never shown.
#[derive(Clone)]
pub struct Token(Vec<u8>);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(hidden)")
    }
}

/// The token cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the token has {0} bytes, fewer than 16; make one by `head -c 24 /dev/urandom | base64`")]
pub struct TokenError(usize);

impl Token {
    /// A token of at least 16 bytes, taken as they are.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Token, TokenError> {
        let secret = secret.into();
        if secret.len() < TOKEN_BYTES_MIN {
            Err(TokenError(secret.len()))
        } else {
            Ok(Token(secret))
        }
    }

    /// A token nobody has, for a process that talks only to itself.
    pub fn random(randomness: &Randomness) -> Token {
        Token(randomness.bytes32().to_vec())
    }

    fn mac(&self, label: &str, messages: &[&[u8]]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for message in std::iter::once(&label.as_bytes()).chain(messages) {
            // Lengths first, so that no two lists of messages give the same bytes.
            mac.update(&(message.len() as u64).to_le_bytes());
            mac.update(message);
        }
        Some(mac)
    }
}

/// Who we are to others.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The role, by which others decide what we may ask, as `map`.
    pub role: String,
    /// The node's name, for people.
    pub node: String,
    /// The installation's secret.
    pub token: Token,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lane {
    /// Typed requests and answers, many at a time.
    Messages,
    /// One bulk transfer after the other.
    Bulk,
}

/// Who is at the other end, as proven by the handshake (the name is its own claim).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its role.
    pub role: String,
    /// Its name.
    pub node: String,
    /// Where it is connected from, or was dialled.
    pub address: String,
    /// The version of the protocol that both ends know.
    pub version: u16,
}

/// Why a server does not want a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[non_exhaustive]
pub enum Refused {
    /// The proof does not fit.
    #[error("the tokens differ; give both nodes the same one")]
    WrongToken,
    /// There is no version that both know.
    #[error("no common version: it speaks {least} to {greatest}; upgrade the older node")]
    Version {
        /// The oldest the server knows.
        least: u16,
        /// The newest the server knows.
        greatest: u16,
    },
    /// Nothing here serves that protocol on that lane.
    #[error("it does not serve {0}; check the address and port")]
    UnknownProtocol(String),
    /// The role may not ask here.
    #[error("it does not serve the role {0}; check which node is meant to ask it")]
    Role(String),
    /// As many connections are open as may.
    #[error("it has as many connections as it may; raise its limit or connect less often")]
    TooManyConnections,
    /// The certificate does not let its holder ask.
    #[error("it needs a certificate that names {needed}, and was shown one that names {shown}")]
    Certificate {
        /// The names of which one is needed.
        needed: String,
        /// The names that the certificate has.
        shown: String,
    },
    /// The handshake made no sense to the server.
    #[error("it could not read our handshake; check that both nodes run compatible versions")]
    Malformed,
}

/// Why a connection did not open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It took too long.
    #[error("the handshake was not done after {} ms; the other end is overloaded or something else", .0.as_millis())]
    TooSlow(Duration),
    /// The other end does not speak this at all.
    #[error("the other end does not speak this protocol, or only over TLS; check address, port, and `tls:` of both")]
    NotLika,
    /// The other end speaks TLS, and we don't.
    #[error("the other end speaks TLS, and this node does not; give it `tls:` as well")]
    TlsUnexpected,
    /// TLS was not agreed on.
    #[error("no TLS connection")]
    Tls(#[source] io::Error),
    /// The server's certificate is another node's than we meant to reach.
    #[error("the server needs a certificate that names {needed}, and showed one that names {shown}")]
    ServerCertificate {
        /// The name that is needed.
        needed: String,
        /// The names that the certificate has.
        shown: String,
    },
    /// The server said no.
    #[error("the server refused the connection")]
    Refused(#[source] Refused),
    /// As server, we said no.
    #[error("refused a connection of {node} as {role}")]
    Turned {
        /// Who it said it was.
        node: String,
        /// Its role.
        role: String,
        /// Why.
        #[source]
        why: Refused,
    },
    /// The server does not know the token.
    #[error("the server {0} could not prove that it knows the token; give both nodes the same one")]
    ServerUnproven(String),
    /// The server has another role than we meant to reach.
    #[error("the server is a {found}, not a {expected}; check the address and port")]
    ServerRole {
        /// Its role.
        found: String,
        /// The role we meant.
        expected: String,
    },
    /// A message that makes no sense.
    #[error("a handshake message cannot be read: {0}")]
    Malformed(String),
    /// The connection failed.
    #[error("the connection failed during the handshake")]
    Read(#[from] ReadError),
    /// The connection failed.
    #[error("the connection failed during the handshake")]
    Write(#[from] io::Error),
}

impl From<FrameError> for HandshakeError {
    fn from(error: FrameError) -> HandshakeError {
        HandshakeError::Read(ReadError::Frame(error))
    }
}

/// What a client wants of a server.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The lane.
    pub lane: Lane,
    /// The protocol's name.
    pub protocol: String,
    /// The oldest and newest version we know.
    pub versions: (u16, u16),
    /// The role that the server must have.
    pub server_role: String,
    /// The node that a server with a certificate must be, by its name there; any of the role if there is none.
    pub server_node: Option<String>,
}

/// The other end as it was reached.
#[derive(Debug, Clone, Copy)]
pub struct Reached<'a> {
    /// Where.
    pub address: &'a str,
    /// What its certificate names, where it showed one.
    pub names: Option<&'a Names>,
}

/// What a server bounds, told to clients so that they wait on their side instead of being refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Requests at a time on one connection.
    pub requests_max: u32,
    /// Payload bytes of a frame, either way.
    pub frame_bytes_max: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    lane: Lane,
    protocol: String,
    versions: (u16, u16),
    role: String,
    node: String,
    nonce: [u8; 32],
}

#[derive(Debug, Serialize, Deserialize)]
struct Challenge {
    role: String,
    node: String,
    version: u16,
    limits: Limits,
    nonce: [u8; 32],
}

#[derive(Debug, Serialize, Deserialize)]
struct Proof {
    mac: [u8; 32],
}

const CLIENT_LABEL: &str = "lika client";
const SERVER_LABEL: &str = "lika server";

fn prove(token: &Token, label: &str, messages: &[&[u8]]) -> Proof {
    // HMAC takes keys of any length, so this cannot fail; an empty proof would merely be refused.
    let mac = token
        .mac(label, messages)
        .map_or([0; 32], |mac| mac.finalize().into_bytes().into());
    Proof { mac }
}

fn proven(token: &Token, label: &str, messages: &[&[u8]], proof: &Proof) -> bool {
    // `verify_slice` compares in constant time.
    token
        .mac(label, messages)
        .is_some_and(|mac| mac.verify_slice(&proof.mac).is_ok())
}

fn malformed(error: impl fmt::Display) -> HandshakeError {
    HandshakeError::Malformed(error.to_string())
}

fn reader<S: AsyncRead + Unpin>(stream: S, clock: &Clock, patience: Duration) -> FrameReader<S> {
    let patience = ReadPatience {
        silence: patience,
        frame: patience,
    };
    FrameReader::new(stream, clock.clone(), patience, HANDSHAKE_BYTES_MAX).without_read_ahead()
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, kind: Kind, payload: &[u8]) -> Result<(), HandshakeError> {
    stream
        .write_all(&encode(kind, 0, &[payload], HANDSHAKE_BYTES_MAX)?)
        .await?;
    Ok(stream.flush().await?)
}

/// The client's side, within `patience`: who the server is, and its limits.
pub async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    identity: &Identity,
    wanted: &Wanted,
    server: Reached<'_>,
    (clock, randomness, patience): (&Clock, &Randomness, Duration),
) -> Result<(Peer, Limits), HandshakeError> {
    let greeting = greet_unbounded(stream, identity, wanted, server, (clock, randomness, patience));
    clock
        .timeout(patience, greeting)
        .await
        .map_err(|_| HandshakeError::TooSlow(patience))?
}

async fn greet_unbounded<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    identity: &Identity,
    wanted: &Wanted,
    server: Reached<'_>,
    (clock, randomness, patience): (&Clock, &Randomness, Duration),
) -> Result<(Peer, Limits), HandshakeError> {
    let hello = pack(&Hello {
        lane: wanted.lane,
        protocol: wanted.protocol.clone(),
        versions: wanted.versions,
        role: identity.role.clone(),
        node: identity.node.clone(),
        nonce: randomness.bytes32(),
    })
    .map_err(malformed)?;
    stream.write_all(PREFACE).await?;
    send(stream, Kind::Hello, &hello).await?;
    let mut reader = reader(stream, clock, patience);
    let challenge_bytes = answer(&mut reader, Kind::Challenge).await?;
    let challenge: Challenge = unpack(&challenge_bytes).map_err(malformed)?;
    if challenge.role != wanted.server_role {
        let expected = wanted.server_role.clone();
        return Err(HandshakeError::ServerRole {
            found: challenge.role,
            expected,
        });
    }
    check_server(wanted, server.names, &challenge.node)?;
    let (least, greatest) = wanted.versions;
    if !(least..=greatest).contains(&challenge.version) {
        return Err(malformed("the server chose a version that was not offered"));
    }
    let transcript: [&[u8]; 2] = [&hello, &challenge_bytes];
    let proof = prove(&identity.token, CLIENT_LABEL, &transcript);
    send(reader.stream(), Kind::Proof, &pack(&proof).map_err(malformed)?).await?;
    let welcome: Proof = unpack(&answer(&mut reader, Kind::Welcome).await?).map_err(malformed)?;
    if !proven(&identity.token, SERVER_LABEL, &transcript, &welcome) {
        return Err(HandshakeError::ServerUnproven(challenge.node));
    }
    let Challenge {
        role,
        node,
        version,
        limits,
        ..
    } = challenge;
    Ok((
        Peer {
            role,
            node,
            address: server.address.to_owned(),
            version,
        },
        limits,
    ))
}

/// Whether a server with a certificate is whom we meant, and whom it says it is.
fn check_server(wanted: &Wanted, names: Option<&Names>, claimed: &str) -> Result<(), HandshakeError> {
    let Some(names) = names else { return Ok(()) };
    let role = &wanted.server_role;
    let needed = match &wanted.server_node {
        Some(node) if !names.names(role, node) => name_of_node(role, node),
        _ if !names.cover(role, claimed) => format!("{} or {}", name_of_role(role), name_of_node(role, claimed)),
        _ => return Ok(()),
    };
    let shown = names.to_string();
    Err(HandshakeError::ServerCertificate { needed, shown })
}

async fn answer<S: AsyncRead + Unpin>(
    reader: &mut FrameReader<S>,
    expected: Kind,
) -> Result<bytes::Bytes, HandshakeError> {
    let frame = match reader.next().await {
        // A server of TLS says so in fewer bytes than a header has.
        Err(ReadError::Frame(FrameError::HeaderDamaged) | ReadError::Truncated) => return Err(HandshakeError::NotLika),
        read => read?,
    };
    match frame.kind {
        kind if kind == expected => Ok(frame.payload),
        Kind::Refused => Err(HandshakeError::Refused(unpack(&frame.payload).map_err(malformed)?)),
        kind => Err(FrameError::OutOfTurn(kind).into()),
    }
}

/// What a client asked for in its greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The lane.
    pub lane: Lane,
    /// The protocol's name.
    pub protocol: &'a str,
    /// The role it claims.
    pub role: &'a str,
    /// The name that it claims.
    pub node: &'a str,
    /// What its certificate names, where it showed one.
    pub names: Option<&'a Names>,
}

/// How a server decides on a greeting that came from a node with the token: the versions it speaks of what was asked
/// for, or why not.
pub type Admission<'a> = &'a (dyn Fn(&Asked<'_>) -> Result<(u16, u16), Refused> + Send + Sync);

/// A client that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Who it is.
    pub peer: Peer,
    /// The lane.
    pub lane: Lane,
    /// The protocol's name.
    pub protocol: String,
}

/// What a server is to clients that greet it.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// Who it is.
    pub identity: &'a Identity,
    /// Its limits.
    pub limits: Limits,
    /// The longest time a handshake may take.
    pub patience: Duration,
}

/// The server's side, within the host's patience. A client that is refused is told why, as far as it may know: what
/// is served here is told only to those with the token.
pub async fn welcome<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    host: Host<'_>,
    admission: Admission<'_>,
    client: Reached<'_>,
    (clock, randomness): (&Clock, &Randomness),
) -> Result<Admitted, HandshakeError> {
    let welcoming = welcome_unbounded(stream, host, admission, client, (clock, randomness));
    clock
        .timeout(host.patience, welcoming)
        .await
        .map_err(|_| HandshakeError::TooSlow(host.patience))?
}

async fn welcome_unbounded<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    host: Host<'_>,
    admission: Admission<'_>,
    client: Reached<'_>,
    (clock, randomness): (&Clock, &Randomness),
) -> Result<Admitted, HandshakeError> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await?;
    if preface[0] == TLS_HANDSHAKE {
        return Err(HandshakeError::TlsUnexpected);
    }
    if &preface != PREFACE {
        return Err(HandshakeError::NotLika);
    }
    let mut reader = reader(stream, clock, host.patience);
    let hello_bytes = turn(&mut reader, Kind::Hello).await?;
    let hello: Hello = unpack(&hello_bytes).map_err(malformed)?;
    if hello.role.len().max(hello.node.len()).max(hello.protocol.len()) > NAME_BYTES_MAX {
        return refuse(reader.stream(), &hello, Refused::Malformed).await;
    }
    let asked = Asked {
        lane: hello.lane,
        protocol: &hello.protocol,
        role: &hello.role,
        node: &hello.node,
        names: client.names,
    };
    let decision = admission(&asked).and_then(|versions| common_version(versions, hello.versions));
    let identity = host.identity;
    let challenge = pack(&Challenge {
        role: identity.role.clone(),
        node: identity.node.clone(),
        version: *decision.as_ref().unwrap_or(&hello.versions.1),
        limits: host.limits,
        nonce: randomness.bytes32(),
    })
    .map_err(malformed)?;
    send(reader.stream(), Kind::Challenge, &challenge).await?;
    let proof: Proof = unpack(&turn(&mut reader, Kind::Proof).await?).map_err(malformed)?;
    let transcript: [&[u8]; 2] = [&hello_bytes, &challenge];
    if !proven(&identity.token, CLIENT_LABEL, &transcript, &proof) {
        return refuse(reader.stream(), &hello, Refused::WrongToken).await;
    }
    let version = match decision {
        Ok(version) => version,
        Err(why) => return refuse(reader.stream(), &hello, why).await,
    };
    let proof = prove(&identity.token, SERVER_LABEL, &transcript);
    send(reader.stream(), Kind::Welcome, &pack(&proof).map_err(malformed)?).await?;
    let Hello {
        lane,
        protocol,
        role,
        node,
        ..
    } = hello;
    Ok(Admitted {
        peer: Peer {
            role,
            node,
            address: client.address.to_owned(),
            version,
        },
        lane,
        protocol,
    })
}

fn common_version(ours: (u16, u16), theirs: (u16, u16)) -> Result<u16, Refused> {
    let version = ours.1.min(theirs.1);
    if version >= ours.0.max(theirs.0) {
        Ok(version)
    } else {
        Err(Refused::Version {
            least: ours.0,
            greatest: ours.1,
        })
    }
}

async fn turn<S: AsyncRead + Unpin>(
    reader: &mut FrameReader<S>,
    expected: Kind,
) -> Result<bytes::Bytes, HandshakeError> {
    let frame = reader.next().await?;
    if frame.kind == expected {
        Ok(frame.payload)
    } else {
        Err(FrameError::OutOfTurn(frame.kind).into())
    }
}

/// Tells a client that it is refused, and closes.
pub(crate) async fn send_refused<S: AsyncWrite + Unpin>(stream: &mut S, why: &Refused) -> Result<(), HandshakeError> {
    send(stream, Kind::Refused, &pack(why).map_err(malformed)?).await?;
    Ok(stream.shutdown().await?)
}

async fn refuse<S: AsyncWrite + Unpin, T>(stream: &mut S, hello: &Hello, why: Refused) -> Result<T, HandshakeError> {
    send_refused(stream, &why).await?;
    Err(HandshakeError::Turned {
        node: hello.node.clone(),
        role: hello.role.clone(),
        why,
    })
}

#[cfg(test)]
mod tests;
