//! Random tokens, and the digests that are kept in their place.
//!
//! Invariant: a token has 256 random bits, so a fast digest of it reveals nothing, and the time of a lookup by the digest says
//! nothing about other tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// SHA-256 of a token.
pub type TokenDigest = [u8; 32];

/// Fills an array with random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    bytes
}

/// Creates a token of 256 random bits: `prefix` and 43 characters of base64url.
pub fn new_token(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

/// The digest of a token.
pub fn digest_of(token: &str) -> TokenDigest {
    sha256(token.as_bytes())
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A key of this process, by which secrets are recognized without being kept.
#[derive(Debug)]
pub struct ProcessKey(hmac::Key);

impl Default for ProcessKey {
    fn default() -> Self {
        ProcessKey(hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()))
    }
}

impl ProcessKey {
    /// The tag of several texts; their bounds count.
    pub fn tag(&self, texts: &[&str]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for text in texts {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        context.sign().as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }
}
