//! Requests about views, and the notifications of views.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::export::{self, JsonOptions};
use proscenium_engine::view::{Handle, Plan, SharingKey, SliceOptions, View, ViewDelta, removed_keys_arrow};
use proscenium_engine::{EngineError, Result};
use proscenium_proto::generated::{
    TableMakeViewReq, TableMakeViewResp, ViewCollapseResp, ViewDeleteResp, ViewDimensionsResp,
    ViewExpandResp, ViewExpressionSchemaResp, ViewGetConfigResp, ViewGetMinMaxResp, ViewOnDeleteResp,
    ViewRemoveDeleteResp, ViewRemoveOnRemoveResp, ViewRemoveOnUpdateResp, ViewSchemaResp, ViewSetDepthResp,
    ViewToArrowResp, ViewToColumnsStringResp, ViewToCsvResp, ViewToNdjsonStringResp, ViewToRowsStringResp,
};
use proscenium_proto::translate::{self, error, scalar, view_config, viewport};
use proscenium_proto::{ClientReq, ClientResp};

use super::{Call, LocalServer, Reply, SessionId, Subscriber, derived};

/// Identifies a shared view.
pub(super) type SharedId = u64;

/// A view shared by all clients with equal configurations.
#[derive(Debug)]
pub(super) struct SharedView {
    table: String,
    key: SharingKey,
    view: View,
    num_handles: usize,
}

/// A client's view and its subscribers.
#[derive(Debug)]
pub(super) struct OpenView {
    pub(super) table: String,
    /// The connection that opened it; it is closed with that connection.
    pub(super) owner: SessionId,
    /// The plan as requested. Shared plans differ from it in `group_by_depth`, which belongs to the handle.
    pub(super) plan: Arc<Plan>,
    shared: SharedId,
    handle: Handle,
    on_update: Vec<Subscriber>,
    /// Set by the first subscriber that wants the changed rows, never cleared.
    wants_rows: bool,
    on_remove: Vec<Subscriber>,
    on_delete: Vec<Subscriber>,
}

impl OpenView {
    pub(super) fn forget(&mut self, session: SessionId) {
        for subscribers in [&mut self.on_update, &mut self.on_remove, &mut self.on_delete] {
            subscribers.retain(|subscriber| subscriber.session != session);
        }
    }

    fn text(
        &mut self,
        view: &mut View,
        viewport: Option<&proscenium_proto::generated::ViewPort>,
        json: JsonOptions,
        write: impl FnOnce(&export::RowSlice) -> String,
    ) -> String {
        let viewport = viewport::from_wire(viewport);
        let options = SliceOptions { viewport, id: json.id, index: json.index };
        write(&view.slice(&mut self.handle, options).gather())
    }

    fn arrow(
        &mut self,
        view: &mut View,
        request: &proscenium_proto::generated::ViewToArrowReq,
        naming: export::Naming,
    ) -> Result<Vec<u8>> {
        let options = SliceOptions {
            viewport: viewport::from_wire(request.viewport.as_ref()),
            ..SliceOptions::default()
        };
        // An unknown codec is an error, as on a server. A known one is ignored: compression does not pay within one
        // machine, and its writer is broken on 32 bits.
        viewport::compression(request.compression.as_deref())?;
        let window = view.slice(&mut self.handle, options).gather();
        export::arrow(&window, naming, export::Compression::None)
    }
}

impl LocalServer {
    pub(super) fn table_make_view(&mut self, call: &Call, request: TableMakeViewReq) -> Reply {
        let Some(hosted) = self.tables.get_mut(&call.entity_id) else {
            return Reply::now(error::table_not_found());
        };
        let view_id = request.view_id;
        if self.views.contains_key(&view_id) {
            return EngineError::config(format!("View \"{view_id}\" already exists")).into();
        }
        let planned = view_config::from_wire(request.config, call.client.generation())
            .and_then(|config| Ok((config.group_by_depth, hosted.table.plan_in(&config, &self.context)?)));
        let (depth, plan) = match planned {
            Ok(planned) => planned,
            Err(error) => return error.into(),
        };
        let plan = Arc::new(plan);
        let key = plan.sharing_key(hosted.table.version());
        let present =
            self.shared.iter_mut().find(|(_, shared)| shared.table == call.entity_id && shared.key == key);
        let (shared, handle) = match present {
            Some((id, shared)) => {
                shared.num_handles += 1;
                (*id, shared.view.handle(depth))
            }
            None => {
                let view = View::build(plan.clone(), &hosted.table.snapshot());
                let (handle, table) = (view.handle(depth), call.entity_id.clone());
                self.last_shared += 1;
                self.shared.insert(self.last_shared, SharedView { table, key, view, num_handles: 1 });
                (self.last_shared, handle)
            }
        };
        let opened = OpenView {
            table: call.entity_id.clone(),
            owner: call.subscriber.session,
            plan,
            shared,
            handle,
            on_update: Vec::new(),
            wants_rows: false,
            on_remove: Vec::new(),
            on_delete: Vec::new(),
        };
        hosted.views.push(view_id.clone());
        self.views.insert(view_id.clone(), opened);
        Reply::now(ClientResp::TableMakeViewResp(TableMakeViewResp { view_id }))
    }

