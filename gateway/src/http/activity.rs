//! The outermost middleware: lets a connection's stream know which of its requests are being handled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use bytes::Bytes;

use crate::guarded_stream::{ActiveRequest, ConnectionActivity};

/// Marks the request as active until its response is written.
pub async fn track(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let active = request.conn_data::<Arc<ConnectionActivity>>().map(ConnectionActivity::start);
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| TrackedBody { body: Box::pin(body), _active: active }))
}

/// A response's body, dropped once it is written.
struct TrackedBody<B> {
    body: Pin<Box<B>>,
    _active: Option<ActiveRequest>,
}

impl<B: MessageBody> MessageBody for TrackedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.get_mut().body.as_mut().poll_next(context)
    }
}
