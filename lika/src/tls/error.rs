//! Why a node's certificate cannot be used: always with the file that is wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The certificate files of a node cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("{} cannot be read: correct `tls: {what}`, or let the user of this process read it", path.display())]
    Read {
        /// The key of the configuration.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that is too large to be one of these.
    #[error(
        "{} has over {bytes_max} bytes, so it is no file of certificates or keys: correct `tls: {what}`",
        path.display()
    )]
    TooLarge {
        /// The key of the configuration.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
    /// A file without what is sought in it.
    #[error("{} holds no {sought} in PEM: correct `tls: {what}`, or convert it by `openssl`", path.display())]
    Nothing {
        /// The key of the configuration.
        what: &'static str,
        /// What it should hold.
        sought: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// A file that is damaged.
    #[error("{} cannot be understood ({why}): write it anew", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Certificate and key belong to others.
    #[error(
        "the key {} is not that of the certificate {}: give the two that were made together",
        key.display(),
        cert.display()
    )]
    KeyMismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        cert: PathBuf,
    },
    /// It is too late.
    #[error("the certificate {} expired {hours} hours ago: renew it", path.display())]
    Expired {
        /// The certificate's file.
        path: PathBuf,
        /// Since when.
        hours: u64,
    },
    /// It is too early.
    #[error("the certificate {} is valid only {hours} hours from now: wait, or set this host's clock", path.display())]
    NotYetValid {
        /// The certificate's file.
        path: PathBuf,
        /// From when.
        hours: u64,
    },
    /// Another authority made it, or it is not for this use.
    #[error("the certificate {} is not one that {} vouches for ({why}): give it the authority of the cluster, and both \
             extended key usages, serverAuth and clientAuth", cert.display(), ca.display())]
    NotOfAuthority {
        /// The certificate's file.
        cert: PathBuf,
        /// The authority's file.
        ca: PathBuf,
        /// What the check found.
        why: String,
    },
    /// It does not say what its holder is.
    #[error(
        "the certificate {} does not name {needed} but {shown}: add `subjectAltName = URI:{needed}`",
        path.display()
    )]
    Unnamed {
        /// The certificate's file.
        path: PathBuf,
        /// The name that it lacks.
        needed: String,
        /// Those that it has.
        shown: String,
    },
    /// Something else that the library does not accept.
    #[error("the certificate {} cannot be used ({why}): make it anew", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}
