//! What udevadm does while time passes: waiting, locking, listening, signals, pipes, other users, chroots. Each script states
//! what holds; it is put to ours, and where a tree of a Debian with systemd 257 is named, to that one.

use super::{in_namespaces, missing, of_tree, tree};
use crate::common::skip;

/// A place of its own, with nothing but a few nodes. `$udevadm` is asked, `$user` before it makes it an ordinary user's.
const PLACE: &str = r#"
mount -t tmpfs none /run
mount -t sysfs none /sys
mkdir -p /run/udev/data /run/bin
mount -t tmpfs none /dev
for node in null:c:1:3 zero:c:1:5 full:c:1:7 loop0:b:7:0 loop1:b:7:1; do
    IFS=: read -r name kind major minor <<<"$node"
    mknod "/dev/$name" "$kind" "$major" "$minor"
done
chmod 666 /dev/null /dev/loop0
chmod 600 /dev/loop1
printf 'I:1\nV:1\n' >/run/udev/data/c1:5
# where an ordinary user finds it too
chmod 755 "$1"
if [ -z "${theirs:-}" ]; then
    touch /run/bin/udevadm
    mount --bind "$2" /run/bin/udevadm
    udevadm=/run/bin/udevadm
else
    udevadm=$theirs
fi
user="setpriv --reuid 65534 --regid 65534 --clear-groups"
fail() { echo "lines ${BASH_LINENO[*]}: $*" >&2; cat /run/out /run/err >&2; exit 1; }
is() { [ "$1" = "$2" ] || fail "expected '$1', got '$2'"; }
# exit code, then the command; what it says is in /run/out and /run/err
exits() {
    local expected=$1 code=0
    shift
    timeout 60 "$@" >/run/out 2>/run/err || code=$?
    is "$expected" "$code"
}
said() { grep -qF -- "$1" /run/err || fail "not said: $1"; }
# waits for a condition, a minute at most
soon() {
    local end=$((SECONDS + 60))
    until "$@"; do [ $SECONDS -lt $end ] || fail "never: $*"; done
}
# who is left behind would keep the pipes of this script open
trap 'jobs=$(jobs -p); [ -z "$jobs" ] || kill -KILL $jobs' EXIT
ended() { code=0; wait "$1" || code=$?; }
"#;

const LOCK: &str = r#"
locked() { ! flock --nonblock /dev/loop0 true; }
begin() { rm -f /run/begun /run/go /run/ended; }

# an interrupt is the command's affair; its exit code is handed on
begin
$udevadm lock -d /dev/loop0 sh -c 'echo >/run/begun; until [ -e /run/go ]; do :; done; exit 7' & lock=$!
soon test -e /run/begun
locked || fail "no lock"
kill -INT $lock
touch /run/go
ended $lock
is 7 $code
locked && fail "still locked"

# the command ends with it, however it ends
for signal in TERM KILL HUP; do
    begin
    $udevadm lock -d /dev/loop0 \
        sh -c 'trap "echo >/run/ended; exit" TERM; echo >/run/begun; while :; do :; done' & lock=$!
    soon test -e /run/begun
    kill -$signal $lock
    ended $lock
    soon test -e /run/ended
    locked && fail "still locked"
done

# nothing of whoever has called it, or of its own, is left to the command
(
    trap '' USR1 TERM
    exec 9</dev/null
    exits 0 $udevadm lock -d /dev/loop0 sh -c 'grep SigIgn /proc/self/status; [ ! -e /proc/self/fd/9 ]'
    ignored=$(sed 's/.*\t/0x/' /run/out)
    is 0 $((ignored & (1 << 9 | 1 << 14 | 1 << 12 | 1 << 1)))
)

# somebody has it
exec 8</dev/loop0
flock 8
exits 1 $udevadm lock -t 0 -d /dev/loop0 true
said "Device '/dev/loop0' is currently locked."
exits 1 $udevadm lock --timeout=100ms -d /dev/loop0 true
said "Device '/dev/loop0' is currently locked, waiting"
said "Timeout reached."
exits 0 $udevadm lock -t 0 -d /dev/loop1 true
$udevadm lock -d /dev/loop0 touch /run/ended 2>/run/waits & lock=$!
rm -f /run/ended
soon grep -q waiting /run/waits
[ ! -e /run/ended ]
flock --unlock 8
ended $lock
is 0 $code
[ -e /run/ended ]
flock --shared 8
exits 1 $udevadm lock -t 0 -d /dev/loop0 true
exec 8<&-

# one in another
exits 1 $udevadm lock -d /dev/loop0 $udevadm lock -t 0 -d /dev/loop0 true
exits 0 $udevadm lock -d /dev/loop0 $udevadm lock -t 0 -d /dev/loop1 echo both
is both "$(cat /run/out)"

