//! Made-up histories: posts, grants, withdrawals, connects with any cursor, rewinds, slow clients and looks that are given up.

use super::model::{Look, Model, Seen};
use super::school::{School, channel, limits, run, soon, wish};
use crate::dialogue::Dialogue;
use crate::{Connect, LiveLimits, Outgoing};
use campanile_wire::{Cursor, EventId};
use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;

const CHANNELS: [&str; 3] = ["course:1", "course:2", "class:1"];

#[derive(Clone, Debug)]
enum Step {
    Post(usize),
    Note(usize),
    Prune,
    Grant(i64, usize),
    Revoke(i64, usize),
    /// The cursor is counted back from the head; beyond it, it lies ahead.
    Connect(i64, Option<i64>),
    Leave(usize),
    Rewind(usize, i64),
    /// Reads all there is.
    Take(usize),
    /// Reads what is in memory.
    Peek(usize),
    /// Begins to read and gives up.
    Abandon(usize),
    /// Reads while others post and withdraw.
    TakeWhile(usize, Vec<(usize, Option<i64>)>),
    Choose(usize, usize, bool),
}

fn some_step() -> impl Strategy<Value = Step> {
    let on = 0..CHANNELS.len();
    let person = 1..=3_i64;
    let client = 0..6_usize;
    let back = prop_oneof![8 => 0..40_i64, 1 => -3..0_i64, 1 => Just(1_000)];
    let others = prop::collection::vec((on.clone(), prop::option::weighted(0.2, person.clone())), 1..6);
    prop_oneof![
        8 => on.clone().prop_map(Step::Post),
        2 => on.clone().prop_map(Step::Note),
        1 => Just(Step::Prune),
        3 => (person.clone(), on.clone()).prop_map(|(person, on)| Step::Grant(person, on)),
        2 => (person.clone(), on.clone()).prop_map(|(person, on)| Step::Revoke(person, on)),
        3 => (person, prop::option::of(back.clone())).prop_map(|(person, back)| Step::Connect(person, back)),
        1 => client.clone().prop_map(Step::Leave),
        2 => (client.clone(), back).prop_map(|(client, back)| Step::Rewind(client, back)),
        3 => client.clone().prop_map(Step::Take),
        3 => client.clone().prop_map(Step::Peek),
        2 => client.clone().prop_map(Step::Abandon),
        3 => (client.clone(), others).prop_map(|(client, others)| Step::TakeWhile(client, others)),
        1 => (client, on, any::<bool>()).prop_map(|(client, on, reads)| Step::Choose(client, on, reads)),
    ]
}

fn some_limits() -> impl Strategy<Value = LiveLimits> {
    (0..8_usize, 1..6_usize, 1..5_usize, 1..4_usize).prop_map(|(tail, mailbox, page, look)| LiveLimits {
        tail_events_max: tail,
        mailbox_events_max: mailbox,
        page_events_max: page,
        tail_look_events_max: look,
        ..limits()
    })
}

struct Reader {
    dialogue: Dialogue,
    seen: Seen,
    /// The cursor of a rewind whose `replay_complete` has not come.
    replaying: Option<EventId>,
}

struct World {
    school: School,
    model: Model,
    notes: Vec<(EventId, String)>,
    readers: Vec<Reader>,
}

impl World {
    fn head(&self) -> EventId {
        self.model.log.last().map_or(0, |fact| fact.id)
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let count = self.readers.len();
        let place = |client: usize| if count == 0 { None } else { Some(client % count) };
        match step {
            Step::Post(on) => self.post("post", CHANNELS[*on]).await,
            Step::Note(on) => self.post("note", CHANNELS[*on]).await,
            Step::Prune => {
                self.school.prune().await;
                self.model.pruned(&self.notes);
            }
            Step::Grant(person, on) => {
                let id = run(&self.school.site, "grant", json!({"person": person, "channel": CHANNELS[*on]})).await;
                self.model.granted(id, *person, CHANNELS[*on]);
            }
            Step::Revoke(person, on) => {
                let id = run(&self.school.site, "revoke", json!({"person": person, "channel": CHANNELS[*on]})).await;
                self.model.revoked(id, *person, CHANNELS[*on]);
            }
            Step::Connect(person, back) => self.connect(*person, *back).await,
            Step::Leave(client) => drop(place(*client).map(|place| self.readers.swap_remove(place))),
            Step::Rewind(client, back) => {
                if let Some(place) = place(*client) {
                    self.rewind(place, *back).await;
                }
            }
            Step::Take(client) | Step::Peek(client) | Step::Abandon(client) | Step::TakeWhile(client, _) => {
                if let Some(place) = place(*client) {
                    self.look(place, step).await?;
                }
            }
            Step::Choose(client, on, reads) => {
                if let Some(place) = place(*client) {
                    self.choose(place, CHANNELS[*on], *reads).await;
                }
            }
        }
        self.check_hub()
    }

