# The image knows its database by a URL only. Secrets are read here, so that `docker inspect` does not show them.
set -eu
DATABASE_URL="postgresql://umami:$(cat /run/secrets/db_password)@$POSTGRES:5432/umami"
APP_SECRET=$(cat /run/secrets/app_secret)
export DATABASE_URL APP_SECRET
exec pnpm start-docker
