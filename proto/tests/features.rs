//! The list of features equals the reference engine's, including its order (`golden/features.json`).

use std::collections::BTreeMap;

use proscenium_proto::generated::{ColumnType, GroupRollupMode, SplitRollupMode};
use proscenium_proto::translate::features::features;
use serde_json::{Value, json};

fn type_name(number: i32) -> String {
    let known = ColumnType::try_from(number).expect("features list known types");
    known.as_str_name().to_lowercase()
}

fn by_type<T>(
    map: &BTreeMap<u32, T>,
    member: &str,
    options: impl Fn(&T) -> Value,
) -> serde_json::Map<String, Value> {
    map.iter()
        .map(|(key, value)| {
            (key.to_string(), json!({ "type": type_name(*key as i32), member: options(value) }))
        })
        .collect()
}

#[test]
fn features_equal_the_reference_engines() {
    let reply = features(true);
    let aggregates = by_type(&reply.aggregates, "aggregates", |of_type| {
        let listed = of_type.aggregates.iter().map(|aggregate| {
            let args: Vec<String> = aggregate.args.iter().map(|number| type_name(*number)).collect();
            json!({ "name": aggregate.name, "args": args })
        });
        listed.collect()
    });
    let windows = by_type(&reply.window_aggregates, "options", |of_type| {
        let listed = of_type.options.iter().map(|op| {
            json!({
                "name": op.name,
                "frames": op.frames,
                "offset": op.offset,
                "alpha": op.alpha,
                "result_type": op.result_type.map(type_name),
            })
        });
        listed.collect()
    });
    let group_modes = reply
        .group_rollup_mode
        .iter()
        .map(|mode| GroupRollupMode::try_from(*mode).expect("features list known modes").as_str_name());
    let split_modes = reply
        .split_rollup_mode
        .iter()
        .map(|mode| SplitRollupMode::try_from(*mode).expect("features list known modes").as_str_name());
    let listed = json!({
        "group_by": reply.group_by,
        "split_by": reply.split_by,
        "expressions": reply.expressions,
        "on_update": reply.on_update,
        "sort": reply.sort,
        "unordered": reply.unordered,
        "view_derivations": reply.view_derivations,
        "group_rollup_mode": group_modes.collect::<Vec<_>>(),
        "split_rollup_mode": split_modes.collect::<Vec<_>>(),
        "filter_ops": by_type(&reply.filter_ops, "options", |of_type| json!(of_type.options)),
        "aggregates": aggregates,
        "window_aggregates": windows,
    });
    let golden: Value =
        serde_json::from_str(include_str!("golden/features.json")).expect("the golden file is JSON");
    assert_eq!(listed, golden);
}
