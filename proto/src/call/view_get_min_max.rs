//! `ViewGetMinMax`: returns the smallest and the largest value of a column.

use proscenium_engine::Scalar;
use proscenium_engine::hosting::{Command, ViewCommand, ViewRead};

use crate::ClientResp;
use crate::generated::{ViewGetMinMaxReq, ViewGetMinMaxResp};
use crate::translate::scalar;

pub(super) fn decode(request: ViewGetMinMaxReq) -> Command {
    Command::View(ViewCommand::Read(ViewRead::MinMax { column: request.column_name }))
}

pub(super) fn encode(min: &Scalar, max: &Scalar) -> ClientResp {
    let (min, max) = (Some(scalar::to_wire(min)), Some(scalar::to_wire(max)));
    ClientResp::ViewGetMinMaxResp(ViewGetMinMaxResp { min, max })
}
