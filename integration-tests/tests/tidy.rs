//! House rules, checked mechanically.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A longer file usually holds two ideas.
const MAX_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file of the repository that people wrote, with its path from the root.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root(), endings, &mut found);
    found.sort();
    assert!(!found.is_empty());
    found
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<(String, String)>) {
    const NOT_OURS: [&str; 6] = ["target", "node_modules", "generated", "artifacts", ".git", ".venv"];
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if NOT_OURS.contains(&name.as_str()) || name.ends_with("lock.json") {
            continue;
        }
        if path.is_dir() {
            collect(&path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let path = path.strip_prefix(root()).expect("the folder is below the root");
            found.push((path.display().to_string(), text));
        }
    }
}

fn complain(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn every_rust_file_says_what_it_is() {
    let silent: Vec<String> = files(&[".rs"])
        .into_iter()
        .filter(|(_, text)| {
            // Attributes of the whole file may come first.
            let first = text.lines().find(|line| !line.is_empty() && !line.starts_with("#!["));
            !first.is_some_and(|line| line.starts_with("//!"))
        })
        .map(|(path, _)| path)
        .collect();
    complain("a Rust file opens with //!", &silent);
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = files(&[".rs", ".js", ".mjs", ".py"])
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    complain("a file has at most 600 lines", &long);
}

#[test]
fn no_two_public_types_of_a_crate_share_a_name() {
    const CRATES: [&str; 5] = ["engine/src/", "proto/src/", "actors/src/", "gateway/src/", "web-client/src/"];
    let mut homes: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for (path, text) in files(&[".rs"]) {
        if path.contains("/tests") {
            continue;
        }
        let Some(package) = CRATES.iter().find(|package| path.starts_with(**package)) else { continue };
        for name in text.lines().filter_map(public_type) {
            homes.entry((package, name.to_owned())).or_default().push(path.clone());
        }
    }
    let shared: Vec<String> = homes
        .into_iter()
        .filter(|(_, paths)| paths.len() > 1)
        .map(|((_, name), paths)| format!("{name}: {}", paths.join(", ")))
        .collect();
    complain("a public type's name is unique in its crate", &shared);
}

/// The name of the type that a line declares for other modules.
fn public_type(line: &str) -> Option<&str> {
    let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let declared = words.next().filter(|word| *word == "pub").and_then(|_| {
        words.find(|word| ["struct", "enum", "trait", "type", "fn", "mod", "use", "const"].contains(word))
    })?;
    ["struct", "enum", "trait", "type"].contains(&declared).then(|| words.next())?
}

/// Retired identifiers, which the field's terms have replaced (ARCHITECTURE.md, Glossary).
const RETIRED: [&str; 40] = [
    "Outlet",
    "outlet",
    "fanout",
    "News",
    "LaneId",
    "speak_in",
    "Audience",
    "Listening",
    "owe",
    "owing",
    "Parcel",
    "Receipt",
    "Born",
    "birth",
    "Mourners",
    "LifeLine",
    "Lifeline",
    "Keeper",
    "sever",
    "note_connection",
    "Seat",
    "Introduce",
    "myself",
    "Preparation",
    "Backlog",
    "Adopted",
    "Underway",
    "Ranking",
    "Resting",
    "spine",
    "Misfit",
    "unheard",
    "Surroundings",
    "Doorkeeper",
    "SessionOver",
    "knobs",
    "is_chance",
    "news_bytes",
    "behind_seconds",
    "CutOptions",
];

#[test]
fn retired_words_do_not_return() {
    let offenders: Vec<String> = files(&[".rs", ".toml", ".js", ".mjs", ".py", ".json"])
        .into_iter()
        .filter(|(path, _)| !path.ends_with("tidy.rs"))
        .flat_map(|(path, text)| {
            let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.to_owned()));
            lines.map(move |(number, line)| (path.clone(), number, line)).collect::<Vec<_>>()
        })
        .filter(|(_, _, line)| {
            line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .any(|word| RETIRED.contains(&word))
        })
        .map(|(path, number, line)| format!("{path}:{number}: {}", line.trim()))
        .collect();
    complain("retired words (see ARCHITECTURE.md, Glossary)", &offenders);
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    // Written in parts, so that this file does not name them either.
    let homes = [["/ro", "ot/"].concat(), ["/ho", "me/"].concat(), ["/wo", "rk/"].concat()];
    let offenders: Vec<String> = files(&[".rs", ".js", ".mjs", ".py", ".toml", ".md", ".yaml", ".html"])
        .into_iter()
        .flat_map(|(path, text)| {
            let lines: Vec<String> = text
                .lines()
                .enumerate()
                .filter(|(_, line)| homes.iter().any(|home| line.contains(home)))
                .map(|(number, line)| format!("{path}:{}: {}", number + 1, line.trim()))
                .collect();
            lines
        })
        .collect();
    complain("paths are relative to the checkout", &offenders);
}

#[test]
fn messages_of_errors_do_not_end_in_a_full_stop() {
    // Texts of the published server, which clients expect.
    const GIVEN: &str = "Couldn't find key.";
    let offenders: Vec<String> = files(&["error.rs"])
        .into_iter()
        .flat_map(|(path, text)| {
            let lines: Vec<String> = text
                .lines()
                .filter(|line| line.trim_start().starts_with("#[error(") && line.contains(".\")"))
                .filter(|line| !line.contains(GIVEN))
                .map(|line| format!("{path}: {}", line.trim()))
                .collect();
            lines
        })
        .collect();
    complain("an error's text has no final stop", &offenders);
}
