//! What each command needs: one exhaustive table.
//!
//! Invariant: a new command does not compile until it has a place here.

use proscenium_engine::hosting::{
    CatalogCommand, Command, ServerCommand, TableCommand, TableOrigin, ViewCommand, Write,
};

use crate::config::Right;

/// What a command needs of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// One right.
    One(Right),
    /// Any right that concerns the content of the table.
    Anything,
}

/// What a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs<'a> {
    /// Nothing: its answer is public.
    Nothing,
    /// Some right to something.
    ToBeKnown,
    /// These rights to the table that it is about; what the sender may see of it is that of the first.
    OfTable(&'static [Need]),
    /// To create the table that it names.
    ToCreate,
    /// To create the table that it names, and to read the table of this view.
    ToCreateFromView(&'a str),
    /// To create the table that it names, and to read these two.
    ToJoin(&'a str, &'a str),
}

const READ: &[Need] = &[Need::One(Right::Read)];

impl Need {
    /// The rights of which one is needed, the most usual first.
    pub fn any_of(&self) -> &'static [Right] {
        match self {
            Need::One(Right::Read) => &[Right::Read],
            Need::One(Right::Write) => &[Right::Write],
            Need::One(Right::Remove) => &[Right::Remove],
            Need::One(Right::Create) => &[Right::Create],
            Need::One(Right::Drop) => &[Right::Drop],
            Need::One(Right::Operate) => &[Right::Operate],
            Need::Anything => &[Right::Read, Right::Write, Right::Remove],
        }
    }
}

/// What a command needs.
pub fn needs(command: &Command) -> Needs<'_> {
    match command {
        Command::Server(ServerCommand::GetFeatures) => Needs::Nothing,
        Command::Server(ServerCommand::GetUsage) => Needs::ToBeKnown,
        Command::Catalog(command) => match command {
            CatalogCommand::ListTables
            | CatalogCommand::WatchTables
            | CatalogCommand::UnwatchTables { .. } => Needs::ToBeKnown,
            CatalogCommand::CreateTable(TableOrigin::Data { .. }) => Needs::ToCreate,
            CatalogCommand::CreateTable(TableOrigin::View { view_id, .. }) => {
                Needs::ToCreateFromView(view_id)
            }
            CatalogCommand::CreateTable(TableOrigin::Join { left, right, .. }) => Needs::ToJoin(left, right),
        },
        Command::Table(command) => Needs::OfTable(needs_of_table(command)),
        Command::View(command) => Needs::OfTable(needs_of_view(command)),
    }
}

/// What a command about a table needs of it.
pub fn needs_of_table(command: &TableCommand) -> &'static [Need] {
    match command {
        // The schema, too, is asked for by those who only write; a port is one for edits, but the grid opens one always.
        TableCommand::GetSchema
        | TableCommand::MakePort
        | TableCommand::WatchDeletion
        | TableCommand::UnwatchDeletion { .. } => &[Need::Anything],
        TableCommand::GetSize
        | TableCommand::GetSnapshot
        | TableCommand::ValidateExpressions(_)
        | TableCommand::DescribeView(_)
        | TableCommand::OpenView { .. } => READ,
        TableCommand::Write(Write::Update { .. }) => &[Need::One(Right::Write)],
        TableCommand::Write(Write::Replace { .. }) => &[Need::One(Right::Write), Need::One(Right::Remove)],
        TableCommand::Write(Write::Remove { .. }) => &[Need::One(Right::Remove)],
        TableCommand::Delete { .. } => &[Need::One(Right::Drop)],
    }
}

/// What a command about a view needs of its table.
pub fn needs_of_view(command: &ViewCommand) -> &'static [Need] {
    match command {
        ViewCommand::Close
        | ViewCommand::GetSchema
        | ViewCommand::GetExpressionSchema
        | ViewCommand::GetConfig
        | ViewCommand::Subscribe(_)
        | ViewCommand::Unsubscribe { .. }
        | ViewCommand::Read(_)
        | ViewCommand::Slice(_) => READ,
    }
}
