//! The expression language of computed columns.
//!
//! Invariant: an expression is parsed once, to a tree; its type is that of its result on a row without values;
//! evaluation never fails, but yields null. Errors carry the message, line and column of the published language.
//!
//! Pipeline: text → [`rewrite`] → [`lexer`] → [`parser`] (with [`fold`]) → [`ast`] → [`eval`] on [`value`]s with
//! [`operate`] and [`function`]s.

mod ast;
mod claims;
mod column_eval;
mod eval;
mod fold;
mod function;
mod fused_eval;
mod lexer;
mod operate;
mod parser;
mod patterns;
mod rewrite;
mod stack;
mod table_row;
#[cfg(test)]
mod tests;
mod value;
mod vector_eval;

pub(crate) use claims::Claims;
pub(crate) use eval::Row;
pub(crate) use table_row::TableRow;

use crate::column::{Column, Interner, Slots, Writes};
use crate::context::EngineContext;
use crate::interrupt::checkpoint;
use crate::memory::{MemoryAccount, MemoryKind, MemoryRefused, MemoryReservation};
use crate::storage::Snapshot;
use crate::types::scalar::Scalar;
use crate::types::schema::{Schema, Storage};
use ast::{Argument, ExprNode};
use eval::{EvalStop, Machine};
use function::Function;
use lexer::{Token, TokenKind};
use operate::Incomparable;
use patterns::{MAX_PATTERNS, Patterns};
use stack::{may_be_deep, with_stack};
use value::{INT32, Payload, Status, Value, ValueKind};
pub(crate) use vector_eval::{BLOCK_ROWS, VectorEvaluator};

/// Why and where an expression is refused. Line and column count from zero in the rewritten text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// The message of the published language.
    pub message: String,
    /// Line, from 0.
    pub line: u32,
    /// Column in the line, from 0.
    pub column: u32,
}

impl ExpressionError {
    fn plain(message: impl Into<String>) -> Self {
        ExpressionError { message: message.into(), line: 0, column: 0 }
    }

    fn at(text: &str, at: usize, message: String) -> Self {
        let before = &text.as_bytes()[..at.min(text.len())];
        let begin =
            before.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |newline| newline + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count();
        // After a line end at the start of the text, columns include it.
        let column = before.len() - begin + usize::from(begin == 1 && line == 1);
        ExpressionError { message, line: line as u32, column: column as u32 }
    }
}

/// Maximum length of an expression in bytes; parsing one of this length blocks its table for some milliseconds.
const MAX_TEXT_BYTES: usize = 1 << 17;
/// Maximum cost of the rows of one computation together (some seconds), in steps of [`eval`]; the remaining rows are
/// null.
const MAX_STEPS_TOGETHER: u64 = 200_000_000;
/// Cost of a row after which work asks whether it is still wanted.
const LONG_ROW_STEPS: u64 = 10_000;
/// Minimum number of rows for vector evaluation, which has a fixed cost.
const LEAST_VECTOR_ROWS: usize = 16;

const TYPE_ERROR: &str = "Type Error - inputs do not resolve to a valid expression.";

/// A parsed and checked expression.
#[derive(Debug)]
pub(crate) struct Expression {
    node: ExprNode,
    num_variables: usize,
    num_vectors: usize,
    /// Positions in the schema of the referenced columns.
    pub(crate) columns: Vec<usize>,
    /// Whether it looks up columns by name at run time; it then depends on every column.
    pub(crate) looks_up: bool,
    is_random: bool,
    is_volatile: bool,
    patterns: Patterns,
    pub(crate) storage: Storage,
    /// Whether the tree may be too deep for the stack: see [`stack`].
    is_deep: bool,
}

impl Drop for Expression {
    fn drop(&mut self) {
        if self.is_deep {
            let node = std::mem::replace(&mut self.node, ExprNode::Continue);
            with_stack(true, move || drop(node));
        }
    }
}

/// What expressions read besides rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VolatileInputs {
    /// The time of `now()` and `today()`, in milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// State of `random()`.
    pub(crate) random: u64,
}

impl VolatileInputs {
    /// For checks, and for expressions that read neither.
    pub(crate) const NONE: VolatileInputs = VolatileInputs { now_ms: 0, random: 1 };

    /// The inputs of one computation; `counter` is different for each.
    pub(crate) fn new(context: &EngineContext, counter: u64) -> VolatileInputs {
        VolatileInputs { now_ms: context.now_ms, random: context.random_state(counter) }
    }
}

