//! `cargo verify`: runs every check and every test, on any machine with rustup, node and Python.
//!
//! Invariant: a failing step is shown and counted, and steps that do not depend on it still run. The last line is the
//! total.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use super::step::{attempt, must};
use super::tally::Tally;
use super::{Result, Tree, package, page, tools, wheel};

/// All crates but the binding generator, which contains no logic and is needed by the page only.
const ALL: [&str; 3] = ["--workspace", "--exclude", "proscenium-bindgen"];

/// Scripts of each random family: about two minutes on two cores.
const DIFFERENTIAL_SEEDS: &str = "200";
/// The same against the reference engine of the older generation: about a minute.
const OLDER_SEEDS: &str = "100";
/// The same with a data directory, killed and started again between them: half a minute.
const DURABLE_SEEDS: &str = "20";
/// The same for the browser's engine: half a minute.
const WORKER_SEEDS: &str = "60";

pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let is_release = match arguments {
        [] => false,
        [flag] if flag == "--release" => true,
        _ => return Err(format!("cargo verify: unknown arguments: {}", arguments.join(" "))),
    };
    let started = Instant::now();
    let mut run = Run { tree: Tree::find(), tally: Tally::default() };
    println!("Rust");
    run.check("format", tools::cargo(&run.tree, &["fmt", "--all", "--check"]))?;
    run.cargo("clippy", &[&["clippy"], &ALL[..], &["--all-targets", "--", "-D", "warnings"]].concat())?;
    // Includes the slow tests, which plain `cargo test` ignores.
    run.cargo("tests", &[&["test", "--no-fail-fast"], &ALL[..], &["--", "--include-ignored"]].concat())?;
    // Only optimized code fits the stack of a browser.
    let hostile = ["test", "--profile", "tryout", "-p", "proscenium-engine", "--test", "hostile"];
    run.cargo("hostile input, optimised, on small stacks", &hostile)?;
    println!("End to end");
    match run.prepare(is_release) {
        Ok(()) => run.end_to_end(is_release)?,
        Err(complaint) => {
            println!("{complaint}");
            run.tally.failed += 1;
        }
    }
    println!(
        "\n{} s in total; the output of the steps is in {}",
        started.elapsed().as_secs(),
        show(&run.tree.logs())
    );
    println!("{}", run.tally);
    Ok(if run.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Run {
    tree: Tree,
    tally: Tally,
}

impl Run {
    fn cargo(&mut self, title: &str, arguments: &[&str]) -> Result {
        self.check(title, tools::cargo(&self.tree, arguments))
    }

    /// Runs a step. Counts its tests, or the step itself if it has none, and shows its output if it fails.
    fn check(&mut self, title: &str, mut command: Command) -> Result {
        let outcome = attempt(&self.tree, title, &mut command)?;
        let mut tally = Tally::read(&outcome.output);
        if !outcome.is_success {
            show_output(&outcome.output);
            // A runner that crashed before its summary has failed.
            tally.failed = tally.failed.max(1);
        } else if tally == Tally::default() {
            tally.passed = 1;
        } else {
            println!("    {tally}");
        }
        self.tally.add(tally);
        Ok(())
    }

    /// Builds and installs what the end-to-end tests need.
    fn prepare(&self, is_release: bool) -> Result {
        let tree = &self.tree;
        tools::browser(tree)?;
        tools::venvs(tree)?;
        tools::npm(tree, &tree.tests())?;
        page::build(tree, is_release)?;
        // Before the plain server, whose place it takes in the target folder.
        package::build(tree, if is_release { "release" } else { "dev" })?;
        package::npm(tree, &page::Engine::Small.folder(tree))?;
        let wheel = wheel::build(tree, &tree.venv().join("bin/python"))?;
        wheel::environment(tree, &wheel)?;
        let mut build = vec!["build", "-p", "proscenium-gateway"];
        build.extend(is_release.then_some("--release"));
        must(tree, "server", &mut tools::cargo(tree, &build)).map(drop)
    }

    fn end_to_end(&mut self, is_release: bool) -> Result {
        for (title, folder) in [("JavaScript client and HTTP", "node"), ("page in Chromium", "browser")] {
            let mut node = Command::new("node");
            // One file at a time: each file starts its own server, and there may be only two cores.
            node.args(["--test", "--test-reporter=spec", "--test-concurrency=1", "--test-timeout=120000"]);
            node.args(files(&self.tree.tests().join(folder), ".test.mjs")?);
            self.check(title, self.with_server(node, is_release))?;
        }
        for (title, venv, folder) in [
            ("Python client and Arrow Flight", self.tree.venv(), "python"),
            ("Python wheel", self.tree.wheel_venv(), "wheel"),
            ("commands of README and docs", self.tree.wheel_venv(), "docs"),
        ] {
            let mut python = Command::new(venv.join("bin/python"));
            python.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", folder]);
            python.env("PYTHONDONTWRITEBYTECODE", "1");
            self.check(title, self.with_server(python, is_release))?;
        }
        let differential = |seeds: &[&str], side: &str, tested: PathBuf| {
            let mut command = Command::new(self.tree.venv().join("bin/python"));
            command.args(["-B", "differential/run.py", "--keep-going"]).args(seeds).arg(side).arg(tested);
            self.with_server(command, is_release)
        };
        let server = differential(&["--seeds", DIFFERENTIAL_SEEDS], "--binary", self.tree.binary(is_release));
        // Other seeds than the server's, since both run the same engine.
        let seeds = ["--from", "10000", "--seeds", WORKER_SEEDS];
        let worker = differential(&seeds, "--worker", self.tree.page().join("engine"));
        // Other seeds, once more.
        let seeds = ["--data", "--from", "20000", "--seeds", DURABLE_SEEDS];
        let durable = differential(&seeds, "--binary", self.tree.binary(is_release));
        let mut older = differential(&["--seeds", OLDER_SEEDS], "--binary", self.tree.binary(is_release));
        let python = self.tree.older_venv().join("bin/python");
        older.args(["--client", "5.5", "--peer"]).arg(python);
        self.check("random scripts, beside the published engine", server)?;
        self.check("the same with a data directory, killed between scripts", durable)?;
        self.check("the same as an older client, beside the engine of 5.5", older)?;
        self.check("the same in the browser's engine, as WebAssembly", worker)
    }

    fn with_server(&self, mut command: Command, is_release: bool) -> Command {
        command
            .current_dir(self.tree.tests())
            .env("PROSCENIUM_BIN", self.tree.binary(is_release))
            .env("PROSCENIUM_PACKAGED", self.tree.packaged())
            .env("PROSCENIUM_NPM_PACKAGE", self.tree.npm_package())
            .env("PROSCENIUM_ASSETS", self.tree.page())
            .env("PROSCENIUM_ARTIFACTS", self.tree.root.join("artifacts"))
            .env("PROSCENIUM_CHROMIUM", tools::CHROMIUM)
            .env("PROSCENIUM_PYTHON", self.tree.venv().join("bin/python"));
        command
    }
}

/// Prints a step's output without cargo's progress.
fn show_output(output: &str) {
    const NOISE: [&str; 5] = ["Checking ", "Compiling ", "Downloaded ", "Downloading ", "Blocking "];
    for line in output.trim_end().lines() {
        if !NOISE.iter().any(|noise| line.trim_start().starts_with(noise)) {
            println!("{line}");
        }
    }
}

fn files(folder: &std::path::Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    found.sort();
    Ok(found)
}

fn show(path: &std::path::Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
