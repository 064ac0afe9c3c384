//! Conditions, loops, definitions.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "asks for single kinds of nodes; the evaluators and the checker list all"
)]

use super::super::ExpressionError;
use super::super::ast::{ExprNode, Initial, Loop};
use super::super::function::Function;
use super::super::lexer::TokenKind;
use super::super::value::Value;
use super::block::NOTHING_FOUND;
use super::{Parsed, Parser, RESERVED, Symbol, is_target, sequence};

/// Maximum number of elements of a vector, which are allocated for every row being evaluated.
const MAX_VECTOR: f64 = 10_000.0;
/// Maximum number of elements of all vectors of an expression.
const MAX_ELEMENTS: usize = 100_000;

const KEYWORDS: &[&str] = &[
    "assert",
    "break",
    "const",
    "continue",
    "for",
    "if",
    "not",
    "null",
    "swap",
    "switch",
    "true",
    "false",
    "var",
    "while",
    "equal",
    "clamp",
    "iclamp",
    "inrange",
    "mand",
    "mor",
    "max",
    "min",
    "not_equal",
    "avg",
    "mul",
    "sum",
];

/// Builds an `if`; a constant condition selects its branch immediately.
pub(super) fn conditional(condition: ExprNode, yes: ExprNode, no: Option<ExprNode>) -> ExprNode {
    if let ExprNode::Constant(value) = &condition {
        return match (value.is_true(), no) {
            (true, _) => yes,
            (false, Some(no)) => no,
            (false, None) => ExprNode::Constant(Value::none()),
        };
    }
    ExprNode::If(Box::new(condition), Box::new(yes), no.map(Box::new))
}

/// Builds a choice of the first case whose condition holds; constant conditions are resolved.
fn chosen(cases: Vec<(ExprNode, ExprNode)>, mut last: Option<ExprNode>) -> ExprNode {
    let mut open = Vec::new();
    for (condition, yes) in cases {
        match &condition {
            ExprNode::Constant(value) if value.is_true() => {
                last = Some(yes);
                break;
            }
            ExprNode::Constant(_) => {}
            _ => open.push((condition, yes)),
        }
    }
    if open.len() > 1 {
        return ExprNode::Choice(open, last.map(Box::new));
    }
    match (open.pop(), last) {
        (Some((condition, yes)), last) => conditional(condition, yes, last),
        (None, last) => last.unwrap_or(ExprNode::Constant(Value::none())),
    }
}

/// A parsed part of an `if` statement.
enum IfPart {
    /// With its alternative within the same brackets.
    Whole(ExprNode),
    /// Condition, consequent, and whether an `else` follows.
    Case(ExprNode, ExprNode, bool),
}

