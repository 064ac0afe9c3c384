//! Evaluates an expression on many rows at once.
//!
//! Invariant: yields what [`super::eval`] yields on each row.
//!
//! Rows are evaluated in blocks; each node of the tree becomes a [`vector`] of values. Nodes that depend on only one or
//! two text columns are evaluated once per text or pair that occurs ([`memo`]); numbers, dates, conditions and the
//! common text functions column by column ([`numbers`], [`times`], [`texts`]); other functions row by row on the values
//! of their vectors ([`general`]). An expression with loops, vectors, assignments to columns, randomness or lookups is
//! evaluated row by row, unless it depends on text columns alone.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each file evaluates the functions of its own family; `Function` lists all"
)]

mod conditions;
mod general;
mod memo;
mod numbers;
mod output;
#[cfg(test)]
mod tests;
mod texts;
mod times;
mod vector;

use std::collections::HashMap;
use std::rc::Rc;

use super::Expression;
use super::ast::{Argument, ExprNode};
use super::function::Function;
use super::value::{Payload, Status, Value, ValueKind};
use crate::column::{ChunkedVec, Column, Strings};
use crate::storage::Snapshot;
use memo::Memo;
pub(crate) use output::Written;
use vector::{Arena, NULL, Ref, Statuses, VALID, Vector, VectorCells, VectorData};

/// Number of rows of a block, so that a vector of numbers stays in the L1 or L2 cache.
pub(crate) const BLOCK_ROWS: usize = 4096;

/// The evaluation of an expression over rows of a table.
#[derive(Debug)]
pub(crate) struct VectorEvaluator<'a> {
    expression: &'a Expression,
    snapshot: &'a Snapshot,
    /// Number of rows of the whole evaluation, which bounds the size of memo tables.
    num_rows: usize,
    now: i64,
    /// Texts created for this block, and for the whole evaluation.
    made: Arena,
    kept: Arena,
    /// Memos by node; `None` if the node has no use for one.
    memos: HashMap<usize, Option<Memo>>,
    variables: Vec<Option<Rc<Vector>>>,
    written: Written,
    /// A row exceeded its budget and is null; evaluation falls back to rows.
    is_exhausted: bool,
    /// False only in tests, which compare with evaluation without memos.
    has_memos: bool,
}

/// The rows of a block.
#[derive(Debug, Clone, Copy)]
struct Rows<'a> {
    slots: &'a [u32],
    /// Whether the slots are consecutive.
    is_run: bool,
}

impl<'a> Rows<'a> {
    fn new(slots: &'a [u32]) -> Self {
        let is_run = slots.windows(2).all(|pair| pair[0].wrapping_add(1) == pair[1]);
        Rows { slots, is_run }
    }

    fn len(self) -> usize {
        self.slots.len()
    }
}

impl<'a> VectorEvaluator<'a> {
    pub(crate) fn new(expression: &'a Expression, snapshot: &'a Snapshot, num_rows: usize, now: i64) -> Self {
        VectorEvaluator {
            expression,
            snapshot,
            num_rows,
            now,
            made: Arena::default(),
            kept: Arena::default(),
            memos: HashMap::new(),
            variables: vec![None; expression.num_variables],
            written: Written::default(),
            is_exhausted: false,
            has_memos: true,
        }
    }

    /// Returns the vector of the whole expression; `None` if it must be evaluated row by row.
    fn block(&mut self, rows: Rows<'_>) -> Option<Vector> {
        self.made.clear();
        self.variables.fill(None);
        let vector = self.run(&self.expression.node, rows);
        vector.filter(|_| !self.is_exhausted)
    }

    /// Evaluates a node. A long sum recurses once per operand, so this function's frame is kept small: the work is done
    /// in functions that return, or whose recursion is bounded otherwise, before the next level.
    fn run(&mut self, node: &ExprNode, rows: Rows<'_>) -> Option<Vector> {
        if matches!(node, ExprNode::Constant(_) | ExprNode::Column(_) | ExprNode::Variable(_)) {
            return self.leaf(node, rows);
        }
        let vector = self.recall(node, rows);
        if vector.is_some() {
            return vector;
        }
        let len = rows.len();
        match node {
            ExprNode::Arithmetic(op, left, right) => {
                self.pair(left, right, rows, &mut |run, left, right| run.arithmetic(*op, left, right, len))
            }
            ExprNode::Compare(op, left, right) => {
                self.pair(left, right, rows, &mut |run, left, right| run.compare(*op, left, right, len))
            }
            ExprNode::Logic(op, left, right) => {
                self.pair(left, right, rows, &mut |run, left, right| run.logic(*op, left, right, len))
            }
            _ => self.other(node, rows),
        }
    }

    #[inline(never)]
    fn leaf(&mut self, node: &ExprNode, rows: Rows<'_>) -> Option<Vector> {
        match node {
            ExprNode::Constant(value) => Some(self.constant(value, rows.len())),
            ExprNode::Column(position) => Some(self.column(*position, rows)),
            ExprNode::Variable(slot) => self.variables[*slot].as_ref().map(|vector| Vector::clone(vector)),
            _ => None,
        }
    }

