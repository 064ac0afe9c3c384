//! Checks bytes as a frame: decodes and translates it, and runs it on the engine as far as that needs no server.

use std::sync::Arc;

use proscenium_engine::config::{Generation, ViewConfig};
use proscenium_engine::export::{self, Compression};
use proscenium_engine::table::Table;
use proscenium_engine::view::{Plan, SliceOptions, View};
use proscenium_engine::{TableData, TableOptions};
use proscenium_proto::translate::data::{Source, from_wire, options_from_wire};
use proscenium_proto::translate::{column_paths, describe, view_config, viewport};
use proscenium_proto::{ClientGeneration, ClientReq, frame};

use super::ingest;

/// Runs the check.
pub fn request(bytes: &[u8]) {
    let Ok(request) = frame::decode(bytes.to_vec().into()) else { return };
    match request.client_req {
        Some(ClientReq::MakeTableReq(body)) => {
            let options = body.options.as_ref().map(options_from_wire).unwrap_or_default();
            if let Ok(Some(Source::Data(data))) = from_wire(body.data)
                && let Ok(table) = Table::create(&data, options)
            {
                ingest::read(&table);
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
            if let Ok(config) = view_config::from_wire(body.config, Generation::V5_6)
                && let Ok(plan) = Plan::new(&config, table.schema())
            {
                view_config::to_wire(plan.config());
                ingest::write(&mut View::build(Arc::new(plan), &table.snapshot()));
            }
        }
        Some(ClientReq::TableDescribeReq(body)) => {
            if let Ok(config) = view_config::from_wire(body.config, Generation::V5_5) {
                describe::to_wire(&proscenium_engine::describe::describe(
                    &config,
                    table().schema(),
                    Some("id"),
                ));
            }
        }
        Some(request) => view_request(request),
        None => {}
    }
}

/// Runs a view request: slices of any rows and columns, depths, paths and bounds.
fn view_request(request: ClientReq) {
    let port = match &request {
        ClientReq::ViewToColumnsStringReq(body) => body.viewport.as_ref(),
        ClientReq::ViewToRowsStringReq(body) => body.viewport.as_ref(),
        ClientReq::ViewToNdjsonStringReq(body) => body.viewport.as_ref(),
        ClientReq::ViewToCsvReq(body) => body.viewport.as_ref(),
        ClientReq::ViewToArrowReq(body) => body.viewport.as_ref(),
        _ => None,
    };
    let options = SliceOptions { viewport: viewport::from_wire(port), id: true, index: true };
    let json = viewport::json_options(Some(true), Some(true), Some(true));
    for (group_by, split_by) in [(vec![], vec![]), (vec!["s".into()], vec!["b".into()])] {
        let config = ViewConfig { group_by, split_by, ..ViewConfig::default() };
        let table = table();
        let plan = Plan::new(&config, table.schema()).expect("the config is a good one");
        let mut view = View::build(Arc::new(plan), &table.snapshot());
        let mut handle = view.handle(None);
        match &request {
            ClientReq::ViewExpandReq(body) => drop(view.expand(&mut handle, body.row_index as usize)),
            ClientReq::ViewCollapseReq(body) => drop(view.collapse(&mut handle, body.row_index as usize)),
            ClientReq::ViewSetDepthReq(body) => view.set_depth(&mut handle, body.depth),
            ClientReq::ViewGetMinMaxReq(body) => drop(view.min_max(&mut handle, &body.column_name)),
            ClientReq::ViewColumnPathsReq(body) => {
                let columns = body.start_col.unwrap_or(0) as usize..body.end_col.unwrap_or(u32::MAX) as usize;
                column_paths::to_wire(&view.column_names(columns.clone()), &view.column_paths(columns));
            }
            _ => {}
        }
        let window = view.slice(&mut handle, options).gather();
        export::json_columns(&window, json);
        export::json_rows(&window, json);
        export::ndjson(&window, json);
        export::csv(&window, export::Naming::Legacy);
        let naming = ClientGeneration::assumed(Generation::V5_5).naming(port);
        export::arrow(&window, naming, Compression::Lz4).expect("what was read can be written");
    }
}

fn with(data: Option<proscenium_proto::generated::MakeTableData>, act: impl FnOnce(&mut Table, &TableData)) {
    if let Ok(Some(Source::Data(data))) = from_wire(data) {
        let mut table = table();
        act(&mut table, &data);
        ingest::read(&table);
    }
}

fn table() -> Table {
    let rows =
        r#"[{"id":1,"s":"a","f":0.5,"b":true,"d":"2020-01-02"},{"id":2,"s":"b","f":1.5,"b":null,"d":null}]"#;
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    Table::create(&TableData::Rows(rows.into()), options).expect("the rows are good ones")
}
