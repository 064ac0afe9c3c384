//! `cargo verify`: runs every check and every test, on any machine with rustup, node and Python.
//!
//! Invariant: a failing step is shown and counted, and steps that do not depend on it still run. The last line is the
//! total. What mostly waits runs two steps at a time.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use super::step::{Outcome, attempt, attempt_beside, must};
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

/// A command whose tests are counted.
struct Step {
    title: &'static str,
    command: Command,
}

struct Run {
    tree: Tree,
    tally: Tally,
}

impl Run {
    fn cargo(&mut self, title: &str, arguments: &[&str]) -> Result {
        self.check(title, tools::cargo(&self.tree, arguments))
    }

    /// Runs a step and counts its tests.
    fn check(&mut self, title: &str, mut command: Command) -> Result {
        let outcome = attempt(&self.tree, title, &mut command)?;
        self.tally.add(tests_of(&outcome));
        Ok(())
    }

    /// Runs two sequences of steps beside each other: most of them wait for clients and timers more than they compute.
    fn check_beside(&mut self, lanes: [Vec<Step>; 2]) -> Result {
        let tree = &self.tree;
        let run = |lane: Vec<Step>| -> Result<Tally> {
            let mut tally = Tally::default();
            for Step { title, mut command } in lane {
                tally.add(tests_of(&attempt_beside(tree, title, &mut command)?));
            }
            Ok(tally)
        };
        let tallies = std::thread::scope(|scope| {
            let lanes = lanes.map(|lane| scope.spawn(|| run(lane)));
            lanes.map(|lane| lane.join().unwrap_or_else(|_| Err("a sequence of steps panicked".to_owned())))
        });
        for tally in tallies {
            self.tally.add(tally?);
        }
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
        let node = |title, folder| -> Result<Step> {
            let mut node = Command::new("node");
            // One file at a time: each file starts its own server, and there may be only two cores.
            node.args(["--test", "--test-reporter=spec", "--test-concurrency=1", "--test-timeout=120000"]);
            node.args(files(&self.tree.tests().join(folder), ".test.mjs")?);
            Ok(Step { title, command: self.with_server(node, is_release) })
        };
        let pytest = |title, venv: PathBuf, folder| {
            let mut python = Command::new(venv.join("bin/python"));
            python.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", folder]);
            python.env("PYTHONDONTWRITEBYTECODE", "1");
            Step { title, command: self.with_server(python, is_release) }
        };
        let differential = |title, seeds: &[&str], side: &str, tested: PathBuf| {
            let mut command = Command::new(self.tree.venv().join("bin/python"));
            command.args(["-B", "differential/run.py", "--keep-going"]).args(seeds).arg(side).arg(tested);
            Step { title, command: self.with_server(command, is_release) }
        };
        let binary = self.tree.binary(is_release);
        let server = differential(
            "random scripts, beside the published engine",
            &["--seeds", DIFFERENTIAL_SEEDS],
            "--binary",
            binary.clone(),
        );
        // Other seeds than the server's, since both run the same engine.
        let worker = differential(
            "the same in the browser's engine, as WebAssembly",
            &["--from", "10000", "--seeds", WORKER_SEEDS],
            "--worker",
            self.tree.page().join("engine"),
        );
        // Other seeds, once more.
        let durable = differential(
            "the same with a data directory, killed between scripts",
            &["--data", "--from", "20000", "--seeds", DURABLE_SEEDS],
            "--binary",
            binary.clone(),
        );
        let mut older = differential(
            "the same as an older client, beside the engine of 5.5",
            &["--seeds", OLDER_SEEDS],
            "--binary",
            binary,
        );
        let python = self.tree.older_venv().join("bin/python");
        older.command.args(["--client", "5.5", "--peer"]).arg(python);
        let clients = vec![
            pytest("Python client and Arrow Flight", self.tree.venv(), "python"),
            node("page in Chromium", "browser")?,
            pytest("Python wheel", self.tree.wheel_venv(), "wheel"),
        ];
        let scripts = vec![
            server,
            older,
            durable,
            worker,
            node("JavaScript client and HTTP", "node")?,
            pytest("commands of README and docs", self.tree.wheel_venv(), "docs"),
        ];
        self.check_beside([clients, scripts])
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

/// Counts the tests of a step, or the step itself if it has none. Shows its output if it failed.
fn tests_of(outcome: &Outcome) -> Tally {
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
    tally
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
