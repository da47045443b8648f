#!/bin/sh
# The main job on a Debian 13 with cgroup v2 alone, which is what people have: a machine of its own under QEMU, in which the lab
# and its guests run. `machine.sh INFRA FOLDER` ends with what `tests/demo.sh` ended with in there.
#
# Needs root and mmdebstrap. The machine's disk and QEMU are built once and kept; the lab's guest images are taken over from this machine's
# cache, or built in there. KVM only when asked for (INFRA_CGROUP2_ACCEL=kvm): a nested one may be there and not work.
set -eu
infra=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
here=$(dirname "$(readlink -f "$0")")
accel=${INFRA_CGROUP2_ACCEL:-tcg,thread=multi,tb-size=512}
images=${XDG_CACHE_HOME:-/var/cache/infra-demo}/infra/lab
cache=${XDG_CACHE_HOME:-/var/cache/infra-demo}/infra/cgroup2
# What the lab needs, as the Makefile says it, and what a machine is.
lab_packages=$(sed -n 's/^LAB_PACKAGES := //p' "$here/../../Makefile" | tr ' ' ',')
machine_packages=linux-image-amd64,initramfs-tools,systemd-sysv,dbus,udev,kmod,procps,ca-certificates,sudo
key=$({ cat "$0"; echo "$lab_packages"; } | sha256sum | cut -c 1-12)
say() { echo "cgroup2: $*"; }

bootstrap() { # FOLDER PACKAGES
	mmdebstrap --mode=root --variant=apt --include="$2" --aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		trixie "$1" >"$1.log" 2>&1 || { tail -n 20 "$1.log" >&2; return 1; }
}

# build: DRAFT becomes a folder with `tools` (QEMU in a root of its own), `root` (the machine's), its kernel and its initrd.
build() {
	draft=$1
	bootstrap "$draft/tools" qemu-system-x86
	bootstrap "$draft/root" "$machine_packages,$lab_packages"
	root=$draft/root
	echo infra-cgroup2 >"$root/etc/hostname"
	printf '/dev/vda / ext4 defaults,noatime 0 1\n' >"$root/etc/fstab"
	printf '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n' >"$root/etc/systemd/network/eth0.network"
	echo nameserver 10.0.2.3 >"$root/etc/resolv.conf"
	chroot "$root" systemctl enable -q systemd-networkd.service
	for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer ssh.service \
		systemd-networkd-wait-online.service; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit"
	done
	cat >"$root/etc/systemd/system/infra-demo.service" <<-'UNIT'
		[Unit]
		Description=The main job
		After=network.target systemd-networkd.service
		[Service]
		Type=oneshot
		StandardOutput=tty
		StandardError=inherit
		TTYPath=/dev/ttyS1
		ExecStart=/bin/sh -c '/bin/sh /opt/infra/run.sh 2>&1 | cat'
		ExecStopPost=/bin/systemctl poweroff --no-block
		TimeoutStartSec=infinity
		[Install]
		WantedBy=multi-user.target
	UNIT
	chroot "$root" systemctl enable -q infra-demo.service
	release=$(ls "$root/lib/modules")
	sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=lz4/' "$root/etc/initramfs-tools/initramfs.conf"
	printf 'virtio_pci\nvirtio_blk\next4\n' >>"$root/etc/initramfs-tools/modules"
	# shellcheck disable=SC2016
	unshare --mount --propagation private sh -euc 'mount -t proc proc "$1/proc"; chroot "$1" update-initramfs -u -k "$2"' \
		cgroup2 "$root" "$release" >"$draft/initrd.log" 2>&1
	mkdir -p "$draft/tools/run/machine"
	cp "$root/boot/vmlinuz-$release" "$draft/tools/vmlinuz"
	cp "$root/boot/initrd.img-$release" "$draft/tools/initrd"
	rm -rf "$root"/boot/* "$root/var/lib/apt/lists" "$root/var/cache/apt"
	: >"$root/etc/machine-id"
}

if [ ! -e "$cache/$key/complete" ]; then
	say "building the machine (some minutes, once)"
	rm -rf "$cache"
	mkdir -p "$cache/$key"
	build "$cache/$key"
	touch "$cache/$key/complete"
fi
machine=$cache/$key

# The disk of this run: the machine, the program under test and the images that are there.
work=$folder/root.tree
rm -rf "$folder"
mkdir -p "$folder"
cp -a --reflink=auto "$machine/root" "$work"
mkdir -p "$work/opt/infra/cache/infra"
cp "$infra" "$work/opt/infra/infra"
cp "$here/../demo.sh" "$work/opt/infra/"
[ ! -d "$images" ] || cp -a --reflink=auto "$images" "$work/opt/infra/cache/infra/"
cat >"$work/opt/infra/run.sh" <<'EOF_RUN'
cd /opt/infra || exit 1
echo "cgroups: $(stat -f -c %T /sys/fs/cgroup), $(ls -d /sys/fs/cgroup/unified 2>/dev/null || echo 'no hybrid layout')"
code=0
XDG_CACHE_HOME=/opt/infra/cache sh demo.sh ./infra /opt/infra/demo || code=$?
echo "== ended with $code"
EOF_RUN
truncate -s 24G "$folder/vda.raw"
mke2fs -q -t ext4 -O ^has_journal -d "$work" -L root "$folder/vda.raw"
rm -rf "$work"

say "the machine boots"
begun=$(date +%s)
# shellcheck disable=SC2016
unshare --mount --propagation private sh -euc '
	tools=$1 folder=$2 accel=$3
	mount --bind "$folder" "$tools/run/machine"; mount --bind /dev "$tools/dev"
	exec chroot "$tools" qemu-system-x86_64 -name infra-cgroup2 -machine q35 -accel "$accel" -cpu Nehalem -smp 2 -m 6144 \
		-nodefaults -no-user-config -no-reboot -display none -kernel /vmlinuz -initrd /initrd \
		-append "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off no_timer_check systemd.unified_cgroup_hierarchy=1" \
		-drive file=/run/machine/vda.raw,if=none,id=vda,format=raw,cache=unsafe,discard=unmap -device virtio-blk-pci,drive=vda \
		-object rng-random,id=r0,filename=/dev/urandom -device virtio-rng-pci,rng=r0 \
		-netdev user,id=n0 -device virtio-net-pci,netdev=n0 \
		-serial file:/run/machine/console.log -serial file:/run/machine/demo.log
' cgroup2 "$machine/tools" "$folder" "$accel" </dev/null
rm -f "$folder/vda.raw"
tr -d '\r' <"$folder/demo.log"
say "$(($(date +%s) - begun)) s in the machine"
grep -q '^cgroups: cgroup2fs, no hybrid layout' "$folder/demo.log" || { say "WRONG: the machine has another layout of cgroups"; exit 1; }
code=$(tr -d '\r' <"$folder/demo.log" | sed -n 's/^== ended with //p')
[ "$code" = 0 ] || { say "WRONG: ended with ${code:-nothing: the machine went down before}"; tail -n 20 "$folder/console.log"; exit 1; }
