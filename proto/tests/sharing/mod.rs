//! Random pairs of view configurations that differ in little: what tests of the server and of the worker open together.
//!
//! Invariant: everything follows from the seed. A pair is a configuration and a variation of it, or the same twice.

pub use proscenium_engine::testing::Random;
use std::collections::BTreeMap;

use proscenium_proto::ClientReq;
use proscenium_proto::generated::columns_update::{Columns, OptColumns};
use proscenium_proto::generated::scalar::Scalar as Value;
use proscenium_proto::generated::view_config::{AggList, Filter, FilterReducer, Sort};
use proscenium_proto::generated::window_spec::{Frame, Order};
use proscenium_proto::generated::*;

/// The rows of every table.
pub const ROWS: &str = r#"[
    {"id":1,"a":"x","b":"p","v":5,"f":0.5,"w":1},
    {"id":2,"a":"y","b":"q","v":7,"f":-0.0,"w":2},
    {"id":3,"a":"x","b":"q","v":9,"f":0.0,"w":3},
    {"id":4,"a":null,"b":"p","v":100,"f":1.5,"w":4},
    {"id":5,"a":"1","b":"p","v":1,"f":1,"w":5},
    {"id":6,"a":"z","b":"q","v":null,"f":null,"w":6}
]"#;

/// An update of these rows: cells change, a group loses its last row, another one is added.
pub const UPDATE: &str = r#"[
    {"id":4,"v":3,"f":-2},
    {"id":5,"a":"n","b":"r","v":8,"f":7,"w":1},
    {"id":7,"a":"x","b":"p","v":2,"f":1,"w":1}
]"#;

const COLUMNS: [&str; 6] = ["id", "a", "b", "v", "f", "w"];
const AGGREGATES: [&str; 18] = [
    "sum",
    "sum or zero",
    "abs sum",
    "sum abs",
    "avg",
    "mean",
    "count",
    "distinct count",
    "max",
    "min",
    "high",
    "low",
    "first",
    "last",
    "median",
    "unique",
    "any",
    "var",
];
const EXPRESSIONS: [&str; 6] =
    ["\"v\" + 1", "\"v\" + 1.5", "\"f\" * 0", "\"f\" * -0", "upper(\"a\")", "\"v\""];

fn scalar(value: Value) -> Scalar {
    Scalar { scalar: Some(value) }
}

fn list(names: Vec<String>) -> Option<ColumnsUpdate> {
    Some(ColumnsUpdate { opt_columns: Some(OptColumns::Columns(Columns { columns: names })) })
}

fn shown(random: &mut Random, config: &ViewConfig) -> Option<ColumnsUpdate> {
    let mut names: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
    names.extend(config.expressions.keys().cloned());
    names.extend(config.windows.keys().cloned());
    let count = 1 + random.below(4);
    // Repeated ones are shown as often as they are named.
    list((0..count).map(|_| names[random.below(names.len())].clone()).collect())
}

fn aggregate(random: &mut Random) -> AggList {
    let mut aggregations = vec![(*random.pick(&AGGREGATES)).to_owned()];
    if random.chance(4) {
        let argument = (*random.pick(&["id", "v", "w"])).to_owned();
        aggregations = vec![(*random.pick(&["weighted mean", "max by", "min by"])).to_owned(), argument];
    }
    AggList { aggregations }
}

fn filter(random: &mut Random) -> Filter {
    let (column, ops): (&str, &[&str]) = match random.below(4) {
        0 => (
            "a",
            &["==", "!=", ">", "contains", "begins with", "startswith", "matches", "in", "not in", "is null"],
        ),
        1 => ("v", &["==", "!=", ">", "<=", "in", "is not null"]),
        2 => ("w", &["==", "<", ">=", "not in"]),
        _ => ("f", &["==", "!=", ">", ">=", "<", "in"]),
    };
    let value = match column {
        "a" => Value::String((*random.pick(&["x", "X", "1", "1.0", "", "null"])).to_owned()),
        "f" => {
            let text = Value::String((*random.pick(&["0", "-0.0", "1", "1.0", "nan"])).to_owned());
            let numbers = [0.0, -0.0, 1.0, 0.5, f64::NAN].map(Value::Float);
            if random.chance(3) { text } else { numbers[random.below(5)].clone() }
        }
        _ => match random.below(3) {
            0 => Value::String((*random.pick(&["1", "5", "7.9"])).to_owned()),
            1 => Value::Bool(random.chance(2)),
            _ => Value::Float(*random.pick(&[1.0, 1.9, 5.0, 7.0, 100.0])),
        },
    };
    Filter { column: column.into(), op: (*random.pick(ops)).into(), value: vec![scalar(value)] }
}

