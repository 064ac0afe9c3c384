//! The names by which loads and requests are repeated: `load` of a Flight put, `Idempotency-Key` of an HTTP request.
//!
//! Invariant: a name belongs to its sender, so that nobody learns by it what others send. What a table remembers of it is the
//! engine's [`LoadHistory`](proscenium_engine::table::LoadHistory).

use std::time::{SystemTime, UNIX_EPOCH};

use proscenium_engine::hosting::Principal;
use proscenium_engine::table::LoadMark;

/// The longest name, in characters.
pub const MAX_CHARACTERS: usize = 128;

/// The name of a load, of one sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadKey(String);

impl LoadKey {
    /// The name `key` that a sender has given at an endpoint; the error says what is wrong with it.
    pub fn new(endpoint: &str, principal: &Principal, key: &str) -> Result<LoadKey, String> {
        let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        match key.len() {
            1..=MAX_CHARACTERS if is_visible => {}
            _ => return Err(format!("it must have 1 to {MAX_CHARACTERS} characters of ASCII")),
        }
        // No name of a principal makes it that of another: the key comes last, and the length of the name before it.
        let name = principal.name().unwrap_or_default();
        Ok(LoadKey(format!("{endpoint} {} {name} {key}", name.len())))
    }

    /// The name, as tables remember it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The mark of a part of the load, sent now.
    pub fn mark(&self, first: u64, last: u64) -> LoadMark {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let load = self.0.clone();
        LoadMark { load, first, last, digest: None, at, epoch: None, must_create: false }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_key_is_of_one_sender() {
        let of = |name: &str| Principal::new(name, [], BTreeMap::new());
        let key = |principal: &Principal, key: &str| LoadKey::new("http", principal, key);
        assert_ne!(key(&of("a"), "b c"), key(&of("a b"), "c"));
        assert_ne!(key(&of("a"), "k"), key(&Principal::anonymous(), "k"));
        assert!(key(&of("a"), "").is_err() && key(&of("a"), "\n").is_err());
        assert!(key(&of("a"), &"k".repeat(MAX_CHARACTERS)).is_ok());
        assert!(key(&of("a"), &"k".repeat(MAX_CHARACTERS + 1)).is_err());
    }
}
