//! Owns `input_id`: what kind of input device it is, told from what it says it can do, in `ID_INPUT` and its relatives.
//!
//! A device's abilities are bit sets in sysfs (`capabilities/key`, `abs`, `rel`, `ev`, and `properties`). No bit says "mouse":
//! kinds are told by which bits are there together. Programs (libinput first of all) rely on the same answers as udev
//! gives, so this has its order of questions. Source: `<linux/input-event-codes.h>`, Documentation/input/event-codes.rst.

use bstr::{BString, ByteSlice};

use super::node::event_node;
use super::{BuiltinError, Context, Found};
use crate::device::Device;
use crate::properties::Properties;
use crate::sys::evdev;

/// Kinds of events (`EV_*`).
mod ev {
    pub(super) const KEY: usize = 0x01;
    pub(super) const REL: usize = 0x02;
    pub(super) const SW: usize = 0x05;
}

/// Relative axes (`REL_*`).
mod rel {
    pub(super) const X: usize = 0x00;
    pub(super) const Y: usize = 0x01;
    pub(super) const HWHEEL: usize = 0x06;
    pub(super) const WHEEL: usize = 0x08;
}

/// Absolute axes (`ABS_*`).
mod abs {
    pub(super) const X: usize = 0x00;
    pub(super) const Y: usize = 0x01;
    pub(super) const Z: usize = 0x02;
    pub(super) const RX: usize = 0x03;
    pub(super) const PRESSURE: usize = 0x18;
    pub(super) const BEFORE_MT_SLOT: usize = 0x2e;
    pub(super) const MT_SLOT: usize = 0x2f;
    pub(super) const MT_POSITION_X: usize = 0x35;
    pub(super) const MT_POSITION_Y: usize = 0x36;
}

/// Keys and buttons (`KEY_*`, `BTN_*`).
mod key {
    pub(super) const BTN_MISC: usize = 0x100;
    pub(super) const BTN_0: usize = 0x100;
    pub(super) const BTN_1: usize = 0x101;
    pub(super) const BTN_MOUSE: usize = 0x110;
    pub(super) const BTN_JOYSTICK: usize = 0x120;
    pub(super) const BTN_DIGI: usize = 0x140;
    pub(super) const BTN_TOOL_PEN: usize = 0x140;
    pub(super) const BTN_TOOL_FINGER: usize = 0x145;
    pub(super) const BTN_TOUCH: usize = 0x14a;
    pub(super) const BTN_STYLUS: usize = 0x14b;
    pub(super) const OK: usize = 0x160;
    pub(super) const BTN_DPAD_UP: usize = 0x220;
    pub(super) const BTN_DPAD_RIGHT: usize = 0x223;
    pub(super) const ALS_TOGGLE: usize = 0x230;
    pub(super) const BTN_TRIGGER_HAPPY1: usize = 0x2c0;
    pub(super) const BTN_TRIGGER_HAPPY40: usize = 0x2e7;
    /// One key of each group of a keyboard: left control, caps lock, num lock, insert, mute, calculator, file, mail,
    /// play, darker.
    pub(super) const OF_KEYBOARDS: [usize; 10] = [29, 58, 69, 110, 113, 140, 144, 155, 164, 224];
}

/// Device properties (`INPUT_PROP_*`).
mod property {
    pub(super) const DIRECT: usize = 0x01;
    pub(super) const POINTING_STICK: usize = 0x05;
    pub(super) const ACCELEROMETER: usize = 0x06;
}

/// The bus of devices soldered in (`BUS_I2C`).
const BUS_I2C: u32 = 0x18;

/// Runs `input_id`; it has no arguments. A device that is below no input device has no properties, which is no error.
pub(super) fn run(_arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let mut found = Properties::new();
    let has_abilities = |device: &Device| context.attribute(device, "capabilities/ev").is_some();
    let input = context.device.chain().find(has_abilities);
    if let Some(input) = input {
        let abilities = Abilities::read(context, &input);
        for name in abilities.kinds() {
            set(&mut found, name, "1");
        }
    }
    if context.device.sysname().starts_with(b"event") {
        size(context, &mut found);
    }
    Ok(found.into())
}

fn set(found: &mut Properties, key: &str, value: &str) {
    let _always_valid = found.set(key, value);
}

