//! Memoises nodes that depend only on one or two text columns: evaluated once per text, or pair of texts, that occurs.
//!
//! Invariant: results are those of the row-wise evaluator. A node whose texts hardly ever repeat drops its memo and is
//! evaluated over the rows.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "asks for single kinds of nodes; the evaluators and the checker list all"
)]

use hashbrown::HashMap;

use super::super::ast::ExprNode;
use super::super::eval::Row;
use super::super::function::Function;
use super::super::value::{Payload, Status, Value, ValueKind};
use super::super::{Expression, VolatileInputs};
use super::vector::{NONE, NULL, POISON, Ref, VALID, Vector, VectorCells, VectorData, statuses};
use super::{Rows, VectorEvaluator, each};
use crate::column::Column;
use crate::storage::Snapshot;

/// Maximum number of columns in a memo's key.
const MAX_COLUMNS: usize = 2;
/// Number of results before the hit rate of a memo is checked.
const FREE_RESULTS: usize = 1024;
/// Number of rows per result from which a memo pays off: row-wise evaluation costs some hundred look-ups, a text
/// function a few.
const ROWS_PER_RESULT: usize = 4;
/// A table of all keys may have this many entries regardless of the number of rows.
const SMALL_TABLE: usize = 4096;
const LARGEST_TABLE: usize = 1 << 22;
const UNKNOWN: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Memo {
    /// Position among the expression's columns, and number of keys; null is the first key.
    columns: Vec<(usize, u64)>,
    known: Known,
    /// Status and payload of each result.
    results: Vec<(u8, u64)>,
    /// The common type of the typed results; [`ValueKind::None`] as long as there are none.
    kind: ValueKind,
    is_all_valid: bool,
    rows_seen: usize,
    /// Number of results before the hit rate is checked; all keys, if they are few compared to the rows to come.
    free_results: usize,
}

/// Maps keys to results.
#[derive(Debug)]
enum Known {
    Table(Vec<u32>),
    Map(HashMap<u64, u32, ahash::RandomState>),
}

/// The cells that a memoised node reads.
struct MemoCell<'a> {
    columns: &'a [(usize, u64)],
    values: &'a [Value],
}

impl Row for MemoCell<'_> {
    fn cell(&self, position: usize) -> Value {
        let at = self.columns.iter().position(|(column, _)| *column == position);
        at.map_or(Value::none(), |at| self.values[at].clone())
    }

    fn named(&self, _name: &str) -> Option<Value> {
        None
    }

    fn index(&self) -> Value {
        Value::none()
    }

    fn lookup(&self, _name: &str, _position: f64) -> Option<Value> {
        None
    }
}

impl Memo {
    /// `None` if the node depends on anything else, or on no column.
    fn new(node: &ExprNode, expression: &Expression, snapshot: &Snapshot, num_rows: usize) -> Option<Memo> {
        let is_whole = std::ptr::eq(node, &expression.node);
        let mut positions = Vec::new();
        if !is_closed(node, is_whole, &mut positions) || positions.is_empty() {
            return None;
        }
        let mut has_text = false;
        let mut columns = Vec::new();
        for position in positions {
            match snapshot.column(expression.columns[position]) {
                Column::Str(_, strings) => {
                    has_text = true;
                    columns.push((position, strings.len() as u64 + 1));
                }
                Column::Bool(_) => columns.push((position, 3)),
                Column::Integer(..)
                | Column::Int8(_)
                | Column::Int16(_)
                | Column::Int32(_)
                | Column::Int64(_)
                | Column::UInt8(_)
                | Column::UInt16(_)
                | Column::UInt32(_)
                | Column::UInt64(_)
                | Column::Float32(_)
                | Column::Float64(_)
                | Column::Date(_)
                | Column::Datetime(_) => return None,
            }
        }
        if !has_text {
            return None;
        }
        let num_keys: u64 = columns.iter().map(|(_, keys)| *keys).product();
        let largest = (2 * num_rows).clamp(SMALL_TABLE, LARGEST_TABLE) as u64;
        let known = match num_keys <= largest {
            true => Known::Table(vec![UNKNOWN; num_keys as usize]),
            false => Known::Map(HashMap::default()),
        };
        let pays_anyway = num_keys <= (num_rows / ROWS_PER_RESULT) as u64;
        Some(Memo {
            columns,
            known,
            results: Vec::new(),
            kind: ValueKind::None,
            is_all_valid: true,
            rows_seen: 0,
            free_results: if pays_anyway { num_keys as usize } else { FREE_RESULTS },
        })
    }

