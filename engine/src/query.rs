//! Orders of rows and groups, as a view's configuration asks for them.
//!
//! Invariant: [`sort`] defines the order; [`normalized_key`] and [`radix_sort`] encode it in integers and agree with it.

pub(crate) mod normalized_key;
pub(crate) mod radix_sort;
pub(crate) mod sort;

/// Concatenates the parts that several threads computed; a single part is not copied.
pub(crate) fn concatenated<T: Copy>(mut parts: Vec<Vec<T>>) -> Vec<T> {
    if parts.len() == 1 {
        return parts.pop().unwrap_or_default();
    }
    parts.concat()
}
