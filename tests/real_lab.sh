# shellcheck shell=sh
# What the scripts share that try the flagship on real guests, read by them at their beginning. Their arguments are INFRA and FOLDER:
# it leaves the shell in FOLDER, where the lab, the inventory and every key live; guest images are shared by everything that root runs.
infra=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
export HOME="$folder/home" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-/var/cache/infra-demo}" INFRA_LAB_DIR="$folder/lab"
mkdir -p "$HOME"
cd "$folder"
system=inventory/media-server-home
lab() { "$infra" -i "$system" --lab "$@"; }
node() { lab vm ssh pve -- "$@" 2>/dev/null; }
intranet() { lab vm ssh intranet -- sudo "$@" 2>/dev/null; }
extranet() { lab vm ssh extranet -- sudo "$@" 2>/dev/null; }
# fresh: a lab that is up, with nothing in it, and the inventory that `infra init` writes.
fresh() {
	"$infra" lab reset
	rm -rf inventory templates playbooks
	"$infra" init media-server-home >/dev/null
	"$infra" -i "$system" lab up
}
bad=0
say() { echo "== $*"; }
wrong() {
	echo "WRONG: $*" >&2
	bad=$((bad + 1))
}
# ends CODE COMMAND...: and what it said is in the file `said`.
ends() {
	expected=$1 code=0
	shift
	lab "$@" >said 2>&1 </dev/null || code=$?
	[ "$code" = "$expected" ] || wrong "$*: exit $code, not $expected: $(tail -n 40 said)"
}
