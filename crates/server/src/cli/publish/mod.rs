//! `campanile publish`: one event, a file of them, or what a platform's broadcast functions send.

mod batch;
mod body;
mod sender;

use super::Source;
use super::remote::Place;
use super::token::id;
use super::{credential, terminal};
use anyhow::Result;
use body::Data;
use campanile_wire::Id;
use clap::{Args, Subcommand};
use sender::Sender;
use serde::Serialize;
use serde_json::value::RawValue;

/// Publishes events to a running server.
///
/// It needs an API key. What was acknowledged is stored; when an answer is lost, the same request is repeated
/// under the same idempotency key, so that nothing is published twice.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile publish event --dev --type announcement --channel course:7 --data '{\"title\":\"Hello\",\"body\":\"The bell rings\"}'
  campanile publish batch events.ndjson
  campanile publish grade-update --cadet-id 1 --data '{\"type\":\"merit\",\"points\":5}'
  campanile publish notification --user-id 1,2 --data '{\"message\":\"New message from admin\"}'

The key comes from CAMPANILE_KEY, --key @file, --key - (standard input), or --dev.")]
pub struct Publish {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Publishes one event (POST /api/events).
    #[command(after_help = "Example:
  echo '{\"title\":\"Hello\",\"body\":\"The bell rings\"}' | campanile publish event --type announcement --channel course:7 --data -")]
    Event {
        /// The event's type.
        #[arg(long = "type", value_name = "TYPE")]
        kind: String,
        /// The channel: kind:id.
        #[arg(long)]
        channel: String,
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        producer: Producer,
    },
    /// Publishes a file of events, one JSON object a line, with a progress bar.
    #[command(
        after_help = "A line is {\"type\":\"announcement\",\"channel\":\"course:7\",\"data\":{…}}. Lines go in batches that are all or nothing.

With --idempotency-key the same file may be sent again within 24 hours: what has arrived is not published twice.

Examples:
  campanile publish batch events.ndjson --idempotency-key import-2026-01-15
  make-events | campanile publish batch"
    )]
    Batch(batch::Batch),
    /// Tells a cadet's grades (POST /api/broadcast/grade_update).
    GradeUpdate(ForCadet),
    /// Tells a cadet's attendance (POST /api/broadcast/attendance_update).
    AttendanceUpdate(ForCadet),
    /// Tells a cadet's exam scores (POST /api/broadcast/exam_score_update).
    ExamScoreUpdate(ForCadet),
    /// Notifies people (POST /api/broadcast/notification).
    Notification {
        #[command(flatten)]
        people: People,
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        producer: Producer,
    },
    /// Sends people a message (POST /api/broadcast/message).
    Message {
        #[command(flatten)]
        people: People,
        /// The text.
        #[arg(long)]
        message: String,
        /// What kind of message it is.
        #[arg(long = "type", value_name = "TYPE", default_value = "admin_message")]
        kind: String,
        #[command(flatten)]
        producer: Producer,
    },
    /// Tells any event of a cadet (POST /api/broadcast/sync_event).
    SyncEvent {
        /// The event's type.
        #[arg(long, value_name = "TYPE")]
        event_type: String,
        /// The cadet.
        #[arg(long, value_name = "ID", value_parser = id)]
        cadet_id: Id,
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        producer: Producer,
    },
}

/// What a cadet's three updates take. The server adds `cadet_id` to the data.
#[derive(Args)]
pub(super) struct ForCadet {
    /// The cadet.
    #[arg(long, value_name = "ID", value_parser = id)]
    cadet_id: Id,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    producer: Producer,
}

/// Who is told.
#[derive(Args)]
pub(super) struct People {
    /// The people, separated by commas, or given again.
    #[arg(long = "user-id", value_name = "ID", value_parser = id, value_delimiter = ',', required = true)]
    user_ids: Vec<Id>,
}

/// Who publishes, and where.
#[derive(Args)]
pub(super) struct Producer {
    /// The API key; `@file` reads a file, `-` standard input. Better in the environment than in the list of processes.
    #[arg(long, env = "CAMPANILE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Under which key a repeat is known as one, for 24 hours; a random one by default.
    #[arg(long, value_name = "TEXT")]
    idempotency_key: Option<String>,
    /// Prints the server's answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl Producer {
    fn sender(&self) -> Result<Sender> {
        let Place { dev, source, .. } = &self.place;
        self.sender_of(*dev, source)
    }

    fn sender_of(&self, dev: bool, source: &Source) -> Result<Sender> {
        let credential = credential::api_key(self.key.as_deref(), dev, source)?;
        Sender::new(self.place.server()?, credential, self.idempotency_key.clone())
    }

    /// Whether the key is read from standard input, which then holds nothing else.
    fn reads_input(&self) -> bool {
        self.key.as_deref() == Some("-")
    }
}

impl Publish {
    pub(super) async fn run(self) -> Result<()> {
        let (path, body, producer) = match self.what {
            What::Batch(batch) => return batch.run().await,
            What::Event { kind, channel, data, producer } => {
                let data = data.read(&producer)?;
                ("/api/events", body::of(&Event { kind: &kind, channel: &channel, data: &data }), producer)
            }
            What::GradeUpdate(asked) => asked.body("/api/broadcast/grade_update", "grade_data")?,
            What::AttendanceUpdate(asked) => asked.body("/api/broadcast/attendance_update", "attendance_data")?,
            What::ExamScoreUpdate(asked) => asked.body("/api/broadcast/exam_score_update", "exam_data")?,
            What::Notification { people, data, producer } => {
                let notification = data.read(&producer)?;
                let body = body::of(&Notification { user_ids: people.user_ids, notification: &notification });
                ("/api/broadcast/notification", body, producer)
            }
            What::Message { people, message, kind, producer } => {
                let body = body::of(&Message { user_ids: people.user_ids, message: &message, kind: &kind });
                ("/api/broadcast/message", body, producer)
            }
            What::SyncEvent { event_type, cadet_id, data, producer } => {
                let payload = data.read(&producer)?;
                let body = body::of(&SyncEvent { event_type: &event_type, cadet_id, payload: &payload });
                ("/api/broadcast/sync_event", body, producer)
            }
        };
        let mut sender = producer.sender()?;
        let answer = sender.send(path, body, "").await?;
        terminal::out(&if producer.json { answer.text } else { body::told(&answer.text, answer.replayed) })
    }
}

impl ForCadet {
    fn body(self, path: &'static str, name: &str) -> Result<(&'static str, String, Producer)> {
        let data = self.data.read(&self.producer)?;
        let cadet = self.cadet_id.to_json();
        Ok((path, format!(r#"{{"cadet_id":{cadet},"{name}":{}}}"#, data.get()), self.producer))
    }
}

// Bodies as the server reads them; data passes through byte for byte.

#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    channel: &'a str,
    data: &'a RawValue,
}

#[derive(Serialize)]
struct Notification<'a> {
    user_ids: Vec<Id>,
    notification: &'a RawValue,
}

#[derive(Serialize)]
struct Message<'a> {
    user_ids: Vec<Id>,
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
struct SyncEvent<'a> {
    event_type: &'a str,
    cadet_id: Id,
    payload: &'a RawValue,
}
