//! What has no way of its own over columns: functions and operators applied row by row to the values of their lanes.
//!
//! Law: these are the machine's own definitions.

use super::super::ast::{Argument, Arithmetic, Comparison, Logic};
use super::super::eval::{Machine, Row};
use super::super::function::{self, Function};
use super::super::operate;
use super::super::value::{Kind, Payload, Status, Value};
use super::Run;
use super::lane::{Cells, Lane, NONE, NULL, POISON, Payloads, Ref, VALID, statuses};

/// A row of which nothing is asked.
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

impl Run<'_> {
    fn by_rows(
        &mut self,
        lanes: &[Lane],
        len: usize,
        compute: impl Fn(&mut Machine<'_>, Vec<Value>) -> Value,
    ) -> Lane {
        let mut random = 1;
        let mut machine = self.expression.machine_at(&NoRow, false, self.now, &mut random);
        let mut is_exhausted = false;
        let values = (0..len)
            .map(|row| {
                machine.begin();
                let value = compute(&mut machine, lanes.iter().map(|lane| self.value(lane, row)).collect());
                is_exhausted |= machine.stop.is_some();
                value
            })
            .collect();
        self.is_exhausted |= is_exhausted;
        self.lane_of(values)
    }

    pub(super) fn apply(
        &mut self,
        function: Function,
        arguments: &[Argument],
        lanes: &[Lane],
        len: usize,
    ) -> Lane {
        match (function, arguments) {
            (Function::AllOf | Function::AnyOf | Function::Sum | Function::Product | Function::Mean, _) => {
                self.by_rows(lanes, len, |machine, values| {
                    let arguments: Vec<Argument> = values
                        .into_iter()
                        .map(|value| Argument::Value(super::super::ast::Node::Constant(value)))
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
                self.by_rows(lanes, len, |machine, mut values| {
                    let replacement = match rest {
                        [] => None,
                        _ if empty => Some(Value::text("")),
                        [Argument::Value(_)] => values.pop(),
                        _ => Some(Value::poison(Kind::Text)),
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
            ) => Lane::without_values(Kind::Text, POISON, len),
            _ => {
                // A raw text where a value is taken is poison, in its place.
                self.by_rows(lanes, len, |machine, values| {
                    let mut values = values.into_iter();
                    let values = arguments
                        .iter()
                        .map(|argument| match argument {
                            Argument::Value(_) => values.next().unwrap_or(Value::none()),
                            Argument::Raw(_) => Value::poison(Kind::Text),
                            Argument::Vector(_) => Value::none(),
                        })
                        .collect();
                    function::apply(machine, function, values)
                })
            }
        }
    }

    pub(super) fn general_negate(&mut self, lane: Lane, len: usize) -> Lane {
        self.by_rows(&[lane], len, |_, values| operate::negate(&values[0]))
    }

    pub(super) fn general_arithmetic(&mut self, op: Arithmetic, left: Lane, right: Lane, len: usize) -> Lane {
        self.by_rows(&[left, right], len, |_, values| operate::arithmetic(op, &values[0], &values[1]))
    }

    pub(super) fn general_compare(&mut self, op: Comparison, left: Lane, right: Lane, len: usize) -> Lane {
        self.by_rows(&[left, right], len, |machine, values| machine.compare(op, &values[0], &values[1]))
    }

    pub(super) fn general_logic(&mut self, op: Logic, left: Lane, right: Lane, len: usize) -> Lane {
        self.by_rows(&[left, right], len, |_, values| operate::logic(op, &values[0], &values[1]))
    }

    /// The lane of given values: of one type if they have one.
    pub(super) fn lane_of(&mut self, values: Vec<Value>) -> Lane {
        let len = values.len();
        let mut kinds = values.iter().map(|value| value.kind).filter(|kind| *kind != Kind::None);
        let Some(kind) = kinds.next() else { return Lane::without_values(Kind::None, NONE, len) };
        if kinds.any(|other| other != kind) {
            return Lane::new(Kind::None, Payloads::Mixed(values), None);
        }
        let statuses = statuses(len, |row| match values[row].status {
            _ if values[row].is_none() => NONE,
            Status::Valid => VALID,
            Status::Null => NULL,
            Status::Poison => POISON,
        });
        let payloads = match kind {
            Kind::Float32 | Kind::Float64 => {
                Payloads::Float(Cells::Each(values.iter().map(Value::raw).collect()))
            }
            Kind::Boolean => {
                let truth = |value: &Value| matches!(value.payload, Payload::Boolean(true));
                Payloads::Bool(Cells::Each(values.iter().map(truth).collect()))
            }
            Kind::Text => {
                let mut place = |value: &Value| match &value.payload {
                    Payload::Text(text) => Ref::new(Ref::BLOCK, self.made.push(text)),
                    _ => Ref::default(),
                };
                Payloads::Text(Cells::Each(values.iter().map(&mut place).collect()))
            }
            Kind::None | Kind::Integer(_) | Kind::Date | Kind::Datetime => {
                let int = |value: &Value| match value.payload {
                    Payload::Integer(value) | Payload::Datetime(value) => value,
                    Payload::Date(packed) => packed.into(),
                    _ => 0,
                };
                Payloads::Int(Cells::Each(values.iter().map(int).collect()))
            }
        };
        Lane::new(kind, payloads, statuses)
    }
}
