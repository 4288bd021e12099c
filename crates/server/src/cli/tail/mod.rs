//! `campanile tail`: what a person is due, live, over any transport, with reconnects that lose nothing.

mod printer;

use super::remote::{BackOff, Place as Address, Reader, Server, Tokens, again_in};
use super::stream::{Asked, Ended, Place, Transport, follow};
use super::{Usage, duration, terminal};
use anyhow::{Result, bail};
use campanile_wire::Cursor;
use clap::Args;
use printer::Printer;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Follows the events that a person is due, live.
///
/// A lost connection is made again after 1, 2, 4 … 30 s and goes on behind the last event,
/// so that nothing is missed; where the server no longer has something, the gap is told. Ends with Ctrl-C.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile tail --dev --user-id 1
  CAMPANILE_TOKEN=$(campanile token --user-id 1) campanile tail --transport sse
  campanile tail --user-id 1 --since 0 --type announcement --json | jq .data.title
  campanile tail --user-id 1 --count 1 --for 10s        # for scripts: fails when nothing comes
  campanile tail --user-id 1 --path /ws/updates/

Exit status: 0 when it was stopped or saw --count events; 1 when it was refused, or --for ran out before --count events came.")]
pub struct Tail {
    /// How events come.
    #[arg(long, value_enum, default_value = "ws")]
    transport: Transport,
    /// Where to begin: a cursor (0 is the beginning of what is kept) or an instant such as 2026-01-15T10:30:00Z; now without it.
    #[arg(long, value_name = "CURSOR")]
    since: Option<String>,
    /// Only these channels, separated by commas: course:7,user:1.
    #[arg(long, value_name = "LIST")]
    channels: Option<String>,
    /// Shows only events of this type; may be given again.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Prints each event as the server sent it, one JSON object a line; gaps too.
    #[arg(long)]
    json: bool,
    /// Ends after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Ends after so long: 10s, 5m.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    for_at_most: Option<Duration>,
    /// Another WebSocket route, such as /ws/updates/.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    #[command(flatten)]
    reader: Reader,
    #[command(flatten)]
    place: Address,
}

impl Tail {
    pub(super) async fn run(self) -> Result<()> {
        self.check()?;
        let (server, tokens) = (self.place.server()?, self.place.tokens(&self.reader)?);
        let stop = CancellationToken::new();
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut printer = Printer::new(self.types.clone(), self.json, self.count);
        let is_over = {
            let mut following = std::pin::pin!(self.follow(&server, &tokens, &mut printer, &stop));
            let is_over = tokio::select! {
                ended = &mut following => return ended,
                () = after(self.for_at_most) => true,
                _ = terminate.recv() => false,
                _ = interrupt.recv() => false,
            };
            stop.cancel();
            following.await?;
            is_over
        };
        match self.count {
            Some(count) if is_over => bail!("{} of {count} events came in the given time", printer.shown()),
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<()> {
        if let Some(Err(error)) = self.since.as_deref().map(Cursor::parse) {
            return Err(Usage(format!("--since: {error}")).into());
        }
        if let Some(path) = &self.path {
            if self.transport != Transport::Ws {
                return Err(Usage("--path names a WebSocket route: leave --transport out".into()).into());
            }
            if !path.starts_with('/') || path.contains(['?', '#', ' ']) {
                return Err(Usage("--path is a path such as /ws/updates/".into()).into());
            }
        }
        Ok(())
    }

    async fn follow(&self, server: &Server, tokens: &Tokens, printer: &mut Printer, stop: &CancellationToken) -> Result<()> {
        let place = Place { since: self.since.clone(), epoch: None };
        let mut asked = Asked { path: self.path.clone(), channels: self.channels.clone(), place };
        let mut waits = BackOff::new();
        loop {
            let token = tokens.token()?;
            match follow(self.transport, server, &token, &mut asked, printer, stop).await {
                Ended::Done => return Ok(()),
                Ended::Deaf(error) => return Err(error),
                // A token that we make ourselves is made anew.
                Ended::Refused { code, .. } if code == "expired_token" && matches!(tokens, Tokens::Made(..)) => {}
                Ended::Refused { sentence, .. } => bail!(sentence),
                Ended::Lost { why, after } => {
                    if printer.was_opened() {
                        waits = BackOff::new();
                    }
                    let wait = waits.next(after);
                    terminal::say(&format!("{why}; {}", again_in(wait)));
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = stop.cancelled() => return Ok(()),
                    }
                }
            }
        }
    }
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
