//! Closes a connection whose client does not read.
//!
//! The response body is polled only while the socket is writable, so the end of the body goes unnoticed if the client
//! has stopped reading. Such a connection must be closed at the TCP level.

use std::net::{Shutdown, TcpStream};
use std::rc::Rc;

use actix_web::dev::Extensions;

use crate::guarded_stream::GuardedStream;
use crate::tls::ServerStream;

/// A duplicated handle of a connection's socket; `None` if it could not be duplicated.
#[derive(Debug, Clone)]
pub struct SocketHandle(Option<Rc<TcpStream>>);

/// Whether a connection is encrypted; in the data of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsEncrypted(pub bool);

impl SocketHandle {
    /// Returns the handle of a request's connection.
    pub fn of(request: &actix_web::HttpRequest) -> SocketHandle {
        request.conn_data().cloned().unwrap_or(SocketHandle(None))
    }

    /// Shuts the socket down in both directions. Buffered bytes may be lost.
    pub fn force_close(&self) {
        if let Some(socket) = &self.0 {
            // An error means that the connection is closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Stores the handle of a new connection, and what its requests do. The web server calls it for each one.
pub fn register_socket(connection: &GuardedStream<ServerStream>, extensions: &mut Extensions) {
    extensions.insert(SocketHandle(second_handle(connection.get_ref().tcp()).map(Rc::new)));
    extensions.insert(IsEncrypted(connection.get_ref().is_encrypted()));
    if let Some(activity) = connection.activity() {
        extensions.insert(activity.clone());
    }
}

#[cfg(unix)]
fn second_handle(stream: &actix_rt::net::TcpStream) -> Option<TcpStream> {
    use std::os::fd::AsFd;
    stream.as_fd().try_clone_to_owned().ok().map(TcpStream::from)
}

#[cfg(windows)]
fn second_handle(stream: &actix_rt::net::TcpStream) -> Option<TcpStream> {
    use std::os::windows::io::AsSocket;
    stream.as_socket().try_clone_to_owned().ok().map(TcpStream::from)
}
