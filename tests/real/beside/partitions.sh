# A writer closes a watched disk that has a partition, and no table of partitions that says so: the kernel reads it again and
# tells of the partition that goes, and somebody has to tell of the disk. What listeners heard goes to `WORK/heard`, the links
# before and after to `WORK/out`.
. "$(dirname "$0")/stage.sh"

disk=loop$loop
head -c 4194304 /dev/zero >"$work/image"
trap 'losetup -d "/dev/$disk"' EXIT
losetup --partscan "/dev/$disk" "$work/image"
addpart "/dev/$disk" 1 2048 2048
node "${disk}p1"

names() { find /dev/np -type l -printf '%P %l\n' | sort; }

start "$manager"
ask add "/sys/class/block/$disk"
ask add "/sys/class/block/${disk}p1"
settle
names >"$work/out"
listen
: >"/dev/$disk"
heard remove "${disk}p1"
heard change "$disk"
settle
names >>"$work/out"
stop
