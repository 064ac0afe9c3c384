//! Tables from views of durable tables: their rows, columns and order after restarts, and without their sources.

use proscenium_actors::checkpointer;
use proscenium_actors::table::Crash;
use proscenium_gateway::Running;
use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp};

use super::durable::{DELETED, DataFolder, all_rows, by_name};
use super::support::*;

async fn checkpoint(server: &Running) {
    let data = server.catalog().data().expect("a data directory").clone();
    checkpointer::make(server.catalog(), &data).await.expect("a checkpoint").expect("one of all tables");
}

#[tokio::test]
async fn a_table_from_a_view_outlives_its_source() {
    let folder = DataFolder::new();
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    client.make_table("indexed", r#"[{"k":2,"name":"b"},{"k":1,"name":"a"}]"#, Some("k")).await;
    let mut other = Client::connect(&server).await;
    for (view, config, table) in [("pivot", by_name(), "counts"), ("flat", ViewConfig::default(), "copy")] {
        other.make_view("indexed", view, config).await;
        let data = Some(MakeTableData { data: Some(Data::FromView(view.into())) });
        other.ask(table, ClientReq::MakeTableReq(MakeTableReq { data, options: None })).await;
    }
    // Of a table that is about to be kept, too.
    other.make_view("counts", "again", ViewConfig::default()).await;
    let of_counts = Some(MakeTableData { data: Some(Data::FromView("again".into())) });
    other.ask("counted", ClientReq::MakeTableReq(MakeTableReq { data: of_counts, options: None })).await;
    client.update("indexed", r#"[{"k":4,"name":"z"},{"k":3,"name":"b"}]"#).await;
    client.update("indexed", r#"[{"k":0,"name":"c"},{"k":5,"name":null}]"#).await;
    drop(other);
    while client.ask("indexed", delete_table(false)).await != DELETED {
        // The views of the other connection end when the server notices that it has closed.
        tokio::task::yield_now().await;
    }
    let tables = ["counts", "copy", "counted"];
    let before = all_rows(&mut client, &tables).await;
    assert!(before[0].contains("\"z\"") && before[1].contains("\"k\":5"), "{before:?}");
    drop(client);
    server.stop();
    for round in 0..4 {
        let server = folder.start();
        let mut client = Client::connect(&server).await;
        assert_eq!(all_rows(&mut client, &tables).await, before, "start {round}");
        let update = ClientReq::TableUpdateReq(TableUpdateReq { data: data(r#"[{"k":9}]"#), port_id: 0 });
        match client.ask("copy", update).await {
            ClientResp::ServerError(error) => assert!(error.message.contains("read-only"), "{error:?}"),
            other => panic!("an error: {other:?}"),
        }
        // The first starts read it from the log, the later ones from checkpoints.
        if round > 0 {
            let data = server.catalog().data().expect("a data directory").clone();
            checkpointer::make(server.catalog(), &data)
                .await
                .expect("a checkpoint")
                .expect("one of all tables");
        }
        drop(client);
        server.stop();
    }
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    for table in ["counted", "counts", "copy"] {
        assert_eq!(client.ask(table, delete_table(false)).await, DELETED);
    }
    drop(client);
    server.stop();
    assert!(Client::connect(&folder.start()).await.hosted().await.is_empty());
}

#[tokio::test]
async fn a_split_table_has_the_columns_of_its_creation_after_a_restart() {
    let folder = DataFolder::new();
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", r#"[{"g":"a","s":"x","v":1}]"#, None).await;
    let config = ViewConfig { group_by: vec!["g".into()], split_by: vec!["s".into()], ..Default::default() };
    client.make_view("t", "split", config).await;
    let data = Some(MakeTableData { data: Some(Data::FromView("split".into())) });
    client.ask("derived", ClientReq::MakeTableReq(MakeTableReq { data, options: None })).await;
    client.update("t", r#"[{"g":"a","s":"y","v":1}]"#).await;
    let before = all_rows(&mut client, &["derived"]).await;
    drop(client);
    server.stop();
    assert_eq!(all_rows(&mut Client::connect(&folder.start()).await, &["derived"]).await, before);
}

#[tokio::test]
async fn groups_keep_their_order_over_restarts_checkpoints_and_failures() {
    let folder = DataFolder::new();
    let mut before = Vec::new();
    for round in 0..6 {
        let server = folder.start();
        let mut client = Client::connect(&server).await;
        if round == 0 {
            client.make_table("t", r#"[{"k":1,"name":"m"},{"k":2,"name":"b"}]"#, Some("k")).await;
            let config = ViewConfig {
                sort: vec![view_config::Sort { column: "k".into(), op: SortOp::SortDesc.into() }],
                ..by_name()
            };
            client.make_view("t", "pivot", config).await;
            let data = Some(MakeTableData { data: Some(Data::FromView("pivot".into())) });
            client.ask("derived", ClientReq::MakeTableReq(MakeTableReq { data, options: None })).await;
        } else {
            assert_eq!(all_rows(&mut client, &["derived"]).await, before, "start {round}");
        }
        // Each round adds groups that the view's order puts before the older ones, and takes one away and back.
        for number in 0..3 {
            let key = 100 * (round + 1) + number;
            let name = char::from(b'z' - (3 * round + number) as u8);
            client.update("t", &format!(r#"[{{"k":{key},"name":"{name}"}}]"#)).await;
        }
        client.update("t", r#"[{"k":2,"name":"m"}]"#).await;
        client.update("t", r#"[{"k":2,"name":"b"}]"#).await;
        if round % 2 == 1 {
            checkpoint(&server).await;
            client.update("t", &format!(r#"[{{"k":{round},"name":"after {round}"}}]"#)).await;
        }
        before = all_rows(&mut client, &["derived"]).await;
        if round == 3 {
            let [table, derived] =
                ["t", "derived"].map(|name| server.catalog().table(name).expect("a table"));
            table.mailbox.post(Crash { view_id: None }).await;
            // It, and what follows it, is made again.
            let is_anew =
                |name: &str, stream| server.catalog().table(name).is_ok_and(|found| found.stream != stream);
            while !is_anew("t", table.stream) || !is_anew("derived", derived.stream) {
                tokio::task::yield_now().await;
            }
            let mut client = Client::connect(&server).await;
            assert_eq!(all_rows(&mut client, &["derived"]).await, before, "after a failure");
        }
        drop(client);
        server.stop();
    }
}
