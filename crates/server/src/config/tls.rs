//! `[tls]`: the certificate with which the server speaks TLS itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// TLS 1.2 and 1.3, served directly. Both files are read again when they change.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and its chain, as PEM, the server's own first.
    #[schemars(extend("x-file" = true), example = &"certificate.pem")]
    pub certificate_file: PathBuf,
    /// Its private key, as PEM (PKCS #8, PKCS #1 or SEC1).
    #[schemars(extend("x-file" = true), example = &"key.pem")]
    pub key_file: PathBuf,
}
