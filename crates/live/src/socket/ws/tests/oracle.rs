//! The codec held against tokio-websockets, in both directions.

use futures_util::{SinkExt, StreamExt};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_websockets::proto::ProtocolError;
use tokio_websockets::{ClientBuilder, CloseCode, Config, Error, ServerBuilder};

use super::conversation::{LIMITS, any_conversation, any_text, bytes_of, close_code};
use super::*;

/// Room for everything that one case writes, so that nobody waits for a reader.
const PIPE_BYTES: usize = 1 << 20;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What the oracle heard, and the class of its refusal in our close codes.
#[derive(Debug, PartialEq)]
struct Heard {
    messages: Vec<Message>,
    refused: Option<u16>,
}

/// The same in our words; `None` if it is text but not UTF-8. That happens: tokio-websockets 0.13.3 does not look at the
/// text once more when an empty last fragment leaves a character unfinished, and its `as_text` would then not be sound.
fn our_word_for(message: &tokio_websockets::Message) -> Option<Message> {
    let payload = Bytes::copy_from_slice(message.as_payload());
    Some(match message.as_close() {
        Some((CloseCode::NO_STATUS_RECEIVED, "")) => Message::Close(None),
        Some((code, reason)) => Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() })),
        None if message.is_ping() => Message::Ping(payload),
        None if message.is_pong() => Message::Pong(payload),
        None if message.is_text() => text(std::str::from_utf8(&payload).ok()?),
        None => panic!("no test sends binary to the oracle"),
    })
}

fn class_of(error: &Error) -> Option<u16> {
    match error {
        Error::Protocol(ProtocolError::InvalidUtf8) => Some(1007),
        Error::Protocol(_) => Some(1002),
        Error::PayloadTooLong { .. } => Some(4009),
        Error::Io(_) => None, // The stream ended within a frame: nothing to refuse.
        other => panic!("the oracle stumbled: {other}"),
    }
}

/// Reads until the stream ends, whichever end of the connection the oracle plays.
async fn listen<S>(mut oracle: tokio_websockets::WebSocketStream<S>) -> Heard
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut messages = Vec::new();
    while let Some(item) = oracle.next().await {
        match item {
            Ok(message) => match our_word_for(&message) {
                Some(message) => messages.push(message),
                None => return Heard { messages, refused: Some(1007) },
            },
            Err(error) => return Heard { messages, refused: class_of(&error) },
        }
    }
    Heard { messages, refused: None }
}

/// The oracle as a server that hears `bytes`.
fn heard_by_oracle_server(bytes: &[u8]) -> Heard {
    let limits = tokio_websockets::Limits::default().max_payload_len(Some(LIMITS.message_bytes_max));
    block_on(async {
        let (mut client, server) = tokio::io::duplex(PIPE_BYTES);
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        listen(ServerBuilder::new().limits(limits).serve(server)).await
    })
}

/// The bytes that the oracle as a client sends, fragmented into frames of at most `frame_bytes`.
fn sent_by_oracle_client(messages: Vec<tokio_websockets::Message>, frame_bytes: usize) -> Vec<u8> {
    block_on(async {
        let (client, mut server) = tokio::io::duplex(PIPE_BYTES);
        let mut client = ClientBuilder::new().config(Config::default().frame_size(frame_bytes)).take_over(client);
        for message in messages {
            client.send(message).await.unwrap();
        }
        drop(client);
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).await.unwrap();
        bytes
    })
}

/// A message that either end may send, in our words and in the oracle's.
fn any_message() -> impl Strategy<Value = Message> {
    let payload = || vec(any::<u8>(), 0..=125).prop_map(Bytes::from);
    let long_text = (0..70_000_usize).prop_map(|length| text(&"z".repeat(length)));
    prop_oneof![
        6 => any_text().prop_map(|said| text(&said)),
        1 => long_text.prop_filter("over the limit", |said| matches!(said, Message::Text(said) if said.len() <= 65_536)),
        2 => payload().prop_map(Message::Ping),
        2 => payload().prop_map(Message::Pong),
    ]
}

