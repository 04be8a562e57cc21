//! Owns how one value of the configuration file is read: words, numbers, durations, sizes, paths. Pure.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use toml::de::DeValue;

use super::{Wrong, codes};
use crate::text::nearest;

/// The words of `log_level`.
pub(super) const LOG_LEVELS: &[(&str, tracing::Level)] = &[
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
    ("trace", tracing::Level::TRACE),
];

const DURATION_UNITS: &[(&str, f64)] =
    &[("ms", 0.001), ("s", 1.0), ("sec", 1.0), ("min", 60.0), ("m", 60.0), ("h", 3600.0)];
const DURATION_HINT: &str = "write a number of seconds, or a number with ms, s, min or h, as \"180s\"";
/// Longer than a day is a slip: it would keep a dead event's device without its names.
const LONGEST: f64 = 86_400.0;

const SIZE_UNITS: &[(&str, usize)] = &[("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];
const SIZE_HINT: &str = "write a number of bytes, or a number with K, M or G, as \"128M\"";

fn wrong_type(value: &DeValue<'_>, hint: impl Into<String>) -> Wrong {
    let message = format!("{} can't stand here", value.type_str());
    Wrong { code: codes::WRONG_TYPE, message, hint: hint.into() }
}

fn bad_value(message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong { code: codes::BAD_VALUE, message: message.into(), hint: hint.into() }
}

/// One of these words.
pub(super) fn one_of<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, Wrong> {
    let list = || words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let text = value.as_str().ok_or_else(|| wrong_type(value, format!("write one of {}", list())))?;
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let hint = match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(meant) => format!("write \"{meant}\""),
            None => format!("write one of {}", list()),
        };
        bad_value(format!("\"{text}\" is none of its words"), hint)
    })
}

/// A whole number between the two, both included.
pub(super) fn whole(value: &DeValue<'_>, min: usize, max: usize) -> Result<usize, Wrong> {
    let hint = format!("write a whole number from {min} to {max}");
    let number = value.as_integer().ok_or_else(|| wrong_type(value, hint.clone()))?;
    i64::from_str_radix(number.as_str(), number.radix())
        .ok()
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| bad_value(format!("{number} is out of bounds"), hint))
}

/// A time longer than nothing and at most a day: a number of seconds, or text with a unit.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, Wrong> {
    let (text, seconds) = match value {
        DeValue::Integer(n) => {
            (n.to_string(), i64::from_str_radix(n.as_str(), n.radix()).ok().map(as_seconds))
        }
        DeValue::Float(n) => (n.to_string(), n.as_str().parse().ok()),
        DeValue::String(text) => (format!("\"{text}\""), with_unit(text)),
        _ => return Err(wrong_type(value, DURATION_HINT)),
    };
    let seconds = seconds.ok_or_else(|| bad_value(format!("{text} is no duration"), DURATION_HINT))?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero() && seconds <= LONGEST)
        .ok_or_else(|| {
            bad_value(format!("{text} is out of bounds"), "more than nothing, and at most a day: 24h")
        })
}

/// A signal.
pub(super) fn signal(value: &DeValue<'_>) -> Result<Signal, Wrong> {
    let hint = "write a name as signal(7) has it, as \"SIGTERM\"";
    let text = value.as_str().ok_or_else(|| wrong_type(value, hint))?;
    signal_of(text).ok_or_else(|| bad_value(format!("\"{text}\" is no signal"), hint))
}

/// A signal by its name, with `SIG` in front or without, or by its number.
pub fn signal_of(text: &str) -> Option<Signal> {
    let by_number = || Signal::try_from(text.parse::<i32>().ok()?).ok();
    text.parse().ok().or_else(|| format!("SIG{text}").parse().ok()).or_else(by_number)
}

/// The same, or nothing at all: 0.
pub(super) fn duration_or_none(value: &DeValue<'_>) -> Result<Duration, Wrong> {
    let is_none = match value {
        DeValue::Integer(n) => n.as_str().parse::<i64>() == Ok(0),
        DeValue::String(text) => with_unit(text) == Some(0.0),
        _ => false,
    };
    if is_none { Ok(Duration::ZERO) } else { duration(value) }
}

/// A time as systemd's tools write it, `90`, `1min 30s`, and at most a day.
pub fn time_span(text: &str) -> Option<Duration> {
    crate::text::time_span(text).filter(|span| span.as_secs_f64() <= LONGEST)
}

fn as_seconds(whole: i64) -> f64 {
    // Beyond 32 bits it is out of bounds anyway; infinity says so.
    i32::try_from(whole).map_or(f64::INFINITY, f64::from)
}

fn with_unit(text: &str) -> Option<f64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(at)?;
    let unit = unit.trim_start();
    let factor = if unit.is_empty() { 1.0 } else { DURATION_UNITS.iter().find(|(name, _)| *name == unit)?.1 };
    Some(number.parse::<f64>().ok()? * factor)
}

/// A number of bytes that the kernel takes as a buffer's size (1 to `i32::MAX`): a number, or text with a unit.
pub(super) fn size(value: &DeValue<'_>) -> Result<usize, Wrong> {
    const MAX: usize = 0x7fff_ffff;
    match value {
        DeValue::Integer(_) => {
            whole(value, 1, MAX).map_err(|wrong| Wrong { hint: SIZE_HINT.into(), ..wrong })
        }
        DeValue::String(text) => {
            let bytes =
                bytes_of(text).ok_or_else(|| bad_value(format!("\"{text}\" is no size"), SIZE_HINT))?;
            let fits = (1..=MAX).contains(&bytes);
            fits.then_some(bytes).ok_or_else(|| {
                bad_value(format!("\"{text}\" is out of bounds"), "more than 0 and less than 2G")
            })
        }
        _ => Err(wrong_type(value, SIZE_HINT)),
    }
}

fn bytes_of(text: &str) -> Option<usize> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(at)?;
    let unit = unit.trim_start();
    let unit = unit.strip_suffix("iB").unwrap_or(unit);
    let factor = if unit.is_empty() { 1 } else { SIZE_UNITS.iter().find(|(name, _)| *name == unit)?.1 };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

/// An absolute path.
pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, Wrong> {
    let hint = "write an absolute path as a string";
    let text = value.as_str().ok_or_else(|| wrong_type(value, hint))?;
    let path = PathBuf::from(text);
    // A daemon's working directory is nothing that a person who writes the file knows.
    if path.is_absolute() { Ok(path) } else { Err(bad_value(format!("\"{text}\" is not absolute"), hint)) }
}

/// A list of absolute paths.
pub(super) fn paths(value: &DeValue<'_>) -> Result<Vec<PathBuf>, Wrong> {
    let list =
        value.as_array().ok_or_else(|| wrong_type(value, "write a list of paths, as [\"/srv/rules\"]"))?;
    list.iter().map(|entry| path(entry.get_ref())).collect()
}
