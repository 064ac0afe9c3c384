//! Products without intermediate overflow.
//!
//! Invariant: a product is rounded once, at the end, so that the result does not depend on order or grouping, except
//! for products whose exact value has more than 106 bits and lies within 2^-100 of the midpoint between two floats.
//! Factors are double-double (the error of a product is exact by fused multiply-add: Dekker, A floating-point technique
//! for extending the available precision, 1971) with separate exponents, so intermediate results cannot overflow.
//! Nothing is ever divided: when rows are removed, their part is multiplied again.

use crate::aggregate::sums::Number;
use crate::column::Column;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::aggregate) struct Product {
    /// Of magnitude in [1, 2); or a zero, an infinity, NaN.
    high: f64,
    /// The rounding error of `high`.
    low: f64,
    /// Exponent of two, separate so that only the final result can overflow or underflow.
    exponent: i64,
}

impl Product {
    pub(in crate::aggregate) const ONE: Product = Product { high: 1.0, low: 0.0, exponent: 0 };

    /// Returns the product of some rows. A null counts as 0.
    pub(in crate::aggregate) fn of(column: &Column, rows: impl IntoIterator<Item = u32>) -> Product {
        rows.into_iter().fold(Product::ONE, |product, slot| {
            product.times(match column.exact(slot) {
                Some(Number::Float(value)) => Product::new(value, 0.0),
                Some(Number::Integer(value)) => {
                    let high = value as f64;
                    Product::new(high, (value - high as i128) as f64)
                }
                None => Product::new(0.0, 0.0),
            })
        })
    }

    fn new(high: f64, low: f64) -> Product {
        if !high.is_finite() || high == 0.0 {
            return Product { high, low: 0.0, exponent: 0 };
        }
        if high.is_subnormal() {
            let normal = Product::new(high * power_of_two(54), 0.0);
            return Product { exponent: normal.exponent - 54, ..normal };
        }
        let exponent = exponent_of(high);
        // In two steps: 2^1023 is the largest power of two, and the exponent may be -1022.
        let scale =
            |value: f64| value * power_of_two(-exponent / 2) * power_of_two(-exponent - -exponent / 2);
        Product { high: scale(high), low: scale(low), exponent }
    }

    pub(in crate::aggregate) fn times(self, other: Product) -> Product {
        let high = self.high * other.high;
        if !high.is_finite() || high == 0.0 {
            return Product { high, low: 0.0, exponent: 0 };
        }
        let error = self.high.mul_add(other.high, -high) + (self.high * other.low + self.low * other.high);
        let sum = high + error;
        let low = error - (sum - high);
        let shift = exponent_of(sum);
        let scale = power_of_two(-shift);
        Product { high: sum * scale, low: low * scale, exponent: self.exponent + other.exponent + shift }
    }

    /// Rounds to a float; twice below the smallest normal number.
    pub(in crate::aggregate) fn float(self) -> f64 {
        match self.exponent {
            0 => self.high,
            1024.. => f64::INFINITY.copysign(self.high),
            -1022.. => self.high * power_of_two(self.exponent),
            -1075.. => self.high * power_of_two(-1000) * power_of_two(self.exponent + 1000),
            _ => 0.0_f64.copysign(self.high),
        }
    }

    /// Returns the product of integers, which is exact within 64 bits and saturates beyond.
    pub(in crate::aggregate) fn integer(self) -> i64 {
        match self.exponent {
            _ if self.high == 0.0 => 0,
            64.. if self.high < 0.0 => i64::MIN,
            64.. => i64::MAX,
            exponent => {
                let part = |value: f64| (value * power_of_two(exponent)) as i128;
                (part(self.high) + part(self.low)).clamp(i64::MIN.into(), i64::MAX.into()) as i64
            }
        }
    }
}

/// Returns the binary exponent of a normal number.
fn exponent_of(value: f64) -> i64 {
    (value.to_bits() >> 52 & 0x7ff) as i64 - 1023
}

/// 2 to the power of `exponent`, from -1022 to 1023.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn product(factors: &[f64]) -> f64 {
        factors.iter().fold(Product::ONE, |product, &factor| product.times(Product::new(factor, 0.0))).float()
    }

    #[test]
    fn only_the_result_can_overflow() {
        let (large, small) = (2.0_f64.powi(700), 2.0_f64.powi(-700));
        assert_eq!(product(&[large, large, 3.0, small, small]), 3.0);
        assert_eq!(product(&[small, small, 3.0, large, large]), 3.0);
        assert_eq!(product(&[f64::MAX, f64::MIN_POSITIVE / 4096.0]), f64::MAX * (f64::MIN_POSITIVE / 4096.0));
        assert_eq!(product(&[5e-324, 2.0_f64.powi(1000), 2.0_f64.powi(74)]), 1.0);
        assert_eq!(product(&[5e-324, 1.0]), 5e-324);
        assert_eq!(product(&[3e-310, -1.0]), -3e-310);
        assert_eq!(product(&[1e200, -1e200]), f64::NEG_INFINITY);
        assert_eq!(product(&[1e-200, -1e-200]).to_bits(), (-0.0_f64).to_bits());
    }

    #[test]
    fn special_values_multiply_as_floats_do() {
        assert!(product(&[f64::INFINITY, 0.0]).is_nan());
        assert!(product(&[f64::NAN, 0.0, 2.0]).is_nan());
        assert_eq!(product(&[f64::INFINITY, -1e-300, 1e-300]), f64::NEG_INFINITY);
        assert_eq!(product(&[1e300, 1e300, 0.0]).to_bits(), 0.0_f64.to_bits());
        assert_eq!(product(&[-1.0, 0.0]).to_bits(), (-0.0_f64).to_bits());
    }

    #[test]
    fn parts_in_any_order_round_alike() {
        let mut random = Random::new(1);
        for _ in 0..500 {
            let factors: Vec<f64> =
                (0..200).map(|_| (random.number() % 2_000 + 1) as f64 / 700.0 - 1.0).collect();
            let parts = |size: usize| {
                factors.chunks(size).fold(Product::ONE, |product, chunk| {
                    let part = chunk
                        .iter()
                        .rev()
                        .fold(Product::ONE, |product, &factor| product.times(Product::new(factor, 0.0)));
                    part.times(product)
                })
            };
            assert_eq!(product(&factors), parts(7).float());
            assert_eq!(product(&factors), parts(64).float());
        }
    }

    #[test]
    fn integers_are_exact() {
        let product = |factors: &[i128]| {
            let of = |value: i128| Product::new(value as f64, (value - (value as f64) as i128) as f64);
            factors.iter().fold(Product::ONE, |product, &factor| product.times(of(factor))).integer()
        };
        assert_eq!(product(&[9_007_199_254_740_993, 1_023]), 9_007_199_254_740_993 * 1_023);
        assert_eq!(product(&[3_037_000_499, -3_037_000_499]), -3_037_000_499 * 3_037_000_499);
        assert_eq!(product(&[i64::MAX.into(), 1]), i64::MAX);
        assert_eq!(product(&[i128::from(i64::MAX) - 2, 1]), i64::MAX - 2);
        assert_eq!(product(&[i64::MIN.into(), 1]), i64::MIN);
        assert_eq!(product(&[i64::MAX.into(), -2]), i64::MIN);
        assert_eq!(product(&[i64::MAX.into(), 3]), i64::MAX);
        assert_eq!(product(&[i64::MAX.into(), 3, 0]), 0);
        assert_eq!(product(&[7, -1, 3]), -21);
    }
}
