stack=$1
if [ ! -d "$base/releases" ]; then
  exit 81
fi
current=$(readlink "$base/current" || true)
echo "current ${current##*/}"
ls -1t "$base/releases" | while IFS= read -r id; do
  echo "staged $id $(stat -c %Y "$base/releases/$id")"
done
if [ -e "$base/history" ]; then
  tail -n 200 "$base/history" | sed 's/^/flip /'
fi
echo end
