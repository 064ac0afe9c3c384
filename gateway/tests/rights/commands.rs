//! Every command of every principal: one row for each, which a new command needs before this compiles.

use std::collections::BTreeSet;

use proscenium_actors::ActorError;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::export::{JsonOptions, TextFormat};
use proscenium_engine::hosting::{
    CatalogCommand, Command, Principal, SealedGrant, ServerCommand, SliceFormat, SliceRequest, TableCommand,
    TableOrigin, Topic, ViewCommand, ViewRead, Write,
};
use proscenium_engine::table::{JoinKind, JoinSpec};
use proscenium_engine::view::Viewport;
use proscenium_engine::{TableData, TableOptions, WriteOptions};

use super::support::*;

const ROLES: &str = r#"
[[role.reader.grant]]
tables = ["trades", "new"]
may = ["read"]
[[role.part.grant]]
tables = ["trades"]
may = ["read", "write", "remove", "drop", "create"]
rows = "\"desk\" == 'fx'"
[[role.part.grant]]
tables = ["new"]
may = ["create"]
[[role.writer.grant]]
tables = ["trades", "new"]
may = ["write", "create"]
[[role.admin.grant]]
tables = ["*"]
may = ["read", "write", "remove", "create", "drop", "operate"]
"#;

/// Whose answers a row has, in this order.
const WHO: [&str; 7] = ["nobody", "stranger", "reader", "part", "writer", "admin", "link"];

fn principals() -> [Principal; 7] {
    let reader = principal("reader", "reader", &[]);
    let grant = SealedGrant { table: "trades".into(), rows: Some("\"price\" > 15".into()) };
    [
        Principal::anonymous(),
        principal("stranger", "unknown", &[]),
        reader.clone(),
        principal("part", "part", &[]),
        principal("writer", "writer", &[]),
        principal("admin", "admin", &[]),
        principal("admin", "admin", &[]).with_sealed_grant(grant),
    ]
}

/// Allowed (`+`) or not (`-`), in the order of [`WHO`]. `!`: refused, since what is allowed is a part.
fn row(command: &Command) -> (&'static str, &'static str) {
    match command {
        Command::Server(command) => match command {
            ServerCommand::GetFeatures => ("features", "+++++++"),
            ServerCommand::GetUsage => ("usage", "--+++++"),
        },
        Command::Catalog(command) => match command {
            CatalogCommand::ListTables => ("list", "--+++++"),
            CatalogCommand::WatchTables => ("watch tables", "--+++++"),
            CatalogCommand::UnwatchTables { .. } => ("unwatch tables", "--+++++"),
            CatalogCommand::CreateTable(origin) => match origin {
                TableOrigin::Data { .. } => ("create", "---+++-"),
                TableOrigin::View { .. } => ("create from view", "---+-+-"),
                TableOrigin::Join { .. } => ("join", "---+-+-"),
            },
        },
        Command::Table(command) => match command {
            TableCommand::GetSchema => ("schema", "--+++++"),
            TableCommand::GetSize => ("size", "--++-++"),
            TableCommand::GetSnapshot => ("snapshot", "--++-++"),
            TableCommand::MakePort => ("port", "--+++++"),
            TableCommand::ValidateExpressions(_) => ("expressions", "--++-++"),
            TableCommand::DescribeView(_) => ("describe", "--++-++"),
            TableCommand::Write(write) => match write {
                Write::Update { .. } => ("update", "---+++-"),
                Write::Replace { .. } => ("replace", "---!-+-"),
                Write::Remove { .. } => ("remove", "---+-+-"),
            },
            TableCommand::OpenView { .. } => ("open", "--++-++"),
            TableCommand::WatchDeletion => ("watch deletion", "--+++++"),
            TableCommand::UnwatchDeletion { .. } => ("unwatch deletion", "--+++++"),
            TableCommand::Delete { .. } => ("delete", "---!-+-"),
        },
        // About a view that the sender has opened, and of those who cannot, one of the administrator's.
        Command::View(command) => match command {
            ViewCommand::Close => ("close", "--++-++"),
            ViewCommand::GetSchema => ("view schema", "--++-++"),
            ViewCommand::GetExpressionSchema => ("expression schema", "--++-++"),
            ViewCommand::GetConfig => ("config", "--++-++"),
            ViewCommand::Subscribe(_) => ("subscribe", "--++-++"),
            ViewCommand::Unsubscribe { .. } => ("unsubscribe", "--++-++"),
            ViewCommand::Read(read) => match read {
                ViewRead::Dimensions => ("dimensions", "--++-++"),
                ViewRead::ColumnPaths { .. } => ("paths", "--++-++"),
                ViewRead::MinMax { .. } => ("min max", "--++-++"),
                ViewRead::Collapse { .. } => ("collapse", "--++-++"),
                ViewRead::Expand { .. } => ("expand", "--++-++"),
                ViewRead::SetDepth { .. } => ("depth", "--++-++"),
            },
            ViewCommand::Slice(_) => ("slice", "--++-++"),
        },
    }
}

