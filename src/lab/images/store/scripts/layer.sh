# Installs packages on top of the root of all layers, and writes what that changed. Arguments: root, scratch folder, tar
# to write, file of patterns to leave out, scripts to run in the root before and behind, packages.
# Runs in a mount namespace of its own. Prints the SHA-256 of the tar.
set -eu
root=$1 scratch=$2 tar=$3 without=$4 before=$5 after=$6
shift 6
exec 3>&1 1>&2
# It names a folder that is not in the root.
unset TMPDIR
new=$scratch/new merged=$scratch/merged
mkdir "$new" "$scratch/work" "$merged"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$new,workdir=$scratch/work" "$merged"
mount -t proc proc "$merged/proc"
mount --rbind /dev "$merged/dev"
mount --bind /etc/resolv.conf "$merged/etc/resolv.conf"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
chroot "$merged" sh -euc "$before"
install() {
  chroot "$merged" apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-unsafe-io "$@"
}
# The root may have been made long ago: packages that it knows may be gone from the mirror.
install "$@" || { chroot "$merged" apt-get update -q && install "$@"; }
chroot "$merged" sh -euc "$after"
umount --recursive "$merged"
# overlayfs marks what was removed by character devices, image layers by files named `.wh.`.
find "$new" -type c | while read -r gone; do
  rm "$gone"
  : >"$(dirname "$gone")/.wh.$(basename "$gone")"
done
tar --create --file="$tar" --numeric-owner --sort=name --anchored --wildcards --no-wildcards-match-slash \
  --exclude-from="$without" -C "$new" .
sha256sum "$tar" | cut -d ' ' -f 1 >&3
