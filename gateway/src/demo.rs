//! The demonstration tables: a real data set and a simulated market.
//!
//! Invariant: the market is a random walk from a fixed seed. A busy server skips ticks and never queues them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proscenium_actors::{ActorError, Caller, Catalog};
use proscenium_engine::hosting::{Command, Principal, TableCommand, Write};
use proscenium_engine::{ColumnType, MemoryAccount, TableData, TableOptions, WriteOptions};
use serde_json::json;

use crate::command_router::CommandRouter;
use crate::page::PageSource;
use crate::setup_error::SetupError;

/// The data set among the page's files.
const SUPERSTORE: &str = "data/superstore.arrow";
const TICK: Duration = Duration::from_millis(100);
/// Limit of the table of trades.
const TRADES: u32 = 20_000;

/// The names of the tables.
pub const NAMES: [&str; 3] = ["superstore", "market", "trades"];

const SECTORS: [(&str, &[&str]); 6] = [
    ("Energy", &["AMBR", "BRNT", "CRST", "DUNE", "EMBR", "FLUX", "GUST", "HYDR"]),
    ("Finance", &["ALDR", "BANQ", "CRWN", "DUCT", "EQTY", "FUND", "GILT", "HEDG"]),
    ("Health", &["ASPN", "BIOM", "CURA", "DOSE", "ELXR", "FARM", "GENE", "HELX"]),
    ("Industry", &["ANVL", "BOLT", "CRNE", "DRIL", "ENGN", "FORG", "GEAR", "HULL"]),
    ("Media", &["ACTR", "BARD", "CAST", "DRMA", "ECHO", "FILM", "GALA", "HALL"]),
    ("Technology", &["ALGO", "BYTE", "CODE", "DATA", "EDGE", "FIBR", "GRID", "HASH"]),
];
const VENUES: [&str; 4] = ["North", "South", "East", "West"];

/// Hosts `superstore` (if the page has its data), `market` and `trades`.
///
/// # Errors
///
/// The data set cannot be read, or a table of one of these names exists.
pub async fn host(catalog: &Catalog, page: &PageSource) -> Result<(), SetupError> {
    let failed = |table| move |fault: ActorError| SetupError::Demo { table, fault: Box::new(fault) };
    let read = page.read(SUPERSTORE).map_err(|error| SetupError::Unreadable {
        path: SUPERSTORE.into(),
        table: Some("superstore".to_owned()),
        reason: error.to_string(),
    })?;
    if let Some(bytes) = read {
        let data = TableData::Arrow(bytes.into());
        catalog.host("superstore", data, TableOptions::default()).await.map_err(failed("superstore"))?;
    }
    let schema = |columns: &[(&str, ColumnType)]| {
        TableData::Schema(
            columns.iter().map(|(name, column_type)| ((*name).to_owned(), *column_type)).collect(),
        )
    };
    let market = schema(&[
        ("symbol", ColumnType::String),
        ("sector", ColumnType::String),
        ("price", ColumnType::Float),
        ("change", ColumnType::Float),
        ("bid", ColumnType::Float),
        ("ask", ColumnType::Float),
        ("volume", ColumnType::Integer),
        ("note", ColumnType::String),
        ("updated", ColumnType::Datetime),
    ]);
    let index = TableOptions { index: Some("symbol".into()), ..TableOptions::default() };
    catalog.host("market", market, index).await.map_err(failed("market"))?;
    let trades = schema(&[
        ("time", ColumnType::Datetime),
        ("symbol", ColumnType::String),
        ("sector", ColumnType::String),
        ("venue", ColumnType::String),
        ("side", ColumnType::String),
        ("price", ColumnType::Float),
        ("quantity", ColumnType::Integer),
    ]);
    let limit = TableOptions { limit: Some(TRADES), ..TableOptions::default() };
    catalog.host("trades", trades, limit).await.map_err(failed("trades"))
}

/// Updates the market until its tables are deleted.
pub async fn run(router: CommandRouter) {
    let mut market = Market::open();
    if !send(&router, "market", market.listing()).await {
        return;
    }
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        clock.tick().await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let (quotes, trades) = market.tick(now);
        let is_alive = send(&router, "market", quotes).await && send(&router, "trades", trades).await;
        if !is_alive {
            return;
        }
    }
}

/// Sends an update. Returns false if the table does not exist any more.
async fn send(router: &CommandRouter, table: &str, rows: serde_json::Value) -> bool {
    let (data, options) = (TableData::Rows(rows.to_string().into()), WriteOptions::default());
    let update = Command::Table(TableCommand::Write(Write::Update { data, port_id: 0, options }));
    let caller = Caller::without_connection(Principal::server(), MemoryAccount::unlimited());
    match router.ask(caller, table, update).await {
        Ok(_) => true,
        Err(ActorError::TableNotFound | ActorError::TableFailed { .. }) => false,
        Err(error) => {
            tracing::warn!(table, %error, "the demonstration skipped a tick");
            true
        }
    }
}

struct Market {
    state: u64,
    quotes: Vec<Quote>,
}

struct Quote {
    symbol: &'static str,
    sector: &'static str,
    open: f64,
    price: f64,
    volume: i64,
}

impl Market {
    fn open() -> Market {
        let mut market = Market { state: 0x2545_F491_4F6C_DD1D, quotes: Vec::new() };
        for (sector, symbols) in SECTORS {
            for symbol in symbols {
                let open = cents(20.0 + market.fraction() * 400.0);
                market.quotes.push(Quote { symbol, sector, open, price: open, volume: 0 });
            }
        }
        market
    }

    fn listing(&self) -> serde_json::Value {
        let row = |quote: &Quote| {
            json!({
                "symbol": quote.symbol, "sector": quote.sector, "price": quote.price, "change": 0.0,
                "bid": cents(quote.price * 0.9995), "ask": cents(quote.price * 1.0005), "volume": 0,
            })
        };
        self.quotes.iter().map(row).collect()
    }

    /// Simulates trades of a few symbols. Returns their new quotes, and the trades.
    fn tick(&mut self, now: i64) -> (serde_json::Value, serde_json::Value) {
        let (mut quotes, mut trades) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            let at = (self.fraction() * self.quotes.len() as f64) as usize;
            let drift = (self.fraction() - 0.5) * 0.006;
            let quantity = 100 * (1 + (self.fraction() * 20.0) as i64);
            let venue = VENUES[(self.fraction() * VENUES.len() as f64) as usize];
            let quote = &mut self.quotes[at];
            quote.price = cents((quote.price * (1.0 + drift)).max(1.0));
            quote.volume += quantity;
            quotes.push(json!({
                "symbol": quote.symbol, "price": quote.price,
                "change": cents((quote.price / quote.open - 1.0) * 100.0),
                "bid": cents(quote.price * 0.9995), "ask": cents(quote.price * 1.0005),
                "volume": quote.volume, "updated": now,
            }));
            trades.push(json!({
                "time": now, "symbol": quote.symbol, "sector": quote.sector, "venue": venue,
                "side": if drift < 0.0 { "sell" } else { "buy" }, "price": quote.price, "quantity": quantity,
            }));
        }
        (quotes.into(), trades.into())
    }

    /// The next number in `0..1` (xorshift64*, Vigna 2016).
    fn fraction(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn cents(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
