//! `ViewDimensions`: returns the numbers of rows and columns, of the table and of the view.

use proscenium_actors::view::Read;
use proscenium_engine::view::Dimensions;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewDimensionsReq, ViewDimensionsResp};

use super::Prepared;

pub fn prepare(_: ViewDimensionsReq) -> Prepared {
    Prepared::read(|call| {
        Read::Dimensions(call.reply(|dimensions: Dimensions| {
            // Tables count by u32, as the protocol does.
            ClientResp::ViewDimensionsResp(ViewDimensionsResp {
                num_table_rows: dimensions.num_table_rows as u32,
                num_table_columns: dimensions.num_table_columns as u32,
                num_view_rows: dimensions.num_view_rows as u32,
                num_view_columns: dimensions.num_view_columns as u32,
            })
        }))
    })
}
