//! The requests of the protocol, one file each: decode → call → encode.
//!
//! Invariant: a request declares its scope ([`Prepared`]) before it runs, and gets exactly one reply, except for
//! requests whose success the protocol leaves without one. No request fails a connection.

mod call;
mod features;
mod hosted_tables;
mod make_join_table;
mod make_table;
mod prepared;
mod remove_hosted_tables_update;
mod system_info;
mod table_delete;
mod table_describe;
mod table_make_port;
mod table_make_view;
mod table_on_delete;
mod table_remove;
mod table_remove_delete;
mod table_replace;
mod table_schema;
mod table_size;
mod table_update;
mod table_validate_expr;
mod view_collapse;
mod view_column_paths;
mod view_delete;
mod view_dimensions;
mod view_expand;
mod view_expression_schema;
mod view_get_config;
mod view_get_min_max;
mod view_on_delete;
mod view_on_remove;
mod view_on_update;
mod view_remove_delete;
mod view_remove_on_remove;
mod view_remove_on_update;
mod view_schema;
mod view_set_depth;
mod view_to_arrow;
mod view_to_columns_string;
mod view_to_csv;
mod view_to_ndjson_string;
mod view_to_rows_string;

use proscenium_proto::{ClientGeneration, ClientReq};

pub use call::Call;
pub use prepared::{About, Prepared, Scope, Sending};
pub use system_info::Meter;

/// Decodes a request. `client` is the generation whose rules the reply follows.
pub fn prepare(request: ClientReq, client: ClientGeneration) -> Prepared {
    match request {
        ClientReq::GetFeaturesReq(request) => features::prepare(request),
        ClientReq::GetHostedTablesReq(request) => hosted_tables::prepare(request),
        ClientReq::TableMakePortReq(request) => table_make_port::prepare(request),
        ClientReq::TableMakeViewReq(request) => table_make_view::prepare(request, client),
        ClientReq::TableSchemaReq(request) => table_schema::prepare(request),
        ClientReq::TableSizeReq(request) => table_size::prepare(request),
        ClientReq::TableValidateExprReq(request) => table_validate_expr::prepare(request),
        ClientReq::ViewColumnPathsReq(request) => view_column_paths::prepare(request),
        ClientReq::ViewDeleteReq(request) => view_delete::prepare(request),
        ClientReq::ViewDimensionsReq(request) => view_dimensions::prepare(request),
        ClientReq::ViewExpressionSchemaReq(request) => view_expression_schema::prepare(request),
        ClientReq::ViewGetConfigReq(request) => view_get_config::prepare(request),
        ClientReq::ViewSchemaReq(request) => view_schema::prepare(request),
        ClientReq::ViewToArrowReq(request) => view_to_arrow::prepare(request, client),
        ClientReq::ServerSystemInfoReq(request) => system_info::prepare(request),
        ClientReq::ViewCollapseReq(request) => view_collapse::prepare(request),
        ClientReq::ViewExpandReq(request) => view_expand::prepare(request),
        ClientReq::ViewGetMinMaxReq(request) => view_get_min_max::prepare(request),
        ClientReq::ViewOnUpdateReq(request) => view_on_update::prepare(request),
        ClientReq::ViewRemoveOnUpdateReq(request) => view_remove_on_update::prepare(request),
        ClientReq::ViewSetDepthReq(request) => view_set_depth::prepare(request),
        ClientReq::ViewToColumnsStringReq(request) => view_to_columns_string::prepare(request),
        ClientReq::ViewToCsvReq(request) => view_to_csv::prepare(request, client),
        ClientReq::ViewToRowsStringReq(request) => view_to_rows_string::prepare(request),
        ClientReq::MakeTableReq(request) => make_table::prepare(request),
        ClientReq::TableDeleteReq(request) => table_delete::prepare(request),
        ClientReq::TableOnDeleteReq(request) => table_on_delete::prepare(request),
        ClientReq::TableRemoveDeleteReq(request) => table_remove_delete::prepare(request),
        ClientReq::TableRemoveReq(request) => table_remove::prepare(request),
        ClientReq::TableReplaceReq(request) => table_replace::prepare(request),
        ClientReq::TableUpdateReq(request) => table_update::prepare(request),
        ClientReq::ViewOnDeleteReq(request) => view_on_delete::prepare(request),
        ClientReq::ViewRemoveDeleteReq(request) => view_remove_delete::prepare(request),
        ClientReq::ViewToNdjsonStringReq(request) => view_to_ndjson_string::prepare(request),
        ClientReq::RemoveHostedTablesUpdateReq(request) => remove_hosted_tables_update::prepare(request),
        ClientReq::MakeJoinTableReq(request) => make_join_table::prepare(request),
        ClientReq::ViewOnRemoveReq(request) => view_on_remove::prepare(request),
        ClientReq::ViewRemoveOnRemoveReq(request) => view_remove_on_remove::prepare(request),
        ClientReq::TableDescribeReq(request) => table_describe::prepare(request, client),
    }
}
