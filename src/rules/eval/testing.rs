//! Owns what tests of the evaluator and of `decide` share: short ways to write rules, a small machine, a scripted host.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bstr::BString;

use super::{Before, EventFacts, Outcome, evaluate};
use crate::device::{Device, Reader, Source, Tree};
use crate::diag::SourceFile;
use crate::ids::{Action, DevPath, Tag};
use crate::properties::Properties;
use crate::rules::compile::Compiled;
use crate::rules::host::{Host, HostError, Numbered, ProgramOutput};
use crate::rules::ir::{
    Command, Condition, ConstKey, Effect, Import, ListOp, Mode, Principal, Rule, RuleFile, Step, StepKind,
    Subject, Test,
};
use crate::rules::template::Template;
use crate::rules::trace::{Observer, Unobserved};
use crate::text::{Case, Pattern};

pub(crate) fn template(text: &str) -> Template {
    Template::parse(text.as_bytes()).0
}

pub(crate) fn pattern(text: &str) -> Pattern {
    Pattern::new(text.as_bytes(), Case::Sensitive)
}

/// A condition's subject by its word in TOML: `kernel`, `attr.size`, `property.ID_BUS` …
pub(crate) fn subject(word: &str) -> Subject {
    match word.split_once('.').unwrap_or((word, "")) {
        ("kernel", _) => Subject::Kernel,
        ("subsystem", _) => Subject::Subsystem,
        ("driver", _) => Subject::Driver,
        ("devtype", _) => Subject::Devtype,
        ("devpath", _) => Subject::Devpath,
        ("action", _) => Subject::Action,
        ("tag", _) => Subject::Tag,
        ("name", _) => Subject::Name,
        ("link", _) => Subject::Link,
        ("result", _) => Subject::Result,
        ("attr", name) => Subject::Attribute(template(name).into()),
        ("property", key) => Subject::Property(key.into()),
        ("sysctl", name) => Subject::Sysctl(template(name).into()),
        ("file", path) => Subject::File(template(path).into()),
        ("const", "arch") => Subject::Const(ConstKey::Arch),
        other => panic!("no subject {other:?}"),
    }
}

pub(crate) fn condition(word: &str, test: Test) -> Condition {
    Condition { subject: subject(word), test }
}

pub(crate) fn when(word: &str, test: Test) -> StepKind {
    StepKind::When(condition(word, test))
}

pub(crate) fn is(word: &str, glob: &str) -> StepKind {
    when(word, Test::Is(pattern(glob)))
}

pub(crate) fn is_not(word: &str, glob: &str) -> StepKind {
    when(word, Test::IsNot(pattern(glob)))
}

/// One device on the way up has all of these.
pub(crate) fn parent(conditions: &[(&str, &str)]) -> StepKind {
    let file = SourceFile::new(Path::new("t.toml"), b"");
    let one = |(word, glob): &(&str, &str)| (file.place(0..0), condition(word, Test::Is(pattern(glob))));
    StepKind::Parent(conditions.iter().map(one).collect())
}

pub(crate) fn import(import: Import) -> StepKind {
    StepKind::When(Condition { subject: Subject::Import(import), test: Test::Exists(true) })
}

pub(crate) fn program(line: &str, success: bool) -> StepKind {
    let subject = Subject::Program(Command::Line(template(line).into()));
    StepKind::When(Condition { subject, test: Test::Exists(success) })
}

pub(crate) fn act(effect: Effect) -> StepKind {
    StepKind::Do { effect, fixed: false }
}

pub(crate) fn fixed(step: StepKind) -> StepKind {
    match step {
        StepKind::Do { effect, .. } => StepKind::Do { effect, fixed: true },
        other => other,
    }
}

pub(crate) fn link(name: &str) -> StepKind {
    act(Effect::Link { op: ListOp::Add, names: vec![template(name)], split: false })
}

pub(crate) fn symlink_as_udev(op: ListOp, names: &str) -> StepKind {
    act(Effect::Link { op, names: vec![template(names)], split: true })
}

pub(crate) fn property(key: &str, value: &str) -> StepKind {
    act(Effect::Property { key: key.into(), value: template(value), append: false })
}

pub(crate) fn append(key: &str, value: &str) -> StepKind {
    act(Effect::Property { key: key.into(), value: template(value), append: true })
}

