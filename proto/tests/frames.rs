//! Every kind of message round-trips through its frame, has its own field number, and keeps its encoding.
//!
//! After an intended change, regenerate the golden file: `REGENERATE=1 cargo test -p proscenium-proto --test frames`.

use std::fmt::Write;
use std::path::Path;

use proscenium_engine::config::Generation;
use proscenium_engine::hosting::Subject;
use proscenium_proto::{ClientGeneration, Request, Response, call, frame, request, response};
use prost::Message;

mod messages;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn requests() -> Vec<Request> {
    let requests = messages::requests().into_iter().zip(1..);
    requests
        .map(|(kind, msg_id)| Request { msg_id, entity_id: "entity".into(), client_req: Some(kind) })
        .collect()
}

fn responses() -> Vec<Response> {
    let responses = messages::responses().into_iter().zip(1..);
    responses.map(|(kind, msg_id)| response::build(msg_id, "entity", kind)).collect()
}

/// The field number after `msg_id` (one byte each of tag and value here) and `entity_id`.
fn kind_number(mut frame: &[u8]) -> u32 {
    frame = &frame[2 + 2 + "entity".len()..];
    prost::encoding::decode_key(&mut frame).expect("a third field").0
}

#[test]
fn every_message_kind_survives_its_frame() {
    for request in requests() {
        assert_eq!(frame::decode(request.encode_to_vec().into()), Ok(request));
    }
    for response in responses() {
        assert_eq!(Response::decode(frame::encode(&response)), Ok(response));
    }
}

#[test]
fn every_number_of_the_protocol_is_taken_once() {
    let numbers: Vec<u32> = requests().iter().map(|request| kind_number(&request.encode_to_vec())).collect();
    assert_eq!(numbers, (3..=41).collect::<Vec<_>>());
    let numbers: Vec<u32> =
        responses().iter().map(|response| kind_number(&frame::encode(response))).collect();
    assert_eq!(numbers, (3..=41).chain([50]).collect::<Vec<_>>());
}

#[test]
fn an_empty_reply_is_encoded() {
    let update = responses().into_iter().find(|response| {
        matches!(response.client_resp, Some(proscenium_proto::ClientResp::TableUpdateResp(_)))
    });
    let frame = frame::encode(&update.expect("a reply of every kind"));
    // Field 33, length-delimited, no bytes.
    assert!(frame.ends_with(&[0x8a, 0x02, 0x00]), "{}", hex(&frame));
}

#[test]
fn frames_equal_the_golden_file() {
    let mut written = String::new();
    for request in requests() {
        let name = request::name(request.client_req.as_ref().expect("a request of every kind"));
        writeln!(written, "{name} < {}", hex(&request.encode_to_vec())).expect("writing to memory");
    }
    for response in responses() {
        let number = kind_number(&frame::encode(&response));
        writeln!(written, "{number} > {}", hex(&frame::encode(&response))).expect("writing to memory");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/frames.txt");
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, &written).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (written, golden)) in written.lines().zip(golden.lines()).enumerate() {
        assert_eq!(written, golden, "line {}", line + 1);
    }
    assert_eq!(written.lines().count(), golden.lines().count());
}

/// A request about a table or view is a command about one.
#[test]
fn every_request_is_a_command() {
    for request in requests() {
        let name = request::name(request.client_req.as_ref().expect("a request has a kind"));
        let mut client = ClientGeneration::assumed(Generation::V5_6);
        let call = call::receive(request.encode_to_vec().into(), &mut client);
        let Ok(command) = call.command else {
            assert_eq!(name, "MakeTable", "its sample sets fields that exclude each other");
            continue;
        };
        let expected = match name {
            name if name.starts_with("Table") => Subject::Table,
            name if name.starts_with("View") => Subject::View,
            _ => Subject::Server,
        };
        assert_eq!((call.name, call.entity_id.as_str(), command.subject()), (name, "entity", expected));
    }
}
