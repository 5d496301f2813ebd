//! The certificate files of a node: read, checked, and taken up anew when they change, without a restart.
//!
//! Files are looked at when a connection opens, at most once a second, by content: a copy that keeps the time of the
//! file is seen all the same. New ones that cannot be used, or of which only some are there yet, change nothing; that
//! is said once, and the old ones stay.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use webpki::{EndEntityCert, KeyUsage};

use super::error::TlsError;
use super::names::Names;
use super::verifier::AnyNameOfAuthority;
use crate::seam::{Clock, Monotonic};

/// How often files are looked at when connections open.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// No file of certificates or keys is larger; an authority's bundle has some hundred KiB at most.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Certificates between ours and the authority's, ours included.
const CHAIN_MAX: usize = 8;

/// Where the certificates of a node are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that vouch for all nodes.
    pub ca: PathBuf,
    /// Our certificate, and those between it and the authority's.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a connection is opened with.
pub(super) struct Loaded {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
    pub(super) names: Names,
}

/// The contents of the three files.
#[derive(PartialEq, Eq)]
struct Contents {
    ca: Vec<u8>,
    cert: Vec<u8>,
    key: Vec<u8>,
}

struct State {
    loaded: Arc<Loaded>,
    looked: Monotonic,
    /// What was found last, usable or not.
    seen: Contents,
    /// Why what is there now is not in use.
    trouble: Option<String>,
}

pub(super) struct Credentials {
    files: TlsFiles,
    clock: Clock,
    state: Mutex<State>,
}

/// Time for `rustls`, from the seam.
#[derive(Debug)]
struct ClockTime(Clock);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(now(&self.0))
    }
}

fn now(clock: &Clock) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_nanos(u64::try_from(clock.wall().0).unwrap_or(0)))
}

impl Credentials {
    pub(super) fn open(files: TlsFiles, clock: Clock) -> Result<Credentials, TlsError> {
        let seen = Contents::read(&files)?;
        let loaded = Arc::new(Loaded::check(&files, &seen, &clock)?);
        let state = Mutex::new(State {
            loaded,
            looked: clock.monotonic(),
            seen,
            trouble: None,
        });
        Ok(Credentials { files, clock, state })
    }

    /// What a connection that opens now is to use. It may read three small files.
    pub(super) fn current(&self) -> Arc<Loaded> {
        // Every change is made whole at the end, so a panic leaves nothing half done.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.clock.monotonic();
        if at.since(state.looked) >= LOOK_EVERY {
            state.looked = at;
            self.look(&mut state);
        }
        Arc::clone(&state.loaded)
    }

    fn look(&self, state: &mut State) {
        let found = match Contents::read(&self.files) {
            Ok(seen) if seen == state.seen => return,
            Ok(seen) => {
                let checked = Loaded::check(&self.files, &seen, &self.clock);
                state.seen = seen;
                checked
            }
            Err(error) => Err(error),
        };
        match found {
            Ok(loaded) => {
                tracing::info!(cert = %self.files.cert.display(), "new certificates are in use");
                state.loaded = Arc::new(loaded);
                state.trouble = None;
            }
            Err(error) => {
                let why = crate::node::chain(&error);
                if state.trouble.as_deref() != Some(&why) {
                    tracing::warn!(%why, "changed certificates cannot be used; those before stay in use");
                    state.trouble = Some(why);
                }
            }
        }
    }

    /// Why the files as they are now are not in use, if they are not.
    pub(super) fn trouble(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.trouble.clone()
    }
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Contents, TlsError> {
        Ok(Contents {
            ca: read("ca", &files.ca)?,
            cert: read("cert", &files.cert)?,
            key: read("key", &files.key)?,
        })
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Read {
        what,
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(TlsError::TooLarge {
            what,
            path: path.to_owned(),
            bytes_max: FILE_BYTES_MAX,
        });
    }
    Ok(bytes)
}

fn certificates(what: &'static str, path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| TlsError::Damaged {
        path: path.to_owned(),
        why: error.to_string(),
    })?;
    if found.is_empty() {
        return Err(TlsError::Nothing {
            what,
            sought: "certificate",
            path: path.to_owned(),
        });
    }
    Ok(found)
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    use rustls::pki_types::pem::Error;
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        Error::NoItemsFound => TlsError::Nothing {
            what: "key",
            sought: "private key without a password",
            path: path.to_owned(),
        },
        error => TlsError::Damaged {
            path: path.to_owned(),
            why: error.to_string(),
        },
    })
}

