//! Aggregate states of large cells for `dominant`, `any`, `mul` and `gmv`, against views without states.

use super::*;

const COLUMNS: [(&str, Storage); 8] = [
    ("id", Storage::Int32),
    ("g", Storage::Utf8),
    ("h", Storage::Int32),
    ("s", Storage::Utf8),
    ("f", Storage::Float64),
    ("x", Storage::Float64),
    ("n", Storage::Int64),
    ("z", Storage::Float64),
];

/// `x` covers all kinds of factors, `n` overflows 64 bits about half of the time, `z` rarely has a truthy value.
fn rows(random: &mut Random, keys: Vec<i32>) -> Batch {
    fn cells<T>(random: &mut Random, len: usize, cell: impl Fn(&mut Random) -> T) -> Vec<Option<T>> {
        (0..len).map(|_| (!random.chance(25)).then(|| cell(random))).collect()
    }
    let len = keys.len();
    let few = random.chance(3);
    let groups = ["a", "b", "c"];
    let texts = ["u", "v", "w", "x", ""];
    let wild = [1e200, -1e200, 1e-200, 3e-310, 7.25, -0.3, 1e90];
    let special = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(keys)),
        Arc::new(StringArray::from(cells(random, len, |random| *random.pick(&groups)))),
        Arc::new(Int32Array::from(cells(random, len, |random| random.below(12) as i32))),
        Arc::new(StringArray::from(cells(random, len, |random| *random.pick(&texts)))),
        Arc::new(Float64Array::from(cells(random, len, |random| random.below(16) as f64 / 4.0 - 2.0))),
        Arc::new(Float64Array::from(
            (0..len)
                .map(|_| match random.below(if few { 60 } else { 400 }) {
                    0 => Some(*random.pick(&special)),
                    1 => None,
                    _ => Some(*random.pick(&wild)),
                })
                .collect::<Vec<_>>(),
        )),
        Arc::new(arrow::array::Int64Array::from(
            (0..len)
                .map(|_| (!random.chance(400)).then(|| *random.pick(&[1, 1, 1, 1, -1, 2, -3, 1 << 40])))
                .collect::<Vec<Option<i64>>>(),
        )),
        Arc::new(Float64Array::from(cells(random, len, |random| match random.below(60) {
            0 => random.below(5) as f64,
            1 => -0.0,
            _ => 0.0,
        }))),
    ];
    let column = |(column, values)| BatchColumn { column, values, missing: None };
    let kept = |column: &(usize, ArrayRef)| column.0 == 0 || column.0 % 3 != len % 3;
    let columns = arrays.into_iter().enumerate().filter(kept).map(column).collect();
    Batch { num_rows: len, columns, keys: None }
}

fn read(view: &mut View) -> String {
    let mut handle = view.handle(None);
    let window = view.slice(&mut handle, SliceOptions::default()).gather();
    let json = export::json_columns(&window, JsonOptions::default());
    // Distinguishes NaN from infinity, which are both null in JSON.
    format!("{json}\n{}", export::csv(&window, export::Naming::Readable))
}

