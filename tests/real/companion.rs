//! The daemon beside the machine's own systemd-udevd, in mount and network namespaces of their own: `/dev`, `/run` and the
//! rule directories are gone with them, and so are udevd's names and records.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::daemon::{Daemon, World, eventually};
use crate::devices::Loops;
use crate::need_devices;

/// Where systemd has its udevd.
const UDEVD: [&str; 2] = ["/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"];

/// What udevd itself does in these tests: it finds a property for each device of theirs, reads media, makes a name.
const UDEVS_RULES: &str = r#"
SUBSYSTEM!="block", GOTO="end"
KERNEL!="loop48*", GOTO="end"
ENV{NP_FOUND}="by-udevd-%k", TAG+="nplab"
ACTION!="remove", IMPORT{builtin}="blkid"
KERNEL=="loop48*", SYMLINK+="udevs/%k"
LABEL="end"
"#;

/// The daemon's rules: all of them need something that only udevd knows.
const RULES: &str = r#"
[[rule]]
match = { subsystem = "block", kernel = "loop48*", property.NP_FOUND = "by-udevd-*" }
link = "np/$env{NP_FOUND}"

[[rule]]
match = { subsystem = "block", property.ID_FS_LABEL = "?*" }
link = "np/label-$env{ID_FS_LABEL}"
"#;

/// Sets the scene; `$1` and what follows are the nodes that there will be. Ends with its standard input.
const SCENE: &str = r#"
own=$(mktemp -d)
mount -t tmpfs -o mode=0755 none "$own"
for node in null zero full random urandom loop-control; do cp -a "/dev/$node" "$own"; done
# the build may be there
mkdir "$own/shm"
mount --bind /dev/shm "$own/shm"
for number in "$@"; do mknod "$own/loop$number" b 7 "$number"; done
mount --move "$own" /dev
rmdir "$own"
mount -t tmpfs none /run
for dir in /etc/udev/rules.d /usr/lib/udev/rules.d /usr/local/lib/udev/rules.d; do
    [ ! -d $dir ] || mount -t tmpfs none $dir
done
mount -t sysfs none /sys
mkdir -p /run/udev/rules.d
echo ready
cat >/dev/null
"#;

/// Namespaces in which a udevd may run.
struct Lab {
    scene: Child,
    /// The devices are everybody's: labs take turns.
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Lab {
    /// With nodes for these loop devices.
    fn new(numbers: impl IntoIterator<Item = i32>) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scene = Command::new("unshare")
            .args(["--mount", "--net", "--propagation", "private", "sh", "-euc", SCENE, "scene"])
            .args(numbers.into_iter().map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(scene.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let lab = Self { scene, _turn: turn };
        lab.udevs_rules("50-lab.rules", UDEVS_RULES);
        lab
    }

    /// A path as the lab has it.
    fn path(&self, path: &str) -> String {
        format!("/proc/{}/root{path}", self.scene.id())
    }

    fn udevs_rules(&self, name: &str, text: &str) {
        std::fs::write(self.path(&format!("/run/udev/rules.d/{name}")), text).unwrap();
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--net", "--target", &self.scene.id().to_string(), "--", program]);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = self.command(program, arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {}: {said}", output.status);
        output
    }

    /// Starts udevd and waits until it answers.
    fn udevd(&self) -> Udevd {
        let program = UDEVD.into_iter().find(|path| Path::new(path).exists()).unwrap();
        let mut command = self.command(program, &[]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("udevd's answer", || {
            let mut ping = self.command("udevadm", &["control", "--ping", "--timeout=5"]);
            ping.stderr(Stdio::null()).status().unwrap().success().then_some(())
        });
        Udevd(child)
    }

    /// What a boot does: the devices that are there are handled as if they had just come.
    fn cold_plug(&self, numbers: &[i32]) {
        for number in numbers {
            self.run("udevadm", &["trigger", "--action=add", &format!("/sys/block/loop{number}")]);
        }
    }

    fn link(&self, name: &str) -> Option<String> {
        let target = std::fs::read_link(self.path(&format!("/dev/{name}"))).ok()?;
        Some(target.to_string_lossy().into_owned())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // it ends by itself
        drop(self.scene.stdin.take());
        let _ended = self.scene.wait();
    }
}

/// A udevd that ends with the test.
struct Udevd(Child);

impl Udevd {
    /// Ends without a word, as in a crash.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Udevd {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        if matches!(self.0.try_wait(), Ok(None)) {
            // its workers end with it then
            let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            let _ended = self.0.wait();
        }
    }
}

