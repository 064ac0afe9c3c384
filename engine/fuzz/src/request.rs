//! Checks bytes as a frame: decodes it, executes its command on the engine as far as that needs no server, and encodes
//! the answer.

use std::sync::Arc;

use proscenium_engine::config::{Generation, ViewConfig};
use proscenium_engine::export::ExportBudget;
use proscenium_engine::hosting::{
    Answer, CatalogCommand, Command, TableCommand, TableOrigin, ViewCommand, Write,
};
use proscenium_engine::table::Table;
use proscenium_engine::view::{Plan, View};
use proscenium_engine::{EngineContext, MemoryAccount, TableData, TableOptions};
use proscenium_proto::ClientGeneration;
use proscenium_proto::call::{self, Call};

use super::ingest;

/// Runs the check.
pub fn request(bytes: &[u8]) {
    let mut client = ClientGeneration::assumed(Generation::V5_6);
    let Call { msg_id, entity_id, command, .. } = call::receive(bytes.to_vec().into(), &mut client);
    let Ok(command) = command else { return };
    command.scope();
    let answers = match command {
        Command::Server(_) => vec![Answer::Features],
        Command::Catalog(command) => execute_catalog_command(command),
        Command::Table(command) => execute_table_command(command),
        Command::View(command) => execute_view_command(&command),
    };
    for answer in answers {
        call::encode(msg_id, entity_id.clone(), answer);
    }
}

fn execute_catalog_command(command: CatalogCommand) -> Vec<Answer> {
    let world = EngineContext::default();
    let (table, answer) = match command {
        CatalogCommand::ListTables => return vec![Answer::Tables(Vec::new())],
        CatalogCommand::WatchTables | CatalogCommand::UnwatchTables { .. } => return Vec::new(),
        CatalogCommand::CreateTable(origin) => match origin {
            TableOrigin::Data { data, options } => {
                (Table::create(&data, options), Answer::TableCreated(None))
            }
            TableOrigin::View { columns, .. } => {
                let (table, plan) = planned(&ViewConfig::default());
                let derived = Table::derive(plan, &table.snapshot(), None, columns.as_deref(), &world);
                (derived, Answer::TableCreated(None))
            }
            TableOrigin::Join { spec, .. } => {
                (Table::join(&table().snapshot(), &table().snapshot(), &spec, &world), Answer::JoinCreated)
            }
        },
    };
    table.iter().for_each(ingest::read);
    vec![answer]
}

fn execute_table_command(command: TableCommand) -> Vec<Answer> {
    let mut table = table();
    vec![match command {
        TableCommand::GetSchema => Answer::TableSchema(table.schema().clone()),
        TableCommand::GetSize => Answer::TableSize(table.num_rows()),
        TableCommand::GetSnapshot => Answer::Snapshot(table.snapshot()),
        TableCommand::MakePort => Answer::Port(table.make_port()),
        TableCommand::ValidateExpressions(expressions) => Answer::of_expressions(expressions, &table),
        TableCommand::DescribeView(config) => Answer::of_config(&config, &table),
        TableCommand::Write(write) => {
            let context = EngineContext::default();
            let answer = match write {
                Write::Update { data, port_id, options } => {
                    table.update_with(&data, port_id, &options, &context).map(|_| Answer::Updated(None))
                }
                Write::Replace { data, options } => {
                    table.replace_with(&data, &options, &context).map(|_| Answer::Replaced(None))
                }
                Write::Remove { data } => table.remove(&data).map(|_| Answer::Removed(None)),
            };
            ingest::read(&table);
            return answer.into_iter().collect();
        }
        TableCommand::OpenView { view_id, config } => {
            let Ok(plan) = Plan::new(&config, table.schema()) else { return Vec::new() };
            let plan = Arc::new(plan);
            ingest::write(&mut View::build(plan.clone(), &table.snapshot()));
            return vec![Answer::ViewOpened { view_id: view_id.into() }, Answer::ViewConfig(plan)];
        }
        TableCommand::WatchDeletion | TableCommand::UnwatchDeletion { .. } | TableCommand::Delete { .. } => {
            return Vec::new();
        }
    }]
}

/// Runs a command on a flat view and on a pivot.
fn execute_view_command(command: &ViewCommand) -> Vec<Answer> {
    let shapes = [(vec![], vec![]), (vec!["s".into()], vec!["b".into()])];
    let execute = |(group_by, split_by)| {
        let (table, plan) = planned(&ViewConfig { group_by, split_by, ..ViewConfig::default() });
        let plan = Arc::new(plan);
        let mut view = View::build(plan.clone(), &table.snapshot());
        let mut handle = view.handle(None);
        match command {
            ViewCommand::Read(read) => {
                let answer = read.answer(&mut view, &mut handle).ok();
                ingest::write(&mut view);
                answer
            }
            ViewCommand::Slice(slice) => {
                let unlimited = "an unlimited account refuses nothing";
                let taken =
                    slice.take(&mut view, &mut handle, &MemoryAccount::unlimited(), 1).expect(unlimited);
                let encoded = slice.format.encode(taken, 1, &ExportBudget::unlimited());
                Some(encoded.expect("what was read can be written"))
            }
            ViewCommand::GetSchema => Some(Answer::ViewSchema(plan)),
            ViewCommand::GetExpressionSchema => Some(Answer::ExpressionSchema(plan)),
            ViewCommand::GetConfig => Some(Answer::ViewConfig(plan)),
            ViewCommand::Close | ViewCommand::Subscribe(_) | ViewCommand::Unsubscribe { .. } => None,
        }
    };
    shapes.into_iter().filter_map(execute).collect()
}

fn planned(config: &ViewConfig) -> (Table, Plan) {
    let table = table();
    let plan = Plan::new(config, table.schema()).expect("the config is a good one");
    (table, plan)
}

fn table() -> Table {
    let rows =
        r#"[{"id":1,"s":"a","f":0.5,"b":true,"d":"2020-01-02"},{"id":2,"s":"b","f":1.5,"b":null,"d":null}]"#;
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    Table::create(&TableData::Rows(rows.into()), options).expect("the rows are good ones")
}
