//! `ViewGetMinMax`: returns the smallest and the largest value of a column.

use proscenium_actors::view::Read;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewGetMinMaxReq, ViewGetMinMaxResp};
use proscenium_proto::translate::scalar;

use super::Prepared;

pub fn prepare(request: ViewGetMinMaxReq) -> Prepared {
    Prepared::read(move |call| Read::MinMax {
        column: request.column_name,
        reply: call.reply(|(min, max)| {
            ClientResp::ViewGetMinMaxResp(ViewGetMinMaxResp {
                min: Some(scalar::to_wire(&min)),
                max: Some(scalar::to_wire(&max)),
            })
        }),
    })
}