#[test]
fn states_agree_with_reading_the_rows() {
    let schema = Schema::new(COLUMNS.iter().map(|&(name, storage)| Field::new(name, storage)).collect());
    let shapes: [(&[&str], &[&str], GroupRollupMode); 6] = [
        (&["g"], &[], GroupRollupMode::Rollup),
        (&["g", "h"], &[], GroupRollupMode::Rollup),
        (&["h", "f"], &["g"], GroupRollupMode::Rollup),
        (&["f", "s"], &[], GroupRollupMode::Rollup),
        (&[], &["g"], GroupRollupMode::Total),
        (&["g"], &["s"], GroupRollupMode::Flat),
    ];
    let words: [[(&str, &str); 5]; 4] = [
        [("s", "dominant"), ("f", "gmv"), ("x", "mul"), ("n", "mul"), ("z", "any")],
        [("s", "any"), ("f", "dominant"), ("x", "any"), ("n", "gmv"), ("z", "dominant")],
        [("s", "join"), ("f", "or"), ("x", "dominant"), ("n", "dominant"), ("z", "mul")],
        [("s", "distinct count"), ("f", "mul"), ("x", "or"), ("n", "any"), ("z", "gmv")],
    ];
    for seed in 1..=4 {
        let random = &mut Random::new(seed);
        let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
        let mut table = Table::empty_for_test(schema.clone(), options);
        table.apply_for_test(&rows(random, (0..200).collect()));
        let mut plans: Vec<Arc<Plan>> = Vec::new();
        for (levels, splits, group_rollup_mode) in shapes {
            for words in words {
                let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
                let sort = SortTerm { column: words[1].0.into(), direction: SortDirection::Desc };
                let config = ViewConfig {
                    group_by: list(levels),
                    split_by: list(splits),
                    group_rollup_mode,
                    columns: Some(words.iter().map(|(column, _)| (*column).to_owned()).collect()),
                    aggregates: words.iter().map(|&(column, word)| (column.into(), list(&[word]))).collect(),
                    sort: if random.chance(3) { vec![sort] } else { Vec::new() },
                    ..ViewConfig::default()
                };
                plans.push(Arc::new(Plan::new(&config, table.schema()).unwrap()));
            }
        }
        let mut views: Vec<View> =
            plans.iter().map(|plan| View::build(plan.clone(), &table.snapshot())).collect();
        for step in 0..50 {
            // Groups grow, and shrink until they are empty.
            let (from, most) = if step % 25 < 18 { (0, 25) } else { (random.below(80), 160) };
            let keys: Vec<i32> =
                (0..1 + random.below(most)).map(|_| (from + random.below(220)) as i32).collect();
            let delta = match step % 25 {
                3 | 9 | 18.. => table.remove_for_test(&(Arc::new(Int32Array::from(keys)) as ArrayRef)),
                _ => table.apply_for_test(&rows(random, keys)),
            };
            for (view, plan) in views.iter_mut().zip(&plans) {
                view.step(&delta);
                let mut fresh = View::build(plan.clone(), &table.snapshot());
                let (live, fresh) = (read(view), read(&mut fresh));
                assert!(live == fresh, "seed {seed}, step {step}, {:#?}\n{live}\n{fresh}", plan.config());
            }
        }
    }
}

/// Returns the total of `column` after each step, for keys 0, 1, … with these values.
fn history_of(word: &str, storage: Storage, steps: &[&[(i32, f64)]]) -> Vec<Scalar> {
    let schema = Schema::new(vec![Field::new("id", Storage::Int32), Field::new("v", storage)]);
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let mut table = Table::empty_for_test(schema, options);
    let config = ViewConfig {
        group_rollup_mode: GroupRollupMode::Total,
        columns: Some(vec!["v".into()]),
        aggregates: [("v".to_owned(), vec![word.to_owned()])].into_iter().collect(),
        ..ViewConfig::default()
    };
    let plan = Arc::new(Plan::new(&config, table.schema()).unwrap());
    let mut view = View::build(plan, &table.snapshot());
    let mut seen = Vec::new();
    for step in steps {
        let (keys, values): (Vec<i32>, Vec<f64>) = step.iter().copied().unzip();
        let arrays: [ArrayRef; 2] = [Arc::new(Int32Array::from(keys)), Arc::new(Float64Array::from(values))];
        let column = |(column, values)| BatchColumn { column, values, missing: None };
        let columns = arrays.into_iter().enumerate().map(column).collect();
        let delta = table.apply_for_test(&Batch { num_rows: step.len(), columns, keys: None });
        view.step(&delta);
        let Shape::Grouped(grouped) = &mut view.shape else { panic!("a total is a pivot") };
        seen.push(grouped.value(0, 0, 0));
    }
    seen
}

