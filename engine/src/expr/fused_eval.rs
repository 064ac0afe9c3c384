//! Fused evaluation of plain arithmetic over whole columns, chunk by chunk.
//!
//! Invariant: yields what [`super::vector_eval`] yields. It applies to trees of numeric columns, numbers, arithmetic,
//! and conditions that compare numbers; others are left to vector evaluation ([`Plain::of`]).
//!
//! Cost: intermediate values of a chunk are on the stack; only the resulting cells are written to memory.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "asks for single kinds of nodes; the evaluators and the checker list all"
)]

use super::Expression;
use super::ast::{Arithmetic, Comparison, ExprNode, Logic};
use super::value::{Payload, Status, Value, ValueKind};
use crate::column::{CHUNK, Chunk, ChunkedVec, Column, Live};
use crate::storage::Snapshot;
use crate::types::schema::Storage;

/// Maximum depth of a tree, each level of which keeps a chunk of numbers on the stack.
const MAX_DEPTH: usize = 16;

/// One bit per row of a chunk.
type Bits = [u64; CHUNK / 64];

/// A tree whose value is a float.
#[derive(Debug)]
pub(super) enum Plain {
    Constant(f64),
    /// Position among the snapshot's columns.
    Column(usize),
    Negate(Box<Plain>),
    Arithmetic(Arithmetic, Box<Plain>, Box<Plain>),
    /// Columns of one integer type, which wrap around at its width; never a division.
    Wrapping(Arithmetic, usize, usize),
    If(Box<Condition>, Box<Plain>, Box<Plain>),
}

#[derive(Debug)]
pub(super) enum Condition {
    /// A boolean column.
    Column(usize),
    Compare(Comparison, Plain, Plain),
    Logic(Logic, Box<Condition>, Box<Condition>),
}

/// The values of a chunk; those of null rows are arbitrary.
struct Numbers {
    values: [f64; CHUNK],
    valid: Bits,
}

impl Numbers {
    fn new() -> Numbers {
        Numbers { values: [0.0; CHUNK], valid: [0; CHUNK / 64] }
    }
}

impl Plain {
    /// Compiles an expression, if it is such a tree.
    pub(super) fn of(expression: &Expression, snapshot: &Snapshot) -> Option<Plain> {
        let plain = FusedEvaluator { expression, snapshot }.float(&expression.node, MAX_DEPTH)?;
        // A bare column needs no computation, and a bare number has no rows.
        let is_worth_it = !matches!(plain, Plain::Constant(_) | Plain::Column(_));
        (is_worth_it && expression.storage == Storage::Float64).then_some(plain)
    }

    /// Computes and writes the cells of the live rows of a chunk.
    pub(super) fn write(&self, snapshot: &Snapshot, chunk: usize, live: Live, column: &mut Column) {
        let Column::Float64(cells) = column else { return };
        let mut numbers = Numbers::new();
        self.run(snapshot, chunk, &mut numbers);
        for (word, live) in numbers.valid.iter_mut().zip(live) {
            *word &= live;
        }
        if numbers.valid.iter().any(|word| *word != u64::MAX) {
            for (at, value) in numbers.values.iter_mut().enumerate() {
                if numbers.valid[at / 64] >> (at % 64) & 1 == 0 {
                    *value = 0.0;
                }
            }
            if numbers.valid == [0; CHUNK / 64] {
                return;
            }
        }
        cells.put_chunk(chunk, Chunk { values: numbers.values, valid: numbers.valid });
    }

