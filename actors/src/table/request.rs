//! Commands of clients: the one way by which anything outside reads or changes a table or its views.
//!
//! Invariant: each command is handled by one function, in the table's order, and gets one answer.

use actix::prelude::*;
use proscenium_engine::hosting::{Answer, TableCommand, ViewCommand};
use proscenium_engine::table::Table;

use super::{MessageOrder, Receive, TableActor};
use crate::caller::Caller;
use crate::error::Result;
use crate::mailbox::{Done, Reply};
use crate::tuning;
use crate::workers::JobOwner;

/// A command about a table or one of its views.
pub struct TableRequest {
    /// The sender.
    pub caller: Caller,
    /// The command.
    pub command: TargetCommand,
    /// Receives the answer.
    pub reply: Reply<Answer>,
    /// Dropped once the message is handled, which may be long before the answer: of a lazy deletion, or of a write, which then
    /// has its place in the table's order, and can be refused by the disk only.
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
    /// The name of the step in the metrics.
    fn step(&self) -> &'static str {
        match self {
            TargetCommand::Table(command) => match command {
                TableCommand::Write(_) => "write",
                TableCommand::Delete { .. } => "delete",
                TableCommand::OpenView { .. } => "open_view",
                TableCommand::ValidateExpressions(_) | TableCommand::DescribeView(_) => "describe",
                TableCommand::GetSchema
                | TableCommand::GetSize
                | TableCommand::GetSnapshot
                | TableCommand::MakePort
                | TableCommand::WatchDeletion
                | TableCommand::UnwatchDeletion { .. } => "ask",
            },
            TargetCommand::View(_, command) => match command {
                ViewCommand::Close => "close_view",
                ViewCommand::Subscribe(_) | ViewCommand::Unsubscribe { .. } => "subscribe",
                ViewCommand::GetSchema
                | ViewCommand::GetExpressionSchema
                | ViewCommand::GetConfig
                | ViewCommand::Read(_)
                | ViewCommand::Slice(_) => "read",
            },
        }
    }

    /// Whether the command changes the table. Such a command has an effect that remains when its sender is gone.
    fn changes_table(&self) -> bool {
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
    fn order(message: &TableRequest) -> MessageOrder {
        match message.command.changes_table() {
            true => MessageOrder::Write(message.caller.session),
            false => MessageOrder::OfSession(message.caller.session),
        }
    }

    fn step(message: &TableRequest) -> &'static str {
        message.command.step()
    }

    fn receive(&mut self, request: TableRequest, ctx: &mut Context<Self>) {
        let TableRequest { mut caller, command, reply, handled } = request;
        // What a client that left has asked for is not worked on. What it has written counts.
        if caller.is_gone() && !command.changes_table() {
            return;
        }
        if let Err(error) = self.judge_again(&mut caller, &command) {
            return reply.send(Err(error));
        }
        match command {
            TargetCommand::Table(TableCommand::Write(write)) => {
                self.write(write, &caller, reply, handled, ctx)
            }
            TargetCommand::Table(command) => {
                self.handle_table_command(command, caller, reply, ctx);
                drop(handled);
            }
            TargetCommand::View(view_id, command) => {
                self.handle_view_command(&view_id, command, &caller, reply, ctx);
                drop(handled);
            }
        }
    }
}

impl TableActor {
    fn handle_table_command(
        &mut self,
        command: TableCommand,
        caller: Caller,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        match command {
            TableCommand::GetSchema => {
                let schema = |table: &mut Table| Answer::TableSchema(table.schema().clone());
                self.answer_within(&caller, 0, schema, reply, ctx);
            }
            TableCommand::GetSize => {
                let size = |table: &mut Table| Answer::TableSize(table.num_rows());
                self.answer_within(&caller, 0, size, reply, ctx);
            }
            TableCommand::GetSnapshot => {
                let snapshot = |table: &mut Table| Answer::Snapshot(table.snapshot());
                self.answer_within(&caller, 0, snapshot, reply, ctx);
            }
            TableCommand::MakePort => reply.send(Ok(Answer::Port(self.table.make_port()))),
            TableCommand::ValidateExpressions(expressions) => {
                let num_items = expressions.values().map(String::len).sum();
                let describe = move |table: &mut Table| Answer::of_expressions(expressions, table);
                self.answer_within(&caller, num_items, describe, reply, ctx);
            }
            TableCommand::DescribeView(config) => {
                let num_items = config.num_items();
                let describe = move |table: &mut Table| Answer::of_config(&config, table);
                self.answer_within(&caller, num_items, describe, reply, ctx);
            }
            TableCommand::Write(write) => self.write(write, &caller, reply, Box::new(()), ctx),
            TableCommand::OpenView { view_id, config } => self.open(view_id, config, caller, reply, ctx),
            TableCommand::WatchDeletion => reply.send(self.watch_deletion(&caller)),
            TableCommand::UnwatchDeletion { subscription } => {
                self.unwatch_deletion(&caller, subscription);
                reply.send(Ok(Answer::DeletionUnwatched));
            }
            TableCommand::Delete { lazy } => self.delete(lazy, reply, ctx),
        }
    }

    /// Answers from what the caller may see of the table. `num_items`: the length of the question; what takes long is done
    /// by a worker.
    fn answer_within(
        &mut self,
        caller: &Caller,
        num_items: usize,
        answer: impl FnOnce(&mut Table) -> Answer + Send + 'static,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        let is_short = num_items + self.table.schema().len() <= tuning::INLINE_PLAN_ITEMS;
        let is_short = is_short && self.has_part(caller.access.as_deref());
        let part = self.part_request(caller);
        let answer = move |table: &mut Table| -> Result<Answer> {
            Ok(match part.of(table)? {
                None => answer(table),
                Some(restricted) => answer(table.part_mut(&restricted)),
            })
        };
        if is_short {
            return reply.send(answer(&mut self.table));
        }
        let owner = JobOwner::of(reply.asker());
        self.lend(owner, answer, move |_, answer, _| reply.send(answer), ctx);
    }

    fn handle_view_command(
        &mut self,
        view_id: &str,
        command: ViewCommand,
        caller: &Caller,
        reply: Reply<Answer>,
        ctx: &mut Context<Self>,
    ) {
        let Some(id) = self.find_view(view_id, caller) else {
            return reply
                .send(command.answer_if_missing().ok_or_else(|| self.context.names.no_view(view_id)));
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
