//! A forwarder of TCP connections that can be cut: both ends live on, and do not hear each other.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Forwards to one address until it is cut, and again once it is mended.
pub struct Forwarder {
    address: SocketAddr,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    is_cut: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Forwarder {
    /// Begins to forward to `host:port`.
    ///
    /// # Panics
    /// If it can't listen.
    pub fn start(to: &str) -> Forwarder {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it listens");
        let (line, to) = (Arc::new(Line::default()), to.to_owned());
        std::thread::spawn({
            let line = Arc::clone(&line);
            move || {
                for stream in listener.incoming() {
                    let Ok(stream) = stream else { return };
                    line.forward(stream, &to);
                }
            }
        });
        Forwarder { address, line }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, and every new one at once.
    pub fn cut(&self) {
        self.line.is_cut.store(true, Ordering::SeqCst);
        let mut streams = self.line.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in streams.drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }

    /// Forwards again.
    pub fn mend(&self) {
        self.line.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Line {
    fn forward(&self, from: TcpStream, to: &str) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_cut.load(Ordering::SeqCst) {
            return;
        }
        let Ok(to) = TcpStream::connect(to) else { return };
        for (one, other) in [(&from, &to), (&to, &from)] {
            let (Ok(one), Ok(other)) = (one.try_clone(), other.try_clone()) else {
                return;
            };
            std::thread::spawn(move || pass(one, other));
        }
        streams.extend([from, to]);
    }
}

/// Passes bytes on until either end is gone.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(count) if count > 0 && to.write_all(&buffer[..count]).is_ok() => {}
            _ => break,
        }
    }
    let _gone = to.shutdown(Shutdown::Both);
}
