//! `TableValidateExpr` (5.5 clients): returns the types and errors of expressions.

use proscenium_actors::table::Describe;
use proscenium_engine::config::ViewConfig;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::TableValidateExprReq;
use proscenium_proto::translate::describe;

use super::Prepared;
use super::call::send;

pub fn prepare(request: TableValidateExprReq) -> Prepared {
    let expressions = request.column_to_expr;
    Prepared::table(move |call, table| {
        let config = ViewConfig {
            columns: Some(Vec::new()),
            expressions: expressions.clone(),
            ..ViewConfig::default()
        };
        let reply = call.reply(|description| {
            ClientResp::TableValidateExprResp(describe::expressions_to_wire(expressions, &description))
        });
        send(&table.mailbox, Describe { config, reply })
    })
}