/// Why there can be no udevd here.
fn missing() -> Option<&'static str> {
    if !cfg!(feature = "libudev") {
        return Some("built without libudev");
    }
    if !UDEVD.iter().any(|path| Path::new(path).exists()) {
        return Some("needs systemd-udevd");
    }
    let there = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    (!["unshare", "nsenter", "udevadm"].iter().all(there)).then_some("needs unshare, nsenter and udevadm")
}

macro_rules! need_udevd {
    () => {
        need_devices!();
        if let Some(why) = missing() {
            return crate::common::skip(why);
        }
    };
}

/// A daemon in the lab, with [`RULES`].
fn start(lab: &Lab, options: &str) -> Daemon {
    World::new(&[("50-test.toml", RULES)]).config(options).inside(lab.scene.id()).start()
}

/// The names that the daemon gave.
fn names(daemon: &Daemon) -> BTreeMap<String, String> {
    daemon.links().into_iter().filter(|(name, _)| name.starts_with("np/")).collect()
}

fn found(numbers: impl IntoIterator<Item = i32>) -> BTreeMap<String, String> {
    let link = |n: i32| (format!("np/by-udevd-loop{n}"), format!("../loop{n}"));
    numbers.into_iter().map(link).collect()
}

#[test]
fn what_udevd_found_can_be_matched() {
    need_udevd!();
    let lab = Lab::new(480_000..480_020);
    let _udevd = lab.udevd();
    // there before the daemon
    let _before = Loops::add(480_000, 2);
    lab.run("udevadm", &["settle"]);
    let record = lab.path("/run/udev/data/b7:480000");
    let udevs = std::fs::read(&record).unwrap();
    let daemon = start(&lab, "");
    assert_eq!(names(&daemon), found(480_000..480_002), "ready means named");
    let status = daemon.json("status", &[]);
    assert_eq!((&status["mode"], &status["mode_reason"]), (&"companion".into(), &"a udevd answers".into()));
    let udevd = &status["udevd"];
    assert_eq!((&udevd["running"], &udevd["heard"]), (&true.into(), &true.into()));
    // plugged in beside it
    let mut plugged = Loops::add(480_010, 3);
    daemon.settle();
    assert_eq!(names(&daemon), found((480_000..480_002).chain(480_010..480_013)));
    assert_eq!(lab.link("udevs/loop480010").as_deref(), Some("../loop480010"), "udevd's own name");
    // looked at without the daemon
    let plan = daemon.json("test", &["/sys/block/loop480011"]);
    assert!(plan.to_string().contains("np/by-udevd-loop480011"), "{plan}");
    // a medium that udevd reads
    let image = daemon.path("medium");
    std::fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
    let image = image.to_str().unwrap();
    lab.run("mkfs.ext4", &["-q", "-L", "np-disk", image]);
    lab.run("losetup", &["/dev/loop480000", image]);
    daemon.settle();
    assert_eq!(lab.link("np/label-np-disk").as_deref(), Some("../loop480000"));
    lab.run("losetup", &["-d", "/dev/loop480000"]);
    // the medium goes when the last who has it open closes it, which may be a probe of udevd's
    eventually("the end of the label", || {
        daemon.settle();
        lab.link("np/label-np-disk").is_none().then_some(())
    });
    plugged.remove_rest();
    daemon.settle();
    assert_eq!(names(&daemon), found(480_000..480_002));
    assert_eq!(std::fs::read(&record).unwrap(), udevs, "udevd's record is udevd's");
    assert!(lab.link("udevs/loop480001").is_some());
    daemon.stop();
}

