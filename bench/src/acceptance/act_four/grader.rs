//! A staff member who grades over REST at the same time as three others: reads a sheet, looks at it, changes it.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Deserialize;
use serde_json::json;

use super::super::world::World;
use crate::{
    history::{Channel, Column, Op, Person, Record},
    service::{Request, Service, Settled},
};

/// How long somebody looks at a sheet before they change it.
const LOOK: std::ops::Range<u64> = 5..40;
/// A change that is late so often is given up: others were always faster.
const STALE_MAX: usize = 50;
/// One merit of this many is sent again under its key though it was answered.
const REPEAT_ONE_IN: u32 = 10;
/// Merits among the changes, in percent.
const MERIT_PERCENT: u32 = 25;

/// A cadet's sheet as `GET /api/cadets/{id}` shows it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Sheet {
    pub version: u64,
    merit_points: i64,
    prelim_score: Option<f64>,
    midterm_score: Option<f64>,
    final_score: Option<f64>,
}

/// A cadet whose sheet all graders work on.
#[derive(Clone)]
pub struct Graded {
    pub cadet_id: u64,
    pub channel: Channel,
}

#[derive(Deserialize)]
struct Changed {
    id: u64,
    version: u64,
}

#[derive(Deserialize)]
struct Stale {
    current: Sheet,
}

/// How a change ended.
enum Outcome {
    Done,
    Stale(Sheet),
    Failed,
}

/// One grader.
pub struct Grader {
    world: Arc<World>,
    person: Person,
    service: Service,
    random: StdRng,
    sent: u64,
}

// === impl Sheet ===

impl Sheet {
    /// What stands in a column; an exam that nobody has graded counts as 0.
    pub fn points(&self, column: Column) -> i64 {
        let whole = |score: Option<f64>| score.unwrap_or(0.0).round() as i64;
        match column {
            Column::MeritPoints => self.merit_points,
            Column::PrelimScore => whole(self.prelim_score),
            Column::MidtermScore => whole(self.midterm_score),
            Column::FinalScore => whole(self.final_score),
        }
    }
}

/// The exams' columns with their names on the wire.
const EXAMS: [(Column, &str); 3] =
    [(Column::PrelimScore, "prelim_score"), (Column::MidtermScore, "midterm_score"), (Column::FinalScore, "final_score")];
/// All columns.
const COLUMNS: [Column; 4] = [Column::MeritPoints, Column::PrelimScore, Column::MidtermScore, Column::FinalScore];

// === impl Grader ===

impl Grader {
    /// The staff member who is this person.
    pub fn new(world: &Arc<World>, person: Person) -> anyhow::Result<Self> {
        let source = Ipv4Addr::new(127, 202, 0, 1 + (person % 250) as u8);
        let service = Service::new(world.server, source, &world.token(person)?);
        let random = StdRng::seed_from_u64(world.seed ^ (u64::from(person) << 32));
        Ok(Self { world: Arc::clone(world), person, service, random, sent: 0 })
    }

    /// Makes so many changes over the window; answers how many requests were repeated for want of an answer.
    pub async fn work(mut self, graded: Vec<Graded>, changes: usize, window: Duration) -> u64 {
        let begin = tokio::time::Instant::now();
        for n in 0..changes {
            tokio::time::sleep_until(begin + window.mul_f64(n as f64 / changes as f64)).await;
            let chosen = graded[self.random.random_range(0..graded.len())].clone();
            if self.random.random_range(0..100) < MERIT_PERCENT {
                self.add_merit(&chosen).await;
            } else {
                self.raise_score(&chosen).await;
            }
        }
        self.service.repeats
    }

    /// Writes down what stands in every column.
    pub async fn note_sheets(&mut self, graded: &[Graded]) {
        for Graded { cadet_id, channel } in graded {
            let Some(sheet) = self.read(*cadet_id).await else { continue };
            for column in COLUMNS {
                let points = sheet.points(column);
                self.world.recorder.put(|at_us| Record::SheetRead { at_us, channel: *channel, column, points });
            }
        }
    }

    /// Makes a new sheet.
    pub async fn save_cadet(&mut self, cadet_id: u64, name: &str) -> anyhow::Result<()> {
        let body = json!({ "name": name, "version": 0 }).to_string();
        let request = self.request(format!("PUT /api/cadets/{cadet_id}"), Some(body));
        match self.service.settle(&request, &mut self.random).await {
            Settled::Acked { .. } => Ok(()),
            Settled::Refused { status, code, .. } => anyhow::bail!("{} was refused with {status} {code}", request.line),
            Settled::Unsettled(why) => anyhow::bail!("{} was never settled: {why}", request.line),
        }
    }

