//! The Python wheel, which carries the packaged binary, and an environment that has it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::step::must;
use super::{Result, Tree, package};

/// What the wheel's tests use beside it: the frames that it takes, its optional packages, and the type checker.
const TEST_PACKAGES: [&str; 4] = ["pytest==9.2.0", "pandas==3.1.1", "polars==2.1.0", "mypy==2.4.1"];

/// `cargo package-wheel [PROFILE] [--keep-page]`: builds the binary and the wheel.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    package::run(arguments)?;
    let tree = Tree::find();
    println!("{}", build(&tree, Path::new("python3"))?.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds the wheel of the binary that was packaged before, and returns its path.
pub fn build(tree: &Tree, python: &Path) -> Result<PathBuf> {
    let folder = tree.target.join("package/wheel");
    // A wheel of another version must not be taken for this one.
    let _ = std::fs::remove_dir_all(&folder);
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir"]);
    pip.arg(&folder).arg(tree.root.join("deploy/python")).env("PROSCENIUM_BINARY", tree.packaged());
    must(tree, "Python wheel", &mut pip)?;
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut wheels = std::fs::read_dir(&folder).map_err(failed)?.flatten().map(|entry| entry.path());
    let wheel = wheels.next().ok_or_else(|| format!("{}: no wheel was built", folder.display()))?;
    println!("    {} bytes", std::fs::metadata(&wheel).map_err(failed)?.len());
    Ok(wheel)
}

/// Creates an environment that has the wheel and what its tests use, and nothing else.
pub fn environment(tree: &Tree, wheel: &Path) -> Result {
    let venv = tree.wheel_venv();
    let stamp = venv.join("packages");
    let manifest = tree.root.join("deploy/python/pyproject.toml");
    let wanted =
        std::fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let wanted = format!("{}\n{wanted}", TEST_PACKAGES.join("\n"));
    let pip = || {
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip
    };
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        // Its packages are there; the wheel may have changed.
        let mut again = pip();
        return must(tree, "installing the wheel", again.args(["--no-deps", "--force-reinstall"]).arg(wheel))
            .map(drop);
    }
    let mut make = Command::new("python3");
    must(tree, "Python environment of the wheel", make.args(["-m", "venv", "--clear"]).arg(&venv))?;
    let mut install = pip();
    install.args(TEST_PACKAGES).arg(format!("{}[client,progress]", wheel.display()));
    must(tree, "installing the wheel", &mut install)?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}
