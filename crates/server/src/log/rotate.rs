//! A log file that begins anew at midnight or when it is full, and keeps a number of its predecessors.

use crate::config::{Log, LogRotation};
use campanile_journal::{Clock, SystemClock};
use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

const DAY_MS: i64 = 86_400_000;

/// The current file and when it ends.
pub(super) struct RotatingFile {
    path: PathBuf,
    rotate: LogRotation,
    bytes_max: u64,
    keep_files: usize,
    clock: Arc<dyn Clock>,
    file: File,
    bytes: u64,
    day: i64,
}

impl RotatingFile {
    /// Opens the file, or goes on with it.
    pub(super) fn open(path: &Path, log: &Log) -> io::Result<Self> {
        Self::with_clock(path, log, Arc::new(SystemClock))
    }

    fn with_clock(path: &Path, log: &Log, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let file = append_to(path)?;
        let metadata = file.metadata()?;
        // A file of yesterday's ends with today's first line, even when the server was off at midnight.
        let written_ms = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let day = match metadata.len() {
            0 => clock.now_ms() / DAY_MS,
            _ => i64::try_from(written_ms).unwrap_or(0) / DAY_MS,
        };
        Ok(Self {
            path: path.to_owned(),
            rotate: log.rotate,
            bytes_max: log.file_bytes_max.max(1),
            keep_files: log.keep_files,
            clock,
            file,
            bytes: metadata.len(),
            day,
        })
    }

    fn is_over(&self, more: u64) -> bool {
        self.bytes > 0
            && match self.rotate {
                LogRotation::Daily => self.clock.now_ms() / DAY_MS != self.day,
                LogRotation::Size => self.bytes + more > self.bytes_max,
            }
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        for place in (0..self.keep_files).rev() {
            let (from, to) = (self.place(place), self.place(place + 1));
            if from.exists() {
                rename(from, to)?;
            }
        }
        if self.keep_files == 0 {
            std::fs::remove_file(&self.path)?;
        }
        self.file = append_to(&self.path)?;
        (self.bytes, self.day) = (0, self.clock.now_ms() / DAY_MS);
        Ok(())
    }

    /// The file itself, or its predecessor of that number.
    fn place(&self, number: usize) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        name.into()
    }
}

impl Write for RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A file that cannot be moved is gone on with: an overlong log is better than none.
        if self.is_over(line.len() as u64) {
            let _ = self.begin_anew();
        }
        let written = self.file.write(line)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, RotatingFile};
    use crate::config::{Log, LogRotation};
    use campanile_journal::{Clock, ManualClock, SystemClock};
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::path::Path;

    fn files(folder: &Path) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        entries.map(|entry| (entry.file_name().into_string().unwrap(), read(&entry.path()))).collect()
    }

    fn expect(folder: &Path, expected: &[(&str, &str)]) {
        let expected = expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(files(folder), expected);
    }

    #[test]
    fn a_full_file_moves_on_and_the_oldest_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log { rotate: LogRotation::Size, file_bytes_max: 10, keep_files: 2, ..Log::default() };
        let mut file = RotatingFile::open(&folder.path().join("log"), &log).unwrap();
        for line in ["one.\n", "two.\n", "three\n", "four\n", "five which is long\n", "six\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        expect(folder.path(), &[("log", "six\n"), ("log.1", "five which is long\n"), ("log.2", "four\n")]);
    }

    #[test]
    fn a_new_day_begins_a_new_file_and_a_restart_goes_on_with_todays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log { keep_files: 1, ..Log::default() };
        let now_ms = SystemClock.now_ms();
        let clock = ManualClock::at(now_ms);
        for line in ["a\n", "b\n"] {
            let mut file = RotatingFile::with_clock(&path, &log, clock.clone()).unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
        expect(folder.path(), &[("log", "a\nb\n")]);
        clock.advance_ms(DAY_MS);
        let mut file = RotatingFile::with_clock(&path, &log, clock).unwrap();
        file.write_all(b"c\n").unwrap();
        file.write_all(b"d\n").unwrap();
        expect(folder.path(), &[("log", "c\nd\n"), ("log.1", "a\nb\n")]);
    }
}
