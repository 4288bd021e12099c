//! Connections whose client does not read: over real sockets, because only those block.

use super::school::{School, limits, soon, wish};
use crate::socket::ws::{Opening, serve};
use crate::{Connect, LiveLimits};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A connection of person 1 that is served after its handshake; the client's end of it.
async fn served(school: &School, wish: Connect) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let session = school.node.connect(wish).await.unwrap();
    tokio::spawn(serve(server.into(), BytesMut::new(), Opening::Ready(Box::new(session)), campanile_wire::Dialect::Native));
    client
}

/// A masked frame of a client; the mask is zero.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

/// Posts until the client's socket takes no more.
async fn block(school: &School) {
    let text = "x".repeat(60_000);
    for _ in 0..300 {
        school.post("course:7", &text).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_connection_hears_that_it_is_replaced_and_leaves() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let named = Connect { client: Some("tab".into()), ..wish(1) };
    let _client = served(&school, named.clone()).await;
    block(&school).await;
    let _new = school.node.connect(named).await.unwrap();
    soon(async {
        while school.node.connections() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_without_reading_is_closed_before_its_answers_pile_up() {
    let school = School::with(LiveLimits { messages_per_second_max: 1, messages_burst: 1, ..limits() }).await;
    school.grant(1, "course:7").await;
    let client = served(&school, wish(1)).await;
    block(&school).await;
    let message = frame(1, br#"{"type":"ping"}"#);
    let flood = message.repeat(1_000);
    soon(async {
        while school.node.connections() > 0 {
            // The server may close in the middle of it.
            let _ = client.try_write(&flood);
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_are_answered_but_pongs_do_not_pile_up() {
    let school = School::open().await;
    let mut client = served(&school, wish(1)).await;
    client.write_all(&frame(9, b"here?")).await.unwrap();
    let mut heard = Vec::new();
    let pong = [&[0x8A, 5][..], b"here?"].concat();
    soon(async {
        while !heard.windows(pong.len()).any(|part| part == pong) {
            client.read_buf(&mut heard).await.unwrap();
        }
    })
    .await;
    let mut outbox = crate::socket::ws::outbox::Outbox::default();
    for _ in 0..10_000 {
        outbox.push_pong(crate::socket::ws::frame::pong(b"here?"));
    }
    assert_eq!(outbox.len(), 64);
}
