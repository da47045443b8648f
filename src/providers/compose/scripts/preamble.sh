set -eu
export LC_ALL=C
root=/opt/infra/stacks
base=$root/$1
# The project directory is always the link: see the room's documentation.
compose() {
  at=$1
  shift
  docker compose --project-name "$stack" --project-directory "$at" \
    --file "$at/compose.yaml" --file "$at/compose.infra.yaml" --progress plain "$@"
}
containers() {
  docker ps --all --quiet --no-trunc --filter "label=com.docker.compose.project=$stack"
}
