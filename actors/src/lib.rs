//! The actors that own tables and views, and the messages between them.
//!
//! Invariant: one order per table. Every request about a table or its views passes through the table actor's mailbox,
//! and each applied batch is sent to the table's view actors before any later read. The actors depend on the engine but
//! on no socket and no wire message: the transport passes in callbacks ([`mailbox::Reply`]) and a queue of outgoing
//! messages ([`outbox::Outbox`]).
//!
//! Reading order: sending to an actor ([`mailbox`]), sending to a connection ([`outbox`]), passing deltas to a
//! derived table ([`delta_queue`]), the names of tables and views ([`directory`]), who sends a command ([`caller`]);
//! what durable tables are kept in ([`log`], [`data_directory`], [`checkpointer`]); then the actors: [`catalog`], [`table`], [`view`], [`monitor`]; then their threads: [`placement`], [`workers`],
//! and which steps leave an actor's thread: [`lent`], [`pace`].

#![warn(missing_docs)]

pub mod caller;
pub mod catalog;
pub mod checkpointer;
pub mod data_directory;
pub mod delta_queue;
pub mod directory;
mod engine_context;
pub mod error;
mod lent;
pub mod limits;
pub mod lineage;
pub mod log;
pub mod mailbox;
pub mod metrics;
pub mod monitor;
mod notification;
pub mod outbox;
mod pace;
pub mod placement;
mod rope;
pub mod subscriber;
pub mod table;
pub mod tuning;
pub mod view;
pub mod workers;

pub use caller::{Caller, RowMeter};
pub use catalog::Catalog;
pub use error::ActorError;
pub use limits::Limits;
pub use mailbox::Reply;
pub use metrics::ActorMetrics;
pub use outbox::{Notification, Outbox, Outgoing, SessionId, StreamId};
pub use rope::Rope;
pub use subscriber::{SeesTable, Subscriber};
pub use table::TableRef;
