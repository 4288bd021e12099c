//! A disk as a power cut leaves it, rebuilt from a trace of what a program wrote.
//!
//! What is assumed: a completed fsync or fdatasync of a file keeps what was written into it before, its length, and its own name if it
//! is new (ext4, XFS and Btrfs do so; SQLite flushes the folder too). A completed fsync of a folder keeps all earlier creations and
//! removals in it. Everything else may be kept or lost: writes whole, in sectors of 512 bytes or not at all, in any order; names in
//! their order. A flush that failed keeps nothing, and what it should have kept is not kept by later ones. The `-shm` file is left out: it is an index that SQLite builds anew when nobody has it open.

use crate::trace::Call;
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::HashMap;
use std::path::Path;

const SECTOR_BYTES: u64 = 512;

/// What happened to one folder of files.
pub struct Disk {
    files: Vec<Vec<Change>>,
    names: Vec<Naming>,
}

/// A change of a file's contents.
struct Change {
    act: Act,
    started: usize,
    ended: usize,
    /// The line on which the first flush that covers it had returned.
    kept_from: Option<usize>,
}

enum Act {
    Write { offset: u64, bytes: Vec<u8> },
    Truncate { length: u64 },
}

/// A file gets a name, or a name goes.
struct Naming {
    name: String,
    file: Option<usize>,
    started: usize,
    ended: usize,
    kept_from: Option<usize>,
}

impl Disk {
    /// Replays a trace; `folder` held these files when it began, all of them flushed.
    pub fn replay(calls: &[Call], folder: &Path, before: Vec<(String, Vec<u8>)>) -> Self {
        let mut disk = Self { files: Vec::new(), names: Vec::new() };
        let mut bound: HashMap<String, usize> = HashMap::new();
        for (name, bytes) in before {
            bound.insert(name.clone(), disk.files.len());
            disk.names.push(Naming { name, file: Some(disk.files.len()), started: 0, ended: 0, kept_from: Some(0) });
            let act = Act::Write { offset: 0, bytes };
            disk.files.push(vec![Change { act, started: 0, ended: 0, kept_from: Some(0) }]);
        }
        let folder = folder.to_str().expect("the folder's name is text");
        for call in calls {
            // A call that did not return at all may have happened, but nothing that it did can have been acknowledged.
            let failed = call.result.is_none_or(|result| result < 0);
            if call.ended.is_some() && (!failed || call.name.ends_with("sync")) {
                disk.replay_call(call, folder, &mut bound);
            }
        }
        disk
    }

    fn replay_call(&mut self, call: &Call, folder: &str, bound: &mut HashMap<String, usize>) {
        let path = if call.name.starts_with("unlink") {
            String::from_utf8_lossy(&call.bytes).into_owned()
        } else {
            call.target.clone()
        };
        if path == folder && call.name.ends_with("sync") {
            return keep(self.names.iter_mut().map(|name| (name.ended, &mut name.kept_from)), call);
        }
        let Some(name) = path.strip_prefix(folder).and_then(|name| name.strip_prefix('/')) else { return };
        if name.ends_with("-shm") || name.contains(" (deleted)") {
            return;
        }
        let (started, ended) = (call.started, call.ended.expect("only calls that returned are replayed"));
        match call.name.as_str() {
            "openat" if call.outline.contains("O_CREAT") && !bound.contains_key(name) => {
                bound.insert(name.to_owned(), self.files.len());
                self.names.push(Naming {
                    name: name.to_owned(),
                    file: Some(self.files.len()),
                    started,
                    ended,
                    kept_from: None,
                });
                self.files.push(Vec::new());
            }
            "openat" => assert!(!call.outline.contains("O_TRUNC"), "this disk knows no O_TRUNC"),
            "unlink" | "unlinkat" => {
                bound.remove(name);
                self.names.push(Naming { name: name.to_owned(), file: None, started, ended, kept_from: None });
            }
            "pwrite64" => {
                let act = Act::Write { offset: call.last_number(), bytes: call.bytes.clone() };
                self.files[bound[name]].push(Change { act, started, ended, kept_from: None });
            }
            "ftruncate" => {
                let act = Act::Truncate { length: call.last_number() };
                self.files[bound[name]].push(Change { act, started, ended, kept_from: None });
            }
            "fsync" | "fdatasync" => {
                let file = bound[name];
                keep(self.files[file].iter_mut().map(|change| (change.ended, &mut change.kept_from)), call);
                let own_name = self.names.iter_mut().filter(|name| name.file == Some(file));
                keep(own_name.map(|name| (name.ended, &mut name.kept_from)), call);
            }
            other => panic!("this disk knows no {other} of a database's file"),
        }
    }

    /// The last line on which something happened.
    pub fn last_line(&self) -> usize {
        self.files.iter().flatten().map(|change| change.ended).max().unwrap_or(0)
    }

    /// Writes the files as a power cut before this line leaves them. With luck, some of what was not flushed is there too.
    pub fn cut(&self, line: usize, mut luck: Option<&mut StdRng>, into: &Path) {
        let kept = |kept_from: Option<usize>| kept_from.is_some_and(|from| from < line);
        let lucky_names = match &mut luck {
            Some(luck) => luck.random_range(0..=self.names.len()),
            None => 0,
        };
        let mut bound: HashMap<&str, usize> = HashMap::new();
        for (place, naming) in self.names.iter().enumerate() {
            if kept(naming.kept_from) || (naming.started < line && place < lucky_names) {
                match naming.file {
                    Some(file) => bound.insert(&naming.name, file),
                    None => bound.remove(naming.name.as_str()),
                };
            }
        }
        for (name, file) in bound {
            let mut contents = Vec::new();
            for change in self.files[file].iter().filter(|change| change.started < line) {
                if kept(change.kept_from) {
                    change.act.whole(&mut contents);
                } else if let Some(luck) = &mut luck
                    && luck.random_bool(0.5)
                {
                    change.act.lucky(luck, &mut contents);
                }
            }
            std::fs::write(into.join(name), contents).unwrap();
        }
    }
}

/// A flush keeps what had returned before it was called. One that failed has thrown it away: Linux marks pages clean whose writing
/// failed, and no later flush writes them again.
fn keep<'a>(changes: impl Iterator<Item = (usize, &'a mut Option<usize>)>, flush: &Call) {
    for (ended, kept_from) in changes {
        if ended < flush.started && kept_from.is_none() {
            *kept_from = if flush.is_flush() { flush.ended } else { Some(usize::MAX) };
        }
    }
}

impl Act {
    fn whole(&self, contents: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(contents, *offset, bytes),
            Self::Truncate { length } => contents.resize(usize::try_from(*length).unwrap(), 0),
        }
    }

    /// Whole, or each sector by chance.
    fn lucky(&self, luck: &mut StdRng, contents: &mut Vec<u8>) {
        let Self::Write { offset, bytes } = self else { return self.whole(contents) };
        if luck.random_bool(0.5) {
            return self.whole(contents);
        }
        let (mut at, mut rest) = (*offset, &bytes[..]);
        while !rest.is_empty() {
            let to_boundary = usize::try_from(SECTOR_BYTES - at % SECTOR_BYTES).unwrap();
            let (sector, later) = rest.split_at(to_boundary.min(rest.len()));
            if luck.random_bool(0.5) {
                put(contents, at, sector);
            }
            at += sector.len() as u64;
            rest = later;
        }
    }
}

fn put(contents: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = usize::try_from(offset).unwrap();
    if contents.len() < start + bytes.len() {
        contents.resize(start + bytes.len(), 0);
    }
    contents[start..start + bytes.len()].copy_from_slice(bytes);
}
