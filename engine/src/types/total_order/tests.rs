//! The orders are total, and each key ascends exactly as its order does, on special and on seeded random values.

use super::*;
use crate::testing::Random;

fn floats() -> Vec<Option<f64>> {
    let mut random = Random::new(31);
    let special = [
        f64::NAN,
        -f64::NAN,
        f64::NEG_INFINITY,
        f64::MIN,
        -2.5,
        -1.0 - f64::EPSILON,
        -1.0,
        -f64::MIN_POSITIVE,
        -5e-324,
        -0.0,
        0.0,
        5e-324,
        1.0,
        2.5,
        f64::MAX,
        f64::INFINITY,
    ];
    let drawn = (0..200).map(|_| f64::from_bits(random.bits()));
    std::iter::once(None).chain(special.into_iter().chain(drawn).map(Some)).collect()
}

fn scalars() -> Vec<Scalar> {
    let mut random = Random::new(32);
    let mut values = vec![Scalar::Null, Scalar::Bool(false), Scalar::Bool(true)];
    values.extend([i64::MIN, -9, -1, 0, 1, 7, 8, 1 << 40, i64::MAX].map(Scalar::Int));
    values.extend((0..20).map(|_| Scalar::Int(random.bits() as i64)));
    values.extend([0, 7, 9, i64::MAX as u64, 1 << 63, u64::MAX].map(Scalar::UInt));
    values.extend(floats().into_iter().flatten().step_by(5).map(Scalar::Float));
    values.extend([0.0, -0.0, f64::NAN].map(Scalar::Float));
    values.extend([-400, -1, 0, 20_000].map(Scalar::Date));
    values.extend([i64::MIN, -1, 0, 1_700_000_000_000].map(Scalar::Datetime));
    values.extend(["", "a", "a\0", "aa", "longer than eight", "longer than eighty", "é"].map(Scalar::from));
    values
}

/// Asserts that the keys of all pairs compare as the order does; if not `is_exact`, keys may also be equal.
fn check<T: std::fmt::Debug>(
    values: &[T],
    is_exact: bool,
    key: impl Fn(&T) -> u64,
    compare: impl Fn(&T, &T) -> Ordering,
) {
    for left in values {
        for right in values {
            let (order, of_keys) = (compare(left, right), key(left).cmp(&key(right)));
            assert_eq!(order, compare(right, left).reverse(), "{left:?} {right:?}");
            assert!(of_keys == order || (!is_exact && of_keys.is_eq()), "{left:?} {right:?}");
        }
    }
}

fn by_value(left: &Option<f64>, right: &Option<f64>) -> Ordering {
    null_first(*left, *right, compare_floats)
}

#[test]
fn keys_of_floats_ascend_as_their_orders_do() {
    let both_zeros_once: Vec<Option<f64>> = floats()
        .into_iter()
        .filter(|value| !value.is_some_and(|value| value == 0.0 && value.is_sign_negative()))
        .collect();
    check(&both_zeros_once, true, |value| value_order_key(*value), by_value);
    assert_eq!(value_order_key(Some(0.0)), value_order_key(Some(-0.0)) + 1);
    check(
        &floats(),
        true,
        |value| sort_order_key(*value),
        |left, right| nan_before_null(*left, *right).unwrap_or_else(|| by_value(left, right)),
    );
    check(&floats(), true, |value| magnitude_key(*value), |left, right| compare_magnitudes(*left, *right));
    for left in floats().into_iter().flatten() {
        for right in floats().into_iter().flatten() {
            assert_eq!(float_bits(left) == float_bits(right), compare_floats(left, right).is_eq());
        }
    }
}

#[test]
fn a_float_is_restored_from_its_key() {
    for value in floats() {
        let restored = of_value_order_key(value_order_key(value));
        match value {
            Some(value) if !value.is_nan() => assert_eq!(restored.map(f64::to_bits), Some(value.to_bits())),
            _ => assert_eq!(restored.map(f64::is_nan), value.map(f64::is_nan)),
        }
    }
}

#[test]
fn keys_of_integers_and_text_ascend() {
    let mut random = Random::new(33);
    let mut integers = vec![i64::MIN, -1, 0, 1, i64::MAX];
    integers.extend((0..100).map(|_| random.bits() as i64));
    check(&integers, true, |value| signed_key(*value), i64::cmp);
    let texts: Vec<String> = (0..100)
        .map(|_| {
            let len = random.below(12);
            std::iter::repeat_with(|| *random.pick(&['a', 'b', 'c'])).take(len).collect()
        })
        .chain(["", "\0", "a\0", "é", "日本語"].map(str::to_owned))
        .collect();
    check(&texts, false, |text| text_prefix(text), |left, right| left.as_bytes().cmp(right.as_bytes()));
}

#[test]
fn prefixes_of_scalars_never_descend_where_they_ascend() {
    // NaN is placed among floats and before null; columns do not mix types.
    let without_nan: Vec<Scalar> = scalars()
        .into_iter()
        .filter(|value| !matches!(value, Scalar::Float(value) if value.is_nan()))
        .collect();
    check(&without_nan, false, |value| scalar_prefix(value, false), compare_sorted);
    let floats: Vec<Scalar> =
        floats().into_iter().map(|value| value.map_or(Scalar::Null, Scalar::Float)).collect();
    check(&floats, false, |value| scalar_prefix(value, false), compare_sorted);
    check(
        &scalars(),
        false,
        |value| scalar_prefix(value, true),
        |left, right| compare_magnitudes(left.as_f64(), right.as_f64()),
    );
    let differ = |left: f64, right: f64| {
        let key = |value: f64| scalar_prefix(&Scalar::Float(value), false);
        key(left) < key(right)
    };
    assert!(differ(1.0, 1.001) && differ(-1.001, -1.0));
}

#[test]
fn each_order_places_null_and_nan_as_documented() {
    let (null, nan, least) = (Scalar::Null, Scalar::Float(f64::NAN), Scalar::Float(f64::NEG_INFINITY));
    let mut by_value = [least.clone(), nan.clone(), null.clone()];
    by_value.sort();
    assert!(by_value[0].is_null() && matches!(by_value[1], Scalar::Float(value) if value.is_nan()));
    let mut sorted = [least, null, nan];
    sorted.sort_by(compare_sorted);
    assert!(matches!(sorted[0], Scalar::Float(value) if value.is_nan()) && sorted[1].is_null());
    let by_magnitude = |left, right| compare_magnitudes(Some(left), right);
    assert_eq!(by_magnitude(-0.0, None), Ordering::Equal);
    assert_eq!(by_magnitude(f64::NAN, None), Ordering::Less);
    assert_eq!(by_magnitude(-2.0, Some(1.0)), Ordering::Greater);
}

#[test]
fn scalars_are_totally_ordered() {
    let values = scalars();
    for one in &values {
        for other in &values {
            for third in &values {
                if one <= other && other <= third {
                    assert!(one <= third, "{one:?} {other:?} {third:?}");
                }
            }
        }
    }
}