    fn is_useless(&self) -> bool {
        self.results.len() > self.free_results + self.rows_seen / ROWS_PER_RESULT
    }

    fn keys(&self, run: &VectorEvaluator<'_>, rows: Rows<'_>) -> Vec<u64> {
        let mut keys = vec![0_u64; rows.len()];
        for (position, num_keys) in &self.columns {
            let (codes, known) = match run.snapshot.column(run.expression.columns[*position]) {
                Column::Str(codes, _) => each(codes, rows, |code| u64::from(code) + 1),
                Column::Bool(cells) => each(cells, rows, |value| u64::from(value) + 1),
                Column::Integer(..)
                | Column::Int8(_)
                | Column::Int16(_)
                | Column::Int32(_)
                | Column::Int64(_)
                | Column::UInt8(_)
                | Column::UInt16(_)
                | Column::UInt32(_)
                | Column::UInt64(_)
                | Column::Float32(_)
                | Column::Float64(_)
                | Column::Date(_)
                | Column::Datetime(_) => return keys,
            };
            match known {
                None => keys.iter_mut().zip(codes).for_each(|(key, code)| *key = *key * num_keys + code),
                Some(known) => {
                    keys.iter_mut().zip(codes).zip(known.iter()).for_each(|((key, code), status)| {
                        *key = *key * num_keys + if *status == VALID { code } else { 0 };
                    })
                }
            }
        }
        keys
    }

    /// Returns the cells encoded by a key.
    fn cells(&self, run: &VectorEvaluator<'_>, mut key: u64) -> Vec<Value> {
        let mut cells: Vec<Value> = self
            .columns
            .iter()
            .rev()
            .map(|(position, num_keys)| {
                let code = (key % num_keys).checked_sub(1);
                key /= num_keys;
                match (run.snapshot.column(run.expression.columns[*position]), code) {
                    (Column::Str(..), None) => Value::null(ValueKind::Text),
                    (Column::Str(_, strings), Some(code)) => Value::text(strings.shared(code as u32)),
                    (_, None) => Value::null(ValueKind::Boolean),
                    (_, Some(code)) => Value::boolean(code == 1),
                }
            })
            .collect();
        cells.reverse();
        cells
    }

    fn find(&self, key: u64) -> Option<u32> {
        match &self.known {
            Known::Table(table) => Some(table[key as usize]).filter(|result| *result != UNKNOWN),
            Known::Map(map) => map.get(&key).copied(),
        }
    }

    fn remember(&mut self, key: u64, result: u32) {
        match &mut self.known {
            Known::Table(table) => table[key as usize] = result,
            Known::Map(map) => drop(map.insert(key, result)),
        }
    }

    /// Evaluates a new key. `None` if the result's type differs from that of earlier ones.
    fn compute(&mut self, run: &mut VectorEvaluator<'_>, node: &ExprNode, key: u64) -> Option<u32> {
        let values = self.cells(run, key);
        let row = MemoCell { columns: &self.columns, values: &values };
        let mut inputs = VolatileInputs { now_ms: run.now, ..VolatileInputs::NONE };
        let mut machine = run.expression.machine(&row, false, &mut inputs);
        let value = machine.value(node);
        let status = match value.status {
            _ if machine.stop.is_some() => NULL,
            _ if value.is_none() => NONE,
            Status::Valid => VALID,
            Status::Null => NULL,
            Status::Poison => POISON,
        };
        if value.kind != ValueKind::None {
            if self.kind != ValueKind::None && self.kind != value.kind {
                return None;
            }
            self.kind = value.kind;
        }
        let bits = match &value.payload {
            Payload::Nothing => 0,
            Payload::Integer(value) | Payload::Datetime(value) => *value as u64,
            Payload::Date(packed) => i64::from(*packed) as u64,
            Payload::Float(value) => value.to_bits(),
            Payload::Boolean(value) => u64::from(*value),
            Payload::Text(text) => Ref::new(Ref::KEPT, run.kept.push(text)).bits(),
        };
        self.is_all_valid &= status == VALID;
        self.results.push((status, bits));
        let result = self.results.len() as u32 - 1;
        self.remember(key, result);
        Some(result)
    }

