//! The WebSocket client: tokio-websockets, a codec that is not the server's own.

use std::{io, time::Duration};

use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, header::AUTHORIZATION};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, CloseCode, Error, Message, WebSocketStream, upgrade};

use super::{Cause, Ear, Ended, Leave, dial::Dial, frame::hear_frame};

/// How long a clean close waits for the server's half of it.
const CLOSE_MAX: Duration = Duration::from_secs(5);
/// How long a handshake may take: the server may be busy with 3,000 others after a restart.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// One connection to `/ws` or one of its dialects.
pub struct WsSession {
    stream: WebSocketStream<TcpStream>,
}

fn ended(error: Error) -> Ended {
    match error {
        Error::Io(error) => Ended::from(error),
        Error::Upgrade(upgrade::Error::DidNotSwitchProtocols(status)) => {
            Ended::of(Cause::Refused { status, code: String::new() })
        }
        error => Ended::of(Cause::Garbage(error.to_string())),
    }
}

// === impl WsSession ===

impl WsSession {
    /// Connects and shakes hands.
    pub async fn open(dial: &Dial, since: Option<u64>) -> Result<Self, Ended> {
        let uri = format!("ws://{}{}{}", dial.server, dial.ws_path, dial.query(since));
        let garbage = |what: String| Ended::of(Cause::Garbage(what));
        let bearer = HeaderValue::try_from(format!("Bearer {}", dial.token)).map_err(|error| garbage(error.to_string()))?;
        let builder = ClientBuilder::new()
            .uri(&uri)
            .map_err(|error| garbage(error.to_string()))?
            .add_header(AUTHORIZATION, bearer)
            .map_err(ended)?;
        let stream = dial.connect().await?;
        let (stream, _) = tokio::time::timeout(HANDSHAKE_MAX, builder.connect_on(stream))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
            .map_err(ended)?;
        Ok(Self { stream })
    }

    /// Waits for a message.
    pub async fn read(&mut self, ear: &mut impl Ear) -> Result<(), Ended> {
        let message = match self.stream.next().await {
            Some(message) => message.map_err(ended)?,
            None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        };
        if let Some((code, _)) = message.as_close() {
            return Err(Ended { close_code: code.into(), cause: Cause::Closed, come_back: None });
        }
        match message.as_text() {
            Some(text) => hear_frame(text, ear).map_err(|what| Ended::of(Cause::Garbage(what))),
            None if message.is_binary() => Err(Ended::of(Cause::Garbage("a binary frame".to_owned()))),
            None => Ok(()),
        }
    }

    /// Asks for everything after the cursor once more.
    pub async fn request_replay(&mut self, since: u64) -> Result<(), Ended> {
        let text = format!(r#"{{"type":"replay_request","last_event_id":{since}}}"#);
        self.stream.send(Message::text(text)).await.map_err(ended)
    }

    /// Goes away; a clean close waits for the server's answer to it.
    pub async fn leave(mut self, how: Leave) {
        match how {
            Leave::Clean => {
                let close = async {
                    self.stream.send(Message::close(Some(CloseCode::NORMAL_CLOSURE), "")).await.ok()?;
                    while let Some(Ok(_)) = self.stream.next().await {}
                    Some(())
                };
                // A server that never answers the close is left all the same.
                let _ = tokio::time::timeout(CLOSE_MAX, close).await;
            }
            Leave::Drop => {}
            Leave::Reset => drop(self.stream.get_ref().set_zero_linger()),
        }
    }
}
