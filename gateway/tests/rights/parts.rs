//! What readers see of a table.

use proscenium_actors::table::{TableRequest, TargetCommand};
use proscenium_actors::{ActorError, Reply};
use proscenium_engine::config::{SortDirection, SortTerm, ViewConfig};
use proscenium_engine::hosting::{
    Answer, Command, Principal, SealedGrant, TableCommand, TableOrigin, ViewCommand, ViewRead,
};
use proscenium_engine::table::{JoinKind, JoinSpec};
use proscenium_engine::{TableData, TableOptions};
use proscenium_gateway::command_router::CommandRouter;
use proscenium_gateway::config::ByteRate;
use proscenium_gateway::rights::Policy;

use super::support::*;

const DESKS: &str = r#"
[[role.desk.grant]]
tables = ["trades*", "!trades_raw"]
may = ["read"]
rows = '"desk" == $claims.desk'
hide = ["client"]
mask = { trader = "'***'" }
[[role.admin.grant]]
tables = ["*"]
may = ["read", "write", "remove", "create", "drop", "operate"]
[[role.feed.grant]]
tables = ["trades"]
may = ["write"]
"#;

fn ann() -> Principal {
    principal("ann", "desk", &[("desk", "fx")])
}

fn admin() -> Principal {
    principal("root", "admin", &[])
}

fn columns(names: &[&str]) -> ViewConfig {
    let columns = Some(names.iter().map(|name| name.to_string()).collect());
    ViewConfig { columns, ..ViewConfig::default() }
}

fn denied(error: &ActorError) -> bool {
    matches!(error, ActorError::NotAuthorized { .. })
}

