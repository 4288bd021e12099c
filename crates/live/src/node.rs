//! A node: one process's live half of a site. It assembles follower, membership, hub and views, and admits connections.

use crate::admission::Bucket;
use crate::delivery::Delivery;
use crate::follow;
use crate::hub::{Entry, Holder, Hub, Selection, SessionKey};
use crate::limits::LiveLimits;
use crate::mailbox::Mailbox;
use crate::members::Members;
use crate::metrics::{Metrics, Transport};
use crate::revocations::Revocations;
use crate::session::{Ending, Session};
use crate::tail::Tail;
use crate::views::Views;
use arc_swap::ArcSwap;
use campanile_contract::{Authenticate, Site};
use campanile_journal::{ApplyTrace, JournalError, Outcome, TraceContext};
use campanile_wire::caller::PersonCaller;
use campanile_wire::{Channel, CloseReason, Cursor, Dialect, ErrorCode, Event, EventId, Refusal};
use rand::Rng;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a command's answer waits for this node's own follower.
const APPLIED_WAIT_MAX: Duration = Duration::from_secs(1);

/// The live half of a site in this process.
pub struct Node {
    pub(crate) site: Site,
    limits: ArcSwap<LiveLimits>,
    pub(crate) authenticate: Arc<dyn Authenticate>,
    /// Counters, for the server to render.
    pub metrics: Metrics,
    core: Mutex<Core>,
    position: watch::Sender<EventId>,
    epoch: AtomicU64,
    epoch_floor: AtomicU64,
    started: Instant,
    admission: Mutex<Bucket>,
    poll_admission: Mutex<Bucket>,
    draining: AtomicBool,
    /// Drawn at start: tells this node's connections from those of others, and of its own earlier lives.
    pub(crate) start_id: u32,
    pub(crate) stop: CancellationToken,
}

/// What moves with the log's position, all under one lock: events are applied one by one, sessions join between two of them.
pub(crate) struct Core {
    pub(crate) members: Members,
    pub(crate) hub: Hub,
    pub(crate) tail: Tail,
    pub(crate) views: Views,
    pub(crate) revocations: Revocations,
    pub(crate) position: EventId,
}

/// A request for a connection, whatever its transport.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Who asks.
    pub caller: PersonCaller,
    /// Where to resume; none for live from now.
    pub since: Option<Cursor>,
    /// The epoch that the cursor belongs to, when the client says it.
    pub epoch: Option<u64>,
    /// The name of this client instance.
    pub client: Option<Box<str>>,
    /// Only these channels.
    pub only: Option<Vec<Channel>>,
    /// Where it comes from.
    pub address: IpAddr,
    /// How it reads.
    pub transport: Transport,
    /// How it is spoken to on a WebSocket.
    pub dialect: Dialect,
}

/// Why a connection is not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The close code and word on a WebSocket.
    pub reason: CloseReason,
    /// The code on HTTP.
    pub refusal: Refusal,
    /// When to come back, for what passes.
    pub retry_after_ms: Option<u64>,
}

