//! Running an expression on many rows at once.
//!
//! Law: gives what [`super::eval`] gives on each row. Rows are taken in blocks; a node of the tree becomes a lane of
//! values ([`lane`]). What depends only on one or two columns of text is computed once for each text or pair that occurs
//! ([`memo`]); numbers, dates, conditions and the common text functions are computed column by column ([`numbers`],
//! [`times`], [`texts`]); other functions are applied row by row to the values of their lanes ([`general`]). Loops,
//! vectors, assignments to columns, chance and lookups send the whole expression back to the rows, unless the expression
//! as a whole depends on text alone.

mod conditions;
mod general;
mod lane;
mod memo;
mod numbers;
mod output;
#[cfg(test)]
mod tests;
mod texts;
mod times;

use std::collections::HashMap;
use std::rc::Rc;

use super::Expression;
use super::ast::{Argument, Node};
use super::function::Function;
use super::value::{Kind, Payload, Status, Value};
use crate::column::{Chunked, Column, Strings};
use crate::table::Snapshot;
use lane::{Arena, Cells, Lane, NULL, Payloads, Ref, Statuses, VALID};
use memo::Memo;
pub(crate) use output::Written;

/// Rows computed at a time: a lane of numbers stays in the nearest caches.
pub(crate) const BLOCK_ROWS: usize = 4096;

/// One computation of an expression over rows of a table.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    expression: &'a Expression,
    snapshot: &'a Snapshot,
    /// Rows of the whole run: what may be spent on tables of known answers.
    num_rows: usize,
    now: i64,
    /// Texts made for this block, and for the run.
    made: Arena,
    kept: Arena,
    /// By node. `None`: the node has no use for one.
    memos: HashMap<usize, Option<Memo>>,
    variables: Vec<Option<Rc<Lane>>>,
    written: Written,
    /// A row used its budget up: it is null as a whole, which the rows find out.
    is_exhausted: bool,
    /// False in tests of what would be computed without.
    has_memos: bool,
}

/// The rows of a block.
#[derive(Debug, Clone, Copy)]
struct Rows<'a> {
    slots: &'a [u32],
    /// The slots follow one another.
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

impl<'a> Run<'a> {
    pub(crate) fn new(expression: &'a Expression, snapshot: &'a Snapshot, num_rows: usize, now: i64) -> Self {
        Run {
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

    /// The lane of the whole expression; `None`: it is for the rows.
    fn block(&mut self, rows: Rows<'_>) -> Option<Lane> {
        self.made.clear();
        self.variables.fill(None);
        let lane = self.run(&self.expression.node, rows);
        lane.filter(|_| !self.is_exhausted)
    }

    /// A long sum is as many of these on the stack as it has operands, so what they do is done in functions that have
    /// returned, or that are bounded otherwise, before the next one begins.
    fn run(&mut self, node: &Node, rows: Rows<'_>) -> Option<Lane> {
        if matches!(node, Node::Constant(_) | Node::Column(_) | Node::Variable(_)) {
            return self.leaf(node, rows);
        }
        let lane = self.recall(node, rows);
        if lane.is_some() {
            return lane;
        }
        let len = rows.len();
        match node {
            Node::Arithmetic(op, left, right) => {
                self.pair(left, right, rows, &mut |run, left, right| run.arithmetic(*op, left, right, len))
            }
            Node::Compare(op, left, right) => {
                self.pair(left, right, rows, &mut |run, left, right| run.compare(*op, left, right, len))
            }
            Node::Logic(op, left, right) => {
                self.pair(left, right, rows, &mut |run, left, right| run.logic(*op, left, right, len))
            }
            _ => self.other(node, rows),
        }
    }

    #[inline(never)]
    fn leaf(&mut self, node: &Node, rows: Rows<'_>) -> Option<Lane> {
        match node {
            Node::Constant(value) => Some(self.constant(value, rows.len())),
            Node::Column(position) => Some(self.column(*position, rows)),
            Node::Variable(slot) => self.variables[*slot].as_ref().map(|lane| Lane::clone(lane)),
            _ => None,
        }
    }

    #[inline(never)]
    fn pair(
        &mut self,
        left: &Node,
        right: &Node,
        rows: Rows<'_>,
        combine: &mut dyn FnMut(&mut Self, Lane, Lane) -> Lane,
    ) -> Option<Lane> {
        let left = self.run(left, rows)?;
        let right = self.run(right, rows)?;
        Some(combine(self, left, right))
    }

    /// What is no deeper than brackets may be.
    #[inline(never)]
    fn other(&mut self, node: &Node, rows: Rows<'_>) -> Option<Lane> {
        let len = rows.len();
        Some(match node {
            Node::Negate(inner) => {
                let lane = self.run(inner, rows)?;
                self.negate(lane, len)
            }
            Node::If(condition, yes, no) => {
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
            Node::Switch(cases, default) | Node::Choice(cases, default) => {
                self.switch(cases, default.as_deref(), rows)?
            }
            Node::MultiSwitch(cases) => {
                let mut last = Lane::float(Cells::Same(0.0), None);
                for (condition, body) in cases {
                    let condition = self.run(condition, rows)?;
                    last = self.branches(&condition, rows, |run| run.run(body, rows), |_| Some(last))?;
                }
                last
            }
            Node::Sequence(nodes) => {
                let mut last = self.constant(&Value::none(), len);
                for node in nodes {
                    last = self.run(node, rows)?;
                }
                last
            }
            Node::Declare(slot, initial) => {
                let lane = match initial {
                    Some(initial) => self.run(initial, rows)?,
                    None => Lane::float(Cells::Same(0.0), None),
                };
                self.variables[*slot] = Some(Rc::new(lane.clone()));
                lane
            }
            Node::Assign(target, op, value) => {
                let Node::Variable(slot) = **target else { return None };
                let value = self.run(value, rows)?;
                let lane = match op {
                    Some(op) => {
                        let old = self.run(target, rows)?;
                        self.arithmetic(*op, old, value, len)
                    }
                    None => value,
                };
                self.variables[slot] = Some(Rc::new(lane.clone()));
                lane
            }
            Node::Call(function, arguments) => self.call(*function, arguments, rows)?,
            Node::Constant(_)
            | Node::Column(_)
            | Node::Variable(_)
            | Node::Arithmetic(..)
            | Node::Compare(..)
            | Node::Logic(..)
            | Node::Raw(_)
            | Node::Vector(_)
            | Node::VectorSize(_)
            | Node::Element(..)
            | Node::ElementOf(..)
            | Node::Swap(..)
            | Node::While(..)
            | Node::For(_)
            | Node::Break(_)
            | Node::Continue
            | Node::DeclareVector(..) => return None,
        })
    }

    fn call(&mut self, function: Function, arguments: &[Argument], rows: Rows<'_>) -> Option<Lane> {
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
                // A name that stands there; any other is looked up row by row.
                let [Argument::Value(Node::Call(Function::Intern, name))] = arguments else { return None };
                let [Argument::Value(Node::Constant(Value { payload: Payload::Text(name), .. }))] =
                    name.as_slice()
                else {
                    return None;
                };
                let column = self.snapshot.schema().index_of(name)?;
                return match self.snapshot.column(column) {
                    Column::Str(..) => None,
                    cells => Some(self.read(cells, 0, rows)),
                };
            }
            _ => {}
        }
        let mut lanes = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match argument {
                Argument::Value(node) => lanes.push(self.run(node, rows)?),
                Argument::Raw(_) => {}
                Argument::Vector(_) => return None,
            }
        }
        let len = rows.len();
        let lane = match function {
            Function::Intern => lanes.pop(),
            Function::Now => Some(self.constant(&Value::datetime(self.now), len)),
            _ if arguments.iter().any(|argument| matches!(argument, Argument::Raw(_))) => None,
            _ => self
                .number_function(function, &lanes, len)
                .or_else(|| self.time_function(function, &lanes, len))
                .or_else(|| self.text_function(function, &lanes, len)),
        };
        Some(match lane {
            Some(lane) => lane,
            None => self.apply(function, arguments, &lanes, len),
        })
    }

