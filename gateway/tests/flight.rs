//! Flight puts that stall or break, and connections that never begin, at a real server.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor, PutResult};
use futures::StreamExt;
use proscenium_gateway::config::Limits;
use proscenium_gateway::{Config, Running, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

fn impatient() -> Running {
    let limits = Limits { header_seconds: 1, stall_seconds: 1, put_pause_seconds: 1, ..Limits::default() };
    Server::start(Config { threads: 2, limits, ..Config::on_free_port() }).expect("the server starts")
}

/// The messages of a put of `num_batches`, each larger than a piece that is applied at a time.
fn messages(num_batches: usize) -> Vec<FlightData> {
    let text = "x".repeat(5 << 20);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); 7]));
    let batch = RecordBatch::try_from_iter([("text", texts)]).expect("a batch");
    let mut messages =
        arrow_flight::utils::batches_to_flight_data(&batch.schema(), vec![batch.clone(); num_batches])
            .expect("messages");
    messages[0].flight_descriptor = Some(FlightDescriptor::new_path(vec!["t".into()]));
    messages
}

/// Puts these messages and leaves the stream open. Returns the results before the error, and the error.
async fn put_and_pause(server: &Running, messages: Vec<FlightData>) -> (Vec<PutResult>, Status) {
    let address = server.addresses().flight.expect("a flight listener");
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    let mut client = FlightServiceClient::new(endpoint.connect().await.expect("a connection"));
    let (sender, receiver) = mpsc::channel(100);
    for message in messages {
        sender.send(message).await.expect("room");
    }
    let stream = futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<FlightData>| async {
        receiver.recv().await.map(|message| (message, receiver))
    });
    let answered = client.do_put(stream).await;
    let mut results = Vec::new();
    let mut stream = match answered {
        Ok(answer) => answer.into_inner(),
        Err(status) => return (results, status),
    };
    loop {
        match stream.next().await.expect("an error ends the put") {
            Ok(result) => results.push(result),
            Err(status) => {
                drop(sender);
                return (results, status);
            }
        }
    }
}

#[tokio::test]
async fn a_put_that_pauses_ends_with_the_number_of_rows_that_are_kept() {
    let server = impatient();
    let (results, status) = put_and_pause(&server, messages(2)).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.message().contains("no message came for 1 seconds"), "{status}");
    assert!(status.message().ends_with("(14 rows were applied before)"), "{status}");
    let kept: Vec<&[u8]> = results.iter().map(|result| &result.app_metadata[..]).collect();
    assert_eq!(kept, [&br#"{"rows":7}"#[..], br#"{"rows":14}"#, br#"{"rows":14}"#]);
    let (results, status) = put_and_pause(&server, messages(0)).await;
    assert!(status.message().ends_with("(no rows were applied)"), "{status}");
    assert_eq!(&results[0].app_metadata[..], br#"{"rows":0}"#);
}

#[tokio::test]
async fn a_put_that_breaks_says_how_many_rows_are_kept() {
    let server = impatient();
    let mut broken = messages(1);
    broken.push(FlightData::new().with_data_header(vec![1, 2, 3]));
    let (results, status) = put_and_pause(&server, broken).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().ends_with("(7 rows were applied before)"), "{status}");
    assert_eq!(results.last().map(|result| &result.app_metadata[..]), Some(&br#"{"rows":7}"#[..]));
}

#[tokio::test]
async fn a_connection_that_does_not_begin_is_ended() {
    let server = impatient();
    for part in [&b""[..], b"PRI * HTTP/2.0\r\n"] {
        let mut stream = TcpStream::connect(server.addresses().flight.expect("a listener")).await.unwrap();
        stream.write_all(part).await.unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
    }
}
