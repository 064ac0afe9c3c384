//! The syntax tree of an expression.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "asks for single kinds of nodes; the evaluators and the checker list all"
)]

use super::function::Function;
use super::value::Value;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum ExprNode {
    Constant(Value),
    /// A raw string, valid where a pattern or an empty text is expected.
    Raw(String),
    /// Position among the expression's columns.
    Column(usize),
    Variable(usize),
    Vector(usize),
    Element(usize, Box<ExprNode>),
    /// An element of a computed vector.
    ElementOf(Box<ExprNode>, Box<ExprNode>),
    VectorSize(usize),
    Negate(Box<ExprNode>),
    Arithmetic(Arithmetic, Box<ExprNode>, Box<ExprNode>),
    Compare(Comparison, Box<ExprNode>, Box<ExprNode>),
    Logic(Logic, Box<ExprNode>, Box<ExprNode>),
    /// With an operator for `x += y`.
    Assign(Box<ExprNode>, Option<Arithmetic>, Box<ExprNode>),
    Swap(Box<ExprNode>, Box<ExprNode>),
    Sequence(Vec<ExprNode>),
    If(Box<ExprNode>, Box<ExprNode>, Option<Box<ExprNode>>),
    /// `if … else if … else …`: the first case whose condition holds.
    Choice(Vec<(ExprNode, ExprNode)>, Option<Box<ExprNode>>),
    While(Box<ExprNode>, Box<ExprNode>),
    For(Box<Loop>),
    Switch(Vec<(ExprNode, ExprNode)>, Option<Box<ExprNode>>),
    MultiSwitch(Vec<(ExprNode, ExprNode)>),
    Break(Option<Box<ExprNode>>),
    Continue,
    Declare(usize, Option<Box<ExprNode>>),
    DeclareVector(usize, usize, Initial),
    Call(Function, Vec<Argument>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loop {
    pub(super) first: ExprNode,
    pub(super) condition: Option<ExprNode>,
    pub(super) step: Option<ExprNode>,
    pub(super) body: ExprNode,
}

/// The initial elements of a vector.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Initial {
    Zero,
    List(Vec<ExprNode>),
    All(Box<ExprNode>),
    /// Start, step.
    Series(Box<ExprNode>, Box<ExprNode>),
    Copy(Box<ExprNode>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    Value(ExprNode),
    Raw(String),
    Vector(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
}

impl Comparison {
    pub(super) fn text(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::LessEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterEqual => ">=",
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logic {
    And,
    Nand,
    Or,
    Nor,
    Xor,
    Xnor,
    /// `&` and `|`, which yield floats.
    ShortAnd,
    ShortOr,
}

impl ExprNode {
    /// Visits the nodes directly below.
    pub(super) fn each_child<'n>(&'n self, visit: &mut dyn FnMut(&'n ExprNode)) {
        match self {
            ExprNode::Constant(_)
            | ExprNode::Raw(_)
            | ExprNode::Column(_)
            | ExprNode::Variable(_)
            | ExprNode::Vector(_)
            | ExprNode::VectorSize(_)
            | ExprNode::Continue
            | ExprNode::Break(None)
            | ExprNode::Declare(_, None) => {}
            ExprNode::Element(_, inner)
            | ExprNode::Negate(inner)
            | ExprNode::Break(Some(inner))
            | ExprNode::Declare(_, Some(inner)) => visit(inner),
            ExprNode::Arithmetic(_, left, right)
            | ExprNode::Compare(_, left, right)
            | ExprNode::Logic(_, left, right)
            | ExprNode::Assign(left, _, right)
            | ExprNode::Swap(left, right)
            | ExprNode::ElementOf(left, right)
            | ExprNode::While(left, right) => {
                visit(left);
                visit(right);
            }
            ExprNode::If(condition, yes, no) => {
                visit(condition);
                visit(yes);
                no.iter().for_each(|no| visit(no));
            }
            ExprNode::Sequence(nodes) => nodes.iter().for_each(visit),
            ExprNode::For(parts) => {
                visit(&parts.first);
                parts.condition.iter().chain(&parts.step).for_each(&mut *visit);
                visit(&parts.body);
            }
            ExprNode::Switch(cases, default) | ExprNode::Choice(cases, default) => {
                for (condition, body) in cases {
                    visit(condition);
                    visit(body);
                }
                default.iter().for_each(|default| visit(default));
            }
            ExprNode::MultiSwitch(cases) => {
                for (condition, body) in cases {
                    visit(condition);
                    visit(body);
                }
            }
            ExprNode::DeclareVector(_, _, initial) => match initial {
                Initial::Zero => {}
                Initial::List(nodes) => nodes.iter().for_each(visit),
                Initial::All(node) | Initial::Copy(node) => visit(node),
                Initial::Series(first, step) => {
                    visit(first);
                    visit(step);
                }
            },
            ExprNode::Call(_, arguments) => {
                for argument in arguments {
                    if let Argument::Value(node) = argument {
                        visit(node);
                    }
                }
            }
        }
    }

    /// Returns whether it is a variable, a constant, or the negation of one.
    pub(super) fn is_leaf(&self) -> bool {
        match self {
            ExprNode::Constant(_) | ExprNode::Column(_) | ExprNode::Variable(_) => true,
            ExprNode::Negate(inner) => {
                matches!(**inner, ExprNode::Column(_) | ExprNode::Variable(_) | ExprNode::Constant(_))
            }
            _ => false,
        }
    }

    /// Returns whether it is exactly one operator between two leaves.
    pub(super) fn is_pair(&self) -> bool {
        match self {
            ExprNode::Arithmetic(_, left, right)
            | ExprNode::Compare(_, left, right)
            | ExprNode::Logic(_, left, right) => left.is_leaf() && right.is_leaf(),
            _ => false,
        }
    }

    pub(super) fn is_variable(&self) -> bool {
        matches!(self, ExprNode::Column(_) | ExprNode::Variable(_))
    }

    pub(super) fn has_effect(&self) -> bool {
        match self {
            ExprNode::Constant(_)
            | ExprNode::Raw(_)
            | ExprNode::Column(_)
            | ExprNode::Variable(_)
            | ExprNode::Vector(_)
            | ExprNode::VectorSize(_) => false,
            ExprNode::Element(_, inner) | ExprNode::Negate(inner) => inner.has_effect(),
            ExprNode::Arithmetic(_, left, right)
            | ExprNode::Compare(_, left, right)
            | ExprNode::Logic(_, left, right)
            | ExprNode::ElementOf(left, right) => left.has_effect() || right.has_effect(),
            ExprNode::If(condition, yes, no) => {
                condition.has_effect() || yes.has_effect() || no.as_ref().is_some_and(|no| no.has_effect())
            }
            ExprNode::Sequence(nodes) => nodes.iter().any(ExprNode::has_effect),
            ExprNode::Choice(cases, last) => {
                cases.iter().any(|(condition, body)| condition.has_effect() || body.has_effect())
                    || last.as_ref().is_some_and(|last| last.has_effect())
            }
            ExprNode::Switch(..)
            | ExprNode::MultiSwitch(_)
            | ExprNode::Assign(..)
            | ExprNode::Swap(..)
            | ExprNode::While(..)
            | ExprNode::For(_)
            | ExprNode::Break(_)
            | ExprNode::Continue
            | ExprNode::Declare(..)
            | ExprNode::DeclareVector(..) => true,
            ExprNode::Call(function, arguments) => {
                !function.is_base()
                    || arguments
                        .iter()
                        .any(|argument| matches!(argument, Argument::Value(node) if node.has_effect()))
            }
        }
    }
}