pub(crate) fn tag(op: ListOp, text: &str) -> StepKind {
    act(Effect::Tag { op, tag: template(text) })
}

pub(crate) fn group(name: &str, id: u32) -> StepKind {
    act(Effect::Group(Principal::Named { name: name.into(), id }))
}

pub(crate) fn mode(bits: u32) -> StepKind {
    act(Effect::Mode(Mode::Bits(bits)))
}

pub(crate) fn run(op: ListOp, argv: &[&str]) -> StepKind {
    act(Effect::Run { op, command: Command::Argv(argv.iter().map(|word| template(word)).collect()) })
}

pub(crate) fn write_attr(name: &str, value: &str) -> StepKind {
    act(Effect::WriteAttribute { name: template(name).into(), value: template(value) })
}

/// Rules of a file `t.toml`: the first stands on line 1 and so on.
pub(crate) fn compile(rules: Vec<Vec<StepKind>>) -> Compiled {
    let source = SourceFile::new(Path::new("t.toml"), "\n".repeat(rules.len()).as_bytes());
    let rule = |(at, steps): (usize, Vec<StepKind>)| {
        let place = || source.place(at..at + 1);
        let steps = steps.into_iter().map(|kind| Step { place: place(), kind }).collect();
        Rule { place: place(), about: None, steps, jump: None }
    };
    let rules = rules.into_iter().enumerate().map(rule).collect();
    Compiled::new(&[Arc::new(RuleFile { source: Arc::clone(&source), rules })])
}

/// The serial adapter's tty, its interface, the adapter, and what else is on the machine.
pub(crate) const TTY: &str = "/devices/pci0/usb1/1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0";
pub(crate) const USB: &str = "/devices/pci0/usb1/1-2";
pub(crate) const NET: &str = "/devices/virtual/net/eth0";
pub(crate) const DISK: &str = "/devices/virtual/block/sda";

/// A machine below a directory that goes with it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) tree: Tree,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path().join("sys");
        let device = |path: &str, subsystem: &str, uevent: &str, files: &[(&str, &str)]| {
            let at = sys.join(path.trim_start_matches('/'));
            fs::create_dir_all(&at).unwrap();
            fs::write(at.join("uevent"), uevent).unwrap();
            for (name, value) in files {
                fs::create_dir_all(at.join(name).parent().unwrap()).unwrap();
                fs::write(at.join(name), value).unwrap();
            }
            let class = sys.join("class").join(subsystem);
            fs::create_dir_all(&class).unwrap();
            symlink(&class, at.join("subsystem")).unwrap();
        };
        device("/devices/pci0", "pci", "", &[("vendor", "0x8086\n")]);
        device("/devices/pci0/usb1", "usb", "DEVTYPE=usb_device\n", &[("serial", "hub\n")]);
        let usb = "DEVTYPE=usb_device\nDEVNAME=bus/usb/001/002\nMAJOR=189\nMINOR=1\n";
        device(
            USB,
            "usb",
            usb,
            &[
                ("idVendor", "1546\n"),
                ("idProduct", "01a7\n"),
                ("bcdDevice", "0100\n"),
                ("manufacturer", "u-blox\n"),
                ("serial", "A50285BI\n"),
                ("product", "u-blox 7\n"),
            ],
        );
        device(
            &format!("{USB}/1-2:1.0"),
            "usb",
            "DEVTYPE=usb_interface\n",
            &[
                ("bInterfaceNumber", "00\n"),
                ("bInterfaceClass", "02\n"),
                ("bInterfaceSubClass", "02\n"),
                ("bInterfaceProtocol", "01\n"),
            ],
        );
        device(&format!("{USB}/1-2:1.0/ttyUSB0"), "usb-serial", "", &[("port_number", "0\n")]);
        let long = "x".repeat(600) + "\n";
        let attributes = [
            ("long", long.as_str()),
            ("label", " two  words \n"),
            ("up", "../../etc/passwd\n"),
            ("odd", "a;b\x07c\n"),
            ("size", "0x10\n"),
            ("empty", "\n"),
            ("power/control", "auto\n"),
            ("q/one/x", "1\n"),
        ];
        device(TTY, "tty", "MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\n", &attributes);
        device(NET, "net", "IFINDEX=7\nINTERFACE=eth0\n", &[("mtu", "1500\n")]);
        device(DISK, "block", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\n", &[("size", "2000\n")]);
        let driver = sys.join("bus/usb/drivers/cdc_acm");
        fs::create_dir_all(&driver).unwrap();
        symlink(&driver, sys.join(format!("{USB}/1-2:1.0/driver").trim_start_matches('/'))).unwrap();
        let tree = Tree::new(Source::Live(sys));
        tree.walk();
        Self { dir, tree }
    }

    pub(crate) fn device(&self, path: &str) -> Device {
        self.tree.get(&DevPath::new(path.as_bytes()).unwrap()).unwrap()
    }

    /// What is known of an event of a device.
    pub(crate) fn facts(&self, action: Action, path: &str) -> EventFacts {
        let device = self.device(path);
        let mut properties = (*Reader::new(&self.tree).uevent(&device)).clone();
        let node = properties.get("DEVNAME").map(BString::from);
        properties.set("ACTION", action.as_str()).unwrap();
        EventFacts {
            action,
            devpath: device.devpath(),
            seqnum: None,
            subsystem: device.subsystem(),
            devnum: device.devnum(),
            ifindex: device.ifindex(),
            node,
            properties,
            before: Before::default(),
            device: Some(device),
        }
    }
}