# which are meant
cd /dev
exits 0 $udevadm lock -p -d loop1 --device=/dev/loop0 -d /dev/../dev/loop1
is "/dev/loop0 /dev/loop1" "$(xargs </run/out)"
ln -s loop0 /dev/link
exits 0 $udevadm lock -p -d link
is /dev/loop0 "$(cat /run/out)"
exits 1 $udevadm lock -d /dev/null true
said "Failed to find whole block device for '/dev/null': Block device required"
exits 1 $udevadm lock -p -b /run
said "Failed to find whole block device for '/run': Block device required"
mknod /dev/nobodys b 99 1
exits 1 $udevadm lock -p -d /dev/nobodys
said "Failed to find whole block device for '/dev/nobodys': No such file or directory"
exits 1 $udevadm lock -d /dev/loop0
exits 1 $udevadm lock -p -d /dev/loop0 true
exits 1 $udevadm lock true
exits 1 $udevadm lock -t -1 -d /dev/loop0 true
said "Failed to parse --timeout= parameter: -1"
exits 0 $user $udevadm lock -d /dev/loop0 true
exits 1 $user $udevadm lock -d /dev/loop1 true
said "Failed to open '/dev/loop1': Permission denied"
"#;

const WAIT: &str = r#"
ln -s gone /dev/dangling
ln -s zero /dev/link
exits 0 $udevadm wait /dev/zero /dev/link /sys/class/mem/zero /sys/class/mem/zero/
exits 0 $udevadm wait --initialized=no /dev/full
exits 1 $udevadm wait -t 0.1 /dev/zero /dev/full
said "Timed out for waiting devices being initialized."
exits 1 $udevadm wait -t 0 --initialized=no /dev/zero /dev/none
said "Timed out for waiting devices being added."

# a link that leads nowhere is there
exits 1 $udevadm wait -t 0.1 --removed /dev/dangling
said "Timed out for waiting devices being removed."
exits 1 $udevadm wait -t 0 --removed /dev/none /dev/link
exits 0 $udevadm wait --removed /dev/none /sys/class/mem/none
# the last one counts
exits 0 $udevadm wait -t 0 --initialized=no --removed /dev/none
exits 1 $udevadm wait -t 0 --removed --initialized=no /dev/none

# a queue that is not empty
touch /run/udev/queue
exits 1 $udevadm wait -t 0.1 --settle /dev/zero
exits 1 $udevadm wait -t 0.1 --settle --removed /dev/none
exits 0 $udevadm wait /dev/zero
$udevadm wait -t 60 --settle /dev/zero & wait=$!
rm /run/udev/queue
ended $wait
is 0 $code

for refused in "/dev/../dev/zero" "/etc/passwd" zero dev-zero.device c1:5 ""; do
    exits 1 $udevadm wait -t 60 "$refused"
done
exits 1 $udevadm wait -t 60 /dev/../dev/zero
said 'Device path cannot contain "..".'
exits 1 $udevadm wait -t 60 c1:5
said 'Specified path "c1:5" does not start with "/dev/" or "/sys/".'

for time in infinity 1w 1y "1M 2d" 1µs .5 "1min 30s" 0; do exits 0 $udevadm wait -t "$time" /dev/zero; done
for time in -5 5. . 1.2.3 1MIN "5 parsecs" 99999999999999999999 ""; do
    exits 1 $udevadm wait -t "$time" /dev/zero
    said "Failed to parse -t/--timeout= parameter: $time"
done
exits 1 $udevadm wait --initialized=maybe /dev/zero
"#;

