//! What is read from the list of all aggregates: names, defaults, the clients' menus.

use super::signature::MenuEntry;
use super::{AggregateFunction, REGISTRY, any, count, sum, unique};
use crate::types::schema::ColumnType;

/// Names that are reserved but not implemented by the reference engine either.
const UNIMPLEMENTED: &[&str] = &["mean by count", "mean_by_count", "identity", "div", "add", "py_agg"];

/// The aggregate of views that show one block of columns per split value.
pub(crate) const ANY: &dyn AggregateFunction = &any::Any;
/// The aggregate of hidden sort columns whose value the group determines.
pub(crate) const UNIQUE: &dyn AggregateFunction = &unique::Unique;

/// Returns the aggregate of a name.
pub(crate) fn find(name: &str) -> Option<&'static dyn AggregateFunction> {
    REGISTRY.iter().copied().find(|function| function.signature().names.contains(&name))
}

/// Returns whether a name is known to belong to an aggregate that does not exist.
pub(crate) fn is_reserved(name: &str) -> bool {
    UNIMPLEMENTED.contains(&name) || name.starts_with("udf_")
}

/// Returns the default aggregate of a column of this type in a grouped view.
pub(crate) fn default_for(column_type: ColumnType) -> &'static dyn AggregateFunction {
    match column_type {
        ColumnType::Integer | ColumnType::Float => &sum::Sum,
        ColumnType::String | ColumnType::Date | ColumnType::Datetime | ColumnType::Boolean => &count::Count,
    }
}

/// An aggregate as clients offer it to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MenuItem {
    /// The name, as it is sent back in a view's configuration.
    pub name: &'static str,
    /// Whether the user names a second, numeric column.
    pub has_argument: bool,
}

/// Returns the aggregates that clients offer for a column of this type, in the order of the menu. The first one is the
/// default.
pub fn menu(column_type: ColumnType) -> Vec<MenuItem> {
    let mut items: Vec<(u16, MenuItem)> = Vec::new();
    for signature in REGISTRY.iter().map(|function| function.signature()) {
        let item = |entry: &MenuEntry| {
            let item = MenuItem { name: entry.name, has_argument: signature.has_argument };
            Some((entry.position(column_type)?, item))
        };
        items.extend(signature.menu.iter().filter_map(item));
    }
    items.sort_by_key(|(position, _)| *position);
    items.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_name_belongs_to_one_aggregate() {
        let (mut names, mut canonical) = (HashSet::new(), HashSet::new());
        for signature in REGISTRY.iter().map(|function| function.signature()) {
            assert!(canonical.insert(signature.canonical), "{}", signature.canonical);
            for name in signature.names {
                assert!(names.insert(*name), "{name}");
                assert!(!is_reserved(name), "{name}");
            }
        }
    }

    #[test]
    fn what_is_reported_and_offered_is_understood() {
        for signature in REGISTRY.iter().map(|function| function.signature()) {
            let found = |name| find(name).map(|function| function.signature().canonical);
            assert_eq!(found(signature.canonical), Some(signature.canonical));
            for entry in signature.menu {
                assert_eq!(found(entry.name), Some(signature.canonical), "{}", entry.name);
            }
        }
    }

    #[test]
    fn menus_have_one_entry_a_position_and_begin_with_the_default() {
        for column_type in ColumnType::ALL {
            let entries = REGISTRY.iter().flat_map(|function| function.signature().menu);
            let positions: Vec<u16> = entries.filter_map(|entry| entry.position(column_type)).collect();
            let distinct: HashSet<u16> = positions.iter().copied().collect();
            assert_eq!(positions.len(), distinct.len(), "{column_type:?}");
            let first = menu(column_type)[0];
            assert!(default_for(column_type).signature().names.contains(&first.name), "{column_type:?}");
        }
    }
}
