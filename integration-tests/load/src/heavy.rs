//! Heavy requests of one client, beside which the deliveries to all others are measured.
//!
//! Each is prepared (its tables are made) before the measurement, and sent during it, on a thread of its own.

use std::fmt::Write as _;

use clap::ValueEnum;
use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp};

use super::Failure;
use super::client::Client;
use super::market::{columns, names};

/// A heavy request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Heavy {
    /// Nothing, for comparison.
    Nothing,
    /// The join of 2,000,000 texts as one value.
    JoinAggregate,
    /// 50 rows of a view split by 20,000 values, and a table of 20,000 columns.
    WideSlices,
    /// Filters with 200,000 operands, on 1,000,000 rows.
    LongFilters,
    /// 100,000 new tables.
    ManyTables,
    /// All 20,000 × 20,000 cells of a pivot.
    LargePivot,
    /// A join of 40,000 and 40,000 rows with one key.
    LargeJoin,
    /// 40 views with 100 new expressions each, on 1,000,000 rows.
    ManyExpressions,
    /// A new text of 5 KB for each of 1,000,000 rows.
    LongTexts,
    /// 2,000 views, requested by a client that leaves at once.
    LeavingClient,
    /// 2,000,000 rows into a table, and in its place.
    LargeUpload,
    /// All of 1,000,000 rows × 20 columns as CSV.
    LargeExport,
}

/// The rows of most tables.
const MANY: usize = 1_000_000;

impl Heavy {
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Makes the tables.
    pub async fn prepare(self, client: &mut Client) -> Result<(), Failure> {
        match self {
            Heavy::Nothing | Heavy::ManyTables => Ok(()),
            Heavy::JoinAggregate => {
                client.make("h", csv("g,s", 2 * MANY, |row| format!("0,text-number-{row}"))).await?;
                let config = ViewConfig {
                    aggregates: [("s".to_owned(), agg("join"))].into(),
                    group_by: names(&["g"]),
                    columns: columns(&["s"]),
                    ..Default::default()
                };
                client.open_view("h", "h join", config).await
            }
            Heavy::WideSlices => {
                client.make("h", csv("a,b,x", 20_000, |row| format!("{},{row},1.5", row % 50))).await
            }
            Heavy::LongFilters | Heavy::ManyExpressions | Heavy::LongTexts | Heavy::LeavingClient => {
                client.make("h", csv("a,x", MANY, |row| format!("{row},{}", row * 7919 % MANY))).await
            }
            Heavy::LargePivot => {
                client.make("h", csv("a,b,x", 20_000, |row| format!("{row},{row},1.5"))).await
            }
            Heavy::LargeJoin => {
                client.make("h", csv("k,a", 40_000, |row| format!("0,{row}"))).await?;
                client.make("h2", csv("k,b", 40_000, |row| format!("0,{row}"))).await
            }
            Heavy::LargeUpload => client.make("h", upload(1)).await,
            Heavy::LargeExport => {
                let head: Vec<String> = (0..20).map(|column| format!("x{column}")).collect();
                let line = |row: usize| {
                    let cells: Vec<String> = (0..20).map(|column| format!("{row}.{column}1")).collect();
                    cells.join(",")
                };
                client.make("h", csv(&head.join(","), MANY, line)).await
            }
        }
    }

