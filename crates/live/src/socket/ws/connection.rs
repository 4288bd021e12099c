//! One WebSocket connection: reads frames, writes what its session hands out, keeps its times.

use super::decoder::{Decoder, Limits, Message};
use super::frame;
use super::outbox::Outbox;
use super::stream::Stream;
use crate::dialogue::{Dialogue, read_frame};
use crate::metrics::Transport;
use crate::node::{Connect, Node};
use crate::session::{CONNECTIONS, Ending, Outgoing, Session};
use bytes::BytesMut;
use campanile_wire::frame::{ClientFrame, ServerFrame};
use campanile_wire::{Channel, CloseReason, Cursor, Dialect};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a closed connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long after an unanswered ping a connection counts as half-dead: a returning client may take its place.
const SUSPECT: Duration = Duration::from_secs(5);

/// How a connection begins, decided before the handshake was answered.
pub enum Opening {
    /// Closed with a code before any other frame; see [`Opening::refused`].
    Refused(Ending),
    /// Admitted.
    Ready(Box<Session>),
    /// Its first message must say who it is.
    AwaitAuth(Box<AuthLater>),
}

impl Opening {
    /// A connection that is not let in.
    pub fn refused(reason: CloseReason, retry_after_ms: Option<u64>) -> Self {
        Self::Refused(Ending { reason, retry_after_ms })
    }
}

/// What a request said, when its credential comes in the first message.
pub struct AuthLater {
    /// The node to connect to.
    pub node: Arc<Node>,
    /// Where to resume.
    pub since: Option<Cursor>,
    /// The cursor's epoch.
    pub epoch: Option<u64>,
    /// The client instance's name.
    pub client: Option<Box<str>>,
    /// Only these channels.
    pub only: Option<Vec<Channel>>,
    /// Where it comes from.
    pub address: IpAddr,
    /// How the route speaks.
    pub dialect: Dialect,
}

/// Serves one connection until it ends. `early` holds bytes that came behind the handshake.
pub async fn serve(stream: Stream, early: BytesMut, opening: Opening, dialect: Dialect) {
    let decoder = Decoder::new(Limits::AUTHENTICATED);
    let mut socket = Socket { stream, decoder, outbox: Outbox::default(), early, unheard: Vec::new(), dialect };
    converse(&mut socket, opening).await;
    socket.stream.end();
}

async fn converse(socket: &mut Socket, opening: Opening) {
    let session = match opening {
        Opening::Refused(ending) => return socket.say_goodbye(ending).await,
        Opening::Ready(session) => *session,
        Opening::AwaitAuth(later) => {
            socket.decoder.set_message_bytes_max(Limits::BEFORE_AUTHENTICATION.message_bytes_max);
            let wait = Duration::from_millis(later.node.limits().auth_ms_max);
            let session = match tokio::time::timeout(wait, Box::pin(await_auth(socket, *later))).await {
                Ok(session) => session,
                Err(_) => Err(Some(Ending::now(CloseReason::AuthTimeout))),
            };
            match session {
                Ok(session) => session,
                Err(Some(ending)) => return socket.say_goodbye(ending).await,
                Err(None) => return,
            }
        }
    };
    socket.decoder.set_message_bytes_max(Limits::AUTHENTICATED.message_bytes_max);
    let mut connection = Connection::new(session);
    let ending = connection.run(socket).await;
    connection.tell(ending);
    // Leaves the hub before the goodbye: nothing more is collected for it.
    drop(connection);
    if let Some(ending) = ending {
        socket.say_goodbye(ending).await;
    }
}

/// Reads the first message. No ending means that the client has gone.
async fn await_auth(socket: &mut Socket, later: AuthLater) -> Result<Session, Option<Ending>> {
    let ended = |reason| Err(Some(Ending::now(reason)));
    loop {
        let mut messages = socket.read().await?.into_iter();
        while let Some(message) = messages.next() {
            let text = match message {
                Message::Text(text) => text,
                Message::Ping(payload) => {
                    socket.outbox.push(frame::pong(&payload));
                    socket.flush().await?;
                    continue;
                }
                Message::Pong(_) => continue,
                Message::Close(_) => return Err(None),
            };
            let Ok(ClientFrame::Auth { token }) = read_frame(&text) else { return ended(CloseReason::NoCredential) };
            let caller = match later.node.authenticate.authenticate(&token).await {
                Ok(caller) => caller,
                Err(refusal) => {
                    let retry_after_ms = refusal.code.is_passing().then(|| later.node.spread_ms());
                    return Err(Some(Ending { reason: CloseReason::of(refusal.code), retry_after_ms }));
                }
            };
            socket.unheard = messages.collect();
            let AuthLater { node, since, epoch, client, only, address, dialect } = later;
            let connect = Connect { caller, since, epoch, client, only, address, transport: Transport::Ws, dialect };
            let session = node.connect(connect).await;
            return session.map_err(|refused| Some(Ending { reason: refused.reason, retry_after_ms: refused.retry_after_ms }));
        }
    }
}

