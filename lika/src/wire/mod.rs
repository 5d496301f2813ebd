//! What goes over a connection: checked frames, and the handshake that comes before all others.
//!
//! Pure in [`frame`]; [`reader`] and [`handshake`] need a stream and a clock. Nothing here allocates for a length it
//! has only been told of, and nothing a peer sends can panic it.

pub mod frame;
pub mod handshake;
pub mod reader;

pub use frame::{Frame, FrameError, Header, Kind};
pub use handshake::{HandshakeError, Identity, Lane, Peer, Refused, Token, TokenError};
pub use reader::{FrameReader, ReadError};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// MessagePack with field names, so that a field may be added without breaking older readers.
pub(crate) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec_named(value)
}

/// The reverse of [`pack`]; bytes behind the value are an error, since a sender has no reason to add any.
pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, UnpackError> {
    let mut rest = bytes;
    let value = rmp_serde::decode::from_read(&mut rest)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(UnpackError::Trailing(rest.len()))
    }
}

/// A message that is not what its frame promised.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("cannot be decoded")]
    Decode(#[from] rmp_serde::decode::Error),
    #[error("{0} bytes follow the message")]
    Trailing(usize),
}
