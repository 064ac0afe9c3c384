//! The reference evaluator: the contents of a view, computed from plain rows by the most obvious means.
//!
//! Invariant: it is stateless and not optimised. A value is found by reading all rows again; a group is a list of
//! values that rows start with; an order is a sort. It shares with the views only the configuration, the value type
//! ([`Scalar`]) and the text of a split value ([`path_text`]).

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use crate::config::{FilterReducer, FilterTerm, GroupRollupMode, SortDirection, SplitRollupMode, ViewConfig};
use crate::types::display::path_text;
use crate::types::scalar::Scalar;

/// One table row: its cells by column name, in the order of the table's columns.
pub(super) type Row = Vec<(String, Scalar)>;

type Path = Vec<Scalar>;

/// A configuration, and the rows (in key order) to evaluate it on.
pub(super) struct Reference<'a> {
    pub(super) config: &'a ViewConfig,
    pub(super) rows: &'a [Row],
}

/// A row that passes the filter, with its position in key order.
#[derive(Clone, Copy)]
struct PassingRow<'a> {
    place: usize,
    row: &'a Row,
}

fn cell<'a>(row: &'a Row, column: &str) -> &'a Scalar {
    &row.iter().find(|(name, _)| name == column).expect("the config names columns of the table").1
}

fn number(value: &Scalar) -> Option<f64> {
    match value {
        Scalar::Int(value) => Some(*value as f64),
        Scalar::Float(value) => Some(*value),
        Scalar::Bool(value) => Some(f64::from(u8::from(*value))),
        _ => None,
    }
}

impl<'a> Reference<'a> {
    /// Returns the whole view as JSON columns, with every group expanded.
    pub(super) fn evaluate(&self) -> Value {
        let config = self.config;
        if config.group_rollup_mode != GroupRollupMode::Total && config.group_by.is_empty() {
            return if config.split_by.is_empty() { self.flat() } else { self.column_only() };
        }
        self.grouped()
    }

    fn shown(&self) -> &[String] {
        self.config.columns.as_deref().expect("the test always names the columns")
    }

