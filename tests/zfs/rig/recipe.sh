# What the saved machine is made of; sourced by rig.sh, which keys its cache by this file. Sets nothing by itself.
suite=trixie
memory=1024

# The emulator runs in its own root; arguments: folder with the disks, then what differs between first boot and resume.
emulate() {
  disks=$1
  shift
  drives=
  for disk in vda vdb vdc vdd vde vdf vdg vdh; do
    drives="$drives -drive file=/run/rig/$disk.qcow2,if=none,id=$disk,format=qcow2,cache=unsafe,discard=unmap"
    # With a serial number it has a name in /dev/disk/by-id.
    drives="$drives -device virtio-blk-pci,drive=$disk,serial=rig-$disk"
  done
  # shellcheck disable=SC2086,SC2016
  exec unshare --mount --propagation private sh -euc '
    tools=$1 disks=$2; shift 2
    mount --bind "$disks" "$tools/run/rig"; mount --bind /dev "$tools/dev"
    exec chroot "$tools" qemu-system-x86_64 "$@"' rig "$folder/tools" "$disks" \
    -name infra-zfs-rig -machine q35 -accel "$accel" -cpu Nehalem -smp 2 -m "$memory" -nodefaults -no-user-config \
    -display none -kernel /rig/vmlinuz -initrd /rig/initrd \
    -append "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off no_timer_check" $drives \
    -object rng-random,id=r0,filename=/dev/urandom -device virtio-rng-pci,rng=r0 \
    -device virtio-net-pci,netdev=n0,mac=52:54:00:77:00:01 -serial file:/run/rig/console.log "$@"
}

bootstrap() { # DRAFT NAME PACKAGES
  mmdebstrap --mode=root --variant=apt --components=main,contrib --include="$3" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$1/$2" >"$1/$2.log" 2>&1 || { tail -n 20 "$1/$2.log" >&2; return 1; }
}

