//! The login at an identity provider: OpenID Connect's code flow with PKCE.
//!
//! Invariant: a code is exchanged only for the browser that began the login (a cookie), once, and the token must be for this
//! server's client and for this login (`nonce`). It is our own over the token verifier, since `openidconnect` brings an HTTP
//! client, a second set of signature crates and the `rsa` crate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::AuthError;
use super::http_client::{Form, percent_encode};
use super::identity::Identity;
use super::provider::Provider;
use super::tokens::{TokenDigest, digest_of, new_token, sha256};
use crate::config::auth::OidcConfig;
use crate::tuning;

/// Logins that have begun, by the digest of their state.
#[derive(Debug, Default)]
pub struct PendingLogins(Mutex<HashMap<TokenDigest, PendingLogin>>);

#[derive(Debug)]
struct PendingLogin {
    provider: Arc<Provider>,
    /// The digest of the cookie of the browser that began it.
    browser: TokenDigest,
    nonce: String,
    verifier: String,
    redirect_uri: String,
    next: String,
    until: Instant,
}

/// A login that begins: where the browser is sent, and the value of its cookie.
#[derive(Debug)]
pub struct Begun {
    pub location: String,
    pub browser: String,
}

/// A login that has ended: who it is, and the page to return to.
#[derive(Debug)]
pub struct Finished {
    pub identity: Identity,
    pub next: String,
}

impl PendingLogins {
    /// Begins a login.
    ///
    /// # Errors
    ///
    /// The provider does not answer, or allows no login.
    pub async fn begin(
        &self,
        provider: &Arc<Provider>,
        redirect_uri: String,
        next: &str,
    ) -> Result<Begun, AuthError> {
        let login = provider.config.login.as_ref().ok_or(AuthError::Missing)?;
        let endpoint = provider.endpoints().await?.authorization.ok_or(AuthError::Unavailable)?;
        let (state, nonce, verifier, browser) = (new_token(""), new_token(""), new_token(""), new_token(""));
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
        let redirect_uri = login.redirect_uri.clone().unwrap_or(redirect_uri);
        let parameters = [
            ("response_type", "code"),
            ("client_id", login.client_id.as_str()),
            ("redirect_uri", redirect_uri.as_str()),
            ("scope", &login.scopes.join(" ")),
            ("state", state.as_str()),
            ("nonce", nonce.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let query = parameters.map(|(name, value)| format!("{name}={}", percent_encode(value))).join("&");
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        let location = format!("{endpoint}{separator}{query}");
        let until = Instant::now() + tuning::PENDING_LOGIN;
        let (provider, browser_digest, next) = (provider.clone(), digest_of(&browser), next.to_owned());
        let pending =
            PendingLogin { provider, browser: browser_digest, nonce, verifier, redirect_uri, next, until };
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if logins.len() >= tuning::PENDING_LOGINS {
            let now = Instant::now();
            logins.retain(|_, pending| pending.until > now);
            if logins.len() >= tuning::PENDING_LOGINS {
                return Err(AuthError::Busy);
            }
        }
        logins.insert(digest_of(&state), pending);
        Ok(Begun { location, browser })
    }

    /// Ends a login with the code that the provider gave the browser.
    ///
    /// # Errors
    ///
    /// The login is not that of this browser, or the provider or its token says no.
    pub async fn finish(&self, state: &str, browser: &str, code: &str) -> Result<Finished, AuthError> {
        let unknown = AuthError::Token("is of a login that did not begin in this browser, or took too long");
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest_of(state));
        let pending = pending.filter(|pending| pending.until > Instant::now()).ok_or(unknown.clone())?;
        if digest_of(browser) != pending.browser {
            return Err(unknown);
        }
        let PendingLogin { provider, nonce, verifier, redirect_uri, next, .. } = pending;
        let login = provider.config.login.as_ref().ok_or(AuthError::Missing)?;
        let endpoint = provider.endpoints().await?.token.ok_or(AuthError::Unavailable)?;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri.as_str()),
            ("code_verifier", verifier.as_str()),
        ];
        let authorization = authorization(login)?;
        if authorization.is_none() {
            fields.push(("client_id", &login.client_id));
        }
        let form = Form { fields: &fields, authorization: authorization.as_deref() };
        let answer = provider.http.post(&endpoint, form).await.map_err(|error| {
            tracing::warn!(%error, "an identity provider refused a login");
            AuthError::Token("was not given by the identity provider")
        })?;
        let token = answer.get("id_token").and_then(Value::as_str);
        let token = token.ok_or(AuthError::Token("is missing in the answer of the identity provider"))?;
        let claims = provider.verify(token, std::slice::from_ref(&login.client_id)).await?;
        if claims.get("nonce").and_then(Value::as_str) != Some(&nonce) {
            return Err(AuthError::Token("is of another login"));
        }
        // The login holds for the session's time, whatever that of the token, which has served its purpose.
        let identity = Identity { expires_at: None, ..provider.identity(claims)? };
        Ok(Finished { identity, next })
    }
}

/// The header by which this server shows who it is; `None`: a public client.
fn authorization(login: &OidcConfig) -> Result<Option<String>, AuthError> {
    let Some(path) = &login.client_secret_file else { return Ok(None) };
    let secret = std::fs::read_to_string(path).map_err(|error| {
        tracing::error!(%error, file = %path.display(), "the secret of an identity provider cannot be read");
        AuthError::Unavailable
    })?;
    let pair = format!("{}:{}", percent_encode(&login.client_id), percent_encode(secret.trim_end()));
    Ok(Some(format!("Basic {}", STANDARD.encode(pair))))
}
