//! Owns `keyboard`: which keys a keyboard's scan codes are, what the axes of an input device measure and how quick a
//! pointing stick is, read from properties that the hardware database or rules set.
//!
//! `KEYBOARD_KEY_<scan code>=[!]<key>`, `EVDEV_ABS_<axis>=<min>:<max>:<resolution>:<fuzz>:<flat>`,
//! `POINTINGSTICK_SENSITIVITY=<0 to 255>`. Says what is to be done and does nothing. Sources: `60-keyboard.hwdb` and
//! `60-evdev.hwdb` explain the properties.

mod names;

use std::fmt;

use bstr::{BStr, BString, ByteSlice};

use super::node::node_name;
use super::{BuiltinError, Context, Deed, Found};
use crate::ids::LinkName;
use crate::properties::Properties;

/// What is to be said to an input device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyboard {
    /// Its event node.
    pub node: LinkName,
    /// Scan codes, and the keys (`KEY_*`) that they are.
    pub keys: Vec<(u32, u32)>,
    /// Scan codes of keys that the keyboard never says to be released.
    pub released: Vec<u32>,
    /// Absolute axes (`ABS_*`).
    pub axes: Vec<(u8, AxisChange)>,
    /// How quick the pointing stick is.
    pub sensitivity: Option<u8>,
}

/// What of an axis is to be another; `None` leaves what the device says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AxisChange {
    /// The least value.
    pub minimum: Option<i32>,
    /// The greatest value.
    pub maximum: Option<i32>,
    /// Units a millimetre.
    pub resolution: Option<i32>,
    /// Changes that are noise.
    pub fuzz: Option<i32>,
    /// The dead zone around the middle.
    pub flat: Option<i32>,
}

impl fmt::Display for Keyboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "input device {}:", self.node)?;
        for (scan, key) in &self.keys {
            write!(f, " {scan:#x} is key {key}")?;
        }
        for scan in &self.released {
            write!(f, " {scan:#x} is released")?;
        }
        for (axis, change) in &self.axes {
            write!(f, " axis {axis}:")?;
            for value in change.values() {
                let value = value.map(|value| value.to_string()).unwrap_or_default();
                write!(f, "{value}:")?;
            }
        }
        self.sensitivity.map_or(Ok(()), |speed| write!(f, " sensitivity {speed}"))
    }
}

impl AxisChange {
    fn values(&self) -> [Option<i32>; 5] {
        [self.minimum, self.maximum, self.resolution, self.fuzz, self.flat]
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut values = [None; 5];
        let mut parts = text.split(|&byte| byte == b':');
        for value in &mut values {
            let Some(part) = parts.next() else { break };
            *value = if part.is_empty() { None } else { Some(part.to_str().ok()?.parse().ok()?) };
        }
        let [minimum, maximum, resolution, fuzz, flat] = values;
        let change = Self { minimum, maximum, resolution, fuzz, flat };
        (parts.next().is_none() && change != Self::default()).then_some(change)
    }
}

/// Runs `keyboard`; it has no arguments. What is wrong with one property costs it alone.
pub(super) fn run(_arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let node = node_name(context).ok_or_else(|| BuiltinError::Failed("the device has no node".into()))?;
    let mut wanted = Keyboard { node, keys: vec![], released: vec![], axes: vec![], sensitivity: None };
    wanted.read(context.properties);
    let nothing = wanted.keys.is_empty()
        && wanted.released.is_empty()
        && wanted.axes.is_empty()
        && wanted.sensitivity.is_none();
    let deeds = if nothing { vec![] } else { vec![Deed::Keyboard(wanted)] };
    Ok(Found { properties: Properties::new(), deeds })
}

impl Keyboard {
    fn read(&mut self, properties: &Properties) {
        for (key, value) in properties.iter() {
            if self.property(key, value).is_none() {
                tracing::warn!("`{key}={value}` is not understood and left out");
            }
        }
    }

