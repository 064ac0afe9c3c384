//! The names of requests.

use crate::generated::request::ClientReq;

/// Returns the request's name, for logs.
pub fn name(request: &ClientReq) -> &'static str {
    match request {
        ClientReq::GetFeaturesReq(_) => "GetFeatures",
        ClientReq::GetHostedTablesReq(_) => "GetHostedTables",
        ClientReq::TableMakePortReq(_) => "TableMakePort",
        ClientReq::TableMakeViewReq(_) => "TableMakeView",
        ClientReq::TableSchemaReq(_) => "TableSchema",
        ClientReq::TableSizeReq(_) => "TableSize",
        ClientReq::TableValidateExprReq(_) => "TableValidateExpr",
        ClientReq::ViewColumnPathsReq(_) => "ViewColumnPaths",
        ClientReq::ViewDeleteReq(_) => "ViewDelete",
        ClientReq::ViewDimensionsReq(_) => "ViewDimensions",
        ClientReq::ViewExpressionSchemaReq(_) => "ViewExpressionSchema",
        ClientReq::ViewGetConfigReq(_) => "ViewGetConfig",
        ClientReq::ViewSchemaReq(_) => "ViewSchema",
        ClientReq::ViewToArrowReq(_) => "ViewToArrow",
        ClientReq::ServerSystemInfoReq(_) => "ServerSystemInfo",
        ClientReq::ViewCollapseReq(_) => "ViewCollapse",
        ClientReq::ViewExpandReq(_) => "ViewExpand",
        ClientReq::ViewGetMinMaxReq(_) => "ViewGetMinMax",
        ClientReq::ViewOnUpdateReq(_) => "ViewOnUpdate",
        ClientReq::ViewRemoveOnUpdateReq(_) => "ViewRemoveOnUpdate",
        ClientReq::ViewSetDepthReq(_) => "ViewSetDepth",
        ClientReq::ViewToColumnsStringReq(_) => "ViewToColumnsString",
        ClientReq::ViewToCsvReq(_) => "ViewToCsv",
        ClientReq::ViewToRowsStringReq(_) => "ViewToRowsString",
        ClientReq::MakeTableReq(_) => "MakeTable",
        ClientReq::TableDeleteReq(_) => "TableDelete",
        ClientReq::TableOnDeleteReq(_) => "TableOnDelete",
        ClientReq::TableRemoveDeleteReq(_) => "TableRemoveDelete",
        ClientReq::TableRemoveReq(_) => "TableRemove",
        ClientReq::TableReplaceReq(_) => "TableReplace",
        ClientReq::TableUpdateReq(_) => "TableUpdate",
        ClientReq::ViewOnDeleteReq(_) => "ViewOnDelete",
        ClientReq::ViewRemoveDeleteReq(_) => "ViewRemoveDelete",
        ClientReq::ViewToNdjsonStringReq(_) => "ViewToNdjsonString",
        ClientReq::RemoveHostedTablesUpdateReq(_) => "RemoveHostedTablesUpdate",
        ClientReq::MakeJoinTableReq(_) => "MakeJoinTable",
        ClientReq::ViewOnRemoveReq(_) => "ViewOnRemove",
        ClientReq::ViewRemoveOnRemoveReq(_) => "ViewRemoveOnRemove",
        ClientReq::TableDescribeReq(_) => "TableDescribe",
    }
}
