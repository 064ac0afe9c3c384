//! Parses descriptors and tickets.
//!
//! A ticket is a table's name, or JSON `{"table": …, "view": {…}}` with a view configuration as spelled by
//! Perspective's clients. A descriptor is a path `[table]`, or a command: JSON `{"table": …, "mode": …, "index": …,
//! "limit": …, "lists": …, "ignore_unknown": …, "load": …}` for puts, a ticket for gets.

use arrow_flight::FlightDescriptor;
use arrow_flight::flight_descriptor::DescriptorType;
use proscenium_engine::EngineError;
use proscenium_engine::config::ViewConfig;
use serde::Deserialize;
use tonic::Status;

use super::view_config;
use crate::load_options::Lists;
use crate::wire_errors::to_flight;

/// The target of a get.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) table: String,
    pub(super) view: Option<ViewConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedJson {
    table: String,
    #[serde(default)]
    view: Option<serde_json::Value>,
}

/// The command of a put.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutOrder {
    pub(super) table: String,
    #[serde(default)]
    pub(super) mode: Option<Mode>,
    #[serde(default)]
    pub(super) index: Option<String>,
    #[serde(default)]
    pub(super) limit: Option<u32>,
    /// How lists become rows or texts.
    #[serde(default)]
    pub(super) lists: Option<Lists>,
    /// Whether columns that the table does not have are ignored.
    #[serde(default)]
    pub(super) ignore_unknown: bool,
    /// The name of the load, by which it can be repeated: its batches are numbered.
    #[serde(default)]
    pub(super) load: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// Creates the table, which must not exist.
    Create,
    /// Adds rows; creates the table if it does not exist.
    Append,
    /// Merges rows by index; creates the table if it does not exist.
    Upsert,
    /// Replaces all rows in one step; creates the table if it does not exist.
    Replace,
    /// Removes rows by index.
    Remove,
}

pub(super) fn wanted(ticket: &[u8]) -> Result<Wanted, Status> {
    let text = std::str::from_utf8(ticket).map_err(|_| {
        Status::invalid_argument("the ticket is neither a table's name nor JSON: it is not UTF-8")
    })?;
    if !text.trim_start().starts_with('{') {
        return Ok(Wanted { table: text.to_owned(), view: None });
    }
    let json: WantedJson = serde_json::from_str(text).map_err(|error| {
        Status::invalid_argument(format!("the ticket is not {{\"table\", \"view\"}}: {error}"))
    })?;
    let view = json.view.as_ref().map(view_config::parse).transpose();
    let view = view.map_err(|fault| to_flight(&EngineError::from(fault).into(), &json.table))?;
    Ok(Wanted { table: json.table, view })
}

pub(super) fn wanted_by(descriptor: &FlightDescriptor) -> Result<Wanted, Status> {
    match descriptor.r#type() {
        DescriptorType::Path => Ok(Wanted { table: path(descriptor)?, view: None }),
        DescriptorType::Cmd => wanted(&descriptor.cmd),
        DescriptorType::Unknown => {
            Err(Status::invalid_argument("the descriptor has neither a path nor a command"))
        }
    }
}

pub(super) fn put_order(descriptor: Option<&FlightDescriptor>) -> Result<PutOrder, Status> {
    let descriptor =
        descriptor.ok_or_else(|| Status::invalid_argument("the first message has no descriptor"))?;
    match descriptor.r#type() {
        DescriptorType::Path => {
            Ok(PutOrder { table: path(descriptor)?, ..PutOrder::default() })
        }
        DescriptorType::Cmd => serde_json::from_slice(&descriptor.cmd).map_err(|error| {
            Status::invalid_argument(format!(
                "the command is not {{\"table\", \"mode\", \"index\", \"limit\", \"lists\", \"ignore_unknown\", \"load\"}}: {error}"
            ))
        }),
        DescriptorType::Unknown => {
            Err(Status::invalid_argument("the descriptor has neither a path nor a command"))
        }
    }
}

fn path(descriptor: &FlightDescriptor) -> Result<String, Status> {
    match descriptor.path.as_slice() {
        [table] => Ok(table.clone()),
        other => Err(Status::invalid_argument(format!(
            "the path names {} things; it must be [table]",
            other.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_a_name_or_json() {
        assert_eq!(wanted(b"trades").unwrap(), Wanted { table: "trades".into(), view: None });
        let view = wanted(br#"{"table":"t","view":{"group_by":["g"]}}"#).unwrap().view.unwrap();
        assert_eq!(view.group_by, ["g"]);
        for (ticket, wrong) in [
            (&b"\xff"[..], "UTF-8"),
            (b"{\"name\":1}", "name"),
            (b"{\"table\":\"t\",\"view\":{\"grouped\":[]}}", "grouped"),
        ] {
            assert!(wanted(ticket).unwrap_err().message().contains(wrong));
        }
    }

    #[test]
    fn a_put_is_a_path_or_json() {
        let by_path = FlightDescriptor::new_path(vec!["t".into()]);
        assert_eq!(put_order(Some(&by_path)).unwrap().table, "t");
        let by_command = FlightDescriptor::new_cmd(r#"{"table":"t","mode":"upsert","index":"id"}"#);
        assert_eq!(put_order(Some(&by_command)).unwrap().mode, Some(Mode::Upsert));
        assert!(
            put_order(Some(&FlightDescriptor::new_path(vec![]))).unwrap_err().message().contains("[table]")
        );
        assert!(put_order(None).unwrap_err().message().contains("descriptor"));
    }
}
