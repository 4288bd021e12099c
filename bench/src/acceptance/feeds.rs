//! What is published in the third act: the statements in the file's order, announcements, and the roster's changes.

use std::{sync::Arc, time::Duration};

use rand::{Rng, seq::IndexedRandom};
use serde_json::json;
use tokio::{sync::mpsc, time::Instant};

use super::{
    publisher::{Expect, Item, Publisher},
    world::World,
};
use crate::{cast::Withdrawal, fixtures::Statement, history::Change};

/// The largest batches of statements and of announcements.
const STATEMENT_BATCH_MAX: usize = 30;
const ANNOUNCEMENT_BATCH_MAX: usize = 12;
/// One announcement of this many has a long body (4 to 18 KiB), so that slow readers fill buffers.
const LONG_ONE_IN: u32 = 25;
/// One publish of this many is one that must be refused.
const BAD_ONE_IN: u32 = 25;
/// Every second withdrawn person comes back, after at most this share of the window.
const BACK_WITHIN_SHARE: f64 = 0.25;

/// Text that a careless encoder would spoil; a title is one line, a body may have several.
const TITLES: [&str; 6] =
    ["", "Größenordnung ∑ 数学", "🎓🔔", "<script>alert(1)</script>", "\u{2028}\u{2029}", "quote \" and \\ slash"];
const BODIES: [&str; 3] = ["", "line\nbreak\r\ttab", "id: 7\n\ndata: forged\n\n"];

/// Spreads `count` things evenly over a window that begins now.
struct Pace {
    start: Instant,
    interval: Duration,
}

/// The statements, in the file's order, by one publisher that waits for each answer.
pub async fn feed_statements(world: Arc<World>, statements: Arc<Vec<Statement>>, window: Duration) -> u64 {
    let mut publisher = Publisher::new(&world, "statements", 0);
    let pace = Pace::new(statements.len(), window);
    let mut at = 0;
    while at < statements.len() {
        let batch =
            if publisher.random().random_bool(0.8) { 1 } else { publisher.random().random_range(2..=STATEMENT_BATCH_MAX) };
        let end = (at + batch).min(statements.len());
        pace.wait_for(at).await;
        let items: Vec<Item> = statements[at..end].iter().filter_map(|statement| progress(&world, statement)).collect();
        publisher.publish(&items, Expect::Acceptance).await;
        world.tally.add("statements published", items.len() as u64);
        at = end;
    }
    publisher.repeats()
}

fn progress(world: &World, statement: &Statement) -> Option<Item> {
    let student = world.cast.learners.get(&statement.learner)?;
    let data = json!({
        "course_id": statement.course,
        "lesson_id": statement.lesson,
        "percent": statement.percent,
        "completed": statement.completed,
        "updated_at": statement.timestamp,
        "statement_id": statement.id,
    });
    let channel = format!("user:{}", world.cast.people[*student as usize]);
    Some(Item { kind: "progress_update", channel, data: data.to_string() })
}

/// One of several announcers; together they make `count` announcements.
pub async fn announce(world: Arc<World>, number: u32, count: usize, window: Duration) -> u64 {
    let mut publisher = Publisher::new(&world, "announcements", number);
    let pace = Pace::new(count, window);
    let mut made = 0;
    while made < count {
        pace.wait_for(made).await;
        if publisher.random().random_ratio(1, BAD_ONE_IN) {
            misbehave(&world, &mut publisher, &format!("bad-{number}-{made}")).await;
        }
        let batch =
            if publisher.random().random_bool(0.85) { 1 } else { publisher.random().random_range(2..=ANNOUNCEMENT_BATCH_MAX) };
        let items: Vec<Item> =
            (made..(made + batch).min(count)).map(|n| announcement(&world, &mut publisher, &format!("{number}-{n}"))).collect();
        publisher.publish(&items, Expect::Acceptance).await;
        world.tally.add("announcements published", items.len() as u64);
        made += items.len();
    }
    publisher.repeats()
}