    fn vector(&mut self, run: &mut VectorEvaluator<'_>, node: &ExprNode, rows: Rows<'_>) -> Option<Vector> {
        let keys = self.keys(run, rows);
        let mut results = Vec::with_capacity(keys.len());
        for key in keys {
            results.push(match self.find(key) {
                Some(result) => result as usize,
                None => self.compute(run, node, key)? as usize,
            });
        }
        self.rows_seen += rows.len();
        let bits = results.iter().map(|result| self.results[*result].1);
        let payloads = match self.kind {
            ValueKind::None => VectorData::Nothing,
            ValueKind::Float32 | ValueKind::Float64 => {
                VectorData::Float(VectorCells::Each(bits.map(f64::from_bits).collect()))
            }
            ValueKind::Boolean => VectorData::Bool(VectorCells::Each(bits.map(|bits| bits != 0).collect())),
            ValueKind::Text => VectorData::Text(VectorCells::Each(bits.map(Ref::of_bits).collect())),
            ValueKind::Integer(_) | ValueKind::Date | ValueKind::Datetime => {
                VectorData::Int(VectorCells::Each(bits.map(|bits| bits as i64).collect()))
            }
        };
        let known = match self.is_all_valid {
            true => None,
            false => statuses(rows.len(), |row| self.results[results[row]].0),
        };
        Some(Vector::new(self.kind, payloads, known))
    }
}

impl VectorEvaluator<'_> {
    /// Returns the vector of a node from its memo, if it has one.
    #[inline(never)]
    pub(super) fn recall(&mut self, node: &ExprNode, rows: Rows<'_>) -> Option<Vector> {
        let id = std::ptr::from_ref(node) as usize;
        let memo = match self.memos.remove(&id) {
            Some(memo) => memo,
            None if !self.has_memos => None,
            None => Memo::new(node, self.expression, self.snapshot, self.num_rows),
        };
        let mut memo = memo.filter(|memo| !memo.is_useless());
        let vector = memo.as_mut().and_then(|memo| memo.vector(self, node, rows));
        self.memos.insert(id, memo.filter(|_| vector.is_some()));
        vector
    }
}

/// Returns whether a node is a function of its columns, at most [`MAX_COLUMNS`], which are added to `positions`. With
/// `is_whole`, it is the whole expression and may have variables.
fn is_closed(node: &ExprNode, is_whole: bool, positions: &mut Vec<usize>) -> bool {
    let is_fit = match node {
        ExprNode::Column(position) => {
            if !positions.contains(position) {
                positions.push(*position);
            }
            positions.len() <= MAX_COLUMNS
        }
        ExprNode::Call(function, _) => {
            !matches!(function, Function::Random | Function::Index | Function::Lookup | Function::Column)
        }
        ExprNode::Constant(_)
        | ExprNode::Raw(_)
        | ExprNode::Negate(_)
        | ExprNode::Arithmetic(..)
        | ExprNode::Compare(..)
        | ExprNode::Logic(..)
        | ExprNode::If(..)
        | ExprNode::Switch(..)
        | ExprNode::Choice(..)
        | ExprNode::MultiSwitch(_)
        | ExprNode::Sequence(_) => true,
        _ => is_whole,
    };
    if !is_fit {
        return false;
    }
    let mut is_closed_inside = true;
    node.each_child(&mut |child| {
        is_closed_inside = is_closed_inside && is_closed(child, is_whole, positions);
    });
    is_closed_inside
}
