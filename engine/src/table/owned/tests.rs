//! Tables under batches made by the tests, without the readers of `ingest`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};

use super::*;
use crate::column::Column;
use crate::context::EngineContext;
use crate::data::{BatchColumn, TableData, WriteOptions};
use crate::storage::WriteKind;
use crate::types::scalar::Scalar;
use crate::types::schema::{Field, Storage};

fn table(options: TableOptions) -> OwnedTable {
    let schema = Schema::new(vec![Field::new("id", Storage::Int32), Field::new("s", Storage::Utf8)]);
    OwnedTable::empty(schema, options)
}

fn indexed() -> OwnedTable {
    table(TableOptions { index: Some("id".into()), ..TableOptions::default() })
}

fn limited(limit: u32) -> OwnedTable {
    table(TableOptions { limit: Some(limit), ..TableOptions::default() })
}

fn batch(ids: Vec<Option<i32>>, texts: Vec<Option<&str>>) -> Batch {
    let ids: ArrayRef = Arc::new(Int32Array::from(ids));
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    let column = |column, values: ArrayRef| BatchColumn { column, values, missing: None };
    Batch { num_rows: ids.len(), columns: vec![column(0, ids), column(1, texts)], keys: None }
}

fn apply(table: &mut OwnedTable, batch: &Batch) -> TableDelta {
    let old = table.snapshot();
    let changes = table.write_rows(batch, false, Threads::ONE);
    table.finish(old, 0, changes)
}

