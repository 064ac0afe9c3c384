//! The names of sessions: secrets, since whoever has one can go on with the session.

use std::fmt;

/// The name of a session that can be resumed: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionToken([u8; 16]);

impl SessionToken {
    /// Creates an unused token.
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn fresh() -> Result<SessionToken, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(SessionToken(bytes))
    }

    /// Reads a token: 32 hexadecimal digits. `None` if the text is something else.
    pub fn parse(text: &str) -> Option<SessionToken> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|number| SessionToken(number.to_be_bytes()))
    }
}

impl fmt::Display for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Logs show that there is a token, and not which.
impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_not_logged() {
        let token = SessionToken::fresh().unwrap();
        assert_eq!(SessionToken::parse(&token.to_string()), Some(token));
        assert_ne!(SessionToken::fresh().unwrap(), token);
        assert_eq!(format!("{token:?}"), "SessionToken");
        for text in ["", "new", "+0000000000000000000000000000001", "0000000000000000000000000000000g"] {
            assert_eq!(SessionToken::parse(text), None, "{text}");
        }
    }
}
