//! The number of rows, whatever they hold.
//!
//! State: none, as every cell counts its rows.

use super::{
    AcceptedTypes, Aggregate, AggregateFunction, AggregateInput, AggregateSignature, CellContext, CellRows,
    MenuEntry, Method, OutputType, StateFunction, StatesOf,
};
use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

#[derive(Debug)]
pub(super) struct Count;

impl AggregateFunction for Count {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "count",
            names: &["count"],
            menu: &[MenuEntry { name: "count", number: 50, text: 10, time: 10, boolean: 10 }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Always(Storage::Int64),
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<Count>::boxed)
    }
}

impl StateFunction for Count {
    type State = ();

    fn change(_state: &mut (), _input: AggregateInput<'_>, _slot: u32, _sign: i32) {}

    fn change_all(_states: &mut [()], _input: AggregateInput<'_>, _rows: CellRows<'_>, _sign: i32) {}

    fn merge(_state: &mut (), _other: &()) {}

    fn finish(_aggregate: &Aggregate, _states: &[()], cell: &dyn CellContext) -> Scalar {
        Scalar::Int(cell.num_rows(cell.cell()).into())
    }
}
