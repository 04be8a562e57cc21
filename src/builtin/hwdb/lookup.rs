//! Owns the question that a rule asks of the database: which device's modalias, and which of the properties it wants.

use bstr::{BString, ByteSlice};

use super::super::look::hex;
use super::super::{BuiltinError, Context, Found};
use super::arguments::Question;
use super::reader::Hwdb;
use crate::device::Device;
use crate::ids::DeviceId;
use crate::properties::Properties;
use crate::text::{Case, Pattern};

/// Runs `hwdb`. A question without an answer is an error, as it is for udev: the rule's `IMPORT` does not match.
pub(in crate::builtin) fn run(arguments: &[BString], context: &Context<'_>) -> Result<Found, BuiltinError> {
    let (question, mistakes) = Question::parse(arguments);
    mistakes.iter().for_each(|mistake| tracing::warn!("{mistake}: it is left out"));
    let hwdb = context.shared.hwdb().map_err(BuiltinError::Failed)?;
    let ask = Ask { hwdb: &hwdb, question: &question, filter: question.filter.as_ref().map(|f| filter(f)) };
    let found = match &question.modalias {
        Some(modalias) => ask.modalias(modalias)?,
        None => ask.devices(context)?,
    };
    match found.is_empty() {
        true => Err(BuiltinError::Failed("the hardware database has nothing for it".into())),
        false => Ok(found.into()),
    }
}

/// In this glob a backslash is a backslash.
fn filter(text: &[u8]) -> Pattern {
    Pattern::single(&text.replace(b"\\", b"\\\\"), Case::Sensitive)
}

struct Ask<'q> {
    hwdb: &'q Hwdb,
    question: &'q Question,
    filter: Option<Pattern>,
}

impl Ask<'_> {
    /// What the database has for one modalias.
    fn modalias(&self, modalias: &[u8]) -> Result<Properties, BuiltinError> {
        let key = [&self.question.prefix[..], modalias].concat();
        let answer = self.hwdb.query(&key).map_err(|error| BuiltinError::Failed(error.to_string()))?;
        let wanted = answer
            .into_iter()
            .filter(|(key, _)| self.filter.as_ref().is_none_or(|filter| filter.matches(key)));
        let mut found = Properties::new();
        for (key, value) in wanted {
            if let Err(error) = found.set(&key, &value) {
                tracing::debug!(%error, "a property of the hardware database is left out");
            }
        }
        Ok(found)
    }

    /// What it has for the first device on the way up whose modalias it knows.
    fn devices(&self, context: &Context<'_>) -> Result<Properties, BuiltinError> {
        let from = match &self.question.device {
            None => context.device.clone(),
            Some(id) => other_device(context, id)?,
        };
        for device in from.chain() {
            let Some(subsystem) = device.subsystem() else { continue };
            if self.question.subsystem.as_ref().is_some_and(|wanted| *wanted != subsystem) {
                continue;
            }
            let usb_device = subsystem == "usb" && context.is_devtype(&device, "usb_device");
            let modalias = modalias(context, &device).or_else(|| usb_modalias(context, &device, usb_device));
            let found = modalias.map(|modalias| self.modalias(&modalias)).transpose()?.unwrap_or_default();
            // above a USB device is only what it is plugged into
            if !found.is_empty() || usb_device {
                return Ok(found);
            }
        }
        Ok(Properties::new())
    }
}

fn other_device(context: &Context<'_>, id: &[u8]) -> Result<Device, BuiltinError> {
    let known = DeviceId::parse(id).ok().and_then(|id| match &id {
        // a device that has a node can be named so too
        DeviceId::Named { subsystem, name } => context.reader.tree().find(subsystem, name),
        id => context.reader.tree().by_id(id),
    });
    known.ok_or_else(|| BuiltinError::Arguments(format!("there is no device `{}`", id.as_bstr())))
}

fn modalias(context: &Context<'_>, device: &Device) -> Option<BString> {
    context.property(device, "MODALIAS").filter(|modalias| !modalias.is_empty())
}

/// A USB device has no modalias, its interfaces have: this is made as the database's authors expect it,
/// `usb:v1546p01A7:u-blox 7`.
fn usb_modalias(context: &Context<'_>, device: &Device, usb_device: bool) -> Option<BString> {
    if !usb_device {
        return None;
    }
    let number =
        |name: &'static str| hex(&context.attribute(device, name)?).filter(|number| *number <= 0xffff);
    let (vendor, product) = (number("idVendor")?, number("idProduct")?);
    let name = context.attribute(device, "product").unwrap_or_default();
    let mut out = BString::from(format!("usb:v{vendor:04X}p{product:04X}:"));
    out.extend_from_slice(&name);
    Some(out)
}
