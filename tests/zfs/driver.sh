# Runs the commands of a folder in the order of their names: N.cmd leaves N.out, N.err and N.rc. Argument: the folder.
# Emulated machines that share their processors are slow: the limit is for commands that hang.
# What a command leaves running in the background is waited for, as a recorder on the other end of a pipe would.
set -u
export LC_ALL=C TZ=UTC PATH=/usr/sbin:/usr/bin:/sbin:/bin
folder=$1
cd /
for command in "$folder"/*.cmd; do
  name=${command%.cmd}
  { timeout -k 5 900 sh "$command" 2>"$name.err"; echo "$?" >"$name.rc"; } </dev/null | cat >"$name.out"
done