    fn passing_rows(&self) -> Vec<PassingRow<'a>> {
        let rows = self.rows.iter().enumerate().map(|(place, row)| PassingRow { place, row });
        rows.filter(|kept| self.passes(kept.row)).collect()
    }

    fn passes(&self, row: &Row) -> bool {
        let terms = &self.config.filter;
        match self.config.filter_op {
            _ if terms.is_empty() => true,
            FilterReducer::And => terms.iter().all(|term| passes_term(cell(row, &term.column), term)),
            FilterReducer::Or => terms.iter().any(|term| passes_term(cell(row, &term.column), term)),
        }
    }

    /// Returns the sort terms of one axis; only the first term of a column counts.
    fn sorts(&self, of_columns: bool) -> Vec<(&str, SortDirection)> {
        let mut seen: Vec<&str> = Vec::new();
        let mut sorts = Vec::new();
        for term in &self.config.sort {
            if seen.contains(&term.column.as_str()) {
                continue;
            }
            seen.push(&term.column);
            let is_of_columns = matches!(
                term.direction,
                SortDirection::ColAsc
                    | SortDirection::ColDesc
                    | SortDirection::ColAscAbs
                    | SortDirection::ColDescAbs
            );
            if is_of_columns == of_columns && term.direction != SortDirection::None {
                sorts.push((term.column.as_str(), term.direction));
            }
        }
        sorts
    }

    fn sorted_rows(&self) -> Vec<PassingRow<'a>> {
        let mut rows = self.passing_rows();
        let sorts = self.sorts(false);
        rows.sort_by(|left, right| {
            let orders = sorts.iter().map(|(column, direction)| {
                compare(cell(left.row, column), cell(right.row, column), *direction)
            });
            first_difference(orders).then(left.place.cmp(&right.place))
        });
        rows
    }

    fn flat(&self) -> Value {
        let rows = self.sorted_rows();
        let column = |name: &String| {
            (name.clone(), rows.iter().map(|kept| json(cell(kept.row, name))).collect::<Vec<_>>().into())
        };
        Value::Object(self.shown().iter().map(column).collect())
    }

    fn column_only(&self) -> Value {
        let rows = self.sorted_rows();
        let mut columns = Map::new();
        for block in self.blocks() {
            for name in self.shown() {
                let values = rows.iter().map(|kept| {
                    let is_here = begins_with(kept.row, &self.config.split_by, &block);
                    if is_here { json(cell(kept.row, name)) } else { Value::Null }
                });
                columns.insert(format!("{}{name}", prefix(&block)), values.collect::<Vec<_>>().into());
            }
        }
        Value::Object(columns)
    }

    fn levels(&self) -> &[String] {
        match self.config.group_rollup_mode {
            GroupRollupMode::Total => &[],
            _ => &self.config.group_by,
        }
    }

    fn grouped(&self) -> Value {
        let mut paths = Vec::new();
        self.walk(self.levels(), false, &mut Vec::new(), &mut paths);
        if self.config.group_rollup_mode == GroupRollupMode::Flat {
            paths.retain(|path| path.len() == self.levels().len());
        }
        let mut columns = Map::new();
        if !self.config.group_by.is_empty() || self.config.group_rollup_mode == GroupRollupMode::Total {
            let has_paths = !self.config.group_by.is_empty();
            let path = |path: &Path| Value::from(path.iter().map(json).collect::<Vec<_>>());
            if has_paths {
                columns.insert("__ROW_PATH__".into(), paths.iter().map(path).collect::<Vec<_>>().into());
            }
        }
        for block in self.blocks() {
            for name in self.shown() {
                let values = paths.iter().map(|path| json(&self.value(name, path, &block)));
                columns.insert(format!("{}{name}", prefix(&block)), values.collect::<Vec<_>>().into());
            }
        }
        Value::Object(columns)
    }

    fn blocks(&self) -> Vec<Path> {
        let mut blocks = Vec::new();
        self.walk(&self.config.split_by, true, &mut Vec::new(), &mut blocks);
        if self.config.split_rollup_mode == SplitRollupMode::Flat {
            blocks.retain(|block| block.len() == self.config.split_by.len());
        }
        blocks
    }

    /// All paths of rows below `path`, parents first, siblings sorted.
    fn walk(&self, levels: &[String], of_columns: bool, path: &mut Path, found: &mut Vec<Path>) {
        found.push(path.clone());
        let Some(level) = levels.get(path.len()) else { return };
        let mut children: Vec<Scalar> = Vec::new();
        for kept in self.passing_rows() {
            let value = cell(kept.row, level);
            if begins_with(kept.row, levels, path) && !children.contains(value) {
                children.push(value.clone());
            }
        }
        let sorts = self.sorts(of_columns);
        let keyed = |child: &Scalar| -> Vec<Scalar> {
            let path: Path = path.iter().cloned().chain([child.clone()]).collect();
            sorts.iter().map(|(column, _)| self.sort_value(column, &path, of_columns)).collect()
        };
        let mut keyed: Vec<(Vec<Scalar>, Scalar)> =
            children.into_iter().map(|child| (keyed(&child), child)).collect();
        keyed.sort_by(|left, right| {
            let orders = left
                .0
                .iter()
                .zip(&right.0)
                .zip(&sorts)
                .map(|((left, right), (_, direction))| compare(left, right, *direction));
            first_difference(orders).then(left.1.cmp(&right.1))
        });
        for (_, child) in keyed {
            path.push(child);
            self.walk(levels, of_columns, path, found);
            path.pop();
        }
    }

    /// Returns the value that paths are sorted by; percentages sort by their plain sum.
    fn sort_value(&self, column: &str, path: &Path, of_columns: bool) -> Scalar {
        let words = self.words(column, of_columns);
        let words = if words[0].starts_with("pct sum") { vec!["sum".to_owned()] } else { words };
        match of_columns {
            true => self.aggregate(&words, column, &Vec::new(), path),
            false => self.aggregate(&words, column, path, &Vec::new()),
        }
    }

    /// Returns the aggregate of a column, as configured or by default.
    fn words(&self, column: &str, of_columns: bool) -> Vec<String> {
        let is_shown = self.shown().iter().any(|shown| shown == column);
        let own = if of_columns { &self.config.split_by } else { &self.config.group_by };
        let is_column_only =
            self.config.group_by.is_empty() && self.config.group_rollup_mode != GroupRollupMode::Total;
        match self.config.aggregates.get(column) {
            _ if is_column_only => vec!["any".into()],
            Some(words) => words.clone(),
            None if !is_shown && own.iter().any(|name| name == column) => vec!["unique".into()],
            None => vec![if matches!(column, "i" | "f" | "id") { "sum" } else { "count" }.into()],
        }
    }

    fn value(&self, column: &str, path: &Path, block: &Path) -> Scalar {
        self.aggregate(&self.words(column, false), column, path, block)
    }

    /// Returns the rows under a path and in a block: leaf by leaf in value order, then by key.
    fn rows_of(&self, path: &Path, block: &Path) -> Vec<PassingRow<'a>> {
        let mut rows = self.passing_rows();
        rows.retain(|kept| {
            begins_with(kept.row, self.levels(), path) && begins_with(kept.row, &self.config.split_by, block)
        });
        rows.sort_by(|left, right| {
            let leaf = |kept: &PassingRow<'_>| -> Path {
                self.levels().iter().map(|level| cell(kept.row, level).clone()).collect()
            };
            leaf(left).cmp(&leaf(right)).then(left.place.cmp(&right.place))
        });
        rows
    }

    fn aggregate(&self, words: &[String], column: &str, path: &Path, block: &Path) -> Scalar {
        let rows = self.rows_of(path, block);
        // A block without rows in this group; in a table without rows everything is null.
        let is_total = path.is_empty() && block.is_empty();
        if (rows.is_empty() && !is_total) || self.rows.is_empty() {
            return Scalar::Null;
        }
        let values: Vec<Scalar> = rows.iter().map(|kept| cell(kept.row, column).clone()).collect();
        let by_key = || {
            let mut rows = rows.clone();
            rows.sort_by_key(|kept| kept.place);
            rows
        };
        let first = || by_key().first().map_or(Scalar::Null, |kept| cell(kept.row, column).clone());
        let last = || by_key().last().map_or(Scalar::Null, |kept| cell(kept.row, column).clone());
        let greatest = || values.iter().max().cloned().unwrap_or_default();
        let least = || values.iter().min().cloned().unwrap_or_default();
        let is_float = column == "f";
        let is_leaf = path.len() == self.levels().len();
        match words[0].as_str() {
            "count" => Scalar::Int(values.len() as i64),
            "sum" => sum(&values, is_float, |value| value),
            "sum abs" => sum(&values, is_float, f64::abs),
            "abs sum" => absolute(sum(&values, is_float, |value| value)),
            "sum or zero" => match sum(&values, is_float, |value| value) {
                Scalar::Null if is_float => Scalar::Float(0.0),
                Scalar::Null => Scalar::Int(0),
                value => value,
            },
            "avg" => mean(&values).map_or(Scalar::Null, Scalar::Float),
            "var" => variance(&values).map_or(Scalar::Null, Scalar::Float),
            "stddev" => variance(&values).map_or(Scalar::Null, |variance| Scalar::Float(variance.sqrt())),
            "weighted mean" => weighted_mean(&rows, column, &words[1]),
            "pct sum parent" => {
                let (path_above, block_above) = match (path.split_last(), block.split_last()) {
                    (_, Some((_, above))) if !is_total && !path.is_empty() => (path.clone(), above.to_vec()),
                    (_, Some((_, above))) => (path.clone(), above.to_vec()),
                    (Some((_, above)), None) => (above.to_vec(), Vec::new()),
                    (None, None) => (Vec::new(), Vec::new()),
                };
                self.percentage(&values, column, &path_above, &block_above)
            }
            "pct sum total" => self.percentage(&values, column, &Vec::new(), &Vec::new()),
            "gmv" => self.gmv(column, path, block, is_leaf),
            "distinct count" => Scalar::Int(distinct(&values).len() as i64),
            "unique" => unique(&values),
            "distinct leaf" => {
                let is_text = matches!(column, "s" | "t");
                let blank = if is_text { Scalar::from("") } else { Scalar::Null };
                match unique(&values) {
                    _ if !is_leaf => blank,
                    Scalar::Null if values.iter().any(|value| !value.is_null()) => blank,
                    value => value,
                }
            }
            "any" => {
                let truthy = values.iter().find(|value| is_truthy(value));
                truthy.or(values.iter().find(|value| !value.is_null())).cloned().unwrap_or_default()
            }
            "and" => Scalar::Bool(values.iter().all(is_truthy)),
            "dominant" => dominant(&values),
            "first" => first(),
            "last by index" => last(),
            "last minus first" => minus(&last(), &first()),
            // The last row of the last leaf.
            "last" => values.last().cloned().unwrap_or_default(),
            "max" => greatest(),
            "min" => least(),
            "high minus low" => minus(&greatest(), &least()),
            "median" => quartile(&values, 2, is_float),
            "q1" => quartile(&values, 1, is_float),
            "q3" => quartile(&values, 3, is_float),
            "join" => join(&values),
            "mul" => product(&values, is_float),
            "max by" | "min by" => {
                let rows = by_key();
                let arguments = rows.iter().map(|kept| cell(kept.row, &words[1]));
                let wanted = if words[0] == "max by" { arguments.max() } else { arguments.min() }.cloned();
                let found = rows.iter().find(|kept| Some(cell(kept.row, &words[1])) == wanted.as_ref());
                found.map_or(Scalar::Null, |kept| cell(kept.row, column).clone())
            }
            other => panic!("the reference does not know `{other}`"),
        }
    }

    fn percentage(&self, part: &[Scalar], column: &str, path: &Path, block: &Path) -> Scalar {
        let whole: Vec<Scalar> =
            self.rows_of(path, block).iter().map(|kept| cell(kept.row, column).clone()).collect();
        match (number(&sum(part, true, |value| value)), number(&sum(&whole, true, |value| value))) {
            (Some(part), Some(whole)) if whole != 0.0 => Scalar::Float(100.0 * part / whole),
            _ => Scalar::Null,
        }
    }

    /// Returns the sum of a leaf; above, the sum of the children's absolute sums.
    fn gmv(&self, column: &str, path: &Path, block: &Path, is_leaf: bool) -> Scalar {
        let sum_of = |path: &Path| -> f64 {
            self.rows_of(path, block).iter().filter_map(|kept| number(cell(kept.row, column))).sum()
        };
        let total = if is_leaf {
            sum_of(path)
        } else {
            let mut children: Vec<Scalar> = Vec::new();
            for kept in self.rows_of(path, block) {
                let child = cell(kept.row, &self.levels()[path.len()]);
                if !children.contains(child) {
                    children.push(child.clone());
                }
            }
            let below = |child: Scalar| path.iter().cloned().chain([child]).collect::<Path>();
            children.into_iter().map(|child| sum_of(&below(child)).abs()).sum()
        };
        if column == "f" { Scalar::Float(total) } else { Scalar::Int(total as i64) }
    }
}

