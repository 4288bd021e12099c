//! WebSocket: the handshake by the HTTP client, so that TLS and proxies are the same for every transport; the frames by tokio-websockets.

use super::{Asked, Ear, Ended, ended, take, told};
use crate::cli::remote::{Failure, Server, refused, signed};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_websockets::{ClientBuilder, CloseCode, Message, WebSocketStream};

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
/// Silence after which the connection is taken for dead: the server sends a heartbeat every 25 s.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// How long a clean close waits for the server's half of it.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// RFC 6455 section 1.3.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

pub(super) async fn follow(
    server: &Server,
    token: &str,
    asked: &mut Asked,
    ear: &mut impl Ear,
    stop: &CancellationToken,
) -> Result<Ended, Ended> {
    let address = asked.address("/ws", &[]);
    let mut stream = tokio::select! {
        stream = open(server, token, &address) => stream.map_err(ended)?,
        () = stop.cancelled() => return Ok(Ended::Done),
    };
    let mut after = Duration::ZERO;
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(SILENCE_MAX, stream.next()) => next,
            () = stop.cancelled() => {
                close(&mut stream).await;
                return Ok(Ended::Done);
            }
        };
        let lost = |why: String| Ended::Lost { why, after };
        let Ok(next) = next else { return Ok(lost("nothing came for 75 s, not even a heartbeat".into())) };
        let message = match next {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Ok(lost(format!("the connection broke: {error}"))),
            None => return Ok(lost("the connection broke without a goodbye".into())),
        };
        if let Some((code, reason)) = message.as_close() {
            let reason = if reason.is_empty() { u16::from(code).to_string() } else { reason.to_owned() };
            return Ok(told(&reason, after));
        }
        let Some(text) = message.as_text() else { continue };
        if let Some(asked_for) = come_back(text) {
            after = asked_for;
        }
        if take(text, asked, ear)? == ControlFlow::Break(()) {
            close(&mut stream).await;
            return Ok(Ended::Done);
        }
    }
}

/// When the server asks to be left for so long; the close follows.
fn come_back(text: &str) -> Option<Duration> {
    let frame = super::Frame::read(text).ok().filter(|frame| frame.kind == "reconnect")?;
    frame.retry_after_ms.map(Duration::from_millis)
}

type Stream = WebSocketStream<reqwest::Upgraded>;

async fn open(server: &Server, token: &str, address: &str) -> Result<Stream, Failure> {
    let key = STANDARD.encode(rand::random::<u128>().to_be_bytes());
    let request = server
        .http
        .get(server.url(address))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    let answer = tokio::time::timeout(HANDSHAKE_MAX, signed(request, Some(token))?.send()).await;
    let answer = answer.map_err(|_| Failure::Unreachable("the handshake took longer than 30 s".into()))?;
    let response = answer.map_err(|error| server.unreachable(&error))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(response).await);
    }
    let expected = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ACCEPT_SUFFIX}").as_bytes()));
    if response.headers().get(SEC_WEBSOCKET_ACCEPT).is_none_or(|accept| accept.as_bytes() != expected.as_bytes()) {
        return Err(Failure::Foreign("the handshake was answered by something that is no WebSocket server".into()));
    }
    let upgraded = response.upgrade().await.map_err(|error| server.unreachable(&error))?;
    Ok(ClientBuilder::new().take_over(upgraded))
}

async fn close(stream: &mut Stream) {
    let goodbye = async {
        stream.send(Message::close(Some(CloseCode::NORMAL_CLOSURE), "")).await.ok()?;
        while let Some(Ok(_)) = stream.next().await {}
        Some(())
    };
    // A server that never answers the close is left all the same.
    let _ = tokio::time::timeout(CLOSE_MAX, goodbye).await;
}
