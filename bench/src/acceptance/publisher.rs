//! Publishes and membership changes that are written down before they leave and after they are answered.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Deserialize;

use super::world::World;
use crate::{
    client::frame::instant_ms,
    history::{Change, Op, Person, Record},
    mark::mark,
    service::{Request, Service, Settled},
};

/// How many answered requests are remembered for a later repeat: enough to reach back over a kill.
const REMEMBERED_MAX: usize = 64;
/// Shares in percent: repeats of answered requests, and requests whose first answer is thrown away.
const REPEAT_PERCENT: u32 = 3;
const HANG_UP_PERCENT: u32 = 2;
/// How long a hung-up request is left alone before it is repeated.
const HANG_UP_PAUSE: Duration = Duration::from_millis(20);

/// One thing to publish.
pub struct Item {
    pub kind: &'static str,
    pub channel: String,
    /// JSON, as it goes over the wire.
    pub data: String,
}

/// What an operation was, so that its answers can be written down.
#[derive(Clone)]
enum Asked {
    Publish { ops: Vec<Op>, batch: bool },
    Member { op: Op },
}

/// Whether a request ought to be carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Acceptance,
    Refusal,
}

#[derive(Deserialize)]
struct Acked {
    id: u64,
    seq: u64,
    timestamp: String,
}

#[derive(Deserialize)]
struct BatchAcked {
    events: Vec<Acked>,
}

#[derive(Deserialize)]
struct MemberAnswer {
    id: Option<u64>,
}

/// One caller of the service routes; several of them run at once.
pub struct Publisher {
    world: Arc<World>,
    service: Service,
    random: StdRng,
    name: &'static str,
    number: u32,
    sent: u64,
    remembered: Vec<(Request, Asked)>,
}

