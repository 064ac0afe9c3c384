//! Checks that an Arrow schema has everything the reader assumes.
//!
//! Invariant: everything rejected here would make the reader panic: an unknown type, a parameter that is missing or out
//! of range, a wrong number of children. In the browser a panic ends the worker, so no assertion of the reader may be
//! reached.

use ::arrow::error::ArrowError;
use arrow_ipc::{
    DateUnit, Endianness, Field, Int, IntervalUnit, MessageHeader, Precision, Schema, TimeUnit, Type,
    UnionMode,
};

const INT_BITS: [i32; 4] = [8, 16, 32, 64];
/// Widths in bits, and the maximum number of digits of each.
const DECIMALS: [(i32, i32); 4] = [(32, 9), (64, 18), (128, 38), (256, 76)];

pub(super) fn check(message: &arrow_ipc::Message<'_>) -> Result<(), ArrowError> {
    match message.header_type() {
        MessageHeader::Schema => {
            let schema = message.header_as_schema().ok_or_else(|| bad("the schema", "is missing"))?;
            check_schema(schema)
        }
        _ => Ok(()),
    }
}

pub(super) fn check_schema(schema: Schema<'_>) -> Result<(), ArrowError> {
    if schema.endianness() != Endianness::Little {
        return Err(bad("the schema", "is not little-endian"));
    }
    let fields = schema.fields().ok_or_else(|| bad("the schema", "has no fields"))?;
    fields.iter().try_for_each(check_field)
}

fn check_field(field: Field<'_>) -> Result<(), ArrowError> {
    let name = format!("column `{}`", field.name().unwrap_or_default());
    let has_bits = |int: Option<Int<'_>>| int.is_some_and(|int| INT_BITS.contains(&int.bitWidth()));
    if let Some(dictionary) = field.dictionary()
        && !has_bits(dictionary.indexType())
    {
        return Err(bad(&name, "has dictionary codes of an unknown width"));
    }
    let is_right = match field.type_type() {
        Type::Null | Type::Bool => true,
        Type::Binary | Type::BinaryView | Type::LargeBinary => true,
        Type::Utf8 | Type::Utf8View | Type::LargeUtf8 => true,
        Type::Int => has_bits(field.type_as_int()),
        Type::FixedSizeBinary => {
            field.type_as_fixed_size_binary().is_some_and(|fixed| fixed.byteWidth() >= 0)
        }
        Type::FloatingPoint => field.type_as_floating_point().is_some_and(|float| {
            [Precision::HALF, Precision::SINGLE, Precision::DOUBLE].contains(&float.precision())
        }),
        Type::Date => field
            .type_as_date()
            .is_some_and(|date| [DateUnit::DAY, DateUnit::MILLISECOND].contains(&date.unit())),
        Type::Time => field.type_as_time().is_some_and(|time| match time.bitWidth() {
            32 => [TimeUnit::SECOND, TimeUnit::MILLISECOND].contains(&time.unit()),
            64 => [TimeUnit::MICROSECOND, TimeUnit::NANOSECOND].contains(&time.unit()),
            _ => false,
        }),
        Type::Timestamp => field.type_as_timestamp().is_some_and(|moment| is_known(moment.unit())),
        Type::Duration => field.type_as_duration().is_some_and(|duration| is_known(duration.unit())),
        Type::Interval => field.type_as_interval().is_some_and(|interval| {
            [IntervalUnit::YEAR_MONTH, IntervalUnit::DAY_TIME, IntervalUnit::MONTH_DAY_NANO]
                .contains(&interval.unit())
        }),
        Type::List | Type::LargeList | Type::ListView | Type::LargeListView => num_children(field) == 1,
        Type::FixedSizeList => {
            num_children(field) == 1
                && field.type_as_fixed_size_list().is_some_and(|list| list.listSize() >= 0)
        }
        Type::Struct_ => true,
        Type::Map => field.type_as_map().is_some() && is_list_of_pairs(field),
        Type::RunEndEncoded => num_children(field) == 2 && has_run_ends(field),
        Type::Decimal => field.type_as_decimal().is_some_and(|decimal| {
            let most = DECIMALS.iter().find(|(bits, _)| *bits == decimal.bitWidth());
            most.is_some_and(|(_, digits)| (1..=*digits).contains(&decimal.precision()))
                && i8::try_from(decimal.scale()).is_ok()
        }),
        Type::Union => is_union(field),
        // Any other type is undefined.
        _ => false,
    };
    if !is_right {
        return Err(bad(&name, "has an unknown or invalid type"));
    }
    field.children().iter().flatten().try_for_each(check_field)
}

fn num_children(field: Field<'_>) -> usize {
    field.children().map_or(0, |children| children.len())
}

fn is_known(unit: TimeUnit) -> bool {
    [TimeUnit::SECOND, TimeUnit::MILLISECOND, TimeUnit::MICROSECOND, TimeUnit::NANOSECOND].contains(&unit)
}

fn is_list_of_pairs(field: Field<'_>) -> bool {
    let Some(children) = field.children().filter(|children| children.len() == 1) else { return false };
    children.get(0).type_type() == Type::Struct_ && num_children(children.get(0)) == 2
}

/// Checks that there is one member per child, with distinct, non-negative ids, as the reader assumes.
fn is_union(field: Field<'_>) -> bool {
    let Some(union) = field.type_as_union() else { return false };
    let num_members = num_children(field);
    let is_known = [UnionMode::Sparse, UnionMode::Dense].contains(&union.mode());
    let has_ids = union.typeIds().is_none_or(|ids| {
        let distinct: std::collections::BTreeSet<i32> = ids.iter().collect();
        ids.len() == num_members
            && distinct.len() == num_members
            && distinct.iter().all(|id| i8::try_from(*id).is_ok_and(|id| id >= 0))
    });
    is_known && (1..=127).contains(&num_members) && has_ids
}

fn has_run_ends(field: Field<'_>) -> bool {
    let Some(children) = field.children() else { return false };
    children
        .get(0)
        .type_as_int()
        .is_some_and(|ends| ends.is_signed() && [16, 32, 64].contains(&ends.bitWidth()))
}

fn bad(what: &str, is: &str) -> ArrowError {
    ArrowError::IpcError(format!("{what} {is}"))
}
