//! A forwarder of TCP connections that can be cut, both ends of which live on; or that loses what is answered.

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
    /// Whether what is answered is lost.
    is_deaf: AtomicBool,
    /// Bytes of a request from which on it is.
    deaf_from: Mutex<Option<Vec<u8>>>,
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

    /// Loses all that is answered from the request on that has these bytes, until it is mended. The request arrives.
    pub fn lose_answers_from(&self, bytes: &[u8]) {
        *self.line.deaf_from.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes.to_vec());
    }

    /// Whether answers are lost now.
    pub fn loses_answers(&self) -> bool {
        self.line.is_deaf.load(Ordering::SeqCst)
    }

    /// Forwards again.
    pub fn mend(&self) {
        self.line.is_deaf.store(false, Ordering::SeqCst);
        self.line.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Line {
    fn forward(self: &Arc<Self>, from: TcpStream, to: &str) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_cut.load(Ordering::SeqCst) {
            return;
        }
        let Ok(to) = TcpStream::connect(to) else { return };
        for (one, other, direction) in [(&from, &to, Direction::Asked), (&to, &from, Direction::Answered)] {
            let (Ok(one), Ok(other)) = (one.try_clone(), other.try_clone()) else {
                return;
            };
            let line = Arc::clone(self);
            std::thread::spawn(move || line.pass(one, other, direction));
        }
        streams.extend([from, to]);
    }

    /// Passes bytes on until either end is gone.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, direction: Direction) {
        let mut buffer = [0; 16 << 10];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(count) if count > 0 => count,
                _ => break,
            };
            let bytes = &buffer[..count];
            let is_lost = match direction {
                Direction::Asked => {
                    self.listen(bytes);
                    false
                }
                Direction::Answered => self.is_deaf.load(Ordering::SeqCst),
            };
            if !is_lost && to.write_all(bytes).is_err() {
                break;
            }
        }
        let _gone = to.shutdown(Shutdown::Both);
    }

    fn listen(&self, asked: &[u8]) {
        let mut deaf_from = self.deaf_from.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |mark: &mut Vec<u8>| asked.windows(mark.len()).any(|window| window == mark.as_slice());
        if deaf_from.take_if(is_it).is_some() {
            self.is_deaf.store(true, Ordering::SeqCst);
        }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Asked,
    Answered,
}