fn announcement(world: &World, publisher: &mut Publisher, name: &str) -> Item {
    let random = publisher.random();
    let stage = world.cast.stages[random.random_range(0..world.cast.stages.len())];
    let length =
        if random.random_ratio(1, LONG_ONE_IN) { random.random_range(4_096..19_000) } else { random.random_range(20..300) };
    let text = "Please read the notes of this week before the seminar. ";
    let body: String = BODIES.choose(random).unwrap_or(&"").chars().chain(text.chars().cycle().take(length)).collect();
    announcement_to(&world.cast.courses[stage], name, TITLES.choose(random).unwrap_or(&""), &body)
}

/// An announcement whose title no other has.
pub fn announcement_to(course: &str, name: &str, decoration: &str, body: &str) -> Item {
    let data = json!({ "title": format!("Announcement {name} {decoration}"), "body": body });
    Item { kind: "announcement", channel: format!("course:{course}"), data: data.to_string() }
}

/// A publish that must be refused whole, and of which nothing may ever be seen.
async fn misbehave(world: &World, publisher: &mut Publisher, name: &str) {
    let good = announcement(world, publisher, name);
    let unknown = Item { kind: "no_such_type", channel: good.channel.clone(), data: good.data.clone() };
    let wrong_kind = Item {
        channel: format!("user:{}", world.cast.people[world.cast.population[0] as usize]),
        ..announcement(world, publisher, name)
    };
    let untitled = Item { kind: "announcement", channel: good.channel.clone(), data: json!({ "body": name }).to_string() };
    match publisher.random().random_range(0..5) {
        0 => publisher.publish(&[unknown], Expect::Refusal).await,
        1 => publisher.publish(&[wrong_kind], Expect::Refusal).await,
        2 => publisher.publish(&[untitled], Expect::Refusal).await,
        3 => publisher.publish(&[good, untitled], Expect::Refusal).await,
        _ => publisher.publish_under_a_used_key(good).await,
    }
}

/// The withdrawals in the order of the file's dates; every second person is sent on to come back.
pub async fn withdraw(world: Arc<World>, back: mpsc::UnboundedSender<(Withdrawal, Instant)>, window: Duration) -> u64 {
    let mut publisher = Publisher::new(&world, "withdrawals", 0);
    let withdrawals = &world.cast.withdrawals;
    // The last quarter of the window is for those who come back.
    let pace = Pace::new(withdrawals.len(), window.mul_f64(1.0 - BACK_WITHIN_SHARE));
    for (n, &withdrawal) in withdrawals.iter().enumerate() {
        pace.wait_for(n).await;
        publisher.change_membership(withdrawal.person, withdrawal.course, Change::Revoke).await;
        world.tally.count("withdrawals");
        if publisher.random().random_bool(0.5) {
            let after = window.mul_f64(publisher.random().random_range(0.0..BACK_WITHIN_SHARE));
            // The other end lives as long as we do.
            let _ = back.send((withdrawal, Instant::now() + after));
        }
    }
    publisher.repeats()
}

/// Registers again those who come back, each when their time has come or as soon after it as the queue allows.
pub async fn readmit(world: Arc<World>, mut back: mpsc::UnboundedReceiver<(Withdrawal, Instant)>) -> u64 {
    let mut publisher = Publisher::new(&world, "readmissions", 0);
    while let Some((withdrawal, at)) = back.recv().await {
        tokio::time::sleep_until(at).await;
        publisher.change_membership(withdrawal.person, withdrawal.course, Change::Grant).await;
        world.tally.count("returns to a course");
    }
    publisher.repeats()
}

// === impl Pace ===

impl Pace {
    fn new(count: usize, window: Duration) -> Self {
        let interval = window.div_f64(count.max(1) as f64);
        Self { start: Instant::now(), interval }
    }

    async fn wait_for(&self, n: usize) {
        tokio::time::sleep_until(self.start + self.interval.mul_f64(n as f64)).await;
    }
}
