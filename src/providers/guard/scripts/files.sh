# The files that enforce the flow matrix on a host of a kind, as far as they are there.
case $1 in
    node) ls -d /etc/pve/firewall/*.fw /etc/pve/nodes/*/host.fw 2>/dev/null ;;
    network) ls -d /etc/network/interfaces /etc/network/interfaces.d/* 2>/dev/null ;;
    host) ls -d /etc/default/ufw /etc/ufw/ufw.conf /etc/ufw/user.rules /etc/ufw/user6.rules /etc/infra/docker-firewall* \
        /etc/systemd/system/infra-docker-firewall.service 2>/dev/null ;;
esac
true
