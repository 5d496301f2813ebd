//! A network within one process, for tests and simulations: it can be cut without either end being told, as real
//! networks are, and it does not hinder paused time as kernel sockets do.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::network::{BoxedFuture, BoxedStream, Listener, Network, Stream};

/// Bytes that a direction of a connection holds before its writer waits; like a small socket buffer.
const PIPE_BYTES: usize = 64 * 1024;
/// Connections that wait to be accepted at one address; like a listen backlog.
const BACKLOG: usize = 128;

/// Whether bytes pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Bytes pass, dials are accepted.
    Up,
    /// Dials are refused; open streams hang both ways and tell nobody.
    Cut,
}

/// Addresses, and one switch for all links between them; clones are the same network.
#[derive(Clone)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
}

struct Shared {
    listeners: Mutex<BTreeMap<String, mpsc::Sender<DuplexStream>>>,
    link: Mutex<(LinkState, Vec<Waker>)>,
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, (LinkState, Vec<Waker>)> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listeners(&self) -> MutexGuard<'_, BTreeMap<String, mpsc::Sender<DuplexStream>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryNetwork {
    fn default() -> MemoryNetwork {
        let link = Mutex::new((LinkState::Up, Vec::new()));
        MemoryNetwork {
            shared: Arc::new(Shared {
                listeners: Mutex::default(),
                link,
            }),
        }
    }
}

impl MemoryNetwork {
    /// Cuts or mends all links.
    pub fn set_link(&self, state: LinkState) {
        let wakers = {
            let mut link = self.shared.link();
            link.0 = state;
            std::mem::take(&mut link.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

struct MemoryStream {
    pipe: DuplexStream,
    shared: Arc<Shared>,
}

impl MemoryStream {
    fn poll_link(&self, context: &Context<'_>) -> Poll<()> {
        let mut link = self.shared.link();
        match link.0 {
            LinkState::Up => Poll::Ready(()),
            LinkState::Cut => {
                link.1.push(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_link(context));
        Pin::new(&mut self.pipe).poll_read(context, buf)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_link(context));
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}

impl Stream for MemoryStream {
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }
}

struct MemoryListener {
    address: String,
    dialled: mpsc::Receiver<DuplexStream>,
    shared: Arc<Shared>,
}

impl Listener for MemoryListener {
    fn local_address(&self) -> &str {
        &self.address
    }

    fn accept(&mut self) -> BoxedFuture<'_, io::Result<(BoxedStream, String)>> {
        Box::pin(async move {
            let pipe = self.dialled.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            let stream = MemoryStream {
                pipe,
                shared: Arc::clone(&self.shared),
            };
            Ok((Box::new(stream) as BoxedStream, "memory".to_owned()))
        })
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.shared.listeners().remove(&self.address);
    }
}

impl Network for MemoryNetwork {
    fn listen<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let mut listeners = self.shared.listeners();
            if listeners.contains_key(address) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let (sender, dialled) = mpsc::channel(BACKLOG);
            listeners.insert(address.to_owned(), sender);
            let shared = Arc::clone(&self.shared);
            Ok(Box::new(MemoryListener {
                address: address.to_owned(),
                dialled,
                shared,
            }) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            if self.shared.link().0 == LinkState::Cut {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let sender = self.shared.listeners().get(address).cloned();
            let sender = sender.ok_or(io::ErrorKind::ConnectionRefused)?;
            let (near, far) = tokio::io::duplex(PIPE_BYTES);
            sender.send(far).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(MemoryStream {
                pipe: near,
                shared: Arc::clone(&self.shared),
            }) as BoxedStream)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_pass_until_the_link_is_cut_and_again_when_mended() {
        let network = MemoryNetwork::default();
        assert!(network.dial("a:1").await.is_err());
        let mut listener = network.listen("a:1").await.unwrap();
        assert!(network.listen("a:1").await.is_err());
        let mut near = network.dial("a:1").await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        near.write_all(b"one").await.unwrap();
        let mut got = [0; 3];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"one");
        network.set_link(LinkState::Cut);
        assert!(network.dial("a:1").await.is_err());
        {
            let write = near.write_all(b"two");
            tokio::pin!(write);
            assert!(futures_poll(write.as_mut()).await.is_pending());
            network.set_link(LinkState::Up);
            write.await.unwrap();
        }
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"two");
        drop(listener);
        assert!(network.dial("a:1").await.is_err());
    }

    async fn futures_poll<F: Future + Unpin>(mut work: F) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut work).poll(context))).await
    }
}
