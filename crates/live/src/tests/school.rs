//! A small school: a site with one feature of its own on SQLite, a clock that moves when told, a node, and clients.

use crate::communicator::{Communicator, Heard};
use crate::{Connect, LiveLimits, Node, Refused, Transport};
use campanile_contract::bench::service;
use campanile_contract::{
    Authenticate, Caller, Channel, ChannelKind, Class, Command, CommandType, Ctx, DataCheck, Effect, ErrorCode, Event,
    EventType, Feature, History, Id, Origin, Reader, Refusal, Registry, Retention, Site, Subject, UnitError, View, ViewType,
};
use campanile_journal::{Durability, JournalError, JournalLimits, ManualClock, Outcome};
use campanile_wire::caller::PersonCaller;
use campanile_wire::{Cursor, EventId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything here takes: what has not come by then never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// When the school opens: 2026-01-01T00:00:00Z.
pub(super) const OPENING_MS: i64 = 1_767_225_600_000;

/// A site and its node.
pub(super) struct School {
    pub(super) site: Site,
    pub(super) clock: Arc<ManualClock>,
    pub(super) node: Arc<Node>,
    pub(super) store: String,
    _folder: tempfile::TempDir,
}

/// The limits of tests: nothing happens by itself. The log is polled once an hour, so that a lost wake-up is found.
pub(super) fn limits() -> LiveLimits {
    LiveLimits {
        log_poll_ms: 3_600_000,
        view_interval_ms: 1,
        connects_per_second_max: 1_000_000,
        messages_per_second_max: 1_000_000,
        messages_burst: 1_000_000,
        ..LiveLimits::default()
    }
}

/// Waits for something that must come.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("this never came: a wake-up was lost")
}

pub(super) fn channel(text: &str) -> Channel {
    Channel::parse(text).expect("a channel")
}

pub(super) fn caller(person: i64) -> PersonCaller {
    let id = Id::from(person);
    PersonCaller { id, role: None, cadet: None, expires_at_ms: i64::MAX, token_id: None, issued_at_ms: None }
}

/// A wish to connect: a person's, live from now, over WebSocket.
pub(super) fn wish(person: i64) -> Connect {
    Connect {
        caller: caller(person),
        since: None,
        epoch: None,
        client: None,
        only: None,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        transport: Transport::Ws,
        dialect: campanile_wire::Dialect::Native,
    }
}

impl School {
    pub(super) async fn open() -> Self {
        Self::with(limits()).await
    }

    pub(super) async fn with(limits: LiveLimits) -> Self {
        // Nothing here is about power cuts: commits need not wait for the disk.
        Self::on(limits, JournalLimits { durability: Durability::UnsafeNoFlush, ..JournalLimits::default() }).await
    }

