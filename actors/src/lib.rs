//! Who owns which table and view, and who tells whom.
//!
//! Law: one order per table. Every request about a table or its views passes the table actor's mailbox; each applied
//! batch goes to the table's view actors before a later read does. Actors know the engine; they know no socket and no
//! wire message: whoever connects them gives callbacks ([`mailbox::Reply`]) and a way out ([`outbox::Outbox`]).
//!
//! Reading order: how messages travel ([`mailbox`]), how news leaves ([`outbox`]) and deltas ([`tail`]), where names
//! are kept ([`directory`]), then the actors: [`catalog`], [`table`], [`view`], [`monitor`]; what they run on
//! ([`placement`], [`workers`]).

pub mod catalog;
mod clock;
pub mod directory;
pub mod error;
pub mod limits;
pub mod lineage;
pub mod mailbox;
pub mod metrics;
pub mod monitor;
mod notification;
pub mod outbox;
pub mod placement;
mod rope;
pub mod subscriber;
pub mod table;
pub mod tail;
pub mod tuning;
pub mod view;
pub mod workers;

pub use catalog::Catalog;
pub use error::ActorError;
pub use limits::Limits;
pub use mailbox::Reply;
pub use metrics::ActorMetrics;
pub use outbox::{Notification, Outbox, Outgoing, SessionId, StreamId};
pub use rope::Rope;
pub use subscriber::Subscriber;
pub use table::TableRef;
