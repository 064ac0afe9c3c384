//! A request that is read but not yet asked: in which orders it stands, and what to do once it is its turn.

use futures::future::BoxFuture;
use proscenium_actors::table::ReadView;
use proscenium_actors::view::{Read, TextFormat};
use proscenium_actors::{ActorError, TableRef};
use proscenium_engine::view::Viewport;
use proscenium_proto::response::Long;

use super::Call;
use super::call::send;

/// In which orders a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// In none: it is answered as it comes.
    Free,
    /// Behind earlier requests to the table that it is about; the table's own mailbox does the rest.
    Table,
    /// The same, for the table that the view belongs to.
    View,
    /// Makes or deletes tables, or lists them: alone among such requests, and alone among those about the table
    /// that the envelope names (`entity`), about `tables`, and about the tables of `views`.
    Catalog { entity: bool, tables: Vec<String>, views: Vec<String> },
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    Server,
    Table,
    View,
}

/// Whether a message was taken at once, or waits for room in a mailbox. While it waits nothing behind it is sent.
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

pub struct Prepared {
    pub scope: Scope,
    /// The id of the view that this request opens.
    pub opens: Option<String>,
    /// Whether this request closes the view that the envelope names.
    pub closes: bool,
    step: Step,
}

/// What to do when there is no such table or view.
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
    /// About the whole server, in no order.
    pub fn server(step: impl FnOnce(Call) + 'static) -> Self {
        Prepared::catalog_step(Scope::Free, step)
    }

    /// About the list of tables.
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

    /// About the table that the envelope names.
    pub fn table(step: impl FnOnce(Call, TableRef) -> Sending + 'static) -> Self {
        Prepared {
            scope: Scope::Table,
            opens: None,
            closes: false,
            step: Step::Table(Box::new(step), Call::refuse),
        }
    }

    /// About the view that the envelope names.
    pub fn view(step: impl FnOnce(Call, TableRef) -> Sending + 'static) -> Self {
        Prepared {
            scope: Scope::View,
            opens: None,
            closes: false,
            step: Step::View(Box::new(step), Call::refuse),
        }
    }

    /// Makes the table that the envelope names, of these tables and views.
    pub fn making_table(
        tables: Vec<String>,
        views: Vec<String>,
        step: impl FnOnce(Call) -> Sending + 'static,
    ) -> Self {
        let scope = Scope::Catalog { entity: true, tables, views };
        Prepared { scope, opens: None, closes: false, step: Step::Server(Box::new(step)) }
    }

    /// Deletes the table that the envelope names.
    pub fn deleting_table(step: impl FnOnce(Call, TableRef) -> Sending + 'static) -> Self {
        let scope = Scope::Catalog { entity: true, tables: Vec::new(), views: Vec::new() };
        Prepared { scope, ..Prepared::table(step) }
    }

    /// Asks the view that the envelope names.
    pub fn read(read: impl FnOnce(Call) -> Read + 'static) -> Self {
        Prepared::view(move |call, table| {
            let view_id = call.entity_id().to_string();
            send(&table.mailbox, ReadView { view_id, read: read(call) })
        })
    }

    /// A window of the view, as text.
    pub fn text(viewport: Viewport, format: TextFormat, long: Long) -> Self {
        Prepared::read(move |call| Read::Text { viewport, format, reply: call.reply_long(long) })
    }

    /// Opens a view: requests about it that come before it is there stand behind this one.
    pub fn opening(self, view_id: String) -> Self {
        Prepared { opens: Some(view_id), ..self }
    }

    /// Closes the view that the envelope names.
    pub fn closing(self) -> Self {
        Prepared { closes: true, ..self }
    }

    /// Says something else than an error when there is no such table or view.
    pub fn or_missing(mut self, emit: Missing) -> Self {
        match &mut self.step {
            Step::Server(_) => {}
            Step::Table(_, missing) | Step::View(_, missing) => *missing = emit,
        }
        self
    }

    /// A request whose content is wrong: the answer is an error, whatever it is about.
    pub fn refused(error: impl Into<ActorError>) -> Self {
        let error = error.into();
        Prepared::server(move |call| call.refuse(error))
    }

    /// What the envelope's entity is.
    pub fn about(&self) -> About {
        match self.step {
            Step::Server(_) => About::Server,
            Step::Table(..) => About::Table,
            Step::View(..) => About::View,
        }
    }

    /// Its turn has come. `table`: the one that the request is about, or why there is none.
    pub fn run(self, mut call: Call, table: Result<TableRef, ActorError>) -> Sending {
        let (step, missing) = match self.step {
            Step::Server(step) => return step(call),
            Step::Table(step, missing) | Step::View(step, missing) => (step, missing),
        };
        match table {
            Ok(table) => {
                call.order_in(table.stream);
                step(call, table)
            }
            Err(error) => {
                missing(call, error);
                Sending::Taken
            }
        }
    }
}
