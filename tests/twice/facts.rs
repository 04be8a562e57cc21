//! Reads what the scene wrote as lines that can be compared: what differs from run to run is left out or has the name of its
//! device, and so are the devices of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Which devices are looked at.
pub(crate) struct Scope {
    loops: std::ops::Range<i32>,
    zram: String,
    /// Disks that not even root may open, as in a container: systemd-udevd gives up on them.
    closed: Vec<String>,
}

impl Scope {
    /// These loop devices (first, count), this RAM disk, and all that is neither.
    pub(crate) fn new((first, count): (i32, i32), zram: &str) -> Self {
        let disks = fs::read_dir("/sys/class/block").unwrap().flatten();
        let names = disks.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let closed = names.filter(|name| {
            let opened = fs::OpenOptions::new()
                .read(true)
                .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC)
                .open(Path::new("/dev").join(name));
            opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        });
        Self { loops: first..first + count, zram: zram.into(), closed: closed.collect() }
    }

    /// Whether a block device of that name may come, go and change by the hand of somebody else, or can't be opened.
    fn is_foreign(&self, block: &str) -> bool {
        if let Some(rest) = block.strip_prefix("loop") {
            let number = rest.split('p').next().and_then(|number| number.parse().ok());
            return number.is_some_and(|number| !self.loops.contains(&number));
        }
        let zram = block.starts_with("zram") && block != self.zram;
        zram || self.closed.iter().any(|closed| closed == block)
    }
}

/// One device of `udevadm info --export-db`.
struct Device<'a> {
    path: &'a str,
    lines: Vec<&'a str>,
}

impl Device<'_> {
    fn property(&self, key: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix("E: ")?.strip_prefix(key)?.strip_prefix('='))
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Major and minor number, and whether it is a block device.
    fn number(&self) -> Option<(bool, String)> {
        let block = self.property("SUBSYSTEM") == Some("block");
        Some((block, format!("{}:{}", self.property("MAJOR")?, self.property("MINOR")?)))
    }
}

/// All that was there, a line for each fact.
pub(crate) struct Facts(pub(crate) BTreeSet<String>);

