//! What an idle connection costs.

use super::school::{School, wish};
use crate::Session;
use crate::mailbox::Mailbox;
use crate::socket::ws::{Opening, serve};

#[tokio::test]
async fn the_task_of_an_idle_connection_is_small() {
    let school = School::open().await;
    let session = school.node.connect(wish(1)).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let opening = Opening::Ready(Box::new(session));
    let serving = size_of_val(&serve(stream.into(), bytes::BytesMut::new(), opening, campanile_wire::Dialect::Native));
    let (session, mailbox) = (size_of::<Session>(), size_of::<Mailbox>());
    println!("serving {serving} B, its session {session} B, its mailbox {mailbox} B");
    assert!(serving + mailbox <= 3 * 1024, "{serving} + {mailbox} bytes");
}
