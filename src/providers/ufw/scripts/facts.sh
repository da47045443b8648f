facts_ufw() {
    if command -v ufw >/dev/null 2>&1; then
        grep -hE '^ENABLED=' /etc/ufw/ufw.conf 2>/dev/null | sed 's/^/conf /' || true
        grep -hE '^(IPV6|MANAGE_BUILTINS|DEFAULT_(INPUT|OUTPUT|FORWARD)_POLICY)=' /etc/default/ufw 2>/dev/null | sed 's/^/conf /' || true
        for family in 4 6; do
            case $family in
                4) file=/etc/ufw/user.rules ;;
                6) file=/etc/ufw/user6.rules ;;
            esac
            sed -n "s/^### tuple ### /tuple$family /p; s/^\(-A ufw6*-user-\(input\|output\|forward\) \)/stored$family \1/p" "$file" 2>/dev/null || true
        done
    fi
    for family in 4 6; do
        case $family in
            4) tables=iptables ;;
            6) tables=ip6tables ;;
        esac
        command -v "$tables" >/dev/null 2>&1 || continue
        "$tables" -w 5 -S 2>/dev/null |
            grep -E -e '^-P ' -e '^-A ufw6?-before-input -j ufw6?-user-input$' -e '^-A (INPUT|OUTPUT|FORWARD|ufw6?-user-(input|output|forward)|DOCKER-USER|INFRA-DOCKER(-OUT)?) ' -e '^-A DOCKER-BRIDGE -o [^ ]+ -j DOCKER$' |
            sed "s/^/live$family /" || true
    done
    if command -v nft >/dev/null 2>&1; then
        for family in 4 6; do
            case $family in
                4) table=ip ;;
                6) table=ip6 ;;
            esac
            nft -s list chain "$table" infra-docker forward 2>/dev/null |
                sed -n "/^		type /d; s/^		/live$family nft /p" || true
            nft -s list chain "$table" infra-docker containers 2>/dev/null |
                sed -n "s/^		/live$family nft out /p" || true
        done
    fi
}