fn any_close() -> impl Strategy<Value = Message> {
    let reason = vec(any::<char>(), 0..30).prop_map(String::from_iter);
    let close = proptest::option::of((close_code(), reason));
    close.prop_map(|close| Message::Close(close.map(|(code, reason)| CloseFrame { code, reason: reason.into() })))
}

fn conversation() -> impl Strategy<Value = Vec<Message>> {
    (vec(any_message(), 0..6), proptest::option::of(any_close()))
        .prop_map(|(messages, close)| messages.into_iter().chain(close).collect())
}

fn oracles_word_for(message: &Message) -> tokio_websockets::Message {
    match message {
        Message::Text(said) => tokio_websockets::Message::text(said.to_string()),
        Message::Ping(payload) => tokio_websockets::Message::ping(payload.clone()),
        Message::Pong(payload) => tokio_websockets::Message::pong(payload.clone()),
        Message::Close(None) => tokio_websockets::Message::close(None, ""),
        Message::Close(Some(close)) => {
            tokio_websockets::Message::close(Some(CloseCode::try_from(close.code).unwrap()), &close.reason)
        }
    }
}

fn our_frame_for(message: &Message) -> Bytes {
    match message {
        Message::Text(said) => frame::text(said.as_bytes()),
        Message::Ping(payload) => frame::ping(payload),
        Message::Pong(payload) => frame::pong(payload),
        Message::Close(None) => frame::close_reply(None),
        Message::Close(Some(close)) => frame::close(close.code, &close.reason),
    }
}

/// Whether both refused in the same class. They may differ in one case: we refuse a message over the limit by the header
/// of the fragment that exceeds it, the oracle when that fragment has come in, and it may find bad UTF-8 there first.
fn agree(ours: Option<u16>, oracles: Option<u16>) -> bool {
    ours == oracles || (ours, oracles) == (Some(4009), Some(1007))
}

proptest! {
    #[test]
    fn a_client_that_may_break_rules_is_heard_and_refused_as_the_oracle_does(frames in any_conversation()) {
        let bytes = bytes_of(&frames);
        let ours = decode_pieces(LIMITS, [&bytes[..]]);
        let oracles = heard_by_oracle_server(&bytes);
        prop_assert_eq!(&ours.messages, &oracles.messages);
        let code = ours.violation.map(|violation| violation.close_reason().code());
        prop_assert!(agree(code, oracles.refused), "{:?} against {:?}", ours.violation, oracles.refused);
    }

    #[test]
    fn what_the_oracle_says_as_a_client_is_what_we_hear(
        said in conversation(),
        frame_bytes in prop_oneof![1..=16_usize, 100..=200_usize, 60_000..=70_000_usize],
        cuts in vec(any::<Index>(), 0..4),
    ) {
        let limits = Limits { fragments_max: u32::MAX, ..Limits::AUTHENTICATED };
        let bytes = sent_by_oracle_client(said.iter().map(oracles_word_for).collect(), frame_bytes);
        let expect = Outcome { messages: said, violation: None };
        prop_assert_eq!(&decode_pieces(limits, [&bytes[..]]), &expect);
        prop_assert_eq!(decode_pieces(limits, splits::pieces(&bytes, &cuts)), expect);
    }

    #[test]
    fn what_we_say_as_a_server_is_what_the_oracle_hears(said in conversation()) {
        let heard = block_on(async {
            let (client, mut server) = tokio::io::duplex(PIPE_BYTES);
            for message in &said {
                server.write_all(&our_frame_for(message)).await.unwrap();
            }
            server.shutdown().await.unwrap();
            listen(ClientBuilder::new().take_over(client)).await
        });
        prop_assert_eq!(heard, Heard { messages: said, refused: None });
    }
}
