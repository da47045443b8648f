stack=$1 timeout=$2 settle=$3
shift 3
uptime() { cut -d . -f 1 /proc/uptime; }
deadline=$(($(uptime) + timeout))
first=
# Prints one line for each service that is not well: wait or bad, then what is known of it.
judge() {
  now=$(date +%s)
  [ -n "$rows" ] || [ "$#" -gt 0 ] || echo "wait|every service||missing||||no container"
  for service in "$@"; do
    printf '%s\n' "$rows" | grep -q "^$service|" || echo "wait|$service||missing||||no container"
  done
  printf '%s\n' "$rows" | while IFS='|' read -r service name state health exit restarts policy started; do
    [ -n "$service" ] || continue
    row="$service|$name|$state|$health|$exit|$restarts"
    case $state/$health in
    running/healthy) ;;
    running/unhealthy) echo "bad|$row|its healthcheck fails" ;;
    running/starting) echo "wait|$row|its healthcheck has not passed" ;;
    running/*)
      age=$((now - $(date -d "$started" +%s)))
      [ "$age" -ge "$settle" ] || echo "wait|$row|it has been up for less than $settle s"
      ;;
    exited/*)
      case $policy in
      no | '' | on-failure) [ "$exit" -eq 0 ] || echo "bad|$row|it ended with exit code $exit" ;;
      *) echo "wait|$row|it is stopped" ;;
      esac
      ;;
    restarting/*)
      before=$(printf '%s\n' "$first" | grep "^$name " | cut -d ' ' -f 2)
      if [ "$((restarts - ${before:-0}))" -ge 3 ]; then
        echo "bad|$row|it ends with exit code $exit and is started again and again"
      else
        echo "wait|$row|it is being restarted after exit code $exit"
      fi
      ;;
    paused/* | dead/*) echo "bad|$row|it is $state" ;;
    *) echo "wait|$row|it is $state" ;;
    esac
  done
}
while :; do
  ids=$(containers)
  rows=
  if [ -n "$ids" ]; then
    # shellcheck disable=SC2086
    rows=$(docker inspect --type container --format '{{index .Config.Labels "com.docker.compose.service"}}|{{.Name}}|{{.State.Status}}|{{if .State.Health}}{{.State.Health.Status}}{{end}}|{{.State.ExitCode}}|{{.RestartCount}}|{{.HostConfig.RestartPolicy.Name}}|{{.State.StartedAt}}' $ids) || rows=
  fi
  [ -n "$first" ] || first=$(printf '%s\n' "$rows" | awk -F '|' '{ print $2, $6 }')
  verdict=$(judge "$@")
  if [ -z "$verdict" ]; then
    # Only now is the unit active, so that a clean shutdown stops the stack through it. There is nothing left for it to do.
    if [ -d /run/systemd/system ] && [ -e "/etc/systemd/system/infra-stack-$stack.service" ]; then
      systemctl start --no-block "infra-stack-$stack.service"
    fi
    echo healthy
    exit 0
  fi
  if printf '%s\n' "$verdict" | grep -q '^bad|' || [ "$(uptime)" -gt "$deadline" ]; then
    break
  fi
  sleep 0.5
done
printf '%s\n' "$verdict" | while IFS='|' read -r kind service name rest; do
  echo "$kind|$service|$name|$rest"
  [ -n "$name" ] || continue
  docker logs --tail 20 "$name" 2>&1 | sed 's/^/log|/' || true
  docker inspect --type container --format '{{if .State.Health}}{{range .State.Health.Log}}{{json .Output}}{{"\n"}}{{end}}{{end}}' "$name" 2>/dev/null |
    sed -e '/^$/d' -e '/^""$/d' | tail -n 1 | sed 's/^/health|/' || true
done
exit 51