    async fn post(&mut self, command: &str, on: &str) {
        let id = run(&self.school.site, command, json!({"channel": on, "text": "bell"})).await;
        self.model.posted(id, on);
        if command == "note" {
            self.notes.push((id, on.to_owned()));
        }
    }

    fn cursor(&self, back: i64) -> EventId {
        u64::try_from(i64::try_from(self.head()).unwrap() - back).unwrap_or(0)
    }

    async fn connect(&mut self, person: i64, back: Option<i64>) {
        let since = back.map(|back| self.cursor(back));
        let wish = Connect { since: since.map(Cursor::Id), ..wish(person) };
        let session = soon(self.school.node.connect(wish)).await.expect("admitted");
        let began = self.school.node.position();
        let seen = Seen { person, began, cursor: session.cursor(), gap_to: 0, chosen: HashMap::new(), handed: 0 };
        self.readers.push(Reader { dialogue: Dialogue::new(session), seen, replaying: since });
    }

    async fn rewind(&mut self, place: usize, back: i64) {
        let cursor = self.cursor(back);
        let frame = json!({"type": "replay_request", "last_event_id": cursor}).to_string();
        let reader = &mut self.readers[place];
        soon(reader.dialogue.hear(&frame)).await;
        reader.seen.began = self.school.node.position();
        reader.seen.cursor = reader.dialogue.session.cursor();
        (reader.seen.gap_to, reader.seen.handed, reader.replaying) = (0, 0, Some(cursor));
    }

    async fn choose(&mut self, place: usize, on: &str, reads: bool) {
        // Where the node has not caught up, whether the wish is granted is not known.
        let head = self.head();
        soon(self.school.node.reached(head)).await;
        let frame = if reads { "subscribe" } else { "unsubscribe" };
        let reader = &mut self.readers[place];
        soon(reader.dialogue.hear(&json!({"type": frame, "channels": [on]}).to_string())).await;
        if self.model.is_member(reader.seen.person, on) {
            reader.seen.chosen.insert(on.to_owned(), (head, reads));
        }
    }

    async fn look(&mut self, place: usize, step: &Step) -> Result<(), String> {
        let mut out = Vec::new();
        let before = self.school.node.position();
        let mut reader = self.readers.swap_remove(place);
        let session = &mut reader.dialogue.session;
        match step {
            Step::Peek(_) => session.take_now(&mut out),
            Step::Abandon(_) => {
                if session.take(&mut out).now_or_never().is_none() && !out.is_empty() {
                    return Err("a look that was given up had handed something out".into());
                }
            }
            Step::TakeWhile(_, others) => {
                tokio::join!(soon(session.take_history(&mut out)), async {
                    for (on, withdrawn) in others {
                        match withdrawn {
                            Some(person) if self.model.is_member(*person, CHANNELS[*on]) => {
                                let fields = json!({"person": person, "channel": CHANNELS[*on]});
                                let id = run(&self.school.site, "revoke", fields).await;
                                self.model.revoked(id, *person, CHANNELS[*on]);
                            }
                            Some(person) => {
                                let fields = json!({"person": person, "channel": CHANNELS[*on]});
                                let id = run(&self.school.site, "grant", fields).await;
                                self.model.granted(id, *person, CHANNELS[*on]);
                            }
                            None => self.post("post", CHANNELS[*on]).await,
                        }
                    }
                });
            }
            _ => soon(session.take_history(&mut out)).await,
        }
        let look = Look { before, after: self.school.node.position() };
        let judged = self.judge(&mut reader, look, out);
        // Back to its place, from which the last one was taken.
        self.readers.push(reader);
        let last = self.readers.len() - 1;
        self.readers.swap(place, last);
        judged
    }

