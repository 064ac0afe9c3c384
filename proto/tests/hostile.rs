//! Malformed frames: the fuzz target's check over a seeded mutator, for a few seconds.

#[path = "../../engine/fuzz/src/ingest.rs"]
#[allow(dead_code, reason = "the engine's own test uses the rest")]
mod ingest;
#[path = "../../engine/fuzz/src/mutate.rs"]
mod mutate;
#[path = "../../engine/fuzz/src/request.rs"]
mod request;

use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, Request};
use prost::Message;

fn data(data: Data) -> Option<MakeTableData> {
    Some(MakeTableData { data: Some(data) })
}

#[test]
fn frames() {
    let rows = r#"[{"id":1,"s":"a","f":2.5},{"id":9,"s":null}]"#;
    let config = ViewConfig {
        group_by: vec!["s".into()],
        split_by: vec!["b".into()],
        columns: Some(ColumnsUpdate {
            opt_columns: Some(columns_update::OptColumns::Columns(columns_update::Columns {
                columns: vec!["f".into(), "id".into()],
            })),
        }),
        filter: vec![view_config::Filter {
            column: "f".into(),
            op: ">".into(),
            value: vec![Scalar { scalar: Some(scalar::Scalar::Float(0.1)) }],
        }],
        sort: vec![view_config::Sort { column: "f".into(), op: 2 }],
        aggregates: [("f".into(), view_config::AggList { aggregations: vec!["max by".into(), "id".into()] })]
            .into(),
        expressions: [("e".into(), "\"f\" + 1".into())].into(),
        ..ViewConfig::default()
    };
    let requests = [
        ClientReq::MakeTableReq(MakeTableReq { data: data(Data::FromRows(rows.into())), options: None }),
        ClientReq::MakeTableReq(MakeTableReq {
            data: data(Data::FromCsv("a,b\n1,x\n".into())),
            options: None,
        }),
        ClientReq::TableUpdateReq(TableUpdateReq { data: data(Data::FromNdjson(rows.into())), port_id: 0 }),
        ClientReq::TableReplaceReq(TableReplaceReq { data: data(Data::FromCols(r#"{"id":[1]}"#.into())) }),
        ClientReq::TableRemoveReq(TableRemoveReq { data: data(Data::FromRows("[1,2]".into())) }),
        ClientReq::TableMakeViewReq(TableMakeViewReq { view_id: "v".into(), config: Some(config.clone()) }),
        ClientReq::TableDescribeReq(TableDescribeReq { config: Some(config) }),
    ];
    let port = || {
        let [start_row, end_row, start_col, end_col] = [0, 9, 1, 3].map(Some);
        Some(ViewPort { start_row, end_row, start_col, end_col, machine_column_names: Some(true) })
    };
    let questions = [
        ClientReq::ViewToColumnsStringReq(ViewToColumnsStringReq { viewport: port(), ..Default::default() }),
        ClientReq::ViewToArrowReq(ViewToArrowReq { viewport: port(), compression: Some("lz4".into()) }),
        ClientReq::ViewToCsvReq(ViewToCsvReq { viewport: port() }),
        ClientReq::ViewColumnPathsReq(ViewColumnPathsReq { start_col: Some(1), end_col: Some(2) }),
        ClientReq::ViewExpandReq(ViewExpandReq { row_index: 1 }),
        ClientReq::ViewCollapseReq(ViewCollapseReq { row_index: 1 }),
        ClientReq::ViewSetDepthReq(ViewSetDepthReq { depth: 0 }),
        ClientReq::ViewGetMinMaxReq(ViewGetMinMaxReq { column_name: "f".into() }),
    ];
    let corpus: Vec<Vec<u8>> = requests
        .into_iter()
        .chain(questions)
        .map(|request| {
            Request { msg_id: 1, entity_id: "t".into(), client_req: Some(request) }.encode_to_vec()
        })
        .collect();
    mutate::run(&corpus, 2000, request::request);
}