    fn run(&self, snapshot: &Snapshot, chunk: usize, out: &mut Numbers) {
        match self {
            Plain::Constant(value) => {
                out.values = [*value; CHUNK];
                out.valid = [u64::MAX; CHUNK / 64];
            }
            Plain::Column(column) => read(snapshot.column(*column), chunk, out),
            Plain::Negate(inner) => {
                inner.run(snapshot, chunk, out);
                out.values.iter_mut().for_each(|value| *value = -*value);
            }
            Plain::Wrapping(op, left, right) => {
                wrapping(*op, snapshot.column(*left), snapshot.column(*right), chunk, out);
            }
            Plain::Arithmetic(op, left, right) => {
                left.run(snapshot, chunk, out);
                match &**right {
                    Plain::Constant(value) => {
                        combine(*op, out, &[*value; CHUNK], &[u64::MAX; CHUNK / 64]);
                    }
                    // Floats are read in place.
                    Plain::Column(column) if let Column::Float64(cells) = snapshot.column(*column) => {
                        match cells.chunk(chunk) {
                            Some(chunk) => combine(*op, out, &chunk.values, &chunk.valid),
                            None => out.valid = [0; CHUNK / 64],
                        }
                    }
                    right @ (Plain::Column(_)
                    | Plain::Negate(_)
                    | Plain::Arithmetic(..)
                    | Plain::Wrapping(..)
                    | Plain::If(..)) => {
                        let mut other = Numbers::new();
                        right.run(snapshot, chunk, &mut other);
                        combine(*op, out, &other.values, &other.valid);
                    }
                }
            }
            Plain::If(condition, yes, no) => {
                let holds = condition.run(snapshot, chunk);
                no.run(snapshot, chunk, out);
                let mut other = Numbers::new();
                yes.run(snapshot, chunk, &mut other);
                for ((out, yes), holds) in out.values.iter_mut().zip(&other.values).zip(&holds) {
                    // Branchless, as unordered rows would mispredict often.
                    let mask = u64::from(*holds).wrapping_neg();
                    *out = f64::from_bits(yes.to_bits() & mask | out.to_bits() & !mask);
                }
                if out.valid != other.valid {
                    for ((out, yes), holds) in out.valid.iter_mut().zip(other.valid).zip(bits(&holds)) {
                        *out = holds & yes | !holds & *out;
                    }
                }
            }
        }
    }
}

impl Condition {
    /// Evaluates the condition row by row; null counts as false.
    fn run(&self, snapshot: &Snapshot, chunk: usize) -> [bool; CHUNK] {
        match self {
            Condition::Column(column) => match snapshot.column(*column) {
                // Cells without a value hold the default, which is false.
                Column::Bool(cells) => cells.chunk(chunk).map_or([false; CHUNK], |chunk| chunk.values),
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
                | Column::Datetime(_)
                | Column::Str(..) => [false; CHUNK],
            },
            Condition::Compare(op, left, right) => {
                let (mut x, mut y) = (Numbers::new(), Numbers::new());
                left.run(snapshot, chunk, &mut x);
                right.run(snapshot, chunk, &mut y);
                compare(*op, &x, &y)
            }
            Condition::Logic(op, left, right) => {
                let (x, y) = (left.run(snapshot, chunk), right.run(snapshot, chunk));
                match op {
                    Logic::And | Logic::ShortAnd => zip(&x, &y, |x, y| x & y),
                    Logic::Nand => zip(&x, &y, |x, y| !(x & y)),
                    Logic::Or | Logic::ShortOr => zip(&x, &y, |x, y| x | y),
                    Logic::Nor => zip(&x, &y, |x, y| !(x | y)),
                    Logic::Xor => zip(&x, &y, |x, y| x ^ y),
                    Logic::Xnor => zip(&x, &y, |x, y| x == y),
                }
            }
        }
    }
}

fn combine(op: Arithmetic, out: &mut Numbers, values: &[f64; CHUNK], valid: &Bits) {
    fn each(out: &mut [f64; CHUNK], other: &[f64; CHUNK], compute: impl Fn(f64, f64) -> f64) {
        out.iter_mut().zip(other).for_each(|(out, other)| *out = compute(*out, *other));
    }
    match op {
        Arithmetic::Add => each(&mut out.values, values, |x, y| x + y),
        Arithmetic::Subtract => each(&mut out.values, values, |x, y| x - y),
        Arithmetic::Multiply => each(&mut out.values, values, |x, y| x * y),
        Arithmetic::Divide => each(&mut out.values, values, |x, y| x / y),
        Arithmetic::Modulo => each(&mut out.values, values, |x, y| x % y),
        Arithmetic::Power => each(&mut out.values, values, f64::powf),
    }
    out.valid.iter_mut().zip(valid).for_each(|(out, other)| *out &= other);
    if matches!(op, Arithmetic::Divide | Arithmetic::Modulo) && values.contains(&0.0) {
        for (at, value) in values.iter().enumerate() {
            out.valid[at / 64] &= !(u64::from(*value == 0.0) << (at % 64));
        }
    }
}

fn zip<T: Copy>(x: &[T; CHUNK], y: &[T; CHUNK], holds: impl Fn(T, T) -> bool) -> [bool; CHUNK] {
    let mut out = [false; CHUNK];
    for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
        *out = holds(*x, *y);
    }
    out
}