/// A row without values, on which expressions are checked.
struct Nothing<'a> {
    schema: &'a Schema,
    columns: &'a [usize],
    index: Option<usize>,
}

impl Row for Nothing<'_> {
    fn cell(&self, position: usize) -> Value {
        Value::null(ValueKind::of(self.schema.field(self.columns[position]).storage))
    }

    fn named(&self, name: &str) -> Option<Value> {
        let column = self.schema.index_of(name)?;
        Some(Value::null(ValueKind::of(self.schema.field(column).storage)))
    }

    fn index(&self) -> Value {
        Value::null(self.index.map_or(INT32, |index| ValueKind::of(self.schema.field(index).storage)))
    }

    fn lookup(&self, name: &str, _position: f64) -> Option<Value> {
        self.named(name)
    }
}

impl Expression {
    /// Parses and checks `text` as the column `alias` of a table with the given index column.
    pub(crate) fn new(
        alias: &str,
        text: &str,
        schema: &Schema,
        index: Option<usize>,
    ) -> Result<Self, ExpressionError> {
        Expression::with_claims(alias, text, schema, index, Claims::Refused)
    }

    /// As [`Expression::new`], for an expression of a policy, which may name claims of the reader.
    pub(crate) fn with_claims(
        alias: &str,
        text: &str,
        schema: &Schema,
        index: Option<usize>,
        claims: Claims<'_>,
    ) -> Result<Self, ExpressionError> {
        if schema.index_of(alias).is_some() {
            let message =
                format!("Value Error - expression \"{alias}\" cannot overwrite an existing column.");
            return Err(ExpressionError::plain(message));
        }
        check_length(text)?;
        with_stack(may_be_deep(text), || Expression::parse(text, schema, index, claims))
    }

    fn parse(
        text: &str,
        schema: &Schema,
        index: Option<usize>,
        claims: Claims<'_>,
    ) -> Result<Self, ExpressionError> {
        let rewritten = rewrite::rewrite(text);
        let mut columns = Vec::new();
        for (_, name) in &rewritten.columns {
            let column = schema.index_of(name).ok_or_else(|| {
                ExpressionError::plain(format!("Value Error - Input column \"{name}\" does not exist."))
            })?;
            columns.push(column);
        }
        let tokens = lexer::tokenise(&rewritten.text, !matches!(claims, Claims::Refused))?;
        let tokens = claims::substitute(tokens, claims)?;
        let symbols: Vec<String> = rewritten.columns.iter().map(|(symbol, _)| symbol.clone()).collect();
        let (node, num_variables, num_vectors) =
            parser::Parser::new(&tokens, &rewritten.text, &symbols).program()?;
        let mut patterns = Patterns::default();
        let (mut looks_up, mut is_random, mut is_volatile) = (false, false, false);
        visit_calls(&node, &mut |function, arguments| {
            is_random |= function == Function::Random;
            is_volatile |= matches!(function, Function::Random | Function::Now | Function::Today);
            looks_up |= matches!(function, Function::Column | Function::Lookup | Function::Index);
            if let [_, Argument::Raw(pattern), ..] = arguments {
                patterns.add(pattern, function == Function::MatchAll);
            }
        });
        if patterns.len() > MAX_PATTERNS {
            let message = format!("Expression has more than {MAX_PATTERNS} patterns");
            return Err(ExpressionError::plain(message));
        }
        let mut expression = Expression {
            node,
            num_variables,
            num_vectors,
            columns,
            looks_up,
            is_random,
            is_volatile,
            patterns,
            storage: Storage::Float64,
            is_deep: may_be_deep(text),
        };
        expression.storage = expression.check(schema, index, &rewritten.text, &tokens)?;
        Ok(expression)
    }

    /// Returns whether both yield the same on every row: equal trees over the same columns.
    pub(crate) fn is_same(&self, other: &Expression) -> bool {
        let is_equal = self.columns == other.columns && self.storage == other.storage;
        // `==` treats zeros of either sign as equal, but the results differ.
        is_equal
            && with_stack(self.is_deep || other.is_deep, || {
                self.node == other.node && format!("{:?}", self.node) == format!("{:?}", other.node)
            })
    }

    /// Returns whether the value depends on randomness or the clock, so that recomputing it changes it.
    pub(crate) fn is_volatile(&self) -> bool {
        self.is_volatile
    }

