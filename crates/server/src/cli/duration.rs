//! Durations as people type them: `90s`, `10m`, `1h30m`, `500ms`, `7d`.

use std::time::Duration;

/// A hundred years: what is longer is a slip of the finger.
const DURATION_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a duration; a unit is needed.
///
/// # Errors
/// A sentence with the legal spellings.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration is numbers with units, such as 90s, 10m, 1h30m, 500ms or 7d".to_owned();
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|sign: char| !sign.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest.find(|sign: char| sign.is_ascii_digit()).unwrap_or(rest.len());
        let each_ms: u64 = match &rest[..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        rest = &rest[unit..];
        let part = number.checked_mul(each_ms).map(Duration::from_millis);
        total = part.and_then(|part| total.checked_add(part)).filter(|total| *total <= DURATION_MAX).ok_or_else(wrong)?;
    }
    Ok(total)
}

/// A duration as a person reads it, to its two largest units.
pub(super) fn spelled(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, spelled};
    use std::time::Duration;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("1h30m", 5_400), ("7d", 604_800), (" 2h ", 7_200)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("1s500ms"), Ok(Duration::from_millis(1_500)));
        for wrong in ["", "5", "h", "1y", "-1h", "1.5h", "1h x", "99999999999999999999s", "36501d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_told_in_units_that_fit() {
        let told = [40, 90_000, 600_000, 9_000_000, 200_000_000].map(|ms| spelled(Duration::from_millis(ms)));
        assert_eq!(told, ["40 ms", "90 s", "10 min", "2 h 30 min", "2 days"]);
    }
}