    /// `None`: the property is one of these and its value is wrong.
    fn property(&mut self, key: &BStr, value: &BStr) -> Option<()> {
        if let Some(scan) = key.strip_prefix(b"KEYBOARD_KEY_") {
            let scan = hexadecimal(scan)?;
            let released = value.strip_prefix(b"!");
            let name = released.unwrap_or(value);
            let code = if name.is_empty() && released.is_some() { None } else { Some(key_number(name)?) };
            self.released.extend(released.map(|_| scan));
            self.keys.extend(code.map(|code| (scan, code)));
        } else if let Some(axis) = key.strip_prefix(b"EVDEV_ABS_") {
            let axis = u8::try_from(hexadecimal(axis)?).ok().filter(|axis| *axis < 0x40)?;
            self.axes.push((axis, AxisChange::parse(value)?));
        } else if key == "POINTINGSTICK_SENSITIVITY" {
            self.sensitivity = Some(value.to_str().ok()?.trim().parse().ok()?);
        }
        Some(())
    }
}

fn hexadecimal(text: &[u8]) -> Option<u32> {
    super::look::hex(text.strip_prefix(b"0x").unwrap_or(text))
}

/// A key by its name, or by its number: decimal, or hexadecimal with `0x`.
fn key_number(name: &[u8]) -> Option<u32> {
    names::number(name).or_else(|| match name.strip_prefix(b"0x") {
        Some(digits) => super::look::hex(digits),
        None => super::look::decimal(name).and_then(|number| u32::try_from(number).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> String {
        let mut properties = Properties::new();
        lines.iter().for_each(|line| properties.set_line(line.as_bytes()).unwrap());
        let node = LinkName::new(b"input/event0").unwrap();
        let mut keyboard = Keyboard { node, keys: vec![], released: vec![], axes: vec![], sensitivity: None };
        keyboard.read(&properties);
        keyboard.to_string().split_once(':').unwrap().1.trim().to_owned()
    }

    #[test]
    fn properties() {
        for (lines, expected) in [
            (&["KEYBOARD_KEY_a0=!mute"][..], "0xa0 is key 113 0xa0 is released"),
            (&["KEYBOARD_KEY_70039=leftctrl"], "0x70039 is key 29"),
            (&["KEYBOARD_KEY_C1=TOUCHPAD_OFF"], "0xc1 is key 532"),
            (&["KEYBOARD_KEY_81=!"], "0x81 is released"),
            (&["KEYBOARD_KEY_81=230", "KEYBOARD_KEY_82=0x1f3"], "0x81 is key 230 0x82 is key 499"),
            (&["KEYBOARD_KEY_81=240000000000000000000"], ""),
            (&["KEYBOARD_KEY_81=nosuch", "KEYBOARD_KEY_x=esc", "KEYBOARD_KEY_=esc", "KEYBOARD_KEY_82="], ""),
            (&["KEYBOARD_LED_CAPSLOCK=0"], ""),
            (&["EVDEV_ABS_00=::41"], "axis 0:::41:::"),
            (&["EVDEV_ABS_36=1:2:3:4:-5"], "axis 54:1:2:3:4:-5:"),
            (&["EVDEV_ABS_01=1068:4930:41"], "axis 1:1068:4930:41:::"),
            (&["EVDEV_ABS_01=", "EVDEV_ABS_02=::", "EVDEV_ABS_03=a", "EVDEV_ABS_04=1:2:3:4:5:6"], ""),
            (&["EVDEV_ABS_40=1:2", "EVDEV_ABS_=1:2", "EVDEV_ABS_zz=1"], ""),
            (&["POINTINGSTICK_SENSITIVITY=200"], "sensitivity 200"),
            (&["POINTINGSTICK_SENSITIVITY=256"], ""),
            (&["POINTINGSTICK_SENSITIVITY=-1"], ""),
        ] {
            assert_eq!(read(lines), expected, "{lines:?}");
        }
    }
}