impl Parser<'_> {
    /// Parses an `if` with all its `else if`s, as one flat list of conditions.
    pub(super) fn if_statement(&mut self) -> Parsed {
        let mut cases = Vec::new();
        let last = loop {
            let (condition, yes, goes_on) = match self.if_part()? {
                IfPart::Whole(node) => break Some(node),
                IfPart::Case(condition, yes, goes_on) => (condition, yes, goes_on),
            };
            cases.push((condition, yes));
            if !goes_on {
                break None;
            }
            self.next();
            if self.current().is_word("if") {
                continue;
            }
            break Some(if self.current().is("{") {
                self.block("else")?
            } else {
                let no = self.expression()?;
                // The `;` belongs to this statement; a following statement needs its own.
                self.take(";");
                no
            });
        };
        Ok(chosen(cases, last))
    }

    /// Parses an `if` up to its `else`, if there is one.
    fn if_part(&mut self) -> Result<IfPart, ExpressionError> {
        self.next();
        let token = self.current();
        self.expect("(", format!("Expected '(' at start of if-statement, instead got: '{}'", token.value))?;
        let part = |of: &'static str| move || format!("Failed to parse {of} for if-statement");
        let condition = self.part(part("condition"))?;
        if self.take(",") {
            let yes = self.part(part("consequent"))?;
            self.expect(",", "Expected ',' between if-statement consequent and alternative")?;
            let no = self.part(part("alternative"))?;
            self.expect(")", "Expected ')' at the end of if-statement")?;
            return Ok(IfPart::Whole(conditional(condition, yes, Some(no))));
        }
        self.expect(")", "Invalid if-statement")?;
        let yes = if self.current().is("{") {
            let yes = self.block("if-statement")?;
            self.check_after_block()?;
            yes
        } else {
            let yes = self.expression()?;
            if self.current().is(";") && self.ahead(1).is_word("else") {
                self.next();
            }
            yes
        };
        let goes_on = self.current().is_word("else") && self.may_take_else();
        Ok(IfPart::Case(condition, yes, goes_on))
    }

    /// `if (c) 1 else 2` without `;` is not a statement.
    fn may_take_else(&self) -> bool {
        let before = &self.tokens[self.at - 1];
        before.is(";") || before.is("}")
    }

    fn check_after_block(&self) -> Result<(), ExpressionError> {
        let token = self.current();
        let goes_on = token.kind == TokenKind::End
            || token.is_word("else")
            || (token.kind == TokenKind::Mark
                && !matches!(token.value.as_str(), "(" | "[" | "{" | "~" | ","));
        if goes_on {
            return Ok(());
        }
        Err(self.error(token, "Expected ';' at the end of the consequent for if-statement (1)"))
    }

    /// Parses `{ a; b; }`, statements with a scope of their own.
    fn block(&mut self, of: &str) -> Parsed {
        self.expect("{", format!("Expected '{{' for call to multi-sequence section of {of}"))?;
        self.scopes.push(Vec::new());
        let node = self.statements();
        self.scopes.pop();
        node
    }

    fn statements(&mut self) -> Parsed {
        if self.take("}") {
            return Ok(ExprNode::Constant(Value::none()));
        }
        let mut nodes = Vec::new();
        loop {
            nodes.push(self.expression()?);
            if self.take("}") {
                return Ok(sequence(nodes));
            }
            let token = self.current();
            if !self.take(";") {
                // A braced statement needs no terminator.
                if !self.tokens[self.at - 1].is("}") && !self.tokens[self.at - 1].is(";") {
                    let message = format!("Expected '}}' instead of: '{}'", token.value);
                    return Err(self.error(token, message));
                }
                continue;
            }
            if self.take("}") {
                return Ok(sequence(nodes));
            }
        }
    }

    pub(super) fn multi_sequence(&mut self) -> Parsed {
        self.next();
        if self.take("(") {
            let mut nodes = vec![self.expression()?];
            while self.take(",") {
                nodes.push(self.expression()?);
            }
            let token = self.current();
            self.expect(")", format!("Expected ')' instead of: '{}'", token.value))?;
            return Ok(sequence(nodes));
        }
        self.expect("{", "Expected '{' for call to multi-sequence")?;
        self.scopes.push(Vec::new());
        let node = self.statements();
        self.scopes.pop();
        node
    }

    pub(super) fn while_loop(&mut self) -> Parsed {
        self.next();
        self.expect("(", "Expected '(' at start of while-loop condition statement")?;
        let condition = self.part(|| "Failed to parse condition for while-loop".into())?;
        let token = self.current();
        self.expect(")", format!("Expected ')' instead of: '{}'", token.value))?;
        self.loops += 1;
        let body = self.block("while-loop");
        self.loops -= 1;
        let body = body?;
        if let ExprNode::Constant(value) = &condition {
            if !value.is_true() {
                return Ok(ExprNode::Constant(Value::none()));
            }
            if !has_break(&body) {
                let message =
                    "Infinite loop condition without 'break' or 'return' not allowed in while-loops";
                return Err(ExpressionError::plain(message));
            }
        }
        Ok(ExprNode::While(Box::new(condition), Box::new(body)))
    }

    pub(super) fn for_loop(&mut self) -> Parsed {
        self.next();
        self.expect("(", "Expected '(' at start of for-loop")?;
        self.scopes.push(Vec::new());
        let parsed = self.for_parts();
        self.scopes.pop();
        parsed
    }

    fn for_parts(&mut self) -> Parsed {
        let first = self.expression()?;
        self.expect(";", "Expected ';' after initialiser of for-loop")?;
        let condition = if self.current().is(";") { None } else { Some(self.expression()?) };
        self.expect(";", "Expected ';' after condition section of for-loop")?;
        let step = if self.current().is(")") { None } else { Some(self.expression()?) };
        let token = self.current();
        self.expect(")", format!("Expected ')' instead of: '{}'", token.value))?;
        self.loops += 1;
        let body = self.block("for-loop");
        self.loops -= 1;
        let body = body?;
        if let Some(ExprNode::Constant(value)) = &condition
            && value.is_true()
            && !has_break(&body)
        {
            let message = "Infinite loop condition without 'break' or 'return' not allowed in for-loop";
            return Err(ExpressionError::plain(message));
        }
        Ok(ExprNode::For(Box::new(Loop { first, condition, step, body })))
    }

    pub(super) fn switch(&mut self) -> Parsed {
        self.next();
        self.expect("{", "Expected '{' for call to switch statement")?;
        let mut cases = Vec::new();
        while self.current().is_word("case") {
            cases.push(self.case()?);
        }
        let mut default = None;
        if self.current().is_word("default") {
            self.next();
            self.expect(":", "Expected ':' for default of switch statement")?;
            default = Some(Box::new(self.case_body()?));
            self.expect(";", "Expected ';' at end of default for switch statement")?;
        }
        if cases.is_empty() && default.is_none() {
            if !self.take("}") {
                return Err(self.error_here("Expected '}' at end of switch statement"));
            }
            return Err(self.error_here(NOTHING_FOUND));
        }
        self.expect("}", "Expected '}' at end of switch statement")?;
        Ok(ExprNode::Switch(cases, default))
    }

    pub(super) fn multi_switch(&mut self) -> Parsed {
        self.next();
        self.expect("{", "Expected '{' for call to [*]{...} statement")?;
        if !self.current().is_word("case") {
            return Err(self.error_here("Expected a 'case' statement for multi-switch"));
        }
        let mut cases = Vec::new();
        while self.current().is_word("case") {
            cases.push(self.case()?);
        }
        let token = self.current();
        self.expect("}", format!("Expected '}}' instead of: '{}'", token.value))?;
        Ok(ExprNode::MultiSwitch(cases))
    }

    fn case(&mut self) -> Result<(ExprNode, ExprNode), ExpressionError> {
        self.next();
        let condition = self.expression()?;
        self.expect(":", "Expected ':' for case of switch statement")?;
        let body = self.case_body()?;
        let token = self.current();
        if !self.take(";") {
            let message = match token.kind {
                TokenKind::Mark => "Expected ';' at end of case for switch statement".to_owned(),
                _ => format!("Invalid syntax '{}' possible missing operator or context", token.value),
            };
            return Err(self.error(token, message));
        }
        Ok((condition, body))
    }

    fn case_body(&mut self) -> Parsed {
        if self.current().is("{") { self.block("case") } else { self.expression() }
    }

    pub(super) fn break_loop(&mut self) -> Parsed {
        let token = self.next();
        if self.loops == 0 {
            return Err(self.error(token, "Invalid use of 'break', allowed only in the scope of a loop"));
        }
        if !self.take("[") {
            return Ok(ExprNode::Break(None));
        }
        let value = self.expression()?;
        self.expect("]", "Expected ']' at the completion of break's return expression")?;
        Ok(ExprNode::Break(Some(Box::new(value))))
    }

    pub(super) fn continue_loop(&mut self) -> Parsed {
        let token = self.next();
        if self.loops == 0 {
            return Err(self.error(token, "Invalid use of 'continue', allowed only in the scope of a loop"));
        }
        Ok(ExprNode::Continue)
    }

    /// Parses an assertion, which is accepted and ignored.
    pub(super) fn assertion(&mut self) -> Parsed {
        self.next();
        self.expect("(", "Expected '(' at start of assert statement")?;
        self.expression()?;
        while self.take(",") {
            self.expression()?;
        }
        self.expect(")", "Expected ')' at the end of assert statement")?;
        Ok(ExprNode::Constant(Value::none()))
    }

    pub(super) fn swap(&mut self) -> Parsed {
        self.descend(1)?;
        self.next();
        self.expect("(", "Expected '(' at start of swap statement")?;
        let mut targets = Vec::new();
        for position in 0..2 {
            if position == 1 {
                self.expect(",", "Expected ',' between parameters to swap")?;
            }
            if self.current().kind != TokenKind::Symbol {
                return Err(self.error_here("Expected a symbol for variable or vector element definition"));
            }
            let token = self.current();
            let target = self.primary()?;
            if !is_target(&target) {
                return Err(self.error(token, "Expected a symbol for variable or vector element definition"));
            }
            targets.push(Box::new(target));
        }
        self.expect(")", "Expected ')' at end of swap statement")?;
        let (Some(right), Some(left)) = (targets.pop(), targets.pop()) else {
            return Err(self.error_here("Expected a symbol for variable or vector element definition"));
        };
        self.depth -= 1;
        Ok(ExprNode::Swap(left, right))
    }

    pub(super) fn definition(&mut self, is_const: bool) -> Parsed {
        self.next();
        if is_const {
            if !self.current().is_word("var") {
                return Err(self.error_here("Expected a 'var' after 'const'"));
            }
            self.next();
        }
        let name = self.current();
        if name.kind != TokenKind::Symbol {
            return Err(self.error_here("Expected a symbol for variable definition"));
        }
        self.next();
        let word = name.value.to_ascii_lowercase();
        let refuse = |parser: &Self, message: String| {
            Err(ExpressionError::at(parser.text, parser.current().at, message))
        };
        if KEYWORDS.contains(&word.as_str())
            || RESERVED.contains(&word.as_str())
            || Function::is_base_name(&word)
        {
            return refuse(self, format!("Illegal redefinition of reserved keyword: '{}'", name.value));
        }
        let is_taken = matches!(word.as_str(), "pi" | "epsilon" | "inf" | "now" | "today")
            || self.columns.iter().any(|column| column.eq_ignore_ascii_case(&name.value));
        if is_taken {
            return refuse(self, format!("Illegal redefinition of variable '{}'", name.value));
        }
        if self.current().is("[") {
            return self.vector_definition(&name.value);
        }
        if self.find(&name.value).is_some() {
            // Reported at the position of the name.
            let message = format!("Illegal redefinition of local variable: '{}'", name.value);
            return Err(self.error_after_name(message, name.at, &name.value));
        }
        let initial = if self.take(":=") {
            let message =
                || format!("Failed to parse initialisation expression for variable '{}'", name.value);
            Some(self.part(message)?)
        } else if self.current().is("{") && self.ahead(1).is("}") {
            self.at += 2;
            None
        } else {
            None
        };
        if is_const && !matches!(initial, Some(ExprNode::Constant(_))) {
            let message = format!(
                "initialisation expression for const-variable: '{}' must be a constant/literal",
                name.value
            );
            return Err(self.error_here(message));
        }
        let token = self.current();
        let ends = token.kind == TokenKind::End || matches!(token.value.as_str(), ";" | ")" | "}" | "]");
        if !ends || (token.kind != TokenKind::Mark && token.kind != TokenKind::End) {
            return refuse(self, format!("Expected ';' after variable '{}' definition", name.value));
        }
        if let (true, Some(ExprNode::Constant(value))) = (is_const, &initial) {
            let value = value.clone();
            self.define(&name.value, Symbol::Constant(value.clone()));
            return Ok(ExprNode::Constant(value));
        }
        let slot = self.num_variables;
        self.num_variables += 1;
        self.define(&name.value, Symbol::Variable(slot));
        Ok(ExprNode::Declare(slot, initial.map(Box::new)))
    }

    fn error_after_name(&self, message: String, at: usize, name: &str) -> ExpressionError {
        // The position of the token after the name.
        let after = self.tokens.iter().find(|token| token.at >= at + name.len()).map_or(at, |token| token.at);
        ExpressionError::at(self.text, after, message)
    }

    fn define(&mut self, name: &str, symbol: Symbol) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push((name.to_owned(), symbol));
        }
    }

    fn vector_definition(&mut self, name: &str) -> Parsed {
        self.next();
        let size = self.expression()?;
        let ExprNode::Constant(value) = size else {
            let message = format!("Expected a constant literal number as size of vector '{name}'");
            return Err(self.error_here(message));
        };
        let size = value.raw();
        if size < 1.0 || size.fract() != 0.0 || size > MAX_VECTOR {
            let message = format!(
                "Invalid vector size. Must be an integer in the range [0,2000000000], size: {}",
                size.trunc()
            );
            return Err(self.error_here(message));
        }
        let len = size as usize;
        self.num_elements += len;
        if self.num_elements > MAX_ELEMENTS {
            let message =
                format!("Vectors of more than {MAX_ELEMENTS} elements together, at vector '{name}'");
            return Err(self.error_here(message));
        }
        self.expect("]", "Expected ']' as part of vector size definition")?;
        let initial = if self.take(":=") { self.initial(name, len)? } else { Initial::Zero };
        if self.find(name).is_some() {
            return Err(self.error_here(format!("Illegal redefinition of local vector: '{name}'")));
        }
        let slot = self.num_vectors;
        self.num_vectors += 1;
        self.define(name, Symbol::Vector { slot, len });
        Ok(ExprNode::DeclareVector(slot, len, initial))
    }

    fn initial(&mut self, name: &str, len: usize) -> Result<Initial, ExpressionError> {
        if self.take("[") {
            let first = self.expression()?;
            if self.take(":") {
                let step = self.expression()?;
                self.expect("]", "Expected ']' to close vector initialiser")?;
                return Ok(Initial::Series(Box::new(first), Box::new(step)));
            }
            self.expect("]", "Expected ']' to close single value vector initialiser")?;
            return Ok(Initial::All(Box::new(first)));
        }
        if self.take("{") {
            let mut nodes = Vec::new();
            if !self.take("}") {
                loop {
                    nodes.push(self.expression()?);
                    if self.take("}") {
                        break;
                    }
                    self.expect(",", "Expected ',' between vector initialisers")?;
                }
            }
            if nodes.len() > len {
                let message =
                    format!("Initialiser list larger than the number of elements in the vector: '{name}'");
                return Err(self.error_here(message));
            }
            return Ok(Initial::List(nodes));
        }
        if self.current().kind == TokenKind::Symbol
            && matches!(self.find(&self.current().value), Some(Symbol::Vector { .. }))
        {
            return Ok(Initial::Copy(Box::new(self.expression()?)));
        }
        Err(self.error_here("Expected '{' as part of vector initialiser list"))
    }
}

fn has_break(node: &ExprNode) -> bool {
    match node {
        ExprNode::Break(_) => true,
        ExprNode::Sequence(nodes) => nodes.iter().any(has_break),
        ExprNode::If(_, yes, no) => has_break(yes) || no.as_ref().is_some_and(|no| has_break(no)),
        ExprNode::Switch(cases, default) => {
            cases.iter().any(|(_, body)| has_break(body))
                || default.as_ref().is_some_and(|default| has_break(default))
        }
        ExprNode::MultiSwitch(cases) => cases.iter().any(|(_, body)| has_break(body)),
        ExprNode::Choice(cases, last) => {
            cases.iter().any(|(_, body)| has_break(body)) || last.as_ref().is_some_and(|last| has_break(last))
        }
        ExprNode::Logic(_, left, right) => has_break(left) || has_break(right),
        _ => false,
    }
}
