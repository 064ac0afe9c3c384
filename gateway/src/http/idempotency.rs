//! `Idempotency-Key`: a write that was sent before is answered as the first time, and not done again.
//!
//! Invariant: which keys a table has seen is part of the table, so that it outlives a restart as far as the rows do. That a key was
//! used for another table is known since the start of the server, for the last [`MAX_KEYS`] keys.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use proscenium_actors::ActorError;
use proscenium_engine::hosting::Principal;
use ring::digest::{Context, SHA256};

use crate::load_key::LoadKey;
use crate::wire_errors::{http_error, to_http};

/// The header of a request.
const KEY: &str = "idempotency-key";

/// The header of an answer to a request that was done before.
pub(super) const REPLAYED: &str = "idempotency-replayed";

/// Keys of which it is known for which table they are.
const MAX_KEYS: usize = 10_000;

/// The tables that keys were used for.
#[derive(Debug, Clone, Default)]
pub struct UsedKeys(Arc<Mutex<Used>>);

#[derive(Debug, Default)]
struct Used {
    tables: HashMap<String, String>,
    order: VecDeque<String>,
}

impl UsedKeys {
    /// Notes that a key is used for a table. False: it was used for another.
    fn is_of(&self, key: &LoadKey, table: &str) -> bool {
        let Used { tables, order } = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = tables.get(key.as_str()) {
            return used == table;
        }
        if order.len() >= MAX_KEYS
            && let Some(oldest) = order.pop_front()
        {
            tables.remove(&oldest);
        }
        tables.insert(key.as_str().to_owned(), table.to_owned());
        order.push_back(key.as_str().to_owned());
        true
    }
}

/// The key of a request, if it has one. The error is the response.
pub(super) fn key_of(
    request: &HttpRequest,
    principal: &Principal,
    table: &str,
    used: &UsedKeys,
) -> Result<Option<LoadKey>, Box<HttpResponse>> {
    let Some(value) = request.headers().get(KEY) else { return Ok(None) };
    let key = value.to_str().map_err(|_| "it is no text".to_owned());
    let key = key.and_then(|key| LoadKey::new("http", principal, key)).map_err(|reason| {
        let text = format!("the Idempotency-Key is wrong: {reason}");
        Box::new(http_error(StatusCode::BAD_REQUEST, "bad_option", &text))
    })?;
    match used.is_of(&key, table) {
        true => Ok(Some(key)),
        false => Err(Box::new(to_http(&ActorError::KeyReused, table))),
    }
}

/// What a request is beside its body, for its digest.
pub(super) fn words(request: &HttpRequest) -> String {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let (method, query) = (request.method(), request.query_string());
    format!("{method}\n{query}\n{}\n{}\n", header("content-type"), header("content-encoding"))
}

/// The digest of a request, by which it is known whether it is the same.
pub(super) fn digest(words: &str, body: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(words.as_bytes());
    context.update(body);
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_one_table_and_few_are_kept() {
        let used = UsedKeys::default();
        let key = |number: usize| LoadKey::new("http", &Principal::anonymous(), &number.to_string()).unwrap();
        assert!(used.is_of(&key(0), "a") && used.is_of(&key(0), "a") && !used.is_of(&key(0), "b"));
        for number in 1..=MAX_KEYS {
            assert!(used.is_of(&key(number), "a"));
        }
        assert_eq!(used.0.lock().unwrap().tables.len(), MAX_KEYS);
        assert!(used.is_of(&key(0), "b"));
    }
}
