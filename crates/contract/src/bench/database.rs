//! A database of its own for each test, on the PostgreSQL server that the environment names.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells apart the databases of one test process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A fresh database; dropped with this value.
pub(super) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A fresh database where `CAMPANILE_TEST_POSTGRES` is the address of a server whose user may create some; otherwise none.
    pub(super) fn on_the_named_server() -> Option<Self> {
        let server = std::env::var("CAMPANILE_TEST_POSTGRES").ok()?;
        let name = format!("bench_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        database.tell(&format!("CREATE DATABASE {}", database.name));
        Some(database)
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("the server's address ends with a database");
        format!("{server}/{}", self.name)
    }

    /// By the server's own client: a database cannot be made inside a transaction, and the journal does everything inside one.
    fn tell(&self, sql: &str) {
        let folder = std::env::var_os("CAMPANILE_TEST_POSTGRES_BIN").map(PathBuf::from).unwrap_or_default();
        let status = Command::new(folder.join("psql")).args(["-qX", &self.server, "-c", sql]).status();
        assert!(status.expect("psql starts").success(), "PostgreSQL refused {sql}");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.tell(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}
