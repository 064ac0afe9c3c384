//! Vector evaluation equals row-wise evaluation: random typed expressions over columns with nulls.
//!
//! An expression is generated from a list of choices; a failing list is shrunk, and its expression is recorded in
//! [`KEPT`].

use crate::testing::Random;
use std::fmt::Write as _;

use super::*;
use crate::data::{TableData, TableOptions};
use crate::expr::{TableRow, VolatileInputs};
use crate::parallel::Threads;
use crate::table::Table;
use crate::types::scalar::Scalar;
use crate::types::schema::ColumnType;

/// Expressions that once failed, and shapes that the generator rarely makes.
const KEPT: &[&str] = &[
    "if(\"p\", null, \"x\") + 1",
    "if(\"i\" > 2, 's', null)",
    "var v := \"x\"; if(\"p\") { v := \"i\" } else { v := 'a' }; string(v)",
    "switch { case \"p\": 1; case \"i\" > 1: \"x\"; default: null; }",
    "[*] { case \"p\": \"i\"; case \"x\" > 0: 2; }",
    "clamp(0, \"i\", 5)",
    "col('x') + col('i')",
    "var s := \"s\"; while(length(s) < 20) { s := concat(s, 'x') }; s",
    "coalesce(\"i\", if(\"p\", null, 1))",
    "min(\"x\", \"i\", float(\"u\"))",
    "-if(\"p\", \"i\", null)",
    "string(if(\"p\", \"i\", \"x\"))",
    "concat(string(\"x\"), ' ', string(\"t\"), ' ', string(\"d\"))",
    "replace_all(\"s\", 'a', \"u\")",
    "is_null(null) and \"p\"",
    "\"i\" * \"i\" + \"b\" * \"i\"",
    "-(\"x\" * 2) ^ 2",
    "\"x\" / (\"y\" - 1.5) % \"i\"",
    "if(\"x\" > \"i\" and not(\"p\"), \"x\", \"y\")",
    "if((\"x\" == \"y\") xor \"p\", \"x\" + 1, if(\"b\" != 2, 0, \"y\" * \"b\"))",
    "if(\"x\" <= \"y\" or \"q\", -\"x\", 1 - \"i\" / 0)",
    "if(\"i\" > 2 nand \"p\", \"x\", \"i\")",
];

struct Choices<'a> {
    list: &'a [u32],
    at: usize,
}

