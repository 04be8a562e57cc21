//! Nodes that are there before their devices, in a /dev of the test's own: what systemd-udevd gives them at its start, nameplate gives
//! them: owner, group, mode, and the links below `static_node-tags`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{no_private_mounts, skip};

const UDEVD: &str = "/lib/systemd/systemd-udevd";

/// Every way to say it, and every kind of thing that may be in its place. No device has these names.
const RULES: &str = r#"
KERNEL=="np-none", OPTIONS+="static_node=s/all", OWNER="3", GROUP="7", MODE="0604"
KERNEL=="np-none", OPTIONS+="static_node=s/owner", OWNER="3"
KERNEL=="np-none", OPTIONS+="static_node=s/group", GROUP="7"
KERNEL=="np-none", OPTIONS+="static_node=s/named", GROUP="kvm", OWNER="daemon"
KERNEL=="np-none", OPTIONS+="static_node=s/root", GROUP="root"
KERNEL=="np-none", OPTIONS+="static_node=s/mode", MODE="0604"
KERNEL=="np-none", OPTIONS+="static_node=s/sticky", MODE="4755"
KERNEL=="np-none", OPTIONS+="static_node=s/tag", TAG+="np_tag"
KERNEL=="np-none", OPTIONS+="static_node=s/tags.d/x", TAG+="np_tag", TAG+="np-other", MODE="0640"
KERNEL=="np-none", OPTIONS+="static_node=s/nothing"
KERNEL=="np-none", OPTIONS+="static_node=s/dir", MODE="0711", TAG+="np_tag"
KERNEL=="np-none", OPTIONS+="static_node=s/file", MODE="0711", TAG+="np_tag"
KERNEL=="np-none", OPTIONS+="static_node=s/missing", MODE="0711", TAG+="np_missing"
KERNEL=="np-none", OPTIONS+="static_node=s/late", GROUP="$env{NP}", MODE="0606"
KERNEL=="np-none", OPTIONS+="static_node=s/twice", MODE="0640", OWNER="3"
KERNEL=="np-none", OPTIONS+="static_node=s/twice", MODE="0604", GROUP="7"
KERNEL=="np-none", OPTIONS+="static_node=s/lines", OPTIONS+="static_node=s/lines2", MODE="0604"
KERNEL=="np-none", OPTIONS+="static_node=s/block", GROUP="disk"
KERNEL=="np-none", OPTIONS+="static_node=s/unknown", OWNER="np-nobody", MODE="0604"
KERNEL=="np-none", OPTIONS+="static_node=s/final", MODE:="0604"
KERNEL=="np-none", OPTIONS+="static_node=s/modes", MODE="0604", MODE="0640"
"#;

/// `$1` is a directory for what is found, `$2` nameplate, `$3` who is asked.
const SCENE: &str = r#"
set -eu
work=$1 nameplate=$2 who=$3
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=0755 tmpfs /run
: >/run/program
mount --bind "$nameplate" /run/program
for dir in /etc/udev /etc/nameplate /usr/lib/udev/rules.d /usr/local/lib/udev/rules.d /usr/lib/nameplate /var/lib/nameplate; do
    [ ! -d $dir ] || mount -t tmpfs tmpfs $dir
done
mkdir -p /run/udev/rules.d
cp "$work/x.rules" /run/udev/rules.d/50-x.rules
printf 'mode = "standalone"\n' >/run/config.toml
mount -t tmpfs -o mode=0755 tmpfs /dev
mkdir -p /dev/shm /dev/s/tags.d /dev/s/dir
mknod -m 666 /dev/null c 1 3
for node in all owner group named root mode sticky tag tags.d/x nothing late twice lines lines2 unknown final modes; do
    mknod -m 620 /dev/s/$node c 1 3
    chown 5:6 /dev/s/$node
done
mknod -m 620 /dev/s/block b 7 0
: >/dev/s/file
umask 077
case $who in
udevd)
    /lib/systemd/systemd-udevd >>"$work/log" 2>&1 &
    until udevadm control --ping --timeout=60 2>/dev/null; do sleep 0.02; done
    ;;
nameplate)
    /run/program daemon --config /run/config.toml >>"$work/log" 2>&1 &
    until /run/program settle --timeout 900 2>/dev/null; do kill -0 $!; sleep 0.02; done
    ;;
esac
umask 022
{
    (cd /dev/s && find . -mindepth 1 -printf '%P %U:%G %m\n' | sort)
    find /run/udev/static_node-tags ! -type d -printf '%M %P %l\n' | sort
} >"$work/$who"
kill $!
wait $! || true
"#;

fn run(work: &Path, who: &str) -> String {
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
            "sh",
            "-c",
            SCENE,
            "sh",
        ])
        .arg(work)
        .arg(env!("CARGO_BIN_EXE_nameplate"))
        .arg(who)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let log = fs::read_to_string(work.join("log")).unwrap_or_default();
    assert!(output.status.success(), "{who}: {output:?}\n{log}");
    fs::read_to_string(work.join(who)).unwrap()
}

#[test]
fn nodes_before_their_devices_as_udevd_leaves_them() {
    if let Some(why) = no_private_mounts() {
        return skip(why);
    }
    if !Path::new(UDEVD).exists() {
        return skip("needs systemd-udevd");
    }
    let work = tempfile::tempdir().unwrap();
    fs::write(work.path().join("x.rules"), RULES).unwrap();
    let (its, ours) = (run(work.path(), "udevd"), run(work.path(), "nameplate"));
    for line in ["all 3:7 604", "tag 5:6 620", "nothing 5:6 620", "lrwxrwxrwx np_tag/s\\x2ftag /dev/s/tag"] {
        assert!(its.lines().any(|l| l == line), "{line} in\n{its}");
    }
    assert_eq!(ours, its);
}
