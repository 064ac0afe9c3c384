//! Who owns which table and view, and who tells whom.
//!
//! Law: one order per table. Every request about a table or its views passes the table actor's mailbox; each applied
//! batch goes to the table's view actors before a later read does. Actors know the engine; they know no socket and no
//! wire message: whoever connects them gives callbacks ([`mailbox::Reply`]) and a way out ([`fanout::Outlet`]).
//!
//! Reading order: how messages travel ([`mailbox`]), how news leaves ([`fanout`]) and deltas ([`tail`]), where names
//! are kept ([`directory`]), then the actors: [`catalog`], [`table`], [`view`], [`keeper`]; what they run on
//! ([`placement`], [`workers`]).

pub mod audience;
pub mod catalog;
mod clock;
pub mod directory;
pub mod error;
pub mod fanout;
pub mod keeper;
pub mod knobs;
pub mod limits;
pub mod mailbox;
pub mod meters;
mod news;
pub mod placement;
mod rope;
pub mod table;
pub mod tail;
pub mod view;
pub mod workers;

pub use catalog::Catalog;
pub use directory::TableRef;
pub use error::Fault;
pub use fanout::{LaneId, News, Outgoing, Outlet, SessionId};
pub use limits::Limits;
pub use mailbox::Reply;
pub use meters::Meters;
pub use rope::Rope;
