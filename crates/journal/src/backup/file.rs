//! The file of a backup: new, readable by its owner alone, and flushed before it has its name.

use super::refused;
use crate::error::JournalError;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that has its final name only when it is whole; removed when it does not come to that.
pub(super) struct Partial {
    path: PathBuf,
    target: PathBuf,
}

impl Partial {
    pub(super) fn create(target: &Path) -> Result<Self, JournalError> {
        if target.exists() {
            return Err(exists(target));
        }
        let path = beside(target, ".partial");
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => refused(format!("{} is there from another backup; remove it", path.display())),
            _ => failed("creating", &path, &error),
        })?;
        Ok(Self { path, target: target.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name; answers its size.
    pub(super) fn finish(self) -> Result<u64, JournalError> {
        let bytes = flush(&self.path)?;
        // Unlike a rename, a link never takes the place of a file that came meanwhile.
        fs::hard_link(&self.path, &self.target).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => exists(&self.target),
            _ => failed("naming", &self.target, &error),
        })?;
        let target = self.target.clone();
        drop(self);
        flush_folder(&target)?;
        Ok(bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It may never have been made whole; what is left behind is named in the next attempt's refusal.
        let _ = fs::remove_file(&self.path);
    }
}

fn exists(path: &Path) -> JournalError {
    refused(format!("{} exists, and a backup never overwrites", path.display()))
}

/// A name beside this one.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Flushes a file; answers its size.
pub(super) fn flush(path: &Path) -> Result<u64, JournalError> {
    let flushed = File::open(path).and_then(|file| file.sync_all().and_then(|()| file.metadata()));
    flushed.map(|metadata| metadata.len()).map_err(|error| failed("flushing", path, &error))
}

/// Flushes the folder of a file, where its name stands.
pub(super) fn flush_folder(path: &Path) -> Result<(), JournalError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed("flushing", folder, &error))
}

pub(super) fn failed(doing: &str, path: &Path, error: &std::io::Error) -> JournalError {
    refused(format!("{doing} {}: {error}", path.display()))
}

/// A file of lines for another program; removed with this value.
pub(super) struct Lines(PathBuf);

impl Lines {
    pub(super) fn write(text: &str) -> Result<Self, JournalError> {
        let path = std::env::temp_dir().join(format!("campanile-{:016x}.list", rand::random::<u64>()));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = made.map_err(|error| failed("creating", &path, &error))?;
        let lines = Self(path);
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(|error| failed("writing", &lines.0, &error))?;
        Ok(lines)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // It lies in the folder of temporary files, which is swept anyway.
        let _ = fs::remove_file(&self.0);
    }
}
