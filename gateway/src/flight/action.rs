//! DoAction: administrative actions, each with a table's name as its body.

use arrow_flight::{Action, ActionType};
use proscenium_engine::hosting::{Command, Principal, TableCommand, Write};
use proscenium_engine::{TableData, WriteOptions};
use tonic::Status;

use super::ReplyStream;
use crate::command_router::CommandRouter;
use crate::wire_errors::to_flight;

const CLEAR: (&str, &str) = ("clear", "Removes all rows. Body: the table's name.");
const DELETE: (&str, &str) = ("delete", "Deletes a table that has no views. Body: the table's name.");

pub(super) fn list() -> ReplyStream<ActionType> {
    let action = |(name, description): (&str, &str)| {
        Ok(ActionType { r#type: name.to_owned(), description: description.to_owned() })
    };
    Box::pin(futures::stream::iter([CLEAR, DELETE].map(action)))
}

pub(super) async fn act(
    router: &CommandRouter,
    principal: Principal,
    action: Action,
) -> Result<ReplyStream<arrow_flight::Result>, Status> {
    let name = String::from_utf8(action.body.to_vec())
        .map_err(|_| Status::invalid_argument("the body is no table's name: it is not UTF-8"))?;
    let command = match action.r#type.as_str() {
        "clear" => {
            let (data, options) = (TableData::Rows("[]".into()), WriteOptions::default());
            TableCommand::Write(Write::Replace { data, options })
        }
        "delete" => TableCommand::Delete { lazy: false },
        other => {
            return Err(Status::unimplemented(format!(
                "action \"{other}\" is unknown; there are clear and delete"
            )));
        }
    };
    // Deleting a table that does not exist succeeds for WebSocket clients only.
    router.find_for(&principal, &name).map_err(|fault| to_flight(&fault, &name))?;
    let caller = router.caller(principal);
    router.ask(caller, &name, Command::Table(command)).await.map_err(|fault| to_flight(&fault, &name))?;
    Ok(Box::pin(futures::stream::iter([Ok(arrow_flight::Result { body: "{}".into() })])))
}
