//! What the HTTP side of this process counts, and a bounded look at the store for whoever asks how it is.

use campanile_contract::Site;
use campanile_journal::{DURATION_BOUNDS_US, Head, Histogram, HistogramReading, JobsOfKind, JournalError};
use campanile_wire::{ErrorCode, EventId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;

/// The methods that are told apart; a stranger's own word for one counts as `other`.
const METHODS: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "other"];
/// Classes of status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// How a request that met no route is counted: its path is a stranger's text, and there is no end of those.
pub(crate) const NO_ROUTE: &str = "none";
/// How old a look at the store may be before another one is taken.
const GLANCE_AGE_MAX: Duration = Duration::from_secs(5);
/// How long the store may take to be looked at.
const GLANCE_TIME_MAX: Duration = Duration::from_secs(2);

/// Counters of requests.
pub(crate) struct Measures {
    pub(crate) started: Instant,
    pub(crate) started_at_s: f64,
    routes: RwLock<HashMap<Box<str>, Arc<Cells>>>,
    errors: [AtomicU64; ErrorCode::ALL.len()],
    rest_refusals: [AtomicU64; RestCaller::ALL.len()],
    pub(crate) glances_failed: AtomicU64,
    glance: Mutex<Option<(Instant, Arc<Glance>)>>,
}

/// One route's response times by method and class, made when first met.
type Cells = [[OnceLock<Histogram>; CLASSES.len()]; METHODS.len()];

/// Response times of one route, method and class.
pub(crate) struct RouteReading {
    pub(crate) route: String,
    pub(crate) method: &'static str,
    pub(crate) class: &'static str,
    pub(crate) took_us: HistogramReading,
}

/// Whom the REST limits turned away.
#[derive(Clone, Copy)]
pub(crate) enum RestCaller {
    Anonymous,
    Person,
    Service,
}

impl RestCaller {
    pub(crate) const ALL: [Self; 3] = [Self::Anonymous, Self::Person, Self::Service];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Person => "person",
            Self::Service => "service",
        }
    }
}

/// What the store looked like a moment ago.
#[derive(Debug)]
pub(crate) struct Glance {
    pub(crate) head: Head,
    /// Events of the log that this node had not applied.
    pub(crate) behind_events: u64,
    /// How long the oldest of them had been in the log.
    pub(crate) behind_ms: u64,
    pub(crate) jobs: Vec<JobsOfKind>,
    pub(crate) oldest_due_job_ms: u64,
}

fn counters<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

impl Measures {
    pub(crate) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: Instant::now(),
            started_at_s: since_epoch.as_secs_f64(),
            routes: RwLock::default(),
            errors: counters(),
            rest_refusals: counters(),
            glances_failed: AtomicU64::new(0),
            glance: Mutex::default(),
        }
    }

    /// Counts an answer. `route` is a template of the router, so the number of routes is bounded.
    pub(crate) fn answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        let method = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        let cells = self.cells(route);
        cells[method][class].get_or_init(|| Histogram::new(DURATION_BOUNDS_US)).record_duration(took);
    }

    fn cells(&self, route: &str) -> Arc<Cells> {
        if let Some(cells) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(route) {
            return Arc::clone(cells);
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(route.into()).or_default())
    }

    /// Counts a refusal that was answered as a problem.
    pub(crate) fn refused(&self, code: ErrorCode) {
        self.errors[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request over its caller's REST limit.
    pub(crate) fn rest_refused(&self, caller: RestCaller) {
        self.rest_refusals[caller as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn errors(&self, code: ErrorCode) -> u64 {
        self.errors[code as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn rest_refusals(&self, caller: RestCaller) -> u64 {
        self.rest_refusals[caller as usize].load(Ordering::Relaxed)
    }

    /// Every route that was asked for, in the order of its name.
    pub(crate) fn routes(&self) -> Vec<RouteReading> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let mut readings = Vec::new();
        for (route, cells) in routes.iter() {
            for (method, classes) in METHODS.iter().zip(cells.iter()) {
                for (class, histogram) in CLASSES.iter().zip(classes) {
                    let Some(histogram) = histogram.get() else { continue };
                    readings.push(RouteReading { route: route.to_string(), method, class, took_us: histogram.read() });
                }
            }
        }
        readings.sort_by(|one, other| (&one.route, one.method, one.class).cmp(&(&other.route, other.method, other.class)));
        readings
    }

    /// The store at most [`GLANCE_AGE_MAX`] ago; none when it does not answer. One look at a time, however many ask.
    pub(crate) async fn glance(&self, site: &Site, position: impl Fn() -> EventId) -> Option<Arc<Glance>> {
        let mut kept = self.glance.lock().await;
        if let Some((taken, glance)) = &*kept
            && taken.elapsed() < GLANCE_AGE_MAX
        {
            return Some(Arc::clone(glance));
        }
        match tokio::time::timeout(GLANCE_TIME_MAX, look(site, position())).await {
            Ok(Ok(glance)) => {
                let glance = Arc::new(glance);
                *kept = Some((Instant::now(), Arc::clone(&glance)));
                Some(glance)
            }
            _ => {
                self.glances_failed.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

async fn look(site: &Site, position: EventId) -> Result<Glance, JournalError> {
    let head = site.journal.head().await?;
    let behind_events = head.id.saturating_sub(position);
    let missing = if behind_events > 0 { site.journal.read(position, head.id, 1).await? } else { Vec::new() };
    let now_ms = site.journal.clock().now_ms();
    let behind_ms = missing.first().map_or(0, |event| u64::try_from(now_ms - event.recorded_at_ms).unwrap_or(0));
    let jobs = site.journal.count_jobs_by_kind().await?;
    Ok(Glance { head, behind_events, behind_ms, jobs, oldest_due_job_ms: site.journal.oldest_due_job_ms().await? })
}
