//! A storm of connects and disconnects: afterwards the server's memory must be where it was.

use std::{
    fmt::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{io::AsyncWriteExt, task::JoinSet};

use crate::{
    client::{
        Cause, Ear, Ended, Heard, Leave, Session,
        dial::{Dial, NATIVE_WS, loopback},
    },
    history::Transport,
    place::{Place, PlaceArgs},
    process, report,
};

/// The share of the storm before the memory counts as warm: allocators and pools take their room once.
const WARM_UP_SHARE: f64 = 0.05;
/// A connect that is not established by then counts as failed.
const ESTABLISH_MAX: Duration = Duration::from_secs(30);

/// Words of `campanile-bench storm`.
#[derive(Args)]
pub struct StormArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How many connects and disconnects
    #[arg(long, default_value_t = 1_000_000)]
    total: u64,
    /// How many at once
    #[arg(long, default_value_t = 200)]
    concurrency: u32,
    /// As how many different people
    #[arg(long, default_value_t = 2_000)]
    people: u32,
    /// How far the memory after the storm may lie above the warm one
    #[arg(long, default_value_t = 16)]
    tolerance_mib: u64,
    /// Seconds of silence before memory is read
    #[arg(long, default_value_t = 20)]
    settle_s: u64,
    /// The Markdown file in which this run replaces the section `storm`
    #[arg(long)]
    report: Option<PathBuf>,
}

/// What all workers share.
#[derive(Default)]
struct Storm {
    dials: Vec<Dial>,
    begun: AtomicU64,
    established: AtomicU64,
    half_handshakes: AtomicU64,
    busy: AtomicU64,
    broken: AtomicU64,
}

/// Remembers whether the connect answer came, and the advice when to come back.
#[derive(Default)]
struct FirstWord {
    established: bool,
    come_back: Option<Duration>,
}

impl Ear for FirstWord {
    fn hear(&mut self, heard: Heard<'_>) {
        match heard {
            Heard::Established { .. } => self.established = true,
            Heard::ComeBack(pause) => self.come_back = Some(pause),
            _ => {}
        }
    }
}

/// Storms in two parts, and compares the memory after each.
pub async fn run(args: StormArgs) -> Result<()> {
    process::lift_descriptor_limit()?;
    let StormArgs { place, total, concurrency, people, tolerance_mib, settle_s, report, .. } = args;
    let place = Place::open(place).await?;
    let pid = place.pid.context("--pid is missing: without it there is no memory to look at")?;
    let dials = (0..people.max(1)).map(|n| dial(&place, n)).collect::<Result<Vec<_>>>()?;
    let storm = Arc::new(Storm { dials, ..Storm::default() });
    let settle = Duration::from_secs(settle_s);
    let before = process::resident_kib(pid)?;
    let warm_up = (total as f64 * WARM_UP_SHARE) as u64;
    let start = Instant::now();
    blow(&storm, warm_up, concurrency, pid).await?;
    tokio::time::sleep(settle).await;
    let warm = process::resident_kib(pid)?;
    println!("{before} KiB before, {warm} KiB after a warm-up of {warm_up}");
    let peak = blow(&storm, total, concurrency, pid).await?;
    let blown = start.elapsed() - settle;
    tokio::time::sleep(settle).await;
    let after = process::resident_kib(pid)?;
    let growth_kib = i128::from(after) - i128::from(warm);
    let kept = growth_kib <= i128::from(tolerance_mib) * 1024;
    let verdict = if kept { "kept" } else { "BROKEN" };
    let mut text = storm.text(total, people, concurrency, blown)?;
    writeln!(
        text,
        "- resident memory: {before} KiB before, {warm} KiB after the first {warm_up}, {peak} KiB at most, {after} KiB at the end"
    )?;
    writeln!(
        text,
        "- memory is where it was, within {tolerance_mib} MiB of the warm one: {verdict} ({growth_kib:+} KiB, {:+.2} bytes a connection)",
        growth_kib as f64 * 1024.0 / total as f64
    )?;
    println!("{text}");
    if let Some(path) = report {
        report::write_section(&path, "Load", "storm", &text)?;
    }
    place.close().await?;
    if kept { Ok(()) } else { bail!("the server's memory is not where it was") }
}

fn dial(place: &Place, n: u32) -> Result<Dial> {
    let token = place.keys.token(&format!("storm-{n}"))?;
    Ok(Dial {
        server: place.address,
        source: loopback(n),
        token,
        client: None,
        receive_buffer_bytes: None,
        poll_wait_s: 1,
        ws_path: NATIVE_WS,
    })
}

