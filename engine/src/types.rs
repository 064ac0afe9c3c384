//! The values that tables hold: their types, order and text form.

pub mod calendar;
pub(crate) mod display;
pub mod scalar;
pub mod schema;
pub(crate) mod total_order;

pub use scalar::Scalar;
pub use schema::{ColumnType, Field, Schema, Storage};
