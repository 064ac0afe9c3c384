//! Corner cases found by the differential tests: a table, a config, the expected output.

// Helpers outside `#[test]` functions unwrap too: they are part of the tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proscenium_engine::config::{FilterTerm, Generation, GroupRollupMode, SplitRollupMode, ViewConfig};
use proscenium_engine::export::{self, JsonOptions, Naming};
use proscenium_engine::table::Table;
use proscenium_engine::view::{Handle, Plan, SliceOptions, View};
use proscenium_engine::{Scalar, TableData, TableOptions};

fn rows(text: &str) -> TableData {
    TableData::Rows(text.into())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

struct Live {
    table: Table,
    view: View,
    handle: Handle,
}

impl Live {
    fn new(data: &str, config: &ViewConfig) -> Live {
        let mut table = Table::create(&rows(data), TableOptions::default()).unwrap();
        let plan = Arc::new(table.plan_now(config).unwrap());
        let view = View::build(plan, &table.snapshot());
        let handle = view.handle(config.group_by_depth);
        Live { table, view, handle }
    }

    fn update(&mut self, data: &str) {
        let delta = self.table.update(&rows(data), 0).unwrap().unwrap();
        self.view.step(&delta);
    }

    fn columns(&mut self) -> String {
        let slice = self.view.slice(&mut self.handle, SliceOptions::default());
        export::json_columns(&slice.gather(), JsonOptions::default())
    }
}

fn grouped() -> ViewConfig {
    ViewConfig { group_by: names(&["a", "b"]), columns: Some(names(&["v"])), ..ViewConfig::default() }
}

#[test]
fn new_groups_are_collapsed_after_any_request_to_expand_one() {
    let mut live = Live::new(r#"[{"a":"x","b":"p","v":1}]"#, &grouped());
    assert_eq!(live.view.expand(&mut live.handle, 1), 0);
    live.update(r#"[{"a":"y","b":"q","v":2}]"#);
    assert_eq!(live.columns(), r#"{"__ROW_PATH__":[[],["x"],["x","p"],["y"]],"v":[3,1,1,2]}"#);
}

#[test]
fn a_rolled_up_split_without_rows_keeps_its_grand_total() {
    let config = ViewConfig {
        split_by: names(&["b"]),
        split_rollup_mode: SplitRollupMode::Rollup,
        group_rollup_mode: GroupRollupMode::Total,
        columns: Some(names(&["v"])),
        ..ViewConfig::default()
    };
    let mut live = Live::new(r#"[{"b":"p","v":1}]"#, &config);
    assert_eq!(live.columns(), r#"{"v":[1],"p|v":[1]}"#);
    let delta = live.table.replace(&rows("[]")).unwrap();
    live.view.step(&delta);
    assert_eq!(live.columns(), r#"{"v":[null]}"#);
}

#[test]
fn the_row_delta_of_a_cleared_table_is_empty() {
    let mut live = Live::new(r#"[{"a":"x","b":"p","v":1}]"#, &grouped());
    live.view.track_changes(true);
    let delta = live.table.replace(&rows("[]")).unwrap();
    let change = live.view.step(&delta);
    let bytes = live.view.row_delta(&mut live.handle, &change).unwrap();
    let table = Table::create(&TableData::Arrow(bytes.into()), TableOptions::default()).unwrap();
    assert_eq!(table.num_rows(), 0);
    assert_eq!(&*table.schema().field(0).name, "v");
}

#[test]
fn a_config_is_read_back_with_its_depth_and_the_aggregates_of_a_split_total() {
    let table = Table::create(&rows(r#"[{"a":"x","b":"p","v":1}]"#), TableOptions::default()).unwrap();
    let config = ViewConfig { group_by_depth: Some(1), ..grouped() };
    let plan = Plan::new(&config, table.schema()).unwrap();
    assert_eq!(plan.config().group_by_depth, Some(1));
    let other = Plan::new(&grouped(), table.schema()).unwrap();
    assert_eq!(plan.sharing_key(0), other.sharing_key(0));

    let config = ViewConfig {
        split_by: names(&["b"]),
        group_rollup_mode: GroupRollupMode::Total,
        columns: Some(names(&["v"])),
        ..ViewConfig::default()
    };
    let reported = Plan::new(&config, table.schema()).unwrap().config().aggregates;
    assert_eq!(reported.get("v"), Some(&names(&["sum"])));
}

#[test]
fn a_group_column_under_an_aggregate_with_an_argument_is_named_by_both() {
    for (aggregate, expected) in [("weighted mean", "a (weighted mean by v)"), ("max by", "a (max by v)")] {
        let config = ViewConfig {
            group_by: names(&["a"]),
            columns: Some(names(&["a"])),
            aggregates: [("a".to_string(), names(&[aggregate, "v"]))].into_iter().collect(),
            ..ViewConfig::default()
        };
        let mut live = Live::new(r#"[{"a":1,"v":1}]"#, &config);
        let slice = live.view.slice(&mut live.handle, SliceOptions::default());
        let csv = export::csv(&slice.gather(), Naming::Readable);
        assert!(csv.starts_with(&format!("\"a\",\"{expected}\"\n")), "{csv}");
    }
}

#[test]
fn the_sharing_key_determines_the_content_of_a_view() {
    let table = Table::create(&rows(r#"[{"a":"x","b":"p","v":1,"w":2}]"#), TableOptions::default()).unwrap();
    let key = |config: &ViewConfig| Plan::new(config, table.schema()).unwrap().sharing_key(0);
    let total = |spec: &[&str]| ViewConfig {
        columns: Some(names(&["v"])),
        aggregates: [("v".to_string(), names(spec))].into_iter().collect(),
        group_rollup_mode: GroupRollupMode::Total,
        ..ViewConfig::default()
    };
    assert_ne!(key(&total(&["sum"])), key(&total(&["max"])));
    assert_ne!(key(&total(&["max by", "v"])), key(&total(&["max by", "w"])));
    assert_eq!(key(&total(&["avg"])), key(&total(&["mean"])), "two spellings of one aggregate");
    // The spelling also shows in the name of a column that is a group key.
    let named = |aggregate: &str| ViewConfig {
        group_by: names(&["v"]),
        group_rollup_mode: GroupRollupMode::Rollup,
        ..total(&[aggregate])
    };
    assert_ne!(key(&named("avg")), key(&named("mean")));

    let filtered = |column: &str, op: &str, operand: Scalar| ViewConfig {
        filter: vec![FilterTerm { column: column.into(), op: op.into(), operands: vec![operand] }],
        ..ViewConfig::default()
    };
    let of_v = |operand| key(&filtered("v", "==", operand));
    assert_ne!(of_v(Scalar::Float(1.0)), of_v(Scalar::Float(2.0)));
    assert_eq!(of_v(Scalar::Float(1.5)), of_v(Scalar::from("1")), "both are the integer 1");
    let of_a = |op: &str, text: &str| key(&filtered("a", op, Scalar::from(text)));
    assert_ne!(of_a("==", "1"), of_a("==", "1.0"));
    assert_ne!(of_a("==", "x"), of_a("==", "X"));
    assert_ne!(of_a("contains", "x"), of_a("begins with", "x"));
    assert_eq!(of_a("startswith", "x"), of_a("begins with", "X"));
    let nan = || filtered("v", "in", Scalar::Float(1.0));
    assert_eq!(key(&nan()), key(&nan()));

    // A flat view has no aggregates and no groups, so their configuration does not matter.
    let flat = ViewConfig { columns: Some(names(&["v"])), ..ViewConfig::default() };
    let ignored = ViewConfig {
        aggregates: [("v".to_string(), names(&["max"]))].into_iter().collect(),
        group_rollup_mode: GroupRollupMode::Flat,
        split_rollup_mode: SplitRollupMode::Rollup,
        ..flat.clone()
    };
    assert_eq!(key(&flat), key(&ignored));
    let twice = ViewConfig { columns: Some(names(&["v", "v"])), ..ViewConfig::default() };
    assert_ne!(key(&flat), key(&twice));
}

#[test]
fn a_view_that_depends_on_history_is_shared_within_one_version_only() {
    let table = Table::create(&rows(r#"[{"v":1}]"#), TableOptions::default()).unwrap();
    let key = |aggregate: &str, version| {
        let config = ViewConfig {
            aggregates: [("v".to_string(), names(&[aggregate]))].into_iter().collect(),
            group_rollup_mode: GroupRollupMode::Total,
            ..ViewConfig::default()
        };
        Plan::new(&config, table.schema()).unwrap().sharing_key(version)
    };
    assert_eq!(key("high", 3), key("high", 3));
    assert_ne!(key("high", 3), key("high", 4));
    assert_eq!(key("max", 3), key("max", 4));
}

/// Sums of rows without a value, of no rows, and of an empty table, by the generation of the client.
#[test]
fn sums_of_nothing_depend_on_the_generation() {
    let filtered = FilterTerm { column: "a".into(), op: "==".into(), operands: vec![Scalar::from("nobody")] };
    let cases = [
        ("sum", Generation::V5_5, ["[2,0,2]", "[null]", "[null]"]),
        ("sum not null", Generation::V5_5, ["[2,0,2]", "[0]", "[null]"]),
        ("abs sum", Generation::V5_5, ["[2,0,2]", "[0]", "[null]"]),
        ("sum abs", Generation::V5_5, ["[2,0,2]", "[0]", "[null]"]),
        ("pct sum parent", Generation::V5_5, ["[100.0,0.0,100.0]", "[100.0]", "[100.0]"]),
        ("pct sum grand total", Generation::V5_5, ["[100.0,0.0,100.0]", "[null]", "[null]"]),
        ("mean", Generation::V5_5, ["[2.0,null,2.0]", "[null]", "[null]"]),
        ("sum", Generation::V5_6, ["[2,null,2]", "[null]", "[null]"]),
        ("sum not null", Generation::V5_6, ["[2,null,2]", "[null]", "[null]"]),
        ("sum or zero", Generation::V5_6, ["[2,0,2]", "[0]", "[null]"]),
        ("pct sum parent", Generation::V5_6, ["[100.0,null,100.0]", "[null]", "[null]"]),
    ];
    for (aggregate, generation, expected) in cases {
        let config = ViewConfig {
            group_by: names(&["a"]),
            columns: Some(names(&["v"])),
            aggregates: [("v".to_string(), names(&[aggregate]))].into_iter().collect(),
            generation,
            ..ViewConfig::default()
        };
        let filtered = ViewConfig { filter: vec![filtered.clone()], ..config.clone() };
        let of = |config: &ViewConfig| Live::new(r#"[{"a":"x","v":null},{"a":"y","v":2}]"#, config);
        let mut empty = of(&config);
        let delta = empty.table.replace(&rows("[]")).unwrap();
        empty.view.step(&delta);
        let shown = [of(&config).columns(), of(&filtered).columns(), empty.columns()];
        for (shown, expected) in shown.iter().zip(expected) {
            assert!(
                shown.ends_with(&format!(r#""v":{expected}}}"#)),
                "{aggregate} of {generation:?}: {shown}"
            );
        }
        let reported = Plan::new(&config, empty.table.schema()).unwrap().config().aggregates;
        let is_merged = (aggregate, generation) == ("sum not null", Generation::V5_6);
        assert_eq!(reported["v"], names(&[if is_merged { "sum" } else { aggregate }]));
    }
}

#[test]
fn only_older_clients_split_by_a_column_twice() {
    let table = Table::create(&rows(r#"[{"a":"x","v":1}]"#), TableOptions::default()).unwrap();
    for group_by in [names(&[]), names(&["v"])] {
        let config = |generation, split_by: &[&str]| ViewConfig {
            columns: Some(names(&["v"])),
            group_by: group_by.clone(),
            split_by: names(split_by),
            generation,
            ..ViewConfig::default()
        };
        let refusal = Plan::new(&config(Generation::V5_6, &["a", "v", "a"]), table.schema()).unwrap_err();
        assert_eq!(refusal.to_string(), "column 'a' is more than once in split_by");
        assert!(Plan::new(&config(Generation::V5_6, &["a", "v"]), table.schema()).is_ok());
        let mut live = Live::new(r#"[{"a":"x","v":1}]"#, &config(Generation::V5_5, &["a", "a"]));
        assert!(live.columns().contains(r#""x|x|v""#), "{}", live.columns());
    }
}

#[test]
fn only_older_clients_group_by_a_column_twice() {
    let table = Table::create(&rows(r#"[{"a":"x","v":1}]"#), TableOptions::default()).unwrap();
    let twice = |generation| ViewConfig { group_by: names(&["a", "a"]), generation, ..ViewConfig::default() };
    assert!(Plan::new(&twice(Generation::V5_6), table.schema()).is_err());
    let config = ViewConfig { columns: Some(names(&["v"])), ..twice(Generation::V5_5) };
    let mut live = Live::new(r#"[{"a":"x","v":1}]"#, &config);
    assert_eq!(live.columns(), r#"{"__ROW_PATH__":[[],["x"],["x","x"]],"v":[1,1,1]}"#);
    let slice = live.view.slice(&mut live.handle, SliceOptions::default());
    let csv = export::csv(&slice.gather(), Naming::Legacy);
    assert_eq!(csv, "\"a (Group by 1)\",\"a (Group by 2)\",\"v\"\n,,1\n\"x\",,1\n\"x\",\"x\",1\n");
}
