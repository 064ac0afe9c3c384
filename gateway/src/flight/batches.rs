//! The batches of a put, with their metadata.
//!
//! Invariant: a message is checked before it is decoded, since the decoder trusts the sizes in it.

use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use arrow_flight::decode::{DecodedFlightData, DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use proscenium_engine::ingest::{ArrowMessages, guarded};
use tonic::Status;

/// Decodes a put. The decoder trusts the sizes in a message, so messages are validated first; if it panics
/// nevertheless, the put ends with an error.
pub(super) fn decoded(messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static) -> Batches {
    let mut checked = ArrowMessages::default();
    let messages = messages
        .and_then(move |message| std::future::ready(check(&mut checked, message)))
        .map_err(|status| FlightError::Tonic(Box::new(status)));
    Batches { decoder: FlightDataDecoder::new(messages), schema: None, is_over: false }
}

fn check(checked: &mut ArrowMessages, mut message: FlightData) -> Result<FlightData, Status> {
    // Metadata may be sent without data.
    if !message.data_header.is_empty() {
        checked
            .check(&message.data_header, &message.data_body)
            .map_err(|error| Status::invalid_argument(format!("the put is no Arrow data: {error}")))?;
        if checked.needs_alignment() && !message.data_body.as_ptr().cast::<u64>().is_aligned() {
            message.data_body = message.data_body.to_vec().into();
        }
    }
    Ok(message)
}

/// The batches of a put.
pub(super) struct Batches {
    decoder: FlightDataDecoder,
    schema: Option<SchemaRef>,
    /// The decoder must not be used after a panic.
    is_over: bool,
}

impl Batches {
    pub fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }
}

impl Stream for Batches {
    /// A batch and its metadata.
    type Item = Result<(RecordBatch, Bytes), FlightError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        loop {
            let decoded = match guarded(|| Ok(self.decoder.poll_next_unpin(context))) {
                Ok(polled) => std::task::ready!(polled),
                Err(error) => {
                    self.is_over = true;
                    let text = format!("the put is no Arrow data: {error}");
                    let status = Status::invalid_argument(text);
                    return Poll::Ready(Some(Err(FlightError::Tonic(Box::new(status)))));
                }
            };
            let DecodedFlightData { inner, payload } = match decoded {
                Some(Ok(decoded)) => decoded,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            match payload {
                DecodedPayload::None => {}
                DecodedPayload::Schema(_) if self.schema.is_some() => {
                    let text = "a put has one schema".to_owned();
                    return Poll::Ready(Some(Err(FlightError::ProtocolError(text))));
                }
                DecodedPayload::Schema(schema) => self.schema = Some(schema),
                DecodedPayload::RecordBatch(batch) => {
                    return Poll::Ready(Some(Ok((batch, inner.app_metadata))));
                }
            }
        }
    }
}

/// The status of a put that cannot be decoded.
pub(super) fn not_arrow(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        error => Status::invalid_argument(format!("the put is no Arrow data: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the messages of an IPC stream as Flight messages.
    fn messages(mut stream: &[u8]) -> Vec<Result<FlightData, Status>> {
        let mut messages = Vec::new();
        while let Some((head, rest)) = stream.split_at_checked(8) {
            let meta_len = u32::from_le_bytes(head[4..].try_into().unwrap()) as usize;
            if meta_len == 0 {
                break;
            }
            let (meta, rest) = rest.split_at(meta_len);
            let body_len = arrow::ipc::root_as_message(meta).unwrap().bodyLength() as usize;
            let (body, rest) = rest.split_at(body_len);
            stream = rest;
            let header = bytes::Bytes::copy_from_slice(meta);
            messages.push(Ok(FlightData::new().with_data_header(header).with_data_body(body.to_vec())));
        }
        messages
    }

    #[actix_rt::test]
    async fn a_batch_with_false_buffer_sizes_is_refused() {
        let short = include_bytes!("../../../engine/tests/data/spoiled/short_bitmap.arrow");
        let messages = messages(short);
        assert_eq!(messages.len(), 2, "a schema and a batch");
        let read: Result<Vec<_>, FlightError> = decoded(futures::stream::iter(messages)).try_collect().await;
        let error = not_arrow(read.unwrap_err());
        assert_eq!(error.code(), tonic::Code::InvalidArgument);
        let expected = "column `x` has a bitmap of nulls that is shorter than its rows";
        assert!(error.message().contains(expected), "{}", error.message());
    }

    #[actix_rt::test]
    async fn valid_batches_are_decoded() {
        let ids: arrow::array::ArrayRef =
            std::sync::Arc::new(arrow::array::Int32Array::from(vec![Some(1), None]));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let messages =
            arrow_flight::utils::batches_to_flight_data(&batch.schema(), vec![batch.clone(), batch.clone()]);
        let messages = futures::stream::iter(messages.unwrap().into_iter().map(Ok));
        let read: Result<Vec<_>, FlightError> = decoded(messages).try_collect().await;
        let read: Vec<RecordBatch> = read.unwrap().into_iter().map(|(batch, _)| batch).collect();
        assert_eq!(read, [batch.clone(), batch]);
    }
}
