//! What is shipped: the npm package, and the packaged binary, one file that contains the server, the page, the browser's engine and the default configuration.
//!
//! Invariant: only the binary's own crate is compiled for it; the libraries are those of other builds of the profile.
//! Other builds of the binary are not concerned: they have no page inside.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::step::must;
use super::{Result, Tree, page, tools};

/// `cargo package-binary [PROFILE] [--keep-page]`: builds page and binary for a release, or with a profile that is built
/// faster; `--keep-page` takes the page that is there.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let tree = Tree::find();
    let profile = arguments.iter().find(|word| !word.starts_with("--")).map_or("dist", String::as_str);
    if !arguments.iter().any(|word| word == "--keep-page") {
        page::build(&tree, profile == "dist")?;
    }
    let binary = build(&tree, profile)?;
    println!("{}", binary.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds the binary with the page that was built before, and returns its path.
pub fn build(tree: &Tree, profile: &str) -> Result<PathBuf> {
    let packaged = tree.packaged();
    let folder = packaged.parent().unwrap_or(&tree.target);
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let list = folder.join("page_files.rs");
    write_if_changed(&list, &page_files(&tree.page())?)?;
    let arguments = ["rustc", "-p", "proscenium-gateway", "--bin", "proscenium", "--profile", profile];
    let mut compile = tools::cargo(tree, &arguments);
    // Without the lines of backtraces, which are most of a development build.
    compile.args(["--", "--cfg", "page_inside", "-C", "strip=debuginfo"]).env("PROSCENIUM_PAGE_FILES", &list);
    if std::env::var_os("PROSCENIUM_COMMIT").is_none() {
        compile.env("PROSCENIUM_COMMIT", commit(tree));
    }
    must(tree, "server with its page", &mut compile)?;
    let built = tree.target.join(if profile == "dev" { "debug" } else { profile }).join("proscenium");
    // Another build replaces `built`; a running copy of `packaged` must not be written to.
    let _ = std::fs::remove_file(&packaged);
    let failed = |error| format!("{}: {error}", packaged.display());
    std::fs::copy(&built, &packaged).map_err(failed)?;
    let size = std::fs::metadata(&packaged).map_err(failed)?.len();
    println!("    {size} bytes");
    Ok(packaged)
}

/// `cargo package-npm`: builds the browser's engine and packs it with its JavaScript.
pub fn run_npm() -> Result<ExitCode> {
    let tree = Tree::find();
    tools::npm(&tree, &tree.web_client())?;
    let engine = page::engine(&tree, page::Engine::Smallest)?;
    npm(&tree, &engine)?;
    println!("{}", tree.npm_package().display());
    Ok(ExitCode::SUCCESS)
}

/// Packs the npm package with the engine in this directory.
pub fn npm(tree: &Tree, engine: &Path) -> Result {
    let mut pack = Command::new("node");
    pack.arg(tree.web_client().join("build-package.mjs")).arg("--engine").arg(engine);
    let packed = must(tree, "npm package", pack.arg("--out").arg(tree.npm_package()))?;
    println!("    {}", packed.trim());
    Ok(())
}

/// The commit that is built, marked if files differ from it; empty if unknown.
fn commit(tree: &Tree) -> String {
    let mut git = Command::new("git");
    let described =
        git.current_dir(&tree.root).args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    match described {
        Ok(described) if described.status.success() => {
            String::from_utf8_lossy(&described.stdout).trim().to_owned()
        }
        _ => String::new(),
    }
}

/// The expression that `gateway/src/main.rs` includes: each file once, its brotli form if there is one.
fn page_files(page: &Path) -> Result<String> {
    let mut found = Vec::new();
    collect(page, page, &mut found)?;
    found.sort();
    if !found.iter().any(|(path, _)| path == "index.html") {
        return Err(format!("{}: there is no page; `task page` builds it", page.display()));
    }
    let mut list = "&[\n".to_owned();
    for (path, file) in found {
        let mut compressed = file.clone().into_os_string();
        compressed.push(".br");
        let compressed = PathBuf::from(compressed);
        let is_compressed = compressed.is_file();
        let stored = if is_compressed { compressed } else { file };
        let bytes = std::fs::read(&stored).map_err(|error| format!("{}: {error}", stored.display()))?;
        let mut hash = DefaultHasher::new();
        hash.write(&bytes);
        let tag = format!("{:016x}", hash.finish());
        // Writing to a text does not fail.
        let _ = writeln!(
            list,
            "    PageFile {{ path: {path:?}, tag: {tag:?}, is_compressed: {is_compressed}, stored: include_bytes!({stored:?}) }},"
        );
    }
    list.push(']');
    Ok(list)
}

/// The files of the page below `folder`, without compressed siblings, by their path in the page.
fn collect(page: &Path, folder: &Path, found: &mut Vec<(String, PathBuf)>) -> Result {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with(".br") || name.ends_with(".gz") {
            continue;
        }
        if path.is_dir() {
            collect(page, &path, found)?;
        } else {
            let relative = path.strip_prefix(page).unwrap_or(&path);
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            found.push((parts.join("/"), path));
        }
    }
    Ok(())
}

/// A file that is not written is not compiled again.
fn write_if_changed(path: &Path, text: &str) -> Result {
    if std::fs::read_to_string(path).is_ok_and(|written| written == text) {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
