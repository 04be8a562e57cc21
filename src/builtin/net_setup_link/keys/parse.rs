//! Owns how the values of keys are read: one function for each kind of value, and what is said of one that is none.
//!
//! An empty value takes back what was said before. Never knows which key a value belongs to.

use std::ops::RangeInclusive;
use std::path::{Component, PathBuf};

use bstr::{BString, ByteSlice};

use super::super::link_file::{AddressPolicy, Policy, WakePassword};
use super::super::modes::MODES;
use super::super::values::{
    Quoting, Wrong, address, is_alternative_name, is_name, microseconds, number, size, words,
};
use super::{Taken, Unit, WAKE};
use crate::builtin::interface::{Count, Password, Processors};
use crate::builtin::net_id::boolean;
use crate::text::nearest;
use crate::text::space::is_space;

/// Highest number of a processor that any kernel has, and one more.
const PROCESSORS: u32 = 8192;

/// Sets, or takes back with an empty value.
pub(super) fn set<T>(
    slot: &mut Option<T>,
    value: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, Wrong>,
) -> Taken {
    *slot = if value.is_empty() { None } else { Some(parse(value)?) };
    Ok(())
}

/// The same for a value that may leave things as they are.
pub(super) fn set_or_leave<T>(
    slot: &mut Option<T>,
    value: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<Option<T>, Wrong>,
) -> Taken {
    *slot = if value.is_empty() { None } else { parse(value)? };
    Ok(())
}

/// Takes each word that can be taken, and says what is wrong with the others.
pub(in super::super) fn each(value: &[u8], quoting: Quoting, mut take: impl FnMut(&[u8]) -> Taken) -> Taken {
    let taken = words(value, quoting).into_iter().map(|word| word.and_then(|word| take(&word)));
    let wrong: Vec<Wrong> = taken.filter_map(Result::err).collect();
    let hint = wrong.iter().find_map(|wrong| wrong.hint.clone());
    let messages: Vec<String> = wrong.into_iter().map(|wrong| wrong.message).collect();
    if messages.is_empty() { Ok(()) } else { Err(Wrong { message: messages.join("; "), hint }) }
}

fn shown(value: &[u8]) -> String {
    format!("`{}`", value.as_bstr())
}

fn none_such(value: &[u8], what: &str, hint: &str) -> Wrong {
    Wrong::from(format!("{} is no {what}", shown(value))).hint(hint)
}

pub(super) fn yes_or_no(value: &[u8]) -> Result<bool, Wrong> {
    boolean(value).ok_or_else(|| {
        Wrong::from(format!("{} is neither yes nor no", shown(value))).hint("write `yes` or `no`")
    })
}

pub(super) fn within(value: &[u8], min: u32, max: u32) -> Result<u32, Wrong> {
    let fits = number(value).filter(|number| (min..=max).contains(number));
    fits.ok_or_else(|| format!("{} is no number from {min} to {max}", shown(value)).into())
}

/// A number; 0 leaves things as they are.
pub(super) fn some_within(value: &[u8]) -> Result<Option<u32>, Wrong> {
    within(value, 0, u32::MAX).map(|number| Some(number).filter(|&number| number > 0))
}

/// A number of bytes, at most what 32 bits hold.
pub(super) fn bytes(value: &[u8]) -> Result<u32, Wrong> {
    let found = size(value, 1024).ok_or_else(|| {
        none_such(value, "number of bytes", "write it as `1400` or `9K` (K, M, G: times 1024)")
    })?;
    u32::try_from(found).map_err(|_| format!("{} is more than {} bytes", shown(value), u32::MAX).into())
}

/// The same where 0 leaves things as they are.
pub(super) fn some_bytes(value: &[u8]) -> Result<Option<u32>, Wrong> {
    bytes(value).map(|bytes| Some(bytes).filter(|&bytes| bytes > 0))
}

