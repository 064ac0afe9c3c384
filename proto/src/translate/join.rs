//! Converts the options of a join.

use proscenium_engine::Result;
use proscenium_engine::error::RequestError;
use proscenium_engine::table::{JoinKind, JoinSpec};

use crate::generated as wire;

/// Converts a request. Without a right column, the left one's name is used for both.
///
/// # Errors
///
/// The join type is unknown.
pub fn from_wire(request: wire::MakeJoinTableReq) -> Result<JoinSpec> {
    let kind = match wire::JoinType::try_from(request.join_type) {
        Ok(wire::JoinType::Inner) => JoinKind::Inner,
        Ok(wire::JoinType::Left) => JoinKind::Left,
        Ok(wire::JoinType::Outer) => JoinKind::Outer,
        Err(_) => {
            return Err(RequestError::UnknownValue {
                field: "join type".into(),
                value: request.join_type.to_string(),
            }
            .into());
        }
    };
    let right_on = Some(request.right_on_column).filter(|column| !column.is_empty());
    Ok(JoinSpec { on: request.on_column, right_on, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_columns_are_read() {
        let request = wire::MakeJoinTableReq { on_column: "k".into(), join_type: 2, ..Default::default() };
        let spec = JoinSpec { on: "k".into(), right_on: None, kind: JoinKind::Outer };
        assert_eq!(from_wire(request), Ok(spec));
        let request = wire::MakeJoinTableReq { join_type: 7, ..Default::default() };
        assert_eq!(from_wire(request).unwrap_err().to_string(), "unknown join type 7");
    }
}
