//! A PostgreSQL of a test's own, to be killed, silenced and set up badly.

use crate::site::say;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use tempfile::TempDir;

/// A server that runs until it is dropped.
pub struct Server {
    dir: TempDir,
    bin: PathBuf,
    port: u16,
    /// None while it is down.
    running: Option<Child>,
}

impl Server {
    /// A new one; none, and one line, where its programs are not known.
    pub fn start() -> Option<Self> {
        let Some(bin) = std::env::var_os("CAMPANILE_TEST_POSTGRES_BIN").map(PathBuf::from) else {
            static SAID: Once = Once::new();
            SAID.call_once(|| {
                say("CAMPANILE_TEST_POSTGRES_BIN is not set: bad weather for PostgreSQL is not tested (scripts/with-postgres)");
            });
            return None;
        };
        let dir = TempDir::new().unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(dir.path()).status().unwrap().success());
        }
        let mut initdb = as_postgres(&[], &bin.join("initdb"));
        initdb.current_dir(dir.path()).args(["--pgdata=data", "--username=campanile", "--auth=trust", "--no-sync"]);
        let initialised = initdb.args(["--encoding=UTF8", "--locale=C.UTF-8"]).output().unwrap();
        assert!(initialised.status.success(), "{}", String::from_utf8_lossy(&initialised.stderr));
        let mut server = Self { dir, bin, port: 0, running: None };
        server.restart(&[], &[]);
        Some(server)
    }

    /// Starts it on the same data, with further settings, and as an argument of `around` (strace).
    pub fn restart(&mut self, settings: &[&str], around: &[&str]) {
        self.stop();
        // Another server may hold the port that was drawn. Below 10000: some machines give out the rest to outgoing connections.
        for _ in 0..20 {
            if self.port == 0 {
                self.port = rand::random_range(5_500..9_900);
            }
            let mut command = as_postgres(around, &self.bin.join("postgres"));
            command.current_dir(self.dir.path()).args(["-D", "data", "-p", &self.port.to_string()]);
            command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
            for setting in settings {
                command.args(["-c", setting]);
            }
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            if is_ready(&mut child) {
                self.running = Some(child);
                return;
            }
            child.wait().unwrap();
            self.port = 0;
        }
        panic!("the server does not start");
    }

    /// Where its databases are made.
    pub fn url(&self) -> String {
        format!("postgres://campanile@127.0.0.1:{}/postgres", self.port)
    }

    /// A signal to the server and every process of its own.
    pub fn signal(&self, signal: &str) {
        send(signal, &self.processes());
    }

    /// SIGKILL to the server and all of its processes at once; answers when they are gone.
    pub fn kill(&mut self) {
        let processes = self.processes();
        send("KILL", &processes);
        self.running.take().expect("the server runs").wait().unwrap();
        for process in processes {
            // They are not our children, so nothing else tells us of their end.
            while Path::new(&format!("/proc/{process}/exe")).read_link().is_ok() {
                std::thread::yield_now();
            }
        }
    }

    /// A fast, clean shutdown.
    pub fn stop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        send("INT", &[self.postmaster()]);
        child.wait().unwrap();
    }

    fn processes(&self) -> Vec<u32> {
        let postmaster = self.postmaster();
        let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        std::iter::once(postmaster).chain(children.split_whitespace().map(|pid| pid.parse().unwrap())).collect()
    }

    /// From its own file: under strace it is not our child.
    fn postmaster(&self) -> u32 {
        let file = std::fs::read_to_string(self.dir.path().join("data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been silenced.
        if self.running.is_some() {
            self.signal("CONT");
            self.stop();
        }
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// PostgreSQL refuses to run as root.
fn as_postgres(around: &[&str], program: &Path) -> Command {
    let mut words: Vec<&str> = around.to_vec();
    // Should this test be killed, the kernel orders the server to shut down.
    words.extend(["setpriv", "--pdeathsig", "INT"]);
    if is_root() {
        words.extend(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    words.push(program.to_str().unwrap());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// Reads the server's log until it is ready or ends; afterwards a thread goes on reading, so that the server never waits for us.
fn is_ready(child: &mut Child) -> bool {
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = log.by_ref().map_while(Result::ok).any(|line| line.contains("database system is ready to accept connections"));
    std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
    ready
}

fn send(signal: &str, processes: &[u32]) {
    // A process may have ended by itself meanwhile.
    let _ = Command::new("kill")
        .arg(format!("-{signal}"))
        .args(processes.iter().map(u32::to_string))
        .stderr(Stdio::null())
        .status();
}
