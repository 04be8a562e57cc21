//! Asks the `udevadm test` of another Debian what its rules make of the devices of a recording, which it is shown in the place of
//! `/sys`, in a mount, network and process namespace of its own. Nothing of this machine is touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::tree::FakeTree;

/// `$1`: the Debian; `$2`: what stands for `/sys`; `$3`: the hardware database; `$4`: the action; then devpaths.
const ASK: &str = r#"
debian=$1; sys=$2; hwdb=$3; action=$4; shift 4
mount --make-rprivate /
mount --bind "$sys" "$debian/sys"
mount -t proc proc "$debian/proc"
mount -t tmpfs tmpfs "$debian/run"
mount -t tmpfs tmpfs "$debian/dev"
mount -t tmpfs tmpfs "$debian/etc/udev"
cp "$hwdb" "$debian/etc/udev/hwdb.bin"
touch "$debian/dev/null"
mount --bind /dev/null "$debian/dev/null"
for path; do
    echo "P: $path"
    SYSTEMD_PROC_CMDLINE="quiet nomodeset" chroot "$debian" udevadm test -a "$action" "/sys$path" 2>/dev/null </dev/null || true
done
"#;

/// What it says of each device, as the lines of [`super::facts::facts`]: links, tags, properties, and permissions that rules set.
pub(crate) fn answers(
    debian: &Path,
    recording: &Path,
    hwdb: &Path,
    action: &str,
) -> BTreeMap<String, Vec<String>> {
    let mut tree = FakeTree::new();
    tree.add(&fs::read_to_string(recording).unwrap());
    tree.complete();
    let asked = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "sh", "-ec", ASK, "sh"])
        .args([debian, &tree.sys(), hwdb])
        .arg(action)
        .args(tree.paths())
        .env("SYSTEMD_DEVICE_VERIFY_SYSFS", "0")
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    let text = String::from_utf8_lossy(&asked.stdout).into_owned();
    let devices = text.split("P: ").filter_map(|device| device.split_once('\n'));
    devices.map(|(path, said)| (path.to_owned(), lines(said))).collect()
}

fn lines(said: &str) -> Vec<String> {
    let mut out = Vec::new();
    let (mut heading, mut priority) = (String::new(), "0");
    for line in said.lines() {
        let Some(fact) = line.strip_prefix("  ") else {
            let (name, rest) = line.split_once(':').unwrap_or_default();
            heading = name.to_owned();
            if let Some(number) = rest.trim().strip_prefix("(priority=") {
                priority = number.trim_end_matches(')');
            }
            continue;
        };
        out.extend(match &*heading {
            "Properties" => Some(format!("property {fact}")),
            "Tags" => Some(format!("tag {fact}")),
            "Device node symlinks" => Some(format!("link {} {priority}", fact.trim_start_matches("/dev/"))),
            "Device node permission" => Some(format!("mode {fact}")),
            // `audio (gid=29)`
            "Device node group" => Some(format!("group {}", fact.split(' ').next().unwrap())),
            "Network interface name" => Some(format!("name {fact}")),
            _ => None,
        });
    }
    out
}
