//! The text messages of a session that can be resumed: JSON objects beside the binary messages of the protocol.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::SessionToken;

/// Bytes of a client's text message; a longer one ends the connection.
pub const MAX_CONTROL_BYTES: usize = 1024;

/// A text message of a client.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// So many binary messages of the session were received.
    Received(u64),
    /// A token in place of the one that the connection was opened with, which ends.
    Token(String),
}

/// Tokens are secret.
impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Control::Received(count) => write!(f, "Received({count})"),
            Control::Token(_) => f.write_str("Token(…)"),
        }
    }
}

impl Control {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// It is not one of the messages that a client sends; the text says at what.
    pub fn parse(text: &[u8]) -> Result<Control, String> {
        serde_json::from_slice(text).map_err(|error| format!("a text message is not understood: {error}"))
    }
}

/// The first message of a connection: which session it belongs to, and what was received of the client in it.
pub fn hello(token: SessionToken, epoch: &str, keep_seconds: u64, window_bytes: u64, received: u64) -> Bytes {
    text(json!({
        "session": token.to_string(),
        "epoch": epoch,
        "keep_seconds": keep_seconds,
        "window_bytes": window_bytes,
        "received": received,
    }))
}

/// Says how many messages of the client were received, which need not be kept.
pub fn received(count: u64) -> Bytes {
    text(json!({ "received": count }))
}

/// Says whether updates are merged, because the client is behind.
pub fn behind(is_behind: bool) -> Bytes {
    text(json!({ "behind": is_behind }))
}

/// Says that a session cannot be resumed, and why.
pub fn gone(reason: &str, epoch: &str) -> Bytes {
    text(json!({ "gone": reason, "epoch": epoch }))
}

fn text(value: Value) -> Bytes {
    value.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_acknowledge_and_send_tokens_and_nothing_else() {
        let token = Control::parse(br#"{"token":"secret"}"#).unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(Control::parse(br#"{"received":7}"#), Ok(Control::Received(7)));
        for text in ["", "{}", "7", r#"{"received":-1}"#, r#"{"received":1,"more":2}"#, r#"{"sent":1}"#] {
            assert!(Control::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
