//! The compiled patterns of an expression.

use std::collections::HashMap;

use regex::Regex;

use super::function;

/// Maximum number of patterns of one expression; each may take a megabyte.
pub(super) const MAX_PATTERNS: usize = 64;

/// Patterns by text, compiled for searching and for matching a whole text. `None` marks an invalid pattern.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    anywhere: HashMap<String, Option<Regex>>,
    whole: HashMap<String, Option<Regex>>,
}

impl Patterns {
    pub(super) fn add(&mut self, pattern: &str, is_whole: bool) {
        let is_full = self.len() > MAX_PATTERNS;
        let patterns = if is_whole { &mut self.whole } else { &mut self.anywhere };
        if !is_full && !patterns.contains_key(pattern) {
            patterns.insert(pattern.to_owned(), function::compile_pattern(pattern, is_whole));
        }
    }

    /// Returns the number of patterns; more than [`MAX_PATTERNS`] are counted as one more.
    pub(super) fn len(&self) -> usize {
        self.anywhere.len() + self.whole.len()
    }

    pub(super) fn get(&self, pattern: &str, is_whole: bool) -> Option<&Regex> {
        let patterns = if is_whole { &self.whole } else { &self.anywhere };
        patterns.get(pattern)?.as_ref()
    }
}
