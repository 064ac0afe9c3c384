//! Sealed links: what one table shows, signed by this server.
//!
//! Invariant: a link holds no secret and cannot be changed. It narrows the rights that its maker has when it is used, so it ends
//! when the maker loses them, and never opens more than reading one table.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proscenium_engine::hosting::{Principal, SealedGrant};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tokens::random;
use super::{AuthError, Rules};
use crate::auth::{Identity, IdentitySource};

/// How the tokens of links begin.
pub const PREFIX: &str = "psl_";

/// What a link opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealedLink {
    pub table: String,
    /// The configuration of the view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Value>,
    /// A condition for rows, beside those of the maker's rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Seconds since 1970 at which it ends.
    pub expires: u64,
    pub maker: Maker,
}

/// Who made a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Maker {
    User {
        name: String,
    },
    Key {
        name: String,
    },
    /// What the provider said of the maker then.
    Provider {
        issuer: String,
        name: String,
        roles: Vec<String>,
        claims: BTreeMap<String, String>,
    },
}

impl Maker {
    /// Who an identity is, to be found again; `None`: nobody in particular, or the bearer of a link.
    pub fn of(identity: &Identity) -> Option<Maker> {
        let principal = &identity.principal;
        if principal.sealed_grant().is_some() {
            return None;
        }
        match &identity.source {
            IdentitySource::Anonymous => None,
            IdentitySource::User(user) => Some(Maker::User { name: user.name.clone() }),
            IdentitySource::Key(key) => Some(Maker::Key { name: key.name.clone() }),
            IdentitySource::Provider(jwt) => Some(Maker::Provider {
                issuer: jwt.issuer.clone(),
                name: principal.name()?.to_owned(),
                roles: principal.roles().to_vec(),
                claims: principal.claims().clone(),
            }),
        }
    }
}

/// The key that signs links.
#[derive(Debug)]
pub struct LinkKey(hmac::Key);

impl LinkKey {
    /// A key made of a secret; without one it is random, and links end with the server.
    pub fn new(secret: Option<&[u8]>) -> LinkKey {
        let drawn = random::<32>();
        LinkKey(hmac::Key::new(hmac::HMAC_SHA256, secret.unwrap_or(&drawn)))
    }

    /// Signs a link and returns its token.
    pub fn seal(&self, link: &SealedLink) -> String {
        let content = serde_json::to_vec(link).expect("a link of texts is JSON");
        let signature = hmac::sign(&self.0, &content);
        format!("{PREFIX}{}.{}", URL_SAFE_NO_PAD.encode(content), URL_SAFE_NO_PAD.encode(signature))
    }

    /// Reads a token that this key has signed and whose time is not over.
    ///
    /// # Errors
    ///
    /// It is another text, was changed, or its time is over.
    pub fn open(&self, token: &str, now: SystemTime) -> Result<SealedLink, AuthError> {
        let parts = token.strip_prefix(PREFIX).and_then(|token| token.split_once('.'));
        let decoded = parts.and_then(|(content, signature)| {
            Some((URL_SAFE_NO_PAD.decode(content).ok()?, URL_SAFE_NO_PAD.decode(signature).ok()?))
        });
        let invalid = AuthError::Token("is no link of this server");
        let (content, signature) = decoded.ok_or(invalid.clone())?;
        // In constant time.
        hmac::verify(&self.0, &content, &signature).map_err(|_| invalid.clone())?;
        let link: SealedLink = serde_json::from_slice(&content).map_err(|_| invalid)?;
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(link.expires));
        if expires.is_none_or(|expires| expires <= now) {
            return Err(AuthError::Token("is of a link whose time is over"));
        }
        Ok(link)
    }
}

impl Rules {
    /// The bearer of a link, with the present rights of its maker.
    pub(super) fn bearer(&self, link: &SealedLink) -> Result<Identity, AuthError> {
        let gone = AuthError::Token("is of a link whose maker is gone");
        let maker = match &link.maker {
            Maker::User { name } => self.users.get(name).map(Identity::of_user),
            Maker::Key { name } => self.keys.named(name).map(Identity::of_key),
            Maker::Provider { issuer, name, roles, claims } => {
                let provider = self.providers.iter().find(|provider| provider.config.issuer == *issuer);
                provider.map(|provider| Identity {
                    principal: Principal::new(name.clone(), roles.clone(), claims.clone()),
                    source: IdentitySource::Provider(provider.config.clone()),
                    session: None,
                    expires_at: None,
                })
            }
        };
        let maker = maker.ok_or(gone)?;
        let grant = SealedGrant { table: link.table.clone(), rows: link.rows.clone() };
        Ok(Identity {
            principal: maker.principal.with_sealed_grant(grant),
            expires_at: UNIX_EPOCH.checked_add(Duration::from_secs(link.expires)),
            ..maker
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_what_its_server_has_signed_until_its_time_is_over() {
        let maker = Maker::User { name: "ann".into() };
        let link = SealedLink { table: "t".into(), view: None, rows: None, expires: 100, maker };
        let key = LinkKey::new(Some(b"a secret"));
        let token = key.seal(&link);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(LinkKey::new(Some(b"a secret")).open(&token, at(99)), Ok(link.clone()));
        assert!(key.open(&token, at(100)).is_err());
        assert!(LinkKey::new(None).open(&token, at(1)).is_err(), "another key");
        let (_, signature) = token.split_once('.').unwrap();
        let other = SealedLink { table: "secret".into(), ..link };
        let changed = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other).unwrap());
        for text in
            [format!("{PREFIX}{changed}.{signature}"), token.replace(PREFIX, ""), format!("{PREFIX}.")]
        {
            assert!(key.open(&text, at(1)).is_err(), "{text}");
        }
    }
}