/// The extent of the device's surface in millimetres, where it knows the resolution of both its axes. Only of a node that
/// is there and can be opened: a recording has none.
fn size(context: &Context<'_>, found: &mut Properties) {
    let Ok(node) = event_node(context) else { return };
    let extent = |axis: usize| {
        let axis = evdev::axis(&node, u8::try_from(axis).ok()?).ok().filter(|axis| axis.resolution > 0)?;
        let units = i64::from(axis.maximum) - i64::from(axis.minimum);
        Some(units / i64::from(axis.resolution))
    };
    if let (Some(width), Some(height)) = (extent(abs::X), extent(abs::Y)) {
        set(found, "ID_INPUT_WIDTH_MM", &width.to_string());
        set(found, "ID_INPUT_HEIGHT_MM", &height.to_string());
    }
}

/// A bit set as sysfs shows it: words in hexadecimal, the highest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Bits(Vec<u64>);

/// Bits of a word of the kernel's, which is a `long`.
const WORD: usize = usize::BITS as usize;

impl Bits {
    fn parse(text: &[u8]) -> Self {
        let word = |word: &[u8]| u64::from_str_radix(word.to_str().ok()?, 16).ok();
        let words: Vec<u64> = text.fields().map(|field| word(field).unwrap_or(0)).collect();
        Self(words.into_iter().rev().collect())
    }

    fn has(&self, bit: usize) -> bool {
        self.0.get(bit / WORD).is_some_and(|word| word >> (bit % WORD) & 1 == 1)
    }

    fn count(&self, bits: impl Iterator<Item = usize>) -> usize {
        bits.filter(|bit| self.has(*bit)).count()
    }

    fn any(&self, mut bits: impl Iterator<Item = usize>) -> bool {
        bits.any(|bit| self.has(bit))
    }
}

/// What a device says it can do.
#[derive(Debug, Clone, Default)]
struct Abilities {
    ev: Bits,
    key: Bits,
    rel: Bits,
    abs: Bits,
    property: Bits,
    bus: u32,
}

impl Abilities {
    fn read(context: &Context<'_>, device: &Device) -> Self {
        let bits = |name: &str| Bits::parse(&context.attribute(device, name).unwrap_or_default());
        let bus = context.attribute(device, "id/bustype").unwrap_or_default();
        Self {
            ev: bits("capabilities/ev"),
            key: bits("capabilities/key"),
            rel: bits("capabilities/rel"),
            abs: bits("capabilities/abs"),
            property: bits("properties"),
            bus: super::look::hex(&bus).unwrap_or(0),
        }
    }

