#!/bin/sh
# On the new node, once: a zpool that may be destroyed, storages with the content that infra needs, and a token.
set -eu
zpool create -o ashift=12 scratch /dev/disk/by-id/virtio-scratch
pvesm set local --content iso,import,backup,snippets
pveum user add infra@pve
pveum acl modify / --users infra@pve --roles Administrator
pveum user token add infra@pve live --privsep 0 --output-format json >/root/token.json
chmod 600 /root/token.json
touch /root/ready
