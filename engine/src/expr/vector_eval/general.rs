//! The fallback for functions and operators without a vectorised form: row by row on the values of their vectors.
//!
//! Invariant: uses the definitions of the row-wise evaluator.

#![allow(clippy::wildcard_enum_match_arm, reason = "asks for single kinds of values")]

use super::super::VolatileInputs;
use super::super::ast::{Argument, Arithmetic, Comparison, Logic};
use super::super::eval::{Machine, Row};
use super::super::function::{self, Function};
use super::super::operate;
use super::super::value::{Payload, Status, Value, ValueKind};
use super::VectorEvaluator;
use super::vector::{NONE, NULL, POISON, Ref, VALID, Vector, VectorCells, VectorData, statuses};

/// A row without cells, which these functions never read.
struct NoRow;

impl Row for NoRow {
    fn cell(&self, _position: usize) -> Value {
        Value::none()
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

impl VectorEvaluator<'_> {
    fn by_rows(
        &mut self,
        vectors: &[Vector],
        len: usize,
        compute: impl Fn(&mut Machine<'_>, Vec<Value>) -> Value,
    ) -> Vector {
        let mut inputs = VolatileInputs { now_ms: self.now, ..VolatileInputs::NONE };
        let mut machine = self.expression.machine(&NoRow, false, &mut inputs);
        let mut is_exhausted = false;
        let values = (0..len)
            .map(|row| {
                machine.begin();
                let value =
                    compute(&mut machine, vectors.iter().map(|vector| self.value(vector, row)).collect());
                is_exhausted |= machine.stop.is_some();
                value
            })
            .collect();
        self.is_exhausted |= is_exhausted;
        self.vector_of(values)
    }

    pub(super) fn apply(
        &mut self,
        function: Function,
        arguments: &[Argument],
        vectors: &[Vector],
        len: usize,
    ) -> Vector {
        match (function, arguments) {
            (Function::AllOf | Function::AnyOf | Function::Sum | Function::Product | Function::Mean, _) => {
                self.by_rows(vectors, len, |machine, values| {
                    let arguments: Vec<Argument> = values
                        .into_iter()
                        .map(|value| Argument::Value(super::super::ast::ExprNode::Constant(value)))
                        .collect();
                    function::call(machine, function, &arguments)
                })
            }
            (
                Function::Match
                | Function::MatchAll
                | Function::Search
                | Function::Replace
                | Function::ReplaceAll
                | Function::Contains,
                [_, Argument::Raw(pattern), rest @ ..],
            ) => {
                let empty = matches!(rest, [Argument::Raw(text)] if text.is_empty());
                self.by_rows(vectors, len, |machine, mut values| {
                    let replacement = match rest {
                        [] => None,
                        _ if empty => Some(Value::text("")),
                        [Argument::Value(_)] => values.pop(),
                        _ => Some(Value::poison(ValueKind::Text)),
                    };
                    let subject = values.first().cloned().unwrap_or(Value::none());
                    function::apply_pattern(machine, function, &subject, pattern, replacement)
                })
            }
            (
                Function::Match
                | Function::MatchAll
                | Function::Search
                | Function::Replace
                | Function::ReplaceAll
                | Function::Contains,
                _,
            ) => Vector::without_values(ValueKind::Text, POISON, len),
            _ => {
                // A raw text in place of a value is poison.
                self.by_rows(vectors, len, |machine, values| {
                    let mut values = values.into_iter();
                    let values = arguments
                        .iter()
                        .map(|argument| match argument {
                            Argument::Value(_) => values.next().unwrap_or(Value::none()),
                            Argument::Raw(_) => Value::poison(ValueKind::Text),
                            Argument::Vector(_) => Value::none(),
                        })
                        .collect();
                    function::apply(machine, function, values)
                })
            }
        }
    }

    pub(super) fn general_negate(&mut self, vector: Vector, len: usize) -> Vector {
        self.by_rows(&[vector], len, |_, values| operate::negate(&values[0]))
    }

    pub(super) fn general_arithmetic(
        &mut self,
        op: Arithmetic,
        left: Vector,
        right: Vector,
        len: usize,
    ) -> Vector {
        self.by_rows(&[left, right], len, |_, values| operate::arithmetic(op, &values[0], &values[1]))
    }

    pub(super) fn general_compare(
        &mut self,
        op: Comparison,
        left: Vector,
        right: Vector,
        len: usize,
    ) -> Vector {
        self.by_rows(&[left, right], len, |machine, values| machine.compare(op, &values[0], &values[1]))
    }

    pub(super) fn general_logic(&mut self, op: Logic, left: Vector, right: Vector, len: usize) -> Vector {
        self.by_rows(&[left, right], len, |_, values| operate::logic(op, &values[0], &values[1]))
    }

    /// Builds a vector of the given values, of one type if they have one.
    pub(super) fn vector_of(&mut self, values: Vec<Value>) -> Vector {
        let len = values.len();
        let mut kinds = values.iter().map(|value| value.kind).filter(|kind| *kind != ValueKind::None);
        let Some(kind) = kinds.next() else { return Vector::without_values(ValueKind::None, NONE, len) };
        if kinds.any(|other| other != kind) {
            return Vector::new(ValueKind::None, VectorData::Mixed(values), None);
        }
        let statuses = statuses(len, |row| match values[row].status {
            _ if values[row].is_none() => NONE,
            Status::Valid => VALID,
            Status::Null => NULL,
            Status::Poison => POISON,
        });
        let payloads = match kind {
            ValueKind::Float32 | ValueKind::Float64 => {
                VectorData::Float(VectorCells::Each(values.iter().map(Value::raw).collect()))
            }
            ValueKind::Boolean => {
                let truth = |value: &Value| matches!(value.payload, Payload::Boolean(true));
                VectorData::Bool(VectorCells::Each(values.iter().map(truth).collect()))
            }
            ValueKind::Text => {
                let mut place = |value: &Value| match &value.payload {
                    Payload::Text(text) => Ref::new(Ref::BLOCK, self.made.push(text)),
                    _ => Ref::default(),
                };
                VectorData::Text(VectorCells::Each(values.iter().map(&mut place).collect()))
            }
            ValueKind::None | ValueKind::Integer(_) | ValueKind::Date | ValueKind::Datetime => {
                let int = |value: &Value| match value.payload {
                    Payload::Integer(value) | Payload::Datetime(value) => value,
                    Payload::Date(packed) => packed.into(),
                    _ => 0,
                };
                VectorData::Int(VectorCells::Each(values.iter().map(int).collect()))
            }
        };
        Vector::new(kind, payloads, statuses)
    }
}
