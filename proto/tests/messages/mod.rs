//! One message of every kind with all fields set, for the round trip and the golden frames.

use std::collections::BTreeMap;

use bytes::Bytes;
use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::make_table_req::MakeTableOptions;
use proscenium_proto::generated::make_table_req::make_table_options::MakeTableType;
use proscenium_proto::generated::*;
use proscenium_proto::translate::{error, features, view_config as translate_config};
use proscenium_proto::{ClientReq, ClientResp};

fn schema() -> Schema {
    let column = |name: &str, column_type: ColumnType| schema::KeyTypePair {
        name: name.into(),
        r#type: column_type.into(),
    };
    Schema { schema: vec![column("id", ColumnType::Integer), column("name", ColumnType::String)] }
}

fn schema_map() -> BTreeMap<String, i32> {
    BTreeMap::from([("id".into(), ColumnType::Integer.into()), ("name".into(), ColumnType::String.into())])
}

fn rows() -> Option<MakeTableData> {
    Some(MakeTableData { data: Some(Data::FromRows(r#"[{"id":1,"name":"a"}]"#.into())) })
}

fn viewport() -> Option<ViewPort> {
    Some(ViewPort {
        start_row: Some(0),
        start_col: Some(1),
        end_row: Some(24),
        end_col: Some(9),
        machine_column_names: Some(false),
    })
}

fn scalar(value: scalar::Scalar) -> Scalar {
    Scalar { scalar: Some(value) }
}

fn config() -> Option<ViewConfig> {
    Some(ViewConfig {
        group_by: vec!["name".into()],
        split_by: vec!["kind".into()],
        filter: vec![view_config::Filter {
            column: "id".into(),
            op: "in".into(),
            value: vec![
                scalar(scalar::Scalar::Float(1.0)),
                scalar(scalar::Scalar::String("x".into())),
                scalar(scalar::Scalar::Bool(true)),
                scalar(scalar::Scalar::Null(0)),
            ],
        }],
        sort: vec![view_config::Sort { column: "id".into(), op: SortOp::SortDesc.into() }],
        expressions: BTreeMap::from([("e".into(), "\"id\" + 1".into())]),
        aggregates: BTreeMap::from([(
            "id".into(),
            view_config::AggList { aggregations: vec!["weighted mean".into(), "w".into()] },
        )]),
        filter_op: view_config::FilterReducer::Or.into(),
        group_by_depth: Some(1),
        windows: BTreeMap::from([(
            "w".into(),
            WindowSpec {
                source: "id".into(),
                op: "sum".into(),
                partition_by: vec!["name".into()],
                order_by: Some(window_spec::Order { column: "id".into(), desc: true }),
                offset: Some(1),
                alpha: Some(0.5),
                frame: Some(window_spec::Frame::Rows(3)),
            },
        )]),
        ..translate_config::to_wire(Default::default())
    })
}

fn options() -> Option<MakeTableOptions> {
    Some(MakeTableOptions {
        make_table_type: Some(MakeTableType::MakeIndexTable("id".into())),
        page_to_disk: Some(false),
        list_flatten: Some(ListFlatten::Cartesian.into()),
        view_schema: Some(schema()),
    })
}

/// Every kind of request, in field order.
pub fn requests() -> Vec<ClientReq> {
    use ClientReq as R;
    vec![
        R::GetFeaturesReq(GetFeaturesReq {}),
        R::GetHostedTablesReq(GetHostedTablesReq { subscribe: true }),
        R::TableMakePortReq(TableMakePortReq {}),
        R::TableMakeViewReq(TableMakeViewReq { view_id: "view".into(), config: config() }),
        R::TableSchemaReq(TableSchemaReq {}),
        R::TableSizeReq(TableSizeReq {}),
        R::TableValidateExprReq(TableValidateExprReq {
            column_to_expr: BTreeMap::from([("e".into(), "\"id\" + 1".into())]),
        }),
        R::ViewColumnPathsReq(ViewColumnPathsReq { start_col: Some(1), end_col: Some(2) }),
        R::ViewDeleteReq(ViewDeleteReq {}),
        R::ViewDimensionsReq(ViewDimensionsReq {}),
        R::ViewExpressionSchemaReq(ViewExpressionSchemaReq {}),
        R::ViewGetConfigReq(ViewGetConfigReq {}),
        R::ViewSchemaReq(ViewSchemaReq {}),
        R::ViewToArrowReq(ViewToArrowReq { viewport: viewport(), compression: Some("lz4".into()) }),
        R::ServerSystemInfoReq(ServerSystemInfoReq {}),
        R::ViewCollapseReq(ViewCollapseReq { row_index: 1 }),
        R::ViewExpandReq(ViewExpandReq { row_index: 2 }),
        R::ViewGetMinMaxReq(ViewGetMinMaxReq { column_name: "id".into() }),
        R::ViewOnUpdateReq(ViewOnUpdateReq { mode: Some(view_on_update_req::Mode::Row.into()) }),
        R::ViewRemoveOnUpdateReq(ViewRemoveOnUpdateReq { id: 5 }),
        R::ViewSetDepthReq(ViewSetDepthReq { depth: 1 }),
        R::ViewToColumnsStringReq(ViewToColumnsStringReq {
            viewport: viewport(),
            id: Some(true),
            index: Some(false),
            formatted: Some(true),
            leaves_only: Some(true),
        }),
        R::ViewToCsvReq(ViewToCsvReq { viewport: viewport() }),
        R::ViewToRowsStringReq(ViewToRowsStringReq {
            viewport: viewport(),
            id: Some(true),
            index: Some(false),
            formatted: Some(true),
            leaves_only: None,
        }),
        R::MakeTableReq(MakeTableReq { data: rows(), options: options() }),
        R::TableDeleteReq(TableDeleteReq { is_immediate: true }),
        R::TableOnDeleteReq(TableOnDeleteReq {}),
        R::TableRemoveDeleteReq(TableRemoveDeleteReq { id: 6 }),
        R::TableRemoveReq(TableRemoveReq {
            data: Some(MakeTableData { data: Some(Data::FromArrow(Bytes::from_static(b"ARROW1"))) }),
        }),
        R::TableReplaceReq(TableReplaceReq { data: rows() }),
        R::TableUpdateReq(TableUpdateReq { data: rows(), port_id: 3 }),
        R::ViewOnDeleteReq(ViewOnDeleteReq {}),
        R::ViewRemoveDeleteReq(ViewRemoveDeleteReq { id: 7 }),
        R::ViewToNdjsonStringReq(ViewToNdjsonStringReq {
            viewport: viewport(),
            id: None,
            index: Some(true),
            formatted: None,
            leaves_only: None,
        }),
        R::RemoveHostedTablesUpdateReq(RemoveHostedTablesUpdateReq { id: 8 }),
        R::MakeJoinTableReq(MakeJoinTableReq {
            left_table_id: "left".into(),
            right_table_id: "right".into(),
            on_column: "id".into(),
            join_type: JoinType::Outer.into(),
            right_on_column: "key".into(),
        }),
        R::ViewOnRemoveReq(ViewOnRemoveReq {}),
        R::ViewRemoveOnRemoveReq(ViewRemoveOnRemoveReq { id: 9 }),
        R::TableDescribeReq(TableDescribeReq { config: config() }),
    ]
}

/// Every kind of response, in field order.
pub fn responses() -> Vec<ClientResp> {
    use ClientResp as R;
    let fault = ExpressionError { error_message: "no such column".into(), line: 1, column: 2 };
    vec![
        R::GetFeaturesResp(features::features(true)),
        R::GetHostedTablesResp(GetHostedTablesResp {
            table_infos: vec![
                HostedTable { entity_id: "a".into(), index: Some("id".into()), limit: None },
                HostedTable { entity_id: "b".into(), index: None, limit: Some(0) },
            ],
        }),
        R::TableMakePortResp(TableMakePortResp { port_id: 1 }),
        R::TableMakeViewResp(TableMakeViewResp { view_id: "view".into() }),
        R::TableSchemaResp(TableSchemaResp { schema: Some(schema()) }),
        R::TableSizeResp(TableSizeResp { size: 1000 }),
        R::TableValidateExprResp(TableValidateExprResp {
            expression_schema: schema_map(),
            errors: BTreeMap::from([("bad".into(), fault.clone())]),
            expression_alias: BTreeMap::from([("e".into(), "\"id\" + 1".into())]),
        }),
        R::ViewColumnPathsResp(ViewColumnPathsResp {
            paths: vec!["1|a".into()],
            area: vec![view_column_paths_resp::ColumnPathLevel {
                values: vec![scalar(scalar::Scalar::Float(1.0)), scalar(scalar::Scalar::Null(0))],
            }],
        }),
        R::ViewDeleteResp(ViewDeleteResp {}),
        R::ViewDimensionsResp(ViewDimensionsResp {
            num_table_rows: 1,
            num_table_columns: 2,
            num_view_rows: 3,
            num_view_columns: 4,
        }),
        R::ViewExpressionSchemaResp(ViewExpressionSchemaResp { schema: schema_map() }),
        R::ViewGetConfigResp(ViewGetConfigResp { config: config() }),
        R::ViewSchemaResp(ViewSchemaResp { schema: schema_map() }),
        R::ViewToArrowResp(ViewToArrowResp { arrow: Bytes::from_static(b"ARROW1") }),
        R::ServerSystemInfoResp(ServerSystemInfoResp {
            heap_size: 1 << 40,
            used_size: 2,
            cpu_time: 3,
            cpu_time_epoch: 4,
        }),
        R::ViewCollapseResp(ViewCollapseResp { num_changed: 4 }),
        R::ViewExpandResp(ViewExpandResp { num_changed: 0 }),
        R::ViewGetMinMaxResp(ViewGetMinMaxResp {
            min: Some(scalar(scalar::Scalar::Float(-1.5))),
            max: Some(scalar(scalar::Scalar::Null(0))),
        }),
        R::ViewOnUpdateResp(ViewOnUpdateResp { delta: Some(Bytes::new()), port_id: 3 }),
        R::ViewRemoveOnUpdateResp(ViewRemoveOnUpdateResp {}),
        R::ViewSetDepthResp(ViewSetDepthResp {}),
        R::ViewToColumnsStringResp(ViewToColumnsStringResp { json_string: r#"{"id":[1]}"#.into() }),
        R::ViewToCsvResp(ViewToCsvResp { csv: "id\n1\n".into() }),
        R::ViewToRowsStringResp(ViewToRowsStringResp { json_string: r#"[{"id":1}]"#.into() }),
        R::MakeTableResp(MakeTableResp {}),
        R::TableDeleteResp(TableDeleteResp {}),
        R::TableOnDeleteResp(TableOnDeleteResp {}),
        R::TableRemoveDeleteResp(TableRemoveDeleteResp {}),
        R::TableRemoveResp(TableRemoveResp {}),
        R::TableReplaceResp(TableReplaceResp {}),
        R::TableUpdateResp(TableUpdateResp {}),
        R::ViewOnDeleteResp(ViewOnDeleteResp {}),
        R::ViewRemoveDeleteResp(ViewRemoveDeleteResp {}),
        R::ViewToNdjsonStringResp(ViewToNdjsonStringResp { ndjson_string: "{\"id\":1}\n".into() }),
        R::RemoveHostedTablesUpdateResp(RemoveHostedTablesUpdateResp {}),
        R::MakeJoinTableResp(MakeJoinTableResp {}),
        R::ViewOnRemoveResp(ViewOnRemoveResp { indices: Some(Bytes::from_static(b"keys")), port_id: 0 }),
        R::ViewRemoveOnRemoveResp(ViewRemoveOnRemoveResp {}),
        R::TableDescribeResp(TableDescribeResp {
            expression_schema: schema_map(),
            expression_errors: BTreeMap::from([("bad".into(), fault)]),
            result: Some(table_describe_resp::Result::View(Default::default())),
        }),
        error::view_not_found(),
    ]
}
