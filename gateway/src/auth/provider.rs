//! An identity provider: its keys, and the tokens that they sign.
//!
//! Invariant: a token is accepted if one of the provider's present keys signed it by one of the listed algorithms, and its
//! issuer, audience and times fit. Its own header decides neither the algorithm's kind nor the key's. Keys are fetched when
//! a token names an unknown one, but seldom enough that tokens cannot make the server flood the provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use proscenium_engine::hosting::Principal;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::http_client::{FetchError, HttpClient};
use super::identity::{Identity, IdentitySource};
use super::{AuthError, jwt_crypto};
use crate::config::auth::JwtConfig;
use crate::tuning;

/// A provider of the configuration.
#[derive(Debug)]
pub struct Provider {
    pub config: Arc<JwtConfig>,
    pub http: HttpClient,
    algorithms: Vec<Algorithm>,
    state: Mutex<ProviderState>,
}

#[derive(Debug, Default)]
struct ProviderState {
    keys: Vec<SigningKey>,
    endpoints: Endpoints,
    fetched_at: Option<Instant>,
    attempted_at: Option<Instant>,
}

/// What the discovery document names.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    pub authorization: Option<String>,
    pub token: Option<String>,
}

#[derive(Debug, Clone)]
struct SigningKey {
    id: Option<String>,
    /// `None`: all of its family.
    algorithm: Option<String>,
    key: DecodingKey,
}

/// Claims that differ between two tokens of one sender, and say nothing about it.
const OF_ONE_TOKEN: [&str; 10] =
    ["exp", "iat", "nbf", "jti", "nonce", "auth_time", "at_hash", "c_hash", "s_hash", "sid"];

/// The claims of a token.
pub type Claims = Map<String, Value>;

impl Provider {
    /// Takes a provider of a configuration that was checked.
    ///
    /// # Errors
    ///
    /// Its certificates cannot be read.
    pub fn new(config: &JwtConfig) -> Result<Provider, String> {
        jwt_crypto::install();
        let algorithms = config.algorithms.iter().filter_map(|name| jwt_crypto::parse_algorithm(name));
        Ok(Provider {
            http: HttpClient::new(config.ca.as_deref())?,
            algorithms: algorithms.collect(),
            config: Arc::new(config.clone()),
            state: Mutex::default(),
        })
    }

    /// The issuer that a token claims, which is not verified.
    pub fn claimed_issuer(token: &str) -> Option<String> {
        let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
        claims.get("iss")?.as_str().map(str::to_owned)
    }

