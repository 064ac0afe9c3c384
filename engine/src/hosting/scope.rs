//! What a command must be ordered by, and what happens if its table or view does not exist.
//!
//! Invariant: each command has one scope, one subject and one answer for a missing subject, stated here and nowhere
//! else.

use super::{Answer, CatalogCommand, Command, TableCommand, TableOrigin, Topic, ViewCommand};

/// The tables that a command must be ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// None: it may start at once.
    Free,
    /// The table that it is about.
    Table,
    /// The table of the view that it is about.
    View,
    /// The list of tables, exclusively, because the command creates, deletes or lists tables; with it, exclusively, the
    /// table that it is about (if `entity`), `tables`, and the tables of `views`.
    Catalog {
        /// Whether the command creates or deletes the table that it is about.
        entity: bool,
        /// Names of further tables.
        tables: Vec<String>,
        /// Ids of views whose tables belong to the scope.
        views: Vec<String>,
    },
}

/// The kind of entity that a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The server, or its list of tables.
    Server,
    /// The table whose name is stated beside the command.
    Table,
    /// The view whose id is stated beside the command.
    View,
}

impl Command {
    /// The tables that the command must be ordered by.
    pub fn scope(&self) -> Scope {
        match self {
            Command::Server(_) => Scope::Free,
            Command::Catalog(CatalogCommand::CreateTable(origin)) => {
                let (tables, views) = match origin {
                    TableOrigin::Data { .. } => (Vec::new(), Vec::new()),
                    TableOrigin::View { view_id, .. } => (Vec::new(), vec![view_id.clone()]),
                    TableOrigin::Join { left, right, .. } => (vec![left.clone(), right.clone()], Vec::new()),
                };
                Scope::Catalog { entity: true, tables, views }
            }
            Command::Catalog(
                CatalogCommand::ListTables
                | CatalogCommand::WatchTables
                | CatalogCommand::UnwatchTables { .. },
            ) => Scope::Catalog { entity: false, tables: Vec::new(), views: Vec::new() },
            Command::Table(TableCommand::Delete { .. }) => {
                Scope::Catalog { entity: true, tables: Vec::new(), views: Vec::new() }
            }
            Command::Table(_) => Scope::Table,
            Command::View(_) => Scope::View,
        }
    }

    /// The kind of entity that the command is about.
    pub fn subject(&self) -> Subject {
        match self {
            Command::Server(_) | Command::Catalog(_) => Subject::Server,
            Command::Table(_) => Subject::Table,
            Command::View(_) => Subject::View,
        }
    }

    /// The id of the view that the command opens.
    pub fn opens(&self) -> Option<&str> {
        match self {
            Command::Table(TableCommand::OpenView { view_id, .. }) => Some(view_id),
            Command::Table(_) | Command::Server(_) | Command::Catalog(_) | Command::View(_) => None,
        }
    }

    /// Whether the command closes the view that it is about.
    pub fn closes(&self) -> bool {
        matches!(self, Command::View(ViewCommand::Close))
    }

    /// Whether the answer may come long after the command has taken effect, so that later commands do not wait for it.
    pub fn is_answered_late(&self) -> bool {
        matches!(self, Command::Table(TableCommand::Delete { .. }))
    }

    /// The answer if the table or view that the command is about does not exist: ending what has ended succeeds, and a
    /// subscription to a deletion has no reply. `None`: an error.
    pub fn answer_if_missing(&self) -> Option<Answer> {
        match self {
            Command::Server(_) | Command::Catalog(_) => None,
            Command::Table(command) => command.answer_if_missing(),
            Command::View(command) => command.answer_if_missing(),
        }
    }
}

impl TableCommand {
    /// See [`Command::answer_if_missing`].
    pub fn answer_if_missing(&self) -> Option<Answer> {
        match self {
            TableCommand::Delete { .. } => Some(Answer::TableDeleted),
            TableCommand::WatchDeletion => Some(Answer::Subscribed),
            TableCommand::UnwatchDeletion { .. } => Some(Answer::DeletionUnwatched),
            TableCommand::GetSchema
            | TableCommand::GetSize
            | TableCommand::GetSnapshot
            | TableCommand::MakePort
            | TableCommand::ValidateExpressions(_)
            | TableCommand::DescribeView(_)
            | TableCommand::Write(_)
            | TableCommand::OpenView { .. } => None,
        }
    }
}

impl ViewCommand {
    /// See [`Command::answer_if_missing`].
    pub fn answer_if_missing(&self) -> Option<Answer> {
        match self {
            ViewCommand::Subscribe(Topic::Delete) => Some(Answer::Subscribed),
            ViewCommand::Unsubscribe { topic: topic @ (Topic::Delete | Topic::Update { .. }), .. } => {
                Some(Answer::Unsubscribed(*topic))
            }
            ViewCommand::Unsubscribe { topic: Topic::Remove, .. }
            | ViewCommand::Subscribe(Topic::Update { .. } | Topic::Remove)
            | ViewCommand::Close
            | ViewCommand::GetSchema
            | ViewCommand::GetExpressionSchema
            | ViewCommand::GetConfig
            | ViewCommand::Read(_)
            | ViewCommand::Slice(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{JoinKind, JoinSpec};

    #[test]
    fn a_derived_table_is_ordered_after_its_sources() {
        let spec = JoinSpec { on: "k".into(), right_on: None, kind: JoinKind::Inner };
        let origin = TableOrigin::Join { left: "a".into(), right: "b".into(), spec };
        let join = Command::Catalog(CatalogCommand::CreateTable(origin));
        let expected =
            Scope::Catalog { entity: true, tables: vec!["a".into(), "b".into()], views: Vec::new() };
        assert_eq!((join.scope(), join.subject()), (expected, Subject::Server));
        let origin = TableOrigin::View { view_id: "v".into(), columns: None };
        let derived = Command::Catalog(CatalogCommand::CreateTable(origin));
        let expected = Scope::Catalog { entity: true, tables: Vec::new(), views: vec!["v".into()] };
        assert_eq!(derived.scope(), expected);
    }

    #[test]
    fn ending_what_has_ended_succeeds() {
        let delete = Command::Table(TableCommand::Delete { lazy: true });
        assert!(matches!(delete.answer_if_missing(), Some(Answer::TableDeleted)));
        assert!(delete.is_answered_late());
        let unsubscribe = |topic| Command::View(ViewCommand::Unsubscribe { topic, subscription: 1 });
        let ended = unsubscribe(Topic::Update { rows: false }).answer_if_missing();
        assert!(matches!(ended, Some(Answer::Unsubscribed(Topic::Update { .. }))));
        assert!(unsubscribe(Topic::Remove).answer_if_missing().is_none());
        let subscribe = Command::View(ViewCommand::Subscribe(Topic::Delete));
        assert!(matches!(subscribe.answer_if_missing(), Some(Answer::Subscribed)));
    }
}