impl Facts {
    /// Reads what is below one `OUT/ACT`.
    pub(crate) fn read(dir: &Path, scope: &Scope) -> Self {
        let read = |name: &str| {
            let bytes = fs::read(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let database = read("db");
        let devices = devices(&database);
        let names = Names::of(&devices, scope);
        let mut out = BTreeSet::new();
        for device in devices.iter().filter(|device| !names.hides_path(device.path, scope)) {
            let about = format!("{} {}", device.property("SUBSYSTEM").unwrap_or("-"), device.name());
            for line in &device.lines {
                if let Some(fact) = fact(line, device) {
                    out.insert(names.put(&format!("{about}: {fact}")));
                }
            }
        }
        for line in read("links").lines() {
            let target = line.rsplit('/').next().unwrap_or_default();
            let block = line.strip_prefix("block/").and_then(|rest| rest.split(' ').next());
            if !scope.is_foreign(target)
                && !block.is_some_and(|number| names.is_nobodys(&format!("b{number}")))
            {
                out.insert(names.put(&format!("link {line}")));
            }
        }
        for line in read("nodes").lines() {
            let name = line.split(' ').next().unwrap_or_default();
            let is_usual_directory = line.ends_with(" d 755 0 0");
            if !is_usual_directory && !scope.is_foreign(name) {
                out.insert(format!("node {line}"));
            }
        }
        for file in ["records", "tags", "facts"] {
            for line in read(file).lines().filter(|line| !names.hides_id(line)) {
                out.insert(names.put(&format!("{file} {line}")));
            }
        }
        for (id, order) in orders(&read("order")).iter().filter(|(id, _)| !names.hides_id(id)) {
            out.insert(names.put(&format!("order {id}: {order}")));
        }
        for line in read("ran").lines() {
            let (file, said) = line.split_once(':').unwrap_or((line, ""));
            let (key, value) = said.split_once('=').unwrap_or((said, ""));
            let is_foreign = scope.is_foreign(file.rsplit('.').next().unwrap_or_default());
            if is_foreign || ["SEQNUM", "USEC_INITIALIZED", "SYNTH_UUID", "MINOR"].contains(&key) {
                continue;
            }
            let mut words: Vec<&str> = value.split(' ').collect();
            if key == "DEVLINKS" {
                words.sort_unstable();
            }
            if key.ends_with("TAGS") {
                words = value.split(':').filter(|tag| !tag.is_empty()).collect();
                words.sort_unstable();
            }
            out.insert(names.put(&format!("ran {file}: {key}={}", words.join(" "))));
        }
        interfaces(&read("interfaces"), &mut out);
        Self(out)
    }
}

fn devices(database: &str) -> Vec<Device<'_>> {
    let mut out: Vec<Device<'_>> = Vec::new();
    for line in database.lines() {
        if let Some(path) = line.strip_prefix("P: ") {
            out.push(Device { path, lines: Vec::new() });
        } else if let (Some(device), false) = (out.last_mut(), line.is_empty()) {
            device.lines.push(line);
        }
    }
    out
}

/// In which order the lines of each record stand: their letters, and the names of properties. Links and tags are in the
/// order of a hash with a random key.
fn orders(records: &str) -> BTreeMap<&str, String> {
    let mut out: BTreeMap<&str, String> = BTreeMap::new();
    for line in records.lines() {
        let letter = |at: usize| line.get(at..at + 2).filter(|text| text.ends_with(':'));
        // ids have colons too: a line begins behind the last one that has a letter and a colon behind it
        let Some(at) = line
            .match_indices(':')
            .map(|(at, _)| at + 1)
            .find(|at| letter(*at).is_some_and(|text| text.starts_with(|c: char| c.is_ascii_uppercase())))
        else {
            continue;
        };
        let (id, fact) = (&line[..at - 1], &line[at..]);
        let word = match fact.as_bytes().first() {
            Some(b'E') => fact.split('=').next().unwrap_or_default(),
            _ => &fact[..1],
        };
        // newer than 252, what no record holds, and what no reader takes: a property that was set to nothing
        if word.starts_with("E:ID_LOOP_BACKING_") || word.contains(' ') || fact.ends_with('=') {
            continue;
        }
        let order = out.entry(id).or_default();
        if !(word.len() == 1 && order.ends_with(word)) {
            order.push_str(if order.is_empty() { "" } else { " " });
            order.push_str(word);
        }
    }
    out
}

/// A line of the database as it is compared: without the time, and lists in an order.
fn fact(line: &str, device: &Device<'_>) -> Option<String> {
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    // the kernel gives partitions of loop devices any free number
    let any_number = device.property("MAJOR") == Some("259");
    match key {
        "E: USEC_INITIALIZED" => None,
        "E: MAJOR" | "E: MINOR" if any_number => None,
        // libudev puts it together from the `S:` lines
        "E: DEVLINKS" => None,
        "E: TAGS" | "E: CURRENT_TAGS" => {
            let mut all: Vec<&str> = value.split(':').filter(|one| !one.is_empty()).collect();
            all.sort_unstable();
            Some(format!("{key}={}", all.join(" ")))
        }
        // the device's number again, for those without a node too
        _ if line.starts_with("D: ") || line.starts_with("I: ") => None,
        _ => Some(line.into()),
    }
}

/// What stands for numbers that are others in each run.
struct Names {
    /// `N:N` of partitions, and the disk's sequence number, with what to write for them.
    instead: BTreeMap<String, String>,
    /// Records of devices of others.
    hidden: BTreeSet<String>,
    loops: std::ops::Range<i32>,
}

impl Names {
    fn of(devices: &[Device<'_>], scope: &Scope) -> Self {
        let mut out = Self { instead: BTreeMap::new(), hidden: BTreeSet::new(), loops: scope.loops.clone() };
        for device in devices {
            let Some((block, number)) = device.number() else { continue };
            if scope.is_foreign(device.name()) {
                out.hidden.insert(format!("{}{number}", if block { 'b' } else { 'c' }));
            }
            if block && number.starts_with("259:") {
                out.instead.insert(number, format!("{{{}}}", device.name()));
            }
            if let (Some("disk"), Some(sequence)) = (device.property("DEVTYPE"), device.property("DISKSEQ")) {
                out.instead.insert(sequence.into(), format!("{{{}}}", device.name()));
            }
        }
        out
    }

    /// Whether the device at that path is somebody else's, or is no device: modules come and go as others need them.
    fn hides_path(&self, path: &str, scope: &Scope) -> bool {
        let virtual_bdi = path.strip_prefix("/devices/virtual/bdi/");
        path.starts_with("/module/")
            || path.starts_with("/devices/virtual/workqueue/")
            || virtual_bdi.is_some_and(|number| self.hidden.contains(&format!("b{number}")))
            || path.split('/').any(|part| scope.is_foreign(part))
    }

    /// Whether a line that names a record is about somebody else's device.
    fn hides_id(&self, line: &str) -> bool {
        let parts =
            line.split([' ', '/']).flat_map(|part| [Some(part), part.rsplit_once(':').map(|(id, _)| id)]);
        let ids = parts.flatten().chain(line.rmatch_indices(':').map(|(at, _)| &line[..at]));
        let bdi = line.split(' ').next().and_then(|id| id.strip_prefix("+bdi:"));
        ids.into_iter().any(|id| self.hidden.contains(id) || self.is_nobodys(id))
            || bdi.is_some_and(|number| self.hidden.contains(&format!("b{number}")))
            || line.starts_with("+module:")
            || line.starts_with("+workqueue:")
    }

    /// Partitions of others, which may have come or gone between two files.
    fn is_nobodys(&self, id: &str) -> bool {
        let Some(number) = id.strip_prefix('b') else { return false };
        let others = number.strip_prefix("7:").and_then(|minor| minor.parse().ok());
        let partition =
            number.strip_prefix("259:").is_some_and(|minor| minor.bytes().all(|b| b.is_ascii_digit()));
        partition && !self.instead.contains_key(number)
            || others.is_some_and(|minor| !self.loops.contains(&minor))
    }

    /// The line with names in the place of numbers.
    fn put(&self, line: &str) -> String {
        let mut out = line.to_owned();
        for start in ["by-diskseq/", "DISKSEQ=", ": Q: ", " block/", " b", "/b"] {
            let mut from = 0;
            while let Some(at) = out[from..].find(start).map(|at| from + at + start.len()) {
                let len = out[at..].find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(out.len() - at);
                let number = out[at..at + len].trim_end_matches(':').to_owned();
                match self.instead.get(&number) {
                    Some(name) => out.replace_range(at..at + number.len(), name),
                    None if ["by-diskseq/", "DISKSEQ="].contains(&start) && !number.is_empty() => {
                        out.replace_range(at..at + number.len(), "{old}");
                    }
                    None => {}
                }
                from = at;
            }
        }
        out
    }
}

/// What `ip -j -d link` says that a device manager may set.
fn interfaces(text: &str, out: &mut BTreeSet<String>) {
    let all: Vec<serde_json::Value> = serde_json::from_str(text).expect("ip -j");
    for interface in &all {
        let name = interface["ifname"].as_str().unwrap_or_default();
        for key in
            ["altnames", "address", "mtu", "txqlen", "ifalias", "num_tx_queues", "num_rx_queues", "group"]
        {
            // this driver lets nobody set its address, which is another each time
            let any_address = key == "address" && name == "twiceifb";
            if !interface[key].is_null() && !any_address {
                out.insert(format!("interface {name}: {key} {}", interface[key]));
            }
        }
    }
}
