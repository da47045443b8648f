facts_docker() {
  if ! command -v docker >/dev/null 2>&1; then
    echo absent
    return 0
  fi
  # Exits 0 with an empty version when no engine answers (seen with Docker 26.1.5). The firewall backend is named by newer ones.
  info=$(docker info --format '{{json .}}' 2>/dev/null) || info=
  printf '%s\n' "$info" | sed -n 's/.*"ServerVersion":"\([^"]*\)".*/version \1/p'
  backend=$(printf '%s\n' "$info" | sed -n 's/.*"FirewallBackend":{"Driver":"\([^"]*\)".*/\1/p')
  # Newer engines say themselves that firewalld stands between them and the kernel.
  case $backend in
    *firewalld*) ;;
    *) if systemctl is-active --quiet firewalld 2>/dev/null; then backend=${backend:-iptables}+firewalld; fi ;;
  esac
  if [ -n "$backend" ]; then echo "firewall $backend"; fi
  tries=0
  while :; do
    ids=$(docker ps --all --quiet --no-trunc --filter label=com.docker.compose.project 2>/dev/null) || ids=
    if [ -z "$ids" ]; then
      break
    fi
    # A container that goes away between the two commands fails the second.
    # shellcheck disable=SC2086
    if rows=$(docker inspect --type container --format '{"name":{{json .Name}},"project":{{json (index .Config.Labels "com.docker.compose.project")}},"service":{{json (index .Config.Labels "com.docker.compose.service")}},"release":{{json (index .Config.Labels "infra.release")}},"system":{{json (index .Config.Labels "infra.system")}},"image":{{json .Config.Image}},"image_id":{{json .Image}},"state":{{json .State.Status}},"health":{{if .State.Health}}{{json .State.Health.Status}}{{else}}""{{end}},"exit_code":{{json .State.ExitCode}},"restarts":{{json .RestartCount}},"started_at":{{json .State.StartedAt}}}' $ids 2>/dev/null); then
      printf '%s\n' "$rows" | sed 's/^/container /'
      break
    fi
    tries=$((tries + 1))
    if [ "$tries" -ge 3 ]; then
      echo failed
      break
    fi
  done
  echo end
}
