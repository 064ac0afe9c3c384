//! Converts errors. Clients branch on the status only; the text is for people.

use proscenium_engine::EngineError;

use crate::generated::response::ClientResp;
use crate::generated::{ServerError, StatusCode};

use super::error_text;

/// Converts an engine error.
pub fn to_wire(error: &EngineError) -> ClientResp {
    server_error(error_text::text(error))
}

/// An error with this text.
pub fn server_error(message: impl Into<String>) -> ClientResp {
    with_status(message, StatusCode::ServerError)
}

/// The error for a view that does not exist. Clients map this status to an error class of its own.
pub fn view_not_found() -> ClientResp {
    with_status("View not found", StatusCode::ViewNotFound)
}

/// The error for a table that does not exist.
pub fn table_not_found() -> ClientResp {
    server_error("Couldn't find key.")
}

/// The error for an undecodable or unknown request.
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
    fn the_text_names_the_cause() {
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