    #[inline(never)]
    fn pair(
        &mut self,
        left: &ExprNode,
        right: &ExprNode,
        rows: Rows<'_>,
        combine: &mut dyn FnMut(&mut Self, Vector, Vector) -> Vector,
    ) -> Option<Vector> {
        let left = self.run(left, rows)?;
        let right = self.run(right, rows)?;
        Some(combine(self, left, right))
    }

    /// Evaluates nodes whose depth is bounded by that of brackets.
    #[inline(never)]
    fn other(&mut self, node: &ExprNode, rows: Rows<'_>) -> Option<Vector> {
        let len = rows.len();
        Some(match node {
            ExprNode::Negate(inner) => {
                let vector = self.run(inner, rows)?;
                self.negate(vector, len)
            }
            ExprNode::If(condition, yes, no) => {
                let condition = self.run(condition, rows)?;
                self.branches(
                    &condition,
                    rows,
                    |run| run.run(yes, rows),
                    |run| match no {
                        Some(no) => run.run(no, rows),
                        None => Some(run.constant(&Value::none(), len)),
                    },
                )?
            }
            ExprNode::Switch(cases, default) | ExprNode::Choice(cases, default) => {
                self.switch(cases, default.as_deref(), rows)?
            }
            ExprNode::MultiSwitch(cases) => {
                let mut last = Vector::float(VectorCells::Same(0.0), None);
                for (condition, body) in cases {
                    let condition = self.run(condition, rows)?;
                    last = self.branches(&condition, rows, |run| run.run(body, rows), |_| Some(last))?;
                }
                last
            }
            ExprNode::Sequence(nodes) => {
                let mut last = self.constant(&Value::none(), len);
                for node in nodes {
                    last = self.run(node, rows)?;
                }
                last
            }
            ExprNode::Declare(slot, initial) => {
                let vector = match initial {
                    Some(initial) => self.run(initial, rows)?,
                    None => Vector::float(VectorCells::Same(0.0), None),
                };
                self.variables[*slot] = Some(Rc::new(vector.clone()));
                vector
            }
            ExprNode::Assign(target, op, value) => {
                let ExprNode::Variable(slot) = **target else { return None };
                let value = self.run(value, rows)?;
                let vector = match op {
                    Some(op) => {
                        let old = self.run(target, rows)?;
                        self.arithmetic(*op, old, value, len)
                    }
                    None => value,
                };
                self.variables[slot] = Some(Rc::new(vector.clone()));
                vector
            }
            ExprNode::Call(function, arguments) => self.call(*function, arguments, rows)?,
            ExprNode::Constant(_)
            | ExprNode::Column(_)
            | ExprNode::Variable(_)
            | ExprNode::Arithmetic(..)
            | ExprNode::Compare(..)
            | ExprNode::Logic(..)
            | ExprNode::Raw(_)
            | ExprNode::Vector(_)
            | ExprNode::VectorSize(_)
            | ExprNode::Element(..)
            | ExprNode::ElementOf(..)
            | ExprNode::Swap(..)
            | ExprNode::While(..)
            | ExprNode::For(_)
            | ExprNode::Break(_)
            | ExprNode::Continue
            | ExprNode::DeclareVector(..) => return None,
        })
    }