/// The raw socket with what is half read and half written.
struct Socket {
    stream: Stream,
    decoder: Decoder,
    outbox: Outbox,
    early: BytesMut,
    /// Messages that came in one piece with `auth`, behind it.
    unheard: Vec<Message>,
    dialect: Dialect,
}

impl Socket {
    /// Waits for bytes and reads the messages in them. An empty list is a message that is not whole yet.
    async fn read(&mut self) -> Result<Vec<Message>, Option<Ending>> {
        self.readable().await;
        self.read_now()
    }

    /// Waits until there is something to read. An error shows when it is read.
    async fn readable(&self) {
        if self.early.is_empty() && self.unheard.is_empty() {
            self.stream.readable().await;
        }
    }

    /// Waits until something can be written. An error shows when it is written.
    async fn writable(&self) {
        self.stream.writable().await;
    }

    fn read_now(&mut self) -> Result<Vec<Message>, Option<Ending>> {
        if !self.unheard.is_empty() {
            return Ok(std::mem::take(&mut self.unheard));
        }
        let mut input = std::mem::take(&mut self.early);
        if input.is_empty() {
            match self.stream.try_read(&mut input) {
                Ok(0) => return Err(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
                Err(_) => return Err(None),
            }
        }
        let mut messages = Vec::new();
        loop {
            match self.decoder.decode(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return Ok(messages),
                Err(violation) => return Err(Some(Ending::now(violation.close_reason()))),
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Option<Ending>> {
        loop {
            self.outbox.write_into(&mut self.stream).map_err(|_| None)?;
            if !self.is_blocked() {
                return Ok(());
            }
            self.writable().await;
        }
    }

    /// Whether something waits for the socket.
    fn is_blocked(&self) -> bool {
        !self.outbox.is_empty() || self.stream.has_unsent()
    }

    /// Sends the reason and waits a little for the client's own Close, so that its last bytes do not reset ours.
    async fn say_goodbye(&mut self, ending: Ending) {
        if let Some(retry_after_ms) = ending.retry_after_ms {
            let reconnect = ServerFrame::Reconnect { code: ending.reason.word(), retry_after_ms };
            self.outbox.push(frame::text(reconnect.to_json().as_bytes()));
        }
        self.outbox.push(frame::close(self.dialect.close_code(ending.reason), ending.reason.word()));
        let goodbye = async {
            self.flush().await?;
            loop {
                let messages = self.read().await?;
                if messages.iter().any(|message| matches!(message, Message::Close(_))) {
                    return Err::<(), Option<Ending>>(None);
                }
            }
        };
        // However the client takes it, the connection ends here.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

/// A connection's session and times.
struct Connection {
    dialogue: Dialogue,
    heard_at: Instant,
    pinged_at: Instant,
    progressed_at: Instant,
}

impl Connection {
    fn new(session: Session) -> Self {
        let now = Instant::now();
        Self { dialogue: Dialogue::new(session), heard_at: now, pinged_at: now, progressed_at: now }
    }

    /// Runs until the connection ends; answers how, unless the client has gone by itself.
    async fn run(&mut self, socket: &mut Socket) -> Option<Ending> {
        loop {
            match socket.outbox.write_into(&mut socket.stream) {
                Ok(true) => self.progressed_at = Instant::now(),
                Ok(false) => {}
                Err(_) => return None,
            }
            let blocked = socket.is_blocked();
            let wake_at = self.next_deadline(blocked);
            let mailbox = Arc::clone(&self.dialogue.session.mailbox);
            let mut out = Vec::new();
            tokio::select! {
                () = socket.readable() => match socket.read_now() {
                    Ok(messages) => if let Some(ended) = self.hear(socket, messages).await { return ended },
                    Err(ending) => return ending,
                },
                () = socket.writable(), if blocked => {}
                ending = mailbox.ended(), if blocked => return Some(ending),
                () = self.dialogue.session.take(&mut out), if !blocked => {}
                () = tokio::time::sleep_until(wake_at) => if let Some(ending) = self.keep_times(socket, blocked) {
                    return Some(ending);
                },
            }
            if let Some(ending) = write_out(socket, out) {
                return Some(ending);
            }
        }
    }

    /// Counts and logs how the connection ended.
    fn tell(&self, ending: Option<Ending>) {
        let session = &self.dialogue.session;
        if let Some(ending) = ending {
            session.node.metrics.ended(ending.reason);
        }
        let reason = ending.map_or("client_gone", |ending| ending.reason.word());
        tracing::debug!(target: CONNECTIONS, connection = session.name(), reason, "closing");
    }

    /// Takes in what the client said. The inner option is as of [`Connection::run`].
    async fn hear(&mut self, socket: &mut Socket, messages: Vec<Message>) -> Option<Option<Ending>> {
        self.heard_at = Instant::now();
        self.dialogue.session.mailbox.set_half_dead(false);
        for message in messages {
            match message {
                Message::Text(text) => self.dialogue.hear(&text).await,
                Message::Ping(payload) => socket.outbox.push_pong(frame::pong(&payload)),
                Message::Pong(_) => {}
                Message::Close(received) => {
                    socket.outbox.push(frame::close_reply(received.as_ref()));
                    // The client is leaving; if it does not take the answer, nothing is lost.
                    let _ = tokio::time::timeout(GOODBYE, socket.flush()).await;
                    return Some(None);
                }
            }
        }
        None
    }

    fn next_deadline(&self, blocked: bool) -> Instant {
        let limits = self.dialogue.session.node.limits();
        let heartbeat = limits.heartbeat();
        let gone_at = self.heard_at + heartbeat + Duration::from_millis(limits.pong_ms_max);
        let expires_at = Instant::now() + Duration::from_millis(self.dialogue.session.expires_in_ms());
        let mut next = (self.pinged_at + heartbeat).min(gone_at).min(expires_at);
        if self.pinged_at > self.heard_at && !self.dialogue.session.mailbox.is_half_dead() {
            next = next.min(self.pinged_at + SUSPECT);
        }
        if blocked {
            next = next.min(self.progressed_at + Duration::from_millis(limits.stalled_ms_max));
        }
        next
    }

    /// Does what the clock asks for.
    fn keep_times(&mut self, socket: &mut Socket, blocked: bool) -> Option<Ending> {
        let session = &mut self.dialogue.session;
        let limits = session.node.limits();
        let now = Instant::now();
        if session.expires_in_ms() == 0 {
            return Some(Ending::now(CloseReason::ExpiredToken));
        }
        if now >= self.heard_at + limits.heartbeat() + Duration::from_millis(limits.pong_ms_max) {
            return Some(Ending::now(CloseReason::PongTimeout));
        }
        if blocked && now >= self.progressed_at + Duration::from_millis(limits.stalled_ms_max) {
            return Some(Ending::now(CloseReason::StoppedReading));
        }
        if self.pinged_at > self.heard_at && now >= self.pinged_at + SUSPECT {
            session.mailbox.set_half_dead(true);
        }
        if now >= self.pinged_at + limits.heartbeat() {
            self.pinged_at = now;
            socket.outbox.push(frame::ping(b""));
            if !blocked {
                // Moves the cursor to the node's position, and takes along what has come meanwhile.
                let mut out = Vec::new();
                session.take_now(&mut out);
                out.push(Outgoing::Frame(session.heartbeat()));
                return write_out(socket, out);
            }
        }
        None
    }
}

/// Puts a batch into the outbox, up to its end.
fn write_out(socket: &mut Socket, out: Vec<Outgoing>) -> Option<Ending> {
    for outgoing in out {
        match outgoing {
            Outgoing::Event(delivery) => socket.outbox.push(delivery.ws().clone()),
            Outgoing::Frame(json) => socket.outbox.push(frame::text(json.as_bytes())),
            Outgoing::End(ending) => return Some(ending),
        }
    }
    None
}