fn compare(op: Comparison, x: &Numbers, y: &Numbers) -> [bool; CHUNK] {
    let mut out = match op {
        Comparison::Less => zip(&x.values, &y.values, |x, y| x < y),
        Comparison::LessEqual => zip(&x.values, &y.values, |x, y| x <= y),
        Comparison::Greater => zip(&x.values, &y.values, |x, y| x > y),
        Comparison::GreaterEqual => zip(&x.values, &y.values, |x, y| x >= y),
        Comparison::Equal => zip(&x.values, &y.values, |x, y| x == y),
        Comparison::NotEqual => zip(&x.values, &y.values, |x, y| x != y),
    };
    if x.valid.iter().chain(&y.valid).any(|word| *word != u64::MAX) {
        let equals = matches!(op, Comparison::Equal | Comparison::LessEqual | Comparison::GreaterEqual);
        for (at, holds) in out.iter_mut().enumerate() {
            let is_there = |valid: &Bits| valid[at / 64] >> (at % 64) & 1 == 1;
            match (is_there(&x.valid), is_there(&y.valid)) {
                (true, true) => {}
                (false, false) => *holds = equals,
                _ => *holds = op == Comparison::NotEqual,
            }
        }
    }
    out
}

fn wrapping(op: Arithmetic, left: &Column, right: &Column, chunk: usize, out: &mut Numbers) {
    fn each<T: Copy + Default>(
        (left, right): (&ChunkedVec<T>, &ChunkedVec<T>),
        chunk: usize,
        out: &mut Numbers,
        compute: impl Fn(T, T) -> f64,
    ) {
        let (Some(left), Some(right)) = (left.chunk(chunk), right.chunk(chunk)) else {
            out.valid = [0; CHUNK / 64];
            return;
        };
        for (at, out) in out.values.iter_mut().enumerate() {
            *out = compute(left.values[at], right.values[at]);
        }
        for (word, out) in out.valid.iter_mut().enumerate() {
            *out = left.valid[word] & right.valid[word];
        }
    }
    match (left, right, op) {
        (Column::Int32(x), Column::Int32(y), Arithmetic::Add) => {
            each((x, y), chunk, out, |x, y| f64::from(x.wrapping_add(y)));
        }
        (Column::Int32(x), Column::Int32(y), Arithmetic::Subtract) => {
            each((x, y), chunk, out, |x, y| f64::from(x.wrapping_sub(y)));
        }
        (Column::Int32(x), Column::Int32(y), _) => {
            each((x, y), chunk, out, |x, y| f64::from(x.wrapping_mul(y)));
        }
        (Column::Integer(x, _), Column::Integer(y, _), Arithmetic::Add)
        | (Column::Int64(x), Column::Int64(y), Arithmetic::Add) => {
            each((x, y), chunk, out, |x, y| x.wrapping_add(y) as f64);
        }
        (Column::Integer(x, _), Column::Integer(y, _), Arithmetic::Subtract)
        | (Column::Int64(x), Column::Int64(y), Arithmetic::Subtract) => {
            each((x, y), chunk, out, |x, y| x.wrapping_sub(y) as f64);
        }
        (Column::Integer(x, _), Column::Integer(y, _), _) | (Column::Int64(x), Column::Int64(y), _) => {
            each((x, y), chunk, out, |x, y| x.wrapping_mul(y) as f64);
        }
        _ => out.valid = [0; CHUNK / 64],
    }
}

fn read(column: &Column, chunk: usize, out: &mut Numbers) {
    fn each<T: Copy + Default>(
        cells: &ChunkedVec<T>,
        chunk: usize,
        out: &mut Numbers,
        number: impl Fn(T) -> f64,
    ) {
        match cells.chunk(chunk) {
            Some(chunk) => {
                out.values.iter_mut().zip(&chunk.values).for_each(|(out, value)| *out = number(*value));
                out.valid = chunk.valid;
            }
            None => out.valid = [0; CHUNK / 64],
        }
    }
    match column {
        Column::Int8(cells) => each(cells, chunk, out, f64::from),
        Column::Int16(cells) => each(cells, chunk, out, f64::from),
        Column::Int32(cells) => each(cells, chunk, out, f64::from),
        Column::Integer(cells, _) | Column::Int64(cells) => each(cells, chunk, out, |value| value as f64),
        Column::UInt8(cells) => each(cells, chunk, out, f64::from),
        Column::UInt16(cells) => each(cells, chunk, out, f64::from),
        Column::UInt32(cells) => each(cells, chunk, out, f64::from),
        Column::UInt64(cells) => each(cells, chunk, out, |value| value as f64),
        Column::Float32(cells) => each(cells, chunk, out, f64::from),
        Column::Float64(cells) => each(cells, chunk, out, |value| value),
        Column::Bool(_) | Column::Date(_) | Column::Datetime(_) | Column::Str(..) => {
            out.valid = [0; CHUNK / 64];
        }
    }
}

