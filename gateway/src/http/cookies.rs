//! The cookie of a login.
//!
//! Invariant: scripts cannot read it, other sites' pages do not send it, and over TLS it is sent over TLS alone and belongs to
//! this host (`__Host-`).

use std::time::Duration;

use actix_web::http::header::{COOKIE, HeaderMap, ORIGIN};
use actix_web::{HttpMessage, HttpRequest};

use crate::session::IsEncrypted;
use crate::sites::Site;

/// A cookie of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cookie {
    /// That of a login.
    Session,
    /// That of a login at an identity provider that has begun.
    Pending,
    /// That of a link by which the page was opened.
    Link,
}

impl Cookie {
    fn name(self, is_secure: bool) -> &'static str {
        match (self, is_secure) {
            (Cookie::Session, true) => "__Host-proscenium-session",
            (Cookie::Session, false) => "proscenium-session",
            (Cookie::Link, true) => "__Host-proscenium-link",
            (Cookie::Link, false) => "proscenium-link",
            (Cookie::Pending, true) => "__Host-proscenium-login",
            (Cookie::Pending, false) => "proscenium-login",
        }
    }

    /// The header that sets it.
    pub(super) fn set(self, value: &str, lasting: Duration, is_secure: bool) -> String {
        let secure = if is_secure { "; Secure" } else { "" };
        let (name, seconds) = (self.name(is_secure), lasting.as_secs());
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }

    /// The value that a request sends.
    pub(super) fn get(self, headers: &HeaderMap, is_secure: bool) -> Option<&str> {
        let find = |name| {
            let texts = headers.get_all(COOKIE).filter_map(|header| header.to_str().ok());
            let mut pairs =
                texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
            pairs.find_map(|(found, value)| (found == name).then_some(value))
        };
        find(self.name(true)).or_else(|| (!is_secure).then(|| find(self.name(false)))?)
    }
}

/// Whether the browser reaches the server over TLS: its own, or that of a proxy, as the page's origin tells.
pub(super) fn is_secure(request: &HttpRequest) -> bool {
    let text =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_own = request.extensions().get::<Site>() == Some(&Site::Own);
    request.conn_data::<IsEncrypted>().is_some_and(|IsEncrypted(is_encrypted)| *is_encrypted)
        || (is_own && text(ORIGIN.as_str()).starts_with("https://"))
        || text("x-forwarded-proto").eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; xproscenium-session=no; proscenium-session=yes".parse().unwrap());
        assert_eq!(Cookie::Session.get(&headers, false), Some("yes"));
        assert_eq!(
            Cookie::Session.get(&headers, true),
            None,
            "one that was set without TLS is not taken over TLS"
        );
        let set = Cookie::Session.set("v", Duration::from_secs(60), true);
        assert_eq!(set, "__Host-proscenium-session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
    }
}
