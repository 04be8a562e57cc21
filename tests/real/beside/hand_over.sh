# A running system goes from udevd to nameplate and back. What there is before and after each change goes to `WORK/out`.
. "$(dirname "$0")/stage.sh"

all="$(for n in 0 1 2; do echo "b7:$((loop + n))"; done) c1:3"
# Links with their inodes: one that is deleted, or made anew, comes back with another. With the times of the first events.
links() {
    echo "-- $1"
    find /dev -type l -printf '%P %l %i\n' | grep -E "np/|block/7:${loop%?}|char/1:3 " | sort
    grep -H ^I: $(for id in $all; do echo "/run/udev/data/$id"; done)
}
trigger() {
    for n in 0 1 2; do udevadm trigger --action=$1 "/sys/block/loop$((loop + n))"; done
    udevadm trigger --action=$1 /sys/class/mem/null
    settle
}

{
    start udevd
    trigger add
    # of equals the last has the name for udevd
    udevadm trigger --action=change "/sys/block/loop$loop"
    settle
    show udevd $all
    links udevd
    stop

    start nameplate
    show nameplate $all
    links nameplate
    trigger change
    show "nameplate after events" $all
    links "nameplate after events"
    stop

    rm -f /run/udev/control
    start udevd
    show "udevd again" $all
    links "udevd again"
    # a claim is known to who comes after: the name goes over when its holder goes
    holder=$(basename "$(readlink /dev/np/shared)")
    echo "shared: $holder"
    udevadm trigger --action=remove "/sys/block/$holder"
    settle
    echo "shared after its removal: $(basename "$(readlink /dev/np/shared)")"
    stop
} >"$work/out"
