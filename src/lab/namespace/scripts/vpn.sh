# The VPN provider of the lab's Internet. Arguments: namespace, interface, its address with prefix, the address under which
# customers leave, routing table of the Internet's own addresses, cgroup folders. The private key is on standard input.
set -eu
namespace=$1 interface=$2 address=$3 exit=$4 table=$5
shift 5
for folder; do
  mkdir -p "$folder"
  echo $$ >"$folder/cgroup.procs"
done
# A process that was killed leaves its socket.
rm -f "/var/run/wireguard/$interface.sock"
ip netns exec "$namespace" wireguard-go "$interface" >/dev/null 2>&1 </dev/null
ip netns exec "$namespace" wg set "$interface" private-key /dev/stdin listen-port 51820
ip -netns "$namespace" address add "$address" dev "$interface"
ip -netns "$namespace" link set "$interface" mtu 1320 up
ip -netns "$namespace" address add "$exit" dev lo
network=$(ip -netns "$namespace" -oneline route show dev "$interface" proto kernel | cut -d ' ' -f 1)
ip -netns "$namespace" route add "$network" dev "$interface" table "$table"
for chain in INPUT POSTROUTING; do
  ip netns exec "$namespace" iptables -t nat -A "$chain" -s "$network" -j SNAT --to-source "$exit"
done
