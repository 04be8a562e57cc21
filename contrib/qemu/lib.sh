# What the scripts beside it that boot Debian have in common. Sourced by bash with `set -euo pipefail`.
#
# It builds: trees of Debian, the modules and the small initramfs that find the root disk; and it runs a machine to its end,
# handing on what the guest says. It decides nothing about what is in the machine or what is asked there.

kernel=$(find /lib/modules -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -V | tail -n 1)
qemu=

# work_in DIR-OR-NOTHING: sets `work`; a directory of ours goes at the end, one that was given stays
work_in() {
    work=${1:-$(mktemp -d)}
    mkdir -p "$work"
    work=$(cd "$work" && pwd)
    # shellcheck disable=SC2064
    trap "end_work ${1:+keep}" EXIT
    trap 'exit 130' INT TERM
}
end_work() {
    [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
    [ "${1:-}" = keep ] || rm -rf "$work"
}

# debian TREE SUITE PACKAGE...: Debian's base system with these packages, once. After the word `then` come packages that want a
# whole system when they are configured. MIRROR names another mirror than debootstrap's own.
debian() {
    local tree=$1 suite=$2 first=() mirror=${MIRROR:-}
    shift 2
    [ ! -e "$tree-is-whole" ] || return 0
    while [ $# -gt 0 ] && [ "$1" != then ]; do first+=("$1") && shift; done
    rm -rf "$tree"
    debootstrap --variant=minbase --include="$(IFS=, && echo "${first[*]}")" "$suite" "$tree" ${mirror:+"$mirror"} >"$work/debootstrap.log"
    if [ $# -gt 1 ]; then
        printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
        chmod +x "$tree/usr/sbin/policy-rc.d"
        DEBIAN_FRONTEND=noninteractive chroot "$tree" sh -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@"' "$@" \
            >>"$work/debootstrap.log" 2>&1
        rm "$tree/usr/sbin/policy-rc.d"
    fi
    rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,locale}
    touch "$tree-is-whole"
}

# module_files NAME...: the files of these modules and of those they need, in the order of loading
module_files() {
    local module
    for module; do
        modprobe -S "$kernel" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
    done | awk '!seen[$0]++'
}

# install_modules TREE NAME...: so that modprobe finds them there
install_modules() {
    local tree=$1 file
    shift
    module_files "$@" | while read -r file; do install -D -m 644 "$file" "$tree$file"; done
    cp "/lib/modules/$kernel"/modules.{builtin,builtin.modinfo,order} "$tree/lib/modules/$kernel/"
    depmod -b "$tree" "$kernel"
}

# initial_tree DIR: busybox and the modules of a root disk on virtio, and `modules/order`; the caller adds `init`
root_modules="virtio_pci virtio_blk ext4"
initial_tree() {
    local file
    rm -rf "$1"
    mkdir -p "$1"/{bin,dev,proc,sys,run,root,modules}
    cp "$(command -v busybox)" "$1/bin/busybox"
    # shellcheck disable=SC2086
    module_files $root_modules | while read -r file; do
        cp "$file" "$1/modules/"
        basename "$file"
    done >"$1/modules/order"
}

# simple_init FILE: an init that mounts /dev/vda and starts its /sbin/init
simple_init() {
    cat >"$1" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "/modules/$module"; done </modules/order
until /bin/busybox mount -t ext4 /dev/vda /root; do /bin/busybox sleep 0.1; done 2>/dev/null
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
INIT
    chmod +x "$1"
}

# pack DIR FILE: an initramfs
pack() { (cd "$1" && find . | cpio --quiet -o -H newc | gzip -1) >"$2"; }

# machine NAME SECONDS MONITOR ARGUMENT...: a machine with one emulated core, to its end. Its first serial port is its console
# (NAME.console), the second says lines (NAME.lines): `QEMU …` there is for the monitor, which is `readline` (for people) or
# `control` (QMP), and answers into NAME.monitor; all others are printed.
machine() {
    local name=$1 seconds=$2 kind=$3 monitor=$work/monitor line
    shift 3
    rm -f "$monitor".in "$monitor".out "$work/$name".{console,lines,monitor}
    mkfifo "$monitor.in" "$monitor.out"
    : >"$work/$name.lines"
    TMPDIR=$work timeout --foreground "$seconds" qemu-system-x86_64 -M q35,accel=tcg -cpu max -smp 1 -nodefaults -display none -no-reboot \
        -serial file:"$work/$name.console" -serial file:"$work/$name.lines" \
        -chardev pipe,id=monitor,path="$monitor" -mon chardev=monitor,mode="$kind" "$@" &
    qemu=$!
    cat "$monitor.out" >"$work/$name.monitor" &
    exec 3>"$monitor.in"
    [ "$kind" != control ] || printf '{"execute":"qmp_capabilities"}\n' >&3
    tail -n +1 -s 0.1 -f --pid="$qemu" "$work/$name.lines" 2>/dev/null | while IFS= read -r line; do
        line=${line%$'\r'}
        case $line in
            "QEMU "*) printf '%s\n' "${line#QEMU }" >&3 ;;
            *) printf '%s: %s\n' "$name" "$line" ;;
        esac
    done
    exec 3>&-
    wait "$qemu" || true
    qemu=
}

# tally BOOT...: counts PASS and FAIL in the lines of these boots; true if all came to their END and nothing failed
tally() {
    local boot passed=0 failed=0 whole=0
    for boot; do
        passed=$((passed + $(grep -c '^PASS' "$work/$boot.lines" || true)))
        failed=$((failed + $(grep -c '^FAIL' "$work/$boot.lines" || true)))
        whole=$((whole + $(grep -c '^END' "$work/$boot.lines" || true)))
    done
    echo "$passed passed, $failed failed"
    [ "$whole" = $# ] || echo "only $whole of $# boots came to their end, see *.console in $work"
    [ "$failed" = 0 ] && [ "$whole" = $# ]
}
