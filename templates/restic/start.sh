#!/bin/sh
# Exit 10 means that no repository is there (restic 0.17 and later); anything else that fails is not a reason to make one.
set -u
code=0
restic --no-lock cat config >/dev/null || code=$?
case $code in
0) echo "repository opened" ;;
10) restic init || exit $? ;;
*) echo "the repository exists and cannot be opened (exit $code)" >&2; exit "$code" ;;
esac
exec sleep infinity
