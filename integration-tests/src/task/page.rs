//! The engine for the browser and the page around it: `target/page`.

use std::process::Command;

use super::step::must;
use super::{Result, Tree, is_fresh, tools};

/// Smaller code, and every feature that wasm-bindgen's and rustc's output uses.
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

/// Builds what is missing or old, and prints the sizes of what a browser loads.
pub fn build(tree: &Tree) -> Result {
    tools::wasm_target(tree)?;
    tools::npm(tree, &tree.web_client())?;
    let charts = tools::charts(tree);
    if let Err(complaint) = &charts {
        println!("{complaint}\n  no charts: the page will show grids alone (pip could not fetch them)");
    }
    let engine = engine(tree)?;
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

/// The worker's module and its JavaScript.
fn engine(tree: &Tree) -> Result<std::path::PathBuf> {
    let triple = "wasm32-unknown-unknown";
    let build = ["build", "-p", "proscenium-web", "--target", triple, "--profile", "wasm"];
    must(tree, "engine for the browser", &mut tools::cargo(tree, &build))?;
    must(tree, "binding generator", &mut tools::cargo(tree, &["build", "-p", "proscenium-bindgen"]))?;
    let compiled = tree.target.join(triple).join("wasm/proscenium_web.wasm");
    let folder = tree.target.join("engine");
    let (module, optimised) = (folder.join("engine_bg.wasm"), folder.join("optimised.wasm"));
    let stamp = folder.join("optimised");
    let generator = tree.target.join("debug/proscenium-bindgen");
    if is_fresh(&stamp, &[&compiled, &generator]) {
        return Ok(folder);
    }
    must(tree, "bindings", Command::new(&generator).arg(&compiled).arg(&folder))?;
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let raw = size(&module);
    let mut optimise = Command::new(tree.web_client().join("node_modules/.bin/wasm-opt"));
    optimise.args(OPTIMISE).arg(&module).arg("-o").arg(&optimised);
    must(tree, "optimising the engine", &mut optimise)?;
    println!("    {} bytes compiled, {raw} bound, {} optimised", size(&compiled), size(&optimised));
    let moved = std::fs::rename(&optimised, &module).and_then(|()| std::fs::write(&stamp, ""));
    moved.map_err(|error| format!("{}: {error}", module.display()))?;
    Ok(folder)
}
