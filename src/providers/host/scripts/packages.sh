# Installs Debian packages without questions. See providers/host/packages.rs for the contract.
# shellcheck shell=sh
set -u
export DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_SUSPEND=1
apt() {
  apt-get -y -q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    -o APT::Get::Assume-Yes=true -o Acquire::Languages=none --no-install-recommends "$@" 2>&1
}
# Translated descriptions are for people who search; they are as large as everything else in the lists.
# The lists have a lock without a timeout, and a fresh machine updates them by itself at boot. Without the error mode,
# an update that reached nothing exits 0.
stale=
update() {
  tries=0
  while ! stale=$(apt -o APT::Update::Error-Mode=any update); do
    case $stale in *'/var/lib/apt/lists/lock'*) ;; *) return ;; esac
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || return
    sleep 2
  done
  stale=
}
# An installation that was cut off is finished first, or nothing can be installed. One that still runs (of an infra that was
# killed, of a person) looks the same until it ends, and dpkg itself does not wait for its lock.
finish() {
  tries=0
  while ! said=$(dpkg --force-confdef --force-confold --configure -a 2>&1); do
    # What lacks a dependency is apt's to mend, below.
    case $said in *'lock was locked by'*) ;; *) break ;; esac
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || return 1
    sleep 2
  done
  said=$(apt -f install)
}
if [ -n "$(dpkg --audit 2>&1)" ]; then
  finish || {
    printf '%s\n' "$said" >&2
    exit 1
  }
fi
set -- install -- "$@"
found=
for list in /var/lib/apt/lists/*_Packages*; do
  [ -e "$list" ] && found=yes && break
done
[ -n "$found" ] || update
said=$(apt "$@") && exit 0
case $said in
  *'Unable to locate package'* | *'has no installation candidate'* | *'Failed to fetch'* | *'Unable to fetch'*)
    update
    said=$(apt "$@") && exit 0
    ;;
esac
printf '%s\n' "$stale" "$said" >&2
exit 1
