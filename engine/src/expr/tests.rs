//! Recorded cases: the results of the reference engine for each expression.

use serde_json::Value as Json;

use super::*;
use crate::ingest::parse_temporal;
use crate::types::schema::{ColumnType, Field};

fn recorded() -> Json {
    let text = include_str!("../../tests/data/expressions.json");
    serde_json::from_str(text).expect("the recorded cases are JSON")
}

fn schema(columns: &Json) -> Schema {
    let columns = columns.as_object().unwrap();
    let field = |(name, word): (&String, &Json)| {
        let column_type =
            ColumnType::ALL.into_iter().find(|known| Some(known.name()) == word.as_str()).unwrap();
        // The reference engine stores integers in 32 bits, as does a column of that width in Arrow.
        let storage = match column_type {
            ColumnType::Integer => Storage::Int32,
            other => other.default_storage(),
        };
        Field::new(name.as_str(), storage)
    };
    Schema::new(columns.iter().map(field).collect())
}

struct Cells<'a> {
    schema: &'a Schema,
    rows: &'a [Json],
    row: usize,
    columns: &'a [usize],
}

impl Cells<'_> {
    fn at(&self, row: usize, column: usize) -> Value {
        let field = self.schema.field(column);
        let cell = &self.rows[row][&*field.name];
        let scalar = match (field.column_type(), cell) {
            (_, Json::Null) => Scalar::Null,
            (ColumnType::Integer, cell) => Scalar::Int(cell.as_i64().unwrap()),
            (ColumnType::Float, cell) => Scalar::Float(match cell.as_str() {
                Some("NaN") => f64::NAN,
                Some("Infinity") => f64::INFINITY,
                Some(_) => f64::NEG_INFINITY,
                None => cell.as_f64().unwrap(),
            }),
            (ColumnType::Boolean, cell) => Scalar::Bool(cell.as_bool().unwrap()),
            (ColumnType::String, cell) => Scalar::from(cell.as_str().unwrap()),
            (ColumnType::Date, cell) => {
                Scalar::Date(parse_temporal(cell.as_str().unwrap(), ColumnType::Date).unwrap() as i32)
            }
            (ColumnType::Datetime, cell) => Scalar::Datetime(cell.as_i64().unwrap()),
        };
        Value::of(&scalar, field.storage)
    }
}

impl Row for Cells<'_> {
    fn cell(&self, position: usize) -> Value {
        self.at(self.row, self.columns[position])
    }

    fn named(&self, name: &str) -> Option<Value> {
        self.schema.index_of(name).map(|column| self.at(self.row, column))
    }

    fn index(&self) -> Value {
        Value::integer(INT32, self.row as i64)
    }

    fn lookup(&self, name: &str, position: f64) -> Option<Value> {
        let column = self.schema.index_of(name)?;
        let row = position as usize;
        let is_there = position >= 0.0 && row < self.rows.len();
        Some(if is_there {
            self.at(row, column)
        } else {
            Value::null(ValueKind::of(self.schema.field(column).storage))
        })
    }
}

fn json(scalar: &Scalar) -> Json {
    match scalar {
        Scalar::Null => Json::Null,
        Scalar::Bool(value) => (*value).into(),
        Scalar::Int(value) => (*value).into(),
        Scalar::UInt(value) => (*value).into(),
        Scalar::Float(value) if value.is_nan() => "NaN".into(),
        Scalar::Float(f64::INFINITY) => "Infinity".into(),
        Scalar::Float(f64::NEG_INFINITY) => "-Infinity".into(),
        Scalar::Float(value) => (*value).into(),
        Scalar::Str(text) => (&**text).into(),
        Scalar::Date(days) => (i64::from(*days) * 86_400_000).into(),
        Scalar::Datetime(ms) => (*ms).into(),
    }
}

fn is_same(left: &Json, right: &Json, is_approximate: bool) -> bool {
    match (left, right) {
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| is_same(left, right, is_approximate))
        }
        (Json::Number(left), Json::Number(right)) => {
            let (Some(left), Some(right)) = (left.as_f64(), right.as_f64()) else { return false };
            left == right || (is_approximate && (left - right).abs() <= 1e-12 * left.abs().max(right.abs()))
        }
        _ => left == right,
    }
}

/// Returns the result of this engine, in the form of the recording.
fn result_of(case: &Json) -> Json {
    let schema = schema(&case["columns"]);
    let expression = match Expression::new("the expression", case["expr"].as_str().unwrap(), &schema, None) {
        Ok(expression) => expression,
        Err(error) => {
            let error =
                serde_json::json!({"message": error.message, "line": error.line, "column": error.column});
            return serde_json::json!({ "error": error });
        }
    };
    let rows = case["rows"].as_array().unwrap();
    let mut inputs = VolatileInputs { now_ms: 1_700_000_000_000, random: 1 };
    let values: Vec<Json> = (0..rows.len())
        .map(|row| {
            let cells = Cells { schema: &schema, rows, row, columns: &expression.columns };
            json(&expression.evaluate(&cells, &mut inputs))
        })
        .collect();
    serde_json::json!({ "type": expression.storage.column_type().name(), "values": values })
}

