# The image knows its database by a URL only. The password is read here, so that `docker inspect` does not show it.
set -eu
DATABASE_URL="postgresql://affine:$(cat /run/secrets/db_password)@database:5432/affine"
export DATABASE_URL
exec node "$@"
