//! RFC 7692 at the real door, by groups of cases: offers, compressed messages in each form, reserved bits, data that is
//! malformed, and bounds. Each group prints how many cases it has.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proscenium_gateway::config::DeflateConfig;
use proscenium_gateway::{Config, Running, Server};
use proscenium_proto::generated::ViewConfig;
use proscenium_proto::{ClientResp, Response};
use prost::Message as _;

use super::raw::{Frame, RawClient};
use super::rfc6455::{close_code, next, replied, request_of};
use super::support::*;

const RSV1: u8 = 0x40;
const MESSAGE: u8 = 0x82;
const BEGUN: u8 = 0x02;
const CONTINUED: u8 = 0x00;
const ENDED: u8 = 0x80;

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

fn start() -> Running {
    start_with(1 << 30)
}

/// A server that compresses messages of this many bytes and more.
fn start_with(least_bytes: usize) -> Running {
    let deflate = DeflateConfig { is_enabled: true, least_bytes };
    let config = Config { threads: 2, max_frame_bytes: 1 << 20, deflate, ..Config::on_free_port() };
    Server::start(config).expect("the server starts")
}

async fn open(server: &Running) -> RawClient {
    RawClient::connect(server, OFFER).await.expect("a handshake")
}

/// The content of a compressed message.
fn deflated(message: &[u8], level: u32) -> Vec<u8> {
    let mut compressor = Compress::new(Compression::new(level), false);
    let mut out = Vec::with_capacity(message.len() + 1000);
    compressor.compress_vec(message, &mut out, FlushCompress::Sync).expect("it compresses");
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

fn inflated(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    let input = [&frame.payload[..], &[0, 0, 0xff, 0xff]].concat();
    // A decompressor of its own for each message: the server keeps no context.
    Decompress::new(false).decompress_vec(&input, &mut out, FlushDecompress::Sync).expect("it decompresses");
    out
}

#[tokio::test]
async fn offers() {
    let server = start();
    let mut cases = 0;
    let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (offer, answer) in [
        ("permessage-deflate", Some(agreed.to_owned())),
        ("permessage-deflate; client_max_window_bits", Some(agreed.to_owned())),
        (
            "permessage-deflate; server_max_window_bits=11",
            Some(format!("{agreed}; server_max_window_bits=11")),
        ),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", Some(agreed.to_owned())),
        ("other, permessage-deflate; server_no_context_takeover", Some(agreed.to_owned())),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits=10", None),
        ("permessage-deflate; client_max_window_bits=\"", None),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
        ("permessage-deflate; unheard_of", None),
        (";;;,,,===\"", None),
        ("x", None),
    ] {
        let header = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        let (mut client, head) = RawClient::connect_and_head(&server, &header).await.expect("a handshake");
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-extensions"));
        assert_eq!(found.map(|(_, value)| value.to_owned()), answer, "{offer}");
        client.send_frame(MESSAGE, &request_of(100, 5)).await;
        assert_eq!(replied(&mut client).await, 5);
        cases += 1;
    }
    let off = Server::start(Config::on_free_port()).expect("the server starts");
    let (_, head) = RawClient::connect_and_head(&off, OFFER).await.expect("a handshake");
    assert!(!head.to_ascii_lowercase().contains("sec-websocket-extensions"), "it is off unless configured");
    println!("offers: {} cases", cases + 1);
}

#[tokio::test]
async fn compressed_messages() {
    let server = start();
    let mut cases = 0;
    for len in [8, 125, 1000, 70_000, 1_000_000] {
        for level in [0, 1, 9] {
            let (message, mut client) = (request_of(len, 7), open(&server).await);
            let content = deflated(&message, level);
            client.send_frame(MESSAGE | RSV1, &content).await;
            assert_eq!(replied(&mut client).await, 7, "{len} bytes at level {level}");
            // In fragments, with a ping between.
            for parts in [1, 2, 3] {
                let mut pieces = content.chunks(content.len().div_ceil(parts)).peekable();
                client.send_frame(BEGUN | RSV1, b"").await;
                while let Some(piece) = pieces.next() {
                    let last = if pieces.peek().is_some() { CONTINUED } else { ENDED };
                    client.send_frame(last, piece).await;
                    if last == CONTINUED {
                        client.send_frame(0x89, b"between").await;
                        assert_eq!(next(&mut client).await.map(|frame| frame.first), Some(0x8a));
                    }
                }
                assert_eq!(replied(&mut client).await, 7, "{len} bytes at level {level} in {parts}");
                cases += 1;
            }
            // A plain one after it.
            client.send_frame(MESSAGE, &message).await;
            assert_eq!(replied(&mut client).await, 7);
            cases += 2;
        }
    }
    println!("compressed messages: {cases} cases");
}

#[tokio::test]
async fn answers_are_compressed_from_a_size_on_and_by_themselves() {
    let server = start_with(200);
    let mut writer = Client::connect(&server).await;
    let rows: Vec<String> = (0..2000).map(|x| format!(r#"{{"x":{x}}}"#)).collect();
    writer.make_table("t", &format!("[{}]", rows.join(",")), None).await;
    let mut cases = 0;
    for (bits, len) in [(11, 2000), (15, 2000), (15, 3)] {
        let header =
            format!("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits={bits}\r\n");
        let mut reader = RawClient::connect(&server, &header).await.expect("a handshake");
        let id = format!("{bits} {len}");
        reader.send(1, "t", make_view(&id, ViewConfig { ..Default::default() })).await;
        assert_eq!(replied(&mut reader).await, 1);
        for number in 2..5 {
            let viewport = proscenium_proto::generated::ViewPort { end_row: Some(len), ..Default::default() };
            let request = proscenium_proto::generated::ViewToRowsStringReq {
                viewport: Some(viewport),
                ..Default::default()
            };
            reader.send(number, &id, proscenium_proto::ClientReq::ViewToRowsStringReq(request)).await;
            let frame = next(&mut reader).await.expect("a reply");
            let bytes = match len {
                3 => {
                    assert_eq!(frame.first, MESSAGE, "a short one is plain");
                    frame.payload
                }
                _ => {
                    assert_eq!(frame.first, MESSAGE | RSV1);
                    let bytes = inflated(&frame);
                    assert!(frame.payload.len() * 2 < bytes.len());
                    bytes
                }
            };
            let response = Response::decode(&bytes[..]).expect("a response");
            let Some(ClientResp::ViewToRowsStringResp(reply)) = response.client_resp else { panic!("rows") };
            assert_eq!(reply.json_string.matches('{').count(), len as usize);
            cases += 1;
        }
    }
    println!("compressed answers: {cases} cases");
}

#[tokio::test]
async fn reserved_bits() {
    let server = start();
    let mut cases = 0;
    for reserved in 1..8_u8 {
        for opcode in [0x02, 0x09, 0x08] {
            if (reserved, opcode) == (4, 0x02) {
                continue;
            }
            let mut client = open(&server).await;
            client.send_frame(0x80 | reserved << 4 | opcode, b"").await;
            assert_eq!(close_code(&mut client).await, Some(1002), "{reserved} {opcode}");
            cases += 1;
        }
    }
    // Only a message's first frame says that it is compressed; without an agreement none may.
    let mut client = open(&server).await;
    client.send_frame(BEGUN | RSV1, b"").await;
    client.send_frame(ENDED | RSV1, b"").await;
    assert_eq!(close_code(&mut client).await, Some(1002));
    let mut client = RawClient::connect(&server, "").await.expect("a handshake");
    client.send_frame(MESSAGE | RSV1, &deflated(&request_of(100, 1), 1)).await;
    assert_eq!(close_code(&mut client).await, Some(1002));
    println!("reserved bits: {} cases", cases + 2);
}

#[tokio::test]
async fn malformed_data_and_bombs() {
    let server = start();
    let mut cases = 0;
    for content in [&[0xff; 20][..], b"plain", &[0x07; 3000], &[0x05, 0x00, 0x00, 0xff]] {
        let mut client = open(&server).await;
        client.send_frame(MESSAGE | RSV1, content).await;
        assert_eq!(close_code(&mut client).await, Some(1007), "{content:?}");
        cases += 1;
    }
    // The limit holds for what comes out; as much as the limit is taken.
    let mut client = open(&server).await;
    client.send_frame(MESSAGE | RSV1, &deflated(&request_of(1 << 20, 4), 9)).await;
    assert_eq!(replied(&mut client).await, 4);
    for len in [(1 << 20) + 1, 3 << 20, 300 << 20] {
        let content = deflated(&vec![0; len], 9);
        assert!(content.len() < 1 << 20, "the compressed message is within the limit");
        let mut client = open(&server).await;
        client.send_frame(MESSAGE | RSV1, &content).await;
        assert_eq!(close_code(&mut client).await, Some(1009), "{len} bytes");
        let mut client = open(&server).await;
        let (first, last) = content.split_at(content.len() / 2);
        client.send_frame(BEGUN | RSV1, first).await;
        client.send_frame(ENDED, last).await;
        assert_eq!(close_code(&mut client).await, Some(1009), "{len} bytes in fragments");
        cases += 2;
    }
    println!("malformed data and bombs: {} cases", cases + 1);
}
