//! The reasons for which a connection ends, and their close frames.

use actix_http::ws::{CloseCode, CloseReason as CloseFrame};
use proscenium_engine::memory::{MemoryLevel, MemoryRefused};

use super::resume::KEEP_CODE;

/// The reason for which a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// The client sent a close frame, with this code.
    Client { code: Option<u16> },
    /// The TCP connection was closed without a close frame, as by a browser that leaves the page.
    Left,
    /// The client did not respond to pings in time.
    Silent,
    /// The client sent a message more slowly than the least rate.
    HalfSent,
    /// Updates were pending for longer than `max_lag_seconds`.
    TooSlow,
    /// Too many bytes of notifications were pending.
    TooFarBehind,
    /// Too many bytes of requests were pending.
    TooMuch,
    /// The client sent a message beyond the limit.
    TooLong(String),
    /// There was no memory for a message of the client.
    Memory(MemoryRefused),
    /// The client violated the WebSocket protocol.
    Protocol(String),
    /// The client sent a text message.
    Text(String),
    /// The client sent a compressed message that cannot be decompressed.
    Corrupt(String),
    /// The reason in the client's close frame is not UTF-8.
    MalformedClose(String),
    /// The client goes on with the session on another connection.
    TakenOver,
    /// The client's login has ended, or it sent a token that is not valid.
    Login {
        reason: String,
        /// Whether the client may log in again and go on with its session.
        keeps_session: bool,
    },
    /// The server is shutting down.
    Server,
}

/// The close code of a connection whose login has ended: the client should log in again before it connects again.
pub const LOGIN_ENDED: u16 = 4401;

impl CloseReason {
    /// Whether a session that can be resumed waits for its client. It does not if the client ended it, or violates the
    /// protocol or a limit of the session itself.
    pub fn keeps_session(&self) -> bool {
        match self {
            CloseReason::Client { code } => *code == Some(KEEP_CODE),
            CloseReason::Login { keeps_session, .. } => *keeps_session,
            CloseReason::Left
            | CloseReason::Silent
            | CloseReason::HalfSent
            | CloseReason::TooSlow
            | CloseReason::TakenOver => true,
            CloseReason::TooFarBehind
            | CloseReason::TooMuch
            | CloseReason::TooLong(_)
            | CloseReason::Memory(_)
            | CloseReason::Protocol(_)
            | CloseReason::Text(_)
            | CloseReason::Corrupt(_)
            | CloseReason::MalformedClose(_)
            | CloseReason::Server => false,
        }
    }

    /// The reason's name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            CloseReason::Client { .. } => "client",
            CloseReason::Left => "left",
            CloseReason::Silent => "silent",
            CloseReason::HalfSent => "half-sent message",
            CloseReason::TooSlow => "too slow",
            CloseReason::TooFarBehind => "too far behind",
            CloseReason::TooMuch => "too many requests",
            CloseReason::TooLong(_) => "message too long",
            CloseReason::Memory(_) => "memory limit",
            CloseReason::Protocol(_) | CloseReason::MalformedClose(_) | CloseReason::Corrupt(_) => "protocol",
            CloseReason::Text(_) => "text message",
            CloseReason::TakenOver => "taken over",
            CloseReason::Login { .. } => "login ended",
            CloseReason::Server => "server",
        }
    }

    /// The close frame to send; `None` if the connection is already closed.
    pub fn frame(&self) -> Option<CloseFrame> {
        let text;
        let (code, description) = match self {
            // The reply repeats the code.
            CloseReason::Client { code } => {
                let code = code.map_or(CloseCode::Normal, CloseCode::from);
                return Some(CloseFrame { code, description: None });
            }
            CloseReason::Left | CloseReason::TakenOver => return None,
            CloseReason::Silent => (CloseCode::Away, "the client does not respond to pings"),
            CloseReason::HalfSent => (CloseCode::Policy, "a message was sent too slowly"),
            CloseReason::TooSlow => {
                (CloseCode::Policy, "the client reads too slowly: updates were pending for too long")
            }
            CloseReason::TooFarBehind => {
                (CloseCode::Policy, "the client reads too slowly: too many updates were pending")
            }
            CloseReason::TooMuch => {
                (CloseCode::Policy, "too many requests were sent without waiting for replies")
            }
            CloseReason::TooLong(text) => (CloseCode::Size, text.as_str()),
            CloseReason::Memory(refused) => {
                text = refused.to_string();
                let code = match refused.level {
                    MemoryLevel::Request => CloseCode::Size,
                    MemoryLevel::Session | MemoryLevel::Server => CloseCode::Again,
                };
                (code, text.as_str())
            }
            CloseReason::Protocol(text) => (CloseCode::Protocol, text.as_str()),
            CloseReason::Text(text) => (CloseCode::Unsupported, text.as_str()),
            CloseReason::MalformedClose(text) | CloseReason::Corrupt(text) => {
                (CloseCode::Invalid, text.as_str())
            }
            CloseReason::Login { reason, .. } => (CloseCode::Other(LOGIN_ENDED), reason.as_str()),
            CloseReason::Server => (CloseCode::Restart, "the server is shutting down"),
        };
        Some(CloseFrame { code, description: Some(description.to_string()) })
    }
}
