stack=$1 service=$2
shift 2
id=$(docker ps --quiet --filter "label=com.docker.compose.project=$stack" --filter "label=com.docker.compose.service=$service" | head -n 1)
if [ -z "$id" ]; then
  echo "service $service of stack $stack does not run" >&2
  exit 71
fi
exec docker exec --interactive --tty "$id" "$@"
