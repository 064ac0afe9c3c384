//! Shared rules: after a loop, a `switch` or a sequence, and in the branches of `? :`.

use super::super::ExpressionError;
use super::{Parsed, Parser};

/// The error of a missing expression, which its context replaces with an error of its own.
pub(super) const NOTHING_FOUND: &str = "Invalid expression encountered";

impl Parser<'_> {
    pub(super) fn branch(&mut self, of: &str) -> Parsed {
        self.part(|| format!("Failed to parse {of} for ternary if-statement"))
    }

    /// Parses an expression within a larger construct, whose message replaces the error of a missing one.
    pub(super) fn part(&mut self, message: impl FnOnce() -> String) -> Parsed {
        self.expression().map_err(|error| match error.message.as_str() {
            NOTHING_FOUND => ExpressionError { message: message(), ..error },
            _ => error,
        })
    }

    pub(super) fn ending_block(&mut self, read: fn(&mut Self) -> Parsed) -> Parsed {
        let node = read(self)?;
        self.block_end = self.at;
        Ok(node)
    }

    /// Refuses `and`, `or`, … after a loop, a `switch` or a sequence, as the published language does.
    pub(super) fn check_not_behind_block(&self) -> Result<(), ExpressionError> {
        if self.block_end != self.at {
            return Ok(());
        }
        let message =
            format!("Invalid syntax '{}' possible missing operator or context", self.current().value);
        Err(self.error_here(message))
    }
}