    async fn read(&mut self, cadet_id: u64) -> Option<Sheet> {
        let request = self.request(format!("GET /api/cadets/{cadet_id}"), None);
        let why = match self.service.settle(&request, &mut self.random).await {
            Settled::Acked { body, .. } => match serde_json::from_slice(&body) {
                Ok(sheet) => return Some(sheet),
                Err(error) => format!("{error} in {}", String::from_utf8_lossy(&body)),
            },
            Settled::Refused { status, code, .. } => format!("{status} {code}"),
            Settled::Unsettled(why) => why,
        };
        self.world.tally.trouble(format!("{} failed: {why}", request.line));
        None
    }

    /// Adds to what was read; whoever is late takes what is true now and adds to that.
    async fn raise_score(&mut self, graded: &Graded) {
        let (column, name) = EXAMS[self.random.random_range(0..EXAMS.len())];
        let Some(mut sheet) = self.read(graded.cadet_id).await else { return };
        for _ in 0..STALE_MAX {
            let look = Duration::from_millis(self.random.random_range(LOOK));
            tokio::time::sleep(look).await;
            let score = sheet.points(column) + 1;
            let body = format!(r#"{{"version":{},"{name}":{score}.0}}"#, sheet.version);
            let line = format!("PUT /api/cadets/{}/exam-scores", graded.cadet_id);
            let request = self.request(line, Some(body));
            match self.change(&request, graded.channel, column, 1).await {
                Outcome::Done => return self.world.tally.count("scores raised"),
                Outcome::Stale(current) => sheet = current,
                Outcome::Failed => return,
            }
        }
        self.world.tally.count("scores given up");
    }

    async fn add_merit(&mut self, graded: &Graded) {
        let points = self.random.random_range(1..=10);
        let body = json!({ "type": "merit", "points": points, "reason": "Outstanding performance" }).to_string();
        let request = self.request(format!("POST /api/cadets/{}/merits", graded.cadet_id), Some(body));
        if let Outcome::Done = self.change(&request, graded.channel, Column::MeritPoints, points).await {
            self.world.tally.count("merits added");
        }
    }

    async fn change(&mut self, request: &Request, channel: Channel, column: Column, points: i64) -> Outcome {
        let (op, person) = (self.world.recorder.next_op(), self.person);
        self.world.recorder.put(|at_us| Record::SheetSent { at_us, op, person, channel, column, points });
        match self.service.settle(request, &mut self.random).await {
            Settled::Acked { body, .. } => {
                self.note(op, request, &body);
                if self.random.random_ratio(1, REPEAT_ONE_IN) {
                    self.repeat(op, request).await;
                }
                Outcome::Done
            }
            Settled::Refused { status: 409, body, .. } if let Ok(stale) = serde_json::from_slice::<Stale>(&body) => {
                self.world.recorder.put(|at_us| Record::SheetRefused { at_us, op });
                self.world.tally.count("changes refused as stale");
                Outcome::Stale(stale.current)
            }
            Settled::Refused { status, code, .. } => {
                self.world.recorder.put(|at_us| Record::SheetRefused { at_us, op });
                self.world.tally.trouble(format!("{} was refused with {status} {code}", request.line));
                Outcome::Failed
            }
            Settled::Unsettled(why) => {
                self.world.tally.trouble(format!("{} was never settled: {why}", request.line));
                Outcome::Failed
            }
        }
    }

    /// The same request under the same key: the same answer, and nothing is added again.
    async fn repeat(&mut self, op: Op, request: &Request) {
        self.world.tally.count("answered changes repeated on purpose");
        match self.service.settle(request, &mut self.random).await {
            Settled::Acked { body, replayed: true } => self.note(op, request, &body),
            _ => self.world.tally.trouble(format!("a repeat was not answered from what is kept: {}", request.line)),
        }
    }

    fn note(&self, op: Op, request: &Request, body: &[u8]) {
        let Ok(Changed { id, version }) = serde_json::from_slice(body) else {
            let body = String::from_utf8_lossy(body);
            return self.world.tally.trouble(format!("{} was answered {body}", request.line));
        };
        self.world.recorder.put(|at_us| Record::SheetAcked { at_us, op, id, version });
        self.world.note_acked(id);
    }

    fn request(&mut self, line: String, body: Option<String>) -> Request {
        self.sent += 1;
        let idempotency_key = format!("{}-grader-{}-{}", self.world.seed, self.person, self.sent);
        Request { line, idempotency_key, body }
    }
}
