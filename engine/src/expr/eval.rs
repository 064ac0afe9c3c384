//! Evaluates an expression on one row.
//!
//! Invariant: never panics and always terminates: loops have a budget, beyond which the row's value is null. An
//! expression is checked by evaluating it on a row without values.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "asks for single kinds of nodes; the evaluators and the checker list all"
)]

use std::collections::HashMap;

use regex::Regex;

use super::VolatileInputs;
use super::ast::{Argument, Comparison, ExprNode, Initial};
use super::function::{self, Function};
use super::operate::{self, Incomparable};
use super::patterns::Patterns;
use super::value::{Payload, Status, Value, ValueKind};

/// Maximum number of loop passes while an expression is checked, as in the published language.
const MAX_PASSES: u32 = 1_000_000;
/// Maximum cost of a check (about a second) and of a row, in steps: nodes evaluated, elements of vectors, pieces of
/// text. Only loops come near it.
const MAX_STEPS_CHECKING: u64 = 20_000_000;
const MAX_STEPS_ROW: u64 = 500_000;
/// Bytes of text that cost as much as a node.
const STEP_BYTES: usize = 64;

/// The view an expression has of the table.
pub(crate) trait Row {
    /// Returns the cell of the expression's column at `position`.
    fn cell(&self, position: usize) -> Value;
    /// Returns the cell of any column; `None` if there is no column of that name.
    fn named(&self, name: &str) -> Option<Value>;
    /// Returns the row's key.
    fn index(&self) -> Value;
    /// Returns the cell of a column at a row position; `None` if there is no column of that name.
    fn lookup(&self, name: &str, position: f64) -> Option<Value>;
}

/// The result of a node: one value, or a vector where one is allowed.
pub(super) enum Out {
    Value(Value),
    Vector(Vec<Value>),
}

impl Out {
    pub(super) fn into_value(self) -> Value {
        match self {
            Out::Value(value) => value,
            Out::Vector(elements) => elements.into_iter().next().unwrap_or(Value::null(ValueKind::Float64)),
        }
    }
}

/// Why evaluation stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EvalStop {
    Break,
    Continue,
    /// The loop budget is used up.
    Exhausted,
    OutOfBounds,
}

