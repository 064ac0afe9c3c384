//! RFC 6455 at the real door, by groups of cases: framing, pings, reserved bits, opcodes, fragments, close handling, limits
//! and the handshake. Each case has a connection of its own, and each group prints how many it has.

use proscenium_gateway::{Config, Running, Server};
use proscenium_proto::generated::GetFeaturesReq;
use proscenium_proto::{ClientReq, Request, Response};
use prost::Message as _;
use tokio::io::AsyncWriteExt;

use super::raw::{Frame, RawClient, head_of, request};
use super::support::*;

const CONTINUATION: u8 = 0x00;
const TEXT: u8 = 0x01;
const BINARY: u8 = 0x02;
const CLOSE: u8 = 0x08;
const PING: u8 = 0x09;
const PONG: u8 = 0x0a;
const LAST: u8 = 0x80;

const PROTOCOL_ERROR: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const INVALID_PAYLOAD: u16 = 1007;
const TOO_BIG: u16 = 1009;

/// A request whose encoding has this many bytes; its reply names it by `msg_id`.
pub fn request_of(len: usize, msg_id: u32) -> Vec<u8> {
    let sized = |padding: usize| Request {
        msg_id,
        entity_id: "x".repeat(padding),
        client_req: Some(ClientReq::GetFeaturesReq(GetFeaturesReq {})),
    };
    let found = (0..=len).rev().map(sized).find(|request| request.encoded_len() <= len);
    let bytes = found.expect("a request without padding is short").encode_to_vec();
    assert_eq!(bytes.len(), len, "a length that an encoding can have");
    bytes
}

async fn open(server: &Running) -> RawClient {
    RawClient::connect(server, "").await.expect("a handshake")
}

/// The next frame that is no ping of the server.
pub async fn next(client: &mut RawClient) -> Option<Frame> {
    loop {
        let frame = client.frame().await?;
        if frame.first != LAST | PING {
            return Some(frame);
        }
    }
}

/// The number of the message that the next frame replies to.
pub async fn replied(client: &mut RawClient) -> u32 {
    let frame = next(client).await.expect("a reply");
    assert_eq!(frame.first, LAST | BINARY, "{frame:?}");
    Response::decode(&frame.payload[..]).expect("a response").msg_id
}

/// The code of the close frame with which the server ends the connection.
pub async fn close_code(client: &mut RawClient) -> Option<u16> {
    let frame = next(client).await.expect("a close frame");
    assert_eq!(frame.first, LAST | CLOSE, "{frame:?}");
    let (code, reason) = frame.payload.split_first_chunk::<2>()?;
    std::str::from_utf8(reason).expect("the server's reason is UTF-8");
    Some(u16::from_be_bytes(*code))
}

/// Sends one frame and expects the connection to end with this code.
async fn refused(server: &Running, first: u8, payload: &[u8], code: u16) {
    let mut client = open(server).await;
    client.send_frame(first, payload).await;
    assert_eq!(close_code(&mut client).await, Some(code), "first byte {first:#x}, {} bytes", payload.len());
}

/// Sends bytes in pieces, each in a packet of its own as far as the system allows.
async fn send_in_pieces(client: &mut RawClient, bytes: &[u8], size: usize) {
    client.stream.set_nodelay(true).expect("an option of TCP");
    for piece in bytes.chunks(size) {
        client.stream.write_all(piece).await.expect("the server reads");
        tokio::task::yield_now().await;
    }
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0xa5, 0x00, 0x3c, 0xff];
    let mut frame = head_of(first, payload.len() as u64);
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[tokio::test]
async fn framing() {
    let server = start();
    let mut cases = 0;
    for len in [8, 125, 127, 128, 1000, 65_535, 65_536, 70_000, 1 << 20] {
        for pieces in [usize::MAX, 997, 1] {
            if pieces == 1 && len > 128 {
                continue;
            }
            let mut client = open(&server).await;
            send_in_pieces(&mut client, &masked(LAST | BINARY, &request_of(len, 7)), pieces).await;
            assert_eq!(replied(&mut client).await, 7, "{len} bytes in pieces of {pieces}");
            cases += 1;
        }
    }
    for (first, second, rest) in [
        // Lengths that are not in their shortest form, and one with the highest bit.
        (LAST | BINARY, 0x80 | 126, vec![0, 5]),
        (LAST | BINARY, 0x80 | 127, vec![0, 0, 0, 0, 0, 0, 0xff, 0xff]),
        (LAST | BINARY, 0x80 | 127, vec![0x80, 0, 0, 0, 0, 0, 0, 1]),
        // Without a mask.
        (LAST | BINARY, 5, vec![1, 2, 3, 4, 5]),
    ] {
        let mut client = open(&server).await;
        let frame = [&[first, second][..], &rest, &[0; 4]].concat();
        client.stream.write_all(&frame).await.unwrap();
        assert_eq!(close_code(&mut client).await, Some(PROTOCOL_ERROR), "{frame:?}");
        cases += 1;
    }
    println!("framing: {cases} cases");
}

