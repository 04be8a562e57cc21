//! The lint, case by case: a text and what is found in it, `code@line:column`. For each code a finding and a near miss. All
//! expectations are written by hand.

#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use nameplate::diag::SourceFile;
use nameplate::roots::Roots;
use nameplate::rules::ir::RuleFile;
use nameplate::rules::lint::{Finding, codes, fix, lint};
use nameplate::rules::load;
use nameplate::rules::toml::{self, Accounts, Known};
use nameplate::rules::udev;
use proptest::prelude::*;

#[derive(Debug)]
struct People;

impl Accounts for People {
    fn user(&self, name: &str) -> Option<u32> {
        [("ann", 1000), ("root", 0), ("nobody", 65534)]
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, id)| *id)
    }

    fn group(&self, name: &str) -> Option<u32> {
        [("users", 1000), ("dialout", 20)].iter().find(|(known, _)| *known == name).map(|(_, id)| *id)
    }
}

const KNOWN: Known<'static> =
    Known { accounts: &People, builtins: &["blkid", "hwdb", "kmod", "path_id", "uaccess", "usb_id"] };

fn file(name: &str, text: &str) -> Arc<RuleFile> {
    let source = SourceFile::new(Path::new(name), text.as_bytes());
    let rules = if name.ends_with(".toml") {
        toml::parse(&source, &KNOWN).rules
    } else {
        udev::parse(&source, text.as_bytes(), &KNOWN).rules
    };
    Arc::new(RuleFile { source, rules })
}

