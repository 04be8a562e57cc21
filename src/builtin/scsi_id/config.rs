//! Owns `scsi_id.config` (scsi_id(8)): lines of `[vendor=V[,model=M],]options=O`, and what options choose. Pure.

use bstr::{BString, ByteSlice};

use super::super::BuiltinError;
use super::super::helper::Arguments;
use super::OPTIONS;

/// The page that an identifier is looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// 0x80.
    UnitSerial,
    /// 0x83.
    Identification,
    /// 0x83 as it was before SPC-3.
    OldIdentification,
}

/// What arguments and the file choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Choice {
    /// The device may be asked.
    pub(super) good: bool,
    /// `None`: what the device offers.
    pub(super) page: Option<Page>,
}

impl Choice {
    /// What `arguments` say goes before what was said.
    pub(super) fn apply(&mut self, arguments: &Arguments) -> Result<(), BuiltinError> {
        for (option, value) in &arguments.options {
            match (option, value.as_slice()) {
                (b'g', _) => self.good = true,
                (b'b', _) => self.good = false,
                (b'p', b"0x80") => self.page = Some(Page::UnitSerial),
                (b'p', b"0x83") => self.page = Some(Page::Identification),
                (b'p', b"pre-spc3-83") => self.page = Some(Page::OldIdentification),
                // which structure asks the kernel: the one that it knows is found out
                (b's', b"3" | b"4") => {}
                (b's', _) => {
                    return Err(BuiltinError::Arguments(format!("version `{value}` of sg is none of 3, 4")));
                }
                (b'p', _) => {
                    let text = format!("page `{value}` is none of 0x80, 0x83, pre-spc3-83");
                    return Err(BuiltinError::Arguments(text));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    vendor: Option<BString>,
    model: Option<BString>,
    options: BString,
}

/// The options for all devices: those of the first line without a vendor.
pub(super) fn general(file: &[u8]) -> Result<Arguments, BuiltinError> {
    options(lines(file).find(|line| line.as_ref().is_none_or(|line| line.vendor.is_none())))
}

/// The options of the first line whose vendor and model the device's begin with.
pub(super) fn of_device(file: &[u8], vendor: &[u8], model: &[u8]) -> Result<Arguments, BuiltinError> {
    let begins =
        |text: &[u8], with: &Option<BString>| with.as_ref().is_none_or(|with| text.starts_with(with));
    let is_it =
        |line: &Line| line.vendor.is_some() && begins(vendor, &line.vendor) && begins(model, &line.model);
    options(lines(file).find(|line| line.as_ref().is_none_or(is_it)))
}

/// Takes the options of a line apart. A line that is none is an error, no line is no option.
fn options(line: Option<Option<Line>>) -> Result<Arguments, BuiltinError> {
    match line {
        None => Ok(Arguments::default()),
        Some(None) => Err(BuiltinError::Arguments("scsi_id.config has a line that is none".into())),
        Some(Some(line)) => {
            let words: Vec<BString> = line.options.fields().map(BString::from).collect();
            Arguments::parse(&words, OPTIONS)
        }
    }
}

/// Every line that says something; `None` for one that can't be read.
fn lines(file: &[u8]) -> impl Iterator<Item = Option<Line>> {
    file.lines().map(ByteSlice::trim).filter(|line| !line.is_empty() && !line.starts_with(b"#")).map(line)
}

fn line(text: &[u8]) -> Option<Line> {
    let mut out = Line { vendor: None, model: None, options: BString::default() };
    let mut rest = text;
    loop {
        let (key, after) = rest.split_once_str(b"=")?;
        let (value, after) = match after.strip_prefix(b"\"") {
            Some(quoted) => quoted.split_once_str(b"\"")?,
            None => {
                let end = after.find_byte(b',').unwrap_or(after.len());
                after.split_at_checked(end)?
            }
        };
        rest = after.strip_prefix(b",").unwrap_or(after).trim_start();
        let value = BString::from(value.trim_end());
        match key.trim().to_ascii_lowercase().as_slice() {
            b"vendor" if out.vendor.is_none() => out.vendor = Some(value),
            b"model" if out.vendor.is_some() && out.model.is_none() => out.model = Some(value),
            b"options" if rest.is_empty() => {
                out.options = value;
                return Some(out);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"# comment\n\noptions=-b\nvendor=\"ATA\",options=-p 0x80\n\
        VENDOR=IBM, model=\"2105 \", options=\"-g -p pre-spc3-83\"\nvendor=IBM,options=-g\n";

    #[test]
    fn choices() {
        let choice = |file: &[u8], vendor: &str, model: &str| {
            let mut choice = Choice::default();
            choice.apply(&general(file)?)?;
            choice.apply(&of_device(file, vendor.as_bytes(), model.as_bytes())?)?;
            Ok::<_, BuiltinError>((choice.good, choice.page))
        };
        for (vendor, model, expected) in [
            ("ATA", "Disk", (false, Some(Page::UnitSerial))),
            ("IBM", "2105 F20", (true, Some(Page::OldIdentification))),
            ("IBMX", "DCAS", (true, None)),
            ("ACME", "", (false, None)),
        ] {
            assert_eq!(choice(FILE, vendor, model), Ok(expected), "{vendor} {model}");
        }
        assert_eq!(choice(b"", "A", "B"), Ok((false, None)));
        for bad in [
            "vendor=A\n",
            "model=B,options=-g\n",
            "options=-g,vendor=A\n",
            "what\n",
            "options=-z\n",
            "options=-p 1\n",
        ] {
            assert!(choice(bad.as_bytes(), "A", "B").is_err(), "{bad}");
        }
    }
}
