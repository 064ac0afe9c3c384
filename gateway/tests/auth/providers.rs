//! Tokens of an identity provider: which are accepted, and how its keys change.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proscenium_gateway::config::auth::{JwtConfig, Texts};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::support::*;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key that signs tokens, under its name.
struct Signer {
    id: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new(id: &'static str) -> Signer {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Signer { id, pair: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key") }
    }

    fn jwk(&self) -> Value {
        let x = encode(self.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id, "x": x })
    }

    fn sign(&self, claims: &Value) -> String {
        let head = encode(json!({ "alg": "EdDSA", "kid": self.id }).to_string());
        let message = format!("{head}.{}", encode(claims.to_string()));
        let signature = encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// A provider whose documents a test changes.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Vec<Value>>>,
    fetches: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(keys: Vec<Value>) -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (keys, fetches) = (Arc::new(Mutex::new(keys)), Arc::new(AtomicUsize::new(0)));
        let (served, counted, issuer) = (keys.clone(), fetches.clone(), url.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let body = match String::from_utf8_lossy(&head[..read]).contains("/.well-known/") {
                    true => json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }),
                    false => {
                        counted.fetch_add(1, Ordering::Relaxed);
                        json!({ "keys": *served.lock().expect("the keys") })
                    }
                };
                let body = body.to_string();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Issuer { url, keys, fetches }
    }

    fn config(&self) -> JwtConfig {
        let text = format!(
            "issuer = \"{}\"\naudience = \"proscenium\"\nalgorithms = [\"EdDSA\", \"RS256\"]\nroles = \"$claims.realm.groups\"",
            self.url
        );
        let config: JwtConfig = toml::from_str(&text).expect("a provider");
        assert_eq!(config.audience, Texts(vec!["proscenium".into()]));
        config
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.url, "aud": ["other", "proscenium"], "sub": "ann", "exp": now() + 300, "level": 3,
            "realm": { "groups": ["desk", "chief"] },
        })
    }

    /// The claims with one of them replaced.
    fn with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

#[tokio::test]
async fn a_token_is_accepted_for_what_it_is_and_nothing_else() {
    let signer = Signer::new("one");
    let issuer = Issuer::start(vec![signer.jwk()]).await;
    let Guarded { server, .. } =
        start_with(|config| config.auth.as_mut().expect("[auth]").jwt = vec![issuer.config()]);
    let session = async |token: &str| ask(&server, "GET", "/api/v1/session", &bearer(token), "").await;
    let good = signer.sign(&issuer.claims());
    let answer = session(&good).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!((json["name"].as_str(), &json["roles"]), (Some("ann"), &json!(["desk", "chief"])));
    assert!(json["expires_seconds"].as_u64().is_some_and(|left| (300..=361).contains(&left)), "{json}");
    // The clocks may differ by a minute.
    assert_eq!(session(&signer.sign(&issuer.with("exp", json!(now() - 30)))).await.status, 200);
    assert_eq!(session(&signer.sign(&issuer.with("nbf", json!(now() + 30)))).await.status, 200);

    let parts: Vec<&str> = good.split('.').collect();
    let unsigned = |alg: &str| format!("{}.{}.", encode(json!({ "alg": alg }).to_string()), parts[1]);
    let head = encode(json!({ "alg": "HS256", "kid": "one" }).to_string());
    let message = format!("{head}.{}", parts[1]);
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, signer.pair.public_key().as_ref());
    let confused = format!("{message}.{}", encode(ring::hmac::sign(&secret, message.as_bytes())));
    let es256 = format!("{}.{}.{}", encode(json!({ "alg": "ES256" }).to_string()), parts[1], parts[2]);
    let rs256 = format!("{}.{}.{}", encode(json!({ "alg": "RS256" }).to_string()), parts[1], parts[2]);
    for (token, reason) in [
        (unsigned("none"), "is malformed, or signed by an unknown algorithm"),
        (unsigned("EdDSA"), "has a wrong signature"),
        (confused, "is signed by an algorithm that is not listed"),
        (es256, "is signed by an algorithm that is not listed"),
        (rs256, "is signed by a key that the provider does not have"),
        (format!("{}.{}.{}", parts[0], encode("{}"), parts[2]), "is neither a key, nor of a login"),
        (Signer::new("one").sign(&issuer.claims()), "has a wrong signature"),
        (signer.sign(&issuer.with("aud", json!("other"))), "is for another audience"),
        (signer.sign(&issuer.with("aud", Value::Null)), "lacks one of exp, aud and iss"),
        (signer.sign(&issuer.with("exp", json!(now() - 90))), "has expired"),
        (signer.sign(&issuer.with("exp", Value::Null)), "lacks one of exp, aud and iss"),
        (signer.sign(&issuer.with("nbf", json!(now() + 90))), "is not valid yet"),
        (
            signer.sign(&issuer.with("iss", json!("https://evil.test"))),
            "is of an issuer that is not configured",
        ),
        (signer.sign(&issuer.with("sub", Value::Null)), "does not name its sender"),
    ] {
        let answer = session(&token).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_token"), "{reason}: {answer:?}");
        assert!(answer.body.contains(reason), "{reason}: {answer:?}");
    }
}

#[tokio::test]
async fn new_keys_are_fetched_when_a_token_names_them_but_not_for_every_token() {
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    let issuer = Issuer::start(vec![first.jwk(), second.jwk()]).await;
    let Guarded { server, .. } =
        start_with(|config| config.auth.as_mut().expect("[auth]").jwt = vec![issuer.config()]);
    let status = async |token: &str| ask(&server, "GET", "/api/v1/session", &bearer(token), "").await.status;
    assert_eq!(status(&first.sign(&issuer.claims())).await, 200);
    assert_eq!(status(&second.sign(&issuer.claims())).await, 200);
    assert_eq!(issuer.fetches.load(Ordering::Relaxed), 1);
    issuer.keys.lock().expect("the keys").clear();
    for _ in 0..20 {
        assert_eq!(status(&Signer::new("unknown").sign(&issuer.claims())).await, 401);
    }
    // A flood of unknown keys does not reach the provider, and what is known still holds.
    assert_eq!(issuer.fetches.load(Ordering::Relaxed), 1);
    assert_eq!(status(&first.sign(&issuer.claims())).await, 200);
}

#[tokio::test]
async fn without_its_provider_a_token_is_not_refused_for_good() {
    let signer = Signer::new("one");
    let issuer = Issuer::start(vec![signer.jwk()]).await;
    let mut config = issuer.config();
    // Nothing listens there.
    config.jwks = Some("http://127.0.0.1:1/keys".into());
    let Guarded { server, .. } =
        start_with(|server| server.auth.as_mut().expect("[auth]").jwt = vec![config]);
    let answer = ask(&server, "GET", "/api/v1/session", &bearer(&signer.sign(&issuer.claims())), "").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "provider_unavailable"), "{answer:?}");
    assert_ne!(answer.header("retry-after"), "");
}
