//! `cargo serve`: builds everything and serves a page with live tables.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use super::{Result, Tree, page, tools};

/// Builds missing files and replaces this process by the server, so that Ctrl-C reaches only the server.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let tree = Tree::find();
    println!("Building (the first time takes some minutes)");
    page::build(&tree, false)?;
    println!("  server");
    // Cargo's own progress is shown.
    let built = tools::cargo(&tree, &["build", "--release", "-p", "proscenium-gateway"]).status();
    if !built.map_err(|error| format!("cannot run cargo: {error}"))?.success() {
        return Err("the server could not be built".into());
    }
    let is_plain = arguments.iter().any(|argument| argument == "--plain");
    let mut server = Command::new(tree.binary(true));
    server.arg("serve");
    if !is_plain {
        server.arg("--demo");
    }
    if !arguments.iter().any(|argument| argument == "--assets") {
        server.arg("--assets").arg(tree.page());
    }
    server.args(arguments.iter().filter(|argument| *argument != "--plain"));
    Err(format!("cannot start {}: {}", tree.binary(true).display(), server.exec()))
}
