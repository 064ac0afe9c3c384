//! Converts the slice of a view that a client requests, and its export options.

use proscenium_engine::Result;
use proscenium_engine::error::DataError;
use proscenium_engine::export::{Compression, JsonOptions};
use proscenium_engine::view::Viewport;

use crate::generated as wire;

/// Converts a viewport. An absent one is the whole view.
pub fn from_wire(viewport: Option<&wire::ViewPort>) -> Viewport {
    let Some(viewport) = viewport else { return Viewport::default() };
    Viewport {
        start_row: viewport.start_row,
        end_row: viewport.end_row,
        start_col: viewport.start_col,
        end_col: viewport.end_col,
    }
}

/// Converts the options of a JSON reply; each is false by default.
pub fn json_options(id: Option<bool>, index: Option<bool>, formatted: Option<bool>) -> JsonOptions {
    JsonOptions {
        id: id.unwrap_or_default(),
        index: index.unwrap_or_default(),
        formatted: formatted.unwrap_or_default(),
    }
}

/// Converts the body compression of an Arrow reply.
///
/// # Errors
///
/// The codec is unknown.
pub fn compression(name: Option<&str>) -> Result<Compression> {
    match name {
        None | Some("") => Ok(Compression::None),
        Some("lz4") => Ok(Compression::Lz4),
        Some("zstd") => Ok(Compression::Zstd),
        Some(other) => Err(DataError::UnknownCodec { given: other.to_owned() }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_codec_is_named() {
        let error = compression(Some("gzip")).unwrap_err();
        assert_eq!(error.to_string(), "Unknown `compression` \"gzip\", expected \"lz4\" or \"zstd\"");
    }
}
