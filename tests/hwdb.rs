//! The hardware database against systemd's own tools on all of Debian's sources: the same bytes, and the same answers for
//! hundreds of modaliases.

#![cfg(test)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nameplate::builtin::hwdb::Hwdb;
use nameplate::builtin::hwdb::compile::{Compiled, Sources, compile, sources};
use nameplate::roots::Roots;

/// Where Debian's package `udev` puts the sources.
const DEBIAN: &str = "/usr/lib/udev/hwdb.d";

/// Mistakes of every kind, records that override, comments, odd white space.
const ODD: &str = "\
# comment
a:b*
  EMPTY=
 =novalue
 NOEQ
 A=1 # tail
   B=two words  \t
# no end
 C=x=y

a:b*
a:[bc]*
 A=2
 TAB\t=x
bad

 indented
lonely

x:y\r
 K=v\r
\r
last:match";

/// A root with sources in it, and systemd's tools to ask.
struct Bench {
    temp: tempfile::TempDir,
}

impl Bench {
    /// `None`: there is no `systemd-hwdb` here, which is said.
    fn new() -> Option<Self> {
        if Command::new("systemd-hwdb").arg("--version").output().is_err() {
            common::skip("systemd-hwdb is not installed");
            return None;
        }
        let temp = tempfile::tempdir().unwrap();
        for dir in ["etc/udev/hwdb.d", "usr/lib/udev/hwdb.d"] {
            fs::create_dir_all(temp.path().join(dir)).unwrap();
        }
        std::os::unix::fs::symlink("usr/lib", temp.path().join("lib")).unwrap();
        Some(Self { temp })
    }

    fn with_debians() -> Option<Self> {
        let bench = Self::new()?;
        let Ok(entries) = fs::read_dir(DEBIAN) else {
            common::skip("Debian's hwdb.d is not installed");
            return None;
        };
        for entry in entries {
            let from = entry.unwrap().path();
            fs::copy(&from, bench.root().join("usr/lib/udev/hwdb.d").join(from.file_name().unwrap()))
                .unwrap();
        }
        Some(bench)
    }

