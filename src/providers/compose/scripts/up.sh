stack=$1 id=$2
shift 2
current=$base/current
previous=$(readlink "$current" || true)
echo "previous ${previous##*/}"
unit=/etc/systemd/system/infra-stack-$stack.service
cat >"$base/.unit"
word=back
if [ -s "$base/.unit" ]; then
  word=deploy
  if ! cmp -s "$base/.unit" "$unit"; then
    chmod 0644 "$base/.unit"
    mv -f "$base/.unit" "$unit"
    if [ -d /run/systemd/system ]; then
      systemctl daemon-reload
    fi
  fi
  if command -v systemctl >/dev/null 2>&1; then
    systemctl --quiet enable "${unit##*/}"
  fi
fi
rm -f "$base/.unit"
ln -sfn "releases/$id" "$base/.current"
mv -T "$base/.current" "$current"
if [ "${previous##*/}" != "$id" ]; then
  printf '%s %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$word" "$id" >>"$base/history"
fi
start() {
  if ! why=$(compose "$current" up --detach --no-build --pull never "$@" 2>&1); then
    # Lines of progress begin with a space.
    printf '%s\n' "$why" | sed '/^ /d' >&2
    exit 41
  fi
}
# Compose leaves paused and unhealthy containers as they are.
paused=$(docker ps --quiet --filter "label=com.docker.compose.project=$stack" --filter status=paused)
if [ -n "$paused" ]; then
  # shellcheck disable=SC2086
  docker unpause $paused >/dev/null
fi
sick=$(docker ps --quiet --no-trunc --filter "label=com.docker.compose.project=$stack" --filter health=unhealthy)
# Services that the release has no more, before a new one wants their ports. A container that infra did not make is left alone,
# whatever its project is called.
wanted=$(compose "$current" config --services)
docker ps --all --filter "label=com.docker.compose.project=$stack" --filter "label=infra.stack=$stack" --filter label=com.docker.compose.oneoff=False \
  --format '{{.ID}} {{.Label "com.docker.compose.service"}}' | while read -r orphan service; do
  printf '%s\n' "$wanted" | grep -qxF -e "$service" || docker rm --force "$orphan" >/dev/null
done
start
for id in $sick; do
  # One that was made anew just now is gone.
  service=$(docker inspect --type container --format '{{index .Config.Labels "com.docker.compose.service"}}' "$id" 2>/dev/null) || continue
  set -- "$@" "$service"
done
if [ "$#" -gt 0 ]; then
  start --force-recreate --no-deps "$@"
fi
# A container in another's network loses it when that other one is made anew or restarted.
ids=$(containers)
if [ -n "$ids" ]; then
  # shellcheck disable=SC2086
  orphans=$(docker inspect --type container --format '{{.Id}} {{index .Config.Labels "com.docker.compose.service"}} {{.HostConfig.NetworkMode}} {{.State.StartedAt}}' $ids |
    awk '{ started[$1] = $4; service[$1] = $2; network[$1] = $3 }
      END { for (id in network) if (network[id] ~ /^container:/) {
        parent = substr(network[id], 11)
        if (!(parent in started) || started[parent] > started[id]) print service[id]
      } }')
  if [ -n "$orphans" ]; then
    # shellcheck disable=SC2086
    start --force-recreate --no-deps $orphans
  fi
fi
