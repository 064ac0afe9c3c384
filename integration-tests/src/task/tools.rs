//! Checks the required tools, and installs those that the usual registries provide.

use std::path::Path;
use std::process::{Command, Stdio};

use super::step::{attempt, must};
use super::{Result, Tree, is_fresh};

/// The Python packages of the end-to-end tests: the newest published client and Arrow Flight's.
const PYTHON_PACKAGES: [&str; 4] =
    ["perspective-python==5.6.1", "pyarrow==26.0.1", "websockets==17.4", "pytest==9.2.0"];

/// The published client of the previous generation; its wheel contains the viewer with charts.
const CHARTS_WHEEL: &str = "perspective-python==5.5.1";

pub const CHROMIUM: &str = "/usr/bin/chromium";

/// Creates a cargo command in the checkout.
pub fn cargo(tree: &Tree, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&tree.root).args(arguments);
    command
}

/// Installs the compiler's target for the browser, which cargo does not always do itself.
pub fn wasm_target(tree: &Tree) -> Result {
    let mut command = Command::new("rustup");
    command.current_dir(&tree.root).args(["target", "add", "wasm32-unknown-unknown"]);
    must(tree, "compiler target wasm32", &mut command).map(drop)
}

/// Installs the npm packages of a directory's lock file.
pub fn npm(tree: &Tree, folder: &Path) -> Result {
    if is_fresh(&folder.join("node_modules/.package-lock.json"), &[&folder.join("package-lock.json")]) {
        return Ok(());
    }
    if !answers("npm", &["--version"]) {
        return Err("node (20 or newer) and npm are required: install them and try again".into());
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut command = Command::new("npm");
    command.current_dir(folder).args(["ci", "--no-audit", "--no-fund"]);
    must(tree, &format!("npm packages of {name}"), &mut command).map(drop)
}

/// Downloads the all-in-one viewer (grid and charts) and returns its directory.
pub fn charts(tree: &Tree) -> Result<std::path::PathBuf> {
    let folder = tree.target.join("charts");
    let viewer = folder.join("perspective/widget/static");
    if viewer.join("perspective-anywidget.js").is_file() {
        return Ok(viewer);
    }
    let wheels = tree.target.join("wheels");
    let mut download = Command::new("python3");
    download.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"]);
    must(tree, "viewer with charts", download.arg(&wheels).arg(CHARTS_WHEEL))?;
    let wheel = std::fs::read_dir(&wheels)
        .map_err(|error| format!("{}: {error}", wheels.display()))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .ok_or_else(|| format!("{}: no wheel was downloaded", wheels.display()))?;
    let mut unpack = Command::new("python3");
    unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&folder);
    must(tree, "unpacking it", &mut unpack)?;
    Ok(viewer)
}

/// Creates a Python environment with the packages of the tests, and a second one with the older reference engine.
pub fn venvs(tree: &Tree) -> Result {
    venv(tree, &tree.venv(), &PYTHON_PACKAGES, "requirements.txt")?;
    venv(tree, &tree.older_venv(), &[], "requirements-5.5.txt")
}

/// `requirements` is a file of the differential tests.
fn venv(tree: &Tree, venv: &Path, packages: &[&str], requirements: &str) -> Result {
    let stamp = venv.join("packages");
    let differential = tree.tests().join("differential").join(requirements);
    let wanted = std::fs::read_to_string(&differential)
        .map_err(|error| format!("{}: {error}", differential.display()))?;
    let wanted = format!("{}\n{wanted}", packages.join("\n"));
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let make = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]).arg(venv);
        command
    };
    if !attempt(tree, "Python environment", &mut make())?.is_success {
        apt(tree, &["python3", "python3-venv"])?;
        must(tree, "Python environment, again", &mut make())?;
    }
    let mut install = Command::new(venv.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    install.arg("-r").arg(&differential);
    must(tree, "Python packages", &mut install)?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// Installs a browser for the tests of the page, and fonts.
pub fn browser(tree: &Tree) -> Result {
    let mut missing = Vec::new();
    if !Path::new(CHROMIUM).exists() {
        missing.push("chromium");
    }
    if !Path::new("/usr/share/fonts/truetype/dejavu").is_dir() {
        missing.push("fonts-dejavu");
    }
    if missing.is_empty() { Ok(()) } else { apt(tree, &missing) }
}

fn apt(tree: &Tree, packages: &[&str]) -> Result {
    let apt = |arguments: &[&str]| {
        // Only without a password: a test run must not prompt for one.
        let mut command = if is_root() { Command::new("apt-get") } else { Command::new("sudo") };
        if !is_root() {
            command.args(["-n", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        command
    };
    must(tree, "package lists", &mut apt(&["update", "-q"]))?;
    let install = [&["install", "-q", "-y", "--no-install-recommends"][..], packages].concat();
    must(tree, &format!("installing {}", packages.join(", ")), &mut apt(&install)).map(drop)
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn answers(program: &str, arguments: &[&str]) -> bool {
    let run = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}
