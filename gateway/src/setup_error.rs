//! What keeps a server from starting, by the setting, file or table at fault.

use std::path::PathBuf;

use proscenium_actors::ActorError;
use proscenium_engine::EngineError;

/// A setting that is invalid, or a file that cannot be read or loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// A key of the configuration or an option has an invalid value.
    #[error("{key}: {reason}")]
    Setting {
        /// The key with its section, as `limits.views`.
        key: &'static str,
        /// What is wrong with the value.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}{}: {reason}", path.display(), for_table(table))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The table that is loaded from it.
        table: Option<String>,
        /// What the system says.
        reason: String,
    },
    /// The configuration is no TOML, or has a key that does not exist.
    #[error("the configuration {} is invalid: {reason}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// The key and the line.
        reason: String,
    },
    /// A `--table` argument that is not understood.
    #[error("{reason}")]
    TableArgument {
        /// The part, and what is expected.
        reason: String,
    },
    /// The options of a table are invalid.
    #[error("table \"{table}\": {reason}")]
    Table {
        /// The table.
        table: String,
        /// The option.
        reason: String,
    },
    /// The extension of a file determines no format.
    #[error("{}: the extension determines no format; add format=csv (or json, ndjson, arrow, parquet)", path.display())]
    UnknownExtension {
        /// The file.
        path: PathBuf,
    },
    /// A file was read and its content refused.
    #[error("cannot load {} as table \"{table}\": {}", path.display(), fault.to_string().trim_end())]
    Load {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// Why.
        fault: Box<ActorError>,
    },
    /// A table of the demonstration cannot be created.
    #[error("cannot create the demonstration's table \"{table}\": {fault}")]
    Demo {
        /// The table.
        table: &'static str,
        /// Why.
        fault: Box<ActorError>,
    },
    /// A grant of a role cannot be applied.
    #[error("{place}: {reason}")]
    Policy {
        /// The key with its section, as `role.desk.grant[0].rows`.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Something that the server needs of its machine is missing.
    #[error("{reason}")]
    System {
        /// What, and what the system says.
        reason: String,
    },
}

impl From<EngineError> for SetupError {
    /// An option of a `--table` argument that is no value of its kind.
    fn from(error: EngineError) -> Self {
        SetupError::TableArgument { reason: error.to_string() }
    }
}

fn for_table(table: &Option<String>) -> String {
    table.as_ref().map_or_else(String::new, |table| format!(" for table \"{table}\""))
}
