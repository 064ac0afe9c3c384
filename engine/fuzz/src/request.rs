//! Bytes as a frame: decoded, translated, and put to the engine as far as a request goes without a server.

use std::sync::Arc;

use proscenium_engine::table::Table;
use proscenium_engine::view::{Plan, View};
use proscenium_engine::{TableData, TableOptions};
use proscenium_proto::translate::data::{Source, from_wire, options_from_wire};
use proscenium_proto::translate::{describe, view_config};
use proscenium_proto::{ClientReq, frame};

use super::ingest;

pub fn request(bytes: &[u8]) {
    let Ok(request) = frame::decode(bytes.to_vec().into()) else { return };
    match request.client_req {
        Some(ClientReq::MakeTableReq(body)) => {
            let options = body.options.as_ref().map(options_from_wire).unwrap_or_default();
            if let Ok(Some(Source::Data(data))) = from_wire(body.data)
                && let Ok(table) = Table::create(&data, options)
            {
                ingest::look(&table);
            }
        }
        Some(ClientReq::TableUpdateReq(body)) => with(body.data, |table, data| {
            let _ = table.update(data, body.port_id);
        }),
        Some(ClientReq::TableReplaceReq(body)) => with(body.data, |table, data| {
            let _ = table.replace(data);
        }),
        Some(ClientReq::TableRemoveReq(body)) => with(body.data, |table, data| {
            let _ = table.remove(data);
        }),
        Some(ClientReq::TableMakeViewReq(body)) => {
            let table = table();
            if let Ok(config) = view_config::from_wire(body.config)
                && let Ok(plan) = Plan::new(&config, table.schema())
            {
                view_config::to_wire(plan.config());
                ingest::write(&mut View::build(Arc::new(plan), &table.snapshot()));
            }
        }
        Some(ClientReq::TableDescribeReq(body)) => {
            if let Ok(config) = view_config::from_wire(body.config) {
                describe::to_wire(&proscenium_engine::describe::describe(
                    &config,
                    table().schema(),
                    Some("id"),
                ));
            }
        }
        _ => {}
    }
}

fn with(data: Option<proscenium_proto::generated::MakeTableData>, act: impl FnOnce(&mut Table, &TableData)) {
    if let Ok(Some(Source::Data(data))) = from_wire(data) {
        let mut table = table();
        act(&mut table, &data);
        ingest::look(&table);
    }
}

fn table() -> Table {
    let rows =
        r#"[{"id":1,"s":"a","f":0.5,"b":true,"d":"2020-01-02"},{"id":2,"s":"b","f":1.5,"b":null,"d":null}]"#;
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    Table::create(&TableData::Rows(rows.into()), options).expect("the rows are good ones")
}