/// Goes on until so many connects have begun since the start; says the most memory that was seen.
async fn blow(storm: &Arc<Storm>, until: u64, concurrency: u32, pid: u32) -> Result<u64> {
    let mut workers = JoinSet::new();
    for n in 0..concurrency {
        let storm = Arc::clone(storm);
        workers.spawn(async move {
            let mut random = StdRng::seed_from_u64(until ^ u64::from(n));
            while storm.begun.fetch_add(1, Ordering::Relaxed) < until {
                storm.connect_and_leave(&mut random).await;
            }
            // The one too many is given back.
            storm.begun.fetch_sub(1, Ordering::Relaxed);
        });
    }
    let (mut peak, mut told) = (0, Instant::now());
    loop {
        tokio::select! {
            joined = workers.join_next() => match joined {
                Some(joined) => joined?,
                None => return Ok(peak),
            },
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                let resident = process::resident_kib(pid)?;
                peak = peak.max(resident);
                if told.elapsed() > Duration::from_secs(15) {
                    told = Instant::now();
                    println!("  {} of {until}, {resident} KiB", storm.begun.load(Ordering::Relaxed));
                }
            }
        }
    }
}

// === impl Storm ===

impl Storm {
    fn text(&self, total: u64, people: u32, concurrency: u32, blown: Duration) -> Result<String> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut text = String::new();
        writeln!(text, "Machine: {}  \nCommand: `{}`\n", process::machine_line(), report::command_line())?;
        writeln!(
            text,
            "- {total} connects and disconnects by {people} people, {concurrency} at once, in {:.0} s ({:.0}/s)",
            blown.as_secs_f64(),
            total as f64 / blown.as_secs_f64()
        )?;
        writeln!(
            text,
            "- {} established, {} dropped in the middle of the handshake, {} answered busy (repeated), {} broken",
            count(&self.established),
            count(&self.half_handshakes),
            count(&self.busy),
            count(&self.broken)
        )?;
        Ok(text)
    }

    /// One connect and disconnect; repeated while the server is busy.
    async fn connect_and_leave(&self, random: &mut StdRng) {
        let dial = &self.dials[random.random_range(0..self.dials.len())];
        if random.random_ratio(1, 20) {
            self.half_handshakes.fetch_add(1, Ordering::Relaxed);
            return half_handshake(dial).await;
        }
        let transport =
            [Transport::Ws, Transport::Ws, Transport::Ws, Transport::Sse, Transport::Poll][random.random_range(0..5)];
        let how = [Leave::Clean, Leave::Drop, Leave::Reset][random.random_range(0..3)];
        loop {
            let mut first = FirstWord::default();
            let outcome = tokio::time::timeout(ESTABLISH_MAX, visit(transport, dial, how, &mut first)).await;
            if first.established {
                self.established.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let Ok(Err(ended)) = outcome else {
                self.broken.fetch_add(1, Ordering::Relaxed);
                return;
            };
            if !self.note_refusal(&ended) {
                return;
            }
            let pause = ended.come_back.or(first.come_back).unwrap_or(Duration::from_millis(200));
            tokio::time::sleep(pause.mul_f64(random.random_range(0.5..1.5))).await;
        }
    }

    /// Whether it is worth another try.
    fn note_refusal(&self, ended: &Ended) -> bool {
        let busy = matches!(
            (&ended.cause, ended.close_code),
            (Cause::Closed, 0 | 4029) | (Cause::Refused { status: 429 | 503, .. }, _)
        );
        let counter = if busy { &self.busy } else { &self.broken };
        if counter.fetch_add(1, Ordering::Relaxed) < 3 {
            println!("  not established: {ended:?}");
        }
        busy
    }
}

async fn visit(transport: Transport, dial: &Dial, how: Leave, first: &mut FirstWord) -> Result<(), Ended> {
    let mut session = Session::open(transport, dial, None).await?;
    while !first.established {
        session.read(first).await?;
    }
    session.leave(how).await;
    Ok(())
}

/// A client that goes away in the middle of its request.
async fn half_handshake(dial: &Dial) {
    if let Ok(mut stream) = dial.connect().await {
        // The server may have hung up already; nobody waits for it.
        let _ = stream.write_all(b"GET /ws HTTP/1.1\r\nHost: campanile\r\nUpgrade: webso").await;
    }
}
