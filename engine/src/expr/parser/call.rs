//! Function calls.

use super::super::ExpressionError;
use super::super::ast::{Argument, ExprNode};
use super::super::function::{Function, Signature};
use super::super::lexer::TokenKind;
use super::super::operate;
use super::super::value::{Value, ValueKind};
use super::{Parser, Symbol};

/// Maximum number of parameters of a base function.
const MAX_BASE_PARAMETERS: usize = 4;

impl Parser<'_> {
    /// Parses a call of a function of the base language; `None` if the word is none.
    pub(super) fn base_call(&mut self, word: &str) -> Result<Option<ExprNode>, ExpressionError> {
        if let Some(function) = Function::vararg(word) {
            return self.vararg_call(function).map(Some);
        }
        let Some((function, arity)) = Function::base(word) else { return Ok(None) };
        let name = self.next();
        let token = self.current();
        let message = match name.value.starts_with('$') {
            true => format!("Expected '(' for special function '{}'", name.value),
            false => format!(
                "Expected a '(' at start of function call to '{}', instead got: '{}'",
                name.value, token.value
            ),
        };
        self.expect("(", message)?;
        if self.current().is(")") {
            let message = format!("Expected at least one input parameter for function call '{}'", name.value);
            return Err(self.error_here(message));
        }
        let mut arguments = Vec::new();
        loop {
            arguments.push(Argument::Value(self.expression()?));
            if self.take(")") {
                break;
            }
            let token = self.current();
            self.expect(
                ",",
                format!("Expected a ',' between function input parameters, instead got: '{}'", token.value),
            )?;
            if arguments.len() == MAX_BASE_PARAMETERS {
                let message =
                    format!("Invalid number of input parameters passed to function '{}'", name.value);
                return Err(self.error_here(message));
            }
        }
        if arguments.len() != arity {
            let message =
                format!("Invalid number of input parameters for call to function: '{}'", name.value);
            return Err(self.error(name, message));
        }
        if let [Argument::Value(ExprNode::Constant(left)), Argument::Value(ExprNode::Constant(right))] =
            arguments.as_slice()
            && let Some(op) = function.comparison()
        {
            // Comparing constants of different types is a type error without a position.
            let value = operate::compare(op, left, right);
            return Ok(Some(ExprNode::Constant(value.unwrap_or_else(|_| Value::poison(ValueKind::Boolean)))));
        }
        Ok(Some(ExprNode::Call(function, arguments)))
    }

    fn vararg_call(&mut self, function: Function) -> Result<ExprNode, ExpressionError> {
        let name = self.next();
        self.expect("(", format!("Expected '(' for call to vararg function: {}", name.value))?;
        if self.take(")") {
            let message = format!("vararg function: {} requires at least one input parameter", name.value);
            return Err(self.error_here(message));
        }
        let mut arguments = Vec::new();
        loop {
            arguments.push(Argument::Value(self.expression()?));
            if self.take(")") {
                break;
            }
            self.expect(",", format!("Expected ',' for call to vararg function: {}", name.value))?;
        }
        // A single number folds to itself, whatever its type.
        if let (1, [Argument::Value(ExprNode::Constant(value))]) = (arguments.len(), arguments.as_slice())
            && function.is_fold()
        {
            return Ok(ExprNode::Constant(value.clone()));
        }
        Ok(ExprNode::Call(function, arguments))
    }

    /// Parses a call of a function of the dialect; `None` if the word is none.
    pub(super) fn generic_call(&mut self, word: &str) -> Result<Option<ExprNode>, ExpressionError> {
        let Some((function, signature)) = Function::generic(word) else { return Ok(None) };
        let name = self.next();
        let is_clock = matches!(word, "now" | "today");
        let mut arguments = Vec::new();
        if self.take("(") {
            if is_clock {
                self.expect(")", format!("Expecting '()' to proceed call to function: '{}'", name.value))?;
                return Ok(Some(ExprNode::Call(function, arguments)));
            }
            if self.take(")") {
                if signature != Signature::Nothing {
                    let message =
                        format!("Zero parameter call to generic function: {} not allowed", name.value);
                    return Err(self.error_here(message));
                }
                return Ok(Some(ExprNode::Call(function, arguments)));
            }
            loop {
                arguments.push(self.argument()?);
                if self.take(")") {
                    break;
                }
                self.expect(",", format!("Expected ',' for call to generic function: {}", name.value))?;
            }
        } else if signature == Signature::Nothing {
            return Ok(Some(ExprNode::Call(function, arguments)));
        }
        if !signature.fits(&arguments) {
            let message = format!(
                "Failed parameter type check for function '{}', Expected '{}' call set: '{}'",
                name.value,
                signature.text(),
                arguments.iter().map(letter).collect::<String>()
            );
            return Err(self.error_here(message));
        }
        if let (Function::Intern, [Argument::Raw(text)]) = (function, arguments.as_slice()) {
            // Not a constant: the published language creates texts at run time.
            let text = ExprNode::Constant(Value::text(text.as_str()));
            return Ok(Some(ExprNode::Call(function, vec![Argument::Value(text)])));
        }
        Ok(Some(ExprNode::Call(function, arguments)))
    }

    fn argument(&mut self) -> Result<Argument, ExpressionError> {
        let (token, after) = (self.current(), self.ahead(1));
        let is_alone = after.is(",") || after.is(")");
        if is_alone && token.kind == TokenKind::Text {
            self.next();
            return Ok(Argument::Raw(token.value.clone()));
        }
        if is_alone
            && token.kind == TokenKind::Symbol
            && let Some(Symbol::Vector { slot, .. }) = self.find(&token.value)
        {
            let slot = *slot;
            self.next();
            return Ok(Argument::Vector(slot));
        }
        Ok(Argument::Value(self.expression()?))
    }
}

fn letter(argument: &Argument) -> char {
    match argument {
        Argument::Value(_) => 'T',
        Argument::Raw(_) => 'S',
        Argument::Vector(_) => 'V',
    }
}