/// Rows as `key: id text`, in key order.
fn rows(snapshot: &Snapshot) -> Vec<String> {
    let cell = |scalar: Scalar| match scalar {
        Scalar::Null => "-".to_owned(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Str(text) => text.to_string(),
        other => format!("{other:?}"),
    };
    snapshot
        .order()
        .iter_from(0)
        .map(|slot| {
            let [key, id, text] =
                [snapshot.key(slot), snapshot.column(0).scalar(slot), snapshot.column(1).scalar(slot)]
                    .map(cell);
            format!("{key}: {id} {text}")
        })
        .collect()
}

#[test]
fn rows_merge_by_key_and_are_in_key_order() {
    let mut table = indexed();
    apply(&mut table, &batch(vec![Some(3), Some(1)], vec![Some("x"), Some("y")]));
    let delta = apply(&mut table, &batch(vec![Some(1), Some(2), None], vec![None, Some("z"), Some("n")]));
    assert_eq!(rows(&table.snapshot()), ["-: - n", "1: 1 -", "2: 2 z", "3: 3 x"]);
    assert_eq!(rows(&delta.old), ["1: 1 y", "3: 3 x"], "the snapshot before stays as it was");
    assert_eq!((delta.inserted.len(), delta.updated.len(), delta.removed.len()), (2, 1, 0));
    assert_eq!((delta.from(), delta.to()), (1, 2));
}

#[test]
fn slots_of_removed_rows_are_reused() {
    let mut table = indexed();
    apply(&mut table, &batch((0..10).map(Some).collect(), vec![Some("a"); 10]));
    let keys: ArrayRef = Arc::new(Int32Array::from(vec![Some(4), Some(4), Some(99), Some(7)]));
    let old = table.snapshot();
    let changes = table.remove_keys(&keys);
    let delta = table.finish(old, 0, changes);
    assert_eq!(delta.removed, [4, 7]);
    assert_eq!(delta.removed_keys.unwrap().len(), 2);
    apply(&mut table, &batch(vec![Some(4), Some(50)], vec![Some("b"), Some("c")]));
    assert_eq!(table.num_slots, 10, "freed slots are taken again");
    assert_eq!(rows(&table.snapshot())[4], "4: 4 b");
    assert_eq!(rows(&table.snapshot()).last().unwrap(), "50: 50 c");
}

#[test]
fn a_limited_table_keeps_the_last_rows() {
    let mut table = limited(5);
    apply(&mut table, &batch((0..9).map(Some).collect(), vec![None; 9]));
    assert_eq!(rows(&table.snapshot()), ["4: 4 -", "5: 5 -", "6: 6 -", "7: 7 -", "8: 8 -"]);
    let delta = apply(&mut table, &batch(vec![Some(9), Some(10)], vec![None; 2]));
    assert_eq!(rows(&table.snapshot()), ["6: 6 -", "7: 7 -", "8: 8 -", "9: 9 -", "10: 10 -"]);
    assert_eq!(delta.removed, delta.inserted, "new rows take the slots of the evicted");
    assert!(
        rows(&{
            let mut none = limited(0);
            apply(&mut none, &batch(vec![Some(1)], vec![None]));
            none.snapshot()
        })
        .is_empty()
    );
}

#[test]
fn implicit_keys_keep_counting_and_can_be_given() {
    let mut table = table(TableOptions::default());
    apply(&mut table, &batch(vec![Some(1), Some(2), Some(3)], vec![None; 3]));
    let mut edit = batch(vec![Some(20)], vec![Some("edited")]);
    edit.keys = Some(Arc::new(Int64Array::from(vec![1])));
    apply(&mut table, &edit);
    assert_eq!(rows(&table.snapshot()), ["0: 1 -", "1: 20 edited", "2: 3 -"]);
    // The counter advanced during the edit.
    apply(&mut table, &batch(vec![Some(4)], vec![None]));
    assert_eq!(rows(&table.snapshot()).last().unwrap(), "4: 4 -");
    edit.keys = Some(Arc::new(Int64Array::from(vec![3])));
    apply(&mut table, &edit);
    assert_eq!(rows(&table.snapshot()), ["0: 1 -", "1: 20 edited", "2: 3 -", "3: 20 edited", "4: 4 -"]);
    let old = table.snapshot();
    table.clear();
    let delta = table.finish(old, 0, Changes::default());
    assert_eq!(delta.new.num_rows(), 0);
    apply(&mut table, &batch(vec![Some(7)], vec![None]));
    assert_eq!(rows(&table.snapshot()), ["6: 7 -"], "clearing does not reset the counter");
}

#[test]
fn a_repeated_key_at_creation_keeps_the_value_that_is_not_null() {
    let mut table = indexed();
    table.write_rows(&batch(vec![Some(1), Some(1)], vec![Some("a"), None]), true, Threads::ONE);
    assert_eq!(rows(&table.snapshot()), ["1: 1 a"]);
    let mut later = indexed();
    later.write_rows(&batch(vec![Some(1), Some(1)], vec![Some("a"), None]), false, Threads::ONE);
    assert_eq!(rows(&later.snapshot()), ["1: 1 -"]);
}

#[test]
fn churn_of_unique_text_does_not_grow_the_table() {
    let mut table = indexed();
    for turn in 0..5_000 {
        apply(&mut table, &batch(vec![Some(1)], vec![Some(&format!("text {turn}"))]));
    }
    let Column::Str(_, strings) = &table.columns[1] else { panic!("s is text") };
    assert!(strings.len() < 10, "{} codes for one row", strings.len());
}

#[test]
fn removing_without_keys_is_no_batch() {
    let mut table = indexed();
    apply(&mut table, &batch(vec![Some(1)], vec![Some("a")]));
    let stage = |table: &OwnedTable, keys: &str| {
        let keys = TableData::Rows(keys.to_owned().into());
        table
            .stager()
            .stage(&keys, WriteKind::Remove, &WriteOptions::default(), &EngineContext::default())
            .unwrap()
    };
    assert!(stage(&table, "[]").is_none());
    // A batch with only unknown keys still advances the version, and followers receive its delta.
    let unknown = stage(&table, "[9]").unwrap();
    assert_eq!(table.apply(&unknown, Threads::ONE).to(), 2);
}

#[test]
fn an_unobserved_batch_has_the_same_effect_and_does_not_affect_readers() {
    let first = TableData::Csv("id,s\n1,a\n2,b\n3,c\n".into());
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let context = EngineContext::default();
    let staged = OwnedTable::stage_create(&first, options, &context).unwrap();
    let mut observed = OwnedTable::build(&staged, Threads::ONE);
    let mut unobserved = OwnedTable::build(&staged, Threads::ONE);
    let before = unobserved.snapshot();
    let stage = |table: &OwnedTable, text: &str, port_id| {
        let kind = WriteKind::Update { port_id };
        table.stager().stage(
            &TableData::Csv(text.to_owned().into()),
            kind,
            &WriteOptions::default(),
            &context,
        )
    };
    for text in ["id,s\n2,x\n4,d\n", "id,s\n1,y\n0,z\n", "id,s\n2,b\n"] {
        let staged = stage(&observed, text, 0).unwrap().unwrap();
        observed.apply(&staged, Threads::ONE);
        unobserved.apply_unobserved(&staged, Threads::ONE);
    }
    assert_eq!(rows(&unobserved.snapshot()), rows(&observed.snapshot()));
    assert_eq!(unobserved.version(), observed.version());
    assert_eq!(rows(&before), ["1: 1 a", "2: 2 b", "3: 3 c"]);
    assert!(stage(&unobserved, "id,s\n9,n\n", 7).unwrap().is_none(), "no such port");
    assert!(stage(&unobserved, "id,s\nnone,n\n", 0).is_err());
    assert_eq!(rows(&unobserved.snapshot()), rows(&observed.snapshot()));
}
