//! TLS between nodes: a network over another one, whose connections are encrypted and whose both ends show
//! certificates of the cluster's authority.
//!
//! It wraps any [`Network`]; there is no way past it: what it listens to and dials is TLS 1.3 or nothing. Accepting is
//! as cheap as before, the TLS handshake is part of the handshake of every connection ([`crate::wire`]) and shares its
//! deadline and its places at the door. Which role and which node may be at the other end is decided there as well,
//! by the [`Names`] of its certificate.

mod credentials;
mod error;
mod names;
mod stream;
mod verifier;

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub use credentials::TlsFiles;
pub use error::TlsError;
pub use names::{Names, name_of_node, name_of_role};

use crate::seam::{BoxedFuture, BoxedStream, Clock, Listener, Network};
use credentials::Credentials;
use stream::Encrypted;

/// A name for the library alone: it is neither sent nor compared.
const NO_NAME: &str = "node.invalid";

/// TLS over another network.
#[derive(Clone)]
pub struct TlsNetwork {
    below: Arc<dyn Network>,
    credentials: Arc<Credentials>,
    files: TlsFiles,
}

impl TlsNetwork {
    /// TLS with the certificates of these files, which are read and checked now, and again when they change.
    ///
    /// # Errors
    /// If they cannot be used.
    pub fn over(below: Arc<dyn Network>, files: TlsFiles, clock: Clock) -> Result<TlsNetwork, TlsError> {
        let credentials = Arc::new(Credentials::open(files.clone(), clock)?);
        Ok(TlsNetwork {
            below,
            credentials,
            files,
        })
    }

    /// Makes sure that our own certificate lets us be this node of this role: others would refuse us else.
    ///
    /// # Errors
    /// If it does not.
    pub fn check_own(&self, role: &str, node: &str) -> Result<(), TlsError> {
        self.check(self.credentials.current().names.cover(role, node), name_of_role(role))
    }

    /// The same where others expect this very node.
    ///
    /// # Errors
    /// If it does not.
    pub fn check_own_node(&self, role: &str, node: &str) -> Result<(), TlsError> {
        self.check(
            self.credentials.current().names.names(role, node),
            name_of_node(role, node),
        )
    }

    fn check(&self, covered: bool, needed: String) -> Result<(), TlsError> {
        if covered {
            return Ok(());
        }
        let shown = self.credentials.current().names.to_string();
        Err(TlsError::Unnamed {
            path: self.files.cert.clone(),
            needed,
            shown,
        })
    }

    /// Why changed files are not in use, if they are not.
    pub fn trouble(&self) -> Option<String> {
        self.credentials.trouble()
    }
}

struct TlsListener {
    below: Box<dyn Listener>,
    credentials: Arc<Credentials>,
}

impl Listener for TlsListener {
    fn local_address(&self) -> &str {
        self.below.local_address()
    }

    fn accept(&mut self) -> BoxedFuture<'_, io::Result<(BoxedStream, String)>> {
        Box::pin(async move {
            let (stream, address) = self.below.accept().await?;
            let acceptor = TlsAcceptor::from(Arc::clone(&self.credentials.current().server));
            Ok((
                Box::new(Encrypted::accepted(acceptor.accept(stream))) as BoxedStream,
                address,
            ))
        })
    }
}

impl Network for TlsNetwork {
    fn listen<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let below = self.below.listen(address).await?;
            let credentials = Arc::clone(&self.credentials);
            Ok(Box::new(TlsListener { below, credentials }) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            let stream = self.below.dial(address).await?;
            let name = ServerName::try_from(NO_NAME).map_err(io::Error::other)?;
            let connector = TlsConnector::from(Arc::clone(&self.credentials.current().client));
            Ok(Box::new(Encrypted::dialled(connector.connect(name, stream))) as BoxedStream)
        })
    }

    fn proves_names(&self) -> bool {
        true
    }
}

#[cfg(test)]
pub(crate) mod tests;
