//! The network seam: listening and dialling by address text, over streams that may or may not be kernel sockets.
//!
//! The network of a real run is TCP, or TLS over it ([`crate::tls`]). A simulation implements [`Network`] over its own
//! streams; whatever needs a kernel socket (`sendfile`) asks the stream for it and has a plain way without.

use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::tls::Names;

/// A future of a trait object's method.
pub type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connected stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {
    /// The kernel's TCP socket below, where there is one and bytes go over it as they are.
    fn tcp(&self) -> Option<&TcpStream>;

    /// Does what must be done before the first byte, and says what the other end's certificate names, on a network
    /// where it has one. The caller bounds the time; a stream whose future was dropped is of no use any more.
    fn establish(&mut self) -> BoxedFuture<'_, io::Result<Option<Names>>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// Any stream, boxed.
pub type BoxedStream = Box<dyn Stream>;

/// Accepts connections at one address.
pub trait Listener: Send + 'static {
    /// The address that is listened at, with the true port where 0 was asked for.
    fn local_address(&self) -> &str;

    /// The next connection and the address of its other end.
    fn accept(&mut self) -> BoxedFuture<'_, io::Result<(BoxedStream, String)>>;
}

/// Where connections come from.
pub trait Network: Send + Sync + 'static {
    /// Listens at `address` (`host:port`).
    fn listen<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<Box<dyn Listener>>>;

    /// Connects to `address` (`host:port`); the caller bounds the time.
    fn dial<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<BoxedStream>>;

    /// Whether both ends of its connections prove who they are ([`Stream::establish`]).
    fn proves_names(&self) -> bool {
        false
    }
}

/// TCP of this machine, with `TCP_NODELAY`: requests are small and wait for answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpNetwork;

impl Stream for TcpStream {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

struct TcpAcceptor {
    listener: TcpListener,
    local_address: String,
}

impl Listener for TcpAcceptor {
    fn local_address(&self) -> &str {
        &self.local_address
    }

    fn accept(&mut self) -> BoxedFuture<'_, io::Result<(BoxedStream, String)>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as BoxedStream, peer.to_string()))
        })
    }
}

impl Network for TcpNetwork {
    fn listen<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            let local_address = listener.local_addr()?.to_string();
            Ok(Box::new(TcpAcceptor {
                listener,
                local_address,
            }) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxedStream)
        })
    }
}
