stack=$1 id=$2
release=$base/releases/$id
umask 077
install -d -m 0755 /opt/infra
install -d -m 0700 "$root" "$base" "$base/releases"
install -d -m 0755 "$release"
list=$base/.staged
fresh=$base/.fresh
: >"$list"
complete=no
while IFS= read -r line; do
  kind=${line%% *}
  rest=${line#* }
  case $kind in
  mount)
    place=$rest
    if ! findmnt --noheadings --mountpoint "$rest" >/dev/null; then
      echo "missing-mount $rest"
      exit 21
    fi
    ;;
  dataset)
    # A guest is given the bare directory where its node has not mounted the dataset: only a file of the dataset tells.
    if [ "$(cat "$place/.infra-dataset" 2>/dev/null)" != "$rest" ]; then
      echo "bare-mount $place"
      exit 21
    fi
    ;;
  directory)
    mode=${rest%% *} rest=${rest#* }
    uid=${rest%% *} rest=${rest#* }
    gid=${rest%% *} path=${rest#* }
    # A mode that a container gave its own data is left alone.
    [ -d "$path" ] || install -d -m "$mode" -o "$uid" -g "$gid" "$path"
    ;;
  data)
    mode=${rest%% *} rest=${rest#* }
    uid=${rest%% *} rest=${rest#* }
    gid=${rest%% *} path=${rest#* }
    case $path in */*) (umask 022 && mkdir -p "$base/data/${path%/*}" "$release/${path%/*}") ;; *) install -d -m 0755 "$base/data" ;; esac
    [ -e "$base/data/$path" ] || install -d -m "$mode" -o "$uid" -g "$gid" "$base/data/$path"
    if [ "$(readlink "$release/$path" || true)" != "$base/data/$path" ]; then
      rm -rf "${release:?}/$path"
      ln -s "$base/data/$path" "$release/$path"
    fi
    printf '%s\n' "$path" >>"$list"
    ;;
  file)
    mode=${rest%% *} rest=${rest#* }
    uid=${rest%% *} rest=${rest#* }
    gid=${rest%% *} rest=${rest#* }
    bytes=${rest%% *} path=${rest#* }
    head -c "$bytes" >"$fresh"
    if [ "$(stat -c %s "$fresh")" -ne "$bytes" ]; then
      echo "the input ended inside $path" >&2
      exit 22
    fi
    chown "$uid:$gid" "$fresh"
    chmod "$mode" "$fresh"
    case $path in */*) (umask 022 && mkdir -p "$release/${path%/*}") ;; esac
    if [ -e "$release/$path" ]; then
      if cmp -s "$fresh" "$release/$path"; then
        chown "$uid:$gid" "$release/$path"
        chmod "$mode" "$release/$path"
      else
        echo "changed $path"
        mv -f "$fresh" "$release/$path"
      fi
    else
      echo "new $path"
      mv -f "$fresh" "$release/$path"
    fi
    printf '%s\n' "$path" >>"$list"
    ;;
  end) complete=yes ;;
  *)
    echo "unknown record $kind" >&2
    exit 22
    ;;
  esac
done
if [ "$complete" != yes ]; then
  echo "the input ended early" >&2
  exit 22
fi
(cd "$release" && find . ! -type d | sed 's,^\./,,') | while IFS= read -r path; do
  grep -qxF -e "$path" "$list" || rm -f "$release/$path"
done
rm -f "$list" "$fresh"
touch "$release"
# The four releases before this one stay, for a way back.
current=$(readlink "$base/current" || true)
# shellcheck disable=SC2010
ls -1t "$base/releases" | grep -vxF -e "$id" -e "${current##*/}" | tail -n +5 | while IFS= read -r old; do
  rm -rf "$base/releases/$old"
done