#[tokio::test]
async fn pings_and_pongs() {
    let server = start();
    let mut cases = 0;
    for payload in [&b""[..], b"ping", &[0xff, 0xfe, 0, 1], &[0x7f; 125]] {
        for pieces in [usize::MAX, 1] {
            let mut client = open(&server).await;
            send_in_pieces(&mut client, &masked(LAST | PING, payload), pieces).await;
            let pong = next(&mut client).await.unwrap();
            assert_eq!(pong, Frame { first: LAST | PONG, payload: payload.to_vec() });
            cases += 1;
        }
    }
    for first in [PING, PONG] {
        refused(&server, LAST | first, &[0; 126], PROTOCOL_ERROR).await;
        cases += 1;
    }
    // Pongs that were not asked for are ignored, and pings are answered in their order.
    let mut client = open(&server).await;
    client.send_frame(LAST | PONG, b"nobody asked").await;
    for number in 0..10_u8 {
        client.send_frame(LAST | PING, &[number]).await;
    }
    for number in 0..10_u8 {
        assert_eq!(next(&mut client).await.unwrap().payload, [number]);
    }
    cases += 2;
    println!("pings and pongs: {cases} cases");
}

#[tokio::test]
async fn reserved_bits_and_opcodes() {
    let server = start();
    let mut cases = 0;
    for reserved in 1..8_u8 {
        for opcode in [BINARY, PING, CLOSE] {
            refused(&server, LAST | reserved << 4 | opcode, b"", PROTOCOL_ERROR).await;
            cases += 1;
        }
    }
    for opcode in (3..8).chain(11..16) {
        for payload in [&b""[..], b"payload"] {
            refused(&server, LAST | opcode, payload, PROTOCOL_ERROR).await;
            cases += 1;
        }
    }
    // What came before is answered.
    let mut client = open(&server).await;
    client.send_frame(LAST | BINARY, &request_of(20, 3)).await;
    assert_eq!(replied(&mut client).await, 3);
    client.send_frame(LAST | 5, b"").await;
    assert_eq!(close_code(&mut client).await, Some(PROTOCOL_ERROR));
    println!("reserved bits and opcodes: {} cases", cases + 1);
}

#[tokio::test]
async fn fragments() {
    let server = start();
    let message = request_of(300, 9);
    let mut cases = 0;
    for size in [1, 2, 100, 299, 300] {
        for pings in [false, true] {
            let mut client = open(&server).await;
            let parts: Vec<&[u8]> = message.chunks(size).collect();
            client.send_frame(BINARY, b"").await;
            for (number, part) in parts.iter().enumerate() {
                let is_last = if number + 1 == parts.len() { LAST } else { 0 };
                client.send_frame(is_last | CONTINUATION, part).await;
                if pings && is_last == 0 {
                    client.send_frame(LAST | PING, b"between").await;
                    assert_eq!(next(&mut client).await.unwrap().first, LAST | PONG);
                }
            }
            assert_eq!(replied(&mut client).await, 9, "fragments of {size}");
            cases += 1;
        }
    }
    // Control frames in fragments; continuations of nothing; a message within another.
    for first in [PING, PONG, CLOSE, CONTINUATION, LAST | CONTINUATION] {
        refused(&server, first, b"xx", PROTOCOL_ERROR).await;
        cases += 1;
    }
    for second in [BINARY, LAST | BINARY, TEXT, LAST | TEXT] {
        let mut client = open(&server).await;
        client.send_frame(BINARY, b"begun").await;
        client.send_frame(second, b"again").await;
        assert_eq!(close_code(&mut client).await, Some(PROTOCOL_ERROR), "{second:#x}");
        cases += 1;
    }
    // A continuation after a message that is complete.
    let mut client = open(&server).await;
    client.send_frame(BINARY, &message[..10]).await;
    client.send_frame(LAST | CONTINUATION, &message[10..]).await;
    assert_eq!(replied(&mut client).await, 9);
    client.send_frame(LAST | CONTINUATION, b"").await;
    assert_eq!(close_code(&mut client).await, Some(PROTOCOL_ERROR));
    println!("fragments: {} cases", cases + 1);
}

