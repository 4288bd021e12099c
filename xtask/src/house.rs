//! The repository as the checks see it: every text file that is ours, and cargo's own view of the crates.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::rust::Source;

/// Folders that hold nothing of ours.
const NOT_OURS: [&str; 6] = ["target", ".git", ".campanile", "node_modules", "__pycache__", "corpus"];
/// A file above this is data, not text that somebody reads.
const FILE_BYTES_MAX: u64 = 2_000_000;

/// All that a check may look at. It is a value, so that a test can plant a house with a fault.
#[derive(Default)]
pub struct House {
    /// Text by path, relative to the root, with `/`.
    pub files: BTreeMap<String, String>,
    /// The Rust files among them, read into tokens.
    pub sources: BTreeMap<String, Source>,
    /// Every other file's path: enough to know that it exists.
    pub others: Vec<String>,
    /// The answer of `cargo metadata --no-deps`.
    pub metadata: serde_json::Value,
}

impl House {
    /// Reads the repository at `root`.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut house = Self { metadata: cargo_metadata(root)?, ..Self::default() };
        house.read_folder(root, "")?;
        Ok(house)
    }

    /// A house made of these files alone.
    #[cfg(test)]
    pub fn planted(files: &[(&str, &str)]) -> Self {
        let mut house = Self::default();
        for (path, text) in files {
            house.add((*path).to_owned(), (*text).to_owned());
        }
        house
    }

    /// Whether a file or a folder of this path exists.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        let mut every_path = self.files.keys().chain(&self.others);
        every_path.any(|known| known == path || known.starts_with(&folder))
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        for entry in folder.read_dir().with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !NOT_OURS.contains(&name.as_str()) {
                    self.read_folder(&entry.path(), &format!("{path}/"))?;
                }
            } else if kind.is_file() {
                match text_of(&entry.path(), entry.metadata()?.len())? {
                    Some(text) => self.add(path, text),
                    None => self.others.push(path),
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: String, text: String) {
        if path.ends_with(".rs") {
            self.sources.insert(path.clone(), Source::read(&path, &text));
        }
        self.files.insert(path, text);
    }
}

fn text_of(path: &Path, length: u64) -> anyhow::Result<Option<String>> {
    if length > FILE_BYTES_MAX {
        return Ok(None);
    }
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8(bytes).ok())
}

fn cargo_metadata(root: &Path) -> anyhow::Result<serde_json::Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answer = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root)
        .output()
        .context("starting cargo metadata")?;
    anyhow::ensure!(answer.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&answer.stderr));
    serde_json::from_slice(&answer.stdout).context("reading what cargo metadata answered")
}
