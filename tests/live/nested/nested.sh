#!/usr/bin/env bash
# nested.sh ISO FOLDER: installs Proxmox VE from the official ISO without a question, in a virtual machine on a network of its
# own, and runs the live suite against it. Needs root, /dev/kvm, qemu-system-x86_64, dnsmasq, iptables, xorriso, jq, and
# Proxmox's proxmox-auto-install-assistant. What it makes goes with it; the folder keeps the disks and the console's text.
set -euo pipefail
iso=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2") here=$(cd "$(dirname "$0")" && pwd) root=$(cd "$(dirname "$0")/../../.." && pwd)
cd "$folder"

cleanup() {
	set +e
	[ -s qemu.pid ] && kill "$(cat qemu.pid)"
	[ -s dnsmasq.pid ] && kill "$(cat dnsmasq.pid)"
	iptables -t nat -D POSTROUTING -s 10.99.0.0/24 ! -d 10.99.0.0/24 -j MASQUERADE
	iptables -D FORWARD -i infra-live -j ACCEPT
	iptables -D FORWARD -o infra-live -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
	ip link del infra-tap
	ip link del infra-live
}
trap cleanup EXIT

# A network that only this machine reaches, with names and a way out.
ip link add infra-live type bridge
ip address add 10.99.0.1/24 dev infra-live
ip tuntap add infra-tap mode tap
ip link set infra-tap master infra-live up
ip link set infra-live up
sysctl -qw net.ipv4.ip_forward=1
iptables -I FORWARD -i infra-live -j ACCEPT
iptables -I FORWARD -o infra-live -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
iptables -t nat -A POSTROUTING -s 10.99.0.0/24 ! -d 10.99.0.0/24 -j MASQUERADE
dnsmasq --interface=infra-live --bind-interfaces --except-interface=lo --no-hosts --pid-file="$folder/dnsmasq.pid"

# An ISO that asks nothing.
[ -f key ] || ssh-keygen -q -t ed25519 -N '' -C infra-live -f key
password=$(head -c 24 /dev/urandom | base64 | tr -d '/+=')
awk -v key="$(cat key.pub)" -v password="$password" '{ sub(/@KEY@/, key); sub(/@PASSWORD@/, password); print }' "$here/answer.toml" >answer.toml
chmod 600 answer.toml
proxmox-auto-install-assistant validate-answer answer.toml
proxmox-auto-install-assistant prepare-iso "$iso" --fetch-from iso --answer-file answer.toml \
	--on-first-boot "$here/first-boot.sh" --output unattended.iso

qemu() {
	qemu-system-x86_64 -machine q35,accel=kvm -cpu host -smp "$(nproc)" -m 6G -display none -daemonize -pidfile qemu.pid \
		-drive file=system.qcow2,if=none,id=system,discard=unmap -device virtio-blk-pci,drive=system,serial=system \
		-drive file=scratch.qcow2,if=none,id=scratch,discard=unmap -device virtio-blk-pci,drive=scratch,serial=scratch \
		-netdev tap,id=lan,ifname=infra-tap,script=no,downscript=no -device virtio-net-pci,netdev=lan,mac=52:54:00:99:00:10 \
		-serial "file:$1.console" "${@:2}"
}
# wait SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || { echo "$what did not happen in time" >&2; tail -n 40 ./*.console >&2; exit 1; }
		sleep 5
	done
}
ended() { ! kill -0 "$(cat qemu.pid)" 2>/dev/null; }
# The only machine on this bridge is the one that was made a moment ago: its key is taken as it comes, once.
greeted() { ssh-keyscan -t ed25519 10.99.0.10 >known_hosts 2>/dev/null && [ -s known_hosts ]; }
node() { ssh -i key -o UserKnownHostsFile=known_hosts -o StrictHostKeyChecking=yes root@10.99.0.10 "$@"; }
ready() { node test -e /root/ready 2>/dev/null; }

rm -f system.qcow2 scratch.qcow2
qemu-img create -q -f qcow2 system.qcow2 40G
qemu-img create -q -f qcow2 scratch.qcow2 20G
qemu install -cdrom unattended.iso -boot d
wait_for 1500 "the installation" ended
qemu node
wait_for 600 "the node's SSH" greeted
wait_for 600 "the node's first boot" ready

token=$(node cat /root/token.json | jq -er .value)
fingerprint=$(node pvenode cert info --output-format json | jq -er '.[] | select(.filename == "pve-ssl.pem") | .fingerprint')
cd "$root"
export INFRA_LIVE_OK_TO_DESTROY=scratch INFRA_LIVE_NODE=pve INFRA_LIVE_ADDRESS=10.99.0.10 \
	INFRA_LIVE_FINGERPRINT="$fingerprint" INFRA_LIVE_TOKEN_ID='infra@pve!live' INFRA_LIVE_TOKEN="$token" \
	INFRA_LIVE_KNOWN_HOSTS="$folder/known_hosts" INFRA_LIVE_KEY="$folder/key" INFRA_LIVE_OPERATOR=10.99.0.1 \
	INFRA_LIVE_NETWORK=10.99.0.0/24 INFRA_LIVE_GATEWAY=10.99.0.1 INFRA_LIVE_NAMESERVER=10.99.0.1 \
	INFRA_LIVE_GUEST=10.99.0.20 INFRA_LIVE_STORAGE=local-lvm INFRA_LIVE_EMULATE="${INFRA_LIVE_EMULATE:-0}"
cargo test --locked --test live -- --nocapture