#[actix_rt::test]
async fn a_reader_sees_the_rows_and_columns_that_he_is_granted() {
    let router = router(DESKS).await;
    let ann = User::new(&router, ann());
    assert_eq!(ann.columns("trades").await.unwrap(), ["id", "desk", "price", "trader"]);
    assert_eq!(ann.size("trades").await.unwrap(), 3);
    let rows = ann.read("trades", ViewConfig::default()).await.unwrap();
    assert_eq!(
        rows,
        r#"[{"id":1,"desk":"fx","price":10,"trader":"***"},{"id":2,"desk":"fx","price":20,"trader":"***"},{"id":5,"desk":"fx","price":50,"trader":"***"}]"#
    );
    let total = ViewConfig { group_by: vec!["trader".into()], ..columns(&["price"]) };
    let rows = ann.read("trades", total).await.unwrap();
    assert_eq!(rows, r#"[{"__ROW_PATH__":[],"price":80},{"__ROW_PATH__":["***"],"price":80}]"#);
    assert_eq!(User::new(&router, admin()).size("trades").await.unwrap(), 6);
}

#[actix_rt::test]
async fn a_hidden_column_cannot_be_named() {
    let router = router(DESKS).await;
    let ann = User::new(&router, ann());
    let expression = |text: &str| {
        let expressions = [("e".to_owned(), text.to_owned())].into();
        ViewConfig { expressions, ..columns(&["e"]) }
    };
    let sort = vec![SortTerm { column: "client".into(), direction: SortDirection::Asc }];
    for config in [
        columns(&["client"]),
        ViewConfig { group_by: vec!["client".into()], ..columns(&["price"]) },
        ViewConfig { split_by: vec!["client".into()], ..columns(&["price"]) },
        ViewConfig { sort, ..columns(&["price"]) },
        ViewConfig {
            group_by: vec!["desk".into()],
            aggregates: [("price".to_owned(), vec!["weighted mean".to_owned(), "client".to_owned()])].into(),
            ..columns(&["price"])
        },
        expression("\"client\""),
    ] {
        let error = ann.read("trades", config.clone()).await.unwrap_err();
        let unknown = User::new(&router, admin());
        let text = format!("{config:?}").replace("client", "nowhere");
        assert!(matches!(error, ActorError::Engine(_)), "{text}: {error:?}");
        // As a column that does not exist: no other text than for any other name.
        let mut other = config.clone();
        rename(&mut other);
        let theirs = unknown.read("trades", other).await.unwrap_err();
        assert_eq!(error.to_string().replace("client", "nowhere"), theirs.to_string());
    }
    let rows = ann.read("trades", expression("column('client')")).await;
    let admins = User::new(&router, admin()).read("trades", expression("column('nowhere')")).await;
    assert_eq!(rows.map_err(|error| error.to_string()).unwrap_err(), admins.unwrap_err().to_string());
    // By position among the rows that he sees.
    let rows = ann.read("trades", expression("vlookup('price', \"id\")")).await.unwrap();
    assert_eq!(rows, r#"[{"e":20},{"e":50},{"e":null}]"#);
}

fn rename(config: &mut ViewConfig) {
    let other = |name: &mut String| *name = name.replace("client", "nowhere");
    config.columns.iter_mut().flatten().for_each(other);
    config.group_by.iter_mut().for_each(other);
    config.split_by.iter_mut().for_each(other);
    config.sort.iter_mut().for_each(|term| other(&mut term.column));
    config.aggregates.values_mut().flatten().for_each(other);
    config.expressions.values_mut().for_each(other);
}

#[actix_rt::test]
async fn what_is_not_granted_is_denied() {
    let router = router(DESKS).await;
    let make =
        || TableOrigin::Data { data: TableData::Rows(TRADES.into()), options: TableOptions::default() };
    let root = User::new(&router, admin());
    root.create("trades_raw", make()).await.unwrap();
    root.create("secret", make()).await.unwrap();
    let ann = User::new(&router, ann());
    assert_eq!(ann.tables().await.unwrap(), ["trades"]);
    assert_eq!(root.tables().await.unwrap(), ["secret", "trades", "trades_raw"]);
    for table in ["trades_raw", "secret", "nowhere"] {
        let error = ann.read(table, ViewConfig::default()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("not authorized to read table \"{table}\""));
        assert_eq!(error.code(), "not_authorized");
    }
    assert!(denied(&ann.update("trades", r#"[{"id":1,"price":1}]"#).await.unwrap_err()));
    assert!(denied(&ann.remove("trades", "[1]").await.unwrap_err()));
    assert!(denied(&ann.create("mine", make()).await.unwrap_err()));
    let delete = Command::Table(TableCommand::Delete { lazy: true });
    assert!(denied(&ann.ask("trades", delete).await.unwrap_err()));
    let nobody = User::new(&router, Principal::anonymous());
    assert!(denied(&nobody.tables().await.unwrap_err()));
    assert!(denied(&nobody.size("trades").await.unwrap_err()));
    let feed = User::new(&router, principal("feed", "feed", &[]));
    feed.update("trades", r#"[{"id":1,"price":11}]"#).await.unwrap();
    assert!(denied(&feed.size("trades").await.unwrap_err()));
    assert_eq!(feed.tables().await.unwrap(), ["trades"]);
}

#[actix_rt::test]
async fn claims_are_texts_and_a_missing_one_shows_nothing() {
    let router = router(DESKS).await;
    for desk in ["", "'", "fx' or true or '", "\\", "\"", "$claims.desk", "1) or (1 == 1", "é"] {
        let user = User::new(&router, principal("eve", "desk", &[("desk", desk)]));
        assert_eq!(user.size("trades").await.unwrap(), 0, "{desk}");
    }
    let without = User::new(&router, principal("eve", "desk", &[]));
    assert_eq!(without.size("trades").await.unwrap(), 0);
    assert_eq!(without.read("trades", ViewConfig::default()).await.unwrap(), "[]");
}

#[actix_rt::test]
async fn equal_rights_share_views() {
    let router = router(DESKS).await;
    let mut users = Vec::new();
    for number in 0..40 {
        let desk = ["fx", "rates"][number % 2];
        let user = User::new(&router, principal(&format!("user {number}"), "desk", &[("desk", desk)]));
        user.open("trades", &format!("view {number}"), columns(&["price"])).await.unwrap();
        users.push(user);
    }
    let root = User::new(&router, admin());
    root.open("trades", "all", columns(&["price"])).await.unwrap();
    let mut handles = shared_views(&router, "trades").await;
    handles.sort_unstable();
    assert_eq!(handles, [1, 20, 20]);
    root.update("trades", r#"[{"id":2,"desk":"rates"},{"id":9,"desk":"fx","price":9}]"#).await.unwrap();
    for (number, user) in users.iter().enumerate() {
        let expected = match number % 2 {
            0 => r#"[{"price":10},{"price":50},{"price":9}]"#,
            _ => r#"[{"price":20},{"price":30},{"price":40}]"#,
        };
        assert_eq!(user.rows(&format!("view {number}")).await.unwrap(), expected);
    }
}

#[actix_rt::test]
async fn a_view_of_others_rights_is_not_found() {
    let router = router(DESKS).await;
    let root = User::new(&router, admin());
    root.open("trades", "roots", ViewConfig::default()).await.unwrap();
    let ann = User::new(&router, ann());
    for command in [
        ViewCommand::GetConfig,
        ViewCommand::GetSchema,
        ViewCommand::Close,
        ViewCommand::Read(ViewRead::Dimensions),
        ViewCommand::Read(ViewRead::MinMax { column: "price".into() }),
    ] {
        let error = ann.ask("roots", Command::View(command)).await.unwrap_err();
        assert_eq!(error, ActorError::ViewNotFound);
    }
    assert_eq!(ann.rows("roots").await.unwrap_err(), ActorError::ViewNotFound);
    let answer =
        root.ask("roots", Command::View(ViewCommand::Read(ViewRead::MinMax { column: "price".into() })));
    assert!(matches!(answer.await.unwrap(), Answer::MinMax(..)));
}

#[actix_rt::test]
async fn what_is_made_of_a_part_has_the_part() {
    let roles = format!("{DESKS}\n[[role.desk.grant]]\ntables = [\"my *\"]\nmay = [\"read\", \"create\"]\n");
    let router = router(&roles).await;
    let (ann, root) = (User::new(&router, ann()), User::new(&router, admin()));
    ann.open("trades", "anns", ViewConfig::default()).await.unwrap();
    ann.create("my view", TableOrigin::View { view_id: "anns".into(), columns: None }).await.unwrap();
    let spec = JoinSpec { on: "id".into(), right_on: None, kind: JoinKind::Inner };
    root.create(
        "my notes",
        TableOrigin::Data {
            data: TableData::Rows(r#"[{"id":1,"note":"x"},{"id":3,"note":"y"}]"#.into()),
            options: TableOptions { index: Some("id".into()), ..TableOptions::default() },
        },
    )
    .await
    .unwrap();
    let (left, right) = ("trades".to_owned(), "my notes".to_owned());
    ann.create("my join", TableOrigin::Join { left, right, spec }).await.unwrap();
    assert_eq!(root.size("my view").await.unwrap(), 3);
    assert_eq!(root.size("my join").await.unwrap(), 1);
    assert_eq!(root.columns("my view").await.unwrap(), ["id", "desk", "price", "trader"]);
    root.update("trades", r#"[{"id":3,"desk":"fx"},{"id":5,"desk":"rates"},{"id":4,"price":1}]"#)
        .await
        .unwrap();
    let rows = root.read("my view", columns(&["id", "trader"])).await.unwrap();
    assert_eq!(rows, r#"[{"id":1,"trader":"***"},{"id":2,"trader":"***"},{"id":3,"trader":"***"}]"#);
    assert_eq!(
        root.read("my join", columns(&["id", "note"])).await.unwrap(),
        r#"[{"id":1,"note":"x"},{"id":3,"note":"y"}]"#
    );
    root.open("trades", "roots", ViewConfig::default()).await.unwrap();
    let stolen = ann.create("my own", TableOrigin::View { view_id: "roots".into(), columns: None }).await;
    assert_eq!(stolen.unwrap_err().to_string(), "View \"roots\" does not exist");
}

#[actix_rt::test]
async fn a_lost_right_ends_views_at_once() {
    let router = router(DESKS).await;
    let (ann, root) = (User::new(&router, ann()), User::new(&router, admin()));
    ann.open("trades", "anns", ViewConfig::default()).await.unwrap();
    root.open("trades", "roots", ViewConfig::default()).await.unwrap();
    assert_eq!(router.reload_policy(policy(DESKS)).await.unwrap(), 0);
    assert!(ann.rows("anns").await.is_ok());
    let other = DESKS.replace("$claims.desk'", "$claims.desk and \"price\" < 30'");
    assert_eq!(router.reload_policy(policy(&other)).await.unwrap(), 1);
    assert_eq!(ann.rows("anns").await.unwrap_err(), ActorError::RightsChanged);
    assert_eq!(ann.size("trades").await.unwrap(), 2);
    ann.open("trades", "anns", ViewConfig::default()).await.unwrap();
    let without = DESKS.replace("trades*", "other*");
    assert_eq!(router.reload_policy(policy(&without)).await.unwrap(), 1);
    assert!(denied(&ann.rows("anns").await.unwrap_err()));
    assert!(root.rows("roots").await.is_ok());
}

#[actix_rt::test]
async fn what_was_on_its_way_while_the_policy_changed_is_decided_again() {
    let router = router(DESKS).await;
    let table = router.catalog().table("trades").unwrap();
    router.reload_policy(policy(DESKS)).await.unwrap();
    let ask = async |principal: Principal, command: TableCommand| {
        // Decided by the first policy, for all of the table.
        let (caller, command) = (router.caller(principal), TargetCommand::Table(command));
        let (reply, answer) = Reply::channel();
        table.mailbox.post(TableRequest { caller, command, reply, handled: Box::new(()) }).await;
        answer.await.unwrap()
    };
    assert!(matches!(ask(ann(), TableCommand::GetSize).await, Ok(Answer::TableSize(3))));
    assert!(matches!(ask(admin(), TableCommand::GetSize).await, Ok(Answer::TableSize(6))));
    let error = ask(ann(), TableCommand::Delete { lazy: true }).await.unwrap_err();
    assert!(denied(&error));
}

#[actix_rt::test]
async fn a_policy_that_does_not_fit_a_table_serves_nobody_a_part() {
    let router = router(&DESKS.replace("\"desk\" ==", "\"bureau\" ==")).await;
    let error = router.check_policy(&router.rights().policy()).await.unwrap_err().to_string();
    assert!(error.starts_with("role.desk.grant[0].rows: ") && error.contains("bureau"), "{error}");
    let ann = User::new(&router, ann());
    let refused = ann.size("trades").await.unwrap_err();
    assert_eq!(refused.code(), "policy_unfit");
    assert!(!refused.to_string().contains("bureau"));
    assert!(User::new(&router, admin()).size("trades").await.is_ok());
}

#[actix_rt::test]
async fn a_sealed_link_opens_one_table_by_the_rights_of_its_maker() {
    let link = |maker: &Principal, rows: Option<&str>| {
        maker.with_sealed_grant(SealedGrant { table: "trades".into(), rows: rows.map(str::to_owned) })
    };
    let open = CommandRouter::new(router(DESKS).await.catalog().clone());
    open.catalog().host("secret", TableData::Rows(TRADES.into()), TableOptions::default()).await.unwrap();
    // Without a policy, too, it is no more than what it says.
    for router in [open, router(DESKS).await] {
        let root = User::new(&router, link(&admin(), Some("\"price\" > 25")));
        assert_eq!(root.tables().await.unwrap(), ["trades"]);
        assert_eq!(root.size("trades").await.unwrap(), 4);
        assert!(denied(&root.size("secret").await.unwrap_err()));
        assert!(denied(&root.update("trades", r#"[{"id":1,"price":1}]"#).await.unwrap_err()));
        assert!(router.rights().check_operate(&link(&admin(), None)).is_err());
        let wrong = User::new(&router, link(&admin(), Some("\"price\" > ")));
        assert_eq!(wrong.size("trades").await.unwrap(), 0, "what cannot be parsed shows nothing");
    }
    let router = router(DESKS).await;
    let anns = User::new(&router, link(&ann(), Some("\"price\" > 15")));
    assert_eq!(anns.size("trades").await.unwrap(), 2);
    assert_eq!(anns.columns("trades").await.unwrap(), ["id", "desk", "price", "trader"]);
    let of_none = User::new(&router, link(&principal("eve", "none", &[]), None));
    assert!(denied(&of_none.size("trades").await.unwrap_err()));
}

#[actix_rt::test]
async fn grants_join_and_a_column_is_as_clear_as_every_row_allows() {
    let grant = |rest: &str| format!("[[role.r.grant]]\ntables = [\"trades\"]\nmay = [\"read\"]\n{rest}\n");
    let fx = grant("rows = \"\\\"desk\\\" == 'fx'\"\nhide = [\"client\"]");
    let cheap = grant("rows = \"\\\"price\\\" < 35\"\nmask = { trader = \"'*'\" }");
    let whole = grant("");
    let masked = grant("mask = { client = \"'?'\" }");
    let hidden = grant("hide = [\"client\", \"trader\"]");
    let all = ["id", "desk", "price", "client", "trader"];
    let without = |gone: &[&str]| {
        all.iter().filter(|name| !gone.contains(name)).map(|name| name.to_string()).collect::<Vec<_>>()
    };
    for (grants, size, columns, first) in [
        (vec![&fx, &cheap], 4, without(&["client"]), r#"{"id":1,"desk":"fx","price":10,"trader":"*"}"#),
        (
            vec![&fx, &whole],
            6,
            without(&[]),
            r#"{"id":1,"desk":"fx","price":10,"client":"a","trader":"ann"}"#,
        ),
        (
            vec![&hidden, &masked],
            6,
            without(&[]),
            r#"{"id":1,"desk":"fx","price":10,"client":"?","trader":"ann"}"#,
        ),
        (vec![&hidden, &fx], 6, without(&["client", "trader"]), r#"{"id":1,"desk":"fx","price":10}"#),
    ] {
        let router = router(&grants.iter().map(|grant| grant.as_str()).collect::<String>()).await;
        let user = User::new(&router, principal("r", "r", &[]));
        assert_eq!(user.size("trades").await.unwrap(), size, "{grants:?}");
        assert_eq!(user.columns("trades").await.unwrap(), columns, "{grants:?}");
        let rows = user.read("trades", ViewConfig::default()).await.unwrap();
        assert!(rows.starts_with(&format!("[{first}")), "{grants:?}: {rows}");
    }
}

#[test]
fn a_policy_that_cannot_be_parsed_names_its_place() {
    let fault = |grant: &str| {
        let text =
            format!("[[role.desk.grant]]\ntables = [\"a\"]\nmay = [\"read\"]\n[[role.desk.grant]]\n{grant}");
        Policy::new(&roles(&text), true).expect_err("a fault").to_string()
    };
    let with = |rest: &str| fault(&format!("tables = [\"b\"]\nmay = [\"read\"]\n{rest}"));
    let text = with("rows = \"1 +\"");
    assert!(text.starts_with("role.desk.grant[1].rows: "), "{text}");
    let text = with("mask = { a = \"(\" }");
    assert!(text.starts_with("role.desk.grant[1].mask: "), "{text}");
    assert_eq!(fault("tables = []\nmay = [\"read\"]"), "role.desk.grant[1].tables: names no table");
    assert_eq!(fault("tables = [\"b\"]\nmay = []"), "role.desk.grant[1].may: names no right");
    assert!(fault("tables = [\"a[\"]\nmay = [\"read\"]").starts_with("role.desk.grant[1].tables: \"a[\""));
}

#[test]
fn limits_are_the_largest_of_the_roles() {
    let policy = policy(
        "[role.a.limits]\nsessions = 2\nviews = 9\nbytes_per_second = \"1KiB\"\n[role.b.limits]\nsessions = 3\nviews = 4\nbytes_per_second = 5000\nrows_per_second = 7\n",
    );
    let of = |roles: &[&str]| {
        policy.limits_of(&Principal::new("p", roles.iter().map(|role| role.to_string()), Default::default()))
    };
    let (one, both, none) = (of(&["a"]), of(&["a", "b"]), of(&[]));
    assert_eq!((one.sessions, one.views, one.bytes_per_second), (Some(2), Some(9), Some(ByteRate(1024))));
    assert_eq!((both.sessions, both.views, both.bytes_per_second), (Some(3), Some(9), Some(ByteRate(5000))));
    assert_eq!((both.rows_per_second, none.sessions), (None, None));
}
