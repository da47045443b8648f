stack=$1 id=$2
release=$base/releases/$id
shift 2
if ! why=$(compose "$release" config --quiet 2>&1); then
  printf '%s\n' "$why" >&2
  exit 31
fi
present() { docker image inspect --format '{{.Id}} {{.Os}}/{{.Architecture}}' "$1" 2>/dev/null; }
absent=no
for image in "$@"; do
  present "$image" >/dev/null || absent=yes
done
# All at once first. What is still absent is then asked for by name, so that the reason belongs to an image.
if [ "$absent" = yes ]; then
  compose "$release" pull --quiet --policy missing >/dev/null 2>&1 || true
fi
want=$(docker version --format '{{.Server.Os}}/{{.Server.Arch}}')
for image in "$@"; do
  if ! have=$(present "$image"); then
    if ! why=$(docker pull --quiet "$image" 2>&1); then
      echo "not-pulled $image"
      printf '%s\n' "$why" >&2
      exit 32
    fi
    have=$(present "$image")
  fi
  echo "image $image $have"
  case "$want ${have#* }" in
  "$want $want" | "linux/amd64 linux/386" | "linux/arm64 linux/arm") ;;
  *)
    echo "wrong-architecture $image ${have#* } $want"
    exit 33
    ;;
  esac
done
