//! The list of tables: creating them, listing them, and deleting those that are due.
//!
//! Invariant: a derived table is updated within the request that changes its source, after the source's views; so it is
//! always up to date.

use proscenium_engine::EngineError;
use proscenium_engine::hosting::{self, Answer, Follower, HandleId, TableOrigin};
use proscenium_engine::table::{JoinSide, Table};
use proscenium_engine::view::Plan;
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
        let name = &request.entity_id;
        if self.tables.contains_key(name) {
            return Err(EngineError::table(format!("Table \"{name}\" already exists")).into());
        }
        let (table, sources, answer) = match origin {
            TableOrigin::Data { data, options } => {
                (Table::create_in(&data, options, &self.context)?, Vec::new(), Answer::TableCreated)
            }
            TableOrigin::View { view_id, columns } => {
                let found = self.views.get(view_id.as_str());
                let source = found.and_then(|name| Some((name.clone(), self.tables.get(name)?)));
                let no_view = || EngineError::table(format!("View \"{view_id}\" does not exist"));
                let (source, hosted) = source.ok_or_else(no_view)?;
                let view = hosted.host.views.find(&view_id).ok_or_else(no_view)?;
                let plan = hosted.host.views.handle(view).ok_or_else(no_view)?.plan.clone();
                let (snapshot, limit) = (hosted.table.snapshot(), hosted.table.limit());
                let table = Table::derive(Plan::clone(&plan), &snapshot, limit, columns.as_deref())?;
                let source = Source { table: source, side: None, view: Some(view) };
                (table, vec![source], Answer::TableCreated)
            }
            TableOrigin::Join { left, right, spec } => {
                let snapshot = |name: &str| match self.tables.get(name) {
                    Some(hosted) => Ok(hosted.table.snapshot()),
                    None => Err(EngineError::table(format!("Table \"{name}\" not found"))),
                };
                let table = Table::join(&snapshot(&left)?, &snapshot(&right)?, &spec)?;
                let sides = [(left, JoinSide::Left), (right, JoinSide::Right)];
                let source = |(table, side)| Source { table, side: Some(side), view: None };
                (table, sides.map(source).into(), Answer::JoinCreated)
            }
        };
        for Source { table, side, view } in sources {
            let join = side.is_some().then(|| name.clone());
            let link = FollowerLink { table: name.clone(), side };
            if let Some(source) = self.tables.get_mut(&table) {
                source.host.followers.add(Follower { view, join, link });
            }
        }
        self.tables.insert(name.clone(), HostedTable::new(table));
        self.answer(request.from, name, answer);
        self.announce();
        Ok(None)
    }

    pub(super) fn list_tables(&self) -> Answer {
        let listed = self.tables.iter().filter(|(_, hosted)| !hosted.host.is_unlisted());
        let entry = |(name, hosted): (&String, &HostedTable)| hosting::HostedTable {
            name: name.as_str().into(),
            index: hosted.table.index().map(str::to_owned),
            limit: hosted.table.limit(),
        };
        Answer::Tables(listed.map(entry).collect())
    }

    /// Deletes the tables whose deletion waited for their last view.
    pub(super) fn delete_due_tables(&mut self) {
        let due: Vec<(String, Vec<Subscriber>)> = self
            .tables
            .iter_mut()
            .filter_map(|(name, hosted)| Some((name.clone(), hosted.host.take_due()?)))
            .collect();
        for (name, requests) in due {
            let Some(hosted) = self.tables.remove(&name) else { continue };
            // Tables derived of it keep their rows.
            for other in self.tables.values_mut() {
                other.host.followers.retain(|link| link.table != name);
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
        for &Subscriber { session, msg_id } in &self.watchers {
            let frame = frame::encode(&response::hosted_tables_changed(msg_id));
            self.outgoing.push(Outgoing { session, frame });
        }
    }
}
