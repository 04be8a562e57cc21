//! Owns reading attributes for one event: each at most once, with what a dry run wrote laid over.
//!
//! Forgets everything when the event ends. Never writes to a device.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

use bstr::{BString, ByteSlice};

use super::live::last_component;
use super::source::Kind;
use super::{Device, Tree};
use crate::properties::Properties;

/// Deepest sub-directory in which attributes are listed.
const DEPTH_MAX: usize = 4;

/// Reads attributes for one event: each at most once. Belongs to one thread; drop it when the event ends.
///
/// A device that has gone has no attributes but those that were read before: what stands at its path now may be
/// another device.
#[derive(Debug)]
pub struct Reader<'t> {
    tree: &'t Tree,
    /// Values by path below the root, as read.
    values: RefCell<HashMap<Vec<u8>, Option<BString>>>,
    overlay: RefCell<HashMap<Vec<u8>, BString>>,
    uevents: RefCell<HashMap<Vec<u8>, Rc<Properties>>>,
}

impl<'t> Reader<'t> {
    /// Starts with nothing read.
    pub fn new(tree: &'t Tree) -> Self {
        Self { tree, values: RefCell::default(), overlay: RefCell::default(), uevents: RefCell::default() }
    }

    /// The tree that the devices are of.
    pub fn tree(&self) -> &'t Tree {
        self.tree
    }

    /// The attribute's bytes as read (trailing newline included), `None` if absent, unreadable or a directory.
    ///
    /// `driver`, `subsystem` and `module` give the last component of the link; other links at the end of the name are
    /// absent, as for udev. At most 4,096 bytes. The name may hold `/` and `..`, but never leads out of the source.
    pub fn attribute(&self, device: &Device, name: &[u8]) -> Option<BString> {
        let path = path_below(device, name)?;
        if let Some(value) = self.overlay.borrow().get(&path) {
            return Some(value.clone());
        }
        if let Some(value) = self.values.borrow().get(&path) {
            return value.clone();
        }
        if device.is_gone() {
            return None;
        }
        let value = match name {
            b"driver" | b"subsystem" | b"module" => self.link_name(&path),
            _ => self.tree.reading().read(&path),
        };
        self.values.borrow_mut().insert(path, value.clone());
        value
    }

    fn link_name(&self, path: &[u8]) -> Option<BString> {
        let target = self.tree.reading().link(path)?;
        last_component(&target).map(BString::from)
    }

    /// The `uevent` file as properties; what [`Reader::put_uevent`] gave first.
    pub fn uevent(&self, device: &Device) -> Rc<Properties> {
        let path = device.devpath();
        if let Some(properties) = self.uevents.borrow().get(path.as_bytes()) {
            return Rc::clone(properties);
        }
        let found = if device.is_gone() { None } else { self.tree.reading().device(&path) };
        let properties = Rc::new(found.map(|found| found.properties).unwrap_or_default());
        self.uevents.borrow_mut().insert(path.as_bytes().into(), Rc::clone(&properties));
        properties
    }

    /// The properties that came with the event, in place of the `uevent` file.
    pub fn put_uevent(&self, device: &Device, properties: Properties) {
        let path = device.devpath().as_bytes().into();
        self.uevents.borrow_mut().insert(path, Rc::new(properties));
    }

    /// A value that later reads see in place of the source's (what a dry run "wrote").
    pub fn overlay(&self, device: &Device, name: &[u8], value: &[u8]) {
        if let Some(path) = path_below(device, name) {
            self.overlay.borrow_mut().insert(path, value.into());
        }
    }

    /// Forgets what was read of an attribute, after something was written to it.
    pub fn forget(&self, device: &Device, name: &[u8]) {
        if let Some(path) = path_below(device, name) {
            self.values.borrow_mut().remove(&path);
        }
    }

    /// The name of the device's driver.
    pub fn driver(&self, device: &Device) -> Option<BString> {
        self.attribute(device, b"driver")
    }

    /// Names of the device's attributes, sorted: regular files in its directory and in sub-directories that are not
    /// devices themselves (`power/control`), and the links `driver`, `subsystem`, `module`. For `info --attributes`.
    pub fn attribute_names(&self, device: &Device) -> Vec<BString> {
        let mut out = Vec::new();
        if !device.is_gone() {
            self.names_below(device.devpath().relative(), b"", 0, &mut out);
        }
        out.sort();
        out
    }

    fn names_below(&self, directory: &[u8], prefix: &[u8], depth: usize, out: &mut Vec<BString>) {
        let entries = self.tree.reading().list(directory);
        if depth > 0 && entries.iter().any(|entry| entry.name == "uevent") {
            return;
        }
        for entry in entries {
            let name = [prefix, &entry.name].concat();
            match entry.kind {
                Kind::File => out.push(name.into()),
                Kind::Link if matches!(name.as_slice(), b"driver" | b"subsystem" | b"module") => {
                    out.push(name.into());
                }
                Kind::Directory if depth < DEPTH_MAX => {
                    let below = [directory, b"/", &entry.name].concat();
                    self.names_below(&below, &[&name[..], b"/"].concat(), depth + 1, out);
                }
                _ => {}
            }
        }
    }

    /// Entries of a directory below the device (`""`: its own), sorted; directories and links included.
    pub fn entries(&self, device: &Device, below: &[u8]) -> Vec<BString> {
        let Some(path) = path_below(device, below) else { return Vec::new() };
        if device.is_gone() {
            return Vec::new();
        }
        let mut names: Vec<BString> = self.tree.reading().list(&path).into_iter().map(|e| e.name).collect();
        names.sort();
        names
    }

    /// The device of `[subsystem/kernel]`; `/` in the kernel name counts as `!`.
    pub fn find(&self, subsystem: &[u8], sysname: &[u8]) -> Option<Device> {
        self.tree.find(subsystem, &sysname.replace(b"/", b"!"))
    }

    /// Kind and permission bits (`stat(2)`) when something of that name is there: attribute, link or directory.
    pub fn exists(&self, device: &Device, name: &[u8]) -> Option<u32> {
        let path = path_below(device, name)?;
        if device.is_gone() { None } else { self.tree.reading().mode(&path) }
    }

    /// Where a source has real files: the absolute path of an attribute, for the writer.
    pub fn path(&self, device: &Device, name: &[u8]) -> Option<PathBuf> {
        let path = path_below(device, name)?;
        self.tree.live_root().map(|root| root.join(OsStr::from_bytes(&path)))
    }
}

/// A device's attribute as a path below the source's root. A leading `..` is the directory above: a device's directory
/// is not reached through links. `.` and empty parts mean nothing. `None` for a name that has a NUL or leads above the root.
fn path_below(device: &Device, name: &[u8]) -> Option<Vec<u8>> {
    if name.contains(&0) {
        return None;
    }
    let devpath = device.devpath();
    let mut base = devpath.relative();
    let parts = name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let name = bstr::join("/", parts);
    let mut rest = name.as_slice();
    while let Some(after) = rest.strip_prefix(b"..") {
        if !after.is_empty() && !after.starts_with(b"/") {
            break;
        }
        if base.is_empty() {
            return None;
        }
        base = base.get(..base.rfind_byte(b'/').unwrap_or(0)).unwrap_or_default();
        rest = after.trim_start_with(|c| c == '/');
    }
    Some(match (base, rest) {
        (b"", b"") => b".".to_vec(),
        (b"", rest) => rest.to_vec(),
        (base, b"") => base.to_vec(),
        (base, rest) => [base, b"/", rest].concat(),
    })
}
