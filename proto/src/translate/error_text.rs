//! The words in which the published server names a fault.
//!
//! Invariant: [`published`] lists every kind of error; `None` says that the engine's own text is given. People and tests of
//! published clients search these texts, programs should not.

use proscenium_engine::error::{
    CellFault, ConfigError, DataError, DataFormat, IndexSource, JoinSideName, ReadOnly, TableError,
    ViewClause,
};
use proscenium_engine::{ColumnType, EngineError, Storage};

/// The text of an error in a reply of the protocol.
pub fn text(error: &EngineError) -> String {
    published(error).unwrap_or_else(|| error.to_string())
}

/// The published text of an error, if it differs from the engine's.
fn published(error: &EngineError) -> Option<String> {
    match error {
        EngineError::Data(error) => of_data(error),
        EngineError::Table(error) => of_table(error),
        EngineError::Config(error) => of_config(error),
        // These are in the published words.
        EngineError::Hosting(_)
        | EngineError::Request(_)
        | EngineError::Memory(_)
        | EngineError::Unsupported(_) => None,
    }
}

fn of_data(error: &DataError) -> Option<String> {
    Some(match error {
        DataError::Malformed { format: DataFormat::Arrow, reason } => {
            format!("Failed to open RecordBatchStreamReader: {reason}")
        }
        DataError::Malformed { format: DataFormat::Csv, reason } => {
            format!("Invalid: CSV parse error: {reason}")
        }
        DataError::CsvWidth { expected, found, text, line } => {
            format!(
                "Invalid: CSV parse error: Expected {expected} columns, got {found}: {text} (line {line})"
            )
        }
        DataError::CsvOpenQuote { line, text } => {
            format!("Invalid: CSV parse error: the quote opened in line {line} is never closed: {text}")
        }
        DataError::CsvCell { column, row, value, type_name } => format!(
            "Invalid: In CSV column #{column}: CSV conversion error to {type_name}: invalid value '{value}' at index {row}"
        ),
        DataError::CsvEmpty => "Invalid: Empty CSV file".to_owned(),
        DataError::NoColumnNames => "Cannot determine data types without column names!\n".to_owned(),
        DataError::MalformedColumn => "Malformed column".to_owned(),
        DataError::EmptyColumns => "Can't create table from empty columns".to_owned(),
        DataError::NotAnObject { kind } => format!("Received non-object {kind}"),
        DataError::Cell { fault: CellFault::Type { .. } | CellFault::Range { .. }, .. }
        | DataError::PathConflict { .. } => format!("{error}\n"),
        DataError::ColumnType { column, expected, found } => {
            match (is_number(*found), is_number(*expected)) {
                (true, false) => {
                    format!("Could not fill arrow column `{column}` iteratively due to mismatched types.")
                }
                (true, true) | (false, _) => format!(
                    "Could not fill column `{column}` with t_dtype: `{}`, array type: `{}`\n",
                    type_name(*expected),
                    type_name(*found)
                ),
            }
        }
        DataError::KeyFormat => "remove malformed".to_owned(),
        DataError::NotKeys => "Cannot remove fish!\n".to_owned(),
        DataError::MissingKeyColumn { column } => {
            format!("Cannot remove: Arrow is missing index column `{column}`\n")
        }
        DataError::SchemaAsData => "MakeTableReq malformed".to_owned(),
        DataError::RepeatedIndex { verb, index, is_arrow: true } => format!(
            "Cannot {verb} a Table indexed on `{index}` from an expanded list column, as that index repeats across the rows \
             of an expansion and would silently collide. Index on a column drawn from the list itself, or use the \
             `stringify` list flatten mode.\n"
        ),
        DataError::RepeatedIndex { verb, index, is_arrow: false } => {
            format!("Cannot {verb} a Table indexed on `{index}` from an expanded array.\n")
        }
        DataError::ListLengths { first, first_len, second, second_len, row, is_arrow } => {
            let lists = if *is_arrow { "list columns " } else { "" };
            let place = row.map_or_else(String::new, |row| format!(" in row {row}"));
            format!(
                "Cannot zip {lists}`{first}` ({first_len}) and `{second}` ({second_len}) of differing length{place}; use \
                 the `cartesian` list flatten mode.\n"
            )
        }
        DataError::Malformed { format: DataFormat::Json | DataFormat::Parquet, .. }
        | DataError::NotUtf8 { .. }
        | DataError::Damaged { .. }
        | DataError::UnreadableColumn { .. }
        | DataError::Cell {
            fault: CellFault::Kind { .. } | CellFault::Inexact { .. } | CellFault::Text { .. },
            ..
        }
        | DataError::UnknownColumn { .. }
        | DataError::MissingKey { .. }
        | DataError::OnlyUnknownColumns { .. }
        | DataError::DuplicateColumn { .. }
        | DataError::InexactIndex { .. }
        | DataError::Flatten { .. }
        | DataError::TooManyRows { .. }
        | DataError::TooSparse { .. }
        | DataError::TooMuchText { .. }
        | DataError::FormatOption { .. }
        | DataError::UnknownCodec { .. }
        | DataError::Record { .. }
        | DataError::Claims { .. }
        | DataError::Encoding { .. } => return None,
    })
}