impl Choices<'_> {
    /// Returns a number below `bound`; 0 when the list is exhausted.
    fn below(&mut self, bound: usize) -> usize {
        let choice = self.list.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        choice as usize % bound
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

#[derive(Clone, Copy)]
enum Wanted {
    Number,
    Text,
    Truth,
    Date,
    Time,
}

fn any_type(choices: &mut Choices<'_>) -> Wanted {
    [Wanted::Number, Wanted::Text, Wanted::Truth, Wanted::Date, Wanted::Time][choices.below(5)]
}

/// The first choices of each list are the simplest, so that shrinking leads there.
fn make(wanted: Wanted, depth: usize, choices: &mut Choices<'_>) -> String {
    if depth == 0 {
        return match wanted {
            Wanted::Number => {
                choices.pick(&["\"x\"", "1", "\"i\"", "2.5", "0", "\"y\"", "-3", "\"b\"", "pi"])
            }
            Wanted::Text => choices.pick(&["\"s\"", "'a'", "\"u\"", "'Abc 1'", "'x-y'"]),
            Wanted::Truth => choices.pick(&["\"p\"", "true", "\"q\""]),
            Wanted::Date => choices.pick(&["\"d\"", "today()", "date(2020, 2, 30)"]),
            Wanted::Time => choices.pick(&["\"t\"", "datetime(1000000000)", "now()"]),
        }
        .to_owned();
    }
    let mut sub = |wanted: Wanted| make(wanted, depth - 1, choices);
    let (number, text, truth) = (sub(Wanted::Number), sub(Wanted::Text), sub(Wanted::Truth));
    // There are conditions of every type.
    let same = |choices: &mut Choices<'_>| {
        let (yes, no) = (make(wanted, depth - 1, choices), make(wanted, depth - 1, choices));
        let other = make(any_type(choices), 0, choices);
        match choices.below(8) {
            0 => format!("if({truth}, {yes}, {no})"),
            1 => format!("({truth} ? {yes} : null)"),
            2 => format!("(switch {{ case {truth}: {yes}; case {number} > 1: {no}; default: {yes}; }})"),
            3 => format!("coalesce({yes}, {no})"),
            4 => format!("if({truth}, null, {yes})"),
            5 => format!("if({truth}, {other}, {yes})"),
            6 => format!("([*] {{ case {truth}: {yes}; case {number} > 0: {no}; }})"),
            _ => format!(
                "~{{ var v{depth}{} := {yes}; if({truth}) {{ v{depth}{0} := {no} }}; v{depth}{0} }}",
                choices.at
            ),
        }
    };
    if choices.below(4) == 3 {
        return same(choices);
    }
    match wanted {
        Wanted::Number => {
            let other = make(Wanted::Number, depth - 1, choices);
            let (date, time) = (make(Wanted::Date, 0, choices), make(Wanted::Time, 0, choices));
            match choices.below(22) {
                0 => number,
                1 => format!("({number} {} {other})", choices.pick(&["+", "-", "*", "/", "%", "^"])),
                2 => format!(
                    "{}({number})",
                    choices.pick(&["abs", "floor", "sqrt", "trunc", "sgn", "sin", "log", "round", "frac"])
                ),
                3 => format!("-({number})"),
                4 => format!("length({text})"),
                5 => format!("integer({number})"),
                6 => format!("float({text})"),
                7 => format!("integer({text})"),
                8 => format!("float({truth})"),
                9 => format!("hour_of_day({time})"),
                10 => format!("{}({number}, {other}, 2)", choices.pick(&["min", "max", "sum", "avg", "mul"])),
                11 => format!("percent_of({number}, {other})"),
                12 => format!("bucket({number}, {other})"),
                13 => format!("integer({})", choices.pick(&[&date, &time])),
                14 => format!("{}(0, {number}, {other})", choices.pick(&["clamp", "iclamp"])),
                15 => format!("order({text}, 'a', 'b', 'A')"),
                16 => format!("({number} {} {other})", choices.pick(&["&", "|"])),
                17 => format!("{}({number}, {other})", choices.pick(&["pow", "mod", "logn", "root"])),
                18 => format!("float({})", choices.pick(&[&date, &time])),
                19 => format!("sum({number})"),
                20 => format!("({truth} + {number})"),
                _ => format!("integer({truth})"),
            }
        }
        Wanted::Text => {
            let other = make(Wanted::Text, depth - 1, choices);
            let any = make(any_type(choices), depth - 1, choices);
            let (date, time) = (make(Wanted::Date, 0, choices), make(Wanted::Time, 0, choices));
            match choices.below(13) {
                0 => text,
                1 => format!("{}({text})", choices.pick(&["upper", "lower"])),
                2 => format!("concat({text}, {other})"),
                3 => format!("concat({text}, '-', {other}, {text})"),
                4 => format!("substring({text}, {}, 2)", choices.pick(&["0", "1", "2", "5"])),
                5 => format!("substring({text}, {number})"),
                6 => format!("string({any})"),
                7 => format!(
                    "{}({})",
                    choices.pick(&["day_of_week", "month_of_year"]),
                    choices.pick(&[&date, &time])
                ),
                8 => format!("search({text}, '([a-z]).')"),
                9 => format!("replace({text}, '[ab]', {other})"),
                10 => format!("replace_all({text}, 'a|b', 'zz')"),
                11 => format!("replace_all({text}, '(.)b', '\\\\1\\\\1')"),
                _ => format!("replace({text}, 'a', '')"),
            }
        }
        Wanted::Truth => {
            let other = make(Wanted::Truth, depth - 1, choices);
            let kind = any_type(choices);
            let (left, right) = (make(kind, depth - 1, choices), make(kind, depth - 1, choices));
            let any = make(any_type(choices), depth - 1, choices);
            match choices.below(14) {
                0 => truth,
                1 => format!("({left} {} {right})", choices.pick(&["==", "!=", "<", "<=", ">", ">="])),
                2 => {
                    format!(
                        "({truth} {} {other})",
                        choices.pick(&["and", "or", "xor", "nand", "nor", "xnor"])
                    )
                }
                3 => format!("not({any})"),
                4 => format!("{}({any})", choices.pick(&["is_null", "is_not_null", "boolean"])),
                5 => format!("contains({text}, 'a')"),
                6 => format!("{}({text}, '[a-c]+')", choices.pick(&["match", "match_all"])),
                7 => format!("inrange(0, {number}, 3)"),
                8 => format!("({any} == null)"),
                9 => format!("({left} {} null)", choices.pick(&["!=", "<", "<="])),
                10 => format!("inrange({left}, {right}, {left})"),
                11 => format!("equal({left}, {right})"),
                12 => format!("({any} and {truth})"),
                _ => format!("{}({truth}, {other})", choices.pick(&["mand", "mor"])),
            }
        }
        Wanted::Date => {
            let other = make(Wanted::Date, depth - 1, choices);
            let time = make(Wanted::Time, depth - 1, choices);
            match choices.below(4) {
                0 => other,
                1 => format!("bucket({other}, '{}')", choices.pick(&["D", "W", "M", "3M", "Y", "10Y", "h"])),
                2 => format!("bucket({time}, '{}')", choices.pick(&["D", "W", "M", "6M", "Y", "0Y"])),
                _ => format!("date({number}, 2, {number})"),
            }
        }
        Wanted::Time => {
            let other = make(Wanted::Time, depth - 1, choices);
            match choices.below(3) {
                0 => other,
                1 => format!("bucket({other}, '{}')", choices.pick(&["s", "5s", "m", "15m", "h", "6h"])),
                _ => format!("datetime(float({number}) * 1000000)"),
            }
        }
    }
}

