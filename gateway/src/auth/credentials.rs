//! What a sender shows to be authenticated.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::AuthError;
use crate::tuning;

/// What a sender shows to be authenticated. Not printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password.
    Basic { name: String, password: String },
    /// A key, a token of a login, or a token of an identity provider.
    Bearer(String),
    /// A one-time ticket.
    Ticket(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Credentials::Basic { .. } => "Basic(…)",
            Credentials::Bearer(_) => "Bearer(…)",
            Credentials::Ticket(_) => "Ticket(…)",
        })
    }
}

impl Credentials {
    /// Parses the header `Authorization`.
    ///
    /// # Errors
    ///
    /// Its scheme is not known, or its content malformed.
    pub fn parse(header: &[u8]) -> Result<Credentials, AuthError> {
        let text = std::str::from_utf8(header).map_err(|_| AuthError::Malformed("is not text"))?;
        let (scheme, rest) =
            text.trim().split_once(' ').ok_or(AuthError::Malformed("names no scheme: Bearer or Basic"))?;
        let rest = rest.trim();
        if rest.len() > tuning::CREDENTIAL_BYTES {
            return Err(AuthError::Malformed("is too long"));
        }
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Credentials::Bearer(rest.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(AuthError::Malformed("has a scheme that is neither Bearer nor Basic"));
        }
        let decoded = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|pair| pair.split_once(':'));
        let (name, password) = pair.ok_or(AuthError::Malformed("is not base64 of name:password"))?;
        Ok(Credentials::Basic { name: name.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_and_basic_are_understood_and_nothing_else() {
        let parse = |header: &str| Credentials::parse(header.as_bytes());
        let ann = Credentials::Basic { name: "ann".into(), password: "a:b".into() };
        assert_eq!(parse("Basic YW5uOmE6Yg==").unwrap(), ann);
        assert_eq!(parse("bearer  abc ").unwrap(), Credentials::Bearer("abc".into()));
        for header in ["", "abc", "Digest x", "Basic !", "Basic YW5u"] {
            assert!(parse(header).is_err(), "{header}");
        }
        let long = format!("Bearer {}", "x".repeat(tuning::CREDENTIAL_BYTES + 1));
        assert!(parse(&long).is_err());
        assert_eq!(format!("{ann:?}"), "Basic(…)");
    }
}
