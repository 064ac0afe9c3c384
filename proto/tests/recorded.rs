//! Frames of the published clients of both generations, recorded by `integration-tests/frames/record.py`.
//!
//! Invariant: every frame is decoded completely (it encodes to the same bytes, so it has no unknown field), and every
//! kind of request that a client can send is among them.

use std::collections::BTreeSet;

use proscenium_proto::{ClientReq, frame, request};
use prost::Message;

const PYTHON: &str = include_str!("golden/python-5.6.1.txt");
const JAVASCRIPT: &str = include_str!("golden/javascript-5.5.1.txt");

fn requests(recorded: &str) -> Vec<ClientReq> {
    let bytes = |line: &str| -> Vec<u8> {
        (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).expect("hex")).collect()
    };
    recorded
        .lines()
        .map(|line| {
            let sent = bytes(line);
            let request = frame::decode(sent.clone().into()).expect("a client sends requests");
            assert_eq!(sorted(request.encode_to_vec()), sorted(sent), "a field is unknown: {request:?}");
            request.client_req.expect("a request of a known kind")
        })
        .collect()
}

/// Maps are encoded in no particular order.
fn sorted(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.sort_unstable();
    bytes
}

fn kinds(requests: &[ClientReq]) -> BTreeSet<&'static str> {
    requests.iter().map(request::name).collect()
}

/// Checks that all kinds are sent but those in `missing`.
#[track_caller]
fn check_all_but(requests: &[ClientReq], missing: &[&str]) {
    let other: Vec<&str> = kinds(&[requests_of_both(), requests.to_vec()].concat())
        .into_iter()
        .filter(|kind| !kinds(requests).contains(kind))
        .collect();
    assert_eq!(other, missing);
}

fn requests_of_both() -> Vec<ClientReq> {
    [requests(PYTHON), requests(JAVASCRIPT)].concat()
}

#[test]
fn each_generation_is_decoded_completely() {
    check_all_but(&requests(JAVASCRIPT), &["TableDescribe"]);
    // The asynchronous Python client has no `set_depth`, and describes instead of validating.
    check_all_but(&requests(PYTHON), &["TableValidateExpr", "ViewSetDepth"]);
    assert_eq!(kinds(&requests_of_both()).len(), 39, "every kind of the protocol");
}

#[test]
fn the_generations_use_opposite_flags_for_the_same_names() {
    // Old charts send "no legacy names", new clients "machine names"; both mean `__ROW_PATH_0__`.
    let flags = |recorded| -> BTreeSet<Option<bool>> {
        let ports = requests(recorded).into_iter().filter_map(|request| match request {
            ClientReq::ViewToArrowReq(request) => request.viewport,
            _ => None,
        });
        ports.map(|port| port.machine_column_names).collect()
    };
    assert!(flags(PYTHON).contains(&Some(true)) && !flags(PYTHON).contains(&Some(false)));
    assert!(flags(JAVASCRIPT).contains(&Some(false)) && !flags(JAVASCRIPT).contains(&Some(true)));
}
