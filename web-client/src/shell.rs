//! The interface of `js/worker.js`: one [`Engine`] per worker, one [`Connection`] per client.
//!
//! Invariant: no decision is made here. A response is posted through its connection's function. If the function throws
//! (its port is closed), the response is lost, as with a closed socket.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use js_sys::{Function, Uint8Array};
use proscenium_engine::{EngineContext, MemoryAccount};
use proscenium_proto::client_generation::{self, ClientGeneration};
use wasm_bindgen::prelude::*;

use crate::local::{Edit, EditWatch, LocalServer, Outgoing, SessionId};

#[derive(Default)]
struct Inner {
    server: LocalServer,
    /// The functions that post each connection's responses.
    senders: BTreeMap<SessionId, Function>,
    /// The functions that receive each subscription's edits.
    watchers: BTreeMap<EditWatch, Function>,
}

/// The engine of one worker, with all its tables.
#[wasm_bindgen]
#[derive(Default)]
pub struct Engine {
    inner: Rc<RefCell<Inner>>,
}

/// A client's connection to the worker; dropping it closes the client's views.
#[wasm_bindgen]
pub struct Connection {
    inner: Rc<RefCell<Inner>>,
    session: SessionId,
}

#[wasm_bindgen]
impl Engine {
    /// Creates an engine without tables.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Engine {
        Engine::default()
    }

    /// Opens a connection; `send` is called with each response, a new `Uint8Array`. `client` is the client's version,
    /// `5.5` or `5.6`. Without a valid version, the newest one published for browsers is assumed until a request shows
    /// another.
    pub fn connect(&self, send: Function, client: Option<String>) -> Connection {
        let mut inner = self.inner.borrow_mut();
        let session = match client.as_deref().map(client_generation::parse) {
            Some(Ok(generation)) => inner.server.connect_as(ClientGeneration::known(generation)),
            Some(Err(_)) | None => inner.server.connect(),
        };
        inner.senders.insert(session, send);
        Connection { inner: self.inner.clone(), session }
    }

    /// Calls `on_edit(format, data)` for every update of `table` through a port other than 0 and `feed_port`.
    #[wasm_bindgen(js_name = watchEdits)]
    pub fn watch_edits(&self, table: String, feed_port: u32, on_edit: Function) {
        let mut inner = self.inner.borrow_mut();
        let watch = inner.server.watch_edits(table, feed_port);
        inner.watchers.insert(watch, on_edit);
    }
}

#[wasm_bindgen]
impl Connection {
    /// Handles one request: posts its reply and all notifications that it causes.
    pub fn handle(&self, request: &[u8]) {
        let mut inner = self.inner.borrow_mut();
        inner.server.set_context(EngineContext {
            now_ms: js_sys::Date::now() as i64,
            threads: 1,
            seed: (js_sys::Math::random() * (1_u64 << 53) as f64) as u64,
            memory: MemoryAccount::unlimited(),
        });
        let outgoing = inner.server.handle(self.session, Bytes::copy_from_slice(request));
        let edits = inner.server.take_edits();
        let calls: Vec<(Function, Outgoing)> = outgoing
            .into_iter()
            .filter_map(|message| Some((inner.senders.get(&message.session)?.clone(), message)))
            .collect();
        let edits: Vec<(Function, Edit)> = edits
            .into_iter()
            .filter_map(|edit| Some((inner.watchers.get(&edit.watch)?.clone(), edit)))
            .collect();
        // The functions may call back into this engine.
        drop(inner);
        for (send, message) in calls {
            let _ = send.call1(&JsValue::NULL, &Uint8Array::from(&message.frame[..]));
        }
        for (on_edit, edit) in edits {
            let data = Uint8Array::from(&edit.data[..]);
            let _ = on_edit.call2(&JsValue::NULL, &edit.format.into(), &data);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut inner = self.inner.borrow_mut();
        inner.senders.remove(&self.session);
        inner.server.disconnect(self.session);
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.session)
    }
}
