# infra-zfs-holds < one snapshot on each line
# Output: lines of `zfs holds -Hp`, however many snapshots there are. One that is gone by now is told and fails the whole.
set -u
PATH="$PATH:/usr/sbin:/sbin"
LC_ALL=C
export PATH LC_ALL
exec xargs -r -d '\n' zfs holds -Hp
