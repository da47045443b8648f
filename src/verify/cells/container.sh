# Before probe.sh: it then knocks from where a container of this host stands. Not from one that shares the host's network, that
# has no way out (`internal: true`), or that sends everything into a tunnel. Nothing is put into the container: only the network is its own.
for pid in $(docker ps -q | xargs -r docker inspect -f '{{.State.Pid}}'); do
    [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] || continue
    card=$(nsenter -t "$pid" -n ip -o route get 203.0.113.9 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p')
    case $card in
        eth*) into="nsenter -t $pid -n" && break ;;
    esac
done
[ -n "${into-}" ] || { echo "no container that runs has a way out of its own" >&2 && exit 1; }