fn table(num_rows: u64, seed: u64) -> Table {
    let columns = [
        ("x", ColumnType::Float),
        ("y", ColumnType::Float),
        ("i", ColumnType::Integer),
        ("b", ColumnType::Integer),
        ("s", ColumnType::String),
        ("u", ColumnType::String),
        ("p", ColumnType::Boolean),
        ("q", ColumnType::Boolean),
        ("d", ColumnType::Date),
        ("t", ColumnType::Datetime),
    ];
    let schema = TableData::Schema(columns.map(|(name, kind)| (name.to_owned(), kind)).to_vec());
    let mut table = Table::create(&schema, TableOptions::default()).unwrap();
    let mut random = Random::new(seed);
    let mut below = |bound: u64| random.number() % bound;
    let floats = ["0", "-0.0", "1.5", "-7.25", "1e300", "9007199254740993", "0.1", "3"];
    let ints = ["0", "1", "-1", "7", "2147483647", "-2147483648", "65536"];
    let texts = ["a", "b", "A", "", "Abc 1", "12.5e1", "é東", "x-y", "null", "-3", "ab ab"];
    let days = ["1970-01-01", "2020-02-29", "1969-12-31", "1600-03-01", "2023-11-05", "9999-12-31"];
    let mut rows = String::from("[");
    for row in 0..num_rows {
        let mut cells = Vec::new();
        for (name, kind) in columns {
            let cell = match kind {
                _ if below(6) == 0 => "null".to_owned(),
                ColumnType::Float => floats[below(8) as usize].to_owned(),
                ColumnType::Integer => ints[below(7) as usize].to_owned(),
                ColumnType::String if name == "u" => format!("\"u{row} {}\"", below(100)),
                ColumnType::String => format!("\"{}\"", texts[below(11) as usize]),
                ColumnType::Boolean => (below(2) == 0).to_string(),
                ColumnType::Date => format!("\"{}\"", days[below(6) as usize]),
                ColumnType::Datetime => {
                    ["0", "-1", "1699186058456", "-86400001", "951827696000", "-62135596800000"]
                        [below(6) as usize]
                        .to_owned()
                }
            };
            cells.push(format!("\"{name}\":{cell}"));
        }
        let comma = if row == 0 { "" } else { "," };
        let _ = write!(rows, "{comma}{{{}}}", cells.join(","));
    }
    rows.push(']');
    table.update(&TableData::Rows(rows.into()), 0).unwrap();
    table
}