#[test]
fn the_dominant_value_changes() {
    let begin: Vec<(i32, f64)> = (0..12).map(|key| (key, f64::from(key % 3))).collect();
    let seen = history_of(
        "dominant",
        Storage::Float64,
        &[
            &begin,
            // All four times: 0 reached the count first, with key 9.
            &[(20, 7.0)],
            // 0 reaches the count last: 1 leads, with key 10.
            &[(9, 7.0), (30, 0.0)],
            &[(30, 2.0)],
            // 0 and 7 both four times: 0 leads, with key 11.
            &[(10, 7.0), (30, 7.0), (11, 0.0)],
            &[(11, 5.0)],
        ],
    );
    assert_eq!(seen, [0.0, 0.0, 1.0, 2.0, 0.0, 7.0].map(Scalar::Float));
}

#[test]
fn products_recover_from_special_values() {
    let begin: Vec<(i32, f64)> = (0..12).map(|key| (key, 2.0)).collect();
    let seen = history_of(
        "mul",
        Storage::Float64,
        &[
            &begin,
            &[(0, 0.0)],
            &[(1, f64::INFINITY)],
            &[(0, 2.0)],
            &[(2, f64::NAN)],
            &[(1, -2.0), (2, 2.0)],
            &[(3, 1e300), (4, 1e300)],
            &[(5, 1e-300), (6, 1e-300)],
            &[(3, 1e-200), (4, 1e-200)],
            &[(3, 2.0), (4, 2.0), (5, 2.0), (6, 2.0), (1, 2.0)],
        ],
    );
    let product = -256.0 * (1e300 / 1e300);
    let expected =
        [4096.0, 0.0, f64::NAN, f64::INFINITY, f64::NAN, -4096.0, f64::NEG_INFINITY, product, -0.0, 4096.0];
    for (step, (seen, expected)) in seen.iter().zip(expected).enumerate() {
        let Scalar::Float(seen) = seen else { panic!("step {step}: {seen:?}") };
        let is_near = (seen / expected - 1.0).abs() < 4.0 * f64::EPSILON;
        assert!(
            seen.to_bits() == expected.to_bits() || (seen.is_nan() && expected.is_nan()) || is_near,
            "step {step}: {seen} for {expected}"
        );
    }
}

#[test]
fn every_aggregate_of_the_menus_steps_as_it_is_built() {
    let schema = Schema::new(COLUMNS.iter().map(|&(name, storage)| Field::new(name, storage)).collect());
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let mut plans = Vec::new();
    for (column, storage) in [("s", Storage::Utf8), ("h", Storage::Int32), ("f", Storage::Float64)] {
        for item in crate::aggregate::menu(storage.column_type()) {
            // Water marks remember rows that a fresh view has not seen.
            if ["high", "low"].contains(&item.name) {
                continue;
            }
            let words = if item.has_argument { list(&[item.name, "f"]) } else { list(&[item.name]) };
            let config = ViewConfig {
                group_by: list(&["g", "h"]),
                split_by: list(&["s"]),
                columns: Some(list(&[column])),
                aggregates: [(column.to_owned(), words)].into_iter().collect(),
                ..ViewConfig::default()
            };
            plans.push(Arc::new(Plan::new(&config, &schema).unwrap()));
        }
    }
    let random = &mut Random::new(5);
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let mut table = Table::empty_for_test(schema.clone(), options);
    table.apply_for_test(&rows(random, (0..150).collect()));
    let build = |plan: &Arc<Plan>, table: &Table| View::build(plan.clone(), &table.snapshot());
    let mut views: Vec<View> = plans.iter().map(|plan| build(plan, &table)).collect();
    for step in 0..12 {
        let keys: Vec<i32> = (0..1 + random.below(60)).map(|_| random.below(180) as i32).collect();
        let delta = match step % 3 {
            2 => table.remove_for_test(&(Arc::new(Int32Array::from(keys)) as ArrayRef)),
            _ => table.apply_for_test(&rows(random, keys)),
        };
        for (view, plan) in views.iter_mut().zip(&plans) {
            view.step(&delta);
            let (live, fresh) = (read(view), read(&mut build(plan, &table)));
            assert!(live == fresh, "step {step}, {:#?}\n{live}\n{fresh}", plan.config());
        }
    }
}
