//! `MakeJoinTable`: a table joined from two others.

use proscenium_engine::EngineError;
use proscenium_proto::generated::MakeJoinTableReq;

use super::Prepared;

pub fn prepare(_: MakeJoinTableReq) -> Prepared {
    Prepared::refused(EngineError::Unsupported("MakeJoinTable".into()))
}
