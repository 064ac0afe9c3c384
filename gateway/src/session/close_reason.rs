//! Why a connection ends, and what its client is told.

use actix_http::ws::{CloseCode, CloseReason as CloseFrame};

/// Each way to end; `label` is its name in metrics and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
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

impl CloseReason {
    pub fn label(&self) -> &'static str {
        match self {
            CloseReason::Client => "client",
            CloseReason::Left => "left",
            CloseReason::Silent => "silent",
            CloseReason::TooSlow => "too slow",
            CloseReason::TooFarBehind => "too far behind",
            CloseReason::TooMuch => "too many requests",
            CloseReason::TooLong(_) => "message too long",
            CloseReason::Protocol(_) => "protocol",
            CloseReason::Server => "server",
        }
    }

    /// The close frame; absent: nobody is there to read it.
    pub fn reason(&self) -> Option<CloseFrame> {
        let (code, description) = match self {
            CloseReason::Client => return Some(CloseFrame { code: CloseCode::Normal, description: None }),
            CloseReason::Left => return None,
            CloseReason::Silent => (CloseCode::Away, "the client does not answer"),
            CloseReason::TooSlow => {
                (CloseCode::Policy, "the client reads too slowly: updates have been waiting for too long")
            }
            CloseReason::TooFarBehind => {
                (CloseCode::Policy, "the client reads too slowly: too many updates were waiting")
            }
            CloseReason::TooMuch => {
                (CloseCode::Policy, "too many requests were sent without waiting for answers")
            }
            CloseReason::TooLong(text) => (CloseCode::Size, text.as_str()),
            CloseReason::Protocol(text) => (CloseCode::Protocol, text.as_str()),
            CloseReason::Server => (CloseCode::Restart, "the server is ending"),
        };
        Some(CloseFrame { code, description: Some(description.to_string()) })
    }
}