    pub(super) fn view_delete(&mut self, call: &Call) -> Reply {
        if derived::is_source(&self.tables, &call.entity_id) {
            let message = "Cannot delete view: it is the source for a derived table";
            return EngineError::table(message).into();
        }
        let Some(view) = self.forget_view(&call.entity_id) else {
            return Reply::now(error::view_not_found());
        };
        for subscriber in view.on_delete {
            self.send(subscriber, &call.entity_id, ClientResp::ViewOnDeleteResp(ViewOnDeleteResp {}));
        }
        self.respond(call, ClientResp::ViewDeleteResp(ViewDeleteResp {}));
        self.finish_lazy_deletions();
        Reply::Nothing
    }

    pub(super) fn forget_view(&mut self, view_id: &str) -> Option<OpenView> {
        let view = self.views.remove(view_id)?;
        if let Some(hosted) = self.tables.get_mut(&view.table) {
            hosted.views.retain(|known| known != view_id);
        }
        if let Some(shared) = self.shared.get_mut(&view.shared) {
            shared.num_handles -= 1;
            if shared.num_handles == 0 {
                self.shared.remove(&view.shared);
            }
        }
        derived::forget_view(&mut self.tables, view_id);
        Some(view)
    }

    pub(super) fn handle_view_request(&mut self, call: &Call, request: ClientReq) -> Reply {
        let ended = |id| Subscriber { msg_id: id, ..call.subscriber };
        let found = self.views.get_mut(&call.entity_id);
        let found = found.and_then(|open| Some((self.shared.get_mut(&open.shared)?, open)));
        let Some((SharedView { view, .. }, open)) = found else {
            return match request {
                ClientReq::ViewRemoveOnUpdateReq(_) => {
                    Reply::now(ClientResp::ViewRemoveOnUpdateResp(ViewRemoveOnUpdateResp {}))
                }
                ClientReq::ViewRemoveDeleteReq(_) => {
                    Reply::now(ClientResp::ViewRemoveDeleteResp(ViewRemoveDeleteResp {}))
                }
                ClientReq::ViewOnDeleteReq(_) => Reply::Nothing,
                _ => Reply::now(error::view_not_found()),
            };
        };
        let OpenView { handle, plan, .. } = &mut *open;
        Reply::now(match request {
            ClientReq::ViewOnUpdateReq(request) => {
                if request.mode.is_some() {
                    open.wants_rows = true;
                    view.track_changes(true);
                }
                open.on_update.push(call.subscriber);
                return Reply::Nothing;
            }
            ClientReq::ViewOnRemoveReq(_) => {
                open.on_remove.push(call.subscriber);
                return Reply::Nothing;
            }
            ClientReq::ViewOnDeleteReq(_) => {
                open.on_delete.push(call.subscriber);
                return Reply::Nothing;
            }
            ClientReq::ViewRemoveOnUpdateReq(request) => {
                open.on_update.retain(|subscriber| *subscriber != ended(request.id));
                ClientResp::ViewRemoveOnUpdateResp(ViewRemoveOnUpdateResp {})
            }
            ClientReq::ViewRemoveOnRemoveReq(request) => {
                open.on_remove.retain(|subscriber| *subscriber != ended(request.id));
                ClientResp::ViewRemoveOnRemoveResp(ViewRemoveOnRemoveResp {})
            }
            ClientReq::ViewRemoveDeleteReq(request) => {
                open.on_delete.retain(|subscriber| *subscriber != ended(request.id));
                ClientResp::ViewRemoveDeleteResp(ViewRemoveDeleteResp {})
            }
            ClientReq::ViewDimensionsReq(_) => {
                let found = view.dimensions(handle);
                ClientResp::ViewDimensionsResp(ViewDimensionsResp {
                    num_table_rows: to_u32(found.num_table_rows),
                    num_table_columns: to_u32(found.num_table_columns),
                    num_view_rows: to_u32(found.num_view_rows),
                    num_view_columns: to_u32(found.num_view_columns),
                })
            }
            ClientReq::ViewSchemaReq(_) => {
                let columns = plan.schema();
                let schema = translate::schema::map_to_wire(columns.iter().map(|(name, kind)| (name, kind)));
                ClientResp::ViewSchemaResp(ViewSchemaResp { schema })
            }
            ClientReq::ViewExpressionSchemaReq(_) => {
                let columns = plan.expression_schema();
                let schema = translate::schema::map_to_wire(columns.iter().map(|(name, kind)| (name, kind)));
                ClientResp::ViewExpressionSchemaResp(ViewExpressionSchemaResp { schema })
            }
            ClientReq::ViewGetConfigReq(_) => {
                let config = Some(view_config::to_wire(plan.config()));
                ClientResp::ViewGetConfigResp(ViewGetConfigResp { config })
            }
            ClientReq::ViewColumnPathsReq(request) => {
                let count = view.dimensions(handle).num_view_columns;
                let end = request.end_col.map_or(count, |end| (end as usize).min(count));
                let start = request.start_col.map_or(0, |start| (start as usize).min(end));
                let names = view.column_names(start..end);
                let levels = view.column_paths(start..end);
                ClientResp::ViewColumnPathsResp(translate::column_paths::to_wire(&names, &levels))
            }
            ClientReq::ViewGetMinMaxReq(request) => match view.min_max(handle, &request.column_name) {
                Ok((min, max)) => ClientResp::ViewGetMinMaxResp(ViewGetMinMaxResp {
                    min: Some(scalar::to_wire(&min)),
                    max: Some(scalar::to_wire(&max)),
                }),
                Err(error) => error::to_wire(&error),
            },
            ClientReq::ViewCollapseReq(request) => ClientResp::ViewCollapseResp(ViewCollapseResp {
                num_changed: view.collapse(handle, request.row_index as usize),
            }),
            ClientReq::ViewExpandReq(request) => ClientResp::ViewExpandResp(ViewExpandResp {
                num_changed: view.expand(handle, request.row_index as usize),
            }),
            ClientReq::ViewSetDepthReq(request) => {
                view.set_depth(handle, request.depth);
                ClientResp::ViewSetDepthResp(ViewSetDepthResp {})
            }
            ClientReq::ViewToArrowReq(request) => {
                match open.arrow(view, &request, call.client.naming(request.viewport.as_ref())) {
                    Ok(arrow) => ClientResp::ViewToArrowResp(ViewToArrowResp { arrow: arrow.into() }),
                    Err(error) => error::to_wire(&error),
                }
            }
            ClientReq::ViewToColumnsStringReq(request) => {
                let json = viewport::json_options(request.id, request.index, request.formatted);
                let json_string = open
                    .text(view, request.viewport.as_ref(), json, |window| export::json_columns(window, json));
                ClientResp::ViewToColumnsStringResp(ViewToColumnsStringResp { json_string })
            }
            ClientReq::ViewToRowsStringReq(request) => {
                let json = viewport::json_options(request.id, request.index, request.formatted);
                let json_string = open
                    .text(view, request.viewport.as_ref(), json, |window| export::json_rows(window, json));
                ClientResp::ViewToRowsStringResp(ViewToRowsStringResp { json_string })
            }
            ClientReq::ViewToNdjsonStringReq(request) => {
                let json = viewport::json_options(request.id, request.index, request.formatted);
                let ndjson_string =
                    open.text(view, request.viewport.as_ref(), json, |window| export::ndjson(window, json));
                ClientResp::ViewToNdjsonStringResp(ViewToNdjsonStringResp { ndjson_string })
            }
            ClientReq::ViewToCsvReq(request) => {
                let naming = call.client.csv_naming();
                let csv = open.text(view, request.viewport.as_ref(), JsonOptions::default(), |window| {
                    export::csv(window, naming)
                });
                ClientResp::ViewToCsvResp(ViewToCsvResp { csv })
            }
            _ => error::unhandled(),
        })
    }

