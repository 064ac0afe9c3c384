//! Sessions that outlive their connection: what a client needs to go on where a broken connection stopped.
//!
//! A client asks for such a session with `?session=new` and is told its token. Both sides count whole binary messages.
//! The server keeps what it sent until the client has acknowledged it; after a break the client connects with
//! `?session=TOKEN&received=N`, is told how many of its messages were received, gets what followed its N-th one, and
//! repeats what the server has not received. Meanwhile the views stay open and merge their updates. The messages are
//! described in `docs/sessions.md`.
//!
//! Invariant: a session has one holder at a time, a connection or a [`Detached`] actor, and is handed over as a whole. Each
//! message is executed, and each answer delivered, exactly once.

mod control;
mod detached;
mod sent_window;
mod sessions;
mod token;

pub use control::{Control, MAX_CONTROL_BYTES, behind, gone, hello, received};
pub use detached::Detached;
pub use sent_window::SentWindow;
pub use sessions::{Moved, ResumableSessions, TakeOver};
pub use token::SessionToken;

use actix_http::ws::{CloseCode, CloseReason as CloseFrame};
use actix_web::HttpRequest;

use super::requests::SessionRequests;

/// The code of the close frame with which a client leaves a connection and keeps its session.
pub const KEEP_CODE: u16 = 4000;

/// The code of the close frame that ends the connection of a client whose session is gone.
const GONE_CODE: u16 = 4410;

/// The close frame that follows [`gone`].
pub fn gone_frame() -> CloseFrame {
    CloseFrame { code: CloseCode::Other(GONE_CODE), description: Some("the session is gone".to_owned()) }
}

/// What the handshake asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A session that ends with its connection.
    Plain,
    /// A new session that outlives its connection.
    New,
    /// To go on with a session, of whose messages this many were received.
    Resume { token: SessionToken, received: u64 },
}

/// A part of the handshake's URL is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWish {
    #[error("session=\"{0}\" is neither \"new\" nor a token of this server")]
    Token(String),
    #[error("received=\"{0}\" is not a number of messages")]
    Received(String),
}

impl Wish {
    /// Reads the wish from the URL.
    ///
    /// # Errors
    ///
    /// A parameter is malformed.
    pub fn of(request: &HttpRequest) -> Result<Wish, BadWish> {
        let mut pairs = request.query_string().split('&').filter_map(|pair| pair.split_once('='));
        let (mut session, mut received) = (None, None);
        for (key, value) in &mut pairs {
            match key {
                "session" => session = Some(value),
                "received" => received = Some(value),
                _ => {}
            }
        }
        match session {
            None => Ok(Wish::Plain),
            Some("new") => Ok(Wish::New),
            Some(token) => {
                let token = SessionToken::parse(token).ok_or_else(|| BadWish::Token(token.to_owned()))?;
                let received = received.unwrap_or("0");
                let number = received.parse().map_err(|_| BadWish::Received(received.to_owned()))?;
                Ok(Wish::Resume { token, received: number })
            }
        }
    }
}

/// A session apart from its connection. Dropped, it ends.
#[derive(Debug)]
pub struct Resumable {
    pub token: SessionToken,
    pub requests: SessionRequests,
    pub window: SentWindow,
    /// Messages received from the client and accepted.
    pub received: u64,
}

impl Drop for Resumable {
    fn drop(&mut self) {
        // Without effect on what was taken out of it.
        self.requests.end();
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn wish(uri: &str) -> Result<Wish, BadWish> {
        Wish::of(&TestRequest::with_uri(uri).to_http_request())
    }

    #[test]
    fn the_url_says_which_session_is_wanted() {
        let token = SessionToken::fresh().unwrap();
        assert_eq!(wish("/websocket"), Ok(Wish::Plain));
        assert_eq!(wish("/websocket?client=5.6&session=new"), Ok(Wish::New));
        let uri = format!("/websocket?received=7&session={token}");
        assert_eq!(wish(&uri), Ok(Wish::Resume { token, received: 7 }));
        assert_eq!(wish("/websocket?session=x"), Err(BadWish::Token("x".into())));
        let uri = format!("/websocket?session={token}&received=-1");
        assert_eq!(wish(&uri), Err(BadWish::Received("-1".into())));
    }
}