    pub(super) async fn on(limits: LiveLimits, journal: JournalLimits) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = format!("sqlite://{}/school.db", folder.path().display());
        let clock = ManualClock::at(OPENING_MS);
        let registry = Registry::new(&[FEATURE], Vec::new()).expect("the declarations agree");
        let site = Site::open(&store, registry, journal, clock.clone()).await.expect("the store opens");
        let node = Node::start(site.clone(), Arc::new(Doorkeeper), limits).await.expect("the node starts");
        Self { site, clock, node, store, _folder: folder }
    }

    /// Another process on the same store.
    pub(super) async fn other_process(&self) -> Site {
        let registry = Registry::new(&[FEATURE], Vec::new()).expect("the declarations agree");
        let journal = JournalLimits { durability: Durability::UnsafeNoFlush, ..JournalLimits::default() };
        Site::open(&self.store, registry, journal, self.clock.clone()).await.expect("the store opens again")
    }

    /// The same site after a restart.
    pub(super) async fn restart(&mut self, limits: LiveLimits) {
        self.node = Node::start(self.site.clone(), Arc::new(Doorkeeper), limits).await.expect("the node starts again");
    }

    pub(super) async fn grant(&self, person: i64, channel: &str) -> EventId {
        self.applied(grant(&self.site, person, channel).await).await
    }

    pub(super) async fn revoke(&self, person: i64, channel: &str) -> EventId {
        self.applied(run(&self.site, "revoke", json!({"person": person, "channel": channel})).await).await
    }

    /// Commits an event with an effect that ends something, and waits until it is applied.
    pub(super) async fn end(&self, effect: Value) -> EventId {
        self.applied(run(&self.site, "end", json!({"effect": effect})).await).await
    }

    pub(super) async fn post(&self, channel: &str, text: &str) -> EventId {
        self.applied(post(&self.site, channel, text).await).await
    }

    /// Posts a note: of each channel only the newest is kept.
    pub(super) async fn note(&self, channel: &str, text: &str) -> EventId {
        self.applied(run(&self.site, "note", json!({"channel": channel, "text": text})).await).await
    }

    pub(super) async fn prune(&self) {
        for kind in ["noted", "class_noted", "cadet_noted"] {
            self.site.journal.prune(kind, Retention::Newest(1)).await.expect("pruning");
        }
    }

    async fn applied(&self, id: EventId) -> EventId {
        soon(self.node.reached(id)).await;
        id
    }

    pub(super) async fn connect(&self, person: i64) -> Client {
        self.admit(wish(person)).await.expect("admitted")
    }

    pub(super) async fn connect_since(&self, person: i64, since: EventId) -> Client {
        self.admit(Connect { since: Some(Cursor::Id(since)), ..wish(person) }).await.expect("admitted")
    }

    pub(super) async fn admit(&self, wish: Connect) -> Result<Client, Refused> {
        soon(Communicator::connect(&self.node, wish)).await.map(Client)
    }

    /// What was refused and when to come back.
    pub(super) async fn refused(&self, wish: Connect) -> Refused {
        self.admit(wish).await.err().expect("refused")
    }
}

/// Commits a command and answers the id of its last event, without waiting for any node.
pub(super) async fn run(site: &Site, name: &str, fields: Value) -> EventId {
    let outcome = command(site, &service(&[]), name, fields).await.expect("carried out");
    outcome.events.last().expect("an event").id
}

async fn command(site: &Site, caller: &Caller, name: &str, fields: Value) -> Result<Outcome, UnitError> {
    let command = *site.registry.command(name)?;
    site.command(caller, &command, fields, None).await
}

pub(super) async fn post(site: &Site, channel: &str, text: &str) -> EventId {
    run(site, "post", json!({"channel": channel, "text": text})).await
}

pub(super) async fn grant(site: &Site, person: i64, channel: &str) -> EventId {
    run(site, "grant", json!({"person": person, "channel": channel})).await
}

/// A client whose frames read as short lines.
pub(super) struct Client(Communicator);

impl Client {
    /// Everything due by now.
    pub(super) async fn hears(&mut self) -> Vec<String> {
        soon(self.0.receive_all()).await.expect("the store answers").iter().map(line).collect()
    }

    /// The next thing, waiting for it.
    pub(super) async fn next(&mut self) -> String {
        line(&soon(self.0.receive()).await)
    }

    /// The next frame as it came.
    pub(super) async fn next_frame(&mut self) -> Value {
        soon(self.0.receive_json()).await
    }

    pub(super) async fn says(&mut self, frame: Value) {
        soon(self.0.send_json(&frame)).await;
    }

    pub(super) async fn says_text(&mut self, text: &str) {
        soon(self.0.send(text)).await;
    }

    /// Says something and hears everything due afterwards.
    pub(super) async fn answer_to(&mut self, frame: Value) -> Vec<String> {
        self.says(frame).await;
        self.hears().await
    }

    pub(super) fn cursor(&self) -> EventId {
        self.0.cursor()
    }
}

