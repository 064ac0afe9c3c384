//! A request that is decoded and not started: its scope, and the function that runs it.

use futures::future::BoxFuture;
use proscenium_actors::table::ReadView;
use proscenium_actors::view::{Read, TextFormat};
use proscenium_actors::{ActorError, TableRef};
use proscenium_engine::view::Viewport;
use proscenium_proto::response::LongReply;

use super::Call;
use super::call::send;

/// The tables that a request must be ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// None: it starts at once.
    Free,
    /// The table that the envelope names.
    Table,
    /// The table of the view that the envelope names.
    View,
    /// The list of tables, exclusively, because the request creates, deletes or lists tables; with it, exclusively,
    /// the table that the envelope names (if `entity`), `tables`, and the tables of `views`.
    Catalog { entity: bool, tables: Vec<String>, views: Vec<String> },
}

/// The kind of entity that a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    Server,
    Table,
    View,
}

/// The result of sending a message: it was sent, or waits for room in a mailbox.
pub enum Sending {
    Taken,
    Waiting(BoxFuture<'static, ()>),
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Sending::Taken => "Taken",
            Sending::Waiting(_) => "Waiting",
        })
    }
}

/// A decoded request.
pub struct Prepared {
    pub scope: Scope,
    /// The id of the view that this request opens.
    pub opens: Option<String>,
    /// Whether this request closes the view that the envelope names.
    pub closes: bool,
    step: Step,
}

/// Replies when there is no such table or view.
type Missing = fn(Call, ActorError);

enum Step {
    Server(Box<dyn FnOnce(Call) -> Sending>),
    Table(Box<dyn FnOnce(Call, TableRef) -> Sending>, Missing),
    View(Box<dyn FnOnce(Call, TableRef) -> Sending>, Missing),
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prepared({:?})", self.scope)
    }
}

impl Prepared {
    /// A request about the server, without ordering.
    pub fn server(step: impl FnOnce(Call) + 'static) -> Self {
        Prepared::catalog_step(Scope::Free, step)
    }

    /// A request about the list of tables.
    pub fn catalog(step: impl FnOnce(Call) + 'static) -> Self {
        let scope = Scope::Catalog { entity: false, tables: Vec::new(), views: Vec::new() };
        Prepared::catalog_step(scope, step)
    }

    fn catalog_step(scope: Scope, step: impl FnOnce(Call) + 'static) -> Self {
        let step = Box::new(move |call| {
            step(call);
            Sending::Taken
        });
        Prepared { scope, opens: None, closes: false, step: Step::Server(step) }
    }

    /// A request about the table that the envelope names.
    pub fn table(step: impl FnOnce(Call, TableRef) -> Sending + 'static) -> Self {
        Prepared {
            scope: Scope::Table,
            opens: None,
            closes: false,
            step: Step::Table(Box::new(step), Call::refuse),
        }
    }

    /// A request about the view that the envelope names.
    pub fn view(step: impl FnOnce(Call, TableRef) -> Sending + 'static) -> Self {
        Prepared {
            scope: Scope::View,
            opens: None,
            closes: false,
            step: Step::View(Box::new(step), Call::refuse),
        }
    }

    /// A request that creates the table that the envelope names from these tables and views.
    pub fn making_table(
        tables: Vec<String>,
        views: Vec<String>,
        step: impl FnOnce(Call) -> Sending + 'static,
    ) -> Self {
        let scope = Scope::Catalog { entity: true, tables, views };
        Prepared { scope, opens: None, closes: false, step: Step::Server(Box::new(step)) }
    }

    /// A request that deletes the table that the envelope names.
    pub fn deleting_table(step: impl FnOnce(Call, TableRef) -> Sending + 'static) -> Self {
        let scope = Scope::Catalog { entity: true, tables: Vec::new(), views: Vec::new() };
        Prepared { scope, ..Prepared::table(step) }
    }

    /// A request that reads the view that the envelope names.
    pub fn read(read: impl FnOnce(Call) -> Read + 'static) -> Self {
        Prepared::view(move |call, table| {
            let view_id = call.entity_id().to_string();
            send(&table.mailbox, ReadView { view_id, read: read(call) })
        })
    }

    /// A request for a slice of the view as text.
    pub fn text(viewport: Viewport, format: TextFormat, long: LongReply) -> Self {
        Prepared::read(move |call| Read::Text { viewport, format, reply: call.reply_long(long) })
    }

    /// Marks a request that opens a view: later requests about the view wait for it.
    pub fn opening(self, view_id: String) -> Self {
        Prepared { opens: Some(view_id), ..self }
    }

    /// Marks a request that closes the view that the envelope names.
    pub fn closing(self) -> Self {
        Prepared { closes: true, ..self }
    }

    /// Replaces the error reply for a table or view that does not exist.
    pub fn or_missing(mut self, on_missing: Missing) -> Self {
        match &mut self.step {
            Step::Server(_) => {}
            Step::Table(_, missing) | Step::View(_, missing) => *missing = on_missing,
        }
        self
    }

    /// A malformed request, whose reply is an error.
    pub fn refused(error: impl Into<ActorError>) -> Self {
        let error = error.into();
        Prepared::server(move |call| call.refuse(error))
    }

    /// The kind of the envelope's entity.
    pub fn about(&self) -> About {
        match self.step {
            Step::Server(_) => About::Server,
            Step::Table(..) => About::Table,
            Step::View(..) => About::View,
        }
    }

    /// Runs the request. `table` is the table that it is about, or the error of looking it up.
    pub fn run(self, mut call: Call, table: Result<TableRef, ActorError>) -> Sending {
        let (step, missing) = match self.step {
            Step::Server(step) => return step(call),
            Step::Table(step, missing) | Step::View(step, missing) => (step, missing),
        };
        match table {
            Ok(table) => {
                call.set_stream(table.stream);
                step(call, table)
            }
            Err(error) => {
                missing(call, error);
                Sending::Taken
            }
        }
    }
}
