//! Students ask each other to look over their work.

pub mod event;
mod http;
mod request_review;

#[cfg(test)]
mod tests;

pub use request_review::RequestReview;

use campanile_contract::{CommandType, Feature, Migration};

/// The table of contents.
pub const FEATURE: Feature = Feature {
    name: "peer_review",
    migrations: &[Migration { feature: "peer_review", number: 1, sql: include_str!("0001.sql") }],
    channel_kinds: &[],
    events: &[event::REVIEW_REQUESTED],
    commands: &[CommandType::of::<RequestReview>()],
    routes: http::ROUTES,
    views: &[],
    jobs: &[],
};