fn shown(findings: &[Finding]) -> String {
    let one = |finding: &Finding| {
        let place = &finding.diagnostic.place;
        format!("{}@{}:{}", finding.diagnostic.code, place.line, place.column)
    };
    findings.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Lines of udev's language.
const RULES: &[(&str, &str)] = &[
    // never-holds: two conditions of a line
    (r#"KERNEL=="sda", KERNEL=="sdb", MODE="0600""#, "never-holds@1:16"),
    (r#"KERNEL=="sda|sdb", KERNEL=="sdb|sdc", MODE="0600""#, ""),
    (r#"KERNEL=="sda", KERNEL!="sd*", MODE="0600""#, "never-holds@1:16"),
    (r#"KERNEL=="sd*", KERNEL!="sda", MODE="0600""#, ""),
    (r#"KERNEL=="sd*", KERNEL=="sr*", MODE="0600""#, "never-holds@1:16"),
    (r#"KERNEL=="sd*", KERNEL=="*1", MODE="0600""#, ""),
    (r#"KERNEL=="sd[a-z]", KERNEL=="nvme?n1", MODE="0600""#, "never-holds@1:20"),
    (r#"ENV{ID_BUS}=="?*", ENV{ID_BUS}=="", MODE="0600""#, "never-holds@1:20"),
    (r#"ENV{ID_BUS}=="usb", ENV{ID_TYPE}=="disk", MODE="0600""#, ""),
    (r#"ENV{DEVTYPE}=="disk", ENV{DEVTYPE}=="partition", MODE="0600""#, "never-holds@1:23"),
    (r#"KERNEL==i"SDA", KERNEL=="sda", MODE="0600""#, ""),
    (r#"KERNEL==i"SDA", KERNEL=="sdb", MODE="0600""#, "never-holds@1:17"),
    (r#"ATTR{size}=="0", ATTR{size}!="0", MODE="0600""#, "never-holds@1:18"),
    (r#"ATTR{size}=="0", ATTR{ro}!="0", MODE="0600""#, ""),
    (r#"SYMLINK=="a", SYMLINK=="b", MODE="0600""#, ""),
    (r#"TAG=="a", TAG=="b", MODE="0600""#, ""),
    (r#"SUBSYSTEMS=="usb", SUBSYSTEMS=="pci", MODE="0600""#, "never-holds@1:20"),
    (r#"SUBSYSTEM=="tty", SUBSYSTEMS=="usb", MODE="0600""#, ""),
    (r#"KERNELS=="1-1", ATTRS{a}=="1", KERNELS=="1-2", MODE="0600""#, "never-holds@1:32"),
    (r#"TAGS=="a", TAGS=="b", MODE="0600""#, ""),
    // … a jump over the rule and the rule
    ("SUBSYSTEM!=\"net\", GOTO=\"e\"\nSUBSYSTEM==\"tty\", MODE=\"0600\"\nLABEL=\"e\"", "never-holds@2:1"),
    ("SUBSYSTEM!=\"net\", GOTO=\"e\"\nLABEL=\"e\"\nSUBSYSTEM==\"tty\", MODE=\"0600\"", ""),
    ("SUBSYSTEM!=\"net|tty\", GOTO=\"e\"\nSUBSYSTEM==\"tty\", MODE=\"0600\"\nLABEL=\"e\"", ""),
    ("KERNEL==\"a\", SUBSYSTEM!=\"net\", GOTO=\"e\"\nSUBSYSTEM==\"tty\", MODE=\"0600\"\nLABEL=\"e\"", ""),
    ("ENV{X}=\"1\"\nENV{X}!=\"1\", GOTO=\"e\"\nENV{X}=\"2\"\nENV{X}==\"2\", MODE=\"0600\"\nLABEL=\"e\"", ""),
    (
        "KERNEL==\"a*\", GOTO=\"m\"\nSUBSYSTEM!=\"net\", GOTO=\"e\"\nLABEL=\"m\"\nSUBSYSTEM==\"tty\", MODE=\"0600\"\nLABEL=\"e\"",
        "",
    ),
    ("ATTR{a}==\"1\", GOTO=\"e\"\nATTR{a}==\"1\", MODE=\"0600\"\nLABEL=\"e\"", "never-holds@2:1"),
    ("ATTR{a}==\"1\", GOTO=\"e\"\nATTR{a}=\"1\"\nATTR{a}==\"1\", MODE=\"0600\"\nLABEL=\"e\"", ""),
    // dead-alternative
    (r#"KERNEL=="sda|sd*", MODE="0600""#, "dead-alternative@1:1"),
    (r#"KERNEL=="sda|sda", MODE="0600""#, "dead-alternative@1:1"),
    (r#"KERNEL=="sda|sr*", MODE="0600""#, ""),
    (r#"KERNEL=="", MODE="0600""#, ""),
    (r#"KERNEL=="sd* | sr*", MODE="0600""#, "dead-alternative@1:1 dead-alternative@1:1"),
    (r#"KERNEL=="/dev/sda", MODE="0600""#, "dead-alternative@1:1"),
    (r#"KERNEL=="cciss!c0d0", MODE="0600""#, "dead-alternative@1:1"),
    (r#"KERNEL=="cciss/c0d0", MODE="0600""#, ""),
    (r#"KERNEL=="sd[!a]", MODE="0600""#, ""),
    (r#"SUBSYSTEM=="usb/usb_device", MODE="0600""#, "dead-alternative@1:1"),
    (r#"DEVPATH=="devices/x", MODE="0600""#, "dead-alternative@1:1"),
    (r#"DEVPATH=="/sys/devices/*", MODE="0600""#, "dead-alternative@1:1"),
    (r#"DEVPATH=="*/usb1/*", MODE="0600""#, ""),
    (r#"SYMLINK=="/dev/cdrom", MODE="0600""#, "dead-alternative@1:1"),
    (r#"ATTR{model}=="a | b", MODE="0600""#, ""),
    // unknown-action
    (r#"ACTION=="added", MODE="0600""#, "unknown-action@1:1"),
    (r#"ACTION=="add|plug", MODE="0600""#, "unknown-action@1:1"),
    (r#"ACTION=="un*|*e", MODE="0600""#, ""),
    // parents-apart: known without a device
    (r#"ATTRS{idVendor}=="1", ATTRS{bInterfaceNumber}=="00", MODE="0600""#, "parents-apart@1:23"),
    (r#"ATTRS{idVendor}=="1", ATTRS{idProduct}=="2", ATTRS{serial}=="3", MODE="0600""#, ""),
    (r#"ATTRS{idVendor}=="1", ATTR{bInterfaceNumber}=="00", MODE="0600""#, ""),
    // links
    ("KERNEL==\"a\", SYMLINK+=\"l\"\nKERNEL==\"a\", SYMLINK+=\"m l\"", "duplicate-link@2:14"),
    ("KERNEL==\"a\", SYMLINK+=\"l l\"", "duplicate-link@1:14"),
    ("KERNEL==\"a\", SYMLINK+=\"l\"\nKERNEL==\"a\", SYMLINK+=\"m\"", ""),
    ("KERNEL==\"a\", SYMLINK+=\"l%n\"\nKERNEL==\"b\", SYMLINK+=\"l%n\"", ""),
    ("KERNEL==\"a\", SYMLINK+=\"l\"\nKERNEL==\"b\", SYMLINK+=\"l\"", "shared-link@2:14"),
    ("ATTRS{serial}==\"1\", SYMLINK+=\"l\"\nATTRS{serial}==\"2\", SYMLINK+=\"l\"", "shared-link@2:21"),
    ("ATTRS{serial}==\"1\", SYMLINK+=\"l\"\nENV{ID_SERIAL}==\"1\", SYMLINK+=\"l\"", ""),
    ("KERNEL==\"a\", SYMLINK+=\"l\"\nKERNEL==\"b\", SYMLINK+=\"l\", OPTIONS+=\"link_priority=1\"", ""),
    ("KERNEL==\"a\", SYMLINK+=\"l\"\nKERNEL==\"a\", ATTR{x}==\"1\", SYMLINK+=\"l\"", ""),
    ("KERNEL==\"a\", SYMLINK+=\"l\"\nKERNEL==\"b\", SYMLINK-=\"l\"", ""),
    // duplicate
    (r#"KERNEL=="a", KERNEL=="a", MODE="0600""#, "duplicate@1:14"),
    (r#"KERNEL=="a", KERNEL==i"a", MODE="0600""#, ""),
    (r#"KERNEL=="a", TAG+="x", TAG+="x""#, "duplicate@1:24"),
    (r#"KERNEL=="a", TAG+="x", TAG-="x", TAG+="x""#, "duplicate@1:34"),
    (r#"KERNEL=="a", SYMLINK+="x", SYMLINK+="x""#, "duplicate@1:28"),
    (r#"KERNEL=="a", ENV{X}+="x", ENV{X}+="y", ENV{X}="x""#, ""),
    (r#"KERNEL=="a", ATTR{x}="0", ATTR{y}="0""#, ""),
    (r#"KERNEL=="a", PROGRAM=="/bin/a", PROGRAM=="/bin/a", MODE="0600""#, "duplicate@1:33"),
    (r#"KERNEL=="a", MODE="0600", MODE="0660", MODE="0600""#, "duplicate@1:40"),
    // RESULT
    (r#"RESULT=="a", PROGRAM=="/bin/a", MODE="0600""#, "result-first@1:1"),
    (r#"PROGRAM=="/bin/a", RESULT=="a", MODE="0600""#, ""),
    (r#"RESULT=="a", MODE="0600""#, "result-without-program@1:1"),
    ("PROGRAM==\"/bin/a\", MODE=\"0600\"\nRESULT==\"a\", MODE=\"0640\"", ""),
    // form
    (r#", KERNEL=="a", MODE="0600""#, "style-comma@1:1"),
    (r#"KERNEL=="a", MODE="0600","#, "style-comma@1:25"),
    (r#"KERNEL=="a" MODE="0600""#, "style-comma@1:12"),
    (r#"KERNEL=="a"MODE="0600""#, "style-comma@1:12"),
    (r#"KERNEL=="a",, MODE="0600""#, "style-comma@1:12"),
    ("KERNEL==\"a\" \\\n  MODE=\"0600\"", "style-comma@1:12"),
    ("KERNEL==\"a\", \\\n  # a, b, c\n  MODE=\"0600\"", ""),
    ("KERNEL==\"a\", \\\n  MODE=\"0600\"", ""),
    (r#"KERNEL=="a",   MODE="0600"  "#, ""),
    (r#"KERNEL=="a" , MODE="0600""#, "style-space@1:12"),
    (r#"KERNEL=="a",MODE="0600""#, "style-space@1:12"),
    ("KERNEL==\"a\",\\\n  MODE=\"0600\"", "style-space@1:13"),
    (r#"ATTR{x} =="a", MODE= "0600""#, "style-space@1:8 style-space@1:21"),
    (r#"ATTR{x y}=="a b", MODE="0600""#, ""),
    // names of old
    (r#"BUS=="usb", SYSFS{idVendor}=="1", MODE="0600""#, "old-name@1:1 old-name@1:13"),
    (r#"WAIT_FOR_SYSFS="x", MODE="0600""#, "old-name@1:1"),
    (r#"KERNEL=="a", NAME="%k", MODE="0600""#, "old-name@1:14"),
    (r#"KERNEL=="a", NAME="n%k""#, ""),
    (r#"KERNEL=="a", MODE="0600", OPTIONS+="last_rule""#, "old-name@1:27"),
    (r#"KERNEL=="a", RUN+="socket:@/x""#, "old-name@1:14"),
    (r#"KERNEL=="a", ENV{X}="$tempnode $$tempnode $sysfs{x}""#, "old-name@1:22 old-name@1:43"),
    (r#"KERNEL=="$tempnode", MODE="0600""#, ""),
    (r#"TEST=="$sysfs{x}", MODE="0600""#, "old-name@1:8"),
    // commands
    (r#"KERNEL=="a", RUN+="/bin/mount /dev/%k /mnt""#, "run-mounts@1:14"),
    (r#"KERNEL=="a", RUN+="/bin/sh -c 'x; umount /mnt'""#, "run-mounts@1:14"),
    (r#"KERNEL=="a", RUN+="/usr/bin/systemd-mount --no-block $devnode""#, ""),
    (r#"KERNEL=="a", RUN+="/bin/logger mount""#, ""),
    (r#"KERNEL=="a", RUN+="/bin/sh -c 'sleep 5 && x'""#, "run-waits@1:14"),
    (r#"KERNEL=="a", PROGRAM=="/bin/sleep 1", MODE="0600""#, "run-waits@1:14"),
    (r#"KERNEL=="a", RUN+="/bin/udevadm settle""#, "run-waits@1:14"),
    (r#"KERNEL=="a", RUN+="/bin/udevadm trigger --settled""#, ""),
    (r#"KERNEL=="a", RUN+="/bin/systemctl start x.service""#, "run-waits@1:14"),
    (r#"KERNEL=="a", RUN+="/bin/systemctl --no-block start x.service""#, ""),
    (r#"KERNEL=="a", RUN+="/bin/sh -c 'x &'""#, "run-background@1:14"),
    (r#"KERNEL=="a", RUN+="/bin/sh -c 'x && y 2>&1'""#, ""),
    (r#"KERNEL=="a", RUN+="/usr/bin/nohup x""#, "run-background@1:14"),
    (r#"KERNEL=="a", RUN+="/usr/bin/curl http://h/""#, "run-network@1:14"),
    (r#"KERNEL=="a", RUN+="/usr/local/bin/curling""#, ""),
    (r#"KERNEL=="a", RUN+="/bin/echo x > /tmp/x""#, "no-shell@1:14"),
    (r#"KERNEL=="a", RUN+="/bin/x 'a > b'""#, ""),
    (r#"KERNEL=="a", RUN+="/bin/sh -c 'echo x > /tmp/x'""#, ""),
    (r#"KERNEL=="a", RUN-="/bin/mount x""#, ""),
    // shadowed
    ("KERNEL==\"a*\", MODE:=\"0600\"\nKERNEL==\"ab\", MODE=\"0660\"", "shadowed@2:15"),
    ("KERNEL==\"ab\", MODE:=\"0600\"\nKERNEL==\"a*\", MODE=\"0660\"", ""),
    ("KERNEL==\"a*\", MODE:=\"0600\"\nKERNEL==\"ab\", GROUP=\"dialout\"", ""),
    ("KERNEL==\"a*\", MODE=\"0600\"\nKERNEL==\"ab\", MODE=\"0660\"", ""),
    ("ENV{X}=\"1\"\nENV{X}==\"1\", MODE:=\"0600\"\nENV{X}==\"1\", MODE=\"0660\"", ""),
    ("ATTRS{a}==\"1\", MODE:=\"0600\"\nATTRS{a}==\"1\", ATTRS{b}==\"2\", MODE=\"0660\"", "shadowed@2:31"),
    ("ATTRS{a}==\"1\", ATTRS{b}==\"2\", MODE:=\"0600\"\nATTRS{a}==\"1\", MODE=\"0660\"", ""),
    (
        "SUBSYSTEM!=\"tty\", GOTO=\"e\"\nKERNEL==\"a*\", MODE:=\"0600\"\nLABEL=\"e\"\nKERNEL==\"ab\", MODE=\"0660\"",
        "",
    ),
    // add-only
    (r#"ACTION=="add", SYMLINK+="l""#, "add-only@1:16"),
    (r#"ACTION=="add|change", SYMLINK+="l""#, ""),
    (r#"ACTION!="remove", SYMLINK+="l""#, ""),
    (r#"ACTION=="remove", ENV{X}="1""#, ""),
    (r#"ACTION=="add", ENV{X}="1""#, "add-only@1:16"),
    (r#"ACTION=="add", ENV{.X}="1""#, ""),
    (r#"ACTION=="add", ENV{X}="""#, ""),
    (r#"ACTION=="add", ENV{SYSTEMD_WANTS}="x.service""#, ""),
    ("ACTION==\"add\", ENV{X}=\"1\"\nIMPORT{db}=\"X\"", ""),
    ("ACTION==\"add\", ENV{X}=\"1\"\nACTION==\"add\", ENV{X}==\"1\", RUN+=\"/bin/x\"", ""),
    ("ACTION==\"add\", ENV{X}=\"1\"\nENV{X}==\"1\", RUN+=\"/bin/x\"", "add-only@1:16"),
    (r#"ACTION=="add", TAG+="systemd""#, "add-only@1:16"),
    (r#"ACTION=="add", MODE="0600", RUN+="/bin/x""#, ""),
    ("ACTION!=\"add\", GOTO=\"e\"\nENV{X}=\"1\"\nENV{Y}=\"1\"\nLABEL=\"e\"", "add-only@1:1"),
    ("ACTION==\"remove\", GOTO=\"e\"\nENV{X}=\"1\"\nLABEL=\"e\"", ""),
    // accounts
    (r#"KERNEL=="a", OWNER="ann""#, "login-account@1:14"),
    (r#"KERNEL=="a", GROUP="users""#, "login-account@1:14"),
    (r#"KERNEL=="a", OWNER="root", GROUP="dialout""#, ""),
    (r#"KERNEL=="a", OWNER="nobody""#, ""),
    // properties
    (r#"ENV{ID_MODLE}=="x", MODE="0600""#, "unset-property@1:1"),
    (r#"ENV{ID_MODLE}!="x", MODE="0600""#, ""),
    (r#"ENV{MINE}=="1", MODE="0600""#, "unset-property@1:1"),
    (r#"ENV{MINE}=="|1", MODE="0600""#, ""),
    (r#"ENV{ID_MODEL}=="x", ENV{PRODUCT}=="y", ENV{DM_X}=="z", MODE="0600""#, ""),
    ("IMPORT{program}=\"/bin/x\"\nENV{MINE}==\"1\", MODE=\"0600\"", ""),
    (
        "SUBSYSTEM==\"tty\", IMPORT{program}=\"/bin/x\"\nSUBSYSTEM==\"net\", ENV{MINE}==\"1\", MODE=\"0600\"",
        "unset-property@2:19",
    ),
    (r#"ENV{ID_VENDOR_FROM}=="x", IMPORT{builtin}="hwdb""#, ""),
    (r#"ENV{ID_SERIAL_SHRT}=="x", IMPORT{builtin}="hwdb""#, "unset-property@1:1"),
    (
        "SUBSYSTEM==\"usb\", IMPORT{builtin}=\"hwdb\"\nSUBSYSTEM==\"tty\", ENV{MINE}==\"1\", MODE=\"0600\"",
        "unset-property@2:19",
    ),
    ("ENV{MINE}=\"1\"\nENV{MINE}==\"1\", MODE=\"0600\"", ""),
    ("ENV{MINE}==\"1\", MODE=\"0600\"\nENV{MINE}=\"1\"", "property-set-later@1:1"),
    ("ENV{MINE}==\"1\", ENV{MINE}=\"1\"", "property-set-later@1:1"),
    ("ACTION==\"remove\", ENV{MINE}==\"1\", RUN+=\"/bin/x\"\nENV{MINE}=\"1\"", ""),
    ("ENV{ID_SERIAL}==\"1\", MODE=\"0600\"\nIMPORT{builtin}=\"usb_id\"", "property-set-later@1:1"),
    ("IMPORT{builtin}=\"usb_id\"\nENV{ID_SERIAL}==\"1\", MODE=\"0600\"", ""),
    ("IMPORT{parent}=\"ID_*\"\nENV{ID_SERIAL}==\"1\", MODE=\"0600\"\nIMPORT{builtin}=\"usb_id\"", ""),
    (
        "SUBSYSTEM==\"net\", ENV{ID_SERIAL}==\"1\", MODE=\"0600\"\nSUBSYSTEM==\"tty\", IMPORT{builtin}=\"usb_id\"",
        "",
    ),
];

/// TOML, in which the same is found by the same.
const TOML: &[(&str, &str)] = &[
    ("[file]\nmatch.kernel='a'\n[[rule]]\nmatch.kernel='b'\nlink='l'\n", "never-holds@4:7"),
    ("[file]\nmatch.kernel='a|b'\n[[rule]]\nmatch.kernel='b'\nlink='l'\n", ""),
    ("[file]\nmatch.kernel='sd*'\n[[rule]]\nmatch.kernel='sda'\nlink='l'\n", ""),
    ("[file]\nmatch.kernel='sd*'\n[[rule]]\nmatch.kernel='sr0'\nlink='l'\n", "never-holds@4:7"),
    ("[file]\nmatch.kernel='sd*'\n[[rule]]\nmatch.kernel='sr*'\nlink='l'\n", "never-holds@4:7"),
    ("[file]\nmatch.kernel='a'\n[[rule]]\nmatch.kernel={not='a'}\nlink='l'\n", "never-holds@4:7"),
    ("[file]\nmatch.tag='a'\n[[rule]]\nmatch.tag='b'\nlink='l'\n", ""),
    ("[file]\nmatch.attr.x={max=1}\n[[rule]]\nmatch.attr.x={min=2}\nlink='l'\n", "never-holds@4:12"),
    ("[file]\nmatch.attr.x={exists=false}\n[[rule]]\nmatch.attr.x='1'\nlink='l'\n", "never-holds@4:12"),
    ("[file]\nmatch.property.ID_X={exists=false}\n[[rule]]\nmatch.property.ID_X=''\nlink='l'\n", ""),
    ("[[rule]]\nmatch.kernel='b'\nlink=['l', 'l']\n", "duplicate-link@3:1"),
    (
        "[[rule]]\nmatch.kernel='b'\nlink='l'\n[[rule]]\nmatch.kernel='b'\nlink='l'\nmode='0600'\n",
        "duplicate-link@6:1",
    ),
    ("[[rule]]\nmatch.kernel='b'\nlink='l'\n[[rule]]\nmatch.kernel='c'\nlink='l'\n", "shared-link@6:1"),
    ("[[rule]]\nmatch.kernel='b'\nlink='l'\n[[rule]]\nmatch.kernel='c'\nlink='l'\npriority=1\n", ""),
    ("[[rule]]\nmatch.action='add'\nlink='l'\n", "add-only@3:1"),
    ("[[rule]]\nmatch.kernel='b'\nrun=[['/bin/mount', '/x']]\n", "run-mounts@3:1"),
    ("[[rule]]\nmatch.kernel='b'\nrun=[['/bin/logger', '|', 'x']]\n", "no-shell@3:1"),
    ("[[rule]]\nmatch.property.MINE='1'\nlink='l'\n", "unset-property@2:16"),
    (
        "[[rule]]\nmatch.kernel='b*'\nmode='0600'\nfinal=['mode']\n[[rule]]\nmatch.kernel='ba'\nmode='0660'\n",
        "shadowed@7:1",
    ),
    (
        "[[rule]]\nmatch.kernel='b'\nparent={attr.idVendor='1', attr.bInterfaceNumber='0'}\nlink='l'\n",
        "parents-apart@3:33",
    ),
    ("[[rule]]\nmatch.kernel='b'\nparent=[{attr.idVendor='1'}, {attr.bInterfaceNumber='0'}]\nlink='l'\n", ""),
];

/// By the name of the file.
const NAMED: &[(&str, &str, &str)] = &[
    ("99-a.rules", r#"KERNEL=="a", TAG+="uaccess""#, "uaccess-late@1:14"),
    ("73-seat-later.rules", r#"KERNEL=="a", TAG+="uaccess""#, "uaccess-late@1:14"),
    ("73-a.rules", r#"KERNEL=="a", TAG+="uaccess""#, ""),
    ("70-a.rules", r#"KERNEL=="a", TAG+="uaccess""#, ""),
    ("99-a.rules", r#"KERNEL=="a", TAG-="uaccess""#, ""),
    ("99-a.rules", r#"KERNEL=="a", TAG+="seat""#, ""),
    ("70-a.rules", r#"ACTION=="add", TAG+="uaccess""#, "add-only@1:16"),
    ("99-a.toml", "[[rule]]\nmatch.kernel='b'\ntag='uaccess'\n", "uaccess-late@3:1"),
    ("99-a.toml", "[[rule]]\nmatch.kernel='b'\naccess='active-user'\n", ""),
];

fn cases() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let rules = RULES.iter().map(|(text, expected)| ("50-a.rules", *text, *expected));
    let toml = TOML.iter().map(|(text, expected)| ("50-a.toml", *text, *expected));
    rules.chain(toml).chain(NAMED.iter().copied())
}

#[test]
fn every_case() {
    let mut wrong = Vec::new();
    for (name, text, expected) in cases() {
        let findings = lint(&[file(name, text)]);
        if shown(&findings) != expected {
            let messages: Vec<_> = findings.iter().map(|finding| finding.diagnostic.to_string()).collect();
            wrong.push(format!(
                "{name}\n{text}\n  found    {}\n  expected {expected}\n{messages:#?}",
                shown(&findings)
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn every_code_has_a_case() {
    let seen: BTreeSet<&str> = cases()
        .flat_map(|(_, _, expected)| expected.split_whitespace())
        .map(|one| one.split('@').next().unwrap_or_default())
        .collect();
    let table: BTreeSet<&str> = codes::CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(seen, table);
    assert_eq!(table.len(), codes::CODES.len(), "a code twice");
}

#[test]
fn every_finding_says_how_to_repair_it() {
    for (name, text, _) in cases() {
        for finding in lint(&[file(name, text)]) {
            let diagnostic = finding.diagnostic;
            assert!(!diagnostic.message.is_empty() && !diagnostic.message.contains('\n'), "{diagnostic}");
            assert!(diagnostic.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{diagnostic}");
        }
    }
}

#[test]
fn files_in_their_order() {
    let sets = file("60-b.rules", "IMPORT{builtin}=\"usb_id\"\n");
    let early = file("10-a.rules", "ENV{ID_SERIAL}==\"1\", SYMLINK+=\"l\"\n");
    let late = file("90-c.rules", "ENV{ID_SERIAL}==\"1\", SYMLINK+=\"l\"\n");
    let found = lint(&[early.clone(), sets.clone()]);
    assert_eq!(shown(&found), "property-set-later@1:1");
    assert_eq!(
        found[0].diagnostic.message,
        "`ID_SERIAL` is not there yet: it is set only later, at 60-b.rules:1"
    );
    assert_eq!(shown(&lint(&[sets, late])), "");
    let fixed = file("10-a.rules", "KERNEL==\"a\", MODE:=\"0600\"\n");
    let shadowed = file("20-b.toml", "[[rule]]\nmatch.kernel='a'\nmode='0660'\n");
    assert_eq!(shown(&lint(&[fixed, shadowed])), "shadowed@3:1");
}

#[test]
fn what_is_certain_is_repaired() {
    let cases = [
        (r#", KERNEL=="a"  MODE="0600","#, r#"KERNEL=="a", MODE="0600""#),
        (r#"KERNEL == "a" ,MODE = "0600""#, r#"KERNEL=="a", MODE="0600""#),
        ("KERNEL==\"a\" \\\n  MODE=\"0600\"\n", "KERNEL==\"a\", \\\n  MODE=\"0600\"\n"),
        ("KERNEL==\"a\" , \\\n  MODE=\"0600\"\n", "KERNEL==\"a\", \\\n  MODE=\"0600\"\n"),
        (r#"KERNEL=="a", KERNEL=="a", MODE="0600""#, r#"KERNEL=="a", MODE="0600""#),
        (r#"KERNEL=="a", TAG+="x", TAG+="x""#, r#"KERNEL=="a", TAG+="x""#),
        (
            r#"BUS=="usb", SYSFS{idVendor}=="1", NAME="%k", MODE="0600""#,
            r#"SUBSYSTEMS=="usb", ATTRS{idVendor}=="1", MODE="0600""#,
        ),
        (r#"KERNEL=="a", ENV{X}="$tempnode", OPTIONS+="last_rule""#, r#"KERNEL=="a", ENV{X}="$devnode""#),
        ("# BUS ,, x\nKERNEL==\"a\",MODE=\"0600\" \n", "# BUS ,, x\nKERNEL==\"a\", MODE=\"0600\" \n"),
    ];
    for (text, expected) in cases {
        let fixed =
            fix(Path::new("50-a.rules"), text, &KNOWN).unwrap_or_else(|| panic!("not repaired: {text}"));
        assert_eq!(fixed.text, expected, "{text}");
        assert!(!fixed.done.is_empty());
        assert_eq!(fix(Path::new("50-a.rules"), &fixed.text, &KNOWN), None, "again: {text}");
    }
    let twice = [
        r#"KERNEL=="a", ENV{X}+="x", ENV{X}+="x""#,
        r#"KERNEL=="a", ATTR{x}="0", ATTR{x}="0""#,
        r#"KERNEL=="a", TAG+="x", TAG-="x", TAG+="x""#,
        r#"KERNEL=="a", MODE="0600", MODE="0660", MODE="0600""#,
        r#"KERNEL=="a", PROGRAM=="/bin/a", PROGRAM=="/bin/a", MODE="0600""#,
    ];
    for text in twice {
        assert_eq!(fix(Path::new("50-a.rules"), text, &KNOWN), None, "{text}");
    }
    for text in [r#"KERNEL=="a", MODE="0600""#, r#"KERNEL=="a", KERNEL=="b", MODE="0600""#, "NAME=\"%k\"\n"] {
        assert_eq!(fix(Path::new("50-a.rules"), text, &KNOWN), None, "{text}");
    }
}

#[test]
fn repairs_of_toml() {
    let rule = |lines: &str| format!("# why\n[[rule]]\nmatch = {{ subsystem = \"tty\" }}  # all\n{lines}\n");
    let cases = [
        ("mode  = 660 # octal", "mode  = \"0660\" # octal"),
        ("link = [\"a\", # first\n  2]", "link = [\"a\", # first\n  \"2\"]"),
        ("symlink = \"gps\"", "link = \"gps\""),
        ("user = \"ann\"\nmode = 600", "owner = \"ann\"\nmode = \"0600\""),
        ("env.A = 1", "property.A = \"1\""),
        ("property.A = true", "property.A = \"true\""),
    ];
    let path = Path::new("50-a.toml");
    for (wrong, right) in cases {
        let fixed = fix(path, &rule(wrong), &KNOWN).unwrap_or_else(|| panic!("not repaired: {wrong}"));
        assert_eq!(fixed.text, rule(right));
        let source = SourceFile::new(path, fixed.text.as_bytes());
        assert_eq!(toml::parse(&source, &KNOWN).diagnostics, [], "{right}");
        assert_eq!(fix(path, &fixed.text, &KNOWN), None, "again: {wrong}");
    }
    let left = [
        "mode = 999",
        "mode = 0o660",
        "mode = \"rw\"",
        "lnk = \"gps\"",
        "link = \"/run/gps\"",
        "link = \"a\"\nsymlink = \"b\"",
        "owner = \"nobody-here\"",
        "link = \"fine\"",
    ];
    for text in left {
        assert_eq!(fix(path, &rule(text), &KNOWN), None, "{text}");
    }
}

#[test]
fn form_changes_no_rule() {
    let mut seen = 0;
    for (text, expected) in RULES.iter().filter(|(_, expected)| expected.starts_with("style-")) {
        let fixed =
            fix(Path::new("50-a.rules"), text, &KNOWN).unwrap_or_else(|| panic!("not repaired: {text}"));
        let printed = |text: &str| udev::print(&file("50-a.rules", text).rules).unwrap();
        assert_eq!(printed(&fixed.text), printed(text), "{text}");
        seen += expected.len().min(1);
    }
    assert!(seen > 8, "{seen}");
}

/// Rules that thousands of machines run have matters of taste, and few of the mistakes that make a rule useless.
#[test]
fn rules_that_everybody_runs() {
    let mut dirs = Roots::system().udev_rule_dirs();
    if let Some(more) = std::env::var_os("NAMEPLATE_DEBIAN_RULES") {
        dirs.push(more.into());
    }
    dirs.retain(|dir| dir.is_dir());
    if dirs.is_empty() {
        return common::skip("there are no udev rules");
    }
    let useless = [
        codes::NEVER_HOLDS,
        codes::UNKNOWN_ACTION,
        codes::PARENTS_APART,
        codes::RESULT_WITHOUT_PROGRAM,
        codes::SHADOWED,
        codes::NO_SHELL,
        codes::UNSET_PROPERTY,
        codes::PROPERTY_SET_LATER,
    ];
    let found = lint(&load::load(&dirs, &KNOWN).files);
    let useless: Vec<String> = found
        .iter()
        .map(|finding| &finding.diagnostic)
        .filter(|one| useless.contains(&one.code) && !one.place.file.path.starts_with("/etc"))
        .map(|one| format!("{}: {one}", one.code))
        .collect();
    assert!(useless.is_empty(), "{}", useless.join("\n"));
}

proptest! {
    #[test]
    fn any_text_is_looked_over_and_repaired_for_good(
        tokens in proptest::collection::vec(
            prop_oneof![
                Just("KERNEL==\"a\""), Just("KERNEL == \"a\""), Just("MODE=\"0600\""), Just("NAME=\"%k\""),
                Just("TAG+=\"x\""), Just("ENV{X}=\"$tempnode\""), Just("BUS==\"usb\""), Just("SYSFS{a}==\"1\""),
                Just("OPTIONS+=\"last_rule\""), Just(","), Just(" "), Just("\\\n"), Just("\n"), Just("#"), Just("\""),
                Just("GOTO=\"e\""), Just("LABEL=\"e\""), Just("RUN+=\"a & b\""), Just("ä"),
            ],
            0..20,
        )
    ) {
        let text = tokens.concat();
        lint(&[file("50-a.rules", &text)]);
        if let Some(fixed) = fix(Path::new("50-a.rules"), &text, &KNOWN) {
            prop_assert_ne!(&fixed.text, &text);
            prop_assert_eq!(fix(Path::new("50-a.rules"), &fixed.text, &KNOWN), None, "{:?} became {:?}", text, fixed.text);
        }
    }
}
