//! Who may depend on whom: downwards only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Our crates and the ones among ours that they use, directly or not, in builds that are shipped.
fn uses(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--offline"])
        .output()
        .expect("cargo runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn our_crates_depend_downwards() {
    let allowed = BTreeMap::from([
        ("proscenium-engine", vec![]),
        ("proscenium-proto", vec!["proscenium-engine"]),
        ("proscenium-actors", vec!["proscenium-engine"]),
        ("proscenium-web", vec!["proscenium-engine", "proscenium-proto"]),
        ("proscenium-gateway", vec!["proscenium-actors", "proscenium-engine", "proscenium-proto"]),
        ("proscenium-bindgen", vec![]),
        ("proscenium-integration-tests", vec![]),
        ("proscenium-load", vec!["proscenium-engine", "proscenium-proto"]),
    ]);
    for (package, wanted) in allowed {
        let ours: Vec<String> = uses(package)
            .into_iter()
            .filter(|name| name.starts_with("proscenium-") && name != package)
            .collect();
        assert_eq!(ours, wanted, "{package}");
    }
}

#[test]
fn the_engine_knows_no_actor_socket_or_runtime() {
    let engine = uses("proscenium-engine");
    for foreign in ["actix", "actix-rt", "tokio", "async-std", "mio", "futures", "prost", "tonic", "tracing"]
    {
        assert!(!engine.contains(foreign), "the engine uses {foreign}");
    }
    let actors = uses("proscenium-actors");
    for foreign in ["actix-web", "prost", "tonic", "arrow-flight"] {
        assert!(!actors.contains(foreign), "the actors use {foreign}");
    }
    let worker = uses("proscenium-web");
    for foreign in ["actix", "tokio", "tonic", "mio"] {
        assert!(!worker.contains(foreign), "the worker uses {foreign}");
    }
}

#[test]
fn one_file_names_the_deprecated_socket_crate() {
    let mut naming = Vec::new();
    for package in ["engine", "proto", "actors", "gateway", "web-client"] {
        collect(&root().join(package).join("src"), &mut naming);
    }
    assert_eq!(naming, ["gateway/src/session/socket.rs"]);
}

fn collect(folder: &Path, naming: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, naming);
        } else if std::fs::read_to_string(&path).unwrap_or_default().lines().any(names_it) {
            let path = path.strip_prefix(root()).expect("the folder is below the root").to_owned();
            naming.push(path.display().to_string());
        }
    }
}

/// In code; a comment may tell of it.
fn names_it(line: &str) -> bool {
    line.contains("actix_web_actors") && !line.trim_start().starts_with("//")
}
