//! Rights of WebSocket clients: those who are not authenticated have the role `anonymous`.

use proscenium_gateway::{Config, Running, Server};
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp};

use super::client::*;
use super::support::{TRADES, roles};

/// A server whose anonymous clients see the trades of one desk, and write everything.
fn start() -> Running {
    let roles = roles(
        r#"
        [[role.anonymous.grant]]
        tables = ["*"]
        may = ["create", "write"]
        [[role.anonymous.grant]]
        tables = ["trades"]
        may = ["read"]
        rows = "\"desk\" == 'fx'"
        hide = ["client", "trader"]
        "#,
    );
    Server::start(Config { threads: 2, roles, ..Config::on_free_port() }).expect("the server starts")
}

#[tokio::test]
async fn a_client_sees_its_part_and_hears_of_nothing_else() {
    let server = start();
    let mut feed = Client::connect(&server).await;
    feed.make_table("trades", TRADES, Some("id")).await;
    let mut viewer = Client::connect(&server).await;
    viewer.make_view("trades", "v", ViewConfig::default()).await;
    assert_eq!(
        viewer.rows("v").await,
        r#"[{"id":1,"desk":"fx","price":10},{"id":2,"desk":"fx","price":20},{"id":5,"desk":"fx","price":50}]"#
    );
    viewer.send("v", on_update(true)).await;
    assert_eq!(viewer.rows("v").await.len(), 97);
    // Rows of others, and cells that are hidden: nothing is sent.
    feed.update("trades", r#"[{"id":3,"price":31},{"id":9,"desk":"rates"},{"id":1,"client":"z"}]"#).await;
    assert_eq!(viewer.rows("v").await.len(), 97);
    feed.update("trades", r#"[{"id":3,"desk":"fx"}]"#).await;
    let (received, rows) = viewer.ask_and_receive("v", to_rows()).await;
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(matches!(&received[0].client_resp, Some(ClientResp::ViewOnUpdateResp(_))));
    let ClientResp::ViewToRowsStringResp(rows) = rows else { panic!("{rows:?}") };
    assert!(rows.json_string.contains(r#"{"id":3,"desk":"fx","price":31}"#), "{rows:?}");
    let refused = viewer.ask("trades", delete_table(false)).await;
    let ClientResp::ServerError(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.message, "not authorized to drop table \"trades\"");
    let refused = viewer.ask("other", ClientReq::TableSizeReq(TableSizeReq {})).await;
    assert!(matches!(refused, ClientResp::ServerError(_)));
    drop((feed, viewer));
    server.stop();
}
