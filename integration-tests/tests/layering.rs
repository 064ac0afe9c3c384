//! Dependencies point downwards only: between crates, and between the top-level modules of a crate.

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

/// Seeds of hash tables are not chance in this sense: no order of a hash table reaches a result.
#[test]
fn the_engine_is_given_time_and_threads() {
    let mut found = Vec::new();
    let source = root().join("engine/src");
    for path in rust_files(&source) {
        let relative =
            path.strip_prefix(&source).expect("the file is below the folder").display().to_string();
        if relative.contains("tests") {
            continue;
        }
        for line in shipped_code(&std::fs::read_to_string(&path).expect("a readable file")) {
            let is_global = line.contains("static ") && line.contains("Atomic");
            let worldly = ["std::time", "SystemTime", "Instant::now", "available_parallelism"];
            if is_global || worldly.iter().any(|word| line.contains(word)) {
                found.push(format!("{relative}: {line}"));
            }
        }
    }
    assert!(
        found.is_empty(),
        "the engine's world is an argument (engine/src/context.rs):\n{}",
        found.join("\n")
    );
}

#[test]
fn one_file_names_the_deprecated_socket_crate() {
    let mut naming = Vec::new();
    for package in ["engine", "proto", "actors", "gateway", "web-client"] {
        collect(&root().join(package).join("src"), &mut naming);
    }
    assert_eq!(naming, ["gateway/src/session/connect.rs"]);
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

/// In code; comments may mention it.
fn names_it(line: &str) -> bool {
    line.contains("actix_web_actors") && !line.trim_start().starts_with("//")
}

#[test]
fn no_two_top_level_modules_of_a_crate_import_each_other() {
    for package in ["engine", "proto", "actors", "gateway", "web-client", "integration-tests/load"] {
        let imports = imports_of(&root().join(package).join("src"));
        let mut circle =
            imports.keys().filter(|module| reaches(&imports, module, module)).collect::<Vec<_>>();
        circle.sort();
        assert!(circle.is_empty(), "{package}: these modules import each other: {circle:?}");
    }
}

type Imports = BTreeMap<String, BTreeSet<String>>;

/// Which top-level modules of a crate each of them imports by `crate::module`. Tests may reach upwards.
fn imports_of(source: &Path) -> Imports {
    let mut imports = Imports::new();
    for path in rust_files(source) {
        let relative = path.strip_prefix(source).expect("the file is below the folder");
        let is_test = relative.components().any(|part| part.as_os_str().to_string_lossy().contains("tests"));
        let module = relative.components().next().expect("a file").as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs").to_owned();
        if is_test || ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let used = shipped_code(&text).flat_map(|line| line.split("crate::").skip(1)).map(|rest| {
            rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect::<String>()
        });
        let of_module = imports.entry(module.clone()).or_default();
        of_module.extend(used.filter(|used| *used != module));
    }
    imports
}

/// The lines of a file that are neither comments nor tests.
fn shipped_code(text: &str) -> impl Iterator<Item = &str> {
    let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    shipped.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn reaches(imports: &Imports, from: &str, to: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for next in imports.get(module).into_iter().flatten() {
            if next == to {
                return true;
            }
            if seen.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    false
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_circle_of_modules_is_found() {
    let imports = |pairs: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (from, to) in pairs {
            imports.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        imports
    };
    assert!(reaches(&imports(&[("a", "b"), ("b", "c"), ("c", "a")]), "a", "a"));
    assert!(!reaches(&imports(&[("a", "b"), ("a", "c"), ("b", "c")]), "a", "a"));
}
