//! A client that sends plain protocol messages, and the requests that most tests need.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use proscenium_gateway::{Config, Running, Server};
use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::make_table_req::MakeTableOptions;
use proscenium_proto::generated::make_table_req::make_table_options::MakeTableType;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp, Request, Response};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Timeout of a test, long enough for a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn start() -> Running {
    Server::start(Config { threads: 2, ..Config::on_free_port() }).expect("the server starts")
}

pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_id: u32,
}

impl Client {
    pub async fn connect(server: &Running) -> Client {
        Client::connect_to(server, "").await
    }

    /// Connects with a query after the path.
    pub async fn connect_to(server: &Running, query: &str) -> Client {
        let url = format!("ws://{}/any/path/websocket{query}", server.addresses().http);
        let (socket, _) = tokio_tungstenite::connect_async(url).await.expect("a connection");
        Client { socket, next_id: 1000 }
    }

    /// Sends a request under this number, without waiting.
    pub async fn send_as(&mut self, msg_id: u32, entity: &str, request: ClientReq) {
        let request = Request { msg_id, entity_id: entity.into(), client_req: Some(request) };
        self.send_bytes(request.encode_to_vec()).await;
    }

    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::Binary(bytes.into())).await.expect("the connection stands");
    }

    /// Sends a request and returns its number.
    pub async fn send(&mut self, entity: &str, request: ClientReq) -> u32 {
        self.next_id += 1;
        self.send_as(self.next_id, entity, request).await;
        self.next_id
    }

    /// Receives the next message.
    pub async fn receive(&mut self) -> Response {
        self.receive_or_end().await.expect("a message")
    }

    /// Receives the next message, or the close frame if the connection ended.
    pub async fn receive_or_end(&mut self) -> Result<Response, Option<CloseFrame>> {
        loop {
            let message =
                tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("something in time");
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    return Ok(Response::decode(bytes).expect("the server sends messages"));
                }
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Sends a request and receives its reply, which must be the next message.
    pub async fn ask(&mut self, entity: &str, request: ClientReq) -> ClientResp {
        let (received, reply) = self.ask_and_receive(entity, request).await;
        assert!(received.is_empty(), "before the reply: {received:?}");
        reply
    }

    /// Sends a request and receives its reply, together with the messages before it.
    pub async fn ask_and_receive(&mut self, entity: &str, request: ClientReq) -> (Vec<Response>, ClientResp) {
        let msg_id = self.send(entity, request).await;
        let mut received = Vec::new();
        loop {
            let response = self.receive().await;
            if response.msg_id == msg_id {
                assert_eq!(response.entity_id, entity);
                return (received, response.client_resp.expect("a response has a kind"));
            }
            received.push(response);
        }
    }

    pub async fn make_table(&mut self, name: &str, rows: &str, index: Option<&str>) {
        let reply = self.ask(name, make_table(rows, index)).await;
        assert_eq!(reply, ClientResp::MakeTableResp(MakeTableResp {}));
    }

    pub async fn make_view(&mut self, table: &str, view_id: &str, config: ViewConfig) {
        let reply = self.ask(table, make_view(view_id, config)).await;
        assert_eq!(reply, ClientResp::TableMakeViewResp(TableMakeViewResp { view_id: view_id.into() }));
    }

    pub async fn update(&mut self, table: &str, rows: &str) {
        assert_eq!(self.ask(table, update(rows)).await, UPDATED);
    }

    pub async fn rows(&mut self, view_id: &str) -> String {
        match self.ask(view_id, to_rows()).await {
            ClientResp::ViewToRowsStringResp(reply) => reply.json_string,
            other => panic!("{other:?}"),
        }
    }

    pub async fn size(&mut self, table: &str) -> u32 {
        match self.ask(table, ClientReq::TableSizeReq(TableSizeReq {})).await {
            ClientResp::TableSizeResp(reply) => reply.size,
            other => panic!("{other:?}"),
        }
    }

    pub async fn hosted(&mut self) -> Vec<String> {
        let request = ClientReq::GetHostedTablesReq(GetHostedTablesReq { subscribe: false });
        match self.ask("", request).await {
            ClientResp::GetHostedTablesResp(reply) => {
                reply.table_infos.into_iter().map(|table| table.entity_id).collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

pub const UPDATED: ClientResp = ClientResp::TableUpdateResp(TableUpdateResp {});

pub fn make_table(rows: &str, index: Option<&str>) -> ClientReq {
    let make_table_type = index.map(|index| MakeTableType::MakeIndexTable(index.into()));
    ClientReq::MakeTableReq(MakeTableReq {
        data: data(rows),
        options: Some(MakeTableOptions { make_table_type, ..Default::default() }),
    })
}

pub fn make_view(view_id: &str, config: ViewConfig) -> ClientReq {
    ClientReq::TableMakeViewReq(TableMakeViewReq { view_id: view_id.into(), config: Some(config) })
}

pub fn update(rows: &str) -> ClientReq {
    ClientReq::TableUpdateReq(TableUpdateReq { data: data(rows), port_id: 0 })
}

pub fn to_rows() -> ClientReq {
    ClientReq::ViewToRowsStringReq(ViewToRowsStringReq::default())
}

pub fn on_update(rows: bool) -> ClientReq {
    let mode = rows.then(|| view_on_update_req::Mode::Row.into());
    ClientReq::ViewOnUpdateReq(ViewOnUpdateReq { mode })
}

pub fn delete_table(lazy: bool) -> ClientReq {
    ClientReq::TableDeleteReq(TableDeleteReq { is_immediate: !lazy })
}

pub fn delete_view() -> ClientReq {
    ClientReq::ViewDeleteReq(ViewDeleteReq {})
}

pub fn data(rows: &str) -> Option<MakeTableData> {
    Some(MakeTableData { data: Some(Data::FromRows(rows.to_owned().into())) })
}

/// A short description of a response: its number and its kind.
pub fn short(response: &Response) -> String {
    let kind = match &response.client_resp {
        None => "HostedChanged",
        Some(ClientResp::TableUpdateResp(_)) => "Updated",
        Some(ClientResp::TableReplaceResp(_)) => "Replaced",
        Some(ClientResp::ViewOnUpdateResp(notification)) if notification.delta.is_some() => "OnUpdateRows",
        Some(ClientResp::ViewOnUpdateResp(_)) => "OnUpdate",
        Some(ClientResp::ViewOnRemoveResp(_)) => "OnRemove",
        Some(ClientResp::ViewOnDeleteResp(_)) => "ViewOnDelete",
        Some(ClientResp::ViewDeleteResp(_)) => "ViewDeleted",
        Some(ClientResp::TableOnDeleteResp(_)) => "TableOnDelete",
        Some(ClientResp::TableDeleteResp(_)) => "TableDeleted",
        Some(ClientResp::TableSizeResp(_)) => "Size",
        Some(ClientResp::MakeTableResp(_)) => "MadeTable",
        Some(ClientResp::TableMakeViewResp(_)) => "MadeView",
        Some(ClientResp::ViewToRowsStringResp(_)) => "Rows",
        Some(ClientResp::GetHostedTablesResp(_)) => "Hosted",
        Some(ClientResp::ServerError(error)) => return format!("{} {}", response.msg_id, error.message),
        Some(other) => return format!("{} {other:?}", response.msg_id),
    };
    format!("{} {kind}", response.msg_id)
}