pub(super) struct Machine<'a> {
    row: &'a dyn Row,
    is_checking: bool,
    variables: Vec<Value>,
    pub(super) vectors: Vec<Vec<Value>>,
    /// Values assigned to columns.
    assigned: HashMap<usize, Value>,
    passes: u32,
    steps: u64,
    max_steps: u64,
    pub(super) stop: Option<EvalStop>,
    /// The value of a `break`.
    broken: Value,
    /// The first comparison of incomparable types.
    pub(super) incomparable: Option<Incomparable>,
    patterns: &'a Patterns,
    inputs: &'a mut VolatileInputs,
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        row: &'a dyn Row,
        is_checking: bool,
        num_variables: usize,
        num_vectors: usize,
        patterns: &'a Patterns,
        inputs: &'a mut VolatileInputs,
    ) -> Self {
        Machine {
            row,
            is_checking,
            variables: vec![Value::float(0.0); num_variables],
            vectors: vec![Vec::new(); num_vectors],
            assigned: HashMap::new(),
            passes: 0,
            steps: 0,
            max_steps: if is_checking { MAX_STEPS_CHECKING } else { MAX_STEPS_ROW },
            stop: None,
            broken: Value::none(),
            incomparable: None,
            patterns,
            inputs,
        }
    }

    pub(super) fn is_checking(&self) -> bool {
        self.is_checking
    }

    pub(super) fn now(&self) -> i64 {
        self.inputs.now_ms
    }

    /// Returns a uniform number in `0..1` (xorshift64*).
    pub(super) fn random(&mut self) -> f64 {
        let mut state = self.inputs.random | 1;
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.inputs.random = state;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn index(&self) -> Value {
        self.row.index()
    }

    pub(super) fn named(&self, name: &str) -> Option<Value> {
        self.row.named(name)
    }

    pub(super) fn lookup(&self, name: &str, position: f64) -> Option<Value> {
        self.row.lookup(name, position)
    }

    pub(super) fn pattern(&self, pattern: &str, is_whole: bool) -> Option<&'a Regex> {
        self.patterns.get(pattern, is_whole)
    }

    pub(super) fn compare(&mut self, op: Comparison, left: &Value, right: &Value) -> Value {
        let is_poison = left.status == Status::Poison || right.status == Status::Poison;
        match operate::compare(op, left, right) {
            Ok(_) if is_poison => Value::poison(ValueKind::Boolean),
            Ok(value) => value,
            Err(incomparable) => {
                self.incomparable.get_or_insert(incomparable);
                Value::poison(ValueKind::Boolean)
            }
        }
    }

    pub(super) fn value(&mut self, node: &ExprNode) -> Value {
        self.any(node).into_value()
    }

    /// Resets the machine for another row.
    pub(super) fn begin(&mut self) {
        self.steps = 0;
        self.stop = None;
    }

    /// Returns the cost of the evaluation so far, in steps.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn spend(&mut self, steps: usize) {
        self.steps += steps as u64;
        if self.steps > self.max_steps {
            self.stop = Some(EvalStop::Exhausted);
        }
    }

    pub(super) fn any(&mut self, node: &ExprNode) -> Out {
        self.spend(1);
        if self.stop.is_some() {
            return Out::Value(Value::none());
        }
        Out::Value(match node {
            ExprNode::Constant(value) => value.clone(),
            ExprNode::Raw(_) => Value::poison(ValueKind::Text),
            ExprNode::Column(position) => match self.assigned.get(position) {
                Some(value) => value.clone(),
                None => self.row.cell(*position),
            },
            ExprNode::Variable(slot) => self.variables[*slot].clone(),
            ExprNode::Vector(slot) => {
                self.spend(self.vectors[*slot].len());
                return Out::Vector(self.vectors[*slot].clone());
            }
            ExprNode::VectorSize(slot) => Value::float(self.vectors[*slot].len() as f64),
            ExprNode::Element(slot, index) => {
                let index = self.value(index);
                match self.position(*slot, &index) {
                    Some(position) => self.vectors[*slot][position].clone(),
                    None => self.out_of_bounds(),
                }
            }
            ExprNode::ElementOf(vector, index) => {
                let elements = match self.any(vector) {
                    Out::Vector(elements) => elements,
                    Out::Value(value) => vec![value],
                };
                let index = self.value(index).raw().trunc();
                let is_there = index >= 0.0 && index < elements.len() as f64;
                if is_there { elements[index as usize].clone() } else { self.out_of_bounds() }
            }
            ExprNode::Negate(inner) => match self.any(inner) {
                Out::Vector(elements) => return Out::Vector(elements.iter().map(operate::negate).collect()),
                Out::Value(value) => operate::negate(&value),
            },
            ExprNode::Arithmetic(op, left, right) => {
                return self.pairwise(left, right, &|_, left, right| operate::arithmetic(*op, left, right));
            }
            ExprNode::Compare(op, left, right) => {
                return self.pairwise(left, right, &|machine, left, right| machine.compare(*op, left, right));
            }
            ExprNode::Logic(op, left, right) => {
                return self.pairwise(left, right, &|machine, left, right| {
                    let is_poison = left.status == Status::Poison || right.status == Status::Poison;
                    match machine.is_checking && is_poison {
                        true => Value::poison(ValueKind::Boolean),
                        false => operate::logic(*op, left, right),
                    }
                });
            }
            ExprNode::Call(function, arguments) => return self.call(*function, arguments),
            ExprNode::Assign(target, op, value) => self.assign(target, *op, value),
            ExprNode::Swap(left, right) => {
                let (first, second) = (self.value(left), self.value(right));
                self.store(left, second.clone());
                self.store(right, first);
                second
            }
            ExprNode::Sequence(nodes) => {
                let mut last = Value::none();
                for node in nodes {
                    let out = self.any(node);
                    if self.stop.is_some() {
                        return Out::Value(last);
                    }
                    last = out.into_value();
                }
                last
            }
            ExprNode::If(condition, yes, no) => {
                let condition = self.value(condition);
                // While checking, a condition without a value counts as true.
                let is_open = self.is_checking && (!condition.is_valid());
                match (is_open || condition.is_true(), no) {
                    (true, _) => return self.any(yes),
                    (false, Some(no)) => return self.any(no),
                    (false, None) => Value::none(),
                }
            }
            ExprNode::While(condition, body) => self.run_while(condition, body),
            ExprNode::For(parts) => self.run_for(parts),
            ExprNode::Switch(cases, default) | ExprNode::Choice(cases, default) => {
                for (condition, body) in cases {
                    let condition = self.value(condition);
                    if condition.is_true() || (self.is_checking && !condition.is_valid()) {
                        return self.any(body);
                    }
                }
                match default {
                    Some(default) => return self.any(default),
                    None => Value::none(),
                }
            }
            ExprNode::MultiSwitch(cases) => {
                let mut last = Value::float(0.0);
                for (condition, body) in cases {
                    let condition = self.value(condition);
                    if condition.is_true() || (self.is_checking && !condition.is_valid()) {
                        last = self.value(body);
                    }
                }
                last
            }
            ExprNode::Break(value) => {
                self.broken = match value {
                    Some(value) => self.value(value),
                    None => Value::none(),
                };
                self.stop.get_or_insert(EvalStop::Break);
                Value::none()
            }
            ExprNode::Continue => {
                self.stop = Some(EvalStop::Continue);
                Value::none()
            }
            ExprNode::Declare(slot, initial) => {
                let value = match initial {
                    Some(initial) => self.value(initial),
                    None => Value::float(0.0),
                };
                self.variables[*slot] = value.clone();
                value
            }
            ExprNode::DeclareVector(slot, len, initial) => {
                self.spend(*len);
                self.vectors[*slot] = self.initial(*len, initial);
                self.vectors[*slot][0].clone()
            }
        })
    }

    fn pairwise(
        &mut self,
        left: &ExprNode,
        right: &ExprNode,
        operate: &dyn Fn(&mut Self, &Value, &Value) -> Value,
    ) -> Out {
        let left = self.any(left);
        let right = self.any(right);
        if let Out::Vector(elements) = &left {
            self.spend(elements.len());
        }
        match (left, right) {
            (Out::Value(left), Out::Value(right)) => Out::Value(operate(self, &left, &right)),
            (Out::Vector(left), Out::Vector(right)) => {
                Out::Vector(left.iter().zip(&right).map(|(left, right)| operate(self, left, right)).collect())
            }
            (Out::Vector(left), Out::Value(right)) => {
                Out::Vector(left.iter().map(|left| operate(self, left, &right)).collect())
            }
            (Out::Value(left), Out::Vector(right)) => {
                Out::Vector(right.iter().map(|right| operate(self, &left, right)).collect())
            }
        }
    }

    /// Applies functions of one number to vectors by element.
    fn call(&mut self, function: Function, arguments: &[Argument]) -> Out {
        if let (Function::Unary(_) | Function::Not, [Argument::Value(node)]) = (function, arguments) {
            return match self.any(node) {
                Out::Vector(elements) => {
                    let each =
                        elements.into_iter().map(|element| function::apply(self, function, vec![element]));
                    Out::Vector(each.collect())
                }
                Out::Value(value) => Out::Value(function::apply(self, function, vec![value])),
            };
        }
        let value = function::call(self, function, arguments);
        if let Payload::Text(text) = &value.payload {
            self.spend(text.len() / STEP_BYTES);
        }
        Out::Value(value)
    }

    fn position(&self, slot: usize, index: &Value) -> Option<usize> {
        let position = if index.is_valid() { index.raw().trunc() } else { 0.0 };
        (position >= 0.0 && position < self.vectors[slot].len() as f64).then_some(position as usize)
    }

    fn out_of_bounds(&mut self) -> Value {
        if self.is_checking {
            self.stop = Some(EvalStop::OutOfBounds);
        }
        Value::null(ValueKind::Float64)
    }

    fn assign(&mut self, target: &ExprNode, op: Option<super::ast::Arithmetic>, value: &ExprNode) -> Value {
        let out = self.any(value);
        if let ExprNode::Vector(slot) = target {
            let old = self.vectors[*slot].clone();
            let apply = |old: &Value, new: &Value| match op {
                Some(op) => operate::arithmetic(op, old, new),
                None => new.clone(),
            };
            match out {
                Out::Vector(elements) => {
                    for (at, new) in elements.iter().enumerate().take(old.len()) {
                        self.vectors[*slot][at] = apply(&old[at], new);
                    }
                }
                Out::Value(new) => self.vectors[*slot] = old.iter().map(|old| apply(old, &new)).collect(),
            }
            return self.vectors[*slot].first().cloned().unwrap_or(Value::null(ValueKind::Float64));
        }
        let new = out.into_value();
        let value = match op {
            Some(op) => {
                let old = self.value(target);
                operate::arithmetic(op, &old, &new)
            }
            None => new,
        };
        self.store(target, value.clone());
        value
    }

    fn store(&mut self, target: &ExprNode, value: Value) {
        match target {
            ExprNode::Variable(slot) => self.variables[*slot] = value,
            ExprNode::Column(position) => {
                self.assigned.insert(*position, value);
            }
            ExprNode::Element(slot, index) => {
                let index = self.value(index);
                match self.position(*slot, &index) {
                    Some(position) => self.vectors[*slot][position] = value,
                    None => {
                        self.out_of_bounds();
                    }
                }
            }
            ExprNode::Vector(slot) => {
                if let Some(first) = self.vectors[*slot].first_mut() {
                    *first = value;
                }
            }
            _ => {}
        }
    }

    fn initial(&mut self, len: usize, initial: &Initial) -> Vec<Value> {
        let mut elements = vec![Value::float(0.0); len];
        match initial {
            Initial::Zero => {}
            Initial::List(nodes) => {
                for (at, node) in nodes.iter().enumerate() {
                    elements[at] = self.value(node);
                }
            }
            Initial::All(node) => elements.fill(self.value(node)),
            Initial::Series(first, step) => {
                let (mut value, step) = (self.value(first), self.value(step));
                for element in &mut elements {
                    *element = value.clone();
                    value = operate::arithmetic(super::ast::Arithmetic::Add, &value, &step);
                }
            }
            Initial::Copy(node) => match self.any(node) {
                Out::Vector(from) => {
                    for (element, value) in elements.iter_mut().zip(from) {
                        *element = value;
                    }
                }
                Out::Value(value) => elements.fill(value),
            },
        }
        elements
    }

    /// Counts a loop pass; false if the budget is used up.
    fn may_pass(&mut self) -> bool {
        self.passes += 1;
        if self.is_checking && self.passes > MAX_PASSES {
            self.stop = Some(EvalStop::Exhausted);
        }
        self.stop.is_none()
    }

    /// Ends a loop pass; `Some` is the value of the loop.
    fn after_pass(&mut self, last: &mut Value, value: Value) -> Option<Value> {
        match self.stop {
            None => *last = value,
            Some(EvalStop::Continue) => self.stop = None,
            Some(EvalStop::Break) => {
                self.stop = None;
                return Some(std::mem::replace(&mut self.broken, Value::none()));
            }
            Some(EvalStop::Exhausted | EvalStop::OutOfBounds) => return Some(Value::none()),
        }
        None
    }

    fn holds(&mut self, condition: &ExprNode) -> bool {
        self.value(condition).is_true() && self.stop.is_none()
    }

    fn run_while(&mut self, condition: &ExprNode, body: &ExprNode) -> Value {
        let mut last = Value::float(0.0);
        while self.holds(condition) && self.may_pass() {
            let value = self.value(body);
            if let Some(value) = self.after_pass(&mut last, value) {
                return value;
            }
        }
        last
    }

    fn run_for(&mut self, parts: &super::ast::Loop) -> Value {
        self.value(&parts.first);
        let mut last = Value::float(0.0);
        loop {
            let goes_on = match &parts.condition {
                Some(condition) => self.holds(condition),
                None => true,
            };
            if !goes_on || !self.may_pass() {
                return last;
            }
            let value = self.value(&parts.body);
            if let Some(value) = self.after_pass(&mut last, value) {
                return value;
            }
            if let Some(step) = &parts.step {
                self.value(step);
            }
            if parts.condition.is_none() {
                return last;
            }
        }
    }
}
