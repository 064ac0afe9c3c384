//! Merges the command line and the configuration file.
//!
//! Invariant: options of the command line override the file; the tables of both are hosted. Unknown keys are errors
//! that name the key.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use proscenium_proto::client_generation;
use serde::Deserialize;

use crate::auth;
use crate::config::{
    AuditConfig, AuthConfig, BYTES, Config, DeflateConfig, Limits, MemoryConfig, RoleConfig, StorageConfig,
    THREADS, TlsConfig, check_range,
};
use crate::page::{PageFile, PageSource};
use crate::rights::Policy;
use crate::setup_error::SetupError;
use crate::sites::SiteConfig;
use crate::source::Source;

/// The options of `proscenium serve`.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Hosts a file as a table; may be repeated.
    #[arg(long = "table", value_name = "NAME=FILE[,…]")]
    pub tables: Vec<Source>,
    /// Hosts the demonstration tables: a real data set and a simulated market.
    #[arg(long)]
    pub demo: bool,
    /// Reads a configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address for HTTP and WebSocket; port 0 selects a free one [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address for Arrow Flight; port 0 selects a free one [default: 127.0.0.1:8815].
    #[arg(long, value_name = "ADDR")]
    pub flight: Option<SocketAddr>,
    /// Disables Arrow Flight.
    #[arg(long, conflicts_with = "flight")]
    pub no_flight: bool,
    /// Folder of the page, in place of the one inside the binary.
    #[arg(long, value_name = "FOLDER")]
    pub assets: Option<PathBuf>,
    /// Maximum size of a WebSocket message, in bytes [default: 256 MiB].
    #[arg(long, value_name = "BYTES")]
    pub max_frame_bytes: Option<usize>,
    /// Maximum size of an HTTP upload, in bytes [default: 1 GiB].
    #[arg(long, value_name = "BYTES")]
    pub max_upload_bytes: Option<usize>,
    /// Allows pages of another site: scheme://host[:port], or * for every one; may be repeated.
    #[arg(long = "origin", value_name = "ORIGIN")]
    pub origins: Vec<String>,
    /// A name that the server is reached by, as behind a proxy; may be repeated.
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Serves other machines though there is no [auth].
    #[arg(long)]
    pub insecure: bool,
    /// Keeps tables in this directory: what is acknowledged outlives the server [default: nothing is kept].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Threads for tables and views, twice as many for loads and exports [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// The configuration file: every key is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Option<SocketAddr>,
    flight: Option<SocketAddr>,
    no_flight: bool,
    demo: bool,
    assets: Option<PathBuf>,
    max_frame_bytes: Option<usize>,
    max_upload_bytes: Option<usize>,
    default_generation: Option<String>,
    threads: Option<usize>,
    limits: Limits,
    deflate: DeflateConfig,
    memory: MemoryConfig,
    storage: StorageConfig,
    #[serde(rename = "http")]
    sites: SiteConfig,
    auth: Option<AuthConfig>,
    #[serde(rename = "role")]
    roles: BTreeMap<String, RoleConfig>,
    tls: Option<TlsConfig>,
    audit: AuditConfig,
    #[serde(rename = "table")]
    tables: Vec<Source>,
}

impl Options {
    /// Merges the options with the configuration file and the defaults. `embedded` are the page's files inside the binary.
    ///
    /// # Errors
    ///
    /// The text names the file and the key, or the option, that is invalid.
    pub fn resolve(self, embedded: &'static [PageFile]) -> Result<Config, SetupError> {
        let file = match &self.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let defaults = Config::default();
        let page = match self.assets.or(file.assets) {
            Some(folder) if folder.join("index.html").is_file() => PageSource::Folder(folder),
            Some(folder) => {
                let reason = format!("{} contains no index.html", folder.display());
                return Err(SetupError::Setting { key: "assets", reason });
            }
            None => PageSource::find(embedded),
        };
        let threads = self.threads.or(file.threads).unwrap_or(defaults.threads);
        check_range("threads", threads as u64, THREADS)?;
        file.limits.check()?;
        file.deflate.check()?;
        file.memory.check()?;
        let mut storage = file.storage;
        storage.path = self.data.or(storage.path);
        storage.check()?;
        Policy::new(&file.roles, !file.roles.is_empty())?;
        let mut sites = file.sites;
        sites.origins.extend(self.origins);
        sites.hosts.extend(self.hosts);
        sites.check()?;
        if let Some(auth) = &file.auth {
            auth::check(auth)?;
        }
        let flight = match self.flight.or(file.flight) {
            Some(addr) => Some(addr),
            None if self.no_flight || file.no_flight => None,
            None => defaults.flight,
        };
        let default_generation = match file.default_generation.as_deref().map(client_generation::parse) {
            Some(parsed) => parsed.map_err(|error| SetupError::Setting {
                key: "default_generation",
                reason: error.to_string(),
            })?,
            None => defaults.default_generation,
        };
        let max_frame_bytes =
            self.max_frame_bytes.or(file.max_frame_bytes).unwrap_or(defaults.max_frame_bytes);
        check_range("max_frame_bytes", max_frame_bytes as u64, BYTES)?;
        let max_upload_bytes =
            self.max_upload_bytes.or(file.max_upload_bytes).unwrap_or(defaults.max_upload_bytes);
        check_range("max_upload_bytes", max_upload_bytes as u64, BYTES)?;
        let mut tables = file.tables;
        tables.extend(self.tables);
        for (position, table) in tables.iter().enumerate() {
            table.check()?;
            if tables[..position].iter().any(|other| other.name == table.name) {
                let reason = "is defined twice".to_owned();
                return Err(SetupError::Table { table: table.name.clone(), reason });
            }
        }
        let config = Config {
            listen: self.listen.or(file.listen).unwrap_or(defaults.listen),
            flight: if self.no_flight { None } else { flight },
            max_frame_bytes,
            max_upload_bytes,
            default_generation,
            limits: file.limits,
            deflate: file.deflate,
            memory: file.memory,
            storage,
            sites,
            auth: file.auth,
            roles: file.roles,
            tls: file.tls,
            audit: file.audit,
            insecure: self.insecure,
            file: self.config,
            threads,
            page,
            tables,
            demo: self.demo || file.demo,
        };
        config.check_exposure()?;
        Ok(config)
    }
}

