//! One person with one device: connects, listens, goes away, comes back by another way, always with its cursor.

use std::{sync::Arc, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{sync::watch, time::Instant};

use super::{
    listener::Listener,
    world::{Phase, World},
};
use crate::{
    client::{
        Cause, Ended, Leave, Session,
        dial::{Dial, NATIVE_WS, loopback},
    },
    history::{Conn, Person, Record, Transport},
};

const TRANSPORTS: [Transport; 3] = [Transport::Ws, Transport::Sse, Transport::Poll];
/// The first and the longest pause after a failed connect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(4));
/// One of this many people has a receive buffer so small that a pause is felt by the server at once.
const SMALL_BUFFER_ONE_IN: u32 = 8;
const SMALL_BUFFER_BYTES: u32 = 4096;
/// How long a half-dead connection is kept open after its person has come back on another.
const HALF_DEAD_FOR: Duration = Duration::from_secs(15);
/// Poll seconds during the run and at its end.
const POLL_WAIT_S: (u32, u32) = (20, 1);

/// How restless a person is; a calm one stays until told to go.
#[derive(Clone, Copy)]
pub struct Restless {
    pub stay_mean: Duration,
    pub away_mean: Duration,
    pub stunt_mean: Duration,
    pub pause_max: Duration,
}

/// A person's client.
pub struct Actor {
    world: Arc<World>,
    pub person: Person,
    dial: Dial,
    pub restless: Option<Restless>,
    random: StdRng,
    pub transport: Transport,
    cursor: Option<u64>,
    failures: u32,
}

/// Why one connection is over, and what comes next.
enum Next {
    Done,
    ComeBackAfter(Duration),
}

/// How a person's own leave is done.
enum Exit {
    Leave(Leave),
    /// The socket stays open and nobody reads it.
    HalfDead,
}

fn exponential(mean: Duration, random: &mut StdRng) -> Duration {
    let share: f64 = random.random_range(f64::EPSILON..1.0);
    mean.mul_f64((-share.ln()).min(5.0))
}

// === impl Actor ===

impl Actor {
    /// A person who has not connected yet.
    pub fn new(world: &Arc<World>, person: Person, transport: Transport) -> anyhow::Result<Self> {
        let name = &world.cast.people[person as usize];
        let mut random = StdRng::seed_from_u64(world.seed ^ (u64::from(person) << 20));
        let small = random.random_ratio(1, SMALL_BUFFER_ONE_IN);
        let dial = Dial {
            server: world.server,
            source: loopback(person),
            token: world.token(person)?,
            client: Some(format!("device-{name}")),
            receive_buffer_bytes: small.then_some(SMALL_BUFFER_BYTES),
            poll_wait_s: POLL_WAIT_S.0,
            ws_path: world.platform.as_ref().map_or(NATIVE_WS, |platform| platform.ws_path),
        };
        Ok(Self { world: Arc::clone(world), person, dial, restless: None, random, transport, cursor: None, failures: 0 })
    }

    /// Plays until the phase says stop, or until everything is heard once it says finish.
    pub async fn live(mut self, mut phase: watch::Receiver<Phase>) -> Self {
        loop {
            let pause = match self.one_connection(&mut phase).await {
                Next::Done => return self,
                Next::ComeBackAfter(pause) => pause,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = phase.wait_for(|phase| *phase == Phase::Stop) => return self,
            }
        }
    }

    async fn one_connection(&mut self, phase: &mut watch::Receiver<Phase>) -> Next {
        let now = *phase.borrow_and_update();
        if self.is_done(now) {
            return Next::Done;
        }
        self.dial.poll_wait_s = if now == Phase::Run { POLL_WAIT_S.0 } else { POLL_WAIT_S.1 };
        let conn = self.world.recorder.connect(self.person, self.transport, self.cursor);
        let mut listener = Listener::new(Arc::clone(&self.world), conn, self.cursor);
        let ended = match Session::open(self.transport, &self.dial, self.cursor).await {
            Ok(session) => {
                if self.transport == Transport::Poll {
                    // A poll with a cursor has no connect answer before there is something to tell.
                    listener.count_connected();
                }
                self.sit(session, &mut listener, conn, phase).await
            }
            Err(ended) => Err(ended),
        };
        self.cursor = listener.cursor;
        match ended {
            Ok(next) => next,
            Err(ended) => self.after_end(conn, &listener, &ended),
        }
    }

    fn is_done(&self, phase: Phase) -> bool {
        match phase {
            Phase::Run => false,
            // Who is not approved hears nothing more, however long they wait.
            Phase::Finish { last_id } => {
                self.cursor.is_some_and(|cursor| cursor >= last_id)
                    || self.world.platform.as_ref().is_some_and(|platform| platform.is_away(self.person))
            }
            Phase::Stop => true,
        }
    }

    /// Listens, with what a restless person does in between. `Err` when the server ended it.
    async fn sit(
        &mut self,
        mut session: Session,
        listener: &mut Listener,
        conn: Conn,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<Next, Ended> {
        let began_in = *phase.borrow();
        // At the end a connection is left only when everything has been heard.
        let restless = self.restless.filter(|_| began_in == Phase::Run);
        let mut draw =
            |mean: fn(&Restless) -> Duration| Some(Instant::now() + exponential(mean(restless.as_ref()?), &mut self.random));
        let leave_at = draw(|restless| restless.stay_mean);
        let mut stunt_at = draw(|restless| restless.stunt_mean);
        loop {
            self.cursor = listener.cursor;
            if self.is_done(*phase.borrow()) {
                self.depart(session, conn, Exit::Leave(Leave::Clean)).await;
                return Ok(Next::Done);
            }
            let wake_at = [leave_at, stunt_at].into_iter().flatten().min();
            tokio::select! {
                heard = session.read(listener) => heard?,
                () = sleep_until(wake_at) => {
                    if leave_at.is_some_and(|at| at <= Instant::now()) {
                        return Ok(self.leave_for_a_while(session, conn).await);
                    }
                    self.stunt(&mut session, conn).await?;
                    stunt_at = restless.map(|restless| Instant::now() + exponential(restless.stunt_mean, &mut self.random));
                }
                _ = phase.changed() => {
                    if matches!(*phase.borrow(), Phase::Finish { .. }) && began_in == Phase::Run {
                        // Everyone comes back once more, so that a replay proves what a quiet connection cannot.
                        self.cursor = listener.cursor;
                        self.depart(session, conn, Exit::Leave(Leave::Clean)).await;
                        return Ok(Next::ComeBackAfter(Duration::from_millis(self.random.random_range(0..3_000))));
                    }
                }
            }
        }
    }

    async fn leave_for_a_while(&mut self, session: Session, conn: Conn) -> Next {
        let tally = &self.world.tally;
        let (exit, name) = match self.random.random_range(0..10) {
            0..4 => (Exit::Leave(Leave::Clean), "left cleanly"),
            4..6 => (Exit::Leave(Leave::Drop), "dropped the socket"),
            6..8 => (Exit::Leave(Leave::Reset), "reset the socket"),
            _ => (Exit::HalfDead, "left a half-dead connection behind"),
        };
        tally.count(name);
        if self.random.random_bool(0.6) {
            let other = TRANSPORTS[self.random.random_range(0..3)];
            if other != self.transport {
                tally.count("changed transport");
            }
            self.transport = other;
        }
        let mean = self.restless.map_or(Duration::ZERO, |restless| restless.away_mean);
        // Some are back at once, before the server has noticed that they were gone.
        let away = if self.random.random_ratio(1, 5) { Duration::ZERO } else { exponential(mean, &mut self.random) };
        self.depart(session, conn, exit).await;
        Next::ComeBackAfter(away)
    }

    /// Ends the connection from our side; what arrives from now on is not heard any more.
    async fn depart(&mut self, session: Session, conn: Conn, exit: Exit) {
        let close_code = if matches!(session, Session::Ws(_)) { 1000 } else { 0 };
        self.world.recorder.put(|at_us| Record::Disconnect { at_us, conn, close_code });
        match exit {
            Exit::Leave(how) => session.leave(how).await,
            Exit::HalfDead => drop(tokio::spawn(async move {
                tokio::time::sleep(HALF_DEAD_FOR).await;
                session.leave(Leave::Drop).await;
            })),
        }
    }

    /// A rewind, or a pause in reading, or both: first much is asked for, then nothing is read.
    async fn stunt(&mut self, session: &mut Session, conn: Conn) -> Result<(), Ended> {
        let pause = self.random.random_bool(0.5);
        if let Session::Ws(ws) = session
            && let Some(cursor) = self.cursor
        {
            let newest = cursor.saturating_sub(self.world.first_head);
            let far = self.random.random_ratio(1, 12);
            let back = self.random.random_range(0..=if far { newest } else { newest.min(3_000) });
            let since = cursor - back;
            self.world.tally.count("rewinds");
            self.world.recorder.put(|at_us| Record::Rewind { at_us, conn, since });
            ws.request_replay(since).await?;
        }
        if pause && let Some(restless) = self.restless {
            self.world.tally.count("pauses in reading");
            let share = self.random.random_range(0.2..1.0);
            tokio::time::sleep(restless.pause_max.mul_f64(share)).await;
        }
        Ok(())
    }

    /// The server ended it, or it never came to be.
    fn after_end(&mut self, conn: Conn, listener: &Listener, ended: &Ended) -> Next {
        let close_code = ended.close_code;
        self.world.recorder.put(|at_us| Record::Disconnect { at_us, conn, close_code });
        self.count_end(ended);
        self.failures = if listener.established { 0 } else { (self.failures + 1).min(10) };
        let backoff = (BACKOFF.0 * 2u32.pow(self.failures)).min(BACKOFF.1);
        let pause = ended.come_back.or(listener.come_back).unwrap_or(backoff);
        Next::ComeBackAfter(pause.mul_f64(self.random.random_range(0.5..1.5)))
    }

    fn count_end(&self, ended: &Ended) {
        let tally = &self.world.tally;
        if self.was_sent_away(ended) {
            return tally.count("refused or closed as not approved");
        }
        match (&ended.cause, ended.close_code) {
            (Cause::Broken(error), _) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                tally.count("connects to a dead server");
            }
            (Cause::Broken(_), _) => tally.count("connections broken"),
            (Cause::Closed, 0) => tally.count("streams ended by the server"),
            (Cause::Closed, 4008) => tally.count("closed with 4008 (stopped reading)"),
            (Cause::Closed, 4010) => tally.count("closed with 4010 (draining)"),
            (Cause::Closed, 4029) => tally.count("closed with 4029 (busy)"),
            (Cause::Refused { status: 429 | 503, .. }, _) => tally.count("refused with 429 or 503"),
            (Cause::Closed, code) => tally.trouble(format!("{} was closed with {code}", self.label())),
            (Cause::Refused { status, code }, _) => tally.trouble(format!("{} was refused with {status} {code}", self.label())),
            (Cause::Garbage(what), _) => tally.trouble(format!("{} heard nonsense: {what}", self.label())),
        }
    }

    /// Whether the server ended it because of an approval that was taken away.
    fn was_sent_away(&self, ended: &Ended) -> bool {
        let told = match (&ended.cause, ended.close_code) {
            (Cause::Closed, code) => matches!(code, 4001 | 4003),
            (Cause::Refused { status, code }, _) => *status == 403 && code.contains("not_approved"),
            _ => false,
        };
        told && self.world.platform.as_ref().is_some_and(|platform| platform.was_ever_away(self.person))
    }

    fn label(&self) -> String {
        format!("{:?} of {}", self.transport, self.world.cast.people[self.person as usize])
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
