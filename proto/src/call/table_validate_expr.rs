//! `TableValidateExpr` (5.5 clients): returns the types and errors of expressions.

use std::collections::BTreeMap;

use proscenium_engine::describe::Description;
use proscenium_engine::hosting::{Command, TableCommand};

use crate::ClientResp;
use crate::generated::TableValidateExprReq;
use crate::translate::describe;

pub(super) fn decode(request: TableValidateExprReq) -> Command {
    Command::Table(TableCommand::ValidateExpressions(request.column_to_expr))
}

pub(super) fn encode(expressions: BTreeMap<String, String>, description: &Description) -> ClientResp {
    ClientResp::TableValidateExprResp(describe::expressions_to_wire(expressions, description))
}