/// A frame in short: `3 course:7 hello` is an event.
fn line(heard: &Heard) -> String {
    let frame = match heard {
        Heard::Closed(reason) => return format!("closed {}", reason.word()),
        Heard::Frame(frame) => frame,
    };
    let text = |field: &str| frame[field].as_str().unwrap_or_default().to_owned();
    match frame["type"].as_str().expect("every frame has a type") {
        "connection_established" => format!("established at {}", frame["cursor"]),
        "gap" => format!("gap {}..{} {}", frame["from"], frame["to"], text("reason")),
        "replay_complete" => {
            let gap = if frame["gap"] == true { " with a gap" } else { "" };
            format!("replayed {} from {} to {}{gap}", frame["count"], frame["from"], frame["to"])
        }
        "error" => format!("error {}", text("code")),
        "reply" if frame["ok"] == true => format!("reply {} {} {}", frame["ref"], frame["data"], frame["id"]),
        "reply" => format!("reply {} refused {}", frame["ref"], text("code")),
        "signal" => format!("{} in {} from {} {}", text("signal"), text("channel"), frame["from"], frame["data"]),
        "view" => format!("{} {} {} as of {}", text("view"), frame["key"], frame["data"], frame["as_of"]),
        "pong" => format!("pong {}", frame["timestamp"]),
        "subscribed" | "unsubscribed" => format!("{} {}", text("type"), frame["channels"]),
        "refreshed" => format!("refreshed until {}", text("expires_at")),
        _ => format!("{} {} {}", frame["id"], text("channel"), text_of(&frame["data"])),
    }
}

fn text_of(data: &Value) -> String {
    data["text"].as_str().map_or_else(|| data.to_string(), str::to_owned)
}

// === the feature ===

/// A person whose token has this role.
pub(super) fn with_role(person: i64, role: &str) -> Connect {
    let wish = wish(person);
    Connect { caller: PersonCaller { role: Some(role.into()), ..wish.caller.clone() }, ..wish }
}

const FEATURE: Feature = Feature {
    name: "bell",
    migrations: &[],
    channel_kinds: &[ChannelKind::new("course", History::SinceGrant), ChannelKind::new("class", History::All)],
    events: &[
        event("granted", "user", Retention::Forever),
        event("revoked", "user", Retention::Forever),
        event("posted", "course", Retention::Forever),
        event("class_posted", "class", Retention::Forever),
        event("noted", "course", Retention::Newest(1)),
        event("class_noted", "class", Retention::Newest(1)),
        event("role_posted", "role", Retention::Forever),
        event("cadet_posted", "cadet", Retention::Forever),
        event("cadet_noted", "cadet", Retention::Newest(1)),
        event("user_posted", "user", Retention::Forever),
    ],
    commands: &[
        CommandType::of::<Grant>(),
        CommandType::of::<Revoke>(),
        CommandType::of::<Post>(),
        CommandType::of::<Note>(),
        CommandType::of::<End>(),
    ],
    routes: &[],
    views: &[ViewType { name: "posts", channel_kind: "course", build: build_posts }],
    jobs: &[],
};

