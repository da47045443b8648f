#!/bin/sh
# Dumps and their way back, with the scripts that run on hosts and the real servers of Debian: `databases.sh FOLDER`.
# Postgres, MariaDB, Redis and SQLite; what was there is kept, and what is not whole touches nothing. Needs root, and the
# root filesystem that the lab keeps in its cache, into a copy of which the servers are installed. No network is used but
# that of apt.
set -eu
mkdir -p "$1"
folder=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
scripts=$(realpath "$here/../../src/providers/backup/scripts")
cache=${XDG_CACHE_HOME:-/var/cache/infra-demo}/infra/lab
base=$(find "$cache" -maxdepth 1 -name 'base-*' -type d 2>/dev/null | head -n 1)
if [ -z "$base" ]; then
	echo "no lab was ever started here: there is no Debian to copy ($cache)" >&2
	exit 1
fi
root=$folder/root
mkdir -p "$folder/upper" "$folder/work" "$root"
clean() {
	for at in "$root/dev" "$root/proc" "$root/tmp" "$root"; do
		mountpoint -q "$at" && umount "$at"
	done
	return 0
}
clean
trap clean EXIT
mount -t overlay overlay -o "lowerdir=$base/root,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
if [ ! -x "$root/usr/bin/redis-server" ] || [ ! -x "$root/usr/sbin/mariadbd" ]; then
	rm -f "$root/etc/resolv.conf"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	chroot "$root" sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql-17 mariadb-server redis-server python3' >"$folder/apt.log" 2>&1 || {
		tail -n 5 "$folder/apt.log" >&2
		exit 1
	}
fi
mkdir -p "$root/opt/night"
cp "$scripts/dump.sh" "$scripts/load.sh" "$here/databases/docker" "$here/databases/inside.sh" "$root/opt/night/"
unshare --net --pid --fork --kill-child chroot "$root" sh /opt/night/inside.sh