    /// Steps the table's views and notifies their subscribers: for each view removed keys before the update. Then
    /// updates the tables derived of the table.
    pub(super) fn changed(&mut self, table: &str, delta: &TableDelta) {
        let Some(hosted) = self.tables.get(table) else { return };
        let index = hosted.table.index().map(str::to_owned);
        let views = hosted.views.clone();
        let of_table = self.shared.iter_mut().filter(|(_, shared)| shared.table == table);
        let steps: BTreeMap<SharedId, ViewDelta> =
            of_table.map(|(id, shared)| (*id, shared.view.step(delta))).collect();
        for view_id in views {
            let Some(open) = self.views.get_mut(&view_id) else { continue };
            let shared = self.shared.get_mut(&open.shared);
            let rows = match (shared, steps.get(&open.shared)) {
                (Some(shared), Some(step)) if open.wants_rows && !open.on_update.is_empty() => {
                    shared.view.row_delta(&mut open.handle, step).ok().map(Bytes::from)
                }
                _ => None,
            };
            let (on_remove, on_update) = (open.on_remove.clone(), open.on_update.clone());
            if let Some(index) = index.as_deref().filter(|_| !on_remove.is_empty())
                && let Ok(Some(keys)) = removed_keys_arrow(delta, index)
            {
                let keys = Bytes::from(keys);
                for subscriber in on_remove {
                    let notification = translate::delta::removed(delta.port_id, keys.clone());
                    self.send(subscriber, &view_id, notification);
                }
            }
            for subscriber in on_update {
                let notification = translate::delta::updated(delta.port_id, rows.clone());
                self.send(subscriber, &view_id, notification);
            }
        }
        self.update_derived(table, delta);
    }
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
