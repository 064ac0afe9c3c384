//! Views of one table side by side in the worker: each replies as if it were alone.

#[path = "../../proto/tests/sharing/mod.rs"]
mod random_views;

use bytes::Bytes;
use proscenium_engine::config::Generation;
use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::make_table_req::MakeTableOptions;
use proscenium_proto::generated::make_table_req::make_table_options::MakeTableType;
use proscenium_proto::generated::{self as wire, Request, Response};
use proscenium_proto::{ClientGeneration, ClientReq, ClientResp};
use proscenium_web::{LocalServer, SessionId};
use prost::Message;
use random_views::Random;

fn ask(server: &mut LocalServer, session: SessionId, entity: &str, request: ClientReq) -> ClientResp {
    let request = Request { msg_id: 1, entity_id: entity.into(), client_req: Some(request) }.encode_to_vec();
    let reply = server.handle(session, Bytes::from(request)).swap_remove(0);
    Response::decode(reply.frame).expect("the worker writes responses").client_resp.expect("a reply")
}

fn data(rows: &str) -> Option<wire::MakeTableData> {
    Some(wire::MakeTableData { data: Some(Data::FromRows(rows.to_owned().into())) })
}

fn make_table(server: &mut LocalServer, session: SessionId, name: &str) {
    let index = Some(MakeTableType::MakeIndexTable("id".into()));
    let options = Some(MakeTableOptions { make_table_type: index, ..Default::default() });
    let request = wire::MakeTableReq { data: data(random_views::ROWS), options };
    let reply = ask(server, session, name, ClientReq::MakeTableReq(request));
    assert!(matches!(reply, ClientResp::MakeTableResp(_)), "{reply:?}");
}

fn update(server: &mut LocalServer, session: SessionId, rows: &str) {
    for table in ["first", "second", "both"] {
        let request = wire::TableUpdateReq { data: data(rows), port_id: 0 };
        let reply = ask(server, session, table, ClientReq::TableUpdateReq(request));
        assert!(matches!(reply, ClientResp::TableUpdateResp(_)), "{reply:?}");
    }
}

/// Whether the view was opened: a configuration may be refused.
fn open(
    server: &mut LocalServer,
    session: SessionId,
    table: &str,
    view: &str,
    config: &wire::ViewConfig,
) -> bool {
    let request = wire::TableMakeViewReq { view_id: view.into(), config: Some(config.clone()) };
    !matches!(ask(server, session, table, ClientReq::TableMakeViewReq(request)), ClientResp::ServerError(_))
}

#[test]
fn random_views_opened_together_reply_as_alone() {
    let mut num_compared = 0;
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let configs = random_views::pair(&mut random);
        let mut server = LocalServer::default();
        let me = server.connect();
        // The other client is of another generation than the worker assumes.
        let newer = ClientGeneration::known(Generation::V5_6);
        let second = if random.chance(2) { me } else { server.connect_as(newer) };
        for table in ["first", "second", "both"] {
            make_table(&mut server, me, table);
        }
        if !open(&mut server, me, "first", "alone 0", &configs[0]) {
            continue;
        }
        assert!(open(&mut server, me, "both", "together 0", &configs[0]));
        if random.chance(2) {
            update(&mut server, me, random_views::UPDATE);
        }
        let opened = open(&mut server, second, "second", "alone 1", &configs[1]);
        assert_eq!(open(&mut server, second, "both", "together 1", &configs[1]), opened);
        if !opened {
            continue;
        }
        num_compared += 1;
        for round in 0..2 {
            for (position, asking) in [(0, me), (1, second)] {
                for question in random_views::questions() {
                    let alone = ask(&mut server, asking, &format!("alone {position}"), question.clone());
                    let together = ask(&mut server, asking, &format!("together {position}"), question);
                    assert_eq!(
                        together, alone,
                        "seed {seed}, round {round}, view {position} of {configs:#?}"
                    );
                }
            }
            update(&mut server, me, r#"[{"id":2,"v":50,"f":3},{"id":3,"a":"m","v":-4}]"#);
        }
    }
    assert!(num_compared > 150, "{num_compared} pairs were compared");
}
