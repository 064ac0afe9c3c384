//! Converts a cell's value. The protocol has bool, float, string and null; integers, dates and datetimes are sent as
//! floats.

use proscenium_engine::Scalar;

use crate::generated as wire;
use crate::generated::scalar::Scalar as Kind;

/// Converts a value: numbers, dates and datetimes (epoch milliseconds) to float; NaN and infinities, which JSON cannot
/// represent, to null.
pub fn to_wire(value: &Scalar) -> wire::Scalar {
    let kind = match value {
        Scalar::Bool(value) => Kind::Bool(*value),
        Scalar::Str(value) => Kind::String(value.to_string()),
        Scalar::Null => null(),
        Scalar::Int(_) | Scalar::UInt(_) | Scalar::Float(_) | Scalar::Date(_) | Scalar::Datetime(_) => {
            match value.as_f64() {
                Some(number) if number.is_finite() => Kind::Float(number),
                _ => null(),
            }
        }
    };
    wire::Scalar { scalar: Some(kind) }
}

/// Converts a filter operand of a returned configuration: dates as `2020-01-31`, other values as [`to_wire`].
pub fn operand_to_wire(value: &Scalar) -> wire::Scalar {
    let Scalar::Date(days) = value else { return to_wire(value) };
    match chrono::NaiveDate::from_epoch_days(*days) {
        Some(date) => wire::Scalar { scalar: Some(Kind::String(date.to_string())) },
        None => to_wire(value),
    }
}

/// Converts a client's value. An unset value is null.
pub fn from_wire(value: wire::Scalar) -> Scalar {
    match value.scalar {
        Some(Kind::Bool(value)) => Scalar::Bool(value),
        Some(Kind::Float(value)) => Scalar::Float(value),
        Some(Kind::String(value)) => Scalar::Str(value.into()),
        Some(Kind::Null(_)) | None => Scalar::Null,
    }
}

fn null() -> Kind {
    Kind::Null(prost_types::NullValue::NullValue as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_and_times_travel_as_floats() {
        for (value, number) in [
            (Scalar::Int(-3), -3.0),
            (Scalar::UInt(u64::MAX), u64::MAX as f64),
            (Scalar::Date(1), 86_400_000.0),
            (Scalar::Datetime(5), 5.0),
        ] {
            assert_eq!(to_wire(&value).scalar, Some(Kind::Float(number)));
        }
    }

    #[test]
    fn values_that_json_cannot_represent_are_null() {
        for value in [Scalar::Null, Scalar::Float(f64::NAN), Scalar::Float(f64::INFINITY)] {
            assert_eq!(from_wire(to_wire(&value)), Scalar::Null);
        }
    }

    #[test]
    fn a_date_operand_is_echoed_as_text() {
        let echoed = operand_to_wire(&Scalar::Date(18_262));
        assert_eq!(echoed.scalar, Some(Kind::String("2020-01-01".into())));
    }
}
