# The dead-man switch of one host. Arguments: VERB KIND TOKEN SECONDS.
#   arm      saves what enforces the flow matrix here, and starts a timer that puts it back
#   renew    starts the timer anew; asked over a new connection, so that it also proves one
#   hold     the timer no longer counts; what was saved stays, so that `revert` still works
#   confirm  forgets what was saved
#   revert   puts back what was saved, at once
#   look     says what there is
# KIND: node (/etc/pve's firewall files), network (a node's interfaces) or host (UFW, Docker's chain). Exit: 0; 3 when the timer has already fired; 4 when
# an armed switch of another run was found, which was then put back.
set -u
export LC_ALL=C
verb=$1 kind=$2 token=$3 seconds=$4
dir=/var/lib/infra/guard
units=/etc/systemd/system

# Whoever takes the name away decides what becomes of the change: the timer or infra, never both.
claim() { mv "$dir/armed" "$dir/$1" 2>/dev/null; }

dismantle() {
    systemctl stop infra-guard.timer 2>/dev/null
    rm -f "$units/infra-guard.timer" "$units/infra-guard.service" \
        "$units/timers.target.wants/infra-guard.timer" "$units/multi-user.target.wants/infra-guard.service"
    systemctl daemon-reload
}

save() {
    rm -rf "$dir/saved"
    mkdir -p "$dir/saved"
    for file in $(sh "$dir/files.sh" "$kind"); do
        [ -f "$file" ] || continue
        mkdir -p "$dir/saved/${file%/*}" && cat "$file" >"$dir/saved$file" || return
    done
    for tables in iptables ip6tables; do
        command -v "$tables" >/dev/null 2>&1 || continue
        "$tables" -w 5 -S >"$dir/$tables.before" 2>/dev/null
        "$tables-save" -t filter >"$dir/$tables.filter" 2>/dev/null
    done
}

arm() {
    umask 077
    mkdir -p "$dir"
    if [ -e "$dir/armed" ]; then
        sh "$dir/restore.sh"
        return 4
    fi
    rm -rf "$dir"
    mkdir -p "$dir" || return 1
    printf '%s\n' "$FILES" >"$dir/files.sh"
    printf '%s\n' "$RESTORE" >"$dir/restore.sh"
    printf '%s\n' "$kind" >"$dir/kind"
    save || return 1
    # Units of that name which somebody made for one run only would stand before ours.
    systemctl stop infra-guard.timer infra-guard.service 2>/dev/null
    systemctl reset-failed infra-guard.timer infra-guard.service 2>/dev/null
    cat >"$units/infra-guard.service" <<UNIT || return 1
[Unit]
Description=infra: puts back what was there before an unconfirmed change
After=ufw.service docker.service pve-cluster.service
ConditionPathExists=$dir/armed
[Service]
Type=oneshot
ExecStart=/bin/sh $dir/restore.sh
[Install]
WantedBy=multi-user.target
UNIT
    cat >"$units/infra-guard.timer" <<UNIT || return 1
[Unit]
Description=infra: an unconfirmed change of the firewall
[Timer]
OnActiveSec=${seconds}s
AccuracySec=100ms
[Install]
WantedBy=timers.target
UNIT
    chmod 644 "$units/infra-guard.service" "$units/infra-guard.timer"
    # Enabled, so that a machine that loses its power in between puts things back when it boots.
    mkdir -p "$units/timers.target.wants" "$units/multi-user.target.wants"
    ln -sf ../infra-guard.timer "$units/timers.target.wants/"
    ln -sf ../infra-guard.service "$units/multi-user.target.wants/"
    systemctl daemon-reload || return 1
    printf '%s\n' "$token" >"$dir/armed"
    sync "$dir/armed" 2>/dev/null
    if ! systemctl restart infra-guard.timer || [ "$(systemctl is-active infra-guard.timer)" != active ]; then
        rm -f "$dir/armed"
        dismantle
        return 1
    fi
}

is() { [ "$(cat "$dir/$1" 2>/dev/null)" = "$token" ]; }

hold() {
    is held && return
    is armed && claim held || exit 3
    dismantle
}

case $verb in
    arm) arm ;;
    renew)
        is armed || exit 3
        systemctl restart infra-guard.timer
        ;;
    hold) hold ;;
    confirm)
        hold
        rm -rf "$dir"
        ;;
    revert)
        if is held; then
            sh "$dir/restore.sh" held
        elif is armed; then
            sh "$dir/restore.sh"
        else
            exit 3
        fi
        ;;
    look)
        if is armed; then echo armed; elif is held; then echo held; elif [ -e "$dir/reverting" ]; then echo reverting; elif [ -e "$dir/reverted" ]; then echo reverted; else echo none; fi
        ;;
    *) exit 2 ;;
esac
