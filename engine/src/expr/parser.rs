//! Parses tokens to a tree: operators here, [`statement`]s and [`call`]s in their own modules.
//!
//! Invariant: recursive descent over the grammar of the published language; the first error found is reported, with its
//! message and position.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "asks for single kinds of nodes; the evaluators and the checker list all"
)]

mod block;
mod call;
mod statement;

use super::ExpressionError;
use super::ast::{Arithmetic, Comparison, ExprNode, Logic};
use super::fold;
use super::lexer::{Token, TokenKind, number_value};
use super::value::{Status, Value, ValueKind};
use block::NOTHING_FOUND;

/// Maximum depth; each level of brackets counts two.
const MAX_DEPTH: usize = 400;
/// Maximum number of chained operators, as in a long sum. (The published limit is 10000; the stack of a browser thread
/// suffices for this many.)
const MAX_TREE_DEPTH: usize = 1000;

pub(super) struct Parser<'a> {
    tokens: &'a [Token],
    text: &'a str,
    at: usize,
    depth: usize,
    /// Depth of the tree built since the start of the current operand.
    made: usize,
    loops: usize,
    /// The token after the last loop, `switch` or sequence.
    block_end: usize,
    columns: &'a [String],
    scopes: Vec<Vec<(String, Symbol)>>,
    pub(super) num_variables: usize,
    pub(super) num_vectors: usize,
    /// Of all vectors together.
    num_elements: usize,
}

#[derive(Debug, Clone)]
enum Symbol {
    Variable(usize),
    Constant(Value),
    Vector { slot: usize, len: usize },
}

type Parsed = Result<ExprNode, ExpressionError>;

/// Words that cannot be an operand.
const RESERVED: &[&str] = &[
    "and", "nand", "or", "nor", "xor", "xnor", "in", "like", "ilike", "else", "case", "default", "repeat",
    "until", "return",
];

impl<'a> Parser<'a> {
    /// `columns` are the symbols of the referenced columns, by position.
    pub(super) fn new(tokens: &'a [Token], text: &'a str, columns: &'a [String]) -> Self {
        Parser {
            tokens,
            text,
            at: 0,
            depth: 0,
            made: 0,
            loops: 0,
            block_end: usize::MAX,
            columns,
            scopes: vec![Vec::new()],
            num_variables: 0,
            num_vectors: 0,
            num_elements: 0,
        }
    }

    pub(super) fn program(mut self) -> Result<(ExprNode, usize, usize), ExpressionError> {
        if self.current().kind == TokenKind::End {
            return Err(ExpressionError::plain("Empty expression!"));
        }
        let mut nodes = Vec::new();
        loop {
            nodes.push(self.expression()?);
            match self.current() {
                token if token.kind == TokenKind::End => break,
                token if token.is(";") => {
                    self.next();
                    if self.current().kind == TokenKind::End {
                        break;
                    }
                }
                token if token.kind != TokenKind::Mark || matches!(token.value.as_str(), "(" | "[" | "{") => {
                    let message =
                        format!("Invalid syntax '{}' possible missing operator or context", token.value);
                    return Err(self.error_here(message));
                }
                _ => return Err(self.error_here("Premature end of expression[2]")),
            }
        }
        Ok((sequence(nodes), self.num_variables, self.num_vectors))
    }

    fn current(&self) -> &'a Token {
        // The last token is the end, which is never passed.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn ahead(&self, by: usize) -> &'a Token {
        &self.tokens[(self.at + by).min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> &'a Token {
        let token = self.current();
        self.at += 1;
        token
    }

    fn take(&mut self, mark: &str) -> bool {
        let is_there = self.current().is(mark);
        self.at += usize::from(is_there);
        is_there
    }

    fn error(&self, token: &Token, message: impl Into<String>) -> ExpressionError {
        ExpressionError::at(self.text, token.at, message.into())
    }

    fn error_here(&self, message: impl Into<String>) -> ExpressionError {
        self.error(self.current(), message)
    }

