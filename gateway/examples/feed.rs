//! Makes a table over Arrow Flight and upserts rows: `cargo run -p proscenium-gateway --example feed [URL]`.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::{FlightClient, FlightDescriptor};
use futures::TryStreamExt;
use tonic::transport::Endpoint;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8815".into());
    let mut client = FlightClient::new(Endpoint::from_shared(url)?.connect().await?);

    let rows = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![1, 2])) as _),
        ("price", Arc::new(Float64Array::from(vec![1.5, 2.5])) as _),
    ])?;
    let order = r#"{"table": "prices", "mode": "upsert", "index": "id"}"#;
    let messages = FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(FlightDescriptor::new_cmd(order)))
        .build(futures::stream::iter([Ok(rows)]));
    let acknowledged: Vec<_> = client.do_put(messages).await?.try_collect().await?;
    for result in acknowledged {
        println!("{}", String::from_utf8_lossy(&result.app_metadata));
    }
    Ok(())
}
