# Before probe.sh: it then knocks from where a container of this host stands. Not from one that shares a network with the host or
# with another container, that has a way out through nothing (`internal: true`) or a tunnel, or that may have a firewall of its own.
# Nothing is put into the container: only the network is its own.
facts='{{.State.Pid}} {{.HostConfig.Privileged}} {{.HostConfig.NetworkMode}} {{.HostConfig.CapAdd}}'
for pid in $(docker ps -q | xargs -r docker inspect -f "$facts" | grep -v -e ' true ' -e ' container:' -e NET_ADMIN -e ALL | cut -d ' ' -f 1); do
    [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] || continue
    card=$(nsenter -t "$pid" -n ip -o route get 203.0.113.9 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p')
    case $card in
        eth*) into="nsenter -t $pid -n" && break ;;
    esac
done
[ -n "${into-}" ] || { echo "no container that runs has a way out of its own" >&2 && exit 1; }
