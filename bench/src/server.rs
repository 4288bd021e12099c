//! The server under test: its config, its start, its death and its memory.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::{
    client::{
        dial::{Dial, NATIVE_WS},
        http::HttpConnection,
    },
    keys::Keys,
};

/// A server that does not answer `/readyz` by then has failed the run.
const READY_MAX: Duration = Duration::from_secs(60);
/// How often a starting server is asked.
const READY_PAUSE: Duration = Duration::from_millis(25);
/// A drain has a grace; after this the bench loses its patience.
const STOP_MAX: Duration = Duration::from_secs(60);
/// The port range that our servers use: below 10,000, and outside of what other tools like.
const PORTS: std::ops::Range<u16> = 8200..9900;

/// Requests of a person: a run crowds a working day into minutes.
const REST_PER_HOUR: u32 = 1_000_000;

/// The limits that a run writes into the config.
#[derive(Clone, Copy)]
pub struct Limits {
    pub connects_per_second: u32,
    pub publishes_per_second: u32,
    pub connections_per_address: u32,
}

/// What a server is started from.
pub struct Setup {
    pub binary: PathBuf,
    pub directory: PathBuf,
    /// `sqlite:///…` or `postgres://…`
    pub store: String,
    pub limits: Limits,
    /// Further sections of the config.
    pub more_config: String,
}

/// A `campanile serve` of our own.
pub struct Server {
    setup: Setup,
    pub keys: Keys,
    pub address: SocketAddr,
    child: Option<Child>,
}

/// A port that nobody listens on right now.
fn free_port() -> Result<u16> {
    let first = PORTS.start + u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start))?;
    (first..PORTS.end)
        .chain(PORTS.start..first)
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .context("no free port below 10,000")
}

fn config(address: SocketAddr, keys: &Keys, setup: &Setup) -> String {
    let (Setup { store, limits, more_config, .. }, Keys { hs256_secret, api_key }) = (setup, keys);
    let Limits { connects_per_second, publishes_per_second, connections_per_address } = limits;
    format!(
        r#"listen = "{address}"
store = "{store}"

[auth]
hs256_secret = "{hs256_secret}"

[[api_key]]
name = "bench"
key = "{api_key}"
scopes = ["publish", "roster", "metrics"]

[limits]
connects_per_second = {connects_per_second}
publishes_per_second = {publishes_per_second}
connections_per_address = {connections_per_address}
rest_per_hour_signed_in = {REST_PER_HOUR}

{more_config}"#
    )
}

// === impl Server ===

impl Server {
    /// Writes the config; nothing runs yet.
    pub fn prepare(setup: Setup) -> Result<Self> {
        fs::create_dir_all(&setup.directory)?;
        if !setup.binary.is_file() {
            bail!(
                "{} does not exist: build it with `cargo build --release` or name it with --campanile",
                setup.binary.display()
            );
        }
        let (keys, address) = (Keys::fresh(), SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
        fs::write(setup.directory.join("campanile.toml"), config(address, &keys, &setup))?;
        Ok(Self { setup, keys, address, child: None })
    }

    /// The config file.
    pub fn config_path(&self) -> PathBuf {
        self.setup.directory.join("campanile.toml")
    }

    /// What the server wrote to its standard output and error.
    pub fn log_path(&self) -> PathBuf {
        self.setup.directory.join("server.log")
    }

    /// The words of `campanile import oulad …`.
    pub fn import_words(&self, folder: &Path) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        vec!["import".to_owned(), "oulad".to_owned(), path(folder), "--config".to_owned(), path(&self.config_path())]
    }

    /// Runs `campanile import`, its progress bar on our terminal, and says how long it took.
    pub async fn import(&self, folder: &Path) -> Result<Duration> {
        let start = Instant::now();
        let status = Command::new(&self.setup.binary).args(self.import_words(folder)).status().await?;
        if !status.success() {
            bail!("`campanile {}` ended with {status}", self.import_words(folder).join(" "));
        }
        Ok(start.elapsed())
    }

    /// Starts the server and waits until it answers; says how long that took.
    pub async fn start(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let child = Command::new(&self.setup.binary)
            .args(["serve", "--config"])
            .arg(self.config_path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        self.child = Some(child);
        self.wait_until_ready().await?;
        Ok(start.elapsed())
    }

    /// Waits until it answers that it is ready: after its start, and when what it stands on was away.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        while !is_ready(self.address).await {
            if start.elapsed() > READY_MAX {
                bail!("the server was not ready within {READY_MAX:?}: see {}", self.log_path().display());
            }
            self.check_alive()?;
            tokio::time::sleep(READY_PAUSE).await;
        }
        Ok(())
    }

    /// Fails when the server ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            bail!("the server ended by itself with {status}: see {}", self.log_path().display());
        }
        Ok(())
    }

    /// SIGKILL; returns when the process is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.check_alive()?;
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the drain's end.
    pub async fn stop(&mut self) -> Result<Duration> {
        self.check_alive()?;
        let start = Instant::now();
        if let Some(mut child) = self.child.take() {
            if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
                kill_process(pid, Signal::TERM)?;
            }
            match tokio::time::timeout(STOP_MAX, child.wait()).await {
                Ok(status) if status.as_ref().is_ok_and(std::process::ExitStatus::success) => {}
                Ok(status) => bail!("the server stopped with {}", status?),
                Err(_) => bail!("the server did not stop within {STOP_MAX:?} after SIGTERM"),
            }
        }
        Ok(start.elapsed())
    }

    /// The process, while it runs.
    pub fn pid(&self) -> Result<u32> {
        self.child.as_ref().and_then(Child::id).context("the server is not running")
    }

    /// The size of everything in the directory, in bytes: what a SQLite run took on disk.
    pub fn disk_bytes(&self) -> Result<u64> {
        fs::read_dir(&self.setup.directory)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
    }

    /// Removes the directory of a run that went well.
    pub fn clean_up(self) -> Result<()> {
        Ok(fs::remove_dir_all(&self.setup.directory)?)
    }
}

async fn is_ready(server: SocketAddr) -> bool {
    let dial = Dial {
        server,
        source: Ipv4Addr::LOCALHOST,
        token: String::new(),
        client: None,
        receive_buffer_bytes: None,
        poll_wait_s: 0,
        ws_path: NATIVE_WS,
    };
    let ask = async {
        let mut connection = HttpConnection::new(dial.connect().await?);
        connection.send("GET /readyz", &[], None).await?;
        connection.response().await
    };
    matches!(tokio::time::timeout(Duration::from_secs(5), ask).await, Ok(Ok(response)) if response.head.status == 200)
}
