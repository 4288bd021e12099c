//! The commit loop as a process of its own: this test binary, started again with its orders in the environment.
//!
//! (Cargo builds examples only when all targets are tested; the binary that runs is always there, and never old.)

use crate::commit_loop;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const ORDERS: &str = "CAMPANILE_TEST_COMMIT_LOOP";

/// Not a rule: what the child processes run. Without orders it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_commit_loop() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let words: Vec<String> = orders.split('\u{1f}').map(str::to_owned).collect();
    commit_loop::run(&words).await.unwrap();
}

/// A commit loop that runs; killed when it is dropped.
pub struct Loop {
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// Starts one.
pub fn start(words: &[&str]) -> Loop {
    start_by(Command::new(std::env::current_exe().unwrap()), words)
}

/// Starts one under strace, which writes its trace into `trace`. `more` are further arguments of strace.
pub fn start_traced(trace: &Path, more: &[&str], words: &[&str]) -> Loop {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-xx", "-s", "1000000", "-o"]).arg(trace);
    strace.args(["-e", "trace=openat,pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync,ftruncate,unlink,unlinkat,rename"]);
    strace.args(more).arg(std::env::current_exe().unwrap());
    start_by(strace, words)
}

fn start_by(mut command: Command, words: &[&str]) -> Loop {
    command.args(["--exact", "child::as_commit_loop", "--nocapture", "--test-threads=1"]);
    command.env(ORDERS, words.join("\u{1f}")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    Loop { child, lines }
}

impl Loop {
    /// The next line that is the loop's own (the test harness prints some around them); none at the end.
    pub fn next_line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The harness ends its own line only after the test, so the first of ours may stand behind "test … ".
            if let Some(start) = ["ready", "ack ", "seen ", "held"].iter().filter_map(|word| line.find(word)).min() {
                return Some(line[start..].trim_end().to_owned());
            }
        }
    }

    /// Ends its stdin: it publishes, or lets the lock go.
    pub fn go(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Lets it go on, waits for the end and answers all further lines; panics when the process failed.
    pub fn finish(mut self) -> Vec<String> {
        let lines = self.rest();
        let status = self.child.wait().unwrap();
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(status.success(), "the commit loop ended with {status}: {errors}");
        lines
    }

    /// Waits until somebody has killed it.
    pub fn await_death(mut self) -> Vec<String> {
        let lines = self.rest();
        assert!(!self.child.wait().unwrap().success(), "the commit loop should have been killed");
        lines
    }

    fn rest(&mut self) -> Vec<String> {
        self.go();
        std::iter::from_fn(|| self.next_line()).filter(|line| line != "ready").collect()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `ack ID MARKER` taken apart.
pub fn ack(line: &str) -> (u64, String) {
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], "ack", "unexpected line {line:?}");
    (words[1].parse().unwrap(), words[2].to_owned())
}
