//! Tokens and API keys as arguments: from the environment, a file or standard input, so that they need not stand in the list of processes.

use super::{Source, Usage};
use crate::config::Config;
use crate::demo::{self, DevKeys};
use anyhow::{Context, Result, bail};
use std::io::Read;

/// Bytes of the longest credential that is read.
const CREDENTIAL_BYTES_MAX: u64 = 16 * 1024;

/// The credential that an argument stands for: `-` is standard input, `@file` a file, anything else itself.
pub(super) fn read(given: &str) -> Result<String> {
    let mut text = String::new();
    if given == "-" {
        std::io::stdin().take(CREDENTIAL_BYTES_MAX).read_to_string(&mut text).context("reading the credential")?;
    } else if let Some(path) = given.strip_prefix('@') {
        let file = std::fs::File::open(path).with_context(|| format!("opening {path}"))?;
        file.take(CREDENTIAL_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("reading {path}"))?;
    } else {
        text.push_str(given);
    }
    let text = text.trim();
    if text.is_empty() || !text.chars().all(|sign| sign.is_ascii_graphic()) {
        // Never repeats what was given: it may be most of a secret.
        bail!("the credential is empty, or holds something else than visible ASCII signs");
    }
    Ok(text.to_owned())
}

/// The configuration, with the keys of the `--dev` server whose database it names.
pub(super) fn config_of(source: &Source, dev: bool) -> Result<Config> {
    let mut config = source.read()?;
    if dev {
        dev_keys(&config)?.add_to(&mut config);
    }
    Ok(config)
}

/// The keys of a development server that has run on this store.
pub(super) fn dev_keys(config: &Config) -> Result<DevKeys> {
    let path = demo::keys_path(config);
    DevKeys::existing(config)?.with_context(|| {
        let path = path.display();
        format!("{path} is not there: run this in the folder of `campanile serve --dev`, or name its database with --store")
    })
}

/// The API key that a command sends.
pub(super) fn api_key(given: Option<&str>, dev: bool, source: &Source) -> Result<String> {
    match given {
        Some(given) => read(given),
        None if dev => Ok(dev_keys(&source.read()?)?.api_key().to_owned()),
        None => Err(Usage(
            "no API key: set CAMPANILE_KEY, or give --key @file or --key - (standard input); with a development server, --dev"
                .into(),
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::io::Write;

    #[test]
    fn a_credential_may_stand_in_a_file_with_a_line_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "ck_abc").unwrap();
        assert_eq!(read(&format!("@{}", file.path().display())).unwrap(), "ck_abc");
        assert_eq!(read("ck_abc").unwrap(), "ck_abc");
    }

    #[test]
    fn what_cannot_be_a_credential_is_refused_without_being_repeated() {
        for wrong in ["", " ", "secret secret", "secret\u{1b}"] {
            let told = read(wrong).unwrap_err().to_string();
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