/// Answers from a script, and remembers what it was asked to do.
#[derive(Debug)]
pub(crate) struct Scripted<'t> {
    pub(crate) reader: Reader<'t>,
    /// What each program prints; one that is not here fails.
    pub(crate) programs: BTreeMap<&'static str, &'static str>,
    pub(crate) numbers: Vec<BString>,
    pub(crate) log: Vec<String>,
}

impl<'t> Scripted<'t> {
    pub(crate) fn new(machine: &'t Machine) -> Self {
        let programs = BTreeMap::from([
            ("/bin/words", "one two  three\n"),
            ("/bin/lines", "P1=a\nP2='b c'\nACTION=forged\n.T=t\n"),
            ("/bin/quiet", ""),
        ]);
        Self { reader: Reader::new(&machine.tree), programs, numbers: Vec::new(), log: Vec::new() }
    }
}

impl Host for Scripted<'_> {
    fn attribute(&self, device: &Device, name: &[u8]) -> Option<BString> {
        self.reader.attribute(device, name)
    }
    fn attribute_mode(&self, device: &Device, name: &[u8]) -> Option<u32> {
        self.reader.exists(device, name)
    }
    fn driver(&self, device: &Device) -> Option<BString> {
        self.reader.driver(device)
    }
    fn uevent(&self, device: &Device) -> Rc<Properties> {
        self.reader.uevent(device)
    }
    fn properties(&self, device: &Device) -> Properties {
        let mut all = (*self.reader.uevent(device)).clone();
        all.set("ID_OF", device.sysname()).unwrap();
        all
    }
    fn tags(&self, device: &Device) -> Vec<Tag> {
        if device.sysname() == "1-2" { vec![Tag::new(b"seat").unwrap()] } else { Vec::new() }
    }
    fn find(&self, subsystem: &[u8], kernel: &[u8]) -> Option<Device> {
        self.reader.find(subsystem, kernel)
    }
    fn recorded(&self, key: &[u8]) -> Option<BString> {
        (key == b"OLD").then(|| "kept".into())
    }
    fn sysctl(&self, name: &[u8]) -> Option<BString> {
        (name == b"kernel/hostname").then(|| "box\n".into())
    }
    fn constant(&self, _: ConstKey) -> Option<BString> {
        Some("arm64".into())
    }
    fn file_mode(&self, path: &[u8]) -> Option<u32> {
        (path == b"/bin/sh").then_some(0o100_755)
    }
    fn read_file(&self, path: &[u8]) -> Result<Option<BString>, HostError> {
        match path {
            b"/etc/facts" => Ok(Some("F=1\n".into())),
            b"/etc/secret" => Err(HostError("permission denied".into())),
            _ => Ok(None),
        }
    }
    fn command_line(&self, key: &[u8]) -> Option<BString> {
        (key == b"quiet").then(|| "1".into())
    }
    fn user(&self, name: &[u8]) -> Option<u32> {
        (name == b"u7").then_some(1007)
    }
    fn group(&self, name: &[u8]) -> Option<u32> {
        (name == b"tty").then_some(5)
    }
    fn dev_root(&self) -> BString {
        "/dev".into()
    }
    fn sys_root(&self) -> BString {
        "/sys".into()
    }
    fn program(&mut self, argv: &[BString], environment: &Properties) -> ProgramOutput {
        self.log.push(format!("{} with {}", bstr::join(" ", argv).escape_ascii(), environment.len()));
        let printed = self.programs.iter().find(|(path, _)| argv.first().is_some_and(|a| a == **path));
        let stdout = printed.map(|(_, text)| BString::from(*text));
        let failure = stdout.is_none().then(|| "exit status 1".to_owned());
        ProgramOutput { success: stdout.is_some(), stdout: stdout.unwrap_or_default(), failure }
    }
    fn builtin(&mut self, name: &str, _: &[BString], _: &Properties) -> Result<Properties, HostError> {
        match name {
            "path_id" => Ok([("ID_PATH", "pci-0-usb-0:2")].into_iter().collect()),
            _ => Err(HostError("nothing found".into())),
        }
    }
    fn write_attribute(&mut self, device: &Device, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        self.log.push(format!("{} {} = {}", device.sysname(), name.escape_ascii(), value.escape_ascii()));
        self.reader.overlay(device, name, value);
        Ok(())
    }
    fn write_sysctl(&mut self, _: &[u8], _: &[u8]) -> Result<(), HostError> {
        Err(HostError("read-only file system".into()))
    }
    fn index(&mut self, pool: &str, identity: &[u8]) -> Numbered {
        let known = self.numbers.iter().position(|known| *known == identity);
        let at = known.unwrap_or_else(|| {
            self.numbers.push(identity.into());
            self.numbers.len() - 1
        });
        let lost = (pool == "lost").then(|| HostError("read-only".into()));
        Numbered { value: u32::try_from(at).unwrap(), lost }
    }
}

