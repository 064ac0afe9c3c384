//! Derived tables: made from a view, or as a join of two tables.
//!
//! Invariant: a derived table is updated within the request that changes its source, after the source's views; so it is
//! always up to date. Sources cannot form a cycle: a source exists before the tables derived of it.

use std::collections::BTreeMap;

use proscenium_engine::EngineError;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::table::{JoinSide, Table};
use proscenium_engine::view::Plan;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::make_table_req::MakeTableOptions;
use proscenium_proto::generated::{MakeJoinTableReq, MakeJoinTableResp, MakeTableResp};
use proscenium_proto::translate::{join, schema};

use super::table::Hosted;
use super::{Call, LocalServer, Reply};

/// A source of a derived table.
#[derive(Debug)]
pub(super) struct Source {
    table: String,
    /// Which side of a join it is.
    side: Option<JoinSide>,
    /// The view that the table is made from, which may not be closed.
    view: Option<String>,
}

impl LocalServer {
    pub(super) fn make_derived(&mut self, call: &Call, view_id: &str, options: MakeTableOptions) -> Reply {
        if options.make_table_type.is_some() {
            let message = "`index` and `limit` cannot be set on a Table made from a View";
            return EngineError::table(message).into();
        }
        let columns = match options.view_schema.map(schema::from_wire).transpose() {
            Ok(columns) => columns,
            Err(error) => return error.into(),
        };
        if let Some(taken) = self.name_is_taken(call) {
            return taken;
        }
        let found = self.views.get(view_id).and_then(|view| Some((view, self.tables.get(&view.table)?)));
        let Some((view, source)) = found else {
            return EngineError::table(format!("View \"{view_id}\" does not exist")).into();
        };
        let (plan, snapshot) = (Plan::clone(&view.plan), source.table.snapshot());
        let made = Table::derive(plan, &snapshot, source.table.limit(), columns.as_deref());
        let source = Source { table: view.table.clone(), side: None, view: Some(view_id.to_owned()) };
        match made {
            Ok(table) => self.host(call, table, vec![source], ClientResp::MakeTableResp(MakeTableResp {})),
            Err(error) => error.into(),
        }
    }

    pub(super) fn make_join(&mut self, call: &Call, request: MakeJoinTableReq) -> Reply {
        let names = [request.left_table_id.clone(), request.right_table_id.clone()];
        let spec = match join::from_wire(request) {
            Ok(spec) => spec,
            Err(error) => return error.into(),
        };
        if let Some(taken) = self.name_is_taken(call) {
            return taken;
        }
        let mut snapshots = Vec::new();
        for name in &names {
            match self.tables.get(name) {
                Some(hosted) => snapshots.push(hosted.table.snapshot()),
                None => return EngineError::table(format!("Table \"{name}\" not found")).into(),
            }
        }
        let sides = names.into_iter().zip([JoinSide::Left, JoinSide::Right]);
        let sources = sides.map(|(table, side)| Source { table, side: Some(side), view: None }).collect();
        match Table::join(&snapshots[0], &snapshots[1], &spec) {
            Ok(table) => self.host(call, table, sources, ClientResp::MakeJoinTableResp(MakeJoinTableResp {})),
            Err(error) => error.into(),
        }
    }

    /// Applies a delta to the tables derived of the table.
    pub(super) fn update_derived(&mut self, table: &str, delta: &TableDelta) {
        let followers: Vec<(String, Option<JoinSide>)> = self
            .tables
            .iter()
            .flat_map(|(name, hosted)| hosted.sources.iter().map(move |source| (name, source)))
            .filter(|(_, source)| source.table == table)
            .map(|(name, source)| (name.clone(), source.side))
            .collect();
        for (name, side) in followers {
            let Some(hosted) = self.tables.get_mut(&name) else { continue };
            let followed = match side {
                None => hosted.table.follow(delta, &self.context),
                Some(side) => hosted.table.follow_side(side, delta, &self.context),
            };
            if let Some(delta) = followed {
                self.changed(&name, &delta);
            }
        }
    }
}

/// The name of a join that prevents the table's deletion.
pub(super) fn join_of<'a>(tables: &'a BTreeMap<String, Hosted>, table: &str) -> Option<&'a str> {
    let is_joined = |source: &Source| source.table == table && source.side.is_some();
    tables.iter().find(|(_, hosted)| hosted.sources.iter().any(is_joined)).map(|(name, _)| name.as_str())
}

/// Whether a table is made from the view.
pub(super) fn is_source(tables: &BTreeMap<String, Hosted>, view_id: &str) -> bool {
    tables.values().flat_map(|hosted| &hosted.sources).any(|source| source.view.as_deref() == Some(view_id))
}

/// Removes a deleted table from the sources of others.
pub(super) fn forget_source(tables: &mut BTreeMap<String, Hosted>, table: &str) {
    for hosted in tables.values_mut() {
        hosted.sources.retain(|source| source.table != table);
    }
}

/// Removes a closed view from the sources. The tables made from it continue to follow its table.
pub(super) fn forget_view(tables: &mut BTreeMap<String, Hosted>, view_id: &str) {
    let sources = tables.values_mut().flat_map(|hosted| &mut hosted.sources);
    for source in sources.filter(|source| source.view.as_deref() == Some(view_id)) {
        source.view = None;
    }
}
