//! View configurations as JSON, spelled as by Perspective's clients.

mod window;

use std::collections::BTreeMap;

use proscenium_engine::Scalar;
use proscenium_engine::config::{
    FilterReducer, FilterTerm, Generation, GroupRollupMode, SortDirection, SortTerm, SplitRollupMode,
    ViewConfig, WindowSpec,
};
use proscenium_engine::error::RequestError;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewConfigJson {
    #[serde(default)]
    group_by: Vec<String>,
    #[serde(default)]
    split_by: Vec<String>,
    columns: Option<Vec<Option<String>>>,
    #[serde(default)]
    filter: Vec<Vec<Value>>,
    filter_op: Option<String>,
    #[serde(default)]
    sort: Vec<(String, String)>,
    #[serde(default)]
    expressions: BTreeMap<String, String>,
    #[serde(default)]
    aggregates: BTreeMap<String, Words>,
    #[serde(default)]
    windows: BTreeMap<String, Value>,
    group_by_depth: Option<u32>,
    group_rollup_mode: Option<String>,
    split_rollup_mode: Option<String>,
}

/// `"sum"` or `["weighted mean", "w"]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

/// Parses a view configuration. Errors name the invalid member.
pub(super) fn parse(view: &Value) -> Result<ViewConfig, RequestError> {
    let json = ViewConfigJson::deserialize(view)
        .map_err(|error| malformed(format!("the view config is wrong: {error}")))?;
    Ok(ViewConfig {
        group_by: json.group_by,
        split_by: json.split_by,
        columns: json.columns.map(|columns| columns.into_iter().flatten().collect()),
        filter: json.filter.iter().map(|term| filter(term)).collect::<Result<_, _>>()?,
        filter_op: match json.filter_op.as_deref() {
            None | Some("and") => FilterReducer::And,
            Some("or") => FilterReducer::Or,
            Some(other) => {
                return Err(malformed(format!("filter_op \"{other}\" is neither \"and\" nor \"or\"")));
            }
        },
        sort: json.sort.into_iter().map(sort).collect::<Result<_, _>>()?,
        expressions: json.expressions,
        aggregates: json
            .aggregates
            .into_iter()
            .map(|(column, words)| match words {
                Words::One(word) => (column, vec![word]),
                Words::Many(words) => (column, words),
            })
            .collect(),
        windows: windows(&json.windows)?,
        group_by_depth: json.group_by_depth,
        group_rollup_mode: match json.group_rollup_mode.as_deref() {
            None | Some("rollup") => GroupRollupMode::Rollup,
            Some("flat") => GroupRollupMode::Flat,
            Some("total") => GroupRollupMode::Total,
            Some(other) => {
                return Err(malformed(format!(
                    "group_rollup_mode \"{other}\" is none of rollup, flat, total"
                )));
            }
        },
        split_rollup_mode: match json.split_rollup_mode.as_deref() {
            None | Some("flat") => SplitRollupMode::Flat,
            Some("rollup") => SplitRollupMode::Rollup,
            Some(other) => {
                return Err(malformed(format!("split_rollup_mode \"{other}\" is neither flat nor rollup")));
            }
        },
        generation: Generation::default(),
    })
}

fn windows(specs: &BTreeMap<String, Value>) -> Result<BTreeMap<String, WindowSpec>, RequestError> {
    let spec = |(alias, spec): (&String, &Value)| match window::parse(spec) {
        Ok(spec) => Ok((alias.clone(), spec)),
        Err(error) => Err(malformed(format!("window \"{alias}\": {error}"))),
    };
    specs.iter().map(spec).collect()
}

fn filter(term: &[Value]) -> Result<FilterTerm, RequestError> {
    let (Some(Value::String(column)), Some(Value::String(op))) = (term.first(), term.get(1)) else {
        return Err(malformed(format!(
            "filter {} is not [column, operator, value]",
            Value::from(term.to_vec())
        )));
    };
    let operands = match term.get(2) {
        None => vec![Scalar::Null],
        Some(Value::Array(values)) => values.iter().map(scalar).collect::<Result<_, _>>()?,
        Some(value) => vec![scalar(value)?],
    };
    Ok(FilterTerm { column: column.clone(), op: op.clone(), operands })
}

fn scalar(value: &Value) -> Result<Scalar, RequestError> {
    match value {
        Value::Null => Ok(Scalar::Null),
        Value::Bool(value) => Ok(Scalar::Bool(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(value) => Ok(Scalar::Int(value)),
            None => Ok(number.as_f64().map_or(Scalar::Null, Scalar::Float)),
        },
        Value::String(text) => Ok(Scalar::from(text.as_str())),
        Value::Array(_) | Value::Object(_) => Err(malformed(format!("filter value {value} is not a scalar"))),
    }
}

fn sort((column, word): (String, String)) -> Result<SortTerm, RequestError> {
    let direction = match word.as_str() {
        "none" => SortDirection::None,
        "asc" => SortDirection::Asc,
        "desc" => SortDirection::Desc,
        "col asc" => SortDirection::ColAsc,
        "col desc" => SortDirection::ColDesc,
        "asc abs" => SortDirection::AscAbs,
        "desc abs" => SortDirection::DescAbs,
        "col asc abs" => SortDirection::ColAscAbs,
        "col desc abs" => SortDirection::ColDescAbs,
        other => {
            return Err(malformed(format!("sort direction \"{other}\" of column \"{column}\" is unknown")));
        }
    };
    Ok(SortTerm { column, direction })
}

fn malformed(reason: String) -> RequestError {
    RequestError::Malformed { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_json_becomes_a_config() {
        let config = parse(&serde_json::json!({
            "group_by": ["g"], "columns": ["v", null], "aggregates": {"v": "avg", "w": ["max by", "v"]},
            "filter": [["v", ">", 3], ["g", "in", ["a", "b"]], ["g", "is not null"]],
            "sort": [["v", "col desc"]], "filter_op": "or", "group_rollup_mode": "flat",
        }))
        .unwrap();
        assert_eq!(config.columns, Some(vec!["v".to_owned()]));
        assert_eq!(config.filter[0].operands, [Scalar::Int(3)]);
        assert_eq!(config.filter[1].operands.len(), 2);
        assert_eq!(config.sort[0].direction, SortDirection::ColDesc);
        assert_eq!(config.aggregates["w"], ["max by", "v"]);
        assert_eq!(config.group_rollup_mode, GroupRollupMode::Flat);
    }

    #[test]
    fn errors_name_the_invalid_member() {
        for (view, wrong) in [
            (serde_json::json!({"sort": [["v", "up"]]}), "\"up\""),
            (serde_json::json!({"filter": [["v"]]}), "[\"v\"]"),
            (serde_json::json!({"rows": 3}), "rows"),
            (serde_json::json!({"windows": {"w": {"column": "v"}}}), "window \"w\""),
            (serde_json::json!({"expressions": {"e": 3}}), "string"),
        ] {
            let error = parse(&view).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
