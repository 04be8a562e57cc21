//! Owns the specifiers of `.link` files: `%m` for the machine's id, `%H` for its name, and their relatives.
//!
//! Never knows which keys take them.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};

use super::values::Wrong;
use crate::machine;
use crate::roots::Roots;

/// The text with every specifier replaced. A `%` before anything but a letter, a digit or `%` stands for itself. Error: one
/// of them is unknown, or this machine has no value for it.
pub(super) fn expand(text: &[u8], roots: &Roots) -> Result<BString, Wrong> {
    let mut out = BString::default();
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match bytes.next_if(|next| byte == b'%' && (next.is_ascii_alphanumeric() || *next == b'%')) {
            Some(specifier) => out.extend_from_slice(&value(specifier, roots).ok_or_else(|| {
                let specifier = char::from(specifier);
                Wrong::from(format!("`%{specifier}` is unknown here")).hint("write a percent sign as `%%`")
            })?),
            None => out.push(byte),
        }
    }
    Ok(out)
}

fn value(specifier: u8, roots: &Roots) -> Option<BString> {
    Some(match specifier {
        b'%' => "%".into(),
        b'a' => machine::architecture(roots).into(),
        b'b' => trimmed(roots.proc.join("sys/kernel/random/boot_id")).replace(b"-", b"").into(),
        b'H' => machine::host_name(roots),
        b'l' => machine::host_name(roots).split(|&b| b == b'.').next().unwrap_or_default().into(),
        b'm' => format!("{:032x}", u128::from_be_bytes(machine::machine_id(roots)?)).into(),
        b'v' => machine::kernel_release(roots),
        b'T' => std::env::temp_dir().into_os_string().into_vec().into(),
        b'V' => std::env::var_os("TMPDIR")
            .map_or_else(|| roots.var_tmp(), PathBuf::from)
            .into_os_string()
            .into_vec()
            .into(),
        b'A' => release(roots, b"IMAGE_VERSION"),
        b'B' => release(roots, b"BUILD_ID"),
        b'M' => release(roots, b"IMAGE_ID"),
        b'o' => release(roots, b"ID"),
        b'w' => release(roots, b"VERSION_ID"),
        b'W' => release(roots, b"VARIANT_ID"),
        b'q' => pretty_host_name(roots),
        _ => return None,
    })
}

fn trimmed(file: PathBuf) -> BString {
    fs::read(file).unwrap_or_default().trim().into()
}

/// A value of `os-release(5)`; empty if it has none.
fn release(roots: &Roots, key: &[u8]) -> BString {
    let own = fs::read(roots.etc.join("os-release"));
    let text = own.or_else(|_| fs::read(roots.usr_lib.join("os-release"))).unwrap_or_default();
    assigned(&text, key).unwrap_or_default()
}

fn pretty_host_name(roots: &Roots) -> BString {
    let text = fs::read(roots.etc.join("machine-info")).unwrap_or_default();
    assigned(&text, b"PRETTY_HOSTNAME").unwrap_or_else(|| machine::host_name(roots))
}

fn assigned(text: &[u8], key: &[u8]) -> Option<BString> {
    let value = |line: &[u8]| Some(BString::from(line.trim().strip_prefix(key)?.strip_prefix(b"=")?));
    let found = text.lines().filter_map(value).next_back()?;
    let inner = [b'"', b'\''].iter().find_map(|quote| found.strip_prefix(&[*quote])?.strip_suffix(&[*quote]));
    Some(inner.map_or_else(|| found.clone(), BString::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_machine() {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
            ("proc/sys/kernel/hostname", "mast.example\n"),
            ("proc/sys/kernel/osrelease", "6.1.0\n"),
            ("proc/sys/kernel/random/boot_id", "01234567-89ab-cdef-0123-456789abcdef\n"),
        ] {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let roots = Roots::below(root.path());
        for (text, expected) in [
            ("plain", Some("plain")),
            ("%H/%l/%q", Some("mast.example/mast/mast.example")),
            ("%m", Some("0123456789abcdef0123456789abcdef")),
            ("%b", Some("0123456789abcdef0123456789abcdef")),
            ("%o-%w%W-%v", Some("debian-12-6.1.0")),
            ("100%%", Some("100%")),
            ("%-%", Some("%-%")),
            ("%Z", None),
            ("a%1", None),
        ] {
            assert_eq!(expand(text.as_bytes(), &roots).ok(), expected.map(BString::from), "{text}");
        }
    }
}
