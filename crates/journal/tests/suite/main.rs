//! The journal's contract, held on SQLite and on a real PostgreSQL alike, in good and in bad store weather.
//!
//! PostgreSQL is the server that `CAMPANILE_TEST_POSTGRES` names; its rules are skipped, with one line, when there is none.

#![allow(clippy::unwrap_used, reason = "clippy sees tests only in the functions that carry the attribute")]

#[macro_use]
mod site;

mod child;
mod commands;
#[path = "../../examples/commit_loop.rs"]
mod commit_loop;
mod disk;
mod keys;
mod members;
mod order;
mod postgres;
mod power;
mod retention;
mod server;
mod start;
mod sync;
mod tickets;
mod trace;
mod watching;
mod weather;
