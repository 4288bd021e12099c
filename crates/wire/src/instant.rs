//! Instants: unix milliseconds inside, ISO 8601 UTC with milliseconds on the wire.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// `2026-01-15T10:30:00.000Z`. Instants outside of the years 0 to 9999 are clamped.
pub fn format(unix_ms: i64) -> String {
    const YEAR_9999_END_MS: i64 = 253_402_300_799_999;
    const YEAR_0_START_MS: i64 = -62_167_219_200_000;
    let clamped = unix_ms.clamp(YEAR_0_START_MS, YEAR_9999_END_MS);
    let shape = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(clamped) * 1_000_000)
        .ok()
        .and_then(|at| at.format(shape).ok())
        .expect("a clamped instant has a calendar date")
}

/// Reads an ISO 8601 (RFC 3339) instant with any offset; `None` when it is not one.
pub fn parse(text: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}