/// Cases whose results differ on purpose, with the reason.
const DIFFERENT: &[(&str, &str)] = &[
    ("NULL == 1", "NULL in capitals is null here too, not another keyword"),
    ("/* it's */ \"i\" == null", "a quote in a comment does not turn null into that other keyword"),
];

#[test]
fn recorded_cases() {
    // Without optimisation, the deepest cases need more stack than a test thread has.
    let checking = std::thread::Builder::new().stack_size(32 << 20).spawn(check_recorded).unwrap();
    if let Err(failure) = checking.join() {
        std::panic::resume_unwind(failure);
    }
}

fn check_recorded() {
    let recorded = recorded();
    let cases = recorded["cases"].as_array().unwrap();
    let mut failed = Vec::new();
    for case in cases {
        let given = result_of(case);
        let is_approximate = case["approx"] == true;
        let is_right = match case.get("error") {
            Some(error) => given["error"] == *error,
            None => {
                given["type"] == case["type"] && is_same(&given["values"], &case["values"], is_approximate)
            }
        };
        let text = case["expr"].as_str().unwrap();
        if !is_right && !DIFFERENT.iter().any(|(different, _)| *different == text) {
            failed.push(format!(
                "{} {} {text:?}\n   want {}\n   have {given}",
                case["group"].as_str().unwrap(),
                case["quirk"].as_str().unwrap_or(""),
                match case.get("error") {
                    Some(error) => error.to_string(),
                    None => format!("{} {}", case["type"], case["values"]),
                },
            ));
        }
    }
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// Further cases recorded from the reference engine: every function over every type, with edge values, on one table.
///
/// Excluded, since they deliberately differ: rows of another type than the expression (the reference engine shows their
/// raw bits), days past their month's end, years beyond 32767, the sign of a NaN in text, `clamp` of types that do not
/// compare, `order` by columns.
#[test]
fn more_recorded_cases() {
    let path = std::env::var("PROSCENIUM_CASES");
    let text = match path {
        Ok(path) => std::fs::read_to_string(path).expect("the file is there"),
        Err(_) => include_str!("../../tests/data/expressions_more.json").to_owned(),
    };
    let recorded: Json = serde_json::from_str(&text).expect("the recorded cases are JSON");
    let mut failed = Vec::new();
    let cases = recorded["cases"].as_array().unwrap();
    for case in cases {
        let mut whole = case.clone();
        whole["columns"] = recorded["columns"].clone();
        whole["rows"] = recorded["rows"].clone();
        let given = result_of(&whole);
        let is_right = match case.get("error") {
            Some(error) => given["error"] == *error,
            None => given["type"] == case["type"] && is_same(&given["values"], &case["values"], true),
        };
        if !is_right {
            let wanted = match case.get("error") {
                Some(error) => error.to_string(),
                None => format!("{} {}", case["type"], case["values"]),
            };
            failed.push(format!("{} {}\n   want {wanted}\n   have {given}", case["group"], case["expr"]));
        }
    }
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// Invalid expressions, recorded from the reference engine: message, line and column of each.
#[test]
fn recorded_refusals() {
    let recorded: Json =
        serde_json::from_str(include_str!("../../tests/data/refusals.json")).expect("the cases are JSON");
    let schema = schema(&recorded["columns"]);
    let mut failed = Vec::new();
    for case in recorded["cases"].as_array().unwrap() {
        let given = match Expression::new("e", case["expr"].as_str().unwrap(), &schema, None) {
            Ok(expression) => expression.storage.column_type().name().into(),
            Err(error) => {
                serde_json::json!({"message": error.message, "line": error.line, "column": error.column})
            }
        };
        let wanted = case.get("error").or(case.get("type")).unwrap();
        if given != *wanted {
            failed.push(format!("{}\n   want {wanted}\n   have {given}", case["expr"]));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_bucket_of_a_year_that_no_date_has_is_null() {
    let schema = Schema::new(vec![Field::new("t", Storage::TimestampMs)]);
    for (unit, year) in [("Y", 2_000_000_000_000_000_i64), ("M", 2_000_000_000_000_000), ("D", 1 << 53)] {
        let text = format!("bucket(\"t\", '{unit}')");
        let expression = Expression::new("e", &text, &schema, None).unwrap();
        let rows = [serde_json::json!({ "t": year }), serde_json::json!({ "t": 0 })];
        let at = |row| {
            let cells = Cells { schema: &schema, rows: &rows, row, columns: &expression.columns };
            expression.evaluate(&cells, &mut { VolatileInputs::NONE })
        };
        assert_eq!((at(0), at(1)), (Scalar::Null, Scalar::Date(0)), "{unit}");
    }
}

#[test]
fn a_bucket_that_begins_before_the_earliest_datetime_is_null() {
    let schema = Schema::new(vec![Field::new("t", Storage::TimestampMs)]);
    for unit in ["30s", "30m", "6h"] {
        let expression = Expression::new("e", &format!("bucket(\"t\", '{unit}')"), &schema, None).unwrap();
        let rows = [serde_json::json!({ "t": i64::MIN }), serde_json::json!({ "t": -1 })];
        let at = |row| {
            let cells = Cells { schema: &schema, rows: &rows, row, columns: &expression.columns };
            expression.evaluate(&cells, &mut { VolatileInputs::NONE })
        };
        assert_eq!((at(0), at(1)), (Scalar::Null, Scalar::Datetime(0)), "{unit}");
    }
}
