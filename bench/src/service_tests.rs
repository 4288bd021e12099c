//! A request is repeated exactly as long as its fate is open. The server here is a script of answers.

use super::*;
use rand::{SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers one connection after the other with these bytes; an empty answer hangs up.
async fn scripted(answers: Vec<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            assert!(text.contains("Idempotency-Key: k1\r\n") && text.ends_with("\r\n\r\n{}"), "{text}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

async fn check(answers: Vec<&'static str>, expect: &str) {
    let attempts = answers.len() as u64;
    let mut service = Service::new(scripted(answers).await, Ipv4Addr::new(127, 9, 9, 9), "ck");
    let request = Request { line: "POST /x".to_owned(), idempotency_key: "k1".to_owned(), body: Some("{}".to_owned()) };
    let settled = match service.settle(&request, &mut StdRng::seed_from_u64(1)).await {
        Settled::Acked { body, replayed } => format!("acked {} {replayed}", String::from_utf8_lossy(&body)),
        Settled::Refused { status, code, .. } => format!("refused {status} {code}"),
        Settled::Unsettled(why) => format!("unsettled {why}"),
    };
    assert_eq!(settled, expect);
    assert_eq!(service.repeats + 1, attempts, "every answer was used");
}

const OK: &str =
    "HTTP/1.1 201 Created\r\nContent-Length: 8\r\nIdempotency-Replayed: true\r\nConnection: close\r\n\r\n{\"id\":1}";

#[tokio::test]
async fn a_positive_answer_settles_and_says_whether_it_was_kept() {
    check(vec![OK], "acked {\"id\":1} true").await;
}

#[tokio::test]
async fn a_lost_answer_a_busy_server_and_an_unknown_commit_are_repeated() {
    let busy = "HTTP/1.1 503 x\r\nRetry-After: 0\r\nConnection: close\r\nContent-Length: 22\r\n\r\n{\"code\":\"server_busy\"} ";
    let unknown = "HTTP/1.1 503 x\r\nConnection: close\r\nContent-Length: 25\r\n\r\n{\"code\":\"commit_unknown\"}";
    let limited = "HTTP/1.1 429 x\r\nRetry-After: 0\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    check(
        vec!["", busy, "HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\n{\"id", unknown, limited, OK],
        "acked {\"id\":1} true",
    )
    .await;
}

#[tokio::test]
async fn a_definite_refusal_is_not_repeated() {
    check(
        vec!["HTTP/1.1 422 x\r\nConnection: close\r\nContent-Length: 29\r\n\r\n{\"code\":\"unknown_event_type\"}"],
        "refused 422 unknown_event_type",
    )
    .await;
}
