# A running system goes from udevd to nameplate and back. What there is before and after each change goes to `WORK/out`.
. "$(dirname "$0")/stage.sh"
memory=7

all="$(for n in 0 1 2; do echo "b7:$((loop + n))"; done) c1:7"
# Links with their inodes: one that is deleted, or made anew, comes back with another. With the times of the first events.
links() {
    echo "-- $1"
    find /dev -type l -printf '%P %l %i\n' | grep -E "np/|block/7:${loop%?}|char/1:7 " | sort
    grep -H ^I: $(for id in $all; do echo "/run/udev/data/$id"; done)
}
trigger() {
    for n in 0 1 2; do ask $1 "/sys/block/loop$((loop + n))"; done
    ask $1 /sys/class/mem/full
    settle
}
# What udevd keeps of claims and watches, without the numbers of watches.
stacks() { (cd /run/udev && find links watch -type l -printf '%p %l\n' 2>/dev/null | grep -vE "^watch/[0-9]+ " | sed '/^watch/s/ .*//' | sort) || true; }
remove_holder() {
    holder=$(basename "$(readlink /dev/np/shared)")
    echo "shared: $holder"
    ask remove "/sys/block/$holder"
    settle
    echo "shared after its removal: $(basename "$(readlink /dev/np/shared)")"
}

{
    start udevd
    trigger add
    # of equals the last has the name for udevd
    ask change "/sys/block/loop$loop"
    settle
    show udevd $all
    links udevd
    echo "-- left by udevd"
    stacks
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
    # claims are known to who comes after: the name goes over when its holder goes
    echo "-- after udevd"
    remove_holder
    stop

    # the same where no udevd was before nameplate
    (cd /run/udev && rm -rf data tags links watch && mkdir -p links/np.old watch)
    ln -s b7:1 /run/udev/watch/1
    rm -rf /dev/np
    start nameplate
    trigger add
    echo "-- kept up by nameplate"
    stacks
    stop
    echo "-- left by nameplate"
    stacks
    rm -f /run/udev/control
    start udevd
    echo "-- after nameplate"
    remove_holder
    # the node is watched from the start on
    listen
    : >"/dev/loop$((loop + 2))"
    heard change "loop$((loop + 2))"
    stop
} >"$work/out"
