#!/bin/sh
# Rendered by infra. Clients leave through this container's own address; the proxy answers them under the address of its host,
# as it does for everybody else.
set -eu
iptables -t nat -A POSTROUTING -s {{ network }} ! -o tun0 -j MASQUERADE
proxy=$(getent hosts proxy | cut -d ' ' -f 1)
if [ -n "$proxy" ]; then
  for port in {{ services.http.port }}:80 {{ services.https.port }}:443; do
    iptables -t nat -A PREROUTING -i tun0 -d {{ host.address }} -p tcp --dport "${port%%:*}" -j DNAT --to-destination "$proxy:${port##*:}"
  done
fi
exec openvpn --config /etc/openvpn/server.conf
