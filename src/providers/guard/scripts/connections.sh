# Connections that the kernel tracks, and the TCP ports on which somebody listens. Argument: list, or forget with lines `FAMILY PROTO FROM TO SPORT DPORT` on standard
# input, each the original direction of a connection.
set -u
export LC_ALL=C
command -v conntrack >/dev/null 2>&1 || { echo absent; exit; }
case $1 in
    list)
        conntrack -L -f ipv4 -o extended 2>/dev/null
        conntrack -L -f ipv6 -o extended 2>/dev/null
        ss -Hltn | while read -r _ _ _ at _; do echo "listen ${at##*:}"; done
        true
        ;;
    forget)
        while read -r family proto from to sport dport; do
            conntrack -D -f "$family" -p "$proto" --orig-src "$from" --orig-dst "$to" --sport "$sport" --dport "$dport" \
                >/dev/null 2>&1 && echo gone
        done
        true
        ;;
esac