    fn constant(&mut self, value: &Value, len: usize) -> Lane {
        let status = match value.status {
            _ if value.is_none() => return Lane::without_values(Kind::None, lane::NONE, len),
            Status::Valid => VALID,
            Status::Null => NULL,
            Status::Poison => lane::POISON,
        };
        if status != VALID {
            return Lane::without_values(value.kind, status, len);
        }
        let payloads = match &value.payload {
            Payload::Nothing => return Lane::without_values(value.kind, NULL, len),
            Payload::Integer(value) | Payload::Datetime(value) => Payloads::Int(Cells::Same(*value)),
            Payload::Date(packed) => Payloads::Int(Cells::Same((*packed).into())),
            Payload::Float(value) => Payloads::Float(Cells::Same(*value)),
            Payload::Boolean(value) => Payloads::Bool(Cells::Same(*value)),
            Payload::Text(text) => Payloads::Text(Cells::Same(Ref::new(Ref::BLOCK, self.made.push(text)))),
        };
        Lane::new(value.kind, payloads, None)
    }

    fn column(&self, position: usize, rows: Rows<'_>) -> Lane {
        let column = self.snapshot.column(self.expression.columns[position]);
        self.read(column, Ref::FIRST_COLUMN + position as u32, rows)
    }

    /// `source`: where texts of the column are found again.
    fn read(&self, column: &Column, source: u32, rows: Rows<'_>) -> Lane {
        let kind = Kind::of(column.storage());
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
                (Payloads::Float(Cells::Each(values)), statuses)
            }
            Column::Float64(cells) => {
                let (values, statuses) = each(cells, rows, |value| value);
                (Payloads::Float(Cells::Each(values)), statuses)
            }
            Column::Bool(cells) => {
                let (values, statuses) = each(cells, rows, |value| value);
                (Payloads::Bool(Cells::Each(values)), statuses)
            }
            Column::Str(codes, _) => {
                let (values, statuses) = each(codes, rows, |code| Ref::new(source, code));
                (Payloads::Text(Cells::Each(values)), statuses)
            }
        };
        Lane::new(kind, payloads, statuses)
    }

    fn strings(&self, position: usize) -> Option<&Strings> {
        match self.snapshot.column(self.expression.columns[position]) {
            Column::Str(_, strings) => Some(strings),
            _ => None,
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
    cells: &Chunked<T>,
    rows: Rows<'_>,
    convert: impl Fn(T) -> i64,
) -> (Payloads, Statuses) {
    let (values, statuses) = each(cells, rows, convert);
    (Payloads::Int(Cells::Each(values)), statuses)
}

fn each<T: Copy + Default, U>(
    cells: &Chunked<T>,
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
