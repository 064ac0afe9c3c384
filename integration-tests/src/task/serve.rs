//! `cargo serve`: a page with live tables, as soon as possible.
//!
//! Invariant: the server starts as soon as it is built, with the modes that need no engine in the browser; that engine
//! is built meanwhile by a process of its own and then offered by the page. Addresses are checked before anything is
//! built.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use super::page::Engine;
use super::{Result, Tree, page, port, tools};

/// The server's options for addresses, with their default ports.
const ADDRESSES: [(&str, u16); 2] = [("--listen", 8080), ("--flight", 8815)];

/// Builds the server and the page, and replaces this process by the server, so that Ctrl-C reaches only the server.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let tree = Tree::find();
    let mut arguments: Vec<String> = arguments.iter().filter(|argument| *argument != "--").cloned().collect();
    let is_plain = arguments.iter().any(|argument| argument == "--plain");
    arguments.retain(|argument| argument != "--plain");
    for (option, default) in ADDRESSES {
        choose_address(option, default, &mut arguments)?;
    }
    println!("Building the server (the first time takes some minutes)");
    // Downloads need no processor, so they run beside the compiler.
    let page = {
        let tree = tree.clone();
        std::thread::spawn(move || page::parts(&tree))
    };
    // Cargo's own progress is shown.
    let build = ["build", "--profile", "tryout", "-p", "proscenium-gateway"];
    let built = tools::cargo(&tree, &build).status();
    if !built.map_err(|error| format!("cannot run cargo: {error}"))?.success() {
        return Err("the server could not be built".into());
    }
    let has_own_page = arguments.iter().any(|argument| argument.starts_with("--assets"));
    let parts = page.join().map_err(|_| "the page's parts could not be had".to_owned())??;
    if !has_own_page {
        let engine = Engine::Tryout.folder(&tree);
        page::lay_out(&tree, &parts, engine.join("engine_bg.wasm").is_file().then_some(&*engine), false)?;
        let mut later = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
        later.arg("engine").spawn().map_err(|error| format!("cannot build the browser's engine: {error}"))?;
    }
    let binary = tree.target.join("tryout/proscenium");
    let mut server = Command::new(&binary);
    server.arg("serve");
    if !is_plain {
        server.arg("--demo");
    }
    if !has_own_page {
        server.arg("--assets").arg(tree.page());
    }
    server.args(&arguments);
    Err(format!("cannot start {}: {}", binary.display(), server.exec()))
}

/// Builds the browser's engine and adds it to the page, which a server is serving: `task engine`.
pub fn add_engine() -> Result<ExitCode> {
    let tree = Tree::find();
    let folder = page::engine(&tree, Engine::Tryout)?;
    page::add_engine(&tree, &folder)?;
    println!("The browser's engine is ready: the page offers its replicated and browser modes now.");
    Ok(ExitCode::SUCCESS)
}

/// Says who has a port that the server would need, and continues on a free one, unless the developer chose it.
fn choose_address(option: &str, default: u16, arguments: &mut Vec<String>) -> Result {
    let given = arguments
        .iter()
        .position(|argument| argument == option || argument.starts_with(&format!("{option}=")));
    let chosen = given.and_then(|at| match arguments[at].split_once('=') {
        Some((_, address)) => Some(address.to_owned()),
        None => arguments.get(at + 1).cloned(),
    });
    let address = chosen.clone().unwrap_or_else(|| format!("127.0.0.1:{default}"));
    if option == "--flight" && arguments.iter().any(|argument| argument == "--no-flight") {
        return Ok(());
    }
    let Some(taken) = port::taken(&address) else { return Ok(()) };
    if chosen.is_some() {
        return Err(format!("{option} {address}: {taken}"));
    }
    let free = port::free("127.0.0.1")?;
    println!("{address}: {taken}; continuing on {free}");
    arguments.extend([option.to_owned(), free]);
    Ok(())
}
