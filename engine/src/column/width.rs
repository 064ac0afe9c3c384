//! Integers without a declared width: stored in 64 bits, presented in 32 as long as they fit.
//!
//! Invariant: the width is a function of all values ever written, not of those left, so that equal logs give equal
//! columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};

use super::{Column, typed};

/// The width of the values that a column of [`Storage::Integer`] has held.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Width {
    /// Set by the first value beyond 32 bits; reset only when all cells are removed.
    pub(super) is_wide: bool,
}

impl Width {
    pub(super) fn widen_for(&mut self, values: &ArrayRef) {
        let fits = |value: &i64| i32::try_from(*value).is_ok();
        self.is_wide = self.is_wide || !typed::<PrimitiveArray<Int64Type>>(values).values().iter().all(fits);
    }
}

impl Column {
    /// The Arrow type in which clients receive the column's values, not dictionary-encoded: that of its storage, or
    /// for [`Storage::Integer`] the one that fits all values it has held.
    pub(crate) fn shown_type(&self) -> DataType {
        if let Column::Integer(_, Width { is_wide: false }) = self {
            DataType::Int32
        } else {
            self.storage().arrow()
        }
    }

    /// Whether the column is of [`Storage::Integer`] and has held a value beyond 32 bits.
    pub(crate) fn is_wide(&self) -> bool {
        matches!(self, Column::Integer(_, Width { is_wide: true }))
    }

    /// Has held a value beyond 32 bits from now on; no effect on columns of another storage.
    pub(crate) fn widen(&mut self) {
        if let Column::Integer(_, width) = self {
            width.is_wide = true;
        }
    }

    /// Casts values of this column, or interpolated ones, to the type that clients receive.
    pub(crate) fn shown(&self, values: ArrayRef) -> ArrayRef {
        if matches!(self, Column::Integer(_, Width { is_wide: false }))
            && *values.data_type() == DataType::Int64
        {
            // Values held between two snapshots may be wider than those in either.
            let narrow = |value| i32::try_from(value).map_err(|_| ());
            let narrow = values.as_primitive::<Int64Type>().try_unary::<_, Int32Type, ()>(narrow);
            narrow.map_or(values, |narrow| Arc::new(narrow))
        } else {
            values
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::super::{Slots, Writes};
    use super::*;
    use crate::types::schema::Storage;

    #[test]
    fn a_column_is_wide_from_its_first_wide_value_until_it_is_reset() {
        let mut column = Column::new(Storage::Integer);
        let write = |column: &mut Column, values: Vec<Option<i64>>| {
            let slots = Slots::Run { start: 0, len: values.len() };
            let values: ArrayRef = Arc::new(Int64Array::from(values));
            column.write(None, &values, Writes { slots, skip: None, first_row: 0 });
        };
        let shown = |column: &Column| column.shown(column.gather(&[0, 1])).data_type().clone();
        write(&mut column, vec![Some(i64::from(i32::MAX)), Some(i64::from(i32::MIN))]);
        assert_eq!((shown(&column), column.shown_type()), (DataType::Int32, DataType::Int32));
        let before = column.clone();
        write(&mut column, vec![Some(1 << 31), None]);
        assert_eq!((shown(&column), shown(&before)), (DataType::Int64, DataType::Int32));
        write(&mut column, vec![Some(1), Some(2)]);
        assert_eq!(column.shown_type(), DataType::Int64);
        column.reset(None);
        assert_eq!(column.shown_type(), DataType::Int32);
        // A wide value written and overwritten between two narrow snapshots is not truncated.
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![1 << 40]));
        assert_eq!(before.shown(wide.clone()).data_type(), &DataType::Int64);
    }
}
