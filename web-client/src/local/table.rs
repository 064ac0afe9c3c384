//! Commands about a table, and what a change of its rows causes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::hosting::{Answer, Deletion, HandleId, SharedId, TableCommand, TableHost, Write};
use proscenium_engine::table::{JoinSide, Table};
use proscenium_engine::view::{Handle, View, ViewDelta, removed_keys_arrow};
use proscenium_proto::translate::delta as notification;

use super::{CommandError, Executed, LocalServer, Request, SessionId, Subscriber, message};

/// A table and its surroundings.
#[derive(Debug)]
pub(super) struct HostedTable {
    pub(super) table: Table,
    pub(super) host: TableHost<Subscriber, View, Handle, FollowerLink, Subscriber>,
    /// Subscribers to the deletion of the table.
    pub(super) on_delete: Vec<Subscriber>,
}

/// A table that is derived of another.
#[derive(Debug, Clone)]
pub(super) struct FollowerLink {
    pub(super) table: String,
    /// Which side of a join the source is.
    pub(super) side: Option<JoinSide>,
}

impl HostedTable {
    pub(super) fn new(table: Table) -> HostedTable {
        HostedTable { table, host: TableHost::default(), on_delete: Vec::new() }
    }

    /// Ends the subscriptions of a closed connection and closes its views, whose ids are returned.
    pub(super) fn forget_session(&mut self, session: SessionId) -> Vec<Arc<str>> {
        self.on_delete.retain(|subscriber| subscriber.session != session);
        let owned = self.host.views.handles_of(session);
        let closed =
            owned.into_iter().filter_map(|id| self.host.close(id)).map(|closed| closed.handle.view_id);
        let closed = closed.collect();
        self.host.views.forget_subscriber(session);
        closed
    }
}

impl LocalServer {
    pub(super) fn execute_table_command(&mut self, request: &Request, command: TableCommand) -> Executed {
        let Some(hosted) = self.directory.get_mut(&request.entity_id) else {
            return command.answer_if_missing().map(Some).ok_or(CommandError::TableNotFound);
        };
        let table = &mut hosted.table;
        Ok(Some(match command {
            TableCommand::GetSchema => Answer::TableSchema(table.schema().clone()),
            TableCommand::GetSize => Answer::TableSize(table.num_rows()),
            TableCommand::GetSnapshot => Answer::Snapshot(table.snapshot()),
            TableCommand::MakePort => Answer::Port(table.make_port()),
            TableCommand::ValidateExpressions(expressions) => Answer::of_expressions(expressions, table),
            TableCommand::DescribeView(config) => Answer::of_config(&config, table),
            TableCommand::Write(write) => return self.write(request, write),
            TableCommand::OpenView { view_id, config } => return self.open_view(request, view_id, &config),
            TableCommand::WatchDeletion => {
                hosted.on_delete.push(request.from);
                Answer::Subscribed
            }
            TableCommand::UnwatchDeletion { subscription } => {
                let ended = Subscriber { msg_id: subscription, ..request.from };
                hosted.on_delete.retain(|subscriber| *subscriber != ended);
                Answer::DeletionUnwatched
            }
            TableCommand::Delete { lazy } => return self.delete_table(request, lazy),
        }))
    }

    /// Applies a write; the answer precedes the notifications that it causes.
    fn write(&mut self, request: &Request, write: Write) -> Executed {
        let name = &request.entity_id;
        let hosted = self.directory.get_mut(name).ok_or(CommandError::TableNotFound)?;
        let (answer, delta) = match &write {
            Write::Update { data, port_id, options } => {
                let delta = hosted.table.update_with(data, *port_id, options, &self.context)?;
                if delta.is_some() {
                    self.edits.note(name, *port_id, data);
                }
                (Answer::Updated(None), delta)
            }
            Write::Replace { data, options } => {
                (Answer::Replaced(None), Some(hosted.table.replace_with(data, options, &self.context)?))
            }
            Write::Remove { data } => (Answer::Removed(None), hosted.table.remove_with(data, &self.context)?),
        };
        self.answer(request.from, name, answer);
        if let Some(delta) = delta {
            self.changed(name, &delta);
        }
        Ok(None)
    }

    fn delete_table(&mut self, request: &Request, lazy: bool) -> Executed {
        let hosted = self.directory.get_mut(&request.entity_id).ok_or(CommandError::TableNotFound)?;
        match hosted.host.delete(lazy, request.from) {
            Ok(Deletion::Due) => self.delete_due_tables(),
            Ok(Deletion::Deferred) => {
                self.directory.unlist(&request.entity_id);
                self.announce();
            }
            Err((_, error)) => return Err(error.into()),
        }
        Ok(None)
    }

    /// Steps the table's views and notifies their subscribers: for each view removed keys before the update. Then
    /// updates the tables derived of the table.
    fn changed(&mut self, table: &str, delta: &TableDelta) {
        let Some(HostedTable { table: changed, host, .. }) = self.directory.get_mut(table) else { return };
        let index = changed.index();
        let views = &mut host.views;
        let steps: BTreeMap<SharedId, ViewDelta> =
            views.all_shared_mut().map(|(id, view)| (id, view.step(delta))).collect();
        let ids: Vec<HandleId> = views.handles().map(|(id, _)| id).collect();
        for id in ids {
            let Some((handle, view)) = views.handle_and_view(id) else { continue };
            let subscriptions = &handle.subscriptions;
            if let Some(index) = index.filter(|_| !subscriptions.on_remove.is_empty())
                && let Ok(Some(keys)) = removed_keys_arrow(delta, index)
            {
                let keys = Bytes::from(keys);
                for subscriber in &subscriptions.on_remove {
                    let removed = notification::removed(delta.port_id, keys.clone());
                    self.outgoing.push(message(*subscriber, &handle.view_id, removed));
                }
            }
            let rows = match steps.get(&handle.shared) {
                Some(step) if subscriptions.wants_rows() && !subscriptions.on_update.is_empty() => {
                    view.row_delta(&mut handle.state, step).ok().map(Bytes::from)
                }
                Some(_) | None => None,
            };
            for subscriber in &subscriptions.on_update {
                let updated = notification::updated(delta.port_id, rows.clone());
                self.outgoing.push(message(*subscriber, &handle.view_id, updated));
            }
        }
        let followers: Vec<FollowerLink> = host.followers.links().cloned().collect();
        for FollowerLink { table, side } in followers {
            let Some(hosted) = self.directory.get_mut(&table) else { continue };
            let followed = match side {
                None => hosted.table.follow(delta, &self.context),
                Some(side) => hosted.table.follow_side(side, delta, &self.context),
            };
            if let Some(delta) = followed.expect("the browser's account of memory is unlimited") {
                self.changed(&table, &delta);
            }
        }
    }
}