const NOW: i64 = 1_700_000_000_000;
const INPUTS: VolatileInputs = VolatileInputs { now_ms: NOW, random: 1 };

/// Returns the first difference, if there is one, and whether vectors were used at all.
fn differs(text: &str, table: &Table) -> Result<bool, String> {
    let snapshot = table.snapshot();
    let Ok(expression) = Expression::new("an alias", text, snapshot.schema(), None) else { return Ok(false) };
    let slots: Vec<u32> = snapshot.order().iter_from(0).collect();
    let mut used = false;
    let wanted: Vec<Scalar> = slots
        .iter()
        .map(|&slot| {
            let row = TableRow { snapshot: &snapshot, columns: &expression.columns, slot };
            expression.evaluate(&row, &mut { INPUTS })
        })
        .collect();
    let mut memory = crate::MemoryAccount::unlimited().nothing(crate::MemoryKind::ComputedColumns);
    let (column, _) = expression.column(&snapshot, Threads::new(3), &mut { INPUTS }, &mut memory).unwrap();
    for (&slot, wanted) in slots.iter().zip(&wanted) {
        if format!("{:?}", column.scalar(slot)) != format!("{wanted:?}") {
            let whole = column.scalar(slot);
            return Err(format!("{text}\n  row {slot}: the whole column {whole:?}, machine {wanted:?}"));
        }
    }
    for has_memos in [true, false] {
        let mut run = VectorEvaluator::new(&expression, &snapshot, slots.len(), NOW);
        run.has_memos = has_memos;
        let mut given = Vec::new();
        // Blocks of uneven length, some of non-consecutive slots.
        let mut shuffled: Vec<u32> = slots.clone();
        shuffled.rotate_left(7);
        for block in shuffled.chunks(23) {
            let Some(values) = run.scalars(block) else { break };
            given.extend(values);
        }
        if given.len() < slots.len() {
            continue;
        }
        used = true;
        given.rotate_right(7);
        if format!("{given:?}") != format!("{wanted:?}") {
            let at = (0..slots.len())
                .find(|&row| format!("{:?}", given[row]) != format!("{:?}", wanted[row]))
                .unwrap_or(0);
            return Err(format!(
                "{text}\n  memos {has_memos}, row {at}: vectors {:?}, machine {:?}",
                given[at], wanted[at]
            ));
        }
    }
    Ok(used)
}

fn shrink(mut list: Vec<u32>, fails: impl Fn(&[u32]) -> bool) -> Vec<u32> {
    let mut is_smaller = true;
    while is_smaller {
        is_smaller = false;
        for at in (0..list.len()).rev() {
            let mut candidates = vec![list[..at].to_vec()];
            let mut removed = list.clone();
            removed.remove(at);
            candidates.push(removed);
            if list[at] != 0 {
                let mut zeroed = list.clone();
                zeroed[at] = 0;
                candidates.push(zeroed);
            }
            if let Some(smaller) = candidates.into_iter().find(|candidate| fails(candidate)) {
                list = smaller;
                is_smaller = true;
                break;
            }
        }
    }
    list
}

#[test]
fn vectors_equal_rows() {
    let table = table(90, 11);
    for text in KEPT {
        if let Err(difference) = differs(text, &table) {
            panic!("{difference}");
        }
    }
    let rounds: u64 =
        std::env::var("PROSCENIUM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1500);
    let seed: u64 = std::env::var("PROSCENIUM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = Random::new(seed);
    let text_of = |list: &[u32]| {
        let mut choices = Choices { list, at: 0 };
        let wanted = any_type(&mut choices);
        let depth = 1 + choices.below(3);
        make(wanted, depth, &mut choices)
    };
    let mut num_used = 0;
    for _ in 0..rounds {
        let list: Vec<u32> = (0..400).map(|_| random.number() as u32).collect();
        match differs(&text_of(&list), &table) {
            Ok(used) => num_used += u64::from(used),
            Err(_) => {
                let smallest = shrink(list, |list| differs(&text_of(list), &table).is_err());
                panic!("{}", differs(&text_of(&smallest), &table).unwrap_err());
            }
        }
    }
    assert!(num_used * 2 > rounds, "{num_used} of {rounds} expressions were computed in vectors");
}
