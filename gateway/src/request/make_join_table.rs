//! `MakeJoinTable`: creates a join of two tables, under the name in the envelope.

use proscenium_actors::ActorError;
use proscenium_actors::catalog::HostJoin;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{MakeJoinTableReq, MakeJoinTableResp};
use proscenium_proto::translate::join;

use super::Prepared;
use super::call::send;

pub fn prepare(request: MakeJoinTableReq) -> Prepared {
    let (left, right) = (request.left_table_id.clone(), request.right_table_id.clone());
    let spec = match join::from_wire(request) {
        Ok(spec) => spec,
        Err(error) => return Prepared::refused(ActorError::Engine(error)),
    };
    Prepared::making_table(vec![left.clone(), right.clone()], Vec::new(), move |call| {
        let (catalog, name) = (call.catalog().clone(), call.entity_id().to_string());
        let reply = call.reply(|()| ClientResp::MakeJoinTableResp(MakeJoinTableResp {}));
        send(catalog.mailbox(), HostJoin { name, left, right, spec, reply })
    })
}
