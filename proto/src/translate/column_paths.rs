//! Converts the names of a view's columns, for both generations at once.

use std::sync::Arc;

use proscenium_engine::Scalar;

use crate::generated as wire;
use crate::translate::scalar;

/// Builds a reply. `names` are joined names, one per visible column (5.5 clients). `levels` are lists with one entry
/// per visible column: one for each split level, then the column names (5.6 clients).
pub fn to_wire(names: &[Arc<str>], levels: &[Vec<Scalar>]) -> wire::ViewColumnPathsResp {
    let area = levels.iter().map(|level| wire::view_column_paths_resp::ColumnPathLevel {
        values: level.iter().map(scalar::to_wire).collect(),
    });
    wire::ViewColumnPathsResp {
        paths: names.iter().map(|name| name.to_string()).collect(),
        area: area.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations_find_their_field() {
        let message = to_wire(&["1|a".into()], &[vec![Scalar::Int(1)], vec![Scalar::from("a")]]);
        assert_eq!(message.paths, ["1|a"]);
        assert_eq!(message.area[0].values, [scalar::to_wire(&Scalar::Float(1.0))]);
        assert_eq!(message.area[1].values, [scalar::to_wire(&Scalar::from("a"))]);
    }
}
