stack=$1 tail=$2 since=$3 follow=$4
shift 4
if [ ! -e "$base/current/compose.yaml" ]; then
  echo "stack $stack was never deployed here" >&2
  exit 81
fi
set -- --no-color --tail "$tail" "$@"
[ "$since" = - ] || set -- --since "$since" "$@"
[ "$follow" = 0 ] || set -- --follow "$@"
# What containers wrote to both streams is the answer; one stream keeps its order.
compose "$base/current" logs "$@" 2>&1
