//! systemd's own udevadm, and ours, speak to our daemon in a machine's place of its own.

use super::{in_namespaces, missing, of_tree, tree};
use crate::common::skip;

/// `udevadm` of `$UDEVADM` against a daemon that is the device manager. Every line is a claim; the first that does not
/// hold ends the script.
const SCRIPT: &str = r#"
mount -t tmpfs none /run
mount -t sysfs none /sys
mkdir -p /run/udev
for dir in /etc/udev /usr/lib/udev/rules.d /etc/nameplate; do
    [ ! -d $dir ] || mount -t tmpfs none $dir
done
mkdir -p /etc/udev/rules.d
mount -t tmpfs none /dev
mknod /dev/null c 1 3
chmod 666 /dev/null
mknod /dev/zero c 1 5
mknod /dev/random c 1 8
cat >/etc/udev/rules.d/50-x.rules <<'END'
KERNEL=="null", ENV{NAMEPLATE_TEST}=="on", SYMLINK+="global"
KERNEL=="zero", TAG+="zz", SYMLINK+="zz"
END
udevadm() { timeout 100 $UDEVADM "$@"; }
is() { [ "$1" = "$2" ] || { echo "expected '$1', got '$2'" >&2; cat /run/log >&2; exit 1; }; }
fails() { ! "$@" || { echo "should fail: $*" >&2; exit 1; }; }

"$2" daemon >/run/log 2>&1 &
daemon=$!
trap 'kill $daemon 2>/dev/null || true; [ ${ok:-no} = yes ] || cat /run/log >&2' EXIT
until [ -S /run/udev/control ]; do kill -0 $daemon; done
udevadm trigger --wait-daemon=90 --subsystem-match=mem --settle
[ -S /run/udev/control ] && [ -S /run/udev/io.systemd.Udev ]
is "600 600" "$(stat -c %a /run/udev/control /run/udev/io.systemd.Udev | xargs)"
udevadm control --ping
udevadm settle --timeout=90
is zz "$(udevadm info -q symlink -n zero)"

# a property for all events
udevadm control --property=NAMEPLATE_TEST=on
udevadm trigger --settle --sysname-match=null
is global "$(udevadm info -q symlink -n null)"
udevadm control -p NAMEPLATE_TEST=
udevadm trigger --settle --sysname-match=null
is "" "$(udevadm info -q symlink -n null)"

# rules that are new
echo 'KERNEL=="random", SYMLINK+="new"' >/etc/udev/rules.d/60-y.rules
udevadm control --reload
is new "$(udevadm info -q symlink -n random)"
rm /etc/udev/rules.d/60-y.rules
udevadm control --reload-rules
udevadm wait --timeout=90 --removed /dev/new

# a queue that stands still
udevadm control --stop-exec-queue
udevadm trigger --sysname-match=zero
udevadm control --ping
[ -e /run/udev/queue ]
fails udevadm settle --timeout=1 2>/run/err
udevadm settle --timeout=90 --exit-if-exists=/dev/zz
udevadm control --start-exec-queue
# other tests make events too
until udevadm settle --timeout=90 && [ ! -e /run/udev/queue ]; do :; done

# the log, the number of workers
udevadm control --log-level=debug
udevadm control --children-max=1
udevadm trigger --settle --subsystem-match=mem
# more than there can be is as many as there can be
udevadm control -m 2147483647
udevadm control --ping
udevadm control -m 0 -l info
fails udevadm control --children-max=-1 2>/run/err

# waiting
udevadm wait --timeout=90 --settle /dev/zz /dev/zero
fails udevadm wait --timeout=0.2 /dev/none 2>/run/err
echo 'KERNEL=="zero", TAG+="zz", SYMLINK+="later"' >/etc/udev/rules.d/70-z.rules
(udevadm control --reload; udevadm trigger --sysname-match=zero) &
udevadm wait --timeout=90 /dev/later
wait $!
rm /etc/udev/rules.d/70-z.rules
udevadm control --reload

# what is heard
$UDEVADM monitor --udev --property --tag-match=zz >/run/monitor &
monitor=$!
until grep -q ^UDEV.-. /run/monitor; do :; done
# the last line of an event
until grep -q '^CURRENT_TAGS=:zz:$' /run/monitor; do udevadm trigger --settle --sysname-match=zero; done
grep -q 'zero (mem)' /run/monitor
kill $monitor
grep -q '^DEVLINKS=/dev/zz$' /run/monitor
grep -q '^TAGS=:zz:$' /run/monitor
fails grep -q KERNEL /run/monitor

udevadm control --exit
wait $daemon
[ ! -e /run/udev/control ] && [ ! -e /run/udev/io.systemd.Udev ] && [ ! -e /run/udev/queue ]
fails udevadm control --ping 2>/run/err
ok=yes
"#;

#[test]
fn systemds_udevadm_and_our_daemon() {
    if let Some(why) = missing() {
        return skip(why);
    }
    in_namespaces(&format!("UDEVADM=$(command -v udevadm)\n{SCRIPT}"));
}

/// Systemd 257's, where a tree of a Debian that has it is named.
#[test]
fn later_udevadm_and_our_daemon() {
    let Some(tree) = tree() else { return };
    in_namespaces(&format!("{}\nUDEVADM=$theirs\n{SCRIPT}", of_tree(&tree)));
}

#[test]
fn our_udevadm_and_our_daemon() {
    if let Some(why) = missing() {
        return skip(why);
    }
    in_namespaces(&format!("UDEVADM=$1/udevadm\n{SCRIPT}"));
}

/// Beside a udevd, and with links elsewhere, nothing is there that libudev would take for a device manager.
#[test]
fn no_control_socket_but_as_the_device_manager() {
    if let Some(why) = missing() {
        return skip(why);
    }
    in_namespaces(
        r#"
        mount -t tmpfs none /run
        mkdir -p /run/links
        "$2" daemon --link-dir /run/links >/run/log 2>&1 &
        daemon=$!
        trap 'kill $daemon 2>/dev/null || true' EXIT
        until "$2" status --link-dir /run/links >/run/status 2>/dev/null; do :; done
        "$2" settle --link-dir /run/links
        [ ! -e /run/udev ]
        kill $daemon
        "#,
    );
}