#[test]
fn parents_and_their_tags() {
    need_udevd!();
    let lab = Lab::new(480_100..480_101);
    let _udevd = lab.udevd();
    let _loops = Loops::add(480_100, 1);
    let daemon = start(&lab, "");
    let rule = "KERNEL==\"loop480100p1\", TAGS==\"nplab\", IMPORT{parent}=\"NP_*\", SYMLINK+=\"np/part-of-$env{NP_FOUND}\"\n";
    daemon.write_rule("60-part.rules", rule);
    daemon.ask("reload", &[]);
    let image = daemon.path("medium");
    std::fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
    lab.run("losetup", &["/dev/loop480100", image.to_str().unwrap()]);
    lab.run("addpart", &["/dev/loop480100", "1", "8", "1024"]);
    daemon.settle();
    assert_eq!(lab.link("np/part-of-by-udevd-loop480100").as_deref(), Some("../loop480100p1"));
    lab.run("delpart", &["/dev/loop480100", "1"]);
    daemon.settle();
    assert_eq!(lab.link("np/part-of-by-udevd-loop480100"), None);
    lab.run("losetup", &["-d", "/dev/loop480100"]);
    daemon.stop();
}

#[test]
fn udevd_comes_goes_and_comes_again() {
    need_udevd!();
    let lab = Lab::new(480_200..480_240);
    let _before = Loops::add(480_200, 2);
    let daemon = start(&lab, "mode = \"companion\"\n");
    let running = || daemon.json("status", &[])["udevd"]["running"] == true;
    assert!(!running());
    assert_eq!(names(&daemon), BTreeMap::new(), "nobody has looked at them");
    daemon.settle();
    let heard = |what: &str, times: usize| {
        eventually(what, || (daemon.log().matches(what).count() >= times).then_some(()));
    };

    let udevd = lab.udevd();
    heard("udevd has come: the tree was compared", 1);
    assert!(running());
    lab.cold_plug(&[480_200, 480_201]);
    daemon.settle();
    assert_eq!(names(&daemon), found(480_200..480_202));

    udevd.kill();
    heard("udevd has gone", 1);
    assert!(!running());
    let _meanwhile = Loops::add(480_210, 2);
    daemon.settle();
    assert_eq!(names(&daemon), found(480_200..480_202), "the names stay");

    let udevd = lab.udevd();
    heard("udevd has come: the tree was compared", 2);
    lab.cold_plug(&[480_210, 480_211]);
    daemon.settle();
    assert_eq!(names(&daemon), found((480_200..480_202).chain(480_210..480_212)));

    // quick enough to be missed, or not
    udevd.kill();
    let _udevd = lab.udevd();
    let _after = Loops::add(480_220, 2);
    daemon.settle();
    let all = (480_200..480_202).chain(480_210..480_212).chain(480_220..480_222);
    eventually("names after a quick start", || (names(&daemon) == found(all.clone())).then_some(()));
    daemon.stop();
}

#[test]
fn five_hundred_at_once() {
    need_udevd!();
    let lab = Lab::new(481_000..481_500);
    let _udevd = lab.udevd();
    let daemon = start(&lab, "");
    let mut loops = Loops::add(481_000, 500);
    daemon.settle();
    assert_eq!(names(&daemon), found(481_000..481_500));
    loops.remove_rest();
    daemon.settle();
    assert_eq!(names(&daemon), BTreeMap::new());
    let status = daemon.json("status", &[]);
    assert_eq!(status["events"]["gaps"], 0, "{status}");
    daemon.stop();
}