/// Bits a second in, whole megabits out; 0 leaves the speed as it is.
pub(super) fn megabits(value: &[u8]) -> Result<Option<u32>, Wrong> {
    let megabits = size(value, 1000).and_then(|bits| u32::try_from(bits.div_ceil(1_000_000)).ok());
    let megabits = megabits
        .ok_or_else(|| none_such(value, "number of bits a second", "write it as `100M` or `2500M`"))?;
    Ok(Some(megabits).filter(|&megabits| megabits > 0))
}

pub(super) fn one_of<T: Copy>(value: &[u8], table: &[(&str, T)]) -> Result<T, Wrong> {
    let known = table.iter().find(|(name, _)| name.as_bytes() == value);
    known.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let names = || table.iter().map(|(name, _)| *name);
        let hint = match nearest(&value.to_str_lossy(), names()) {
            Some(meant) => format!("write `{meant}`"),
            None if table.len() > 10 => "systemd.link(5) lists them".to_owned(),
            None => format!("write one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        Wrong::from(format!("{} is none of its words", shown(value))).hint(hint)
    })
}

pub(super) fn count(value: &[u8]) -> Result<Count, Wrong> {
    if value == b"max" {
        return Ok(Count::Max);
    }
    within(value, 1, u32::MAX).map(Count::Of).map_err(|wrong| wrong.hint("`max` is as many as the card can"))
}

impl Unit {
    pub(super) fn parse(self, value: &[u8]) -> Result<u32, Wrong> {
        let time = || -> Result<u32, Wrong> {
            let time = microseconds(value)
                .ok_or_else(|| none_such(value, "span of time", "write it as `50us`, `2ms` or `1s`"))?;
            u32::try_from(time).map_err(|_| format!("{} is longer than {}us", shown(value), u32::MAX).into())
        };
        let above_zero = |time: u32| if time == 0 { Err(Wrong::from("it can't be zero")) } else { Ok(time) };
        match self {
            Unit::Frames => within(value, 0, u32::MAX),
            Unit::Microseconds => time(),
            Unit::Delay => above_zero(time()?),
            Unit::Seconds => above_zero(time()?).map(|time| time.div_ceil(1_000_000)),
            Unit::YesNo => yes_or_no(value).map(u32::from),
        }
    }
}

pub(super) fn alias(value: &[u8]) -> Result<BString, Wrong> {
    match value {
        _ if !value.is_ascii() => Err("an alias is ASCII".into()),
        _ if value.len() > 255 => Err("an alias has at most 255 bytes".into()),
        _ => Ok(value.into()),
    }
}

pub(super) fn address_policy(value: &[u8]) -> Result<AddressPolicy, Wrong> {
    let table = [
        ("persistent", AddressPolicy::Persistent),
        ("random", AddressPolicy::Random),
        ("none", AddressPolicy::None),
    ];
    one_of(value, &table)
}

pub(in super::super) fn hardware_address(value: &[u8]) -> Result<Vec<u8>, Wrong> {
    address(value).ok_or_else(|| none_such(value, "hardware address", "write it as `00:11:22:aa:bb:cc`"))
}

/// An address of six bytes, with colons, dashes or dots.
pub(super) fn ethernet_address(value: &[u8]) -> Result<Vec<u8>, Wrong> {
    let address = hardware_address(value)?;
    if address.len() == 6 { Ok(address) } else { Err("an Ethernet address has six bytes".into()) }
}

fn no_name(value: &[u8]) -> Wrong {
    none_such(value, "name for an interface", "no spaces, `/`, `:` or `%`, no number, at most 15 bytes")
}

pub(super) fn name(value: &[u8]) -> Result<BString, Wrong> {
    if is_name(value) { Ok(value.into()) } else { Err(no_name(value)) }
}

/// Patterns of first names. Quotes are ordinary in there.
pub(in super::super) fn name_pattern(word: &[u8]) -> Result<BString, Wrong> {
    name(word)
}

