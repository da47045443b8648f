stack=$1 system=$2
ids=$(containers)
if [ -n "$ids" ]; then
  # shellcheck disable=SC2086
  foreign=$(docker inspect --type container --format '{{.Name}} {{index .Config.Labels "infra.system"}}' $ids |
    awk -v owner="$system" '$2 != owner { print $1 }')
  if [ -n "$foreign" ]; then
    printf '%s\n' "$foreign" | sed 's/^/foreign /'
    exit 61
  fi
fi
unit=infra-stack-$stack.service
if [ -e "/etc/systemd/system/$unit" ]; then
  if command -v systemctl >/dev/null 2>&1; then
    systemctl --quiet disable "$unit"
  fi
  rm -f "/etc/systemd/system/$unit"
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
  fi
fi
# By label, not by file: what is removed is what was asked for, whatever the files say by now. Volumes stay.
if [ -n "$ids" ]; then
  # shellcheck disable=SC2086
  docker stop $ids >/dev/null
  # shellcheck disable=SC2086
  docker rm --force $ids >/dev/null
fi
docker network ls --quiet --filter "label=com.docker.compose.project=$stack" | while IFS= read -r network; do
  docker network rm "$network" >/dev/null
done
# What containers wrote beside the releases is not ours to remove.
if [ -d "$base/data" ]; then
  find "$base" -mindepth 1 -maxdepth 1 ! -name data -exec rm -rf {} +
else
  rm -rf "$base"
fi
