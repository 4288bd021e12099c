//! A PostgreSQL of the run's own, to be killed and started again on the same data.

use std::{
    fs::{self, File},
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, getuid, kill_process};
use tokio::process::{Child, Command};

/// A server that is not ready by then has failed the run; after a kill it first repeats its log.
const READY_MAX: Duration = Duration::from_secs(180);
/// How often its pid file is looked at.
const READY_PAUSE: Duration = Duration::from_millis(20);
/// How long a fast shutdown may take.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Below 10,000, and outside of what other tools like.
const PORTS: std::ops::Range<u16> = 5500..8100;
/// Line of `postmaster.pid` that says how far the server is.
const STATUS_LINE: usize = 7;
/// Its one user, who may do everything.
const USER: &str = "campanile";

/// A cluster with a folder and a port of its own. Durability stays at PostgreSQL's safe defaults: the run is about durability.
pub struct Cluster {
    bin: PathBuf,
    home: PathBuf,
    pub port: u16,
    child: Option<Child>,
}

/// The directory of `initdb`: as scripts/with-postgres tells it, or the newest that Debian has.
pub fn find_bin() -> Result<PathBuf> {
    if let Some(bin) = std::env::var_os("CAMPANILE_TEST_POSTGRES_BIN") {
        return Ok(bin.into());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions.pop().map(|(_, bin)| bin).context("PostgreSQL is not installed")
}

/// PostgreSQL refuses to run as root. Should this process be killed, the kernel orders the server to shut down.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if getuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.arg(program);
    command
}

/// A port that nobody listens on right now.
fn free_port() -> Result<u16> {
    let first = PORTS.start + u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start))?;
    let mut ports = (first..PORTS.end).chain(PORTS.start..first);
    ports.find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()).context("no free port for PostgreSQL")
}

// === impl Cluster ===

impl Cluster {
    /// Makes an empty cluster and starts it.
    pub async fn create() -> Result<Self> {
        let bin = find_bin()?;
        let home = std::env::temp_dir().join(format!("campanile-act-four-{}", std::process::id()));
        fs::create_dir(&home)?;
        let mut cluster = Self { bin, home, port: free_port()?, child: None };
        if getuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(&cluster.home)).await?;
        }
        let mut initdb = as_postgres(&cluster.bin.join("initdb"));
        initdb.args(["--pgdata=data", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]).arg(format!("--username={USER}"));
        run(initdb.current_dir(&cluster.home)).await?;
        cluster.start().await?;
        Ok(cluster)
    }

    /// Makes a database; answers its address.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        let mut createdb = Command::new(self.bin.join("createdb"));
        createdb.args(["--host=127.0.0.1", &format!("--port={}", self.port), &format!("--username={USER}"), name]);
        run(&mut createdb).await?;
        Ok(format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port))
    }

    /// Starts the server and waits until it takes connections; says how long that took.
    pub async fn start(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut postgres = as_postgres(&self.bin.join("postgres"));
        postgres.args(["-D", "data", "-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        postgres.args(["-c", "unix_socket_directories=", "-c", "max_connections=200"]).current_dir(&self.home);
        let child = postgres.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true).spawn()?;
        let pid = child.id().context("PostgreSQL ended at once")?;
        self.child = Some(child);
        // A killed server left its file behind, so the pid in it must be that of the new one.
        while !self.is_ready(pid) {
            self.check_alive()?;
            if start.elapsed() > READY_MAX {
                bail!("PostgreSQL was not ready within {READY_MAX:?}: see {}", self.log_path().display());
            }
            tokio::time::sleep(READY_PAUSE).await;
        }
        Ok(start.elapsed())
    }

    /// Fails when the server ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()) {
            bail!("PostgreSQL ended with {}: see {}", status?, self.log_path().display());
        }
        Ok(())
    }

    /// SIGKILL to the server and every process of its own at once; returns when all are gone.
    pub async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("PostgreSQL is not running")?;
        let server = child.id().context("PostgreSQL ended by itself")?;
        let processes = fs::read_to_string(format!("/proc/{server}/task/{server}/children"))?;
        let processes: Vec<u32> = processes.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        for pid in std::iter::once(server).chain(processes.iter().copied()) {
            signal(pid, Signal::KILL)?;
        }
        child.wait().await?;
        // They are not our children, so nothing else tells us of their end.
        while processes.iter().any(|pid| Path::new(&format!("/proc/{pid}/exe")).read_link().is_ok()) {
            tokio::time::sleep(READY_PAUSE).await;
        }
        Ok(())
    }

    /// A fast shutdown, and nothing is left of the cluster.
    pub async fn remove(mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            if let Some(pid) = child.id() {
                signal(pid, Signal::INT)?;
            }
            let stopped = tokio::time::timeout(STOP_MAX, child.wait()).await;
            stopped.context("PostgreSQL did not stop")??;
        }
        Ok(fs::remove_dir_all(&self.home)?)
    }

    /// What the server wrote; of a failed run it is left.
    pub fn log_path(&self) -> PathBuf {
        self.home.join("server.log")
    }

    fn is_ready(&self, pid: u32) -> bool {
        let file = fs::read_to_string(self.home.join("data/postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = file.lines().map(str::trim).collect();
        lines.first().is_some_and(|line| *line == pid.to_string()) && lines.get(STATUS_LINE) == Some(&"ready")
    }
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid.cast_signed()).context("no process has the number 0")?;
    match kill_process(pid, signal) {
        // It may have ended by itself meanwhile.
        Err(error) if error.kind() != ErrorKind::NotFound && error != rustix::io::Errno::SRCH => Err(error.into()),
        _ => Ok(()),
    }
}

async fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().await.with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
