//! Errors on the wire: of WebSocket, HTTP and Flight.
//!
//! Invariant: the same fault has the same text and the same stable code on all three; each map lists every kind, so that a
//! new kind does not compile until it has a place on each endpoint. A WebSocket reply has no field for the code.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use proscenium_actors::ActorError;
use proscenium_engine::EngineError;
use proscenium_engine::error::{HostingError, RequestError};
use proscenium_engine::memory::MemoryLevel;
use proscenium_proto::ClientResp;
use proscenium_proto::translate::{error as wire_error, error_text};
use serde_json::json;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// The name of the metadata that carries the code of a Flight error.
const CODE_METADATA: &str = "proscenium-code";

/// Seconds after which a client may try again what the server could not do now.
const RETRY_SECONDS: &str = "5";

/// The reply of the protocol.
pub(crate) fn to_websocket(fault: &ActorError) -> ClientResp {
    match fault {
        ActorError::Engine(error) => wire_error::to_wire(error),
        ActorError::ViewNotFound => wire_error::view_not_found(),
        ActorError::TableNotFound => wire_error::table_not_found(),
        ActorError::TableFailed { .. }
        | ActorError::Gone
        | ActorError::Deadline { .. }
        | ActorError::TooManySubscriptions { .. }
        | ActorError::NoConnection
        | ActorError::NotDurable(_)
        | ActorError::RecordFailed { .. }
        | ActorError::NotAuthorized { .. }
        | ActorError::RightsChanged
        | ActorError::RowNotAuthorized { .. }
        | ActorError::PolicyUnfit { .. }
        | ActorError::LoadGap { .. }
        | ActorError::KeyReused
        | ActorError::Recovering
        | ActorError::WrongAnswer => wire_error::server_error(fault.to_string()),
    }
}

