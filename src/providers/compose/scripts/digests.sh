# The engine asks the registry, with its own certificates and mirrors, and pulls nothing.
echo "platform $(docker version --format '{{.Server.Os}}/{{.Server.Arch}}')"
for image in "$@"; do
  answer=$(curl --silent --show-error --max-time 60 --unix-socket /var/run/docker.sock "http://localhost/distribution/$image/json" 2>&1 | tr -d '\n')
  printf 'answer %s %s\n' "$image" "$answer"
done
echo end
