//! A view that one download or one Flight call opens, reads and closes.
//!
//! Invariant: it is a view like those of browsers, with the same limits, and shared with equal ones. It is closed when
//! it is dropped, also when the caller disconnects.

use proscenium_actors::{ActorError, Caller};
use proscenium_engine::config::ViewConfig;
use proscenium_engine::export::{ExportBudget, Naming, TextFormat};
use proscenium_engine::hosting::{
    Answer, Command, Principal, SliceFormat, SliceRequest, TableCommand, ViewCommand, ViewRead,
};
use proscenium_engine::view::{BatchStream, Dimensions, TextStream, ViewSlice, Viewport};

use crate::command_router::CommandRouter;

/// An open view, owned by one caller.
#[derive(Debug)]
pub struct TransientView {
    router: CommandRouter,
    caller: Caller,
    table: String,
    view_id: String,
}

impl TransientView {
    /// Opens a view of a table.
    ///
    /// # Errors
    ///
    /// There is no such table, or the configuration is invalid.
    pub async fn open(
        router: &CommandRouter,
        principal: Principal,
        table: &str,
        config: ViewConfig,
    ) -> Result<TransientView, ActorError> {
        let caller = router.caller(principal);
        // Clients choose random ids; this one cannot be mistaken for theirs.
        let view_id = format!("transient view {}", caller.session.0);
        // Dropped before it is open, it closes a view that does not exist, which has no effect.
        let view = TransientView { router: router.clone(), caller, table: table.to_owned(), view_id };
        let open = TableCommand::OpenView { view_id: view.view_id.clone(), config: Box::new(config) };
        view.router.ask(view.caller.clone(), table, Command::Table(open)).await?;
        Ok(view)
    }

    /// Returns rows and columns as record batches, to be gathered one after the other.
    ///
    /// # Errors
    ///
    /// The view has failed, or its rows would certainly exceed a limit. A stream that turns out to exceed it ends with an error.
    pub async fn batches(&self, naming: Naming) -> Result<BatchStream, ActorError> {
        let slice = self.slice(Viewport::default()).await?;
        Ok(BatchStream::new(slice, naming, self.budget())?)
    }

    /// Returns rows and columns as text, to be written piece by piece.
    ///
    /// # Errors
    ///
    /// The view has failed, or the text would certainly exceed a limit. One that turns out to exceed it ends with an error.
    pub async fn text(&self, format: TextFormat) -> Result<TextStream, ActorError> {
        let slice = self.slice(Viewport::default()).await?;
        let budget = self.budget();
        budget.check(SliceFormat::Text(format).least_bytes(&slice.size()))?;
        Ok(TextStream::new(slice, format, budget))
    }

    /// The memory of this caller's account, and the limit of one reply.
    fn budget(&self) -> ExportBudget {
        ExportBudget::new(self.caller.memory.clone(), self.router.catalog().limits().export_bytes)
    }

    /// Returns rows and columns, to be encoded by the caller.
    ///
    /// # Errors
    ///
    /// As [`TransientView::batches`].
    pub async fn slice(&self, viewport: Viewport) -> Result<ViewSlice, ActorError> {
        let slice = SliceRequest { viewport, format: SliceFormat::Unencoded };
        match self.ask(ViewCommand::Slice(slice)).await? {
            Answer::Slice(slice) => Ok(*slice),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns the numbers of rows and columns.
    ///
    /// # Errors
    ///
    /// The view has failed.
    pub async fn dimensions(&self) -> Result<Dimensions, ActorError> {
        match self.ask(ViewCommand::Read(ViewRead::Dimensions)).await? {
            Answer::Dimensions(dimensions) => Ok(dimensions),
            other => Err(unexpected(&other)),
        }
    }

    async fn ask(&self, command: ViewCommand) -> Result<Answer, ActorError> {
        self.router.ask(self.caller.clone(), &self.view_id, Command::View(command)).await
    }
}

impl Drop for TransientView {
    fn drop(&mut self) {
        self.router.close_view(self.caller.clone(), &self.table, &self.view_id);
    }
}

/// The error for an answer that belongs to another command.
pub(crate) fn unexpected(answer: &Answer) -> ActorError {
    debug_assert!(false, "each command has its own answer: {answer:?}");
    ActorError::WrongAnswer
}

#[cfg(test)]
mod tests {
    use proscenium_actors::table::GetTableStats;
    use proscenium_actors::{ActorMetrics, Catalog, Limits, tuning};
    use proscenium_engine::{MemoryAccount, TableData, TableOptions};

    use super::*;

    async fn router() -> CommandRouter {
        let catalog =
            Catalog::start(1, Limits::default(), ActorMetrics::new().unwrap(), MemoryAccount::unlimited())
                .unwrap();
        let data = TableData::Rows(r#"[{"x":1},{"x":2}]"#.into());
        catalog.host("t", data, TableOptions::default()).await.unwrap();
        CommandRouter::new(catalog)
    }

    /// The numbers of handles on the table's shared views.
    async fn handles(router: &CommandRouter) -> Vec<usize> {
        let table = router.catalog().table("t").unwrap();
        let stats = table.mailbox.ask(tuning::ASK_DEADLINE, |reply| GetTableStats { reply }).await.unwrap();
        stats.views.iter().map(|view| view.num_handles).collect()
    }

    async fn open(router: &CommandRouter) -> Result<TransientView, ActorError> {
        TransientView::open(router, Principal::anonymous(), "t", ViewConfig::default()).await
    }

    #[actix_rt::test]
    async fn equal_views_are_shared_and_end_with_their_readers() {
        let router = router().await;
        let (first, second) = (open(&router).await.unwrap(), open(&router).await.unwrap());
        assert_eq!(handles(&router).await, [2]);
        drop(first);
        assert_eq!(handles(&router).await, [1]);
        assert_eq!(second.dimensions().await.unwrap().num_view_rows, 2);
        assert_eq!(second.slice(Viewport::default()).await.unwrap().num_rows(), 2);
        drop(second);
        assert!(handles(&router).await.is_empty());
    }

    #[actix_rt::test]
    async fn a_reader_that_goes_away_leaves_no_view() {
        let router = router().await;
        let mut opening = Box::pin(open(&router));
        // The command is sent; the answer may already be there.
        drop(futures::poll!(&mut opening));
        drop(opening);
        assert!(handles(&router).await.is_empty());
        let refused = TransientView::open(&router, Principal::anonymous(), "u", ViewConfig::default()).await;
        assert_eq!(refused.unwrap_err(), ActorError::TableNotFound);
    }
}