fn begins_with(row: &Row, levels: &[String], path: &[Scalar]) -> bool {
    path.iter().zip(levels).all(|(value, level)| cell(row, level) == value)
}

fn prefix(block: &[Scalar]) -> String {
    block.iter().map(|value| format!("{}|", path_text(value))).collect()
}

fn first_difference(orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Descending is ascending reversed; by absolute value, non-numbers count as zero.
fn compare(left: &Scalar, right: &Scalar, direction: SortDirection) -> Ordering {
    let magnitude = |value: &Scalar| Scalar::Float(number(value).unwrap_or(0.0).abs());
    match direction {
        SortDirection::None => Ordering::Equal,
        SortDirection::Asc | SortDirection::ColAsc => left.cmp(right),
        SortDirection::Desc | SortDirection::ColDesc => right.cmp(left),
        SortDirection::AscAbs | SortDirection::ColAscAbs => magnitude(left).cmp(&magnitude(right)),
        SortDirection::DescAbs | SortDirection::ColDescAbs => magnitude(right).cmp(&magnitude(left)),
    }
}

fn passes_term(value: &Scalar, term: &FilterTerm) -> bool {
    let operand = term.operands.first().cloned().unwrap_or_default();
    // Numbers of different types compare by value.
    let order = || match (number(value), number(&operand)) {
        (Some(value), Some(operand)) => value.total_cmp(&operand),
        _ => value.cmp(&operand),
    };
    let lower = |value: &Scalar| match value {
        Scalar::Str(text) => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    match term.op.as_str() {
        "is null" => value.is_null(),
        "is not null" => !value.is_null(),
        "!=" => value.is_null() || order().is_ne(),
        _ if value.is_null() => false,
        "==" => order().is_eq(),
        ">" => order().is_gt(),
        ">=" => order().is_ge(),
        "<" => order().is_lt(),
        "<=" => order().is_le(),
        "contains" => lower(value).contains(&lower(&operand)),
        "begins with" => lower(value).starts_with(&lower(&operand)),
        "not ends with" => !lower(value).ends_with(&lower(&operand)),
        "in" => term.operands.contains(value),
        other => panic!("the reference does not know `{other}`"),
    }
}

fn sum(values: &[Scalar], is_float: bool, of: impl Fn(f64) -> f64) -> Scalar {
    let numbers: Vec<f64> = values.iter().filter_map(number).map(of).collect();
    match numbers.iter().sum::<f64>() {
        _ if numbers.is_empty() => Scalar::Null,
        sum if is_float => Scalar::Float(sum),
        sum => Scalar::Int(sum as i64),
    }
}

fn absolute(value: Scalar) -> Scalar {
    match value {
        Scalar::Int(value) => Scalar::Int(value.abs()),
        Scalar::Float(value) => Scalar::Float(value.abs()),
        other => other,
    }
}

fn mean(values: &[Scalar]) -> Option<f64> {
    let numbers: Vec<f64> = values.iter().filter_map(number).collect();
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

fn variance(values: &[Scalar]) -> Option<f64> {
    let numbers: Vec<f64> = values.iter().filter_map(number).collect();
    let mean = mean(values)?;
    let squares: f64 = numbers.iter().map(|value| (value - mean).powi(2)).sum();
    (numbers.len() > 1).then(|| squares / numbers.len() as f64)
}

fn weighted_mean(rows: &[PassingRow<'_>], column: &str, weight: &str) -> Scalar {
    let pairs: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|kept| Some((number(cell(kept.row, column))?, number(cell(kept.row, weight))?)))
        .collect();
    let weights: f64 = pairs.iter().map(|(_, weight)| weight).sum();
    let products: f64 = pairs.iter().map(|(value, weight)| value * weight).sum();
    if pairs.is_empty() || weights == 0.0 { Scalar::Null } else { Scalar::Float(products / weights) }
}

fn distinct(values: &[Scalar]) -> Vec<Scalar> {
    let mut distinct = values.to_vec();
    distinct.sort();
    distinct.dedup();
    distinct
}

fn unique(values: &[Scalar]) -> Scalar {
    match distinct(values).as_slice() {
        [only] => only.clone(),
        _ => Scalar::Null,
    }
}

fn is_truthy(value: &Scalar) -> bool {
    match value {
        Scalar::Str(_) => true,
        other => number(other).is_some_and(|number| number != 0.0),
    }
}

/// Returns the most frequent value; among equals, the first to reach the count.
fn dominant(values: &[Scalar]) -> Scalar {
    let valid: Vec<&Scalar> = values.iter().filter(|value| !value.is_null()).collect();
    let times = |value: &Scalar, within: &[&Scalar]| within.iter().filter(|other| **other == value).count();
    let most = valid.iter().map(|value| times(value, &valid)).max().unwrap_or(0);
    let reached = (0..valid.len()).find(|&at| times(valid[at], &valid[..=at]) == most);
    reached.map_or(Scalar::Null, |at| valid[at].clone())
}

fn minus(left: &Scalar, right: &Scalar) -> Scalar {
    match (left, right) {
        (Scalar::Int(left), Scalar::Int(right)) => Scalar::Int(left - right),
        (Scalar::Float(left), Scalar::Float(right)) => Scalar::Float(left - right),
        _ => Scalar::Null,
    }
}

/// Element `floor(n * quarter / 4)`, nulls first; of floats, if `n * quarter` is divisible by 4, its mean with the one
/// before.
fn quartile(values: &[Scalar], quarter: usize, is_float: bool) -> Scalar {
    let mut values = values.to_vec();
    values.sort();
    let at = values.len() * quarter / 4;
    let is_whole = (values.len() * quarter).is_multiple_of(4);
    match values.get(at) {
        Some(value) if is_float && is_whole && at > 0 => match (number(&values[at - 1]), number(value)) {
            (Some(before), Some(value)) => Scalar::Float((before + value) / 2.0),
            _ => Scalar::Null,
        },
        value => value.cloned().unwrap_or_default(),
    }
}

fn join(values: &[Scalar]) -> Scalar {
    let texts: Vec<String> = distinct(values).iter().map(path_text).collect();
    // As many as fit into 280 bytes.
    let fits = (0..=texts.len()).rev().find(|&most| texts[..most].join(", ").len() <= 280);
    Scalar::from(texts[..fits.unwrap_or(0)].join(", ").as_str())
}

fn product(values: &[Scalar], is_float: bool) -> Scalar {
    match values {
        [] => Scalar::Null,
        [Scalar::Bool(value)] => Scalar::Int((*value).into()),
        [only] => only.clone(),
        many if is_float => Scalar::Float(many.iter().map(|value| number(value).unwrap_or(0.0)).product()),
        many => {
            let numbers = many.iter().map(|value| number(value).unwrap_or(0.0) as i64);
            Scalar::Int(numbers.fold(1, i64::saturating_mul))
        }
    }
}

fn json(value: &Scalar) -> Value {
    match value {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Bool(*value),
        Scalar::Int(value) => Value::from(*value),
        Scalar::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Scalar::Str(text) => Value::from(&**text),
        other => panic!("the test's tables have no {other:?}"),
    }
}

/// Equality up to the last digits of floats.
pub(super) fn agree(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap_or(0.0), right.as_f64().unwrap_or(0.0));
            (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0)
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| agree(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            // The order of columns is part of the result.
            left.keys().eq(right.keys())
                && left.values().zip(right.values()).all(|(left, right)| agree(left, right))
        }
        (left, right) => left == right,
    }
}
