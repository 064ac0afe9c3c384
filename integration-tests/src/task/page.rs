//! Builds the browser's engine and the page: `target/page`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::step::must;
use super::{Result, Tree, is_fresh, tools};

/// Optimizes for size and enables the features that the output of rustc and wasm-bindgen uses.
const OPTIMISE: [&str; 8] = [
    "-Os",
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Builds the page for a release: `cargo run --package proscenium-integration-tests --bin task -- page`.
pub fn run() -> Result<ExitCode> {
    build(&Tree::find(), true).map(|()| ExitCode::SUCCESS)
}

/// Builds missing or outdated files and prints the sizes of those that a browser loads. `small`: also optimizes the
/// engine, which takes minutes and makes it a tenth smaller.
pub fn build(tree: &Tree, small: bool) -> Result {
    tools::wasm_target(tree)?;
    tools::npm(tree, &tree.web_client())?;
    let charts = tools::charts(tree);
    if let Err(complaint) = &charts {
        println!(
            "{complaint}\n  no charts: the page will show grids only (pip could not download the viewer)"
        );
    }
    let engine = engine(tree, small)?;
    let mut lay_out = Command::new("node");
    lay_out.arg(tree.web_client().join("build-page.mjs")).arg("--out").arg(tree.page());
    lay_out.arg("--engine").arg(&engine);
    if let Ok(charts) = charts {
        lay_out.arg("--charts").arg(charts);
    }
    let sizes = must(tree, "page", &mut lay_out)?;
    for line in sizes.lines() {
        println!("    {line}");
    }
    Ok(())
}

/// Builds the worker's module and its JavaScript.
fn engine(tree: &Tree, small: bool) -> Result<PathBuf> {
    let triple = "wasm32-unknown-unknown";
    let build = ["build", "-p", "proscenium-web", "--target", triple, "--profile", "wasm"];
    must(tree, "engine for the browser", &mut tools::cargo(tree, &build))?;
    must(tree, "binding generator", &mut tools::cargo(tree, &["build", "-p", "proscenium-bindgen"]))?;
    let compiled = tree.target.join(triple).join("wasm/proscenium_web.wasm");
    let generator = tree.target.join("debug/proscenium-bindgen");
    let folder = tree.target.join("engine");
    let module = folder.join("engine_bg.wasm");
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let bound = folder.join("bound.stamp");
    if !is_fresh(&bound, &[&compiled, &generator]) {
        must(tree, "bindings", Command::new(&generator).arg(&compiled).arg(&folder))?;
        stamp(&bound)?;
        println!("    {} bytes compiled, {} bound", size(&compiled), size(&module));
    }
    let optimised = folder.join("optimised.stamp");
    if small && !is_fresh(&optimised, &[&bound]) {
        let smaller = folder.join("smaller.wasm");
        let mut optimise = Command::new(tree.web_client().join("node_modules/.bin/wasm-opt"));
        optimise.args(OPTIMISE).arg(&module).arg("-o").arg(&smaller);
        must(tree, "optimising the engine", &mut optimise)?;
        println!("    {} bytes optimised", size(&smaller));
        std::fs::rename(&smaller, &module).map_err(|error| format!("{}: {error}", module.display()))?;
        stamp(&optimised)?;
    }
    Ok(folder)
}

/// Marks a step as done.
fn stamp(path: &Path) -> Result {
    std::fs::write(path, "").map_err(|error| format!("{}: {error}", path.display()))
}