fn of_table(error: &TableError) -> Option<String> {
    Some(match error {
        TableError::UnknownIndex { index, source_kind } => match source_kind {
            IndexSource::Schema => format!("Specified index `{index}` does not appear in the Table.\n"),
            IndexSource::Columns => {
                format!("Specified index `{index}` is invalid as it does not appear in the Table.\n")
            }
            IndexSource::Json => format!("Specified index `{index}` does not exist in dataset."),
        },
        TableError::BooleanIndex => "Unsupported type `bool` for `index`.\n".to_owned(),
        TableError::NoIndex => "Cannot remove from unindexed Table\n".to_owned(),
        TableError::ReadOnly(ReadOnly::Derived | ReadOnly::Join)
        | TableError::Property { .. }
        | TableError::JoinColumn { side: JoinSideName::Left | JoinSideName::Right, .. }
        | TableError::JoinTypes
        | TableError::JoinConflict { .. }
        | TableError::DerivedType { .. }
        | TableError::DerivedDuplicate { .. }
        | TableError::DerivedIndex { .. } => return None,
    })
}

fn of_config(error: &ConfigError) -> Option<String> {
    Some(match error {
        ConfigError::UnknownColumn { clause, column } => {
            format!("Invalid column '{column}' found in View {}.\n", clause_name(*clause))
        }
        ConfigError::DuplicateColumn { clause, column } => {
            format!("Duplicate column '{column}' found in View {}.\n", clause_name(*clause))
        }
        ConfigError::FilterColumn { column } => format!("Filter column not in schema: {column}"),
        ConfigError::FilterOperator { joins: true, .. } => "Invalid filter op".to_owned(),
        ConfigError::FilterOperator { operator, joins: false } => {
            format!("Unknown filter operator string: {operator}")
        }
        ConfigError::UnknownAggregate { aggregate, column, is_unimplemented } => {
            let verdict = if *is_unimplemented { "Unimplemented" } else { "Invalid" };
            format!("{verdict} aggregate '{aggregate}' for column '{column}' found in View aggregates.\n")
        }
        ConfigError::AggregateArgument { aggregate, column } => {
            format!("Aggregate '{aggregate}' for column '{column}' requires a column argument.\n")
        }
        ConfigError::AggregateColumn { argument, aggregate, column } => format!(
            "Invalid column '{argument}' found in the '{aggregate}' aggregate for column '{column}'.\n"
        ),
        ConfigError::AggregateType { .. } => format!("Unexpected coltype: {error}"),
        // The language's own text is all that the published server gives.
        ConfigError::Expression { reason, .. } => reason.clone(),
        ConfigError::Window { alias, reason } => format!("Window \"{alias}\": {reason}.\n"),
        ConfigError::RangeColumn { column } => {
            format!("Could not find column index for `{column}` as it does not exist in the schema.\n")
        }
        ConfigError::FilterValueMissing { .. } | ConfigError::FilterValue { .. } => return None,
    })
}

fn clause_name(clause: ViewClause) -> &'static str {
    match clause {
        ViewClause::Columns | ViewClause::Aggregates | ViewClause::GroupBy | ViewClause::SplitBy => {
            clause.name()
        }
        ViewClause::Sort => "sorts",
    }
}

fn is_number(storage: Storage) -> bool {
    match storage.column_type() {
        ColumnType::Integer | ColumnType::Float => true,
        ColumnType::String | ColumnType::Boolean | ColumnType::Date | ColumnType::Datetime => false,
    }
}

/// The published server's name of a storage type.
fn type_name(storage: Storage) -> &'static str {
    match storage {
        Storage::Int8 => "int8",
        Storage::Int16 => "int16",
        Storage::Int32 => "int32",
        Storage::Integer | Storage::Int64 => "int64",
        Storage::UInt8 => "uint8",
        Storage::UInt16 => "uint16",
        Storage::UInt32 => "uint32",
        Storage::UInt64 => "uint64",
        Storage::Float32 => "float32",
        Storage::Float64 => "float64",
        Storage::Bool => "bool",
        Storage::Utf8 => "str",
        Storage::Date32 => "date",
        Storage::TimestampMs => "datetime",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_in_the_published_words_and_names_the_column() {
        let unknown = ConfigError::UnknownColumn { clause: ViewClause::Sort, column: "z".into() };
        assert_eq!(text(&unknown.into()), "Invalid column 'z' found in View sorts.\n");
        let lists = DataError::RepeatedIndex { verb: "update", index: "k".into(), is_arrow: false };
        assert_eq!(text(&lists.into()), "Cannot update a Table indexed on `k` from an expanded array.\n");
        let unfit =
            DataError::ColumnType { column: "c".into(), expected: Storage::Utf8, found: Storage::Bool };
        assert_eq!(
            text(&unfit.into()),
            "Could not fill column `c` with t_dtype: `str`, array type: `bool`\n"
        );
    }

    #[test]
    fn a_fault_without_published_words_is_told_in_the_engines() {
        let unknown = EngineError::from(DataError::UnknownColumn { column: "z".into() });
        assert_eq!(text(&unknown), unknown.to_string());
    }
}
