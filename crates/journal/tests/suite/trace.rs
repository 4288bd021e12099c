//! Reads what `strace -f -y -xx` wrote, and judges whether what was told had been flushed before.
//!
//! It knows nothing of the journal: any program can be traced, and a telling may be a line on stdout or bytes into a socket. A line
//! number is a moment: strace writes a call's line when it returns, or two lines when anything else happened between its start and
//! its end, so that `a.ended < b.started` means that a had returned before b was called.

use std::collections::HashMap;

/// One system call.
#[derive(Debug)]
pub struct Call {
    /// Who called.
    pub thread: u32,
    /// `pwrite64`, `fdatasync`, `sendto` …
    pub name: String,
    /// The line on which it began.
    pub started: usize,
    /// The line on which it returned; none when the trace ends before.
    pub ended: Option<usize>,
    /// What its first argument (or, of an open, its result) refers to: a path, `socket:[…]`, `pipe:[…]`.
    pub target: String,
    /// The arguments without the contents of their strings.
    pub outline: String,
    /// The contents of its strings, one after the other: what is written, or the path.
    pub bytes: Vec<u8>,
    /// What it returned; none when it did not.
    pub result: Option<i64>,
}

impl Call {
    /// Bytes that went into a file, pipe or socket.
    pub fn is_write(&self) -> bool {
        matches!(self.name.as_str(), "write" | "pwrite64" | "writev" | "pwritev" | "sendto" | "sendmsg" | "send")
            && self.result.is_none_or(|result| result >= 0)
    }

    /// A flush that succeeded.
    pub fn is_flush(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.result == Some(0)
    }

    /// Whether it went into a socket: an answer or a delivery.
    #[allow(dead_code, reason = "for traces of servers")]
    pub fn is_to_socket(&self) -> bool {
        self.is_write() && self.target.starts_with("socket:")
    }

    /// The last argument as a number: the offset of a pwrite64, the length of an ftruncate.
    pub fn last_number(&self) -> u64 {
        self.outline.rsplit(", ").next().and_then(|word| word.parse().ok()).expect("the call's last argument is a number")
    }

    /// Whether it had returned before that line.
    pub fn ended_before(&self, line: usize) -> bool {
        self.ended.is_some_and(|ended| ended < line)
    }
}

/// The calls of a trace, in the order of their starts.
pub fn parse(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    // Whose call is unfinished: its place, and the text up to there.
    let mut unfinished: HashMap<u32, (usize, &str)> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let (Ok(thread), rest) = (thread.parse::<u32>(), rest.trim_start()) else { continue };
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((place, begun)) = unfinished.remove(&thread) else { continue };
            let tail = resumed.split_once(" resumed>").map_or("", |(_, tail)| tail);
            let started = calls[place].started;
            if let Some(call) = call_of(thread, started, Some(number), &format!("{begun}{tail}")) {
                calls[place] = call;
            }
        } else if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            if let Some(call) = call_of(thread, number, None, begun) {
                unfinished.insert(thread, (calls.len(), begun));
                calls.push(call);
            }
        } else {
            calls.extend(call_of(thread, number, Some(number), rest));
        }
    }
    calls
}

/// None for what is no call: signals and ends.
fn call_of(thread: u32, started: usize, ended: Option<usize>, text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    // Strings are escaped, so the last `=` is the result's; strace aligns it with spaces.
    let returned = rest.rsplit_once("= ").and_then(|(before, result)| Some((before.trim_end().strip_suffix(')')?, result)));
    let (arguments, result) = returned.unwrap_or((rest, "?"));
    let arguments = arguments.trim_end();
    let result_number: Option<i64> = result.split([' ', '<']).next().and_then(|word| word.parse().ok());
    let (mut outline, mut bytes) = (String::new(), Vec::new());
    for (place, part) in arguments.split('"').enumerate() {
        if place % 2 == 0 { outline.push_str(part) } else { decode(part, &mut bytes) }
    }
    if let Some(length) = result_number.and_then(|result| usize::try_from(result).ok())
        && name.contains("write") | name.starts_with("send")
    {
        bytes.truncate(length);
    }
    let opened = name.starts_with("open");
    let target = between(if opened { result } else { outline.split(", ").next().unwrap_or("") }).unwrap_or_default();
    // A killed call has a line, but no result: it may or may not have happened.
    let ended = ended.filter(|_| result_number.is_some());
    Some(Call { thread, name: name.to_owned(), started, ended, target, outline, bytes, result: result_number })
}

/// What `9<\x2f\x74>` refers to.
fn between(descriptor: &str) -> Option<String> {
    let (_, rest) = descriptor.split_once('<')?;
    let mut bytes = Vec::new();
    decode(rest.split_once('>').map_or(rest, |(name, _)| name), &mut bytes);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `\x2f\x74` into bytes; what is not escaped stands for itself.
fn decode(text: &str, into: &mut Vec<u8>) {
    let text = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    let mut place = 0;
    while place < text.len() {
        if text[place..].starts_with(b"\\x") && place + 3 < text.len() {
            into.push(digit(text[place + 2]) << 4 | digit(text[place + 3]));
            place += 4;
        } else {
            into.push(text[place]);
            place += 1;
        }
    }
}

/// What a trace says of flushes and tellings.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Markers that were told: the chances to be early.
    pub told: usize,
    /// Different commits among them.
    pub commits: usize,
    /// Markers that were told before their commit's flush, or were never written at all.
    pub early: Vec<String>,
}