    /// Authenticates the sender of a token.
    ///
    /// # Errors
    ///
    /// What is wrong with the token, or that the provider's keys cannot be fetched.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, AuthError> {
        let claims = self.verify(token, &self.config.audience.0).await?;
        self.identity(claims)
    }

    /// Verifies a token for one of several audiences and returns its claims.
    ///
    /// # Errors
    ///
    /// As [`Provider::authenticate`].
    pub async fn verify(&self, token: &str, audience: &[String]) -> Result<Claims, AuthError> {
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| AuthError::Token("is malformed, or signed by an unknown algorithm"))?;
        if !self.algorithms.contains(&header.alg) {
            return Err(AuthError::Token("is signed by an algorithm that is not listed"));
        }
        let keys = self.keys(header.kid.as_deref(), header.alg).await?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = self.config.leeway_seconds;
        validation.validate_nbf = true;
        validation.set_audience(audience);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        let mut fault = AuthError::Token("is signed by a key that the provider does not have");
        for key in keys {
            match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(error) => fault = AuthError::Token(describe(error.kind())),
            }
        }
        Err(fault)
    }

    /// The identity that verified claims give.
    ///
    /// # Errors
    ///
    /// The claims do not name the sender.
    pub fn identity(&self, claims: Claims) -> Result<Identity, AuthError> {
        let name = claim(&claims, &self.config.name).and_then(text_of);
        let name = name.ok_or(AuthError::Token("does not name its sender, as auth.jwt.name demands"))?;
        let roles = match &self.config.roles.0[..] {
            [path] if path.starts_with("$claims.") => match claim(&claims, path) {
                Some(Value::Array(roles)) => roles.iter().filter_map(text_of).collect(),
                Some(role) => text_of(role).into_iter().collect(),
                None => Vec::new(),
            },
            listed => listed.to_vec(),
        };
        let expires = claims.get("exp").and_then(Value::as_f64).unwrap_or_default();
        let expires = Duration::try_from_secs_f64(expires).unwrap_or_default();
        let leeway = Duration::from_secs(self.config.leeway_seconds);
        let lasting = claims.iter().filter(|(name, _)| !OF_ONE_TOKEN.contains(&name.as_str()));
        let texts = lasting.filter_map(|(name, value)| Some((name.clone(), text_of(value)?)));
        let texts: BTreeMap<String, String> = texts.collect();
        Ok(Identity {
            principal: Principal::new(name, roles, texts),
            source: IdentitySource::Provider(self.config.clone()),
            session: None,
            expires_at: SystemTime::UNIX_EPOCH.checked_add(expires.saturating_add(leeway)),
        })
    }

    /// What the discovery document names, fetched if need be.
    ///
    /// # Errors
    ///
    /// The provider does not answer.
    pub async fn endpoints(&self) -> Result<Endpoints, AuthError> {
        let mut state = self.state.lock().await;
        if state.endpoints.token.is_none() {
            state.endpoints = self.discover().await.map_err(unavailable)?.0;
        }
        Ok(state.endpoints.clone())
    }

    /// The keys that may have signed a token.
    async fn keys(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<DecodingKey>, AuthError> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let is_older = |at: Option<Instant>, age| at.is_none_or(|at| now.duration_since(at) > age);
        let is_stale = is_older(state.fetched_at, tuning::PROVIDER_KEYS);
        let mut matching = state.matching(id, algorithm);
        if (matching.is_empty() || is_stale) && is_older(state.attempted_at, tuning::PROVIDER_KEYS_RETRY) {
            state.attempted_at = Some(now);
            match self.fetch().await {
                Ok((endpoints, keys)) => {
                    state.keys = keys;
                    state.endpoints = endpoints.unwrap_or(std::mem::take(&mut state.endpoints));
                    state.fetched_at = Some(now);
                    matching = state.matching(id, algorithm);
                }
                Err(error) if state.fetched_at.is_none() => return Err(unavailable(error)),
                // The keys that are known still hold.
                Err(error) => tracing::warn!(%error, "the keys of an identity provider cannot be fetched"),
            }
        }
        if state.fetched_at.is_none() {
            return Err(AuthError::Unavailable);
        }
        Ok(matching)
    }

    async fn fetch(&self) -> Result<(Option<Endpoints>, Vec<SigningKey>), FetchError> {
        let (endpoints, url) = match &self.config.jwks {
            Some(keys) => (None, keys.clone()),
            None => self.discover().await.map(|(endpoints, keys)| (Some(endpoints), keys))?,
        };
        let document = match url.contains("://") {
            true => self.http.get(&url).await?,
            false => read_file(&url).map_err(|reason| FetchError { url: url.clone(), reason })?,
        };
        let keys = document.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| FetchError { url, reason: "has no \"keys\"".to_owned() })?;
        Ok((endpoints, keys.iter().filter_map(SigningKey::parse).collect()))
    }

    async fn discover(&self) -> Result<(Endpoints, String), FetchError> {
        let url = format!("{}/.well-known/openid-configuration", self.config.issuer.trim_end_matches('/'));
        let document = self.http.get(&url).await?;
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        let fault = |reason: &str| FetchError { url: url.clone(), reason: reason.to_owned() };
        if text("issuer").as_deref() != Some(&self.config.issuer) {
            return Err(fault("is of another issuer"));
        }
        let keys = text("jwks_uri").ok_or_else(|| fault("has no \"jwks_uri\""))?;
        let endpoints =
            Endpoints { authorization: text("authorization_endpoint"), token: text("token_endpoint") };
        Ok((endpoints, keys))
    }
}

impl ProviderState {
    fn matching(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
        let family = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => AlgorithmFamily::Ec,
            Algorithm::EdDSA => AlgorithmFamily::Ed,
            // The listed algorithms are asymmetric.
            _ => AlgorithmFamily::Rsa,
        };
        let name = format!("{algorithm:?}");
        let is_of = |key: &&SigningKey| {
            key.key.family() == family
                && key.algorithm.as_ref().is_none_or(|stated| *stated == name)
                && id.is_none_or(|id| key.id.as_deref() == Some(id))
        };
        self.keys.iter().filter(is_of).map(|key| key.key.clone()).collect()
    }
}

impl SigningKey {
    /// Parses one key of a set; `None` for those that sign no tokens.
    fn parse(key: &Value) -> Option<SigningKey> {
        let parsed: Jwk = serde_json::from_value(key.clone()).ok()?;
        let is_for_signatures =
            parsed.common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
        if !is_for_signatures || matches!(parsed.algorithm, AlgorithmParameters::OctetKey(_)) {
            return None;
        }
        let text = |name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(SigningKey {
            id: text("kid"),
            algorithm: text("alg"),
            key: DecodingKey::from_jwk(&parsed).ok()?,
        })
    }
}

fn read_file(path: &str) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn unavailable(error: FetchError) -> AuthError {
    tracing::warn!(%error, "an identity provider does not answer");
    AuthError::Unavailable
}

/// The claim at a path like `$claims.realm_access.roles`.
fn claim<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    let path = path.strip_prefix("$claims.")?;
    // Providers also name claims by URLs, with dots.
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut names = path.split('.');
    let first = claims.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

/// The text of a scalar.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn describe(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "has expired",
        ErrorKind::ImmatureSignature => "is not valid yet",
        ErrorKind::InvalidAudience => "is for another audience",
        ErrorKind::InvalidIssuer => "is of another issuer",
        ErrorKind::InvalidSignature => "has a wrong signature",
        ErrorKind::MissingRequiredClaim(_) => "lacks one of exp, aud and iss",
        _ => "is malformed",
    }
}
