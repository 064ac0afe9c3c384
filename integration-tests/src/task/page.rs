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

/// What the page is made of beside the engine.
#[derive(Debug)]
pub struct Parts {
    /// The directory of the viewer with charts, if it could be downloaded.
    charts: Option<PathBuf>,
}

/// How the browser's engine is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// In a fraction of the time, for a first look: larger.
    Tryout,
    /// As small as the compiler makes it.
    Small,
    /// And then optimized by a further tool, which takes minutes and makes it a tenth smaller.
    Smallest,
}

impl Engine {
    fn profile(self) -> &'static str {
        match self {
            Engine::Tryout => "wasm-tryout",
            Engine::Small | Engine::Smallest => "wasm",
        }
    }

    /// Where the module and its JavaScript are.
    pub fn folder(self, tree: &Tree) -> PathBuf {
        tree.target.join(match self {
            Engine::Tryout => "engine-tryout",
            Engine::Small | Engine::Smallest => "engine",
        })
    }
}

/// Builds missing or outdated files and prints the sizes of those that a browser loads. `small`: also optimizes the
/// engine.
pub fn build(tree: &Tree, small: bool) -> Result {
    let parts = parts(tree)?;
    let engine = engine(tree, if small { Engine::Smallest } else { Engine::Small })?;
    lay_out(tree, &parts, Some(&engine), true)
}

/// Downloads what the page is made of beside the engine.
pub fn parts(tree: &Tree) -> Result<Parts> {
    tools::npm(tree, &tree.web_client())?;
    let charts = tools::charts(tree);
    if let Err(complaint) = &charts {
        println!(
            "{complaint}\n  no charts: the page will show grids only (pip could not download the viewer)"
        );
    }
    Ok(Parts { charts: charts.ok() })
}

/// Writes the page, with the engine in this directory; compressed for a network, or as it is for a first look.
pub fn lay_out(tree: &Tree, parts: &Parts, engine: Option<&Path>, is_compressed: bool) -> Result {
    let mut lay_out = Command::new("node");
    lay_out.arg(tree.web_client().join("build-page.mjs")).arg("--out").arg(tree.page());
    if let Some(engine) = engine {
        lay_out.arg("--engine").arg(engine);
    }
    if let Some(charts) = &parts.charts {
        lay_out.arg("--charts").arg(charts);
    }
    if !is_compressed {
        lay_out.arg("--uncompressed");
    }
    let sizes = must(tree, "page", &mut lay_out)?;
    for line in sizes.lines() {
        println!("    {line}");
    }
    Ok(())
}

/// Adds an engine to a page that was written without, and changes nothing else: the page may be open.
pub fn add_engine(tree: &Tree, engine: &Path) -> Result {
    let mut add = Command::new("node");
    add.arg(tree.web_client().join("build-page.mjs")).arg("--out").arg(tree.page());
    must(tree, "adding the engine to the page", add.arg("--add-engine").arg(engine)).map(drop)
}

/// Builds the worker's module and its JavaScript.
pub fn engine(tree: &Tree, kind: Engine) -> Result<PathBuf> {
    tools::wasm_target(tree)?;
    let (triple, profile) = ("wasm32-unknown-unknown", kind.profile());
    let build = ["build", "-p", "proscenium-web", "--target", triple, "--profile", profile];
    must(tree, "engine for the browser", &mut tools::cargo(tree, &build))?;
    must(tree, "binding generator", &mut tools::cargo(tree, &["build", "-p", "proscenium-bindgen"]))?;
    let compiled = tree.target.join(triple).join(profile).join("proscenium_web.wasm");
    let generator = tree.target.join("debug/proscenium-bindgen");
    let folder = kind.folder(tree);
    let module = folder.join("engine_bg.wasm");
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let bound = folder.join("bound.stamp");
    if !is_fresh(&bound, &[&compiled, &generator]) {
        must(tree, "bindings", Command::new(&generator).arg(&compiled).arg(&folder))?;
        stamp(&bound)?;
        println!("    {} bytes compiled, {} bound", size(&compiled), size(&module));
    }
    let optimised = folder.join("optimised.stamp");
    if kind == Engine::Smallest && !is_fresh(&optimised, &[&bound]) {
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
