//! The commands of clients about tables and views, and the state that answers them.
//!
//! Invariant: pure state machines and values. No actor, socket or message of a protocol: the table actors of a server
//! and the worker of a browser are shells around the same types, so equal commands have equal effects in both places.
//!
//! Reading order: the sender ([`Principal`]), its command ([`Command`]) and what that is ordered by ([`Scope`]), the
//! answer ([`Answer`]); then the state of a table: its views ([`ViewRegistry`], [`Subscriptions`]), the tables
//! derived of it ([`Followers`]) and its deletion ([`TableHost`]); and the names of all tables ([`TableDirectory`]).

mod answer;
mod command;
mod followers;
mod principal;
mod read;
mod scope;
mod subscriptions;
mod table_answer;
mod table_directory;
mod table_host;
mod view_registry;

pub use answer::{Answer, ColumnPaths, HostedTable, ProcessUsage, WritePosition};
pub use command::{
    CatalogCommand, Command, ServerCommand, SliceFormat, SliceRequest, TableCommand, TableOrigin,
    ViewCommand, ViewRead, Write,
};
pub use followers::{Follower, Followers};
pub use principal::{Peer, Principal, SealedGrant};
pub use scope::{Scope, Subject};
pub use subscriptions::{Subscriber, Subscriptions, Topic};
pub use table_directory::{DirectoryLimits, TableDirectory};
pub use table_host::{Deletion, TableHost};
pub use view_registry::{ClosedView, HandleId, SharedId, SharedViewStats, ViewHandle, ViewRegistry};
