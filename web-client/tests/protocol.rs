//! The worker's protocol, without a browser: requests in, responses out.

use std::collections::BTreeMap;

use bytes::Bytes;
use proscenium_proto::generated::columns_update::{Columns, OptColumns};
use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::make_table_req::MakeTableOptions;
use proscenium_proto::generated::make_table_req::make_table_options::MakeTableType;
use proscenium_proto::generated::{self as wire, Request, Response};
use proscenium_proto::{ClientReq, ClientResp};
use proscenium_web::{LocalServer, SessionId};
use prost::Message;

/// A worker with clients.
struct Stage {
    server: LocalServer,
    next: u32,
}

impl Stage {
    fn new() -> (Stage, SessionId) {
        let mut server = LocalServer::default();
        let session = server.connect();
        (Stage { server, next: 0 }, session)
    }

    /// All messages that one request causes, in order.
    fn ask(&mut self, session: SessionId, entity: &str, asked: ClientReq) -> Vec<(SessionId, Response)> {
        self.next += 1;
        let request =
            Request { msg_id: self.next, entity_id: entity.into(), client_req: Some(asked) }.encode_to_vec();
        let outgoing = self.server.handle(session, Bytes::from(request));
        outgoing
            .into_iter()
            .map(|out| (out.session, Response::decode(out.frame).expect("the worker writes responses")))
            .collect()
    }

    /// The reply, which must be the first message.
    fn reply(&mut self, session: SessionId, entity: &str, asked: ClientReq) -> ClientResp {
        let responses = self.ask(session, entity, asked);
        let (to, response) = responses.into_iter().next().expect("a request has a reply");
        assert_eq!((to, response.msg_id, response.entity_id.as_str()), (session, self.next, entity));
        response.client_resp.expect("a response has a kind")
    }

    fn make(&mut self, session: SessionId, table: &str, rows: &str) {
        let index = MakeTableType::MakeIndexTable("id".into());
        let request = wire::MakeTableReq {
            data: data(rows),
            options: Some(MakeTableOptions { make_table_type: Some(index), ..Default::default() }),
        };
        let reply = self.reply(session, table, ClientReq::MakeTableReq(request));
        assert!(matches!(reply, ClientResp::MakeTableResp(_)), "{reply:?}");
    }

    fn open(&mut self, session: SessionId, table: &str, view_id: &str, config: wire::ViewConfig) {
        let request = wire::TableMakeViewReq { view_id: view_id.into(), config: Some(config) };
        let reply = self.reply(session, table, ClientReq::TableMakeViewReq(request));
        assert!(matches!(reply, ClientResp::TableMakeViewResp(_)), "{reply:?}");
    }

    fn columns(&mut self, session: SessionId, view: &str) -> String {
        let request = wire::ViewToColumnsStringReq::default();
        match self.reply(session, view, ClientReq::ViewToColumnsStringReq(request)) {
            ClientResp::ViewToColumnsStringResp(reply) => reply.json_string,
            other => panic!("{other:?}"),
        }
    }
}

fn data(rows: &str) -> Option<wire::MakeTableData> {
    Some(wire::MakeTableData { data: Some(Data::FromRows(rows.to_owned().into())) })
}

fn update(rows: &str, port_id: u32) -> ClientReq {
    ClientReq::TableUpdateReq(wire::TableUpdateReq { data: data(rows), port_id })
}

fn grouped() -> wire::ViewConfig {
    let columns = Columns { columns: vec!["x".into()] };
    wire::ViewConfig {
        group_by: vec!["g".into()],
        columns: Some(wire::ColumnsUpdate { opt_columns: Some(OptColumns::Columns(columns)) }),
        aggregates: BTreeMap::new(),
        ..Default::default()
    }
}

const ROWS: &str = r#"[{"id":1,"g":"a","x":1},{"id":2,"g":"b","x":2},{"id":3,"g":"a","x":3}]"#;

