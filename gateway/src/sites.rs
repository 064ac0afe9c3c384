//! Checks `Origin` and `Host` before any handler runs, so that only allowed sites' pages use the server.
//!
//! A browser lets every page open a WebSocket to any address and send simple requests there, from the user's position
//! in the network: a server on loopback would be open to each site that its user visits. A browser sends the page's
//! site in `Origin`, and the name that it resolved in `Host`; a page can set neither.
//!
//! Invariant: a WebSocket handshake or a request with side effects passes only if its `Origin` is absent (not a
//! browser), the server's own, or listed. A request to a loopback address passes only if its `Host` is a loopback name
//! or listed, so that a foreign name that resolves to loopback (DNS rebinding) reads nothing. A refused request gets a
//! 403, with one line in the log.

use std::net::IpAddr;

use actix_web::http::header::{HOST, HeaderMap, ORIGIN};
use serde::Deserialize;

use crate::setup_error::SetupError;

/// The `[http]` section of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteConfig {
    /// Further sites whose pages may use the server: `https://desk.example.com`, or `*` for every site.
    pub origins: Vec<String>,
    /// Host names that the server is reached by, without port. On a loopback address they are allowed in addition to
    /// the loopback names; on other addresses only they are allowed, unless the list is empty.
    pub hosts: Vec<String>,
}

impl SiteConfig {
    /// Validates the entries.
    ///
    /// # Errors
    ///
    /// The text names the entry that is not an origin or not a host name.
    pub fn check(&self) -> Result<(), SetupError> {
        for origin in &self.origins {
            let is_known = origin == "*" || origin == "null" || authority_of(origin).is_some();
            if !is_known {
                let reason = format!(
                    "\"{origin}\" is not an origin; write scheme://host or scheme://host:port without a path, or \"*\""
                );
                return Err(SetupError::Setting { key: "http.origins", reason });
            }
        }
        for host in &self.hosts {
            let is_name = !host.is_empty() && !host.contains(['/', ' ', '*', '@']);
            if !is_name || Authority::parse(host).is_none_or(|authority| authority.port.is_some()) {
                let reason = format!("\"{host}\" is not a host name; write it without scheme, port and path");
                return Err(SetupError::Setting { key: "http.hosts", reason });
            }
        }
        Ok(())
    }
}

/// Checks the requests to one listening address.
#[derive(Debug, Clone)]
pub struct SiteGuard {
    origins: Vec<String>,
    hosts: Vec<String>,
    is_loopback: bool,
}

/// The reason why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("pages of the origin \"{0}\" may not use this server; http.origins lists those that may")]
    Origin(String),
    #[error("this server is not served under the host name \"{0}\"; http.hosts lists its names")]
    Host(String),
}

/// The possible effect of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// `GET`, `HEAD`, `OPTIONS`: another site's page can send it, but not read the response.
    Read,
    /// All other methods, and WebSocket handshakes, whose messages every page could read.
    Act,
}

/// A page's site in relation to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// No browser, or the server's own page.
    Own,
    /// Listed by its name.
    Listed,
    /// Allowed because every site is (`*`).
    Any,
    Foreign,
}

impl SiteGuard {
    /// Creates the guard of a listener on `address`.
    pub fn new(config: &SiteConfig, address: IpAddr) -> SiteGuard {
        SiteGuard {
            origins: config.origins.iter().map(|origin| origin.to_ascii_lowercase()).collect(),
            hosts: config.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            is_loopback: address.is_loopback(),
        }
    }

    /// Checks the headers of a request.
    ///
    /// # Errors
    ///
    /// The refusal names the header that is not allowed.
    pub(crate) fn check(&self, headers: &HeaderMap, effect: Effect) -> Result<Site, Refusal> {
        let host =
            headers.get(HOST).map(|host| String::from_utf8_lossy(host.as_bytes()).to_ascii_lowercase());
        // Every browser sends a `Host`.
        if let Some(host) = host.as_deref().filter(|host| !self.serves(host)) {
            return Err(Refusal::Host(host.to_owned()));
        }
        let Some(origin) = headers.get(ORIGIN) else { return Ok(Site::Own) };
        let origin = String::from_utf8_lossy(origin.as_bytes()).to_ascii_lowercase();
        match self.site(&origin, host.as_deref()) {
            Site::Foreign if effect == Effect::Act => Err(Refusal::Origin(origin)),
            site => Ok(site),
        }
    }

    fn serves(&self, host: &str) -> bool {
        if !self.is_loopback && self.hosts.is_empty() {
            return true;
        }
        let Some(authority) = Authority::parse(host) else { return false };
        let is_listed = self.hosts.iter().any(|listed| listed == authority.host);
        is_listed || (self.is_loopback && authority.is_loopback())
    }

    fn site(&self, origin: &str, host: Option<&str>) -> Site {
        let own = host.and_then(Authority::parse);
        match authority_of(origin) {
            Some(authority) if own.is_some_and(|own| own.is_same(authority)) => Site::Own,
            _ if self.origins.iter().any(|listed| listed == origin) => Site::Listed,
            _ if self.origins.iter().any(|listed| listed == "*") => Site::Any,
            _ => Site::Foreign,
        }
    }
}

