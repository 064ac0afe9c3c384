//! DoAction: administrative actions, each with a table's name as its body.

use arrow_flight::{Action, ActionType};
use proscenium_actors::table::{DeleteTable, ReplaceRows};
use proscenium_actors::{Catalog, tuning};
use proscenium_engine::{TableData, WriteOptions};
use tonic::Status;

use super::{ReplyStream, status};

const CLEAR: (&str, &str) = ("clear", "Removes all rows. Body: the table's name.");
const DELETE: (&str, &str) = ("delete", "Deletes a table that has no views. Body: the table's name.");

pub(super) fn list() -> ReplyStream<ActionType> {
    let action = |(name, description): (&str, &str)| {
        Ok(ActionType { r#type: name.to_owned(), description: description.to_owned() })
    };
    Box::pin(futures::stream::iter([CLEAR, DELETE].map(action)))
}

pub(super) async fn act(
    catalog: &Catalog,
    action: Action,
) -> Result<ReplyStream<arrow_flight::Result>, Status> {
    let name = String::from_utf8(action.body.to_vec())
        .map_err(|_| Status::invalid_argument("the body is no table's name: it is not UTF-8"))?;
    let table =
        catalog.table(&name).map_err(|_| Status::not_found(format!("table \"{name}\" is not hosted")))?;
    let done = match action.r#type.as_str() {
        "clear" => {
            let data = TableData::Rows("[]".into());
            table
                .mailbox
                .ask(tuning::ASK_DEADLINE, |reply| ReplaceRows {
                    data,
                    options: WriteOptions::default(),
                    reply,
                })
                .await
        }
        "delete" => {
            table
                .mailbox
                .ask(tuning::ASK_DEADLINE, |reply| DeleteTable {
                    lazy: false,
                    reply,
                    understood: Box::new(()),
                })
                .await
        }
        other => {
            return Err(Status::unimplemented(format!(
                "action \"{other}\" is unknown; there are clear and delete"
            )));
        }
    };
    done.map_err(|fault| status(&fault))?;
    Ok(Box::pin(futures::stream::iter([Ok(arrow_flight::Result { body: "{}".into() })])))
}
