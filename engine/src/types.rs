//! The values that tables hold: their types, their order, their text.

pub mod calendar;
pub(crate) mod display;
pub mod scalar;
pub mod schema;

pub use scalar::Scalar;
pub use schema::{ColumnType, Field, Schema, Storage};
