# One device manager through the life of some devices. What is there after each step goes to `WORK/out`.
. "$(dirname "$0")/stage.sh"
memory=[35]

net() { echo "n$(cat "/sys/class/net/$1/ifindex")"; }
# the ids of loop, zram and mem devices and of interfaces, and what udevadm calls the same devices
ids() {
    for n in 0 1 2; do echo "b7:$((loop + n))"; done
    [ -z "$zram" ] || echo "b$(cat "/sys/block/zram$zram/dev")"
    echo c1:3 c1:5 $(net lo) $(net np0) $(net np1) $(net np2) $(net np4) +drivers:np:none
}
devices=$(for n in 0 1 2; do echo "/sys/block/loop$((loop + n))"; done)
[ -z "$zram" ] || devices="$devices /sys/block/zram$zram"
devices="$devices /sys/class/mem/null /sys/class/mem/zero"
ip link add np0 type veth peer name np1
ip tuntap add np2 mode tun
ip tuntap add np4 mode tun
devices="$devices /sys/class/net/np0 /sys/class/net/np1 /sys/class/net/np2 /sys/class/net/np4 /sys/class/net/lo"
all=$(ids)

start "$manager"
listen
{
    for device in $devices; do ask add "$device"; done
    settle
    show added $all
    for device in $devices; do ask change "$device"; done
    settle
    show changed $all
    # a rule gives another name: what listeners hear before the kernel says it
    ask add /sys/class/net/np4 NAME=1
    settle
    heard move net/np5
    settle
    echo "== while a program ran: umask and record"
    # the mark is newer than systemd 252
    grep -c '^E:ID_PROCESSING=1$' /run/np-at-run >"$work/processing" || true
    sed 's/^I:.*/I:N/; /^E:ID_PROCESSING=1$/d' /run/np-at-run | sort

    # a writer of a node that is watched
    : >"/dev/loop$((loop + 1))"
    until [ "$(grep -cE "^UDEV .* change .*/loop$((loop + 1)) " "$work/heard")" -ge 2 ]; do kill -0 $pid; sleep 0.02; done
    settle

    # whoever holds a disk for himself is waited for, and nothing is lost
    (
        exec 9<"/dev/loop$loop"
        flock -x 9
        ask bind "/sys/block/loop$loop"
        sleep 0.7
        [ -e /run/udev/queue ] && echo "locked: unfinished"
        grep -qE "^UDEV .* bind " "$work/heard" || echo "locked: not heard"
        if [ -S /run/udev/control ]; then
            udevadm settle --timeout=1 || echo "locked: not settled"
        else
            echo "locked: not settled"
        fi
    )
    heard bind "loop$loop"
    settle
    # events of others come and go too
    while [ -e /run/udev/queue ]; do kill -0 $pid; sleep 0.02; done
    echo "unlocked: finished"

    # names change, devices go
    ip link set np2 name np3
    ip link del np0
    ask remove "/sys/block/loop$((loop + 2))"
    settle
    show removed $all
} >"$work/out"
stop