module() { # DRAFT STORE: the kernel module for the guest's kernel, from the store or built against its headers
  release=$(ls "$1/root/lib/modules")
  version=$(chroot "$1/root" dpkg-query -W -f '${Version}' zfsutils-linux)
  kept=$2/module-$release-$version
  if [ ! -d "$kept" ]; then
    say "building the kernel module for $release"
    bootstrap "$1" workshop "dkms,linux-headers-$release,libelf-dev,ca-certificates"
    cp /etc/resolv.conf "$1/workshop/etc/resolv.conf"
    # shellcheck disable=SC2016
    unshare --mount --propagation private sh -euc '
      mount -t proc proc "$1/proc"; mount --bind /dev "$1/dev"
      chroot "$1" apt-get update -q
      DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get install -y -q --no-install-recommends zfs-dkms
    ' rig "$1/workshop" >"$1/dkms.log" 2>&1 || { tail -n 20 "$1/dkms.log" >&2; return 1; }
    mkdir "$1/module"
    cp "$1/workshop/lib/modules/$release"/updates/dkms/*.ko* "$1/module/"
    mv "$1/module" "$kept"
    rm -rf "$1/workshop"
  fi
  mkdir -p "$1/root/lib/modules/$release/updates/dkms"
  cp "$kept"/*.ko* "$1/root/lib/modules/$release/updates/dkms/"
}

system() { # DRAFT: the guest's root
  bootstrap "$1" root linux-image-cloud-amd64,initramfs-tools,systemd-sysv,dbus,openssh-server,iproute2,kmod,udev,zfsutils-linux,procps,e2fsprogs,sudo,zlib1g,sanoid,mbuffer,strace,findutils,tzdata,rsync,nfs-kernel-server,nfs-common,acl,attr,time,fdisk,dmsetup
  ssh-keygen -q -t ed25519 -N '' -C infra-zfs-rig -f "$1/operator_ed25519"
  rm -f "$1"/root/etc/ssh/ssh_host_*
  ssh-keygen -q -t ed25519 -N '' -C infra-zfs-rig -f "$1/root/etc/ssh/ssh_host_ed25519_key"
  echo "infra-zfs-rig $(cut -d ' ' -f 1,2 "$1/root/etc/ssh/ssh_host_ed25519_key.pub")" >"$1/known_hosts"
  install -d -m 700 "$1/root/root/.ssh"
  install -m 600 "$1/operator_ed25519.pub" "$1/root/root/.ssh/authorized_keys"
  echo infra-zfs-rig >"$1/root/etc/hostname"
  echo '/dev/vda / ext4 defaults,noatime 0 1' >"$1/root/etc/fstab"
  printf '[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\n' >"$1/root/etc/systemd/network/eth0.network"
  printf 'PermitRootLogin prohibit-password\nUseDNS no\nMaxSessions 50\nMaxStartups 100\n' >"$1/root/etc/ssh/sshd_config.d/rig.conf"
  chroot "$1/root" systemctl enable -q systemd-networkd.service
  for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer sanoid.timer \
    systemd-udev-settle.service zfs-load-module.service zfs-import-cache.service zfs-import-scan.service zfs-mount.service \
    zfs-zed.service zfs-share.service systemd-networkd-wait-online.service nfs-server.service nfs-blkmap.service rpcbind.service rpcbind.socket rpc-statd.service; do
    ln -sf /dev/null "$1/root/etc/systemd/system/$unit"
  done
}

disk() { # DRAFT: a slim initrd, the root as a disk
  release=$(ls "$1/root/lib/modules")
  chroot "$1/root" depmod "$release"
  sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=lz4/' "$1/root/etc/initramfs-tools/initramfs.conf"
  printf 'virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n' >>"$1/root/etc/initramfs-tools/modules"
  # shellcheck disable=SC2016
  unshare --mount --propagation private sh -euc 'mount -t proc proc "$1/proc"; chroot "$1" update-initramfs -u -k "$2"' \
    rig "$1/root" "$release" >"$1/initrd.log" 2>&1
  mkdir -p "$1/tools/rig" "$1/tools/run/rig" "$1/disks"
  cp "$1/root/boot/vmlinuz-$release" "$1/tools/rig/vmlinuz"
  cp "$1/root/boot/initrd.img-$release" "$1/tools/rig/initrd"
  rm -rf "$1"/root/boot/* "$1/root/var/lib/apt/lists" "$1/root/var/cache/apt"
  : >"$1/root/etc/machine-id"
  truncate -s 4G "$1/disks/vda.raw"
  mke2fs -q -t ext4 -O ^has_journal -d "$1/root" -L root "$1/disks/vda.raw"
  # shellcheck disable=SC2016
  unshare --mount --propagation private sh -euc '
    mount --bind "$1/disks" "$1/tools/run/rig"; cd /
    chroot "$1/tools" qemu-img convert -O qcow2 /run/rig/vda.raw /run/rig/vda.qcow2
    chroot "$1/tools" qemu-img create -q -f qcow2 /run/rig/vdb.qcow2 64M
    for disk in vdc vdd vde vdf; do chroot "$1/tools" qemu-img create -q -f qcow2 /run/rig/$disk.qcow2 1G; done
    for disk in vdg vdh; do chroot "$1/tools" qemu-img create -q -f qcow2 /run/rig/$disk.qcow2 4G; done' rig "$1"
  rm "$1/disks/vda.raw"
}

save() { # DRAFT: boots it once, loads the module, saves the running machine
  folder=$1
  port=$((20000 + $$ % 20000))
  mkfifo "$1/monitor"
  (emulate "$1/disks" -netdev "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -monitor stdio \
    <"$1/monitor" >"$1/monitor.log" 2>&1) &
  emulator=$!
  exec 8>"$1/monitor"
  await "$port" "$emulator" 900
  guest "$port" 'modprobe zfs && zfs version && sync'
  printf 'savevm ready\nquit\n' >&8
  exec 8>&-
  wait "$emulator" || { cat "$1/monitor.log" >&2; return 1; }
  rm "$1/monitor"
}
