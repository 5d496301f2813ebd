//! A stream whose bytes are encrypted: silent until its handshake is done by [`Stream::establish`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{Accept, Connect, TlsStream};
use webpki::EndEntityCert;

use super::names::Names;
use crate::seam::{BoxedFuture, BoxedStream, Stream};

/// A connection over TLS.
pub(super) struct Encrypted(State);

enum State {
    Accepted(Box<Accept<BoxedStream>>),
    Dialled(Box<Connect<BoxedStream>>),
    Open(Box<TlsStream<BoxedStream>>),
    Failed,
}

impl Encrypted {
    pub(super) fn accepted(accept: Accept<BoxedStream>) -> Encrypted {
        Encrypted(State::Accepted(Box::new(accept)))
    }

    pub(super) fn dialled(connect: Connect<BoxedStream>) -> Encrypted {
        Encrypted(State::Dialled(Box::new(connect)))
    }

    fn open(&mut self) -> io::Result<Pin<&mut TlsStream<BoxedStream>>> {
        match &mut self.0 {
            State::Open(stream) => Ok(Pin::new(stream)),
            _ => Err(io::Error::new(
                io::ErrorKind::NotConnected,
                "its TLS handshake is not done",
            )),
        }
    }

    async fn shake(&mut self) -> io::Result<Option<Names>> {
        let stream: TlsStream<BoxedStream> = match std::mem::replace(&mut self.0, State::Failed) {
            State::Accepted(accept) => accept.await.map_err(explained)?.into(),
            State::Dialled(connect) => connect.await.map_err(explained)?.into(),
            State::Open(stream) => *stream,
            State::Failed => return Err(io::Error::other("its TLS handshake failed")),
        };
        let names = names(stream.get_ref().1.peer_certificates())?;
        self.0 = State::Open(Box::new(stream));
        Ok(Some(names))
    }
}

fn names(chain: Option<&[CertificateDer<'_>]>) -> io::Result<Names> {
    let own = chain.and_then(<[_]>::first);
    let own = own.ok_or_else(|| io::Error::other("the other end showed no certificate"))?;
    let parsed = EndEntityCert::try_from(own);
    let parsed = parsed.map_err(|error| io::Error::other(format!("its certificate cannot be read: {error:?}")))?;
    Ok(Names::of(&parsed))
}

/// Says what is behind an error of TLS, and what to do.
fn explained(error: io::Error) -> io::Error {
    use rustls::{AlertDescription as Alert, CertificateError, Error};
    let told = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let text = match told {
        Some(Error::InvalidMessage(_)) => {
            "the other end does not speak TLS; give it `tls:` as well: there is no way without".to_owned()
        }
        Some(Error::NoCertificatesPresented) => {
            "the other end showed no certificate; give it `tls:` with one of its own".to_owned()
        }
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            "the other end's certificate is of another authority; give both nodes the same `tls: ca`".to_owned()
        }
        Some(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            "the other end's certificate has expired; renew it there, or set the clock here".to_owned()
        }
        Some(Error::InvalidCertificate(_)) => format!("the other end's certificate is refused ({error})"),
        Some(Error::AlertReceived(alert)) => match alert {
            Alert::UnknownCA | Alert::DecryptError => {
                "the other end refused our certificate: it is of another authority; give both the same `tls: ca`"
                    .to_owned()
            }
            Alert::CertificateExpired => "the other end refused our certificate: it has expired; renew it".to_owned(),
            alert => format!("the other end refused our certificate, or TLS with us ({alert:?}); see its log"),
        },
        _ if [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset].contains(&error.kind()) => {
            "the other end closed within the TLS handshake; has it `tls:` too? see its log".to_owned()
        }
        _ => return error,
    };
    io::Error::new(error.kind(), text)
}

/// An end without TLS's own goodbye is an end as that of a plain stream: frames above say what they lack.
fn ended(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Ok(()),
        // It was open already: this is no matter of TLS.
        io::ErrorKind::ConnectionReset => Err(error),
        _ => Err(explained(error)),
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_read(context, into).map(|read| read.or_else(ended))
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.open()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_shutdown(context)
    }
}

impl Stream for Encrypted {
    /// None: what is written to the socket itself would not be encrypted.
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }

    fn establish(&mut self) -> BoxedFuture<'_, io::Result<Option<Names>>> {
        Box::pin(self.shake())
    }
}