    fn judge(&self, reader: &mut Reader, look: Look, out: Vec<Outgoing>) -> Result<(), String> {
        let mut ids = Vec::new();
        let mut completed = None;
        for outgoing in out {
            let frame: Value = match outgoing {
                Outgoing::Event(delivery) => {
                    ids.push(delivery.event.id);
                    continue;
                }
                Outgoing::Frame(json) => serde_json::from_str(&json).map_err(|error| error.to_string())?,
                Outgoing::End(ending) => return Err(format!("ended with {ending:?}")),
            };
            match frame["type"].as_str().unwrap() {
                "gap" => self.hear_gap(reader, &frame, &ids)?,
                // Live may follow it in the same batch.
                "replay_complete" => completed = Some((frame, ids.len() as u64)),
                _ => {}
            }
        }
        let handed_before = reader.seen.handed;
        self.model.judge(&mut reader.seen, look, &ids, reader.dialogue.session.cursor())?;
        if let Some((frame, of_this_look)) = completed {
            let count = handed_before + of_this_look;
            if frame["count"] != count || Some(frame["from"].as_u64().unwrap()) != reader.replaying.take() {
                return Err(format!("{frame} after {count} events"));
            }
        }
        let (events, ..) = reader.dialogue.session.mailbox.lock().load();
        if events > self.school.node.limits().mailbox_events_max {
            return Err(format!("{events} events wait in memory"));
        }
        Ok(())
    }

    fn hear_gap(&self, reader: &mut Reader, frame: &Value, ids: &[EventId]) -> Result<(), String> {
        let (from, to) = (frame["from"].as_u64().unwrap(), frame["to"].as_u64().unwrap());
        match frame["reason"].as_str().unwrap() {
            "cursor_ahead" if from > to => Ok(()),
            "retention" if ids.iter().any(|id| *id > from) => Err(format!("{frame} came after the jump")),
            "retention" if !self.model.has_reason(&reader.seen, from, to) => Err(format!("{frame} for no reason")),
            "retention" => {
                reader.seen.gap_to = reader.seen.gap_to.max(to);
                Ok(())
            }
            _ => Err(format!("{frame}")),
        }
    }

    /// The hub dispatches to a session exactly what the session may and wants to read.
    fn check_hub(&self) -> Result<(), String> {
        let core = self.school.node.core();
        for reader in &self.readers {
            let session = &reader.dialogue.session;
            let readable = core.hub.channels_of(session.key, &core.members);
            for name in CHANNELS.into_iter().chain(["user:1", "user:2", "user:3"]) {
                let name = channel(name);
                let mailboxes = core.hub.readers(&name, 0);
                let listed = mailboxes.iter().any(|mailbox| std::sync::Arc::ptr_eq(mailbox, &session.mailbox));
                if listed != readable.contains(&name) {
                    return Err(format!("{name}: dispatched {listed}"));
                }
            }
        }
        Ok(())
    }

    /// Everybody reads to the end, and then stands at the head.
    async fn settle(&mut self) -> Result<(), String> {
        let head = self.head();
        soon(self.school.node.reached(head)).await;
        for place in 0..self.readers.len() {
            // Far more looks than there are pages.
            for _ in 0..200 {
                self.look(place, &Step::Take(place)).await?;
            }
            let reader = &self.readers[place];
            if reader.seen.cursor < head || reader.replaying.is_some() {
                return Err(format!("a client stays at {} of {head}", reader.seen.cursor));
            }
        }
        Ok(())
    }
}

async fn play(limits: LiveLimits, steps: &[Step]) -> Result<(), String> {
    let mut world =
        World { school: School::with(limits).await, model: Model::default(), notes: Vec::new(), readers: Vec::new() };
    for (place, step) in steps.iter().enumerate() {
        world.step(step).await.map_err(|why| format!("step {place}: {why}"))?;
    }
    world.settle().await.map_err(|why| format!("at the end: {why}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 150, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_client_gets_what_was_due_to_it_once_in_order_or_is_told_of_a_gap(
        limits in some_limits(),
        steps in prop::collection::vec(some_step(), 1..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        if let Err(why) = runtime.block_on(play(limits, &steps)) {
            return Err(TestCaseError::fail(why));
        }
    }
}
