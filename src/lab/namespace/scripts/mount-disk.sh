#!/bin/sh
# Written by infra's lab: mount(8) calls this as `mount.FSTYPE DEVICE DIR [-sfnv] [-o OPTIONS]`. A container has no block
# devices: the disk is a folder beside the host's own files, and stays as long as they do.
disk=/var/lib/infra-lab/disks/$(basename "$1")
dir=$2
shift 2
options=
fake=
while getopts sfnvo:N:t: flag; do
    case $flag in
    o) options=,$OPTARG ;;
    f) fake=yes ;;
    *) ;;
    esac
done
[ -n "$fake" ] && exit 0
mkdir -p "$disk"
exec mount -i -o "bind$options" "$disk" "$dir"
