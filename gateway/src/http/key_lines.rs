//! Keys, one a line, as a list of keys.

use bytes::Bytes;
use bytestring::ByteString;
use proscenium_engine::EngineError;
use proscenium_engine::error::{DataError, DataFormat};
use serde::de::IgnoredAny;

/// The list of keys of which each line has one, as JSON. Cost: O(bytes).
///
/// # Errors
///
/// The bytes are no UTF-8, or a line is no JSON.
pub(super) fn as_list(bytes: &Bytes) -> Result<ByteString, EngineError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let reason = format!("wrong at byte {}", error.valid_up_to());
        EngineError::from(DataError::NotUtf8 { reason })
    })?;
    let mut list = String::with_capacity(text.len() + 2);
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Err(error) = serde_json::from_str::<IgnoredAny>(line) {
            let reason = format!("line {} is no key: {error}", number + 1);
            return Err(DataError::Malformed { format: DataFormat::Json, reason }.into());
        }
        list.push(if list.is_empty() { '[' } else { ',' });
        list.push_str(line);
    }
    list.push_str(if list.is_empty() { "[]" } else { "]" });
    Ok(list.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_a_list() {
        let list = |text: &'static str| as_list(&Bytes::from_static(text.as_bytes())).unwrap().to_string();
        assert_eq!(list("1\r\n\n9007199254740993\n\"a, b\""), "[1,9007199254740993,\"a, b\"]");
        assert_eq!(list("\n"), "[]");
        let error = as_list(&Bytes::from_static(b"1\n2,3\n")).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
