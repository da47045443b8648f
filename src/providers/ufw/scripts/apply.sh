# Carries out steps on standard input, one a line, words separated by TAB:
#   ufw WORD...    one ufw command
#   ipv6 yes|no    IPV6 in /etc/default/ufw
#   enable         starts it, now and at boot
# Stops at the first that fails. Prints `==after==` and what facts_ufw sees then.
set -u
export LC_ALL=C.UTF-8
tab=$(printf '\t')

# Rewrites one setting; in place, so that owner and mode stay.
setting() {
    grep -v "^$2=" "$1" >"$1.infra" && printf '%s=%s\n' "$2" "$3" >>"$1.infra" && cat "$1.infra" >"$1"
    status=$?
    rm -f "$1.infra"
    return $status
}

# UFW leads into its chains only when it makes them: after `iptables -F` by hand it would load every rule, and nothing
# would ever come to them (ufw 0.36.2).
lead_in() {
    for family in 4 6; do
        case $family in
            4) tables=iptables six= ;;
            6) tables=ip6tables six=6 ;;
        esac
        for hook in INPUT OUTPUT FORWARD; do
            lower=$(echo "$hook" | tr '[:upper:]' '[:lower:]')
            for stage in before-logging before after after-logging reject track; do
                chain=ufw$six-$stage-$lower
                "$tables" -w 5 -n -L "$chain" >/dev/null 2>&1 || continue
                "$tables" -w 5 -C "$hook" -j "$chain" 2>/dev/null || "$tables" -w 5 -A "$hook" -j "$chain" || return
            done
        done
    done
}

enable() {
    ufw --force enable || return
    # Enabling what counts as enabled loads nothing.
    ufw reload || return
    lead_in
}

carry_out() {
    if grep -qE '^MANAGE_BUILTINS=yes' /etc/default/ufw 2>/dev/null; then
        echo "MANAGE_BUILTINS=yes in /etc/default/ufw makes ufw flush every chain, Docker's too: set it to no" >&2
        return 3
    fi
    while IFS= read -r line; do
        set -f
        IFS=$tab
        # shellcheck disable=SC2086
        set -- $line
        unset IFS
        set +f
        case $1 in
            ufw) "$@" </dev/null || return ;;
            ipv6) setting /etc/default/ufw IPV6 "$2" || return ;;
            enable) enable </dev/null || return ;;
            *)
                echo "unknown step: $1" >&2
                return 2
                ;;
        esac
    done
}

carry_out >&2
code=$?
echo "==after=="
facts_ufw
exit $code