#[tokio::test]
async fn text_messages() {
    let server = start();
    let texts = [&b""[..], b"hello", "größer".as_bytes(), &[0xce, 0xba, 0xe1], &[0xff; 70_000]];
    for text in texts {
        for is_last in [LAST, 0] {
            refused(&server, is_last | TEXT, text, UNSUPPORTED).await;
        }
    }
    println!("text messages: {} cases", 2 * texts.len());
}

#[tokio::test]
async fn close_handling() {
    let server = start();
    let mut cases = 0;
    for code in [1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        for reason in [&b""[..], "auf Wiedersehen, grün".as_bytes()] {
            let mut client = open(&server).await;
            client.send_frame(LAST | CLOSE, &[&code.to_be_bytes()[..], reason].concat()).await;
            assert_eq!(close_code(&mut client).await, Some(code), "the reply repeats the code");
            assert_eq!(client.frame().await, None, "the server ends the connection");
            cases += 1;
        }
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535] {
        refused(&server, LAST | CLOSE, &code.to_be_bytes(), PROTOCOL_ERROR).await;
        cases += 1;
    }
    refused(&server, LAST | CLOSE, &[3], PROTOCOL_ERROR).await;
    refused(&server, LAST | CLOSE, &[0; 126], PROTOCOL_ERROR).await;
    for reason in [&[0xff][..], &[0xce, 0xba, 0xe1], &[0xed, 0xa0, 0x80], &[0xf4, 0x90, 0x80, 0x80]] {
        refused(&server, LAST | CLOSE, &[&[3, 232], reason].concat(), INVALID_PAYLOAD).await;
        cases += 1;
    }
    let mut client = open(&server).await;
    client.send_frame(LAST | CLOSE, b"").await;
    assert!(matches!(close_code(&mut client).await, None | Some(1000)));
    // Nothing that follows a close frame is answered.
    let mut client = open(&server).await;
    let both = [masked(LAST | CLOSE, &[3, 232]), masked(LAST | PING, b"late"), masked(0xff, b"")].concat();
    client.stream.write_all(&both).await.unwrap();
    assert_eq!(close_code(&mut client).await, Some(1000));
    assert_eq!(client.frame().await, None);
    println!("close handling: {} cases", cases + 4);
}

#[tokio::test]
async fn limits() {
    let server =
        Server::start(Config { max_frame_bytes: 1000, ..Config::on_free_port() }).expect("the server starts");
    let mut cases = 0;
    let mut client = open(&server).await;
    client.send_frame(LAST | BINARY, &request_of(1000, 1)).await;
    assert_eq!(replied(&mut client).await, 1);
    for len in [1001_u64, 70_000, 1 << 40, i64::MAX as u64] {
        let mut client = open(&server).await;
        client.stream.write_all(&[head_of(LAST | BINARY, len), vec![0; 4]].concat()).await.unwrap();
        assert_eq!(close_code(&mut client).await, Some(TOO_BIG), "{len} bytes announced");
        cases += 1;
    }
    let mut client = open(&server).await;
    client.send_frame(BINARY, &[0; 600]).await;
    client.send_frame(CONTINUATION, &[0; 401]).await;
    assert_eq!(close_code(&mut client).await, Some(TOO_BIG));
    println!("limits: {} cases", cases + 2);
}

#[tokio::test]
async fn the_handshake() {
    let server = start();
    let address = server.addresses().http;
    let head = |lines: &[&str]| {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        format!("GET /websocket HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n")
    };
    let (upgrade, connection) = ("Upgrade: websocket", "Connection: Upgrade");
    let (version, key) = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    let (accepted, _) = request(&server, &head(&[upgrade, connection, version, key])).await;
    assert!(accepted.starts_with("HTTP/1.1 101 "), "{accepted}");
    // The key and its answer are those of the standard's example.
    assert!(accepted.to_ascii_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="));
    let old = "Sec-WebSocket-Version: 6";
    let keys = [
        "Sec-WebSocket-Key: ",
        "Sec-WebSocket-Key: short",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ*=",
    ];
    let mut wrong = vec![
        vec![connection, version, key],
        vec![upgrade, version, key],
        vec![upgrade, connection, key],
        vec![upgrade, connection, old, key],
        vec![upgrade, connection, version],
    ];
    wrong.extend(keys.map(|key| vec![upgrade, connection, version, key]));
    for lines in &wrong {
        let (answer, _) = request(&server, &head(lines)).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{lines:?}: {answer}");
    }
    println!("handshake: {} cases", wrong.len() + 1);
}
