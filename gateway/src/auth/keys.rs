//! Keys of programs: 256 random bits, of which the configuration holds the SHA-256.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::tokens::{self, TokenDigest, digest_of};
use crate::config::auth::KeyConfig;

/// How keys begin, so that they are recognized, also by scanners for leaked secrets.
pub const PREFIX: &str = "psk_";

const HASH_PREFIX: &str = "sha256:";

/// Creates a key, and the hash that is stored.
pub fn new_key() -> (String, String) {
    let key = tokens::new_token(PREFIX);
    let hash = format!("{HASH_PREFIX}{}", STANDARD_NO_PAD.encode(digest_of(&key)));
    (key, hash)
}

/// Parses the hash of a key.
///
/// # Errors
///
/// What it is not.
pub fn parse_hash(text: &str) -> Result<TokenDigest, String> {
    let digest = text.strip_prefix(HASH_PREFIX).and_then(|digest| STANDARD_NO_PAD.decode(digest).ok());
    digest
        .and_then(|digest| digest.try_into().ok())
        .ok_or_else(|| format!("is not \"{HASH_PREFIX}\" and 43 characters, as `proscenium key new` prints"))
}

/// The keys of the configuration.
#[derive(Debug, Default)]
pub struct Keys(HashMap<TokenDigest, Arc<KeyConfig>>);

impl Keys {
    /// Takes the keys of a configuration that was checked.
    pub fn new(configs: &[KeyConfig]) -> Keys {
        let parsed = configs.iter().filter_map(|key| {
            parse_hash(key.hash.expose()).ok().map(|digest| (digest, Arc::new(key.clone())))
        });
        Keys(parsed.collect())
    }

    /// Finds the entry of a key.
    pub fn find(&self, key: &str) -> Option<&Arc<KeyConfig>> {
        let digest = digest_of(key);
        let (stored, config) = self.0.get_key_value(&digest)?;
        bool::from(stored.ct_eq(&digest)).then_some(config)
    }

    /// Finds an entry by its name.
    pub fn named(&self, name: &str) -> Option<&Arc<KeyConfig>> {
        self.0.values().find(|key| key.name == name)
    }

    /// Whether an entry is still configured, as it was.
    pub fn has(&self, config: &KeyConfig) -> bool {
        self.0.values().any(|known| **known == *config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn a_key_is_found_by_its_hash_alone() {
        let ((key, hash), (other, _)) = (new_key(), new_key());
        assert!(key.starts_with(PREFIX) && !hash.contains(&key[PREFIX.len()..]));
        let config = KeyConfig {
            name: "feed".into(),
            hash: Secret::new(hash),
            roles: vec!["writer".into()],
            claims: Default::default(),
        };
        let keys = Keys::new(std::slice::from_ref(&config));
        assert_eq!(keys.find(&key).map(|found| found.name.as_str()), Some("feed"));
        assert!(keys.find(&other).is_none() && keys.find("").is_none());
        assert!(keys.has(&config));
    }
}
