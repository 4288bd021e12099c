//! Many connections cheaply: connects people over all transports from many loopback addresses, holds them, publishes, and measures.

mod meter;
mod school;

use std::{
    fmt::Write as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;
use rand::Rng;
use tokio::sync::watch;

use crate::{
    client::{
        Session,
        dial::{Dial, NATIVE_WS, loopback},
    },
    figures::Quantiles,
    history::Transport,
    place::{Place, PlaceArgs},
    process, report,
};
use meter::{Meter, MeterEar};

/// Descriptors that are left for everything but connections.
const DESCRIPTORS_KEPT: u64 = 200;
/// How long connecting everybody may take.
const CONNECT_MAX: Duration = Duration::from_secs(300);

/// Words of `campanile-bench load`.
#[derive(Args)]
pub struct LoadArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How many people connect
    #[arg(long, default_value_t = 1_000)]
    people: u32,
    /// Over how many courses they are spread
    #[arg(long, default_value_t = 10)]
    courses: u32,
    /// Which transports take turns
    #[arg(long, value_delimiter = ',', default_value = "ws,sse,poll")]
    transports: Vec<String>,
    /// New connections a second
    #[arg(long, default_value_t = 1_000)]
    connect_rate: u32,
    /// Announcements a second; 0 holds the connections in silence
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// Bytes of an announcement's body
    #[arg(long, default_value_t = 120)]
    body_bytes: usize,
    /// Seconds to hold the connections
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The Markdown file in which this run replaces the section `load:<name>`
    #[arg(long)]
    report: Option<PathBuf>,
    /// The section's name
    #[arg(long, default_value = "load")]
    name: String,
}

/// Memory and processor time of the server, where its process is known.
#[derive(Clone, Copy, Default)]
struct Sample {
    resident_kib: u64,
    cpu: Duration,
}

/// What a run showed.
struct Held {
    people: u32,
    seconds: u64,
    /// When all were there, and at the end.
    connected: [i64; 2],
    connected_within: Duration,
    published: u64,
    delivered: u64,
    /// Before, with all connected, and at the end.
    samples: [Sample; 3],
}

/// Connects, holds, publishes, measures.
pub async fn run(args: LoadArgs) -> Result<()> {
    let descriptors = process::lift_descriptor_limit()?;
    if u64::from(args.people) + DESCRIPTORS_KEPT > descriptors {
        bail!("{} connections do not fit into {descriptors} descriptors of one process", args.people);
    }
    let transports = args.transports.iter().map(|name| transport(name)).collect::<Result<Vec<_>>>()?;
    let LoadArgs { place, people, courses, connect_rate, rate, body_bytes, seconds, report, name, .. } = args;
    let place = Place::open(place).await?;
    school::register(&place, people, courses).await?;
    let meter = Arc::new(Meter::default());
    let before = sample(&place)?;
    let (stop, stopped) = watch::channel(false);
    let start = Instant::now();
    for n in 0..people {
        let dial = dial(&place, n)?;
        let transport = transports[n as usize % transports.len()];
        tokio::spawn(attend(dial, transport, Arc::clone(&meter), stopped.clone()));
        tokio::time::sleep_until((start + Duration::from_secs(1).mul_f64(f64::from(n) / f64::from(connect_rate))).into()).await;
    }
    while meter.connected() < i64::from(people) && start.elapsed() < CONNECT_MAX {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let connected_within = start.elapsed();
    let (connected, full) = (meter.connected(), sample(&place)?);
    println!("{connected} of {people} connected after {connected_within:.1?}; holding for {seconds} s");
    let delivered_before = meter.delivered();
    let published = school::publish(&place, &meter, courses, rate, body_bytes, Duration::from_secs(seconds)).await?;
    let held = Held {
        people,
        seconds,
        connected: [connected, meter.connected()],
        connected_within,
        published,
        delivered: meter.delivered() - delivered_before,
        samples: [before, full, sample(&place)?],
    };
    stop.send_replace(true);
    let text = held.text(&meter)?;
    println!("{text}");
    if let Some(path) = report {
        report::write_section(&path, "Load", &format!("load:{name}"), &text)?;
    }
    place.close().await
}

fn transport(name: &str) -> Result<Transport> {
    Ok(match name {
        "ws" => Transport::Ws,
        "sse" => Transport::Sse,
        "poll" => Transport::Poll,
        _ => bail!("`{name}` is none of ws, sse, poll"),
    })
}

fn dial(place: &Place, n: u32) -> Result<Dial> {
    let token = place.keys.token(&format!("load-{n}"))?;
    Ok(Dial {
        server: place.address,
        source: loopback(n),
        token,
        client: None,
        receive_buffer_bytes: None,
        poll_wait_s: 25,
        ws_path: NATIVE_WS,
    })
}

fn sample(place: &Place) -> Result<Sample> {
    place.pid.map_or(Ok(Sample::default()), |pid| {
        Ok(Sample { resident_kib: process::resident_kib(pid)?, cpu: process::cpu_time(pid)? })
    })
}

/// One person: connects, listens, and comes back when the connection ends.
async fn attend(dial: Dial, transport: Transport, meter: Arc<Meter>, mut stopped: watch::Receiver<bool>) {
    let mut backoff = Duration::from_millis(200);
    loop {
        let mut ear = MeterEar::new(&meter);
        let listen = async {
            let mut session = Session::open(transport, &dial, None).await?;
            loop {
                session.read(&mut ear).await?;
            }
        };
        let ended: crate::client::Ended = tokio::select! {
            result = listen => match result { Ok(never) => never, Err(ended) => ended },
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        meter.note_end(&ended);
        let pause = ended.come_back.or(ear.come_back).unwrap_or(backoff);
        backoff = if ear.established { Duration::from_millis(200) } else { (backoff * 2).min(Duration::from_secs(5)) };
        drop(ear);
        let share = rand::rng().random_range(0.5..1.5);
        tokio::time::sleep(pause.mul_f64(share)).await;
    }
}

// === impl Held ===

impl Held {
    fn text(&self, meter: &Meter) -> Result<String> {
        let Self {
            people, seconds, connected: [connected, at_end], published, delivered, samples: [before, full, after], ..
        } = *self;
        let mut text = String::new();
        writeln!(text, "Machine: {}  \nCommand: `{}`\n", process::machine_line(), report::command_line())?;
        writeln!(
            text,
            "- {connected} of {people} connected within {:.1} s; {at_end} at the end; {} ended by the server or broken",
            self.connected_within.as_secs_f64(),
            meter.ended()
        )?;
        let growth_kib = full.resident_kib.saturating_sub(before.resident_kib);
        writeln!(
            text,
            "- server memory: {} KiB before, {} KiB connected ({:.2} KiB a connection), {} KiB after",
            before.resident_kib,
            full.resident_kib,
            growth_kib as f64 / f64::from(people.max(1)),
            after.resident_kib
        )?;
        writeln!(
            text,
            "- {published} announcements in {seconds} s, {delivered} deliveries, {:.0} deliveries/s",
            delivered as f64 / seconds.max(1) as f64
        )?;
        writeln!(text, "- from sending a publish to its arrival: {}", Quantiles::of(meter.take_latencies()))?;
        let cpu = after.cpu.saturating_sub(full.cpu);
        writeln!(
            text,
            "- server processor time while holding: {:.1} s ({:.1} µs a delivery)",
            cpu.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / delivered.max(1) as f64
        )?;
        Ok(text)
    }
}
