//! A client without a WebSocket library, for tests of single bytes.

use proscenium_gateway::Running;
use proscenium_proto::{ClientReq, Request};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A received frame: its first byte and its payload.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

pub struct RawClient {
    pub stream: TcpStream,
}

impl RawClient {
    /// Connects and upgrades. Further headers are complete lines with line ends. The error is the head of the response.
    pub async fn connect(server: &Running, headers: &str) -> Result<RawClient, String> {
        RawClient::connect_and_head(server, headers).await.map(|(client, _)| client)
    }

    /// As [`RawClient::connect`]; with the head of the response.
    pub async fn connect_and_head(server: &Running, headers: &str) -> Result<(RawClient, String), String> {
        let address = server.addresses().http;
        let (status, stream) = request(
            server,
            &format!(
                "GET /websocket HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
            ),
        )
        .await;
        match status.starts_with("HTTP/1.1 101 ") {
            true => Ok((RawClient { stream }, status)),
            false => Err(status),
        }
    }

    pub async fn send(&mut self, msg_id: u32, entity: &str, request: ClientReq) {
        let request = Request { msg_id, entity_id: entity.into(), client_req: Some(request) };
        self.send_frame(0x82, &request.encode_to_vec()).await;
    }

    /// Sends a frame, masked with zeros.
    pub async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = head_of(first, payload.len() as u64);
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame).await.expect("the connection stands");
    }

    /// Receives the header of the next frame: its first byte and the length of its payload.
    pub async fn head(&mut self) -> Option<(u8, u64)> {
        let first = self.stream.read_u8().await.ok()?;
        let len = match self.stream.read_u8().await.ok()? {
            126 => u64::from(self.stream.read_u16().await.ok()?),
            127 => self.stream.read_u64().await.ok()?,
            len => u64::from(len),
        };
        Some((first, len))
    }

    /// Receives the next frame; `None` if the connection has ended.
    pub async fn frame(&mut self) -> Option<Frame> {
        let (first, len) = self.head().await?;
        let mut payload = vec![0; len as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame { first, payload })
    }
}

/// The start of a frame's header: its first byte and its length in the shortest form.
pub fn head_of(first: u8, len: u64) -> Vec<u8> {
    match len {
        0..126 => vec![first, 0x80 | len as u8],
        126..65_536 => [&[first, 0x80 | 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, 0x80 | 127][..], &len.to_be_bytes()].concat(),
    }
}

/// Sends an HTTP request as given. Returns the head of the response and the connection.
pub async fn request(server: &Running, text: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(server.addresses().http).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("the server reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a reply"));
    }
    (String::from_utf8(head).expect("a head of text"), stream)
}
