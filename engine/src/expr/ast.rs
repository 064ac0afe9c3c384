//! The tree of an expression.

use super::function::Function;
use super::value::Value;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Constant(Value),
    /// A raw string, usable where a pattern or an empty text is taken.
    Raw(String),
    /// Position among the expression's columns.
    Column(usize),
    Variable(usize),
    Vector(usize),
    Element(usize, Box<Node>),
    /// An element of a computed vector.
    ElementOf(Box<Node>, Box<Node>),
    VectorSize(usize),
    Negate(Box<Node>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Logic(Logic, Box<Node>, Box<Node>),
    /// With an operator: `x += y`.
    Assign(Box<Node>, Option<Arithmetic>, Box<Node>),
    Swap(Box<Node>, Box<Node>),
    Sequence(Vec<Node>),
    If(Box<Node>, Box<Node>, Option<Box<Node>>),
    /// `if … else if … else …`: the first case whose condition holds.
    Choice(Vec<(Node, Node)>, Option<Box<Node>>),
    While(Box<Node>, Box<Node>),
    For(Box<Loop>),
    Switch(Vec<(Node, Node)>, Option<Box<Node>>),
    MultiSwitch(Vec<(Node, Node)>),
    Break(Option<Box<Node>>),
    Continue,
    Declare(usize, Option<Box<Node>>),
    DeclareVector(usize, usize, Initial),
    Call(Function, Vec<Argument>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loop {
    pub(super) first: Node,
    pub(super) condition: Option<Node>,
    pub(super) step: Option<Node>,
    pub(super) body: Node,
}

/// How a vector begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Initial {
    Zero,
    List(Vec<Node>),
    All(Box<Node>),
    /// Start, step.
    Series(Box<Node>, Box<Node>),
    Copy(Box<Node>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    Value(Node),
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
    /// `&` and `|`: floats, by a rule of their own.
    ShortAnd,
    ShortOr,
}

impl Node {
    /// The nodes directly below.
    pub(super) fn each_child<'n>(&'n self, visit: &mut dyn FnMut(&'n Node)) {
        match self {
            Node::Constant(_)
            | Node::Raw(_)
            | Node::Column(_)
            | Node::Variable(_)
            | Node::Vector(_)
            | Node::VectorSize(_)
            | Node::Continue
            | Node::Break(None)
            | Node::Declare(_, None) => {}
            Node::Element(_, inner)
            | Node::Negate(inner)
            | Node::Break(Some(inner))
            | Node::Declare(_, Some(inner)) => visit(inner),
            Node::Arithmetic(_, left, right)
            | Node::Compare(_, left, right)
            | Node::Logic(_, left, right)
            | Node::Assign(left, _, right)
            | Node::Swap(left, right)
            | Node::ElementOf(left, right)
            | Node::While(left, right) => {
                visit(left);
                visit(right);
            }
            Node::If(condition, yes, no) => {
                visit(condition);
                visit(yes);
                no.iter().for_each(|no| visit(no));
            }
            Node::Sequence(nodes) => nodes.iter().for_each(visit),
            Node::For(parts) => {
                visit(&parts.first);
                parts.condition.iter().chain(&parts.step).for_each(&mut *visit);
                visit(&parts.body);
            }
            Node::Switch(cases, default) | Node::Choice(cases, default) => {
                for (condition, body) in cases {
                    visit(condition);
                    visit(body);
                }
                default.iter().for_each(|default| visit(default));
            }
            Node::MultiSwitch(cases) => {
                for (condition, body) in cases {
                    visit(condition);
                    visit(body);
                }
            }
            Node::DeclareVector(_, _, initial) => match initial {
                Initial::Zero => {}
                Initial::List(nodes) => nodes.iter().for_each(visit),
                Initial::All(node) | Initial::Copy(node) => visit(node),
                Initial::Series(first, step) => {
                    visit(first);
                    visit(step);
                }
            },
            Node::Call(_, arguments) => {
                for argument in arguments {
                    if let Argument::Value(node) = argument {
                        visit(node);
                    }
                }
            }
        }
    }

    /// A variable, a constant, or the negation of one.
    pub(super) fn is_leaf(&self) -> bool {
        match self {
            Node::Constant(_) | Node::Column(_) | Node::Variable(_) => true,
            Node::Negate(inner) => matches!(**inner, Node::Column(_) | Node::Variable(_) | Node::Constant(_)),
            _ => false,
        }
    }

    /// Exactly one operator between two leaves.
    pub(super) fn is_pair(&self) -> bool {
        match self {
            Node::Arithmetic(_, left, right)
            | Node::Compare(_, left, right)
            | Node::Logic(_, left, right) => left.is_leaf() && right.is_leaf(),
            _ => false,
        }
    }

    pub(super) fn is_variable(&self) -> bool {
        matches!(self, Node::Column(_) | Node::Variable(_))
    }

    pub(super) fn has_effect(&self) -> bool {
        match self {
            Node::Constant(_)
            | Node::Raw(_)
            | Node::Column(_)
            | Node::Variable(_)
            | Node::Vector(_)
            | Node::VectorSize(_) => false,
            Node::Element(_, inner) | Node::Negate(inner) => inner.has_effect(),
            Node::Arithmetic(_, left, right)
            | Node::Compare(_, left, right)
            | Node::Logic(_, left, right)
            | Node::ElementOf(left, right) => left.has_effect() || right.has_effect(),
            Node::If(condition, yes, no) => {
                condition.has_effect() || yes.has_effect() || no.as_ref().is_some_and(|no| no.has_effect())
            }
            Node::Sequence(nodes) => nodes.iter().any(Node::has_effect),
            Node::Choice(cases, last) => {
                cases.iter().any(|(condition, body)| condition.has_effect() || body.has_effect())
                    || last.as_ref().is_some_and(|last| last.has_effect())
            }
            Node::Switch(..)
            | Node::MultiSwitch(_)
            | Node::Assign(..)
            | Node::Swap(..)
            | Node::While(..)
            | Node::For(_)
            | Node::Break(_)
            | Node::Continue
            | Node::Declare(..)
            | Node::DeclareVector(..) => true,
            Node::Call(function, arguments) => {
                !function.is_base()
                    || arguments
                        .iter()
                        .any(|argument| matches!(argument, Argument::Value(node) if node.has_effect()))
            }
        }
    }
}