    /// The column and the text, if the expression is the comparison of a text column with a literal or a claim.
    pub(crate) fn as_text_equality(&self, schema: &Schema) -> Option<(usize, &str)> {
        let ExprNode::Compare(ast::Comparison::Equal, left, right) = &self.node else { return None };
        let ((ExprNode::Column(column), text) | (text, ExprNode::Column(column))) = (&**left, &**right)
        else {
            return None;
        };
        let ExprNode::Call(Function::Intern, arguments) = text else { return None };
        let [Argument::Value(ExprNode::Constant(Value { payload: Payload::Text(text), .. }))] =
            arguments.as_slice()
        else {
            return None;
        };
        let column = self.columns[*column];
        (schema.field(column).storage == Storage::Utf8).then_some((column, text))
    }

    /// Whether the value depends on more than the named columns of the row: on others, on the clock, on chance.
    pub(crate) fn reads_beyond_its_row(&self) -> bool {
        self.is_volatile || self.looks_up
    }

    fn check(
        &self,
        schema: &Schema,
        index: Option<usize>,
        text: &str,
        tokens: &[Token],
    ) -> Result<Storage, ExpressionError> {
        let row = Nothing { schema, columns: &self.columns, index };
        let mut inputs = VolatileInputs::NONE;
        let mut machine = self.machine(&row, true, &mut inputs);
        let value = machine.value(&self.node);
        match machine.stop {
            Some(EvalStop::OutOfBounds) => {
                return Err(ExpressionError::plain("Runtime Error - Vector index out of bounds."));
            }
            Some(EvalStop::Exhausted) => {
                return Err(ExpressionError::plain("Runtime Error - Exceeded maximum loop iterations."));
            }
            _ => {}
        }
        if let Some(incomparable) = &machine.incomparable {
            return Err(comparison_error(incomparable, schema, &self.columns, text, tokens));
        }
        match value.kind.storage() {
            Some(storage) if value.status != Status::Poison => Ok(storage),
            _ => Err(ExpressionError::plain(TYPE_ERROR)),
        }
    }

    fn machine<'a>(
        &'a self,
        row: &'a dyn Row,
        is_checking: bool,
        inputs: &'a mut VolatileInputs,
    ) -> Machine<'a> {
        Machine::new(row, is_checking, self.num_variables, self.num_vectors, &self.patterns, inputs)
    }

    /// Evaluates the rows and writes them to `column`, which is of type [`Expression::storage`].
    pub(crate) fn write_rows(
        &self,
        snapshot: &Snapshot,
        slots: &[u32],
        column: &mut Column,
        interner: &mut Option<Interner>,
        inputs: &mut VolatileInputs,
    ) {
        let mut memory = MemoryAccount::unlimited().nothing(MemoryKind::ComputedColumns);
        self.write_within(snapshot, slots, column, interner, inputs, &mut memory)
            .expect("an unlimited account refuses nothing");
    }

    /// As [`Expression::write_rows`], and reserves what the texts of the column take, after each block.
    ///
    /// # Errors
    ///
    /// The account refuses; some rows are written then.
    fn write_within(
        &self,
        snapshot: &Snapshot,
        slots: &[u32],
        column: &mut Column,
        interner: &mut Option<Interner>,
        inputs: &mut VolatileInputs,
        memory: &mut MemoryReservation,
    ) -> Result<(), MemoryRefused> {
        with_stack(self.is_deep, || self.write(snapshot, slots, column, interner, inputs, memory))
    }

    fn write(
        &self,
        snapshot: &Snapshot,
        slots: &[u32],
        column: &mut Column,
        interner: &mut Option<Interner>,
        inputs: &mut VolatileInputs,
        memory: &mut MemoryReservation,
    ) -> Result<(), MemoryRefused> {
        let before = memory.bytes();
        let mut run = VectorEvaluator::new(self, snapshot, slots.len(), inputs.now_ms);
        let mut steps = 0;
        let mut is_for_rows = slots.len() < LEAST_VECTOR_ROWS;
        for block in slots.chunks(BLOCK_ROWS) {
            checkpoint();
            if let (Column::Str(_, strings), Some(interner)) = (&*column, &*interner) {
                memory.grow_to(before + (strings.memory() + interner.memory()) as u64)?;
            }
            if !is_for_rows && run.write(column, interner.as_mut(), block) {
                continue;
            }
            is_for_rows = true;
            let mut value_of = |&slot: &u32| {
                if steps > MAX_STEPS_TOGETHER {
                    return Scalar::Null;
                }
                let row = TableRow { snapshot, columns: &self.columns, slot };
                let (value, spent) = self.evaluate_counting(&row, inputs);
                steps += spent;
                if spent > LONG_ROW_STEPS {
                    checkpoint();
                }
                value
            };
            let values: Vec<Scalar> = block.iter().map(&mut value_of).collect();
            let values = crate::column::array(self.storage, &values);
            let writes = Writes { slots: Slots::List(block), skip: None, first_row: 0 };
            column.write(interner.as_mut(), &values, writes);
        }
        if let (Column::Str(_, strings), Some(interner)) = (&*column, &*interner) {
            memory.grow_to(before + (strings.memory() + interner.memory()) as u64)?;
        }
        Ok(())
    }

    /// Returns the value on one row, as a cell of type [`Expression::storage`].
    #[cfg(test)]
    pub(crate) fn evaluate(&self, row: &dyn Row, inputs: &mut VolatileInputs) -> Scalar {
        self.evaluate_counting(row, inputs).0
    }

    /// Returns the value, and its cost in steps.
    fn evaluate_counting(&self, row: &dyn Row, inputs: &mut VolatileInputs) -> (Scalar, u64) {
        let mut machine = self.machine(row, false, inputs);
        let value = machine.value(&self.node);
        if machine.stop.is_some() {
            return (Scalar::Null, machine.steps());
        }
        (value.into_scalar(self.storage), machine.steps())
    }
}