    fn call(&mut self, function: Function, arguments: &[Argument], rows: Rows<'_>) -> Option<Vector> {
        match function {
            Function::Random
            | Function::Index
            | Function::Lookup
            | Function::IndexOf
            | Function::Norm3
            | Function::DotProduct3
            | Function::CrossProduct3
            | Function::Difference3 => return None,
            Function::Column => {
                // A literal name; any other is looked up row by row.
                let [Argument::Value(ExprNode::Call(Function::Intern, name))] = arguments else {
                    return None;
                };
                let [Argument::Value(ExprNode::Constant(Value { payload: Payload::Text(name), .. }))] =
                    name.as_slice()
                else {
                    return None;
                };
                let column = self.snapshot.schema().index_of(name)?;
                return match self.snapshot.column(column) {
                    Column::Str(..) => None,
                    cells @ (Column::Integer(..)
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
                    | Column::Bool(_)
                    | Column::Date(_)
                    | Column::Datetime(_)) => Some(self.read(cells, 0, rows)),
                };
            }
            _ => {}
        }
        let mut vectors = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match argument {
                Argument::Value(node) => vectors.push(self.run(node, rows)?),
                Argument::Raw(_) => {}
                Argument::Vector(_) => return None,
            }
        }
        let len = rows.len();
        let vector = match function {
            Function::Intern => vectors.pop(),
            Function::Now => Some(self.constant(&Value::datetime(self.now), len)),
            _ if arguments.iter().any(|argument| matches!(argument, Argument::Raw(_))) => None,
            _ => self
                .number_function(function, &vectors, len)
                .or_else(|| self.time_function(function, &vectors, len))
                .or_else(|| self.text_function(function, &vectors, len)),
        };
        Some(match vector {
            Some(vector) => vector,
            None => self.apply(function, arguments, &vectors, len),
        })
    }

    fn constant(&mut self, value: &Value, len: usize) -> Vector {
        let status = match value.status {
            _ if value.is_none() => return Vector::without_values(ValueKind::None, vector::NONE, len),
            Status::Valid => VALID,
            Status::Null => NULL,
            Status::Poison => vector::POISON,
        };
        if status != VALID {
            return Vector::without_values(value.kind, status, len);
        }
        let payloads = match &value.payload {
            Payload::Nothing => return Vector::without_values(value.kind, NULL, len),
            Payload::Integer(value) | Payload::Datetime(value) => VectorData::Int(VectorCells::Same(*value)),
            Payload::Date(packed) => VectorData::Int(VectorCells::Same((*packed).into())),
            Payload::Float(value) => VectorData::Float(VectorCells::Same(*value)),
            Payload::Boolean(value) => VectorData::Bool(VectorCells::Same(*value)),
            Payload::Text(text) => {
                VectorData::Text(VectorCells::Same(Ref::new(Ref::BLOCK, self.made.push(text))))
            }
        };
        Vector::new(value.kind, payloads, None)
    }

    fn column(&self, position: usize, rows: Rows<'_>) -> Vector {
        let column = self.snapshot.column(self.expression.columns[position]);
        self.read(column, Ref::FIRST_COLUMN + position as u32, rows)
    }

    /// `source` identifies the column in references to its texts.
    fn read(&self, column: &Column, source: u32, rows: Rows<'_>) -> Vector {
        let kind = ValueKind::of(column.storage());
        let (payloads, statuses) = match column {
            Column::Int8(cells) => ints(cells, rows, i64::from),
            Column::Int16(cells) => ints(cells, rows, i64::from),
            Column::Int32(cells) => ints(cells, rows, i64::from),
            Column::Integer(cells, _) | Column::Int64(cells) | Column::Datetime(cells) => {
                ints(cells, rows, |value| value)
            }
            Column::UInt8(cells) => ints(cells, rows, i64::from),
            Column::UInt16(cells) => ints(cells, rows, i64::from),
            Column::UInt32(cells) => ints(cells, rows, i64::from),
            Column::UInt64(cells) => ints(cells, rows, |value| value as i64),
            Column::Date(cells) => {
                let (days, statuses) = each(cells, rows, |days| days);
                times::packed(days, statuses)
            }
            Column::Float32(cells) => {
                let (values, statuses) = each(cells, rows, f64::from);
                (VectorData::Float(VectorCells::Each(values)), statuses)
            }
            Column::Float64(cells) => {
                let (values, statuses) = each(cells, rows, |value| value);
                (VectorData::Float(VectorCells::Each(values)), statuses)
            }
            Column::Bool(cells) => {
                let (values, statuses) = each(cells, rows, |value| value);
                (VectorData::Bool(VectorCells::Each(values)), statuses)
            }
            Column::Str(codes, _) => {
                let (values, statuses) = each(codes, rows, |code| Ref::new(source, code));
                (VectorData::Text(VectorCells::Each(values)), statuses)
            }
        };
        Vector::new(kind, payloads, statuses)
    }

    fn strings(&self, position: usize) -> Option<&Strings> {
        match self.snapshot.column(self.expression.columns[position]) {
            Column::Str(_, strings) => Some(strings),
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
            | Column::Bool(_)
            | Column::Date(_)
            | Column::Datetime(_) => None,
        }
    }

    fn text(&self, place: Ref) -> &str {
        match place.source() {
            Ref::BLOCK => self.made.get(place.code()),
            Ref::KEPT => self.kept.get(place.code()),
            source => self
                .strings((source - Ref::FIRST_COLUMN) as usize)
                .map_or("", |strings| strings.get(place.code())),
        }
    }
}

fn ints<T: Copy + Default>(
    cells: &ChunkedVec<T>,
    rows: Rows<'_>,
    convert: impl Fn(T) -> i64,
) -> (VectorData, Statuses) {
    let (values, statuses) = each(cells, rows, convert);
    (VectorData::Int(VectorCells::Each(values)), statuses)
}

fn each<T: Copy + Default, U>(
    cells: &ChunkedVec<T>,
    rows: Rows<'_>,
    convert: impl Fn(T) -> U,
) -> (Vec<U>, Statuses) {
    let len = rows.len();
    let mut values = Vec::with_capacity(len);
    let mut statuses: Vec<u8> = Vec::new();
    let mut null = |row: usize| {
        if statuses.is_empty() {
            statuses.resize(len, VALID);
        }
        statuses[row] = NULL;
    };
    match (rows.is_run, rows.slots.first()) {
        (true, Some(&first)) => cells.read_run(first, len, &mut values, convert, null),
        _ => {
            for (row, &slot) in rows.slots.iter().enumerate() {
                let cell = cells.get(slot);
                if cell.is_none() {
                    null(row);
                }
                values.push(convert(cell.unwrap_or_default()));
            }
        }
    }
    (values, (!statuses.is_empty()).then(|| statuses.into()))
}