const fn event(name: &'static str, channel_kind: &'static str, retention: Retention) -> EventType {
    EventType {
        name: Cow::Borrowed(name),
        channel_kind: Cow::Borrowed(channel_kind),
        class: Class::Course,
        subject: Subject::Nobody,
        origin: Origin::Host,
        retention,
        data: DataCheck::Any,
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grant {
    person: Id,
    channel: Channel,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Revoke {
    person: Id,
    channel: Channel,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Post {
    channel: Channel,
    text: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    channel: Channel,
    text: String,
}

/// Anybody may do everything here, except guests.
fn permit(caller: &Caller) -> Result<(), Refusal> {
    if caller.has_role("guest") { Err(ErrorCode::Forbidden.into()) } else { Ok(()) }
}

impl Command for Grant {
    const NAME: &'static str = "grant";
    type Answer = bool;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permit(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<bool, UnitError> {
        let effect = Effect::Grant { person: self.person.clone(), channel: self.channel.clone() };
        let data = json!({"text": format!("granted {}", self.channel)});
        ctx.emit_with(&event("granted", "user", Retention::Forever), Channel::user(&self.person), &data, vec![effect]);
        Ok(true)
    }
}

impl Command for Revoke {
    const NAME: &'static str = "revoke";
    type Answer = bool;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permit(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<bool, UnitError> {
        let effect = Effect::Revoke { person: self.person.clone(), channel: self.channel.clone() };
        let data = json!({"text": format!("revoked {}", self.channel)});
        ctx.emit_with(&event("revoked", "user", Retention::Forever), Channel::user(&self.person), &data, vec![effect]);
        Ok(true)
    }
}

impl Command for Post {
    const NAME: &'static str = "post";
    type Answer = bool;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permit(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<bool, UnitError> {
        let kind = match self.channel.kind() {
            "class" => event("class_posted", "class", Retention::Forever),
            "cadet" => event("cadet_posted", "cadet", Retention::Forever),
            "role" => event("role_posted", "role", Retention::Forever),
            "user" => event("user_posted", "user", Retention::Forever),
            _ => event("posted", "course", Retention::Forever),
        };
        ctx.emit(&kind, self.channel.clone(), &json!({"text": self.text}));
        Ok(true)
    }
}

impl Command for Note {
    const NAME: &'static str = "note";
    type Answer = bool;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permit(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<bool, UnitError> {
        let kind = match self.channel.kind() {
            "class" => event("class_noted", "class", Retention::Newest(1)),
            "cadet" => event("cadet_noted", "cadet", Retention::Newest(1)),
            _ => event("noted", "course", Retention::Newest(1)),
        };
        ctx.emit(&kind, self.channel.clone(), &json!({"text": self.text}));
        Ok(true)
    }
}

/// An event with any effect that ends credentials or connections.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct End {
    effect: Value,
}

impl Command for End {
    const NAME: &'static str = "end";
    type Answer = bool;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permit(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<bool, UnitError> {
        let effect: Effect = serde_json::from_value(self.effect.clone()).expect("an effect");
        let data = json!({"text": "ended"});
        ctx.emit_with(&event("posted", "course", Retention::Forever), channel("course:office"), &data, vec![effect]);
        Ok(true)
    }
}

/// How many posts a course has had.
struct Posts(HashMap<String, u64>);

impl View for Posts {
    fn apply(&mut self, event: &Event) -> Vec<Id> {
        if &*event.kind != "posted" {
            return Vec::new();
        }
        *self.0.entry(event.channel.id().to_owned()).or_default() += 1;
        Id::new(event.channel.id()).into_iter().collect()
    }

    fn show(&self, key: &Id) -> Value {
        json!(self.0.get(key.as_str()).copied().unwrap_or(0))
    }
}

fn build_posts(reader: &mut Reader) -> BoxFuture<'_, Result<Box<dyn View>, JournalError>> {
    async move {
        let mut posts = HashMap::new();
        let sql = "SELECT channel, COUNT(*) AS posts FROM event WHERE type = 'posted' GROUP BY channel";
        for row in reader.fetch(sql, &[]).await? {
            posts.insert(channel(&row.text("channel")?).id().to_owned(), row.count("posts")?);
        }
        Ok(Box::new(Posts(posts)) as Box<dyn View>)
    }
    .boxed()
}

/// A token is `person expires_at_ms role id`, or `expired`.
struct Doorkeeper;

impl Authenticate for Doorkeeper {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<PersonCaller, Refusal>> {
        async move {
            if token == "expired" {
                return Err(ErrorCode::ExpiredToken.into());
            }
            let mut words = token.split(' ');
            let mut number = || words.next().and_then(|word| word.parse::<i64>().ok()).ok_or(ErrorCode::InvalidToken);
            let (person, expires_at_ms) = (number()?, number()?);
            let role = words.next().map(str::to_owned);
            Ok(PersonCaller { role, expires_at_ms, token_id: words.next().map(Arc::from), ..caller(person) })
        }
        .boxed()
    }
}
