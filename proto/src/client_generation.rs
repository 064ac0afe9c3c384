//! The generation of published clients that a session belongs to.
//!
//! Invariant: a generation given in the URL is final. An assumed one is replaced by the first evidence in the session's
//! requests, which is final, too.

use std::str::FromStr;

use proscenium_engine::config::Generation;
use proscenium_engine::export::Naming;

use crate::ClientReq;
use crate::generated::ViewPort;
use crate::generated::make_table_data::Data;

/// A session's generation, and whether it is known or assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientGeneration {
    generation: Generation,
    is_known: bool,
}

impl ClientGeneration {
    /// A generation that the client has stated.
    pub fn known(generation: Generation) -> Self {
        ClientGeneration { generation, is_known: true }
    }

    /// A generation that a request may correct.
    pub fn assumed(generation: Generation) -> Self {
        ClientGeneration { generation, is_known: false }
    }

    /// The generation as known so far.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Updates the generation by a request. Must be called before the request is handled.
    pub fn observe(&mut self, request: &ClientReq) {
        if !self.is_known
            && let Some(generation) = evidence(request)
        {
            *self = ClientGeneration::known(generation);
        }
    }

    /// The naming of key columns and aggregates in Arrow. One field of the viewport has opposite meanings in the two
    /// generations; `true` requests machine names unless the client is known to be of 5.5.
    pub fn naming(&self, viewport: Option<&ViewPort>) -> Naming {
        let asked = viewport.and_then(|viewport| viewport.machine_column_names);
        match (self.generation, asked) {
            (Generation::V5_5, Some(false)) => Naming::Machine,
            (Generation::V5_5, Some(true)) if !self.is_known => Naming::Machine,
            (Generation::V5_5, _) => Naming::Legacy,
            (Generation::V5_6, Some(true)) => Naming::Machine,
            (Generation::V5_6, _) => Naming::Readable,
        }
    }

    /// The naming of key columns and aggregates in CSV, which has no machine names.
    pub fn csv_naming(&self) -> Naming {
        match self.generation {
            Generation::V5_5 => Naming::Legacy,
            Generation::V5_6 => Naming::Readable,
        }
    }
}

/// The generation that a request is evidence for, if only one of them sends it.
fn evidence(request: &ClientReq) -> Option<Generation> {
    let of_viewport = |viewport: &Option<ViewPort>| match viewport.as_ref()?.machine_column_names {
        // The published clients of 5.6 send the field as `true` or not at all.
        Some(false) => Some(Generation::V5_5),
        Some(true) | None => None,
    };
    match request {
        ClientReq::TableValidateExprReq(_) => Some(Generation::V5_5),
        ClientReq::TableDescribeReq(_) => Some(Generation::V5_6),
        ClientReq::MakeTableReq(request) => match request.data.as_ref()?.data.as_ref()? {
            Data::FromView(_) => Some(Generation::V5_6),
            _ => None,
        },
        ClientReq::ViewToArrowReq(request) => of_viewport(&request.viewport),
        ClientReq::ViewToCsvReq(request) => of_viewport(&request.viewport),
        ClientReq::ViewToColumnsStringReq(request) => of_viewport(&request.viewport),
        ClientReq::ViewToRowsStringReq(request) => of_viewport(&request.viewport),
        ClientReq::ViewToNdjsonStringReq(request) => of_viewport(&request.viewport),
        _ => None,
    }
}

/// Parses a client's version, as `5.5` or `5.6.1`. Versions up to 5.5 are of the older generation.
///
/// # Errors
///
/// The text is not a version.
pub fn parse(version: &str) -> Result<Generation, BadVersion> {
    let mut parts = version.split('.').map(u32::from_str);
    match (parts.next(), parts.next().unwrap_or(Ok(0)), parts.all(|part| part.is_ok())) {
        (Some(Ok(major)), Ok(minor), true) if (major, minor) <= (5, 5) => Ok(Generation::V5_5),
        (Some(Ok(_)), Ok(_), true) => Ok(Generation::V5_6),
        _ => Err(BadVersion(version.to_owned())),
    }
}

/// A text that is not a client version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a client version such as 5.5 or 5.6")]
pub struct BadVersion(String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated as wire;

    fn arrow(machine_column_names: Option<bool>) -> ClientReq {
        let viewport = Some(ViewPort { machine_column_names, ..Default::default() });
        ClientReq::ViewToArrowReq(wire::ViewToArrowReq { viewport, ..Default::default() })
    }

    fn naming(client: ClientGeneration, field: Option<bool>) -> Naming {
        client.naming(Some(&ViewPort { machine_column_names: field, ..Default::default() }))
    }

    #[test]
    fn evidence_overrules_an_assumption_once() {
        let validate = ClientReq::TableValidateExprReq(wire::TableValidateExprReq::default());
        let describe = ClientReq::TableDescribeReq(wire::TableDescribeReq::default());
        for (request, assumed, found) in [
            (&validate, Generation::V5_6, Generation::V5_5),
            (&describe, Generation::V5_5, Generation::V5_6),
            (&arrow(Some(false)), Generation::V5_6, Generation::V5_5),
            (&arrow(Some(true)), Generation::V5_6, Generation::V5_6),
            (&arrow(None), Generation::V5_5, Generation::V5_5),
        ] {
            let mut client = ClientGeneration::assumed(assumed);
            client.observe(request);
            assert_eq!(client.generation(), found, "{request:?}");
        }
        let mut client = ClientGeneration::assumed(Generation::V5_6);
        client.observe(&validate);
        client.observe(&describe);
        assert_eq!(client.generation(), Generation::V5_5);
        let mut client = ClientGeneration::known(Generation::V5_6);
        client.observe(&arrow(Some(false)));
        assert_eq!(naming(client, Some(false)), Naming::Readable);
    }

    #[test]
    fn one_field_names_columns_for_both_generations() {
        use Generation::{V5_5, V5_6};
        let known = ClientGeneration::known;
        let cases = [
            (known(V5_5), [Naming::Legacy, Naming::Machine, Naming::Legacy]),
            (ClientGeneration::assumed(V5_5), [Naming::Legacy, Naming::Machine, Naming::Machine]),
            (known(V5_6), [Naming::Readable, Naming::Readable, Naming::Machine]),
        ];
        for (client, expected) in cases {
            assert_eq!([None, Some(false), Some(true)].map(|field| naming(client, field)), expected);
            assert_eq!(client.naming(None), expected[0]);
        }
    }

    #[test]
    fn versions_are_read_by_their_first_two_numbers() {
        for (text, expected) in [
            ("5.5", Generation::V5_5),
            ("4.2.0", Generation::V5_5),
            ("5.6", Generation::V5_6),
            ("6", Generation::V5_6),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in ["", "new", "5.x", "5.6."] {
            assert!(parse(text).unwrap_err().to_string().contains(&format!("\"{text}\"")));
        }
    }
}
