//! Requests about tables.

use bytes::Bytes;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::describe::describe;
use proscenium_engine::table::Table;
use proscenium_engine::{EngineContext, EngineError, TableData, WriteOptions};
use proscenium_proto::generated::{
    MakeTableReq, MakeTableResp, TableDeleteResp, TableMakePortResp, TableOnDeleteResp,
    TableRemoveDeleteResp, TableRemoveReq, TableRemoveResp, TableReplaceReq, TableReplaceResp,
    TableSchemaResp, TableSizeResp, TableUpdateReq, TableUpdateResp,
};
use proscenium_proto::translate::data::{self, Source};
use proscenium_proto::translate::{self, error, view_config};
use proscenium_proto::{ClientReq, ClientResp};

use super::{Call, Edit, LocalServer, Reply, SessionId, Subscriber, derived};

/// A table and the subscribers to its deletion.
#[derive(Debug)]
pub(super) struct Hosted {
    pub(super) table: Table,
    /// The tables that it is derived of; empty for a table that clients write.
    pub(super) sources: Vec<derived::Source>,
    /// In creation order, which is the order in which their subscribers are notified.
    pub(super) views: Vec<String>,
    on_delete: Vec<Subscriber>,
    /// Pending requests to delete it with its last view.
    pub(super) deletions: Vec<Subscriber>,
}

impl Hosted {
    pub(super) fn forget(&mut self, session: SessionId) {
        self.on_delete.retain(|subscriber| subscriber.session != session);
    }
}

impl LocalServer {
    pub(super) fn make_table(&mut self, call: &Call, request: MakeTableReq) -> Reply {
        let options = request.options.unwrap_or_default();
        let source = match data::from_wire(request.data) {
            Ok(Some(Source::Data(data))) => data,
            Ok(Some(Source::View(view_id))) => return self.make_derived(call, &view_id, options),
            Ok(None) => return EngineError::table("MakeTableReq malformed").into(),
            Err(error) => return error.into(),
        };
        if options.view_schema.is_some() {
            return EngineError::table("`schema` is only valid when making a Table from a View").into();
        }
        if let Some(taken) = self.name_is_taken(call) {
            return taken;
        }
        match Table::create_in(&source, data::options_from_wire(&options), &self.context) {
            Ok(table) => self.host(call, table, Vec::new(), ClientResp::MakeTableResp(MakeTableResp {})),
            Err(error) => error.into(),
        }
    }

    pub(super) fn name_is_taken(&self, call: &Call) -> Option<Reply> {
        let taken = self.tables.contains_key(&call.entity_id);
        taken.then(|| EngineError::table(format!("Table \"{}\" already exists", call.entity_id)).into())
    }

    /// Hosts a new table, sends the reply and notifies the subscribers to the list of tables.
    pub(super) fn host(
        &mut self,
        call: &Call,
        table: Table,
        sources: Vec<derived::Source>,
        made: ClientResp,
    ) -> Reply {
        let (views, on_delete, deletions) = (Vec::new(), Vec::new(), Vec::new());
        self.tables.insert(call.entity_id.clone(), Hosted { table, sources, views, on_delete, deletions });
        self.respond(call, made);
        self.announce();
        Reply::Nothing
    }

    /// Requests about one table that have no effect on other clients.
    pub(super) fn handle_table_request(&mut self, call: &Call, request: ClientReq) -> Reply {
        let Some(hosted) = self.tables.get_mut(&call.entity_id) else {
            // A subscription to a table that does not exist gets no reply.
            let is_subscription = matches!(request, ClientReq::TableOnDeleteReq(_));
            return if is_subscription { Reply::Nothing } else { Reply::now(error::table_not_found()) };
        };
        let table = &mut hosted.table;
        Reply::now(match request {
            ClientReq::TableMakePortReq(_) => {
                ClientResp::TableMakePortResp(TableMakePortResp { port_id: table.make_port() })
            }
            ClientReq::TableSchemaReq(_) => {
                let schema = translate::schema::to_wire(table.schema());
                ClientResp::TableSchemaResp(TableSchemaResp { schema: Some(schema) })
            }
            ClientReq::TableSizeReq(_) => {
                let size = u32::try_from(table.num_rows()).unwrap_or(u32::MAX);
                ClientResp::TableSizeResp(TableSizeResp { size })
            }
            ClientReq::TableValidateExprReq(request) => {
                let expressions = request.column_to_expr;
                let config = ViewConfig {
                    columns: Some(Vec::new()),
                    expressions: expressions.clone(),
                    ..ViewConfig::default()
                };
                let description = describe(&config, table.schema(), table.index());
                ClientResp::TableValidateExprResp(translate::describe::expressions_to_wire(
                    expressions,
                    &description,
                ))
            }
            ClientReq::TableDescribeReq(request) => {
                match view_config::from_wire(request.config, call.client.generation()) {
                    Ok(config) => {
                        let description = describe(&config, table.schema(), table.index());
                        ClientResp::TableDescribeResp(translate::describe::to_wire(&description))
                    }
                    Err(error) => error::to_wire(&error),
                }
            }
            ClientReq::TableOnDeleteReq(_) => {
                hosted.on_delete.push(call.subscriber);
                return Reply::Nothing;
            }
            _ => error::unhandled(),
        })
    }

    pub(super) fn table_remove_delete(&mut self, call: &Call, id: u32) -> Reply {
        if let Some(hosted) = self.tables.get_mut(&call.entity_id) {
            let ended = Subscriber { msg_id: id, ..call.subscriber };
            hosted.on_delete.retain(|subscriber| *subscriber != ended);
        }
        Reply::now(ClientResp::TableRemoveDeleteResp(TableRemoveDeleteResp {}))
    }

