//! Somebody who takes approvals away and gives them back while everything goes on.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Deserialize;
use tokio::time::Instant;

use super::super::world::World;
use crate::{
    history::{Change, Channel, Person, Record},
    service::{Request, Service, Settled},
};

const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 201, 0, 1);
/// How long somebody stays away, as a share of the window.
const AWAY_SHARE: std::ops::Range<f64> = 0.02..0.15;
/// One of this many is still away when the run ends.
const FOR_GOOD_ONE_IN: u32 = 12;

#[derive(Deserialize)]
struct Answer {
    id: Option<u64>,
}

/// Who can be sent away, each with the channel of their sheet.
pub struct Approver {
    world: Arc<World>,
    service: Service,
    random: StdRng,
    candidates: Vec<(Person, Channel)>,
    sent: u64,
}

// === impl Approver ===

impl Approver {
    /// Works on these people.
    pub fn new(world: &Arc<World>, candidates: Vec<(Person, Channel)>) -> Self {
        let service = Service::new(world.server, SOURCE, &world.keys.api_key);
        let random = StdRng::seed_from_u64(world.seed ^ 0xa99);
        Self { world: Arc::clone(world), service, random, candidates, sent: 0 }
    }

    /// Sends people away over the window, and lets nearly all in again; answers how many requests were repeated.
    pub async fn work(mut self, unapprovals: usize, window: Duration) -> u64 {
        let (begin, interval) = (Instant::now(), window.div_f64(unapprovals.max(1) as f64));
        // Who is away, and when they may come back.
        let mut away: Vec<(Instant, Person, Channel)> = Vec::new();
        for n in 0..unapprovals {
            tokio::time::sleep_until(begin + interval.mul_f64(n as f64)).await;
            self.let_in(&mut away, Instant::now()).await;
            let (person, channel) = self.candidates[self.random.random_range(0..self.candidates.len())];
            if self.platform_is_away(person) {
                continue;
            }
            self.change(person, channel, Change::Revoke).await;
            if !self.random.random_ratio(1, FOR_GOOD_ONE_IN) {
                let until = Instant::now() + window.mul_f64(self.random.random_range(AWAY_SHARE));
                away.push((until, person, channel));
            }
        }
        self.let_in(&mut away, Instant::now() + window).await;
        self.service.repeats
    }

    fn platform_is_away(&self, person: Person) -> bool {
        self.world.platform.as_ref().is_some_and(|platform| platform.is_away(person))
    }

    /// Those whose time has come by then.
    async fn let_in(&mut self, away: &mut Vec<(Instant, Person, Channel)>, by: Instant) {
        let (come, stay) = away.drain(..).partition(|(until, ..)| *until <= by);
        *away = stay;
        for (_, person, channel) in come {
            self.change(person, channel, Change::Grant).await;
        }
    }

    async fn change(&mut self, person: Person, channel: Channel, change: Change) {
        self.sent += 1;
        let world = Arc::clone(&self.world);
        let Some(platform) = &world.platform else { return };
        let (word, what) = match change {
            Change::Grant => ("PUT", "approvals given back"),
            Change::Revoke => ("DELETE", "approvals taken away"),
        };
        let line = format!("{word} /api/roster/people/{}/approval", world.cast.people[person as usize]);
        let request = Request { line, idempotency_key: format!("{}-approver-{}", world.seed, self.sent), body: None };
        let op = world.recorder.next_op();
        if change == Change::Revoke {
            platform.send_away(person);
        }
        world.recorder.put(|at_us| Record::MemberSent { at_us, op, person, channel, change });
        match self.service.settle(&request, &mut self.random).await {
            Settled::Acked { body, .. } => match serde_json::from_slice::<Answer>(&body) {
                Ok(Answer { id: Some(id) }) => {
                    world.recorder.put(|at_us| Record::MemberAcked { at_us, op, id: Some(id) });
                    world.note_acked(id);
                    world.tally.count(what);
                    if change == Change::Grant {
                        platform.let_in(person);
                    }
                }
                _ => world.tally.trouble(format!("{} changed nothing: {}", request.line, String::from_utf8_lossy(&body))),
            },
            Settled::Refused { status, code, .. } => {
                world.tally.trouble(format!("{} was refused with {status} {code}", request.line));
            }
            Settled::Unsettled(why) => world.tally.trouble(format!("{} was never settled: {why}", request.line)),
        }
    }
}
