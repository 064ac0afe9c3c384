//! What is computed while parsing.
//!
//! Law: operations on constants are done at once; the other rewrites are those that clients can see in types and
//! values: identities hand their operand on, regrouped constants change last digits.

use super::ast::{Arithmetic, Node};
use super::operate;
use super::value::Value;

fn constant(node: &Node, wanted: f64) -> bool {
    matches!(node, Node::Constant(value) if value.is_numeric() && value.is_valid() && value.raw() == wanted)
}

fn numeric(node: &Node) -> Option<&Value> {
    match node {
        Node::Constant(value) if value.is_numeric() && value.is_valid() => Some(value),
        _ => None,
    }
}

/// Variables and expressions that identities apply to: anything but a constant or a single operation on leaves.
fn is_rewritable(node: &Node) -> bool {
    !(matches!(node, Node::Constant(_)) || node.is_pair() || is_vector(node))
}

pub(super) fn is_vector(node: &Node) -> bool {
    match node {
        Node::Vector(_) => true,
        Node::Arithmetic(_, left, right) | Node::Compare(_, left, right) | Node::Logic(_, left, right) => {
            is_vector(left) || is_vector(right)
        }
        Node::Negate(inner) => is_vector(inner),
        _ => false,
    }
}

pub(super) fn arithmetic(op: Arithmetic, left: Node, right: Node) -> Node {
    use Arithmetic::{Add, Divide, Multiply, Subtract};
    if let (Node::Constant(left), Node::Constant(right)) = (&left, &right) {
        return Node::Constant(operate::arithmetic(op, left, right));
    }
    let zero = || Node::Constant(Value::float(0.0));
    if is_rewritable(&left) {
        match op {
            Add if constant(&right, 0.0) => return left,
            Multiply if constant(&right, 1.0) => return left,
            Divide if constant(&right, 1.0) && left.is_variable() => return left,
            Multiply if constant(&right, 0.0) => return zero(),
            Divide if constant(&right, 0.0) => return Node::Constant(Value::none()),
            _ => {}
        }
    }
    if is_rewritable(&right) {
        match op {
            Add if constant(&left, 0.0) => return right,
            Multiply if constant(&left, 1.0) => return right,
            Multiply | Divide if constant(&left, 0.0) => return zero(),
            _ => {}
        }
    }
    if let (Node::Negate(first), Node::Negate(second)) = (&left, &right)
        && first.is_variable()
        && second.is_variable()
    {
        let (first, second) = (first.clone(), second.clone());
        match op {
            Add => return Node::Negate(Box::new(Node::Arithmetic(Add, first, second))),
            Subtract => return Node::Arithmetic(Subtract, second, first),
            Multiply | Divide => return Node::Arithmetic(op, first, second),
            _ => {}
        }
    }
    if let Some(regrouped) = regroup(op, &left, &right) {
        return regrouped;
    }
    Node::Arithmetic(op, Box::new(left), Box::new(right))
}

/// `(b + c1) + c2` → `b + (c1 + c2)` and its relatives, where `b` is no plain variable.
fn regroup(op: Arithmetic, left: &Node, right: &Node) -> Option<Node> {
    use Arithmetic::{Add, Divide, Multiply, Power, Subtract};
    let join = |op: Arithmetic, first: &Value, second: &Value| {
        Node::Constant(operate::arithmetic(op, first, second))
    };
    let node =
        |op: Arithmetic, left: Node, right: Node| Some(Node::Arithmetic(op, Box::new(left), Box::new(right)));
    // The inner operation, with its constant on either side of `b`.
    let inner = |node: &Node| -> Option<(Arithmetic, Node, Value, bool)> {
        let Node::Arithmetic(op, first, second) = node else { return None };
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

pub(super) fn negate(inner: Node) -> Node {
    match inner {
        // The literal `null` stays what it is.
        Node::Constant(value) if value.is_none() => Node::Constant(value),
        Node::Constant(value) => Node::Constant(operate::negate(&value)),
        Node::Negate(value) if value.is_variable() => *value,
        inner => Node::Negate(Box::new(inner)),
    }
}
