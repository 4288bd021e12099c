//! The server's certificate: read at the start, read again when its files change. A broken new one leaves the old one in place.

use crate::config::Tls;
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The certificate in use. Connections keep the one that they began with.
pub(crate) struct Certificate {
    files: Tls,
    current: ArcSwap<ServerConfig>,
}

/// By what a changed file shows: when it was written, and how long it is.
type Marks = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be read, or do not belong together.
    pub(crate) fn load(files: &Tls) -> Result<Self> {
        Ok(Self { files: files.clone(), current: ArcSwap::from_pointee(read(files)?) })
    }

    /// What the next handshake uses.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Follows the files until `stop`. SIGHUP has them read at once.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) -> Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut seen = marks(&self.files).await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {
                    let now = marks(&self.files).await;
                    if now == seen {
                        continue;
                    }
                    seen = now;
                }
                _ = hangup.recv() => seen = marks(&self.files).await,
                () = stop.cancelled() => return Ok(()),
            }
            self.reload().await;
        }
    }

    async fn reload(&self) {
        let files = self.files.clone();
        match tokio::task::spawn_blocking(move || read(&files)).await.map_err(anyhow::Error::from).flatten() {
            Ok(config) => {
                self.current.store(Arc::new(config));
                tracing::info!("the certificate was read again; new connections get it");
            }
            // Between the writing of two files they do not fit: the next look finds them whole.
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the new certificate cannot be used; the old one stays"),
        }
    }
}

async fn marks(files: &Tls) -> Marks {
    let mut marks = [None, None];
    for (mark, file) in marks.iter_mut().zip([&files.certificate_file, &files.key_file]) {
        *mark = tokio::fs::metadata(file).await.ok().and_then(|data| Some((data.modified().ok()?, data.len())));
    }
    marks
}

fn read(files: &Tls) -> Result<ServerConfig> {
    let Tls { certificate_file, key_file } = files;
    let place = || format!("tls.certificate_file {}", certificate_file.display());
    let chain = CertificateDer::pem_file_iter(certificate_file).with_context(place)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().with_context(place)?;
    let key = PrivateKeyDer::from_pem_file(key_file).with_context(|| format!("tls.key_file {}", key_file.display()))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).with_context(|| {
        format!("tls: {} and {} do not belong together or are not understood", certificate_file.display(), key_file.display())
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A school that comes back resumes its sessions without a signature each. Early data, which can be replayed, stays off.
    config.ticketer = Ticketer::new()?;
    Ok(config)
}
