//! A window function of a view configuration, as JSON.

use proscenium_engine::config::{WindowFrame, WindowOrder, WindowSpec};
use proscenium_engine::error::RequestError;
use serde::Deserialize;
use serde_json::Value;

use super::malformed;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowJson {
    column: String,
    aggregate: String,
    #[serde(default)]
    partition_by: Columns,
    order_by: Option<(String, String)>,
    rows: Option<u32>,
    range: Option<f64>,
    cumulative: Option<bool>,
    offset: Option<u32>,
    alpha: Option<f64>,
}

/// `"g"` or `["g", "h"]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Columns {
    One(String),
    Many(Vec<String>),
}

impl Default for Columns {
    fn default() -> Self {
        Columns::Many(Vec::new())
    }
}

/// Parses a window. Refuses what clients refuse before sending: more than one frame, and `cumulative: false`. The table
/// checks that it has the columns and that the operation accepts the frame. Errors name the invalid member.
pub(super) fn parse(spec: &Value) -> Result<WindowSpec, RequestError> {
    let json = WindowJson::deserialize(spec).map_err(|error| malformed(error.to_string()))?;
    let frame = match (json.rows, json.range, json.cumulative) {
        (None, None, None) => None,
        (Some(rows), None, None) => Some(WindowFrame::Rows(rows)),
        (None, Some(range), None) => Some(WindowFrame::Range(range)),
        (None, None, Some(true)) => Some(WindowFrame::Cumulative),
        (None, None, Some(false)) => {
            return Err(malformed("cumulative is true where it is given".to_owned()));
        }
        _ => return Err(malformed("rows, range and cumulative exclude each other".to_owned())),
    };
    let order_by = match json.order_by {
        None => None,
        Some((column, word)) => match word.as_str() {
            "asc" => Some(WindowOrder { column, descending: false }),
            "desc" => Some(WindowOrder { column, descending: true }),
            other => return Err(malformed(format!("order_by \"{other}\" is neither \"asc\" nor \"desc\""))),
        },
    };
    Ok(WindowSpec {
        source: json.column,
        op: json.aggregate,
        partition_by: match json.partition_by {
            Columns::One(column) => vec![column],
            Columns::Many(columns) => columns,
        },
        order_by,
        frame,
        offset: json.offset,
        alpha: json.alpha,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn client_json_becomes_a_window() {
        let window = parse(&json!({
            "column": "v", "aggregate": "sum", "partition_by": ["g"], "order_by": ["t", "desc"], "rows": 2,
        }))
        .unwrap();
        let order_by = Some(WindowOrder { column: "t".into(), descending: true });
        assert_eq!((window.source.as_str(), window.op.as_str()), ("v", "sum"));
        assert_eq!((window.partition_by.as_slice(), window.order_by), (&["g".to_owned()][..], order_by));
        assert_eq!(window.frame, Some(WindowFrame::Rows(2)));
        for (frame, meant) in [
            (json!({"range": 1.5}), Some(WindowFrame::Range(1.5))),
            (json!({"cumulative": true}), Some(WindowFrame::Cumulative)),
            (json!({"offset": 3}), None),
            (json!({"alpha": 0.5, "partition_by": "g"}), None),
        ] {
            let mut spec = json!({"column": "v", "aggregate": "op"});
            spec.as_object_mut().unwrap().extend(frame.as_object().unwrap().clone());
            assert_eq!(parse(&spec).unwrap().frame, meant, "{spec}");
        }
    }

    #[test]
    fn errors_name_the_invalid_member() {
        for (spec, wrong) in [
            (json!({"aggregate": "sum"}), "column"),
            (json!({"column": "v"}), "aggregate"),
            (json!({"column": "v", "aggregate": "sum", "frame": 1}), "frame"),
            (json!({"column": "v", "aggregate": "sum", "rows": 1, "range": 2}), "exclude"),
            (json!({"column": "v", "aggregate": "sum", "cumulative": false}), "cumulative"),
            (json!({"column": "v", "aggregate": "sum", "order_by": ["t", "up"]}), "\"up\""),
        ] {
            let error = parse(&spec).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
