//! What writers with a part of a table may change.

use proscenium_actors::ActorError;
use proscenium_engine::config::ViewConfig;

use super::support::*;

const DESKS: &str = r#"
[[role.desk.grant]]
tables = ["trades"]
may = ["read", "write", "remove"]
rows = '"desk" == $claims.desk'
hide = ["client"]
mask = { trader = "'***'" }
[[role.admin.grant]]
tables = ["*"]
may = ["read", "write", "remove", "create", "drop"]
"#;

fn row(act: &'static str, key: &str) -> ActorError {
    ActorError::RowNotAuthorized { act, key: key.to_owned() }
}

#[actix_rt::test]
async fn rows_outside_of_ones_part_are_neither_changed_nor_removed_nor_created() {
    let router = router(DESKS).await;
    let ann = User::new(&router, principal("ann", "desk", &[("desk", "fx")]));
    let root = User::new(&router, principal("root", "admin", &[]));
    for (rows, error) in [
        (r#"[{"id":3,"price":1}]"#, row("change", "3")),
        (r#"[{"id":1,"price":1},{"id":6,"price":1}]"#, row("change", "6")),
        (r#"[{"id":1,"desk":"rates"}]"#, row("change", "1")),
        (r#"[{"id":3,"desk":"fx"}]"#, row("change", "3")),
        (r#"[{"id":1,"desk":null}]"#, row("change", "1")),
        (r#"[{"id":7,"desk":"rates","price":1}]"#, row("create", "7")),
        (r#"[{"id":8,"price":1}]"#, row("create", "8")),
    ] {
        assert_eq!(ann.update("trades", rows).await.unwrap_err(), error, "{rows}");
    }
    assert_eq!(ann.remove("trades", "[1, 4]").await.unwrap_err(), row("remove", "4"));
    assert!(matches!(
        ann.replace("trades", r#"[{"id":1,"desk":"fx"}]"#).await.unwrap_err(),
        ActorError::NotAuthorized { .. }
    ));
    let all = root.read("trades", ViewConfig::default()).await.unwrap();
    assert_eq!(
        all,
        r#"[{"id":1,"desk":"fx","price":10,"client":"a","trader":"ann"},{"id":2,"desk":"fx","price":20,"client":"b","trader":"bob"},{"id":3,"desk":"rates","price":30,"client":"c","trader":"ann"},{"id":4,"desk":"rates","price":40,"client":"d","trader":"bob"},{"id":5,"desk":"fx","price":50,"client":"e","trader":"cat"},{"id":6,"desk":null,"price":60,"client":"f","trader":"cat"}]"#
    );
    ann.update("trades", r#"[{"id":1,"price":11},{"id":7,"desk":"fx","price":70}]"#).await.unwrap();
    ann.remove("trades", "[2, 99]").await.unwrap();
    let mine = ann.read("trades", ViewConfig::default()).await.unwrap();
    assert_eq!(
        mine,
        r#"[{"id":1,"desk":"fx","price":11,"trader":"***"},{"id":5,"desk":"fx","price":50,"trader":"***"},{"id":7,"desk":"fx","price":70,"trader":"***"}]"#
    );
}

#[actix_rt::test]
async fn hidden_and_masked_columns_are_unknown_to_a_writer_and_keep_their_values() {
    let router = router(DESKS).await;
    let ann = User::new(&router, principal("ann", "desk", &[("desk", "fx")]));
    let root = User::new(&router, principal("root", "admin", &[]));
    // A client of the protocol may send columns that a table does not have.
    ann.update("trades", r#"[{"id":1,"price":12,"client":7,"trader":"eve","nowhere":1}]"#).await.unwrap();
    let all = root.read("trades", ViewConfig::default()).await.unwrap();
    assert!(all.starts_with(r#"[{"id":1,"desk":"fx","price":12,"client":"a","trader":"ann"}"#), "{all}");
}
