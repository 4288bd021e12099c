//! The binary's parts: configuration, identity, routes and commands. It puts the house together and decides nothing about subjects.

pub mod app;
pub mod auth;
mod certificate;
pub mod cli;
pub mod config;
mod demo;
mod gate;
pub mod http;
mod identity;
mod listen;
mod log;
mod maintenance;
mod measures;
mod notify;
mod proxy;
mod reload;
mod stall;
pub mod sync;
mod telemetry;
mod transport;
