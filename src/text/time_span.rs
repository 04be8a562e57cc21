//! Owns lengths of time as people write them for systemd: `5`, `1min 30s`, `infinity`.

use std::time::Duration;

/// What `infinity` stands for: longer than any machine runs.
pub const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// A time as systemd writes it (systemd.time(7)): seconds, or numbers with units from `us` to `y`, which are added; `infinity` is
/// [`FOREVER`]. `None` for anything else, and for what 64 bits of microseconds do not hold.
pub fn time_span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "infinity" {
        return Some(FOREVER);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let (usec, after) = part(rest)?;
        sum = sum.checked_add(usec)?;
        rest = after.trim_start();
    }
    Some(Duration::from_micros(sum))
}

/// One number with its unit, in microseconds, and what is behind it.
fn part(text: &str) -> Option<(u64, &str)> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, after) = text.split_at_checked(digits(text))?;
    let (fraction, after) = match after.strip_prefix('.') {
        // a point is not the end of a number
        Some(after) => after.split_at_checked(digits(after)).filter(|(digits, _)| !digits.is_empty())?,
        None if whole.is_empty() => return None,
        None => ("", after),
    };
    // what is behind a number without a unit has to stand apart
    let begin = after.trim_start();
    let (unit, rest) =
        begin.split_at_checked(begin.find(|c: char| !c.is_alphabetic()).unwrap_or(begin.len()))?;
    if unit.is_empty() && begin.len() == after.len() && !after.is_empty() {
        return None;
    }
    let unit = usec(unit)?;
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let mut sum = whole.checked_mul(unit)?;
    let mut place = unit / 10;
    for digit in fraction.bytes() {
        sum = sum.checked_add(u64::from(digit - b'0').checked_mul(place)?)?;
        place /= 10;
    }
    Some((sum, rest))
}

/// The microseconds of a unit.
fn usec(unit: &str) -> Option<u64> {
    const SECOND: u64 = 1_000_000;
    Some(match unit {
        "us" | "usec" | "\u{b5}s" | "\u{3bc}s" => 1,
        "ms" | "msec" => 1000,
        "" | "s" | "sec" | "second" | "seconds" => SECOND,
        "m" | "min" | "minute" | "minutes" => 60 * SECOND,
        "h" | "hr" | "hour" | "hours" => 3600 * SECOND,
        "d" | "day" | "days" => 86_400 * SECOND,
        "w" | "week" | "weeks" => 7 * 86_400 * SECOND,
        // a twelfth of the year, which has 365.25 days
        "M" | "month" | "months" => 2_629_800 * SECOND,
        "y" | "year" | "years" => 31_557_600 * SECOND,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What systemd 257's udevadm takes and refuses, and what it waits by `systemd-analyze timespan`.
    #[test]
    fn times() {
        for (text, expected) in [
            ("5", Some(5.0)),
            ("0", Some(0.0)),
            ("2.5", Some(2.5)),
            (".5", Some(0.5)),
            ("500ms", Some(0.5)),
            ("5 ms", Some(0.005)),
            ("1us", Some(0.000_001)),
            ("1\u{b5}s", Some(0.000_001)),
            ("1min 30s", Some(90.0)),
            ("1min30s", Some(90.0)),
            ("1 2", Some(3.0)),
            (" 7 ", Some(7.0)),
            ("2h", Some(7200.0)),
            ("1.5h", Some(5400.0)),
            ("1w", Some(604_800.0)),
            ("1M 2d", Some(2_802_600.0)),
            ("1y", Some(31_557_600.0)),
            ("infinity", Some(4_294_967_295.0)),
            ("x", None),
            ("", None),
            ("+1", Some(1.0)),
            ("-5", None),
            ("++1", None),
            ("5.", None),
            (".", None),
            ("1.2.3", None),
            ("1MIN", None),
            ("5 parsecs", None),
            ("5,", None),
            ("99999999999999999999", None),
            ("99999999999999", None),
        ] {
            assert_eq!(time_span(text).map(|time| time.as_secs_f64()), expected, "{text}");
        }
    }
}
