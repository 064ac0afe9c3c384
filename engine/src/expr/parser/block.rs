//! What stands behind a loop, a `switch` or a sequence, and in the branches of `? :`.

use super::super::ExpressionError;
use super::{Parsed, Parser};

/// Of an expression that is none; what it is a part of says so in its own words.
pub(super) const NOTHING_FOUND: &str = "Invalid expression encountered";

impl Parser<'_> {
    pub(super) fn branch(&mut self, of: &str) -> Parsed {
        self.part(|| format!("Failed to parse {of} for ternary if-statement"))
    }

    /// An expression that is a part of something; what is none is reported in that one's words.
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

    /// Behind a loop, a `switch` or a sequence the published language knows no `and`, `or`, ….
    pub(super) fn check_not_behind_block(&self) -> Result<(), ExpressionError> {
        if self.block_end != self.at {
            return Ok(());
        }
        let message =
            format!("Invalid syntax '{}' possible missing operator or context", self.current().value);
        Err(self.error_here(message))
    }
}
