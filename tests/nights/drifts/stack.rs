//! Compose stacks: files, units, containers.

use super::Drift;
use crate::lab::Place::{Extranet, Intranet};

pub(super) fn all() -> Vec<Drift> {
    vec![
        Drift::new(
            "a compose file edited",
            (Intranet, "sed -i 's/restart: unless-stopped/restart: \"no\"/' /opt/infra/stacks/restic/current/compose.yaml"),
            &["intranet: stack restic"],
            &["file compose.yaml: edited → as in the inventory"],
            (Intranet, "grep -c 'restart: unless-stopped' /opt/infra/stacks/restic/current/compose.yaml || true", "1"),
        )
        .apart(),
        Drift::new(
            "a container stopped",
            (Intranet, "docker stop jellyfin-jellyfin-1 >/dev/null"),
            &["intranet: stack jellyfin"],
            &["service jellyfin state: exited → running"],
            (Intranet, "docker inspect -f '{{.State.Status}}' jellyfin-jellyfin-1", "running"),
        )
        .apart(),
        Drift::new(
            "a container removed",
            (Intranet, "docker rm -f jellyfin-jellyfin-1 >/dev/null"),
            &["intranet: stack jellyfin"],
            &["service jellyfin: no container → running"],
            (Intranet, "docker inspect -f '{{.State.Status}}' jellyfin-jellyfin-1 2>/dev/null || true", "running"),
        )
        .apart(),
        Drift::new(
            "a container paused",
            (Extranet, "docker pause node-exporter-node-exporter-1 >/dev/null"),
            &["extranet: stack node-exporter"],
            &["state: paused → running"],
            (Extranet, "docker inspect -f '{{.State.Status}}' node-exporter-node-exporter-1", "running"),
        ),
        Drift::new(
            "a container of another image",
            (
                Intranet,
                "cd /opt/infra/stacks/jellyfin/current\n\
                 docker tag jellyfin/jellyfin:10.10.7 docker.io/jellyfin/jellyfin:10.9.11\n\
                 cp -p compose.yaml /tmp/compose.kept\n\
                 sed -i s/10.10.7/10.9.11/ compose.yaml\n\
                 docker compose --project-name jellyfin --project-directory . -f compose.yaml -f compose.infra.yaml up -d >/dev/null 2>&1\n\
                 mv /tmp/compose.kept compose.yaml",
            ),
            &["intranet: stack jellyfin"],
            &["service jellyfin image: ", "10.9.11 → "],
            (Intranet, "docker inspect -f '{{.Config.Image}}' jellyfin-jellyfin-1", "docker.io/jellyfin/jellyfin:10.10.7"),
        ),
        Drift::new(
            "mode of a secret's file",
            (Intranet, "chmod 0644 /opt/infra/stacks/monitoring/current/secrets/grafana_admin_password"),
            &["intranet: stack monitoring"],
            &["secrets/grafana_admin_password owner and mode: 472:0 0644 → 472:0 0400"],
            (Intranet, "stat -c '%a %u' /opt/infra/stacks/monitoring/current/secrets/grafana_admin_password", "400 472"),
        ),
        Drift::new(
            "content of a secret's file",
            (Intranet, "cat /opt/infra/stacks/restic/current/secrets/restic_password | sha256sum > /opt/was\necho guessed > /opt/infra/stacks/restic/current/secrets/restic_password"),
            &["intranet: stack restic"],
            &["file secrets/restic_password: edited → as in the inventory"],
            (Intranet, "grep -c guessed /opt/infra/stacks/restic/current/secrets/restic_password || true", "0"),
        ),
        Drift::new(
            "the unit of a stack edited",
            (Extranet, "sed -i s/network-online.target//g /etc/systemd/system/infra-stack-proxy.service"),
            &["extranet: stack proxy"],
            &["unit infra-stack-proxy.service: edited → as in the inventory"],
            (Extranet, "grep -c network-online.target /etc/systemd/system/infra-stack-proxy.service || true", "2"),
        ),
        Drift::new(
            "a stack that does not come back at boot",
            (Intranet, "systemctl -q disable infra-stack-immich.service"),
            &["intranet: stack immich"],
            &["unit infra-stack-immich.service at boot: disabled → enabled"],
            (Intranet, "systemctl is-enabled infra-stack-immich.service || true", "enabled"),
        ),
        Drift::new(
            "the unit of a stack removed",
            (Extranet, "rm /etc/systemd/system/infra-stack-openvpn.service; systemctl daemon-reload"),
            &["extranet: stack openvpn"],
            &["unit infra-stack-openvpn.service: present"],
            (Extranet, "systemctl is-enabled infra-stack-openvpn.service 2>/dev/null || true", "enabled"),
        ),
        Drift::new(
            "a container of ours that the release does not have",
            (
                Intranet,
                "docker run -d --name miner --label infra.system=media-server-home --label infra.stack=monitoring --label com.docker.compose.project=monitoring --label com.docker.compose.service=miner \
                 --label com.docker.compose.oneoff=False --label com.docker.compose.container-number=1 \
                 --label com.docker.compose.config-hash=0 --entrypoint sleep prom/node-exporter:v1.9.1 1000 >/dev/null",
            ),
            &["intranet: stack monitoring"],
            &["container miner: not in the compose file"],
            (Intranet, "docker ps -a -q --filter name=miner | wc -l", "0"),
        )
        .apart(),
        Drift::new(
            "a release's link turned elsewhere",
            (Extranet, "ln -sfn releases/other /opt/infra/stacks/node-exporter/current"),
            &["extranet: stack node-exporter"],
            &["release: other → "],
            (Extranet, "test -e /opt/infra/stacks/node-exporter/current/compose.yaml && echo there || true", "there"),
        )
        .apart(),
        Drift::new(
            "a whole stack's folder removed",
            (Extranet, "rm -rf /opt/infra/stacks/proxy"),
            &["extranet: stack proxy"],
            &["release: "],
            (Extranet, "test -e /opt/infra/stacks/proxy/current/compose.yaml && echo there || true", "there"),
        )
        .apart(),
    ]
}
