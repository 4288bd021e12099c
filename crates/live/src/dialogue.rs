//! What a client says on the native route, frame by frame: the same for sockets and for the in-process test client.

use crate::admission::Bucket;
use crate::session::{CONNECTIONS, Ending, Session};
use bytes::Bytes;
use campanile_contract::{Fields, Repeatable};
use campanile_wire::frame::{ClientFrame, CommandFrame, Reply, Selection, ServerFrame};
use campanile_wire::{Caller, Channel, CloseReason, Cursor, ErrorCode, Refusal, instant};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A session and its client's side of the talk.
pub struct Dialogue {
    /// What is handed out to the client.
    pub session: Session,
    bucket: Bucket,
    started: Instant,
    refused_in_a_row: u32,
    commands_in_flight: Arc<AtomicUsize>,
}

impl Dialogue {
    /// A dialogue on a fresh session.
    pub fn new(session: Session) -> Self {
        Self {
            session,
            bucket: Bucket::default(),
            started: Instant::now(),
            refused_in_a_row: 0,
            commands_in_flight: Arc::default(),
        }
    }

    /// Takes in one text message. Answers go through the session, in order with everything else.
    pub async fn hear(&mut self, text: &str) {
        // What a client says after its end, before it has heard of it, is not heard.
        if self.session.mailbox.is_ending() {
            return;
        }
        self.session.node.metrics.count(|metrics| &metrics.messages_received);
        if let Err(refusal) = self.may_speak() {
            return self.error(&refusal);
        }
        let frame = match read_frame(text) {
            Ok(frame) => frame,
            Err(refusal) => return self.error(&refusal),
        };
        if let Err(refusal) = self.answer(frame).await {
            self.error(&refusal);
        }
    }

    /// The message limit of this connection: over it messages are refused, and a client that does not stop is closed.
    fn may_speak(&mut self) -> Result<(), Refusal> {
        let limits = self.session.node.limits();
        let now_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        match self.bucket.take(now_us, limits.messages_per_second_max, limits.messages_burst) {
            Ok(()) => self.refused_in_a_row = 0,
            Err(_) => {
                self.refused_in_a_row += 1;
                if self.refused_in_a_row >= limits.messages_refused_max {
                    let retry_after_ms = Some(self.session.node.spread_ms());
                    self.session.mailbox.end(Ending { reason: CloseReason::RateLimited, retry_after_ms });
                }
                let rate = limits.messages_per_second_max;
                return Err(Refusal::new(ErrorCode::RateLimited, format!("at most {rate} messages a second on a connection")));
            }
        }
        Ok(())
    }

    async fn answer(&mut self, frame: ClientFrame) -> Result<(), Refusal> {
        match frame {
            ClientFrame::Ping { timestamp } => self.say(&ServerFrame::Pong { timestamp: &timestamp }),
            ClientFrame::Auth { .. } => {
                return Err(Refusal::new(ErrorCode::UnknownFrame, "this connection is authenticated; send refresh instead"));
            }
            ClientFrame::Refresh { token } => self.refresh(&token).await?,
            ClientFrame::ReplayRequest { last_event_id } => {
                let since = Cursor::from_json(&last_event_id)
                    .map_err(|error| Refusal::new(ErrorCode::InvalidCursor, error.to_string()))?;
                // Boxed, as every read of the store is: an idle connection's task need not be as large.
                Box::pin(self.session.rewind(since, None)).await.map_err(Refusal::from)?;
            }
            ClientFrame::Subscribe(selection) => self.select(selection, true)?,
            ClientFrame::Unsubscribe(selection) => self.select(selection, false)?,
            ClientFrame::Command(command) => self.command(command)?,
            ClientFrame::Signal { signal, channel, data } => self.signal(&signal, &channel, &data)?,
        }
        Ok(())
    }