/// Ours sees what no event tells of.
const WAIT_WITHOUT_EVENTS: &str = r#"
for command in "ln -s zero /dev/later|/dev/later" "rm /dev/later|--removed /dev/later" \
    "cp /run/udev/data/c1:5 /run/udev/data/c1:7|/dev/full"; do
    $udevadm wait -t 60 ${command#*|} & wait=$!
    ${command%|*}
    ended $wait
    is 0 $code
done
"#;

const MONITOR: &str = r#"
event() { echo change >/sys/devices/virtual/net/lo/uevent; }
listens() { grep -q '^KERNEL - the kernel uevent$' /run/heard && [ "$(tail -n 1 /run/heard)" = "" ]; }
# what is heard of two events of lo before it is ended
heard() {
    : >/run/heard >/run/all
    $udevadm monitor "$@" >/run/heard 2>/run/err & monitor=$!
    soon listens
    # a listener without filters, and it has heard both when the second has come to it
    $udevadm monitor -k >/run/all & all=$!
    soon grep -q '^$' /run/all
    event
    event
    soon eval '[ $(grep -c ^KERNEL.*lo /run/all) -ge 2 ]'
    kill $all
    ended $all
    is 0 $code
}
quits() {
    kill -${1:-TERM} $monitor
    ended $monitor
    is 0 $code
}
lines() { grep -c '^KERNEL\[[0-9]*\.[0-9]\{6\}\] change   /devices/virtual/net/lo (net)$' /run/heard || true; }

# to be ended is no failure, and what came before has been written
heard
soon eval '[ $(lines) = 2 ]'
quits TERM
head -n 4 /run/heard | grep -q '^UDEV - the event which udev sends out after rule processing$'
heard -k
soon eval '[ $(lines) = 2 ]'
quits INT
! grep -q ^UDEV /run/heard
heard -k -s net -s mem
soon eval '[ $(lines) = 2 ]'
quits
for filter in "-s mem" "-s net/" "-s net/wlan" "-s n*" "-t systemd"; do
    heard -k $filter
    quits
    is 0 $(lines)
done
for all in -p -e --environment; do
    heard -k -s net $all
    soon eval '[ $(grep -c ^SEQNUM= /run/heard) = 2 ]'
    quits
    grep -qx INTERFACE=lo /run/heard
    ! grep -q UDEV_DATABASE_VERSION /run/heard
done
# an ordinary user may listen
udevadm_of_root=$udevadm
udevadm="$user $udevadm"
heard -k
soon eval '[ $(lines) = 2 ]'
quits
"#;

const PIPES: &str = r#"
# nobody reads to the end
set +e +o pipefail
$udevadm info --export-db | head -n 1 >/dev/null
ends="${PIPESTATUS[*]}"
set -e
is "141 0" "$ends"
exits 1 $udevadm info nosuch
is "" "$(cat /run/out)"
"#;

const TRIGGER: &str = r#"
# one that is refused does not hold up the others
exits 1 $user $udevadm trigger -v -y zero -y null
is "/sys/devices/virtual/mem/null /sys/devices/virtual/mem/zero" "$(xargs </run/out)"
said "null: Failed to write 'change' to '/sys/devices/virtual/mem/null/uevent': Permission denied"
said "zero: Failed to write 'change' to '/sys/devices/virtual/mem/zero/uevent': Permission denied"
exits 1 $user $udevadm trigger -q -v -y zero -y null
is "" "$(cat /run/err)"
# but no other can be asked for where sysfs can't be written to
mount -o remount,ro /sys
exits 1 $udevadm trigger -v -y zero -y null
is /sys/devices/virtual/mem/null "$(cat /run/out)"
said "Read-only file system"
mount -o remount,rw /sys
exits 0 $udevadm trigger -v --uuid -y lo
is 2 "$(wc -l </run/out)"
grep -qE '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' /run/out

# nobody answers, or not to this user
exits 1 $user $udevadm settle -t 1
said "systemd-udevd is not running."
exits 0 $udevadm settle -t 1
exits 1 $user $udevadm control --ping
said "Failed to send a ping message: No such file or directory"
exits 1 $user $udevadm control
said "No control command option is specified."
exits 1 $udevadm control -R
said "Failed to send reload request: No such file or directory"
exits 1 $udevadm control -l info -R
said "Failed to send request to set log level: No such file or directory"
exits 1 $user $udevadm trigger -n --wait-daemon=0.1
touch /run/udev/control
mkdir -m 700 /run/closed
mv /run/udev/control /run/closed
ln -s /run/closed/control /run/udev/control
exits 1 $user $udevadm control --ping
said "Failed to send a ping message: Permission denied"
exits 1 $user $udevadm trigger -n --wait-daemon=1w
said "Failed to connect to udev daemon: Permission denied"
"#;

/// Package scripts call udevadm in trees that are half made.
const CHROOT: &str = r#"
mkdir /run/root
mount --bind / /run/root
mount --rbind "$(dirname "$udevadm")" /run/root/mnt
in_root="chroot /run/root /mnt/$(basename "$udevadm")"
[ ! -e /run/root/proc/self ]
for verb in "trigger -y zero" "settle -t 1" "control --ping" control "monitor -k"; do
    exits 0 $in_root $verb
    said "Running in chroot, ignoring request."
done
exits 1 $in_root wait -t 0.1 /dev/nosuch
export SYSTEMD_IGNORE_CHROOT=1
exits 1 $in_root control --ping
said "Failed to send a ping message"
"#;

const CREDENTIALS: &str = r#"
mkdir /run/given
printf 'KERNEL=="zero", SYMLINK+="given"\n' >/run/given/udev.rules.50-given
printf 'udev_log=debug\n' >/run/given/udev.conf.log
touch /run/given/udev.rules. /run/given/udev.other /run/given/unrelated
chmod 400 /run/given/*
exits 0 env -u CREDENTIALS_DIRECTORY $udevadm control --load-credentials
[ ! -e /run/udev/rules.d ]
exits 0 env CREDENTIALS_DIRECTORY=/run/given $udevadm control --load-credentials
cmp /run/given/udev.rules.50-given /run/udev/rules.d/50-given.rules
cmp /run/given/udev.conf.log /run/udev/udev.conf.d/log.conf
is "644 644" "$(stat -c %a /run/udev/rules.d/50-given.rules /run/udev/udev.conf.d/log.conf | xargs)"
"#;

/// Scripts whose claims hold for systemd 257's udevadm too. (Its `monitor` behaves so as well, but does not say in a file
/// when it listens.)
const SCRIPTS: [(&str, &str); 6] = [
    ("lock", LOCK),
    ("wait", WAIT),
    ("pipes", PIPES),
    ("trigger", TRIGGER),
    ("chroot", CHROOT),
    ("credentials", CREDENTIALS),
];

fn ours(script: &str) {
    if let Some(why) = missing() {
        return skip(why);
    }
    in_namespaces(&format!("{PLACE}\n{script}"));
}

#[test]
fn lock() {
    ours(LOCK);
}

#[test]
fn wait() {
    ours(&format!("{WAIT}\n{WAIT_WITHOUT_EVENTS}"));
}

#[test]
fn monitor() {
    ours(MONITOR);
}

#[test]
fn pipes() {
    ours(PIPES);
}

#[test]
fn trigger_and_those_that_ask_the_daemon() {
    ours(TRIGGER);
}

#[test]
fn chroots() {
    ours(CHROOT);
}

#[test]
fn credentials() {
    ours(CREDENTIALS);
}

#[test]
fn systemd_257_behaves_so() {
    let Some(tree) = tree() else { return };
    for (name, script) in SCRIPTS {
        eprintln!("{name}");
        in_namespaces(&format!("{}\n{PLACE}\n{script}", of_tree(&tree)));
    }
}

/// Options of systemd 258 and later: the keys are those of its own.
#[test]
fn later_options() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let out = in_namespaces(&format!(
        r#"{PLACE}
        mkdir /run/rules
        cat >/run/rules/10-x.rules <<'END'
KERNEL=="lo", ATTR{{mtu}}="1500", NAME="new", TAG+="t", RUN{{program}}+="/bin/true %k"
KERNEL=="zero", OWNER="daemon", MODE="0600", SYMLINK+="b a", OPTIONS+="link_priority=5", OPTIONS+="watch"
END
        for device in /sys/class/net/lo c1:5; do
            $udevadm test --json=short -D /run/rules $device 2>/dev/null
        done
        # a device that stands on another
        for link in /sys/class/*/*/device; do
            child=$(readlink -f "${{link%/device}}") parent=$(readlink -f "$link")
            case $child in "$parent"/*) break ;; esac
        done
        $udevadm trigger -n -v --include-parents -s "$(basename "$(readlink "$child/subsystem")")" \
            -y "$(basename "$child")" >/run/triggered
        for device in "$child" "$parent"; do grep -cxF "$device" /run/triggered; done
        "#
    ));
    let mut lines = out.lines();
    let mut object = || serde_json::from_str::<serde_json::Value>(lines.next().unwrap()).unwrap();
    let (lo, zero) = (object(), object());
    assert_eq!((&lo["path"], &lo["id"]), (&"/devices/virtual/net/lo".into(), &"n1".into()), "{lo}");
    assert_eq!(lo["networkInterface"], serde_json::json!({ "index": 1, "name": "new" }));
    let written = serde_json::json!([{ "path": "/sys/devices/virtual/net/lo/mtu", "value": "1500" }]);
    assert_eq!((&lo["sysfsAttributes"], &lo["currentTags"]), (&written, &serde_json::json!(["t"])));
    let last = serde_json::json!({ "type": "program", "command": "/bin/true lo" });
    assert!(lo["queuedCommands"].as_array().unwrap().contains(&last), "{lo}");
    let node = &zero["node"];
    assert_eq!(node["path"], "/dev/zero");
    assert_eq!(
        (&node["type"], &node["rdev"]),
        (&"char".into(), &serde_json::json!({ "major": 1, "minor": 5 }))
    );
    assert_eq!((&node["owner"]["userName"], &node["mode"]), (&"daemon".into(), &"0600".into()));
    assert_eq!((&node["symlinkPriority"], &node["inotifyWatch"]), (&5.into(), &true.into()));
    assert_eq!(node["symlinks"], serde_json::json!(["/dev/a", "/dev/b"]));
    assert!(zero["properties"].as_array().unwrap().contains(&"DEVLINKS=/dev/a /dev/b".into()), "{zero}");
    assert_eq!(lines.collect::<Vec<_>>(), ["1", "1"], "each is there once");
}
