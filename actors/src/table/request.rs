//! Commands of clients: the one way by which anything outside reads or changes a table or its views.
//!
//! Invariant: each command is handled by one function, in the table's order, and gets one answer.

use actix::prelude::*;
use proscenium_engine::hosting::{Answer, TableCommand, ViewCommand};

use super::{Receive, TableActor};
use crate::caller::Caller;
use crate::error::ActorError;
use crate::mailbox::{Done, Reply};

/// A command about a table or one of its views.
pub struct TableRequest {
    /// The sender.
    pub caller: Caller,
    /// The command.
    pub command: TargetCommand,
    /// Receives the answer.
    pub reply: Reply<Answer>,
    /// Dropped once the message is handled; for a lazy deletion this may be long before the answer.
    pub handled: Done,
}

/// A command and its target within the table.
#[derive(Debug)]
pub enum TargetCommand {
    /// About the table.
    Table(TableCommand),
    /// About the view with this id.
    View(String, ViewCommand),
}

impl TargetCommand {
    /// Whether the command has an effect that remains when its sender is gone.
    fn outlives_caller(&self) -> bool {
        match self {
            TargetCommand::Table(command) => match command {
                TableCommand::Write(_) | TableCommand::Delete { .. } => true,
                TableCommand::GetSchema
                | TableCommand::GetSize
                | TableCommand::GetSnapshot
                | TableCommand::MakePort
                | TableCommand::ValidateExpressions(_)
                | TableCommand::DescribeView(_)
                | TableCommand::OpenView { .. }
                | TableCommand::WatchDeletion
                | TableCommand::UnwatchDeletion { .. } => false,
            },
            // Its views and subscriptions end with it.
            TargetCommand::View(..) => false,
        }
    }
}

impl std::fmt::Debug for TableRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TableRequest({:?})", self.command)
    }
}

impl Receive<TableRequest> for TableActor {
    fn receive(&mut self, request: TableRequest, ctx: &mut Context<Self>) {
        let TableRequest { caller, command, reply, handled } = request;
        // What a client that left has asked for is not worked on. What it has written counts.
        if caller.is_gone() && !command.outlives_caller() {
            return;
        }
        match command {
            TargetCommand::Table(command) => self.handle_table_command(command, &caller, reply, ctx),
            TargetCommand::View(view_id, command) => {
                self.handle_view_command(&view_id, command, &caller, reply, ctx);
            }
        }
        drop(handled);
    }
}

impl TableActor {
    fn handle_table_command(
        &mut self,
        command: TableCommand,
        caller: &Caller,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        match command {
            TableCommand::GetSchema => reply.send(Ok(Answer::TableSchema(self.table.schema().clone()))),
            TableCommand::GetSize => reply.send(Ok(Answer::TableSize(self.table.num_rows()))),
            TableCommand::GetSnapshot => reply.send(Ok(Answer::Snapshot(self.table.snapshot()))),
            TableCommand::MakePort => reply.send(Ok(Answer::Port(self.table.make_port()))),
            TableCommand::ValidateExpressions(expressions) => {
                reply.send(Ok(Answer::of_expressions(expressions, &self.table)));
            }
            TableCommand::DescribeView(config) => reply.send(Ok(Answer::of_config(&config, &self.table))),
            TableCommand::Write(write) => self.write(write, caller, reply, ctx),
            TableCommand::OpenView { view_id, config } => {
                reply.send(self.open(&view_id, &config, caller, ctx));
            }
            TableCommand::WatchDeletion => reply.send(self.watch_deletion(caller)),
            TableCommand::UnwatchDeletion { subscription } => {
                self.unwatch_deletion(caller, subscription);
                reply.send(Ok(Answer::DeletionUnwatched));
            }
            TableCommand::Delete { lazy } => self.delete(lazy, reply, ctx),
        }
    }

    fn handle_view_command(
        &mut self,
        view_id: &str,
        command: ViewCommand,
        caller: &Caller,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        let Some(id) = self.host.views.find(view_id) else {
            return reply.send(command.answer_if_missing().ok_or(ActorError::ViewNotFound));
        };
        match command {
            ViewCommand::Close => self.close(view_id, reply, ctx),
            ViewCommand::GetSchema => reply.send(self.plan_of(id).map(Answer::ViewSchema)),
            ViewCommand::GetExpressionSchema => reply.send(self.plan_of(id).map(Answer::ExpressionSchema)),
            ViewCommand::GetConfig => reply.send(self.plan_of(id).map(Answer::ViewConfig)),
            ViewCommand::Subscribe(topic) => reply.send(self.subscribe(id, topic, caller)),
            ViewCommand::Unsubscribe { topic, subscription } => {
                reply.send(self.unsubscribe(id, topic, caller, subscription));
            }
            ViewCommand::Read(read) => self.read(id, read, reply, ctx),
            ViewCommand::Slice(slice) => self.slice(id, slice, caller, reply, ctx),
        }
    }
}
