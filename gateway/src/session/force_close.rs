//! Ending a connection whose socket takes nothing more.
//!
//! Law: the web server asks a session's body for bytes when the socket has room, and notices that the body ended no
//! sooner. A client that never reads is therefore cut off at the socket itself.

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;

use actix_web::dev::Extensions;

/// A second handle of a connection's socket.
#[derive(Debug, Clone)]
pub struct SocketHandle(Option<Rc<TcpStream>>);

impl SocketHandle {
    /// Of the connection that a request came on.
    pub fn of(request: &actix_web::HttpRequest) -> SocketHandle {
        request.conn_data().cloned().unwrap_or(SocketHandle(None))
    }

    /// Both directions end now; nothing more is sent, also of what was written.
    pub fn cut(&self) {
        if let Some(socket) = &self.0 {
            // An error says that the connection has ended already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// For the web server to call with each new connection.
pub fn register_socket(connection: &dyn Any, extensions: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<actix_rt::net::TcpStream>() {
        extensions.insert(SocketHandle(second_handle(stream).map(Rc::new)));
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
