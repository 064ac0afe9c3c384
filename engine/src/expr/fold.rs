//! Constant folding and rewrites while parsing.
//!
//! Invariant: operations on constants are evaluated; the other rewrites are those of the published language that affect
//! types and values: identities return their operand, regrouped constants change last digits.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "asks for single kinds of nodes; the evaluators and the checker list all"
)]

use super::ast::{Arithmetic, ExprNode};
use super::operate;
use super::value::Value;

fn constant(node: &ExprNode, wanted: f64) -> bool {
    matches!(node, ExprNode::Constant(value) if value.is_numeric() && value.is_valid() && value.raw() == wanted)
}

fn numeric(node: &ExprNode) -> Option<&Value> {
    match node {
        ExprNode::Constant(value) if value.is_numeric() && value.is_valid() => Some(value),
        _ => None,
    }
}

/// Returns whether identities apply to a node: anything but a constant or a single operation on leaves.
fn is_rewritable(node: &ExprNode) -> bool {
    !(matches!(node, ExprNode::Constant(_)) || node.is_pair() || is_vector(node))
}

pub(super) fn is_vector(node: &ExprNode) -> bool {
    match node {
        ExprNode::Vector(_) => true,
        ExprNode::Arithmetic(_, left, right)
        | ExprNode::Compare(_, left, right)
        | ExprNode::Logic(_, left, right) => is_vector(left) || is_vector(right),
        ExprNode::Negate(inner) => is_vector(inner),
        _ => false,
    }
}

pub(super) fn arithmetic(op: Arithmetic, left: ExprNode, right: ExprNode) -> ExprNode {
    use Arithmetic::{Add, Divide, Modulo, Multiply, Power, Subtract};
    if let (ExprNode::Constant(left), ExprNode::Constant(right)) = (&left, &right) {
        return ExprNode::Constant(operate::arithmetic(op, left, right));
    }
    let zero = || ExprNode::Constant(Value::float(0.0));
    if is_rewritable(&left) {
        match op {
            Add if constant(&right, 0.0) => return left,
            Multiply if constant(&right, 1.0) => return left,
            Divide if constant(&right, 1.0) && left.is_variable() => return left,
            Multiply if constant(&right, 0.0) => return zero(),
            Divide if constant(&right, 0.0) => return ExprNode::Constant(Value::none()),
            Add | Subtract | Multiply | Divide | Modulo | Power => {}
        }
    }
    if is_rewritable(&right) {
        match op {
            Add if constant(&left, 0.0) => return right,
            Multiply if constant(&left, 1.0) => return right,
            Multiply | Divide if constant(&left, 0.0) => return zero(),
            Add | Subtract | Multiply | Divide | Modulo | Power => {}
        }
    }
    if let (ExprNode::Negate(first), ExprNode::Negate(second)) = (&left, &right)
        && first.is_variable()
        && second.is_variable()
    {
        let (first, second) = (first.clone(), second.clone());
        match op {
            Add => return ExprNode::Negate(Box::new(ExprNode::Arithmetic(Add, first, second))),
            Subtract => return ExprNode::Arithmetic(Subtract, second, first),
            Multiply | Divide => return ExprNode::Arithmetic(op, first, second),
            Modulo | Power => {}
        }
    }
    if let Some(regrouped) = regroup(op, &left, &right) {
        return regrouped;
    }
    ExprNode::Arithmetic(op, Box::new(left), Box::new(right))
}

/// Rewrites `(b + c1) + c2` to `b + (c1 + c2)`, and similar forms, where `b` is not a plain variable.
fn regroup(op: Arithmetic, left: &ExprNode, right: &ExprNode) -> Option<ExprNode> {
    use Arithmetic::{Add, Divide, Multiply, Power, Subtract};
    let join = |op: Arithmetic, first: &Value, second: &Value| {
        ExprNode::Constant(operate::arithmetic(op, first, second))
    };
    let node = |op: Arithmetic, left: ExprNode, right: ExprNode| {
        Some(ExprNode::Arithmetic(op, Box::new(left), Box::new(right)))
    };
    // The inner operation, with its constant on either side of `b`.
    let inner = |node: &ExprNode| -> Option<(Arithmetic, ExprNode, Value, bool)> {
        let ExprNode::Arithmetic(op, first, second) = node else { return None };
        match (numeric(first), numeric(second)) {
            (None, Some(constant)) if !first.is_leaf() => {
                Some((*op, (**first).clone(), constant.clone(), false))
            }
            (Some(constant), None) if !second.is_leaf() => {
                Some((*op, (**second).clone(), constant.clone(), true))
            }
            _ => None,
        }
    };
    if let (Some((inner_op, b, first, leads)), Some(second)) = (inner(left), numeric(right)) {
        return match (inner_op, leads, op) {
            (Add, _, Add) => node(Add, b, join(Add, &first, second)),
            (Multiply, _, Multiply) => node(Multiply, b, join(Multiply, &first, second)),
            (Multiply, _, Divide) => node(Multiply, b, join(Divide, &first, second)),
            (Divide, false, Divide) => node(Divide, b, join(Multiply, &first, second)),
            (Divide, false, Multiply) => None,
            (Power, false, Power) => node(Power, b, join(Multiply, &first, second)),
            (Add, true, Subtract) => node(Add, join(Subtract, &first, second), b),
            (Subtract, true, Add) => node(Subtract, join(Add, &first, second), b),
            (Subtract, true, Subtract) => node(Subtract, join(Subtract, &first, second), b),
            _ => None,
        };
    }
    if let (Some(second), Some((inner_op, b, first, leads))) = (numeric(left), inner(right)) {
        return match (inner_op, leads, op) {
            (Add, _, Add) => node(Add, b, join(Add, second, &first)),
            (Multiply, _, Multiply) => node(Multiply, b, join(Multiply, second, &first)),
            (Subtract, true, Subtract) => node(Add, join(Subtract, second, &first), b),
            (Subtract, true, Add) => node(Subtract, join(Add, second, &first), b),
            (Add, true, Subtract) => node(Subtract, join(Subtract, second, &first), b),
            _ => None,
        };
    }
    None
}

pub(super) fn negate(inner: ExprNode) -> ExprNode {
    match inner {
        // The literal `null` is unchanged.
        ExprNode::Constant(value) if value.is_none() => ExprNode::Constant(value),
        ExprNode::Constant(value) => ExprNode::Constant(operate::negate(&value)),
        ExprNode::Negate(value) if value.is_variable() => *value,
        inner => ExprNode::Negate(Box::new(inner)),
    }
}
