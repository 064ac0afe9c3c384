//! Changes of the configuration without a restart.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use proscenium_gateway::auth::passwords;
use proscenium_gateway::session::LOGIN_ENDED;
use proscenium_gateway::settings::Options;
use proscenium_gateway::{Running, Server};

use super::sockets::{closed, is_open, open};
use super::support::*;

/// A folder of this test, removed at its end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("proscenium-auth-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Folder {
    /// The audit, once it has a line with this text.
    pub async fn audit(&self, text: &str) -> String {
        loop {
            let audit = std::fs::read_to_string(self.0.join("audit.jsonl")).unwrap_or_default();
            if audit.lines().any(|line| line.contains(text)) {
                return audit;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn users(names: &[(&str, &str)]) -> String {
    let user = |(name, hash): &(&str, &str)| {
        format!("[[auth.user]]\nname = \"{name}\"\npassword = \"{hash}\"\nroles = [\"desk\"]\n")
    };
    format!("[auth]\n{}[audit]\nfile = \"audit.jsonl\"\n", names.iter().map(user).collect::<String>())
}

fn start(folder: &Folder, text: &str) -> Running {
    let config = folder.write("proscenium.toml", text);
    let free = Some("127.0.0.1:0".parse().expect("an address"));
    let options = Options { config: Some(config), listen: free, flight: free, ..Options::default() };
    Server::start(options.resolve(&[]).expect("a configuration")).expect("the server starts")
}

#[tokio::test]
async fn who_is_removed_or_changed_loses_the_connection_and_others_go_on() {
    let folder = Folder::new();
    let (ann, bob, new) =
        (passwords::hash_lightly("a"), passwords::hash_lightly("b"), passwords::hash_lightly("n"));
    let server = start(&folder, &users(&[("ann", &ann), ("bob", &bob), ("cat", &bob)]));
    let mut sockets = Vec::new();
    for (name, password) in [("ann", "a"), ("bob", "b"), ("cat", "b")] {
        sockets.push(open(&server, "", &basic(name, password)).await.expect("a socket"));
    }
    let cookie = log_in(&server, "bob", "b").await;
    // Ann stays, bob is removed, the password of cat is set anew.
    folder.write("proscenium.toml", &users(&[("ann", &ann), ("cat", &new)]));
    server.reload().expect("a configuration");
    let reason = "the user, key or provider was removed or changed; log in again";
    assert_eq!(closed(&mut sockets[1]).await, (LOGIN_ENDED, reason.into()));
    assert_eq!(closed(&mut sockets[2]).await, (LOGIN_ENDED, reason.into()));
    assert!(is_open(&mut sockets[0]).await);
    assert_eq!(ask(&server, "GET", "/api/v1/session", &cookie, "").await.status, 401);
    assert_eq!(ask(&server, "GET", "/api/v1/session", &basic("cat", "b"), "").await.status, 401);
    assert_eq!(ask(&server, "GET", "/api/v1/session", &basic("cat", "n"), "").await.status, 200);
}

#[tokio::test]
async fn a_change_that_is_invalid_changes_nothing() {
    let folder = Folder::new();
    let ann = passwords::hash_lightly("a");
    let server = start(&folder, &users(&[("ann", &ann)]));
    folder.write("proscenium.toml", &users(&[("ann", "secret")]));
    let error = server.reload().expect_err("no hash").to_string();
    assert!(error.contains("the password of \"ann\" is no hash"), "{error}");
    assert_eq!(ask(&server, "GET", "/api/v1/session", &basic("ann", "a"), "").await.status, 200);
    let unknown = ask(&server, "GET", "/api/v1/session", &basic("ann", "x"), "").await;
    assert_eq!(unknown.status, 401);
    drop(server);
    let audit = folder.audit("\"event\":\"reload\"").await;
    assert!(audit.contains("\"event\":\"reload\",\"ok\":false"), "{audit}");
    let refused =
        audit.lines().find(|line| line.contains("\"event\":\"login\",\"ok\":false")).expect("a refusal");
    assert!(refused.contains("\"user\":\"ann\",\"from\":\"127.0.0.1\",\"via\":\"http\""), "{refused}");
    assert!(!audit.contains("argon2") && !audit.contains("\"x\""), "{audit}");
}

#[tokio::test]
async fn a_policy_that_does_not_fit_changes_no_login_either() {
    let folder = Folder::new();
    folder.write("trades.csv", "id,desk\n1,fx\n");
    let grant = "[[role.desk.grant]]\ntables = [\"*\"]\nmay = [\"read\"]\n";
    let tables = "[[table]]\nname = \"trades\"\npath = \"trades.csv\"\n";
    let (ann, bob) = (passwords::hash_lightly("a"), passwords::hash_lightly("b"));
    let server = start(&folder, &format!("{}{grant}{tables}", users(&[("ann", &ann)])));
    let rows = "rows = '\"bureau\" == \"desk\"'\n";
    folder.write("proscenium.toml", &format!("{}{grant}{rows}{tables}", users(&[("bob", &bob)])));
    let error = server.reload().expect_err("no such column").to_string();
    assert!(error.starts_with("role.desk.grant[0].rows: ") && error.contains("bureau"), "{error}");
    let table = "/api/v1/tables/trades?format=csv";
    assert_eq!(ask(&server, "GET", table, &basic("ann", "a"), "").await.status, 200);
    assert_eq!(ask(&server, "GET", table, &basic("bob", "b"), "").await.status, 401);
}

#[tokio::test]
async fn a_server_that_begins_to_require_logins_ends_anonymous_connections() {
    let folder = Folder::new();
    let server = start(&folder, "");
    let mut socket = open(&server, "", "").await.expect("a socket");
    folder.write("proscenium.toml", &users(&[("ann", &passwords::hash_lightly("a"))]));
    server.reload().expect("a configuration");
    assert_eq!(closed(&mut socket).await, (LOGIN_ENDED, "the server now requires a login".into()));
    assert_eq!(ask(&server, "GET", "/api/v1/tables", "", "").await.status, 401);
}

#[tokio::test]
async fn files_are_watched() {
    let folder = Folder::new();
    let server = start(&folder, &users(&[("ann", &passwords::hash_lightly("a"))]));
    let mut socket = open(&server, "", &basic("ann", "a")).await.expect("a socket");
    folder.write("proscenium.toml", &users(&[("bob", &passwords::hash_lightly("b"))]));
    assert_eq!(closed(&mut socket).await.0, LOGIN_ENDED);
}

#[tokio::test]
async fn the_audit_says_who_created_exported_and_dropped_a_table_and_who_was_refused() {
    let folder = Folder::new();
    let roles = "[[role.desk.grant]]\ntables = [\"t\"]\nmay = [\"read\", \"write\", \"create\", \"drop\"]\n";
    let server = start(&folder, &(users(&[("ann", &passwords::hash_lightly("a"))]) + roles));
    let ann = basic("ann", "a");
    for (method, path, status) in [
        ("PUT", "/api/v1/tables/t?format=csv", 201),
        ("GET", "/api/v1/tables/t?format=csv", 200),
        ("DELETE", "/api/v1/tables/t", 204),
        ("PUT", "/api/v1/tables/other?format=csv", 403),
    ] {
        assert_eq!(ask(&server, method, path, &ann, "x\n1\n").await.status, status, "{method} {path}");
    }
    let audit = folder.audit("\"event\":\"drop\"").await;
    for event in ["create", "export", "drop"] {
        let mut lines = audit.lines().filter(|line| line.contains(&format!("\"event\":\"{event}\"")));
        let line = lines.next().unwrap_or_else(|| panic!("no {event}: {audit}"));
        for part in [
            "\"ok\":true",
            "\"user\":\"ann\"",
            "\"from\":\"127.0.0.1\"",
            "\"via\":\"http\"",
            "\"table\":\"t\"",
        ] {
            assert!(line.contains(part), "{line}");
        }
        assert!(lines.next().is_none(), "once: {audit}");
    }
}
