//! The list of tables: creating them, listing them, and deleting those that are due.
//!
//! Invariant: a derived table is updated within the request that changes its source, after the source's views; so it is
//! always up to date.

use proscenium_engine::error::HostingError;
use proscenium_engine::hosting::{Answer, Follower, HandleId, TableOrigin};
use proscenium_engine::table::{JoinSide, Table};
use proscenium_engine::view::Plan;
use proscenium_engine::{EngineError, Result};
use proscenium_proto::ClientResp;
use proscenium_proto::generated::TableOnDeleteResp;
use proscenium_proto::{frame, response};

use super::table::{FollowerLink, HostedTable};
use super::{Executed, LocalServer, Outgoing, Request, Subscriber};

/// A source of a new derived table: its name, and what must not be deleted while the derived table exists.
struct Source {
    table: String,
    side: Option<JoinSide>,
    view: Option<HandleId>,
}

impl LocalServer {
    pub(super) fn create_table(&mut self, request: &Request, origin: TableOrigin) -> Executed {
        let name = self.directory.reserve(&request.entity_id)?;
        let (table, sources, answer) = match self.make(origin) {
            Ok(made) => made,
            Err(error) => {
                self.directory.release(&name);
                return Err(error.into());
            }
        };
        for Source { table, side, view } in sources {
            let join = side.is_some().then(|| name.to_string());
            let link = FollowerLink { table: name.to_string(), side };
            if let Some(source) = self.directory.get_mut(&table) {
                source.host.followers.add(Follower { view, join, link });
            }
        }
        let (index, limit) = (table.index().map(str::to_owned), table.limit());
        self.directory.host(name, HostedTable::new(table), index, limit);
        self.answer(request.from, &request.entity_id, answer);
        self.announce();
        Ok(None)
    }

    fn make(&self, origin: TableOrigin) -> Result<(Table, Vec<Source>, Answer)> {
        Ok(match origin {
            TableOrigin::Data { data, options } => {
                (Table::create_in(&data, options, &self.context)?, Vec::new(), Answer::TableCreated(None))
            }
            TableOrigin::View { view_id, columns } => {
                let found = self.directory.table_of_view(&view_id);
                let source = found.and_then(|name| Some((name.to_string(), self.directory.get(name)?)));
                let no_view = || EngineError::from(HostingError::NoSourceView { view_id: view_id.clone() });
                let (source, hosted) = source.ok_or_else(no_view)?;
                let view = hosted.host.views.find(&view_id).ok_or_else(no_view)?;
                let plan = hosted.host.views.handle(view).ok_or_else(no_view)?.plan.clone();
                let (snapshot, limit) = (hosted.table.snapshot(), hosted.table.limit());
                let plan = Plan::clone(&plan);
                let table = Table::derive(plan, &snapshot, limit, columns.as_deref(), &self.context)?;
                let source = Source { table: source, side: None, view: Some(view) };
                (table, vec![source], Answer::TableCreated(None))
            }
            TableOrigin::Join { left, right, spec } => {
                let snapshot = |name: &str| match self.directory.get(name) {
                    Some(hosted) => Ok(hosted.table.snapshot()),
                    None => Err(EngineError::from(HostingError::NoSourceTable { name: name.to_owned() })),
                };
                let table = Table::join(&snapshot(&left)?, &snapshot(&right)?, &spec, &self.context)?;
                let sides = [(left, JoinSide::Left), (right, JoinSide::Right)];
                let source = |(table, side)| Source { table, side: Some(side), view: None };
                (table, sides.map(source).into(), Answer::JoinCreated)
            }
        })
    }

    /// Deletes the tables whose deletion waited for their last view.
    pub(super) fn delete_due_tables(&mut self) {
        let tables = self.directory.tables_mut();
        let due: Vec<_> =
            tables.filter_map(|(name, hosted)| Some((name.clone(), hosted.host.take_due()?))).collect();
        for (name, requests) in due {
            let Some(hosted) = self.directory.remove(&name, |_| true) else { continue };
            // Tables derived of it keep their rows.
            for (_, other) in self.directory.tables_mut() {
                other.host.followers.retain(|link| *link.table != *name);
            }
            for subscriber in hosted.on_delete {
                self.send(subscriber, &name, ClientResp::TableOnDeleteResp(TableOnDeleteResp {}));
            }
            for request in requests {
                self.answer(request, &name, Answer::TableDeleted);
            }
            self.edits.forget_table(&name);
            self.announce();
        }
    }

    /// Notifies the subscribers to the list of tables.
    pub(super) fn announce(&mut self) {
        for &Subscriber { session, msg_id } in self.directory.watchers() {
            let frame = frame::encode(&response::hosted_tables_changed(msg_id));
            self.outgoing.push(Outgoing { session, frame });
        }
    }
}
