//! `ViewDimensions`: returns the numbers of rows and columns, of the table and of the view.

use proscenium_engine::hosting::{Command, ViewCommand, ViewRead};
use proscenium_engine::view::Dimensions;

use crate::ClientResp;
use crate::generated::{ViewDimensionsReq, ViewDimensionsResp};

pub(super) fn decode(_: ViewDimensionsReq) -> Command {
    Command::View(ViewCommand::Read(ViewRead::Dimensions))
}

pub(super) fn encode(dimensions: Dimensions) -> ClientResp {
    // Tables count by u32, as the protocol does.
    ClientResp::ViewDimensionsResp(ViewDimensionsResp {
        num_table_rows: dimensions.num_table_rows as u32,
        num_table_columns: dimensions.num_table_columns as u32,
        num_view_rows: dimensions.num_view_rows as u32,
        num_view_columns: dimensions.num_view_columns as u32,
    })
}
