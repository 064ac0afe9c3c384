//! Errors as clients hear them. Only the status has meaning to a program; the text is for people.

use proscenium_engine::EngineError;

use crate::generated::response::ClientResp;
use crate::generated::{ServerError, StatusCode};

/// Any failed request.
pub fn to_wire(error: &EngineError) -> ClientResp {
    server_error(error.to_string())
}

/// A failed request, in words that are made already.
pub fn server_error(message: impl Into<String>) -> ClientResp {
    with_status(message, StatusCode::ServerError)
}

/// A request about a view that does not exist (any more); clients turn this status into an error class of its own.
pub fn view_not_found() -> ClientResp {
    with_status("View not found", StatusCode::ViewNotFound)
}

/// A request about a table that does not exist.
pub fn table_not_found() -> ClientResp {
    server_error("Couldn't find key.")
}

/// Bytes that are no request, or a request that asks nothing this server knows of.
pub fn unhandled() -> ClientResp {
    server_error("Unhandled request type 2")
}

fn with_status(message: impl Into<String>, status: StatusCode) -> ClientResp {
    ClientResp::ServerError(ServerError { message: message.into(), status_code: status.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_what_is_at_fault() {
        let ClientResp::ServerError(error) = to_wire(&EngineError::Unsupported("MakeJoinTable".into()))
        else {
            panic!("an error is a ServerError")
        };
        assert_eq!((error.message.as_str(), error.status_code), ("MakeJoinTable is not supported yet", 0));
    }

    #[test]
    fn a_missing_view_has_a_status_of_its_own() {
        let ClientResp::ServerError(error) = view_not_found() else { panic!("an error is a ServerError") };
        assert_eq!(error.status_code(), StatusCode::ViewNotFound);
    }
}
