# Runs when a machine of the lab boots. Arguments: the zpools that it owns.
set -eu
for zpool in "$@"; do
    zpool list "$zpool" >/dev/null 2>&1 || zpool create "$zpool" lab
done
exec zfs mount -a
