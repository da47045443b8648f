while IFS= read -r path; do
  if [ -f "$base/current/$path" ]; then
    echo "file $(stat -L -c %s "$base/current/$path") $path"
    cat "$base/current/$path"
  fi
done
echo end
