# infra-checks ; one check a line on stdin, fields separated by TAB:
#   N http URL ADDRESS|- INSECURE(0|1)
#   N tcp ADDRESS PORT
#   N tls NAME ADDRESS|- PORT ONLY_TLS_1_3(0|1)
#   N dns NAME SERVER|-
#   N exec PROJECT SERVICE ARG...      (each ARG in base64)
#   N exit PROJECT SERVICE URL
#   N mounts
# Answers, in any order, fields separated by TAB; values in base64:
#   N status CODE | N location V | N head V | N expires EPOCH | N now EPOCH | N older 0|1 | N body V | N open 0|1 | N address A | N exit CODE | N output V | N mounts V | N inside V | N outside V | N error V
set -u
tab=$(printf '\t')
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
say() { printf '%s\t%s\t%s\n' "$1" "$2" "$3"; }
coded() { say "$1" "$2" "$(base64 -w0)"; }
http() {
  n=$1 url=$2 address=$3 insecure=$4
  set -- --silent --show-error --max-time 10 --output "$work/$n.body" --dump-header "$work/$n.head" --write-out '%{http_code}'
  [ "$address" = - ] || case $address in *:*) set -- "$@" --connect-to "::[$address]:" ;; *) set -- "$@" --connect-to "::$address:" ;; esac
  [ "$insecure" = 0 ] || set -- "$@" --insecure
  if code=$(curl "$@" --url "$url" 2>"$work/$n.err"); then
    say "$n" status "$code"
    sed -n 's/^[Ll]ocation: *//p' "$work/$n.head" | tr -d '\r\n' | coded "$n" location
    head -c 65536 "$work/$n.head" 2>/dev/null | coded "$n" head
    head -c 65536 "$work/$n.body" 2>/dev/null | coded "$n" body
  else
    coded "$n" error <"$work/$n.err"
  fi
}
tcp() {
  if timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" 2>/dev/null; then say "$1" open 1; else say "$1" open 0; fi
}
tls() {
  n=$1 name=$2 address=$3 port=$4 modern=$5
  if ! command -v openssl >/dev/null 2>&1; then
    printf 'openssl is not installed here' | coded "$n" unasked
    return
  fi
  [ "$address" != - ] || address=$name
  case $address in *:*) address="[$address]" ;; esac
  end=$(timeout 10 openssl s_client -connect "$address:$port" -servername "$name" </dev/null 2>"$work/$n.err" |
    openssl x509 -noout -enddate 2>/dev/null | sed -n 's/^notAfter=//p')
  if [ -n "$end" ]; then
    say "$n" expires "$(date -d "$end" +%s)"
    say "$n" now "$(date +%s)"
    if [ "$modern" = 1 ]; then
      if timeout 10 openssl s_client -no_tls1_3 -connect "$address:$port" -servername "$name" </dev/null >/dev/null 2>&1; then
        say "$n" older 1
      else
        say "$n" older 0
      fi
    fi
  else
    { printf 'no certificate: '; head -n 1 "$work/$n.err"; } | coded "$n" error
  fi
}
dns() {
  if [ "$3" = - ]; then
    address=$(getent ahosts "$2" | awk 'NR == 1 { print $1 }')
  else
    address=$(timeout 5 python3 -c "$resolver" "$2" "$3" 2>"$work/$1.err")
  fi
  if [ -n "$address" ]; then say "$1" address "$address"; else printf 'no address for %s' "$2" | coded "$1" error; fi
}
resolver='
import secrets, socket, struct, sys
name, server = sys.argv[1:3]
query = secrets.token_bytes(2) + struct.pack(">HHHHH", 0x100, 1, 0, 0, 0)
query += b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".")) + b"\0" + struct.pack(">HH", 1, 1)
s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(4)
s.sendto(query, (server, 53))
answer = s.recv(1500)
count, at = struct.unpack(">H", answer[6:8])[0], len(query)
for _ in range(count):
    while answer[at]:
        if answer[at] & 0xC0:
            at += 1
            break
        at += 1 + answer[at]
    at += 1
    kind, _, _, size = struct.unpack(">HHIH", answer[at:at + 10])
    at += 10
    if kind == 1:
        print(socket.inet_ntoa(answer[at:at + 4]))
        break
    at += size
'
exec_in() {
  n=$1 project=$2 service=$3
  shift 3
  id=$(docker ps -q --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$service" 2>"$work/$n.err" | head -n 1)
  if [ -z "$id" ]; then
    printf 'no running container of %s/%s' "$project" "$service" | coded "$n" error
    return
  fi
  count=$#
  while [ "$count" -gt 0 ]; do
    argument=$(printf '%s' "$1" | base64 -d && printf x)
    shift
    set -- "$@" "${argument%x}"
    count=$((count - 1))
  done
  timeout 60 docker exec "$id" "$@" >"$work/$n.out" 2>&1
  say "$n" exit "$?"
  head -c 65536 "$work/$n.out" | coded "$n" output
}
# URL answers with the address of whoever asks: once from here, once from inside the container.
exit_of() {
  n=$1 url=$4
  id=$(docker ps -q --filter "label=com.docker.compose.project=$2" --filter "label=com.docker.compose.service=$3" 2>"$work/$n.err" | head -n 1)
  if [ -z "$id" ]; then
    printf 'no running container of %s/%s' "$2" "$3" | coded "$n" error
    return
  fi
  timeout 20 docker exec "$id" sh -c \
    'if command -v curl >/dev/null; then curl -fsS --max-time 10 "$0"; else wget -q -T 10 -O - "$0"; fi' "$url" 2>/dev/null | head -c 100 | coded "$n" inside
  curl --fail --silent --max-time 10 "$url" | head -c 100 | coded "$n" outside
}
while IFS= read -r line; do
  old=$IFS
  IFS=$tab
  set -f
  # shellcheck disable=SC2086
  set -- $line
  set +f
  IFS=$old
  n=$1 kind=$2
  shift 2
  case $kind in
  http) http "$n" "$@" ;;
  tcp) tcp "$n" "$@" ;;
  tls) tls "$n" "$@" ;;
  dns) dns "$n" "$@" ;;
  exec) exec_in "$n" "$@" ;;
  exit) exit_of "$n" "$@" ;;
  mounts) findmnt -rn -o TARGET,FSTYPE | coded "$n" mounts ;;
  *) printf 'unknown check %s' "$kind" | coded "$n" error ;;
  esac >"$work/$n.answer" &
done
wait
cat "$work"/*.answer 2>/dev/null || true