    fn expect(&mut self, mark: &str, message: impl Into<String>) -> Result<(), ExpressionError> {
        if self.take(mark) { Ok(()) } else { Err(self.error_here(message)) }
    }

    fn find(&self, name: &str) -> Option<&Symbol> {
        self.scopes
            .iter()
            .rev()
            .flatten()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, symbol)| symbol)
    }

    fn descend(&mut self, by: usize) -> Result<(), ExpressionError> {
        self.depth += by;
        if self.depth > MAX_DEPTH {
            return Err(ExpressionError::plain(format!(
                "Current stack depth {} exceeds maximum allowed stack depth of {MAX_DEPTH}",
                MAX_DEPTH + 1
            )));
        }
        Ok(())
    }

    /// Parses the operators of one level and their operands, and accounts for the depth built before.
    fn chain(&mut self, read: fn(&mut Self) -> Parsed) -> Parsed {
        let before = std::mem::take(&mut self.made);
        let node = read(self)?;
        self.made = self.made.max(before);
        Ok(node)
    }

    /// Parses the right side of an operator, above which the tree gains a level.
    fn right_side(&mut self, operator: &Token, read: fn(&mut Self) -> Parsed) -> Parsed {
        let left = std::mem::take(&mut self.made);
        self.descend(1)?;
        let node = read(self).map_err(|error| self.missing_side(operator, error))?;
        self.depth -= 1;
        self.made = left.max(self.made) + 1;
        if self.made > MAX_TREE_DEPTH {
            let message = format!(
                "Expression depth of {} exceeds maximum allowed expression depth of {MAX_TREE_DEPTH}",
                self.made
            );
            return Err(self.error_here(message));
        }
        Ok(node)
    }

    fn missing_side(&self, operator: &Token, error: ExpressionError) -> ExpressionError {
        match error.message.as_str() {
            NOTHING_FOUND => {
                self.error(operator, format!("General parsing error at token: '{}'", operator.value))
            }
            _ => error,
        }
    }

    fn expression(&mut self) -> Parsed {
        self.expression_below(2)
    }

    /// `by` is the depth that the context adds.
    fn expression_below(&mut self, by: usize) -> Parsed {
        self.descend(by)?;
        let condition = self.assignment()?;
        let node = if self.take("?") {
            let yes = self.branch("consequent")?;
            self.expect(":", "Expected ':' between ternary if-statement consequent and alternative")?;
            let no = self.branch("alternative")?;
            statement::conditional(condition, yes, Some(no))
        } else {
            condition
        };
        self.depth -= by;
        Ok(node)
    }

    fn assignment(&mut self) -> Parsed {
        let left = self.logic_or()?;
        let token = self.current();
        if token.kind != TokenKind::Mark || token.is("~") {
            let before = self.tokens.get(self.at.wrapping_sub(1));
            let has_ended = before.is_none_or(|before| before.is("}") || before.is(";"));
            if token.kind != TokenKind::End && !has_ended {
                let message =
                    format!("Invalid syntax '{}' possible missing operator or context", token.value);
                return Err(self.error(token, message));
            }
            return Ok(left);
        }
        let op = match token.value.as_str() {
            ":=" => None,
            "+=" => Some(Arithmetic::Add),
            "-=" => Some(Arithmetic::Subtract),
            "*=" => Some(Arithmetic::Multiply),
            "/=" => Some(Arithmetic::Divide),
            "%=" => Some(Arithmetic::Modulo),
            "<=>" => {
                self.next();
                let right = self.expression()?;
                if !(is_target(&left) && is_target(&right)) {
                    // The first letter is missing in the published server too, so clients expect it so.
                    let message = "nly variables, strings, vectors or vector elements can be swapped";
                    return Err(self.error(token, message));
                }
                return Ok(ExprNode::Swap(Box::new(left), Box::new(right)));
            }
            _ => return Ok(left),
        };
        self.next();
        let right = self.expression_below(1)?;
        match left {
            left if is_target(&left) => Ok(ExprNode::Assign(Box::new(left), op, Box::new(right))),
            _ if op.is_some() => {
                let message = format!("Invalid branch pair for assignment operator '{}'", token.value);
                Err(self.error(token, message))
            }
            ExprNode::Constant(_) => Err(self.error(token, "Cannot assign value to const variable")),
            _ => {
                Err(self.error(token, format!("Invalid branches for assignment operator '{}'", token.value)))
            }
        }
    }

    fn logic_or(&mut self) -> Parsed {
        self.chain(Self::logic_or_chain)
    }

    fn logic_or_chain(&mut self) -> Parsed {
        let mut left = self.logic_and()?;
        loop {
            let op = match self.current() {
                token if token.is_word("or") => Logic::Or,
                token if token.is_word("nor") => Logic::Nor,
                token if token.is_word("xor") => Logic::Xor,
                token if token.is_word("xnor") => Logic::Xnor,
                token if token.is("|") => Logic::ShortOr,
                _ => return Ok(left),
            };
            self.check_not_behind_block()?;
            let token = self.next();
            let right = self.right_side(token, Self::logic_and)?;
            left = self.logic(op, token, left, right)?;
        }
    }

    fn logic_and(&mut self) -> Parsed {
        self.chain(Self::logic_and_chain)
    }

    fn logic_and_chain(&mut self) -> Parsed {
        let mut left = self.comparison()?;
        loop {
            let op = match self.current() {
                token if token.is_word("and") => Logic::And,
                token if token.is_word("nand") => Logic::Nand,
                token if token.is("&") => Logic::ShortAnd,
                _ => return Ok(left),
            };
            self.check_not_behind_block()?;
            let token = self.next();
            let right = self.right_side(token, Self::comparison)?;
            left = self.logic(op, token, left, right)?;
        }
    }

    fn logic(&self, op: Logic, token: &Token, left: ExprNode, right: ExprNode) -> Parsed {
        self.no_raw(token, &left, &right)?;
        if let (ExprNode::Constant(left), ExprNode::Constant(right)) = (&left, &right) {
            let is_poison = left.status == Status::Poison || right.status == Status::Poison;
            return Ok(ExprNode::Constant(match is_poison {
                true => Value::poison(ValueKind::Boolean),
                false => super::operate::logic(op, left, right),
            }));
        }
        Ok(ExprNode::Logic(op, Box::new(left), Box::new(right)))
    }

    fn comparison(&mut self) -> Parsed {
        self.chain(Self::comparison_chain)
    }

    fn comparison_chain(&mut self) -> Parsed {
        let mut left = self.sum()?;
        loop {
            let token = self.current();
            if ["in", "like", "ilike", "not"].iter().any(|word| token.is_word(word)) {
                self.next();
                self.sum()?;
                return Err(self.error(token, format!("General parsing error at token: '{}'", token.value)));
            }
            if token.kind != TokenKind::Mark {
                return Ok(left);
            }
            let op = match token.value.as_str() {
                "<" => Comparison::Less,
                "<=" => Comparison::LessEqual,
                ">" => Comparison::Greater,
                ">=" => Comparison::GreaterEqual,
                "=" | "==" => Comparison::Equal,
                "!=" | "<>" => Comparison::NotEqual,
                _ => return Ok(left),
            };
            self.next();
            let right = self.right_side(token, Self::sum)?;
            self.no_raw(token, &left, &right)?;
            left = match (&left, &right) {
                (ExprNode::Constant(left), ExprNode::Constant(right)) => {
                    // Comparing constants of different types is a type error without a position.
                    let value = super::operate::compare(op, left, right);
                    ExprNode::Constant(value.unwrap_or_else(|_| Value::poison(ValueKind::Boolean)))
                }
                _ => ExprNode::Compare(op, Box::new(left), Box::new(right)),
            };
        }
    }

    fn no_raw(&self, token: &Token, left: &ExprNode, right: &ExprNode) -> Result<(), ExpressionError> {
        if matches!(left, ExprNode::Raw(_)) || matches!(right, ExprNode::Raw(_)) {
            let message = format!("Invalid branch pair for string operator '{}'", token.value);
            return Err(self.error(token, message));
        }
        Ok(())
    }

    fn sum(&mut self) -> Parsed {
        self.chain(Self::sum_chain)
    }

    fn sum_chain(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let op = match self.current() {
                token if token.is("+") => Arithmetic::Add,
                token if token.is("-") => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            let token = self.next();
            let right = self.right_side(token, Self::product)?;
            self.no_raw(token, &left, &right)?;
            left = fold::arithmetic(op, left, right);
        }
    }

    fn product(&mut self) -> Parsed {
        self.chain(Self::product_chain)
    }

    fn product_chain(&mut self) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let op = match self.current() {
                token if token.is("*") => Arithmetic::Multiply,
                token if token.is("/") => Arithmetic::Divide,
                token if token.is("%") => Arithmetic::Modulo,
                _ => return Ok(left),
            };
            let token = self.next();
            let right = self.right_side(token, Self::unary)?;
            self.no_raw(token, &left, &right)?;
            left = fold::arithmetic(op, left, right);
        }
    }

    fn unary(&mut self) -> Parsed {
        if self.take("-") {
            self.descend(2)?;
            let inner = self.power()?;
            self.depth -= 2;
            return Ok(fold::negate(inner));
        }
        if self.take("+") {
            return self.primary();
        }
        self.power()
    }

    fn power(&mut self) -> Parsed {
        let base = self.primary()?;
        let token = self.current();
        if !self.take("^") {
            return Ok(base);
        }
        self.descend(1)?;
        let exponent = if self.take("-") {
            self.descend(2)?;
            let exponent = self.power();
            self.depth -= 2;
            exponent.map(fold::negate)
        } else if self.take("+") {
            self.primary()
        } else {
            self.power()
        };
        let exponent = exponent.map_err(|error| self.missing_side(token, error))?;
        self.depth -= 1;
        self.no_raw(token, &base, &exponent)?;
        Ok(fold::arithmetic(Arithmetic::Power, base, exponent))
    }

    fn primary(&mut self) -> Parsed {
        let token = self.current();
        match token.kind {
            TokenKind::End => Err(self.error_here("Premature end of expression[1]")),
            TokenKind::Number => {
                self.next();
                let value = number_value(&token.value).expect("numbers were checked before");
                Ok(ExprNode::Constant(Value::float(value)))
            }
            TokenKind::Text => {
                self.next();
                Ok(ExprNode::Raw(token.value.clone()))
            }
            TokenKind::Symbol => self.symbol(),
            TokenKind::Mark => match token.value.as_str() {
                "(" => self.group(")"),
                "[" => self.group("]"),
                "{" => self.group("}"),
                "~" => self.ending_block(Self::multi_sequence),
                ";" => Err(self.error_here("Premature end of expression[1]")),
                "&" | "|" => {
                    Err(self.error_here(format!("Invalid use of reserved symbol '{}'", token.value)))
                }
                _ => Err(self.error_here("Premature end of expression[2]")),
            },
        }
    }

    fn group(&mut self, closing: &str) -> Parsed {
        self.next();
        let node = self.expression()?;
        if closing == ")" {
            self.take(";");
        }
        let token = self.current();
        self.expect(closing, format!("Expected '{closing}' instead of: '{}'", token.value))?;
        let after = self.current();
        if after.is("[") && fold::is_vector(&node) {
            self.next();
            let index = self.expression()?;
            let token = self.current();
            self.expect("]", format!("Expected ']' instead of: '{}'", token.value))?;
            return Ok(ExprNode::ElementOf(Box::new(node), Box::new(index)));
        }
        if after.is("(") || after.is("{") || after.is("[") {
            return Err(self.error(after, "Invalid sequence of brackets"));
        }
        Ok(node)
    }

    fn symbol(&mut self) -> Parsed {
        let token = self.current();
        let word = token.value.to_ascii_lowercase();
        match word.as_str() {
            "if" => return self.if_statement(),
            "while" => return self.ending_block(Self::while_loop),
            "for" => return self.ending_block(Self::for_loop),
            "switch" => return self.ending_block(Self::switch),
            "[*]" => return self.ending_block(Self::multi_switch),
            "var" => return self.definition(false),
            "const" => return self.definition(true),
            "break" => return self.break_loop(),
            "continue" => return self.continue_loop(),
            "swap" => return self.swap(),
            "assert" => return self.assertion(),
            "true" | "false" | "null" | "none" if self.ahead(1).is("(") || self.ahead(1).is("[") => {
                self.no_bracket(token)?;
            }
            "true" => return Ok(self.constant(Value::boolean(true))),
            "false" => return Ok(self.constant(Value::boolean(false))),
            "null" | "none" => return Ok(self.constant(Value::none())),
            word if RESERVED.contains(&word) => {
                return Err(self.error_here(format!("Invalid use of reserved symbol '{}'", token.value)));
            }
            _ => {}
        }
        if let Some(node) = self.base_call(&word)? {
            return Ok(node);
        }
        let constant = match word.as_str() {
            "pi" => Some(std::f64::consts::PI),
            "epsilon" => Some(1e-10),
            "inf" => Some(f64::INFINITY),
            _ => None,
        };
        if let Some(value) = constant {
            self.no_bracket(token)?;
            return Ok(self.constant(Value::float(value)));
        }
        if let Some(symbol) = self.find(&token.value).cloned() {
            return match symbol {
                Symbol::Vector { slot, len } => self.vector(slot, len),
                Symbol::Variable(slot) => {
                    self.no_bracket(token)?;
                    self.next();
                    Ok(ExprNode::Variable(slot))
                }
                Symbol::Constant(value) => {
                    self.no_bracket(token)?;
                    Ok(self.constant(value))
                }
            };
        }
        if let Some(column) = self.columns.iter().position(|column| *column == token.value) {
            self.no_bracket(token)?;
            self.next();
            return Ok(ExprNode::Column(column));
        }
        if let Some(node) = self.generic_call(&word)? {
            return Ok(node);
        }
        Err(self.error_here(format!("Undefined symbol: '{}'", token.value)))
    }

    fn constant(&mut self, value: Value) -> ExprNode {
        self.next();
        ExprNode::Constant(value)
    }

    fn no_bracket(&self, token: &Token) -> Result<(), ExpressionError> {
        let after = self.ahead(1);
        if after.is("(") || after.is("[") || after.is("{") {
            let message = format!("Invalid sequence of variable '{}' and bracket", token.value);
            return Err(self.error(token, message));
        }
        Ok(())
    }

    /// Parses `v`, `v[i]`, `v[]`.
    fn vector(&mut self, slot: usize, len: usize) -> Parsed {
        let name = self.next();
        if !self.take("[") {
            return Ok(ExprNode::Vector(slot));
        }
        if self.take("]") {
            return Ok(ExprNode::VectorSize(slot));
        }
        let index = self.expression()?;
        let token = self.current();
        self.expect("]", format!("Expected ']' instead of: '{}'", token.value))?;
        if let ExprNode::Constant(value) = &index {
            let position = value.raw().trunc();
            if position < 0.0 || position >= len as f64 {
                let message =
                    format!("Index of {position} out of range for vector '{}' of size {len}", name.value);
                return Err(self.error_here(message));
            }
        }
        Ok(ExprNode::Element(slot, Box::new(index)))
    }
}

fn is_target(node: &ExprNode) -> bool {
    matches!(node, ExprNode::Column(_) | ExprNode::Variable(_) | ExprNode::Vector(_) | ExprNode::Element(..))
}

/// Returns a sequence of statements; those without an effect are dropped, except the last.
fn sequence(mut nodes: Vec<ExprNode>) -> ExprNode {
    let last = nodes.pop();
    nodes.retain(ExprNode::has_effect);
    nodes.extend(last);
    if nodes.len() == 1 { nodes.remove(0) } else { ExprNode::Sequence(nodes) }
}