/// The host and port of an origin or of a `Host` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`; the brackets are kept.
    fn parse(text: &'a str) -> Option<Authority<'a>> {
        let host_len = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(host_len);
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':')?.parse().ok()?),
        };
        (!host.is_empty()).then_some(Authority { host, port })
    }

    /// Whether this is a name or an address of loopback, which cannot be another site's name.
    fn is_loopback(&self) -> bool {
        let address = self.host.trim_matches(['[', ']']);
        self.host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether an origin has this host and port. Browsers omit a scheme's default port in both.
    fn is_same(&self, origin: Authority<'_>) -> bool {
        let port = |port: Option<u16>| port.filter(|port| ![80, 443].contains(port));
        self.host == origin.host && port(self.port) == port(origin.port)
    }
}

/// Parses the host and port of an origin: `scheme://host[:port]`.
fn authority_of(origin: &str) -> Option<Authority<'_>> {
    let (scheme, rest) = origin.split_once("://")?;
    let is_scheme = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (is_scheme && !rest.contains(['/', '@', '?', '#'])).then(|| Authority::parse(rest))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard_of(address: &str, origins: &[&str], hosts: &[&str]) -> SiteGuard {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let config = SiteConfig { origins: texts(origins), hosts: texts(hosts) };
        config.check().unwrap();
        SiteGuard::new(&config, address.parse().unwrap())
    }

    fn check(guard: &SiteGuard, host: &str, origin: &str, effect: Effect) -> Result<Site, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in [(HOST, host), (ORIGIN, origin)] {
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        guard.check(&headers, effect)
    }

    #[test]
    fn on_loopback_only_loopback_names_are_served() {
        let guard = guard_of("127.0.0.1", &[], &["desk.example.com"]);
        let served = |host| check(&guard, host, "", Effect::Read).is_ok();
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "127.1.2.3",
            "[::1]:8080",
            "desk.example.com:443",
        ] {
            assert!(served(host), "{host}");
        }
        for host in [
            "evil.test",
            "localhost.evil.test",
            "127.0.0.1.evil.test:8080",
            "10.0.0.1",
            "[::2]",
            "[::1",
            "a:b",
            "foo.localhost",
        ] {
            assert!(!served(host), "{host}");
        }
        assert_eq!(
            check(&guard, "", "", Effect::Act),
            Ok(Site::Own),
            "a client without a host is no browser"
        );
    }

    #[test]
    fn on_other_addresses_names_are_checked_where_they_are_given() {
        let any = guard_of("0.0.0.0", &[], &[]);
        assert!(check(&any, "whatever.test", "", Effect::Act).is_ok());
        let named = guard_of("0.0.0.0", &[], &["Desk.Example.com"]);
        assert!(check(&named, "desk.example.com", "", Effect::Act).is_ok());
        assert!(check(&named, "127.0.0.1", "", Effect::Read).is_err());
    }

    #[test]
    fn pages_of_other_sites_may_not_act() {
        let guard = guard_of("127.0.0.1", &["https://desk.example.com"], &["proxy.example.com"]);
        let act = |host, origin| check(&guard, host, origin, Effect::Act);
        assert_eq!(act("127.0.0.1:8080", "http://127.0.0.1:8080"), Ok(Site::Own));
        assert_eq!(act("localhost", "http://localhost:80"), Ok(Site::Own));
        assert_eq!(act("proxy.example.com", "https://proxy.example.com"), Ok(Site::Own));
        assert_eq!(act("127.0.0.1:8080", "https://desk.example.com"), Ok(Site::Listed));
        assert_eq!(act("127.0.0.1:8080", "HTTPS://DESK.example.com"), Ok(Site::Listed));
        for origin in [
            "http://127.0.0.1:9000",
            "http://localhost:8080",
            "null",
            "https://desk.example.com.evil.test",
            "http://desk.example.com",
            "https://evil.test",
            "127.0.0.1:8080",
            "http://127.0.0.1:8080@evil.test",
            "file://",
        ] {
            assert_eq!(act("127.0.0.1:8080", origin), Err(Refusal::Origin(origin.to_owned())), "{origin}");
            assert_eq!(check(&guard, "127.0.0.1:8080", origin, Effect::Read), Ok(Site::Foreign), "{origin}");
        }
    }

    #[test]
    fn a_star_admits_every_site() {
        let guard = guard_of("127.0.0.1", &["*"], &[]);
        assert_eq!(check(&guard, "127.0.0.1", "https://evil.test", Effect::Act), Ok(Site::Any));
        assert_eq!(check(&guard, "127.0.0.1", "null", Effect::Act), Ok(Site::Any));
    }

    #[test]
    fn errors_name_the_invalid_origin_or_host() {
        let error = |origins: &[&str], hosts: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            SiteConfig { origins: texts(origins), hosts: texts(hosts) }.check().unwrap_err().to_string()
        };
        for origin in
            ["desk.example.com", "https://desk.example.com/", "https://", "https://*.example.com/x", ""]
        {
            assert!(error(&[origin], &[]).contains(&format!("\"{origin}\"")), "{origin}");
        }
        for host in ["https://desk.example.com", "desk.example.com:80", "*", ""] {
            assert!(error(&[], &[host]).contains(&format!("\"{host}\"")), "{host}");
        }
    }
}
