//! Owns what the kernel's command line says of names: `net.ifname_policy=POLICY,…[,ADDRESS]`, as `.link` files.
//!
//! Under systemd its network generator writes these files; elsewhere nobody does. A file that is there counts before the one
//! made here. Never reads a directory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt;

use bstr::BString;

use super::link_file::LinkFile;
use super::values::address;
use crate::diag::SourceFile;
use crate::machine;
use crate::roots::Roots;

/// Policies, and whether they give further names too.
const POLICIES: [(&str, bool); 7] = [
    ("kernel", false),
    ("keep", false),
    ("database", true),
    ("onboard", true),
    ("slot", true),
    ("path", true),
    ("mac", true),
];

/// The files, by the names that systemd's generator gives them: `72-default.link`, or `71-ADDRESS.link` for one interface.
pub(super) fn link_files(roots: &Roots) -> BTreeMap<OsString, LinkFile> {
    let mut out = BTreeMap::new();
    for value in values(&machine::kernel_command_line(roots)) {
        let Some((name, text)) = file_of(&value) else {
            tracing::warn!(
                "net.ifname_policy={value}: passed over (write policies of kernel, keep, database, onboard, slot, path, \
                 mac between commas, and at the end the address of one interface or none)"
            );
            continue;
        };
        let source = SourceFile::new(&roots.proc.join("cmdline"), text.as_bytes());
        let mut file = LinkFile { file: source.path.clone(), ..LinkFile::default() };
        let _written_here = file.read(&source, text.as_bytes(), roots);
        // the first of several for the same counts
        out.entry(name).or_insert(file);
    }
    out
}

fn values(line: &[u8]) -> impl Iterator<Item = BString> {
    let policies = |(key, value): (BString, Option<BString>)| {
        value.filter(|_| machine::is_same_key(&key, b"net.ifname_policy"))
    };
    machine::command_line_words(line).filter_map(policies)
}

/// The name of the file, and what it says.
fn file_of(value: &[u8]) -> Option<(OsString, String)> {
    let mut words: Vec<&[u8]> = value.split(|&b| b == b',').collect();
    let one = words.last().and_then(|last| address(last)).filter(|address| address.len() == 6);
    if one.is_some() {
        words.pop();
    }
    let known = |word: &&[u8]| POLICIES.into_iter().find(|(name, _)| name.as_bytes() == *word);
    let policies = words.iter().map(known).collect::<Option<Vec<_>>>()?;
    let names = |which: &dyn Fn(bool) -> bool| -> String {
        let chosen = policies.iter().filter(|(_, further)| which(*further));
        chosen.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    };
    let (name, matching) = match one {
        Some(address) => {
            let digits = |between: &str| {
                address.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
            };
            (format!("71-{}.link", digits("")), format!("MACAddress={}", digits(":")))
        }
        None => ("72-default.link".into(), "OriginalName=*".into()),
    };
    let mut text = format!("[Match]\n{matching}\n[Link]\nNamePolicy={}\n", names(&|_| true));
    let _written = writeln!(text, "AlternativeNamesPolicy={}", names(&|further| further));
    Some((OsString::from_vec(name.into_bytes()), text)).filter(|_| !policies.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that systemd 257's generator writes.
    #[test]
    fn what_the_kernel_was_told() {
        for (value, expected) in [
            ("keep,mac", "72-default.link OriginalName=* [keep mac] [mac]"),
            (
                "keep,kernel,mac,02:00:00:00:00:01",
                "71-020000000001.link MACAddress=02:00:00:00:00:01 [keep kernel mac] [mac]",
            ),
            (
                "mac,database,kernel,onboard,slot,path,keep",
                "72-default.link OriginalName=* [mac database kernel onboard slot path keep] [mac database onboard slot path]",
            ),
            ("mac,02-00-00-00-00-01", "71-020000000001.link MACAddress=02:00:00:00:00:01 [mac] [mac]"),
            ("keep", "72-default.link OriginalName=* [keep] []"),
            ("mac,mac", "72-default.link OriginalName=* [mac mac] [mac mac]"),
            ("bogus,mac", ""),
            ("", ""),
            ("02:00:00:00:00:01", ""),
            ("path,02:00:00:00:00:01,slot", ""),
            (" mac", ""),
        ] {
            let shown = file_of(value.as_bytes()).map(|(name, text)| {
                let line = |at: usize| text.lines().nth(at).unwrap();
                let policies = |at| format!("[{}]", line(at).split_once('=').unwrap().1);
                format!("{} {} {} {}", name.to_str().unwrap(), line(1), policies(3), policies(4))
            });
            assert_eq!(shown.unwrap_or_default(), expected, "{value}");
        }
        assert_eq!(
            values(b"ro net.ifname-policy=mac rd.net.ifname_policy=path net.ifname_policy=slot")
                .collect::<Vec<_>>(),
            ["mac", "slot"]
        );
        assert_eq!(values(b"ro net.ifname_policy").count(), 0);
    }
}
