//! What of the commands goes into the audit: tables that are created and dropped, exports, and what is refused for want of
//! rights.
//!
//! Invariant: an event is recorded with its outcome, once.
//!
//! Cost: a closure a command while there is an audit, else nothing.

use proscenium_actors::{ActorError, Reply};
use proscenium_engine::export::TextFormat;
use proscenium_engine::hosting::{
    Answer, CatalogCommand, Command, Principal, SliceFormat, TableCommand, ViewCommand,
};

use super::CommandRouter;
use crate::audit::{Audit, AuditEvent};

impl CommandRouter {
    /// Records commands from now on. Only the first call has an effect.
    pub fn set_audit(&self, audit: Audit) {
        let _ = self.0.audit.set(audit);
    }

    /// Records that a sender downloads a table, or what kept it from that.
    pub fn record_export<T>(&self, sender: &Principal, table: &str, result: &Result<T, ActorError>) {
        if let Some(audit) = self.0.audit.get().filter(|audit| audit.is_open()) {
            record(audit, "export", sender, table, result.as_ref().err());
        }
    }

    /// Lets the audit see the outcome of a command.
    pub(super) fn recorded(
        &self,
        sender: &Principal,
        command: &Command,
        table: &str,
        reply: Reply<Answer>,
    ) -> Reply<Answer> {
        let Some(audit) = self.0.audit.get().filter(|audit| audit.is_open()).cloned() else { return reply };
        let (event, sender, table) = (event_of(command), sender.clone(), table.to_owned());
        reply.observed(move |result| match (event, result) {
            (Some(event), result) => record(&audit, event, &sender, &table, result.as_ref().err()),
            (None, Err(error @ (ActorError::NotAuthorized { .. } | ActorError::RowNotAuthorized { .. }))) => {
                record(&audit, "request", &sender, &table, Some(error));
            }
            (None, _) => {}
        })
    }
}

fn record(audit: &Audit, event: &'static str, sender: &Principal, table: &str, error: Option<&ActorError>) {
    // What is unrestricted is the server itself, as when it loads the tables of its configuration.
    if sender.is_unrestricted() {
        return;
    }
    let peer = sender.peer();
    let refusal = error.map(ToString::to_string);
    audit.record(&AuditEvent {
        event,
        who: sender.name(),
        from: peer.map(|peer| peer.address),
        via: peer.map_or("server", |peer| peer.endpoint),
        table: Some(table),
        refusal: refusal.as_deref(),
    });
}

/// The event that a command is, whatever its outcome.
fn event_of(command: &Command) -> Option<&'static str> {
    match command {
        Command::Catalog(CatalogCommand::CreateTable(_)) => Some("create"),
        Command::Table(TableCommand::Delete { .. }) => Some("drop"),
        // What a viewer exports; it reads what it shows in other formats, row by row.
        Command::View(ViewCommand::Slice(slice))
            if matches!(slice.format, SliceFormat::Text(TextFormat::Csv(_)))
                && slice.viewport.end_row.is_none() =>
        {
            Some("export")
        }
        Command::Server(_) | Command::Catalog(_) | Command::Table(_) | Command::View(_) => None,
    }
}
