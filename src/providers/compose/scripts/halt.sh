stack=$1 system=$2
ids=$(containers)
[ -n "$ids" ] || exit 0
# shellcheck disable=SC2086
foreign=$(docker inspect --type container --format '{{.Name}} {{index .Config.Labels "infra.system"}}' $ids |
  awk -v owner="$system" '$2 != owner { print $1 }')
if [ -n "$foreign" ]; then
  printf '%s\n' "$foreign" | sed 's/^/foreign /'
  exit 61
fi
# shellcheck disable=SC2086
docker stop $ids >/dev/null
left=$(docker ps --quiet --filter "label=com.docker.compose.project=$stack")
if [ -n "$left" ]; then
  echo "still running: $left" >&2
  exit 1
fi
