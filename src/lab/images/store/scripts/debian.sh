# Makes the root of all layers, and the first layer. Arguments: new root, tar to write, file of patterns to leave out,
# script to run in the root behind, mirror (empty: the machine's own default), suite, packages with commas between.
# Prints the SHA-256 of the tar.
set -eu
root=$1 tar=$2 without=$3 after=$4 mirror=$5 suite=$6 packages=$7
exec 3>&1 1>&2
# shellcheck disable=SC2086
mmdebstrap --mode=root --variant=apt --include="$packages" --skip=cleanup/apt/lists \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "2"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/lintian/*' \
  "$suite" "$root" $mirror
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
: >"$root/etc/resolv.conf"
chroot "$root" sh -euc "$after"
tar --create --file="$tar" --numeric-owner --sort=name --anchored --wildcards --no-wildcards-match-slash \
  --exclude-from="$without" -C "$root" .
sha256sum "$tar" | cut -d ' ' -f 1 >&3
