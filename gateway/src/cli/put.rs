//! One Flight put.

use arrow::array::RecordBatch;
use arrow_flight::FlightClient;
use arrow_flight::FlightDescriptor;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::error::CliError;
use super::progress::Progress;
use super::rows::Part;

/// The server's acknowledgement of rows.
#[derive(serde::Deserialize)]
struct Applied {
    rows: u64,
}

/// Sends a part and waits until the server has applied it.
///
/// # Errors
///
/// The server refuses it; the text says how many of its rows are kept.
pub(super) async fn put(
    client: &mut FlightClient,
    command: &Value,
    part: Part,
    progress: &mut Progress,
) -> Result<(), CliError> {
    let Part { schema, batches } = part;
    let sent = progress.sent();
    let batches = futures::stream::iter(batches).map(move |batch: RecordBatch| {
        sent(batch.num_rows());
        Ok::<_, FlightError>(batch)
    });
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_flight_descriptor(Some(FlightDescriptor::new_cmd(command.to_string())))
        .build(batches);
    let mut results = client.do_put(messages).await?;
    let mut applied = 0;
    while let Some(result) = results.try_next().await? {
        if let Ok(Applied { rows }) = serde_json::from_slice(&result.app_metadata) {
            progress.applied(rows.saturating_sub(applied));
            applied = rows;
        }
    }
    Ok(())
}