impl Node {
    /// Loads the site's state at one moment and follows the log from there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(site: Site, authenticate: Arc<dyn Authenticate>, limits: LiveLimits) -> Result<Arc<Self>, JournalError> {
        // Subscribed before the snapshot is read: no commit falls between the two.
        let commits = site.journal.commits();
        let view_types: Vec<_> = site.registry.views().copied().collect();
        let build = async |reader: &mut campanile_journal::Reader| {
            let mut states = BTreeMap::new();
            for view in view_types {
                states.insert(view.name, (view.build)(reader).await?);
            }
            Ok(states)
        };
        let (snapshot, states) = site.journal.snapshot_with(build).await?;
        let head = snapshot.head;
        let after = head.id.saturating_sub(limits.tail_events_max as u64).max(head.epoch_floor);
        let core = Core {
            members: Members::new(Arc::clone(&site.registry), snapshot.memberships),
            hub: Hub::default(),
            tail: follow::warm_tail(&site, after, head.id, &limits).await?,
            views: Views::new(states),
            revocations: Revocations::new(snapshot.revocations, limits.token_life_ms_max),
            position: head.id,
        };
        let node = Arc::new(Self {
            site,
            limits: ArcSwap::from_pointee(limits),
            authenticate,
            metrics: Metrics::default(),
            core: Mutex::new(core),
            position: watch::Sender::new(head.id),
            epoch: head.epoch.into(),
            epoch_floor: head.epoch_floor.into(),
            started: Instant::now(),
            admission: Mutex::default(),
            poll_admission: Mutex::default(),
            draining: AtomicBool::new(false),
            start_id: rand::random(),
            stop: CancellationToken::new(),
        });
        node.metrics.position.store(head.id, Ordering::Relaxed);
        tokio::spawn(follow::follow(Arc::clone(&node), commits));
        tokio::spawn(follow::flush_views(Arc::clone(&node)));
        Ok(node)
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().expect("nothing panics while it holds the core")
    }

    /// Applies the next event: membership and revocations first, then views, then the hub; only then does the position move.
    pub(crate) fn apply(&self, event: Event, trace: Option<TraceContext>) {
        let tracer = self.site.journal.tracer();
        let begun = tracer.map(|_| SystemTime::now());
        let mut core = self.core();
        let core = &mut *core;
        if event.id != core.position + 1 {
            // What lies between was pruned before this node read it: the store tells each session whether it missed something.
            core.tail.forget_through(event.id - 1);
            core.hub.mailboxes().iter().for_each(|mailbox| mailbox.fall_behind());
        }
        for (person, change) in core.members.apply(&event) {
            core.hub.follow(&person, &change, &core.members);
        }
        for ended in core.revocations.apply(&event) {
            for key in self.sessions_of(&core.hub, &core.revocations, &ended) {
                core.hub.cut(key, Ending::now(CloseReason::RevokedToken), &core.members);
            }
        }
        core.views.apply(&event);
        let delivery = Arc::new(Delivery::new(event, &self.site.registry));
        let dispatched = tracer.map(|_| SystemTime::now());
        let sessions = core.hub.dispatch(&delivery, &self.limits.load());
        if let (Some(tracer), Some(begun), Some(dispatched)) = (tracer, begun, dispatched) {
            let (event, ended) = (&delivery.event, SystemTime::now());
            tracer.applied(&ApplyTrace { event, commit: trace, begun, dispatched, ended, sessions });
        }
        core.position = delivery.event.id;
        self.metrics.count(|metrics| &metrics.events_applied);
        self.metrics.position.store(core.position, Ordering::Relaxed);
        self.position.send_replace(core.position);
        core.tail.push(delivery);
    }

    /// The id up to which this node has applied the log.
    pub fn position(&self) -> EventId {
        *self.position.borrow()
    }

    /// Waits until this node has applied the log up to `id`.
    pub async fn reached(&self, id: EventId) {
        let mut position = self.position.subscribe();
        // The sender lives as long as this node.
        let _ = position.wait_for(|at| *at >= id).await;
    }

    /// Waits until this node has applied what a command caused, so that its caller's next request meets it: who is told that somebody
    /// is withdrawn finds them withdrawn. A follower that hangs holds the answer up only so long; the commit stands either way.
    pub async fn applied(&self, outcome: &Outcome) {
        if let Some(last) = outcome.events.last() {
            let _ = tokio::time::timeout(APPLIED_WAIT_MAX, self.reached(last.id)).await;
        }
    }

    /// The log's epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn epoch_floor(&self) -> EventId {
        self.epoch_floor.load(Ordering::Relaxed)
    }

    /// The site that this node serves.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The limits that this node keeps, as they are now.
    pub fn limits(&self) -> Arc<LiveLimits> {
        self.limits.load_full()
    }

    /// Sets other limits. Each holds from its next use; the sizes of the tail and the rhythms of the node's own tasks stay as they are.
    pub fn set_limits(&self, limits: LiveLimits) {
        self.limits.store(Arc::new(limits));
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.site.journal.clock().now_ms()
    }

    /// Open connections of all transports.
    pub fn connections(&self) -> usize {
        self.core().hub.len()
    }

    /// Admits a connection, or says when to come back. The session is registered before its history is read.
    ///
    /// # Errors
    /// When a limit is reached, the node drains, a channel is not the caller's, or the store cannot be read.
    pub async fn connect(self: &Arc<Self>, mut connect: Connect) -> Result<Session, Refused> {
        self.metrics.count(|metrics| &metrics.connects);
        let result = match self.admit(&mut connect) {
            Ok((key, mailbox, position)) => Session::open(Arc::clone(self), key, mailbox, position, connect).await,
            Err(refused) => Err(refused),
        };
        if result.is_err() {
            self.metrics.count(|metrics| &metrics.connects_refused);
        }
        result
    }

    /// Takes one place in the rate at which connections of this transport are let in.
    ///
    /// # Errors
    /// `server_busy` with when to come back.
    pub fn admit_rate(&self, transport: Transport) -> Result<(), Refused> {
        let now_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        // Polls come back after every answer, which is no storm; they have a bucket of their own.
        let (bucket, rate) = match transport {
            Transport::Poll => (&self.poll_admission, self.limits.load().polls_per_second_max),
            Transport::Ws | Transport::Sse => (&self.admission, self.limits.load().connects_per_second_max),
        };
        let admitted = bucket.lock().expect("nothing panics while it admits").take(now_us, rate, rate);
        admitted.map_err(|wait_ms| self.come_back(CloseReason::ServerBusy, ErrorCode::ServerBusy, wait_ms))
    }

    fn admit(&self, connect: &mut Connect) -> Result<(SessionKey, Arc<Mailbox>, EventId), Refused> {
        if connect.caller.expires_at_ms <= self.now_ms() {
            return Err(Refused::of(CloseReason::ExpiredToken, ErrorCode::ExpiredToken));
        }
        self.admit_rate(connect.transport)?;
        let mut core = self.core();
        // Asked under the lock, under which the drain collects whom it tells.
        if self.draining.load(Ordering::Relaxed) {
            return Err(self.come_back(CloseReason::ServerDraining, ErrorCode::ServerDraining, 0));
        }
        if core.revocations.holds(&connect.caller) {
            return Err(Refused::of(CloseReason::RevokedToken, ErrorCode::RevokedToken));
        }
        if core.members.is_suspended(connect.caller.id.as_str()) {
            return Err(Refused::of(CloseReason::NotApproved, ErrorCode::NotApproved));
        }
        self.make_room(&core.hub, connect)?;
        let person = connect.caller.id.as_str().to_owned();
        let own = self.own_channels(&core.members, &connect.caller);
        let only = connect.only.take().map(|only| only.into_iter().collect());
        let holder = Holder {
            id: connect.caller.id.clone(),
            token_id: connect.caller.token_id.clone(),
            issued_at_ms: connect.caller.issued_at_ms,
            transport: connect.transport,
            since_ms: self.now_ms(),
        };
        let entry = Entry {
            person,
            holder,
            address: connect.address,
            client: connect.client.take(),
            mailbox: Mailbox::new(),
            own,
            selection: Selection { only, ..Selection::default() },
            is_cut: false,
        };
        let (mailbox, wished) = (Arc::clone(&entry.mailbox), entry.selection.only.clone().unwrap_or_default());
        let core = &mut *core;
        let key = core.hub.add(entry, &core.members);
        if !wished.iter().all(|channel| core.hub.may_see(key, &core.members, channel)) {
            core.hub.remove(key, &core.members);
            return Err(Refused::of(CloseReason::Forbidden, ErrorCode::Forbidden));
        }
        Ok((key, mailbox, core.position))
    }

    /// Caps, and the half-dead connections that a returning client replaces instead of hitting them.
    fn make_room(&self, hub: &Hub, connect: &Connect) -> Result<(), Refused> {
        let full = || self.come_back(CloseReason::TooManyConnections, ErrorCode::TooManyConnections, 1_000);
        let person = connect.caller.id.as_str();
        let (mut count, mut half_dead, mut replaced) = (0, None, false);
        // Those that are ending already have given their place away.
        for (_, client, mailbox) in hub.of_person(person).filter(|(_, _, mailbox)| !mailbox.is_ending()) {
            count += 1;
            if client.is_some() && client == connect.client.as_deref() {
                mailbox.end(Ending::now(CloseReason::Replaced));
                replaced = true;
            } else if mailbox.is_half_dead() {
                half_dead = Some(mailbox);
            }
        }
        if count >= self.limits.load().connections_per_user_max && !replaced {
            half_dead.ok_or_else(full)?.end(Ending::now(CloseReason::Replaced));
        }
        if hub.at_address(connect.address) >= self.limits.load().connections_per_address_max {
            return Err(full());
        }
        Ok(())
    }

    /// What the credential itself gives: the person's own channel, and the token's role and cadet when the roster knows neither.
    pub(crate) fn own_channels(&self, members: &Members, caller: &PersonCaller) -> Vec<Channel> {
        let mut own = vec![Channel::user(&caller.id)];
        let held = members.channels(caller.id.as_str());
        let unknown = |kind: &str| !held.iter().any(|channel| channel.kind() == kind);
        if let Some(role) = &caller.role
            && unknown("role")
        {
            own.extend(self.site.registry.channel(&format!("role:{role}")));
        }
        if let Some(cadet) = &caller.cadet
            && unknown("cadet")
        {
            own.push(Channel::new("cadet", cadet));
        }
        own
    }

    fn come_back(&self, reason: CloseReason, code: ErrorCode, at_least_ms: u64) -> Refused {
        Refused { reason, refusal: code.into(), retry_after_ms: Some(at_least_ms + self.spread_ms()) }
    }

    /// Spread over time, so that those who are told to come back do not come as one.
    pub(crate) fn spread_ms(&self) -> u64 {
        rand::rng().random_range(100..=self.limits.load().reconnect_spread_ms.max(101))
    }

    /// Tells every client when to come back and closes its connection, spread over half of the grace; then stops following.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        let mailboxes = self.core().hub.mailboxes();
        let grace = Duration::from_millis(self.limits.load().drain_ms_max);
        let deadline = tokio::time::Instant::now() + grace;
        // Paced in steps of 10 ms: a timer's resolution is not finer.
        let steps = (grace.as_millis() / 2 / 10).max(1) as usize;
        for batch in mailboxes.chunks(mailboxes.len().div_ceil(steps).max(1)) {
            for mailbox in batch {
                let retry_after_ms = Some(self.spread_ms());
                mailbox.end(Ending { reason: CloseReason::ServerDraining, retry_after_ms });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        while self.connections() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for mailbox in self.core().hub.mailboxes() {
            mailbox.end(Ending::now(CloseReason::ServerShutdown));
        }
        self.stop.cancel();
    }

    /// Whether this node is going down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl Refused {
    /// A refusal that does not pass by waiting.
    pub fn of(reason: CloseReason, code: ErrorCode) -> Self {
        Self { reason, refusal: code.into(), retry_after_ms: None }
    }
}
