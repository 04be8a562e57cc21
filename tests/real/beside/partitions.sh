# A writer closes a watched disk that has a partition: the kernel reads the partitions again and says itself what became of
# them. What listeners heard goes to `WORK/heard`, the links to `WORK/out`.
. "$(dirname "$0")/stage.sh"

disk=loop$loop
image=$work/image
head -c 4194304 /dev/zero >"$image"
# one entry of a partition table: Linux, sectors 2048 to 4095
printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\010\0\0' | dd of="$image" bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of="$image" bs=1 seek=510 conv=notrunc status=none
trap 'losetup -d "/dev/$disk"' EXIT
losetup --partscan "/dev/$disk" "$image"
node "${disk}p1"

start "$manager"
udevadm trigger --action=add "/sys/class/block/$disk"
settle
listen
: >"/dev/$disk"
heard add "${disk}p1"
heard change "$disk"
settle
find /dev/np -type l -printf '%P %l\n' | sort >"$work/out"
stop