    fn root(&self) -> &Path {
        self.temp.path()
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.root().join(file), text).unwrap();
    }

    /// What systemd's tool makes of the sources.
    fn systemd(&self, sources: Sources) -> Vec<u8> {
        let root = format!("--root={}", self.root().display());
        let (tool, arguments) = match sources {
            Sources::Named => ("systemd-hwdb", vec![root.as_str(), "update"]),
            Sources::Left => ("udevadm", vec!["hwdb", "--update", root.as_str()]),
        };
        let output = Command::new(tool).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read(self.root().join("etc/udev/hwdb.bin")).unwrap()
    }

    /// The places that systemd's tool complains of, as `FILE:LINE`.
    fn complaints(&self) -> Vec<String> {
        let root = format!("--root={}", self.root().display());
        let output = Command::new("systemd-hwdb").args([&root, "update"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let place = |line: &str| line.splitn(3, ':').take(2).collect::<Vec<_>>().join(":");
        text.lines().filter(|line| line.contains(".hwdb:")).map(place).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        sources(&Roots::below(self.root()).hwdb_source_dirs()).unwrap()
    }

    fn ours(&self, sources: Sources) -> Compiled {
        compile(&self.files(), sources)
    }

    /// What systemd's reader answers from the database in this root.
    fn ask_systemd(&self, modalias: &str) -> String {
        let root = format!("--root={}", self.root().display());
        let output = Command::new("systemd-hwdb").args([&root, "query", modalias]).output().unwrap();
        assert!(output.status.success(), "{modalias}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The bytes without the version of the tool, which no reader looks at.
fn versionless(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[8..16].fill(0);
    bytes
}

/// Compares without printing megabytes.
fn assert_same(ours: Vec<u8>, theirs: Vec<u8>, what: &str) {
    let (ours, theirs) = (versionless(ours), versionless(theirs));
    let differ = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    assert_eq!((differ, ours.len()), (None, theirs.len()), "{what}");
}

fn answer(hwdb: &Hwdb, modalias: &str) -> String {
    let found = hwdb.query(modalias.as_bytes()).unwrap();
    found.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

#[test]
fn debians_database_is_systemds_byte_for_byte() {
    let Some(bench) = Bench::with_debians() else { return };
    for sources in [Sources::Named, Sources::Left] {
        let ours = bench.ours(sources);
        assert_eq!(ours.problems, [], "{sources:?}");
        assert_same(ours.bytes, bench.systemd(sources), &format!("{sources:?}"));
    }
}

#[test]
fn what_is_odd_is_taken_as_systemd_takes_it() {
    let Some(bench) = Bench::new() else { return };
    bench.write("usr/lib/udev/hwdb.d/10-a.hwdb", ODD);
    bench.write("usr/lib/udev/hwdb.d/20-masked.hwdb", "m:*\n M=1\n");
    bench.write("usr/lib/udev/hwdb.d/30-replaced.hwdb", "r:*\n R=weak\n");
    bench.write("usr/lib/udev/hwdb.d/40-no.conf", "n:*\n N=1\n");
    bench.write("etc/udev/hwdb.d/05-early.hwdb", "a:bc\n A=early\n");
    bench.write("etc/udev/hwdb.d/30-replaced.hwdb", "r:*\n R=strong\n");
    bench.write("etc/udev/hwdb.d/50-empty.hwdb", "");
    std::os::unix::fs::symlink("/dev/null", bench.root().join("etc/udev/hwdb.d/20-masked.hwdb")).unwrap();
    for sources in [Sources::Left, Sources::Named] {
        let ours = bench.ours(sources);
        assert_eq!(ours.problems.len(), 6, "{:?}", ours.problems);
        let places =
            ours.problems.iter().map(|problem| format!("{}:{}", problem.file.display(), problem.line));
        assert_eq!(places.collect::<Vec<_>>(), bench.complaints());
        let theirs = bench.systemd(sources);
        let hwdb = Hwdb::from_bytes(theirs.clone()).unwrap();
        for modalias in ["a:bc", "a:b*", "a:c", "x:y", "x:y\r", "m:1", "r:1", "n:1", "last:match", "", "a:"] {
            assert_eq!(answer(&hwdb, modalias), bench.ask_systemd(modalias), "{modalias:?} {sources:?}");
        }
        if sources == Sources::Named {
            // the file that is a mask has a number too
            assert_same(ours.bytes, theirs, "with names");
        }
    }
}

/// Texts that the globs of the sources match: one for every `step`th pattern.
fn modaliases(files: &[PathBuf], step: usize) -> Vec<String> {
    let mut out = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let patterns = text.lines().filter(|line| !line.is_empty() && !line.starts_with([' ', '#']));
        out.extend(patterns.step_by(step).map(|pattern| {
            let mut value = String::new();
            let mut rest = pattern.chars();
            while let Some(c) = rest.next() {
                match c {
                    '*' => value.push_str("x0"),
                    '?' => value.push('1'),
                    '[' => {
                        value.push(rest.next().unwrap());
                        rest.by_ref().find(|c| *c == ']');
                    }
                    c => value.push(c),
                }
            }
            value
        }));
    }
    out
}

#[test]
fn systemds_reader_and_ours_answer_the_same() {
    let Some(bench) = Bench::with_debians() else { return };
    let mut asked = modaliases(&bench.files(), 499);
    asked.extend(
        [
            "usb:v1546p01A7:u-blox 7 - GPS/GNSS Receiver",
            "usb:v046DpC52Bd1201dc00dsc00dp00ic03isc01ip02in01",
            "pci:v00008086d00001C22sv00001028sd000004AAbc0Csc05i00",
            "acpi:PNP0C0A:",
            "dmi:bvnLENOVO:bvr1:svnLENOVO:",
            "evdev:atkbd:dmi:bvnLENOVO:bvr6QET:bd01/01/2010:svnLENOVO:pn2901:pvrThinkPadX201:",
            "evdev:name:SynPS/2 Synaptics TouchPad:dmi:*svnLENOVO:*pvrThinkPadX201*",
            "mouse:usb:v046dpc05a:name:Logitech USB Optical Mouse:",
            "OUI:00000C123456",
            "bluetooth:v000F",
            "sensor:modalias:acpi:BOSC0200:BOSC0200:dmi:svnASUS:",
            "nothing:at:all",
        ]
        .map(str::to_owned),
    );
    assert!(asked.len() > 200, "{}", asked.len());
    for sources in [Sources::Named, Sources::Left] {
        // systemd's reader on what we built, ours on the same file
        let path = bench.root().join("etc/udev/hwdb.bin");
        fs::write(&path, bench.ours(sources).bytes).unwrap();
        let hwdb = Hwdb::open(&path).unwrap();
        let step = if sources == Sources::Named { 1 } else { 7 };
        let mut answers = 0;
        for modalias in asked.iter().step_by(step) {
            let ours = answer(&hwdb, modalias);
            assert_eq!(ours, bench.ask_systemd(modalias), "{modalias}");
            answers += usize::from(!ours.is_empty());
        }
        assert!(answers * 10 > asked.len() / step * 9, "{answers} of {}", asked.len() / step);
    }
}

#[test]
fn the_command() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_nameplate"))
            .arg("--root")
            .arg(root)
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(root.to_str().unwrap(), "");
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, _, errors) = run(&["hwdb", "query", "a:b"]);
    assert_eq!((code, errors.contains("there is no hardware database")), (5, true), "{errors}");
    assert_eq!(run(&["hwdb", "update"]), (0, "there are no sources and no database\n".into(), String::new()));

    let source = root.join("usr/lib/udev/hwdb.d/10-a.hwdb");
    fs::create_dir_all(source.parent().unwrap()).unwrap();
    fs::write(&source, "a:*\n A=1\n B=x y\nbad\n").unwrap();
    let (code, said, errors) = run(&["hwdb", "update"]);
    assert!(
        code == 0 && said.starts_with("/etc/udev/hwdb.bin: ") && said.ends_with(" bytes from 1 files\n"),
        "{said}"
    );
    assert_eq!(
        errors,
        "/usr/lib/udev/hwdb.d/10-a.hwdb:4: `bad` is no property and not indented: the rest of the record is left out\n"
    );
    assert_eq!(run(&["hwdb", "update", "--strict", "--usr"]).0, 1);
    assert!(root.join("usr/lib/udev/hwdb.bin").exists());
    assert_eq!(run(&["hwdb", "query", "a:b"]), (0, "A=1\nB=x y\n".into(), String::new()));
    assert_eq!(run(&["--json", "hwdb", "query", "a:b"]).1.replace([' ', '\n'], ""), r#"{"A":"1","B":"xy"}"#);
    assert_eq!(run(&["hwdb", "query", "b"]), (1, String::new(), String::new()));

    // one that is damaged is an error and no crash
    fs::remove_file(root.join("etc/udev/hwdb.bin")).unwrap();
    fs::write(root.join("etc/udev/hwdb.bin"), "KSLPHHRH").unwrap();
    let (code, _, errors) = run(&["hwdb", "query", "a:b"]);
    assert_eq!((code, errors.contains("too short")), (5, true), "{errors}");
    fs::remove_file(source).unwrap();
    assert_eq!(
        run(&["hwdb", "update"]),
        (0, "/etc/udev/hwdb.bin: removed, there are no sources\n".into(), String::new())
    );
}
