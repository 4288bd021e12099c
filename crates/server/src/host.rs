//! A host of the tests: a real HTTP server that answers as it was told and counts what it was asked.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the host answers.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    Json(String),
    /// A status and a `Location`.
    Redirect(String),
    /// Holds the answer back until told otherwise.
    Nothing,
}

/// A host that listens on loopback until it is dropped.
pub(crate) struct Host {
    pub(crate) url: String,
    says: watch::Sender<Says>,
    requests: Arc<Mutex<Vec<String>>>,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Host {
    pub(crate) async fn that_says(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (says, requests) = (watch::Sender::new(says), Arc::new(Mutex::new(Vec::new())));
        let (answer, seen) = (says.subscribe(), Arc::clone(&requests));
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), Arc::clone(&seen)));
            }
        });
        Self { url, says, requests, listening }
    }

    pub(crate) fn now_says(&self, says: Says) {
        self.says.send_replace(says);
    }

    /// The requests so far, with their bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests().len()
    }
}

async fn serve(mut stream: TcpStream, mut says: watch::Receiver<Says>, seen: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(count) if count > 0 => request.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
    seen.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    let Ok(said) = says.wait_for(|said| !matches!(said, Says::Nothing)).await.map(|said| said.clone()) else { return };
    let (status, location, body) = match said {
        Says::Json(body) => ("200 OK", String::new(), body),
        Says::Redirect(to) => ("302 Found", format!("location: {to}\r\n"), String::new()),
        Says::Nothing => unreachable!("waited for another word"),
    };
    let head = format!("HTTP/1.1 {status}\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0)
}
