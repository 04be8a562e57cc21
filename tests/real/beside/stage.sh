# A system of its own for one device manager: /dev, /run, /etc/nameplate, the directories of rules and the network are this
# script's. Sourced by a scene; run as
#
#   unshare --mount --net --pid --fork --kill-child --propagation private bash -eu SCENE WORK NAMEPLATE MANAGER LOOP ZRAM
#
# WORK is a directory for what is found (`WORK/out` and others), with the rules in `WORK/x.rules`; NAMEPLATE the program;
# MANAGER `udevd` or `nameplate`; LOOP the number of the first of three loop devices, ZRAM that of a zram device.
work=$1 nameplate=$2 manager=$3 loop=$4 zram=$5
stage=$(dirname "$0")
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=0755 tmpfs /run
: >/run/program
mount --bind "$nameplate" /run/program
nameplate=/run/program
for dir in /etc/udev /etc/nameplate /run/nameplate /usr/lib/udev/rules.d /usr/local/lib/udev/rules.d /usr/lib/nameplate /var/lib/nameplate; do
    [ ! -d $dir ] || mount -t tmpfs tmpfs $dir
done
mkdir -p /run/udev/rules.d
cp "$work/x.rules" /run/udev/rules.d/50-x.rules
printf 'mode = "standalone"\n' >/run/config.toml

own=$(mktemp -d)
mount -t tmpfs -o mode=0755 tmpfs "$own"
mount --move "$own" /dev
rmdir "$own"
mkdir /dev/shm /dev/net
mknod -m 666 /dev/net/tun c 10 200
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/full c 1 7
mknod -m 600 /dev/np-static c 1 3
node() { mknod -m 600 "/dev/$1" b $(tr : ' ' <"/sys/class/block/$1/dev"); }
for n in 0 1 2; do node loop$((loop + n)); done
[ -z "$zram" ] || node "zram$zram"

# A manager says that it is there; what it says and what it is are another's business. Whoever starts it may let others read
# nothing that he makes.
start() {
    umask 077
    case $1 in
    udevd) /lib/systemd/systemd-udevd >>"$work/log" 2>&1 & ;;
    nameplate) "$nameplate" daemon --config /run/config.toml >>"$work/log" 2>&1 & ;;
    esac
    pid=$!
    umask 022
    case $1 in
    udevd) until udevadm control --ping --timeout=60 2>/dev/null; do sleep 0.02; done ;;
    nameplate)
        until "$nameplate" settle --timeout 900 2>/dev/null; do
            kill -0 $pid
            sleep 0.02
        done
        # libudev asks for this file before it listens
        [ -e /run/udev/control ] || : >/run/udev/control
        ;;
    esac
    running=$1
}
stop() {
    kill $pid
    wait $pid || true
}
# Asks the kernel for an event of a device, with KEY=VALUE if given. By the number it is told from what others ask for on this machine.
ask() { echo "$1 $(printf %08d "$loop")-0520-4520-8520-520520520520${3:+ $3}" >"$2/uevent"; }
# Waits until every event so far is over.
settle() {
    case $running in
    udevd) udevadm settle --timeout=900 ;;
    nameplate) "$nameplate" settle --timeout 900 && udevadm settle --timeout=900 ;;
    esac
}
# Real udev's monitor writes what it hears into `WORK/heard`.
listen() {
    stdbuf -oL udevadm monitor --udev --property >"$work/heard" 2>>"$work/log" &
    until awk '$2 == 15 && $4 == "00000002" { found = 1 } END { exit !found }' /proc/net/netlink; do sleep 0.02; done
}
# Waits until the monitor has heard ACTION of a device; what comes once may come more often.
heard() {
    until grep -qE "^UDEV .* $1 +[^ ]*/$2 " "$work/heard"; do
        kill -0 $pid
        sleep 0.02
    done
}
# What is there of the devices with these ids: records, tags, links, permissions. `memory` has the minor numbers of the memory
# devices that the scene is about, as a pattern: udevd gives a number's link with the first event, nameplate at the start.
show() {
    echo "== $1"
    shift
    for id in "$@"; do
        if [ -e "/run/udev/data/$id" ]; then
            echo "$(stat -c '%a %s' "/run/udev/data/$id" | sed 's/ 0$/ empty/; s/ [0-9]*$//') $id"
            sed 's/^I:.*/I:N/' "/run/udev/data/$id" | sort
        else
            echo "no $id"
        fi
    done
    find /run/udev/tags /run/udev/static_node-tags ! -type d -printf '%M %P %l\n' 2>/dev/null | sort
    find /dev -type l -printf '%P %l\n' | grep -E "np/|block/7:${loop%?}|char/1:$memory " | sort || true
    (cd /dev && stat -c '%n %u:%g %a' null zero full np-static "loop${loop%?}"*)
}
