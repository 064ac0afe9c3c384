//! The developer's tasks: `cargo serve` and `cargo verify`.
//!
//! Reading order: the paths of a checkout ([`Tree`]), running a command as a step ([`step`]), the required tools
//! ([`tools`]), the worker and the page ([`page`]), one file with all of it ([`package`]) and as a Python wheel ([`wheel`]), whether a port is free ([`port`]), and the two tasks ([`serve`], [`verify`]).

pub mod package;
pub mod page;
pub mod port;
pub mod serve;
pub mod step;
pub mod tally;
pub mod tools;
pub mod verify;
pub mod wheel;

use std::path::{Path, PathBuf};

/// A result whose error is a text for the developer.
pub type Result<T = (), E = String> = std::result::Result<T, E>;

/// The paths of a checkout.
#[derive(Debug, Clone)]
pub struct Tree {
    pub root: PathBuf,
    pub target: PathBuf,
}

impl Tree {
    /// The checkout that this program was built in.
    pub fn find() -> Tree {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().unwrap_or(here).to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        Tree { root, target }
    }

    pub fn web_client(&self) -> PathBuf {
        self.root.join("web-client")
    }

    pub fn tests(&self) -> PathBuf {
        self.root.join("integration-tests")
    }

    /// The directory that the gateway serves.
    pub fn page(&self) -> PathBuf {
        self.target.join("page")
    }

    /// The output of the steps.
    pub fn logs(&self) -> PathBuf {
        self.target.join("logs")
    }

    /// Python packages for the tests.
    pub fn venv(&self) -> PathBuf {
        self.target.join("venv")
    }

    /// Python packages with the reference engine of the older generation of clients.
    pub fn older_venv(&self) -> PathBuf {
        self.target.join("venv-5.5")
    }

    /// The directory of the npm package.
    pub fn npm_package(&self) -> PathBuf {
        self.target.join("package/npm")
    }

    /// The Python wheel, and what its tests use.
    pub fn wheel_venv(&self) -> PathBuf {
        self.target.join("venv-wheel")
    }

    /// The binary that contains the page.
    pub fn packaged(&self) -> PathBuf {
        self.target.join("package/proscenium")
    }

    pub fn binary(&self, is_release: bool) -> PathBuf {
        self.target.join(if is_release { "release" } else { "debug" }).join("proscenium")
    }
}

/// Whether `made` exists and is not older than any of `sources`.
pub fn is_fresh(made: &Path, sources: &[&Path]) -> bool {
    let time = |path: &Path| std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let Some(made) = time(made) else { return false };
    sources.iter().all(|source| time(source).is_some_and(|source| source <= made))
}
