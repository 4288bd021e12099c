//! The binary's parts: configuration, identity, routes and commands. It puts the house together and decides nothing about subjects.

pub mod app;
pub mod auth;
mod certificate;
pub mod cli;
pub mod config;
mod demo;
mod gate;
#[cfg(test)]
mod host;
pub mod http;
mod identity;
mod introspection;
mod issuer;
mod listen;
mod log;
mod maintenance;
mod measures;
mod notify;
mod outbound;
mod proxy;
mod refusals;
mod reload;
mod stall;
pub mod sync;
mod telemetry;
mod transport;