    pub(super) fn table_update(&mut self, call: &Call, request: TableUpdateReq) -> Reply {
        let port_id = request.port_id;
        let data = match source("TableUpdateReq", data::from_wire(request.data)) {
            Ok(data) => data,
            Err(error) => return error.into(),
        };
        let Some(hosted) = self.tables.get_mut(&call.entity_id) else {
            return Reply::now(error::table_not_found());
        };
        let delta = match hosted.table.update_with(&data, port_id, &WriteOptions::default(), &self.context) {
            Ok(delta) => delta,
            Err(error) => return error.into(),
        };
        self.respond(call, ClientResp::TableUpdateResp(TableUpdateResp {}));
        if let Some(delta) = delta {
            self.keep_edit(&call.entity_id, port_id, &data);
            self.changed(&call.entity_id, &delta);
        }
        Reply::Nothing
    }

    pub(super) fn table_replace(&mut self, call: &Call, request: TableReplaceReq) -> Reply {
        let data = match source("TableReplaceReq", data::from_wire(request.data)) {
            Ok(data) => data,
            Err(error) => return error.into(),
        };
        let done = ClientResp::TableReplaceResp(TableReplaceResp {});
        self.write(call, done, |table, context| {
            table.replace_with(&data, &WriteOptions::default(), context).map(Some)
        })
    }

    pub(super) fn table_remove(&mut self, call: &Call, request: TableRemoveReq) -> Reply {
        let data = match source("TableRemoveReq", data::from_wire(request.data)) {
            Ok(data) => data,
            Err(error) => return error.into(),
        };
        let done = ClientResp::TableRemoveResp(TableRemoveResp {});
        self.write(call, done, |table, context| table.remove_with(&data, context))
    }

    fn write(
        &mut self,
        call: &Call,
        done: ClientResp,
        write: impl FnOnce(&mut Table, &EngineContext) -> proscenium_engine::Result<Option<TableDelta>>,
    ) -> Reply {
        let Some(hosted) = self.tables.get_mut(&call.entity_id) else {
            return Reply::now(error::table_not_found());
        };
        match write(&mut hosted.table, &self.context) {
            Ok(delta) => {
                self.respond(call, done);
                if let Some(delta) = delta {
                    self.changed(&call.entity_id, &delta);
                }
                Reply::Nothing
            }
            Err(error) => error.into(),
        }
    }

    fn keep_edit(&mut self, table: &str, port_id: u32, data: &TableData) {
        if port_id == 0 {
            return;
        }
        let (format, bytes): (_, &[u8]) = match data {
            TableData::Rows(text) => ("json", text.as_bytes()),
            TableData::Columns(text) => ("columns", text.as_bytes()),
            TableData::Ndjson(text) => ("ndjson", text.as_bytes()),
            TableData::Csv(bytes) | TableData::Delimited(bytes, _) => ("csv", &bytes[..]),
            TableData::Arrow(bytes) => ("arrow", bytes),
            TableData::Schema(_) | TableData::Batches(..) | TableData::Stream(_) => return,
        };
        for (watch, watched, feed_port) in &self.edit_watches {
            if watched == table && *feed_port != port_id {
                self.edits.push(Edit { watch: *watch, format, data: Bytes::copy_from_slice(bytes) });
            }
        }
    }

    pub(super) fn table_delete(&mut self, call: &Call, is_immediate: bool) -> Reply {
        if let Some(join) = derived::join_of(&self.tables, &call.entity_id) {
            let message = format!("Cannot delete table: it is a source for join table \"{join}\"");
            return EngineError::table(message).into();
        }
        let Some(hosted) = self.tables.get_mut(&call.entity_id) else {
            return Reply::now(ClientResp::TableDeleteResp(TableDeleteResp {}));
        };
        if hosted.views.is_empty() {
            hosted.deletions.push(call.subscriber);
            self.finish_lazy_deletions();
        } else if is_immediate {
            return EngineError::table("Cannot delete table with views").into();
        } else {
            hosted.deletions.push(call.subscriber);
            self.announce();
        }
        Reply::Nothing
    }

    /// Completes the pending deletions of tables without views.
    pub(super) fn finish_lazy_deletions(&mut self) {
        let is_due = |hosted: &Hosted| hosted.views.is_empty() && !hosted.deletions.is_empty();
        let due: Vec<String> =
            self.tables.iter().filter(|(_, hosted)| is_due(hosted)).map(|(name, _)| name.clone()).collect();
        for name in due {
            let Some(hosted) = self.tables.remove(&name) else { continue };
            // Tables derived of it keep their rows.
            derived::forget_source(&mut self.tables, &name);
            for subscriber in hosted.on_delete {
                self.send(subscriber, &name, ClientResp::TableOnDeleteResp(TableOnDeleteResp {}));
            }
            for subscriber in hosted.deletions {
                self.send(subscriber, &name, ClientResp::TableDeleteResp(TableDeleteResp {}));
            }
            self.edit_watches.retain(|(_, watched, _)| *watched != name);
            self.announce();
        }
    }
}

fn source(
    request: &str,
    read: proscenium_engine::Result<Option<Source>>,
) -> proscenium_engine::Result<TableData> {
    match read? {
        Some(Source::Data(data)) => Ok(data),
        Some(Source::View(_)) | None => Err(EngineError::table(format!("{request} malformed"))),
    }
}