/// Runs rules over an event of the machine.
pub(crate) fn outcome(machine: &Machine, action: Action, path: &str, rules: Vec<Vec<StepKind>>) -> Outcome {
    observed(machine, action, path, rules, &mut Unobserved)
}

pub(crate) fn observed<O: Observer>(
    machine: &Machine,
    action: Action,
    path: &str,
    rules: Vec<Vec<StepKind>>,
    observer: &mut O,
) -> Outcome {
    let facts = machine.facts(action, path);
    evaluate(&compile(rules), &facts, &mut Scripted::new(machine), observer)
}

/// An outcome in one line: what rules set, each with its line; diagnostics by their codes.
pub(crate) fn summary(outcome: &Outcome) -> String {
    let mut out: Vec<String> = Vec::new();
    out.extend(outcome.links.iter().map(|(name, at)| format!("link {name}@{}", at.line)));
    out.extend(outcome.priority.iter().map(|p| format!("priority {}@{}", p.value, p.from.line)));
    out.extend(outcome.name.iter().map(|n| format!("name {}@{}", n.value, n.from.line)));
    out.extend(
        outcome.owner.iter().map(|o| format!("owner {}={}@{}", o.value.name, o.value.id, o.from.line)),
    );
    out.extend(
        outcome.group.iter().map(|g| format!("group {}={}@{}", g.value.name, g.value.id, g.from.line)),
    );
    out.extend(outcome.mode.iter().map(|m| format!("mode {:04o}@{}", m.value, m.from.line)));
    out.extend(
        outcome
            .set
            .iter()
            .map(|(key, at)| format!("{key}={}@{}", outcome.properties.get(key).unwrap(), at.line)),
    );
    out.extend(outcome.tags.iter().map(|(tag, at)| format!("tag {tag}@{}", at.line)));
    out.extend(outcome.run.iter().map(|job| format!("run {:?}@{}", job.value, job.from.line)));
    out.extend(outcome.watch.iter().map(|w| format!("watch {}@{}", w.value, w.from.line)));
    out.extend(outcome.diagnostics.iter().map(|d| format!("!{}@{}", d.code, d.place.line)));
    out.join("; ")
}