    async fn refresh(&mut self, token: &str) -> Result<(), Refusal> {
        let caller = self.session.node.authenticate.authenticate(token).await?;
        let expires_at = instant::format(caller.expires_at_ms);
        self.session.renew(caller).map_err(Refusal::from)?;
        self.say(&ServerFrame::Refreshed { expires_at });
        Ok(())
    }

    fn select(&mut self, selection: Selection, reads: bool) -> Result<(), Refusal> {
        if let Some(view) = &selection.view {
            return self.select_view(view, &selection, reads);
        }
        let session = &self.session;
        let mut core = session.node.core();
        let core = &mut *core;
        for channel in &selection.channels {
            if !core.hub.may_see(session.key, &core.members, channel) {
                return Err(Refusal::new(ErrorCode::Forbidden, format!("{channel} is not yours to read")));
            }
        }
        for channel in &selection.channels {
            core.hub.select(session.key, channel, reads, &core.members);
        }
        let channels = &selection.channels;
        let frame = if reads { ServerFrame::Subscribed { channels } } else { ServerFrame::Unsubscribed { channels } };
        session.mailbox.push_answer(session.encode(&frame), &session.node.limits());
        Ok(())
    }

    fn select_view(&mut self, name: &str, selection: &Selection, reads: bool) -> Result<(), Refusal> {
        let invalid = || Refusal::new(ErrorCode::InvalidData, "a view is named with its key");
        let key = selection.key.clone().ok_or_else(invalid)?;
        let node = Arc::clone(&self.session.node);
        let view = node.site.registry.view(name)?;
        let mut core = node.core();
        let core = &mut *core;
        let at = (view.name, key.clone());
        if !reads {
            core.views.unsubscribe(view.name, &key, self.session.key);
            self.session.views.retain(|known| *known != at);
            return Ok(());
        }
        let channel = Channel::new(view.channel_kind, &key);
        if !core.hub.may_see(self.session.key, &core.members, &channel) {
            return Err(Refusal::new(ErrorCode::Forbidden, format!("{name} of {channel} is not yours to read")));
        }
        if !self.session.views.contains(&at) {
            let most = node.limits().views_per_connection_max;
            if self.session.views.len() >= most {
                return Err(Refusal::new(ErrorCode::RateLimited, format!("at most {most} views on a connection")));
            }
            self.session.views.push(at);
        }
        core.views.subscribe(view.name, key, self.session.key, Arc::clone(&self.session.mailbox), core.position);
        Ok(())
    }