/// Judges every marker by its first telling: the write that seals its commit in the log must have been flushed before.
///
/// `markers_in` finds the texts that stand once in an event's data; `is_log` says what a log's file is called; `seal` answers, from
/// the place of a marker's first write, the place of the write that completes its commit.
pub fn judge(
    calls: &[Call],
    markers_in: impl Fn(&[u8]) -> Vec<String>,
    is_log: impl Fn(&str) -> bool,
    seal: impl Fn(&[Call], usize) -> Option<usize>,
    is_telling: impl Fn(&Call) -> bool,
) -> Judgement {
    let mut written: HashMap<String, usize> = HashMap::new();
    let mut judged: HashMap<String, ()> = HashMap::new();
    let mut seals = std::collections::HashSet::new();
    let mut judgement = Judgement::default();
    for (place, call) in calls.iter().enumerate().filter(|(_, call)| call.is_write()) {
        let log = is_log(&call.target);
        if !log && !is_telling(call) {
            continue;
        }
        for marker in markers_in(&call.bytes) {
            if log {
                written.entry(marker).or_insert(place);
                continue;
            }
            if judged.insert(marker.clone(), ()).is_some() {
                continue;
            }
            judgement.told += 1;
            let sealed = written.get(&marker).and_then(|&first| seal(calls, first));
            if sealed.is_some_and(|sealed| is_flushed_between(calls, sealed, call.started)) {
                seals.extend(sealed);
            } else {
                judgement.early.push(marker);
            }
        }
    }
    judgement.commits = seals.len();
    judgement
}

/// Whether a flush of the file began after this write had returned, and returned itself before that line.
pub fn is_flushed_between(calls: &[Call], write: usize, line: usize) -> bool {
    let write = &calls[write];
    calls.iter().any(|call| {
        call.is_flush() && call.target == write.target && write.ended_before(call.started) && call.ended_before(line)
    })
}

/// The end of a commit in SQLite's write-ahead log: the page after the first frame header that carries the database's size (file
/// format 4.1: bytes 4 to 8 are non-zero for commit frames only).
pub fn sqlite_seal(calls: &[Call], first: usize) -> Option<usize> {
    let log = &calls[first].target;
    // The marker's own page stands behind its header, which may be the commit's.
    let from = calls[..first].iter().rposition(|call| is_frame_header(call, log))?;
    let header = from + calls[from..].iter().position(|call| is_frame_header(call, log) && call.bytes[4..8] != [0; 4])?;
    let page = header + 1 + calls[header + 1..].iter().position(|call| call.is_write() && call.target == *log)?;
    Some(page)
}

fn is_frame_header(call: &Call, log: &str) -> bool {
    call.is_write() && call.target == log && call.bytes.len() == 24
}

/// `marker-…` up to and with its full stop.
pub fn commit_loop_markers(bytes: &[u8]) -> Vec<String> {
    const HEAD: &[u8] = b"marker-";
    let mut markers = Vec::new();
    let mut rest = bytes;
    while let Some(start) = rest.windows(HEAD.len()).position(|window| window == HEAD) {
        rest = &rest[start..];
        let Some(end) = rest.iter().take(64).position(|&byte| byte == b'.') else { break };
        markers.push(String::from_utf8_lossy(&rest[..=end]).into_owned());
        rest = &rest[end..];
    }
    markers
}

#[test]
fn a_trace_is_read_with_its_interrupted_calls() {
    let trace = r#"7 pwrite64(9<\x2f\x61\x2d\x77\x61\x6c>, "\x61\x62\x63", 3, 32) = 3
8 fdatasync(9<\x2f\x61\x2d\x77\x61\x6c> <unfinished ...>
7 sendto(5<\x73\x6f\x63\x6b\x65\x74\x3a\x5b\x31\x5d>, "\x68\x69", 2, MSG_NOSIGNAL, NULL, 0 <unfinished ...>
8 <... fdatasync resumed>)         = 0
7 <... sendto resumed>) = 2
7 --- SIGCHLD {si_signo=SIGCHLD} ---
7 writev(5<\x73\x6f\x63\x6b\x65\x74\x3a\x5b\x31\x5d>, [{iov_base="\x61", iov_len=1}, {iov_base="\x62\x63", iov_len=2}], 2) = 2
9 openat(AT_FDCWD<\x2f>, "\x2f\x61", O_RDONLY) = -1 ENOENT (No such file or directory)
9 pwrite64(9<\x2f\x61>, "\x61", 1, 0 <unfinished ...>) = ?
"#;
    let calls = parse(trace);
    let told: Vec<_> =
        calls.iter().map(|call| (&*call.name, &*call.target, call.started, call.ended, &*call.bytes, call.result)).collect();
    assert_eq!(told[0], ("pwrite64", "/a-wal", 0, Some(0), &b"abc"[..], Some(3)));
    assert_eq!(told[1], ("fdatasync", "/a-wal", 1, Some(3), &b""[..], Some(0)));
    assert_eq!(told[2], ("sendto", "socket:[1]", 2, Some(4), &b"hi"[..], Some(2)));
    assert_eq!(told[3], ("writev", "socket:[1]", 6, Some(6), &b"ab"[..], Some(2)), "of three bytes two went");
    assert_eq!(told[4], ("openat", "", 7, Some(7), &b"/a"[..], Some(-1)));
    assert_eq!((told[5].3, told[5].5), (None, None), "a call that was killed did not return");
    assert_eq!(calls[0].last_number(), 32);
    assert!(calls[2].is_to_socket() && !calls[0].is_to_socket());
    assert!(is_flushed_between(&calls, 0, 4));
    assert!(!is_flushed_between(&calls, 0, calls[2].started), "the flush had not returned when the telling began");
}
