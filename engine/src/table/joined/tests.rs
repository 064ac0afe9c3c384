//! Stepping equals starting over, for every kind of join and random batches on both sides.

use super::JoinKind;
use crate::context::EngineContext;
use crate::data::{TableData, TableOptions};
use crate::storage::TableDelta;
use crate::table::{JoinSide, JoinSpec, Snapshot, Table};
use crate::testing::Random;
use crate::types::scalar::Scalar;

fn rows(snapshot: &Snapshot) -> Vec<Vec<Scalar>> {
    let columns = 0..snapshot.schema().len();
    let row = |slot| columns.clone().map(|column| snapshot.column(column).scalar(slot)).collect();
    snapshot.order().iter_from(0).map(row).collect()
}

fn spec(kind: JoinKind) -> JoinSpec {
    JoinSpec { on: "k".into(), right_on: None, kind }
}

fn table(json: &str, index: Option<&str>) -> Table {
    let options = TableOptions { index: index.map(str::to_string), ..TableOptions::default() };
    Table::create(&TableData::Rows(json.into()), options).unwrap()
}

/// Checks that a delta leads from one snapshot to the other: removed rows existed, inserted ones exist, and every
/// row that is not listed is unchanged.
fn check_delta(delta: &TableDelta) {
    let slots = |snapshot: &Snapshot| {
        let mut slots: Vec<u32> = snapshot.order().iter_from(0).collect();
        slots.sort_unstable();
        slots
    };
    let mut expected = slots(&delta.old);
    expected.retain(|slot| delta.removed.binary_search(slot).is_err());
    expected.extend(&delta.inserted);
    expected.sort_unstable();
    assert_eq!(expected, slots(&delta.new));
    for slot in expected {
        if delta.inserted.binary_search(&slot).is_err() && delta.updated.binary_search(&slot).is_err() {
            for column in 0..delta.new.schema().len() {
                assert_eq!(delta.old.column(column).scalar(slot), delta.new.column(column).scalar(slot));
            }
        }
    }
}

#[test]
fn the_protocols_example() {
    let left = table(r#"[{"id":1,"k":"a"},{"id":2,"k":"b"},{"id":3,"k":"z"}]"#, Some("id"));
    let right =
        table(r#"[{"n":"A1","k":"a"},{"n":"A2","k":"a"},{"n":"B","k":"b"},{"n":"Y","k":"y"}]"#, Some("n"));
    let joined =
        Table::join(&left.snapshot(), &right.snapshot(), &spec(JoinKind::Outer), &EngineContext::default())
            .unwrap();
    let text = |row: &Vec<Scalar>| format!("{:?} {:?} {:?}", row[0], row[1], row[2]);
    let shown: Vec<String> = rows(&joined.snapshot()).iter().map(text).collect();
    let expected = [
        "Int(1) Str(\"a\") Str(\"A1\")",
        "Int(1) Str(\"a\") Str(\"A2\")",
        "Int(2) Str(\"b\") Str(\"B\")",
        "Int(3) Str(\"z\") Null",
        "Null Str(\"y\") Str(\"Y\")",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn stepping_equals_starting_over() {
    for (kind, indexed) in
        [(JoinKind::Inner, true), (JoinKind::Left, true), (JoinKind::Outer, true), (JoinKind::Outer, false)]
    {
        let index = |name| indexed.then_some(name);
        let mut left = table(r#"[{"id":0,"k":0,"v":0}]"#, index("id"));
        let mut right = table(r#"[{"rid":0,"k":0,"w":0}]"#, index("rid"));
        let mut joined =
            Table::join(&left.snapshot(), &right.snapshot(), &spec(kind), &EngineContext::default()).unwrap();
        let mut generator = Random::new(42);
        let mut random = |below: usize| generator.below(below) as u64;
        for _ in 0..400 {
            let (side, source, id, value) = match random(2) {
                0 => (JoinSide::Left, &mut left, "id", "v"),
                _ => (JoinSide::Right, &mut right, "rid", "w"),
            };
            let mut batch = Vec::new();
            for _ in 0..1 + random(4) {
                let key = match random(6) {
                    0 => "null".to_string(),
                    key => key.to_string(),
                };
                let cells = match random(3) {
                    0 => format!("\"{value}\":{}", random(100)),
                    _ => format!("\"k\":{key},\"{value}\":{}", random(100)),
                };
                batch.push(format!("{{\"{id}\":{},{cells}}}", random(12)));
            }
            let delta = match random(12) {
                0 => source.replace(&TableData::Rows(format!("[{}]", batch.join(",")).into())).unwrap(),
                1..4 if indexed => {
                    let keys = TableData::Rows(format!("[{},{}]", random(12), random(12)).into());
                    source.remove(&keys).unwrap().unwrap()
                }
                _ => {
                    let rows = TableData::Rows(format!("[{}]", batch.join(",")).into());
                    source.update(&rows, 0).unwrap().unwrap()
                }
            };
            let step = joined.follow_side(side, &delta, &EngineContext::default()).unwrap().unwrap();
            check_delta(&step);
            let again =
                Table::join(&left.snapshot(), &right.snapshot(), &spec(kind), &EngineContext::default())
                    .unwrap();
            assert_eq!(rows(&joined.snapshot()), rows(&again.snapshot()), "{kind:?}");
            assert_eq!(joined.num_rows(), again.num_rows());
        }
    }
}

#[test]
fn conflicts_are_named() {
    let left = table(r#"[{"id":1,"k":"a","v":1}]"#, None);
    let right = table(r#"[{"k":"a","v":1,"w":1}]"#, None);
    let refused = |on: &str, right_on: Option<&str>| {
        let spec = JoinSpec { on: on.into(), right_on: right_on.map(str::to_string), kind: JoinKind::Inner };
        Table::join(&left.snapshot(), &right.snapshot(), &spec, &EngineContext::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refused("k", None), "Column \"v\" exists in both tables");
    assert_eq!(refused("q", None), "Column \"q\" not found in left table");
    assert_eq!(refused("id", None), "Column \"id\" not found in right table");
    assert_eq!(refused("k", Some("w")), "Join column type mismatch");
}
