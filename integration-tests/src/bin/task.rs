//! `cargo serve` and `cargo verify` (see `.cargo/config.toml`).

use std::process::ExitCode;

use proscenium_integration_tests::task::{package, page, serve, verify, wheel};

const USAGE: &str = "usage:
  cargo serve [--plain] [-- ARGUMENTS OF proscenium serve]
                                                          build as needed, then serve the demonstration tables
                                                          (--plain: without them)
  cargo verify [--release]                                run every check and test
  cargo package-binary [PROFILE] [--keep-page]            build target/package/proscenium: one file with the page inside
  cargo package-wheel [PROFILE] [--keep-page]             and target/package/wheel: that file as a Python package
  cargo package-npm                                       and target/package/npm: the browser's engine as an npm package";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let done = match task.as_str() {
        "page" => page::run(),
        "package" => package::run(&rest),
        "npm" => package::run_npm(),
        "wheel" => wheel::run(&rest),
        // Started by `serve`, beside the server.
        "engine" => serve::add_engine(),
        "serve" => serve::run(&rest),
        "verify" => verify::run(&rest),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(code) => code,
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::FAILURE
        }
    }
}