    /// Sends the requests and returns what became of them.
    pub async fn act(self, client: &mut Client, url: &str) -> Result<String, Failure> {
        let all = || ClientReq::ViewToColumnsStringReq(ViewToColumnsStringReq::default());
        match self {
            Heavy::Nothing => Ok("nothing was done".to_owned()),
            Heavy::JoinAggregate => client.outcome("h join", all()).await,
            Heavy::WideSlices => {
                let config = ViewConfig {
                    group_by: names(&["a"]),
                    split_by: names(&["b"]),
                    columns: columns(&["x"]),
                    ..Default::default()
                };
                client.open_view("h", "h wide", config).await?;
                let sliced = client.outcome("h wide", all()).await?;
                let head: Vec<String> = (0..20_000).map(|column| format!("x{column}")).collect();
                let line = vec!["1"; 20_000].join(",");
                let table = csv(&head.join(","), 50, |_| line.clone());
                let made = client.outcome("h many", make_table(table)).await?;
                client.open_view("h many", "h many view", ViewConfig::default()).await?;
                Ok(format!("{sliced}; {made}; {}", client.outcome("h many view", all()).await?))
            }
            Heavy::LongFilters => {
                let value = |row: usize| Scalar { scalar: Some(scalar::Scalar::Float((row * 3) as f64)) };
                let filter = view_config::Filter {
                    column: "a".into(),
                    op: "in".into(),
                    value: (0..200_000).map(value).collect(),
                };
                let mut outcomes = String::new();
                for number in 0..5 {
                    let (view_id, mut filter) = (format!("h {number}"), filter.clone());
                    filter.value.truncate(200_000 - number);
                    let config = ViewConfig { filter: vec![filter], ..Default::default() };
                    client.open_view("h", &view_id, config).await?;
                    let viewport = Some(ViewPort { end_row: Some(50), ..Default::default() });
                    let request = ViewToColumnsStringReq { viewport, ..Default::default() };
                    outcomes = client.outcome(&view_id, ClientReq::ViewToColumnsStringReq(request)).await?;
                }
                Ok(format!("5 times: {outcomes}"))
            }
            Heavy::ManyTables => {
                const AT_ONCE: usize = 100;
                let mut made = 0;
                for first in (0..100_000).step_by(AT_ONCE) {
                    for number in first..first + AT_ONCE {
                        client.send(&format!("h {number}"), make_table("a\n1\n".to_owned())).await?;
                    }
                    for _ in 0..AT_ONCE {
                        if let Some(ClientResp::MakeTableResp(_)) = client.receive().await?.client_resp {
                            made += 1;
                        }
                    }
                }
                Ok(format!("{made} tables"))
            }
            Heavy::LargePivot => {
                let config = ViewConfig {
                    group_by: names(&["a"]),
                    split_by: names(&["b"]),
                    columns: columns(&["x"]),
                    ..Default::default()
                };
                client.open_view("h", "h pivot", config).await?;
                client.outcome("h pivot", all()).await
            }
            Heavy::LargeJoin => {
                let join = MakeJoinTableReq {
                    left_table_id: "h".into(),
                    right_table_id: "h2".into(),
                    on_column: "k".into(),
                    ..Default::default()
                };
                client.outcome("h join", ClientReq::MakeJoinTableReq(join)).await
            }
            Heavy::ManyExpressions => {
                let mut outcome = String::new();
                for view in 0..40 {
                    let view_id = format!("h {view}");
                    let expression = |number: usize| {
                        (format!("e{number}"), format!("\"a\" * {} + 0.5", number + 1000 * view))
                    };
                    let config = ViewConfig {
                        expressions: (0..100).map(expression).collect(),
                        columns: columns(&["e1"]),
                        ..Default::default()
                    };
                    client.open_view("h", &view_id, config).await?;
                    outcome =
                        client.outcome(&view_id, ClientReq::ViewDimensionsReq(ViewDimensionsReq {})).await?;
                }
                Ok(format!("40 views; the last: {outcome}"))
            }
            Heavy::LongTexts => {
                let pieces = vec![format!("'{}'", "x".repeat(60)); 80].join(",");
                let text = format!("concat(string(\"a\"),{pieces})");
                let config = ViewConfig {
                    expressions: [("e".to_owned(), text)].into(),
                    columns: columns(&["e"]),
                    ..Default::default()
                };
                client.open_view("h", "h texts", config).await?;
                client.outcome("h texts", ClientReq::ViewDimensionsReq(ViewDimensionsReq {})).await
            }
            Heavy::LeavingClient => {
                let mut leaving = Client::connect(url).await?;
                for number in 0..2000 {
                    let value = vec![Scalar { scalar: Some(scalar::Scalar::Float(f64::from(number))) }];
                    let filter = view_config::Filter { column: "a".into(), op: ">".into(), value };
                    let sort = view_config::Sort { column: "x".into(), op: SortOp::SortDesc.into() };
                    let config = ViewConfig { filter: vec![filter], sort: vec![sort], ..Default::default() };
                    let view_id = format!("h {number}");
                    let request = TableMakeViewReq { view_id, config: Some(config) };
                    leaving.send("h", ClientReq::TableMakeViewReq(request)).await?;
                }
                drop(leaving);
                Ok("the client has left".to_owned())
            }
            Heavy::LargeUpload => {
                let data = Some(MakeTableData { data: Some(Data::FromCsv(upload(2 * MANY).into())) });
                let update = TableUpdateReq { data: data.clone(), port_id: 0 };
                let updated = client.outcome("h", ClientReq::TableUpdateReq(update)).await?;
                let replace = ClientReq::TableReplaceReq(TableReplaceReq { data });
                Ok(format!("{updated}; {}", client.outcome("h", replace).await?))
            }
            Heavy::LargeExport => {
                client.open_view("h", "h export", ViewConfig::default()).await?;
                client.outcome("h export", ClientReq::ViewToCsvReq(ViewToCsvReq::default())).await
            }
        }
    }
}

fn agg(name: &str) -> view_config::AggList {
    view_config::AggList { aggregations: vec![name.to_owned()] }
}

fn make_table(csv: String) -> ClientReq {
    let data = Some(MakeTableData { data: Some(Data::FromCsv(csv.into())) });
    ClientReq::MakeTableReq(MakeTableReq { data, options: None })
}

fn upload(num_rows: usize) -> String {
    csv("a,b,c,d", num_rows, |row| format!("{row},{}.5,text {},{}", row % 977, row % 1000, row * 3))
}

fn csv(head: &str, num_rows: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = format!("{head}\n");
    for row in 0..num_rows {
        let _ = writeln!(text, "{}", line(row));
    }
    text
}

impl Client {
    async fn make(&mut self, name: &str, csv: String) -> Result<(), Failure> {
        match self.ask(name, make_table(csv)).await? {
            ClientResp::MakeTableResp(_) => Ok(()),
            other => Err(describe(&other).into()),
        }
    }

    /// Sends a request and describes its answer.
    async fn outcome(&mut self, entity: &str, request: ClientReq) -> Result<String, Failure> {
        Ok(describe(&self.ask(entity, request).await?))
    }
}

/// Describes an answer in few words.
fn describe(answer: &ClientResp) -> String {
    let length = |text: &str| format!("answered with {:.1} MB", text.len() as f64 / 1e6);
    match answer {
        ClientResp::ServerError(error) => format!("refused: {}", error.message),
        ClientResp::ViewToColumnsStringResp(answer) => length(&answer.json_string),
        ClientResp::ViewToCsvResp(answer) => length(&answer.csv),
        _ => "done".to_owned(),
    }
}