fn check_length(text: &str) -> Result<(), ExpressionError> {
    if text.len() > MAX_TEXT_BYTES {
        let message = format!(
            "Expression of {} bytes exceeds the maximum allowed length of {MAX_TEXT_BYTES}",
            text.len()
        );
        return Err(ExpressionError::plain(message));
    }
    Ok(())
}

/// Parses an expression of a policy without knowing its table, and returns the claims that it names.
///
/// # Errors
///
/// It is no expression. Columns and types are not checked.
pub(crate) fn claims_in(text: &str) -> Result<Vec<String>, ExpressionError> {
    check_length(text)?;
    with_stack(may_be_deep(text), || {
        let rewritten = rewrite::rewrite(text);
        let tokens = lexer::tokenise(&rewritten.text, true)?;
        let claims = claims::named(&tokens);
        let tokens = claims::substitute(tokens, Claims::Any)?;
        let symbols: Vec<String> = rewritten.columns.iter().map(|(symbol, _)| symbol.clone()).collect();
        parser::Parser::new(&tokens, &rewritten.text, &symbols).program()?;
        Ok(claims)
    })
}

fn visit_calls(node: &ExprNode, visit: &mut dyn FnMut(Function, &[Argument])) {
    if let ExprNode::Call(function, arguments) = node {
        visit(*function, arguments);
    }
    node.each_child(&mut |child| visit_calls(child, visit));
}

/// Returns an error at the position of an incompatible comparison: the first token spelled like it between operands of
/// the reported types, else the first token spelled like it, else no position.
fn comparison_error(
    incomparable: &Incomparable,
    schema: &Schema,
    columns: &[usize],
    text: &str,
    tokens: &[Token],
) -> ExpressionError {
    let op = incomparable.op.text();
    let message =
        format!("Type Error - cannot compare {} and {} with '{op}'", incomparable.left, incomparable.right);
    let mut symbols: Vec<&str> = Vec::new();
    for token in tokens {
        if token.value.starts_with("COLUMN") && !symbols.contains(&token.value.as_str()) {
            symbols.push(&token.value);
        }
    }
    let type_of = |token: &Token| -> Option<&'static str> {
        if token.kind == TokenKind::Number {
            return Some("float");
        }
        if matches!(token.value.as_str(), "True" | "False") {
            return Some("boolean");
        }
        let position = symbols.iter().position(|symbol| *symbol == token.value)?;
        columns.get(position).map(|column| schema.field(*column).column_type().name())
    };
    // Spelled without blanks: joined neighbours do not count.
    let is_op = |token: &Token| {
        token.kind == TokenKind::Mark && token.value == op && text[token.at..].starts_with(op)
    };
    let fits = |at: usize| {
        let left = tokens[..at].iter().rev().find(|token| !matches!(token.value.as_str(), ")" | "]" | "}"));
        let right = tokens[at + 1..].iter().find(|token| !matches!(token.value.as_str(), "(" | "[" | "{"));
        left.and_then(type_of) == Some(incomparable.left)
            && right.and_then(type_of) == Some(incomparable.right)
    };
    let places: Vec<usize> = (0..tokens.len()).filter(|&at| is_op(&tokens[at])).collect();
    match places.iter().copied().find(|&at| fits(at)).or(places.first().copied()) {
        Some(at) => ExpressionError::at(text, tokens[at].at, message),
        None => ExpressionError::plain(message),
    }
}