fn window(random: &mut Random) -> WindowSpec {
    let frame = match random.below(4) {
        0 => Some(Frame::Rows(random.below(3) as u32)),
        1 => Some(Frame::Range(*random.pick(&[1.0, 2.5]))),
        _ => None,
    };
    WindowSpec {
        source: (*random.pick(&["v", "f", "w"])).into(),
        op: (*random.pick(&["sum", "avg", "max", "count"])).into(),
        partition_by: if random.chance(2) { vec![(*random.pick(&["a", "b"])).into()] } else { Vec::new() },
        order_by: Some(Order { column: (*random.pick(&["id", "w"])).into(), desc: random.chance(2) }),
        frame,
        ..Default::default()
    }
}

fn sort(random: &mut Random) -> Sort {
    Sort { column: (*random.pick(&COLUMNS)).into(), op: random.below(9) as i32 }
}

fn modes(random: &mut Random, config: &mut ViewConfig) {
    config.group_rollup_mode = Some(*random.pick(&[0, 0, 1, 2, 2]));
    config.split_rollup_mode = Some(random.below(2) as i32);
}

fn groups(random: &mut Random) -> Vec<String> {
    let choices: [&[&str]; 6] = [&[], &[], &["a"], &["b"], &["a", "b"], &["v"]];
    (*random.pick(&choices)).iter().map(|name| (*name).to_owned()).collect()
}

fn expressions(random: &mut Random) -> BTreeMap<String, String> {
    let names = [&["e"][..], &["e", "other"], &[]][random.below(3)];
    names.iter().map(|name| ((*name).to_owned(), (*random.pick(&EXPRESSIONS)).to_owned())).collect()
}

fn windows(random: &mut Random) -> BTreeMap<String, WindowSpec> {
    if random.chance(3) { BTreeMap::from([("win".to_owned(), window(random))]) } else { BTreeMap::new() }
}

fn config(random: &mut Random) -> ViewConfig {
    let mut config = ViewConfig {
        group_by: groups(random),
        split_by: if random.chance(3) { vec![(*random.pick(&["a", "b"])).into()] } else { Vec::new() },
        expressions: expressions(random),
        windows: windows(random),
        filter: (0..random.below(3)).map(|_| filter(random)).collect(),
        sort: (0..random.below(3)).map(|_| sort(random)).collect(),
        ..Default::default()
    };
    config.columns = shown(random, &config);
    for column in COLUMNS {
        if random.chance(2) {
            config.aggregates.insert(column.into(), aggregate(random));
        }
    }
    modes(random, &mut config);
    config
}

/// Changes one part; some changes make no difference.
fn vary(random: &mut Random, config: &mut ViewConfig) {
    match random.below(10) {
        0 | 1 => {
            let column = (*random.pick(&COLUMNS)).to_owned();
            config.aggregates.insert(column, aggregate(random));
        }
        2 => config.columns = shown(random, config),
        3 => config.filter = (0..1 + random.below(2)).map(|_| filter(random)).collect(),
        4 => config.filter_op = FilterReducer::Or.into(),
        5 => config.sort = vec![sort(random)],
        6 => config.expressions.values_mut().for_each(|text| *text = (*random.pick(&EXPRESSIONS)).into()),
        7 => config.windows.values_mut().for_each(|spec| *spec = window(random)),
        8 => modes(random, config),
        _ => config.group_by = groups(random),
    }
}

/// Two configurations, of which one or both may be refused.
pub fn pair(random: &mut Random) -> [ViewConfig; 2] {
    let first = config(random);
    let mut second = first.clone();
    if !random.chance(8) {
        vary(random, &mut second);
    }
    [first, second]
}

/// All read-only requests about a view.
pub fn questions() -> Vec<ClientReq> {
    let (id, index) = (Some(true), Some(false));
    let min_max = |column: &str| ClientReq::ViewGetMinMaxReq(ViewGetMinMaxReq { column_name: column.into() });
    vec![
        ClientReq::ViewToColumnsStringReq(ViewToColumnsStringReq { id, index, ..Default::default() }),
        ClientReq::ViewToRowsStringReq(ViewToRowsStringReq::default()),
        ClientReq::ViewToCsvReq(ViewToCsvReq::default()),
        ClientReq::ViewToArrowReq(ViewToArrowReq::default()),
        ClientReq::ViewDimensionsReq(ViewDimensionsReq {}),
        ClientReq::ViewSchemaReq(ViewSchemaReq {}),
        ClientReq::ViewExpressionSchemaReq(ViewExpressionSchemaReq {}),
        ClientReq::ViewColumnPathsReq(ViewColumnPathsReq::default()),
        ClientReq::ViewGetConfigReq(ViewGetConfigReq {}),
        min_max("v"),
        min_max("e"),
    ]
}
