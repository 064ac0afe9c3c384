//! Why a connection ends, and what its client is told.

use actix_http::ws::{CloseCode, CloseReason};

/// Each way to end; `label` is its name in metrics and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The client said goodbye.
    Client,
    /// The client is gone without a word, as a page is that was left.
    Left,
    /// Nothing was heard of the client for too long.
    Silent,
    /// Updates waited for too long.
    TooSlow,
    /// Too much waited.
    TooFarBehind,
    /// Too many requests waited.
    TooMuch,
    /// A message was too long.
    TooLong(String),
    /// What came was no WebSocket.
    Protocol(String),
    /// The server ends.
    Server,
}

impl Ending {
    pub fn label(&self) -> &'static str {
        match self {
            Ending::Client => "client",
            Ending::Left => "left",
            Ending::Silent => "silent",
            Ending::TooSlow => "too slow",
            Ending::TooFarBehind => "too far behind",
            Ending::TooMuch => "too many requests",
            Ending::TooLong(_) => "message too long",
            Ending::Protocol(_) => "protocol",
            Ending::Server => "server",
        }
    }

    /// The close frame; absent: nobody is there to read it.
    pub fn reason(&self) -> Option<CloseReason> {
        let (code, description) = match self {
            Ending::Client => return Some(CloseReason { code: CloseCode::Normal, description: None }),
            Ending::Left => return None,
            Ending::Silent => (CloseCode::Away, "the client does not answer"),
            Ending::TooSlow => {
                (CloseCode::Policy, "the client reads too slowly: updates have been waiting for too long")
            }
            Ending::TooFarBehind => {
                (CloseCode::Policy, "the client reads too slowly: too many updates were waiting")
            }
            Ending::TooMuch => (CloseCode::Policy, "too many requests were sent without waiting for answers"),
            Ending::TooLong(text) => (CloseCode::Size, text.as_str()),
            Ending::Protocol(text) => (CloseCode::Protocol, text.as_str()),
            Ending::Server => (CloseCode::Restart, "the server is ending"),
        };
        Some(CloseReason { code, description: Some(description.to_string()) })
    }
}
