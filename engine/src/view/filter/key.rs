//! A compiled filter as a value that can be compared and hashed.
//!
//! Invariant: filters with equal keys pass the same rows.

use super::{Filter, FilterComparison, Test, TextAnchor};
use crate::config::FilterReducer;
use crate::types::scalar::Scalar;

/// The identity of a filter, after its operands were converted to the types of their columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FilterKey {
    /// The column and the test of each term.
    terms: Vec<(usize, TestKey)>,
    /// `None` if there are fewer than two terms.
    reducer: Option<FilterReducer>,
}

/// The identity of one term's test. Zeros of either sign are one value here as they are in the test, and so are all
/// NaNs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum TestKey {
    Everything,
    Nothing,
    IsNull,
    IsNotNull,
    Compare(FilterComparison, Scalar),
    Text {
        place: TextAnchor,
        needle: String,
        is_negated: bool,
    },
    /// An invalid pattern matches nothing.
    Matches {
        pattern: Option<String>,
        is_negated: bool,
    },
    /// The values, in ascending order.
    In {
        values: Vec<Scalar>,
        is_negated: bool,
    },
}

impl Filter {
    pub(crate) fn key(&self) -> FilterKey {
        FilterKey {
            terms: self.terms.iter().map(|term| (term.column, TestKey::of(&term.test))).collect(),
            reducer: (self.terms.len() > 1).then_some(self.reducer),
        }
    }
}

impl TestKey {
    fn of(test: &Test) -> TestKey {
        match test {
            Test::Everything => TestKey::Everything,
            Test::Nothing => TestKey::Nothing,
            Test::IsNull => TestKey::IsNull,
            Test::IsNotNull => TestKey::IsNotNull,
            Test::Compare(comparison, operand) => TestKey::Compare(*comparison, operand.clone()),
            Test::Text { place, needle, is_negated } => {
                TestKey::Text { place: *place, needle: needle.clone(), is_negated: *is_negated }
            }
            Test::Matches { pattern, is_negated } => TestKey::Matches {
                pattern: pattern.as_ref().map(|pattern| pattern.as_str().to_owned()),
                is_negated: *is_negated,
            },
            Test::In { values, is_negated } => {
                let mut values: Vec<Scalar> = values.iter().cloned().collect();
                values.sort_unstable();
                TestKey::In { values, is_negated: *is_negated }
            }
        }
    }
}
