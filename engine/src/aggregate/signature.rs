//! The names and types of an aggregate.

use crate::types::schema::{ColumnType, Storage};

/// What the parser, the plan and the clients' menus know of an aggregate.
#[derive(Debug)]
pub(crate) struct AggregateSignature {
    /// The name that clients read back; unique.
    pub(crate) canonical: &'static str,
    /// All names that are understood, of both client generations.
    pub(crate) names: &'static [&'static str],
    /// Where it appears in the clients' menus; a name may differ from the canonical one.
    pub(crate) menu: &'static [MenuEntry],
    /// Whether it takes a second column, which its last words name.
    pub(crate) has_argument: bool,
    pub(crate) accepts: AcceptedTypes,
    pub(crate) output: OutputType,
}

/// The types of columns that an aggregate takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcceptedTypes {
    Everything,
    /// Numbers, and booleans as 0 and 1.
    Numbers,
}

impl AcceptedTypes {
    pub(crate) fn includes(self, column_type: ColumnType) -> bool {
        match (self, column_type) {
            (AcceptedTypes::Everything, _)
            | (AcceptedTypes::Numbers, ColumnType::Integer | ColumnType::Float | ColumnType::Boolean) => true,
            (AcceptedTypes::Numbers, ColumnType::String | ColumnType::Date | ColumnType::Datetime) => false,
        }
    }
}

/// The type of an aggregate's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputType {
    /// That of the column.
    Input,
    /// Floats of floats, 64-bit integers of all else.
    Total,
    Always(Storage),
}

impl OutputType {
    /// Returns the storage type of the result.
    pub(crate) fn storage(self, input: Storage) -> Storage {
        match self {
            OutputType::Input => input,
            OutputType::Total if input.column_type() == ColumnType::Float => Storage::Float64,
            OutputType::Total => Storage::Int64,
            OutputType::Always(storage) => storage,
        }
    }

    /// Returns the column type that `schema` reports.
    pub(crate) fn reported(self, input: Storage) -> ColumnType {
        match self {
            // Sums of booleans are counts, but the published server has always reported the input type.
            OutputType::Input | OutputType::Total => input.column_type(),
            OutputType::Always(storage) => storage.column_type(),
        }
    }
}

/// A name in the clients' menus with its position in the menu of each type, from the top; 0 where it is not offered.
/// Positions are ten apart, so that a new aggregate fits between any two.
#[derive(Debug)]
pub(crate) struct MenuEntry {
    pub(crate) name: &'static str,
    pub(crate) number: u16,
    pub(crate) text: u16,
    /// Dates and datetimes.
    pub(crate) time: u16,
    pub(crate) boolean: u16,
}

/// An entry that is in no menu, to be completed by `..NO_MENU`.
pub(crate) const NO_MENU: MenuEntry = MenuEntry { name: "", number: 0, text: 0, time: 0, boolean: 0 };

impl MenuEntry {
    /// Returns its position in the menu of a type; `None` where it is not offered.
    pub(crate) fn position(&self, column_type: ColumnType) -> Option<u16> {
        let position = match column_type {
            ColumnType::Integer | ColumnType::Float => self.number,
            ColumnType::String => self.text,
            ColumnType::Date | ColumnType::Datetime => self.time,
            ColumnType::Boolean => self.boolean,
        };
        (position > 0).then_some(position)
    }
}
