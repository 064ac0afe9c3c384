//! A router with a policy, and principals that send commands to it.

use std::collections::BTreeMap;

use proscenium_actors::table::GetTableStats;
use proscenium_actors::{ActorError, ActorMetrics, Caller, Catalog, Limits, tuning};
use proscenium_engine::config::ViewConfig;
use proscenium_engine::export::{JsonOptions, TextFormat};
use proscenium_engine::hosting::{
    Answer, CatalogCommand, Command, Principal, SliceFormat, SliceRequest, TableCommand, TableOrigin,
    ViewCommand, Write,
};
use proscenium_engine::view::Viewport;
use proscenium_engine::{MemoryAccount, TableData, TableOptions, WriteOptions};
use proscenium_gateway::command_router::CommandRouter;
use proscenium_gateway::config::RoleConfig;
use proscenium_gateway::rights::Policy;

pub type Result<T> = std::result::Result<T, ActorError>;

/// Six trades of two desks.
pub const TRADES: &str = r#"[
    {"id":1,"desk":"fx","price":10,"client":"a","trader":"ann"},
    {"id":2,"desk":"fx","price":20,"client":"b","trader":"bob"},
    {"id":3,"desk":"rates","price":30,"client":"c","trader":"ann"},
    {"id":4,"desk":"rates","price":40,"client":"d","trader":"bob"},
    {"id":5,"desk":"fx","price":50,"client":"e","trader":"cat"},
    {"id":6,"desk":null,"price":60,"client":"f","trader":"cat"}
]"#;

#[derive(serde::Deserialize)]
struct Roles {
    role: BTreeMap<String, RoleConfig>,
}

pub fn roles(text: &str) -> BTreeMap<String, RoleConfig> {
    toml::from_str::<Roles>(text).expect("roles").role
}

pub fn policy(text: &str) -> Policy {
    Policy::new(&roles(text), true).expect("a policy")
}

/// A router that hosts the trades under a policy.
pub async fn router(roles: &str) -> CommandRouter {
    let catalog = Catalog::start(
        2,
        Limits::default(),
        ActorMetrics::new().expect("metrics"),
        MemoryAccount::unlimited(),
    )
    .expect("threads");
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    catalog.host("trades", TableData::Rows(TRADES.into()), options).await.expect("a table");
    CommandRouter::with_policy(catalog, policy(roles))
}

pub fn principal(name: &str, role: &str, claims: &[(&str, &str)]) -> Principal {
    let claims = claims.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Principal::new(name, [role.to_owned()], claims)
}

/// A principal with a session of his own.
pub struct User {
    router: CommandRouter,
    caller: Caller,
}

impl User {
    pub fn new(router: &CommandRouter, principal: Principal) -> User {
        User { router: router.clone(), caller: router.caller(principal) }
    }

    pub async fn ask(&self, entity: &str, command: Command) -> Result<Answer> {
        self.router.ask(self.caller.clone(), entity, command).await
    }

    pub async fn open(&self, table: &str, view_id: &str, config: ViewConfig) -> Result<()> {
        let open = TableCommand::OpenView { view_id: view_id.into(), config: Box::new(config) };
        self.ask(table, Command::Table(open)).await.map(drop)
    }

    /// The rows of a view, as JSON.
    pub async fn rows(&self, view_id: &str) -> Result<String> {
        let format = SliceFormat::Text(TextFormat::JsonRows(JsonOptions::default()));
        let slice = SliceRequest { viewport: Viewport::default(), format };
        match self.ask(view_id, Command::View(ViewCommand::Slice(slice))).await? {
            Answer::Encoded(_, pieces) => Ok(String::from_utf8(pieces.concat()).expect("text")),
            other => panic!("{other:?}"),
        }
    }

    /// Opens a view, reads its rows, and closes it.
    pub async fn read(&self, table: &str, config: ViewConfig) -> Result<String> {
        let view_id = format!("of {}", self.caller.session.0);
        self.open(table, &view_id, config).await?;
        let rows = self.rows(&view_id).await?;
        self.ask(&view_id, Command::View(ViewCommand::Close)).await?;
        Ok(rows)
    }

    pub async fn size(&self, table: &str) -> Result<usize> {
        match self.ask(table, Command::Table(TableCommand::GetSize)).await? {
            Answer::TableSize(size) => Ok(size),
            other => panic!("{other:?}"),
        }
    }

    pub async fn columns(&self, table: &str) -> Result<Vec<String>> {
        match self.ask(table, Command::Table(TableCommand::GetSchema)).await? {
            Answer::TableSchema(schema) => {
                Ok(schema.fields().iter().map(|field| field.name.to_string()).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    pub async fn tables(&self) -> Result<Vec<String>> {
        match self.ask("", Command::Catalog(CatalogCommand::ListTables)).await? {
            Answer::Tables(tables) => Ok(tables.iter().map(|table| table.name.to_string()).collect()),
            other => panic!("{other:?}"),
        }
    }

    pub async fn update(&self, table: &str, rows: &str) -> Result<()> {
        self.write(
            table,
            Write::Update {
                data: TableData::Rows(rows.to_owned().into()),
                port_id: 0,
                options: WriteOptions::default(),
            },
        )
        .await
    }

    pub async fn remove(&self, table: &str, keys: &str) -> Result<()> {
        self.write(table, Write::Remove { data: TableData::Rows(keys.to_owned().into()) }).await
    }

    pub async fn replace(&self, table: &str, rows: &str) -> Result<()> {
        let (data, options) = (TableData::Rows(rows.to_owned().into()), WriteOptions::default());
        self.write(table, Write::Replace { data, options }).await
    }

    async fn write(&self, table: &str, write: Write) -> Result<()> {
        self.ask(table, Command::Table(TableCommand::Write(write))).await.map(drop)
    }

    pub async fn create(&self, table: &str, origin: TableOrigin) -> Result<()> {
        self.ask(table, Command::Catalog(CatalogCommand::CreateTable(origin))).await.map(drop)
    }
}

/// The numbers of handles on the shared views of a table.
pub async fn shared_views(router: &CommandRouter, table: &str) -> Vec<usize> {
    let table = router.catalog().table(table).expect("a table");
    let stats =
        table.mailbox.ask(tuning::ASK_DEADLINE, |reply| GetTableStats { reply }).await.expect("statistics");
    stats.views.iter().map(|view| view.num_handles).collect()
}
