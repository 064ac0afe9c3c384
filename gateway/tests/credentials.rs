//! The commands that make users and keys, and the commands that use them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn run(arguments: &[&str], input: &str, token: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proscenium"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(token) = token {
        command.env("PROSCENIUM_TOKEN", token);
    }
    let mut child = command.spawn().expect("the binary starts");
    // It may end without reading.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    child.wait_with_output().expect("an end")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server, killed at the end, and its Flight address.
struct Server(Child, String);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(config: &Path) -> Server {
    let mut child = Command::new(env!("CARGO_BIN_EXE_proscenium"))
        .args(["serve", "--listen", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut flight = String::new();
    for line in lines.by_ref().map(|line| line.expect("text")) {
        if let Some(address) = line.strip_prefix("listening ").filter(|address| address.starts_with("grpc")) {
            flight = address.to_owned();
        }
        if line == "ready" {
            break;
        }
    }
    Server(child, flight)
}

#[test]
fn users_and_keys_are_added_to_a_configuration_that_a_server_takes() {
    let folder = std::env::temp_dir().join(format!("proscenium-credentials-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let config = folder.join("proscenium.toml");
    std::fs::write(&config, "# mine\n[limits]\nviews = 7\n").expect("a file");
    let path = config.to_str().expect("text");

    let printed = run(&["user", "add", "ann", "--role", "desk", "--claim", "desk=fx"], "secret\n", None);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    let entry = text(&printed.stdout);
    assert!(
        entry.starts_with("[[auth.user]]\nname = \"ann\"\npassword = \"$argon2id$v=19$m=19456,t=2,p=1$"),
        "{entry}"
    );
    assert!(entry.contains("roles = [\"desk\"]\nclaims = { \"desk\" = \"fx\" }\n"), "{entry}");
    assert!(!run(&["user", "add", "ann"], "\n", None).status.success(), "an empty password");
    assert!(!run(&["user", "add", "a:b"], "secret\n", None).status.success(), "no name");

    assert!(run(&["user", "add", "ann", "--config", path], "secret\n", None).status.success());
    let twice = run(&["user", "add", "ann", "--config", path], "other\n", None);
    assert!(text(&twice.stderr).contains("\"ann\" is configured twice"), "{}", text(&twice.stderr));
    let made = run(&["key", "new", "feed", "--config", path], "", None);
    let key = text(&made.stdout).trim().to_owned();
    assert!(key.starts_with("psk_") && !text(&made.stderr).contains(&key));
    let after = std::fs::read_to_string(&config).expect("the file");
    assert!(
        after.starts_with("# mine\n[limits]\nviews = 7\n\n[[auth.user]]") && !after.contains(&key),
        "{after}"
    );

    let server = serve(&config);
    let tables = ["tables", "--server", server.1.as_str()];
    let refused = run(&tables, "", None);
    assert!(text(&refused.stderr).contains("requires a login"), "{}", text(&refused.stderr));
    assert!(run(&tables, "", Some(&key)).status.success());
    assert!(run(&[&tables[..], &["--token", &key]].concat(), "", None).status.success());
    drop(server);
    std::fs::remove_dir_all(folder).expect("the folder is there");
}