/// The sections of a configuration file that apply without a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloadable {
    pub auth: Option<AuthConfig>,
    pub roles: BTreeMap<String, RoleConfig>,
}

/// Reads the sections of a configuration file that apply without a restart.
///
/// # Errors
///
/// The file cannot be read, or a section is invalid.
pub fn reload(path: &Path) -> Result<Reloadable, SetupError> {
    let File { auth, roles, .. } = read(path)?;
    if let Some(auth) = &auth {
        auth::check(auth)?;
    }
    Ok(Reloadable { auth, roles })
}

/// Checks the text of a configuration whose users and keys may have changed.
///
/// # Errors
///
/// It is no configuration, or `[auth]` is invalid.
pub fn check_text(text: &str) -> Result<(), SetupError> {
    let file: File = toml::from_str(text)
        .map_err(|error| SetupError::Configuration { path: PathBuf::new(), reason: error.to_string() })?;
    file.auth.as_ref().map_or(Ok(()), auth::check)
}

fn read(path: &Path) -> Result<File, SetupError> {
    let text = std::fs::read_to_string(path).map_err(|error| SetupError::Unreadable {
        path: path.to_owned(),
        table: None,
        reason: error.to_string(),
    })?;
    let mut file: File = toml::from_str(&text).map_err(|error| SetupError::Configuration {
        path: path.to_owned(),
        reason: error.to_string().trim_end().to_owned(),
    })?;
    // Paths in the file are relative to its directory.
    let folder = path.parent().unwrap_or(Path::new("."));
    for table in file.tables.iter_mut().filter(|table| !table.path.as_os_str().is_empty()) {
        table.path = folder.join(&table.path);
    }
    file.assets = file.assets.map(|assets| folder.join(assets));
    file.storage.path = file.storage.path.map(|path| folder.join(path));
    file.audit.file =
        file.audit.file.map(|path| if path.as_os_str() == "stderr" { path } else { folder.join(path) });
    if let Some(tls) = &mut file.tls {
        tls.resolve_paths(folder);
    }
    if let Some(auth) = &mut file.auth {
        auth.resolve_paths(folder);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// `options` with a configuration file of this text.
    fn resolved(text: &str, options: Options) -> Result<Config, SetupError> {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("proscenium-settings-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let config = Options { config: Some(path.clone()), ..options }.resolve(&[]);
        std::fs::remove_file(path).unwrap();
        config
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let sites = resolved(
            "[http]\nhosts = [\"a.test\"]",
            Options { origins: vec!["https://b.test".into()], ..Options::default() },
        );
        let SiteConfig { origins, hosts } = sites.unwrap().sites;
        assert_eq!((origins, hosts), (vec!["https://b.test".to_owned()], vec!["a.test".to_owned()]));
        let text = "listen = \"127.0.0.1:1\"\nthreads = 3\n[[table]]\nname = \"a\"\npath = \"a.csv\"\nindex = \"id\"\n[limits]\nviews = 7\n";
        let config = resolved(text, Options::default()).unwrap();
        assert_eq!((config.limits.views, config.listen), (7, "127.0.0.1:1".parse().unwrap()));
        let (listen, tables) = ("127.0.0.1:2".parse().unwrap(), vec!["b=b.csv".parse().unwrap()]);
        let config = resolved(text, Options { listen: Some(listen), tables, ..Options::default() }).unwrap();
        assert_eq!(config.listen, "127.0.0.1:2".parse().unwrap());
        assert_eq!(config.threads, 3);
        let names: Vec<&str> = config.tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(config.tables[0].path.is_absolute(), "paths are relative to the file's directory");
    }

    #[test]
    fn other_machines_reach_only_servers_that_require_a_login() {
        let public = || Options { listen: Some("0.0.0.0:1".parse().unwrap()), ..Options::default() };
        let error = resolved("", public()).unwrap_err().to_string();
        assert!(error.contains("listen: other machines reach 0.0.0.0:1"), "{error}");
        assert!(error.contains("[auth]") && error.contains("--insecure"), "{error}");
        let flight = resolved("flight = \"10.0.0.1:2\"", Options::default()).unwrap_err().to_string();
        assert!(flight.contains("flight: other machines reach 10.0.0.1:2"), "{flight}");
        assert!(resolved("", Options { insecure: true, ..public() }).is_ok());
        assert!(resolved("[auth]\nsession_hours = 1", public()).is_ok());
        assert!(resolved("insecure = true", public()).is_err(), "only the command line can say so");
    }

    #[test]
    fn errors_name_their_cause() {
        let error = |text: &str| resolved(text, Options::default()).unwrap_err().to_string();
        assert!(error("colour = 3").contains("colour"));
        assert!(error("[limits]\nviewz = 3").contains("viewz"));
        assert!(error("[limits]\nwindow_bytes = 0").contains("window_bytes"));
        assert!(error("threads = 0").contains("threads: 0 is not between 1 and 1024"));
        assert!(error("threads = 1000000000").contains("threads"));
        assert!(error("max_frame_bytes = 1").contains("max_frame_bytes: 1 is not between 256"));
        assert!(error("max_upload_bytes = 0").contains("max_upload_bytes"));
        assert!(error("[limits]\ntables = 0").contains("limits.tables"));
        assert!(error("[limits]\nexport_bytes = 1").contains("limits.export_bytes"));
        for (setting, wrong) in [
            ("limit = \"much\"", "\"much\" is no amount of memory"),
            ("limit = \"0%\"", "memory.limit: 0 is not between 1 and 100"),
            ("limit = \"101%\"", "memory.limit: 101"),
            ("limit = \"1MiB\"", "memory.limit: 1048576 is not between"),
            ("per_session = \"1\"", "memory.per_session: 1 is not between"),
            ("per_request = \"99999999999999GiB\"", "memory.per_request: "),
            ("per_requests = \"1GiB\"", "per_requests"),
        ] {
            let error = error(&format!("[memory]\n{setting}"));
            assert!(error.contains(wrong), "{setting}: {error}");
        }
        for key in ["max_lag", "ping", "silence", "header", "stall", "put_pause", "closing", "drain"] {
            for seconds in [0, i64::MAX] {
                let text = format!("[limits]\n{key}_seconds = {seconds}");
                assert!(error(&text).contains(&format!("limits.{key}_seconds: {seconds}")), "{text}");
            }
        }
        for rate in [0, 1 << 30] {
            let text = format!("[limits]\nleast_bytes_per_second = {rate}");
            assert!(error(&text).contains(&format!("limits.least_bytes_per_second: {rate}")), "{text}");
        }
        for (table, wrong) in [
            ("name = \"\"\npath = \"a.csv\"", "empty name"),
            ("name = \"a\"\npath = \"\"", "no file"),
            ("name = \"a\"\npath = \"a.csv\"\nlimit = 0", "limit"),
            ("name = \"a\"\npath = \"a.csv\"\nindex = \"\"", "index"),
            ("name = \"a\"\npath = \"a.csv\"\nindex = \"i\"\nlimit = 3", "both"),
        ] {
            let error = error(&format!("[[table]]\n{table}"));
            assert!(error.contains(wrong), "{table}: {error}");
        }
        assert!(
            error("[http]\norigins = [\"desk.example.com\"]")
                .contains("\"desk.example.com\" is not an origin")
        );
        assert!(error("[http]\nhosts = [\"*\"]").contains("\"*\" is not a host name"));
        assert!(error("default_generation = \"new\"").contains("default_generation"));
        let twice = Options {
            tables: vec!["a=a.csv".parse().unwrap(), "a=b.csv".parse().unwrap()],
            ..Options::default()
        };
        assert!(twice.resolve(&[]).unwrap_err().to_string().contains("\"a\""));
        let missing = Options { config: Some("no/such.toml".into()), ..Options::default() };
        assert!(missing.resolve(&[]).unwrap_err().to_string().contains("no/such.toml"));
    }
}