    /// Runs in its own task, so that deliveries go on while the commit is flushed.
    fn command(&self, frame: CommandFrame) -> Result<(), Refusal> {
        let node = &self.session.node;
        let CommandFrame { reference, name, data, idempotency_key: key } = frame;
        let prepared = node.site.registry.command(&name).and_then(|command| Ok((*command, Fields::of_frame(&data)?)));
        let (command, fields) = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => return self.reply_refused(&reference, &refusal),
        };
        let in_flight = Arc::clone(&self.commands_in_flight);
        if in_flight.fetch_add(1, Ordering::SeqCst) >= node.limits().commands_in_flight_max {
            in_flight.fetch_sub(1, Ordering::SeqCst);
            return self.reply_refused(&reference, &ErrorCode::RateLimited.into());
        }
        let (node, mailbox) = (Arc::clone(node), Arc::clone(&self.session.mailbox));
        let mut caller = self.session.caller.clone();
        caller.role = node.role_of(caller.id.as_str()).or(caller.role);
        tokio::spawn(async move {
            let body = fields.as_str().to_owned();
            let repeatable = key.as_deref().map(|key| Repeatable { key, route: command.name, body: body.as_bytes() });
            let outcome = node.site.command(&Caller::Person(caller), &command, fields, repeatable).await;
            if let Ok(outcome) = &outcome {
                node.applied(outcome).await;
            }
            let frame = match &outcome {
                Ok(outcome) => reply_ok(&reference, outcome),
                Err(campanile_journal::UnitError::Refused(refusal)) => reply_no(&reference, refusal),
                Err(campanile_journal::UnitError::Store(error)) => reply_no(&reference, &error.code().into()),
            };
            mailbox.push_answer(frame, &node.limits());
            in_flight.fetch_sub(1, Ordering::SeqCst);
        });
        Ok(())
    }

    fn reply_refused(&self, reference: &Value, refusal: &Refusal) -> Result<(), Refusal> {
        self.session.mailbox.push_answer(reply_no(reference, refusal), &self.session.node.limits());
        Ok(())
    }

    /// Hands a signal to the channel's members on this node. It is never stored.
    fn signal(&self, signal: &str, channel: &Channel, data: &Value) -> Result<(), Refusal> {
        let node = &self.session.node;
        let core = node.core();
        if !core.hub.may_see(self.session.key, &core.members, channel) {
            return Err(Refusal::new(ErrorCode::Forbidden, format!("{channel} is not yours to speak in")));
        }
        let frame = ServerFrame::Signal { signal, channel, from: &self.session.caller.id, data };
        let json = Bytes::from(frame.to_json());
        let expires_at_ms = node.now_ms() + node.limits().signal_ms_max;
        for mailbox in core.hub.readers(channel, self.session.key) {
            mailbox.push_signal(expires_at_ms, json.clone(), &node.limits());
        }
        Ok(())
    }

    fn say(&self, frame: &ServerFrame<'_>) {
        self.session.mailbox.push_answer(self.session.encode(frame), &self.session.node.limits());
    }

    fn error(&self, refusal: &Refusal) {
        self.session.node.metrics.frame_refused(refusal.code);
        let code = refusal.code.as_str();
        tracing::debug!(target: CONNECTIONS, connection = self.session.name(), code, "a frame was refused");
        self.say(&ServerFrame::Error { message: &refusal.message, code: refusal.code.as_str() });
    }
}

/// Reads a client's frame, telling apart text that is not JSON, an unknown type, and fields that are wrong.
pub(crate) fn read_frame(text: &str) -> Result<ClientFrame, Refusal> {
    #[derive(serde::Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<std::borrow::Cow<'a, str>>,
    }
    const KNOWN: [&str; 8] = ["auth", "refresh", "ping", "replay_request", "subscribe", "unsubscribe", "command", "signal"];
    let no_frame = || Refusal::new(ErrorCode::MalformedJson, "a frame is an object with a type");
    // A list with the fields in their order would read as well.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(no_frame());
    }
    let malformed = |error: serde_json::Error| Refusal::new(ErrorCode::MalformedJson, error.to_string());
    let typed: Typed<'_> = serde_json::from_str(text).map_err(malformed)?;
    let kind = typed.kind.ok_or_else(no_frame)?;
    if !KNOWN.contains(&&*kind) {
        let kind: String = kind.chars().take(64).collect();
        return Err(Refusal::new(ErrorCode::UnknownFrame, format!("{kind:?} is none of {}", KNOWN.join(", "))));
    }
    ClientFrame::read(&kind, text).map_err(|error| Refusal::new(ErrorCode::InvalidData, error.to_string()))
}

fn reply_ok(reference: &Value, outcome: &campanile_journal::Outcome) -> String {
    let data = RawValue::from_string(outcome.answer.clone()).ok();
    let id = outcome.events.last().map(|event| event.id);
    ServerFrame::Reply(Reply { reference, ok: true, data: data.as_deref(), id, code: None, message: None, current: None })
        .to_json()
}

fn reply_no(reference: &Value, refusal: &Refusal) -> String {
    let (code, message) = (Some(refusal.code.as_str()), Some(refusal.message.as_str()));
    let current = refusal.current.as_deref();
    ServerFrame::Reply(Reply { reference, ok: false, data: None, id: None, code, message, current }).to_json()
}
