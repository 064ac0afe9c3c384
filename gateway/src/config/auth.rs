//! The `[auth]` section: who may use the server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::secret::Secret;

/// The `[auth]` section. If it is absent, all senders are anonymous.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// Hours for which a login holds.
    pub session_hours: u64,
    /// The file of the secret that signs links; without it links end with the server.
    pub link_secret_file: Option<PathBuf>,
    /// Users with passwords.
    #[serde(rename = "user")]
    pub users: Vec<UserConfig>,
    /// Keys of programs.
    #[serde(rename = "key")]
    pub keys: Vec<KeyConfig>,
    /// Identity providers whose tokens are accepted.
    pub jwt: Vec<JwtConfig>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        AuthConfig {
            session_hours: 12,
            link_secret_file: None,
            users: Vec::new(),
            keys: Vec::new(),
            jwt: Vec::new(),
        }
    }
}

/// A user with a password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    pub name: String,
    /// The hash that `proscenium user add` prints.
    pub password: Secret,
    #[serde(default)]
    pub roles: Vec<String>,
    /// Claims of row filters; values that are not texts become texts.
    #[serde(default, deserialize_with = "scalars")]
    pub claims: BTreeMap<String, String>,
}

/// A program's key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    pub name: String,
    /// The hash that `proscenium key new` prints.
    pub hash: Secret,
    #[serde(default)]
    pub roles: Vec<String>,
    /// As [`UserConfig::claims`].
    #[serde(default, deserialize_with = "scalars")]
    pub claims: BTreeMap<String, String>,
}

/// An identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// Exactly the `iss` of its tokens, and where its discovery document is.
    pub issuer: String,
    /// What `aud` of a token must contain.
    pub audience: Texts,
    /// The algorithms that tokens may be signed by; all are asymmetric.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<String>,
    /// The roles: `$claims.` and the path of a claim, or a list.
    #[serde(default)]
    pub roles: Texts,
    /// The claim that names the sender.
    #[serde(default = "default_name")]
    pub name: String,
    /// The keys (JWKS): a URL or a file; by default as the discovery document says.
    #[serde(default)]
    pub jwks: Option<String>,
    /// Certificates that the provider's own certificate is checked by, in addition to the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Seconds by which clocks may differ.
    #[serde(default = "default_leeway")]
    pub leeway_seconds: u64,
    /// Lets people log in at the provider.
    #[serde(default)]
    pub login: Option<OidcConfig>,
}

/// The page's login at an identity provider (OpenID Connect, code flow with PKCE).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    pub client_id: String,
    /// The file that holds the secret; absent for a public client.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The text of the button.
    #[serde(default)]
    pub label: Option<String>,
    /// Where the provider sends the browser back to; by default `/login/callback` of the name that the page was requested under.
    #[serde(default)]
    pub redirect_uri: Option<String>,
}

/// One text or several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMany")]
pub struct Texts(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Texts {
    fn from(given: OneOrMany) -> Self {
        Texts(match given {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        })
    }
}

fn default_algorithms() -> Vec<String> {
    ["RS256", "PS256", "ES256", "EdDSA"].map(str::to_owned).to_vec()
}

fn default_name() -> String {
    "$claims.sub".to_owned()
}

fn default_leeway() -> u64 {
    60
}

fn default_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Bool(bool),
    Integer(i64),
    Float(f64),
}

fn scalars<'de, D: Deserializer<'de>>(claims: D) -> Result<BTreeMap<String, String>, D::Error> {
    let claims = BTreeMap::<String, Scalar>::deserialize(claims)?;
    let text = |scalar| match scalar {
        Scalar::Text(text) => text,
        Scalar::Bool(is_true) => is_true.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Float(number) => number.to_string(),
    };
    Ok(claims.into_iter().map(|(name, value)| (name, text(value))).collect())
}

impl AuthConfig {
    /// [`AuthConfig::session_hours`].
    pub fn session(&self) -> Duration {
        Duration::from_secs(self.session_hours * 3600)
    }

    /// Resolves the paths of the section, which are relative to the file's folder.
    pub fn resolve_paths(&mut self, folder: &Path) {
        self.link_secret_file = self.link_secret_file.take().map(|path| folder.join(path));
        for jwt in &mut self.jwt {
            jwt.ca = jwt.ca.take().map(|path| folder.join(path));
            jwt.jwks = jwt.jwks.take().map(|keys| match keys.contains("://") {
                true => keys,
                false => folder.join(keys).display().to_string(),
            });
            if let Some(login) = &mut jwt.login {
                login.client_secret_file = login.client_secret_file.take().map(|path| folder.join(path));
            }
        }
    }
}

/// Whether what is fetched from a URL cannot be replaced on its way.
pub fn is_private_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    let is_loopback =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    !host.is_empty() && !authority.contains('@') && (scheme == "https" || (scheme == "http" && is_loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for url in ["https://id.test", "http://127.0.0.1:9/x", "http://localhost/", "http://[::1]:3"] {
            assert!(is_private_url(url), "{url}");
        }
        for url in ["http://id.test", "id.test", "http://127.0.0.1@evil.test", "https://", "ftp://a"] {
            assert!(!is_private_url(url), "{url}");
        }
    }
}