impl Loaded {
    /// Makes of the files' contents what connections need, if other nodes would accept it.
    fn check(files: &TlsFiles, contents: &Contents, clock: &Clock) -> Result<Loaded, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in certificates("ca", &files.ca, &contents.ca)? {
            roots.add(authority).map_err(|error| TlsError::Damaged {
                path: files.ca.clone(),
                why: error.to_string(),
            })?;
        }
        let chain = certificates("cert", &files.cert, &contents.cert)?;
        let key = private_key(&files.key, &contents.key)?;
        let names = verify(files, &chain, &roots, now(clock))?;
        let provider = Arc::new(ring::default_provider());
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch {
                key: files.key.clone(),
                cert: files.cert.clone(),
            },
            error => TlsError::Unusable {
                path: files.key.clone(),
                why: error.to_string(),
            },
        })?;
        let (server, client) = configs(certified, Arc::new(roots), &provider, clock).map_err(|why| {
            let path = files.cert.clone();
            TlsError::Unusable { path, why }
        })?;
        Ok(Loaded { server, client, names })
    }
}

/// Checks our own certificate as others will: for both ends of a connection.
fn verify(
    files: &TlsFiles,
    chain: &[CertificateDer<'static>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<Names, TlsError> {
    let unusable = |error: webpki::Error| refused(files, error);
    let (own, between) = match chain {
        [own, between @ ..] if between.len() < CHAIN_MAX => (own, between),
        _ => {
            return Err(TlsError::Unusable {
                path: files.cert.clone(),
                why: format!("it is a chain of more than {CHAIN_MAX}"),
            });
        }
    };
    let own = EndEntityCert::try_from(own).map_err(unusable)?;
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        own.verify_for_usage(algorithms, &roots.roots, between, now, usage, None, None)
            .map_err(unusable)?;
    }
    Ok(Names::of(&own))
}

fn refused(files: &TlsFiles, error: webpki::Error) -> TlsError {
    let hours = |from: UnixTime, to: UnixTime| to.as_secs().saturating_sub(from.as_secs()) / 3600;
    let path = files.cert.clone();
    match error {
        webpki::Error::CertExpired { time, not_after } => TlsError::Expired {
            path,
            hours: hours(not_after, time),
        },
        webpki::Error::CertNotValidYet { time, not_before } => TlsError::NotYetValid {
            path,
            hours: hours(time, not_before),
        },
        error => TlsError::NotOfAuthority {
            cert: path,
            ca: files.ca.clone(),
            why: format!("{error:?}"),
        },
    }
}

/// TLS 1.3 alone, both ends with certificates, and every connection with a handshake of its own: a session resumed
/// would go by a certificate that may have been taken back meanwhile.
fn configs(
    certified: CertifiedKey,
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    clock: &Clock,
) -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), String> {
    let told = |error: rustls::Error| error.to_string();
    let time: Arc<dyn TimeProvider> = Arc::new(ClockTime(clock.clone()));
    let versions = [&rustls::version::TLS13];
    let resolver = Arc::new(SingleCertAndKey::from(certified));
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));
    let clients = clients.build().map_err(|error| error.to_string())?;
    let mut server = ServerConfig::builder_with_details(Arc::clone(provider), Arc::clone(&time))
        .with_protocol_versions(&versions)
        .map_err(told)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::clone(&resolver) as _);
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    let servers = AnyNameOfAuthority::new(roots, provider.signature_verification_algorithms);
    let mut client = ClientConfig::builder_with_details(Arc::clone(provider), time)
        .with_protocol_versions(&versions)
        .map_err(told)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(servers))
        .with_client_cert_resolver(resolver);
    client.resumption = Resumption::disabled();
    client.enable_sni = false;
    Ok((Arc::new(server), Arc::new(client)))
}