    /// The properties that are `1`.
    fn kinds(&self) -> Vec<&'static str> {
        let mut out = vec!["ID_INPUT"];
        let pointers = self.pointers();
        let keys = self.keys();
        let wheel_alone = pointers.is_empty() && keys.is_empty() && self.has_wheel();
        out.extend(&pointers);
        out.extend(&keys);
        if wheel_alone {
            out.push("ID_INPUT_KEY");
        }
        if self.ev.has(ev::SW) {
            out.push("ID_INPUT_SWITCH");
        }
        out
    }

    fn has_wheel(&self) -> bool {
        self.ev.has(ev::REL) && (self.rel.has(rel::WHEEL) || self.rel.has(rel::HWHEEL))
    }

    /// What keyboards and remote controls are: buttons do not count as keys.
    fn keys(&self) -> Vec<&'static str> {
        if !self.ev.has(ev::KEY) {
            return Vec::new();
        }
        let low = self.key.any(0..key::BTN_MISC);
        let high =
            || self.key.any((key::OK..key::BTN_DPAD_UP).chain(key::ALS_TOGGLE..key::BTN_TRIGGER_HAPPY1));
        let mut out = Vec::new();
        if low || high() {
            out.push("ID_INPUT_KEY");
        }
        // escape, the digits and the letters from Q to S
        if (1..32).all(|bit| self.key.has(bit)) {
            out.push("ID_INPUT_KEYBOARD");
        }
        out
    }

    /// What points, draws, steers or is tilted.
    fn pointers(&self) -> Vec<&'static str> {
        let has_position = self.abs.has(abs::X) && self.abs.has(abs::Y);
        let is_tilted = !self.ev.has(ev::KEY) && has_position && self.abs.has(abs::Z);
        if is_tilted || self.property.has(property::ACCELEROMETER) {
            return vec!["ID_INPUT_ACCELEROMETER"];
        }
        let mut kind = self.surface(has_position);
        self.pad(&mut kind);
        self.mouse(&mut kind, has_position);
        if kind.joystick && !self.is_joystick() {
            kind.joystick = false;
        }
        [
            (kind.stick, "ID_INPUT_POINTINGSTICK"),
            (kind.mouse, "ID_INPUT_MOUSE"),
            (kind.touchpad, "ID_INPUT_TOUCHPAD"),
            (kind.touchscreen, "ID_INPUT_TOUCHSCREEN"),
            (kind.joystick, "ID_INPUT_JOYSTICK"),
            (kind.tablet, "ID_INPUT_TABLET"),
            (kind.tablet_pad, "ID_INPUT_TABLET_PAD"),
        ]
        .into_iter()
        .filter_map(|(is, name)| is.then_some(name))
        .collect()
    }

    /// What a position on it means: one point, or one for each finger.
    fn surface(&self, has_position: bool) -> Kind {
        let mut kind = Kind::default();
        let has_pen = self.key.has(key::BTN_STYLUS) || self.key.has(key::BTN_TOOL_PEN);
        let has_finger = self.key.has(key::BTN_TOOL_FINGER) && !self.key.has(key::BTN_TOOL_PEN);
        let is_direct = self.property.has(property::DIRECT);
        let is_touched = self.key.has(key::BTN_TOUCH) || is_direct;
        let axes = self.joystick_buttons() + self.joystick_axes();
        if has_position {
            match () {
                () if has_pen => kind.tablet = true,
                () if has_finger && !is_direct => kind.touchpad = true,
                // a virtual machine's: it says where the pointer is
                () if self.has_mouse_buttons() => kind.mouse = true,
                () if is_touched => kind.touchscreen = true,
                () => kind.joystick = axes > 0,
            }
        } else {
            kind.joystick = axes > 0;
        }
        if self.has_fingers() {
            match () {
                () if has_pen => kind.tablet = true,
                () if has_finger && !is_direct => kind.touchpad = true,
                () if is_touched => kind.touchscreen = true,
                () => {}
            }
        }
        kind
    }

    /// The buttons, rings and strips beside a tablet's surface.
    fn pad(&self, kind: &mut Kind) {
        let has_pad_buttons = self.has_pad_buttons();
        kind.tablet_pad = kind.tablet && has_pad_buttons;
        if has_pad_buttons && self.has_wheel() && !self.moves() {
            kind.tablet = true;
            kind.tablet_pad = true;
        }
    }

    fn mouse(&self, kind: &mut Kind, has_position: bool) {
        let is_another = kind.tablet || kind.touchpad || kind.joystick;
        kind.stick = self.property.has(property::POINTING_STICK);
        if !is_another && self.has_mouse_buttons() && (self.moves() || !has_position) {
            kind.mouse = true;
            // no mouse is soldered in
            kind.stick |= self.bus == BUS_I2C;
        }
    }

    fn has_mouse_buttons(&self) -> bool {
        self.key.any(key::BTN_MOUSE..key::BTN_JOYSTICK)
    }

    fn has_pad_buttons(&self) -> bool {
        self.key.has(key::BTN_0) && self.key.has(key::BTN_1) && !self.key.has(key::BTN_TOOL_PEN)
    }

    fn moves(&self) -> bool {
        self.ev.has(ev::REL) && self.rel.has(rel::X) && self.rel.has(rel::Y)
    }

    /// Positions of several fingers; a device that claims every axis there is does not mean it.
    fn has_fingers(&self) -> bool {
        let all = self.abs.has(abs::MT_SLOT) && self.abs.has(abs::BEFORE_MT_SLOT);
        self.abs.has(abs::MT_POSITION_X) && self.abs.has(abs::MT_POSITION_Y) && !all
    }

    /// A mouse with more than sixteen buttons reaches into those of joysticks: then none of them counts.
    fn joystick_buttons(&self) -> usize {
        if self.key.has(key::BTN_JOYSTICK - 1) {
            return 0;
        }
        let gamepad = key::BTN_JOYSTICK..key::BTN_DIGI;
        let more = key::BTN_TRIGGER_HAPPY1..=key::BTN_TRIGGER_HAPPY40;
        let cross = key::BTN_DPAD_UP..=key::BTN_DPAD_RIGHT;
        self.key.count(gamepad.chain(more).chain(cross))
    }

    fn joystick_axes(&self) -> usize {
        self.abs.count(abs::RX..abs::PRESSURE)
    }

    /// Keyboards and tablets may have some bits of a joystick set.
    fn is_joystick(&self) -> bool {
        let keys = if self.ev.has(ev::KEY) { self.key.count(key::OF_KEYBOARDS.into_iter()) } else { 0 };
        let parts = self.joystick_buttons() + self.joystick_axes();
        keys < 4 && parts >= 2 && !(self.has_wheel() && self.has_pad_buttons())
    }
}

/// The kinds that it may be, more than one at once.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a property of its own in the answer")]
struct Kind {
    stick: bool,
    mouse: bool,
    touchpad: bool,
    touchscreen: bool,
    joystick: bool,
    tablet: bool,
    tablet_pad: bool,
}
