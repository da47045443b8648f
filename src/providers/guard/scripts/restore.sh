# Puts back what `arm` saved. Run by the timer, at boot, or by infra; by the latter also with `held`, when the timer no
# longer counts. It goes on whatever fails: half a way in is better than none.
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
dir=/var/lib/infra/guard
mv "$dir/${1:-armed}" "$dir/reverting" 2>/dev/null || exit 0
kind=$(cat "$dir/kind")

for file in $(sh "$dir/files.sh" "$kind"); do
    [ -e "$dir/saved$file" ] || rm -f "$file"
done
# All nodes of a cluster put back the same files of /etc/pve, each through a file of its own.
beside=infra-guard.$(uname -n)
(cd "$dir/saved" && find . -type f) | while IFS= read -r name; do
    file=${name#.}
    cmp -s "$dir/saved$file" "$file" && continue
    # Beside it and then in its place: nobody reads half a file. Mode and owner are those of the file that goes.
    cp -p "$file" "$file.$beside" 2>/dev/null
    cat "$dir/saved$file" >"$file.$beside" && mv "$file.$beside" "$file"
done

# UFW leads into its chains only when it makes them.
lead_in() {
    for hook in INPUT OUTPUT FORWARD; do
        lower=$(echo "$hook" | tr '[:upper:]' '[:lower:]')
        for stage in before-logging before after after-logging reject track; do
            chain=ufw$2-$stage-$lower
            "$1" -w 5 -n -L "$chain" >/dev/null 2>&1 || continue
            "$1" -w 5 -C "$hook" -j "$chain" 2>/dev/null || "$1" -w 5 -A "$hook" -j "$chain"
        done
    done
}

ufw_back() {
    init=$(ls /usr/lib/ufw/ufw-init /lib/ufw/ufw-init 2>/dev/null | head -n 1)
    [ -n "$init" ] || return
    if grep -q 'ufw-before-input' "$dir/iptables.before" 2>/dev/null; then
        "$init" force-reload || "$init" start
        lead_in iptables ''
        lead_in ip6tables 6
        # What UFW would not load is put back as it stood in the kernel.
        iptables -w 5 -C INPUT -j ufw-before-input 2>/dev/null || iptables-restore -w 5 <"$dir/iptables.filter"
        if grep -q 'ufw6-before-input' "$dir/ip6tables.before" 2>/dev/null; then
            ip6tables -w 5 -C INPUT -j ufw6-before-input 2>/dev/null || ip6tables-restore -w 5 <"$dir/ip6tables.filter"
        fi
    else
        "$init" force-stop
        for tables in iptables ip6tables; do
            for hook in INPUT OUTPUT FORWARD; do
                policy=$(sed -n "s/^-P $hook //p" "$dir/$tables.before" 2>/dev/null)
                [ -z "$policy" ] || "$tables" -w 5 -P "$hook" "$policy"
            done
        done
    fi
}

docker_back() {
    systemctl daemon-reload
    if [ -e /etc/infra/docker-firewall.sh ]; then
        sh /etc/infra/docker-firewall.sh
        return
    fi
    for family in ip ip6; do
        nft delete table "$family" infra-docker 2>/dev/null
    done
    for tables in iptables ip6tables; do
        "$tables" -w 5 -D DOCKER-USER -j INFRA-DOCKER 2>/dev/null
        "$tables" -w 5 -F INFRA-DOCKER 2>/dev/null
        "$tables" -w 5 -F INFRA-DOCKER-OUT 2>/dev/null
        "$tables" -w 5 -X INFRA-DOCKER 2>/dev/null
        "$tables" -w 5 -X INFRA-DOCKER-OUT 2>/dev/null
    done
}

if [ "$kind" = network ]; then
    # What was staged goes too: nobody may apply it later by accident.
    rm -f /etc/network/interfaces.new
    ifreload -a || systemctl restart networking.service
fi
if [ "$kind" = host ]; then
    ufw_back
    docker_back
fi
mv "$dir/reverting" "$dir/reverted"
rm -rf "$dir/saved"
units=/etc/systemd/system
rm -f "$units/infra-guard.timer" "$units/infra-guard.service" \
    "$units/timers.target.wants/infra-guard.timer" "$units/multi-user.target.wants/infra-guard.service"
systemctl stop infra-guard.timer 2>/dev/null
systemctl daemon-reload
true
