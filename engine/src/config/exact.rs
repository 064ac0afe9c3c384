//! Values in JSON that come back exactly: floats as text, since JSON has no infinities, and scalars with their type.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::types::scalar::Scalar;

pub(super) mod float {
    use super::*;

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.to_string().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

pub(super) mod optional_float {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|value| value.to_string()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

pub(super) mod scalars {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum ExactScalar {
        Null,
        Bool(bool),
        Int(i64),
        UInt(u64),
        Float(#[serde(with = "super::float")] f64),
        Str(String),
        Date(i32),
        Datetime(i64),
    }

    pub fn serialize<S: Serializer>(values: &[Scalar], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| match value {
            Scalar::Null => ExactScalar::Null,
            Scalar::Bool(value) => ExactScalar::Bool(*value),
            Scalar::Int(value) => ExactScalar::Int(*value),
            Scalar::UInt(value) => ExactScalar::UInt(*value),
            Scalar::Float(value) => ExactScalar::Float(*value),
            Scalar::Str(value) => ExactScalar::Str(value.to_string()),
            Scalar::Date(value) => ExactScalar::Date(*value),
            Scalar::Datetime(value) => ExactScalar::Datetime(*value),
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Scalar>, D::Error> {
        let values = Vec::<ExactScalar>::deserialize(deserializer)?;
        let scalar = |value| match value {
            ExactScalar::Null => Scalar::Null,
            ExactScalar::Bool(value) => Scalar::Bool(value),
            ExactScalar::Int(value) => Scalar::Int(value),
            ExactScalar::UInt(value) => Scalar::UInt(value),
            ExactScalar::Float(value) => Scalar::Float(value),
            ExactScalar::Str(value) => Scalar::Str(value.into()),
            ExactScalar::Date(value) => Scalar::Date(value),
            ExactScalar::Datetime(value) => Scalar::Datetime(value),
        };
        Ok(values.into_iter().map(scalar).collect())
    }
}
