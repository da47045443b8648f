# A stage for the twin: a copy of this machine's root on an overlay, a btrfs filesystem on a loop image for the
# twin's files, the program as `zfs` and `zpool`. Then the driver in it. All of it is gone with the mount namespace,
# except what lies in the folder. Arguments: folder, program, folder of commands. Runs under `unshare --mount`.
set -eu
folder=$1 program=$2 commands=$3
mount --make-rprivate /
mkdir -p "$folder/scratch" "$folder/root"
truncate -s 3G "$folder/zfs.img"
mkfs.btrfs -q "$folder/zfs.img"
mount -t tmpfs tmpfs "$folder/scratch"
mkdir "$folder/scratch/upper" "$folder/scratch/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/scratch/upper,workdir=$folder/scratch/work" "$folder/root"
for path in proc sys dev; do mount --rbind "/$path" "$folder/root/$path"; done
mkdir -p "$folder/root/var/lib/infra-lab/zfs" "$folder/root/stage"
rm -rf "$folder/root/mnt" && mkdir "$folder/root/mnt"
mount -o loop "$folder/zfs.img" "$folder/root/var/lib/infra-lab/zfs"
cp "$folder/store.json" "$folder/root/var/lib/infra-lab/zfs/"
mount --bind "$commands" "$folder/root/stage"
rm -f "$folder/root/usr/sbin/zfs" "$folder/root/usr/sbin/zpool"
touch "$folder/root/usr/sbin/zfs"
mount --bind "$program" "$folder/root/usr/sbin/zfs"
ln -s zfs "$folder/root/usr/sbin/zpool"
for name in zfs zpool; do ln -sf "../sbin/$name" "$folder/root/usr/bin/$name"; done
chroot "$folder/root" sh /stage/driver.sh /stage
