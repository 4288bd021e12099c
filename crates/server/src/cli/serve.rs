//! `campanile serve`.

use super::Source;
use crate::app::App;
use crate::certificate::Certificate;
use crate::config::Flag;
use crate::demo::{self, DevKeys};
use crate::listen::Listening;
use crate::notify::{self, State};
use crate::reload::Reload;
use crate::telemetry::reports;
use crate::{http, listen, log};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Requests that are under way when the drain has ended may take so long.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Starts the server.
///
/// With --dev it needs nothing: a demo school, keys made on the spot, and lines to paste. Otherwise campanile.toml says who may connect. It
/// ends with SIGTERM or Ctrl-C after its clients were told to come back elsewhere.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile serve --dev
  campanile serve --config /etc/campanile.toml --store postgres://campanile@db/campanile")]
pub struct Serve {
    #[command(flatten)]
    source: Source,
    /// Address and port, 127.0.0.1:8000 by default. In the environment: CAMPANILE_LISTEN.
    #[arg(long)]
    listen: Option<String>,
    /// Listens in plain HTTP where others can reach it, without TLS and without a proxy.
    #[arg(long)]
    insecure_public_bind: bool,
    /// For development: a demo school, keys made on the spot, loopback only.
    #[arg(long)]
    dev: bool,
}

impl Serve {
    pub(super) async fn run(self) -> Result<()> {
        // A hangup that comes early must not end the process.
        let hangups = if self.dev { None } else { Some(signal(SignalKind::hangup())?) };
        let mut given = self.source.given(self.listen.as_ref());
        let insists = self.insecure_public_bind.then_some("insecure_public_bind");
        given.flags.extend(insists.map(|path| Flag {
            path: path.into(),
            text: "true".into(),
            name: "--insecure-public-bind".into(),
        }));
        let loaded = given.load()?;
        let mut config = loaded.config.clone();
        // Dropped at the end: what waits for the disk or for Sentry leaves then.
        let reports = reports::start(&config.telemetry)?;
        let _log = log::start_server(&config.log, self.dev, reports.is_some())?;
        if self.dev && !config.listen.ip().is_loopback() {
            bail!("--dev listens on a loopback address only, not on {}", config.listen);
        }
        config.check_bind()?;
        let keys = self.dev.then(|| DevKeys::load(&config)).transpose()?;
        if let Some(keys) = &keys {
            keys.add_to(&mut config);
        }
        let (listen, stalled_ms) = (config.listen, config.limits.stalled_ms);
        // Before the store is opened: what is wrong here is told at once.
        let certificate = config.tls.as_ref().map(Certificate::load).transpose()?.map(Arc::new);
        let proxies = config.proxies()?;
        let app = App::start(config, self.dev).await?;
        let reload = Reload::new(given, loaded, Arc::clone(&app));
        if self.dev {
            demo::seed(&app).await?;
        }
        let listener = listen::bind(listen).with_context(|| format!("listening on {listen}"))?;
        let address = listener.local_addr()?;
        tracing::info!(%address, store = %crate::app::without_password(&app.config().store), "campanile serves");
        if let Some(keys) = &keys {
            print(&demo::lines(keys, address)?);
        }
        let stop = CancellationToken::new();
        // Workers stop with the beginning of the drain: both graces run side by side.
        let rest = CancellationToken::new();
        let workers = app.work(&rest)?;
        let stalled_max = Duration::from_millis(stalled_ms);
        if let Some(certificate) = &certificate {
            tokio::spawn(Arc::clone(certificate).follow(stop.clone()));
        }
        let listening = Listening { stalled_max, grace: LAST_REQUESTS, certificate, proxies };
        let served = tokio::spawn(listen::serve(listener, http::router(app.clone()), stop.clone(), listening));
        notify::tell(State::Ready);
        reload_until_told_to_stop(reload, hangups).await?;
        notify::tell(State::Stopping);
        tracing::info!(connections = app.node.connections(), grace_ms = app.config().limits.drain_ms, "draining");
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

/// Each hangup is a reload. In `--dev` there are none: a closed terminal ends the server.
async fn reload_until_told_to_stop(mut reload: Reload, mut hangups: Option<Signal>) -> Result<()> {
    // One future for all rounds: a signal that comes during a reload is not lost.
    let mut told = std::pin::pin!(told_to_stop());
    loop {
        let hangup = async {
            match &mut hangups {
                Some(hangups) => hangups.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = told.as_mut() => return result,
            _ = hangup => {}
        }
        // One at a time: the next hangup is waited for when this one is done.
        let work = move || {
            reload.again();
            reload
        };
        reload = tokio::task::spawn_blocking(work).await.context("the reload ended early")?;
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
