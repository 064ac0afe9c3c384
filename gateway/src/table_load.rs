//! A write of rows by name, as HTTP uploads and Flight puts do it: creates the table unless it exists.
//!
//! Invariant: one write path. The writes are the commands that WebSocket clients send, too.

use proscenium_actors::{ActorError, Caller, TableRef};
use proscenium_engine::error::{HostingError, RequestError};
use proscenium_engine::hosting::{
    Answer, CatalogCommand, Command, Subject, TableCommand, TableOrigin, Write, WritePosition,
};
use proscenium_engine::{EngineError, TableData, TableOptions, UnknownColumns, WriteOptions};

use crate::command_router::{CommandRouter, PendingCommand};
use crate::load_options::Lists;
pub use crate::load_options::LoadEffect;

/// How rows are written, and what the sender assumes of the table.
#[derive(Debug, Clone)]
pub struct TableLoad {
    pub table: String,
    pub effect: LoadEffect,
    /// Index of a new table; that of an existing one must be equal.
    pub index: Option<String>,
    /// Limit of a new table; that of an existing one must be equal.
    pub limit: Option<u32>,
    /// How lists become rows or texts.
    pub lists: Option<Lists>,
    /// Whether columns that an existing table does not have are ignored.
    pub ignore_unknown: bool,
}

/// What a load did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOutcome {
    /// Whether it created the table, instead of writing to one.
    pub is_created: bool,
    /// Where the table is now, if it is durable.
    pub position: Option<WritePosition>,
    /// Whether it was done before, and not again.
    pub is_replayed: bool,
}

impl LoadOutcome {
    /// What a write to an existing table did.
    #[allow(clippy::wildcard_enum_match_arm, reason = "one answer says that a write was not done")]
    pub fn of_write(answer: Result<Answer, ActorError>) -> Result<LoadOutcome, ActorError> {
        let answer = answer?;
        let (is_replayed, is_created) = match answer {
            Answer::Replayed { is_created, .. } => (true, is_created),
            _ => (false, false),
        };
        Ok(LoadOutcome { is_created, position: answer.position(), is_replayed })
    }

    /// Adds the position to a reply.
    pub fn add_to(self, reply: &mut serde_json::Map<String, serde_json::Value>) {
        if let Some(WritePosition { epoch, version }) = self.position {
            reply.insert("epoch".to_owned(), epoch.into());
            reply.insert("version".to_owned(), version.into());
        }
    }
}

impl TableLoad {
    /// Checks what can be checked before any data is read.
    ///
    /// # Errors
    ///
    /// Both an index and a limit are given.
    pub fn check(&self) -> Result<(), ActorError> {
        match self.index.is_some() && self.limit.is_some() {
            true => Err(EngineError::from(RequestError::Malformed {
                reason: "a table has an index or a limit, not both".to_owned(),
            })
            .into()),
            false => Ok(()),
        }
    }

    /// Writes to the table, or creates it from these rows if there is none.
    ///
    /// Loads that find no table at the same time do not fail for each other: one creates it, the others write to it.
    ///
    /// # Errors
    ///
    /// As those of [`TableLoad::create`] and [`TableLoad::write`].
    pub async fn apply(
        &self,
        router: &CommandRouter,
        caller: &Caller,
        data: TableData,
    ) -> Result<LoadOutcome, ActorError> {
        if router.find(Subject::Table, &self.table).is_ok() {
            return self.write(router, caller, data).await;
        }
        let _creating = router.creation_locks().lock(&self.table).await;
        match router.find(Subject::Table, &self.table) {
            Ok(_) => self.write(router, caller, data).await,
            Err(missing) => match (missing, self.create(router, caller, data).await) {
                // The name of a durable table that is rebuilt stays taken.
                (
                    failed @ ActorError::TableFailed { .. },
                    Err(ActorError::Engine(EngineError::Hosting(HostingError::TableExists { .. }))),
                ) => Err(failed),
                (_, created) => created,
            },
        }
    }

    /// Creates the table from its first rows.
    ///
    /// # Errors
    ///
    /// The table exists, or the data is malformed.
    pub async fn create(
        &self,
        router: &CommandRouter,
        caller: &Caller,
        data: TableData,
    ) -> Result<LoadOutcome, ActorError> {
        let options = TableOptions {
            index: self.index.clone(),
            limit: self.limit,
            list_flatten: self.lists.unwrap_or_default().0,
        };
        let create = CatalogCommand::CreateTable(TableOrigin::Data { data, options });
        let answer = router.ask(caller.clone(), &self.table, Command::Catalog(create)).await?;
        Ok(LoadOutcome { is_created: true, position: answer.position(), is_replayed: false })
    }

    /// Writes to the table.
    ///
    /// # Errors
    ///
    /// There is no such table, the data does not fit it, or an assumption does not hold.
    pub async fn write(
        &self,
        router: &CommandRouter,
        caller: &Caller,
        data: TableData,
    ) -> Result<LoadOutcome, ActorError> {
        let table = router.find(Subject::Table, &self.table);
        LoadOutcome::of_write(self.begin_write(router, caller, table, data).answer().await)
    }

    /// As [`TableLoad::write`], without waiting: the next write may follow once this one is accepted. Its answer is that of
    /// [`LoadOutcome::of_write`].
    pub fn begin_write(
        &self,
        router: &CommandRouter,
        caller: &Caller,
        table: Result<TableRef, ActorError>,
        data: TableData,
    ) -> PendingCommand {
        let options = WriteOptions {
            unknown_columns: UnknownColumns::unless(self.ignore_unknown),
            index: self.index.clone(),
            limit: self.limit,
            list_flatten: self.lists.map(|lists| lists.0),
        };
        let write = match self.effect {
            LoadEffect::Update => Write::Update { data, port_id: 0, options },
            LoadEffect::Replace => Write::Replace { data, options },
            LoadEffect::Remove => Write::Remove { data },
        };
        router.begin(caller.clone(), table, &self.table, Command::Table(TableCommand::Write(write)))
    }
}