#[test]
fn what_udevd_holds_is_refused() {
    need_udevd!();
    let lab = Lab::new(480_300..480_310);
    let _udevd = lab.udevd();
    let rule = "[[rule]]\nmatch = { kernel = \"loop480301\" }\nlink = [\"udevs/loop480300\", \"np/later\"]\n";
    let world = World::new(&[("50-test.toml", rule)]).inside(lab.scene.id());
    let daemon = world.start();
    // udevd works on several devices at once: the name has to be its own before another is asked about it
    let _first = Loops::add(480_300, 1);
    daemon.settle();
    let _second = Loops::add(480_301, 1);
    daemon.settle();
    assert_eq!(lab.link("udevs/loop480300").as_deref(), Some("../loop480300"), "it stays udevd's");
    assert_eq!(lab.link("np/later").as_deref(), Some("../loop480301"));
    let refused = |daemon: &Daemon| {
        let list = daemon.json("list", &[]);
        let name = |entry: &serde_json::Value| entry["name"].as_str().unwrap().to_owned();
        list["collisions"].as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(refused(&daemon), ["udevs/loop480300"]);

    // udevd looks at nobody's names: one that its own rules ask for later is taken by it, and stays so
    lab.udevs_rules("60-later.rules", "KERNEL==\"loop480300\", SYMLINK+=\"np/later\"\n");
    lab.run("udevadm", &["control", "--reload"]);
    lab.cold_plug(&[480_300]);
    daemon.settle();
    assert_eq!(lab.link("np/later").as_deref(), Some("../loop480300"));
    lab.cold_plug(&[480_301]);
    daemon.settle();
    assert_eq!(lab.link("np/later").as_deref(), Some("../loop480300"), "it stays udevd's");
    assert_eq!(refused(&daemon), ["np/later", "udevs/loop480300"]);
    daemon.stop();
    assert_eq!(lab.link("np/later").as_deref(), Some("../loop480300"));
}

#[test]
fn udevs_tags_are_the_devices_and_its_events_are_called_so() {
    need_udevd!();
    let lab = Lab::new(480_400..480_410);
    let _udevd = lab.udevd();
    let rules = "KERNEL==\"loop48040?\", TAG==\"nplab\", SYMLINK+=\"np/tagged-%k\"\n\
                 KERNEL==\"loop48040?\", TAG!=\"nplab\", SYMLINK+=\"np/untagged-%k\"\n\
                 KERNEL==\"loop48040?\", TAG+=\"own\"\n\
                 KERNEL==\"loop48040?\", TAG==\"own\", SYMLINK+=\"np/own-%k\"\n";
    let world = World::new(&[("50-test.rules", rules)]).inside(lab.scene.id());
    let _before = Loops::add(480_400, 1);
    lab.run("udevadm", &["settle"]);
    let daemon = world.start();
    let links = |kernel: &str| {
        let link = |what: &str| (format!("np/{what}-{kernel}"), format!("../{kernel}"));
        BTreeMap::from([link("tagged"), link("own")])
    };
    assert_eq!(names(&daemon), links("loop480400"), "there before");

    let _plugged = Loops::add(480_401, 1);
    daemon.settle();
    let mut both = links("loop480400");
    both.extend(links("loop480401"));
    assert_eq!(names(&daemon), both);

    let mut monitor = daemon.command("monitor", &["--json", "--kernel", "--count", "1"]);
    let mut monitor = monitor.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    // nobody says when it listens
    eventually("an event", || {
        lab.cold_plug(&[480_401]);
        monitor.try_wait().unwrap().map(|status| assert!(status.success(), "{status}"))
    });
    let event: serde_json::Value = serde_json::from_reader(monitor.stdout.take().unwrap()).unwrap();
    assert_eq!(event["event"]["source"], "udev", "{event}");
    daemon.stop();
}

/// The daemon sleeps while udevd sends thousands of messages to a socket that holds a few.
#[test]
fn what_udevd_said_in_vain_is_found_again() {
    need_udevd!();
    let lab = Lab::new(482_000..482_500);
    let _udevd = lab.udevd();
    let mut loops = Loops::add(482_000, 10);
    lab.run("udevadm", &["settle"]);
    let daemon = start(&lab, "receive_buffer = 4096\n");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let mut more = Loops::add(482_010, 490);
    for number in 482_000..482_005 {
        loops.remove(number);
    }
    lab.run("udevadm", &["trigger", "--settle", "--subsystem-match=block", "--sysname-match=loop482*"]);
    lab.run("udevadm", &["trigger", "--settle", "--subsystem-match=block", "--sysname-match=loop482*"]);
    lab.run("udevadm", &["settle"]);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    daemon.settle();
    assert_eq!(names(&daemon), found(482_005..482_500));
    let status = daemon.json("status", &[]);
    assert!(status["events"]["overruns"].as_u64().unwrap() > 0, "{status}");
    more.remove_rest();
    daemon.settle();
    assert_eq!(names(&daemon), found(482_005..482_010));
    daemon.stop();
}

#[test]
fn a_udevd_beside_a_device_manager_is_told_of() {
    need_udevd!();
    let lab = Lab::new([]);
    let daemon = start(&lab, "mode = \"standalone\"\n");
    let warning = "a udevd has started, and nameplate runs standalone";
    daemon.settle();
    assert!(!daemon.log().contains(warning), "{}", daemon.log());
    let udevd = lab.udevd();
    eventually("the warning", || daemon.log().contains(warning).then_some(()));
    drop(udevd);
    daemon.stop();
}
