//! Where load and storm play: on a server that runs already, or on one of their own.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    keys::Keys,
    server::{Limits, Server, Setup},
};

/// Which server.
#[derive(Args)]
pub struct PlaceArgs {
    /// A running server, as 127.0.0.1:8000; without it one is started on an empty SQLite store
    #[arg(long, requires = "secret", requires = "api_key")]
    addr: Option<SocketAddr>,
    /// The running server's hs256_secret
    #[arg(long)]
    secret: Option<String>,
    /// An API key of the running server with the scopes publish and roster
    #[arg(long)]
    api_key: Option<String>,
    /// The running server's process id, to measure its memory and processor time
    #[arg(long)]
    pid: Option<u32>,
    /// The binary to start
    #[arg(long, default_value = "target/release/campanile")]
    campanile: PathBuf,
    /// The started server's admission limit
    #[arg(long, default_value_t = 5_000)]
    connects_per_second: u32,
}

/// The server to play on.
pub struct Place {
    pub address: SocketAddr,
    pub keys: Keys,
    pub pid: Option<u32>,
    own: Option<Server>,
}

// === impl Place ===

impl Place {
    /// Finds the server or starts it.
    pub async fn open(args: PlaceArgs) -> Result<Self> {
        if let Some(address) = args.addr {
            let keys = Keys {
                hs256_secret: args.secret.context("--secret is missing")?,
                api_key: args.api_key.context("--api-key is missing")?,
            };
            return Ok(Self { address, keys, pid: args.pid, own: None });
        }
        let directory = PathBuf::from(format!("target/bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let directory = directory.canonicalize()?;
        let store = format!("sqlite://{}/campanile.db", directory.display());
        let limits = Limits {
            connects_per_second: args.connects_per_second,
            publishes_per_second: 1_000_000,
            connections_per_address: 20_000,
        };
        let mut server =
            Server::prepare(Setup { binary: args.campanile, directory, store, limits, more_config: String::new() })?;
        server.start().await?;
        Ok(Self { address: server.address, keys: server.keys.clone(), pid: Some(server.pid()?), own: Some(server) })
    }

    /// Stops the server, when it is ours.
    pub async fn close(mut self) -> Result<()> {
        if let Some(mut server) = self.own.take() {
            server.stop().await?;
            server.clean_up()?;
        }
        Ok(())
    }
}
