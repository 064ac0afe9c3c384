//! The patterns of an expression, compiled once.

use std::collections::HashMap;

use regex::Regex;

use super::function;

/// By text: how it is searched for, and how it matches a whole text. `None`: no pattern of the dialect.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    anywhere: HashMap<String, Option<Regex>>,
    whole: HashMap<String, Option<Regex>>,
}

impl Patterns {
    pub(super) fn add(&mut self, pattern: &str, is_whole: bool) {
        let patterns = if is_whole { &mut self.whole } else { &mut self.anywhere };
        if !patterns.contains_key(pattern) {
            patterns.insert(pattern.to_owned(), function::compile_pattern(pattern, is_whole));
        }
    }

    pub(super) fn get(&self, pattern: &str, is_whole: bool) -> Option<&Regex> {
        let patterns = if is_whole { &self.whole } else { &self.anywhere };
        patterns.get(pattern)?.as_ref()
    }
}
