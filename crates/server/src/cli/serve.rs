//! `campanile serve`.

use super::Source;
use crate::app::App;
use crate::demo::{self, DevKeys};
use crate::listen::Times;
use crate::telemetry::reports;
use crate::{http, listen, log};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Requests that are under way when the drain has ended may take so long.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    source: Source,
    /// Address and port, 127.0.0.1:8000 by default.
    #[arg(long, env = "CAMPANILE_LISTEN")]
    listen: Option<SocketAddr>,
    /// For development: a demo school, keys made on the spot, loopback only.
    #[arg(long)]
    dev: bool,
}

impl Serve {
    pub(super) async fn run(self) -> Result<()> {
        let mut config = self.source.read()?;
        config.listen = self.listen.unwrap_or(config.listen);
        // Dropped at the end: what waits for the disk or for Sentry leaves then.
        let reports = reports::start(&config.telemetry)?;
        let _log = log::start_server(&config.log, self.dev, reports.is_some())?;
        if self.dev && !config.listen.ip().is_loopback() {
            bail!("--dev listens on a loopback address only, not on {}", config.listen);
        }
        let keys = self.dev.then(|| DevKeys::load(&config)).transpose()?;
        if let Some(keys) = &keys {
            keys.add_to(&mut config);
        }
        let app = App::start(config, self.dev).await?;
        if self.dev {
            demo::seed(&app).await?;
        }
        let listener = listen::bind(app.config.listen).with_context(|| format!("listening on {}", app.config.listen))?;
        let address = listener.local_addr()?;
        tracing::info!(%address, store = %crate::app::without_password(&app.config.store), "campanile serves");
        if let Some(keys) = &keys {
            print(&demo::lines(keys, address)?);
        }
        let stop = CancellationToken::new();
        // Workers stop with the beginning of the drain: both graces run side by side.
        let rest = CancellationToken::new();
        let workers = app.work(&rest)?;
        let stalled_max = Duration::from_millis(app.config.limits.stalled_ms);
        let times = Times { stalled_max, grace: LAST_REQUESTS };
        let served = tokio::spawn(listen::serve(listener, http::router(app.clone()), stop.clone(), times));
        told_to_stop().await?;
        tracing::info!(connections = app.node.connections(), grace_ms = app.config.limits.drain_ms, "draining");
        rest.cancel();
        tokio::select! {
            () = app.node.drain() => {}
            // Told twice: at once.
            result = told_to_stop() => return result,
        }
        stop.cancel();
        served.await.context("the listener ended early")?;
        workers.wait().await;
        let ending = app.clone();
        // It blocks until the collector has answered.
        let _ = tokio::task::spawn_blocking(move || ending.telemetry.shut_down()).await;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn told_to_stop() -> Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the developer pastes it")]
fn print(text: &str) {
    println!("{text}");
}