fn body(item: &Item) -> String {
    format!(r#"{{"type":"{}","channel":"{}","data":{}}}"#, item.kind, item.channel, item.data)
}

// === impl Publisher ===

impl Publisher {
    /// The n-th caller of this name.
    pub fn new(world: &Arc<World>, name: &'static str, number: u32) -> Self {
        let source = Ipv4Addr::new(127, 200, name.as_bytes()[0], 1 + (number % 250) as u8);
        let service = Service::new(world.server, source, &world.keys.api_key);
        let random = StdRng::seed_from_u64(world.seed ^ mark("publisher", name, &number.to_string()));
        Self { world: Arc::clone(world), service, random, name, number, sent: 0, remembered: Vec::new() }
    }

    /// Publishes one item by itself or several as a batch, until the server has settled it.
    pub async fn publish(&mut self, items: &[Item], expect: Expect) {
        let key = self.next_key();
        self.publish_as(items, expect, key).await;
    }

    /// Uses the key of an answered request for other content: it must be refused, and the content never be seen.
    pub async fn publish_under_a_used_key(&mut self, item: Item) {
        let mut publishes = self.remembered.iter().filter(|(_, asked)| matches!(asked, Asked::Publish { .. }));
        if let Some(key) = publishes.next_back().map(|(request, _)| request.idempotency_key.clone()) {
            self.world.tally.count("used keys with other content");
            self.publish_as(&[item], Expect::Refusal, key).await;
        }
    }

    /// Registers or withdraws a person.
    pub async fn change_membership(&mut self, person: Person, course: usize, change: Change) {
        let (op, idempotency_key) = (self.world.recorder.next_op(), self.next_key());
        let (course_name, person_name) = (&self.world.cast.courses[course], &self.world.cast.people[person as usize]);
        let path = format!("/api/roster/courses/{course_name}/registrations/{person_name}");
        let (line, body) = match change {
            Change::Grant => (format!("PUT {path}"), Some(r#"{"role":"student"}"#.to_owned())),
            Change::Revoke => (format!("DELETE {path}"), None),
        };
        let request = Request { line, idempotency_key, body };
        let channel = self.world.recorder.channel(&format!("course:{course_name}"));
        self.world.recorder.put(|at_us| Record::MemberSent { at_us, op, person, channel, change });
        self.settle(request, Asked::Member { op }, Expect::Acceptance).await;
    }

    /// How often requests had to be sent again.
    pub fn repeats(&self) -> u64 {
        self.service.repeats
    }

    /// The publisher's own dice.
    pub fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }

    fn next_key(&mut self) -> String {
        self.sent += 1;
        format!("{}-{}-{}-{}", self.world.seed, self.name, self.number, self.sent)
    }

    async fn publish_as(&mut self, items: &[Item], expect: Expect, idempotency_key: String) {
        let recorder = &self.world.recorder;
        let numbered: Vec<_> = items
            .iter()
            .map(|item| (recorder.next_op(), recorder.channel(&item.channel), mark(item.kind, &item.channel, &item.data)))
            .collect();
        let batch = items.len() > 1;
        let body = if batch {
            format!(r#"{{"events":[{}]}}"#, items.iter().map(body).collect::<Vec<_>>().join(","))
        } else {
            items.iter().map(body).collect()
        };
        let ops = numbered.iter().map(|&(op, ..)| op).collect();
        let request = Request { line: "POST /api/events".to_owned(), idempotency_key, body: Some(body) };
        recorder.put_all(|at_us| {
            numbered.iter().map(|&(op, channel, mark)| Record::PublishSent { at_us, op, channel, mark }).collect()
        });
        self.settle(request, Asked::Publish { ops, batch }, expect).await;
    }

    async fn settle(&mut self, request: Request, asked: Asked, expect: Expect) {
        if expect == Expect::Acceptance && self.random.random_ratio(HANG_UP_PERCENT, 100) {
            self.world.tally.count("answers thrown away");
            self.service.send_and_hang_up(&request).await;
            tokio::time::sleep(HANG_UP_PAUSE).await;
        }
        match (self.service.settle(&request, &mut self.random).await, expect) {
            (Settled::Acked { body, .. }, expect) => {
                self.note_acked(&asked, &body);
                if expect == Expect::Refusal {
                    self.world.tally.trouble(format!("accepted, though it had to be refused: {}", shown(&request)));
                }
                self.remember(request, asked);
            }
            (Settled::Refused { status, code, .. }, expect) => {
                self.note_refused(&asked);
                self.world.tally.count("refused publishes");
                if expect == Expect::Acceptance {
                    self.world.tally.trouble(format!("refused with {status} {code}: {}", shown(&request)));
                }
            }
            (Settled::Unsettled(why), _) => self.world.tally.trouble(format!("never settled ({why}): {}", shown(&request))),
        }
        if !self.remembered.is_empty() && self.random.random_ratio(REPEAT_PERCENT, 100) {
            self.repeat_an_answered_one().await;
        }
    }

    /// Sends a request once more that has long been answered: the answer must be the same and nothing else may happen.
    async fn repeat_an_answered_one(&mut self) {
        let chosen = self.random.random_range(0..self.remembered.len());
        let (request, asked) = self.remembered[chosen].clone();
        self.world.tally.count("answered requests repeated on purpose");
        match self.service.settle(&request, &mut self.random).await {
            Settled::Acked { body, replayed } => {
                self.note_acked(&asked, &body);
                if !replayed {
                    self.world
                        .tally
                        .trouble(format!("a repeat was answered without Idempotency-Replayed: {}", shown(&request)));
                }
            }
            Settled::Refused { status, code, .. } => {
                self.world.tally.trouble(format!("a repeat was refused with {status} {code}: {}", shown(&request)));
            }
            Settled::Unsettled(why) => {
                self.world.tally.trouble(format!("a repeat was never settled ({why}): {}", shown(&request)));
            }
        }
    }

    fn remember(&mut self, request: Request, asked: Asked) {
        if self.remembered.len() < REMEMBERED_MAX {
            self.remembered.push((request, asked));
        } else {
            let place = self.random.random_range(0..REMEMBERED_MAX);
            self.remembered[place] = (request, asked);
        }
    }

    fn note_acked(&self, asked: &Asked, body: &[u8]) {
        let noted = match asked {
            Asked::Member { op } => self.note_member(*op, body),
            Asked::Publish { ops, batch: false } => {
                serde_json::from_slice(body).ok().and_then(|acked| self.note_published(ops, &[acked]))
            }
            Asked::Publish { ops, batch: true } => {
                let answer: Option<BatchAcked> = serde_json::from_slice(body).ok();
                answer.and_then(|answer| self.note_published(ops, &answer.events))
            }
        };
        if noted.is_none() {
            self.world.tally.trouble(format!("a positive answer that makes no sense: {}", String::from_utf8_lossy(body)));
        }
    }

    fn note_member(&self, op: Op, body: &[u8]) -> Option<()> {
        let answer: MemberAnswer = serde_json::from_slice(body).ok()?;
        self.world.recorder.put(|at_us| Record::MemberAcked { at_us, op, id: answer.id });
        self.world.note_acked(answer.id.unwrap_or(0));
        Some(())
    }

    fn note_published(&self, ops: &[Op], acked: &[Acked]) -> Option<()> {
        let instants: Vec<i64> = acked.iter().map(|acked| instant_ms(&acked.timestamp)).collect::<Option<_>>()?;
        if ops.len() != acked.len() {
            return None;
        }
        self.world.recorder.put_all(|at_us| {
            let answers = ops.iter().zip(acked).zip(instants);
            answers
                .map(|((&op, acked), recorded_at_ms)| Record::PublishAcked {
                    at_us,
                    op,
                    id: acked.id,
                    seq: acked.seq,
                    recorded_at_ms,
                })
                .collect()
        });
        acked.iter().for_each(|acked| self.world.note_acked(acked.id));
        Some(())
    }

    fn note_refused(&self, asked: &Asked) {
        if let Asked::Publish { ops, .. } = asked {
            self.world.recorder.put_all(|at_us| ops.iter().map(|&op| Record::PublishRefused { at_us, op }).collect());
        }
    }
}

fn shown(request: &Request) -> String {
    let body: String = request.body.iter().flat_map(|body| body.chars()).take(160).collect();
    format!("{} {body} (key {})", request.line, request.idempotency_key)
}