fn bits(holds: &[bool; CHUNK]) -> Bits {
    let mut bits = [0; CHUNK / 64];
    for (word, holds) in bits.iter_mut().zip(holds.chunks(64)) {
        for (byte, holds) in holds.as_chunks::<8>().0.iter().enumerate() {
            // Gathers the lowest bits of eight bytes.
            let bytes = u64::from_le_bytes(holds.map(u8::from));
            *word |= (bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * byte);
        }
    }
    bits
}

/// Compiles a tree; `None` if part of it does not qualify.
struct FusedEvaluator<'a> {
    expression: &'a Expression,
    snapshot: &'a Snapshot,
}

impl FusedEvaluator<'_> {
    fn storage(&self, node: &ExprNode) -> Option<(usize, Storage)> {
        let ExprNode::Column(position) = node else { return None };
        let column = *self.expression.columns.get(*position)?;
        Some((column, self.snapshot.column(column).storage()))
    }

    /// Compiles a float node, or a column of any numeric type.
    fn number(&self, node: &ExprNode, depth: usize) -> Option<Plain> {
        match self.storage(node) {
            Some((column, storage)) => matches!(
                ValueKind::of(storage),
                ValueKind::Integer(_) | ValueKind::Float32 | ValueKind::Float64
            )
            .then_some(Plain::Column(column)),
            None => self.float(node, depth),
        }
    }

    fn float(&self, node: &ExprNode, depth: usize) -> Option<Plain> {
        let depth = depth.checked_sub(1)?;
        match node {
            ExprNode::Constant(Value {
                kind: ValueKind::Float64,
                status: Status::Valid,
                payload: Payload::Float(value),
            }) => Some(Plain::Constant(*value)),
            ExprNode::Column(_) => {
                let (column, storage) = self.storage(node)?;
                (storage == Storage::Float64).then_some(Plain::Column(column))
            }
            ExprNode::Negate(inner) => Some(Plain::Negate(Box::new(self.float(inner, depth)?))),
            ExprNode::Arithmetic(op, left, right) => {
                if let (Some((x, kind)), Some((y, other))) = (self.storage(left), self.storage(right))
                    && kind == other
                    && matches!(kind, Storage::Integer | Storage::Int32 | Storage::Int64)
                    && matches!(op, Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Multiply)
                {
                    return Some(Plain::Wrapping(*op, x, y));
                }
                let (left, right) = (self.number(left, depth)?, self.number(right, depth)?);
                Some(Plain::Arithmetic(*op, Box::new(left), Box::new(right)))
            }
            ExprNode::If(condition, yes, Some(no)) => {
                let condition = self.condition(condition, depth)?;
                let (yes, no) = (self.float(yes, depth)?, self.float(no, depth)?);
                Some(Plain::If(Box::new(condition), Box::new(yes), Box::new(no)))
            }
            _ => None,
        }
    }

    fn condition(&self, node: &ExprNode, depth: usize) -> Option<Condition> {
        let depth = depth.checked_sub(1)?;
        match node {
            ExprNode::Column(_) => {
                let (column, storage) = self.storage(node)?;
                (storage == Storage::Bool).then_some(Condition::Column(column))
            }
            ExprNode::Compare(op, left, right) => {
                // Integers of 64 bits compare exactly among themselves.
                let is_wide = |node: &ExprNode| {
                    let storage = self.storage(node).map(|(_, storage)| storage);
                    matches!(storage, Some(Storage::Integer | Storage::Int64 | Storage::UInt64))
                };
                if is_wide(left) || is_wide(right) {
                    return None;
                }
                Some(Condition::Compare(*op, self.number(left, depth)?, self.number(right, depth)?))
            }
            ExprNode::Logic(Logic::ShortAnd | Logic::ShortOr, ..) => None,
            ExprNode::Logic(op, left, right) => {
                let (left, right) = (self.condition(left, depth)?, self.condition(right, depth)?);
                Some(Condition::Logic(*op, Box::new(left), Box::new(right)))
            }
            _ => None,
        }
    }
}
