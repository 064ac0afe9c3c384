//! Writers of a part of a table: a batch is refused exactly if a row that it names is outside of the part, before or after.

// Helpers outside `#[test]` functions unwrap too: they are part of the tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proscenium_engine::access::Access;
use proscenium_engine::table::{StagedBatch, Table, WriteKind};
use proscenium_engine::testing::Random;
use proscenium_engine::{EngineContext, TableData, TableOptions, WriteOptions};
use serde_json::{Value, json};

/// The text and the number of a row; absent rows are absent keys.
type Rows = BTreeMap<i64, (Option<String>, i64)>;

const DESKS: [&str; 2] = ["fx", "rates"];

const UPDATE: WriteKind = WriteKind::Update { port_id: 0 };

fn stage(table: &Table, kind: WriteKind, data: &Value) -> Option<StagedBatch> {
    let data = TableData::Rows(data.to_string().into());
    table.stage(&data, kind, &WriteOptions::default(), &EngineContext::default()).unwrap()
}

fn access(rows: &str) -> Access {
    Access { rows: vec![vec![rows.to_owned()]], ..Access::default() }
}

/// A random write, its effect on `rows`, and the keys that it names.
fn write(random: &mut Random, rows: &mut Rows, has_index: bool) -> (WriteKind, Value, Vec<i64>) {
    let key = |random: &mut Random| random.below(8) as i64;
    if has_index && random.chance(4) {
        let keys: Vec<i64> = (0..1 + random.below(3)).map(|_| key(random)).collect();
        keys.iter().for_each(|key| drop(rows.remove(key)));
        return (WriteKind::Remove, json!(keys), keys);
    }
    let mut batch = Vec::new();
    let mut named = Vec::new();
    for _ in 0..1 + random.below(3) {
        let id = key(random);
        let name = if has_index { "id" } else { "__INDEX__" };
        let mut row = json!({ name: id });
        let entry = rows.entry(id).or_insert((None, 0));
        if random.chance(2) {
            let desk = *random.pick(&[None, Some("fx"), Some("fx"), Some("rates")]);
            row["desk"] = json!(desk);
            entry.0 = desk.map(str::to_owned);
        }
        if random.chance(2) {
            let v = random.below(9) as i64;
            row["v"] = json!(v);
            entry.1 = v;
        }
        batch.push(row);
        named.push(id);
    }
    (UPDATE, Value::Array(batch), named)
}

#[test]
fn a_batch_is_refused_exactly_if_it_touches_a_row_outside() {
    let (mut refusals, mut passes) = (0, 0);
    for seed in 0..600 {
        let random = &mut Random::new(seed);
        let has_index = !random.chance(3);
        let index = has_index.then(|| "id".to_owned());
        let first: Vec<Value> =
            (0..8).map(|id| json!({"id": id, "desk": (DESKS[id % 2]), "v": id})).collect();
        let data = TableData::Rows(Value::Array(first).to_string().into());
        let mut table = Table::create(&data, TableOptions { index, ..TableOptions::default() }).unwrap();
        let mut rows: Rows = (0..8).map(|id| (id, (Some(DESKS[id as usize % 2].to_owned()), id))).collect();
        let is_allowed =
            |rows: &Rows, key: &i64| rows.get(key).is_none_or(|row| row.0.as_deref() == Some("fx"));
        for _ in 0..6 {
            // Writes of others that are staged and wait for the log.
            let mut pending = Vec::new();
            for _ in 0..random.below(3) {
                let (kind, data, _) = write(random, &mut rows, has_index);
                pending.extend(stage(&table, kind, &data));
            }
            let before = rows.clone();
            let (kind, data, named) = write(random, &mut rows, has_index);
            let Some(staged) = stage(&table, kind, &data) else { continue };
            let allowed = access("\"desk\" == 'fx'");
            let refused =
                table.find_refused_row(&staged, pending.iter(), &allowed, &EngineContext::default()).unwrap();
            let is_refused = named.iter().any(|key| !is_allowed(&before, key) || !is_allowed(&rows, key));
            assert_eq!(refused.is_some(), is_refused, "seed {seed}: {data} on {before:?}: {refused:?}");
            if let Some(refused) = &refused {
                refusals += 1;
                let key: i64 = refused.key.parse().unwrap();
                assert!(named.contains(&key), "seed {seed}: {refused:?} is none of {named:?}");
                rows = before;
            } else {
                passes += 1;
                pending.push(staged);
            }
            for staged in &pending {
                table.apply(staged, table.version() + 1, &EngineContext::default());
            }
        }
    }
    assert!(refusals > 500 && passes > 500, "{refusals} refusals, {passes} passes");
}

#[test]
fn appended_rows_are_checked_and_nothing_else_is() {
    let data = TableData::Rows(r#"[{"desk":"rates","v":1},{"desk":"fx","v":2}]"#.into());
    let table = Table::create(&data, TableOptions::default()).unwrap();
    let allowed = access("\"desk\" == 'fx'");
    let refused = |rows: Value| {
        let staged = stage(&table, UPDATE, &rows).unwrap();
        table.find_refused_row(&staged, std::iter::empty(), &allowed, &EngineContext::default()).unwrap()
    };
    assert_eq!(refused(json!([{"desk": "fx", "v": 3}, {"desk": "fx", "v": 4}])), None);
    let row = refused(json!([{"desk": "fx", "v": 3}, {"v": 4}])).unwrap();
    assert_eq!((row.act, row.key.as_str()), ("create", "3"));
}

#[test]
fn rows_of_every_type_are_tried_with_all_their_cells() {
    let data = TableData::Rows(
        r#"[{"k":"a","when":"2024-01-02","at":"2024-01-02 03:04:05","b":true,"f":1.5,"n":9007199254740993,"s":"fx"}]"#
            .into(),
    );
    let options = TableOptions { index: Some("k".into()), ..TableOptions::default() };
    let table = Table::create(&data, options).unwrap();
    let condition =
        "\"b\" and \"f\" == 1.5 and \"s\" == 'fx' and is_not_null(\"when\") and is_not_null(\"at\")";
    let staged = stage(&table, UPDATE, &json!([{"k": "a", "n": 1}])).unwrap();
    let tried =
        table.find_refused_row(&staged, std::iter::empty(), &access(condition), &EngineContext::default());
    assert_eq!(tried.unwrap(), None);
    let staged = stage(&table, UPDATE, &json!([{"k": "a", "at": null}])).unwrap();
    let tried =
        table.find_refused_row(&staged, std::iter::empty(), &access(condition), &EngineContext::default());
    assert_eq!(tried.unwrap().unwrap().key, "a");
}
