//! From a publish to the reader who hears it.

use super::{PROGRESS, STEP_MAX, progress};
use crate::cli::finding::Finding;
use crate::cli::remote::{Failure, Server, Tokens};
use crate::cli::stream::frame::Frame;
use crate::cli::stream::{Asked, Ear, Ended, Place, Transport, follow};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// Who publishes what to whom.
pub(super) struct Trip {
    pub(super) server: Server,
    pub(super) tokens: Tokens,
    pub(super) key: String,
    pub(super) channel: String,
}

enum Heard {
    Opened,
    Event(u64),
}

/// Passes on what it hears. The channel is bounded by the step's time, and by what one inbox gets in it.
struct Listener(UnboundedSender<Heard>);

impl Ear for Listener {
    fn opened(&mut self) {
        // Nobody waits any more: the step is over.
        let _ = self.0.send(Heard::Opened);
    }

    fn hear(&mut self, frame: &Frame) -> anyhow::Result<ControlFlow<()>> {
        if let Some(id) = frame.id.filter(|_| frame.is_event()) {
            let _ = self.0.send(Heard::Event(id));
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Why a trip did not end well.
enum Trouble {
    Publish(Failure),
    Read(String),
}

impl Trip {
    /// Opens a connection, publishes, and waits for the event to come back.
    pub(super) async fn there_and_back(&self, transport: Transport, check: &'static str, kind: &str, data: &Value) -> Finding {
        let script = async |heard: &mut UnboundedReceiver<Heard>| {
            while !matches!(heard.recv().await, Some(Heard::Opened)) {}
            let began = Instant::now();
            let id = self.publish(kind, data).await?;
            await_event(heard, id).await;
            Ok((id, began.elapsed()))
        };
        match self.during(transport, Asked::default(), script).await {
            Ok((id, took)) => Finding::ok(check, format!("{kind} {id} came back over {}", transport.name())).in_time(took),
            Err(trouble) => trouble.finding(check),
        }
    }

    /// Publishes while nobody listens, and reads it after connecting again with the cursor from before.
    pub(super) async fn replay(&self) -> Finding {
        const CHECK: &str = "replay";
        let before = match self.publish(PROGRESS, &progress()).await {
            Ok(id) => id,
            Err(trouble) => return trouble.finding(CHECK),
        };
        let missed = match self.publish(PROGRESS, &progress()).await {
            Ok(id) => id,
            Err(trouble) => return trouble.finding(CHECK),
        };
        let asked = Asked { place: Place { since: Some(before.to_string()), epoch: None }, ..Asked::default() };
        let began = Instant::now();
        let script = async |heard: &mut UnboundedReceiver<Heard>| {
            await_event(heard, missed).await;
            Ok(began.elapsed())
        };
        match self.during(Transport::Ws, asked, script).await {
            Ok(took) => {
                Finding::ok(CHECK, format!("event {missed}, missed on purpose, came after the reconnect")).in_time(took)
            }
            Err(trouble) => trouble.finding(CHECK),
        }
    }

    /// Runs the script while a connection stands.
    async fn during<T>(
        &self,
        transport: Transport,
        mut asked: Asked,
        script: impl AsyncFnOnce(&mut UnboundedReceiver<Heard>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let token = self.tokens.token().map_err(|error| Trouble::Read(format!("{error:#}")))?;
        let (tell, mut heard) = unbounded_channel();
        let (stop, mut ear) = (CancellationToken::new(), Listener(tell));
        tokio::select! {
            result = script(&mut heard) => result,
            ended = follow(transport, &self.server, &token, &mut asked, &mut ear, &stop) => Err(Trouble::Read(match ended {
                Ended::Refused { sentence, .. } => sentence,
                Ended::Lost { why, .. } => why,
                Ended::Deaf(error) => error.to_string(),
                Ended::Done => "the connection ended".into(),
            })),
            () = tokio::time::sleep(STEP_MAX) => {
                Err(Trouble::Read(format!("the event did not come within {} s", STEP_MAX.as_secs())))
            }
        }
    }

    async fn publish(&self, kind: &str, data: &Value) -> Result<u64, Trouble> {
        let body = json!({ "type": kind, "channel": self.channel, "data": data }).to_string();
        let answer = self.server.post("/api/events", body, &self.key, None).await.map_err(Trouble::Publish)?;
        let answer = answer.json().map_err(Trouble::Publish)?;
        answer["id"].as_u64().ok_or_else(|| Trouble::Publish(Failure::Foreign("a publish was answered without an id".into())))
    }
}

async fn await_event(heard: &mut UnboundedReceiver<Heard>, wanted: u64) {
    while let Some(heard) = heard.recv().await {
        if matches!(heard, Heard::Event(id) if id == wanted) {
            return;
        }
    }
    // The connection is gone, and `during` says why.
    std::future::pending::<()>().await;
}

impl Trouble {
    fn finding(self, check: &'static str) -> Finding {
        match self {
            Self::Publish(failure) if failure.code() == Some("unknown_event_type") => {
                Finding::cannot_tell(check, "this server knows no such event type", "declare it, if the platform is to send it")
            }
            Self::Publish(failure) => {
                Finding::problem(check, format!("publishing: {failure}"), "`campanile doctor --key …` says more")
            }
            Self::Read(why) => Finding::problem(check, why, "`campanile doctor --token …` says more"),
        }
    }
}
