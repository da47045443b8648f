#!/bin/sh
# The slow suites, one after the other, and a report of them in Markdown: `nightly.sh FOLDER "EVERY SUITE" [SUITE...]`, from
# the folder with the Makefile, whose target `nightly-SUITE` is a suite. All of them run, whatever becomes of the ones before.
# The exit code is 1 when one failed, or when all together took longer than INFRA_NIGHTLY_MINUTES (100). FOLDER/SUITE.log has what
# a suite said; FOLDER/report.md grows with every suite, so that a night that is cut off has one too.
set -u
folder=$1 every=$2
shift 2
[ $# -gt 0 ] || eval "set -- $every"
for suite; do
	case " $every " in *" $suite "*) ;; *)
		echo "no suite $suite: there are $every" >&2
		exit 2
		;;
	esac
done
limit=$((${INFRA_NIGHTLY_MINUTES:-100} * 60))
mkdir -p "$folder"
rm -f "$folder"/*.log "$folder/report.md"
rows='' details='' failed=0 ran=0 begun=$(date +%s)

# A log without the colours of terminals, empty lines and what make says of its own.
plain() { sed -e "s/$(printf '\033')\[[0-9;?]*[a-zA-Z]//g" -e '/^make\(\[[0-9]*\]\)\{0,1\}: /d' "$1" | tr -d '\r' | grep -v '^[[:space:]]*$'; }
# Lines as one cell of a table.
cell() { cut -c 1-200 | tr '`' "'" | sed -e 's/|/\\|/g' -e 's/.*/`&`/' | paste -sd '~' | sed 's/`~`/`<br>`/g'; }
# The lines that tell most.
why() {
	plain "$1" | grep -E 'WRONG|FAILED|panicked at|^error|[Ff]ailed' | tail -n 3 | grep . || plain "$1" | tail -n 2
}
report() {
	total=$(($(date +%s) - begun))
	echo "# Nightly run of $(date -u -d "@$begun" '+%Y-%m-%d %H:%M') UTC"
	echo
	echo "Commit $(git describe --always --dirty 2>/dev/null || echo unknown), $(uname -srm), $(nproc) processors, load $(cut -d ' ' -f 1 /proc/loadavg) at the end."
	printf '\n| suite | result | seconds | what failed |\n|---|---|---:|---|\n%s\n' "$rows"
	printf '%s of %s suites ran, %s failed; %s min %s s of at most %s min.\n' "$ran" "$#" "$failed" $((total / 60)) $((total % 60)) $((limit / 60))
	[ "$total" -le "$limit" ] || printf '\n**All of it took longer than it may.**\n'
	printf '%s' "$details"
}

for suite; do
	echo "== suite $suite"
	log=$folder/$suite.log since=$(date +%s)
	{
		make --no-print-directory "nightly-$suite" </dev/null 2>&1
		echo $? >"$folder/code"
	} | tee "$log"
	code=$(cat "$folder/code") seconds=$(($(date +%s) - since)) what=
	rm -f "$folder/code"
	ran=$((ran + 1)) result=passed
	# What a machine cannot do passes, and is no proof.
	skipped=$(grep -ciE '^[[:space:]]*skipped' "$log")
	if [ "$skipped" != 0 ]; then
		result="passed, $skipped skipped" what=$(plain "$log" | grep -iE '^[[:space:]]*skipped' | head -n 1 | cell)
	fi
	if [ "$code" != 0 ]; then
		failed=$((failed + 1)) result='**failed**' what=$(why "$log" | cell)
		details="$details
## $suite

The end of \`$suite.log\`:

$(plain "$log" | tail -n 30 | sed 's/^/    /')
"
	fi
	rows="$rows| $suite | $result | $seconds | $what |
"
	report "$@" >"$folder/report.md"
done
echo
cat "$folder/report.md"
echo "The report is $folder/report.md."
[ "$failed" = 0 ] && [ $(($(date +%s) - begun)) -le "$limit" ]
