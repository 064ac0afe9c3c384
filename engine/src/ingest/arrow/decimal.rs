//! Converts decimals to the nearest double.
//!
//! Invariant: correctly rounded, as if the digits were parsed as text.
//!
//! Cost: one division where the digits fit into 53 bits and the power of ten is exact (22 places); otherwise the digits
//! are formatted and parsed.

use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Float64Array};
use ::arrow::datatypes::{DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type};

/// The powers of ten that a double represents exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// All integers up to this bound are doubles.
const EXACT: u128 = 1 << 53;

/// Converts decimals of any width.
pub(super) fn to_floats(values: &dyn Array) -> ArrayRef {
    match *values.data_type() {
        DataType::Decimal32(_, scale) => {
            convert::<Decimal32Type>(values, scale, |digits| Some(digits.into()))
        }
        DataType::Decimal64(_, scale) => {
            convert::<Decimal64Type>(values, scale, |digits| Some(digits.into()))
        }
        DataType::Decimal128(_, scale) => convert::<Decimal128Type>(values, scale, Some),
        DataType::Decimal256(_, scale) => convert::<Decimal256Type>(values, scale, |digits| digits.to_i128()),
        ref other => panic!("{other} is no decimal"),
    }
}

fn convert<T: ArrowPrimitiveType>(
    values: &dyn Array,
    scale: i8,
    narrow: impl Fn(T::Native) -> Option<i128>,
) -> ArrayRef
where
    T::Native: std::fmt::Display,
{
    let floats: Float64Array = values.as_primitive::<T>().unary(|digits| {
        let power = POWERS.get(usize::from(scale.unsigned_abs()));
        match (narrow(digits), power) {
            (Some(digits), Some(power)) if digits.unsigned_abs() <= EXACT && scale >= 0 => {
                digits as f64 / power
            }
            (Some(digits), Some(power)) if digits.unsigned_abs() <= EXACT => digits as f64 * power,
            _ => parsed(&digits, scale),
        }
    });
    Arc::new(floats)
}

/// Formats digits and exponent as a number and parses it.
fn parsed(digits: &impl std::fmt::Display, scale: i8) -> f64 {
    format!("{digits}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use ::arrow::array::{Decimal128Array, Decimal256Array};
    use ::arrow::datatypes::i256;

    use super::*;
    use crate::testing::Random;

    #[test]
    fn every_decimal_is_the_nearest_double() {
        let mut generator = Random::new(7);
        let mut random = || generator.bits() >> 8;
        for scale in [-5_i8, -1, 0, 2, 9, 18, 22, 23, 38] {
            let digits: Vec<i128> = (0..300)
                .map(|round| {
                    let wide = i128::from(random()) << 64 | i128::from(random());
                    (wide >> (round % 100)) * if round % 2 == 0 { 1 } else { -1 }
                })
                .collect();
            let wanted: Vec<f64> = digits
                .iter()
                .map(|digits| format!("{digits}e{}", -i32::from(scale)).parse().unwrap())
                .collect();
            let narrow = Decimal128Array::from(digits.clone()).with_precision_and_scale(38, scale).unwrap();
            let wide =
                Decimal256Array::from_iter_values(digits.iter().map(|digits| i256::from_i128(*digits)))
                    .with_precision_and_scale(76, scale)
                    .unwrap();
            for array in [&narrow as &dyn Array, &wide] {
                let floats = to_floats(array);
                assert_eq!(floats.as_primitive::<::arrow::datatypes::Float64Type>().values(), &wanted[..]);
            }
        }
    }
}