/// The number of different rows above.
const NUM_ROWS: usize = 34;

fn rows(text: &str) -> TableData {
    TableData::Rows(text.to_owned().into())
}

/// A command of each kind, with the table or the view that it is about.
fn commands(view: &str) -> Vec<(String, Command)> {
    let about = |entity: &str, command: Command| (entity.to_owned(), command);
    let table = |command: TableCommand| about("trades", Command::Table(command));
    let of_view = |command: ViewCommand| about(view, Command::View(command));
    let create = |origin: TableOrigin| about("new", Command::Catalog(CatalogCommand::CreateTable(origin)));
    let spec = JoinSpec { on: "id".into(), right_on: None, kind: JoinKind::Inner };
    let (left, right) = ("trades".to_owned(), "trades".to_owned());
    let data = || rows(r#"[{"id":1,"desk":"fx","price":10}]"#);
    let options = WriteOptions::default;
    let mut commands = vec![
        about("", Command::Server(ServerCommand::GetFeatures)),
        about("", Command::Server(ServerCommand::GetUsage)),
        about("", Command::Catalog(CatalogCommand::ListTables)),
        about("", Command::Catalog(CatalogCommand::WatchTables)),
        about("", Command::Catalog(CatalogCommand::UnwatchTables { subscription: 1 })),
        create(TableOrigin::Data { data: data(), options: TableOptions::default() }),
        create(TableOrigin::View { view_id: view.to_owned(), columns: None }),
        create(TableOrigin::Join { left, right, spec }),
        table(TableCommand::GetSchema),
        table(TableCommand::GetSize),
        table(TableCommand::GetSnapshot),
        table(TableCommand::MakePort),
        table(TableCommand::ValidateExpressions([("e".to_owned(), "1".to_owned())].into())),
        table(TableCommand::DescribeView(Box::default())),
        table(TableCommand::Write(Write::Update { data: data(), port_id: 0, options: options() })),
        table(TableCommand::Write(Write::Remove { data: rows("[1]") })),
        table(TableCommand::Write(Write::Replace { data: data(), options: options() })),
        table(TableCommand::OpenView { view_id: format!("{view} again"), config: Box::default() }),
        table(TableCommand::WatchDeletion),
        table(TableCommand::UnwatchDeletion { subscription: 1 }),
    ];
    let text = SliceFormat::Text(TextFormat::JsonRows(JsonOptions::default()));
    commands.extend([
        of_view(ViewCommand::GetSchema),
        of_view(ViewCommand::GetExpressionSchema),
        of_view(ViewCommand::GetConfig),
        of_view(ViewCommand::Subscribe(Topic::Remove)),
        of_view(ViewCommand::Unsubscribe { topic: Topic::Remove, subscription: 1 }),
        of_view(ViewCommand::Read(ViewRead::Dimensions)),
        of_view(ViewCommand::Read(ViewRead::ColumnPaths { start_col: None, end_col: None })),
        of_view(ViewCommand::Read(ViewRead::MinMax { column: "price".to_owned() })),
        of_view(ViewCommand::Read(ViewRead::Collapse { row: 0 })),
        of_view(ViewCommand::Read(ViewRead::Expand { row: 0 })),
        of_view(ViewCommand::Read(ViewRead::SetDepth { depth: 0 })),
        of_view(ViewCommand::Slice(SliceRequest { viewport: Viewport::default(), format: text })),
        of_view(ViewCommand::Close),
        table(TableCommand::Delete { lazy: false }),
    ]);
    commands
}

#[actix_rt::test]
async fn every_command_of_every_principal_has_its_answer() {
    let mut seen = BTreeSet::new();
    for (who, principal) in principals().into_iter().enumerate() {
        let num_commands = commands("").len();
        for number in 0..num_commands {
            let router = router(ROLES).await;
            let root = User::new(&router, super::support::principal("root", "admin", &[]));
            let user = User::new(&router, principal.clone());
            root.open("trades", "roots", ViewConfig::default()).await.expect("the administrator may");
            let has_view = user.open("trades", "own", ViewConfig::default()).await.is_ok();
            let (entity, command) = commands(if has_view { "own" } else { "roots" }).swap_remove(number);
            let (name, expected) = row(&command);
            seen.insert(name);
            let text = format!("{command:?} of {}", WHO[who]);
            let answer = user.ask(&entity, command).await;
            let is_denied = matches!(&answer, Err(error) if error.code() == "not_authorized");
            match expected.as_bytes()[who] {
                // A subscription needs a connection, a closed view a reader: reached, not refused.
                b'+' => assert!(
                    !is_denied && !matches!(answer, Err(ActorError::PolicyUnfit { .. })),
                    "{text}: {answer:?}"
                ),
                b'-' | b'!' => assert!(is_denied, "{text}: {answer:?}"),
                other => panic!("{other}"),
            }
            router.catalog().stop();
        }
    }
    assert_eq!(seen.len(), NUM_ROWS, "a sample of each command: {seen:?}");
}
