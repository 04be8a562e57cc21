# Shared by contrib/test and contrib/try: finds out what building and testing need and this machine has not, and installs it
# through the system's package manager. Sourced by a POSIX sh; the caller is at the top of the tree.
#
# Installing needs root or sudo. Where neither is there it says what to install and goes on: most of it is needed by some
# tests only, and these then say that they are skipped.

# Administration programs are not on every user's path.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
[ -d "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin" ] && PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
export PATH

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Prints the name of the package manager; nothing if it is not one of the five.
package_manager() {
    for manager in apt-get dnf pacman zypper apk; do
        if have "$manager"; then echo "$manager"; return; fi
    done
}

# package WHAT MANAGER: prints the package that brings WHAT.
package() {
    case "$1:$2" in
        compiler:apt-get) echo "gcc libc6-dev" ;;
        compiler:dnf | compiler:zypper) echo "gcc glibc-devel" ;;
        compiler:pacman) echo "gcc" ;;
        compiler:apk) echo "gcc musl-dev" ;;
        ip:dnf) echo "iproute" ;;
        ip:*) echo "iproute2" ;;
        ethtool:*) echo "ethtool" ;;
        kmod:*) echo "kmod" ;;
        losetup:apt-get) echo "mount" ;;
        losetup:apk) echo "losetup" ;;
        zramctl:apk | unshare:apk) echo "util-linux-misc" ;;
        losetup:* | zramctl:* | unshare:*) echo "util-linux" ;;
        partx:apt-get | sfdisk:apt-get) echo "fdisk util-linux" ;;
        partx:apk) echo "partx" ;;
        sfdisk:apk) echo "sfdisk" ;;
        partx:* | sfdisk:*) echo "util-linux" ;;
        mkfs.ext4:*) echo "e2fsprogs" ;;
        mkfs.vfat:*) echo "dosfstools" ;;
        mkfs.xfs:*) echo "xfsprogs" ;;
        mkfs.btrfs:zypper) echo "btrfsprogs" ;;
        mkfs.btrfs:*) echo "btrfs-progs" ;;
        mksquashfs:zypper) echo "squashfs" ;;
        mksquashfs:*) echo "squashfs-tools" ;;
        cryptsetup:apt-get) echo "cryptsetup-bin" ;;
        cryptsetup:*) echo "cryptsetup" ;;
        xorriso:pacman) echo "libisoburn" ;;
        xorriso:*) echo "xorriso" ;;
        udev:apt-get) echo "udev" ;;
        udev:dnf) echo "systemd-udev" ;;
        udev:zypper) echo "udev" ;;
        udev:pacman) echo "systemd" ;;
        udev:apk) echo "eudev" ;;
        libudev:apt-get) echo "pkg-config libudev-dev" ;;
        libudev:dnf) echo "pkgconf-pkg-config systemd-devel" ;;
        libudev:zypper) echo "pkg-config systemd-devel" ;;
        libudev:pacman) echo "pkgconf systemd-libs" ;;
        libudev:apk) echo "pkgconf eudev-dev" ;;
    esac
}

# is_there WHAT: true if this machine has it.
is_there() {
    case "$1" in
        compiler) have cc ;;
        kmod) have modprobe ;;
        udev) have udevadm ;;
        libudev) have pkg-config && pkg-config --exists libudev ;;
        *) have "$1" ;;
    esac
}

# install_packages PACKAGE...: as root or through sudo; false if that is not possible or fails.
install_packages() {
    manager=$(package_manager)
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        as_root=sudo
    else
        return 1
    fi
    say "installing: $*"
    case "$manager" in
        apt-get)
            $as_root apt-get -qq update &&
                $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"
            ;;
        dnf) $as_root dnf -y -q install "$@" ;;
        pacman) $as_root pacman -Sy --needed --noconfirm "$@" ;;
        zypper) $as_root zypper -n -q install "$@" ;;
        apk) $as_root apk add -q "$@" ;;
    esac >&2
}

# ensure WHAT...: installs what is not there. Never ends the script: what is still missing is said.
ensure() {
    manager=$(package_manager)
    packages=
    for what in "$@"; do
        is_there "$what" || packages="$packages $(package "$what" "${manager:-unknown}")"
    done
    # the list is split on purpose
    # shellcheck disable=SC2086
    set -- $packages
    [ $# -gt 0 ] || return 0
    if [ -z "$manager" ]; then
        say "note: no apt-get, dnf, pacman, zypper or apk here; install what brings: $*"
    elif ! install_packages "$@"; then
        say "note: could not install these packages, please do: $*"
    fi
}

# Everything that building needs. Ends the script if there is no usable Rust toolchain or no linker.
setup_build() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    have cargo || die "no cargo found: install Rust $wanted or newer, see https://rustup.rs"
    found=$(cargo --version | sed 's/^cargo \([0-9]*\.[0-9]*\).*/\1/')
    newest=$(printf '%s\n%s\n' "$wanted" "$found" | sort -t. -k1,1n -k2,2n | tail -n 1)
    [ "$newest" = "$found" ] || die "cargo is $found, nameplate needs Rust $wanted or newer: rustup update"
    if grep -q '^name = "libudev-sys"' Cargo.lock; then ensure compiler libudev; else ensure compiler; fi
    is_there compiler || die "no C compiler (cc): Rust links with it"
}

# Everything that tests need beside that. A test that still can't run says so.
setup_tests() {
    ensure ip ethtool kmod losetup zramctl unshare udev
    # media for blkid to read
    ensure partx sfdisk mkfs.ext4 mkfs.vfat mkfs.xfs mkfs.btrfs mksquashfs cryptsetup xorriso
    if [ "$(id -u)" = 0 ] && have modprobe; then
        for module in loop zram tun veth dummy bridge; do
            modprobe -q "$module" 2>/dev/null || true
        done
    fi
}
