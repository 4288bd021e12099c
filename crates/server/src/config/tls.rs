//! `[tls]`: the certificate with which the server speaks TLS itself.

use serde::Deserialize;
use std::path::PathBuf;

/// TLS 1.2 and 1.3, served directly. Both files are read again when they change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and its chain, as PEM, the server's own first.
    pub certificate_file: PathBuf,
    /// Its private key, as PEM (PKCS #8, PKCS #1 or SEC1).
    pub key_file: PathBuf,
}