/// The HTTP response to a request about the table `name`.
pub(crate) fn to_http(fault: &ActorError, name: &str) -> HttpResponse {
    let status = match fault {
        ActorError::TableNotFound | ActorError::ViewNotFound => StatusCode::NOT_FOUND,
        ActorError::Engine(error) => http_status(error),
        ActorError::TooManySubscriptions { .. } => StatusCode::TOO_MANY_REQUESTS,
        ActorError::NoConnection => StatusCode::BAD_REQUEST,
        ActorError::TableFailed { .. } | ActorError::Gone | ActorError::Deadline { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ActorError::NotDurable(error) if error.is_refusal() => StatusCode::INSUFFICIENT_STORAGE,
        ActorError::NotDurable(_) | ActorError::Recovering => StatusCode::SERVICE_UNAVAILABLE,
        ActorError::RecordFailed { .. } | ActorError::LoadGap { .. } => StatusCode::CONFLICT,
        ActorError::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        ActorError::NotAuthorized { .. }
        | ActorError::RowNotAuthorized { .. }
        | ActorError::RightsChanged => StatusCode::FORBIDDEN,
        ActorError::WrongAnswer | ActorError::PolicyUnfit { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    http_error(status, fault.code(), &text(fault, name))
}

fn http_status(error: &EngineError) -> StatusCode {
    match error {
        EngineError::Request(RequestError::ReplyTooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        EngineError::Data(_) | EngineError::Table(_) | EngineError::Config(_) | EngineError::Request(_) => {
            StatusCode::BAD_REQUEST
        }
        EngineError::Hosting(error) => match error {
            HostingError::TableExists { .. }
            | HostingError::ViewExists { .. }
            | HostingError::TableHasViews
            | HostingError::ViewIsSource
            | HostingError::TableIsSource { .. } => StatusCode::CONFLICT,
            HostingError::TooManyTables { .. } => StatusCode::INSUFFICIENT_STORAGE,
            HostingError::TooManyViews { .. } => StatusCode::TOO_MANY_REQUESTS,
            HostingError::NoSourceView { .. } | HostingError::NoSourceTable { .. } => StatusCode::NOT_FOUND,
        },
        EngineError::Memory(refused) => match refused.level {
            MemoryLevel::Request => StatusCode::PAYLOAD_TOO_LARGE,
            MemoryLevel::Session => StatusCode::TOO_MANY_REQUESTS,
            MemoryLevel::Server => StatusCode::SERVICE_UNAVAILABLE,
        },
        EngineError::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
    }
}

/// An HTTP response with an error: JSON with its text and its stable code.
pub(crate) fn http_error(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.insert_header((RETRY_AFTER, RETRY_SECONDS));
    }
    response.json(json!({ "error": message, "code": code }))
}

/// A gRPC status with a stable code.
pub(crate) fn flight_error(code: Code, stable: &'static str, text: &str) -> Status {
    let mut status = Status::new(code, text);
    status.metadata_mut().insert(CODE_METADATA, MetadataValue::from_static(stable));
    status
}

/// The gRPC status of a request about the table `name`.
pub(crate) fn to_flight(fault: &ActorError, name: &str) -> Status {
    let code = match fault {
        ActorError::TableNotFound | ActorError::ViewNotFound => Code::NotFound,
        ActorError::Engine(error) => flight_code(error),
        ActorError::TooManySubscriptions { .. } => Code::ResourceExhausted,
        ActorError::NoConnection | ActorError::KeyReused => Code::InvalidArgument,
        ActorError::LoadGap { .. } => Code::OutOfRange,
        ActorError::TableFailed { .. } | ActorError::RecordFailed { .. } => Code::FailedPrecondition,
        ActorError::Deadline { .. } => Code::DeadlineExceeded,
        ActorError::NotDurable(error) if error.is_refusal() => Code::ResourceExhausted,
        ActorError::Gone | ActorError::NotDurable(_) | ActorError::Recovering => Code::Unavailable,
        ActorError::NotAuthorized { .. }
        | ActorError::RowNotAuthorized { .. }
        | ActorError::RightsChanged => Code::PermissionDenied,
        ActorError::WrongAnswer | ActorError::PolicyUnfit { .. } => Code::Internal,
    };
    flight_error(code, fault.code(), &text(fault, name))
}

fn flight_code(error: &EngineError) -> Code {
    match error {
        EngineError::Request(RequestError::ReplyTooLong { .. }) => Code::ResourceExhausted,
        EngineError::Data(_) | EngineError::Table(_) | EngineError::Config(_) | EngineError::Request(_) => {
            Code::InvalidArgument
        }
        EngineError::Hosting(error) => match error {
            HostingError::TableExists { .. } | HostingError::ViewExists { .. } => Code::AlreadyExists,
            HostingError::TableHasViews | HostingError::ViewIsSource | HostingError::TableIsSource { .. } => {
                Code::FailedPrecondition
            }
            HostingError::TooManyTables { .. } | HostingError::TooManyViews { .. } => Code::ResourceExhausted,
            HostingError::NoSourceView { .. } | HostingError::NoSourceTable { .. } => Code::NotFound,
        },
        EngineError::Memory(_) => Code::ResourceExhausted,
        EngineError::Unsupported(_) => Code::Unimplemented,
    }
}

/// The text for people. The published server's word for a missing table names no table; here it does.
fn text(fault: &ActorError, name: &str) -> String {
    match fault {
        ActorError::TableNotFound => format!("table \"{name}\" is not hosted"),
        ActorError::Engine(error) => engine_text(error),
        ActorError::ViewNotFound
        | ActorError::TableFailed { .. }
        | ActorError::Gone
        | ActorError::Deadline { .. }
        | ActorError::TooManySubscriptions { .. }
        | ActorError::NoConnection
        | ActorError::NotDurable(_)
        | ActorError::RecordFailed { .. }
        | ActorError::NotAuthorized { .. }
        | ActorError::RightsChanged
        | ActorError::RowNotAuthorized { .. }
        | ActorError::PolicyUnfit { .. }
        | ActorError::LoadGap { .. }
        | ActorError::KeyReused
        | ActorError::Recovering
        | ActorError::WrongAnswer => fault.to_string(),
    }
}

/// The engine's text, the same at every endpoint.
pub(crate) fn engine_text(error: &EngineError) -> String {
    error_text::text(error).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proscenium_engine::memory::{MemoryKind, MemoryRefused};

    use super::*;

    #[test]
    fn refused_memory_says_whether_to_ask_for_less_or_later() {
        let refused = |level| {
            let (asked, limit_bytes, free_bytes) = (3 << 30, 1 << 30, 1 << 20);
            let kind = MemoryKind::Slices;
            ActorError::from(EngineError::from(MemoryRefused { kind, asked, level, limit_bytes, free_bytes }))
        };
        for (level, status, retries) in [
            (MemoryLevel::Request, StatusCode::PAYLOAD_TOO_LARGE, false),
            (MemoryLevel::Session, StatusCode::TOO_MANY_REQUESTS, true),
            (MemoryLevel::Server, StatusCode::SERVICE_UNAVAILABLE, true),
        ] {
            let response = to_http(&refused(level), "t");
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), retries, "{status}");
            let status = to_flight(&refused(level), "t");
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert_eq!(status.metadata().get(CODE_METADATA).unwrap(), "memory_limit");
            let text = format!("needs 3.0 GiB for the slice; [memory] {} allows 1.0 GiB", level.key());
            assert_eq!(status.message(), text);
        }
    }
}