#[test]
fn a_view_follows_its_table() {
    let (mut stage, me) = Stage::new();
    stage.make(me, "t", ROWS);
    stage.open(me, "t", "v", grouped());
    assert_eq!(stage.columns(me, "v"), r#"{"__ROW_PATH__":[[],["a"],["b"]],"x":[6,4,2]}"#);
    stage.ask(me, "t", update(r#"[{"id":2,"x":20},{"id":4,"g":"c","x":5}]"#, 0));
    assert_eq!(stage.columns(me, "v"), r#"{"__ROW_PATH__":[[],["a"],["b"],["c"]],"x":[29,4,20,5]}"#);
}

#[test]
fn every_subscriber_is_notified_of_an_update_after_its_reply() {
    let (mut stage, me) = Stage::new();
    let other = stage.server.connect();
    stage.make(me, "t", ROWS);
    stage.open(other, "t", "v", wire::ViewConfig::default());
    let mode = Some(0);
    assert_eq!(stage.ask(other, "v", ClientReq::ViewOnUpdateReq(wire::ViewOnUpdateReq { mode })), []);
    let notified = stage.ask(me, "t", update(r#"[{"id":1,"x":10}]"#, 0));
    assert_eq!(notified.iter().map(|(session, _)| *session).collect::<Vec<_>>(), [me, other]);
    let Some(ClientResp::ViewOnUpdateResp(update)) = &notified[1].1.client_resp else {
        panic!("{notified:?}")
    };
    assert!(update.delta.as_ref().is_some_and(|delta| !delta.is_empty()));
}

#[test]
fn a_closed_connection_takes_its_views_and_leaves_its_tables() {
    let (mut stage, me) = Stage::new();
    let other = stage.server.connect();
    stage.make(other, "t", ROWS);
    stage.open(other, "t", "v", wire::ViewConfig::default());
    let delete = ClientReq::TableDeleteReq(wire::TableDeleteReq { is_immediate: true });
    assert!(matches!(stage.reply(me, "t", delete.clone()), ClientResp::ServerError(_)));
    stage.server.disconnect(other);
    assert!(matches!(stage.reply(me, "t", delete), ClientResp::TableDeleteResp(_)));
}

#[test]
fn a_lazy_deletion_completes_when_the_last_view_closes() {
    let (mut stage, me) = Stage::new();
    stage.make(me, "t", ROWS);
    stage.open(me, "t", "v", wire::ViewConfig::default());
    let lazy = ClientReq::TableDeleteReq(wire::TableDeleteReq { is_immediate: false });
    assert_eq!(stage.ask(me, "t", lazy), []);
    let order = stage.next;
    let notified = stage.ask(me, "v", ClientReq::ViewDeleteReq(wire::ViewDeleteReq {}));
    assert!(matches!(notified[0].1.client_resp, Some(ClientResp::ViewDeleteResp(_))));
    assert_eq!((notified[1].1.msg_id, notified[1].1.entity_id.as_str()), (order, "t"));
}

#[test]
fn edits_are_distinguished_from_the_feed() {
    let (mut stage, me) = Stage::new();
    stage.make(me, "t", ROWS);
    let port = |stage: &mut Stage| match stage.reply(
        me,
        "t",
        ClientReq::TableMakePortReq(wire::TableMakePortReq {}),
    ) {
        ClientResp::TableMakePortResp(reply) => reply.port_id,
        other => panic!("{other:?}"),
    };
    let (feed, hand) = (port(&mut stage), port(&mut stage));
    stage.server.watch_edits("t".into(), feed);
    stage.ask(me, "t", update(r#"[{"id":1,"x":7}]"#, 0));
    stage.ask(me, "t", update(r#"[{"id":1,"x":8}]"#, feed));
    assert_eq!(stage.server.take_edits(), []);
    stage.ask(me, "t", update(r#"[{"__INDEX__":1,"x":9}]"#, hand));
    let edits = stage.server.take_edits();
    assert_eq!((edits.len(), edits[0].format), (1, "json"));
    assert_eq!(edits[0].data, r#"[{"__INDEX__":1,"x":9}]"#);
}

#[test]
fn errors_are_replies() {
    let (mut stage, me) = Stage::new();
    let size = || ClientReq::TableSizeReq(wire::TableSizeReq {});
    assert!(matches!(stage.reply(me, "nowhere", size()), ClientResp::ServerError(_)));
    let dimensions = ClientReq::ViewDimensionsReq(wire::ViewDimensionsReq {});
    let ClientResp::ServerError(error) = stage.reply(me, "nothing", dimensions) else { panic!("an error") };
    assert_eq!(error.status_code(), wire::StatusCode::ViewNotFound);
    let garbage = stage.server.handle(me, Bytes::from_static(&[0xff; 20]));
    assert_eq!(garbage.len(), 1);
    stage.make(me, "t", ROWS);
    let bad = stage.reply(me, "t", update("[{", 0));
    assert!(matches!(bad, ClientResp::ServerError(_)));
    assert!(matches!(stage.reply(me, "t", size()), ClientResp::TableSizeResp(reply) if reply.size == 3));
}

fn from_view(view_id: &str) -> ClientReq {
    let data = Some(wire::MakeTableData { data: Some(Data::FromView(view_id.into())) });
    ClientReq::MakeTableReq(wire::MakeTableReq { data, options: None })
}

fn join(left: &str, right: &str) -> ClientReq {
    ClientReq::MakeJoinTableReq(wire::MakeJoinTableReq {
        left_table_id: left.into(),
        right_table_id: right.into(),
        on_column: "id".into(),
        join_type: wire::JoinType::Inner.into(),
        right_on_column: String::new(),
    })
}

fn fault(reply: ClientResp) -> String {
    match reply {
        ClientResp::ServerError(error) => error.message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn derived_tables_follow_their_sources_within_the_request() {
    let (mut stage, me) = Stage::new();
    stage.make(me, "left", ROWS);
    stage.make(me, "right", r#"[{"id":1,"y":10},{"id":3,"y":30}]"#);
    stage.open(me, "left", "groups", grouped());
    assert!(matches!(stage.reply(me, "derived", from_view("groups")), ClientResp::MakeTableResp(_)));
    assert!(matches!(stage.reply(me, "joined", join("left", "right")), ClientResp::MakeJoinTableResp(_)));
    assert!(
        matches!(stage.reply(me, "twice", join("joined", "right")), ClientResp::ServerError(_)),
        "y is in both"
    );
    stage.open(me, "joined", "rows", wire::ViewConfig::default());
    assert!(matches!(stage.reply(me, "of rows", from_view("rows")), ClientResp::MakeTableResp(_)));
    stage.open(me, "derived", "d", wire::ViewConfig::default());
    stage.open(me, "of rows", "r", wire::ViewConfig::default());
    let on_update = ClientReq::ViewOnUpdateReq(wire::ViewOnUpdateReq { mode: Some(0) });
    stage.ask(me, "r", on_update);

    let notified = stage.ask(me, "left", update(r#"[{"id":3,"g":"b","x":7}]"#, 0));
    assert_eq!(notified.len(), 2, "the reply, and the notification of the table two steps away");
    assert_eq!(notified[1].1.entity_id, "r");
    assert_eq!(stage.columns(me, "d"), r#"{"g":[null,"a","b"],"x":[10,1,9]}"#);
    assert_eq!(stage.columns(me, "r"), r#"{"id":[1,3],"g":["a","b"],"x":[1,7],"y":[10,30]}"#);

    assert_eq!(fault(stage.reply(me, "joined", update("[]", 0))), "Cannot update a read-only join table");
    let delete_view = ClientReq::ViewDeleteReq(wire::ViewDeleteReq {});
    assert_eq!(
        fault(stage.reply(me, "groups", delete_view.clone())),
        "Cannot delete view: it is the source for a derived table"
    );
    let delete = ClientReq::TableDeleteReq(wire::TableDeleteReq { is_immediate: true });
    assert_eq!(
        fault(stage.reply(me, "right", delete.clone())),
        "Cannot delete table: it is a source for join table \"joined\""
    );
    stage.ask(me, "d", delete_view.clone());
    assert!(matches!(stage.reply(me, "derived", delete), ClientResp::TableDeleteResp(_)));
    assert!(matches!(stage.reply(me, "groups", delete_view), ClientResp::ViewDeleteResp(_)));
    assert_eq!(fault(stage.reply(me, "x", from_view("nobody"))), "View \"nobody\" does not exist");
}

#[test]
fn equal_views_expand_apart_and_outlive_each_other() {
    let (mut stage, me) = Stage::new();
    let other = stage.server.connect();
    stage.make(me, "t", ROWS);
    stage.open(me, "t", "mine", grouped());
    stage.open(other, "t", "theirs", grouped());
    stage.ask(me, "mine", ClientReq::ViewCollapseReq(wire::ViewCollapseReq { row_index: 0 }));
    stage.ask(me, "t", update(r#"[{"id":4,"g":"c","x":5}]"#, 0));
    assert_eq!(stage.columns(me, "mine"), r#"{"__ROW_PATH__":[[]],"x":[11]}"#);
    let all = r#"{"__ROW_PATH__":[[],["a"],["b"],["c"]],"x":[11,4,2,5]}"#;
    assert_eq!(stage.columns(other, "theirs"), all);
    stage.server.disconnect(me);
    stage.ask(other, "t", update(r#"[{"id":4,"g":"c","x":6}]"#, 0));
    assert_eq!(stage.columns(other, "theirs"), all.replace("11", "12").replace("2,5]", "2,6]"));
}

#[test]
fn clients_of_both_generations_share_a_worker() {
    use proscenium_engine::config::Generation;
    use proscenium_proto::ClientGeneration;

    let (mut stage, old) = Stage::new();
    let new = stage.server.connect_as(ClientGeneration::known(Generation::V5_6));
    stage.make(old, "t", r#"[{"id":1,"g":"a","x":null},{"id":2,"g":"b","x":2}]"#);
    let csv = |stage: &mut Stage, session, view: &str| match stage.reply(
        session,
        view,
        ClientReq::ViewToCsvReq(wire::ViewToCsvReq::default()),
    ) {
        ClientResp::ViewToCsvResp(reply) => reply.csv,
        other => panic!("{other:?}"),
    };
    stage.open(old, "t", "old", grouped());
    stage.open(new, "t", "new", grouped());
    assert_eq!(csv(&mut stage, old, "old"), "\"g (Group by 1)\",\"x\"\n,2\n\"a\",0\n\"b\",2\n");
    assert_eq!(csv(&mut stage, new, "new"), "\"g\",\"x\"\n,2\n\"a\",\n\"b\",2\n");
    // A request that only newer clients send determines the generation.
    let third = stage.server.connect();
    stage.reply(third, "t", ClientReq::TableDescribeReq(wire::TableDescribeReq::default()));
    stage.open(third, "t", "third", grouped());
    assert_eq!(csv(&mut stage, third, "third"), csv(&mut stage, new, "new"));
}
