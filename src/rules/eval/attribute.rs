//! Owns attributes and files as conditions see them: of the device that is looked at, of another one that is named, or
//! anywhere in the file system. Never compares.

use bstr::BString;

use super::Evaluation;
use super::condition::{maybe, one};
use crate::rules::host::Host;
use crate::rules::prepared::{OfOther, Owner, Prepare, Prepared};
use crate::rules::trace::{Spot, Value};

/// The kind of a file in its mode, and the kind of a directory (`stat(2)`).
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;

impl<H: Host> Evaluation<'_, H> {
    /// An attribute that a condition asks for; `matched` is the parent that its name may speak of.
    pub(super) fn attribute(
        &self,
        name: &Prepared<Owner>,
        on: &Spot,
        matched: Option<&Spot>,
    ) -> Value<'static> {
        self.with(name, matched, |text| match name.ready() {
            Some(Owner::Itself) => maybe(self.own_attribute(on, text)),
            Some(Owner::Other(of)) => self.attribute_of_other(of),
            None => match Owner::prepare(text) {
                Owner::Itself => maybe(self.own_attribute(on, text)),
                Owner::Other(of) => self.attribute_of_other(&of),
            },
        })
    }

    /// An attribute of a device, as read.
    pub(super) fn own_attribute(&self, on: &Spot, name: &[u8]) -> Option<BString> {
        self.host.attribute(self.device(on)?, name)
    }

    /// That of another device: one that the device has not is blank, as udev has it; of a directory there is none.
    fn attribute_of_other(&self, of: &OfOther) -> Value<'static> {
        let Some(device) = self.host.find(&of.subsystem, &of.kernel).filter(|_| !of.name.is_empty()) else {
            return Value::Absent;
        };
        match self.host.attribute(&device, &of.name) {
            Some(text) => one(text),
            None if self.host.attribute_mode(&device, &of.name).is_some_and(is_directory) => Value::Absent,
            None => Value::Blank,
        }
    }

    pub(super) fn file_mode(&self, on: &Spot, owner: &Owner, path: &[u8]) -> Option<u32> {
        match owner {
            Owner::Other(of) => {
                self.host.attribute_mode(&self.host.find(&of.subsystem, &of.kernel)?, &of.name)
            }
            Owner::Itself if path.starts_with(b"/") => self.host.file_mode(path),
            Owner::Itself => self.host.attribute_mode(self.device(on)?, path),
        }
    }
}

fn is_directory(mode: u32) -> bool {
    mode & S_IFMT == S_IFDIR
}