/// Policies in their order. One that is unknown costs itself.
pub(super) fn policies(list: &mut Vec<Policy>, value: &[u8], table: &[(&str, Policy)]) -> Taken {
    list.clear();
    each(value, Quoting::None, |word| {
        let policy = one_of(word, table)?;
        if !list.contains(&policy) {
            list.push(policy);
        }
        Ok(())
    })
}

pub(super) fn alternative_names(list: &mut Vec<BString>, value: &[u8]) -> Taken {
    if value.is_empty() {
        list.clear();
    }
    each(value, Quoting::None, |word| {
        if !is_alternative_name(word) {
            return Err(none_such(
                word,
                "name for an interface",
                "no spaces, `/`, `:` or `%`, no number, at most 127 bytes",
            ));
        }
        list.push(word.into());
        Ok(())
    })
}

/// `off` alone switches off, also what was said before.
pub(super) fn wake(slot: &mut Option<u32>, value: &[u8]) -> Taken {
    match value {
        b"" => *slot = None,
        b"off" => *slot = Some(0),
        _ => {
            return each(value, Quoting::None, |word| {
                *slot = Some(slot.unwrap_or(0) | one_of(word, &WAKE)?);
                Ok(())
            });
        }
    }
    Ok(())
}

pub(super) fn wake_password(value: &[u8]) -> Result<WakePassword, Wrong> {
    if value.starts_with(b"/") {
        let path = PathBuf::from(value.to_str().map_err(|_| "a path is UTF-8")?);
        if path.components().any(|part| part == Component::ParentDir) {
            return Err("a path holds no `..`".into());
        }
        return Ok(WakePassword::At(path));
    }
    // the value is a secret, and is not repeated
    password(value).map(WakePassword::Plain).ok_or_else(|| {
        Wrong::from("that is no password")
            .hint("write six bytes as `aa:bb:cc:dd:ee:ff`, or the path of a file")
    })
}

/// Six bytes, written as an address.
pub(in super::super) fn password(value: &[u8]) -> Option<Password> {
    address(value.trim())?.try_into().ok().map(Password)
}

/// Link modes; further lines add.
pub(super) fn modes(list: &mut Vec<u32>, value: &[u8]) -> Taken {
    if value.is_empty() {
        list.clear();
    }
    each(value, Quoting::None, |word| {
        list.push(one_of(word, &MODES)?);
        Ok(())
    })
}

pub(super) fn link_state(value: &[u8]) -> Result<u32, Wrong> {
    match (value, boolean(value)) {
        (b"auto", _) => Ok(0),
        (_, Some(up)) => Ok(if up { 1 } else { 2 }),
        (_, None) => {
            Err(Wrong::from(format!("{} is none of its words", shown(value)))
                .hint("write one of yes, no, auto"))
        }
    }
}

/// Single processors and ranges between commas and white space; further lines add.
pub(super) fn processors(slot: &mut Option<Processors>, value: &[u8]) -> Taken {
    *slot = match value {
        b"" => None,
        b"all" => Some(Processors::All),
        b"disable" => Some(Processors::None),
        _ => {
            let parts = value.split(|b| *b == b',' || is_space(*b)).filter(|part| !part.is_empty());
            let ranges = parts.map(range).collect::<Result<Vec<_>, Wrong>>()?;
            let before = match slot.take() {
                Some(Processors::These(these)) => these,
                _ => Vec::new(),
            };
            let mut these: Vec<u32> = before.into_iter().chain(ranges.into_iter().flatten()).collect();
            these.sort_unstable();
            these.dedup();
            Some(Processors::These(these))
        }
    };
    Ok(())
}

/// `3`, or `0-3`.
fn range(part: &[u8]) -> Result<RangeInclusive<u32>, Wrong> {
    let (low, high) = part.split_once_str(b"-").unwrap_or((part, part));
    match (number(low), number(high)) {
        (Some(low), Some(high)) if low <= high && high < PROCESSORS => Ok(low..=high),
        _ => {
            let hint = "write `0-3,6`, or one of all, disable";
            Err(none_such(part, "processor and no range of them", hint))
        }
    }
}
